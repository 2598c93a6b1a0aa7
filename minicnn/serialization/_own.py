"""What a file may ask for beside the fixed list: classes and functions that the user has named, and layers around them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from minicnn._tensor import Tensor
from minicnn.nn import Module
from minicnn.nn.modules.module import _HOOK_DICTS, _WrappedHook
from minicnn.serialization._errors import ForbiddenError, WeightsError, short

Entry = Callable | tuple[Callable, str]  # a class or function; and how files call it, if that is not its own name
_everywhere: list[Entry] = []
_inside: ContextVar[tuple[Entry, ...] | None] = ContextVar("what safe_globals allows", default=None)
ROOTS = {"minicnn.nn.": "torch.nn.", "minicnn.models.": "torchvision.models."}
_METHOD = "builtins.getattr"  # how a pickle says that it means a method of an object


def add_safe_globals(safe_globals: Sequence[Entry]) -> None:
    """From now on files may ask for these classes and functions, which `load` then makes and calls with what the file says.

    An entry is a class or function, or a pair of it and the name that the file has for it, such as "__main__.Net".
    """
    _everywhere.extend(_checked(safe_globals))


def get_safe_globals() -> list[Entry]:
    """What files may ask for beside the fixed list, here and now."""
    return [*_everywhere, *(_inside.get() or ())]


def clear_safe_globals() -> None:
    """Forget what `add_safe_globals` was given."""
    _everywhere.clear()


class safe_globals:
    """`add_safe_globals` for a `with` block, and for the thread (the context) that it is in."""

    def __init__(self, safe_globals: Sequence[Entry]) -> None:
        self.safe_globals = _checked(safe_globals)

    def __enter__(self) -> None:
        self._before = _inside.set((*(_inside.get() or ()), *self.safe_globals))

    def __exit__(self, *error: object) -> None:
        _inside.reset(self._before)


def _checked(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    for entry in entries:
        thing, *name = entry if isinstance(entry, tuple) else (entry,)
        named = name and isinstance(name[0], str) if isinstance(entry, tuple) else hasattr(thing, "__qualname__")
        if not callable(thing) or not named or len(name) > 1:
            raise TypeError(
                f"safe_globals takes classes and functions, or pairs of one and its name, not {entry!r:.100}"
            )
    return tuple(entries)


def written_name(thing: Any) -> tuple[str, str]:
    """(module, name) of a class or function in a file: of the library's classes that which PyTorch knows."""
    module = thing.__module__
    for root, known in ROOTS.items():
        if module.startswith(root):
            module = known + module.removeprefix(root)
    return module, thing.__qualname__


class Own:
    """What one reading may ask for beside the fixed list."""

    def __init__(self, whole: bool) -> None:
        """`whole`: modules are to be made. ValueError unless `safe_globals`, or `add_safe_globals`, says of which classes."""
        entries = get_safe_globals()
        if whole and not entries and _inside.get() is None:
            raise ValueError(
                "weights_only=False makes whole modules, and of your classes and hooks only those that you name: `with "
                "minicnn.serialization.safe_globals([Net, hook]): minicnn.load(f, weights_only=False)`; [] for none"
            )
        self.found: dict[str, Any] = {}
        self.layers: set[int] = set()
        for layer in _below(Module) if whole else ():
            if layer.__module__.startswith("minicnn."):
                self.layers.add(id(layer))
                self.found[f"{layer.__module__}.{layer.__qualname__}"] = layer
                self.found[".".join(written_name(layer))] = layer
        if whole:
            self.found[".".join(written_name(_WrappedHook))] = _WrappedHook
            self.found[_METHOD] = self.method
        for entry in entries:
            thing, name = entry if isinstance(entry, tuple) else (entry, ".".join(written_name(entry)))
            self.found[name] = thing
            self.layers.discard(id(thing))
        self.allowed = {id(thing) for thing in self.found.values()}

    def find(self, name: str) -> Any:
        """What a name stands for; None if it is not allowed."""
        root, _, rest = name.partition(".")
        if root in ("__builtin__", "exceptions"):  # as Python 2 has them, and protocol 2
            name = f"builtins.{rest}"
        return self.found.get(name)

    def allows(self, thing: Any) -> bool:
        """Whether it is one of those that `find` gives."""
        return id(thing) in self.allowed

    def made(self, thing: Any, arguments: tuple, new: bool) -> Any:
        """What a file makes: an instance that has no state yet if `new`, else what a call returns."""
        if id(thing) in self.layers and (arguments or not new):
            raise ForbiddenError(f"it calls {thing.__name__} with arguments; nothing was executed")
        return thing.__new__(thing, *arguments) if new else thing(*arguments)

    def method(self, target: Any, name: Any) -> Any:
        """A method of an object of an allowed class: as a hook."""
        found = getattr(type(target), name, None) if isinstance(name, str) and name[:1] != "_" else None
        if not self.allows(type(target)) or not isinstance(found, types.FunctionType):
            raise ForbiddenError(
                f"it asks for {short(name)} of {type(target).__name__}, which is no method of an allowed class"
            )
        return found.__get__(target)

    def set_state(self, target: Any, state: Any) -> None:
        """As pickles do it: by `__setstate__` if the class has one."""
        if isinstance(target, Module):
            _check_module(target, state)
        slots = None
        if isinstance(state, tuple) and len(state) == 2 and not hasattr(type(target), "__setstate__"):
            state, slots = state
        if hasattr(type(target), "__setstate__"):
            target.__setstate__(state)
            return
        for attributes in (state, slots):
            for name, value in (attributes or {}).items():
                setattr(target, name, value)


def _below(kind: type) -> Iterator[type]:
    """Its subclasses, theirs, and so on."""
    subclass: type
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _below(subclass)


_HELD = {"_parameters": Tensor, "_buffers": Tensor, "_modules": Module}


def _check_module(target: Module, state: Any) -> None:
    """WeightsError unless the state is that of a module."""
    if not isinstance(state, dict) or not all(isinstance(name, str) and name.isidentifier() for name in state):
        raise WeightsError(f"a {type(target).__name__} with the state {short(state)}")
    for name, value in state.items():
        kind = _HELD.get(name, object)
        right = not name.startswith("__")
        if name in _HELD or name in _HOOK_DICTS:
            right = isinstance(value, dict) and all(part is None or isinstance(part, kind) for part in value.values())
        if not right:
            raise WeightsError(f"a {type(target).__name__} whose {name} is {short(value)}")
