"""The oldest of PyTorch's formats, of before version 0.1.10: a tar archive of three members.

`storages`: a number of storages, each a pickled (key, place, type), then its number of elements and the elements; at the end
the storages that are parts of others. `tensors`: for each a pickled (key, storage, type), the number of dimensions, sizes,
strides, offset. `pickle`: the object, in which a tensor is its key. torchvision's files of 2016 are in this format.
"""

import struct
import sys
from typing import Any, BinaryIO

import numpy as np

from minicnn._tensor import Tensor
from minicnn.serialization._errors import WeightsError, short
from minicnn.serialization._own import Own
from minicnn.serialization._rebuild import MAX_DIMENSIONS, StorageType, rebuild_tensor
from minicnn.serialization._storages import Storages, fill, part_of
from minicnn.serialization._unpickle import unpickle

MAX_TENSORS = 100_000
MAX_MEMBERS = 100  # of the archive; torch.save wrote four, and a header of text before each
MAX_TEXT = 1 << 16


def read_tar(file: BinaryIO, size: int, own: Own | None = None) -> Any:
    """The object in an open tar file of `size` bytes."""
    starts = _members(file, size)
    for name in ("storages", "tensors", "pickle"):
        if name not in starts:
            raise WeightsError(f"it is a tar archive without {name!r}: torch.save did not write it, or it is cut short")
    file.seek(starts["storages"])
    storages = _read_storages(file, Storages(size))
    file.seek(starts["tensors"])
    tensors = _read_tensors(file, storages)
    file.seek(starts["pickle"])
    return unpickle(file, lambda key: _found(tensors, key), own=own)


def _members(file: BinaryIO, size: int) -> dict[str, int]:
    """Where the files in the archive begin. Each has a header of 512 bytes before it, and is filled up to a multiple of 512."""
    starts: dict[str, int] = {}
    place = 0
    for _ in range(MAX_MEMBERS):
        file.seek(place)
        header = file.read(512)
        if len(header) < 512 or not header.strip(b"\0"):
            return starts
        name = header[:100].rstrip(b"\0").decode("latin-1")
        length, checksum = _octal(header[124:136]), _octal(header[148:156])
        if checksum != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
            raise WeightsError(f"the header of its member {short(name)} is damaged: the checksum is another")
        if place + 512 + length > size:
            raise WeightsError(f"its member {short(name)} shall have {length:,} bytes: it is cut short")
        if header[156:157] in (b"0", b"\0"):
            starts[name] = place + 512
        elif header[156:157] in (b"x", b"g"):  # more about the next, in text: when it was written
            text = file.read(min(length, MAX_TEXT + 1))
            if len(text) > MAX_TEXT or b" path=" in text or b" size=" in text:
                raise WeightsError("its tar headers give other names and sizes, which torch.save never did")
        place += 512 + -(-length // 512) * 512
    raise WeightsError(f"it is a tar archive of more than {MAX_MEMBERS} members: torch.save did not write it")


def _octal(digits: bytes) -> int:
    digits = digits.strip(b"\0 ")
    if not digits.isdigit():
        raise WeightsError(f"a number of its tar headers is {short(digits)}")
    return int(digits, 8)


def _read_storages(file: BinaryIO, storages: Storages) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for _ in range(_count(file)):
        entry, place, kind = _record(file, 3)
        key = _key(entry)
        if not isinstance(kind, StorageType) or not isinstance(place, str):
            raise WeightsError(f"its storage {key} is of type {short(kind)}, on {short(place)}")
        array = storages.new(key, kind.stored, struct.unpack("<q", file.read(8))[0])
        fill(file, array, kind.stored, sys.byteorder != "little")
        arrays[key] = array
    views = unpickle(file)
    if not isinstance(views, list) or not all(isinstance(view, tuple) and len(view) == 4 for view in views):
        raise WeightsError("its list of storages that are parts of others is none")
    for key, root, first, length in views:
        arrays[_key(key)] = part_of(_found(arrays, root), first, length)
    return arrays


def _read_tensors(file: BinaryIO, storages: dict[str, np.ndarray]) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for _ in range(_count(file)):
        key, storage, kind = _record(file, 3)
        if kind is not Tensor:
            raise WeightsError(f"its tensor {short(key)} is of type {short(kind)}")
        (dimensions,) = struct.unpack("<i4x", file.read(8))
        if not 0 <= dimensions <= MAX_DIMENSIONS:
            raise WeightsError(f"a tensor of {dimensions} dimensions: NumPy has at most {MAX_DIMENSIONS}")
        numbers = struct.unpack(f"<{2 * dimensions + 1}q", file.read(8 * (2 * dimensions + 1)))
        sizes, strides, offset = numbers[:dimensions], numbers[dimensions:-1], numbers[-1]
        tensors[_key(key)] = rebuild_tensor(_found(storages, storage), offset, sizes, strides)
    return tensors


def _record(file: BinaryIO, length: int) -> tuple:
    record = unpickle(file, limit=100)
    if not isinstance(record, tuple) or len(record) != length:
        raise WeightsError(f"an entry of its lists is {short(record)}")
    return record


def _count(file: BinaryIO) -> int:
    count = unpickle(file)
    if type(count) is not int or not 0 <= count <= MAX_TENSORS:
        raise WeightsError(f"it shall have {short(count)} tensors")
    return count


def _key(key: Any) -> str:
    """The name of a storage or tensor: a number, which is text in the pickle. (As text its place in a dictionary is random.)"""
    if type(key) not in (int, str):
        raise WeightsError(f"{short(key)} as the number of a storage or tensor")
    return str(key)


def _found(table: dict[str, Any], key: Any) -> Any:
    if _key(key) not in table:
        raise WeightsError(f"its pickle refers to {short(key)}, which is not there")
    return table[str(key)]
