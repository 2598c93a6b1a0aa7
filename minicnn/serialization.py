"""Weights in files: `.safetensors` and `.npz`, read without PyTorch and without ever unpickling anything.

    state = minicnn.load("mine.safetensors")              # {name: Tensor}
    minicnn.save(model.state_dict(), "mine.safetensors")
    minicnn.serialization.load_weights(model, "mine.safetensors")

`load` looks at the file's first bytes and not at its name. Whatever is wrong with a file, the answer is a
`WeightsError` that names the file and, where there is one, the key.
"""

import json
import os
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from re import split
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from minicnn._tensor import Tensor
from minicnn._types import check_device, dtype
from minicnn.nn import Module

METADATA = "__metadata__"  # the entry that holds the metadata, in both formats; no tensor can have this name

FileName = str | os.PathLike[str]


class WeightsError(RuntimeError):
    """A file of weights that cannot be read, or that does not fit the model."""


# --- the front door ---------------------------------------------------------------------------------------------------


def load(f: FileName, map_location: Any = None, *, weights_only: bool = True) -> "OrderedDict[str, Tensor]":
    """All tensors of a `.safetensors` or `.npz` file: {name: Tensor}, in float32, float16, int64 ... as stored.

    bfloat16, which NumPy does not have, becomes float32 (the same numbers). A `.safetensors` file keeps no order, so
    its names come in natural order: `features.3` before `features.10`; those of a `.npz` come as they were saved.
    `map_location` and `weights_only` are torch.load's arguments: the CPU and True are the only values there are.
    Raises WeightsError for a file that is damaged or of another kind, FileNotFoundError if there is none.
    """
    check_device(map_location)
    if not weights_only:
        raise ValueError("weights_only=False would run code from the file: minicnn reads tensors and nothing else")
    path = Path(f)
    read = {"safetensors": _read_safetensors, "npz": _read_npz}[_format_of(path)]
    return OrderedDict((name, _tensor(path, name, array)) for name, array in read(path))


