"""Reading a pickle without running it: the machine that pickles are programs for, with a fixed list of instructions.

A pickle is a program for a machine with a stack. Python's own machine may import any name and call it with any
arguments, which is why unpickling a stranger's file runs a stranger's code. This one knows the names of `_rebuild.py`,
each with a function of its own that takes what PyTorch writes; it imports nothing, and it counts what it does, so that a
small file cannot fill the memory or take for ever.
"""

import pickle
import struct
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from minicnn.serialization._errors import ForbiddenError, WeightsError, short
from minicnn.serialization._own import Own
from minicnn.serialization._rebuild import CALLED, Reader, find_global, set_state

# A tensor takes 33 instructions and makes 2 objects, a Parameter 4. So some 100,000 of them are read, in a second or two.
MAX_OPCODES = 4_000_000
MAX_OBJECTS = 400_000  # lists, dictionaries, sets, and what calls return
MAX_BYTES = 64 << 20
MAX_NUMBER = 255  # bytes of an integer
MAX_DIGITS = 1000  # of a number in decimal digits


def unpickle(
    file: IO[bytes],
    persistent_load: Callable[[Any], Any] | None = None,
    later: list[Callable[[], None]] | None = None,
    limit: int | None = None,
    own: Own | None = None,
) -> Any:
    """The object that the pickle at the file's position describes; the position is behind it afterwards.

    `persistent_load` is called with what the pickle says in place of an object that is stored outside of it: a storage or a
    tensor; without it there can be none. If its
    storages get their numbers only after the pickle, `later` gets what is to be computed then. `limit`: instructions. `own`:
    what the user lets it ask for.
    Raises ForbiddenError for a name outside of the list, WeightsError for everything else.
    """
    machine = Machine(file, persistent_load or _no_reference, own)
    try:
        result = machine.run(MAX_OPCODES if limit is None else limit)
    except WeightsError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, struct.error) as error:
        raise WeightsError(f"its pickle is damaged: {str(error)[:200] or type(error).__name__}") from error
    if later is not None:
        later += machine.later
        return result
    for compute in machine.later:
        compute()
    return result


def _no_reference(saved_id: Any) -> Any:
    raise WeightsError("its header refers to a storage")


_MARK = object()
_INT, _FLOAT = struct.Struct("<i").unpack, struct.Struct(">d").unpack


