"""`utils.checkpoint` under both libraries: gradients, what runs twice, hooks, random numbers, memory, and what is refused."""

from __future__ import annotations

import gc
import inspect
import weakref

import pytest
import torch as real_torch
from both import assert_same, attempt, filled, known, scenarios

import minicnn
from tests.hooks.parts import watch

BOTH = [True, False]


def network(torch):
    nn = torch.nn
    return filled(torch, nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))


def gradients(model, *tensors):
    return [p.grad for p in model.parameters()] + [t.grad for t in tensors]


def shown(log, function, *args, **kwargs):
    """The result, or the error's type and the first lines of its text, up to the advice that follows."""
    try:
        log(function(*args, **kwargs))
    except Exception as error:
        log(type(error).__name__, str(error).partition("\n\nTip")[0])


@pytest.mark.parametrize("reentrant", BOTH)
def test_gradients_are_those_without(reentrant):
    for lib in (minicnn, real_torch):
        results = []
        for wrapped in (False, True):
            model, x = network(lib), known(lib, 5, 3, requires_grad=True)
            y = lib.utils.checkpoint.checkpoint(model, x, use_reentrant=reentrant) if wrapped else model(x)
            (y * y).sum().backward()
            results.append([t.tolist() for t in gradients(model, x)])
        assert results[0] == results[1]


@pytest.mark.parametrize("reentrant", BOTH)
def test_what_runs_and_when(reentrant):
    """The order of forward calls, hooks of modules, tensors and nodes, in the first run, the second, and the pass."""

    def rule(torch, log):
        model, x = network(torch), known(torch, 2, 3, requires_grad=True)
        for i, module in enumerate(model):
            module.register_forward_pre_hook(lambda m, a, i=i: log("pre", i, torch.is_grad_enabled()))
            module.register_forward_hook(lambda m, a, out, i=i: log("forward", i, out.requires_grad))
            module.register_full_backward_pre_hook(lambda m, g, i=i: log("backward pre", i, g))
            module.register_full_backward_hook(lambda m, g, h, i=i: log("backward", i, g, h))
        for name, parameter in model.named_parameters():
            watch(log, name, parameter)
        watch(log, "x", x)
        y = watch(log, "y", torch.utils.checkpoint.checkpoint(model, x * 1, use_reentrant=reentrant))
        log(y.grad_fn.name())
        y.sum().backward()
        log(gradients(model, x))

    assert_same(rule)


@pytest.mark.parametrize("early_stop", BOTH)
def test_early_stop(early_stop):
    def rule(torch, log):
        checkpoint = torch.utils.checkpoint
        for way in ("argument", "context"):
            x = known(torch, 3, requires_grad=True)

            def part(x):
                log("begin")
                y = x.exp()
                log("middle")
                y = y.sin()
                log("end")
                return y + 1

            if way == "argument":
                y = checkpoint.checkpoint(part, x, use_reentrant=False, early_stop=early_stop)
            else:
                with checkpoint.set_checkpoint_early_stop(early_stop):
                    y = checkpoint.checkpoint(part, x, use_reentrant=False, early_stop=not early_stop)
            y.sum().backward()
            log(x.grad)

    assert_same(rule)


def rule_a_module_that_is_stopped_does_not_return(torch, log):
    nn = torch.nn
    model = filled(torch, nn.Sequential(nn.Linear(3, 3), nn.ReLU()))
    model.register_forward_hook(lambda m, a, out: log("net"), always_call=True)
    model[1].register_forward_hook(lambda m, a, out: log("relu"))
    model[1].register_forward_hook(lambda m, a, out: log("relu, always", out), always_call=True)
    y = torch.utils.checkpoint.checkpoint(model, known(torch, 2, 3), use_reentrant=False)
    log("pass")
    y.sum().backward()


@pytest.mark.parametrize("reentrant", BOTH)
def test_passes(reentrant):
    """`backward`, retained and repeated, with inputs; `autograd.grad`; several results of which one is used."""

    def rule(torch, log):
        checkpoint = torch.utils.checkpoint.checkpoint

        def part(x, y):
            log("run")
            z = x * y
            return z.exp(), z.sin(), x + 2

        def made():
            x, y = known(torch, 3, requires_grad=True), known(torch, 3, start=1, requires_grad=True)
            return x, y, checkpoint(part, x, y, use_reentrant=reentrant)

        x, y, (a, b, c) = made()
        log(type(a.grad_fn).__name__ == type(b.grad_fn).__name__, a, b, c)
        (a + b * c).sum().backward(retain_graph=True)
        log(x.grad, y.grad)
        (a + b).sum().backward()
        log(x.grad, y.grad)
        shown(log, (a + b).sum().backward)
        x, y, (a, b, c) = made()
        b.sum().backward()
        log(x.grad, y.grad)
        x, y, (a, b, c) = made()
        c.sum().backward()
        log(x.grad, y.grad)
        x, y, (a, b, c) = made()
        shown(log, torch.autograd.grad, a.sum() + c.sum(), [x, y])
        x, y, (a, b, c) = made()
        shown(log, a.sum().backward, inputs=[x])
        log(x.grad, y.grad)

    assert_same(rule)


