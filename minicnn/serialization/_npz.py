"""`.npz`: NumPy's own format, a zip of arrays. Nothing in it is ever unpickled."""

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minicnn.serialization._errors import WeightsError

METADATA = "__metadata__"  # the entry that holds the metadata, in .safetensors too; no tensor can have this name


@contextmanager
def _opened_npz(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except Exception as error:  # a foreign file may break zipfile and NumPy in many ways
            raise WeightsError(f"{path} is a damaged or incomplete .npz: {error}") from error
        yield archive


def read_npz(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with _opened_npz(path) as file:
        for name in file.files:
            if name == METADATA:
                continue
            try:
                array = file[name]
            except Exception as error:  # as above
                raise WeightsError(f"{path}: the entry {name!r} cannot be read: {error}") from error
            if not isinstance(array, np.ndarray):
                raise WeightsError(f"{path}: the entry {name!r} is not an array")
            yield name, array.astype(array.dtype.newbyteorder("="), copy=False)


def npz_metadata(path: Path) -> dict[str, str]:
    with _opened_npz(path) as file:
        if METADATA not in file.files:
            return {}
        try:
            metadata = json.loads(str(file[METADATA]))
            return {str(name): str(text) for name, text in metadata.items()}
        except Exception as error:  # as above
            raise WeightsError(f"{path}: the metadata cannot be read: {error}") from error


def write_npz(arrays: dict[str, np.ndarray], file: BinaryIO, metadata: dict[str, str] | None) -> None:
    if metadata:
        arrays = {**arrays, METADATA: np.array(json.dumps(metadata))}
    # not np.savez: its keyword arguments forbid an array that is called "file"
    with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
