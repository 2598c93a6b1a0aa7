"""Convolution, its transpose, and the windows of an image as columns. The arithmetic is in `minicnn.kernels`.

A series (N, C, W) is computed as an image of one row: the settings of its operations are those of that image.

Legend: `N C H W` input, `O KH KW` kernel, `SH SW` stride, `PH PW` padding, `DH DW` dilation, `OH OW` output.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from minicnn import _memory, kernels
from minicnn._tensor import Tensor, need_tensor
from minicnn._types import Size2, dtype, short_name
from minicnn._warnings import warn_user
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.kernels.shapes import Pair
from minicnn.ops._common import pair
from minicnn.ops.padding import pad

Single = Any  # an argument for a series: an int, or a sequence of one
Numbers = tuple[int, ...]  # the same, or a pair, worked out


class Convolution(Op):
    """out[n, o, y, x] = bias[o] + sum over c, i, j of weight[o, c, i, j] input[n, c, y SH + i DH - PH, x SW + j DW - PW]

    input (N, C, H, W), weight (O, C / groups, KH, KW), bias (O,) or None -> (N, O, OH, OW)
    """

    saved_names = ("input", "weight")
    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding, dilation, groups):
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding, dilation, groups
        usual = kernels.in_rows(x.array) and kernels.in_rows(weight.array) and x.array.shape[1]
        compute = kernels.get("conv2d", x.array.dtype) if usual else Convolution.value
        return compute(x.array, weight.array, None if bias is None else bias.array, *ctx.geometry)

    @staticmethod
    def value(x, weight, bias, *geometry):
        if x.ndim == 3:
            return Convolution.value(x[:, :, None], weight[:, :, None], bias, *geometry)[:, :, 0]
        out = kernels.get("conv2d", x.dtype)(x, weight, bias, *geometry)
        return _memory.follow(out, x, weight) if x.shape[1] else out[:, :0]  # of no channels PyTorch makes none

    @staticmethod
    def backward(ctx, grad):
        return ConvolutionBackward.of(grad, *ctx.saved, ctx.needs_input_grad[:3], False, *ctx.geometry)


class ConvTranspose(Op, node_name="ConvolutionBackward0"):
    """The gradient of a convolution with respect to its input, as an operation of its own.

    input (N, C, H, W), weight (C, O / groups, KH, KW), bias (O,) or None -> (N, O, OH, OW)
    """

    saved_names = ("input", "weight")
    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, out_shape, stride, padding, dilation, groups):
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding, dilation, groups
        return ConvTranspose.value(
            x.array, weight.array, None if bias is None else bias.array, out_shape, *ctx.geometry
        )

    @staticmethod
    def value(x, weight, bias, out_shape, *geometry):
        if x.ndim == 3:
            shape = (*out_shape[:2], 1, out_shape[2])
            return ConvTranspose.value(x[:, :, None], weight[:, :, None], bias, shape, *geometry)[:, :, 0]
        out = kernels.get("conv2d_grad_input", x.dtype)(x, weight, out_shape, *geometry)
        return _memory.follow(out if bias is None else out + bias[:, None, None], x, weight)

    @staticmethod
    def backward(ctx, grad):
        return ConvolutionBackward.of(grad, *ctx.saved, ctx.needs_input_grad[:3], True, *ctx.geometry)


class ConvolutionBackward(Op):
    """The gradients of a convolution, or of its transpose, that are wanted: of input, weight and bias.

    Image I, weight W and output S of a convolution make one number, the sum of S conv(I, W), that is linear in each of the
    three. Its derivatives with respect to them are a transposed convolution, the weight's gradient and a convolution, and
    the derivatives of these are the same three again.
    """

    slots = 3

    @staticmethod
    def value(grad, x, weight, wanted, transposed, *geometry):
        to_x = to_weight = to_bias = None
        if grad.ndim == 3:
            images = (array[:, :, None] for array in (grad, x, weight))
            to_x, to_weight, to_bias = ConvolutionBackward.value(*images, wanted, transposed, *geometry)
            return *(None if to is None else to[:, :, 0] for to in (to_x, to_weight)), to_bias
        if not grad.size:
            channels = weight.shape[1] * geometry[-1] if transposed else weight.shape[0]
            shapes = zip((x.shape, weight.shape, (channels,)), wanted, strict=True)
            return tuple(np.zeros(shape, grad.dtype) if wants else None for shape, wants in shapes)
        if wanted[0] and not transposed:
            to_x = kernels.get("conv2d_grad_input", grad.dtype)(grad, weight, x.shape, *geometry)
        elif wanted[0]:
            # with an output_padding of a stride or more there are windows behind those of the input
            to_x = kernels.get("conv2d", grad.dtype)(grad, weight, None, *geometry)[:, :, : x.shape[2], : x.shape[3]]
        if wanted[1]:
            of_output, image = (x, grad) if transposed else (grad, x)
            to_weight = kernels.get("conv2d_grad_weight", grad.dtype)(of_output, image, weight.shape, *geometry)
        if wanted[2]:
            to_bias = kernels.add_up(grad, (0, 2, 3))
        return to_x, to_weight, to_bias

    @classmethod
    def forward(cls, ctx, *args):
        ctx.set_materialize_grads(False)
        return super().forward(ctx, *args)

    @staticmethod
    def backward(ctx, of_x, of_weight, of_bias):
        grad, x, weight = ctx.saved
        _, transposed, *geometry = ctx.options
        to_x = to_weight = None
        to_grad = []  # summands
        if of_x is not None:
            to_grad.append(_convolved(of_x, weight, grad, transposed, geometry))
            if ctx.needs_input_grad[2]:
                _, to_weight, _ = ConvolutionBackward.of(
                    grad, of_x, weight, (False, True, False), transposed, *geometry
                )
        if of_weight is not None:
            to_grad.append(_convolved(x, of_weight, grad, transposed, geometry))
            if ctx.needs_input_grad[1]:
                to_x, _, _ = ConvolutionBackward.of(grad, x, of_weight, (True, False, False), transposed, *geometry)
        if of_bias is not None:
            to_grad.append(both.expand(of_bias.reshape(1, -1, *[1] * (grad.ndim - 2)), grad.shape))
        return functools.reduce(operator.add, to_grad), to_x, to_weight


def _convolved(x: Any, weight: Any, out: Any, transposed: bool, geometry: list) -> Any:
    """The convolution of these, or the transposed one, in the shape of `out`."""
    if transposed:
        return ConvTranspose.of(x, weight, None, out.shape, *geometry)
    return Convolution.of(x, weight, None, *geometry)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size2 = 1,
    padding: Size2 | str = 0,
    dilation: Size2 = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of an image with each filter.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (O, C / groups, KH, KW).
        bias: (O,) or None.
        padding: rows and columns of zeros on each side; or 'valid' for none; or 'same' for as many as keep the size.
        dilation: the distance between neighbouring points of a filter.
        groups: the channels are cut into this many groups, and the filters with them.

    Returns:
        (N, O, OH, OW) or (O, OH, OW).

    Raises:
        RuntimeError: the numbers or shapes do not fit; the message says which.
    """
    need_tensor(input, "conv2d")
    if input.array.ndim == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    stride, dilation, groups = _numbers("stride", stride, 1), _numbers("dilation", dilation, 1), operator.index(groups)
    _check("conv2d", *_facts("conv2d", input, weight, bias), stride, groups)
    if isinstance(padding, str):
        input, padding = _named_padding(input, weight, padding, stride, dilation)
    padding = _numbers("padding", padding)
    _check_room(input.array.shape[2:], weight.array.shape[2:], stride, padding, dilation)
    return Convolution.apply(input, weight, bias, stride, padding, dilation, groups)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Single = 1,
    padding: Single | str = 0,
    dilation: Single = 1,
    groups: int = 1,
) -> Tensor:
    """The cross-correlation of a series with each filter: `conv2d` of images of one row.

    Args:
        input: (N, C, W) or (C, W).
        weight: (O, C / groups, KW).
        bias: (O,) or None.

    Returns:
        (N, O, OW) or (O, OW). The other arguments, and the errors, are those of `conv2d`.
    """
    need_tensor(input, "conv1d")
    if input.array.ndim == 2:
        return conv1d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    stride, dilation = _numbers("stride", stride, 1, 1), _numbers("dilation", dilation, 1, 1)
    groups = operator.index(groups)
    _check("conv1d", *_facts("conv1d", input, weight, bias), stride, groups)
    if isinstance(padding, str):
        input, padding = _named_padding(input, weight, padding, stride, dilation)
    padding = _numbers("padding", padding, 0, 1)
    _check_room(input.array.shape[2:], weight.array.shape[2:], stride, padding, dilation)
    return Convolution.apply(input, weight, bias, (1, *stride), (0, *padding), (1, *dilation), groups)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size2 = 1,
    padding: Size2 = 0,
    output_padding: Size2 = 0,
    groups: int = 1,
    dilation: Size2 = 1,
) -> Tensor:
    """The transpose of a convolution: what `conv2d` does to a gradient on the way back.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C, O / groups, KH, KW).
        bias: (O,) or None.
        output_padding: rows and columns that are added at the far edge of the result.

    Returns:
        (N, O, OH, OW), where OH = (H - 1) SH - 2 PH + DH (KH - 1) + output_padding + 1; or (O, OH, OW).

    Raises:
        RuntimeError: the numbers or shapes do not fit; the message says which.
    """
    need_tensor(input, "conv_transpose2d")
    if input.array.ndim == 3:
        batch = input.unsqueeze(0)
        return conv_transpose2d(batch, weight, bias, stride, padding, output_padding, groups, dilation).squeeze(0)
    stride, dilation, groups = _numbers("stride", stride, 1), _numbers("dilation", dilation, 1), operator.index(groups)
    padding, output_padding = _numbers("padding", padding), _numbers("output_padding", output_padding)
    _check("conv_transpose2d", *_facts("conv_transpose2d", input, weight, bias), stride, groups, transposed=True)
    _check_output_padding(output_padding, stride, dilation)
    N, _, H, W = input.array.shape
    KH, KW = weight.array.shape[2:]
    OH, OW = map(kernels.transposed_size, (H, W), (KH, KW), stride, padding, dilation, output_padding)
    if min(OH, OW) < (1 if N else 0):  # of an empty batch PyTorch makes an empty output
        raise RuntimeError(
            f"Given input size per channel: ({H} x {W}). Calculated output size per channel: ({OH} x {OW}). Output size is "
            "too small"
        )
    shape = (N, weight.array.shape[1] * groups, OH, OW)
    return ConvTranspose.apply(input, weight, bias, shape, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Single = 1,
    padding: Single = 0,
    output_padding: Single = 0,
    groups: int = 1,
    dilation: Single = 1,
) -> Tensor:
    """The transpose of `conv1d`: `conv_transpose2d` of images of one row.

    Args:
        input: (N, C, W) or (C, W).
        weight: (C, O / groups, KW).
        bias: (O,) or None.

    Returns:
        (N, O, OW) or (O, OW). The other arguments, and the errors, are those of `conv_transpose2d`.
    """
    need_tensor(input, "conv_transpose1d")
    if input.array.ndim == 2:
        batch = input.unsqueeze(0)
        return conv_transpose1d(batch, weight, bias, stride, padding, output_padding, groups, dilation).squeeze(0)
    stride, dilation = _numbers("stride", stride, 1, 1), _numbers("dilation", dilation, 1, 1)
    padding, output_padding = _numbers("padding", padding, 0, 1), _numbers("output_padding", output_padding, 0, 1)
    groups = operator.index(groups)
    _check("conv_transpose1d", *_facts("conv_transpose1d", input, weight, bias), stride, groups, transposed=True)
    _check_output_padding((0, *output_padding), (1, *stride), (1, *dilation))
    N, _, W = input.array.shape
    KW = weight.array.shape[2]
    OW = kernels.transposed_size(W, KW, *stride, *padding, *dilation, *output_padding)
    if (1 if N else 0) > OW:
        raise RuntimeError(
            f"Given input size per channel: ({W}). Calculated output size per channel: ({OW}). Output size is too small"
        )
    shape = (N, weight.array.shape[1] * groups, OW)
    return ConvTranspose.apply(input, weight, bias, shape, (1, *stride), (0, *padding), (1, *dilation), groups)


