"""Copies: of a tensor, into a tensor, of several tensors side by side, in another order."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minicnn import _memory
from minicnn._tensor import Tensor
from minicnn._types import contiguous_format, memory_format, preserve_format
from minicnn.autograd import both
from minicnn.autograd.function import Op, RowOp
from minicnn.ops._common import check_expand, fitting, operand, promote, wrap_dim, wrap_dims
from minicnn.ops.elementwise import to_dtype

__all__ = ["cat", "clone", "flip", "roll", "rot90", "stack", "tile", "tril", "triu"]


class Clone(Op):
    """The same numbers in memory of their own, in a memory format, or in the order that they have."""

    @staticmethod
    def forward(ctx, a, format):
        return _memory.copy(a.array, format)

    @staticmethod
    def backward(ctx, grad):
        return grad


class Copy(Op, node_name="CopyBackwards"):
    """What `copy_` leaves: the source's values in the target's shape and type."""

    name_prefix = "torch::autograd::"
    slots = 2

    @staticmethod
    def forward(ctx, target, source):
        values = operand(source, target.array.dtype)
        check_expand(values.shape, target.array.shape)
        return np.broadcast_to(values, target.array.shape)

    @staticmethod
    def backward(ctx, grad):
        return both.zeros_like(grad) if ctx.needs_input_grad[0] else None, grad


class Fill(Op, node_name="FillBackward2"):
    """A number in place of the old values: no gradient goes to them."""

    @staticmethod
    def forward(ctx, a, value):
        return np.full_like(a.array, fitting(value, a.array.dtype))

    @staticmethod
    def backward(ctx, grad):
        return both.zeros_like(grad) if ctx.needs_input_grad[0] else None, grad


class FillTensor(Fill, node_name="FillBackward3"):
    """The number is a 0-d tensor, which gets all that arrives."""

    slots = 2


class Zero(Fill, node_name="ZeroBackward0"):
    """What `zero_` leaves."""


class Cat(Op):
    """Tensors joined along an existing dimension; row by row, or channels last if all of them lie so."""

    takes_a_list = True

    @staticmethod
    def forward(ctx, dim, *tensors):
        ctx.dim = dim
        ctx.ends = np.cumsum([0, *(t.array.shape[dim] for t in tensors)]).tolist()
        formats = {_memory.channels_last_of(t.array) for t in tensors}
        joined = np.asarray(np.concatenate([t.array for t in tensors], axis=dim), order="C")
        return joined if len(formats) > 1 or None in formats else _memory.copy(joined, *formats)

    @staticmethod
    def backward(ctx, grad):
        before = (slice(None),) * ctx.dim
        return (None, *[grad[(*before, slice(*ends))] for ends in pairwise(ctx.ends)])


class Stack(RowOp):
    """Tensors joined along a new dimension."""

    takes_a_list = True

    @staticmethod
    def forward(ctx, dim, *tensors):
        ctx.dim = dim
        return np.stack([t.array for t in tensors], axis=dim)

    @staticmethod
    def backward(ctx, grad):
        before = (slice(None),) * ctx.dim
        return (None, *[grad[(*before, i, ...)] for i in range(grad.shape[ctx.dim])])


class Repeat(Op):
    """Copies laid side by side, as often as `repeats` says for each dimension."""

    @staticmethod
    def forward(ctx, a, repeats):
        ctx.shape, ctx.repeats = a.array.shape, repeats
        return np.tile(a.array, repeats)

    @staticmethod
    def backward(ctx, grad):
        extra = len(ctx.repeats) - len(ctx.shape)
        if extra:
            grad = both.sum(grad, tuple(range(extra)))
        if max(ctx.repeats[extra:], default=1) == 1:
            return grad
        pairs = [n for pair in zip(ctx.repeats[extra:], ctx.shape, strict=True) for n in pair]
        return both.sum(grad.reshape(pairs), tuple(range(0, len(pairs), 2)))


class Roll(Op):
    """Every element moved on; the gradient is moved back."""

    @staticmethod
    def forward(ctx, a, shifts, dims):
        ctx.shifts, ctx.dims = shifts, dims
        return _memory.follow(np.asarray(np.roll(a.array, shifts, dims), order="C"), a.array)

    @staticmethod
    def backward(ctx, grad):
        return Roll.of(grad, tuple(-shift for shift in ctx.shifts), ctx.dims)


class Rot90(Op):
    """k quarter turns in the plane of two dimensions; the gradient is turned back."""

    @staticmethod
    def forward(ctx, a, k, dims):
        ctx.k, ctx.dims = k, dims
        return np.rot90(_memory.copy(a.array), k, dims).copy("K")

    @staticmethod
    def backward(ctx, grad):
        return Rot90.of(grad, -ctx.k, ctx.dims)


class _Symmetric(Op):
    """A linear map that is its own transpose: what it does to the tensor, it does to the gradient."""

    map: Any

    @classmethod
    def forward(cls, ctx, a, *args):
        ctx.args = args
        return cls.map(a.array, *args)

    @classmethod
    def backward(cls, ctx, grad):
        return cls.of(grad, *ctx.args)


class Flip(_Symmetric):
    """The other way round along dimensions."""

    map = staticmethod(lambda array, dims: _memory.laid_as(array, np.flip(array, dims).copy()))


class Tril(_Symmetric, RowOp):
    """Zeros above a diagonal."""

    map = staticmethod(np.tril)


class Triu(_Symmetric, RowOp):
    """Zeros below a diagonal."""

    map = staticmethod(np.triu)


# --- the functions ----------------------------------------------------------------------------------------------------


def clone(input: Tensor, *, memory_format: memory_format | None = None) -> Tensor:
    """A copy that is part of the graph, of input's shape and type; in its order in memory, or in the format."""
    if memory_format is not None:
        _memory.need_format(memory_format, "clone")
    return Clone.apply(input, memory_format)


