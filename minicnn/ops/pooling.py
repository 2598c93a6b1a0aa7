"""Pooling of (N, C, H, W), and of (N, C, W) as images of one row. The arithmetic is in `minicnn.kernels`; here is what depends on what."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from minicnn import _memory, kernels
from minicnn._mirror import since
from minicnn._tensor import Tensor, need_tensor
from minicnn._types import Size2, short_name
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.kernels.shapes import Pair
from minicnn.ops._common import implemented, pair
from minicnn.ops.activation import relu
from minicnn.ops.elementwise import sign
from minicnn.ops.reduction import mean

Single = Any  # an argument for a series: an int, or a sequence of one


class MaxPool2DWithIndices(Op):
    """The largest of each window; the gradient goes to it alone, to the first of equals in scan order."""

    saved_names = ("self", "result1")

    @staticmethod
    def forward(ctx, x, kernel, stride, padding, dilation, ceil_mode):
        ctx.geometry, ctx.ceil_mode = (kernel, stride, padding, dilation), ceil_mode  # for receptive fields
        compute = kernels.get("max_pool2d", x.array.dtype)
        out, indices = _laid_as(x.array, *compute(x.array, kernel, stride, padding, dilation, ceil_mode))
        indices = Tensor.wrap(indices)
        ctx.save_for_backward(x, indices)  # x as in PyTorch, though its shape is enough: so a write to it is noticed
        return out, indices

    @staticmethod
    def backward(ctx, grad):
        return MaxPool2DWithIndicesBackward.of(grad, *ctx.saved)


def _laid_as(image: np.ndarray, out: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A pooling's two results in the image's order in memory."""
    if kernels.in_rows(image):
        return out, indices
    return _memory.follow(out, image), _memory.follow(indices, image)


class MaxPool2DWithIndicesBackward(Op):
    """Each output's gradient, put where its maximum was; the gradient of that is read at the same places."""

    slots = 2
    value = staticmethod(lambda grad, x, indices: kernels.get("max_pool2d_grad", grad.dtype)(grad, indices, x.shape))

    @staticmethod
    def backward(ctx, grad):
        *_, indices = ctx.saved
        return AtPlaces.of(grad, indices), both.zeros_like(grad)


class AtPlaces(Op):
    """What stands at these places of each plane, H * W of them in a row: (N, C, H, W) and (N, C, OH, OW); 0 at -1"""

    @staticmethod
    def value(x, places):
        (N, C, H, W), (_, _, OH, OW) = x.shape, places.shape
        read = np.take_along_axis(x.reshape(N, C, H * W), places.reshape(N, C, OH * OW), 2).reshape(places.shape)
        return np.where(places < 0, x.dtype.type(0), read)

    @staticmethod
    def backward(ctx, grad):
        return MaxPool2DWithIndicesBackward.of(grad, *ctx.saved)


class AdaptiveMaxPool2D(Op):
    """The largest of each of OH x OW regions that cover the input."""

    saved_names = ("self", "result1")

    @staticmethod
    def forward(ctx, x, output_size):
        compute = kernels.get("adaptive_max_pool2d", x.array.dtype)
        out, indices = _laid_as(x.array, *compute(x.array, output_size))
        indices = Tensor.wrap(indices)
        ctx.save_for_backward(x, indices)
        return out, indices

    @staticmethod
    def backward(ctx, grad):
        return AdaptiveMaxPool2DBackward.of(grad, *ctx.saved)


class AdaptiveMaxPool2DBackward(MaxPool2DWithIndicesBackward):
    """The same, of regions."""


class AvgPool2D(Op):
    """The mean of each window; every element of it gets an equal share of the gradient."""

    saved_names = ("self",)

    @staticmethod
    def value(x, *geometry):
        return _memory.follow(kernels.get("avg_pool2d", x.dtype)(x, *kernels.average_windows(x.shape, *geometry)), x)

    @staticmethod
    def backward(ctx, grad):
        return AvgPool2DBackward.of(grad, *ctx.saved, *ctx.options)


class AvgPool2DBackward(Op):
    """The shares of each output's gradient, added up; the gradient of that is the mean of each window."""

    slots, saves = 2, ()

    @staticmethod
    def value(grad, x, *geometry):
        windows = kernels.average_windows(x.shape, *geometry)
        return kernels.get("avg_pool2d_grad", grad.dtype)(grad, x.shape, *windows)

    @staticmethod
    def backward(ctx, grad):
        return AvgPool2D.of(grad, *ctx.options), both.zeros_like(grad)


