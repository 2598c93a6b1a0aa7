"""Which hooks are set on a model, and which tensors can be reached from them: what `leaks` looks at."""

import functools
import inspect
import re
import sys
import types
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.inspect.tensors import is_tensor

# The dictionaries in which a module keeps its hooks. There is no public way to list them; these names are the same in
# both libraries, and people look into them.
_MODULE_DICTS = {
    "_forward_pre_hooks": "forward pre-hook",
    "_forward_hooks": "forward hook",
    "_backward_pre_hooks": "full backward pre-hook",
    "_backward_hooks": "backward hook",
    "_state_dict_pre_hooks": "state_dict pre-hook",
    "_state_dict_hooks": "state_dict post-hook",
    "_load_state_dict_pre_hooks": "load_state_dict pre-hook",
    "_load_state_dict_post_hooks": "load_state_dict post-hook",
}
_GLOBAL_DICTS = {f"_global{name}": f"global {kind}" for name, kind in _MODULE_DICTS.items()}  # there are four of them
_TENSOR_DICTS = {"_backward_hooks": "tensor hook", "_post_accumulate_grad_hooks": "post-accumulate-grad hook"}
_TOOLS = ("minicnn.inspect.calls", "minicnn.inspect.tracing")  # what watches is not among the watched
_MAX_DEPTH = 8
_MAX_OBJECTS = 50_000


@dataclass(frozen=True)
class Hook:
    """A hook that is set: its kind, the name of its module ('' is the model; `conv.weight` for a parameter)."""

    kind: str
    module: str
    function: Any
    key: tuple[int, int]  # (id of the dictionary, id of the handle)


@dataclass
class Stored:
    """A tensor or array that hooks or modules hold, and the first way to it that was found."""

    value: Any
    where: str
    hooks: list[Hook] = field(default_factory=list)

    @property
    def group(self) -> str:
        """`where` without the index in a list: what stands there is reported together."""
        return re.sub(r"\[\d+\]", "[...]", self.where)


def hooks_on(model: Any) -> list[Hook]:
    """All hooks on the model's modules and parameters, and the global ones of its library."""
    found: list[Hook] = []
    for name, module in model.named_modules():
        found += _entries(vars(module), _MODULE_DICTS, name)
    for name, parameter in model.named_parameters():
        found += _entries({key: getattr(parameter, key, None) for key in _TENSOR_DICTS}, _TENSOR_DICTS, name)
    base = next((cls for cls in type(model).__mro__ if "_call_impl" in vars(cls)), None)
    if base is not None:
        found += _entries(vars(sys.modules[base.__module__]), _GLOBAL_DICTS, "")
    return found


def _entries(namespace: dict[str, Any], kinds: dict[str, str], name: str) -> Iterator[Hook]:
    for key, kind in kinds.items():
        hooks = namespace.get(key) or {}
        for hook_id, function in hooks.items():
            if _module_of(function) not in _TOOLS:
                yield Hook(kind, name, function, (id(hooks), hook_id))


def set_by_library(hook: Hook) -> bool:
    """Whether the library itself has set this hook, as its `weight_norm` does."""
    return _module_of(hook.function).startswith(("torch.nn.", "minicnn.nn."))


def _module_of(function: Any) -> str:
    return getattr(_innermost(function), "__module__", None) or ""


def describe_hook(hook: Hook) -> str:
    """`forward hook keep (lesson.py:40) on features.0`"""
    function = _innermost(hook.function)
    name = getattr(function, "__qualname__", type(function).__name__).rpartition("<locals>.")[2]
    code = getattr(function, "__code__", None)
    place = f" ({code.co_filename.rpartition('/')[2]}:{code.co_firstlineno})" if code is not None else ""
    return f"{hook.kind} {name}{place}" + (f" on {hook.module}" if hook.module else "")


def _innermost(function: Any) -> Any:
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        else:
            return function


def stored_by(model: Any, hooks: list[Hook]) -> list[Stored]:
    """The tensors and arrays that can be reached from the hooks and the modules' own attributes, but no parameters,
    buffers, or tensors inside the library's own objects."""
    modules = dict(model.named_modules(remove_duplicate=False))
    passed = {id(tensor) for _, tensor in (*model.named_parameters(), *model.named_buffers())}
    walk = _Walk(set(modules.values()), passed)
    found: dict[int, Stored] = {}
    for hook in hooks:
        walk.globals = getattr(_innermost(hook.function), "__globals__", {})
        for value, where in walk.descend(hook.function, "", 0):
            found.setdefault(id(value), Stored(value, where)).hooks.append(hook)
    for name, module in modules.items():
        for attribute, value in vars(module).items():
            if attribute not in _OWN_ATTRIBUTES:
                for tensor, where in walk.descend(value, f"{name or type(module).__name__}.{attribute}", 0):
                    found.setdefault(id(tensor), Stored(tensor, where))
    return list(found.values())


