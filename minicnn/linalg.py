"""Norms, under `torch.linalg`'s names."""

from __future__ import annotations

from typing import Any

from minicnn import ops
from minicnn._tensor import Tensor

__all__ = ["inv", "norm", "vector_norm"]


def inv(A: Tensor) -> Tensor:
    """The inverse of a matrix (n, n), or of each of a batch (..., n, n). RuntimeError for one that has none, or is not square."""
    return ops.inverse(A)


def vector_norm(x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """(sum |x|^ord)^(1/ord) over all elements, or over `dim`."""
    return ops.norm(x, ops._common.number(ord, "linalg_vector_norm", "ord", 2), dim, keepdim)


def norm(A: Tensor, ord: float | None = None, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The 2-norm of all elements, or the vector norm over `dim`. Matrix norms are not there."""
    if ord is not None and ((dim is None and A.ndim == 2) or isinstance(dim, tuple)):
        raise NotImplementedError("minicnn.linalg.norm computes vector norms; matrix norms are not there")
    return ops.norm(A, 2 if ord is None else ord, dim, keepdim)
