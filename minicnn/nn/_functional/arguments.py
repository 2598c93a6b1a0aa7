"""Arguments that a user gives as one number or a pair, and checks that several functions share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.ops._common import need_tensor

__all__ = ["conv_pair", "list_text", "need_tensor", "pair"]


def pair(value: Any) -> tuple:
    """(v, v) for a number v, the two entries of a sequence otherwise. For (height, width)."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def conv_pair(value: Any, name: str) -> tuple[int, int]:
    """A convolution's stride, padding, ... as (height, width). An error for another length, or what is no integer."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(values) == 1:
        values *= 2
    if len(values) != 2:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of 2 values to match the convolution dimensions, "
            f"but got {name}={list(values)}"
        )
    if isinstance(values[0], float) or isinstance(values[1], float):
        raise TypeError(f"conv2d(): argument '{name}' must be tuple of ints, not {type(value).__name__}")
    return values


def list_text(values: Sequence[int]) -> str:
    """A shape as C++ prints it: [1, 3, 8, 8]."""
    return str(list(values))