def _check_output_padding(output_padding: Numbers, stride: Numbers, dilation: Numbers) -> None:
    if any(extra >= step and extra >= gap for extra, step, gap in zip(output_padding, stride, dilation, strict=True)):
        raise RuntimeError(
            "output padding must be smaller than either stride or dilation, but got "
            f"output_padding_height: {output_padding[0]} output_padding_width: {output_padding[1]} "
            f"stride_height: {stride[0]} stride_width: {stride[1]} "
            f"dilation_height: {dilation[0]} dilation_width: {dilation[1]}"
        )


def _facts(function: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple:
    """What `_check` asks about: the shapes, and the types."""
    need_tensor(weight, function, "weight", 2)
    x, w, b = input.array, weight.array, None if bias is None else bias.array
    return x.shape, w.shape, None if b is None else b.shape, x.dtype, w.dtype, None if b is None else b.dtype


@functools.lru_cache(maxsize=512)  # the same for each call of a layer
def _check(
    function: str,
    shape: tuple[int, ...],
    size: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    kind: np.dtype,
    weight_kind: np.dtype,
    bias_kind: np.dtype | None,
    stride: Pair,
    groups: int,
    transposed: bool = False,
) -> None:
    """RuntimeError, in PyTorch's words, unless these tensors and this number of groups fit together."""
    dims = 1 if function.endswith("1d") else 2
    if dims == 1 and len(size) < 3:
        raise RuntimeError("weight should have at least three dimensions")
    if len(size) != dims + 2:
        raise RuntimeError(
            f"expected stride to be a single integer value or a list of {len(size) - 2} values to match the convolution "
            f"dimensions, but got stride={list(stride)}"
        )
    if len(shape) != dims + 2:
        raise RuntimeError(
            f"Expected {dims + 1}D (unbatched) or {dims + 2}D (batched) input to {function}, but got input of size: "
            f"{list(shape)}"
        )
    if groups <= 0 or size[0] % groups or not size[0]:
        if groups <= 0:
            raise RuntimeError("non-positive groups is not supported")
        rule, printed = ("divisible by", [list(size)]) if size[0] >= groups else ("at least", list(size))
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be {rule} {groups} at dimension 0, but got weight of size {printed} "
            "instead"
        )
    if 0 in size[2:]:
        lengths = (1,) * (2 - dims) + size[2:]
        raise RuntimeError(
            f"kernel size should be greater than zero, but got kernel_height: {lengths[0]} kernel_width: {lengths[1]}"
        )
    C, O = (size[0], size[1] * groups) if transposed else (size[1] * groups, size[0])
    if shape[1] != C:
        given = "transposed=1" if transposed else f"groups={groups}"
        raise RuntimeError(
            f"Given {given}, weight of size {list(size)}, expected input{list(shape)} to have {C} channels, but got "
            f"{shape[1]} channels instead"
        )
    for name, other in (("bias", bias_kind), ("weight", weight_kind)):
        if other is not None and other != kind:
            a, b = (short_name(dtype.of(of)).lower() for of in (kind, other))
            raise RuntimeError(f"Input type ({a}) and {name} type ({b}) should be the same")
    if bias_shape is not None and bias_shape != (O,):
        raise RuntimeError(
            f"Given {'transposed=1, ' if transposed else ''}weight of size {list(size)}, expected bias to be 1-dimensional "
            f"with {O} elements, but got bias of size {list(bias_shape)} instead"
        )
    if 0 in shape[2:] and shape[0] and C:
        raise RuntimeError(f"Only zero batch or zero channel inputs are supported, but got input shape: {list(shape)}")
    if shape[0] and transposed and O == 0:
        raise RuntimeError(f"non-empty 2D or 4D weight tensor expected, but got: {list(size)}")


