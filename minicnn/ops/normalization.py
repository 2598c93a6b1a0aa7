"""Normalization: by batch (Ioffe and Szegedy 2015), by image, by layer (Ba et al. 2016), and by neighbouring channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import _memory, kernels
from minicnn._mirror import since
from minicnn._tensor import Tensor, need_tensor
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.autograd.grad_mode import no_grad
from minicnn.ops._common import implemented, number
from minicnn.ops.copying import contiguous
from minicnn.ops.padding import pad
from minicnn.ops.pooling import avg_pool2d


class NativeBatchNorm(Op):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, for each channel (dimension 1).

    In training, mean and var are the batch's own and depend on x; in evaluation they are constants.
    """

    saved_names = ("input", "weight", "result1", "result2", "running_mean", "running_var")
    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, mean, inverse_std, running, training, eps):
        # `running`: the statistics are used as copies, but as in PyTorch they must not be written.
        ctx.save_for_backward(x, weight, Tensor.wrap(mean), Tensor.wrap(inverse_std), *running)
        ctx.options = training, eps
        scale = inverse_std if weight is None else inverse_std * weight.array
        shift = -mean * scale if bias is None else bias.array - mean * scale
        return _memory.follow(kernels.get("scale_channels", x.array.dtype)(x.array, scale, shift), x.array)

    @staticmethod
    def backward(ctx, grad):
        x, weight, mean, inverse_std = ctx.saved[:4]
        return NativeBatchNormBackward.of(grad, x, weight, mean, inverse_std, ctx.needs_input_grad[1:3], *ctx.options)


class NativeBatchNormBackward(Op):
    """The gradients of input, weight and bias."""

    slots = 3

    @staticmethod
    def value(grad, x, weight, mean, inverse_std, wanted, training, eps):
        scale = inverse_std if weight is None else inverse_std * weight
        if not training and True not in wanted:
            to_x = kernels.get("scale_channels", grad.dtype)(grad, scale, np.zeros_like(scale))
            return _memory.follow(to_x, x), None, None
        compute = kernels.get("batch_norm_grad", grad.dtype)
        to_x, to_weight, to_bias = compute(grad, x, scale, mean, inverse_std, training)
        return _memory.follow(to_x, x), to_weight if wanted[0] else None, to_bias if wanted[1] else None

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
        n = x.shape[0] * math.prod(x.shape[2:]) or 1

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
            to_weight = None if weight is None else n * average(of_x * grad * r).reshape(-1)
            to_x = None if isinstance(of_weight, float) else of_weight * grad * r
            return w * r * of_x + of_weight * z + of_bias, to_x, to_weight
        m, k = average(of_x * z), average(grad * z)
        to_grad = w * r * (of_x - average(of_x) - z * m) + of_weight * z + of_bias
        per_weight = r * (average(of_x * grad) - average(of_x) * average(grad) - m * k)
        to_z = of_weight * grad - w * r * (of_x * k + grad * m)
        to_x = r * (to_z - average(to_z) - z * average(to_z * z)) - w * r * z * per_weight
        return to_grad, to_x, None if weight is None else n * per_weight.reshape(-1)


def _by_channel(values: Any, x: Any) -> Any:
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


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
    given = running_mean, running_var, weight, bias
    for name, t in zip(("running_mean", "running_var", "weight", "bias"), given, strict=True):
        if t is None and name.startswith("running") and not training:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
        if t is not None and t.array.size != C:
            raise RuntimeError(f"{name} should contain {C} elements not {t.array.size}")
    for t in given:
        if t is not None and t.array.dtype != x.dtype:
            raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    with np.errstate(all="ignore"):
        if training:
            mean, var = kernels.get("channel_moments", x.dtype)(x)
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