class Machine(Reader):
    """A stack, and a memo of what may be named again."""

    def __init__(self, file: IO[bytes], persistent_load: Callable[[Any], Any], own: Own | None = None) -> None:
        super().__init__()
        self.own = own
        self.read, self.readline = file.read, file.readline
        self.persistent_load = persistent_load
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.bytes = self.objects = self.copied = 0

    def run(self, limit: int) -> Any:
        """The object that at most `limit` instructions make."""
        read, instructions = self.read, INSTRUCTIONS
        for _ in range(limit):
            code = read(1)
            if code == b".":
                return self.pop()
            if code not in instructions:
                raise WeightsError(_unknown(code))
            instructions[code](self)
        raise WeightsError(f"its pickle has more than {limit:,} instructions")

    # --- what the instructions are made of ------------------------------------------------------------------------------

    def number(self, size: int) -> int:
        """A number that is not negative, in `size` bytes."""
        data = self.read(size)
        if len(data) < size:
            raise ValueError("it is cut short")
        return int.from_bytes(data, "little")

    def take(self, count: int) -> bytes:
        """The next bytes of the pickle."""
        self.bytes += count
        if not 0 <= count <= self.bytes <= MAX_BYTES:
            raise WeightsError(f"its pickle is damaged, or longer than {MAX_BYTES:,} bytes")
        data = self.read(min(count, 1 << 16))
        while (
            len(data) < count
        ):  # a file makes room for what it is asked for, and it may not be there: as much again each time
            more = self.read(min(count - len(data), len(data)))
            if not more:
                raise ValueError("it is cut short")
            data += more
        return data

    def line(self) -> bytes:
        """The bytes up to the end of the line."""
        line = self.readline(4096)
        if not line.endswith(b"\n"):
            raise ValueError("a line without an end")
        return line[:-1]

    def digits(self) -> int | bool:
        """A number of protocol 0, in which 00 and 01 are False and True."""
        line = self.line()
        if len(line) > MAX_DIGITS:
            raise ValueError(f"a number of {len(line)} digits")
        return line == b"01" if line in (b"00", b"01") else int(line.removesuffix(b"L"))

    def integer(self, length: int) -> int:
        """A number with a sign, in `length` bytes."""
        if length > MAX_NUMBER:
            raise WeightsError(f"its pickle is damaged, or has a number of {length} bytes")
        return int.from_bytes(self.take(length), "little", signed=True)

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the value on top of the stack."""
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def pop_to_mark(self) -> list[Any]:
        """Take all values above the last mark, and the mark."""
        stack = self.stack
        for k in range(len(stack) - 1, -1, -1):
            if stack[k] is _MARK:
                values = stack[k + 1 :]
                del stack[k:]
                return values
        raise ValueError("no mark on the stack")

    def top(self, kind: type) -> Any:
        """The value on top of the stack, which must be of this kind."""
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"{type(self.stack[-1]).__name__} in place of {kind.__name__}")
        return self.stack[-1]

    def make(self, value: Any) -> None:
        """Put a new object on the stack, and count it."""
        self.objects += 1
        if self.objects > MAX_OBJECTS:
            raise WeightsError(f"its pickle makes more than {MAX_OBJECTS:,} objects")
        self.stack.append(value)

    def put(self, index: int) -> None:
        """Let the value on top of the stack be named by this number."""
        if not 0 <= index <= 2 * len(self.memo) + 1000:  # they are numbered in a row; see `key`
            raise ValueError(f"object {short(index)} of the memo after {len(self.memo)} others")
        self.memo[index] = self.stack[-1]

    def extend(self, values: list[Any]) -> None:
        """Append to the list on top of the stack."""
        self.top(list).extend(values)

    def add_items(self, values: list[Any]) -> None:
        """Add to the set on top of the stack."""
        target = self.top(set)
        for value in values:
            target.add(self.key(value, target))

    def dictionary(self, values: list[Any]) -> None:
        """A new dictionary of keys and values in turn."""
        self.make({})
        self.set_items(values)

    def set_items(self, values: list[Any]) -> None:
        """Set keys and values in turn in the dictionary on top of the stack."""
        if len(values) % 2:
            raise ValueError("a key without a value")
        target = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[self.key(key, target)] = value

    def call(self, new: bool = False) -> None:
        """Only what stands in `CALLABLE`, or what the user has named, is ever called."""
        arguments, function = self.pop(), self.pop()
        if self.own is not None and isinstance(arguments, tuple) and self.own.allows(function):
            self.make(self.own.made(function, arguments, new))
            return
        if not isinstance(arguments, tuple) or not callable(function) or function not in CALLED:
            raise ForbiddenError(f"it calls {type(function).__name__}, which is not in the list; nothing was executed")
        self.count(arguments, *arguments)
        self.make(function(self, *arguments))

    def count(self, *values: Any) -> None:
        """These are about to be walked through or copied: one of them may be named a thousand times."""
        for value in values:
            if isinstance(value, (tuple, list, dict, set, str, bytes)) and len(value) > 8:
                self.copied += (4 if isinstance(value, (str, bytes)) else 128) * len(value)
        if self.copied > MAX_BYTES:
            raise WeightsError("its pickle copies the same things again and again")

    def build(self) -> None:
        """Give the object on top of the stack its state."""
        state = self.pop()
        self.count(state, *(state.values() if isinstance(state, dict) else ()))
        target = self.stack[-1]
        if self.own is not None and self.own.allows(type(target)):
            self.own.set_state(target, state)
        else:
            set_state(target, state)

    def named(self, module: Any, name: Any) -> None:
        """Put on the stack what a name of the list stands for."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a name that is no text")
        found = self.own and self.own.find(f"{module}.{name}")
        self.stack.append(find_global(module, name) if found is None else found)


