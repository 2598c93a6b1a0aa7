"""Optimizers with `differentiable=True`: steps that are recorded, and the gradients that go through them."""

from __future__ import annotations

import pytest
from both import assert_same, attempt, known, scenarios

import minicnn

SETTINGS = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "maximize": True}),
    ("RMSprop", {"centered": True, "momentum": 0.5}),
    ("Adam", {}),
    ("Adam", {"weight_decay": 0.1, "maximize": True}),
    ("Adam", {"amsgrad": True, "betas": (0.5, 0.7)}),
    ("AdamW", {"weight_decay": 0.1}),
    ("AdamW", {"amsgrad": True}),
    ("NAdam", {"weight_decay": 0.1}),
    ("NAdam", {"decoupled_weight_decay": True, "weight_decay": 0.1, "maximize": True}),
]


def _names(settings):
    return [name + "".join(f"-{key}={value}" for key, value in kwargs.items()) for name, kwargs in settings]


def _start(torch):
    start = known(torch, 4, start=0.7, step=0.2, requires_grad=True)
    return start, torch.tensor(0.7, requires_grad=True)


def _loss(p, scale):
    return (p**3 * scale).sum() + (p[1:] * p[:-1]).sum()


@pytest.mark.parametrize(("name", "kwargs"), SETTINGS, ids=_names(SETTINGS))
def test_gradients_through_steps(name, kwargs):
    """Steps on a parameter that was computed; then the gradients of the result for what it came from.

    PyTorch writes over what it needs in a second step where `amsgrad` or `centered` is set.
    """
    steps = 1 if "amsgrad" in kwargs or "centered" in kwargs else 3

    def rule(torch, log):
        start, scale = _start(torch)
        p = start.clone()
        optimizer = getattr(torch.optim, name)([p], lr=0.05, differentiable=True, **kwargs)
        for _ in range(steps):
            (p.grad,) = torch.autograd.grad(_loss(p.clone(), scale), p, create_graph=True)
            log(optimizer.step(), p, p.grad_fn is not None)
        log([(key, value) for key, value in sorted(optimizer.state[p].items())])
        log(torch.autograd.grad((p * p).sum(), [start, scale]))

    assert_same(rule)


WHOLE = [setting for setting in SETTINGS if setting[0] != "SGD" or "momentum" not in setting[1]]


@pytest.mark.parametrize(("name", "kwargs"), WHOLE, ids=_names(WHOLE))
def test_gradients_through_steps_are_those_of_the_numbers(name, kwargs):
    """Three steps against small differences, also for the rate, where PyTorch has no gradients for some optimizers.

    SGD's first direction is a copy without a gradient, as in PyTorch.
    """

    def steps(start, scale, lr):
        p = start.clone()
        optimizer = getattr(minicnn.optim, name)([p], lr=lr, differentiable=True, **kwargs)
        for _ in range(3):
            (p.grad,) = minicnn.autograd.grad(_loss(p.clone(), scale), p, create_graph=True)
            optimizer.step()
        return p

    values = [tensor.detach().double().requires_grad_() for tensor in (*_start(minicnn), minicnn.tensor(0.01))]
    assert minicnn.autograd.gradcheck(steps, values)


@pytest.mark.parametrize(("name", "kwargs"), SETTINGS, ids=_names(SETTINGS))
def test_gradients_for_what_is_remembered(name, kwargs):
    """One step from a given state: gradcheck and gradients for the parameter, its gradient and each part of the state."""
    parts = {"SGD": [], "RMSprop": ["square_avg"]}.get(name, ["exp_avg", "exp_avg_sq"])
    parts = parts + ["momentum_buffer"] * bool(kwargs.get("momentum")) + ["grad_avg"] * bool(kwargs.get("centered"))
    parts = parts + ["max_exp_avg_sq"] * bool(kwargs.get("amsgrad"))

    def rule(torch, log):
        def step(p, grad, *state):
            p = p.clone()
            p.grad = grad
            optimizer = getattr(torch.optim, name)([p], lr=0.05, differentiable=True, **kwargs)
            if name != "SGD":
                optimizer.state[p]["step"] = torch.tensor(10.0, dtype=torch.float64)
            if name == "NAdam":
                optimizer.state[p]["mu_product"] = torch.tensor(1.0, dtype=torch.float64)
            optimizer.state[p].update({key: value.clone() for key, value in zip(parts, state, strict=True)})
            optimizer.step()
            return (p, *(v for v in optimizer.state[p].values() if isinstance(v, torch.Tensor) and v.requires_grad))

        inputs = [known(torch, 4, start=0.1 if part == "grad_avg" else 0.7).double() for part in ["p", "grad", *parts]]
        inputs = [value.requires_grad_() for value in inputs]
        results = step(*inputs)
        log(results)
        log(torch.autograd.grad([result.sum() for result in results], inputs))
        log(torch.autograd.gradcheck(step, inputs))

    assert_same(rule)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam"])
def test_rates_that_are_tensors(name):
    """A rate that requires a gradient gets one through the steps; PyTorch's RMSprop refuses it."""

    def rule(torch, log):
        start, scale = _start(torch)
        lr = torch.tensor(0.05, requires_grad=True)
        p = start.clone()
        optimizer = getattr(torch.optim, name)([p], lr=lr, differentiable=True, foreach=False)
        for _ in range(1 if name == "NAdam" else 2):
            p.grad = torch.autograd.grad(_loss(p.clone(), scale), p, create_graph=True)[0]
            optimizer.step()
        log(p, torch.autograd.grad((p * p).sum(), [start, scale, lr], allow_unused=True))
        log(optimizer.param_groups[0]["lr"] is lr)

    assert_same(rule)


