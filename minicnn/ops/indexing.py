"""`x[...]` and `x[...] = v`: numbers, slices, None and ... give views; tensors, lists and masks pick elements."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import inplace
from minicnn.autograd.function import Op
from minicnn.autograd.tensor_base import TensorBase
from minicnn.ops import shape
from minicnn.ops._common import broadcast_shapes, wrap_dim
from minicnn.ops.copying import Copy
from minicnn.ops.shape import Alias, Slice


class Index(Op):
    """Elements picked by index arrays or masks; one picked twice gets both gradients."""

    @staticmethod
    def forward(ctx, a, key):
        ctx.shape = a.array.shape
        return a.array[_keep(ctx, key)]

    @staticmethod
    def backward(ctx, grad):
        out = np.zeros(ctx.shape, grad.array.dtype)
        np.add.at(out, _kept(ctx), grad.array)
        return out


def _keep(ctx: Any, key: tuple) -> tuple:
    """Save the tensors of a key, so that a write to them is noticed; return it with arrays, as NumPy wants it."""
    ctx.key = tuple(None if isinstance(pick, TensorBase) else pick for pick in key)
    ctx.save_for_backward(*(pick for pick in key if isinstance(pick, TensorBase)))
    return tuple(pick.array if isinstance(pick, TensorBase) else pick for pick in key)


def _kept(ctx: Any) -> tuple:
    """The key that `_keep` saved."""
    tensors = iter(ctx.saved_tensors)
    return tuple(next(tensors).array if pick is None else pick for pick in ctx.key)


class IndexPut(Op):
    """The tensor with other values at the picked places."""

    slots = 2

    @staticmethod
    def forward(ctx, a, values, key, accumulate):
        ctx.accumulate, key = accumulate, _keep(ctx, key)
        out = a.array.copy()
        new = values.array if isinstance(values, TensorBase) else np.asarray(values, out.dtype)
        ctx.values_shape = new.shape
        if accumulate:
            np.add.at(out, key, new)
        else:
            out[key] = new
        return out

    @staticmethod
    def backward(ctx, grad):
        key = _kept(ctx)
        to_values = grad.array[key]
        if ctx.accumulate:
            return grad, to_values
        rest = grad.array.copy()
        rest[key] = 0
        return rest, to_values


class IndexSelect(Index):
    """Whole slices of one dimension."""


class MaskedSelect(Index):
    """The elements where a mask is true."""

    @staticmethod
    def forward(ctx, a, key):
        out = Index.forward(ctx, a, key)
        ctx.save_for_backward(*ctx._to_save, a)  # as in PyTorch: a write to it is noticed
        return out


class Gather(Op):
    """out[i][j] = a[index[i][j]][j] for dim 0, and so on."""

    @staticmethod
    def forward(ctx, a, dim, index):
        ctx.dim = dim
        ctx.save_for_backward(a, index)
        return a.array[_places(index.array, dim)]

    @staticmethod
    def backward(ctx, grad):
        a, index = ctx.saved_tensors
        out = np.zeros(a.array.shape, grad.array.dtype)
        np.add.at(out, _places(index.array, ctx.dim), grad.array)
        return out


def _places(index: np.ndarray, dim: int) -> tuple:
    """What `gather` reads and `scatter` writes, as NumPy's index."""
    places = list(np.indices(index.shape, sparse=True))
    if places:
        places[dim] = index
    return tuple(places)


# --- the functions ----------------------------------------------------------------------------------------------------


def index(input: TensorBase, key: Any) -> TensorBase:
    """input[key]. IndexError for an index out of range or of the wrong type, with the dimension and its size."""
    view, picks = _basic(input, key)
    if picks is not None:
        return Index.apply(view, _check(view, picks))
    if view is not input:
        return view
    whole = isinstance(key[0] if isinstance(key, tuple) and key else key, slice)
    return Slice.apply(input, 0, slice(None)) if whole else Alias.apply(input)


def index_put_(input: TensorBase, key: Any, value: Any) -> TensorBase:
    """input[key] = value, in place; the graph follows."""
    view, picks = _basic(input, key)
    inplace.check(view)
    if picks is None:
        if (
            isinstance(value, TensorBase) and value.array.ndim > view.array.ndim
        ):  # leading ones are dropped, as in torch
            value = shape.reshape(value, value.array.shape[value.array.ndim - view.array.ndim :])
        inplace.assign(view, Copy.apply(view, value))
    else:
        inplace.assign(view, IndexPut.apply(view, value, _check(view, picks), False))
    return input


def _basic(input: TensorBase, key: Any) -> tuple[TensorBase, tuple | None]:
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
            if item.step is not None and item.step <= 0:
                raise ValueError("step must be greater than zero")
            if item != slice(None):
                view = Slice.apply(view, dim, slice(*item.indices(view.array.shape[dim])))
            dim += 1
            picks.append(slice(None))
        else:
            dim += item.array.ndim if _is_mask(item) else 1
            picks.append(item)
    return view, tuple(picks) if any(isinstance(pick, TensorBase) for pick in picks) else None


