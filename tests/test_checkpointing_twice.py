"""`utils.checkpoint`: second runs that are not like the first, contexts, hooks on what is saved, groups of passes."""

from __future__ import annotations

import contextlib

import pytest
from both import assert_same, attempt, known, scenarios
from test_checkpointing import BOTH, shown

import minicnn

DIFFERENT = {
    "another shape": lambda torch, x, first: x.exp() if first else x[:1].exp() * x,
    "another type": lambda torch, x, first: x.exp() if first else x.double().exp(),
    "fewer tensors": lambda torch, x, first: x.exp().sin().cos() if first else x.exp(),
    "more tensors": lambda torch, x, first: x.exp() if first else x.exp().sin().cos(),
}


@pytest.mark.parametrize("early_stop", BOTH)
@pytest.mark.parametrize("check", ["default", "none"])
@pytest.mark.parametrize("name", DIFFERENT)
def test_a_second_run_that_is_different(name, check, early_stop):
    def rule(torch, log):
        runs = []

        def part(x):
            runs.append(1)
            return DIFFERENT[name](torch, x, len(runs) == 1)

        x = known(torch, 4, requires_grad=True)
        y = torch.utils.checkpoint.checkpoint(
            part, x, use_reentrant=False, determinism_check=check, early_stop=early_stop
        )
        shown(log, y.sum().backward)
        log(len(runs), issubclass(torch.utils.checkpoint.CheckpointError, RuntimeError))
        if name == "another type" and check == "none":
            log(x.grad)

    assert_same(rule)


def test_debug_lists_the_operations():
    for way in ("argument", "context"):
        runs = []

        def part(x, runs=runs):
            runs.append(1)
            return x.exp() if len(runs) == 1 else (x[:2] * 2).exp()

        checkpoint, x = minicnn.utils.checkpoint, known(minicnn, 4, requires_grad=True)
        if way == "argument":
            y = checkpoint.checkpoint(part, x, use_reentrant=False, debug=True)
        else:
            with checkpoint.set_checkpoint_debug_enabled(True):
                y = checkpoint.checkpoint(part, x, use_reentrant=False)
        with pytest.raises(checkpoint.CheckpointError) as error:
            y.sum().backward()
        text = str(error.value)
        assert "because you passed `debug=True` to `torch.utils.checkpoint.checkpoint()`" in text
        before, _, after = text.partition("Operations executed during recomputation")
        assert "ExpBackward0 -> [4]" in before and "MulBackward0 -> [2]" in after
        assert f"{__file__}:" in before and ":part" in before
        assert isinstance(error.value.__cause__, checkpoint.CheckpointError)


def rule_an_input_that_is_written_meanwhile(torch, log):
    for reentrant in BOTH:
        x = known(torch, 3, requires_grad=True)
        a = x * 2
        y = torch.utils.checkpoint.checkpoint(lambda t: t.exp().sin(), a, use_reentrant=reentrant)
        a.add_(1)
        attempt(log, y.sum().backward)


def rule_contexts_of_both_runs(torch, log):
    @contextlib.contextmanager
    def noting(name):
        log("enter", name)
        yield
        log("leave", name)

    def part(x):
        log("run")
        return x.exp().sin()

    x = known(torch, 3, requires_grad=True)
    y = torch.utils.checkpoint.checkpoint(
        part, x, use_reentrant=False, early_stop=False, context_fn=lambda: (noting("first"), noting("second"))
    )
    log("pass")
    y.sum().backward()
    log(x.grad)
    with torch.no_grad():
        torch.utils.checkpoint.checkpoint(
            part, x, use_reentrant=False, context_fn=lambda: (noting("first"), noting("second"))
        )

    class Swallows:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            return True

    def fails(x):
        raise ValueError("failed")

    attempt(log, torch.utils.checkpoint.checkpoint, fails, x, use_reentrant=False)
    attempt(
        log,
        torch.utils.checkpoint.checkpoint,
        fails,
        x,
        use_reentrant=False,
        context_fn=lambda: (Swallows(), Swallows()),
    )


def rule_an_error_in_the_second_run(torch, log):
    for reentrant in BOTH:
        runs = []

        def part(x):
            runs.append(1)  # noqa: B023
            if len(runs) > 1:  # noqa: B023
                raise ValueError("second")
            return x.exp().sin()

        y = torch.utils.checkpoint.checkpoint(part, known(torch, 3, requires_grad=True), use_reentrant=reentrant)
        attempt(log, y.sum().backward)
        log(torch.is_grad_enabled(), known(torch, 3, requires_grad=True).exp().requires_grad)


