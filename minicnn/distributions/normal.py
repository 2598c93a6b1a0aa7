"""The normal distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn._tensor import Number, Tensor
from minicnn.autograd.grad_mode import no_grad
from minicnn.distributions import constraints
from minicnn.distributions.distribution import Distribution, broadcast_all
from minicnn.ops import creation


class Normal(Distribution):
    """Normal numbers of mean `loc` and standard deviation `scale`, which broadcast: numbers or tensors.

    ValueError for a scale that is not positive, or NaN.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        of_numbers = isinstance(loc, Number) and isinstance(scale, Number)
        super().__init__(() if of_numbers else self.loc.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """loc"""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc"""
        return self.loc

    @property
    def stddev(self) -> Tensor:
        """scale"""
        return self.scale

    @property
    def variance(self) -> Tensor:
        """scale^2"""
        return self.scale.pow(2)

    def expand(self, batch_shape: Sequence[int]) -> Normal:
        """The same distribution with the parameters expanded to this shape."""
        return self._copied(batch_shape, loc=self.loc.expand(batch_shape), scale=self.scale.expand(batch_shape))

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Random numbers without a gradient, of the shape sample_shape + batch_shape."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """loc + scale times standard normal numbers, so that gradients go to loc and scale."""
        noise = creation.randn(self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + noise * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density at `value`."""
        if self._validate_args:
            self._validate_sample(value)
        return -((value - self.loc) ** 2) / (2 * self.scale**2) - self.scale.log() - math.log(math.sqrt(2 * math.pi))

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a smaller number than `value`."""
        if self._validate_args:
            self._validate_sample(value)
        return 0.5 * (1 + ((value - self.loc) * self.scale.reciprocal() / math.sqrt(2)).erf())

    def icdf(self, value: Tensor) -> Tensor:
        """The number below which one is with this probability."""
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        """The entropy in nats, of batch_shape."""
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()
