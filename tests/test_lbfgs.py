"""L-BFGS: the same moves, the same number of looks and the same memory as in PyTorch."""

from __future__ import annotations

import pytest
from both import assert_same, attempt, known, scenarios


def _valley(torch, log, **settings):
    """A curved valley over eight numbers in two parameters, beside one without a gradient; the optimizer and its closure."""
    dtype = settings.pop("dtype", torch.float64)
    params = [
        known(torch, *shape, start=start).to(dtype) for shape, start in (((2, 2), -0.7), ((4,), 1.2), ((1,), 3.0))
    ]
    params = [param.detach().requires_grad_() for param in params]
    optimizer = torch.optim.LBFGS(params, **settings)

    def closure():
        optimizer.zero_grad()
        x = torch.cat([params[0].reshape(-1), params[1]])
        loss = ((x[1:] - x[:-1] ** 2) ** 2).sum() * 3 + ((1 - x) ** 2).sum()
        loss.backward()
        log("looks", loss.detach())
        return loss

    return optimizer, closure


def _walk(torch, log, steps=3, **settings):
    optimizer, closure = _valley(torch, log, **settings)
    for _ in range(steps):
        log("step", optimizer.step(closure).detach())
    log(*(param.detach() for param in optimizer.param_groups[0]["params"]))
    return optimizer


def rule_with_a_line_search(torch, log):
    """Each move goes to where the loss is lower and the slope flatter."""
    for settings in (
        {},
        {"history_size": 2},
        {"max_iter": 3},
        {"max_eval": 4},
        {"max_iter": 1},
        {"lr": 5},
        {"lr": 0.01},
    ):
        _walk(torch, log, line_search_fn="strong_wolfe", **settings)


def rule_without_one(torch, log):
    """Each move is as long as the learning rate says; the closure is not asked again after the last one."""
    for settings in (
        {"lr": 0.1},
        {"lr": 0.1, "history_size": 2},
        {"lr": 0.1, "max_iter": 2},
        {"lr": 0.1, "max_eval": 3},
    ):
        _walk(torch, log, **settings)


def rule_when_it_stops(torch, log):
    """When the gradient, or the change of loss or parameters, is small."""
    for settings in ({"tolerance_grad": 2.0}, {"tolerance_change": 0.5}, {"tolerance_grad": 100.0}, {"max_iter": 0}):
        _walk(torch, log, line_search_fn="strong_wolfe", **settings)


def rule_what_is_remembered(torch, log):
    """Everything in the state of the first parameter; saved and loaded, the walk goes on as it would have."""
    optimizer = _walk(torch, log, max_iter=4, line_search_fn="strong_wolfe")
    saved = optimizer.state_dict()
    saved["state"][0]["prev_loss"] = torch.tensor(saved["state"][0]["prev_loss"])
    log(saved["state"], {name: value for name, value in saved["param_groups"][0].items() if name != "maximize"})
    again, closure = _valley(torch, log, line_search_fn="strong_wolfe")
    again.load_state_dict(saved)
    log(again.step(closure).detach())


def rule_the_step(torch, log):
    """It needs a closure, calls it with gradients and hooks around; complex parameters count as pairs of numbers."""
    optimizer, closure = _valley(torch, log, max_iter=1)
    attempt(log, optimizer.step)
    optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: log("pre", len(args), kwargs))
    optimizer.register_step_post_hook(lambda optimizer, args, kwargs: log("post", len(args), kwargs))
    with torch.no_grad():
        optimizer.step(closure)
    z = torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128, requires_grad=True)
    optimizer = torch.optim.LBFGS([z], line_search_fn="strong_wolfe", max_iter=5)

    def far():
        optimizer.zero_grad()
        loss = ((torch.view_as_real(z) - 1.5) ** 2).sum()
        loss.backward()
        return loss

    log(optimizer.step(far).detach())
    log(torch.view_as_real(z.detach()))


def rule_what_is_refused(torch, log):
    """Several groups, a learning rate below zero, an unknown line search."""
    a, b = known(torch, 2, requires_grad=True), known(torch, 2, requires_grad=True)
    attempt(log, torch.optim.LBFGS, [{"params": [a]}, {"params": [b]}])
    attempt(log, torch.optim.LBFGS, [a], lr=-1)
    attempt(log, torch.optim.LBFGS, [a], lr=torch.tensor([1.0, 2.0]))
    optimizer, closure = _valley(torch, log, line_search_fn="weak")
    attempt(log, optimizer.step, closure)
    log(_walk(torch, log, steps=1, lr=torch.tensor(0.1)).param_groups[0]["lr"])
    log(_walk(torch, log, steps=1, lr=0.1, dtype=torch.float32).state_dict()["state"][0]["n_iter"])


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda rule: rule.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
