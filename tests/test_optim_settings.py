"""The other optimizers, parameter groups, saved state, hooks, and `nn.utils`: under both libraries."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch as real_torch
from both import assert_same, attempt, known, scenarios
from test_layer_signatures import parameters_of

import minicnn

SETTINGS = [
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.3, "amsgrad": True, "lr": 0.1}),
    ("Adam", {"decoupled_weight_decay": True, "weight_decay": 0.3, "lr": 0.1}),
    ("Adam", {"betas": [0.8, 0.9]}),
    ("NAdam", {}),
    ("NAdam", {"lr": 0.1, "momentum_decay": 0.1, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9, "centered": True}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.5, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "maximize": True, "weight_decay": 0.1, "nesterov": True}),
]


def descend(optimizer, parameters, steps=4):
    for _ in range(steps):
        optimizer.zero_grad()
        sum((p * p * (i + 1)).sum() for i, p in enumerate(parameters)).backward()
        optimizer.step()


def two(torch):
    return [known(torch, 2, 3, start=-0.47, requires_grad=True), known(torch, 2, start=1, requires_grad=True)]


@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_steps_state_and_printing(name, options):
    def rule(torch, log):
        parameters = two(torch)
        optimizer = getattr(torch.optim, name)(parameters, **options)
        log(repr(optimizer))
        descend(optimizer, parameters)
        log(parameters, optimizer.state_dict(), parameters[0]._version > 0)

    assert_same(rule)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop"])
def test_signature(name):
    assert parameters_of(getattr(minicnn.optim, name)) == parameters_of(getattr(real_torch.optim, name))
    assert parameters_of(getattr(minicnn.optim, name).step) == parameters_of(getattr(real_torch.optim, name).step)
    path = f"optim.{name.lower()}"
    assert inspect.getmodule(getattr(minicnn.optim, name)).__name__ == f"minicnn.{path}"


def rule_settings_out_of_range(torch, log):
    p, optim = [known(torch, 2, requires_grad=True)], torch.optim
    for name in ("SGD", "Adam", "AdamW", "NAdam", "RMSprop"):
        for wrong in ({"lr": -1.0}, {"weight_decay": -1.0}, {"lr": torch.ones(2)}):
            attempt(log, getattr(optim, name), p, **wrong)
    for wrong in ({"eps": -1.0}, {"betas": (1.0, 0.5)}, {"betas": (0.5, -1.0)}):
        attempt(log, optim.NAdam, p, **wrong)
    attempt(log, optim.NAdam, p, momentum_decay=-1.0)
    attempt(log, optim.RMSprop, p, alpha=-1.0)
    attempt(log, optim.RMSprop, p, momentum=-1.0)


def rule_groups(torch, log):
    optim, (a, b) = torch.optim, two(torch)
    made = optim.SGD([{"params": a, "lr": 0.5}, {"params": [b]}], lr=0.1, momentum=0.5)
    log(repr(made))
    descend(made, (a, b))
    log(a, b, made.state_dict())
    attempt(log, made.add_param_group, {"params": a})
    attempt(log, made.add_param_group, [a])
    attempt(log, made.add_param_group, {"params": {a, b}})
    attempt(log, made.add_param_group, {"params": [("name", known(torch, 1))]})
    made.add_param_group({"params": known(torch, 1, requires_grad=True), "lr": 7})
    log(len(made.param_groups), made.param_groups[2]["lr"])
    attempt(log, optim.SGD, [a, a])
    attempt(log, optim.SGD, [("a", a), b])
    attempt(log, optim.SGD, [a, 5])
    named = optim.SGD([("a", a), ("b", b)])
    log(named.param_groups[0]["param_names"], named.state_dict()["param_groups"])


def rule_saved_state(torch, log):
    first, second = two(torch), two(torch)
    old, new = torch.optim.Adam(first, lr=0.1), torch.optim.Adam(second, lr=0.7)
    descend(old, first)
    new.load_state_dict(copy.deepcopy(old.state_dict()))
    with torch.no_grad():
        for p, q in zip(first, second, strict=True):
            q.copy_(p)
    descend(old, first)
    descend(new, second)
    log(first, second, new.param_groups[0]["lr"])
    attempt(log, torch.optim.Adam(second[:1]).load_state_dict, old.state_dict())
    attempt(log, torch.optim.Adam([{"params": p} for p in second]).load_state_dict, old.state_dict())
    double = [p.detach().double().requires_grad_() for p in second]
    converted = torch.optim.Adam(double)
    converted.load_state_dict(old.state_dict())
    log([str(v.dtype) for v in converted.state_dict()["state"][0].values()])
    log(pickle.loads(pickle.dumps(old)).state_dict())


def rule_saved_state_from_before_steps_were_tensors(torch, log):
    """Up to PyTorch 1.11 the count of steps was an int, and groups had fewer settings."""
    for name in ("Adam", "AdamW", "NAdam", "RMSprop"):
        build, parameters, others = getattr(torch.optim, name), two(torch), two(torch)
        old = build(parameters, lr=0.1)
        descend(old, parameters)
        saved = copy.deepcopy(old.state_dict())
        for state in saved["state"].values():
            for key in {"step", "mu_product"} & state.keys():
                state[key] = state[key].item() if key == "mu_product" else int(state[key])
        for group in saved["param_groups"]:
            for key in ("foreach", "maximize", "capturable", "differentiable", "fused", "decoupled_weight_decay"):
                group.pop(key, None)
        with torch.no_grad():
            for p, q in zip(parameters, others, strict=True):
                q.copy_(p)
        new = build(others)
        new.load_state_dict(saved)
        log(new.state_dict(), repr(new))
        descend(new, others)
        log(others, new.state_dict())


def rule_closure_and_zero_grad(torch, log):
    p = known(torch, 2, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.1)

    def closure():
        log("grad mode", torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        log(optimizer.step(closure), p)
    optimizer.zero_grad(set_to_none=False)
    log(p.grad, optimizer.step())
    optimizer.zero_grad()
    log(p.grad, optimizer.step())


def rule_hooks(torch, log):
    p = known(torch, 2, requires_grad=True)
    optimizer = torch.optim.SGD([p], lr=0.1)
    optimizer.register_step_pre_hook(lambda o, args, kwargs: log("pre", o is optimizer, len(kwargs)))
    optimizer.register_step_post_hook(lambda o, args, kwargs: log("post", o is optimizer))
    optimizer.register_state_dict_pre_hook(lambda o: log("state pre"))
    optimizer.register_state_dict_post_hook(lambda o, state: log("state post", state))
    optimizer.register_load_state_dict_pre_hook(lambda o, state: log("load pre"))
    optimizer.register_load_state_dict_pre_hook(lambda o, state: log("load pre first"), prepend=True)
    optimizer.register_load_state_dict_post_hook(lambda o: log("load post"))
    p.sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())


def rule_hooks_see_the_arguments(torch, log):
    """The optimizer is the first of them; a pre-hook may change them. A class of one's own has the hooks too."""

    class Own(torch.optim.SGD):
        def step(self, closure=None, *, by=1):
            log("own step", by)
            return closure and closure()

    p = known(torch, 2, requires_grad=True)
    for kind in (torch.optim.SGD, Own):
        optimizer = kind([p], lr=0.1)
        optimizer.register_step_pre_hook(
            lambda o, args, kwargs: log("pre", [type(a).__name__ for a in args], list(kwargs))
        )
        optimizer.register_step_post_hook(lambda o, args, kwargs: log("post", len(args), list(kwargs)))
        log(optimizer.step(), optimizer.step(lambda: 5), optimizer.step(closure=lambda: 6))
        optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), {}))
        log(optimizer.step())
        optimizer.register_step_pre_hook(lambda o, args, kwargs: 5)
        try:
            optimizer.step()
        except RuntimeError as error:
            log(str(error)[-60:])


