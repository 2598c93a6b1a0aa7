"""What `torch.save` wrote, read without PyTorch: the zip format (since version 1.6) and the stream before it; the tar
archives of before 0.1.10 are in `_torch_tar.py`.

All are a pickle that describes the object, and the storages beside it: one-dimensional arrays that one or several
tensors look into, each with an offset and strides. In the zip the storages are members `NAME/data/KEY`, stored as they
are; in the stream they follow the pickle, each behind its number of elements. Sizes are compared with those of the file
before memory is asked for; the numbers are read straight into the arrays that the tensors then use.
"""

import os
import sys
import zipfile
import zlib
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from minicnn.serialization._errors import WeightsError, short
from minicnn.serialization._storages import Storages, fill, itemsize, part_of
from minicnn.serialization._torch_tar import read_tar
from minicnn.serialization._unpickle import MAX_BYTES, StorageType, unpickle

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # how the older format begins
PROTOCOL_VERSION = 1001


def read_torch(file: BinaryIO) -> Any:
    """The object in an open file that torch.save wrote in any of its formats. WeightsError if anything is wrong with it."""
    start = file.read(512)
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        if start.startswith(b"PK"):
            return _read_zip(file, size)
        return read_tar(file, size) if start[257:262] == b"ustar" else _read_stream(file, size)
    except (WeightsError, MemoryError):
        raise
    except Exception as error:  # a foreign file may break zipfile in many ways
        raise WeightsError(f"it is damaged or cut short: {str(error)[:200] or type(error).__name__}") from error


def _reference(saved_id: Any, fields: int) -> tuple[str, Any, Any]:
    """(key, NumPy's name of the type, number of elements) of the storage that a pickle refers to."""
    if not isinstance(saved_id, tuple) or len(saved_id) < fields or saved_id[0] != "storage":
        raise WeightsError(f"its pickle refers to {short(saved_id)}: only storages lie beside it")
    _, kind, key, _, count = saved_id[:5]
    if not isinstance(kind, StorageType) or not isinstance(key, str):
        raise WeightsError(f"its pickle refers to the storage {short(key)} of type {short(kind)}")
    return key, kind.stored, count


# --- the zip format ---------------------------------------------------------------------------------------------------


def _read_zip(file: BinaryIO, size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, size)
        folder = next((name.partition("/")[0] for name in members if name.endswith("/data.pkl")), None)
        if folder is None or f"{folder}/data.pkl" not in members:
            raise WeightsError("it is a zip archive without data.pkl: torch.save did not write it")
        order = _record(file, members[f"{folder}/byteorder"]) if f"{folder}/byteorder" in members else b"little"
        if order not in (b"little", b"big"):
            raise WeightsError(f"its numbers are in an unknown order: {order[:20]!r}")
        swap = order.decode() != sys.byteorder
        storages = Storages(size)

        def load_storage(saved_id: Any) -> np.ndarray:
            key, stored, count = _reference(saved_id, 5)
            if key in storages.arrays:
                if storages.stored[key] != stored:
                    raise WeightsError(f"its pickle refers to the storage {key} by two types")
                return storages.arrays[key]
            info = members.get(f"{folder}/data/{key}")
            if info is None:
                raise WeightsError(f"it has no member {folder}/data/{short(key)}")
            if type(count) is not int or info.file_size != count * itemsize(stored):
                raise WeightsError(
                    f"the storage {key} has {info.file_size} bytes, and shall have {short(count)} numbers"
                )
            array = storages.new(key, stored, count)
            file.seek(_data_start(file, info))
            check = _Checksum()
            fill(file, array, stored, swap, check)
            _compare(info, check.value)
            return array

        return unpickle(BytesIO(_record(file, members[f"{folder}/data.pkl"])), load_storage)


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, all of them plain, inside of the archive and of the file."""
    members: dict[str, zipfile.ZipInfo] = {}
    if any(name.endswith("/constants.pkl") for name in archive.namelist()):
        raise WeightsError(
            "it is a TorchScript archive, a program. In PyTorch: torch.save(torch.jit.load(path).state_dict(), path)"
        )
    for info in archive.infolist():
        name = info.filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name in members:
            raise WeightsError(f"its member {name!r:.80} leaves the archive, or is there twice")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise WeightsError(f"its member {name!r:.80} is compressed or encrypted, which torch.save never does")
        if info.header_offset + info.file_size > size:
            raise WeightsError(f"its member {name!r:.80} shall end behind the end of the file: it is cut short")
        members[name] = info
    return members


def _data_start(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a member begin: behind its local header, whose length the directory does not know."""
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise WeightsError(f"the header of its member {info.filename!r:.80} is damaged")
    return info.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")


def _record(file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member that is no storage."""
    if info.file_size > MAX_BYTES:
        raise WeightsError(f"its member {info.filename!r:.80} has more than {MAX_BYTES:,} bytes")
    file.seek(_data_start(file, info))
    data = file.read(info.file_size)
    _compare(info, zlib.crc32(data))
    return data


def _compare(info: zipfile.ZipInfo, checksum: int) -> None:
    if info.CRC not in (0, checksum):  # 0: torch.serialization.set_crc32_options(False)
        raise WeightsError(f"its member {info.filename!r:.80} is damaged: the checksum is another")


class _Checksum:
    """CRC-32 of the bytes that it was called with."""

    value = 0

    def __call__(self, part: memoryview) -> None:
        self.value = zlib.crc32(part, self.value)


# --- the stream format ------------------------------------------------------------------------------------------------


def _read_stream(file: BinaryIO, size: int) -> Any:
    if unpickle(file, _no_reference) != MAGIC_NUMBER:
        raise WeightsError("it is a pickle, but torch.save did not write it")
    version = unpickle(file, _no_reference)
    if version != PROTOCOL_VERSION:
        raise WeightsError(f"it is of version {short(version)} of the format; there is only {PROTOCOL_VERSION}")
    system = unpickle(file, _no_reference)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    storages = Storages(size)
    views: dict[str, np.ndarray] = {}

    def make_storage(saved_id: Any) -> np.ndarray:
        """The array, still empty: its numbers come behind the pickle."""
        key, stored, count = _reference(saved_id, 5)
        if key not in storages.arrays:
            storages.new(key, stored, count)
        elif storages.stored[key] != stored:
            raise WeightsError(f"its pickle refers to the storage {key} by two types")
        array, view = storages.arrays[key], saved_id[5] if len(saved_id) > 5 else None
        if view is None:
            return array
        view_key, first, length = view
        if not isinstance(view_key, str):
            raise WeightsError(f"its pickle refers to the storage {short(view_key)}")
        return views.setdefault(view_key, part_of(array, first, length))

    result = unpickle(file, make_storage)
    keys = unpickle(file, _no_reference)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError("the list of its storages is not one of names")
    if sorted(keys) != sorted(storages.arrays):
        raise WeightsError("the list of its storages is not that of its tensors")
    for key in keys:
        count = int.from_bytes(file.read(8), "little" if little else "big")
        if count != len(storages.arrays[key]):
            raise WeightsError(f"the storage {key} has {count} numbers, and shall have {len(storages.arrays[key])}")
        fill(file, storages.arrays[key], storages.stored[key], little != (sys.byteorder == "little"))
    return result


def _no_reference(saved_id: Any) -> Any:
    raise WeightsError("its header refers to a storage")
