"""Limits for gradients, in place."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn._warnings import warn_deprecated, warn_user
from minicnn.autograd.grad_mode import no_grad

Tensors = Tensor | Iterable[Tensor]


def get_total_norm(
    tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of all numbers in the tensors, as if they were one vector. `foreach` changes nothing here.

    Raises:
        RuntimeError: the norm is not finite, and `error_if_nonfinite` is set.
    """
    norm_type = float(norm_type)
    arrays = [tensor.array for tensor in _listed(tensors)]
    if not arrays:
        return Tensor.wrap(np.zeros((), np.float32))
    norms = np.array([np.linalg.norm(array.ravel(), norm_type) for array in arrays], np.result_type(*arrays))
    total = np.linalg.norm(norms, norm_type)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be "
            "clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
            "`error_if_nonfinite=False`"
        )
    return Tensor.wrap(np.asarray(total, norms.dtype))


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients of all parameters down together, so that their common norm is at most `max_norm`.

    Returns:
        The norm before.
    """
    if isinstance(parameters, types.GeneratorType):
        parameters = list(parameters)
        if not parameters:
            warn_user("`parameters` is an empty generator, no gradient clipping will occur.")
    grads = _gradients(parameters)
    total = get_total_norm(grads, norm_type, error_if_nonfinite)
    if grads:
        with no_grad():
            factor = (float(max_norm) / (total + 1e-6)).clamp(max=1.0)
            for grad in grads:
                grad.mul_(factor)
    return total


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """The old name of `clip_grad_norm_`."""
    warn_deprecated("`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.")
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clip each number in the gradients to [-clip_value, clip_value]."""
    clip_value = float(clip_value)
    with no_grad():
        for grad in _gradients(parameters):
            grad.clamp_(min=-clip_value, max=clip_value)


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensors) -> list[Tensor]:
    return [parameter.grad for parameter in _listed(parameters) if parameter.grad is not None]
