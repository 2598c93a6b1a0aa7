"""`x[...]` and `x[...] = v`: numbers, slices, None and ... give views; tensors, lists and masks pick elements."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn._mirror import since
from minicnn._tensor import Tensor, need_tensor
from minicnn._types import contiguous_format, short_name, type_name
from minicnn._warnings import warn_user
from minicnn.autograd import both, grad_mode, inplace
from minicnn.autograd.function import Op, RowOp
from minicnn.ops import arithmetic, comparison, elementwise, shape
from minicnn.ops._common import broadcast_shapes, fitting, implemented, number, wrap_dim
from minicnn.ops.copying import Copy, cat, clone
from minicnn.ops.shape import Alias, Slice, SliceBackward

__all__ = [
    "argwhere", "diff", "gather", "index_add", "index_copy", "index_fill", "index_put", "index_select", "masked_select", "nonzero",
    "repeat_interleave", "scatter", "scatter_add", "take", "take_along_dim",
]  # fmt: skip


class Index(RowOp):
    """Elements picked by index arrays or masks; one picked twice gets both gradients."""

    transpose: type[Op]

    @staticmethod
    def forward(ctx, a, key):
        ctx.shape = a.array.shape
        return a.array[_keep(ctx, key)]

    @classmethod
    def backward(cls, ctx, grad):
        return cls.transpose.of(both.zeros_like(grad, ctx.shape), grad, _kept(ctx), True)


def _keep(ctx: Any, key: tuple) -> tuple:
    """Save the tensors of a key, so that a write to them is noticed; return it with arrays, as NumPy wants it."""
    ctx.key = tuple(None if isinstance(pick, Tensor) else pick for pick in key)
    ctx.save_for_backward(*(pick for pick in key if isinstance(pick, Tensor)))
    return tuple(pick.array if isinstance(pick, Tensor) else pick for pick in key)


def _kept(ctx: Any) -> tuple:
    """The key that `_keep` saved."""
    tensors = iter(ctx.saved)
    return tuple(next(tensors) if pick is None else pick for pick in ctx.key)


class IndexPut(Op):
    """The tensor with other values at the picked places."""

    slots = 2

    @staticmethod
    def forward(ctx, a, values, key, accumulate):
        ctx.accumulate = accumulate
        return IndexPut.value(a.array, values.array, _keep(ctx, key), accumulate)

    @staticmethod
    def value(a, values, key, accumulate):
        out = a.copy()
        try:
            if accumulate:
                np.add.at(out, key, values)
            else:
                out[key] = values
        except ValueError:
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of "
                f"shape {list(out[key].shape)}"
            ) from None
        return out

    @staticmethod
    def backward(ctx, grad):
        key = _kept(ctx)
        to_a, to_values = grad, None
        if ctx.needs_input_grad[0] and not ctx.accumulate:
            to_a = IndexPut.of(grad, both.zeros_like(grad, ()), key, False)
        if ctx.needs_input_grad[1]:
            to_values = Index.of(grad, key)
        return to_a, to_values


class IndexBackward(IndexPut, node_name="IndexPutImplBackward0"):
    """Zeros, and the gradients added up at the picked places."""


class IndexSelectBackward(IndexPut, node_name="IndexAddBackward0"):
    """The same of whole slices."""


class MaskedSelectBackward(IndexPut, node_name="MaskedScatterBackward0"):
    """The same where the mask is true."""


Index.transpose = IndexBackward


class IndexSelect(Index):
    """Whole slices of one dimension."""

    saved_names = ("index",)
    transpose = IndexSelectBackward


class MaskedSelect(Index):
    """The elements where a mask is true."""

    saved_names = ("", "self")
    transpose = MaskedSelectBackward

    @staticmethod
    def forward(ctx, a, key):
        out = Index.forward(ctx, a, key)
        ctx.save_for_backward(*ctx._to_save, a)  # as in PyTorch: a write to it is noticed
        return out


class Gather(RowOp):
    """out[i][j] = a[index[i][j]][j] for dim 0, and so on."""

    saved_names = ("self", "index")

    @staticmethod
    def forward(ctx, a, dim, index):
        ctx.dim = dim
        ctx.save_for_backward(a, index)
        return np.atleast_1d(a.array)[_places(index.array, dim)].reshape(index.array.shape)

    @staticmethod
    def backward(ctx, grad):
        a, index = ctx.saved
        return GatherBackward.of(grad, index, a.shape, ctx.dim)


class GatherBackward(Op, node_name="ScatterAddBackward0"):
    """Zeros, and the gradients added up at the places that were read."""

    saves = (1,)

    @staticmethod
    def value(grad, index, shape, dim):
        out = np.zeros(shape, grad.dtype)
        np.add.at(np.atleast_1d(out), _places(index, dim), np.atleast_1d(grad))
        return out

    @staticmethod
    def backward(ctx, grad):
        (index,), (_, dim) = ctx.saved, ctx.options
        return Gather.of(grad, dim, index)


class PickBackward(GatherBackward, node_name="ScatterBackward0"):
    """The same where no element was read twice."""

    @staticmethod
    def value(grad, index, shape, dim):
        out = np.zeros(shape, grad.dtype)
        np.atleast_1d(out)[_places(index, dim)] = grad
        return out


def _places(index: np.ndarray, dim: int) -> tuple:
    """What `gather` reads and `scatter` writes, as NumPy's index; 0-d counts as a vector of one element."""
    index = np.atleast_1d(index)
    places: list[np.ndarray] = list(np.indices(index.shape, sparse=True))
    places[dim] = index
    return tuple(places)


