"""Arguments that are numbers: what PyTorch takes for one, and what it refuses, with its words.

A tensor counts as the number in it if it has no dimensions and requires no gradient, for none would reach it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from compare import same

import minicnn

pytestmark = pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")

VALUES: dict[str, Callable[[ModuleType], Any]] = {
    "0-d": lambda lib: lib.tensor(2.0),
    "0-d with gradient": lambda lib: lib.tensor(2.0, requires_grad=True),
    "0-d of integers": lambda lib: lib.tensor(2),
    "0-d bool": lambda lib: lib.tensor(True),
    "0-d double": lambda lib: lib.tensor(0.5, dtype=lib.float64),
    "one element": lambda lib: lib.tensor([2.0]),
    "NumPy float32": lambda lib: np.float32(2),
    "NumPy float64": lambda lib: np.float64(2),
    "NumPy int32": lambda lib: np.int32(2),
    "NumPy bool": lambda lib: np.bool_(True),
    "float": lambda lib: 0.5,
    "large": lambda lib: 1e300,
    "infinite": lambda lib: float("-inf"),
    "None": lambda lib: None,
    "text": lambda lib: "a",
    "list": lambda lib: [1.0],
}


def given(lib: ModuleType) -> tuple[Any, Any]:
    return lib.tensor([1.0, -2.0, 3.0, -0.0]), lib.tensor([2.0, 2.0, -1.0, 0.5])


# name -> call(lib, x, y, n)
TOLD: dict[str, Callable[..., Any]] = {
    "add alpha": lambda lib, x, y, n: lib.add(x, y, alpha=n),
    "sub alpha": lambda lib, x, y, n: lib.sub(x, y, alpha=n),
    "rsub alpha": lambda lib, x, y, n: lib.rsub(x, y, alpha=n),
    "add_ alpha": lambda lib, x, y, n: x.add_(y, alpha=n),
    "sub_ alpha": lambda lib, x, y, n: x.sub_(y, alpha=n),
    "addcmul value": lambda lib, x, y, n: lib.addcmul(x, y, y, value=n),
    "addcmul_ value": lambda lib, x, y, n: x.addcmul_(y, y, value=n),
    "addcdiv value": lambda lib, x, y, n: lib.addcdiv(x, y, y, value=n),
    "addcdiv_ value": lambda lib, x, y, n: x.addcdiv_(y, y, value=n),
    "lerp": lambda lib, x, y, n: lib.lerp(x, y, n),
    "clamp min": lambda lib, x, y, n: lib.clamp(x, n),
    "clamp max beside a number": lambda lib, x, y, n: lib.clamp(x, 0, n),
    "clamp_min": lambda lib, x, y, n: lib.clamp_min(x, n),
    "clamp_max": lambda lib, x, y, n: lib.clamp_max(x, n),
    "threshold": lambda lib, x, y, n: lib.nn.functional.threshold(x, n, 1),
    "threshold value": lambda lib, x, y, n: lib.nn.functional.threshold(x, 1, n),
    "threshold in place": lambda lib, x, y, n: lib.nn.functional.threshold(x, n, 1, True),
    "Threshold": lambda lib, x, y, n: lib.nn.Threshold(n, 1)(x),
    "leaky_relu": lambda lib, x, y, n: lib.nn.functional.leaky_relu(x, n),
    "leaky_relu in place": lambda lib, x, y, n: lib.nn.functional.leaky_relu(x, n, True),
    "elu": lambda lib, x, y, n: lib.nn.functional.elu(x, n),
    "elu in place": lambda lib, x, y, n: lib.nn.functional.elu(x, n, True),
    "hardtanh min_val": lambda lib, x, y, n: lib.nn.functional.hardtanh(x, n, 3),
    "hardtanh max_val": lambda lib, x, y, n: lib.nn.functional.hardtanh(x, -3, n),
    "hardtanh in place": lambda lib, x, y, n: lib.nn.functional.hardtanh(x, -3, n, True),
    "softplus beta": lambda lib, x, y, n: lib.nn.functional.softplus(x, n),
    "softplus threshold": lambda lib, x, y, n: lib.nn.functional.softplus(x, 1, n),
    "dropout": lambda lib, x, y, n: lib.nn.functional.dropout(x, n, training=False),
    "dropout2d": lambda lib, x, y, n: lib.nn.functional.dropout2d(x[None, None], n, training=False),
    "full": lambda lib, x, y, n: lib.full((2,), n),
    "full of a type": lambda lib, x, y, n: lib.full((2,), n, dtype=lib.float32),
    "full_like": lambda lib, x, y, n: lib.full_like(x, n),
    "new_full": lambda lib, x, y, n: x.new_full((2,), n),
    "pad": lambda lib, x, y, n: lib.nn.functional.pad(x, (1, 1), value=n),
    "norm": lambda lib, x, y, n: lib.norm(x, n),
    "vector_norm": lambda lib, x, y, n: lib.linalg.vector_norm(x, n),
    "normalize": lambda lib, x, y, n: lib.nn.functional.normalize(x, p=n, dim=0),
    "normalize eps": lambda lib, x, y, n: lib.nn.functional.normalize(x, dim=0, eps=n),
    "pairwise_distance": lambda lib, x, y, n: lib.nn.functional.pairwise_distance(x[None], y[None], p=n),
    "pairwise_distance eps": lambda lib, x, y, n: lib.nn.functional.pairwise_distance(x[None], y[None], eps=n),
    "cosine_similarity eps": lambda lib, x, y, n: lib.nn.functional.cosine_similarity(x[None], y[None], eps=n),
    "arange end": lambda lib, x, y, n: lib.arange(n),
    "arange start": lambda lib, x, y, n: lib.arange(n, 5),
    "arange step": lambda lib, x, y, n: lib.arange(0, 5, n),
    "linspace start": lambda lib, x, y, n: lib.linspace(n, 5, 3),
    "linspace end": lambda lib, x, y, n: lib.linspace(0, n, 3),
    "logspace base": lambda lib, x, y, n: lib.logspace(0, 2, 3, base=n),
    "isclose rtol": lambda lib, x, y, n: lib.isclose(x, y, rtol=n),
    "allclose atol": lambda lib, x, y, n: lib.allclose(x, y, atol=n),
    "histc min": lambda lib, x, y, n: lib.histc(x, 4, n, 5),
    "std correction": lambda lib, x, y, n: lib.std(x, correction=n),
    "batch_norm eps": lambda lib, x, y, n: lib.nn.functional.batch_norm(
        lib.stack([x, y]), None, None, training=True, eps=n
    ),
    "batch_norm momentum": lambda lib, x, y, n: lib.nn.functional.batch_norm(
        lib.stack([x, y]), y.clone(), y.abs(), training=True, momentum=n
    ),
    "instance_norm eps": lambda lib, x, y, n: lib.nn.functional.instance_norm(x.reshape(1, 1, 2, 2), eps=n),
    "smooth_l1_loss": lambda lib, x, y, n: lib.nn.functional.smooth_l1_loss(x, y, beta=n),
    "huber_loss": lambda lib, x, y, n: lib.nn.functional.huber_loss(x, y, delta=n),
    "label_smoothing": lambda lib, x, y, n: lib.nn.functional.cross_entropy(
        x[None], lib.tensor([1]), label_smoothing=n
    ),
    "uniform_ from": lambda lib, x, y, n: x.uniform_(n, 2).shape,
    "normal_ mean": lambda lib, x, y, n: x.normal_(n, 0),
    "normal std": lambda lib, x, y, n: lib.normal(0.0, n, (2,)).shape,
    "bernoulli_": lambda lib, x, y, n: x.bernoulli_(n).shape,
    "fill_": lambda lib, x, y, n: x.fill_(n),
    "masked_fill": lambda lib, x, y, n: lib.masked_fill(x, x > 0, n),
}
# An infinite power of some numbers, which PyTorch makes 1; infinities that PyTorch takes without looking, or not for this reason.
LEFT_OUT = {
    *((name, "large") for name in ("norm", "vector_norm", "normalize", "pairwise_distance")),
    *((name, "infinite") for name in ("linspace start", "linspace end", "instance_norm eps", "label_smoothing", "uniform_ from")),
}  # fmt: skip


def outcome(lib: ModuleType, call: Callable[..., Any], value: Callable[[ModuleType], Any]) -> Any:
    """(facts, numbers) of what it returns, or the error."""
    try:
        result = call(lib, *given(lib), value(lib))
    except Exception as error:
        return error
    if not isinstance(result, lib.Tensor):
        return str(result), np.zeros(0)
    facts = f"{result.dtype} {list(result.shape)} requires_grad={result.requires_grad}"
    return facts, np.array(result.detach().numpy(), np.float64)


def alike(ours: Any, theirs: Any) -> bool:
    """The text of an error counts where PyTorch's says what it wants, not where it lists the overloads of a function."""
    if isinstance(ours, Exception) or isinstance(theirs, Exception):
        says = re.search(r"must be \w+, not|cannot be converted to type", str(theirs))
        return type(ours) is type(theirs) and (not says or str(ours) == str(theirs))
    return ours[0] == theirs[0] and np.allclose(ours[1], theirs[1], 1e-5, 1e-6, equal_nan=True)