@functools.lru_cache(maxsize=512)
def _check_room(size: Numbers, kernel: Numbers, stride: Numbers, padding: Numbers, dilation: Numbers) -> None:
    """RuntimeError unless at least one window fits."""
    if min(map(kernels.output_size, size, kernel, stride, padding, dilation)) < 1:
        padded = " x ".join(str(n + 2 * p) for n, p in zip(size, padding, strict=True))
        extent = " x ".join(str(d * (k - 1) + 1) for d, k in zip(dilation, kernel, strict=True))
        raise RuntimeError(
            f"Calculated padded input size per channel: ({padded}). Kernel size: ({extent}). Kernel size can't be greater than "
            "actual input size"
        )


def _numbers(name: str, value: Any, least: int = 0, dims: int = 2) -> Numbers:
    """A convolution's stride, padding ... as (height, width) or (width,): integers, none of them below `least`."""
    axes = (value,) * dims if type(value) is int else value
    if type(axes) is tuple and len(axes) == dims and type(axes[0]) is type(axes[-1]) is int and min(axes) >= least:
        return axes  # most calls end here
    values = pair(value, dims)
    if len(values) != dims:
        if len(values) == 1:
            return _numbers(name, values[0], least, dims)
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {dims} values to match the convolution dimensions, "
            f"but got {name}={list(values)}"
        )
    if isinstance(values[0], float) or isinstance(values[-1], float):
        raise TypeError(f"conv{dims}d(): argument '{name}' must be tuple of ints, not {type(value).__name__}")
    if min(values) < least:
        if name == "dilation" and dims == 2:
            raise RuntimeError(f"dilation should be greater than zero, but got {list(values)}")
        raise RuntimeError(f"{'non-positive' if least else 'negative'} {name} is not supported")
    return values


