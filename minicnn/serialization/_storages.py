"""Storages: the one-dimensional arrays that the tensors of a file look into, with room asked for after a look at its size.

The numbers of most types lie in a file as NumPy holds them. Of the others (`WIDER`) NumPy has none: they become a
type that holds the same numbers.
"""

import zlib
from functools import cache
from typing import Any

import numpy as np

from minicnn.serialization._errors import WeightsError, short

CHUNK = 1 << 17  # bytes: what was just read is still in the cache when its checksum is computed

# type: (what lies in the file, what holds its numbers)
WIDER = {
    "bfloat16": ("u2", "f4"),
    "float8_e4m3fn": ("u1", "f4"),
    "float8_e5m2": ("u1", "f4"),
    "float8_e4m3fnuz": ("u1", "f4"),
    "float8_e5m2fnuz": ("u1", "f4"),
    "float8_e8m0fnu": ("u1", "f4"),
    "complex32": ("V4", "c8"),  # two float16
}


def raw_type(stored: str) -> np.dtype:
    """NumPy's type for the bytes of a number of type `stored`: a key of `WIDER`, or a name that NumPy knows."""
    return np.dtype(WIDER[stored][0] if stored in WIDER else stored)


def held_type(stored: str) -> np.dtype:
    """NumPy's type for the number itself."""
    return np.dtype(WIDER[stored][1] if stored in WIDER else stored)


def widen(raw: np.ndarray, stored: str, out: np.ndarray) -> None:
    """Put the numbers whose bytes are `raw` into `out`."""
    if stored == "bfloat16":  # the upper half of a float32
        np.left_shift(raw.astype(np.uint32), 16, out=out.view(np.uint32))
    elif stored == "complex32":
        out.view(np.float32)[:] = raw.view(np.float16)
    else:
        np.take(_float8(stored), raw, out=out)


@cache
def _float8(stored: str) -> np.ndarray:
    """The 256 numbers of a type of eight bits, by their bytes: sign, exponent (e bits), mantissa (m bits), as in IEEE 754."""
    codes = np.arange(256)
    if stored == "float8_e8m0fnu":  # an exponent alone
        return np.where(codes == 255, np.nan, np.exp2(codes - 127.0)).astype(np.float32)
    e, m = int(stored[8]), int(stored[10])
    unsigned_zero = stored.endswith("uz")  # then the code of -0 is the only NaN, and the exponents reach one step lower
    bias = 2 ** (e - 1) - 1 + unsigned_zero
    exponent, mantissa = codes >> m & 2**e - 1, codes % 2**m / 2**m
    values = np.where(exponent > 0, (1 + mantissa) * np.exp2(exponent - bias), mantissa * 2.0 ** (1 - bias))
    values[128:] *= -1
    if unsigned_zero:
        values[128] = np.nan
    elif stored == "float8_e4m3fn":
        values[codes % 128 == 127] = np.nan
    else:
        highest = exponent == 2**e - 1
        values[highest] = np.where(mantissa[highest] > 0, np.nan, values[highest] * np.inf)
    return values.astype(np.float32)


class Storages:
    """The arrays of one file by their keys. All together they are never larger than the file."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.arrays: dict[str, np.ndarray] = {}
        self.stored: dict[str, str] = {}

    def new(self, key: str, stored: str, count: Any) -> np.ndarray:
        """An empty array for `count` numbers of type `stored`."""
        item = raw_type(stored).itemsize
        if type(count) is not int or count < 0 or count * item > self.left:
            raise WeightsError(
                f"storage {key} shall have {short(count)} numbers of {item} bytes: the file is too small"
            )
        self.left -= count * item
        self.arrays[key] = np.empty(count, held_type(stored))
        self.stored[key] = stored
        return self.arrays[key]

    def known(self, key: str, stored: str) -> np.ndarray:
        """One that there is already, if it is of this type."""
        if self.stored[key] != stored:
            raise WeightsError(f"its pickle refers to the storage {key} by two types")
        return self.arrays[key]


def part_of(array: np.ndarray, first: Any, length: Any) -> np.ndarray:
    """A storage that is a part of another one, as there were before version 0.4."""
    if not (type(first) is type(length) is int and 0 <= first <= first + length <= len(array)):
        raise WeightsError(f"a part of a storage, from {short(first)} on {short(length)} numbers, does not fit in it")
    return array[first : first + length]


def fill(file: Any, array: np.ndarray, stored: str, swap: bool, checksum: bool = False) -> int:
    """Read the numbers of a storage from the file's position on; return the CRC-32 of their bytes if it is asked for, else 0."""
    crc = 0
    raw = np.empty(len(array), raw_type(stored)) if stored in WIDER else array
    view: Any = memoryview(raw.view(np.uint8))  # type: ignore[arg-type]
    for first in range(0, len(view), CHUNK):
        part = view[first : first + CHUNK]
        done = 0
        while done < len(part):
            count = file.readinto(part[done:])
            if not count:
                raise WeightsError("it is cut short")
            done += count
        if checksum:
            crc = zlib.crc32(part, crc)
    if swap:
        raw.byteswap(inplace=True)
    if stored in WIDER:
        widen(raw, stored, array)
    elif stored == "b1":
        np.not_equal(array.view(np.uint8), 0, out=array)  # any other byte than 0 and 1 would confuse NumPy
    return crc


def owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory this one looks into: that of all that share it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