@pytest.mark.parametrize("name", TOLD)
def test_what_counts_as_a_number(name):
    different = []
    for which, value in VALUES.items():
        if (name, which) not in LEFT_OUT:
            ours, theirs = (outcome(lib, TOLD[name], value) for lib in (minicnn, torch))
            if not alike(ours, theirs):
                different.append(f"{which}: minicnn {ours!r}, torch {theirs!r}")
    assert not different, "\n".join(different)


INTEGERS: dict[str, Callable[[ModuleType], Any]] = {
    "0-d": lambda lib: lib.tensor(1),
    "0-d of int32": lambda lib: lib.tensor(1, dtype=lib.int32),
    "0-d of floats": lambda lib: lib.tensor(1.0),
    "0-d with gradient": lambda lib: lib.tensor(1.0, requires_grad=True),
    "two elements": lambda lib: lib.tensor([1.0, 1.0]),
    "NumPy int64": lambda lib: np.int64(1),
    "NumPy float32": lambda lib: np.float32(1),
    "float": lambda lib: 1.0,
}


def square(lib: ModuleType) -> Any:
    return lib.tensor([[[[1.0, -2.0, 3.0], [4.0, 0.5, 6.0], [7.0, 8.0, 9.0]]]])


# name -> call(lib, matrix, image, n)
COUNTED: dict[str, Callable[..., Any]] = {
    "sum": lambda lib, m, x, n: m.sum(n),
    "max": lambda lib, m, x, n: m.argmax(n),
    "cumsum": lambda lib, m, x, n: m.cumsum(n),
    "softmax": lambda lib, m, x, n: m.softmax(n),
    "unsqueeze": lambda lib, m, x, n: m.unsqueeze(n),
    "transpose": lambda lib, m, x, n: m.transpose(0, n),
    "select": lambda lib, m, x, n: m.select(0, n),
    "narrow": lambda lib, m, x, n: m.narrow(0, 0, n),
    "view": lambda lib, m, x, n: m.view(-1, n),
    "reshape": lambda lib, m, x, n: m.reshape(n, -1),
    "expand": lambda lib, m, x, n: m.expand(n, 3, 3),
    "repeat": lambda lib, m, x, n: m.repeat(n, 2),
    "roll": lambda lib, m, x, n: m.roll(n),
    "roll along": lambda lib, m, x, n: m.roll(n, 0),
    "rot90": lambda lib, m, x, n: m.rot90(n),
    "tril": lambda lib, m, x, n: m.tril(n),
    "triu": lambda lib, m, x, n: lib.triu(m, n),
    "chunk": lambda lib, m, x, n: m.chunk(n)[0],
    "cat": lambda lib, m, x, n: lib.cat([m, m], n),
    "stack": lambda lib, m, x, n: lib.stack([m, m], n),
    "topk": lambda lib, m, x, n: m.topk(n)[0],
    "zeros": lambda lib, m, x, n: lib.zeros(n, 2),
    "linspace": lambda lib, m, x, n: lib.linspace(0, 1, n),
    "randperm": lambda lib, m, x, n: lib.randperm(n),
    "randint": lambda lib, m, x, n: lib.randint(0, n, (2,)),
    "random_": lambda lib, m, x, n: m.random_(0, n) if isinstance(n, (float, np.generic)) else m,
    "histc": lambda lib, m, x, n: lib.histc(m, n),
    "fftfreq": lambda lib, m, x, n: lib.fft.fftfreq(n),
    "pad": lambda lib, m, x, n: lib.nn.functional.pad(m, (n, 0)),
    "max_pool2d": lambda lib, m, x, n: lib.nn.functional.max_pool2d(x, n),
    "avg_pool2d": lambda lib, m, x, n: lib.nn.functional.avg_pool2d(x, 2, n),
    "divisor_override": lambda lib, m, x, n: lib.nn.functional.avg_pool2d(x, 2, divisor_override=n),
    "conv2d stride": lambda lib, m, x, n: lib.nn.functional.conv2d(x, x, stride=n),
    "conv2d padding": lambda lib, m, x, n: lib.nn.functional.conv2d(x, x, padding=n),
    "conv2d groups": lambda lib, m, x, n: lib.nn.functional.conv2d(x, x, groups=n),
    "interpolate": lambda lib, m, x, n: lib.nn.functional.interpolate(x, size=(n, 2)),
    "affine_grid": lambda lib, m, x, n: lib.nn.functional.affine_grid(lib.ones(1, 2, 3), [1, 1, n, 2], False),
    "ignore_index": lambda lib, m, x, n: lib.nn.functional.cross_entropy(m, lib.tensor([0, 1, 2]), ignore_index=n),
}


