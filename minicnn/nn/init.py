"""First values for parameters. Every function fills its tensor in place, outside of the graph, and returns it.

The numbers come from minicnn's own generator (`minicnn.manual_seed`); the distributions are PyTorch's, its numbers are
not. Sources: Glorot and Bengio 2010 (xavier), He et al. 2015 (kaiming), Saxe et al. 2014 (orthogonal).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from minicnn import random as _random
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.autograd.grad_mode import no_grad

__all__ = [
    "calculate_gain", "uniform_", "normal_", "trunc_normal_", "constant_", "ones_", "zeros_", "eye_", "dirac_",
    "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "sparse_",
]  # fmt: skip

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_GAINS = {**dict.fromkeys(_LINEAR, 1), "sigmoid": 1, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
_NO_ELEMENTS = "Initializing zero-element tensors is a no-op"


_draws: ContextVar[bool] = ContextVar("draws", default=True)  # of this thread


@contextmanager
def _no_draws() -> Iterator[None]:
    """In the block, in this thread, `uniform_` and `normal_`, and what is made of them, leave their tensors alone.

    For `nn.utils.skip_init`: the 138 million random numbers of a VGG-16 take seconds, and a checkpoint replaces them.
    """
    token = _draws.set(False)
    try:
        yield
    finally:
        _draws.reset(token)


def _fill(tensor: Tensor, values: Any) -> Tensor:
    """Write `values` into the tensor, unseen by the graph but counted as a change."""
    with no_grad():
        return tensor.copy_(Tensor.wrap(np.asarray(values, tensor.array.dtype)))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights are scaled up so that the nonlinearity after them keeps the variance.

    Args:
        nonlinearity: 'linear', 'conv2d' ..., 'sigmoid' (1), 'tanh' (5/3), 'relu' (sqrt 2), 'leaky_relu', 'selu' (3/4).
        param: the slope of a leaky relu, 0.01 if not given.
    """
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(f"Unsupported nonlinearity {nonlinearity}")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Numbers from the uniform distribution on [a, b)."""
    if not _draws.get():
        return tensor
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Numbers from the normal distribution."""
    if not _draws.get():
        return tensor
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Numbers from the normal distribution, those outside of [a, b] drawn again."""
    if mean < a - 2 * std or mean > b + 2 * std:
        warn_user(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. The distribution of values may be incorrect."
        )
    random = _random.generator(generator)
    low, high = (_normal_cdf((bound - mean) / std) for bound in (a, b))
    if high - low > 0.3:
        values = random.normal(mean, std, tensor.array.shape)
        while (outside := (values < a) | (values > b)).any():
            values[outside] = random.normal(mean, std, int(outside.sum()))
    else:
        # Few draws would fall into the interval: draw uniformly and keep each with the density relative to the highest.
        peak = min(max(mean, a), b)
        values = np.empty(tensor.array.shape)
        pending = np.ones(tensor.array.shape, bool)
        while pending.any():
            drawn = random.uniform(a, b, int(pending.sum()))
            log_density = ((peak - mean) ** 2 - (drawn - mean) ** 2) / (2 * std**2)
            values[pending] = drawn
            pending[pending] = np.log(random.uniform(size=drawn.shape)) > log_density
    return _fill(tensor, values)


def _normal_cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same number everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    with no_grad():
        return tensor.zero_()


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix; for a Linear layer, as many inputs as possible are passed on.

    Raises:
        ValueError: the tensor is not 2-dimensional.
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The convolution weight (O, C, K...) that passes its input on: a one in the middle of filter i, channel i.

    Raises:
        ValueError: the tensor has not 3, 4 or 5 dimensions, or O is not divisible by `groups`.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    per_group = tensor.shape[0] // groups
    middle = tuple(size // 2 for size in tensor.shape[2:])
    values = np.zeros(tensor.shape)
    for group in range(groups):
        for channel in range(min(per_group, tensor.shape[1])):
            values[(group * per_group + channel, channel, *middle)] = 1
    return _fill(tensor, values)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many numbers enter one output of a layer with this weight (O, C, K...), and to how many one input goes."""
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    valid_modes = ["fan_in", "fan_out"]
    if mode not in valid_modes:
        raise ValueError(f"Mode {mode} not supported, please use one of {valid_modes}")
    return _calculate_fan_in_and_fan_out(tensor)[valid_modes.index(mode)]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform numbers with variance gain^2 * 2 / (fan_in + fan_out)."""
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal numbers with variance gain^2 * 2 / (fan_in + fan_out)."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor)))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Uniform numbers with variance gain^2 / fan. `a` is the slope of the leaky relu after the layer."""
    if 0 in tensor.shape:
        warn_user(_NO_ELEMENTS)
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    """Normal numbers with variance gain^2 / fan. `a` is the slope of the leaky relu after the layer."""
    if 0 in tensor.shape:
        warn_user(_NO_ELEMENTS)
        return tensor
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A matrix with orthonormal rows or columns, the fewer of the two; more dimensions are flattened behind the first.

    Raises:
        ValueError: the tensor has fewer than 2 dimensions.
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    tall = _random.generator(generator).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))  # makes the result uniform over all such matrices (Mezzadri 2007)
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal numbers, with the fraction `sparsity` of every column set to zero.

    Raises:
        ValueError: the tensor is not 2-dimensional.
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    rows, columns = tensor.shape
    random = _random.generator(generator)
    values = random.normal(0, std, (rows, columns))
    for column in range(columns):
        values[random.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _fill(tensor, values)
