"""`torch.library`: operations that other packages register for PyTorch's dispatcher, which is not here. A Python function that is
declared as one stays this function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Library", "custom_op", "define", "impl", "register_autograd", "register_fake", "register_kernel"]


def _same(function: Any) -> Any:
    return function


class Library:
    """Takes what is registered with it, and keeps nothing."""

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """The operation's name."""
        return schema.partition("(")[0]

    def impl(self, op_name: Any, fn: Callable, dispatch_key: str = "", **options: Any) -> None:
        """Nothing dispatches."""


def define(qualname: str, schema: str, *args: Any, **kwargs: Any) -> Any:
    """Nothing to define; as a decorator it gives the function back."""
    return _same


def impl(qualname: Any, types: Any, func: Callable | None = None, **options: Any) -> Any:
    """The function itself."""
    return _same if func is None else func


def register_fake(op: Any, func: Callable | None = None, /, **options: Any) -> Any:
    """The function itself."""
    return _same if func is None else func


def register_kernel(op: Any, device_types: Any, func: Callable | None = None, /, **options: Any) -> Any:
    """The function itself."""
    return _same if func is None else func


def register_autograd(
    op: Any, backward: Callable, /, *, setup_context: Callable | None = None, lib: Any = None
) -> None:
    """Nothing dispatches."""


class _CustomOp:
    """A Python function that was declared as an operation: it is called, with the graph through what it does inside."""

    def __init__(self, fn: Callable) -> None:
        self.fn = fn

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fn(*args, **kwargs)

    def register_fake(self, fn: Callable) -> Callable:
        """The function itself."""
        return fn

    def register_kernel(self, device_types: Any, fn: Callable | None = None) -> Any:
        """The function itself."""
        return _same if fn is None else fn


def custom_op(name: str, fn: Callable | None = None, /, **options: Any) -> Any:
    """What calls the function; without one, a decorator."""
    return _CustomOp if fn is None else _CustomOp(fn)
