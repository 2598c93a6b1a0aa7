"""Reading a pickle without running it: the machine that pickles are programs for, with a fixed list of instructions.

A pickle is a program for a machine with a stack. Python's own machine may import any name and call it with any
arguments, which is why unpickling a stranger's file runs a stranger's code. This one knows a dozen names, each with a
function of its own that takes what PyTorch writes; it imports nothing, and it counts what it does, so that a small file
cannot fill the memory. The instructions are taken apart by the standard library's `pickletools`.
"""

import math
import pickletools
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from minicnn import _types
from minicnn._tensor import Tensor
from minicnn._types import Size, device
from minicnn.nn import Parameter
from minicnn.serialization._errors import ForbiddenError, WeightsError, short

MAX_OPCODES = 1_000_000  # a ResNet-152 with Adam's state takes a tenth of that
MAX_BYTES = 64 << 20
MAX_NUMBER = 255 * 8  # bits of an integer
MAX_FLAT = 32  # dimensions of a tensor, entries of a tuple that is a key
MAX_REPEATED = 2**26  # elements of a tensor that repeats numbers, such as an expanded one


class StorageType:
    """`torch.FloatStorage`: what a pickle says of the element type of a storage."""

    def __init__(self, name: str, stored: str | None) -> None:
        self.name, self.stored = name, stored  # `stored` is NumPy's name for the type; None if NumPy has none


STORED = {
    "Float": "f4",
    "Double": "f8",
    "Half": "f2",
    "BFloat16": "bfloat16",
    "Byte": "u1",
    "Char": "i1",
    "Short": "i2",
    "Int": "i4",
    "Long": "i8",
    "Bool": "b1",
    "ComplexFloat": "c8",
    "ComplexDouble": "c16",
}


# --- the names --------------------------------------------------------------------------------------------------------


