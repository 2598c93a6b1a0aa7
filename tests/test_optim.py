"""The optimisers against torch: parameters, losses and state over several steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compare import assert_close, numbers, same, same_error

import minicnn

STEPS = 5
OPTIMISERS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.5}),
    ("SGD", {"lr": 0.1, "maximize": True}),
    ("SGD", {}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.99), "eps": 1e-4}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.2}),
    ("Adam", {"lr": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "maximize": True}),
]


def network(lib, dtype):
    """A small network with fixed parameters, and a batch."""
    rng = np.random.default_rng(0)
    model = lib.nn.Sequential(lib.nn.Conv2d(2, 3, 3, padding=1), lib.nn.ReLU(), lib.nn.Flatten(), lib.nn.Linear(48, 4))
    model = model.to(getattr(lib, dtype))
    with lib.no_grad():
        for parameter in model.parameters():
            parameter.copy_(lib.from_numpy(rng.standard_normal(tuple(parameter.shape)) / 4))
    x = lib.from_numpy(rng.standard_normal((5, 2, 4, 4)).astype(dtype))
    return model, x, lib.tensor([0, 1, 2, 3, 1])


def train(lib, name, options, dtype, change=None):
    model, x, target = network(lib, dtype)
    optimiser = getattr(lib.optim, name)(model.parameters(), **options)
    losses = []
    for step in range(STEPS):
        if change is not None:
            change(step, model, optimiser)
        optimiser.zero_grad()
        loss = lib.nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return np.array(losses, dtype), [numbers(p) for p in model.parameters()], optimiser


def assert_same_training(name, options, dtype, change=None):
    ours, theirs = (train(lib, name, options, dtype, change) for lib in (minicnn, torch))
    # Adam divides by the root of the squared gradient: where a gradient is as small as the rounding error of float32,
    # the two libraries rightly differ, so float32 has ten times the usual tolerance here.
    loose = 10 if dtype == "float32" else 1
    assert_close(ours[0], theirs[0], "losses", loose)
    for k, (a, b) in enumerate(zip(ours[1], theirs[1], strict=False)):
        assert_close(a, b, f"parameter {k}", loose)
    return ours[2], theirs[2]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name, options", OPTIMISERS)
def test_five_steps(name, options, dtype):
    ours, theirs = assert_same_training(name, options, dtype)
    state, expected = ours.state_dict(), theirs.state_dict()
    assert state["state"].keys() == expected["state"].keys()
    for index, values in expected["state"].items():
        assert state["state"][index].keys() == values.keys()


def test_parameter_groups():
    def groups(lib):
        model, _, _ = network(lib, "float64")
        options = [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[3].parameters()}]
        optimiser = lib.optim.SGD(options, lr=0.1, momentum=0.9)
        return [(g["lr"], g["momentum"], len(g["params"])) for g in optimiser.param_groups]

    assert same(groups) == [(0.5, 0.9, 2), (0.1, 0.9, 2)]


def test_learning_rate_may_change_between_steps():
    def change(step, model, optimiser):
        optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)

    assert_same_training("Adam", {}, "float64", change)


def test_parameter_that_is_frozen_on_the_way_stays():
    def change(step, model, optimiser):
        if step == 2:
            model[0].weight.requires_grad_(False)
            model[0].weight.grad = None

    assert_same_training("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, "float64", change)


def test_zero_grad():
    def after(lib, **options):
        model, x, target = network(lib, "float64")
        optimiser = lib.optim.SGD(model.parameters(), lr=0.1)
        lib.nn.functional.cross_entropy(model(x), target).backward()
        optimiser.zero_grad(**options)
        return [None if p.grad is None else p.grad.abs().sum().item() for p in model.parameters()]

    assert same(after) == [None] * 4
    assert same(lambda lib: after(lib, set_to_none=False)) == [0.0] * 4


def test_ascent_on_an_image():
    """The optimiser's other use here: a leaf image, no network parameters."""

    def climb(lib):
        model, x, _ = network(lib, "float64")
        image = x.clone().requires_grad_()
        optimiser = lib.optim.Adam([image], lr=0.05)
        for _ in range(STEPS):
            optimiser.zero_grad()
            (-model(image)[:, 1].sum()).backward()
            optimiser.step()
        return numbers(image)

    assert_close(climb(minicnn), climb(torch), "image")


def test_state_dict_continues_where_it_was():
    model, x, target = network(minicnn, "float64")

    def step(optimiser):
        optimiser.zero_grad()
        minicnn.nn.functional.cross_entropy(model(x), target).backward()
        optimiser.step()

    first = minicnn.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(2):
        step(first)
    saved_parameters = [numbers(p) for p in model.parameters()]
    saved_state = first.state_dict()
    second = minicnn.optim.Adam(model.parameters(), lr=0.7)
    second.load_state_dict(saved_state)
    assert second.param_groups[0]["lr"] == 0.1
    step(second)
    continued = [numbers(p) for p in model.parameters()]

    def undisturbed(lib):
        return list(train_n(lib, 3))

    for got, expected in zip(continued, undisturbed(torch), strict=False):
        assert_close(got, expected, "parameters after 2 + 1 steps")
    assert any((a != b).any() for a, b in zip(saved_parameters, continued, strict=False))


def train_n(lib, steps):
    model, x, target = network(lib, "float64")
    optimiser = lib.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        lib.nn.functional.cross_entropy(model(x), target).backward()
        optimiser.step()
    return [numbers(p) for p in model.parameters()]


@pytest.mark.parametrize(
    "make",
    [
        lambda lib: lib.optim.SGD([lib.zeros(2, requires_grad=True)], lr=-1),
        lambda lib: lib.optim.SGD([lib.zeros(2, requires_grad=True)], lr=0.1, momentum=-0.5),
        lambda lib: lib.optim.SGD([lib.zeros(2, requires_grad=True)], lr=0.1, weight_decay=-0.5),
        lambda lib: lib.optim.SGD([lib.zeros(2, requires_grad=True)], lr=0.1, nesterov=True),
        lambda lib: lib.optim.Adam([lib.zeros(2, requires_grad=True)], lr=-1.0),
        lambda lib: lib.optim.Adam([lib.zeros(2, requires_grad=True)], betas=(1.0, 0.9)),
        lambda lib: lib.optim.Adam([lib.zeros(2, requires_grad=True)], betas=(0.9, -0.1)),
        lambda lib: lib.optim.Adam([lib.zeros(2, requires_grad=True)], eps=-1.0),
        lambda lib: lib.optim.SGD([], lr=0.1),
        lambda lib: lib.optim.SGD(lib.zeros(2, requires_grad=True), lr=0.1),
        lambda lib: lib.optim.SGD([(lib.zeros(2, requires_grad=True) * 2)], lr=0.1),
        lambda lib: lib.optim.SGD([3], lr=0.1),
    ],
)
def test_error(make):
    same_error(make)


def test_repr():
    same(lambda lib: repr(lib.optim.SGD([lib.zeros(2, requires_grad=True)], lr=0.1, momentum=0.9)))
