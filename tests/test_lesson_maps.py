"""t-SNE as lesson 19 writes it by hand: its shares have the perplexity that is asked for, its gradient is PyTorch's, groups stay groups."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

LESSON = Path(__file__).resolve().parent.parent / "lessons" / "19_what_a_layer_sees.py"


@pytest.fixture(scope="module")
def lesson() -> dict:
    """The functions of the lesson, without the rest of it."""
    functions = [
        node for node in ast.parse(LESSON.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    names: dict = {"np": np}
    exec(compile(ast.Module(functions, []), str(LESSON), "exec"), names)
    return names


def groups(each: int = 8) -> np.ndarray:
    """Three groups of points in ten dimensions."""
    rng = np.random.default_rng(0)
    return np.concatenate([centre + rng.standard_normal((each, 10)) for centre in 6 * rng.standard_normal((3, 10))])


@pytest.mark.parametrize("perplexity", [2, 5, 15])
def test_each_point_has_as_many_neighbours_as_asked_for(lesson, perplexity):
    points = groups() * np.geomspace(0.01, 100, 24)[:, None]  # some crowded, some alone
    shares = lesson["affinities"](points, perplexity)
    assert np.array_equal(shares, shares.T) and abs(shares.sum() - 1) < 1e-12 and (np.diag(shares) == 0).all()
    square = ((points[:, None] - points[None]) ** 2).sum(2)
    for i, row in enumerate(square):
        p = lesson["handed_out"](np.delete(row, i), perplexity)
        assert abs(p.sum() - 1) < 1e-12
        assert abs(np.exp(-(p * np.log(p + 1e-300)).sum()) - perplexity) < 1e-6
        assert (np.diff(p[np.argsort(np.delete(row, i))]) <= 0).all()  # no far one has more than a near one
    one = lesson["affinities"](points[:1].repeat(6, 0) + np.eye(6, 10), 5)  # six points, each as far from each other
    np.testing.assert_allclose(one, (1 - np.eye(6)) / 30, atol=1e-12)


def test_the_gradient_is_that_of_the_divergence(lesson):
    shares = lesson["affinities"](groups(), 5)
    y = np.random.default_rng(1).standard_normal((24, 2))
    value, gradient = lesson["divergence"](shares, y)
    at = torch.tensor(y, requires_grad=True)
    off = 1 - torch.eye(24, dtype=torch.float64)
    tails = off / (1 + ((at[:, None] - at[None]) ** 2).sum(2))
    p = torch.tensor(shares)
    expected = (p * (torch.log(p + 1e-300) - torch.log(tails / tails.sum() + 1e-300))).sum()
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), rtol=1e-10)
    np.testing.assert_allclose(gradient, at.grad.numpy(), rtol=1e-8, atol=1e-12)


def test_groups_stay_groups_and_a_seed_gives_one_map(lesson):
    points = groups()
    y, curve = lesson["tsne"](points, perplexity=5, steps=300)
    again, _ = lesson["tsne"](points, perplexity=5, steps=300)
    other, _ = lesson["tsne"](points, perplexity=5, steps=300, seed=1)
    assert np.array_equal(y, again) and not np.allclose(y, other)
    assert curve[-1] < 0.5 * curve[0] and np.isfinite(y).all()
    for found in (y, other):
        square = ((found[:, None] - found[None]) ** 2).sum(2) + np.diag(np.full(24, np.inf))
        assert (square.argmin(1) // 8 == np.arange(24) // 8).all()
