"""What parameters and samples have to satisfy: `constraint.check(value)` says where they do."""

from __future__ import annotations

from typing import Any

from minicnn._tensor import Tensor


class Constraint:
    """A condition for numbers; `event_dim` of the last dimensions are looked at together."""

    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Where it holds: booleans, without the last `event_dim` dimensions."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return type(self).__name__.removeprefix("_") + "()"


class _Real(Constraint):
    def check(self, value: Tensor) -> Tensor:
        return value == value


class _RealVector(Constraint):
    event_dim = 1

    def __repr__(self) -> str:
        return "IndependentConstraint(Real(), 1)"

    def check(self, value: Tensor) -> Tensor:
        return (value == value).all(-1)


class _GreaterThan(Constraint):
    def __init__(self, lower_bound: Any) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return self.lower_bound < value

    def __repr__(self) -> str:
        return f"GreaterThan(lower_bound={self.lower_bound})"


class _LessThan(Constraint):
    def __init__(self, upper_bound: Any) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return value < self.upper_bound

    def __repr__(self) -> str:
        return f"LessThan(upper_bound={self.upper_bound})"


class _Interval(Constraint):
    def __init__(self, lower_bound: Any, upper_bound: Any) -> None:
        self.lower_bound, self.upper_bound = lower_bound, upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (self.lower_bound <= value) & (value <= self.upper_bound)

    def __repr__(self) -> str:
        return f"Interval(lower_bound={self.lower_bound}, upper_bound={self.upper_bound})"


class _IntegerInterval(_Interval):
    def check(self, value: Tensor) -> Tensor:
        return (value % 1 == 0) & super().check(value)

    def __repr__(self) -> str:
        return f"IntegerInterval(lower_bound={self.lower_bound}, upper_bound={self.upper_bound})"


class _Simplex(Constraint):
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


real, real_vector, positive, simplex = _Real(), _RealVector(), _GreaterThan(0.0), _Simplex()
interval, integer_interval, greater_than, less_than = _Interval, _IntegerInterval, _GreaterThan, _LessThan
