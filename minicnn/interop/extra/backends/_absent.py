"""Switches of a library that is not here: they can be set, and switch nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

enabled = benchmark = deterministic = allow_tf32 = False


def is_available() -> bool:
    """False."""
    return False


def is_built() -> bool:
    """False."""
    return False


def version() -> None:
    """None."""


@contextmanager
def flags(*args: Any, **kwargs: Any) -> Iterator[None]:
    """A block that changes nothing."""
    yield
