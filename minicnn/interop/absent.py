"""Names that PyTorch has and minicnn has not. A library that names one in an annotation, as a default argument, as a base class
or in `isinstance` can be imported; what calls one gets an error that says which it was."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from minicnn._types import UnheldDtype


@cache
def listing() -> dict[str, dict[str, str]]:
    """{a public module of PyTorch: {a name in it: "classes", "dtypes", "exceptions", "functions" or "values"}}."""
    found: dict[str, dict[str, str]] = {}
    for line in Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            members = found[line.rstrip(":")] = {}
            continue
        kind, *names = line.split()
        members.update(dict.fromkeys(names, kind))
    return found


def refuse(name: str) -> NoReturn:
    raise NotImplementedError(f"{name} is PyTorch's, and minicnn, which stands in its place here, has nothing of it")


class _AbsentType(type):
    """The class of absent classes: a part of one, such as `ReduceOp.SUM`, is an absent value."""

    def __getattr__(cls, name: str) -> AbsentValue:
        if name.startswith("_"):
            raise AttributeError(f"type object '{cls.__name__}' has no attribute '{name}'")
        return AbsentValue(f"{cls.__module__}.{cls.__qualname__}.{name}")

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        """Also for a class that is derived from it."""
        first = next(base for base in cls.__mro__ if "_absent" in vars(base))
        refuse(f"{first.__module__}.{first.__qualname__}")


def _class(module: str, name: str) -> type:
    members = {"__module__": module, "__class_getitem__": classmethod(lambda cls, item: cls), "_absent": True}
    return _AbsentType(name, (), {**members, "__doc__": "PyTorch's; minicnn has nothing of it. No object is one."})


def _function(module: str, name: str) -> Any:
    def absent(*args: Any, **kwargs: Any) -> NoReturn:
        """PyTorch's; minicnn has nothing of it."""
        refuse(f"{module}.{name}")

    absent.__module__, absent.__name__, absent.__qualname__ = module, name, name
    return absent


class AbsentValue:
    """A constant of PyTorch's that minicnn has not, such as a layout: equal to itself only."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name}, which minicnn has not>"

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse(self._name)


def absent(module: str, name: str, kind: str) -> Any:
    """What stands for a name of this kind."""
    if kind == "dtypes":
        return UnheldDtype(name)
    if kind == "exceptions":
        return type(name, (Exception,), {"__module__": module, "__doc__": "PyTorch's; minicnn raises it nowhere."})
    if kind == "classes":
        return _class(module, name)
    return _function(module, name) if kind == "functions" else AbsentValue(f"{module}.{name}")
