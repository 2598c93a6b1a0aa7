"""`autograd.functional` against PyTorch: values, forms, types, what can be differentiated again, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from quick import one_of_each

import minicnn

NAMES = ["vjp", "jvp", "jacobian", "hessian", "vhp", "hvp"]
SCALAR = {"hessian", "vhp", "hvp"}


def one(lib: Any, x: Any) -> Any:
    return (x.exp() * x).sum(1)


def pair(lib: Any, x: Any, y: Any) -> Any:
    return (x * y).sin(), (x.exp() @ y.t()).sum()


def unused(lib: Any, x: Any, y: Any) -> Any:
    return x**3


def linear(lib: Any, x: Any, y: Any) -> Any:
    return 2 * x + 3 * y


def number(lib: Any, x: Any) -> Any:
    return (x**3).sum() + (x.prod() * x).sum()


def number_of_two(lib: Any, x: Any, y: Any) -> Any:
    return (x**2 * y.exp()).sum()


def number_of_first(lib: Any, x: Any, y: Any) -> Any:
    return (x**4).sum()


def network(lib: Any, image: Any, weight: Any) -> Any:
    F = lib.nn.functional
    maps = F.softplus(F.conv2d(image, weight, stride=2, padding=1))
    return F.avg_pool2d(maps, 2).pow(2).sum()


ANY: list[tuple[Callable, list[tuple[int, ...]]]] = [
    (one, [(2, 3)]),
    (pair, [(2, 3), (2, 3)]),
    (unused, [(2, 2), (3,)]),
    (linear, [(4,), (4,)]),
]
NUMBERS: list[tuple[Callable, list[tuple[int, ...]]]] = [
    (number, [(2, 2)]),
    (number_of_two, [(2, 2), (2, 2)]),
    (number_of_first, [(3,), (2,)]),
    (network, [(1, 2, 6, 5), (3, 2, 3, 3)]),
]
CASES = [(name, *case) for name in NAMES for case in (NUMBERS if name in SCALAR else ANY)]


def given(lib: Any, shapes: list[tuple[int, ...]], seed: int, requires_grad: bool = False) -> Any:
    rng = np.random.default_rng(seed)
    tensors = [lib.from_numpy(rng.standard_normal(shape)).requires_grad_(requires_grad) for shape in shapes]
    return tensors[0] if len(shapes) == 1 else tuple(tensors)


def form(value: Any) -> Any:
    """Nested tuples of (shape, whether it can be differentiated)."""
    if isinstance(value, tuple):
        return tuple(form(element) for element in value)
    return tuple(value.shape), value.requires_grad


def flat(value: Any) -> list[np.ndarray]:
    if isinstance(value, tuple):
        return [array for element in value for array in flat(element)]
    return [value.detach().numpy()]


def outcome(lib: Any, name: str, function: Callable, shapes: list, create_graph: bool, strict: bool) -> Any:
    inputs = given(lib, shapes, 0, requires_grad=create_graph)
    arguments = []
    if name == "vjp":
        outputs = function(lib, *(inputs if isinstance(inputs, tuple) else (inputs,)))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        arguments = [given(lib, [tuple(y.shape) for y in outputs], 1)]
    elif name not in ("jacobian", "hessian"):
        arguments = [given(lib, shapes, 1)]
    func = getattr(lib.autograd.functional, name)
    try:
        return func(lambda *args: function(lib, *args), inputs, *arguments, create_graph=create_graph, strict=strict)
    except RuntimeError as error:
        return str(error)


@pytest.mark.parametrize("strict", one_of_each([False, True], of=lambda strict: "settings"))
@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name, function, shapes", CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_products_and_matrices(name, function, shapes, create_graph, strict):
    ours, theirs = (outcome(lib, name, function, shapes, create_graph, strict) for lib in (minicnn, torch))
    if isinstance(theirs, str):
        assert ours == theirs
        return
    assert form(ours) == form(theirs)
    for a, b in zip(flat(ours), flat(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12 * max(1, np.abs(b).max()))


def test_a_hessian_can_be_differentiated_again():
    """The third derivative of sum x^4 is 24 x, on its diagonal."""
    for lib in (minicnn, torch):
        x = lib.tensor([1.0, 2.0], dtype=lib.float64, requires_grad=True)
        hessian = lib.autograd.functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
        (third,) = lib.autograd.grad(hessian.sum(), [x])
        np.testing.assert_allclose(third.numpy(), [24.0, 48.0], rtol=1e-14)


def test_the_network_s_products_agree_with_its_matrix():
    image, weight = given(minicnn, [(1, 2, 6, 5), (3, 2, 3, 3)], 0)
    along = given(minicnn, [(1, 2, 6, 5)], 1)

    def score(image):
        return network(minicnn, image, weight)

    matrix = minicnn.autograd.functional.hessian(score, image).view(60, 60)
    _, product = minicnn.autograd.functional.hvp(score, image, along)
    np.testing.assert_allclose(product.view(-1).numpy(), (matrix @ along.view(-1)).numpy(), rtol=1e-11, atol=1e-12)
    assert (matrix - matrix.t()).abs().max() < 1e-12


def test_vectorized_and_forward_mode_are_the_same_matrix():
    x = given(minicnn, [(2, 3)], 0)
    plain = minicnn.autograd.functional.jacobian(lambda x: one(minicnn, x), x)
    for options in ({"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}):
        again = minicnn.autograd.functional.jacobian(lambda x: one(minicnn, x), x, **options)
        assert (again == plain).all()


@pytest.mark.parametrize(
    "name, call",
    [
        ("not a tensor", lambda lib, f: f.vjp(lambda x: x, 3.0)),
        ("not tensors", lambda lib, f: f.jvp(lambda x: x, (lib.ones(1), 3.0))),
        ("output", lambda lib, f: f.jacobian(lambda x: 3.0, lib.ones(1))),
        ("v left out", lambda lib, f: f.vjp(lambda x: x, lib.ones(2))),
        ("v left out of two", lambda lib, f: f.jvp(lambda x: x, lib.ones(2))),
        ("v left out of a hessian", lambda lib, f: f.hvp(lambda x: x.sum(), lib.ones(2))),
        ("v too long", lambda lib, f: f.vjp(lambda x: x, lib.ones(2), (lib.ones(2), lib.ones(2)))),
        ("v of another shape", lambda lib, f: f.vjp(lambda x: x, lib.ones(2), lib.ones(3))),
        (
            "entry of another shape",
            lambda lib, f: f.jvp(lambda x, y: x, (lib.ones(2),) * 2, (lib.ones(2), lib.ones(3))),
        ),
        ("too few", lambda lib, f: f.jvp(lambda x, y: x, (lib.ones(2),) * 2, (lib.ones(2),))),
        ("a tuple", lambda lib, f: f.hessian(lambda x: (x.sum(),), lib.ones(2))),
        ("more than a number", lambda lib, f: f.vhp(lambda x: x * x, lib.ones(2), lib.ones(2))),
        ("no graph", lambda lib, f: f.jacobian(lambda x: x.detach(), lib.ones(2), strict=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(name, call):
    texts = []
    for lib in (minicnn, torch):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            call(lib, lib.autograd.functional)
        texts.append((type(caught.value), str(caught.value)))
    assert texts[0] == texts[1]


def test_refused_combinations():
    x = minicnn.ones(2)
    functional = minicnn.autograd.functional
    with pytest.raises(AssertionError, match="strategy must be 'forward-mode' or 'reverse-mode', not 'both'"):
        functional.jacobian(lambda x: x, x, strategy="both")
    with pytest.raises(NotImplementedError, match="needs vectorize=True"):
        functional.jacobian(lambda x: x, x, strategy="forward-mode")
    with pytest.raises(NotImplementedError, match="create_graph=True is not supported"):
        functional.jacobian(lambda x: x, x, create_graph=True, strategy="forward-mode")
    with pytest.raises(RuntimeError, match="strict=True and vectorize=True"):
        functional.jacobian(lambda x: x, x, strict=True, vectorize=True)