def rule_own_optimizer(torch, log):
    class Own(torch.optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    with torch.no_grad():
                        p.add_(p.grad, alpha=-group["lr"])

    p = known(torch, 2, requires_grad=True)
    own = Own([p])
    (p * p).sum().backward()
    own.step()
    log(p, repr(own))
    attempt(log, Own, [])
    attempt(log, Own, p)
    attempt(log, Own, [p * 2])


# Schedulers: test_schedulers.py has the others ------------------------------------------------------------------------


def rule_scheduler_errors(torch, log):
    schedulers, p = torch.optim.lr_scheduler, [known(torch, 2, requires_grad=True)]
    made = torch.optim.SGD(p, lr=0.1)
    schedulers.StepLR(made, 1).step()
    attempt(log, schedulers.StepLR, 5, 1)
    attempt(log, schedulers.LambdaLR, made, [abs, abs])
    for wrong in (
        {},
        {"total_steps": 0},
        {"epochs": 1.5, "steps_per_epoch": 2},
        {"epochs": 1, "steps_per_epoch": 0},
        {"total_steps": 5, "pct_start": 2.0},
        {"total_steps": 5, "anneal_strategy": "other"},
        {"total_steps": 5, "max_momentum": [1, 2]},
    ):
        attempt(log, schedulers.OneCycleLR, made, 1.0, **wrong)
    cycle = schedulers.OneCycleLR(torch.optim.SGD(p), 1.0, total_steps=2)
    for _ in range(4):
        attempt(log, cycle.step)


def rule_scheduler_state(torch, log):
    p = [known(torch, 2, requires_grad=True)]
    first, second = (torch.optim.SGD(p, lr=0.1) for _ in range(2))
    old, new = (torch.optim.lr_scheduler.StepLR(o, 2) for o in (first, second))
    for _ in range(3):
        first.step()
        old.step()
    new.load_state_dict(old.state_dict())
    log(new.last_epoch, new.get_last_lr(), new.base_lrs, sorted(k for k in old.state_dict() if k[0] != "_"))


# nn.utils -------------------------------------------------------------------------------------------------------------


def with_gradients(torch):
    parameters = two(torch)
    (parameters[0].sum() * 3 + (parameters[1] ** 2).sum()).backward()
    return [*parameters, known(torch, 1, requires_grad=True)]


def rule_clipping(torch, log):
    utils = torch.nn.utils
    for norm in (2.0, 1.0, float("inf")):
        parameters = with_gradients(torch)
        log(utils.clip_grad_norm_(parameters, 1.0, norm), [p.grad for p in parameters])
        log(utils.clip_grad_norm_(parameters[1], 100.0, norm), parameters[1].grad)
    parameters = with_gradients(torch)
    utils.clip_grad_value_(parameters, 1.5)
    log([p.grad for p in parameters])
    log(
        utils.clip_grad_norm_([], 1.0), utils.clip_grad_norm_((p for p in ()), 1.0), utils.clip_grad_norm(parameters, 1)
    )
    parameters[0].grad.fill_(float("nan"))
    attempt(log, utils.clip_grad_norm_, parameters, 1.0, error_if_nonfinite=True)


def rule_vectors(torch, log):
    utils, parameters = torch.nn.utils, two(torch)
    vector = utils.parameters_to_vector(parameters)
    log(vector, vector.requires_grad)
    (vector * vector).sum().backward()
    log(parameters[0].grad)
    utils.vector_to_parameters(known(torch, 8, step=1), parameters)
    log(parameters)
    attempt(log, utils.vector_to_parameters, [1], parameters)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