@pytest.mark.parametrize("name", COUNTED)
def test_what_counts_as_an_integer(name):
    different = []
    for which, value in INTEGERS.items():
        if (name, which) == ("affine_grid", "two elements"):  # PyTorch raises when it compares the sizes
            continue

        def call(lib, x, y, n):
            return COUNTED[name](lib, square(lib)[0, 0], square(lib), n)

        ours, theirs = (outcome(lib, call, value) for lib in (minicnn, torch))
        if type(ours) is not type(theirs) or not (isinstance(ours, Exception) or alike(ours, theirs)):
            different.append(f"{which}: minicnn {ours!r}, torch {theirs!r}")
    assert not different, "\n".join(different)


@pytest.mark.parametrize(
    "nested",
    [
        lambda t: [t(1.0, (1,)), t(1.0, (1,))], lambda t: [t(1.0, (1, 1)), 2.0], lambda t: [[t(1.0), 2.0], [3.0, t(1.0, (1,))]],
        lambda t: [t(1), t(2.0)], lambda t: [t(1), 2], lambda t: [t(1.0, (), "float64"), 2], lambda t: [t(1, (), "int32"), 2.5],
        lambda t: [t(1.0, (), "float16"), 2.5], lambda t: [t(2**53 + 1), 1], lambda t: [t(1.0, (2,))] * 2, lambda t: [t(1.0, (0,))],
    ],
)  # fmt: skip
def test_tensors_in_lists_are_numbers(nested):
    def observed(lib):
        def t(value, shape=(), dtype=None):
            return lib.full(shape, value, dtype=None if dtype is None else getattr(lib, dtype))

        makers = (lib.tensor, lib.as_tensor, lambda v: lib.tensor(v, dtype=lib.float64), lib.zeros(1).new_tensor)
        return [attempt(lambda make=make: (made := make(nested(t)), made.tolist())) for make in makers]

    def attempt(make):
        try:
            made, values = make()
            return str(made.dtype), tuple(made.shape), values
        except ValueError as error:
            return str(error)

    assert same(observed)