class AdaptiveAvgPool2D(Op):
    """The mean of each of OH x OW regions that cover the input."""

    saved_names = ("self",)

    @staticmethod
    def value(x, output_size):
        windows = kernels.adaptive_average_windows(x.shape, output_size)
        return _memory.follow(kernels.get("avg_pool2d", x.dtype)(x, *windows), x)

    @staticmethod
    def backward(ctx, grad):
        return AdaptiveAvgPool2DBackward.of(grad, *ctx.saved, *ctx.options)


class AdaptiveAvgPool2DBackward(Op):
    """The shares of each output's gradient, added up; the gradient of that is the mean of each region."""

    slots, saves = 2, ()

    @staticmethod
    def value(grad, x, output_size):
        if 0 in grad.shape[1:]:  # of a size of 0, or without channels: PyTorch refuses here, not in forward
            raise RuntimeError(
                "adaptive_avg_pool2d_backward(): Expected grad_output to have non-zero size for non-batch dimensions, but "
                f"grad_output has sizes {list(grad.shape)}"
            )
        windows = kernels.adaptive_average_windows(x.shape, output_size)
        return kernels.get("avg_pool2d_grad", grad.dtype)(grad, x.shape, *windows)

    @staticmethod
    def backward(ctx, grad):
        return AdaptiveAvgPool2D.of(grad, *ctx.options), both.zeros_like(grad)


