"""What a tool may know of a tensor without knowing its library: minicnn's and PyTorch's answer the same questions."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of minicnn or PyTorch."""
    return hasattr(type(value), "grad_fn") and hasattr(
        type(value), "detach"
    )  # its type: objects may answer to any name


def tensors_in(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """(place, tensor) of each tensor in nested tuples, lists, dicts and dataclasses: `output[0]`, `output['mask']`."""
    if is_tensor(value):
        yield place, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from tensors_in(entry, f"{place}[{key!r}]")
    elif isinstance(value, tuple | list):
        for index, entry in enumerate(value):
            yield from tensors_in(entry, f"{place}[{index}]")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors_in(getattr(value, field.name), f"{place}.{field.name}")


def version(tensor: Any) -> int:
    """How often the tensor's memory has been written in place; 0 for a tensor that does not count it."""
    try:
        return tensor._version
    except (AttributeError, RuntimeError):  # PyTorch's inference tensors raise
        return 0


def as_array(value: Any) -> np.ndarray | None:
    """A NumPy view of a tensor or array; None for what NumPy cannot see (another device, bfloat16, sparse)."""
    if isinstance(value, np.ndarray):
        return value
    try:
        return value.detach().numpy()
    except (TypeError, RuntimeError, NotImplementedError):
        return None


def memory_block(value: Any) -> tuple[int, int]:
    """(first address, bytes) of the block of memory that a tensor or array keeps alive; (0, 0) if it has none.

    A view keeps the whole block alive that it shows a part of.
    """
    if hasattr(value, "untyped_storage"):
        try:
            storage = value.untyped_storage()
            return storage.data_ptr(), storage.nbytes()
        except (RuntimeError, NotImplementedError):
            return 0, 0
    array = as_array(value)
    if array is None:
        return 0, 0
    while isinstance(array.base, np.ndarray):
        array = array.base
    if is_tensor(array.base):
        return memory_block(array.base)
    low, high = np.lib.array_utils.byte_bounds(array)
    return low, high - low


def share_memory(a: Any, b: Any) -> bool:
    """Whether a write to one of the two tensors or arrays can change the other."""
    (start, size), (other_start, other_size) = memory_block(a), memory_block(b)
    if not start or start >= other_start + other_size or other_start >= start + size:
        return False  # PyTorch's tensors without numbers, on the device "meta", begin at 0
    ours, theirs = as_array(a), as_array(b)
    if ours is None or theirs is None:
        return True
    try:
        return np.shares_memory(ours, theirs, 100_000)  # type: ignore[arg-type]  # any number of steps; its types know two
    except np.exceptions.TooHardError:
        return True