def contiguous(input: Tensor, format: memory_format = contiguous_format) -> Tensor:
    """The tensor itself if it lies in the format, by default one element after the other; else a copy for which that holds."""
    _memory.need_format(format, "contiguous")
    if _memory.lies_in(input.array, format):
        return input
    if format is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    return Clone.apply(input, format)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension: their lengths add up.

    RuntimeError if another dimension differs, or for a 0-d tensor; ValueError for an empty list.
    """
    tensors = [t for t in tensors if t.array.shape != (0,)] or list(tensors[:1])
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    first = tensors[0].array
    if first.ndim == 0:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    dim = wrap_dim(dim, first.ndim)
    for i, other in enumerate(tensors):
        shape = other.array.shape
        if len(shape) != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {len(shape)}")
        for d, (n, m) in enumerate(zip(first.shape, shape, strict=True)):
            if d != dim and n != m:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} but got size {m} for "
                    f"tensor number {i} in the list."
                )
    return Cat.apply(dim, *_same_type(tensors))


def _same_type(tensors: Sequence[Tensor]) -> list[Tensor]:
    kind = tensors[0].array.dtype
    for other in tensors[1:]:
        kind = promote(kind, other.array.dtype)
    return [to_dtype(tensor, kind) for tensor in tensors]


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape (...) -> (..., n, ...), the new dimension at `dim`. RuntimeError if the shapes differ."""
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    for i, other in enumerate(tensors):
        if other.array.shape != tensors[0].array.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].array.shape)} at entry 0 and "
                f"{list(other.array.shape)} at entry {i}"
            )
    return Stack.apply(wrap_dim(dim, tensors[0].array.ndim + 1), *_same_type(tensors))


def repeat(input: Tensor, repeats: Sequence[int]) -> Tensor:
    """Copies laid side by side, as often as `repeats` says for each dimension; more numbers make new leading ones.

    RuntimeError if there are fewer numbers than dimensions.
    """
    if len(repeats) < input.array.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    return Repeat.apply(input, _each(repeats))


def tile(input: Tensor, dims: Sequence[int]) -> Tensor:
    """Copies laid side by side: like `repeat`, but missing leading numbers count as 1."""
    return repeat(input, (1,) * (input.array.ndim - len(dims)) + tuple(dims))


def flip(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The elements in reverse order along the dimensions, a copy of input's shape. IndexError for a missing dimension."""
    return Flip.apply(input, wrap_dims(dims, input.array.ndim) if len(dims) else ())


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Shifted along the dimensions, of input's shape; what leaves at one end comes in at the other.

    Without `dims` the flattened tensor is shifted. RuntimeError if there are not as many shifts as dimensions.
    """
    steps, axes = _each(shifts), () if dims is None else _each(dims)
    if dims is None and len(steps) == 1:
        return Roll.apply(input, steps, None)
    if len(steps) != len(axes):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(steps)}, dims:{len(axes)}")
    if not input.array.ndim:
        raise IndexError(f"Dimension specified as {axes[0]} but tensor has no dimensions")
    if not input.array.size:
        return clone(input)
    return Roll.apply(input, steps, tuple(wrap_dim(d, input.array.ndim) for d in axes))


def _each(numbers: Any) -> tuple[int, ...]:
    """One integer or a sequence of them as a tuple."""
    return tuple(map(operator.index, numbers if isinstance(numbers, (tuple, list)) else (numbers,)))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k quarters in the plane of two dimensions, from the first towards the second. RuntimeError if they are one."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.array.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.array.ndim}")
    first, second = (wrap_dim(d, input.array.ndim) for d in dims)
    if first == second:
        raise RuntimeError(f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}")
    return Rot90.apply(input, operator.index(k), (first, second))


def _need_matrix(input: Tensor, name: str) -> None:
    if input.array.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """Zeros above the diagonal of the last two dimensions, of input's shape; diagonal 1 keeps one more. RuntimeError below 2-d."""
    _need_matrix(input, "tril")
    return Tril.apply(input, operator.index(diagonal))


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """Zeros below the diagonal of the last two dimensions, of input's shape; diagonal 1 drops one more. RuntimeError below 2-d."""
    _need_matrix(input, "triu")
    return Triu.apply(input, operator.index(diagonal))
