"""Order along a dimension: sorting, the k largest, running sums, counting."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minicnn import _memory
from minicnn._tensor import Dims, Tensor
from minicnn.autograd import both
from minicnn.autograd.function import Op, RowOp
from minicnn.ops._common import implemented, number, wide, wrap_dim, wrap_dims
from minicnn.ops.indexing import PickBackward
from minicnn.ops.reduction import Pick, ValuesIndices, values_indices

__all__ = [
    "argsort", "bincount", "bucketize", "count_nonzero", "cumsum", "histc", "kthvalue", "searchsorted", "sort", "topk", "unique",
    "unique_consecutive",
]  # fmt: skip


class Cumsum(RowOp):
    """Running sum along a dimension; its gradient runs backwards."""

    @staticmethod
    def forward(ctx, a, dim):
        ctx.dim = dim
        return _running(a.array, dim) if a.array.ndim else a.array.copy()

    @staticmethod
    def backward(ctx, grad):
        if not grad.ndim:
            return grad
        return both.flip(Cumsum.of(both.flip(grad, ctx.dim), ctx.dim), ctx.dim)


def _running(array: np.ndarray, dim: int) -> np.ndarray:
    """Running sums that begin at 0, of which -0 is +0; of integers in int64."""
    kind = wide(array.dtype)
    return (np.cumsum(array, axis=dim, dtype=kind) + kind.type(0)).astype(
        kind if kind.kind == "i" else array.dtype, copy=False
    )


class Sort(Op):
    """All elements along a dimension, in order, with their indices."""

    saved_names = ("indices",)

    @classmethod
    def forward(cls, ctx, a, dim, descending, count=None):
        ctx.dim, ctx.shape = dim, a.array.shape
        index = _order(a.array, dim, descending)
        if count is not None:
            index = np.take(index, range(count), axis=dim)
        values = np.take_along_axis(a.array, index, dim)
        if count is None:  # in the order of a
            values, index = _memory.laid_as(a.array, values), _memory.laid_as(a.array, index)
        index = Tensor.wrap(index)
        ctx.save_for_backward(index)
        return values, index

    @staticmethod
    def backward(ctx, grad):
        return PickBackward.of(grad, *ctx.saved, ctx.shape, ctx.dim)


class Topk(Sort):
    """The k first of the sorted elements."""

    saved_names = ("indices",)


def _order(array: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The indices that sort; equal elements keep their order."""
    if not descending:
        return np.argsort(array, axis=dim, kind="stable")
    backwards = np.flip(array, dim)
    return array.shape[dim] - 1 - np.flip(np.argsort(backwards, axis=dim, kind="stable"), dim)


# --- the functions ----------------------------------------------------------------------------------------------------


def cumsum(input: Tensor, dim: int) -> Tensor:
    """Running sums along `dim`, of input's shape; integers in int64."""
    return Cumsum.apply(input, wrap_dim(dim, input.array.ndim))


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesIndices:
    """(values, indices) in order along `dim`, both of input's shape; equal elements keep their order."""
    dim = wrap_dim(dim, input.array.ndim)
    if input.array.ndim == 0:
        return values_indices("sort", (input.clone(), Tensor.wrap(np.zeros((), np.int64))))
    return values_indices("sort", Sort.apply(input, dim, descending))


def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The indices that put the elements in order along `dim`, of input's shape; equal elements keep their order."""
    return sort(input, dim, descending).indices


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """(values, indices) of the k largest along `dim`, the largest first. RuntimeError if there are fewer."""
    if input.array.dtype.kind == "b":
        raise RuntimeError("topk does not support bool dtypes on CPU")
    dim, k = wrap_dim(dim, input.array.ndim), operator.index(k)
    if not 0 <= k <= (input.array.shape[dim] if input.array.ndim else 1):
        raise RuntimeError("selected index k out of range")
    return values_indices("topk", Topk.apply(input, dim, largest, k))


