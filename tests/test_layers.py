"""The shape of the code: imports go one way, PyTorch stays out, rooms keep to their budgets."""

import ast
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import minicnn
from minicnn import Tensor, nn, ops
from tests.path import parsed, rooms, statements

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = sorted((ROOT / "minicnn").rglob("*.py"))
LESSONS = sorted((ROOT / "lessons").rglob("*.py"))

# Two storeys. The engine computes; the observatory looks at what the engine does, and uses its public names only.
OBSERVATORY = (
    "minicnn.inspect",
    "minicnn.cluster",
    "minicnn.viz",
    "minicnn.atlas",
    "minicnn.play",
    "minicnn.cli",
    "minicnn.__main__",
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def in_package(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@cache
def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or path.is_dir()


@cache
def imports(path: Path) -> list[tuple[str, str]]:
    """(full name of an imported module, name taken from it or ""), of every kind of import."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    for node in statements(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: one dot is the package that the file lies in
                package = path.relative_to(ROOT).parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield (full, "") if is_module(full) else (base, alias.name)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """The groups of names that reach each other (strongly connected components of more than one), by Tarjan's algorithm."""
    found, number, low, stack = [], {}, {}, []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for target in arrows[name]:
            if target not in number:
                visit(target)
            if target in stack:
                low[name] = min(low[name], low[target])
        if low[name] == number[name]:
            group = [stack.pop()]
            while group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for name in arrows:
        if name not in number:
            visit(name)
    return found


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"d"}}) == [["a", "b", "c"]]


def test_no_circle_of_files():
    """Whatever the kind of import: at the top, inside of a function, or for type checkers only."""
    names = {module_name(path): path for path in LIBRARY}
    arrows = {name: {target for target, _ in imports(path)} & names.keys() - {name} for name, path in names.items()}
    assert circles(arrows) == []


def observes(module: str) -> bool:
    return any(in_package(module, room) for room in OBSERVATORY)


@pytest.mark.parametrize("path", [path for path in LIBRARY if not observes(module_name(path))], ids=module_name)
def test_the_engine_knows_nothing_of_the_observatory(path):
    if path == ROOT / "minicnn" / "__init__.py":
        return  # the front door shows both storeys
    for target, _ in imports(path):
        assert not observes(target), f"{module_name(path)} imports {target}, which stands above it"
        assert target.split(".")[0] not in ("lessons", "tests", "weights")


@pytest.mark.parametrize("path", [path for path in LIBRARY if observes(module_name(path))], ids=module_name)
def test_the_observatory_uses_public_names(path):
    for target, name in imports(path):
        if in_package(target, "minicnn") and not observes(target):
            private = [
                part for part in (*target.split("."), name) if part.startswith("_") and not part.startswith("__")
            ]
            assert not private, f"{module_name(path)} imports {target} {name}"
        assert target.split(".")[0] not in ("lessons", "tests", "weights")


@pytest.mark.parametrize("path", LIBRARY + LESSONS, ids=module_name)
def test_no_deep_learning_framework_and_one_room_that_draws(path):
    for target, _ in imports(path):
        top = target.split(".")[0]
        assert top not in ("torch", "torchvision", "tensorflow", "jax"), f"{module_name(path)} imports {target}"
        if top == "matplotlib" and path in LIBRARY:
            assert in_package(module_name(path), "minicnn.viz.figures"), "only the room that draws knows matplotlib"


def test_one_room_knows_onnx_and_one_file_knows_the_room():
    """The package `onnx` is an extra: it is imported when a file is read, and by that room alone."""
    for path in LIBRARY:
        name, targets = module_name(path), [target for target, _ in imports(path)]
        if not in_package(name, "minicnn.onnx"):
            assert not [target for target in targets if target.split(".")[0] == "onnx"], name
        if name not in ("minicnn", "minicnn.models._spec") and not in_package(name, "minicnn.onnx"):
            assert not [target for target in targets if in_package(target, "minicnn.onnx")], name


def test_nothing_knows_the_room_that_stands_in_for_pytorch():
    """But for the front door, which shows `as_torch`."""
    for path in LIBRARY:
        name = module_name(path)
        if name != "minicnn" and not in_package(name, "minicnn.interop"):
            assert not [target for target, _ in imports(path) if in_package(target, "minicnn.interop")], name