# --- the functions ----------------------------------------------------------------------------------------------------


def index(input: Tensor, key: Any) -> Tensor:
    """input[key]. IndexError for an index out of range or of the wrong type, with the dimension and its size."""
    view, picks = _basic(input, key)
    if picks is not None:
        return Index.apply(view, _check(view, picks))
    if view is not input:
        return view
    whole = isinstance(key[0] if isinstance(key, tuple) and key else key, slice)
    return Slice.apply(input, 0, slice(None)) if whole else Alias.apply(input)


def index_put_(input: Tensor, key: Any, value: Any, accumulate: bool = False) -> Tensor:
    """input[key] = value, in place, or += if `accumulate`; the graph follows. RuntimeError for a value of another shape or,
    unless it is one number for a mask, of another type."""
    if key is False:
        return input
    view, picks = _basic(input, None if key is True else key)
    value = _assigned(value, input, view.array.shape if picks is None else None)
    inplace.check(view)
    if picks is None:
        inplace.assign(view, inplace.result_for(view, arithmetic.add if accumulate else Copy.apply, value))
        return input
    picks = _check(view, picks)
    if value.array.dtype != input.array.dtype:
        arrays = [pick for pick in picks if isinstance(pick, Tensor)]
        if not (len(arrays) == 1 and _is_mask(arrays[0]) and value.array.size == 1):
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {short_name(input.dtype)} for the "
                f"destination and {short_name(value.dtype)} for the source."
            )
        value = elementwise.to_dtype(value, input.array.dtype)
    inplace.assign(view, inplace.result_for(view, IndexPut.apply, value, picks, accumulate))
    return input


def _assigned(value: Any, target: Tensor, size: tuple[int, ...] | None) -> Tensor:
    """What is written: a number in the target's type; a tensor without leading ones, expanded to `size` if that is known.

    As in torch the tensor is looked at before the target is.
    """
    if not isinstance(value, Tensor):
        if isinstance(value, (int, np.integer)) and not -(2**63) <= value < 2**63:
            raise ValueError("Overflow when unpacking long long")
        if not isinstance(value, (bool, int, np.integer, float, complex)):
            raise TypeError(f"can't assign a {type_name(value)} to a torch.{target.dtype.tensor_type}")
        return Tensor.wrap(fitting(value, target.array.dtype))
    sizes = value.array.shape
    if sizes == size:
        return value
    ones = next((d for d, n in enumerate(sizes) if n != 1), len(sizes))
    if ones or (size is not None and sizes):
        value = shape.view(value, sizes[ones:])
    return value if size is None or value.array.shape in (size, ()) else shape.expand(value, size)


def _basic(input: Tensor, key: Any) -> tuple[Tensor, tuple | None]:
    """Apply the numbers, slices, None and `...` of the key; return the view and what is left for index arrays."""
    items = [_item(item) for item in (key if _means_several(key) else (key,))]
    used = sum(item.array.ndim if _is_mask(item) else item is not None and item is not Ellipsis for item in items)
    missing = input.array.ndim - used
    if input.array.ndim == 0 and used == 1 and isinstance(items[0], int):
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a 0-dim "
            "tensor to a number"
        )
    if input.array.ndim == 0 and isinstance(key, slice):
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    if missing < 0:
        raise IndexError(f"too many indices for tensor of dimension {input.array.ndim}")
    dim, dropped, picks, view = 0, 0, [], input
    for item in items:
        if item is Ellipsis:
            dim += missing
            picks += [slice(None)] * missing
        elif item is None:
            view = shape.unsqueeze(view, dim)
            dim += 1
            picks.append(slice(None))
        elif isinstance(item, int):
            length = view.array.shape[dim]
            if not -length <= item < length:
                raise IndexError(f"index {item} is out of bounds for dimension {dim + dropped} with size {length}")
            view = shape.select(view, dim, item)
            dropped += 1
        elif isinstance(item, slice):
            if item != slice(None):
                view = Slice.apply(view, dim, slice(*item.indices(view.array.shape[dim])))
            dim += 1
            picks.append(slice(None))
        else:
            if _is_mask(item) and item.array.ndim == 0:  # as in torch: all or nothing of a new dimension of length 1
                view, item = shape.unsqueeze(view, dim), Tensor.wrap(np.zeros(int(item.array), np.int64))
            dim += item.array.ndim if _is_mask(item) else 1
            picks.append(item)
    return view, tuple(picks) if any(isinstance(pick, Tensor) for pick in picks) else None


