"""`torch.compile` and what belongs to it: every function is run as it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["allow_in_graph", "compile", "cudagraph_mark_step_begin", "disable", "is_compiling", "is_dynamo_compiling",
           "is_exporting", "reset"]  # fmt: skip


def compile(model: Callable | None = None, **options: Any) -> Any:
    """The function or module itself; without one, a decorator that gives it back."""
    return (lambda function: function) if model is None else model


def disable(fn: Callable | None = None, recursive: bool = True, **options: Any) -> Any:
    """The function itself, or a decorator that gives it back."""
    return (lambda function: function) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """The function itself."""
    return fn


def is_compiling() -> bool:
    """False."""
    return False


def is_dynamo_compiling() -> bool:
    """False."""
    return False


def is_exporting() -> bool:
    """False."""
    return False


def reset() -> None:
    """Nothing is kept."""


def cudagraph_mark_step_begin() -> None:
    """Nothing to mark."""
