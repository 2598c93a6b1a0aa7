"""What `torch.load` reads, written without PyTorch: its zip format, with a pickle of protocol 2."""

import copyreg
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from minicnn._tensor import Tensor
from minicnn._types import Size, device, dtype, layout, uint16, uint32, uint64
from minicnn.nn import Module, Parameter
from minicnn.serialization._own import written_name
from minicnn.serialization._rebuild import STORED
from minicnn.serialization._storages import owner

ALIGNMENT = 64  # where the numbers of a storage begin, as in PyTorch's files, so that they can be mapped into memory
DATE = (1980, 1, 1, 0, 0, 0)  # the same contents give the same file
STORAGE_NAMES = {np.dtype(stored): f"{name}Storage" for name, stored in STORED.items() if stored != "bfloat16"}
# Of these the storages are of bytes, and the tensor has the type.
UNTYPED = {kind.numpy: kind for kind in (uint16, uint32, uint64)}


def write_torch(obj: Any, file: BinaryIO) -> None:
    """Tensors, arrays (they become tensors), numbers, text, and lists, tuples and dicts of them, nested at will; and modules.

    Tensors that share memory still do after loading. TypeError names the place of anything else.
    """
    pickler = Pickler()
    pickler.save(obj, "obj")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_member(archive, "archive/data.pkl", bytes(pickler.output) + b".")
        _write_member(archive, "archive/byteorder", sys.byteorder.encode())
        for key, storage in enumerate(pickler.storages):
            _write_member(archive, f"archive/data/{key}", storage.data.cast("B") if storage.size else b"")
        _write_member(archive, "archive/version", b"3\n")