@pytest.mark.parametrize("reentrant", BOTH)
def test_inputs_without_a_gradient(reentrant):
    def rule(torch, log):
        checkpoint, model = torch.utils.checkpoint.checkpoint, network(torch)
        for x in (known(torch, 2, 3), known(torch, 2, 3, requires_grad=True).detach()):
            y = checkpoint(model, x, use_reentrant=reentrant)
            log(y, y.requires_grad)
        y = checkpoint(
            lambda x, n, flag: x * n if flag else x,
            known(torch, 3, requires_grad=True),
            3,
            True,
            use_reentrant=reentrant,
        )
        log(y)
        y.sum().backward()
        x = known(torch, 3, requires_grad=True)
        y = checkpoint(lambda a, b: (a * 2, b + 1, 5), x, known(torch, 3), use_reentrant=reentrant)
        log([getattr(t, "requires_grad", t) for t in y])
        with torch.no_grad():
            y = checkpoint(lambda a: a * a, x, use_reentrant=reentrant)
            log(y.requires_grad)
        y = checkpoint(lambda a: (a * a).detach(), x, use_reentrant=reentrant)
        log(y.requires_grad)
        if y.requires_grad:
            attempt(log, y.sum().backward)

    assert_same(rule)


def rule_keyword_arguments_and_lists(torch, log):
    x, y = known(torch, 3, requires_grad=True), known(torch, 3, start=1, requires_grad=True)

    def part(tensors, *, scale, power=2):
        log("run", scale)
        return {"out": (tensors[0] * tensors[1]) ** power * scale}

    made = torch.utils.checkpoint.checkpoint(part, [x, y], scale=y, use_reentrant=False)
    made["out"].sum().backward()
    log(x.grad, y.grad)
    attempt(log, torch.utils.checkpoint.checkpoint, part, x, scale=y, use_reentrant=True)


@pytest.mark.parametrize("reentrant", BOTH)
@pytest.mark.parametrize("inner", BOTH)
def test_nested(reentrant, inner):
    def rule(torch, log):
        checkpoint = torch.utils.checkpoint.checkpoint
        x = watch(log, "x", known(torch, 3, requires_grad=True))

        def innermost(a):
            log("innermost")
            return a.sin().exp()

        def inside(a):
            log("inside")
            return checkpoint(innermost, a * 2, use_reentrant=inner).cos() * 3

        def outside(a):
            log("outside")
            return checkpoint(inside, a + 1, use_reentrant=inner).exp() + a

        y = checkpoint(outside, x, use_reentrant=reentrant)
        log("pass")
        y.sum().backward()
        log(x.grad)

    assert_same(rule)


@pytest.mark.parametrize("reentrant", BOTH)
@pytest.mark.parametrize("preserve", BOTH)
def test_random_numbers(reentrant, preserve):
    """The second run draws what the first drew, and what comes after is as if it had not been."""

    def observed(lib):
        lib.manual_seed(0)
        drawn = []

        def part(x):
            drawn.append(lib.rand(3))
            return x * drawn[-1] * lib.nn.functional.dropout(x, 0.5)

        x = known(lib, 3, start=1, requires_grad=True)
        y = lib.utils.checkpoint.checkpoint(part, x, use_reentrant=reentrant, preserve_rng_state=preserve)
        between = lib.rand(2)
        y.sum().backward()
        after = lib.rand(2)
        lib.manual_seed(0)
        lib.rand(3), lib.nn.functional.dropout(x, 0.5)
        return [
            bool((drawn[0] == drawn[1]).all()),
            bool((lib.rand(2) == between).all()),
            bool((lib.rand(2) == after).all()),
        ]

    assert observed(minicnn) == observed(real_torch) == [preserve, True, preserve]


