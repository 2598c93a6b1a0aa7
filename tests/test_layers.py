"""The shape of the code: imports go one way, PyTorch stays out, rooms keep to their budgets."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.path import rooms

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted((ROOT / "minicnn").rglob("*.py"))
LESSONS = sorted((ROOT / "lessons").rglob("*.py"))

# Lowest first. A file imports from its own layer and those below. `minicnn` itself, the front door, stands above what
# it gathers, and below viz and the lessons, which use it as a reader would.
LAYERS = (
    ("minicnn._types", "minicnn._random", "minicnn._printing", "minicnn._warnings"),
    ("minicnn.inspect",),
    ("minicnn.kernels",),
    ("minicnn.autograd",),
    ("minicnn.ops",),
    ("minicnn._tensor", "minicnn._tensor_inplace", "minicnn._tensor_methods"),
    ("minicnn._creation", "minicnn.cuda", "minicnn.fft", "minicnn.linalg"),
    ("minicnn.utils",),
    ("minicnn.nn",),
    ("minicnn.optim", "minicnn.serialization", "minicnn.transforms"),
    ("minicnn.hub",),
    ("minicnn.models",),
    ("minicnn",),
    ("minicnn.viz",),
    ("minicnn.atlas",),
    ("minicnn.cli",),
    ("minicnn.__main__",),
    ("lessons",),
    ("tests", "weights"),
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> int:
    """The number of the layer with the longest name that `module` is, or lies in."""
    candidates = [(name, i) for i, names in enumerate(LAYERS) for name in names if in_package(module, name)]
    return max(candidates, key=lambda candidate: len(candidate[0]))[1]


def in_package(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """(full name of an imported module, whether at import time); imports for type checkers only are passed over."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for child in ast.walk(statement)
    }
    inside_functions = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        at_import_time = node not in inside_functions
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_import_time) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: one dot is the package that the file lies in
                package = path.relative_to(ROOT).parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full if is_module(full) else base), at_import_time


def test_every_file_has_a_layer():
    named = {name for names in LAYERS for name in names}
    homeless = [
        module_name(path)
        for path in LIBRARY
        if not any(name != "minicnn" and in_package(module_name(path), name) for name in named)
    ]
    assert homeless == ["minicnn"], "a new file or folder directly in minicnn/ needs a place in LAYERS"


@pytest.mark.parametrize("path", LIBRARY, ids=module_name)
def test_imports_go_one_way(path):
    module = module_name(path)
    upward = {
        target
        for target, _ in imports(path)
        if (in_package(target, "minicnn") or target.split(".")[0] in ("lessons", "tests", "weights"))
        and layer(target) > layer(module)
    }
    assert not upward, f"{module} imports {sorted(upward)}, which stand above it"


@pytest.mark.parametrize("path", LIBRARY + LESSONS, ids=module_name)
def test_no_deep_learning_framework_and_no_eager_matplotlib(path):
    for target, at_import_time in imports(path):
        top = target.split(".")[0]
        assert top not in ("torch", "torchvision", "tensorflow", "jax"), f"{module_name(path)} imports {target}"
        if top == "matplotlib" and path in LIBRARY:
            assert in_package(module_name(path), "minicnn.viz"), "only viz knows matplotlib"
            assert not at_import_time, "viz imports matplotlib inside of the functions that draw"


def test_import_minicnn_brings_neither_torch_nor_matplotlib():
    code = "import sys, minicnn, minicnn.viz; print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"


# Lines of code, without comments and docstrings (`python -m tests.path --rooms`). A commit that needs more room says why.
BUDGET = {
    ".": 1800, "atlas": 1250, "autograd": 1500, "inspect": 860, "kernels": 2300, "models": 925, "nn": 3700, "ops": 3350,
    "optim": 800, "serialization": 1520, "transforms": 300, "utils": 250, "viz": 4600,
}  # fmt: skip


def test_no_room_is_over_its_budget():
    sizes = rooms()
    assert sizes.keys() == BUDGET.keys()
    assert {room: lines for room, lines in sizes.items() if lines > BUDGET[room]} == {}


@pytest.mark.parametrize("folder", ["lessons", "tests", "weights"])
def test_no_file_above_500_lines(folder):
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > 500} == {}
