"""Which input pixels an output sees: the output-size formula and its inverse, pooling windows, and what resizing and `grid_sample` read.

A convolution and a pooling window obey the same rule, so `output_size` is the only place where it is written down. The loops and
the fast kernels both read these tables.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Pair = tuple[int, int]
Shape = tuple[int, ...]
Scales = tuple[float | None, float | None]
Windows = tuple[np.ndarray, np.ndarray]  # first pixel and end of each window along one axis


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


def transposed_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1, output_padding: int = 0
) -> int:
    """The smallest input of which a convolution makes `size` windows: the size that its transpose gives.

    `output_padding` is added to it: the inputs of up to ``stride - 1`` pixels more have the same number of windows.
    """
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + output_padding


class Geometry(NamedTuple):
    """Everything about a convolution but its numbers. Pairs are (height, width)."""

    input_shape: Shape  # N, C, H, W
    weight_shape: Shape  # O, C / groups, KH, KW
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    dtype: np.dtype

    @property
    def output_size(self) -> Pair:
        """OH, OW."""
        OH, OW = map(output_size, self.input_shape[2:], self.weight_shape[2:], self.stride, self.padding, self.dilation)
        return OH, OW

    @property
    def is_product(self) -> bool:
        """Whether it is the product of two matrices as they are: 1x1 kernels on images of one pixel."""
        return self.input_shape[2:] == self.weight_shape[2:] == (1, 1) and self.padding == (0, 0) and self.groups == 1


def pooling_windows(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False
) -> Windows:
    """First pixel and end (exclusive) of each window along one axis, without the pixels that are padding.

    Window i holds the pixels ``range(first[i], end[i], dilation)``.
    """
    first = np.arange(output_size(size, kernel, stride, padding, dilation, ceil_mode)) * stride - padding
    end = np.minimum(first + dilation * (kernel - 1) + 1, size)
    return np.where(first < 0, first % dilation, first), end


def adaptive_windows(size: int, count: int) -> Windows:
    """First pixel and end of each of `count` windows that share `size` pixels: floor(i size / count), ceil((i + 1) size / count)."""
    index = np.arange(count)
    return index * size // count, -(-(index + 1) * size // count)


def average_windows(
    shape: Shape,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> tuple[Windows, Windows, np.ndarray]:
    """The windows along both axes, and what the sum of each is divided by, (OH, OW): `divisor` if given, else the number of its
    pixels, those in the padding included or not."""
    windows, lengths = [], []
    for n, k, s, p in zip(shape[2:], kernel, stride, padding, strict=True):
        first, end = pooling_windows(n, k, s, p, 1, ceil_mode)
        windows.append((first, end))
        start = np.arange(len(first)) * s - p
        lengths.append(np.minimum(start + k, n + p) - start if count_include_pad else end - first)
    divisors = np.outer(*lengths)
    return windows[0], windows[1], divisors if divisor is None else np.full_like(divisors, divisor)


def adaptive_average_windows(shape: Shape, size: Pair) -> tuple[Windows, Windows, np.ndarray]:
    """`average_windows` of OH x OW regions that cover the input."""
    rows, columns = (adaptive_windows(n, count) for n, count in zip(shape[2:], size, strict=True))
    return rows, columns, np.outer(rows[1] - rows[0], columns[1] - columns[0])


def nearest_sources(size: int, count: int, scale: float | None) -> np.ndarray:
    """For each of `count` output pixels the input pixel that it copies: floor(i * step), step = size / count or 1 / scale.

    As in PyTorch a size that stays, or doubles, is copied whatever the scale that led to it.
    """
    i = np.arange(count)
    if count in (size, 2 * size):
        return i * size // count
    step = np.float32(1 / scale if scale else size / count)
    return np.minimum(np.floor(i.astype(np.float32) * step).astype(np.int64), size - 1)


def bilinear_sources(
    size: int, count: int, align_corners: bool, scale: float | None, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `count` output pixels the two input pixels that it mixes and the second one's weight.

    align_corners: i (size - 1) / (count - 1), else (i + 1/2) * step - 1/2, not below 0; a size that stays is copied.
    """
    i = np.arange(count, dtype=dtype)
    if count == size:
        place = i
    elif align_corners:
        place = i * dtype.type((size - 1) / (count - 1) if count > 1 else 0)
    else:
        place = np.maximum(
            (i + dtype.type(0.5)) * dtype.type(1 / scale if scale else size / count) - dtype.type(0.5), 0
        )
    low = np.minimum(place.astype(np.int64), size - 1)
    return low, low if count == size else np.minimum(low + 1, size - 1), np.minimum(place - low, 1).astype(dtype)


