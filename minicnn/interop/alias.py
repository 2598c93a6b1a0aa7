"""`as_torch`: while it holds, `import torch` and all that begins with `torch.` give minicnn."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import Any

from minicnn.interop.absent import absent, listing

EXTRA = "minicnn.interop.extra"


def _beside(root: str, name: str) -> types.ModuleType | None:
    """The module that stands below `root` where `name` stands below `torch`; None if there is none."""
    full = root + name.removeprefix("torch")
    if full in sys.modules:
        return sys.modules[full]
    above = full.rpartition(".")[0]
    if above != "minicnn" and above.startswith(root) and _beside(root, name.rpartition(".")[0]) is None:
        return None  # `find_spec` imports the package above, and raises where there is none
    if not hasattr(sys.modules.get(above), "__path__") or importlib.util.find_spec(full) is None:
        return None
    return importlib.import_module(full)


def _there(name: str) -> bool:
    """Whether `import name` finds something: a public module of PyTorch, or one with an underscore that has an answer here."""
    return name in listing() or _beside(EXTRA, name) is not None


class _Alias(types.ModuleType):
    """A module of PyTorch, as minicnn has it. What was asked for once is kept, so that a script can replace it, too."""

    def __getattr__(self, name: str) -> Any:
        value = self._find(name)
        setattr(self, name, value)
        return value

    def _find(self, name: str) -> Any:
        listed, full = listing().get(self.__name__, {}), f"{self.__name__}.{name}"
        if name == "__all__":
            return sorted(key for key in listed if not key.startswith("_"))
        if not (name.startswith("__") and name.endswith("__")) or name == "__version__":
            for root in (EXTRA, "minicnn") if name in listed or name.startswith("_") else (EXTRA,):
                value = getattr(_beside(root, self.__name__), name, types)  # a module: not found
                if not isinstance(value, types.ModuleType):
                    return value
            if _there(full):
                return importlib.import_module(full)
            if name in listed:
                return absent(self.__name__, name, listed[name])
        raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *listing().get(self.__name__, {})})


_aliases: dict[str, _Alias] = {}  # kept after the alias is undone: a second time, `torch.nn` is the same object


class _Finder(MetaPathFinder, Loader):
    """Answers `import torch` and `import torch.anything`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.split(".")[0] != "torch" or not _there(fullname):
            return None
        return ModuleSpec(fullname, self, origin="minicnn", is_package=True)

    def create_module(self, spec: ModuleSpec) -> types.ModuleType:
        return _aliases.setdefault(spec.name, _Alias(spec.name, "PyTorch's module of this name, as minicnn has it."))

    def exec_module(self, module: types.ModuleType) -> None:
        pass  # its names are looked up when they are asked for


_finder = _Finder()


def _names() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] == "torch"]


class as_torch:
    """Put minicnn in PyTorch's place for the imports that follow, from now on or for a `with` block.

        with minicnn.as_torch():
            from torchvision.models import resnet18   # torchvision's own code, with minicnn's layers
        model = resnet18()

    `import torch`, `from torch import nn`, `import torch.nn.functional as F` and all other modules of PyTorch give minicnn, whether
    PyTorch is installed or not. What minicnn has not can be imported and named, and raises NotImplementedError when it is called.
    `torch.__version__` is the version that is mirrored.

    Leaving the block, or `undo()`, takes out of `sys.modules` what was put there. Libraries that were imported meanwhile stay, and
    go on with what they have bound; what they import only when a function runs needs the block still open then.

    RuntimeError if PyTorch is imported already: what holds its names would meet minicnn's tensors.
    """

    def __init__(self) -> None:
        global _open
        self._done = False
        if not _open:
            there = sys.modules.get("torch")
            if there is not None:
                where = getattr(there, "__file__", None)
                raise RuntimeError(
                    f"as_torch: PyTorch is imported already in this process ({where}), and what holds its names would meet "
                    "minicnn's tensors. Call minicnn.as_torch() first, in a process of its own"
                )
            sys.modules.pop("torch", None)  # None stands there if somebody has blocked the import
            sys.meta_path.insert(0, _finder)
            importlib.import_module("torch")
        _open += 1

    def undo(self) -> None:
        """End it. Of several that overlap, the last one ends it; a second call does nothing."""
        global _open
        if self._done:
            return
        self._done = True
        _open -= 1
        if not _open:
            sys.meta_path.remove(_finder)
            for name in _names():
                del sys.modules[name]

    def __enter__(self) -> as_torch:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()


_open = 0  # how many hold
