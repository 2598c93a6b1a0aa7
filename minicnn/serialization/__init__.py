"""Weights in files: PyTorch's `.pth`, `.safetensors` and `.npz`, read without PyTorch and without running anything.

    state = minicnn.load("mine.pth")                      # {name: Tensor}, or whatever torch.save was given
    minicnn.save(model.state_dict(), "mine.pth")          # torch.load reads it; .safetensors and .npz by the suffix
    minicnn.serialization.load_weights(model, "mine.pth")

`load` looks at the file's first bytes and not at its name. Whatever is wrong with a file, the answer is a
`WeightsError` that names the file and, where there is one, the key. A pickle that asks for more than tensors, numbers,
text, and lists and dicts of them gives a `ForbiddenError`, which is a WeightsError and a `pickle.UnpicklingError`.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from minicnn._tensor import Tensor
from minicnn._types import check_device, dtype
from minicnn.nn import Module
from minicnn.serialization._atomic import atomic_write
from minicnn.serialization._errors import ForbiddenError, WeightsError
from minicnn.serialization._fit import check_fit, state_dict_in
from minicnn.serialization._formats import METADATA_OF, reading
from minicnn.serialization._npz import METADATA, write_npz
from minicnn.serialization._own import Own, add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from minicnn.serialization._safetensors import write_safetensors
from minicnn.serialization._torch_write import write_torch

__all__ = [
    "ForbiddenError",
    "WeightsError",
    "add_safe_globals",
    "atomic_write",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "load_weights",
    "read_metadata",
    "safe_globals",
    "save",
    "state_dict_in",
]

FileName = str | os.PathLike[str]
WRITERS = {".safetensors": write_safetensors, ".npz": write_npz}  # by suffix; everything else is PyTorch's format


# --- the front door ---------------------------------------------------------------------------------------------------


def load(f: FileName | BinaryIO, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """What a file holds: {name: Tensor} of a `.safetensors` or `.npz`; of a `.pth` whatever torch.save was given.

    The tensors are in float32, float16, int64 ... as stored; bfloat16 and float8, which NumPy does not have, become float32,
    complex32 becomes complex64 (the same numbers). Those of a `.pth` that shared memory share it again, but for conjugate
    and negative views, which get their own. A `.safetensors` file keeps no order, so its names come
    in natural order: `features.3` before `features.10`; those of the other formats come as they were saved.

    Args:
        f: a path or an open binary file, which is read from its beginning.
        map_location: torch.load's argument. Everything comes to the CPU, from wherever it was saved.
        weights_only: False lets the file hold whole modules: layers of `minicnn.nn`, and of your own classes and functions
            (hooks) those that `safe_globals` names. Their `__setstate__` and, if the file says so, they themselves are
            called with what the file gives, so name only what may be called by whoever wrote the file.

    Raises:
        ValueError: `weights_only=False`, and `safe_globals` has named nothing, not even [].
        WeightsError: the file is damaged or of another kind.
        ForbiddenError: its pickle asks for a name outside of the list of `_unpickle.py`. Nothing is executed.
        FileNotFoundError: there is none.
    """
    if not callable(map_location) and not isinstance(map_location, Mapping):
        check_device(map_location)
    own = Own(whole=not weights_only)
    with _opened(f) as (file, name), reading(file, name) as (kind, read, source):
        loaded = read(*source, own) if kind == "torch" else read(*source)
        return loaded if kind == "torch" else OrderedDict((key, Tensor.wrap(array)) for key, array in loaded)


def save(obj: Any, f: FileName | BinaryIO, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write `model.state_dict()`, or what else there is, in the format that the suffix of `f` says.

    `.safetensors` and `.npz` take {name: Tensor or array}, and `metadata`: text beside the tensors, {name: text}, which
    `read_metadata` returns. Any other suffix, `.pth` by custom, and an open binary file get PyTorch's zip format, which
    takes tensors, numbers, text, and lists, tuples and dicts of them; `torch.load(f, weights_only=True)` reads it, bit
    for bit. It takes whole modules too, with their hooks: classes and functions in them are written by the names that
    PyTorch has for them. The file appears under its name only when it is complete (`atomic_write`). Raises TypeError for
    anything else, and OSError where the file cannot be written.
    """
    if metadata is not None and not all(isinstance(part, str) for pair in metadata.items() for part in pair):
        raise TypeError("metadata must be text: {str: str}")
    kind = Path(f).suffix if isinstance(f, str | os.PathLike) else type(f).__name__
    write = WRITERS.get(kind)
    if write is None and metadata is not None:
        raise ValueError(f"metadata goes into .safetensors and .npz, not into {kind or 'a file without suffix'}")
    arrays = _arrays(obj) if write else {}
    with atomic_write(f) if isinstance(f, str | os.PathLike) else nullcontext(f) as file:
        if write is None:
            write_torch(obj, file)
        else:
            write(arrays, file, dict(metadata) if metadata else None)


def read_metadata(f: FileName) -> dict[str, str]:
    """The text that was saved beside the tensors, {name: text}; empty if there is none. Reads no tensor."""
    with _opened(f) as (file, name), reading(file, name) as (kind, _, source):
        return METADATA_OF[kind](*source) if kind in METADATA_OF else {}


def load_weights(model: Module, f: FileName, strict: bool = True) -> Any:
    """Copy a file's tensors into the model's parameters and buffers of the same names, in the model's dtypes.

    A state_dict inside of a checkpoint is found, and so are names that a wrapper has changed (`state_dict_in`). Names and
    shapes are compared first: if anything does not fit, WeightsError says what and the model stays exactly as it
    was. `strict=False` passes over missing and unexpected names, but not over wrong shapes. Returns what
    `load_state_dict` returns: `.missing_keys`, `.unexpected_keys`.
    """
    weights, how = state_dict_in(load(f), model, f)
    check_fit(model, weights, f, how, strict)
    return model.load_state_dict(weights, strict=strict)


@contextmanager
def _opened(f: FileName | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """The file, open for reading, and what to call it."""
    if isinstance(f, str | os.PathLike):
        with Path(f).open("rb") as file:
            yield file, str(f)
    elif hasattr(f, "readinto") and hasattr(f, "seek"):
        yield f, getattr(f, "name", "the file")
    else:
        raise TypeError(f"a file of weights is a path or a binary file that can seek, not {type(f).__name__}")


# --- writing ----------------------------------------------------------------------------------------------------------


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
