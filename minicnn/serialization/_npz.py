"""`.npz`: NumPy's own format, a zip of arrays. Nothing in it is ever unpickled."""

import ast
import json
import math
import re
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from minicnn._types import dtype
from minicnn.serialization._errors import WeightsError, short
from minicnn.serialization._rebuild import MAX_DIMENSIONS
from minicnn.serialization._storages import fill
from minicnn.serialization._zip import Archive

METADATA = "__metadata__"  # the entry that holds the metadata, in .safetensors too; no tensor can have this name
MAX_UNPACKED = 64 << 20  # bytes that a compressed archive of any size may hold
MAX_RATIO = 20  # a larger one may hold so many times its own size: numbers of a network shrink by a tenth
MAX_HEADER = 2000  # bytes before an array; 64 dimensions of 20 digits are 1,400
MAX_LITERALS = 1000
_HEADER = re.compile(r"\{'descr': '([^']+)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \} *\n")


def read_npz(archive: Archive) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of each array."""
    _check_size(archive)
    for member, info in archive.members.items():
        name = member.removesuffix(".npy")
        if name != METADATA:
            yield name, _array(archive, info, name)


def npz_metadata(archive: Archive) -> dict[str, str]:
    """The text beside the arrays, {name: text}; WeightsError if it cannot be read."""
    info = archive.members.get(f"{METADATA}.npy")
    if info is None:
        return {}
    _check_size(archive)
    try:
        metadata = json.loads(str(_array(archive, info, METADATA, text=True)))
        return {str(name): str(text) for name, text in metadata.items()}
    except Exception as error:  # WeightsError; no JSON, or of another kind
        raise WeightsError(f"the metadata cannot be read: {error}") from error


def _check_size(archive: Archive) -> None:
    unpacked = sum(info.file_size for info in archive.members.values())
    if unpacked > max(MAX_UNPACKED, MAX_RATIO * archive.size):
        raise WeightsError(
            f"its {archive.size:,} bytes become {unpacked:,}, more than {MAX_UNPACKED:,} and more than {MAX_RATIO} times its "
            "size. If you trust it: numpy.savez(out, **numpy.load(path)) writes it without compression"
        )
    if sum(info.compress_size for info in archive.members.values()) > archive.size:
        raise WeightsError("its members lie over each other: the file is too small for them")
    for info in archive.members.values():
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise WeightsError(f"its member {info.filename!r:.80} is compressed in a way that NumPy never uses")


def _array(archive: Archive, info: zipfile.ZipInfo, name: str, text: bool = False) -> np.ndarray:
    """One array; of text only if it is asked for."""
    try:
        with archive.zip.open(info) as member:
            shape, fortran, kind = _npy_header(member, archive)
            if kind.kind != "U" if text else kind.newbyteorder("=") not in dtype._by_numpy:
                raise WeightsError(f"it has a type that tensors do not have: {kind}")
            count = math.prod(shape)
            if count * kind.itemsize != info.file_size - member.tell():
                raise WeightsError(f"an array of shape {short(shape)} and type {kind} in {info.file_size:,} bytes")
            array = np.empty(count, kind.newbyteorder("="))
            fill(member, array, "b1" if kind.kind == "b" else kind.str, not kind.isnative)
            member.read(1)  # its checksum is looked at when its end is met
            return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
    except Exception as error:  # a foreign file may break zipfile and NumPy in many ways
        raise WeightsError(f"the entry {short(name)} cannot be read: {str(error)[:300]}") from error


def _npy_header(file: Any, archive: Archive) -> tuple[tuple, bool, np.dtype]:
    """(shape, whether the first index runs fastest, type) at the beginning of an array."""
    start = file.read(8)
    if start[:6] != b"\x93NUMPY":
        raise WeightsError("it is not an array")
    if tuple(start[6:]) not in ((1, 0), (2, 0), (3, 0)):
        raise WeightsError(f"it is of version {tuple(start[6:])} of NumPy's format")
    length = int.from_bytes(file.read(2 if start[6] == 1 else 4), "little")
    if length > MAX_HEADER:
        raise WeightsError(f"its header has {length:,} bytes: {MAX_HEADER:,} are read")
    text = file.read(length).decode("latin-1")
    match = _HEADER.fullmatch(text)
    if match:
        kind, fortran, shape = match[1], match[2] == "True", tuple(map(int, re.findall("[0-9]+", match[3])))
    else:  # another program's, or no number: a literal of Python, which takes its time
        archive.literals += 1
        if archive.literals > MAX_LITERALS:
            raise WeightsError(f"more than {MAX_LITERALS} headers of the archive are not as NumPy writes them")
        header = ast.literal_eval(text)
        kind, fortran, shape = header["descr"], header["fortran_order"], header["shape"]
    if type(fortran) is not bool or not isinstance(shape, tuple) or len(shape) > MAX_DIMENSIONS:
        raise WeightsError(f"it has the shape {short(shape)}: NumPy has at most {MAX_DIMENSIONS} dimensions")
    if not all(type(length) is int and 0 <= length < 2**62 for length in shape):
        raise WeightsError(f"it has the shape {short(shape)}")
    return shape, fortran, np.lib.format.descr_to_dtype(kind)  # type: ignore[arg-type]


def write_npz(arrays: dict[str, np.ndarray], file: BinaryIO, metadata: dict[str, str] | None) -> None:
    """Arrays by name, and text beside them, without compression."""
    if metadata:
        arrays = {**arrays, METADATA: np.array(json.dumps(metadata))}
    # not np.savez: its keyword arguments forbid an array that is called "file"
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
