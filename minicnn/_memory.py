"""How the numbers of a tensor lie in memory: PyTorch's memory formats, and what a copy takes over of an order.

`channels_last` keeps the shape (N, C, H, W) and lets the channels of a pixel lie side by side, as in (N, H, W, C).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn._types import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    memory_format,
    preserve_format,
)

_ORDERS = {channels_last: (0, 2, 3, 1), channels_last_3d: (0, 2, 3, 4, 1)}  # from the widest stride to the narrowest


def need_format(value: Any, function: str) -> None:
    """TypeError unless it is a memory format."""
    if not isinstance(value, memory_format):
        raise TypeError(
            f"{function}(): argument 'memory_format' must be torch.memory_format, not {type(value).__name__}"
        )


def strides_in(shape: tuple[int, ...], format: memory_format) -> tuple[int, ...]:
    """The strides, in elements, of a tensor of this shape in a format. RuntimeError for a wrong number of dimensions."""
    order = _ORDERS.get(format, tuple(range(len(shape))))
    if len(order) != len(shape):
        raise RuntimeError(f"required rank {len(order)} tensor to use {format.name} format")
    strides, step = [1] * len(shape), 1
    for dim in reversed(order):
        strides[dim] = step
        step *= max(shape[dim], 1)
    return tuple(strides)


def strides_of(array: np.ndarray) -> tuple[int, ...]:
    """The strides of an array in elements. Of an array of nothing NumPy knows none: those in rows."""
    if array.size == 0:
        return strides_in(array.shape, contiguous_format)
    return tuple([stride // array.itemsize for stride in array.strides])


def lies_in(array: np.ndarray, format: memory_format) -> bool:
    """Whether an array lies in a format; a stride along which there is one element does not count."""
    order = _ORDERS.get(format)
    if order is None:
        return array.flags.c_contiguous
    if len(order) != array.ndim:
        return False
    wanted, have = strides_in(array.shape, format), strides_of(array)
    return all(n == 1 or a == b for n, a, b in zip(array.shape, have, wanted, strict=True))


def suggested(array: np.ndarray) -> memory_format:
    """The format that an operation on images gives its result: channels last if its input has this order of strides."""
    for format, order in _ORDERS.items():
        if array.ndim == len(order) and _in_order(array, order):
            return format
    return contiguous_format


def channels_last_of(array: np.ndarray) -> memory_format | None:
    """The format of an array whose channels lie last, None for other arrays."""
    if array.ndim not in (4, 5) or array.strides[-1] < array.strides[1]:  # most are done here
        return None
    format = suggested(array)
    return None if format is contiguous_format else format


def follow(result: np.ndarray, *arrays: np.ndarray) -> np.ndarray:
    """What an operation on images has made: channels last if one of the arrays that it was made of lies so."""
    for array in arrays:
        if (format := channels_last_of(array)) is not None:
            return copy(result, format)
    return result


def _in_order(array: np.ndarray, order: tuple[int, ...]) -> bool:
    strides = strides_of(array)
    least = 0
    if strides[1] == 0:
        return False
    for dim in reversed(order):
        if array.shape[dim] == 0 or strides[dim] < least:
            return False
        if dim == 0 and least == strides[1]:
            return False  # (N, 1, 1, 1) and the like: any order would do
        least = strides[dim] * max(array.shape[dim], 1)
    return True


def _dense(array: np.ndarray) -> bool:
    """Whether the elements, in some order, lie one after the other, each once."""
    step = 1
    for stride, n in sorted((s, n) for s, n in zip(strides_of(array), array.shape, strict=True) if n != 1):
        if stride != step:
            return False
        step *= n
    return True


def _kept_strides(array: np.ndarray) -> tuple[int, ...]:
    """The strides of a copy that keeps the order of an array: its own, or, if there are gaps or repetitions, those of the same
    order without them. What is ambiguous stays as in rows."""
    strides, shape = strides_of(array), array.shape
    if _dense(array):
        return strides
    order = list(reversed(range(array.ndim)))  # from the narrowest stride to the widest
    for i in range(1, len(order)):  # sorted by insertion, as PyTorch does: where a comparison is ambiguous that matters
        place = i
        for j in reversed(range(i)):
            a, b = order[j], order[place]
            if strides[a] == 0 or strides[b] == 0 or (strides[a] == strides[b] and shape[a] <= shape[b]):
                continue
            if strides[a] < strides[b]:
                break
            order[j], order[place] = b, a
            place = j
    kept, step = [1] * array.ndim, 1
    for dim in order:
        kept[dim] = step
        step *= max(shape[dim], 1)
    return tuple(kept)


def empty(shape: tuple[int, ...], kind: Any, strides: tuple[int, ...]) -> np.ndarray:
    """Undefined content with these strides, in elements, without gaps."""
    array = np.empty(shape, kind)
    itemsize = array.itemsize
    if array.size == 0 or strides == strides_of(array):
        return array
    return np.ndarray(shape, array.dtype, array, 0, tuple([stride * itemsize for stride in strides]))


def empty_like(array: np.ndarray, format: memory_format | None = None, kind: Any = None) -> np.ndarray:
    """Undefined content of an array's shape in a format; None: in its order."""
    if format is None or format is preserve_format:
        strides = _kept_strides(array)
    else:
        strides = strides_in(array.shape, format)
    return empty(array.shape, array.dtype if kind is None else kind, strides)


def copy(array: np.ndarray, format: memory_format | None = None, kind: Any = None) -> np.ndarray:
    """A copy in a format, or in the array's order; in another type if `kind` says so."""
    new = empty_like(array, format, kind)
    np.copyto(new, array, casting="unsafe")
    return new


def laid_as(array: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values, of an array's shape, in its order."""
    if array.flags.c_contiguous:
        return values
    new = empty_like(array, kind=values.dtype)
    np.copyto(new, values)
    return new
