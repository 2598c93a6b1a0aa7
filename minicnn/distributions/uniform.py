"""The uniform distribution of an interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn._tensor import Number, Tensor
from minicnn.distributions import constraints
from minicnn.distributions.distribution import Distribution, broadcast_all
from minicnn.ops import creation


class Uniform(Distribution):
    """Uniform numbers in [low, high), which broadcast: numbers or tensors. ValueError unless low < high."""

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast_all(low, high)
        of_numbers = isinstance(low, Number) and isinstance(high, Number)
        super().__init__(() if of_numbers else self.low.size(), validate_args=validate_args)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:  # type: ignore[override]
        """low < high"""
        return {"low": constraints.less_than(self.high), "high": constraints.greater_than(self.low)}

    @property
    def support(self) -> constraints.Constraint:  # type: ignore[override]
        """From low to high."""
        return constraints.interval(self.low, self.high)

    @property
    def mean(self) -> Tensor:
        """The middle."""
        return (self.high + self.low) / 2

    @property
    def variance(self) -> Tensor:
        """(high - low)^2 / 12"""
        return (self.high - self.low).pow(2) / 12

    @property
    def stddev(self) -> Tensor:
        """(high - low) / sqrt(12)"""
        return (self.high - self.low) / 12**0.5

    def expand(self, batch_shape: Sequence[int]) -> Uniform:
        """The same distribution with the parameters expanded to this shape."""
        return self._copied(batch_shape, low=self.low.expand(batch_shape), high=self.high.expand(batch_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """low + (high - low) times uniform numbers, so that gradients go to low and high."""
        drawn = creation.rand(self._extended_shape(sample_shape), dtype=self.low.dtype)
        return self.low + drawn * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        """-log(high - low) inside, minus infinity outside."""
        if self._validate_args:
            self._validate_sample(value)
        inside = self.low.le(value).type_as(self.low) * self.high.gt(value).type_as(self.low)
        return inside.log() - (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of a smaller number than `value`."""
        if self._validate_args:
            self._validate_sample(value)
        return ((value - self.low) / (self.high - self.low)).clamp(min=0, max=1)

    def icdf(self, value: Tensor) -> Tensor:
        """The number below which one is with this probability."""
        return value * (self.high - self.low) + self.low

    def entropy(self) -> Tensor:
        """log(high - low)"""
        return (self.high - self.low).log()
