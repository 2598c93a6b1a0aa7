"""Comparisons and logic: booleans, outside of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd.tensor_base import TensorBase
from minicnn.ops._common import pair, result_type


def _compare(name: str, a: Any, b: Any) -> TensorBase:
    kind = result_type(a, b)
    return TensorBase.wrap(getattr(np, name)(*pair(a, b, kind)))


def eq(input: Any, other: Any) -> TensorBase:
    return _compare("equal", input, other)


def ne(input: Any, other: Any) -> TensorBase:
    return _compare("not_equal", input, other)


def lt(input: Any, other: Any) -> TensorBase:
    return _compare("less", input, other)


def le(input: Any, other: Any) -> TensorBase:
    return _compare("less_equal", input, other)


def gt(input: Any, other: Any) -> TensorBase:
    return _compare("greater", input, other)


def ge(input: Any, other: Any) -> TensorBase:
    return _compare("greater_equal", input, other)


def isnan(input: TensorBase) -> TensorBase:
    return TensorBase.wrap(np.isnan(input.array))


def isinf(input: TensorBase) -> TensorBase:
    return TensorBase.wrap(np.isinf(input.array))


def isfinite(input: TensorBase) -> TensorBase:
    return TensorBase.wrap(np.isfinite(input.array))


def equal(input: TensorBase, other: TensorBase) -> bool:
    """Whether both have the same shape and values."""
    return bool(np.array_equal(input.array, other.array))


def allclose(
    input: TensorBase, other: TensorBase, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    return bool(np.allclose(input.array, other.array, rtol, atol, equal_nan))


def isclose(
    input: TensorBase, other: TensorBase, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> TensorBase:
    return TensorBase.wrap(np.isclose(input.array, other.array, rtol, atol, equal_nan))


def _logical(name: str, a: Any, b: Any) -> TensorBase:
    kind = result_type(a, b)
    return TensorBase.wrap(getattr(np, name)(*pair(a, b, kind)))


def bitwise_and(input: Any, other: Any) -> TensorBase:
    return _logical("bitwise_and", input, other)


def bitwise_or(input: Any, other: Any) -> TensorBase:
    return _logical("bitwise_or", input, other)


def bitwise_xor(input: Any, other: Any) -> TensorBase:
    return _logical("bitwise_xor", input, other)


def logical_and(input: TensorBase, other: TensorBase) -> TensorBase:
    return TensorBase.wrap(np.logical_and(input.array, other.array))


def logical_or(input: TensorBase, other: TensorBase) -> TensorBase:
    return TensorBase.wrap(np.logical_or(input.array, other.array))


def logical_not(input: TensorBase) -> TensorBase:
    return TensorBase.wrap(np.logical_not(input.array))
