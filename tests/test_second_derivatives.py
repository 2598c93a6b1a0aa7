"""Second derivatives of everything: PyTorch's are the judge, and differences of the first ones."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import test_layer_table
import torch
from compare import Input, Outcome, compare, flatten, graph_of, is_tensor, normal, numbers, seed_of
from quick import one_of_each
from test_ops import TABLE

import minicnn
from minicnn.autograd.gradcheck import gradgradcheck

# Rows whose gradients are made by another operation at last: of transforms PyTorch takes a part of a whole one, a binary cross
# entropy divides by the number of losses at the end.
COMPOSED = ("rfft2", "binary_cross_entropy", "xlogy by a number", "mm of nothing")
# The derivative of cdist's derivative PyTorch does not have, that of an embedding's by frequency forgets the frequency.
NOT_IN_TORCH = ("cdist", "embedding by frequency")
ROWS = [row for row in TABLE if "float64" in row.dtypes and not row.name.startswith(NOT_IN_TORCH)]
CASES: dict[str, Any] = {row.name: row for row in ROWS}
for case in test_layer_table.LAYERS:
    shape = case.inputs[0] if isinstance(case.inputs[0], tuple) else "as given"
    name = f"{case.name} {'eval ' if case.evaluate else ''}{shape}".replace("\n", " ")
    CASES[name if name not in CASES else f"{name} again"] = case
assert len(CASES) == len(ROWS) + len(test_layer_table.LAYERS)


def prepared(case: Any, lib: Any, rng: np.random.Generator) -> tuple[Any, list[Any]]:
    """(a function that returns a list of tensors, what it is called with: inputs, and a layer's parameters behind them)."""
    module = test_layer_table.built(case, lib, "float64", rng) if isinstance(case, test_layer_table.Layer) else None
    leaves = []
    for given in case.inputs:
        given = given if isinstance(given, Input) else normal(*given)
        leaf = lib.from_numpy(given.array(rng, "float64"))
        leaves.append(leaf.requires_grad_() if given.requires_grad and "float" in str(leaf.dtype) else leaf)
    n = len(leaves)

    def function(*args: Any) -> list[Any]:
        if module is None:
            result = case.function(lib, *args)
        else:  # a leaf must not be written in place
            result = module(*[leaf * 1 if leaf.requires_grad else leaf for leaf in args[:n]])
        return [y for y in flatten(result) if is_tensor(y)]

    return function, leaves if module is None else [*leaves, *module.parameters()]


def second(case: Any, lib: Any) -> Outcome:
    """The first derivatives, in a pass that is recorded, and the derivatives of a number made of them."""
    rng = np.random.default_rng(seed_of(case.name))
    function, leaves = prepared(case, lib, rng)

    def random(tensor: Any) -> Any:
        return lib.from_numpy(np.asarray(rng.standard_normal(tuple(tensor.shape)), str(tensor.dtype)[6:]))

    outputs = [y for y in function(*leaves) if y.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    arrays: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    if not outputs:
        return Outcome(arrays, facts)
    weights = [random(y).requires_grad_() for y in outputs]
    facts["graph"] = [graph_of(y.grad_fn) for y in outputs]
    fixed = [w.detach() for w in weights]
    try:
        constant = lib.autograd.grad(outputs, wanted, fixed, create_graph=True, allow_unused=True)
        facts["first derivatives can be differentiated"] = [g is not None and g.requires_grad for g in constant]
        first = lib.autograd.grad(outputs, wanted, weights, create_graph=True, allow_unused=True)
        numbers_of = [(g, random(g)) for g in first if g is not None]
        made = [(g * r).sum() for g, r in numbers_of if g.requires_grad]
        asked = [*wanted, *weights]
        found = lib.autograd.grad(made, asked, allow_unused=True) if made else [None] * len(asked)
    except RuntimeError as error:
        return Outcome({}, {"error": str(error)})
    facts["names"] = [None if g is None else graph_of(g.grad_fn, "last") for g in first]
    for k, g in enumerate(first):
        if g is not None:
            arrays[f"gradient {k}"] = values(g, lib)
    for k, (x, g) in enumerate(zip(asked, found, strict=True)):
        arrays[f"second derivative {k}"] = np.zeros(tuple(x.shape)) if g is None else values(g, lib)
    return Outcome(arrays, facts)


def values(gradient: Any, lib: Any) -> np.ndarray:
    """Its numbers. Some of PyTorch's are zeros without memory until they are added to something."""
    return numbers(gradient + lib.zeros((), dtype=gradient.dtype))


def as_torch(case: Any) -> None:
    """AssertionError unless derivatives, errors, and the names of the nodes that made the first gradients are PyTorch's; names
    are compared where the graph of the first pass is PyTorch's."""
    ours, theirs = second(case, minicnn), second(case, torch)
    graphs = [outcome.facts.pop("graph", None) for outcome in (ours, theirs)]
    if graphs[0] != graphs[1] or case.name.startswith(COMPOSED):
        for outcome in (ours, theirs):
            outcome.facts["names"] = [name is None for name in outcome.facts.get("names", [])]
    compare(ours, theirs, case.loose.get("float64", 1))


@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")
@pytest.mark.parametrize("name", one_of_each(CASES), ids=str)
def test_second_derivatives_are_torchs(name):
    as_torch(CASES[name])


# Where PyTorch's third derivatives are none: those of norms do not follow the batch's variance (2.14 refuses them), a transposed
# convolution with output_padding raises, and a mean of nothing is not looked at.
NOT_A_JUDGE = re.compile("(?i)batch_?norm|instance_?norm|layer_?norm|group_?norm|output_padding|of all ignored")


QUICK = {
    "exp",
    "pow of tensors",
    "conv2d defaults (2, 3, 6, 7)(4, 3, 3, 3)",
    "softplus ",
    "tanh",
    "softmax dim 1",
    "prod",
}
assert not QUICK - CASES.keys()


def of_a_few(name: str) -> Any:
    """A parameter of pytest: quick for a few operations, slow for the others."""
    return pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)


def third(case: Any, lib: Any) -> Outcome:
    """Three times the gradient of a number made of squares of what is there."""
    rng = np.random.default_rng(seed_of(case.name))
    function, leaves = prepared(case, lib, rng)
    wanted, found = [leaf for leaf in leaves if leaf.requires_grad], function(*leaves)
    try:
        for _ in range(3):
            found = [lib.view_as_real(g) if g.is_complex() else g for g in found if g is not None and g.requires_grad]
            if not found:
                return Outcome({}, {})
            weights = [lib.from_numpy(rng.standard_normal(tuple(g.shape))) for g in found]
            number = sum((g * g * w).sum() / 2 for g, w in zip(found, weights, strict=True))
            found = lib.autograd.grad(number, wanted, create_graph=True, allow_unused=True)
    except RuntimeError as error:
        return Outcome({}, {"error": str(error)})
    pairs = enumerate(zip(wanted, found, strict=True))
    return Outcome({str(k): np.zeros(tuple(x.shape)) if g is None else values(g, lib) for k, (x, g) in pairs}, {})


@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")
@pytest.mark.parametrize("name", [of_a_few(name) for name in CASES if not NOT_A_JUDGE.search(name)], ids=str)
def test_third_derivatives_are_torchs(name):
    case = CASES[name]  # each of three steps has its rounding, and squares have more of it
    compare(third(case, minicnn), third(case, torch), 100 * case.loose.get("float64", 1))


def by_channel(lib: Any, x: Any, dims: tuple[int, ...]) -> Any:
    """x less its mean, divided by its deviation, in operations that PyTorch differentiates right."""
    distance = x - x.mean(dims, True)
    return distance * ((distance * distance).mean(dims, True) + 1e-5) ** -0.5


@pytest.mark.parametrize(
    "norm, dims",
    [
        (lambda x: minicnn.nn.functional.batch_norm(x, None, None, training=True), (0, 2, 3)),
        (minicnn.nn.functional.instance_norm, (2, 3)),
        (lambda x: minicnn.nn.functional.layer_norm(x, x.shape[1:]), (1, 2, 3)),
        (lambda x: minicnn.nn.functional.group_norm(x, 1), (1, 2, 3)),
    ],
    ids=["batch", "instance", "layer", "group"],
)
def test_third_derivatives_of_norms(norm, dims):
    ours = replace(CASES["batch_norm training"], name="norm", function=lambda lib, x: norm(x), inputs=[(3, 2, 3, 2)])
    theirs = replace(ours, function=lambda lib, x: by_channel(lib, x, dims))
    compare(third(ours, minicnn), third(theirs, torch), 100)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")
@pytest.mark.parametrize("name", CASES, ids=str)
def test_second_derivatives_are_differences_of_the_first(name):
    """Where PyTorch's own check passes: not at ties, zeros and bounds."""
    case = CASES[name]
    function, leaves = prepared(case, minicnn, np.random.default_rng(seed_of(name)))
    if not any(y.requires_grad for y in function(*leaves)):
        return

    def real(*args: Any) -> list[Any]:
        return [minicnn.view_as_real(y) if y.is_complex() else y for y in function(*args)]

    try:
        gradgradcheck(real, leaves)
    except RuntimeError:
        theirs, leaves = prepared(case, torch, np.random.default_rng(seed_of(name)))
        with pytest.raises(RuntimeError):
            torch.autograd.gradgradcheck(lambda *args: tuple(y for y in theirs(*args) if y.requires_grad), leaves)
