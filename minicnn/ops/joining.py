"""Tensors beside and below each other, turned over, and all combinations of their numbers."""

from __future__ import annotations

from collections.abc import Sequence

from minicnn._tensor import Tensor
from minicnn.ops import shape
from minicnn.ops.copying import cat, flip, stack

__all__ = ["cartesian_prod", "column_stack", "dstack", "fliplr", "flipud", "hstack", "vstack"]


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: joined along the second dimension, vectors along their only one."""
    _need_some("hstack", tensors)
    shaped = [shape.atleast_1d(tensor) for tensor in tensors]
    return cat(shaped, 0 if shaped[0].array.ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors below each other: joined along the first dimension, vectors as rows."""
    _need_some("vstack", tensors)
    return cat([shape.atleast_2d(tensor) for tensor in tensors], 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors behind each other: joined along the third dimension, matrices as (n, m, 1)."""
    _need_some("dstack", tensors)
    return cat([shape.atleast_3d(tensor) for tensor in tensors], 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Tensors side by side: joined along the second dimension, vectors as columns."""
    _need_some("column_stack", tensors)
    columns = [x if x.array.ndim > 1 else shape.reshape(x, (x.array.size, 1)) for x in tensors]
    return cat(columns, 1)


def _need_some(name: str, tensors: Sequence[Tensor]) -> None:
    if not len(tensors):
        raise RuntimeError(f"{name} expects a non-empty TensorList")


def fliplr(input: Tensor) -> Tensor:
    """The second dimension in reverse order, a copy. RuntimeError below two dimensions."""
    if input.array.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, (1,))


def flipud(input: Tensor) -> Tensor:
    """The first dimension in reverse order, a copy. RuntimeError for a 0-d tensor."""
    if not input.array.ndim:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, (0,))


def cartesian_prod(*tensors: Tensor) -> Tensor:
    """All combinations of the numbers of these vectors, the last one's changing fastest: (count, number of vectors)."""
    for tensor in tensors:
        if tensor.array.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(tensor.array.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    sizes = [tensor.array.size for tensor in tensors]
    ones = [[n if i == k else 1 for k, n in enumerate(sizes)] for i in range(len(sizes))]
    grids = [shape.expand(shape.reshape(x, one), sizes) for x, one in zip(tensors, ones, strict=True)]
    return stack([shape.flatten(grid) for grid in grids], 1)
