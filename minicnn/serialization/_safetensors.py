"""`.safetensors`: a header in JSON and the numbers; the format that travels best. The `safetensors` package reads it."""

import json
from collections.abc import Iterator
from pathlib import Path
from re import split
from typing import Any

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