DECAYS = {
    "sgd": lambda torch, p, t: torch.optim.SGD([p], lr=0.1, weight_decay=t, differentiable=True),
    "adam": lambda torch, p, t: torch.optim.Adam([p], lr=0.1, weight_decay=t, differentiable=True),
    "adamw": lambda torch, p, t: torch.optim.AdamW([p], lr=0.1, weight_decay=t, differentiable=True),
    "betas": lambda torch, p, t: torch.optim.Adam([p], lr=torch.tensor(0.1), betas=(t, t + 0.1), differentiable=True),
    "sgd, fixed": lambda torch, p, t: torch.optim.SGD([p], lr=0.1, weight_decay=t.detach(), differentiable=True),
    "adam, fixed": lambda torch, p, t: torch.optim.Adam([p], lr=0.1, weight_decay=t.detach(), differentiable=True),
}


@pytest.mark.parametrize("name", DECAYS)
def test_other_settings_that_are_tensors(name):
    """A weight decay and the betas that require gradients."""

    def rule(torch, log):
        start, scale = _start(torch)
        setting = torch.tensor(0.3, requires_grad=True)
        p = start.clone()
        optimizer = DECAYS[name](torch, p, setting)
        for _ in range(2):
            p.grad = torch.autograd.grad(_loss(p.clone(), scale), p, create_graph=True)[0].clone()
            optimizer.step()
        log(p, torch.autograd.grad((p * p).sum(), [start, scale, setting], allow_unused=True))

    assert_same(rule)


# Leaves, closures, what is shown and saved, and steps that are not recorded.


def rule_leaf_parameters_are_refused(torch, log):
    for name in ("SGD", "RMSprop", "Adam", "AdamW", "NAdam"):
        p = known(torch, 3).requires_grad_()
        optimizer = getattr(torch.optim, name)([p], lr=0.1, differentiable=True)
        _loss(p, 1.0).backward()
        attempt(log, optimizer.step)
        log(p, len(optimizer.state))
        with torch.no_grad():  # the optimizer turns recording on by itself
            attempt(log, optimizer.step)


def rule_parameters_without_gradients(torch, log):
    p = known(torch, 3)
    optimizer = torch.optim.SGD([p], lr=0.1, differentiable=True)
    p.grad = torch.ones(3)
    optimizer.step()
    log(p, p.requires_grad)
    p.grad = known(torch, 3, requires_grad=True)
    optimizer.step()
    log(p, p.requires_grad, p.is_leaf)


def rule_computed_parameters(torch, log):
    p = known(torch, 3).requires_grad_() * 2
    attempt(log, torch.optim.SGD, [p], lr=0.1)
    optimizer = torch.optim.SGD([p], lr=0.1, differentiable=True)
    attempt(log, optimizer.add_param_group, {"params": [p * 2]})
    log(optimizer.defaults, repr(optimizer), sorted(optimizer.state_dict()["param_groups"][0]))
    optimizer.param_groups[0]["differentiable"] = False
    p.grad = torch.ones(3)
    optimizer.step()
    log(p.grad_fn is not None)


def rule_with_a_closure(torch, log):
    start = known(torch, 3).requires_grad_()
    p = start.clone()
    optimizer = torch.optim.Adam([p], lr=0.1, differentiable=True)

    def closure():
        loss = _loss(p.clone(), 2.0)
        (p.grad,) = torch.autograd.grad(loss, p, create_graph=True)
        log(torch.is_grad_enabled())
        return loss

    with torch.no_grad():
        log(optimizer.step(closure), torch.is_grad_enabled())
    log(torch.autograd.grad(p.sum(), start))


def rule_zero_grad(torch, log):
    start = known(torch, 3).requires_grad_()
    p = start.clone()
    optimizer = torch.optim.SGD([p], lr=0.1, differentiable=True)
    (p.grad,) = torch.autograd.grad(_loss(p.clone(), 2.0), p, create_graph=True)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    log(p.grad, p.grad.requires_grad)
    optimizer.zero_grad()
    log(p.grad)


def rule_steps_that_are_not_recorded_stay_so(torch, log):
    p = known(torch, 3).requires_grad_()
    optimizer = torch.optim.Adam([p], lr=0.1, amsgrad=True)
    _loss(p, 1.0).backward(create_graph=True)
    optimizer.step()
    log(p, p.is_leaf, p.grad.requires_grad, [v.requires_grad for v in optimizer.state[p].values()])


def rule_a_layer_learns_to_learn(torch, log):
    model, x = torch.nn.Linear(3, 1), known(torch, 5, 3)
    with torch.no_grad():
        model.weight.copy_(known(torch, 1, 3))
        model.bias.zero_()
    fast = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(fast.values(), lr=0.1, momentum=0.9, differentiable=True)
    for _ in range(3):
        loss = (torch.nn.functional.linear(x, **fast) ** 2).mean()
        for p, grad in zip(
            fast.values(), torch.autograd.grad(loss, list(fast.values()), create_graph=True), strict=True
        ):
            p.grad = grad
        optimizer.step()
    (torch.nn.functional.linear(x, **fast) ** 2).mean().backward()
    log([p.grad for p in model.parameters()])


@pytest.mark.parametrize("rule", scenarios(globals()))
def test_recorded_steps(rule):
    assert_same(rule)
