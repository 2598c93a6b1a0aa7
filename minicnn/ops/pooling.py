"""Pooling of (N, C, H, W). The arithmetic is in `minicnn.kernels`; here is what depends on what."""

from __future__ import annotations

from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn.autograd.function import Op
from minicnn.ops import reduction

Pair = tuple[int, int]


class MaxPool2DWithIndices(Op):
    """The largest of each window; the gradient goes to it alone, to the first of equals in scan order."""

    @staticmethod
    def forward(ctx, x, kernel, stride, padding, dilation, ceil_mode):
        ctx.geometry = (kernel, stride, padding, dilation)
        out, indices = kernels.get("max_pool2d", x.array.dtype)(x.array, kernel, stride, padding, dilation, ceil_mode)
        indices = Tensor.wrap(indices)
        ctx.save_for_backward(x, indices)  # x as in PyTorch, though its shape is enough: so a write to it is noticed
        return out, indices

    @staticmethod
    def backward(ctx, grad):
        x, indices = (t.array for t in ctx.saved_tensors)
        return kernels.get("max_pool2d_grad", grad.array.dtype)(grad.array, indices, x.shape)


class AdaptiveMaxPool2D(Op):
    """The largest of each of OH x OW regions that cover the input."""

    @staticmethod
    def forward(ctx, x, output_size):
        out, indices = kernels.get("adaptive_max_pool2d", x.array.dtype)(x.array, output_size)
        indices = Tensor.wrap(indices)
        ctx.save_for_backward(x, indices)
        return out, indices

    backward = MaxPool2DWithIndices.backward


class AvgPool2D(Op):
    """The mean of each window; every element of it gets an equal share of the gradient."""

    @staticmethod
    def forward(ctx, x, *geometry):
        ctx.save_for_backward(x)
        ctx.geometry = geometry
        return kernels.get("avg_pool2d", x.array.dtype)(x.array, *geometry)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return kernels.get("avg_pool2d_grad", grad.array.dtype)(grad.array, x.array.shape, *ctx.geometry)


class AdaptiveAvgPool2D(Op):
    """The mean of each of OH x OW regions that cover the input."""

    @staticmethod
    def forward(ctx, x, output_size):
        ctx.save_for_backward(x)
        ctx.size = output_size
        return kernels.get("adaptive_avg_pool2d", x.array.dtype)(x.array, output_size)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        if 0 in grad.array.shape[1:]:  # of a size of 0, or without channels: PyTorch refuses here, not in forward
            raise RuntimeError(
                "adaptive_avg_pool2d_backward(): Expected grad_output to have non-zero size for non-batch dimensions, but "
                f"grad_output has sizes {list(grad.array.shape)}"
            )
        return kernels.get("adaptive_avg_pool2d_grad", grad.array.dtype)(grad.array, x.array.shape, ctx.size)


def max_pool2d(
    input: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[Tensor, Tensor]:
    """(values, indices), both (N, C, OH, OW); an index is y W + x in its input plane."""
    return MaxPool2DWithIndices.apply(input, kernel, stride, padding, dilation, ceil_mode)


def avg_pool2d(
    input: Tensor,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    """(N, C, H, W) -> (N, C, OH, OW)"""
    return AvgPool2D.apply(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_avg_pool2d(input: Tensor, output_size: Pair) -> Tensor:
    """(N, C, H, W) -> (N, C, *output_size); one single region is a plain mean, as in PyTorch's graph."""
    if output_size == (1, 1):
        return reduction.mean(input, (-1, -2), keepdim=True)
    return AdaptiveAvgPool2D.apply(input, output_size)


def adaptive_max_pool2d(input: Tensor, output_size: Pair) -> tuple[Tensor, Tensor]:
    """(values, indices), both (N, C, *output_size)"""
    return AdaptiveMaxPool2D.apply(input, output_size)
