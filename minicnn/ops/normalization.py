"""Batch normalisation (Ioffe and Szegedy 2015)."""

from __future__ import annotations

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn.autograd.function import Op
from minicnn.ops._common import mean_of


class NativeBatchNorm(Op):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, for each channel (dimension 1).

    In training, mean and var are the batch's own and depend on x; in evaluation they are constants.
    """

    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, mean, inverse_std, running, training):
        # `running`: the statistics are used as copies, but as in PyTorch they must not be written.
        ctx.save_for_backward(x, weight, Tensor.wrap(mean), Tensor.wrap(inverse_std), *running)
        ctx.training = training
        scale = inverse_std if weight is None else inverse_std * weight.array
        shift = -mean * scale if bias is None else bias.array - mean * scale
        return kernels.get("scale_channels", x.array.dtype)(x.array, scale, shift)

    @staticmethod
    def backward(ctx, grad):
        x, weight, mean, inverse_std = (None if t is None else t.array for t in ctx.saved_tensors[:4])
        g = grad.array
        axes = (0, *range(2, g.ndim))
        normalized = (x - _by_channel(mean, x)) * _by_channel(inverse_std, x)
        to_bias = kernels.add_up(g, axes)
        to_weight = kernels.add_up(g * normalized, axes)
        scale = _by_channel(inverse_std if weight is None else inverse_std * weight, x)
        if not ctx.training:
            return g * scale, to_weight, to_bias
        # The batch's mean and variance follow x: take out of g what they undo.
        n = g.dtype.type(g.size // g.shape[1])
        to_x = scale * (g - _by_channel(to_bias / n, x) - normalized * _by_channel(to_weight / n, x))
        return to_x, to_weight, to_bias


def _by_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """(N, C, *) -> the same shape. In training the running statistics (C,) move by `momentum` towards the batch's.

    RuntimeError without running statistics in evaluation, or if a statistic or parameter does not have C elements.
    """
    x = input.array
    C = x.shape[1]
    for name, t in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if t is not None and t.array.size != C:
            raise RuntimeError(f"{name} should contain {C} elements not {t.array.size}")
    if training:
        axes = (0, *range(2, x.ndim))
        mean, n = mean_of(x, axes, False), x.size // C
        near = mean.astype(x.dtype)
        var = mean_of(np.square(x - _by_channel(near, x)), axes, False) - np.square(mean - near)
        for running, new in ((running_mean, mean), (running_var, var * (n / max(n - 1, 1)))):
            if running is not None:
                running.array[...] = (1 - momentum) * running.array + momentum * new
    elif running_mean is None or running_var is None:
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    else:
        mean, var = running_mean.array.copy(), running_var.array
    inverse_std = (1 / np.sqrt(var + eps)).astype(x.dtype, copy=False)
    mean = mean.astype(x.dtype, copy=False)
    return NativeBatchNorm.apply(input, weight, bias, mean, inverse_std, (running_mean, running_var), training)
