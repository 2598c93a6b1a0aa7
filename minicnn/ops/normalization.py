"""Normalization: by batch (Ioffe and Szegedy 2015) and by image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.autograd.grad_mode import no_grad
from minicnn.ops._common import mean_of, need_tensor, number


class NativeBatchNorm(Op):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, for each channel (dimension 1).

    In training, mean and var are the batch's own and depend on x; in evaluation they are constants.
    """

    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, mean, inverse_std, running, training, eps):
        # `running`: the statistics are used as copies, but as in PyTorch they must not be written.
        ctx.save_for_backward(x, weight, Tensor.wrap(mean), Tensor.wrap(inverse_std), *running)
        ctx.options = training, eps
        scale = inverse_std if weight is None else inverse_std * weight.array
        shift = -mean * scale if bias is None else bias.array - mean * scale
        return kernels.get("scale_channels", x.array.dtype)(x.array, scale, shift)

    @staticmethod
    def backward(ctx, grad):
        x, weight, mean, inverse_std = ctx.saved[:4]
        return NativeBatchNormBackward.of(grad, x, weight, mean, inverse_std, ctx.needs_input_grad[1:3], *ctx.options)


class NativeBatchNormBackward(Op):
    """The gradients of input, weight and bias."""

    slots = 3

    @staticmethod
    def value(grad, x, weight, mean, inverse_std, wanted, training, eps):
        axes = (0, *range(2, grad.ndim))
        normalized = (x - _by_channel(mean, x)) * _by_channel(inverse_std, x)
        to_bias = kernels.add_up(grad, axes) if training or wanted[1] else None
        to_weight = kernels.add_up(grad * normalized, axes) if training or wanted[0] else None
        scale = _by_channel(inverse_std if weight is None else inverse_std * weight, x)
        if not training:
            return grad * scale, to_weight, to_bias
        # The batch's mean and variance follow x: take out of grad what they undo.
        n = grad.dtype.type(grad.size // grad.shape[1])
        to_x = scale * (grad - _by_channel(to_bias / n, x) - normalized * _by_channel(to_weight / n, x))
        return to_x, to_weight if wanted[0] else None, to_bias if wanted[1] else None

    @classmethod
    def forward(cls, ctx, *args):
        ctx.set_materialize_grads(False)
        return super().forward(ctx, *args)

    @staticmethod
    def backward(ctx, of_x, of_weight, of_bias):
        """The three gradients, weighted with what arrives, make one number; z is the normalized x, <a> a channel's mean of a:

        weight r n (<of_x grad> - <of_x> <grad> - <of_x z> <grad z>) + of_weight n <grad z> + of_bias n <grad>, r = 1 / std

        (in evaluation weight r n <of_x grad> in front). These are its derivatives; r and z follow x.
        """
        grad, x, weight, mean, inverse_std = ctx.saved
        *_, training, eps = ctx.options
        n = math.prod(x.shape) // x.shape[1] or 1

        def average(a: Any) -> Any:
            return both.sum(a, (0, *range(2, x.ndim)), True) / n

        if training:  # again, as formulas of x: the saved numbers do not know that they follow it
            mean = average(x)
            r = (average((x - mean) * (x - mean)) + eps) ** -0.5
        else:
            mean, r = _by_channel(mean, x), _by_channel(inverse_std, x)
        z = (x - mean) * r
        of_x = both.zeros_like(x) if of_x is None else of_x
        of_weight, of_bias = (0.0 if of is None else _by_channel(of, x) for of in (of_weight, of_bias))
        w = 1.0 if weight is None else _by_channel(weight, x)
        if not training:
            to_weight = None if weight is None else n * both.reshape(average(of_x * grad * r), (-1,))
            return w * r * of_x + of_weight * z + of_bias, of_weight * grad * r + both.zeros_like(x), to_weight
        m, k = average(of_x * z), average(grad * z)
        to_grad = w * r * (of_x - average(of_x) - z * m) + of_weight * z + of_bias
        per_weight = r * (average(of_x * grad) - average(of_x) * average(grad) - m * k)
        to_z = of_weight * grad - w * r * (of_x * k + grad * m)
        to_x = r * (to_z - average(to_z) - z * average(to_z * z)) - w * r * z * per_weight
        return to_grad, to_x, None if weight is None else n * both.reshape(per_weight, (-1,))


def _by_channel(values: Any, x: Any) -> Any:
    return both.reshape(values, (1, -1, *(1,) * (x.ndim - 2)))


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) weight + bias, for each channel of (N, C, ...).

    Args:
        running_mean: (C,). In training it moves to the batch's mean by the fraction `momentum`; else it is the mean.
        running_var: (C,). As `running_mean`, with the unbiased variance.
        training: whether mean and variance are the batch's.

    Raises:
        ValueError: in training with one number in each channel, or an eps that is not positive.
        RuntimeError: a statistic or parameter has not C entries, or is missing in evaluation.
    """
    need_tensor(input, "batch_norm")
    momentum, eps = number(momentum, "batch_norm", "momentum", 7, "float"), number(eps, "batch_norm", "eps", 8, "float")
    x = input.array
    C, n = x.shape[1], x.shape[0] * math.prod(x.shape[2:])
    if training and n == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.shape}")
    if eps < 0.0 or (training and eps == 0.0):
        rule = "positive during training" if training else "non-negative"
        raise ValueError(f"batch_norm eps must be {rule}, but got {eps}")
    for name, t in (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias)):
        if t is None and name.startswith("running") and not training:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
        if t is not None and t.array.size != C:
            raise RuntimeError(f"{name} should contain {C} elements not {t.array.size}")
    if any(t is not None and t.array.dtype != x.dtype for t in (running_mean, running_var, weight, bias)):
        raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    with np.errstate(all="ignore"):
        if training:
            axes = (0, *range(2, x.ndim))
            mean = mean_of(x, axes, False)
            near = mean.astype(x.dtype)
            var = mean_of(np.square(x - _by_channel(near, x)), axes, False) - np.square(mean - near)
            for running, new in ((running_mean, mean), (running_var, var * (n / max(n - 1, 1)))):
                if running is not None:
                    running.array[...] = (1 - momentum) * running.array + momentum * new
        else:
            assert running_mean is not None and running_var is not None  # seen to above
            mean, var = running_mean.array.copy(), running_var.array
        inverse_std = (1 / np.sqrt(var + eps)).astype(x.dtype, copy=False)
        mean = mean.astype(x.dtype, copy=False)
    return NativeBatchNorm.apply(input, weight, bias, mean, inverse_std, (running_mean, running_var), training, eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Like `batch_norm`, but each image of (N, C, ...) has a mean and a variance of its own.

    With `use_input_stats=False` the running ones are taken. The running ones move to the mean over the batch of the
    images' statistics.

    Raises:
        ValueError: one number in each channel of an image.
    """
    need_tensor(input, "instance_norm")
    momentum, eps = (
        number(momentum, "instance_norm", "momentum", 7, "float"),
        number(eps, "instance_norm", "eps", 8, "float"),
    )
    shape = input.shape
    if use_input_stats and math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {shape}")
    batch, channels = shape[:2]
    if batch * channels == 0:
        return input.clone()

    def for_each_image(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.repeat(batch)

    # Every channel of every image becomes a channel of one image; then this is batch norm.
    means, variances = for_each_image(running_mean), for_each_image(running_var)
    output = batch_norm(
        input.contiguous().view(1, batch * channels, *shape[2:]),
        means,
        variances,
        for_each_image(weight),
        for_each_image(bias),
        use_input_stats,
        momentum,
        eps,
    )
    for running, moved in ((running_mean, means), (running_var, variances)):
        if running is not None and moved is not None and use_input_stats:
            with no_grad():
                running.copy_(moved.view(batch, channels).mean(0))
    return output.view(shape)