def rule_hooks_on_what_is_saved_around_and_inside(torch, log):
    hooks = torch.autograd.graph.saved_tensors_hooks

    def noting(name):
        return hooks(lambda t: log("pack", name) or t, lambda t: log("unpack", name) or t)

    def part(x):
        y = x.exp()
        with noting("inside"):
            y = y.sin()
        return y.cos()

    x = known(torch, 3, requires_grad=True)
    with noting("around"):
        y = torch.utils.checkpoint.checkpoint(part, x * 1, use_reentrant=False)
    log("pass")
    y.sum().backward()
    log(x.grad)


def rule_a_backward_pass_inside_of_the_part(torch, log):
    for early_stop in BOTH:
        x = known(torch, 3, requires_grad=True)

        def part(x):
            y = x.exp()
            (g,) = torch.autograd.grad(y.sum(), x)
            log("inner", g)
            return y.sin() * g

        y = torch.utils.checkpoint.checkpoint(part, x, use_reentrant=False, early_stop=early_stop)
        attempt(log, y.sum().backward)
        log(x.grad)


def rule_saved_tensors_asked_for_by_hand(torch, log):
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            ctx.saved_tensors  # noqa: B018
            (again,) = ctx.saved_tensors
            return 2 * again * grad

    x = known(torch, 3, requires_grad=True)
    y = torch.utils.checkpoint.checkpoint(lambda t: Twice.apply(t.exp()), x, use_reentrant=False)
    shown(log, y.sum().backward)
    y = torch.utils.checkpoint.checkpoint(lambda t: t.exp().sin(), x, use_reentrant=False)
    log(y.grad_fn._saved_self, y.grad_fn._saved_self)  # outside of a pass: a run for each


def rule_a_group_of_passes_runs_a_part_once(torch, log):
    checkpoint = torch.utils.checkpoint
    x = known(torch, 3, requires_grad=True)

    def part(x):
        log("run")
        y = x.exp()
        return y.sin(), y.cos()

    a, b = checkpoint.checkpoint(part, x, use_reentrant=False)
    with checkpoint.GraphExecGroup():
        (g,) = torch.autograd.grad(a.sum(), x, retain_graph=True)
        log(g)
        shown(log, torch.autograd.grad, b.sum(), x, retain_graph=True)
        with contextlib.suppress(RuntimeError), checkpoint.GraphExecGroup():
            log("nested")
    log(torch.autograd.grad(a.sum() + b.sum(), x))


def rule_a_view_and_a_write_inside(torch, log):
    def part(x):
        y = x * 2
        y[1:].mul_(3)
        z = y.reshape(3, 1).sinh()
        z.add_(1)
        return z.sin()

    for reentrant in BOTH:
        x = known(torch, 3, requires_grad=True)
        torch.utils.checkpoint.checkpoint(part, x, use_reentrant=reentrant).sum().backward()
        log(x.grad)


def rule_batch_norm_counts_both_runs(torch, log):
    for reentrant in BOTH:
        norm, x = torch.nn.BatchNorm1d(3), known(torch, 4, 3, requires_grad=True)
        (torch.utils.checkpoint.checkpoint(norm, x * x, use_reentrant=reentrant) ** 2).sum().backward()
        log(norm.state_dict(), x.grad, norm.weight.grad)


def _weighed(x, w):
    h = (x @ w).tanh()
    return (h * h).sin() @ w


def _two(torch):
    return known(torch, 3, 3, requires_grad=True), known(torch, 3, 3, start=0.2, requires_grad=True)


def rule_gradients_of_gradients(torch, log):
    checkpoint = torch.utils.checkpoint.checkpoint
    for early_stop in BOTH:
        x, w = _two(torch)
        y = checkpoint(_weighed, x, w, use_reentrant=False, early_stop=early_stop)
        grads = torch.autograd.grad(y.sum(), [x, w], create_graph=True)
        log(grads, torch.autograd.grad((grads[0] ** 2).sum() + (grads[1] ** 3).sum(), [x, w]))
    double = [value.detach().double().requires_grad_() for value in _two(torch)]
    log(torch.autograd.gradgradcheck(lambda x, w: checkpoint(_weighed, x, w, use_reentrant=False), double))
    x, w = _two(torch)
    attempt(log, checkpoint(_weighed, x, w, use_reentrant=True).sum().backward, create_graph=True)
    log(x.grad, x.grad.requires_grad)


def rule_gradients_of_gradients_nested(torch, log):
    checkpoint = torch.utils.checkpoint.checkpoint
    x, w = _two(torch)
    y = checkpoint(lambda x, w: checkpoint(_weighed, x, w, use_reentrant=False).exp(), x, w, use_reentrant=False)
    y.sum().backward(create_graph=True)
    (x.grad**2).sum().backward()
    log(x.grad, w.grad)


def rule_gradients_inside(torch, log):
    x, w = _two(torch)

    def part(x, w):
        y = _weighed(x, w)
        (grad,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return (grad * grad).sum() + y

    log(torch.autograd.grad(torch.utils.checkpoint.checkpoint(part, x, w, use_reentrant=False).sum(), [x, w]))


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