class NativeLayerNorm(Op):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, by the mean and variance of the last dimensions of x."""

    saved_names = ("input", "weight", "bias")
    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, eps, shape):
        ctx.eps, ctx.shape, n = eps, shape, math.prod(shape)
        w = np.ones(n, x.array.dtype) if weight is None else weight.array.reshape(n)
        b = np.zeros(n, x.array.dtype) if bias is None else bias.array.reshape(n)
        kernel = kernels.get("layer_norm", x.array.dtype)
        out, mean, inverse_std = kernel(x.array.reshape(x.array.size // max(n, 1), n), w, b, eps)
        ctx.save_for_backward(x, weight, bias, Tensor.wrap(mean), Tensor.wrap(inverse_std))
        return out.reshape(x.array.shape)

    @staticmethod
    def backward(ctx, grad):
        x, weight, _, *statistics = ctx.saved
        wanted = (True,) * 3 if isinstance(grad, Tensor) else ctx.needs_input_grad[:3]  # its own gradient takes all
        rest = ctx.eps, ctx.shape, wanted
        return NativeLayerNormBackward.of(grad, x, weight, *rest, [getattr(s, "array", s) for s in statistics])


class NativeLayerNormBackward(Op):
    """The gradients of input, weight and bias that are wanted. `statistics`: mean and 1 / sqrt(var + eps), as the kernel gave them.

    With n = (x - mean) / sqrt(var + eps) and P(g) = g - mean(g) - n mean(g n), the input's is P(grad weight) / sqrt(var + eps).
    """

    slots = 3

    @staticmethod
    def value(grad, x, weight, eps, shape, wanted, statistics):
        mean, inverse_std = statistics
        rows, w = (len(mean), math.prod(shape)), np.ones(shape, x.dtype) if weight is None else weight
        to_x = to_weight = None
        if wanted[0]:
            kernel = kernels.get("layer_norm_grad", x.dtype)
            to_x = kernel(grad.reshape(rows), x.reshape(rows), w.reshape(-1), mean, inverse_std).reshape(x.shape)
        if wanted[1]:
            normalized = (x.reshape(rows) - mean[:, None]) * inverse_std[:, None]
            to_weight = both.sum(grad.reshape(rows) * normalized, (0,)).reshape(shape).astype(x.dtype, copy=False)
        return to_x, to_weight, both.sum_to(grad, shape) if wanted[2] else None

    @staticmethod
    def backward(ctx, of_x, of_weight, of_bias):
        grad, x, weight = ctx.saved
        eps, shape, _, _ = ctx.options
        n, own = math.prod(shape), tuple(range(x.ndim - len(shape), x.ndim))

        def mean(values):
            return both.sum(values, own, True) / n

        def centered(values):  # P
            return values - mean(values) - normalized * mean(values * normalized)

        center = x - mean(x)
        scale = (mean(center * center) + eps) ** -0.5
        normalized, g = center * scale, grad if weight is None else grad * weight
        along, passed = mean(g * normalized), centered(of_x) * scale
        to_normalized = grad * of_weight - scale * (g * mean(of_x * normalized) + of_x * along)
        to_scale = mean(of_x * g) - mean(of_x) * mean(g) - along * mean(of_x * normalized)
        to_x = scale * centered(to_normalized) - scale * scale * normalized * to_scale
        to_grad = (passed if weight is None else passed * weight) + normalized * of_weight + of_bias
        return to_grad, to_x, None if weight is None else both.sum_to(grad * passed, shape)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) weight + bias, by the mean and variance of the last dimensions, at each place before them.

    Args:
        normalized_shape: those dimensions, which weight and bias have too.

    Raises:
        RuntimeError: the input does not end in these dimensions; a parameter has others, or another type.
    """
    need_tensor(input, "layer_norm")
    eps = number(eps, "layer_norm", "eps", 5, "float")
    x, shape = input.array, tuple(normalized_shape)
    implemented("LayerNormKernelImpl", x.dtype)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.array.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(t.shape)} and "
                f"normalized_shape = {list(shape)}"
            )
    if x.shape[max(0, x.ndim - len(shape)) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {str(list(shape))[1:]}, but got input of "
            f"size{list(x.shape)}"
        )
    if any(t is not None and t.array.dtype != x.dtype for t in (weight, bias)):
        raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    return NativeLayerNorm.apply(input, weight, bias, eps, shape)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / sqrt(mean of x^2 + eps) weight, by the mean over the last dimensions; eps is the type's if it is not given.

    RuntimeError if the input does not end in these dimensions.
    """
    need_tensor(input, "rms_norm")
    shape = tuple(normalized_shape)
    if not shape or input.array.shape[max(0, input.array.ndim - len(shape)) :] != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*{str(list(shape))[1:]}, but got input of "
            f"size{list(input.array.shape)}"
        )
    least = float(np.finfo(input.array.dtype).eps) if eps is None else number(eps, "rms_norm", "eps", 4, "float")
    scale = (input * input).mean(tuple(range(-len(shape), 0)), True).add(least).rsqrt()
    return input * scale if weight is None else input * scale * weight


class NativeGroupNorm(Op):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, by the mean and variance of each group of channels of an image."""

    saved_names = ("input", "weight")
    slots = 3

    @staticmethod
    def forward(ctx, x, weight, bias, groups, eps):
        array = x.array
        n = math.prod(array.shape[2:]) * (array.shape[1] // groups)
        ctx.options = groups, n, eps
        kind = array.dtype
        rows = np.ascontiguousarray(array).reshape(array.shape[0] * groups, n)
        out = kernels.get("layer_norm", kind)(rows, np.ones(n, kind), np.zeros(n, kind), eps)[0].reshape(array.shape)
        if weight is not None:
            out *= _along_channels(weight.array, out)
        if bias is not None:
            out += _along_channels(bias.array, out)
        ctx.save_for_backward(x, weight)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved
        groups, n, eps = ctx.options
        rows, by_channel = (x.shape[0] * groups, n), (0, *range(2, x.ndim))

        def mean(values):
            return both.sum(values, (1,), True) / n

        values = x.reshape(rows)
        center = values - mean(values)
        scale = (mean(center * center) + eps) ** -0.5
        normalized = center * scale
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            g = (grad if weight is None else grad * _along_channels(weight, grad)).reshape(rows)
            to_x = ((g - mean(g) - normalized * mean(g * normalized)) * scale).reshape(x.shape)
        if ctx.needs_input_grad[1]:
            to_weight = both.sum(grad * normalized.reshape(x.shape), by_channel, True).reshape(-1)
        return to_x, to_weight, both.sum(grad, by_channel, True).reshape(-1) if ctx.needs_input_grad[2] else None


def _along_channels(row: both.Both, x: both.Both) -> both.Both:
    """(C,) in such a shape that it broadcasts against (N, C, ...)."""
    return row.reshape((-1, *(1,) * (x.ndim - 2)))


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """(x - mean) / sqrt(variance + eps) weight + bias, by the mean and variance of each group of channels of each image.

    Args:
        input: (N, C, ...).
        num_groups: how many groups of neighbouring channels there are; it divides C.
        weight, bias: (C,) each.

    Raises:
        RuntimeError: the groups or the parameters do not fit the channels, or have another type.
        ValueError: one number in all.
    """
    need_tensor(input, "group_norm")
    x = input.array
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    if x.shape[0] * x.shape[1] // num_groups * math.prod(x.shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(x.shape)}")
    if x.shape[1] % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(x.shape)} "
            f"and num_groups={num_groups}"
        )
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.array.shape != x.shape[1:2]:
            said = t if weight is None or since(2, 14) else weight
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(said.shape)} and input of shape {list(x.shape)}"
            )
    implemented("GroupNormKernelImpl", x.dtype)
    if any(t is not None and t.array.dtype != x.dtype for t in (weight, bias)):
        raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    if not since(2, 14):  # a copy of its own in the graph; since then the operation makes it
        input = contiguous(input, _memory.suggested(x))
    return NativeGroupNorm.apply(input, weight, bias, num_groups, number(eps, "group_norm", "eps", 5, "float"))


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each number of (N, C, ...) over (k + alpha mean)^beta, with the mean of the squares of its neighbours in the channels.

    Args:
        size: how many channels count as neighbours; those outside count as zeros.

    Raises:
        ValueError: fewer than three dimensions.
    """
    need_tensor(input, "local_response_norm")
    if input.dim() < 3:
        raise ValueError(
            f"Expected 3D or higher dimensionality                          input (got {input.dim()} dimensions)"
        )
    if not input.array.size:
        return input
    squares = (input * input).reshape(input.shape[0], 1, input.shape[1], -1)
    mean = avg_pool2d(pad(squares, (0, 0, size // 2, (size - 1) // 2)), (size, 1), stride=1)
    return input / mean.reshape(input.shape).mul(alpha).add(k).pow(beta)