def _means_several(key: Any) -> bool:
    """Whether the key is a tuple, or a sequence that PyTorch takes for one: it is short and holds a sequence, a slice ..."""
    if isinstance(key, tuple) or not isinstance(key, (list, range)):
        return isinstance(key, tuple)
    if len(key) >= 32 or not any(
        isinstance(part, (TensorBase, Sequence, slice)) or part is None or part is Ellipsis for part in key
    ):
        return False
    warnings.warn(
        "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch 2.9; use "
        "x[tuple(seq)] instead of x[seq]. In pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], "
        "which will result either in an error or a different result",
        stacklevel=4,
    )
    return True


def _item(item: Any) -> Any:
    """One part of a key: None, ..., int, slice of ints, or a tensor of indices or a mask."""
    if item is None or item is Ellipsis:
        return item
    if isinstance(item, slice):
        return slice(*(part if part is None else int(part) for part in (item.start, item.stop, item.step)))
    if isinstance(item, (list, tuple, range)):
        item = np.asarray(item)
        item = item.astype(np.int64) if item.size == 0 else item
    elif isinstance(item, (bool, np.bool_)):
        item = np.asarray(item)
    elif isinstance(item, (int, np.integer)):
        return int(item)
    if isinstance(item, np.ndarray):
        item = TensorBase.wrap(item)
    if isinstance(item, TensorBase) and item.array.dtype.kind not in "biu":
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if not isinstance(item, TensorBase):
        kind = type(item).__name__
        raise IndexError(
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
            f"{kind})"
        )
    return int(item.array) if item.array.ndim == 0 and not _is_mask(item) else item


def _is_mask(item: Any) -> bool:
    return isinstance(item, TensorBase) and item.array.dtype.kind == "b"


def _check(view: TensorBase, picks: tuple) -> tuple:
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
        if isinstance(pick, TensorBase) and pick.array.size:
            n = view.array.shape[dim]
            wrong = [int(i) for i in (pick.array.min(), pick.array.max()) if not -n <= i < n]
            if wrong:
                raise IndexError(f"index {wrong[0]} is out of bounds for dimension {dim} with size {n}")
        dim += 1
    return picks


def index_select(input: TensorBase, dim: int, index: TensorBase) -> TensorBase:
    """The slices of a dimension that `index` names, in its order."""
    dim = wrap_dim(dim, input.array.ndim)
    return IndexSelect.apply(input, (slice(None),) * dim + (index,))


def gather(input: TensorBase, dim: int, index: TensorBase) -> TensorBase:
    """out[i][j] = input[index[i][j]][j] for dim 0, input[i][index[i][j]] for dim 1, and so on; of index's shape."""
    dim = wrap_dim(dim, input.array.ndim)
    length = input.array.shape[dim] if input.array.ndim else 1
    if index.array.dtype.kind != "i":
        raise RuntimeError("gather(): Expected dtype int32/int64 for index")
    if index.array.size and not (index.array.min() >= 0 and index.array.max() < length):
        wrong = index.array.max() if index.array.max() >= length else index.array.min()
        raise RuntimeError(f"index {wrong} is out of bounds for dimension {dim} with size {length}")
    return Gather.apply(input, dim, index)


class Scatter(Op):
    """The tensor with other values at the places that `gather` would read."""

    slots = 2

    @staticmethod
    def forward(ctx, a, src, dim, index):
        ctx.dim = dim
        ctx.save_for_backward(index)
        out, given = a.array.copy(), tuple(map(slice, index.array.shape))
        out[_places(index.array, dim)] = src.array[given] if isinstance(src, TensorBase) else src
        ctx.src_shape = src.array.shape if isinstance(src, TensorBase) else None
        return out

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        key = _places(index.array, ctx.dim)
        rest = grad.array.copy()
        rest[key] = 0
        if ctx.src_shape is None:
            return rest
        to_src = np.zeros(ctx.src_shape, rest.dtype)
        taken = grad.array[key]
        to_src[tuple(map(slice, taken.shape))] = taken
        return rest, to_src


def scatter(input: TensorBase, dim: int, index: TensorBase, src: Any) -> TensorBase:
    """A copy with out[index[i][j]][j] = src[i][j] for dim 0, and so on; `src` a tensor or a number."""
    return Scatter.apply(input, src, wrap_dim(dim, input.array.ndim), index)


def take_along_dim(input: TensorBase, indices: TensorBase, dim: int) -> TensorBase:
    """`gather` under NumPy's name."""
    return gather(input, dim, indices.clone())


def masked_select(input: TensorBase, mask: TensorBase) -> TensorBase:
    """The elements where the mask is true: (count,). The mask broadcasts against the input. RuntimeError if it is none."""
    if not _is_mask(mask):
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    full = broadcast_shapes(mask.array.shape, input.array.shape)
    input, mask = (t if t.array.shape == full else shape.expand(t, full) for t in (input, mask))
    return MaskedSelect.apply(input, (mask,))


def nonzero(input: TensorBase, *, as_tuple: bool = False) -> Any:
    """The indices of the elements that are not 0: (count, ndim), or one tensor for each dimension."""
    places = np.nonzero(input.array)
    return tuple(map(TensorBase.wrap, places)) if as_tuple else TensorBase.wrap(np.stack(places, axis=-1))