class Kthvalue(Pick):
    """The k-th smallest along a dimension."""

    @classmethod
    def forward(cls, ctx, a, dim, keepdim, k):
        ctx.rank = k
        return super().forward(ctx, a, dim, keepdim)

    @staticmethod
    def choose(ctx, array, dim):
        return np.take(np.argsort(array, axis=dim, kind="stable"), ctx.rank - 1, axis=dim)


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """(values, indices) of the k-th smallest along `dim`, of input's shape without it. RuntimeError if there are fewer."""
    dim, k = wrap_dim(dim, input.array.ndim), operator.index(k)
    if not 1 <= k <= (input.array.shape[dim] if input.array.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {dim}")
    return values_indices("kthvalue", Kthvalue.apply(input, dim, keepdim, k))


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different values, in order: (count,), or with `dim` the different slices.

    With `return_inverse` also which of them each one is, of input's shape or along `dim`, with `return_counts` how often each is there.
    """
    axis = None if dim is None else wrap_dim(dim, input.array.ndim)
    values, inverse, counts = np.unique(input.array, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.reshape(input.array.shape if axis is None else -1)
    return _chosen(values, inverse, counts, return_inverse, return_counts)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """What is left when equal neighbours are one: (count,), or with `dim` slices; the others as of `unique`."""
    axis = 0 if dim is None else wrap_dim(dim, input.array.ndim)
    array = input.array.reshape(-1) if dim is None else input.array
    lines = np.moveaxis(array, axis, 0)
    new = np.ones(len(lines), bool)
    new[1:] = (lines[1:] != lines[:-1]).reshape(max(len(lines) - 1, 0), -1).any(1)
    places = np.flatnonzero(new)
    inverse = (np.cumsum(new) - 1).reshape(input.array.shape if dim is None else -1)
    counts = np.diff(np.append(places, len(lines)))
    return _chosen(np.take(array, places, axis), inverse, counts, return_inverse, return_counts)


def _chosen(values: np.ndarray, inverse: np.ndarray, counts: np.ndarray, with_inverse: bool, with_counts: bool) -> Any:
    """The values, or a tuple of them and what was asked for."""
    more = [Tensor.wrap(t.astype(np.int64)) for t, wanted in ((inverse, with_inverse), (counts, with_counts)) if wanted]
    return (Tensor.wrap(values), *more) if more else Tensor.wrap(values)


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each number would be put into an ordered sequence: before its equals, or behind them with `right`.

    Args:
        sorted_sequence: (..., n), in order along the last dimension; or in the order that `sorter` says.
        input: (..., m) of the same leading dimensions; anything, or a number, for one sequence (n,).
        out_int32: whether the places are int32 and not int64.
        right: as `side` "right".
        side: "left" or "right".

    Returns:
        The places, of input's shape.

    Raises:
        RuntimeError: leading dimensions that differ, or settings that contradict each other.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if right and side == "left":
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    sequence = sorted_sequence.array
    values = input.array if isinstance(input, Tensor) else np.asarray(input, sequence.dtype)
    if sequence.ndim != 1 and sequence.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
            f"and input value tensor must match, but we got boundaries tensor {list(sequence.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    if sorter is not None:
        sequence = np.take_along_axis(sequence, sorter.array, -1)
    kind: Any = np.int32 if out_int32 else np.int64
    where: Any = "right" if right or side == "right" else "left"
    if sequence.ndim == 1:
        return Tensor.wrap(np.asarray(np.searchsorted(sequence, values, where), kind))
    places = np.empty(values.shape, kind)
    for line in np.ndindex(sequence.shape[:-1]):
        places[line] = np.searchsorted(sequence[line], values[line], where)
    return Tensor.wrap(places)


def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """Between which of the ordered `boundaries` (n,) each number is: places 0 to n, of input's shape.

    A number that equals a boundary is before it, or behind it with `right`.
    """
    if boundaries.array.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.array.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input: Tensor, minlength: int = 0) -> Tensor:
    """How often each number from 0 on is there: (max + 1,), or (minlength,) if that is more. RuntimeError for negative ones."""
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    implemented("bincount_cpu", input.array.dtype, "ui")
    if input.array.ndim != 1 or (input.array < 0).any():
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    return Tensor.wrap(np.bincount(input.array, minlength=minlength).astype(np.int64))


def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Counts in equal bins from min to max (the data's range if both are 0): (bins,), in the input's type.

    RuntimeError without bins, for min > max, or for a range that is not finite.
    """
    implemented("histogram_cpu", input.array.dtype, "f")
    bins, min, max = operator.index(bins), number(min, "histc", "min", 3), number(max, "histc", "max", 4)
    if bins < 1:
        raise RuntimeError(f"torch.histc: bins must be > 0, but got {bins}")
    if min > max:
        raise RuntimeError(f"torch.histc: max must be larger than min, got {min} and {max}")
    of_data = min == max and input.array.size
    span = (input.array.min(), input.array.max()) if of_data else (min, max)
    if span[0] == span[1]:
        span = (span[0] - 1, span[1] + 1)
    if not np.isfinite(span).all():
        raise RuntimeError(f"torch.histc: range of [{span[0]}, {span[1]}] is not finite")
    counts, _ = np.histogram(input.array, bins, span)
    return Tensor.wrap(counts.astype(input.array.dtype))


def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements are not 0, in all or over `dim`: int64, input's shape without `dim`."""
    return Tensor.wrap(
        np.asarray(np.count_nonzero(input.array, axis=wrap_dims(dim, input.array.ndim)), np.int64, order="C")
    )
