"""Legacy backward hooks, and that they do not mix with full ones. Each rule runs in both libraries."""

from __future__ import annotations

import gc

import pytest
from both import assert_same, cases, filled, known, scenarios
from test_hooks_backward import gradients
from test_hooks_forward import attempt, linear, noting


def rule_full_and_legacy_do_not_mix(torch, log):
    for first, second in (("full_backward", "backward"), ("backward", "full_backward")):
        layer = linear(torch)
        getattr(layer, f"register_{first}_hook")(noting(log, first)).remove()
        log(layer._is_full_backward_hook)
        attempt(log, getattr(layer, f"register_{second}_hook"), print)
        layer.register_full_backward_pre_hook(noting(log, "pre"))


def rule_full_and_legacy_do_not_mix_globally(torch, log):
    module = torch.nn.modules.module
    before = module._global_is_full_backward_hook
    for first, second in (("full_backward", "backward"), ("backward", "full_backward")):
        module._global_is_full_backward_hook = None
        getattr(module, f"register_module_{first}_hook")(noting(log, first)).remove()
        attempt(log, getattr(module, f"register_module_{second}_hook"), print)
    module._global_is_full_backward_hook = before


def rule_legacy_sees_the_last_node(torch, log):
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)))
    net[0].register_backward_hook(noting(log, "linear"))
    net.register_backward_hook(noting(log, "sequential"))
    net(known(torch, 2, 3, requires_grad=True)).sum().backward()


@cases("name", ["dict", "list", "two nodes", "nested", "one node", "no tensor", "no grad", "list in"])
def rule_legacy_warnings(torch, log, name):
    make = {
        "dict": lambda x: {"n": 1, "a": x * 2},
        "list": lambda x: [x * 2],
        "two nodes": lambda x: (x * 2, x * 3),
        "nested": lambda x: ((x * 2,), x),
        "one node": lambda x: x * 2,
        "no tensor": lambda x: {"a": 1},
        "no grad": lambda x: x.detach(),
        "list in": lambda x: x[0] * 2,
    }[name]

    class Module(torch.nn.Module):
        def forward(self, x):
            return make(x)

    module = Module()
    module.register_backward_hook(noting(log, "hook"))
    x = known(torch, 2, requires_grad=True) * 1
    attempt(log, module, [x] if name == "list in" else x)


def rule_legacy_return_value_replaces(torch, log):
    for value in (lambda gi: tuple(g * 2 for g in gi), list, lambda gi: gi[:1]):
        relu = torch.nn.Tanh()
        relu.register_backward_hook(lambda m, gi, go: value(gi))  # noqa: B023
        x = known(torch, 3, requires_grad=True)
        attempt(log, relu(x).sum().backward)
        gradients(log, x)


def rule_legacy_holds_the_module_weakly(torch, log):
    module = torch.nn.Tanh()
    module.register_backward_hook(noting(log, "hook"))
    out = module(known(torch, 2, requires_grad=True))
    del module
    gc.collect()
    attempt(log, out.sum().backward)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
