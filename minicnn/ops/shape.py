"""The same numbers in another shape. Most results are views: they share the memory of their input."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn._types import contiguous_format
from minicnn.autograd import both
from minicnn.autograd.function import Op, ViewOp
from minicnn.ops._common import broadcast_shapes, check_expand, wrap_dim, wrap_dims
from minicnn.ops.copying import clone

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_tensors", "broadcast_to", "chunk", "diag", "diag_embed", "diagonal", "dsplit",
    "flatten", "hsplit", "movedim", "narrow", "numel", "permute", "ravel", "reshape", "select", "split", "squeeze", "t", "tensor_split",
    "trace", "transpose", "unbind", "unflatten", "unsqueeze", "vsplit",
]  # fmt: skip


class View(ViewOp):
    """Another shape for the same memory."""

    @staticmethod
    def forward(ctx, a, shape):
        ctx.shape = a.array.shape
        return a.array.reshape(shape, copy=False)

    @staticmethod
    def backward(ctx, grad):
        return grad.reshape(ctx.shape)


class ReshapeAlias(View):
    """The same, of memory that is not in one piece."""


class UnsafeView(Op):
    """A new shape for memory that nobody else sees."""

    @staticmethod
    def forward(ctx, a, shape):
        ctx.shape = a.array.shape
        return a.array.reshape(shape)

    backward = View.backward


class Alias(ViewOp):
    """The same memory in the same shape: `x[...]`."""

    @staticmethod
    def forward(ctx, a):
        return a.array.view()

    @staticmethod
    def backward(ctx, grad):
        return grad


class Permute(ViewOp):
    """The dimensions in another order."""

    @staticmethod
    def forward(ctx, a, dims):
        ctx.back = tuple(np.argsort(dims).tolist())
        return a.array.transpose(dims)

    @staticmethod
    def backward(ctx, grad):
        return both.permute(grad, ctx.back)


class Transpose(ViewOp):
    """Two dimensions exchanged."""

    @staticmethod
    def forward(ctx, a, dim0, dim1):
        ctx.dims = dim0, dim1
        return a.array.swapaxes(dim0, dim1) if a.array.ndim else a.array.view()

    @staticmethod
    def backward(ctx, grad):
        return both.transpose(grad, *ctx.dims) if grad.ndim else grad


class T(ViewOp):
    """A matrix turned over."""

    @staticmethod
    def forward(ctx, a):
        return a.array.T

    @staticmethod
    def backward(ctx, grad):
        return both.t(grad)


class Squeeze(View, node_name="SqueezeBackward0"):
    """Without all dimensions of length 1."""

    @staticmethod
    def forward(ctx, a, dims):
        ctx.dims = dims
        return a.array.squeeze(dims)

    @staticmethod
    def backward(ctx, grad):
        return both.unsqueeze(grad, ctx.dims)


class SqueezeDim(Squeeze, node_name="SqueezeBackward1"):
    """Without one dimension of length 1."""


class SqueezeDims(Squeeze, node_name="SqueezeBackward2"):
    """Without some dimensions of length 1."""


class Unsqueeze(View):
    """With one more dimension of length 1."""

    @staticmethod
    def forward(ctx, a, dim):
        ctx.dim = dim
        return np.expand_dims(a.array, dim)

    @staticmethod
    def backward(ctx, grad):
        return grad.squeeze(ctx.dim)


class Expand(ViewOp):
    """Dimensions of length 1 repeated without a copy; the engine sums the gradient."""

    @staticmethod
    def forward(ctx, a, shape):
        strides = np.broadcast_to(a.array, shape).strides
        return np.lib.stride_tricks.as_strided(a.array, shape, strides)

    @staticmethod
    def backward(ctx, grad):
        return grad


class Select(ViewOp):
    """One index of a dimension, which goes away."""

    @staticmethod
    def forward(ctx, a, dim, index):
        ctx.key, ctx.shape = (slice(None),) * dim + (index, ...), a.array.shape
        return a.array[ctx.key]

    @staticmethod
    def backward(ctx, grad):
        return SelectBackward.of(grad, ctx.shape, ctx.key)


class Slice(Select):
    """A range of a dimension."""

    @staticmethod
    def backward(ctx, grad):
        return SliceBackward.of(grad, ctx.shape, ctx.key)


class Diagonal(ViewOp):
    """The diagonal of two dimensions."""

    @staticmethod
    def forward(ctx, a, offset, dim1, dim2):
        ctx.place, ctx.shape = (offset, dim1, dim2), a.array.shape
        return _diagonal(a.array, *ctx.place)

    @staticmethod
    def backward(ctx, grad):
        return DiagonalBackward.of(grad, ctx.shape, *ctx.place)


class DiagonalBackward(Op):
    """Zeros, and the gradient on the diagonal."""

    saves = ()

    @staticmethod
    def value(grad, shape, *place):
        out = np.zeros(shape, grad.dtype)
        _diagonal(out, *place)[...] = grad
        return out

    @staticmethod
    def backward(ctx, grad):
        _, *place = ctx.options
        return Diagonal.of(grad, *place)


def _diagonal(array: np.ndarray, *place: int) -> np.ndarray:
    """A view that can be written."""
    part = array.diagonal(*place)
    part.flags.writeable = array.flags.writeable
    return part


class SelectBackward(Op):
    """Zeros, and the gradient in its place."""

    saves = ()

    @staticmethod
    def value(grad, shape, key):
        out = np.zeros(shape, grad.dtype)
        out[key] = grad
        return out

    @staticmethod
    def backward(ctx, grad):
        _, key = ctx.options
        return grad[key]


class SliceBackward(SelectBackward):
    """The same for a range."""


class Split(ViewOp):
    """Consecutive pieces along a dimension, each a view."""

    @staticmethod
    def forward(ctx, a, dim, bounds):
        ctx.dim = dim
        ctx.materialize = [a.array.shape[:dim] + (hi - lo,) + a.array.shape[dim + 1 :] for lo, hi in bounds]
        return tuple(a.array[(slice(None),) * dim + (slice(lo, hi),)] for lo, hi in bounds)

    @staticmethod
    def backward(ctx, *grads):
        return both.cat(grads, ctx.dim)


class SplitWithSizes(Split):
    """Pieces of given lengths."""


class Unbind(ViewOp):
    """The slices along a dimension, each a view without it."""

    @staticmethod
    def forward(ctx, a, dim):
        ctx.dim = dim
        return tuple(np.moveaxis(a.array, dim, 0)[i, ...] for i in range(a.array.shape[dim]))

    @staticmethod
    def backward(ctx, *grads):
        return both.stack(grads, ctx.dim)


class Unfold(ViewOp):
    """Windows of `size` along a dimension, in steps; the windows' elements become the last dimension."""

    @staticmethod
    def forward(ctx, a, dim, size, step):
        ctx.window, ctx.shape = (dim, size, step), a.array.shape
        return _windows(a.array, dim, size, step)

    @staticmethod
    def backward(ctx, grad):
        return UnfoldBackward.of(grad, ctx.shape, *ctx.window)