def _means_several(key: Any) -> bool:
    """Whether the key is a tuple, or a sequence that PyTorch takes for one: it is short and holds a sequence, a slice ..."""
    if isinstance(key, tuple) or not isinstance(key, (list, range)):
        return isinstance(key, tuple)
    if len(key) >= 32 or not any(
        isinstance(part, (Tensor, Sequence, slice)) or part is None or part is Ellipsis for part in key
    ):
        return False
    warn_user(
        "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; use "
        "x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], "
        "which will result either in an error or a different result"
    )
    return True


def _item(item: Any) -> Any:
    """One part of a key: None, ..., int, slice of ints, or a tensor of indices or a mask."""
    if item is None or item is Ellipsis:
        return item
    if isinstance(item, slice):
        item.indices(0)  # Python's errors for what is no integer, and for the step 0
        parts = [part if part is None else operator.index(part) for part in (item.start, item.stop, item.step)]
        if parts[2] is not None and parts[2] < 0:
            raise ValueError("step must be greater than zero")
        return slice(*parts)
    if isinstance(item, bool):
        item = Tensor.wrap(np.asarray(item))
    elif isinstance(item, (int, np.integer)):
        return int(item)
    elif isinstance(item, (list, tuple, range, str, bytes, np.ndarray)):
        item = Tensor.wrap(_whole(np.asarray(item)))
    if isinstance(item, Tensor):
        kind = item.array.dtype
        if kind == np.uint8:
            warn_user("indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.")
            return elementwise.to_dtype(item, np.dtype(bool))
        if kind.name not in ("bool", "int32", "int64") and (item.array.ndim or kind.kind not in "biu"):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if not isinstance(item, Tensor):
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
            f"{type_name(item)})"
        )
    return int(item.array) if item.array.ndim == 0 and not _is_mask(item) else item


def _whole(numbers: np.ndarray) -> np.ndarray:
    """What a list of indices means: a mask, or integers, to which fractions are cut off as in torch."""
    kind = numbers.dtype.kind
    if kind in "US":
        raise TypeError(f"new(): invalid data type '{'str' if kind == 'U' else 'bytes'}'")
    if kind == "c":
        raise TypeError("'complex' object cannot be interpreted as an integer")
    if kind == "O" and isinstance(numbers.flat[0], int):
        raise ValueError("Overflow when unpacking long long")
    if kind == "O":
        raise RuntimeError(f"Could not infer dtype of {type_name(numbers.flat[0])}")
    if kind == "f" and not (np.abs(numbers) < 2**63).all():
        raise RuntimeError("value cannot be converted to type int64 without overflow")
    return numbers if numbers.dtype in (np.bool_, np.uint8) else numbers.astype(np.int64)


def _is_mask(item: Any) -> bool:
    return isinstance(item, Tensor) and item.array.dtype.kind == "b"


def _check(view: Tensor, picks: tuple) -> tuple:
    """IndexError for a mask of another shape or an index out of range, with PyTorch's words."""
    dim = 0
    for pick in picks:
        if _is_mask(pick):
            for i, (n, m) in enumerate(zip(pick.array.shape, view.array.shape[dim:], strict=False)):
                if n != m:
                    raise IndexError(
                        f"The shape of the mask {list(pick.array.shape)} at index {i} does not match the shape of the indexed "
                        f"tensor {list(view.array.shape)} at index {dim + i}"
                    )
            dim += pick.array.ndim
            continue
        if isinstance(pick, Tensor) and pick.array.size:
            n = view.array.shape[dim]
            wrong = [int(i) for i in (pick.array.min(), pick.array.max()) if not -n <= i < n]
            if wrong:
                raise IndexError(f"index {wrong[0]} is out of bounds for dimension {dim} with size {n}")
        dim += 1
    return picks


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dimension that the vector `index` names, in its order. No negative indices."""
    dim = wrap_dim(dim, input.array.ndim)
    if index.array.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    if input.array.ndim == 0 and index.array.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {index.array.size} value(s)")
    if index.array.dtype not in (np.int32, np.int64):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    length, picks = input.array.shape[dim] if input.array.ndim else 1, index.array
    if picks.size and not (picks.min() >= 0 and picks.max() < length):
        raise IndexError(f"index out of range in self: {picks.min()} to {picks.max()} for a size of {length}")
    return IndexSelect.apply(input, (slice(None),) * dim + (_vector(index),) if input.array.ndim else ())


def _vector(tensor: Tensor) -> Tensor:
    """A 0-d tensor as a vector of one element; others as they are."""
    return tensor if tensor.array.ndim else shape.unsqueeze(tensor, 0)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, input[i][index[i][j]] for dim 1, and so on; of index's shape.

    RuntimeError for an index of another type than int32 and int64, with other dimensions, larger or out of range.
    """
    dim = wrap_dim(dim, input.array.ndim)
    if index.array.size == 0:  # whatever its type and its dimensions
        nothing = Tensor.wrap(np.zeros((0,) * (input.array.ndim or 1), np.int64))
        return shape.reshape(Gather.apply(input, dim, nothing), index.array.shape)
    _check_index("gather", input.array, dim, index.array, "input")
    return Gather.apply(input, dim, index)