_OWN_ATTRIBUTES = {
    *_MODULE_DICTS,
    *("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs"),
    *("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"),
}


class _Walk:
    """Follows what hooks can reach, and names it by the way to it: `self.acts['conv'][0]`.

    Each object is visited once: where a second hook comes to it, what lies below is known, under the name of the first.
    """

    def __init__(self, modules: set, passed: set[int]) -> None:
        self.modules, self.passed = modules, passed
        self.globals: dict = {}  # those of the hook's own file
        self.seen: dict[int, tuple[Any, list]] = {}  # id -> (the object, so that its id stays its own; what lies below)

    def descend(self, value: Any, where: str, depth: int) -> list[tuple[Any, str]]:
        """(tensor or array, the way to it) for everything that can be reached from a value."""
        if isinstance(value, _LEAVES) or id(value) in self.passed:
            return []
        if depth > _MAX_DEPTH or len(self.seen) > _MAX_OBJECTS:
            return []
        if isinstance(value, np.ndarray) or is_tensor(value):
            return [(value, where)]
        if id(value) not in self.seen:
            below: list[tuple[Any, str]] = []
            self.seen[id(value)] = value, below  # before the descent, which may come back here
            for child, path in self.children(value, where):
                below += self.descend(child, path, depth + 1)
        return self.seen[id(value)][1]

    def children(self, value: Any, where: str) -> Iterator[tuple[Any, str]]:
        if isinstance(value, dict):
            for key, entry in list(value.items()):
                yield entry, f"{where}[{key!r}]"
        elif isinstance(value, _SEQUENCES):
            for index, entry in enumerate(list(value)):
                yield entry, f"{where}[{index}]"
        elif inspect.isfunction(value):
            for entry, name in self.of_function(value):
                yield entry, _join(where, name)
        elif inspect.ismethod(value):
            yield value.__self__, _join(where, "self")
            yield value.__func__, where
        elif inspect.isbuiltin(value):  # `seen.append` as a hook
            if not isinstance(value.__self__, types.ModuleType):
                yield value.__self__, _join(where, f"the {type(value.__self__).__name__} of {value.__name__}")
        elif isinstance(value, functools.partial):
            yield value.func, where
            for place, argument in (*enumerate(value.args), *value.keywords.items()):
                yield argument, _join(where, f"argument {place} of the partial")
        elif isinstance(value, type):
            for name, entry in list(vars(value).items()):
                if isinstance(entry, (dict, *_SEQUENCES)) or is_tensor(entry):
                    yield entry, f"{where}.{name}"
        elif not isinstance(value, types.ModuleType) and not (_is_module(value) and value in self.modules):
            yield from self.of_object(value, where or "self")
            call = vars(type(value)).get("__call__")
            if not where and inspect.isfunction(call):
                yield call, ""  # the hook is an object that can be called

    def of_function(self, function: Any) -> Iterator[tuple[Any, str]]:
        """The variables that it encloses, its defaults, its attributes, the global variables that it names."""
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                yield cell.cell_contents, name
            except ValueError:  # not assigned yet
                continue
        code = function.__code__
        arguments = code.co_varnames[: code.co_argcount]
        defaults = dict(zip(reversed(arguments), reversed(function.__defaults__ or ()), strict=False))
        for name, value in (*defaults.items(), *(function.__kwdefaults__ or {}).items(), *vars(function).items()):
            yield value, name
        if function.__globals__ is self.globals:  # only of the hook's own file: those of a library are its affair
            for name in _names_in(code):
                if name in function.__globals__:
                    yield function.__globals__[name], name

    def of_object(self, value: Any, where: str) -> Iterator[tuple[Any, str]]:
        for name, entry in list(getattr(value, "__dict__", {}).items()):
            if name not in _OWN_ATTRIBUTES or not _is_module(value):
                yield entry, f"{where}.{name}"
        slots = getattr(type(value), "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield getattr(value, name), f"{where}.{name}"


def _join(where: str, name: str) -> str:
    return f"{where} > {name}" if where else name


_LEAVES = (str, bytes, int, float, complex, type(None), types.CodeType)
_SEQUENCES = (list, tuple, set, frozenset, deque)


def _is_module(value: Any) -> bool:
    return hasattr(type(value), "_call_impl") and hasattr(type(value), "named_modules")


def _names_in(code: types.CodeType) -> set[str]:
    """The global names that a function uses, and the functions defined in it. Attributes of the same name come along."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_in(constant)
    return names
