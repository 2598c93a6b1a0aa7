"""`nn.init`: what torch computes exactly is equal; what is random has torch's distribution, bounds and errors."""

from __future__ import annotations

import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from both import assert_same, attempt, known, scenarios
from test_layer_signatures import parameters_of

import minicnn
from minicnn.nn import init

SHAPE = (64, 16, 3, 3)  # fan_in 144, fan_out 576


@pytest.mark.parametrize("name", init.__all__)
def test_signature(name):
    assert parameters_of(getattr(init, name)) == parameters_of(getattr(torch.nn.init, name))


def rule_gains(log_torch, log):
    gain = log_torch.nn.init.calculate_gain
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        log(name, gain(name))
    log(gain("leaky_relu", 0.2), gain("leaky_relu", 0))
    for arguments in (("leaky_relu", True), ("leaky_relu", "no"), ("other",)):
        attempt(log, gain, *arguments)


def rule_fixed_values(torch, log):
    init = torch.nn.init
    for fill in (init.ones_, init.zeros_, lambda t: init.constant_(t, 0.3)):
        log(fill(torch.empty(2, 3)))
    log(init.eye_(torch.empty(2, 3)), init.dirac_(torch.empty(4, 2, 3, 3)), init.dirac_(torch.empty(4, 2, 3), groups=2))


def rule_errors_and_warnings(torch, log):
    init, ones = torch.nn.init, torch.ones
    attempt(log, init.eye_, ones(2))
    attempt(log, init.dirac_, ones(2))
    attempt(log, init.dirac_, ones(3, 1, 1), groups=2)
    attempt(log, init.xavier_uniform_, ones(2))
    attempt(log, init.kaiming_normal_, ones(2, 2), mode="other")
    attempt(log, init.kaiming_uniform_, ones(2, 0))
    attempt(log, init.kaiming_normal_, ones(0, 2))
    attempt(log, init.orthogonal_, ones(2))
    attempt(log, init.sparse_, ones(2), 0.5)
    attempt(log, lambda: init.trunc_normal_(ones(2), mean=9).shape)


def rule_a_parameter_is_filled_in_place(torch, log):
    parameter = torch.nn.Parameter(known(torch, 2, 2))
    log(torch.nn.init.ones_(parameter) is parameter, parameter, parameter.requires_grad, parameter.grad_fn)
    before = parameter._version
    torch.nn.init.normal_(parameter)
    log(parameter._version - before)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)


@pytest.mark.parametrize(
    ("fill", "std", "bound"),
    [
        (lambda t: init.uniform_(t, -2, 2), 2 / math.sqrt(3), 2),
        (lambda t: init.normal_(t, 1, 3), 3, None),
        (init.xavier_uniform_, math.sqrt(2 / 720), math.sqrt(6 / 720)),
        (lambda t: init.xavier_normal_(t, 2), 2 * math.sqrt(2 / 720), None),
        (lambda t: init.kaiming_uniform_(t, a=math.sqrt(5)), 1 / math.sqrt(3 * 144), 1 / math.sqrt(144)),
        (lambda t: init.kaiming_normal_(t, nonlinearity="relu"), math.sqrt(2 / 144), None),
        (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 576), None),
        (init.trunc_normal_, 0.8796, 2),
        (lambda t: init.trunc_normal_(t, std=5.0), 1.1389, 2),
    ],
)
def test_spread_and_bounds(fill, std, bound):
    minicnn.manual_seed(0)
    values = fill(minicnn.empty(SHAPE)).numpy()
    assert values.std() == pytest.approx(std, rel=0.02)
    if bound is not None:
        assert 0.98 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 3, 3)])
def test_orthogonal(shape):
    minicnn.manual_seed(0)
    matrix = init.orthogonal_(minicnn.empty(shape).double(), gain=2).numpy().reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    assert np.allclose(small, 4 * np.eye(len(small)))


def test_sparse():
    values = init.sparse_(minicnn.empty(10, 7), 0.35).numpy()
    assert ((values == 0).sum(axis=0) == 4).all()


@pytest.mark.parametrize("layer", ["Conv2d(16, 64, 3)", "Linear(144, 64)", "ConvTranspose2d(64, 16, 3)"])
def test_layers_begin_with_the_bounds_of_torch(layer):
    def largest(library):
        library.manual_seed(0)
        made = eval("nn." + layer, {"nn": library.nn})
        return [float(p.detach().abs().max()) for p in made.parameters()]

    for ours, theirs in zip(largest(minicnn), largest(torch), strict=True):
        assert ours == pytest.approx(theirs, rel=0.1)


def test_seed_decides():
    def weights(seed):
        minicnn.manual_seed(seed)
        return minicnn.nn.Conv2d(3, 4, 3).weight.detach().numpy()

    assert (weights(1) == weights(1)).all()
    assert (weights(1) != weights(2)).any()


def test_skip_init_in_one_thread_leaves_layers_of_another_alone():
    inside, built = threading.Event(), threading.Event()

    def make():
        inside.set()
        assert built.wait(10)
        return minicnn.nn.Linear(3, 4)

    with ThreadPoolExecutor(1) as pool:
        skipped = pool.submit(minicnn.nn.utils.skip_init, make)
        assert inside.wait(10)
        layer = minicnn.nn.Linear(3, 4)
        built.set()
        skipped.result()
    assert layer.weight.abs().sum().item() > 0


def test_a_fork_of_the_generator_is_its_threads():
    minicnn.manual_seed(3)
    expected = minicnn.rand(4).tolist()
    minicnn.manual_seed(3)
    with minicnn.random.fork_rng():
        assert minicnn.rand(4).tolist() == expected
        minicnn.manual_seed(4)
        own = minicnn.rand(4).tolist()
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(lambda: minicnn.rand(4).tolist()).result() == expected
    assert own != expected
    assert minicnn.default_generator.initial_seed() == 3


def test_the_state_of_a_generator_holds_its_seed():
    generator = minicnn.Generator().manual_seed(5)
    state, first = generator.get_state(), minicnn.rand(2, generator=generator).tolist()
    generator.manual_seed(6)
    generator.set_state(state)
    assert generator.initial_seed() == 5
    assert minicnn.rand(2, generator=generator).tolist() == first


def test_a_large_tensor_is_filled_some_at_a_time_with_the_same_numbers(monkeypatch):
    """Building a network needs no second copy of its weights; and where the pieces end changes no number."""
    module = sys.modules["minicnn._tensor"]

    def drawn():
        minicnn.manual_seed(3)
        return [
            getattr(minicnn.empty(shape, dtype=kind), fill)(1.0, 2.0).numpy()
            for shape in ((7,), (3, 41), ()) for kind in (minicnn.float32, minicnn.float64) for fill in ("normal_", "uniform_")
        ]  # fmt: skip

    monkeypatch.setattr(module, "_SOME", 4)
    pieces = drawn()
    monkeypatch.setattr(module, "_SOME", 2**16)
    for one, whole in zip(pieces, drawn(), strict=True):
        np.testing.assert_array_equal(one, whole)


def test_random_numbers_beyond_a_type_become_infinite_without_a_warning():
    assert np.isinf(minicnn.empty(5, dtype=minicnn.float16).uniform_(1e6, 2e6).numpy()).all()
    assert np.isinf(minicnn.empty(4, 5, dtype=minicnn.float16).t().uniform_(1e6, 2e6).numpy()).all()