def _write_member(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    info = zipfile.ZipInfo(name, DATE)
    large = len(data) > 2**31  # then zipfile adds an entry of 20 bytes
    assert archive.fp is not None, "the archive is open"
    before = archive.fp.tell() + 30 + len(name) + (20 if large else 0)
    padding = -(before + 4) % ALIGNMENT
    info.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
    with archive.open(info, "w", force_zip64=large) as member:
        member.write(data)


class Pickler:
    """Instructions for the machine in `_unpickle.py`, and the storages that its tensors look into."""

    def __init__(self) -> None:
        self.output = bytearray(b"\x80\x02")
        self.memo: dict[int, int] = {}  # id of an object that was written: its number
        self.alive: list[Any] = []  # what the ids belong to
        self.storages: list[np.ndarray] = []
        self.keys: dict[int, int] = {}  # id of an array that owns memory: number of its storage
        self.in_module = False  # what is written is held by a module

    def save(self, value: Any, place: str) -> None:
        """Append the instructions that make `value`; `place` is how to reach it from the object that is saved."""
        if id(value) in self.memo and not isinstance(value, (str, int, float)):
            self.output += b"j" + struct.pack("<I", self.memo[id(value)])
        elif value is None or isinstance(value, (bool, np.bool_)):
            self.output += b"N" if value is None else b"\x88" if value else b"\x89"
        elif isinstance(value, (int, np.integer)):
            self._int(int(value))
        elif isinstance(value, (float, np.floating)):
            self.output += b"G" + struct.pack(">d", float(value))
        elif isinstance(value, str):
            self._text(value)
        elif isinstance(value, bytes):
            self._call("_codecs", "encode", value.decode("latin-1"), "latin1", place=place)
        elif isinstance(value, (Tensor, np.ndarray)):
            self._tensor(value, place)
            self._memorize(value)
        elif isinstance(value, Module):
            with self._inside_of_a_module():
                self._object(value, place)
        elif isinstance(value, Size):
            self._call("torch", "Size", tuple(value), place=place)
        elif isinstance(value, dtype):
            self._global("torch", value.name)
        elif isinstance(value, device):
            self._call("torch", "device", str(value), place=place)
        elif isinstance(value, layout):
            self._call("torch.serialization", "_get_layout", repr(value), place=place)
        elif isinstance(value, bytearray):
            self._call("builtins", "bytearray", bytes(value), place=place)
        elif isinstance(value, complex):
            self._call("builtins", "complex", value.real, value.imag, place=place)
        elif isinstance(value, set):
            self._call("builtins", "set", list(value), place=place)
        elif isinstance(value, Mapping):
            self._mapping(value, place)
        elif isinstance(value, list):
            self.output += b"]"
            self._memorize(value)
            self._marked(value, b"e", place)
        elif type(value) is tuple:
            self._marked(value, b"t", place)
        elif self.in_module and isinstance(value, (type, types.FunctionType)):
            self._name(value, place)
        elif self.in_module:
            self._object(value, place)
        else:
            raise TypeError(
                f"save takes modules, tensors, numbers, text, and lists, tuples and dicts of them: {place} is {type(value).__name__}"
            )

    @contextmanager
    def _inside_of_a_module(self) -> Iterator[None]:
        before, self.in_module = self.in_module, True
        try:
            yield
        finally:
            self.in_module = before

    def _object(self, value: Any, place: str) -> None:
        """A module, or what one holds: its class, and its state; or what it says itself that it is made of."""
        try:
            made = value.__reduce_ex__(2)
        except TypeError as error:
            raise TypeError(f"save cannot write {place}: {error}") from None
        if isinstance(made, str):
            raise TypeError(f"save cannot write {place}, which is known by its name only: {made}")
        function, arguments, state, entries, items = (*made, None, None, None)[:5]
        if function is copyreg.__newobj__:  # type: ignore[attr-defined]
            self._name(arguments[0], place)
            self.save(tuple(arguments[1:]), place)
            self.output += b"\x81"
        else:
            self._name(function, place)
            self.save(tuple(arguments), place)
            self.output += b"R"
        self._memorize(value)
        if entries is not None:
            self._marked(entries, b"e", place)
        if items is not None:
            self._marked([part for item in items for part in item], b"u", place)
        if state is not None:
            self._state(value, state, place)

    def _state(self, value: Any, state: Any, place: str) -> None:
        """The state of an object. A module's parts are told by the names that they have in it."""
        if isinstance(value, Module):
            self.output += b"}("
            for name, part in state.items():
                self.save(name, place)
                self.save(part, place if name in ("_parameters", "_buffers", "_modules") else f"{place}.{name}")
            self.output += b"u"
        else:
            self.save(state, place)
        self.output += b"b"

    def _name(self, thing: Any, place: str) -> None:
        """A class or function, by the name that it is imported by."""
        found: Any = sys.modules.get(getattr(thing, "__module__", None) or "builtins")
        name = getattr(thing, "__qualname__", type(thing).__name__)
        if getattr(found, name, None) is not thing:
            raise TypeError(
                f"save writes classes and functions by their names, and {place} is or needs {name}, which cannot be imported "
                f"from {getattr(thing, '__module__', None)}: a lambda, or something inside of a function or a class?"
            )
        self._global(*written_name(thing))

    def _int(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.output += b"J" + struct.pack("<i", value)
            return
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        if len(data) > 255:
            raise TypeError(f"save takes numbers of up to 255 bytes, not one of {len(data)}")
        self.output += b"\x8a" + bytes([len(data)]) + data

    def _text(self, value: str) -> None:
        data = value.encode("utf-8")
        self.output += b"X" + struct.pack("<I", len(data)) + data

    def _global(self, module: str, name: str) -> None:
        self.output += f"c{module}\n{name}\n".encode()

    def _call(self, module: str, name: str, *arguments: Any, place: str) -> None:
        self._global(module, name)
        self.save(arguments, place)
        self.output += b"R"

    def _marked(self, values: Any, end: bytes, place: str) -> None:
        self.output += b"("
        for k, value in enumerate(values):
            self.save(value, f"{place}[{k}]")
        self.output += end

    def _memorize(self, value: Any) -> None:
        """The object on top of the stack has been written: the next time, name it by its number."""
        self.memo[id(value)] = len(self.memo)
        self.alive.append(value)
        self.output += b"r" + struct.pack("<I", self.memo[id(value)])

    def _mapping(self, value: Mapping, place: str) -> None:
        ordered = isinstance(value, OrderedDict)
        if ordered:
            self._global("collections", "OrderedDict")
            self.output += b")R"
        else:
            self.output += b"}"
        self._memorize(value)
        self.output += b"("
        for key, entry in value.items():
            if not isinstance(key, (str, int, float)):
                raise TypeError(f"save takes text and numbers as keys: a key of {place} is {type(key).__name__}")
            self.save(key, place)
            self.save(entry, f"{place}[{key!r}]")
        self.output += b"u"
        metadata = getattr(value, "_metadata", None)
        if ordered and metadata is not None:  # the versions of the modules, which state_dict() keeps there
            self.save({"_metadata": metadata}, f"{place}._metadata")
            self.output += b"b"

    def _tensor(self, value: Tensor | np.ndarray, place: str) -> None:
        array = value.array if isinstance(value, Tensor) else value
        requires_grad = isinstance(value, Tensor) and value.requires_grad
        if isinstance(value, Parameter):
            self._global("torch._utils", "_rebuild_parameter")
            self.output += b"("
        key, storage, offset, strides = self._storage(array, place)
        kind = UNTYPED.get(storage.dtype)
        self._global("torch._utils", "_rebuild_tensor_v3" if kind else "_rebuild_tensor_v2")
        self.output += b"(("
        self._text("storage")
        self._global(*("torch.storage", "UntypedStorage") if kind else ("torch", STORAGE_NAMES[storage.dtype]))
        for part in (str(key), "cpu", storage.nbytes if kind else storage.size):
            self.save(part, place)
        self.output += b"tQ"  # what `persistent_load` gets
        for entry in (offset, tuple(array.shape), strides, requires_grad and not isinstance(value, Parameter)):
            self.save(entry, place)
        self.output += b"ccollections\nOrderedDict\n)R"  # its backward hooks: none
        if kind:
            self.save(kind, place)
        self.output += b"tR"
        if isinstance(value, Parameter):
            self.save(requires_grad, place)
            self.output += b"ccollections\nOrderedDict\n)RtR"

    def _storage(self, array: np.ndarray, place: str) -> tuple[int, np.ndarray, int, tuple[int, ...]]:
        """(number, storage, offset, strides in elements): the memory that the array looks into, whole."""
        kind = array.dtype.newbyteorder("=")
        if kind not in STORAGE_NAMES and kind not in UNTYPED:
            raise TypeError(f"save takes tensors, and {place} is an array of type {kind}")
        whole, item = owner(array), array.itemsize
        offset = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
        fits = whole.dtype == array.dtype == kind and (whole.flags.c_contiguous or whole.flags.f_contiguous)
        if not fits or offset < 0 or offset % item or any(step < 0 or step % item for step in array.strides):
            whole = array = np.array(array, dtype=kind, order="C")
            offset = 0
        if id(whole) not in self.keys:
            self.keys[id(whole)] = len(self.storages)
            self.alive.append(whole)
            self.storages.append(whole.reshape(-1, order="A"))
        key = self.keys[id(whole)]
        return key, self.storages[key], offset // item, tuple(step // item for step in array.strides)