@pytest.mark.parametrize("segments", [1, 2, 3, 5])
@pytest.mark.parametrize("reentrant", BOTH)
def test_sequential(reentrant, segments):
    def rule(torch, log):
        for as_list in (False, True):
            model, x = network(torch), known(torch, 2, 3, requires_grad=True)
            for i, module in enumerate(model):
                module.register_forward_hook(lambda m, a, out, i=i: log("forward", i, out.requires_grad))
            functions = list(model) if as_list else model
            y = torch.utils.checkpoint.checkpoint_sequential(functions, segments, x, use_reentrant=reentrant)
            log(y)
            y.sum().backward()
            log(gradients(model, x))

    assert_same(rule)


def rule_sequential_refuses(torch, log):
    sequential, x = torch.utils.checkpoint.checkpoint_sequential, known(torch, 2, 3, requires_grad=True)
    attempt(log, sequential, network(torch), 2, x)
    attempt(log, sequential, network(torch), 2, x, use_reentrant=False, other=1)
    attempt(log, sequential, [], 1, x, use_reentrant=False)
    log(sequential([torch.sin, torch.exp], 2, x, use_reentrant=False, preserve_rng_state=False))


def rule_settings_that_do_not_go_together(torch, log):
    checkpoint, x = torch.utils.checkpoint, known(torch, 3, requires_grad=True)
    log(checkpoint.checkpoint(torch.sin, x))
    attempt(log, checkpoint.checkpoint, torch.sin, x, use_reentrant=True, debug=True)
    attempt(log, checkpoint.checkpoint, torch.sin, x, use_reentrant=True, context_fn=lambda: None)
    attempt(log, checkpoint.checkpoint, torch.sin, x, use_reentrant=False, determinism_check="other")
    attempt(log, checkpoint.checkpoint, torch.sin, x, use_reentrant=False, debug=True, context_fn=lambda: None)
    attempt(log, checkpoint.checkpoint, torch.sin, x, use_reentrant=False, other=1)
    attempt(log, checkpoint.checkpoint, torch.sin, known(torch, 3), use_reentrant=True)
    attempt(log, checkpoint.detach_variable, [x])
    a, b = checkpoint.detach_variable((x * 2, 5))
    log(a, a.requires_grad, a.grad_fn, b)
    checkpoint.check_backward_validity([x, 5])
    checkpoint.check_backward_validity([known(torch, 3), 5])


@pytest.mark.parametrize("reentrant", BOTH)
def test_nothing_is_kept_between_and_after(reentrant):
    """Activations of the part die with the forward pass, and all of it with the backward pass, without the collector."""
    for lib in (minicnn, real_torch):
        alive = []

        def part(x, alive=alive):
            y = x.exp()
            z = y.sin()
            alive += [weakref.ref(y), weakref.ref(z)]
            return z.cos()

        gc.disable()
        try:
            x = known(lib, 3, requires_grad=True)
            y = lib.utils.checkpoint.checkpoint(part, x * 1, use_reentrant=reentrant)
            assert [ref() for ref in alive] == [None, None]
            y.sum().backward()
            assert [ref() for ref in alive] == [None] * 4
            if lib is minicnn:  # PyTorch's nodes take no weak references
                node = weakref.ref(y.grad_fn)
                del y
                assert node() is None
        finally:
            gc.enable()


def test_the_arrays_are_not_kept():
    """As arrays too: what a node of the first run keeps is a holder."""
    held = []

    def part(x):
        y = x.exp()
        held.append(weakref.ref(y.array))
        return y.sin()

    y = minicnn.utils.checkpoint.checkpoint(part, known(minicnn, 3, requires_grad=True), use_reentrant=False)
    assert held[0]() is None
    y.sum().backward()
    assert held[1]() is None


def test_from_a_checkpointed_network_to_the_ascent_of_an_image():
    """What it is for: a deep network, the gradient of an image."""

    def ascent(lib):
        model = filled(
            lib, lib.nn.Sequential(lib.nn.Conv2d(1, 2, 3), lib.nn.ReLU(), lib.nn.Conv2d(2, 2, 3), lib.nn.Tanh())
        )
        image = known(lib, 1, 1, 7, 7, requires_grad=True)
        for _ in range(3):
            image.grad = None
            y = lib.utils.checkpoint.checkpoint_sequential(model, 2, image, use_reentrant=False)
            y.sum().backward()
            with lib.no_grad():
                image += image.grad
        return image.detach().numpy()

    real_torch.testing.assert_close(real_torch.from_numpy(ascent(minicnn)), real_torch.from_numpy(ascent(real_torch)))


@pytest.mark.parametrize("name", minicnn.utils.checkpoint.__all__)
def test_names(name):
    ours, theirs = (getattr(lib.utils.checkpoint, name) for lib in (minicnn, real_torch))
    if inspect.isfunction(theirs) and name != "checkpoint":
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