def save(obj: Mapping[str, Tensor | np.ndarray], f: FileName, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write {name: Tensor or array}, such as `model.state_dict()`, as `.safetensors` or `.npz`, whichever `f` ends in.

    `metadata` is text beside the tensors, {name: text}; `read_metadata` returns it. The file appears under its name
    only when it is complete. Raises TypeError for anything but named tensors, ValueError for another suffix.
    """
    path = Path(f)
    writers = {".safetensors": save_file, ".npz": _write_npz}
    if path.suffix not in writers:
        raise ValueError(f"minicnn writes .safetensors and .npz, and {str(path)!r} ends in {path.suffix!r}")
    arrays = _arrays(obj)
    if metadata is not None and not all(isinstance(part, str) for pair in metadata.items() for part in pair):
        raise TypeError("metadata must be text: {str: str}")
    partial = path.with_name(path.name + ".partial")
    partial.touch()
    mode = partial.stat().st_mode  # what this user's new files get; safetensors would make one for the owner only
    try:
        writers[path.suffix](arrays, partial, metadata=dict(metadata) if metadata else None)
        partial.chmod(mode)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read_metadata(f: FileName) -> dict[str, str]:
    """The text that was saved beside the tensors, {name: text}; empty if there is none. Reads no tensor."""
    path = Path(f)
    if _format_of(path) == "safetensors":
        with _opened_safetensors(path) as file:
            return dict(file.metadata() or {})
    return _npz_metadata(path)


def load_weights(model: Module, f: FileName, strict: bool = True) -> Any:
    """Copy a file's tensors into the model's parameters and buffers of the same names, in the model's dtypes.

    Names and shapes are compared first: if anything does not fit, WeightsError lists all of it and the model stays
    exactly as it was. `strict=False` passes over missing and unexpected names, but not over wrong shapes. Returns what
    `load_state_dict` returns: `.missing_keys`, `.unexpected_keys`.
    """
    weights = load(f)
    check_fit(model, weights, f, strict)
    return model.load_state_dict(weights, strict=strict)


def check_fit(model: Module, weights: Mapping[str, Tensor], f: FileName, strict: bool = True) -> None:
    """WeightsError that lists every name and shape of `weights`, read from `f`, that does not fit the model."""
    own = model.state_dict()
    problems = []
    if strict:
        missing = [name for name in own if name not in weights]
        unexpected = [name for name in weights if name not in own]
        problems += [f"Missing key(s) in the file: {_quoted(missing)}."] if missing else []
        problems += [f"Unexpected key(s) in the file: {_quoted(unexpected)}."] if unexpected else []
    problems += [
        f"size mismatch for {name}: the shape in the file is {weights[name].shape}, "
        f"the shape in the model is {value.shape}."
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if problems:
        raise WeightsError(f"{f} does not fit {type(model).__name__}:\n\t" + "\n\t".join(problems))


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# --- what is this file? -----------------------------------------------------------------------------------------------


def _format_of(path: Path) -> str:
    """ "safetensors" or "npz", by the first bytes; WeightsError for anything else."""
    with path.open("rb") as file:
        head = file.read(512)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):  # a zip archive: .npz, or what torch.save writes
        first_member = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        if not first_member.endswith(b"/data.pkl"):
            return "npz"
    elif head[8:9] == b"{":
        return "safetensors"
    elif head[:1] != b"\x80":  # the first byte of a pickle: torch.save before version 1.6
        what = "is empty" if not head else f"is neither .safetensors nor .npz: it begins with {head[:16]!r}"
        raise WeightsError(f"{path} {what}")
    raise WeightsError(
        f"{path} is a pickle (.pth, .pt). minicnn reads .safetensors and .npz. With PyTorch installed, convert it:\n"
        f"    python weights/export.py {path} {path.with_suffix('.safetensors')} --architecture NAME"
    )


def _tensor(path: Path, name: str, array: np.ndarray) -> Tensor:
    try:
        dtype.of(array.dtype)
    except TypeError as error:
        raise WeightsError(f"{path}: {name!r} has a type that tensors do not have: {array.dtype}") from error
    return Tensor.wrap(array)


def _arrays(obj: Any) -> dict[str, np.ndarray]:
    """{name: array in C order and native byte order}, or a TypeError that says what was given instead."""
    if isinstance(obj, Module):
        raise TypeError(f"save takes tensors by name, not a whole {type(obj).__name__}: give it model.state_dict()")
    if not isinstance(obj, Mapping):
        raise TypeError(f"save takes tensors by name, such as model.state_dict(), not {type(obj).__name__}")
    arrays = {}
    for name, value in obj.items():
        array = value.array if isinstance(value, Tensor) else value
        if not isinstance(name, str) or name == METADATA or not isinstance(array, np.ndarray | np.generic):
            raise TypeError(f"save takes tensors by name: {name!r} is {type(value).__name__}")
        dtype.of(array.dtype.newbyteorder("="))
        arrays[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    return arrays


# --- .safetensors -----------------------------------------------------------------------------------------------------


def _opened_safetensors(path: Path) -> Any:
    try:
        return safe_open(path, framework="numpy")
    except SafetensorError as error:
        raise WeightsError(f"{path} is damaged or cut short: {error}") from error


def _read_safetensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with _opened_safetensors(path) as file:
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


# --- .npz -------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened_npz(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
        except Exception as error:  # a foreign file may break zipfile and NumPy in many ways
            raise WeightsError(f"{path} is a damaged or incomplete .npz: {error}") from error
        yield archive


def _read_npz(path: Path) -> Iterator[tuple[str, np.ndarray]]:
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


def _npz_metadata(path: Path) -> dict[str, str]:
    with _opened_npz(path) as file:
        if METADATA not in file.files:
            return {}
        try:
            metadata = json.loads(str(file[METADATA]))
            return {str(name): str(text) for name, text in metadata.items()}
        except Exception as error:  # as above
            raise WeightsError(f"{path}: the metadata cannot be read: {error}") from error


def _write_npz(arrays: dict[str, np.ndarray], path: Path, metadata: dict[str, str] | None) -> None:
    if metadata:
        arrays = {**arrays, METADATA: np.array(json.dumps(metadata))}
    # not np.savez: its keyword arguments forbid an array that is called "file"
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