_PUSH = {
    pickle.NONE: None, pickle.NEWTRUE: True, pickle.NEWFALSE: False, pickle.EMPTY_TUPLE: (), pickle.MARK: _MARK,
}  # fmt: skip
INSTRUCTIONS: dict[bytes, Callable[[Machine], Any]] = {
    pickle.PROTO: lambda m: m.number(1),
    pickle.FRAME: lambda m: m.number(8),
    # the memo
    pickle.BINPUT: lambda m: m.put(m.number(1)),
    pickle.LONG_BINPUT: lambda m: m.put(m.number(4)),
    pickle.PUT: lambda m: m.put(m.digits()),
    pickle.MEMOIZE: lambda m: m.put(len(m.memo)),
    pickle.BINGET: lambda m: m.push(m.memo[m.number(1)]),
    pickle.LONG_BINGET: lambda m: m.push(m.memo[m.number(4)]),
    pickle.GET: lambda m: m.push(m.memo[m.digits()]),
    # numbers, text and bytes
    **{code: partial(Machine.push, value=value) for code, value in _PUSH.items()},
    pickle.BININT1: lambda m: m.push(m.number(1)),
    pickle.BININT2: lambda m: m.push(m.number(2)),
    pickle.BININT: lambda m: m.push(_INT(m.read(4))[0]),
    pickle.BINFLOAT: lambda m: m.push(_FLOAT(m.read(8))[0]),
    pickle.LONG1: lambda m: m.push(m.integer(m.number(1))),
    pickle.LONG4: lambda m: m.push(m.integer(m.number(4))),
    pickle.INT: lambda m: m.push(m.digits()),
    pickle.LONG: lambda m: m.push(m.digits()),
    pickle.FLOAT: lambda m: m.push(float(m.line())),
    pickle.BINUNICODE: lambda m: m.push(str(m.take(m.number(4)), "utf-8", "surrogatepass")),
    pickle.SHORT_BINUNICODE: lambda m: m.push(str(m.take(m.number(1)), "utf-8", "surrogatepass")),
    pickle.BINUNICODE8: lambda m: m.push(str(m.take(m.number(8)), "utf-8", "surrogatepass")),
    pickle.SHORT_BINSTRING: lambda m: m.push(str(m.take(m.number(1)), "utf-8")),  # what Python 2 wrote
    pickle.BINSTRING: lambda m: m.push(str(m.take(m.number(4)), "utf-8")),
    pickle.BINBYTES: lambda m: m.push(m.take(m.number(4))),
    pickle.SHORT_BINBYTES: lambda m: m.push(m.take(m.number(1))),
    pickle.BINBYTES8: lambda m: m.push(m.take(m.number(8))),
    pickle.BYTEARRAY8: lambda m: m.push(bytearray(m.take(m.number(8)))),
    # what holds others
    pickle.EMPTY_DICT: lambda m: m.make({}),
    pickle.EMPTY_LIST: lambda m: m.make([]),
    pickle.EMPTY_SET: lambda m: m.make(set()),
    pickle.TUPLE1: lambda m: m.push((m.pop(),)),
    pickle.TUPLE2: lambda m: m.push((m.pop(), m.pop())[::-1]),
    pickle.TUPLE3: lambda m: m.push((m.pop(), m.pop(), m.pop())[::-1]),
    pickle.TUPLE: lambda m: m.push(tuple(m.pop_to_mark())),
    pickle.LIST: lambda m: m.make(m.pop_to_mark()),
    pickle.DICT: lambda m: m.dictionary(m.pop_to_mark()),
    pickle.APPEND: lambda m: m.extend([m.pop()]),
    pickle.APPENDS: lambda m: m.extend(m.pop_to_mark()),
    pickle.SETITEM: lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    pickle.SETITEMS: lambda m: m.set_items(m.pop_to_mark()),
    pickle.ADDITEMS: lambda m: m.add_items(m.pop_to_mark()),
    pickle.POP: lambda m: m.stack.pop(),
    # names and calls
    pickle.GLOBAL: lambda m: m.named(m.line().decode(), m.line().decode()),
    pickle.STACK_GLOBAL: lambda m: m.named(*(m.pop(), m.pop())[::-1]),
    pickle.REDUCE: Machine.call,
    pickle.NEWOBJ: lambda m: m.call(new=True),
    pickle.BUILD: Machine.build,
    pickle.BINPERSID: lambda m: m.push(m.persistent_load(m.pop())),
}


def _unknown(code: bytes) -> str:
    if not code:
        return "its pickle is damaged: it has no end"
    names = [name for name in pickle.__all__ if getattr(pickle, name) == code]
    return f"its pickle uses the instruction {names[0] if names else code.hex()}, which torch.save does not write"