def rebuild_tensor(storage: np.ndarray, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    """The tensor of shape `size` whose element (i, j ...) is number `offset + i stride[0] + j stride[1] ...`."""
    if not isinstance(storage, np.ndarray):
        raise WeightsError("a tensor without a storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > MAX_FLAT or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
        raise WeightsError(f"a tensor of shape {short(size)} with strides {short(stride)} and offset {short(offset)}")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if count else offset - 1
    if last >= len(storage):
        raise WeightsError(
            f"a tensor of shape {list(size)} with strides {list(stride)} from number {offset} on does not fit in its "
            f"storage of {len(storage)} numbers"
        )
    if count > max(len(storage), MAX_REPEATED):
        raise WeightsError(f"a tensor of shape {list(size)} in a storage of only {len(storage)} numbers")
    if not count:
        return Tensor.wrap(np.empty(size, storage.dtype))
    item = storage.itemsize
    return Tensor.wrap(
        np.ndarray(tuple(size), storage.dtype, storage, offset * item, tuple(step * item for step in stride))
    )


def _tensor_v2(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, *_: Any) -> Tensor:
    tensor = rebuild_tensor(storage, offset, size, stride)
    if requires_grad and tensor.is_floating_point():
        tensor.requires_grad_()
    return tensor


def _parameter(data: Any, requires_grad: Any = True, *_: Any) -> Parameter:
    if not isinstance(data, Tensor):
        raise WeightsError("a Parameter without a tensor")
    return Parameter(data.detach(), bool(requires_grad) and data.is_floating_point())


def _from_type(rebuild: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor that carries attributes of its own; they are left behind."""
    if rebuild not in (_tensor_v2, _parameter) or not isinstance(arguments, tuple) or len(arguments) > MAX_FLAT:
        raise WeightsError("a tensor of an unknown kind")
    return rebuild(*arguments)


def _ordered_dict(pairs: Any = ()) -> OrderedDict:
    result = OrderedDict()
    for key, value in pairs:
        result[_key(key)] = value
    return result


def _counter(counts: Any = None) -> Counter:
    return Counter(counts if isinstance(counts, dict) else None)


def _set(items: Any = ()) -> set:
    return {_key(item) for item in items}


def _bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise WeightsError("bytes in an unknown encoding")
    return text.encode("latin-1")


def _complex(real: Any, imaginary: Any) -> complex:
    return complex(float(real), float(imaginary))


def _size(lengths: Any = ()) -> Size:
    if not isinstance(lengths, (tuple, list)):
        raise WeightsError("a shape that is no tuple")
    return Size(lengths)


def _device(*where: Any) -> device:
    if not all(isinstance(part, (str, int)) for part in where):
        raise WeightsError("a device that is no name")
    return device(*where)


CALLABLE: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.Size": _size,
    "torch.device": _device,
    "_codecs.encode": _bytes,
    "builtins.set": _set,
    "builtins.complex": _complex,
    "__builtin__.set": _set,
    "__builtin__.complex": _complex,
}
VALUES: dict[str, Any] = {
    **{f"torch.{name}Storage": StorageType(name, stored) for name, stored in STORED.items()},
    **{f"torch.{kind.name}": kind for kind in vars(_types).values() if isinstance(kind, _types.dtype)},
    **{f"torch.{name}Tensor": Tensor for name in STORED},  # what a tar archive says of each tensor
    "torch.bfloat16": _types.float32,  # what its numbers become
    "torch.nn.parameter.Parameter": Parameter,
    "torch.Tensor": Tensor,
}


def find_global(module: str, name: str) -> Any:
    """What a name of the list stands for; ForbiddenError for any other."""
    full = f"{module}.{name}"
    if full in CALLABLE:
        return CALLABLE[full]
    if full in VALUES:
        return VALUES[full]
    raise ForbiddenError(
        f"it asks for {full:.200}, which is not in the list of names that minicnn unpickles; nothing was executed. "
        "Only tensors, numbers, text, and lists and dictionaries of them are read. If the file holds a whole pickled model: "
        "load it in PyTorch, if you trust it, and save its numbers with torch.save(model.state_dict(), path)"
    )


# --- the machine ------------------------------------------------------------------------------------------------------

_MARK = object()
_PUT = ("PUT", "BINPUT", "LONG_BINPUT")
_GET = ("GET", "BINGET", "LONG_BINGET")
_NUMBER = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT")
_TEXT = ("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
_OLD_TEXT = ("BINSTRING", "SHORT_BINSTRING")  # what Python 2 wrote
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")
_CONSTANT = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_FRESH = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": set}
_TUPLE = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NOTHING = ("PROTO", "FRAME")


def unpickle(file: BinaryIO, persistent_load: Callable[[Any], Any]) -> Any:
    """The object that the pickle at the file's position describes; the position is behind it afterwards.

    `persistent_load` is called with what the pickle says in place of an object that is stored outside of it.
    Raises ForbiddenError for a name outside of the list, WeightsError for everything else.
    """
    machine = Machine(persistent_load)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(_Counted(file))):
            if count > MAX_OPCODES:
                raise WeightsError(f"its pickle has more than {MAX_OPCODES:,} instructions")
            if opcode.name == "STOP":
                return machine.pop()
            machine.run(opcode.name, argument)
    except WeightsError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, struct.error) as error:
        raise WeightsError(f"its pickle is damaged: {str(error)[:200] or type(error).__name__}") from error
    raise WeightsError("its pickle has no end")


class _Counted:
    """A file of which a pickle may take `MAX_BYTES`."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.left, self.tell = file, MAX_BYTES, file.tell

    def read(self, count: int) -> bytes:
        self.left -= count
        if self.left < 0:
            raise WeightsError(f"its pickle is damaged, or longer than {MAX_BYTES:,} bytes")
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline(4096)
        self.left -= len(line)
        return line


class Machine:
    """A stack, and a memo of what may be named again."""

    def __init__(self, persistent_load: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.copied = [0, 0]  # by calls: elements, and characters or bytes; one list may be named a thousand times
        self.persistent_load = persistent_load

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def pop_to_mark(self) -> list[Any]:
        for k in range(len(self.stack) - 1, -1, -1):
            if self.stack[k] is _MARK:
                values = self.stack[k + 1 :]
                del self.stack[k:]
                return values
        raise ValueError("no mark on the stack")

    def run(self, name: str, argument: Any) -> None:
        """One instruction."""
        push = self.stack.append
        if name in _PUT:
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in _GET:
            push(self.memo[argument])
        elif name in _NUMBER or name in _TEXT or name in _BYTES:
            if isinstance(argument, int) and argument.bit_length() > MAX_NUMBER:
                raise WeightsError(f"its pickle has {short(argument)}")
            push(argument)
        elif name in _OLD_TEXT:
            push(argument.encode("latin-1").decode("utf-8"))
        elif name in _CONSTANT:
            push(_CONSTANT[name])
        elif name in _FRESH:
            push(_FRESH[name]())
        elif name == "MARK":
            push(_MARK)
        elif name in _TUPLE:
            push(tuple([self.pop() for _ in range(_TUPLE[name])][::-1]))
        elif name == "TUPLE":
            push(tuple(self.pop_to_mark()))
        elif name == "LIST":
            push(self.pop_to_mark())
        elif name == "DICT":
            values = self.pop_to_mark()
            push({})
            self.set_items(values)
        elif name in ("APPEND", "APPENDS"):
            values = [self.pop()] if name == "APPEND" else self.pop_to_mark()
            self.top(list).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            self.set_items([self.pop(), self.pop()][::-1] if name == "SETITEM" else self.pop_to_mark())
        elif name == "ADDITEMS":
            values = self.pop_to_mark()
            self.top(set).update(_key(value) for value in values)
        elif name == "GLOBAL":
            push(find_global(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            attribute, module = self.pop(), self.pop()
            if not (isinstance(module, str) and isinstance(attribute, str)):
                raise ValueError("a name that is no text")
            push(find_global(module, attribute))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = self.pop(), self.pop()
            self.call(function, arguments)
        elif name == "BUILD":
            self.build(self.pop())
        elif name == "BINPERSID":
            push(self.persistent_load(self.pop()))
        elif name == "POP":
            self.stack.pop()
        elif name not in _NOTHING:
            raise WeightsError(f"its pickle uses the instruction {name}, which torch.save does not write")

    def top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"{type(self.stack[-1]).__name__} in place of {kind.__name__}")
        return self.stack[-1]

    def set_items(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise ValueError("a key without a value")
        target = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_key(key)] = value

    def call(self, function: Any, arguments: Any) -> None:
        """Only what stands in `CALLABLE` is ever called."""
        if not isinstance(arguments, tuple) or not any(function is known for known in CALLABLE.values()):
            raise ForbiddenError(f"it calls {type(function).__name__}, which is not in the list; nothing was executed")
        self.count(arguments, *arguments)
        self.stack.append(function(*arguments))

    def count(self, *values: Any) -> None:
        """These are about to be walked through."""
        self.copied[0] += sum(len(value) for value in values if isinstance(value, (tuple, list, dict, set)))
        self.copied[1] += sum(len(value) for value in values if isinstance(value, (str, bytes)))
        if self.copied[0] > MAX_OPCODES or self.copied[1] > MAX_BYTES // 4:
            raise WeightsError("its pickle copies the same things again and again")

    def build(self, state: Any) -> None:
        """The attributes of an object: `_metadata` of a state_dict is taken, those of a tensor are left behind."""
        target = self.stack[-1]
        if type(target) is OrderedDict and isinstance(state, dict):
            versions = state.get("_metadata")
            self.count(versions)
            if isinstance(versions, dict) and all(isinstance(entry, dict) for entry in versions.values()):
                target._metadata = versions
        elif not isinstance(target, Tensor):
            raise ForbiddenError(f"it sets attributes of {type(target).__name__}, which is not in the list")


def _key(key: Any) -> Any:
    """A key of a dictionary or an element of a set: text, a number, or a flat tuple of them."""
    parts = key if isinstance(key, tuple) else (key,)
    if len(parts) > MAX_FLAT or not all(
        isinstance(part, (str, int, float, bytes, type(None), _types.dtype)) for part in parts
    ):
        raise WeightsError(f"a {type(key).__name__} as the key of a dictionary")
    return key
