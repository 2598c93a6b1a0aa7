"""Checks that several functions share."""

from __future__ import annotations

from collections.abc import Sequence

from minicnn.ops._common import need_tensor, pair

__all__ = ["list_text", "need_tensor", "pair"]


def list_text(values: Sequence[int]) -> str:
    """A shape as C++ prints it: [1, 3, 8, 8]."""
    return str(list(values))
