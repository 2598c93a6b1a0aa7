"""The public names of PyTorch, written down once, so that a library under `minicnn.as_torch()` finds each of them.

    python -m tests.torch_names_record     # with PyTorch 2.13.0 installed

It writes `minicnn/interop/names.txt`: for each public module of PyTorch down to two names below `torch`, its classes, exceptions,
functions, element types and other values. `tests/test_as_torch.py` holds the file to the PyTorch that is installed, if it is that version.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import pkgutil
import types
import typing
import warnings
from pathlib import Path
from typing import Any

NAMES = Path(__file__).resolve().parents[1] / "minicnn" / "interop" / "names.txt"
DEEPER = (
    "torch.nn.modules.",
    "torch.nn.parallel.",
    "torch.nn.utils.",
    "torch.utils.data.",
)  # of these, three names below `torch`
# Tools beside the library, and what needs packages that PyTorch does not bring.
NOT_LISTED = (
    "torch.ao.", "torch.contrib", "torch.export.", "torch.fx.experimental", "torch.fx.passes", "torch.jit.", "torch.masked.",
    "torch.nativert", "torch.numa", "torch.onnx.", "torch.package.", "torch.quantization.", "torch.testing", "torch.distributed.",
    "torch.utils.data.datapipes", "torch.utils.hipify", "torch.utils.benchmark", "torch.utils.tensorboard", "torch.utils.viz",
    "torch.utils.bottleneck", "torch.utils.cpp", "torch.utils.collect", "torch.utils.mobile", "torch.utils.model_dump",
    "torch.utils.jit", "torch.utils.serialization", "torch.utils.show", "torch.xpu.", "torch.mtia.", "torch.accelerator.",
)  # fmt: skip
LISTED_ALL_THE_SAME = (
    "torch.distributed.fsdp", "torch.distributed.tensor", "torch.distributed.nn", "torch.jit.annotations", "torch.onnx.operators",
    "torch.onnx.symbolic_helper", "torch.onnx.symbolic_opset11", "torch.ao.quantization",
)  # fmt: skip
# Names with an underscore that libraries import all the same.
PRIVATE = {
    "torch": ["_C", "_custom_ops", "_dynamo"],
    "torch.fx.graph_module": ["_CodeOnlyModule", "_copy_attr", "_USER_PRESERVED_ATTRIBUTES_KEY"],
}


def modules() -> dict[str, types.ModuleType]:
    """{its name: the module}, of all that are listed."""
    found = {"torch": importlib.import_module("torch")}

    def walk(name: str) -> None:
        for info in pkgutil.iter_modules(getattr(found[name], "__path__", ())):
            full = f"{name}.{info.name}"
            deep = full.count(".") > 2 and not full.startswith(DEEPER)
            if info.name.startswith("_") or deep or (full.startswith(NOT_LISTED) and full not in LISTED_ALL_THE_SAME):
                continue
            with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(ImportError):
                found[full] = importlib.import_module(full)
                walk(full)

    walk("torch")
    return found


def kind(value: Any) -> str:
    if isinstance(value, type):
        return "exceptions" if issubclass(value, BaseException) else "classes"
    if type(value).__module__ == "typing" or isinstance(value, types.UnionType):
        return "classes"  # for annotations
    if type(value).__name__ == "dtype":
        return "dtypes"
    return "functions" if callable(value) else "values"


def own(module: types.ModuleType) -> dict[str, Any]:
    """The public names of a module that PyTorch means by them: not what it imports from the standard library."""
    stated = set(getattr(module, "__all__", ()))
    found = {}
    for name, value in vars(module).items():
        if inspect.ismodule(value) or (name.startswith("_") and name not in PRIVATE.get(module.__name__, ())):
            continue
        owner = getattr(value, "__module__", None)
        ours = owner is None or owner.startswith("torch") or (kind(value) == "classes" and owner in ("typing", "types"))
        from_typing = getattr(typing, name, None) is value
        plain = owner is None and not callable(value) and not type(value).__module__.startswith("torch")
        if (
            name in stated
            or (ours and not from_typing and (not plain or module.__name__ == "torch"))
            or name in PRIVATE.get(module.__name__, ())
        ):
            found[name] = value
    return found


def text() -> str:
    lines = []
    for name, module in sorted(modules().items()):
        kinds: dict[str, list[str]] = {}
        for member, value in sorted(own(module).items()):
            kinds.setdefault(kind(value), []).append(member)
        lines.append(f"{name}:")
        lines += [f"  {which} {' '.join(members)}" for which, members in sorted(kinds.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    NAMES.write_text(text(), encoding="utf-8")
    print(f"{NAMES}: {len(NAMES.read_text(encoding='utf-8')):,} characters")
