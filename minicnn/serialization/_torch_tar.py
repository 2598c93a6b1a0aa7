"""The oldest of PyTorch's formats, of before version 0.1.10: a tar archive of three members.

`storages`: a number of storages, each a pickled (key, place, type), then its number of elements and the elements; at the end
the storages that are parts of others. `tensors`: for each a pickled (key, storage, type), the number of dimensions, sizes,
strides, offset. `pickle`: the object, in which a tensor is its key. torchvision's files of 2016 are in this format.
"""

import struct
import sys
import tarfile
from typing import Any, BinaryIO

import numpy as np

from minicnn._tensor import Tensor
from minicnn.serialization._errors import WeightsError, short
from minicnn.serialization._storages import Storages, fill, part_of
from minicnn.serialization._unpickle import StorageType, rebuild_tensor, unpickle

MAX_TENSORS = 100_000


def read_tar(file: BinaryIO, size: int) -> Any:
    """The object in an open tar file of `size` bytes."""
    with tarfile.open(fileobj=file, mode="r:") as archive:
        starts = {}
        for name in ("storages", "tensors", "pickle"):
            member = archive.getmember(name)
            if not member.isreg() or member.offset_data + member.size > size:
                raise WeightsError(f"its member {name!r} is no file, or cut short")
            starts[name] = member.offset_data
    file.seek(starts["storages"])
    storages = _read_storages(file, Storages(size))
    file.seek(starts["tensors"])
    tensors = _read_tensors(file, storages)
    file.seek(starts["pickle"])
    return unpickle(file, lambda key: _found(tensors, key))


def _read_storages(file: BinaryIO, storages: Storages) -> dict[Any, np.ndarray]:
    arrays: dict[Any, np.ndarray] = {}
    for _ in range(_count(file)):
        key, _, kind = unpickle(file, _no_reference)
        if not isinstance(kind, StorageType):
            raise WeightsError(f"its storage {short(key)} is of no known type")
        if not isinstance(key, (int, str)):
            raise WeightsError(f"its storage {short(key)} has no number")
        array = storages.new(str(key), kind.stored, struct.unpack("<q", file.read(8))[0])
        fill(file, array, kind.stored, sys.byteorder != "little")
        arrays[key] = array
    for key, root, first, length in unpickle(file, _no_reference):
        arrays[key] = part_of(_found(arrays, root), first, length)
    return arrays


def _read_tensors(file: BinaryIO, storages: dict[Any, np.ndarray]) -> dict[Any, Tensor]:
    tensors: dict[Any, Tensor] = {}
    for _ in range(_count(file)):
        key, storage, _ = unpickle(file, _no_reference)
        if not isinstance(key, (int, str)):
            raise WeightsError(f"its tensor {short(key)} has no number")
        (dimensions,) = struct.unpack("<i4x", file.read(8))
        if not 0 <= dimensions <= 32:
            raise WeightsError(f"a tensor of {dimensions} dimensions")
        numbers = struct.unpack(f"<{2 * dimensions + 1}q", file.read(8 * (2 * dimensions + 1)))
        sizes, strides, offset = numbers[:dimensions], numbers[dimensions:-1], numbers[-1]
        tensors[key] = rebuild_tensor(_found(storages, storage), offset, sizes, strides)
    return tensors


def _count(file: BinaryIO) -> int:
    count = unpickle(file, _no_reference)
    if type(count) is not int or not 0 <= count <= MAX_TENSORS:
        raise WeightsError(f"it shall have {short(count)} tensors")
    return count


def _found(table: dict[Any, Any], key: Any) -> Any:
    if isinstance(key, str) and key.isdigit() and int(key) in table:  # a key is text in the pickle, a number elsewhere
        key = int(key)
    if not isinstance(key, (int, str)) or key not in table:
        raise WeightsError(f"its pickle refers to {short(key)}, which is not there")
    return table[key]


def _no_reference(saved_id: Any) -> Any:
    raise WeightsError("a reference where none can be")