class UnfoldBackward(Op):
    """Zeros, and the gradients of the windows added up in their places."""

    saves = ()

    @staticmethod
    def value(grad, shape, dim, size, step):
        out = np.zeros(shape, grad.dtype)
        np.add.at(_windows(out, dim, size, step), ..., grad)
        return out

    @staticmethod
    def backward(ctx, grad):
        _, *window = ctx.options
        return Unfold.of(grad, *window)


def _windows(array: np.ndarray, dim: int, size: int, step: int) -> np.ndarray:
    """A view of all windows, which can be written."""
    windows = np.lib.stride_tricks.sliding_window_view(array, size, dim, writeable=True)
    return windows[(slice(None),) * dim + (slice(None, None, step),)]


# --- the functions ----------------------------------------------------------------------------------------------------


def _full_shape(shape: Sequence[int], size: int) -> tuple[int, ...]:
    """The shape with its one -1 worked out. RuntimeError if the numbers do not fit."""
    shape = tuple(operator.index(n) for n in shape)
    if min(shape, default=0) >= 0 and math.prod(shape) == size:
        return shape
    if shape.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if any(n < -1 for n in shape):
        raise RuntimeError(f"invalid shape dimension {min(shape)}")
    known = int(np.prod([n for n in shape if n != -1], dtype=np.int64))
    if -1 in shape and known == 0 and size == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 can "
            "be any value and is ambiguous"
        )
    if (-1 not in shape and known != size) or (-1 in shape and (known == 0 or size % known)):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return tuple(size // known if n == -1 else n for n in shape)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.array.size


def view(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The same memory in another shape, one -1 worked out. RuntimeError if that needs a copy: use `reshape`."""
    shape = _full_shape(shape, input.array.size)
    try:
        return View.apply(input, shape)
    except ValueError:
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        ) from None


def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The same elements in another shape, one -1 worked out: a view where that is possible, else a copy."""
    shape = _full_shape(shape, input.array.size)
    try:
        return (View if input.array.flags.c_contiguous else ReshapeAlias).apply(input, shape)
    except ValueError:
        return UnsafeView.apply(clone(input, memory_format=contiguous_format), shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """(a, b, c, ...) -> (a * b * c * ...): the dimensions from start_dim to end_dim as one; a view where possible."""
    ndim = input.array.ndim
    start, end = wrap_dim(start_dim, ndim), wrap_dim(end_dim, ndim)
    if ndim == 0:
        return reshape(input, (1,))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end:
        return input
    shape = input.array.shape
    joined = int(np.prod(shape[start : end + 1], dtype=np.int64))
    return reshape(input, (*shape[:start], joined, *shape[end + 1 :]))


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension as several, of these sizes, one -1 worked out; a view. RuntimeError if they do not fit."""
    if not input.array.ndim or not len(sizes):
        raise RuntimeError(f"unflatten: a dimension and its sizes are needed, got {input.array.ndim} and {list(sizes)}")
    dim = wrap_dim(dim, input.array.ndim)
    shape = input.array.shape
    return view(input, (*shape[:dim], *_full_shape(sizes, shape[dim]), *shape[dim + 1 :]))


def permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    """The dimensions in another order, without a copy. RuntimeError unless `dims` names each once."""
    ndim = input.array.ndim
    if len(dims) != ndim:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
            f"ordering of dimensions i.e. input.dim() = {ndim} is not equal to len(dims) = {len(dims)}"
        )
    dims = tuple(wrap_dim(d, ndim) for d in dims)
    if len(set(dims)) != len(dims):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return Permute.apply(input, dims)


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Dimensions moved to other places, the others in their order; a view.

    IndexError if there is no such dimension; RuntimeError for one that is named twice, or for different counts.
    """
    ndim, places = input.array.ndim, []
    given = [d if isinstance(d, (tuple, list)) else (d,) for d in (source, destination)]
    if len(given[0]) != len(given[1]):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(given[0])} dims) should contain the same number of "
            f"dims as destination ({list(given[1])} dims)"
        )
    for name, dims in zip(("source", "destination"), given, strict=True):
        places.append([wrap_dim(d, ndim) for d in dims])
        if len(set(places[-1])) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(dims)})")
    order = [d for d in range(ndim) if d not in places[0]]
    for there, dim in sorted(zip(*places[::-1], strict=True)):
        order.insert(there, dim)
    return permute(input, order) if ndim else Alias.apply(input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged, without a copy. IndexError if there is no such dimension."""
    return Transpose.apply(input, wrap_dim(dim0, input.array.ndim), wrap_dim(dim1, input.array.ndim))


def t(input: Tensor) -> Tensor:
    """(n, m) -> (m, n), a view; a vector stays as it is. RuntimeError for more dimensions."""
    if input.array.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.array.ndim}D")
    return T.apply(input)


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Without the dimensions of length 1: all of them, or those named; a view."""
    shape = input.array.shape
    named = () if dim == () or dim == [] else wrap_dims(dim, len(shape))  # None: all
    gone = tuple(i for i, n in enumerate(shape) if n == 1 and i in named)
    op = Squeeze if dim is None else SqueezeDims if isinstance(dim, (tuple, list)) else SqueezeDim
    return op.apply(input, gone)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With one more dimension, of length 1, at `dim`; a view."""
    return Unsqueeze.apply(input, wrap_dim(dim, input.array.ndim + 1))


def expand(input: Tensor, shape: Sequence[int]) -> Tensor:
    """Dimensions of length 1 repeated to `shape` without a copy; -1 keeps a length. RuntimeError if another one differs."""
    old = input.array.shape
    extra = len(shape) - len(old)
    if extra < 0:
        raise RuntimeError(
            f"expand(torch.{input.dtype.tensor_type}{{{list(old)}}}, size={list(shape)}): the number of sizes provided "
            f"({len(shape)}) must be greater or equal to the number of dimensions in the tensor ({len(old)})"
        )
    lengths = map(operator.index, shape)
    new = tuple(old[i - extra] if n == -1 and i >= extra else n for i, n in enumerate(lengths))
    check_expand(old, new)
    return Expand.apply(input, new)


def broadcast_to(input: Tensor, shape: Sequence[int]) -> Tensor:
    """Dimensions of length 1 repeated to `shape`, without a copy; another name of `expand`."""
    return expand(input, shape)


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """One index of a dimension, which goes away; a view. IndexError if it is out of range."""
    if not input.array.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim, index = wrap_dim(dim, input.array.ndim), operator.index(index)
    length = input.array.shape[dim]
    if not -length <= index < length:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.array.shape)} at dimension {dim}"
        )
    return Select.apply(input, dim, index)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` indices of a dimension from `start`; a view. IndexError or RuntimeError if they are out of range."""
    if not input.array.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = wrap_dim(dim, input.array.ndim)
    size = input.array.shape[dim]
    start, length = operator.index(start), operator.index(length)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    start += size if start < 0 else 0
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return Slice.apply(input, dim, slice(start, start + length))


def split(input: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along `dim` of the given length (the last may be shorter), or of the given lengths; views.

    RuntimeError if the lengths do not add up to the dimension's.
    """
    if not input.array.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = wrap_dim(dim, input.array.ndim)
    n = input.array.shape[dim]
    if isinstance(split_size_or_sections, (int, np.integer, Tensor)):
        op, size = Split, operator.index(split_size_or_sections)
        if size < 0:
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={size}")
        if size == 0 and n:
            raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}")
        bounds = [(lo, builtins.min(lo + size, n)) for lo in range(0, n, size)] if size and n else [(0, n)]
    else:
        if any(size < 0 for size in split_size_or_sections):
            raise RuntimeError(
                "split_with_sizes expects split_sizes have only non-negative entries, but got "
                f"split_sizes={list(split_size_or_sections)}"
            )
        if builtins.sum(split_size_or_sections) != n:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), but "
                f"got split_sizes={list(split_size_or_sections)}"
            )
        op, ends = SplitWithSizes, np.cumsum(split_size_or_sections).tolist()
        bounds = list(zip([0, *ends[:-1]], ends, strict=True))
    return op.apply(input, dim, bounds)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` pieces of equal length along `dim` (the last may be shorter); views. RuntimeError below one."""
    if not input.array.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    chunks = operator.index(chunks)
    if chunks < 1:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input.array.shape[wrap_dim(dim, input.array.ndim)]
    return split(input, -(-n // chunks) if n else [0] * chunks, dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along a dimension, as many as it is long, each without it; views."""
    return Unbind.apply(input, wrap_dim(dim, input.array.ndim))


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal of two dimensions, which becomes the last one; `offset`: how far to the right, below zero to the left; a view.

    RuntimeError if they are one.
    """
    first, second = (wrap_dim(d, input.array.ndim) for d in (dim1, dim2))
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return Diagonal.apply(input, operator.index(offset), first, second)


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """(..., n) as matrices of zeros with these numbers on a diagonal, in the dimensions dim1 and dim2 of the result.

    RuntimeError if they are one.
    """
    ndim, size = input.array.ndim + 1, input.array.shape[-1] + builtins.abs(offset)
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    sizes = list(input.array.shape[:-1])
    for dim in sorted((first, second)):
        sizes.insert(dim, size)
    return DiagonalBackward.apply(input, tuple(sizes), operator.index(offset), first, second)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or a vector as a matrix with this diagonal. RuntimeError for other numbers of dimensions."""
    if input.array.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.array.ndim}D")
    return (
        diag_embed(input, diagonal)
        if input.array.ndim == 1
        else clone(Diagonal.apply(input, operator.index(diagonal), 0, 1))
    )


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal: (). RuntimeError for other numbers of dimensions."""
    if input.array.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.array.ndim}")
    return diagonal(input).sum()


def ravel(input: Tensor) -> Tensor:
    """The numbers in rows as a vector; a view where possible."""
    return reshape(input, (-1,))


def _each(tensors: tuple, shaped: Callable[[Tensor], Tensor]) -> Any:
    """One tensor, or each of several, as a tuple."""
    if len(tensors) == 1:
        if isinstance(tensors[0], Tensor):
            return shaped(tensors[0])
        tensors = tuple(tensors[0])
    return tuple([shaped(tensor) for tensor in tensors])


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor, a 0-d one as a vector; of one tensor one, of several a tuple."""
    return _each(tensors, lambda x: x if x.array.ndim else reshape(x, (1,)))


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor, a vector as a row of a matrix; of one tensor one, of several a tuple."""
    return _each(tensors, lambda x: x if x.array.ndim > 1 else reshape(x, (1, x.array.size)))


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor, a vector as (1, n, 1), a matrix as (n, m, 1); of one tensor one, of several a tuple."""

    def shaped(x: Tensor) -> Tensor:
        if x.array.ndim == 2:
            return unsqueeze(x, -1)
        return x if x.array.ndim > 2 else reshape(x, (1, x.array.size, 1))

    return _each(tensors, shaped)


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Each tensor expanded to their common shape, without copies. RuntimeError if there is none."""
    tensors = tuple(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    common = broadcast_shapes(*(tensor.array.shape for tensor in tensors))
    return tuple([expand(tensor, common) for tensor in tensors])


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """As many pieces along `dim` as a number says, nearly equal, or cut at these indices; views.

    RuntimeError for no dimensions, or for less than one piece.
    """
    if not input.array.ndim:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    dim = wrap_dim(dim, input.array.ndim)
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    n = input.array.shape[dim]
    if isinstance(indices_or_sections, (tuple, list)):
        cuts = [
            slice(*pair).indices(n)[:2]
            for pair in zip([0, *indices_or_sections], [*indices_or_sections, None], strict=True)
        ]
    else:
        sections = operator.index(indices_or_sections)
        if sections <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {sections}")
        ends = [k * (n // sections) + builtins.min(k, n % sections) for k in range(sections + 1)]
        cuts = list(zip(ends, ends[1:], strict=False))
    return tuple([Slice.apply(input, dim, slice(lo, builtins.max(lo, hi))) for lo, hi in cuts])


def _split_along(name: str, input: Tensor, indices_or_sections: Any, dim: int, least: int) -> tuple[Tensor, ...]:
    if input.array.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
            f"{input.array.ndim} dimensions!"
        )
    n = input.array.shape[dim]
    if isinstance(indices_or_sections, int) and n % (indices_or_sections or n + 1):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {n} is not divisible by "
            f"the split_size {indices_or_sections}!"
        )
    return tensor_split(input, indices_or_sections, dim)


def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the second dimension, of a vector along its only one: a number of equal ones, or cut at these indices; views."""
    return _split_along("hsplit", input, indices_or_sections, 0 if input.array.ndim == 1 else 1, 1)


def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the first dimension of at least two: a number of equal ones, or cut at these indices; views."""
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the third dimension: a number of equal ones, or cut at these indices; views."""
    return _split_along("dsplit", input, indices_or_sections, 2, 3)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` along a dimension, `step` apart, as a new last dimension; a view."""
    dimension = wrap_dim(dimension, input.array.ndim)
    length = input.array.shape[dimension] if input.array.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(f"maximum size for tensor at dimension {dimension} is {length} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not input.array.ndim:
        return narrow(unsqueeze(input, 0), 0, 0, size)
    return Unfold.apply(input, dimension, size, step)