@pytest.mark.parametrize(
    "kind", ["uint8", "int8", "int16", "int32", "int64", "bool", "float16", "float32", "complex64"]
)
def test_a_number_that_its_type_does_not_hold_is_refused(kind):
    """An array of integers wraps; what becomes of its other numbers the processor decides."""
    values = [
        -1,
        -255,
        -256,
        255,
        256,
        255.9,
        -0.5,
        127.9,
        -128.9,
        2**31,
        -(2**31) - 1,
        2.0**31,
        2**63 - 1,
        2.0**63,
        -(2.0**63),
    ]
    values += [float("inf"), float("nan"), 70000, 1e300, True, 1j, 0.5 + 0j]

    def observed(lib):
        of = getattr(lib, kind)
        makers = (
            lambda v: lib.tensor([v], dtype=of), lambda v: lib.tensor(v, dtype=of), lambda v: lib.as_tensor([[v], [1]], dtype=of),
            lambda v: lib.zeros(1, dtype=of).new_tensor([v]), lambda v: lib.tensor(np.array([v if isinstance(v, int) else 1]), dtype=of),
        )  # fmt: skip
        return [[attempt(make, value) for make in makers] for value in values]

    def attempt(make, value):
        try:
            made = make(value)
            return str(made.dtype), repr(made.tolist())
        except (RuntimeError, TypeError, ValueError) as error:
            return type(error).__name__, str(error)

    assert same(observed)