def test_import_minicnn_brings_neither_torch_nor_matplotlib():
    code = "import sys, minicnn, minicnn.viz; print([m for m in ('torch', 'matplotlib', 'onnx') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "[]"


# Lines of code, without comments and docstrings (`python -m tests.path --rooms`). A commit that needs more room says why.
BUDGET = {
    ".": 2665,  # `out=`; methods of `Tensor` that libraries use; limits of types; the command: .onnx files, its atlas, `play`, `mistakes`;
    # random numbers some at a time;
    # as_torch; how images enter (options, and who says so), names of classes from a file, what fits in ten minutes; what warns once
    "atlas": 1525,  # what an estimate measured and what would fit; workers, a search that is continued; the page of words, links to it
    # and to the page to play with; pages in parts or in a folder, written whole or not at all, and the index of the search
    "autograd": 2370,  # passes that are recorded, formulas for both, functional; pack hooks of operations in place
    "cluster": 170,  # one function over many chunks, here or on workers; what Dask keeps unasked
    "distributions": 310,  # normal, uniform, categorical
    "inspect": 820,
    "interop": 720,  # minicnn in PyTorch's place: the mechanism, and PyTorch's names that mean little here
    # Depthwise kernels, activations in vectors; how a convolution is cut into blocks is worked out once for each shape; planes that are
    # laid out in vectors, freed memory that is used again; panels of many small maps, maxima in vectors, batch norm in training.
    "kernels": 3130,
    "models": 2050,  # 69 networks, weights in installed packages; from_spec opens .onnx files, and lists what a file of one's own has
    "nn": 2960,  # attention; the smaller activations; channels and windows that change places
    "onnx": 1960,  # scopes are called
    # The functions that make tensors; resizing by weights; attention; slices, order, pieces, products that other people's libraries use.
    "ops": 7270,  # and `linspace` has PyTorch's bits; a tensor of a tensor warns
    "optim": 1385,
    "play": 215,  # networks of blue, green, red; the Python of the page to play with; its own scripts are JavaScript
    "serialization": 1665,  # whole modules; weights that do not fit are counted
    "transforms": 270,
    "utils": 650,  # IterableDataset, random samples
    # Many photographs: answers, confusion, ablation, activity; adversarial, colour against shape, activation grids; who says how
    # images enter, the order of channels, names of classes, strips of any length; searches that are cut, merged and continued, and
    # photographs in tar files, Parquet and behind URLs; maps of networks of blue, green, red.
    "viz": 6105,
}


def test_no_room_is_over_its_budget():
    sizes = rooms()
    assert sizes.keys() == BUDGET.keys()
    assert {room: lines for room, lines in sizes.items() if lines > BUDGET[room]} == {}


def test_no_function_of_more_than_60_lines():
    """Of code: its docstring is not counted."""
    long = []
    for path in LIBRARY:
        for node in statements(parsed(path)):
            if isinstance(node, ast.FunctionDef):
                first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
                lines = node.body[0].lineno - node.lineno + (node.end_lineno or 0) - first.lineno + 1
                if lines > 60:
                    long.append(f"{module_name(path)}.{node.name}: {lines}")
    assert long == []


@pytest.mark.parametrize("folder, most", [("lessons", 540), ("tests", 500), ("weights", 500)])
def test_no_long_file(folder, most):
    """500 lines; a lesson ends with its exercises, which have 40 more."""
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > most} == {}


ROOMS = [
    importlib.import_module(f"minicnn.{name}")
    for name in (
        "atlas",
        "autograd",
        "distributions",
        "inspect",
        "models",
        "optim",
        "viz",
    )
]


@pytest.mark.parametrize(
    "room",
    [minicnn, Tensor, ops, nn.functional, minicnn.fft, minicnn.linalg, nn, *ROOMS],
    ids=lambda room: room.__name__,
)
def test_every_public_name_says_what_it_is(room):
    """A docstring of its own, and for a function or method the type of what it returns."""
    public = {name: value for name, value in vars(room).items() if name[0] != "_" and not inspect.ismodule(value)}
    says = {name: value for name, value in public.items() if callable(value) or isinstance(value, property)}
    assert len(says) > 1
    assert [name for name, value in says.items() if not value.__doc__] == []
    functions = {name: value for name, value in says.items() if inspect.isfunction(value)}
    assert [name for name, value in functions.items() if "return" not in value.__annotations__] == []
