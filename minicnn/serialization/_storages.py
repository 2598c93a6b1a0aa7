"""Storages: the one-dimensional arrays that the tensors of a file look into, with room asked for after a look at its size."""

from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from minicnn.serialization._errors import WeightsError, short

CHUNK = 1 << 17  # bytes: what was just read is still in the cache when its checksum is computed


class Storages:
    """The arrays of one file by their keys. All together they are never larger than the file."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.arrays: dict[str, np.ndarray] = {}
        self.stored: dict[str, str] = {}

    def new(self, key: str, stored: str, count: Any) -> np.ndarray:
        """An empty array for `count` numbers; bfloat16, which NumPy does not have, becomes float32."""
        item = itemsize(stored)
        if type(count) is not int or count < 0 or count * item > self.left:
            raise WeightsError(
                f"storage {key} shall have {short(count)} numbers of {item} bytes: the file is too small"
            )
        self.left -= count * item
        self.arrays[key] = np.empty(count, "f4" if stored == "bfloat16" else stored)
        self.stored[key] = stored
        return self.arrays[key]


def itemsize(stored: str) -> int:
    return 2 if stored == "bfloat16" else np.dtype(stored).itemsize


def part_of(array: np.ndarray, first: Any, length: Any) -> np.ndarray:
    """A storage that is a part of another one, as there were before version 0.4."""
    if not (type(first) is type(length) is int and 0 <= first <= first + length <= len(array)):
        raise WeightsError(f"a part of a storage, from {short(first)} on {short(length)} numbers, does not fit in it")
    return array[first : first + length]


def fill(
    file: BinaryIO, array: np.ndarray, stored: str, swap: bool, check: Callable[[memoryview], None] | None = None
) -> None:
    """Read the numbers of a storage from the file's position on; `check` sees the bytes as they come."""
    raw = np.empty(len(array), "u2") if stored == "bfloat16" else array
    view = memoryview(raw).cast("B") if len(raw) else memoryview(b"")
    for first in range(0, len(view), CHUNK):
        part = view[first : first + CHUNK]
        done = 0
        while done < len(part):
            count = file.readinto(part[done:])
            if not count:
                raise WeightsError("it is cut short")
            done += count
        if check is not None:
            check(part)
    if swap:
        raw.byteswap(inplace=True)
    if stored == "bfloat16":  # the upper half of a float32
        np.left_shift(raw.astype(np.uint32), 16, out=array.view(np.uint32))
    elif stored == "b1":
        np.not_equal(array.view(np.uint8), 0, out=array)  # any other byte than 0 and 1 would confuse NumPy
