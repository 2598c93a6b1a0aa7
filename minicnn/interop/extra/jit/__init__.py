"""`torch.jit`: nothing is compiled. A function that is scripted or traced is itself, and all questions are answered with no."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from minicnn.nn import Module

__all__ = [
    "Attribute", "Final", "ScriptModule", "annotate", "export", "ignore", "interface", "is_scripting", "is_tracing", "isinstance",
    "script", "script_if_tracing", "script_method", "trace", "unused",
]  # fmt: skip

_isinstance = isinstance


class ScriptModule(Module):
    """A module: what is derived from it runs as it is written."""


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """The function, class or module itself."""
    return obj


def trace(func: Any, *args: Any, **kwargs: Any) -> Any:
    """The function or module itself."""
    return func


def script_if_tracing(fn: Callable) -> Callable:
    """The function itself."""
    return fn


def _overload(func: Callable) -> Callable:
    return func


script_method = export = interface = _script_if_tracing = _overload_method = _overload


def unused(fn: Any = None) -> Any:
    """The function itself."""
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A decorator that gives the function back; without brackets, the function itself."""
    return drop if callable(drop) else lambda function: function


def is_scripting() -> bool:
    """False."""
    return False


def is_tracing() -> bool:
    """False."""
    return False


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def Attribute(value: Any, type: Any) -> Any:
    """The value."""
    return value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's, which asks for a list where `List[int]` is meant."""
    types = target_type if _isinstance(target_type, tuple) else (target_type,)
    return any(_isinstance(obj, getattr(one, "__origin__", one)) for one in types)
