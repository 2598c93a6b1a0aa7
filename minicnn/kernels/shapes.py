"""Where windows lie: the output-size formula and the tables of pooling windows.

A convolution and a pooling window obey the same rule, so `output_size` is the only place where it is written down.
"""

import numpy as np


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False) -> int:
    """How many windows fit along one axis of `size` pixels.

    A window spans ``dilation * (kernel - 1) + 1`` pixels and starts every `stride` pixels, the first one `padding` pixels
    before the input; it must end within the padding on the other side:

        floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1

    With `ceil_mode` the division rounds up, so the last window may hang over the end, but it must start inside the input
    or the padding before it. The result is zero or negative if not one window fits. (The rule of `torch.nn.MaxPool2d`.)
    """
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def pooling_windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """First pixel and end (exclusive) of each window along one axis, without the pixels that are padding.

    Window i holds the pixels ``range(first[i], end[i], dilation)``.
    """
    first = np.arange(output_size(size, kernel, stride, padding, dilation, ceil_mode)) * stride - padding
    end = np.minimum(first + dilation * (kernel - 1) + 1, size)
    return np.where(first < 0, first % dilation, first), end


def adaptive_windows(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First pixel and end of each of `count` windows that share `size` pixels: floor(i size / count), ceil((i + 1) size / count)."""
    index = np.arange(count)
    return index * size // count, -(-(index + 1) * size // count)
