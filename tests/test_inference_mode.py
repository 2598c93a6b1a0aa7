"""`inference_mode`: what PyTorch refuses of tensors that were made in it, and what it allows, with modules, optimisers, copies."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from both import assert_same, attempt, known, scenarios


def made(torch, requires_grad=False):
    """A tensor that was made in inference mode."""
    with torch.inference_mode():
        return (known(torch, 3) * 1).requires_grad_(requires_grad)


def module(torch):
    with torch.inference_mode():
        layer = torch.nn.Linear(3, 2)
        for parameter in layer.parameters():
            parameter.fill_(0.5)
        return layer


def refused(log, function, *args):
    """Only whether it is refused, and why: PyTorch has written all the same when it refuses a write."""
    try:
        function(*args)
        log("allowed")
    except Exception as error:
        log(type(error).__name__, str(error))


def rule_inside(torch, log):
    with torch.inference_mode():
        x, leaf, p = known(torch, 3) * 1, torch.ones(3).requires_grad_(), torch.nn.Parameter(torch.ones(3))
        log(x.is_inference(), leaf.is_inference(), leaf.requires_grad, leaf.is_leaf, p.is_inference(), p.requires_grad)
        attempt(log, lambda: x._version)
        log(
            x[1:].is_inference(),
            x[1:]._is_view(),
            x.detach().is_inference(),
            torch.from_numpy(np.ones(2)).is_inference(),
        )
        log((leaf * 2).requires_grad, leaf.add_(1), torch.enable_grad()(lambda: (leaf * 2).requires_grad)())
        attempt(log, (leaf * 2).sum().backward)
        attempt(log, torch.autograd.grad, (leaf * 2).sum(), leaf)
        attempt(log, lambda: (leaf * 2).retain_grad())
        log(
            copy.deepcopy(x).is_inference(),
            copy.deepcopy(p).is_inference(),
            pickle.loads(pickle.dumps(x)).is_inference(),
        )


WRITES = {
    "add_": lambda torch, x: x.add_(1),
    "add_ without gradients": lambda torch, x: torch.no_grad()(lambda: x.add_(1))(),
    "copy_": lambda torch, x: x.copy_(torch.ones(3)),
    "copy_ of what requires grad": lambda torch, x: x.copy_(known(torch, 3, requires_grad=True)),
    "zero_": lambda torch, x: x.zero_(),
    "fill_": lambda torch, x: x.fill_(1.0),
    "set item": lambda torch, x: x.__setitem__(0, 1.0),
    "a view": lambda torch, x: x[1:].mul_(2),
    "unsqueeze_": lambda torch, x: x.unsqueeze_(0),
    "relu_": lambda torch, x: x.relu_(),
    "relu(inplace)": lambda torch, x: torch.nn.functional.relu(x, inplace=True),
    "normal_": lambda torch, x: x.normal_(),
    "masked_fill_": lambda torch, x: x.masked_fill_(x > 0, 0.0),
    "requires_grad_": lambda torch, x: x.requires_grad_(),
    "requires_grad": lambda torch, x: setattr(x, "requires_grad", True),
    "requires_grad_(False)": lambda torch, x: x.requires_grad_(False),
    "_version": lambda torch, x: x._version,
}


@pytest.mark.parametrize("name", WRITES)
def test_writes_outside(name):
    def rule(torch, log):
        refused(log, WRITES[name], torch, made(torch))
        with torch.inference_mode():
            refused(log, WRITES[name], torch, made(torch))

    assert_same(rule)


USES = {
    "add": lambda torch, x, n: x + n,
    "mul": lambda torch, x, n: x * n,
    "mul by a number": lambda torch, x, n: x * 3,
    "added in place": lambda torch, x, n: (n * 1).add_(x),
    "multiplied in place": lambda torch, x, n: (n * 1).mul_(x),
    "into a constant": lambda torch, x, n: known(torch, 3).mul_(x),
    "set item": lambda torch, x, n: known(torch, 3).__setitem__(0, x[0]),
    "cat": lambda torch, x, n: torch.cat([x, n]),
    "stack": lambda torch, x, n: torch.stack([x, n]),
    "where": lambda torch, x, n: torch.where(x > 0, x, n),
    "dot": lambda torch, x, n: torch.dot(x, n),
    "conv2d": lambda torch, x, n: torch.nn.functional.conv2d(n.reshape(1, 1, 1, 3), x.reshape(1, 1, 1, 3)),
    "index": lambda torch, x, n: n[x.long().abs()],
    "mask": lambda torch, x, n: n[x > 0],
    "gather": lambda torch, x, n: n.gather(0, x.long().abs()),
    "clone": lambda torch, x, n: x.clone() * n,
    "clone that requires grad": lambda torch, x, n: x.clone().requires_grad_() * 2,
    "with pack hooks": lambda torch, x, n: packed(torch, lambda: x * n),
    "as a parameter": lambda torch, x, n: torch.nn.Parameter(x) * 2,
    "as data": lambda torch, x, n: setattr(n, "data", x) or n * 1.5 + known(torch, 3),
    "saved by a Function": lambda torch, x, n: function(torch, x).apply(n),
    "as the gradient": lambda torch, x, n: (n * 2).backward(x),
}


def packed(torch, call):
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        return call()


def function(torch, x):
    class Saves(torch.autograd.Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(x)
            return t * 1

        @staticmethod
        def backward(ctx, grad):
            return grad

    return Saves


@pytest.mark.parametrize("name", USES)
def test_uses_outside(name):
    def rule(torch, log):
        x, n = made(torch), known(torch, 3, requires_grad=True)
        attempt(log, USES[name], torch, x, n)
        log(n.grad, n.is_inference())
        with torch.no_grad():
            result = USES[name](torch, made(torch), known(torch, 3)) if name != "as the gradient" else None
            log(result, result is not None and result.is_inference())

    assert_same(rule)


def rule_a_function_that_writes_it(torch, log):
    class Writes(torch.autograd.Function):
        @staticmethod
        def forward(ctx, t):
            ctx.mark_dirty(t)
            return t

        @staticmethod
        def backward(ctx, grad):
            return grad

    attempt(log, Writes.apply, made(torch))


def rule_gradients(torch, log):
    n = known(torch, 3, requires_grad=True)
    n.grad = made(torch)
    refused(log, (n * 2).sum().backward)
    log(n.grad.is_inference())
    q = known(torch, 3, requires_grad=True)
    loss = (q * q).sum()
    with torch.inference_mode():
        loss.backward(retain_graph=True)
        log(q.grad, q.grad.is_inference(), torch.autograd.grad(loss, q)[0].is_inference())
    refused(log, (q * 2).sum().backward)
    p = made(torch, requires_grad=True)
    (p + 2).sum().backward()
    log(p.grad, p.grad.is_inference())
    attempt(log, lambda: p * known(torch, 3, requires_grad=True))


def rule_normal_tensors_inside(torch, log):
    n, z = known(torch, 3, requires_grad=True), known(torch, 3, requires_grad=True) * 1
    with torch.inference_mode():
        y, m = n * 2, n[1:]
        log(y.requires_grad, y.is_inference(), m.requires_grad, m.is_inference(), m._is_view())
        log(n.add_(1), m.mul_(2), n._version)
        v = z[1:]
        log(v.requires_grad, v.grad_fn, v.is_leaf, v.mul_(2), z._version, z.grad_fn.name(), z.add_(1))
    log((m * 2).requires_grad)
    attempt(log, m.mul_, 2)
    attempt(log, v.mul_, 2)
    attempt(log, lambda: v.grad_fn)
    z.sum().backward()


def rule_modules(torch, log):
    layer, x = module(torch), known(torch, 2, 3)
    log(layer(x), layer(x).requires_grad)
    refused(log, lambda: layer(x.clone().requires_grad_()))
    refused(log, layer.load_state_dict, torch.nn.Linear(3, 2).state_dict())
    log(torch.nn.Linear(3, 2).load_state_dict(layer.state_dict()))
    log(layer.double().weight.is_inference(), layer.weight.requires_grad)
    with torch.inference_mode():
        normal = torch.nn.Linear(3, 2).double()
        log(normal.weight.is_inference())
    for parameter in module(torch).parameters():
        refused(log, torch.nn.init.zeros_, parameter)
    norm = torch.inference_mode()(lambda: torch.nn.BatchNorm1d(3))()
    refused(log, norm, known(torch, 4, 3))
    refused(log, norm.eval(), known(torch, 4, 3))
    outside = torch.nn.Linear(3, 2)
    with torch.inference_mode():
        outside.double()
    refused(log, outside, known(torch, 2, 3).double().requires_grad_())


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop"])
def test_optimisers(name):
    def rule(torch, log):
        layer = module(torch)
        for parameter in layer.parameters():
            parameter.grad = torch.ones_like(parameter).clone()
        optimizer = getattr(torch.optim, name)(layer.parameters(), lr=0.1)
        refused(log, optimizer.step)
        with torch.inference_mode():
            refused(log, optimizer.step)

    assert_same(rule)


def rule_copies_outside(torch, log):
    x, p = made(torch), made(torch, requires_grad=True)
    log(copy.deepcopy(x).is_inference(), copy.deepcopy(p).is_inference(), pickle.loads(pickle.dumps(x)).is_inference())
    log(x.clone().is_inference(), x.detach().is_inference(), x.data.is_inference(), (x * 2).is_inference())


def rule_the_mode_itself(torch, log):
    @torch.inference_mode
    def plain():
        return torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    @torch.inference_mode()
    def generator():
        yield torch.is_inference_mode_enabled()

    log(plain(), list(generator()), torch.inference_mode().mode, torch.inference_mode(mode=False).mode)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