def max_pool2d(
    input: Tensor,
    kernel_size: Size2,
    stride: Size2 | None = None,
    padding: Size2 = 0,
    dilation: Size2 = 1,
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
    window = _window("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode)
    output, indices = _apply(MaxPool2DWithIndices, input, *window, ceil_mode)
    return (output, indices) if return_indices else output


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Size2,
    stride: Size2 | None = None,
    padding: Size2 = 0,
    dilation: Size2 = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """`max_pool2d` with `return_indices=True`."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices=True)


def avg_pool2d(
    input: Tensor,
    kernel_size: Size2,
    stride: Size2 | None = None,
    padding: Size2 = 0,
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
    divisor = None if divisor_override is None else operator.index(divisor_override)
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    kernel, stride, padding, _ = _window("avg_pool2d", input, kernel_size, stride, padding, 1, ceil_mode)
    return _apply(AvgPool2D, input, kernel, stride, padding, ceil_mode, count_include_pad, divisor)


def _window(
    function: str,
    input: Tensor,
    kernel_size: Size2,
    stride: Size2 | None,
    padding: Size2,
    dilation: Size2,
    ceil_mode: bool,
) -> tuple[Pair, Pair, Pair, Pair]:
    """Kernel size, stride, padding, dilation as pairs. RuntimeError unless (N, C, H, W) or (C, H, W) has such a window."""
    kernel = _two(function, "kernel_size", kernel_size)
    omitted = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    stride = kernel if omitted else _two(function, "stride", stride)
    padding, dilation = _two(function, "padding", padding), _two(function, "dilation", dilation)
    _check_window(input.array.shape, kernel, stride, padding, dilation, ceil_mode)
    return kernel, stride, padding, dilation


@lru_cache(maxsize=512)  # the same for each call of a layer
def _check_window(
    shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> None:
    if len(shape) not in (3, 4):
        raise RuntimeError("non-empty 3D or 4D (batch mode) tensor expected for input")
    if 0 in shape[-3:]:
        raise RuntimeError(
            f"Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:{list(shape)}"
        )
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
    out = tuple(map(kernels.output_size, shape[-2:], kernel, stride, padding, dilation, (ceil_mode, ceil_mode)))
    if min(out) < 1:
        C, H, W = shape[-3:]
        raise RuntimeError(
            f"Given input size: ({C}x{H}x{W}). Calculated output size: ({C}x{out[0]}x{out[1]}). Output size is too small"
        )


_ONE_OR_TWO = {  # in PyTorch's words
    "kernel_size": "must either be a single int, or a tuple of two ints",
    "stride": "must either be omitted, a single int, or a tuple of two ints",
    "padding": "must either be a single int, or a tuple of two ints",
    "dilation": "must be either a single int, or a tuple of two ints",
}


def _two(function: str, name: str, value: Any) -> Pair:
    values = tuple(map(operator.index, pair(value)))
    if len(values) not in (1, 2):
        raise RuntimeError(f"{function}: {name} {_ONE_OR_TWO[name]}")
    return values[0], values[-1]


def _apply(pooling: type[Op], input: Tensor, *args: Any) -> Any:
    """Pool (N, C, H, W); or (C, H, W) as a batch of one."""
    if input.array.ndim == 4:
        return pooling.apply(input, *args)
    result = pooling.apply(input.unsqueeze(0), *args)
    return tuple(out.squeeze(0) for out in result) if isinstance(result, tuple) else result.squeeze(0)


def adaptive_avg_pool2d(input: Tensor, output_size: Size2) -> Tensor:
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
        return mean(input, (-1, -2), keepdim=True)  # as in PyTorch: the graph shows a mean
    if input.dim() not in (3, 4):
        raise RuntimeError(f"adaptive_avg_pool2d(): Expected 3D or 4D tensor, but got {list(input.shape)}")
    _need_nonempty("adaptive_avg_pool2d", input, range(input.dim() - 2, input.dim()))
    return _apply(AdaptiveAvgPool2D, input, size)


def adaptive_max_pool2d(input: Tensor, output_size: Size2, return_indices: bool = False) -> Any:
    """The maxima of windows laid out so that the result has `output_size`; None keeps the input's size.

    Args:
        input: (N, C, H, W) or (C, H, W).
        return_indices: return (maxima, indices), where index y W + x is the place of the first maximum in its plane.
    """
    need_tensor(input, "adaptive_max_pool2d")
    size = _adaptive_size(output_size, input)
    if input.dim() not in (3, 4):
        raise RuntimeError(f"adaptive_max_pool2d(): Expected 3D or 4D tensor, but got: {list(input.shape)}")
    _need_nonempty("adaptive_max_pool2d", input, range(1, input.dim()))
    if len(size) != 2:
        raise RuntimeError("adaptive_max_pool2d(): internal error: output_size.size() must be 2")
    output, indices = _apply(AdaptiveMaxPool2D, input, size)
    return (output, indices) if return_indices else output


# --- series: images of one row ------------------------------------------------------------------------------------------


def max_pool1d(
    input: Tensor,
    kernel_size: Single,
    stride: Single | None = None,
    padding: Single = 0,
    dilation: Single = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window of (N, C, W) or (C, W): `max_pool2d` of images of one row. Index x is the place in the row."""
    need_tensor(input, "max_pool1d")
    if input.dim() not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but "
            f"got:{list(input.shape)}"
        )
    numbers = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    kernel, step, border, gap = (_one_of("max_pool1d", name, value) for name, value in numbers.items())
    step = kernel if step is None else step
    for name, number, least in (("kernel_size", kernel, 1), ("stride", step, 1), ("padding", border, 0)):
        if number < least:
            rule = "greater than zero" if least else "non-negative"
            raise RuntimeError(f"max_pool1d() {name} must be {rule}, but got {number}")
    if border > kernel // 2:
        raise RuntimeError(
            f"max_pool1d() padding should be at most half of kernel size, but got padding={border} and kernel_size={kernel}"
        )
    if gap < 1:
        raise RuntimeError(f"max_pool1d() dilation must be greater than zero, but got {gap}")
    size = kernels.output_size(input.shape[-1], kernel, step, border, gap, ceil_mode)
    if size < 1:
        raise RuntimeError(f"max_pool1d() Invalid computed output size: {size}")
    window = (1, kernel), (1, step), (0, border), (1, gap)
    output, indices = _apply(MaxPool2DWithIndices, input.unsqueeze(-2), *window, ceil_mode)
    return (output.squeeze(-2), indices.squeeze(-2)) if return_indices else output.squeeze(-2)


def avg_pool1d(
    input: Tensor,
    kernel_size: Single,
    stride: Single | None = None,
    padding: Single = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, W) or (C, W): `avg_pool2d` of images of one row."""
    need_tensor(input, "avg_pool1d")
    kernel, step, border = (
        _one_of("avg_pool1d", name, value)
        for name, value in (("kernel_size", kernel_size), ("stride", stride), ("padding", padding))
    )
    _need_series("avg_pool1d", input)
    step = kernel if step is None else step
    return avg_pool2d(input.unsqueeze(-2), (1, kernel), (1, step), (0, border), ceil_mode, count_include_pad).squeeze(
        -2
    )


def adaptive_avg_pool1d(input: Tensor, output_size: Single) -> Tensor:
    """The means of windows laid out so that (N, C, W) becomes (N, C, output_size), also without N."""
    need_tensor(input, "adaptive_avg_pool1d")
    size = _one_of("adaptive_avg_pool1d", "output_size", output_size)
    _need_series("adaptive_avg_pool1d", input)
    return adaptive_avg_pool2d(input.unsqueeze(-2), (1, size)).squeeze(-2)


def adaptive_max_pool1d(input: Tensor, output_size: Single, return_indices: bool = False) -> Any:
    """The maxima of windows laid out so that (N, C, W) becomes (N, C, output_size), also without N.

    With `return_indices` (maxima, indices), where index x is the place of the first maximum in its row.
    """
    need_tensor(input, "adaptive_max_pool1d")
    size = _one_of("adaptive_max_pool1d", "output_size", output_size)
    _need_series("adaptive_max_pool1d", input)
    _need_nonempty("adaptive_max_pool1d", input, range(1, input.dim()))
    output, indices = adaptive_max_pool2d(input.unsqueeze(-2), (1, size), return_indices=True)
    return (output.squeeze(-2), indices.squeeze(-2)) if return_indices else output.squeeze(-2)


def _need_series(function: str, input: Tensor) -> None:
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input.dim()}-dimensional tensor for argument #1 'self' (while checking "
            f"arguments for {function})"
        )


def _one_of(function: str, name: str, value: Any) -> Any:
    """The number in an argument of a series: an int, or a sequence of one. A stride may be left out: None."""
    several = isinstance(value, (tuple, list))
    if name == "stride" and (value is None or (several and not value)):
        return None
    if several and len(value) != 1:
        if function == "max_pool1d":
            none, comma = "None, " if name == "stride" else "", "," if name in ("stride", "padding") else ""
            raise RuntimeError(
                f"{function}() {name} must be {none}an int, list of ints{comma} or tuple of ints of size 1 but got size "
                f"{len(value)}"
            )
        raise RuntimeError(f"{function}() argument '{name}' should contain one int (got {len(value)})")
    number = value[0] if several else value
    if number is None or isinstance(number, float):
        found = f"but found element of type {type(number).__name__} at pos 0" if several else ""
        position = {"kernel_size": 2, "output_size": 2, "stride": 3, "padding": 4, "dilation": 5}[name]
        raise TypeError(
            f"{function}(): argument '{name}' (position {position}) must be tuple of ints, "
            f"{found or f'not {type(number).__name__}'}"
        )
    return operator.index(number)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Size2, stride: Size2 | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of (N, C, H, W) or (C, H, W), p = `norm_type`: (sum of x^p)^(1/p), 0 if that sum is 0.

    For p = infinity the largest |x|. As in PyTorch x^p has the sign of x for an odd p. ValueError for p = 0.
    """
    check_norm(norm_type)
    if abs(norm_type) == math.inf:
        largest = max_pool2d(input.abs() if norm_type > 0 else -input.abs(), kernel_size, stride, 0, 1, ceil_mode)
        return largest if norm_type > 0 else -largest
    powers = avg_pool2d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return (sign(powers) * relu(powers.abs()) * math.prod(pair(kernel_size))) ** (1.0 / norm_type)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Single, stride: Single | None = None, ceil_mode: bool = False
) -> Tensor:
    """The p-norm of each window of (N, C, W) or (C, W), as `lp_pool2d` has it. ValueError for p = 0."""
    check_norm(norm_type)
    if abs(norm_type) == math.inf:
        largest = max_pool1d(input.abs() if norm_type > 0 else -input.abs(), kernel_size, stride, 0, 1, ceil_mode)
        return largest if norm_type > 0 else -largest
    powers = avg_pool1d(input**norm_type, kernel_size, stride, 0, ceil_mode)
    return (sign(powers) * relu(powers.abs()) * pair(kernel_size, 1)[0]) ** (1.0 / norm_type)


