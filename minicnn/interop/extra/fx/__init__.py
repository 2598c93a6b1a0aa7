"""`torch.fx`: no graphs of code are made; what is marked for them is left as it is."""

from __future__ import annotations

from typing import Any

__all__ = ["has_side_effect", "wrap"]


def wrap(fn_or_name: Any) -> Any:
    """The function, or its name, itself."""
    return fn_or_name


def has_side_effect(fn: Any) -> Any:
    """The function itself."""
    return fn
