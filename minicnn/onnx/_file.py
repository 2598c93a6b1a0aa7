"""A file of ONNX: its graph, checked, and its numbers. Nothing outside of the file's folder is opened.

Of the package onnx the parts in Python are used: its C++ that checks graphs and infers shapes can end the process that gives it a
damaged one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from minicnn._tensor import Tensor
from minicnn._types import dtype
from minicnn.onnx._functions import written_out
from minicnn.serialization import WeightsError

FIRST_OPSET, LAST_OPSET = 7, onnx.defs.onnx_opset_version()
MOST_BYTES = 2**31 - 1  # what a protocol buffer may have; larger networks keep their numbers beside it
STANDARD = ("", "ai.onnx")  # the domain of the standard's operators, by its two names
Shape = tuple[int | None, ...]


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Whatever goes wrong inside with a stranger's file is a WeightsError with its name."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except OSError:
        raise
    except Exception as error:
        raise WeightsError(f"{path}: it is damaged: {str(error)[:300] or type(error).__name__}") from error


class File:
    """What a file says.

    nodes: in order, with its own functions written out. constants: {name: Tensor} of its initializers. inputs, outputs: names.
    shapes, kinds: by name, as far as they are stated, the shape, with None where it is not fixed, and the standard's number for the
    type. opset: of the standard's operators. size: bytes, with those of the files beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        model = _parsed(path)
        graph = model.graph
        self.opset = next((entry.version for entry in model.opset_import if entry.domain in STANDARD), 0)
        if not FIRST_OPSET <= self.opset <= LAST_OPSET:
            way = (
                "; onnx.version_converter.convert_version makes a newer one of it"
                if 0 < self.opset < FIRST_OPSET
                else ""
            )
            known = f"{FIRST_OPSET} to {LAST_OPSET} are read, the newest of onnx {onnx.__version__}"
            raise WeightsError(f"its operators are of opset {self.opset}: {known}{way}")
        self.metadata = {entry.key: entry.value for entry in model.metadata_props}
        if graph.sparse_initializer:
            raise WeightsError("it has sparse tensors, which are not read")
        beside = _Beside(path)
        self.constants: dict[str, Tensor] = {}
        self.shapes: dict[str, Shape] = {}
        self.kinds: dict[str, int] = {}
        for entry in graph.initializer:
            if entry.name in self.constants:
                raise WeightsError(f"it has two tensors called {entry.name!r:.80}")
            self.constants[entry.name] = held(array_of(entry, beside))
            self.kinds[entry.name], self.shapes[entry.name] = entry.data_type, tuple(entry.dims)
        self.size = path.stat().st_size + beside.taken
        for entry in (*graph.value_info, *graph.input, *graph.output):
            kind = entry.type.WhichOneof("value")
            if kind not in (None, "tensor_type"):
                raise WeightsError(f"{entry.name!r:.80} is a {kind.removesuffix('_type')}: tensors alone are read")
            stated = entry.type.tensor_type
            self.kinds[entry.name] = stated.elem_type
            if stated.HasField("shape"):
                self.shapes[entry.name] = tuple(d.dim_value if d.dim_value > 0 else None for d in stated.shape.dim)
        self.inputs = [entry.name for entry in graph.input if entry.name not in self.constants]
        self.outputs = [entry.name for entry in graph.output]
        self.nodes = written_out(graph.node, model.functions, self.opset)


def _parsed(path: Path) -> Any:
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise WeightsError(f"it has {size:,} bytes, and a protocol buffer at most {MOST_BYTES:,}")
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except Exception as error:
        raise WeightsError("it is no .onnx file, or damaged or cut short: it cannot be decoded") from error
    if not model.graph.output or not model.opset_import:
        raise WeightsError("it is no .onnx file, or damaged or cut short: it has no graph with outputs and no opset")
    return model


# --- numbers ------------------------------------------------------------------------------------------------------------


