"""`.safetensors`: a header in JSON and the numbers; the format that travels best.

Read here and not by the `safetensors` package, which cannot bring bfloat16 and float8 into NumPy. The checks are those that
the package makes: names, types and shapes, and numbers that lie one behind the other and fill the file.
"""

import json
import math
import re
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from minicnn.serialization._errors import WeightsError, short
from minicnn.serialization._rebuild import MAX_DIMENSIONS
from minicnn.serialization._storages import fill, held_type, raw_type

MAX_HEADER = 12 << 20  # bytes; a tensor takes a hundred
MAX_DIGITS = 4300
STORED = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bfloat16", "BOOL": "b1", "C64": "c8",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
}  # fmt: skip


def read_safetensors(file: BinaryIO, size: int) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of each tensor of an open file of `size` bytes, in natural order."""
    header, start = _header(file, size)
    header.pop("__metadata__", None)
    entries = {name: _entry(name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, first, last) in sorted(entries.items(), key=lambda item: item[1][2:]):
        if first != end:
            raise WeightsError(
                f"it is damaged: the numbers of {short(name)} begin at {first}, those before end at {end}"
            )
        end = last
    if start + end != size:
        raise WeightsError(f"it is damaged or cut short: it has {size:,} bytes, and shall have {start + end:,}")
    for name in sorted(entries, key=_natural):
        stored, shape, first, _ = entries[name]
        array = np.empty(math.prod(shape), held_type(stored))
        file.seek(start + first)
        fill(file, array, stored, sys.byteorder != "little")
        yield name, array.reshape(shape)


def safetensors_metadata(file: BinaryIO, size: int) -> dict[str, str]:
    """The text in the header, {name: text}; WeightsError if it is something else."""
    metadata = _header(file, size)[0].get("__metadata__")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise WeightsError("its metadata is not text by names")
    return metadata


def _header(file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """The header, and where the numbers begin."""
    length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER or 8 + length > size:
        raise WeightsError(f"it is damaged or cut short: its header shall have {length:,} bytes")
    text = file.read(length)
    if re.search(rb"[0-9]{%d}" % MAX_DIGITS, text):  # what Python refuses since 3.10.7: the time grows with the square
        raise WeightsError(f"it is damaged: its header has a number of {MAX_DIGITS:,} digits or more")
    try:
        header = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"it is damaged: its header is no JSON: {str(error)[:200]}") from error
    if not isinstance(header, dict):
        raise WeightsError(f"it is damaged: its header is {type(header).__name__}")
    return header, 8 + length


def _entry(name: str, entry: Any) -> tuple[str, list[int], int, int]:
    """(type, shape, first byte, byte behind the last) of a tensor."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f"it is damaged: {short(name)} is described by {short(entry)}")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in STORED:
        raise WeightsError(f"{short(name)} is of type {short(kind)}, which NumPy does not have")
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    if lists and len(shape) > MAX_DIMENSIONS:
        raise WeightsError(f"{short(name)} has {len(shape)} dimensions: NumPy has at most {MAX_DIMENSIONS}")
    if not lists or not all(type(number) is int and 0 <= number < 2**62 for number in (*shape, *offsets)):
        raise WeightsError(f"it is damaged: {short(name)} has the shape {short(shape)} at {short(offsets)}")
    stored, (first, last) = STORED[kind], offsets
    if math.prod(shape) * raw_type(stored).itemsize != last - first:
        raise WeightsError(
            f"it is damaged: {short(name)}, {kind} of shape {short(shape)}, shall lie in {last - first} bytes"
        )
    return stored, shape, first, last


def _natural(name: str) -> list[Any]:
    """A sorting key under which `features.3` comes before `features.10`: numbers by their length, then by their digits."""
    parts: list[Any] = re.split("([0-9]+)", name)
    parts[1::2] = [(len(digits), digits) for digits in (part.lstrip("0") for part in parts[1::2])]
    return parts


def write_safetensors(arrays: dict[str, np.ndarray], file: BinaryIO, metadata: dict[str, str] | None) -> None:
    """Arrays in C order. Not by the `safetensors` package, which hides the system's errors (a full disk) behind its own."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    # Sorted so that each begins at a multiple of its size.
    ordered = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    for name in ordered:
        start, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": _code(arrays[name].dtype), "shape": arrays[name].shape, "data_offsets": (start, end)}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in ordered:
        file.write(arrays[name].astype(arrays[name].dtype.newbyteorder("<"), copy=False).data)


def _code(kind: np.dtype) -> str:
    """float32 is F32. TypeError for complex128, which the format does not have."""
    if kind == np.complex128:
        raise TypeError(".safetensors has no complex128: save it as .npz or .pth")
    return "BOOL" if kind == np.bool_ else f"{kind.kind.upper()}{8 * kind.itemsize}"
