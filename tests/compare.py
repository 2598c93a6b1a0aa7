"""Run one piece of code in minicnn and in torch, and compare everything that a user can see of it.

A `Row` is a name, a function of (library, tensors) and its inputs. `check(row, dtype)` runs it in both libraries on the
same numbers and compares values, dtypes, graph, and every gradient under a random upstream gradient.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import torch
from quick import one_of_each, operation

import minicnn

FLOATS = ("float32", "float64")
# The largest allowed difference, in units of the largest magnitude of the array that is compared (see `assert_close`).
TOLERANCE = {"float32": 1e-5, "float64": 1e-11, "complex64": 1e-5, "complex128": 1e-11}
# PyTorch counts the overloads of a function (with or without `out`, in place, with another kind of argument) and puts
# the count behind the node's name. Where minicnn has one operation for several overloads the first name stands for all.
OVERLOADS = {
    "LeakyReluBackward1": "LeakyReluBackward0",
    "EluBackward1": "EluBackward0",
    "UnsqueezeBackward1": "UnsqueezeBackward0",
    "SqueezeBackward3": "SqueezeBackward0",
    "SqueezeBackward4": "SqueezeBackward1",
    "SortBackward1": "SortBackward0",
    "TransposeBackward1": "TransposeBackward0",
    "TBackward1": "TBackward0",
    "RsubBackward0": "SubBackward0",
    "RemainderBackward1": "RemainderBackward0",
    "DivBackward1": "DivBackward0",
    "XlogyBackward1": "XlogyBackward0",
    "XlogyBackward2": "XlogyBackward0",
    "MulBackward1": "MulBackward0",
}


@dataclass(frozen=True)
class Input:
    """How to make one input: `make(rng)` returns a float64, int or bool array; floats are cast to the dtype of the run."""

    make: Callable[[np.random.Generator], np.ndarray]
    requires_grad: bool = True
    layout: Callable[[np.ndarray], np.ndarray] = lambda a: a

    def array(self, rng: np.random.Generator, dtype: str) -> np.ndarray:
        array = self.make(rng)
        if array.dtype == np.float64:
            array = array.astype(dtype)
        return self.layout(array)


def normal(*shape: int) -> Input:
    """Standard normal numbers: no ties, both signs."""
    return Input(lambda rng: rng.standard_normal(shape))


def between(low: float, high: float, *shape: int) -> Input:
    """Uniform numbers in an interval: for log, sqrt, and others with a domain."""
    return Input(lambda rng: rng.uniform(low, high, shape))


def exactly(values: Any) -> Input:
    """These floats, for ties, zeros and bounds."""
    return Input(lambda rng: np.array(values, dtype=np.float64))


def data(values: Any, dtype: str = "int64") -> Input:
    """Indices, targets and masks, or numbers of a fixed dtype: no gradient."""
    return Input(lambda rng: np.array(values, dtype=dtype), requires_grad=False)


def constant(given: Input) -> Input:
    """The same input without a gradient."""
    return Input(given.make, False, given.layout)


def laid_out(given: Input, layout: Callable[[np.ndarray], np.ndarray]) -> Input:
    """The same input with other strides: `layout` returns a NumPy view."""
    return Input(given.make, given.requires_grad, layout)


@dataclass(frozen=True)
class Row:
    """One row of the table. An input that is a tuple of ints stands for `normal(*shape)`."""

    name: str
    function: Callable[..., Any]
    inputs: Sequence[Input | tuple[int, ...]] = ()
    dtypes: Sequence[str] = FLOATS
    loose: Mapping[str, float] = field(default_factory=dict)  # dtype -> a factor for the tolerance; a row says why
    graph: str = "whole"  # which node names are compared: down to the leaves, only the "last", or "none"


def fn(path: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """`lib.path(*tensors, *args, **kwargs)`, for a dotted path below the library."""
    return lambda lib, *tensors: look_up(lib, path)(*tensors, *args, **kwargs)


def method(name: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """`tensors[0].name(*tensors[1:], *args, **kwargs)`."""
    return lambda lib, x, *rest: getattr(x, name)(*rest, *args, **kwargs)


def in_place(name: str, *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """The in-place method on a clone of the first input (a leaf must not change); it has to return the very object."""

    def run(lib: ModuleType, x: Any, *rest: Any) -> Any:
        y = x.clone()
        assert getattr(y, name)(*rest, *args, **kwargs) is y
        return y

    return run


def look_up(lib: ModuleType, path: str) -> Any:
    """The object at a dotted path below a module."""
    found: Any = lib
    for part in path.split("."):
        found = getattr(found, part)
    return found


@dataclass
class Outcome:
    """What one run showed: arrays to compare with a tolerance, and facts to compare exactly."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def seed_of(name: str) -> int:
    return zlib.crc32(name.encode())


def graph_of(node: Any, how: str = "whole") -> str:
    """The names of a node and of all nodes behind it, as `MulBackward0(ExpBackward0(AccumulateGrad), AccumulateGrad)`.
    Edges to nothing are left out. "last": the name of the node alone; "none": whether there is one."""
    if node is None or how == "none":
        return "None" if node is None else "a node"
    name = OVERLOADS.get(type(node).__name__, type(node).__name__)
    behind = [graph_of(n) for n, _ in node.next_functions if n is not None] if how == "whole" else []
    return f"{name}({', '.join(behind)})" if behind else name


