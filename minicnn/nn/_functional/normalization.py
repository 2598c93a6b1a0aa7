"""Normalization: by batch, by image, by length."""

from __future__ import annotations

import math

from minicnn import ops
from minicnn._tensor import Tensor
from minicnn.autograd.grad_mode import no_grad
from minicnn.nn._functional.arguments import need_tensor


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
    shape = input.shape
    if training and shape[0] * math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {shape}")
    if training and eps <= 0.0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    if eps < 0.0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    named = (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias))
    for name, tensor in named:
        if tensor is None:
            if name.startswith("running") and not training:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
        elif tensor.numel() != shape[1]:
            raise RuntimeError(f"{name} should contain {shape[1]} elements not {tensor.numel()}")
    if any(tensor is not None and tensor.array.dtype != input.array.dtype for _, tensor in named):
        raise RuntimeError("mixed dtype (CPU): all inputs must share same datatype.")
    return ops.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


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
        if running is not None and use_input_stats:
            with no_grad():
                running.copy_(moved.view(batch, channels).mean(0))
    return output.view(shape)
