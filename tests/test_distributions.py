"""Distributions against PyTorch: densities, entropies, gradients, what they print, their errors; samples by their statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from compare import assert_close, same, same_error

import minicnn
from minicnn.distributions import Categorical, Normal, Uniform

RNG = np.random.default_rng(0)
LOC, SCALE, PROBS = RNG.standard_normal((2, 3)), RNG.uniform(0.5, 2, (3,)), RNG.uniform(0.1, 1, (2, 4))
ZERO_PROB = np.array([0.5, 0.5, 0.0])
VALUES, PLACES = RNG.standard_normal((5, 2, 3)), np.array([[0, 3], [1, 2]])

MADE = {
    "normal": (lambda lib, a, b: lib.distributions.Normal(a, b), (LOC, SCALE), VALUES),
    "normal of a number": (lambda lib, a: lib.distributions.normal.Normal(a, 2), (LOC,), VALUES),
    "normal expanded": (lambda lib, a: lib.distributions.Normal(0.5, a).expand((5, 2, 3)), (SCALE,), VALUES),
    "uniform": (lambda lib, a, b: lib.distributions.Uniform(a, b), (LOC, LOC + 3), LOC + 1),
    "categorical": (lambda lib, a: lib.distributions.Categorical(a), (PROBS,), PLACES),
    "categorical of logits": (lambda lib, a: lib.distributions.categorical.Categorical(logits=a), (LOC,), PLACES % 3),
    "categorical with 0": (lambda lib, a: lib.distributions.Categorical(a), (ZERO_PROB,), PLACES % 3),
}
ASKED = {
    "log_prob": lambda d, value: d.log_prob(value),
    "entropy": lambda d, value: d.entropy(),
    "perplexity": lambda d, value: d.perplexity(),
    "mean": lambda d, value: d.mean,
    "variance": lambda d, value: d.variance,
    "stddev": lambda d, value: d.stddev,
    "mode": lambda d, value: d.mode,
    "cdf": lambda d, value: d.cdf(value),
    "icdf": lambda d, value: d.icdf(d.cdf(value)),
    "enumerate_support": lambda d, value: d.enumerate_support(),
}
NOT_OF = {"uniform": ("mode", "enumerate_support"), "normal": ("enumerate_support",), "categorical": ("cdf", "icdf")}


def answer(lib: Any, name: str, question: str) -> list[np.ndarray]:
    make, arrays, value = MADE[name]
    leaves = [lib.from_numpy(array.copy()).requires_grad_() for array in arrays]
    found = ASKED[question](make(lib, *leaves), lib.from_numpy(value))
    if found.requires_grad:
        (found * found).sum().backward()
    return [t.detach().numpy() for t in (found, *[leaf.grad for leaf in leaves if leaf.grad is not None])]


CASES = [(name, question) for name in MADE for question in ASKED if question not in NOT_OF[name.split()[0]]]


@pytest.mark.parametrize("name, question", CASES)
def test_answers(name, question):
    ours, theirs = answer(minicnn, name, question), answer(torch, name, question)
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs, strict=True):
        assert_close(x, y, question)


@pytest.mark.parametrize("name", MADE)
def test_shapes_and_text(name):
    make, arrays, _ = MADE[name]

    def facts(lib):
        made = make(lib, *map(lib.from_numpy, arrays))
        drawn = made.sample((7, 2))
        shapes = [made.batch_shape, made.event_shape, drawn.shape, made.sample().shape]
        return [*map(tuple, shapes), str(drawn.dtype), made.has_rsample, repr(made)]

    same(facts)


ERRORS = {
    "scale": lambda lib: lib.distributions.Normal(0.0, -1.0),
    "scales": lambda lib: lib.distributions.Normal(lib.zeros(2), lib.tensor([1.0, 0.0])),
    "loc": lambda lib: lib.distributions.Normal(lib.tensor([float("nan")]), 1.0),
    "text": lambda lib: lib.distributions.Normal("a", 1.0),
    "a number": lambda lib: lib.distributions.Normal(0.0, 1.0).log_prob(1.0),
    "NaN": lambda lib: lib.distributions.Normal(0.0, 1.0).log_prob(lib.tensor([1.0, float("nan")])),
    "a shape": lambda lib: lib.distributions.Normal(lib.zeros(3), 1.0).log_prob(lib.zeros(2)),
    "an interval": lambda lib: lib.distributions.Uniform(1.0, 1.0),
    "outside": lambda lib: lib.distributions.Uniform(0.0, 1.0).log_prob(lib.tensor(2.0)),
    "neither": lambda lib: lib.distributions.Categorical(),
    "both": lambda lib: lib.distributions.Categorical(lib.ones(2), lib.ones(2)),
    "0-d": lambda lib: lib.distributions.Categorical(lib.tensor(1.0)),
    "negative": lambda lib: lib.distributions.Categorical(lib.tensor([0.5, -0.1])),
    "logits": lambda lib: lib.distributions.Categorical(logits=lib.tensor([0.5, float("nan")])),
    "a class": lambda lib: lib.distributions.Categorical(lib.ones(3)).log_prob(lib.tensor(3)),
    "no rsample": lambda lib: lib.distributions.Categorical(lib.ones(3)).rsample(),
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS.keys())
def test_errors(call):
    same_error(call)


def test_not_checked():
    assert minicnn.distributions.Normal(0.0, -1.0, validate_args=False).scale == -1


def test_samples():
    """20,000 numbers: the mean is within five standard errors."""
    minicnn.manual_seed(0)
    n = 20_000
    drawn = Normal(3.0, 2.0).sample((n,)).numpy()
    assert abs(drawn.mean() - 3) < 5 * 2 / n**0.5
    assert abs(drawn.std() - 2) < 5 * 2 / (2 * n) ** 0.5
    drawn = Uniform(-1.0, 2.0).sample((n,)).numpy()
    assert drawn.min() >= -1 and drawn.max() < 2
    assert abs(drawn.mean() - 0.5) < 5 * (3 / 12**0.5) / n**0.5
    probs = np.array([[0.1, 0.2, 0.7], [0.6, 0.4, 0.0]])
    drawn = Categorical(minicnn.tensor(probs)).sample((n,)).numpy()
    for row in range(2):
        counts = np.bincount(drawn[:, row], minlength=3) / n
        assert (abs(counts - probs[row]) <= 5 * np.sqrt(probs[row] * (1 - probs[row]) / n)).all()


def test_gradients_go_through_rsample_and_not_through_sample():
    loc, scale = minicnn.zeros(3).requires_grad_(), minicnn.ones(3).requires_grad_()
    assert not Normal(loc, scale).sample().requires_grad
    drawn = Normal(loc, scale).rsample((5,))
    drawn.sum().backward()
    assert loc.grad.tolist() == [5.0] * 3
    assert np.allclose(scale.grad.numpy(), drawn.detach().numpy().sum(0))


def test_multinomial_of_rows():
    drawn = minicnn.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]).multinomial(1)
    assert drawn.shape == (2, 1) and drawn[0, 0] == 1 and drawn[1, 0] in (0, 2)