def check_norm(norm_type: float) -> None:
    """ValueError for the norm 0, which is refused since 2.14; before, it is a division by zero when it is computed."""
    if norm_type == 0 and since(2, 14):
        raise ValueError(f"norm_type must be a non-zero value, but got {norm_type}")


def _adaptive_size(output_size: Size2, input: Tensor) -> tuple[int, ...]:
    sizes = pair(output_size)
    return tuple(input.shape[i - len(sizes)] if size is None else operator.index(size) for i, size in enumerate(sizes))


def _need_nonempty(name: str, input: Tensor, dims: Iterable[int]) -> None:
    for dim in dims:
        if input.shape[dim] == 0:
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list(input.shape)} with dimension {dim} being empty"
            )


class MaxUnpool2D(Op, node_name="MaxUnpool2DBackward0"):
    """Zeros, and each number at the place in its channel that `indices` names; the gradient is read from there."""

    saved_names = ("indices",)

    @staticmethod
    def forward(ctx, x, indices, size):
        ctx.save_for_backward(indices)
        ctx.shape = x.array.shape
        channels = ctx.shape[:-2]
        out, rows = np.zeros((*channels, size[0] * size[1]), x.array.dtype), (*channels, math.prod(ctx.shape[-2:]))
        np.put_along_axis(out, indices.array.reshape(rows), x.array.reshape(rows), -1)
        return out.reshape(*channels, *size)

    @staticmethod
    def backward(ctx, grad):
        (indices,) = ctx.saved
        channels = ctx.shape[:-2]
        rows = grad.reshape((*channels, math.prod(grad.shape[-2:])))
        places = indices.reshape((*channels, math.prod(ctx.shape[-2:])))
        return both.gather(rows, len(channels), places).reshape(ctx.shape)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size2,
    stride: Size2 | None = None,
    padding: Size2 = 0,
    output_size: Iterable[int] | None = None,
) -> Tensor:
    """Each number back at the place that `max_pool2d(..., return_indices=True)` took it from, zeros elsewhere.

    Args:
        input: (N, C, H, W) or (C, H, W).
        indices: int64, of input's shape: places in the rows of the result, counted through.
        kernel_size, stride, padding: those of the pooling; the result's size follows from them.
        output_size: the result's size, if others have been pooled to the same one: less than a stride away.

    Raises:
        RuntimeError: indices of another shape or type, or outside the result.
        ValueError: an output size that could not have been pooled to this one.
    """
    need_tensor(input, "max_unpool2d")
    kernel, border = pair(kernel_size), pair(padding)
    size = _unpooled_size(input, kernel, kernel if stride is None else pair(stride), border, output_size)
    x, places = input.array, indices.array
    if places.dtype != np.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {short_name(indices.dtype)}")
    if x.ndim not in (3, 4):
        raise RuntimeError(
            f"Input to max_unpooling2d should be a 3d or 4d Tensor, but got a tensor with {x.ndim} dimensions."
        )
    if x.shape != places.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(x.shape)}) but got indices tensor "
            f"with shape: {list(places.shape)}"
        )
    if 0 in x.shape[-3:]:
        raise RuntimeError(
            "max_unpooling2d_forward_out_cpu(): Expected input to have non-zero size for non-batch dimensions, but got "
            f"{list(x.shape)} with dimension {x.shape.index(0, x.ndim - 3)} being empty."
        )
    implemented("max_unpool2d", x.dtype)
    wrong = places[(places < 0) | (places >= size[0] * size[1])]
    if wrong.size:
        raise RuntimeError(f"Found an invalid max index: {wrong[0]} (output volumes are of size {size[0]}x{size[1]})")
    return MaxUnpool2D.apply(input, indices, size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Single,
    stride: Single | None = None,
    padding: Single = 0,
    output_size: Iterable[int] | None = None,
) -> Tensor:
    """Each number back at the place that `max_pool1d(..., return_indices=True)` took it from, zeros elsewhere.

    As `max_unpool2d`, of (N, C, W) or (C, W). RuntimeError and ValueError as there.
    """
    need_tensor(input, "max_unpool1d")
    kernel, border = pair(kernel_size, 1)[0], pair(padding, 1)[0]
    step = kernel if stride is None else pair(stride, 1)[0]
    least = (input.shape[-1] - 1) * step + kernel - 2 * border
    size = least if output_size is None else list(output_size)[-1]
    if not least - step < size < least + step:
        given = output_size if isinstance(output_size, tuple) else list(output_size or [])
        raise ValueError(f'invalid output_size "{given}" (dim 0 must be between {least - step} and {least + step})')
    whole = max_unpool2d(input.unsqueeze(-1), indices.unsqueeze(-1), (kernel, 1), (step, 1), (border, 0), (size, 1))
    return whole.squeeze(-1)


def _unpooled_size(input: Tensor, kernel: Pair, stride: Pair, padding: Pair, output_size: Iterable[int] | None) -> Pair:
    """Height and width of what was pooled."""
    least = [(n - 1) * s + k - 2 * p for n, k, s, p in zip(input.shape[-2:], kernel, stride, padding, strict=True)]
    if output_size is None:
        size = least
    else:
        size = list(output_size)
        size = size[2:] if len(size) == 4 else size
        if len(size) != 2:
            raise ValueError(
                f"output_size should be a sequence containing 2 or 4 elements, but it has a length of '{len(size)}'"
            )
        for d, (n, middle, s) in enumerate(zip(size, least, stride, strict=True)):
            if not middle - s < n < middle + s:
                given = tuple(size) if isinstance(output_size, tuple) else size
                raise ValueError(
                    f'invalid output_size "{given}" (dim {d} must be between {middle - s} and {middle + s})'
                )
    for d, n in enumerate(size):
        if n < 0:
            raise ValueError(
                f"max_unpooling: output_size must contain non-negative spatial dimensions, but got output_size[{d}]={n}"
            )
    return size[0], size[1]
