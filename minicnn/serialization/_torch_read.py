"""What `torch.save` wrote, read without PyTorch: the zip format (since version 1.6) and the stream before it; the tar
archives of before 0.1.10 are in `_torch_tar.py`.

All are a pickle that describes the object, and the storages beside it: one-dimensional arrays that one or several
tensors look into, each with an offset and strides. In the zip the storages are members `NAME/data/KEY`, stored as they
are; in the stream they follow the pickle, each behind its number of elements. Sizes are compared with those of the file
before memory is asked for; the numbers are read straight into the arrays that the tensors then use.
"""

import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from minicnn.serialization._errors import WeightsError, short
from minicnn.serialization._own import Own
from minicnn.serialization._rebuild import StorageType
from minicnn.serialization._storages import Storages, fill, part_of, raw_type
from minicnn.serialization._unpickle import MAX_BYTES, unpickle
from minicnn.serialization._zip import Archive

HEADER = 1000  # instructions of the pickles before the object
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # how the older format begins
PROTOCOL_VERSION = 1001


def read_zip(archive: Archive, own: Own | None = None) -> Any:
    """The object in an open archive of torch.save."""
    members = archive.members
    folder = next((name.partition("/")[0] for name in members if name.endswith("/data.pkl")), None)
    if folder is None or f"{folder}/data.pkl" not in members:
        raise WeightsError("it is a zip archive without data.pkl: torch.save did not write it")
    order = archive.read(members[f"{folder}/byteorder"], 100) if f"{folder}/byteorder" in members else b"little"
    if order not in (b"little", b"big"):
        raise WeightsError(f"its numbers are in an unknown order: {order[:20]!r}")
    swap = order.decode() != sys.byteorder
    storages = Storages(archive.size)

    def load_storage(saved_id: Any) -> np.ndarray:
        key, stored, count = _reference(saved_id, 5)
        if key in storages.arrays:
            return storages.known(key, stored)
        info = members.get(f"{folder}/data/{key}")
        if info is None:
            raise WeightsError(f"it has no member {folder}/data/{short(key)}")
        if type(count) is not int or info.file_size != count * raw_type(stored).itemsize:
            raise WeightsError(f"the storage {key} has {info.file_size} bytes, and shall have {short(count)} numbers")
        array = storages.new(key, stored, count)
        archive.seek(info)
        archive.compare(info, fill(archive.file, array, stored, swap, checksum=True))
        return array

    return unpickle(BytesIO(archive.read(members[f"{folder}/data.pkl"], MAX_BYTES)), load_storage, own=own)


def _reference(saved_id: Any, *lengths: int) -> tuple[str, str, Any]:
    """(key, type, number of elements) of the storage that a pickle refers to. Where it lay does not matter."""
    if not isinstance(saved_id, tuple) or len(saved_id) not in lengths or saved_id[0] != "storage":
        raise WeightsError(f"its pickle refers to {short(saved_id)}: only storages lie beside it")
    _, kind, key, place, count = saved_id[:5]
    if not isinstance(kind, StorageType) or not isinstance(key, str) or not isinstance(place, str):
        raise WeightsError(f"its pickle refers to the storage {short(key)} of type {short(kind)} on {short(place)}")
    return key, kind.stored, count


def read_stream(file: BinaryIO, size: int, own: Own | None = None) -> Any:
    """The object in an open file of `size` bytes in the stream format."""
    if unpickle(file, limit=HEADER) != MAGIC_NUMBER:
        raise WeightsError("it is a pickle, but torch.save did not write it")
    version = unpickle(file, limit=HEADER)
    if version != PROTOCOL_VERSION:
        raise WeightsError(f"it is of version {short(version)} of the format; there is only {PROTOCOL_VERSION}")
    # What it says of the computer that wrote it is of no use: the numbers were turned to little-endian there.
    unpickle(file, limit=HEADER)
    storages = Storages(size)
    views: dict[str, tuple[Any, np.ndarray]] = {}

    def make_storage(saved_id: Any) -> Any:
        """The array, still empty: its numbers come behind the pickle."""
        if isinstance(saved_id, tuple) and saved_id[:1] == ("module",) and own is not None and own.allows(saved_id[1]):
            return saved_id[1]  # the class of a whole module; its source stands behind it
        key, stored, count = _reference(saved_id, 5, 6)
        array = storages.known(key, stored) if key in storages.arrays else storages.new(key, stored, count)
        view = saved_id[5] if len(saved_id) > 5 else None
        if view is None:
            return array
        if not isinstance(view, tuple) or len(view) != 3 or not isinstance(view[0], str):
            raise WeightsError(f"its pickle refers to the part {short(view)} of a storage")
        place = (key, *view[1:])
        found, part = views.setdefault(view[0], (place, part_of(array, *view[1:])))
        if found != place:
            raise WeightsError(f"its pickle has two parts of storages of the name {short(view[0])}")
        return part

    later: list[Callable[[], None]] = []
    result = unpickle(file, make_storage, later, own=own)
    keys = unpickle(file, limit=HEADER + 4 * len(storages.arrays))
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError("the list of its storages is not one of names")
    if sorted(keys) != sorted(storages.arrays):
        raise WeightsError("the list of its storages is not that of its tensors")
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        if count != len(storages.arrays[key]):
            raise WeightsError(f"the storage {key} has {count} numbers, and shall have {len(storages.arrays[key])}")
        fill(file, storages.arrays[key], storages.stored[key], sys.byteorder != "little")
    for compute in later:
        compute()
    return result