class _Beside:
    """The files beside a network that hold its numbers. taken: bytes that were read from them."""

    def __init__(self, path: Path) -> None:
        self.folder = path.resolve().parent
        self.taken = 0
        self.there: dict[Path, int] = {}  # the bytes of each

    def read(self, tensor: Any, size: int) -> bytes:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        place = Path(entries.get("location", ""))
        path = (self.folder / place).resolve()
        if not entries.get("location") or place.is_absolute() or not path.is_relative_to(self.folder):
            raise WeightsError(
                f"the numbers of {tensor.name!r:.80} shall lie in {str(place)!r:.80}, outside of its folder"
            )
        if not path.is_file():
            raise WeightsError(
                f"the numbers of {tensor.name!r:.80} lie in {str(place)!r:.80}, which is not there beside it"
            )
        start, length = int(entries.get("offset") or 0), int(entries.get("length") or size)
        self.there[path] = whole = path.stat().st_size
        if length != size or start < 0 or start + size > whole:
            raise WeightsError(
                f"the numbers of {tensor.name!r:.80}, {size:,} bytes, shall be {length:,} bytes at {start:,} of {str(place)!r:.80}, "
                f"which has {whole:,}"
            )
        self.taken += size
        if self.taken > 4 * sum(self.there.values()):
            raise WeightsError(f"its tensors share the bytes of {str(place)!r:.80} more than four times over")
        with path.open("rb") as file:
            file.seek(start)
            return file.read(size)


def array_of(tensor: Any, beside: _Beside | None = None) -> np.ndarray:
    """The numbers of a TensorProto, as many as its shape has, in NumPy's type or one of ml_dtypes."""
    name, shape = tensor.name, list(tensor.dims)
    if tensor.data_type == onnx.TensorProto.STRING:
        raise WeightsError(f"{name!r:.80} is text, and tensors here are numbers")
    if len(shape) > 64 or any(n < 0 for n in shape):
        raise WeightsError(f"{name!r:.80} has the shape {str(shape)[:80]}")
    size = -(-int(np.prod(shape, dtype=object)) * _bits(tensor.data_type) // 8)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        if beside is None:
            raise WeightsError(f"the numbers of {name!r:.80}, which is no initializer, lie in another file")
        raw = beside.read(tensor, size)
        tensor = onnx.TensorProto(name=name, dims=shape, data_type=tensor.data_type, raw_data=raw)
    if tensor.HasField("raw_data") and len(tensor.raw_data) != size:
        raise WeightsError(
            f"{name!r:.80} has {len(tensor.raw_data):,} bytes, and {str(shape)[:80]} of its type {size:,}"
        )
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:
        raise WeightsError(f"the numbers of {name!r:.80} are damaged: {str(error)[:200]}") from error


def _bits(kind: int) -> int:
    """Of one number of this type in a file."""
    name = onnx.TensorProto.DataType.Name(kind) if kind in onnx.TensorProto.DataType.values() else ""
    for packed, bits in (("INT4", 4), ("UINT4", 4), ("FLOAT4E2M1", 4), ("INT2", 2), ("UINT2", 2)):
        if name == packed:
            return bits
    return 8 * stored_type(kind).itemsize


def stored_type(kind: int) -> np.dtype:
    """The type that the file means by this number, NumPy's or one of ml_dtypes."""
    try:
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind))
    except Exception as error:
        raise WeightsError(f"it has numbers of the type {kind}, which is unknown") from error


def held_type(stored: np.dtype) -> np.dtype:
    """The type that such numbers have here: their own, or a wider one where NumPy has none."""
    if stored.kind in "OSU":
        raise WeightsError("tensors here are numbers, not text")
    try:
        return dtype.of(stored).numpy
    except TypeError:
        pass
    return np.dtype(stored.name.rstrip("0123456789") + "8" if "int" in stored.name else np.float32)


def held(array: np.ndarray) -> Tensor:
    """A tensor of these numbers, which nobody else writes."""
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    kind = held_type(array.dtype)
    return Tensor.wrap(np.require(array.astype(kind, copy=False), requirements=["C", "W", "O"]))
