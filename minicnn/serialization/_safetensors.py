"""`.safetensors`: a header in JSON and the numbers; the format that travels best. The `safetensors` package reads it."""

import json
from collections.abc import Iterator
from pathlib import Path
from re import split
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open

from minicnn.serialization._errors import WeightsError


def opened_safetensors(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged or cut short: {error}") from error


def read_safetensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with opened_safetensors(path) as file:
        for name in sorted(file.keys(), key=_natural):
            kind = file.get_slice(name).get_dtype()
            if kind == "BF16":
                yield name, _read_bfloat16(path, name)
                continue
            try:
                yield name, file.get_tensor(name)
            except (SafetensorError, TypeError, AttributeError, KeyError) as error:
                raise WeightsError(f"{path}: {name!r} cannot be read as {kind}: {error}") from error


def _read_bfloat16(path: Path, name: str) -> np.ndarray:
    """A bfloat16 is the upper half of a float32: put it there, and zeros below."""
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(header_length))[name]
        first, last = entry["data_offsets"]
        file.seek(8 + header_length + first)
        upper = np.frombuffer(file.read(last - first), "<u2")
    return (upper.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _natural(name: str) -> list[Any]:
    """A sorting key under which `features.3` comes before `features.10`."""
    return [int(part) if i % 2 else part for i, part in enumerate(split(r"(\d+)", name))]


def write_safetensors(arrays: dict[str, np.ndarray], file: BinaryIO, metadata: dict[str, str] | None) -> None:
    """Arrays in C order. Not by the `safetensors` package, which hides the system's errors (a full disk) behind its own."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    end = 0
    ordered = sorted(
        arrays, key=lambda name: (-arrays[name].itemsize, name)
    )  # so each begins at a multiple of its size
    for name in ordered:
        start, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": _code(arrays[name].dtype), "shape": arrays[name].shape, "data_offsets": (start, end)}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in ordered:
        file.write(arrays[name].astype(arrays[name].dtype.newbyteorder("<"), copy=False))


def _code(kind: np.dtype) -> str:
    """float32 is F32. TypeError for complex128, which the format does not have."""
    if kind == np.complex128:
        raise TypeError(".safetensors has no complex128: save it as .npz or .pth")
    return "BOOL" if kind == np.bool_ else f"{kind.kind.upper()}{8 * kind.itemsize}"