def _named_padding(
    input: Tensor, weight: Tensor, padding: str, stride: Numbers, dilation: Numbers
) -> tuple[Tensor, Numbers]:
    """Padding 'valid' or 'same' in numbers. What 'same' needs on the far side only is added to the input."""
    if padding == "valid":
        return input, (0,) * len(stride)
    if padding != "same":
        raise RuntimeError(f"Invalid padding string: '{padding}'")
    if any(step != 1 for step in stride):
        raise RuntimeError("padding='same' is not supported for strided convolutions")
    total = [gap * (size - 1) for gap, size in zip(dilation, weight.shape[2:], strict=True)]
    odd = [n % 2 for n in total]
    if any(odd):
        warn_user(
            "Using padding='same' with even kernel lengths and odd dilation may require a zero-padded copy of the "
            "input be created"
        )
        input = pad(input, [n for extra in reversed(odd) for n in (0, extra)], "constant", 0)
    return input, tuple(n // 2 for n in total)


class Im2Col(Op):
    """(N, C, H, W) -> (N, C KH KW, OH OW): every window as a column"""

    @staticmethod
    def forward(ctx, x, kernel, stride, padding, dilation):
        ctx.shape, ctx.geometry = x.array.shape, (kernel, stride, padding, dilation)
        windows = _windows(_padded(x.array, padding), *ctx.geometry)
        N, C, KH, KW, OH, OW = windows.shape
        return windows.reshape(N, C * KH * KW, OH * OW)

    @staticmethod
    def backward(ctx, grad):
        return Col2Im.of(grad, ctx.shape, *ctx.geometry)


class Col2Im(Op):
    """(N, C KH KW, OH OW) -> (N, C, H, W): the columns added up at the places of their windows"""

    @staticmethod
    def forward(ctx, x, shape, kernel, stride, padding, dilation):
        ctx.geometry = (kernel, stride, padding, dilation)
        return _col2im(x.array, shape, *ctx.geometry)

    @staticmethod
    def backward(ctx, grad):
        return Im2Col.of(grad, *ctx.geometry)


def _padded(x: np.ndarray, padding: Pair) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))


