"""`torch.overrides`: what is derived from Tensor goes through every function as a Tensor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minicnn._tensor import Tensor

__all__ = ["has_torch_function", "is_tensor_like"]


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """False: `__torch_function__` is not asked."""
    return False


def has_torch_function_unary(arg: Any) -> bool:
    """False."""
    return False


def has_torch_function_variadic(*args: Any) -> bool:
    """False."""
    return False


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a Tensor."""
    return isinstance(inp, Tensor)