def _check_index(name: str, array: np.ndarray, dim: int, index: np.ndarray, whose: str) -> None:
    if index.dtype not in (np.int32, np.int64):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    sizes, wanted = array.shape or (1,), index.shape or (1,)
    if len(sizes) != len(wanted):
        raise RuntimeError(f"Index tensor must have the same number of dimensions as {whose} tensor")
    for d, (n, m) in enumerate(zip(sizes, wanted, strict=True)):
        if d != dim and m > n:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(wanted)} to be no larger than {whose} "
                f"{list(sizes)} apart from dimension {dim}"
            )
    low, high = index.min(), index.max()
    if low < 0 or high >= sizes[dim]:
        wrong = high if high >= sizes[dim] else low
        raise RuntimeError(f"index {wrong} is out of bounds for dimension {dim} with size {sizes[dim]}")


class Scatter(Op):
    """The tensor with other values at the places that `gather` would read."""

    saved_names = ("index",)
    slots = 2

    @staticmethod
    def forward(ctx, a, src, dim, index):
        ctx.dim, ctx.window = dim, tuple(map(slice, index.array.shape))  # the part of src that is used
        ctx.save_for_backward(index)
        ctx.src_shape = src.array.shape if isinstance(src, Tensor) else None
        out = a.array.copy()
        values = fitting(src, out.dtype) if ctx.src_shape is None else src.array[ctx.window]
        np.atleast_1d(out)[_places(index.array, dim)] = values
        return out

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved
        to_a = to_src = None
        if ctx.needs_input_grad[0]:
            to_a = ScatterNumber.of(grad, 0, ctx.dim, index)
        if ctx.needs_input_grad[1]:
            to_src = Gather.of(grad, ctx.dim, index)
            if to_src.shape != ctx.src_shape:
                to_src = SliceBackward.of(to_src, ctx.src_shape, ctx.window)
        return to_a, to_src


class ScatterNumber(Scatter, node_name="ScatterBackward1"):
    """The same number at all of them."""


