"""2-d convolution and its transpose. The arithmetic is in `minicnn.kernels`; here is what depends on what.

Legend: `N C H W` input, `O KH KW` kernel, `SH SW` stride, `PH PW` padding, `DH DW` dilation, `OH OW` output.
"""

from __future__ import annotations

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn.autograd.function import Op

Pair = tuple[int, int]


class Convolution(Op):
    """out[n, o, y, x] = bias[o] + sum over c, i, j of weight[o, c, i, j] input[n, c, y SH + i DH - PH, x SW + j DW - PW]

    input (N, C, H, W), weight (O, C / groups, KH, KW), bias (O,) or None -> (N, O, OH, OW)
    """

    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding, dilation, groups):
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding, dilation, groups
        return kernels.get("conv2d", x.array.dtype)(
            x.array, weight.array, None if bias is None else bias.array, *ctx.geometry
        )

    @staticmethod
    def backward(ctx, grad):
        x, weight = (t.array for t in ctx.saved_tensors)
        g = grad.array
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_x = kernels.get("conv2d_grad_input", g.dtype)(g, weight, x.shape, *ctx.geometry)
        if ctx.needs_input_grad[1]:
            to_weight = kernels.get("conv2d_grad_weight", g.dtype)(g, x, weight.shape, *ctx.geometry)
        if ctx.needs_input_grad[2]:
            to_bias = kernels.add_up(g, (0, 2, 3))
        return to_x, to_weight, to_bias


class ConvTranspose(Op, node_name="ConvolutionBackward0"):
    """The gradient of a convolution with respect to its input, as an operation of its own.

    input (N, C, H, W), weight (C, O / groups, KH, KW), bias (O,) or None -> (N, O, OH, OW)
    """

    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, out_shape, stride, padding, dilation, groups):
        ctx.save_for_backward(x, weight)
        ctx.geometry = stride, padding, dilation, groups
        out = kernels.get("conv2d_grad_input", x.array.dtype)(x.array, weight.array, out_shape, *ctx.geometry)
        return out if bias is None else out + bias.array[:, None, None]

    @staticmethod
    def backward(ctx, grad):
        x, weight = (t.array for t in ctx.saved_tensors)
        g = grad.array
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            # with an output_padding of a stride or more there are windows behind those of the input
            to_x = kernels.get("conv2d", g.dtype)(g, weight, None, *ctx.geometry)[:, :, : x.shape[2], : x.shape[3]]
        if ctx.needs_input_grad[1]:
            to_weight = kernels.get("conv2d_grad_weight", x.dtype)(x, g, weight.shape, *ctx.geometry)
        if ctx.needs_input_grad[2]:
            to_bias = kernels.add_up(g, (0, 2, 3))
        return to_x, to_weight, to_bias


def _check(x: Tensor, weight: Tensor, bias: Tensor | None, O: int, transposed: str) -> None:
    for name, other in (("bias", bias), ("weight", weight)):
        if other is not None and other.array.dtype != x.array.dtype:
            a, b = (t.dtype.tensor_type.removesuffix("Tensor").lower() for t in (x, other))
            raise RuntimeError(f"Input type ({a}) and {name} type ({b}) should be the same")
    if bias is not None and bias.array.shape != (O,):
        raise RuntimeError(
            f"Given {transposed}weight of size {list(weight.array.shape)}, expected bias to be 1-dimensional with {O} elements, but "
            f"got bias of size {list(bias.array.shape)} instead"
        )


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    """(N, C, H, W) -> (N, O, OH, OW). RuntimeError if channels or sizes do not fit, with PyTorch's words."""
    _, C, H, W = input.array.shape
    O, C_group, KH, KW = weight.array.shape
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if O % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"[{list(weight.array.shape)}] instead"
        )
    if C_group * groups != C:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.array.shape)}, expected input{list(input.array.shape)} to "
            f"have {C_group * groups} channels, but got {C} channels instead"
        )
    _check(input, weight, bias, O, "")
    padded = (H + 2 * padding[0], W + 2 * padding[1])
    extent = (dilation[0] * (KH - 1) + 1, dilation[1] * (KW - 1) + 1)
    if padded[0] < extent[0] or padded[1] < extent[1]:
        raise RuntimeError(
            f"Calculated padded input size per channel: ({padded[0]} x {padded[1]}). Kernel size: ({extent[0]} x "
            f"{extent[1]}). Kernel size can't be greater than actual input size"
        )
    return Convolution.apply(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    output_padding: Pair,
    groups: int,
    dilation: Pair,
) -> Tensor:
    """(N, C, H, W) -> (N, O, OH, OW), OH = (H - 1) SH - 2 PH + DH (KH - 1) + output_padding + 1.

    RuntimeError if channels or sizes do not fit, with PyTorch's words.
    """
    N, C, H, W = input.array.shape
    if weight.array.shape[0] != C:
        raise RuntimeError(
            f"Given transposed=1, weight of size {list(weight.array.shape)}, expected input{list(input.array.shape)} to have "
            f"{weight.array.shape[0]} channels, but got {C} channels instead"
        )
    size = [
        (n - 1) * s - 2 * p + d * (k - 1) + extra + 1
        for n, s, p, d, k, extra in zip(
            (H, W), stride, padding, dilation, weight.array.shape[2:], output_padding, strict=True
        )
    ]
    out_shape = (N, weight.array.shape[1] * groups, *size)
    _check(input, weight, bias, out_shape[1], "transposed=1, ")
    if min(size) < (1 if N else 0):  # of an empty batch PyTorch makes an empty output
        raise RuntimeError(
            f"Given input size per channel: ({H} x {W}). Calculated output size per channel: ({size[0]} x {size[1]}). Output "
            "size is too small"
        )
    return ConvTranspose.apply(input, weight, bias, out_shape, stride, padding, dilation, groups)


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
        return _col2im(grad.array, ctx.shape, *ctx.geometry)


class Col2Im(Op):
    """(N, C KH KW, OH OW) -> (N, C, H, W): the columns added up at the places of their windows"""

    @staticmethod
    def forward(ctx, x, shape, kernel, stride, padding, dilation):
        ctx.geometry = (kernel, stride, padding, dilation)
        return _col2im(x.array, shape, *ctx.geometry)

    @staticmethod
    def backward(ctx, grad):
        windows = _windows(_padded(grad.array, ctx.geometry[2]), *ctx.geometry)
        N, C, KH, KW, OH, OW = windows.shape
        return windows.reshape(N, C * KH * KW, OH * OW)


def _padded(x: np.ndarray, padding: Pair) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))


def _windows(padded: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> np.ndarray:
    """A view (N, C, KH, KW, OH, OW) of all windows of the padded input."""
    N, C, H, W = padded.shape
    OH, OW = (kernels.output_size(n, k, s, 0, d) for n, k, s, d in zip((H, W), kernel, stride, dilation, strict=True))
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


def im2col(input: Tensor, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Tensor:
    """(N, C, H, W) -> (N, C KH KW, OH OW): what `nn.functional.unfold` computes."""
    return Im2Col.apply(input, kernel, stride, padding, dilation)


def col2im(input: Tensor, output_size: Pair, kernel: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Tensor:
    """(N, C KH KW, OH OW) -> (N, C, H, W): what `nn.functional.fold` computes."""
    N, rows, _ = input.array.shape
    shape = (N, rows // (kernel[0] * kernel[1]), *output_size)
    return Col2Im.apply(input, shape, kernel, stride, padding, dilation)