def grid_taps(
    shape: tuple[int, ...], grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pixels that each place of the grid reads, one entry (N, OH, OW) for each tap: rows, columns, weights, and whether it is
    inside of the input. A tap outside has weight 0."""
    _, _, H, W = shape
    x = _unnormalize(grid[..., 0], W, padding_mode, align_corners)
    y = _unnormalize(grid[..., 1], H, padding_mode, align_corners)
    if mode == "nearest":
        taps = [(np.round(y), np.round(x), np.ones_like(x))]
    else:
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        taps = [
            (y0, x0, (1 - fx) * (1 - fy)), (y0, x0 + 1, fx * (1 - fy)),
            (y0 + 1, x0, (1 - fx) * fy), (y0 + 1, x0 + 1, fx * fy),
        ]  # fmt: skip
    rows, columns, weights = map(np.stack, zip(*taps, strict=True))
    inside = (rows >= 0) & (rows < H) & (columns >= 0) & (columns < W)
    rows, columns = (np.where(inside, place, 0).astype(np.int64) for place in (rows, columns))
    return rows, columns, weights * inside, inside


def grid_slopes(
    shape: tuple[int, ...], grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The slopes of the weights of `grid_taps` by the grid's x and y, one entry (N, OH, OW) for each tap."""
    if mode == "nearest":
        return np.zeros((1, *grid.shape[:3]), grid.dtype), np.zeros((1, *grid.shape[:3]), grid.dtype)
    (fx, slope_x), (fy, slope_y) = grid_fractions(shape, grid, padding_mode, align_corners)
    return np.stack([fy - 1, 1 - fy, -fy, fy]) * slope_x, np.stack([fx - 1, -fx, 1 - fx, fx]) * slope_y


def grid_fractions(
    shape: tuple[int, ...], grid: np.ndarray, padding_mode: str, align_corners: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """How far each place is from the pixel before it, 0 to 1, and how fast that moves with the grid: along x, and along y."""
    axes = (grid[..., 0], shape[3]), (grid[..., 1], shape[2])
    places = [_unnormalize(*axis, padding_mode, align_corners) for axis in axes]
    slopes = [_slope(*axis, padding_mode, align_corners) for axis in axes]
    return [(place - np.floor(place), slope) for place, slope in zip(places, slopes, strict=True)]


def _unnormalize(g: np.ndarray, n: int, padding_mode: str, align_corners: bool) -> np.ndarray:
    """Grid coordinates in [-1, 1] as pixel coordinates."""
    kind = g.dtype.type
    x = (g + 1) * kind((n - align_corners) / 2) - (0 if align_corners else kind(0.5))
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        low, span = _mirrors(n, align_corners)
        if span == 0:
            return np.zeros_like(x)
        turns, rest = _divide(np.abs(x - kind(low)), kind(span))
        x = np.where(turns % 2 == 1, kind(low + span) - rest, rest + kind(low))
    return np.clip(x, 0, n - 1).astype(g.dtype, copy=False)


def _slope(g: np.ndarray, n: int, padding_mode: str, align_corners: bool) -> np.ndarray:
    """How fast `_unnormalize` moves with g: backwards between every second pair of mirrors, not at all where it is held at a border."""
    slope = np.full_like(g, (n - align_corners) / 2)
    if padding_mode == "zeros":
        return slope
    low, span = _mirrors(n, align_corners)
    if padding_mode == "reflection" and span:
        x = _unnormalize(g, n, "zeros", align_corners)
        turns, _ = _divide(np.abs(x - g.dtype.type(low)), g.dtype.type(span))
        slope = slope * np.where(x < low, -1, 1) * np.where(turns % 2 == 1, -1, 1)
    x = _unnormalize(g, n, padding_mode, align_corners)
    return np.where((x <= 0) | (x >= n - 1), 0, slope).astype(g.dtype, copy=False)


def _mirrors(n: int, align_corners: bool) -> tuple[float, float]:
    """Where the first mirror of a reflected border stands, and how far away the second one is."""
    return (0.0, n - 1.0) if align_corners else (-0.5, float(n))


def _divide(a: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Quotient and rest. `np.divmod` is exact for huge numbers too, and twenty times slower."""
    quotient = np.floor(a / b)
    return quotient, a - quotient * b
