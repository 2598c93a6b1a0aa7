"""The public names of PyTorch around hooks, and the parameters behind them, in each version that is recorded.

`python -m tests.hooks --names 2.12 2.14` compares two versions; HOOKS.md lists what concerns names that minicnn has.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

PLACES = (
    "autograd", "autograd.function", "autograd.functional", "autograd.grad_mode", "autograd.graph", "nn",
    "nn.functional", "nn.init", "nn.modules.module", "nn.parameter", "nn.utils", "optim", "optim.lr_scheduler",
    "serialization", "utils.hooks",
)  # fmt: skip
PLAIN = (bool, int, float, str, type(None))


def surface(library: ModuleType) -> dict[str, str]:
    """{dotted name: its parameters, or what it is}, of all that is public in `PLACES` and in `Tensor`."""
    found: dict[str, str] = {}
    for place in PLACES:
        module = importlib.import_module(f"{library.__name__}.{place}")
        for name in dir(module):
            value = getattr(module, name)
            if name[0] != "_" and callable(value) and _belongs(value, name, module):
                found[f"{place}.{name}"] = _described(value)
                if isinstance(value, type) and not _is_told_elsewhere(value, module):
                    found |= {f"{place}.{name}.{member}": what for member, what in _members(vars(value).items())}
    return found | {f"Tensor.{name}": what for name, what in _members(inspect.getmembers_static(library.Tensor))}


def _belongs(value: Any, name: str, module: ModuleType) -> bool:
    """Whether it is one of the module's own, and not there for the module's own use."""
    whose = getattr(value, "__module__", None) or ""
    return name in getattr(module, "__all__", ()) or whose.startswith(module.__name__) or inspect.isbuiltin(value)


def _is_told_elsewhere(kind: type, module: ModuleType) -> bool:
    places = [f"{module.__name__.partition('.')[0]}.{place}" for place in PLACES]
    return kind.__module__ != module.__name__ and kind.__module__ in places


def _members(members: Any) -> Iterator[tuple[str, str]]:
    for name, value in members:
        if name == "__init__" or name[0] != "_":
            value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if callable(value) or isinstance(value, property) or inspect.isgetsetdescriptor(value):
                yield name, _described(value)


def _described(value: Any) -> str:
    if not callable(value):
        return "an attribute"
    if isinstance(value, type):
        return "a class"
    try:
        parameters = inspect.signature(value).parameters.values()
    except (ValueError, TypeError):
        return "built in"
    return f"({', '.join(map(_parameter, parameters))})"


def _parameter(parameter: inspect.Parameter) -> str:
    sign = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**", parameter.KEYWORD_ONLY: "*, "}
    text = sign.get(parameter.kind, "") + parameter.name
    if parameter.default is parameter.empty:
        return text
    return f"{text}={parameter.default!r}" if isinstance(parameter.default, PLAIN) else f"{text}=..."


class Difference(NamedTuple):
    name: str
    old: str | None  # None: the name is new
    new: str | None  # None: the name is gone

    @property
    def text(self) -> str:
        """In a few words: which parameters came and went, with their defaults."""
        if self.old is None or self.new is None:
            return f"`{self.name}`"
        old, new = (value.strip("()").replace("*, ", "").split(", ") for value in (self.old, self.new))
        changes = [f"+ {p}" for p in new if p not in old] + [f"- {p}" for p in old if p not in new]
        parts = "; ".join(changes) if self.old[0] == self.new[0] == "(" else f"{self.old}, now {self.new}"
        return f"`{self.name}`: {parts or f'{self.old}, now {self.new}'}"


def differences(old: dict[str, str], new: dict[str, str]) -> list[Difference]:
    names = sorted(old.keys() | new.keys())
    return [Difference(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


@functools.cache
def is_here(name: str) -> bool:
    """Whether minicnn has this name, in this place."""
    import minicnn

    found: Any = minicnn
    for part in name.split("."):
        found = getattr(found, part, None) if part != "__init__" else found
        if found is None:
            return False
    return True