def flatten(result: Any) -> list[Any]:
    if isinstance(result, (tuple, list)):
        return [leaf for item in result for leaf in flatten(item)]
    return [result]


def is_tensor(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, minicnn.Tensor))


def numbers(tensor: Any) -> np.ndarray:
    """A copy of a tensor's numbers."""
    tensor = tensor.detach()
    return np.array((tensor.resolve_conj() if isinstance(tensor, torch.Tensor) else tensor).numpy())


def run(row: Row, lib: ModuleType, dtype: str) -> Outcome:
    """Run one row in one library, backward included."""
    rng = np.random.default_rng(seed_of(row.name))
    leaves = []
    for given in row.inputs:
        given = given if isinstance(given, Input) else normal(*given)
        leaf = lib.from_numpy(given.array(rng, dtype))  # keeps the strides
        leaves.append(leaf.requires_grad_() if given.requires_grad and "float" in str(leaf.dtype) else leaf)
    outputs = flatten(row.function(lib, *leaves))

    arrays, facts = {}, {"number of outputs": len(outputs)}
    for k, out in enumerate(outputs):
        if not is_tensor(out):
            facts[f"output {k}"] = str(out)
            continue
        arrays[f"output {k}"] = numbers(out)
        facts[f"dtype of output {k}"] = str(out.dtype)
        facts[f"graph of output {k}"] = graph_of(out.grad_fn, row.graph)
        if row.graph != "none":
            name = out.grad_fn and out.grad_fn.name()
            facts[f"grad_fn.name() of output {k}"] = OVERLOADS.get(name, name)

    differentiable = [out for out in outputs if is_tensor(out) and out.requires_grad]
    if differentiable:
        upstream = [rng.standard_normal(tuple(out.shape)) for out in differentiable]
        typed = [np.asarray(g, dtype=str(out.dtype)[6:]) for g, out in zip(upstream, differentiable, strict=False)]
        lib.autograd.backward(differentiable, [lib.from_numpy(g) for g in typed])
    for k, leaf in enumerate(leaves):
        if leaf.grad is None:
            facts[f"gradient {k}"] = None
        else:
            facts[f"dtype of gradient {k}"] = str(leaf.grad.dtype)
            arrays[f"gradient {k}"] = numbers(leaf.grad)
    return Outcome(arrays, facts)


def assert_close(ours: np.ndarray, theirs: np.ndarray, what: str, loose: float = 1) -> None:
    """Same shape; integers and booleans equal; floats within the tolerance of the dtype times the largest finite
    magnitude of `theirs` (never below 1e-3, so that a gradient that is zero up to rounding can be compared)."""
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, torch has {theirs.shape}"
    if theirs.dtype.kind not in "fc":
        np.testing.assert_array_equal(ours, theirs, err_msg=what)
        return
    scale = np.max(np.abs(theirs), initial=1e-3, where=np.isfinite(theirs))
    allowed = TOLERANCE[str(theirs.dtype)] * loose
    np.testing.assert_allclose(ours, theirs, rtol=allowed, atol=allowed * scale, err_msg=what)


def compare(ours: Outcome, theirs: Outcome, loose: float = 1) -> None:
    for fact, expected in theirs.facts.items():
        assert ours.facts.get(fact) == expected, f"{fact}: {ours.facts.get(fact)}, torch has {expected}"
    assert ours.facts.keys() == theirs.facts.keys()
    assert ours.arrays.keys() == theirs.arrays.keys()
    for what, expected in theirs.arrays.items():
        assert_close(ours.arrays[what], expected, what, loose)


def check(row: Row, dtype: str) -> None:
    """The test of one row in one dtype."""
    compare(run(row, minicnn, dtype), run(row, torch, dtype), row.loose.get(dtype, 1))


def cases(rows: Sequence[Row]) -> list[Any]:
    """pytest parameters (row, dtype) of a table; names must be unique, for they seed the numbers."""
    names = [row.name for row in rows]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    return one_of_each(
        [(row, dtype) for row in rows for dtype in row.dtypes],
        of=lambda row, dtype: operation(row),
        name=lambda row, dtype: f"{row.name}-{dtype}",
        first=4,
    )


def error_of(function: Callable[..., Any], *args: Any) -> tuple[str, str]:
    """The type name and the text of what a call raises."""
    try:
        function(*args)
    except Exception as error:
        return type(error).__name__, str(error)
    raise AssertionError("no error was raised")


def same_error(function: Callable[[ModuleType], Any]) -> None:
    """`function(lib)` has to raise the same type of error with the same text in both libraries."""
    ours, theirs = error_of(function, minicnn), error_of(function, torch)
    assert ours == theirs, f"minicnn: {ours}\ntorch:   {theirs}"


def same(function: Callable[[ModuleType], Any]) -> Any:
    """`function(lib)` has to return the same plain value in both libraries; it is returned."""
    ours, theirs = function(minicnn), function(torch)
    assert ours == theirs, f"minicnn: {ours!r}\ntorch:   {theirs!r}"
    return theirs
