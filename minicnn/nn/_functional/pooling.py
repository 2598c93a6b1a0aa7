"""Pooling: the maximum or the mean of each window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from minicnn import kernels, ops
from minicnn._tensor import Tensor
from minicnn.nn._functional.arguments import list_text, need_tensor

Pair = Any  # an int, or two of them for height and width


def max_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of (N, C, H, W) or (C, H, W).

    Args:
        stride: the kernel size if not given.
        padding: rows and columns of minus infinity on each side; at most half a window.
        ceil_mode: also take windows that begin inside but reach over the far edge.
        return_indices: return (maxima, indices), where index y W + x is the place of the first maximum in its plane.
    """
    need_tensor(input, "max_pool2d")
    window = _window("max_pool2d", kernel_size, stride, padding, dilation)
    _check_planes(input)
    _check_window(input, *window, ceil_mode)
    output, indices = _as_batch(input, lambda batch: ops.max_pool2d(batch, *window, ceil_mode))
    return (output, indices) if return_indices else output


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """`max_pool2d` with `return_indices=True`."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def avg_pool2d(
    input: Tensor,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of (N, C, H, W) or (C, H, W).

    Args:
        stride: the kernel size if not given.
        padding: rows and columns of zeros on each side; at most half a window.
        ceil_mode: also take windows that begin inside but reach over the far edge.
        count_include_pad: divide by the number of places in the window, those in the padding included.
        divisor_override: divide the sum by this number instead.
    """
    need_tensor(input, "avg_pool2d")
    kernel, stride, padding, _ = _window("avg_pool2d", kernel_size, stride, padding, 1)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    _check_planes(input)
    _check_window(input, kernel, stride, padding, (1, 1), ceil_mode)
    numbers = (kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return _as_batch(input, lambda batch: ops.avg_pool2d(batch, *numbers))


def adaptive_avg_pool2d(input: Tensor, output_size: Pair) -> Tensor:
    """The means of windows laid out so that the result has `output_size`; None keeps the input's size.

    Args:
        input: (N, C, H, W) or (C, H, W).
    """
    need_tensor(input, "adaptive_avg_pool2d")
    size = _adaptive_size(output_size, input)
    if len(size) != 2:
        raise RuntimeError("adaptive_avg_pool2d: output_size must be 2")
    if min(size) < 0:
        raise RuntimeError(
            "adaptive_avg_pool2d: elements of output_size must be greater than or equal to 0 but received "
            f"{{{size[0]}, {size[1]}}}"
        )
    if size == (1, 1):
        return ops.mean(input, (-1, -2), keepdim=True)  # as in PyTorch: the graph shows a mean
    if input.dim() not in (3, 4):
        raise RuntimeError(f"adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got {list_text(input.shape)}")
    _need_nonempty("adaptive_avg_pool2d", input, range(input.dim() - 2, input.dim()))
    return _as_batch(input, lambda batch: ops.adaptive_avg_pool2d(batch, size))


def _need_nonempty(name: str, input: Tensor, dims: Iterable[int]) -> None:
    for dim in dims:
        if input.shape[dim] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list_text(input.shape)} with dimension {dim} being empty"
            )


def adaptive_max_pool2d(input: Tensor, output_size: Pair, return_indices: bool = False) -> Any:
    """The maxima of windows laid out so that the result has `output_size`; None keeps the input's size.

    Args:
        input: (N, C, H, W) or (C, H, W).
        return_indices: return (maxima, indices), where index y W + x is the place of the first maximum in its plane.
    """
    need_tensor(input, "adaptive_max_pool2d")
    size = _adaptive_size(output_size, input)
    if input.dim() not in (3, 4):
        raise RuntimeError(f"adaptive_max_pool2d(): Expected 3D or 4D tensor, but got: {list_text(input.shape)}")
    _need_nonempty("adaptive_max_pool2d", input, range(1, input.dim()))
    if len(size) != 2:
        raise RuntimeError("adaptive_max_pool2d(): internal error: output_size.size() must be 2")
    output, indices = _as_batch(input, lambda batch: ops.adaptive_max_pool2d(batch, size))
    return (output, indices) if return_indices else output


def _as_batch(input: Tensor, pool: Callable) -> Any:
    """Pool (N, C, H, W); or (C, H, W) as a batch of one."""
    if input.array.ndim == 4:
        return pool(input)
    result = pool(input.unsqueeze(0))
    return tuple(out.squeeze(0) for out in result) if isinstance(result, tuple) else result.squeeze(0)


def _window(function: str, kernel_size: Pair, stride: Pair | None, padding: Pair, dilation: Pair) -> tuple:
    """Kernel size, stride, padding, dilation as pairs."""
    kernel = _pool_pair(kernel_size, f"{function}: kernel_size must either be a single int, or a tuple of two ints")
    if stride is None or (isinstance(stride, (tuple, list)) and len(stride) == 0):
        stride = kernel
    stride_text = f"{function}: stride must either be omitted, a single int, or a tuple of two ints"
    return (
        kernel,
        _pool_pair(stride, stride_text),
        _pool_pair(padding, f"{function}: padding must either be a single int, or a tuple of two ints"),
        _pool_pair(dilation, f"{function}: dilation must be either a single int, or a tuple of two ints"),
    )


def _pool_pair(value: Any, message: str) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        if len(value) not in (1, 2):
            raise RuntimeError(message)
        return (value[0], value[-1])
    return (value, value)


def _check_planes(input: Tensor) -> None:
    shape = input.array.shape
    if len(shape) not in (3, 4):
        raise RuntimeError("non-empty 3D or 4D (batch mode) tensor expected for input")
    if 0 in shape[-3:]:
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got:{list_text(shape)}"
        )


def _check_window(
    input: Tensor, kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, ceil_mode: bool
) -> None:
    """RuntimeError unless a pooling with these numbers has at least one window."""
    if min(stride) == 0:
        raise RuntimeError("stride should not be zero")
    for pad, size, step in zip(padding, kernel, dilation, strict=True):
        if pad < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {pad}")
        if pad > ((size - 1) * step + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={pad}, kernel_size={size} and "
                f"dilation={step}"
            )
    if min(kernel) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got kH: {kernel[0]} kW: {kernel[1]}")
    if min(dilation) <= 0:
        raise RuntimeError(
            f"dilation should be greater than zero, but got dilationH: {dilation[0]} dilationW: {dilation[1]}"
        )
    channels, height, width = input.array.shape[-3:]
    out = tuple(
        kernels.output_size(*numbers, ceil_mode)
        for numbers in zip((height, width), kernel, stride, padding, dilation, strict=True)
    )
    if min(out) < 1:
        raise RuntimeError(
            f"Given input size: ({channels}x{height}x{width}). Calculated output size: "
            f"({channels}x{out[0]}x{out[1]}). Output size is too small"
        )


def _adaptive_size(output_size: Pair, input: Tensor) -> tuple[int, ...]:
    sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    return tuple(size if size is not None else input.shape[dim - len(sizes)] for dim, size in enumerate(sizes))