def scatter(input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    """A copy with out[index[i][j]][j] = src[i][j] for dim 0, and so on; `src` a tensor or a number.

    RuntimeError for an index that `gather` would refuse, and for a `src` of another type or smaller than the index.
    """
    dim = wrap_dim(dim, input.array.ndim)
    if index.array.size == 0:
        return clone(input)
    _check_index("scatter", input.array, dim, index.array, "self")
    if isinstance(src, Tensor):
        _check_source("scatter", input.array, index.array, src.array, dim)
        return Scatter.apply(input, _vector(src), dim, _vector(index))
    return ScatterNumber.apply(input, src, dim, _vector(index))


def _check_source(name: str, array: np.ndarray, index: np.ndarray, src: np.ndarray, dim: int) -> None:
    if src.dtype != array.dtype:
        raise RuntimeError("scatter(): Expected self.dtype to be equal to src.dtype")
    sizes, wanted = src.shape or (1,), index.shape or (1,)
    if len(sizes) != len(wanted) or any(m > n for n, m in zip(sizes, wanted, strict=True)):
        text = f"Expected index {list(wanted)} to be no larger than"
        if name == "scatter_add":
            text += f" self {list(array.shape)} apart from dimension {dim} and to be no larger size than"
        raise RuntimeError(f"{text} src {list(sizes)}")


class ScatterAdd(Scatter):
    """The tensor with other values added at the places that `gather` would read."""

    @staticmethod
    def forward(ctx, a, src, dim, index):
        ctx.dim, ctx.window, ctx.src_shape = dim, tuple(map(slice, index.array.shape)), src.array.shape
        ctx.save_for_backward(index)
        out = a.array.copy()
        np.add.at(np.atleast_1d(out), _places(index.array, dim), src.array[ctx.window])
        return out

    @staticmethod
    def backward(ctx, grad):
        return grad, Scatter.backward(ctx, grad)[1] if ctx.needs_input_grad[1] else None


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with out[index[i][j]][j] += src[i][j] for dim 0, and so on; what meets in one place is added up.

    RuntimeError for an index that `gather` would refuse, and for a `src` of another type or smaller than the index.
    """
    need_tensor(src, "scatter_add", "src", 4)
    dim = wrap_dim(dim, input.array.ndim)
    if index.array.size == 0:
        return clone(input)
    _check_index("scatter_add", input.array, dim, index.array, "self")
    _check_source("scatter_add", input.array, index.array, src.array, dim)
    return ScatterAdd.apply(input, _vector(src), dim, _vector(index))


class IndexAdd(Op):
    """The tensor with slices added at places of one dimension."""

    saved_names = ("index",)
    slots = 2

    @staticmethod
    def forward(ctx, a, source, index, dim, alpha):
        ctx.dim, ctx.alpha, ctx.shape = dim, alpha, source.array.shape
        ctx.save_for_backward(index)
        out = a.array.copy()
        slices = source.array if alpha == 1 else source.array * source.array.dtype.type(alpha)
        np.add.at(np.atleast_1d(out), _slices(index.array, dim), np.atleast_1d(slices))
        return out

    @staticmethod
    def backward(ctx, grad):
        if not ctx.needs_input_grad[1]:
            return grad
        to_source = _from_slices(ctx, grad)
        return grad, to_source if ctx.alpha == 1 else to_source * ctx.alpha


class IndexCopy(Op):
    """The tensor with other slices at places of one dimension."""

    saved_names = ("index",)
    slots = 2

    @staticmethod
    def forward(ctx, a, source, index, dim):
        ctx.dim, ctx.shape = dim, source.array.shape
        ctx.save_for_backward(index)
        out = a.array.copy()
        np.atleast_1d(out)[_slices(index.array, dim)] = source.array
        return out

    @staticmethod
    def backward(ctx, grad):
        to_a = IndexFill.of(grad, 0, *ctx.saved, ctx.dim) if ctx.needs_input_grad[0] else None
        return to_a, _from_slices(ctx, grad) if ctx.needs_input_grad[1] else None


class IndexFill(Op):
    """The tensor with one number at places of one dimension."""

    saved_names = ("index",)

    @staticmethod
    def forward(ctx, a, number, index, dim):
        ctx.dim = dim
        ctx.save_for_backward(index)
        out = a.array.copy()
        np.atleast_1d(out)[_slices(index.array, dim)] = fitting(number, out.dtype)
        return out

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved
        to_a = IndexFill.of(grad, 0, index, ctx.dim) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return to_a
        picked = grad - IndexFill.of(grad, 0, index, ctx.dim)  # a place that is named twice counts once
        return to_a, picked.sum()


class IndexFillTensor(IndexFill, node_name="IndexFillBackward1"):
    """The number is a 0-d tensor, which gets what arrives at its places."""

    slots = 2


def _slices(index: both.Both, dim: int) -> tuple:
    """NumPy's index of whole slices of a dimension."""
    return (slice(None),) * dim + (index.reshape((-1,)),)


def _from_slices(ctx: Any, grad: both.Both) -> both.Both:
    """What of a gradient belongs to the slices that were put into the tensor."""
    (index,) = ctx.saved
    slices = IndexSelect.of(grad, _slices(index, ctx.dim) if grad.ndim else ())
    return both.expand(slices, ctx.shape) if ctx.shape else slices


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A copy in which the slices of `source` times alpha are added to those that the vector `index` names.

    RuntimeError for sizes or types that do not fit, or an index out of range.
    """
    dim = _checked_slices("index_add_", input, dim, index, source)
    return IndexAdd.apply(input, source, index, dim, number(alpha, "index_add", "alpha"))


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy in which the slices of `source` stand in place of those that the vector `index` names.

    RuntimeError for sizes or types that do not fit; IndexError for an index out of range.
    """
    dim = _checked_slices("index_copy_", input, dim, index, source)
    return IndexCopy.apply(input, source, index, dim)


def _checked_slices(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> int:
    """The dimension from 0, when index and source have been looked at; `name` ends in an underscore, as in PyTorch's words."""
    dim, sizes, wanted = wrap_dim(dim, input.array.ndim), input.array.shape or (1,), source.array.shape or (1,)
    kind, adds = short_name(index.dtype), name == "index_add_"
    if index.array.ndim > 1:
        raise IndexError(
            f"{name}(): Index is supposed to be a vector, but got dim: {index.array.ndim} with type: {kind} and size: "
            f"{list(index.array.shape)}"
            if adds
            else f"{name}(): Index should have dimension 1 or 0 (got {index.array.ndim})"
        )
    if index.array.dtype != np.int64 and not (adds and index.array.dtype == np.int32):
        wants = f"dtype int32/int64 for index but got: {kind}" if adds else f"a long tensor for index, but got {kind}"
        raise RuntimeError(f"{name}(): Expected {wants}")
    if source.array.dtype != input.array.dtype:
        own, other = short_name(input.dtype), short_name(source.dtype)
        raise RuntimeError(
            f"{name}(): self ({own}) and source ({other}) must have the same scalar type"
            if adds
            else f"{name}(): self and source expected to have the same dtype, but got (self) {own} and (source) {other}"
        )
    count = index.array.size
    if len(wanted) == len(sizes) and wanted[dim] != count:
        text = f"{name}(): Number of indices ({count}) should be equal to source.size(dim)"
        raise (
            RuntimeError(f"{text}: ({wanted[dim]}), for dim: {dim}") if adds else IndexError(f"{text} ({wanted[dim]})")
        )
    if wanted != (*sizes[:dim], count, *sizes[dim + 1 :]):
        raise RuntimeError(
            f"{name}(): the source {list(wanted)} must have the shape of self {list(sizes)}, but for dim {dim}"
        )
    wrong = index.array[(index.array < 0) | (index.array >= sizes[dim])]
    if wrong.size:
        text = f"index {wrong.flat[0]} is out of bounds for dimension {dim} with size {sizes[dim]}"
        raise RuntimeError(text) if adds else IndexError(f"{name}(): {text}")
    return dim


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with one number, or that of a 0-d tensor, in the slices that the vector `index` names; negative ones count from the end.

    IndexError for an index that is not int64 or out of range; RuntimeError for a tensor with dimensions.
    """
    dim = wrap_dim(dim, input.array.ndim)
    if index.array.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    if index.array.ndim > 1:
        raise RuntimeError("Index has to be a vector/scalar")
    if isinstance(value, Tensor) and value.array.ndim:
        raise RuntimeError(
            f"index_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.array.ndim} dimension(s)."
        )
    length = input.array.shape[dim] if input.array.ndim else 1
    wrong = index.array[(index.array < -length) | (index.array >= length)]
    if wrong.size:
        raise IndexError(f"index {wrong.flat[0]} is out of bounds for dimension {dim} with size {length}")
    op = IndexFillTensor if isinstance(value, Tensor) else IndexFill
    return op.apply(input, value, index, dim)


def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with input[indices] = values, or += if `accumulate`; None stands for all of a dimension."""
    return clone(input).index_put_(tuple(indices), values, accumulate)


def take(input: Tensor, index: Tensor) -> Tensor:
    """The numbers at these places of the flattened tensor, of index's shape. IndexError for one out of range."""
    if index.array.dtype != np.int64:
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {short_name(index.dtype)}")
    size = input.array.size
    wrong = index.array[(index.array < -size) | (index.array >= size)]
    if wrong.size:
        raise IndexError(f"out of range: tried to access index {wrong.flat[0]} on a tensor of {size} elements.")
    return Index.apply(shape.flatten(input), (index,))


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with int64 indices that broadcast against the other dimensions; without `dim` in the flattened tensor.

    As in PyTorch an index counts modulo the length, so that there is none out of range.
    """
    if dim is None:
        return gather(shape.reshape(input, (-1,)), 0, shape.reshape(indices, (indices.array.size,)))
    if indices.array.dtype != np.int64:
        kind = short_name(indices.dtype)
        raise RuntimeError(f"torch.take_along_dim(): dtype of indices should be Long but got {kind}")
    ndim = input.array.ndim
    if ndim != indices.array.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{ndim} dimensions for input, and {indices.array.ndim} dimensions for indices"
        )
    dim = wrap_dim(dim, ndim)
    others = [tuple(1 if d == dim else n for d, n in enumerate(t.array.shape)) for t in (input, indices)]
    full = broadcast_shapes(*others)
    wide = [(*full[:dim], *t.array.shape[dim : dim + 1], *full[dim + 1 :]) for t in (input, indices)]
    indices = shape.expand(indices, wide[1])
    if indices.array.size:
        indices = arithmetic.remainder(indices, input.array.shape[dim])
    return gather(shape.expand(input, wide[0]), dim, indices)


def repeat_interleave(
    input: Tensor, repeats: Tensor | int | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each slice of a dimension several times in a row: (a, b) twice is (a, a, b, b).

    Args:
        input: any tensor; the repeats, if they are not given: then the result has their numbers' places.
        repeats: how often each; a number, or a vector with one for each slice.
        dim: the dimension; without it the numbers in rows, as a vector.
        output_size: how many slices the result has, if that is known: it is checked.

    Raises:
        RuntimeError: a negative number; sizes that do not fit.
        NotImplementedError: repeats that are not int32 or int64 (since 2.14 smaller ones are taken).
    """
    if repeats is None:
        return _repeated_places(input, output_size)
    if dim is None:
        input, dim = shape.flatten(input), 0
    if not isinstance(repeats, Tensor):
        if isinstance(repeats, bool) or not isinstance(repeats, (int, np.integer)):
            raise TypeError(
                "repeat_interleave() received an invalid combination of arguments - got (Tensor, "
                f"{type(repeats).__name__}), where the repeats must be Tensor or int"
            )
        return _each_repeated(input, int(repeats), wrap_dim(dim, input.array.ndim), output_size)
    dim = wrap_dim(dim, input.array.ndim)
    length = input.array.shape[dim] if input.array.ndim else 1
    if repeats.array.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if repeats.array.size == 1:
        repeats = shape.expand(shape.reshape(repeats, (1,)), (length,))
    elif repeats.array.size != length:
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{repeats.array.size} and input.size({dim}) = {length}"
        )
    places = _repeated_places(repeats, output_size)
    return index_select(input, dim, places if places.dtype.itemsize > 2 else places.long())


def _repeated_places(repeats: Tensor, output_size: int | None) -> Tensor:
    """The index of each number, as often as it says."""
    if repeats.array.ndim != 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    small = (np.uint8, np.int8, np.int16) if since(2, 14) else ()
    if repeats.array.dtype not in (np.int32, np.int64, *small):
        implemented("repeat_interleave_cpu", repeats.array.dtype, "")
    if (repeats.array < 0).any():
        raise RuntimeError("repeats can not be negative")
    if output_size is not None and output_size != repeats.array.sum():
        raise RuntimeError("allocated size does not match required size")
    return Tensor.wrap(np.repeat(np.arange(repeats.array.size, dtype=repeats.array.dtype), repeats.array))


def _each_repeated(input: Tensor, repeats: int, dim: int, output_size: int | None) -> Tensor:
    """By a copy of a view in which the slices are repeated."""
    if repeats < 0:
        raise RuntimeError("Repeats must be non-negative")
    turned = shape.unsqueeze(input, dim + 1)
    before, size, behind = turned.array.shape[:dim], turned.array.shape[dim], turned.array.shape[dim + 2 :]
    if output_size is not None and output_size != size * repeats:
        raise RuntimeError(f"repeat_interleave: Invalid output_size, expected {size * repeats} but got {output_size}")
    copies = clone(shape.expand(turned, (*before, size, repeats, *behind)), memory_format=contiguous_format)
    return shape.flatten(copies, dim, dim + 1)


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """What each number along a dimension has more than the one before it: one number less, or `n` if that is done n times.

    Args:
        input: any tensor with dimensions; of booleans, where neighbours are different.
        prepend, append: slices that are put at either end before.

    Raises:
        RuntimeError: a 0-d tensor, a negative n, slices of another shape.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"diff(): argument 'n' must be int, not {type_name(n)}")
    if not input.array.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    dim = wrap_dim(dim, input.array.ndim)
    for more in (prepend, append):
        if more is not None:
            _check_more(input, more, dim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    parts = [part for part in (prepend, input, append) if part is not None]
    whole = cat(parts, dim) if len(parts) > 1 else input
    if n == 0:
        return Tensor.wrap(np.empty_like(whole.array)).copy_(whole)
    for _ in range(min(n, whole.array.shape[dim])):
        rest = whole.array.shape[dim] - 1
        later, earlier = shape.narrow(whole, dim, 1, rest), shape.narrow(whole, dim, 0, rest)
        whole = comparison.ne(later, earlier) if whole.array.dtype.kind == "b" else arithmetic.sub(later, earlier)
    return whole


def _check_more(input: Tensor, more: Tensor, dim: int) -> None:
    """RuntimeError unless both can be joined along `dim`."""
    if more.array.ndim != input.array.ndim:
        raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    for i, (size, other) in enumerate(zip(input.array.shape, more.array.shape, strict=True)):
        if i != dim and size != other:
            raise RuntimeError(
                "diff expects the shape of tensor to prepend or append to match that of input except along the "
                f"differencing dimension; input.size({i}) = {size}, but got tensor.size({i}) = {other}"
            )


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true: (count,). The mask broadcasts against the input. RuntimeError if it is none."""
    if not _is_mask(mask):
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    full = broadcast_shapes(mask.array.shape, input.array.shape)
    input, mask = (t if t.array.shape == full else shape.expand(t, full) for t in (input, mask))
    return MaskedSelect.apply(input, (mask,))


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not 0: (count, ndim), or one tensor for each dimension."""
    places = np.nonzero(input.array)
    return tuple(map(Tensor.wrap, places)) if as_tuple else Tensor.wrap(np.stack(places, axis=-1))


def argwhere(input: Tensor) -> Tensor:
    """The indices of the elements that are not 0: (count, ndim)."""
    return nonzero(input)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 class numbers of shape (...) as int64 codes of shape (..., num_classes): a one at the class, else zeros.

    `num_classes` is the largest number plus one if it is -1.
    """
    need_tensor(tensor, "one_hot", "tensor")
    classes = tensor.array
    if classes.dtype != np.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    if classes.size == 0:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
    else:
        if classes.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        if num_classes == -1:
            num_classes = int(classes.max()) + 1
        elif classes.max() >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    return Tensor.wrap((classes[..., None] == np.arange(num_classes)).astype(np.int64, order="C"))


class Embedding(RowOp):
    """Rows of a table by their numbers; the gradient is added up in the rows, but for `padding_idx`."""

    saved_names = ("indices",)

    @staticmethod
    def forward(ctx, weight, index, padding_idx, by_frequency):
        ctx.options = weight.array.shape[0], padding_idx, by_frequency
        ctx.save_for_backward(index)
        return weight.array[index.array]

    @staticmethod
    def backward(ctx, grad):
        return EmbeddingBackward.of(grad, *ctx.saved, *ctx.options)


class EmbeddingBackward(Op, node_name="EmbeddingDenseBackwardBackward0"):
    """The sums of the gradients of each row; with `by_frequency` their means."""

    saves = (1,)

    @staticmethod
    def value(grad, index, rows, padding_idx, by_frequency):
        grad = grad * _shares(index, rows, padding_idx, by_frequency, grad.dtype)
        out = np.zeros((rows, grad.shape[-1]), grad.dtype)
        np.add.at(out, index, grad)
        return out

    @staticmethod
    def backward(ctx, grad):
        (index,), (_, *options) = ctx.saved, ctx.options
        kind = (grad.array if isinstance(grad, Tensor) else grad).dtype
        shares = both.constant(lambda places: _shares(places, grad.shape[0], *options, kind), index)
        return Embedding.of(grad, index, *options) * shares


def _shares(index: np.ndarray, rows: int, padding_idx: int | None, by_frequency: bool, kind: np.dtype) -> np.ndarray:
    """By what the gradient of each place is multiplied."""
    shares = 1 / np.bincount(index.ravel(), minlength=rows)[index] if by_frequency else np.ones(index.shape)
    return np.where(index == (-1 if padding_idx is None else padding_idx), 0, shares)[..., None].astype(kind)


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table by their numbers: (...) -> (..., size).

    Args:
        input: int32 or int64 numbers.
        weight: the table, (count, size).
        padding_idx: a row without a gradient; may count from the end.
        max_norm: rows with a larger norm are made as short before, in place.
        norm_type: which norm that is.
        scale_grad_by_freq: the gradient of a row is the mean over its places and not the sum.
        sparse: must be False: a gradient here has all rows.

    Raises:
        RuntimeError: numbers of another type, a table of other dimensions.
        IndexError: a number that the table does not have.
        AssertionError: a padding_idx that it does not have.
    """
    need_tensor(weight, "embedding", "weight")
    need_tensor(input, "embedding", "indices", 2)
    if sparse:
        raise NotImplementedError("embedding: sparse gradients are not there; use sparse=False")
    count = weight.array.shape[0] if weight.array.ndim else 0
    if weight.array.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if input.array.dtype not in (np.int32, np.int64):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{input.dtype.tensor_type} instead (while checking arguments for embedding)"
        )
    if padding_idx is not None:
        if not -count <= padding_idx < count:
            raise AssertionError("Padding_idx must be within num_embeddings")
        padding_idx %= count
    if ((input.array < 0) | (input.array >= count)).any():
        raise IndexError("index out of range in self")
    if max_norm is not None:
        used = np.unique(input.array)
        rows = weight.array[used]
        lengths = np.linalg.norm(rows.astype(np.float64), norm_type, axis=1, keepdims=True)
        short = np.where(lengths > max_norm, rows * (max_norm / (lengths + 1e-7)), rows)
        with grad_mode.no_grad():
            weight[Tensor.wrap(used)] = Tensor.wrap(short.astype(rows.dtype))
    return Embedding.apply(weight, input, padding_idx, scale_grad_by_freq)