def _windows(padded: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> np.ndarray:
    """A view (N, C, KH, KW, OH, OW) of all windows of the padded input."""
    N, C, H, W = padded.shape
    OH, OW = map(kernels.output_size, (H, W), kernel, stride, (0, 0), dilation)
    sn, sc, sh, sw = padded.strides
    strides = (sn, sc, sh * dilation[0], sw * dilation[1], sh * stride[0], sw * stride[1])
    return np.lib.stride_tricks.as_strided(padded, (N, C, *kernel, OH, OW), strides)


def _col2im(
    columns: np.ndarray, shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    N, C, H, W = shape
    out = np.zeros((N, C, H + 2 * padding[0], W + 2 * padding[1]), columns.dtype)
    windows = _windows(out, kernel, stride, padding, dilation)
    blocks = columns.reshape(windows.shape)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            windows[:, :, i, j] += blocks[:, :, i, j]  # one tap at a time: its places do not overlap
    return out[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W]


def unfold(input: Tensor, kernel_size: Size2, dilation: Size2 = 1, padding: Size2 = 0, stride: Size2 = 1) -> Tensor:
    """The windows of an image as columns: (N, C, H, W) -> (N, C KH KW, OH OW), also without N.

    Raises:
        RuntimeError: no window fits.
    """
    need_tensor(input, "unfold")
    kernel, dilation, padding, stride = _window_numbers(kernel_size, dilation, padding, stride)
    if input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but "
            f"got: {list(input.shape)}"
        )
    _count_windows(input.shape[-2:], kernel, dilation, padding, stride, "Given input with")
    if input.dim() == 3:
        return unfold(input.unsqueeze(0), kernel, dilation, padding, stride).squeeze(0)
    return Im2Col.apply(input, kernel, stride, padding, dilation)


def fold(
    input: Tensor, output_size: Size2, kernel_size: Size2, dilation: Size2 = 1, padding: Size2 = 0, stride: Size2 = 1
) -> Tensor:
    """Columns added up at the places of their windows: (N, C KH KW, OH OW) -> (N, C, *output_size), also without N.

    Raises:
        RuntimeError: the columns are too long or too many for the kernel and the size.
    """
    need_tensor(input, "fold")
    kernel, dilation, padding, stride = _window_numbers(kernel_size, dilation, padding, stride)
    size = _size("output_size", output_size)
    if input.dim() not in (2, 3) or 0 in input.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, "
            f"but got: {list(input.shape)}"
        )
    rows, columns = input.shape[-2:]
    if rows % (kernel[0] * kernel[1]) != 0:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={rows} and kernel_size={kernel}."
        )
    high, wide = _count_windows(size, kernel, dilation, padding, stride, "Given output with")
    if columns != high * wide:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={dilation}, padding={padding}, stride={stride}, "
            "expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{high} * {wide} = {high * wide}, but got input.size(2)={columns}."
        )
    if input.dim() == 2:
        return fold(input.unsqueeze(0), size, kernel, dilation, padding, stride).squeeze(0)
    shape = (input.shape[0], rows // (kernel[0] * kernel[1]), *size)
    return Col2Im.apply(input, shape, kernel, stride, padding, dilation)


def _size(name: str, value: Any) -> tuple:
    numbers = pair(value)
    if len(numbers) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(numbers)}")
    return numbers


def _window_numbers(kernel: Any, dilation: Any, padding: Any, stride: Any) -> list[tuple]:
    """The four as pairs. RuntimeError for a length that is not 2, a negative padding, or another number below 1."""
    result = []
    for name, value in (("kernel_size", kernel), ("dilation", dilation), ("padding", padding), ("stride", stride)):
        numbers = _size(name, value)
        if min(numbers) < (name != "padding"):
            rule = "non-negative" if name == "padding" else "greater than zero"
            raise RuntimeError(f"{name} should be {rule}, but got {numbers}")
        result.append(numbers)
    return result


def _count_windows(size: Any, kernel: tuple, dilation: tuple, padding: tuple, stride: tuple, where: str) -> tuple:
    """(OH, OW). RuntimeError if one of them is not positive."""
    counts = tuple(map(kernels.output_size, size, kernel, stride, padding, dilation))
    if min(counts) < 1:
        raise RuntimeError(
            f"{where} spatial size ({size[0]}, {size[1]}), kernel_size={kernel}, dilation={dilation}, "
            f"padding={padding}, calculated shape of the array of sliding blocks as ({counts[0]}, {counts[1]}), but "
            "its components must be at least one."
        )
    return counts
