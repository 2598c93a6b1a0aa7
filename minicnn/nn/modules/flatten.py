"""Layers that change the shape only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn._tensor import Tensor
from minicnn.nn.modules.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Makes one dimension of those from `start_dim` to `end_dim`: by default (N, C, H, W) -> (N, C H W)."""

    _extra_repr_names = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Module):
    """Makes several dimensions of one: with dim=1, unflattened_size=(C, H, W): (N, C H W) -> (N, C, H, W)."""

    _extra_repr_names = ("dim", "unflattened_size")

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        _require_ints(unflattened_size)
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)


def _require_ints(size: Any) -> None:
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"unflattened_size must be a tuple of ints, but found type {type(size).__name__}")
    for i, entry in enumerate(size):
        if not isinstance(entry, int):
            raise TypeError(
                f"unflattened_size must be tuple of ints, but found element of type {type(entry).__name__} at pos {i}"
            )
