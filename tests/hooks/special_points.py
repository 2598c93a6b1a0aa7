"""Gradients where a function has a corner: at a bound, at a tie, for NaN."""

from __future__ import annotations

from both import attempt

from .catalogue import cases
from .parts import double_leaf

NAN = float("nan")


def _points(torch):
    return torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0, NAN], requires_grad=True)


@cases(
    {
        "clamp(0, 1)": lambda torch, x: x.clamp(0, 1),
        "clamp(1, 0)": lambda torch, x: x.clamp(1, 0),
        "clamp(0.5, 0.5)": lambda torch, x: x.clamp(0.5, 0.5),
        "clamp(min=0)": lambda torch, x: x.clamp(min=0),
        "clamp(max=1)": lambda torch, x: x.clamp(max=1),
        "clamp_min": lambda torch, x: x.clamp_min(0),
        "clamp_max": lambda torch, x: x.clamp_max(1),
        "clip": lambda torch, x: x.clip(0, 1),
        "clamp_": lambda torch, x: (x * 1).clamp_(0, 1),
    }
)
def rule_clamp_at_a_bound(torch, log, case):
    """The gradient of clamp exactly at a bound that is a number is 1, since 2.14 it is 0, as that of relu."""
    x = _points(torch)
    case(torch, x).sum().backward()
    log(x.grad)


@cases(
    {
        "both": lambda torch, x, low, high: x.clamp(low, high),
        "min": lambda torch, x, low, high: x.clamp(min=low),
        "max": lambda torch, x, low, high: x.clamp(max=high),
        "clamp_min": lambda torch, x, low, high: x.clamp_min(low),
        "clamp_max": lambda torch, x, low, high: x.clamp_max(high),
        "crossed": lambda torch, x, low, high: x.clamp(high, low),
        "equal": lambda torch, x, low, high: x.clamp(low, low),
        "only the bound": lambda torch, x, low, high: x.detach().clamp(low, high),
    }
)
def rule_clamp_at_a_tensor_bound(torch, log, case):
    """At a bound that is a tensor the input has the gradient, since 2.14 each of them has half. NaN: 0, since 2.14 1."""
    x = _points(torch)
    low, high = torch.zeros(6, requires_grad=True), torch.ones(6, requires_grad=True)
    case(torch, x, low, high).sum().backward()
    log(x.grad, low.grad, high.grad)


@cases(
    {
        "relu": lambda torch, x: x.relu(),
        "relu6": lambda torch, x: torch.nn.functional.relu6(x),
        "hardtanh": lambda torch, x: torch.nn.functional.hardtanh(x, 0.0, 1.0),
        "hardsigmoid": lambda torch, x: torch.nn.functional.hardsigmoid(x * 3),
        "hardswish": lambda torch, x: torch.nn.functional.hardswish(x * 3),
        "elu": lambda torch, x: torch.nn.functional.elu(x),
        "max of two": lambda torch, x: torch.max(x, torch.zeros(6)),
        "smooth_l1": lambda torch, x: torch.nn.functional.smooth_l1_loss(x, torch.ones(6), reduction="none"),
        "l1": lambda torch, x: torch.nn.functional.l1_loss(x, torch.ones(6), reduction="none"),
        "sign": lambda torch, x: x.sign(),
        "where": lambda torch, x: torch.where(x > 0, x, x * 2),
        "norm": lambda torch, x: x[1:2].norm(),
        "leaky_relu": lambda torch, x: torch.nn.functional.leaky_relu(x),
        "threshold": lambda torch, x: torch.nn.functional.threshold(x, 0.0, 0.0),
        "maximum": lambda torch, x: torch.maximum(x, torch.zeros(6)),
        "minimum": lambda torch, x: torch.minimum(x, torch.ones(6)),
        "abs": lambda torch, x: x.abs(),
        "max": lambda torch, x: x[1:].max(),
    }
)
def rule_other_corners(torch, log, case):
    """Those that did not change: 0 for relu at 0, a half at a tie of two tensors, 0 for abs at 0; mostly 1 for NaN."""
    x = _points(torch)
    case(torch, x).sum().backward()
    log(x.grad)


@cases({"fmax": 0.0, "fmin": 1.0})
def rule_fmax_and_fmin(torch, log, case):
    """Of a number and NaN the number. The gradient goes to the one that is chosen, of equals to the first; since 2.14 half
    to each of equals, and to both where one is NaN, as that of maximum."""
    x, y = _points(torch), torch.tensor([NAN, 0.0, NAN, 1.0, 2.5, NAN], requires_grad=True)
    choose = getattr(torch, "fmax" if case == 0.0 else "fmin")
    log(choose(x, y), choose(x.detach(), torch.full((6,), case)))
    choose(x, y).backward(torch.arange(1.0, 7.0))
    log(x.grad, y.grad)
    for wrong in ((x, 1), (1, x), (x, torch.ones(4)), (x, torch.ones(6, dtype=torch.complex64))):
        attempt(log, choose, *wrong)


def rule_the_norm_zero(torch, log):
    """Pooling with the norm 0 is a division by zero, since 2.14 refused, by the layer too."""
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    attempt(log, lambda: torch.nn.LPPool2d(0, 2).norm_type)
    attempt(log, lambda: torch.nn.LPPool2d(0, 2)(image))
    attempt(log, lambda: torch.nn.functional.lp_pool2d(image, 0, 2))
    log(torch.nn.LPPool2d(2, 2)(image))


def rule_minus_with_booleans(torch, log):
    """Minus is refused for bool tensors: by a RuntimeError, since 2.14 by its subclass NotImplementedError."""
    a = torch.tensor([True, False])
    for wrong in (lambda: a - a, lambda: a - 1, lambda: 1.5 - a, lambda: -a, lambda: a.neg(), lambda: a.sub(a)):
        attempt(log, wrong)


def rule_the_dim_of_a_softmax_layer(torch, log):
    """`Softmax(dim=)` takes anything, since 2.14 None or an int that is no bool."""
    for dim in (True, 1.0, "1", None, 1):
        for layer in (torch.nn.Softmax, torch.nn.LogSoftmax, torch.nn.Softmin):
            attempt(log, lambda layer=layer, dim=dim: layer(dim=dim).dim)


def rule_lbfgs_goes_up(torch, log):
    """`LBFGS(maximize=True)`; without parameters a step asks the closure and does nothing."""
    x = double_leaf(torch)
    optimizer = torch.optim.LBFGS([x], maximize=True, line_search_fn="strong_wolfe", max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = -((x - 3) ** 4).sum() - x.prod()
        loss.backward()
        log("looks", loss.detach())
        return loss

    log(optimizer.step(closure).detach(), x.detach(), optimizer.state_dict()["param_groups"])
    log(repr(optimizer))
    empty = torch.optim.LBFGS([{"params": []}])
    log(empty.step(lambda: 5))


def rule_a_type_that_an_operation_lacks(torch, log):
    """What is not there for a type of elements is refused by a RuntimeError, since 2.8 by its subclass NotImplementedError."""
    for refused in (
        lambda: torch.ones(2, dtype=torch.int64).softmax(0),
        lambda: torch.nn.functional.hardswish(torch.ones(2, dtype=torch.int64)),
        lambda: torch.nn.functional.elu(torch.ones(2, dtype=torch.complex64)),
        lambda: torch.nn.functional.mse_loss(torch.ones(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64)),
    ):
        attempt(log, refused)
