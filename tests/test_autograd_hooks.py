"""Hooks on tensors and on nodes: what they see, what they may return, how long they live. torch is the judge."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest
from both import assert_same, cases, scenarios
from compare import same, same_error
from test_hooks_forward import attempt

import minicnn


def leaf(lib, values=(1.0, 2.0)):
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


def rounded(tensor):
    return None if tensor is None else [round(v, 9) for v in tensor.flatten().tolist()]


# --- tensor hooks ---------------------------------------------------------------------------------------------------------


def rule_tensor_hook_sees_the_sum_and_replaces_it(torch, log):
    x = leaf(torch)
    y = x * 2
    y.register_hook(lambda g: log(("first", rounded(g))))
    y.register_hook(lambda g: g * 10)
    y.register_hook(lambda g: log(("third", rounded(g))))
    x.register_hook(lambda g: log(("leaf", rounded(g))) or g + 1)
    (y.sum() + (y * 3).sum()).backward()
    log(rounded(x.grad))


def rule_hook_on_the_root_gets_the_seed(torch, log):
    x = leaf(torch)
    y = (x * x).sum()
    y.register_hook(lambda g: log(g.item()) or g * 5)
    y.backward(torch.tensor(2.0, dtype=torch.float64))
    log(rounded(x.grad))


def rule_hooks_run_once_per_backward_and_can_be_removed(torch, log):
    x = leaf(torch)
    y = x * x
    first = y.register_hook(lambda g: log("first"))
    y.register_hook(lambda g: log("second"))
    y.sum().backward(retain_graph=True)
    first.remove()
    first.remove()
    y.sum().backward(retain_graph=True)
    with x.register_hook(lambda g: log("with")):
        y.sum().backward(retain_graph=True)
    y.sum().backward()


def rule_hook_added_after_the_graph_was_built(torch, log):
    x = leaf(torch)
    y = x * 2
    z = y.sum()
    y.register_hook(lambda g: log("inner"))
    x.register_hook(lambda g: log("leaf"))
    z.backward()


def rule_hooks_changed_while_they_run(torch, log):
    x = leaf(torch)
    y = x * 1

    def first(grad):
        log("first")
        second.remove()
        y.register_hook(lambda g: log("added"))

    y.register_hook(first)
    second = y.register_hook(lambda g: log("second"))
    z = y.sum()
    z.backward(retain_graph=True)
    log("again")
    z.backward()


def test_hooks_and_in_place_operations():
    """Hooks stay with the value that they were set on; retain_grad follows the tensor."""

    def observed(lib):
        x, log = leaf(lib), []
        y = x * 2
        y.retain_grad()
        y.register_hook(lambda g: log.append(("before", rounded(g))))
        y.mul_(10)
        y.register_hook(lambda g: log.append(("after", rounded(g))))
        (y * 3).sum().backward()
        return log, rounded(y.grad), rounded(x.grad), y.retains_grad

    same(observed)


def rule_hook_on_one_of_several_outputs(torch, log):
    x = torch.arange(4.0, requires_grad=True)
    a, b = (x * 1).split(2)
    a.register_hook(lambda g: log(("a", None if g is None else g.tolist())))
    b.register_hook(lambda g: log(("b", None if g is None else g.tolist())))
    (b * 5).sum().backward()
    log(x.grad.tolist())


def named(name, result):
    def hook(*_):
        return result

    hook.__name__ = name
    return hook


def with_hook(lib, hook, on="result"):
    x = leaf(lib)
    y = x * 2
    (x if on == "leaf" else y).register_hook(hook)
    y.sum().backward()


RETURNED = {
    "a number": lambda lib: with_hook(lib, named("mine", 3)),
    "a tuple": lambda lib: with_hook(lib, named("mine", (1, 2))),
    "another shape": lambda lib: with_hook(lib, named("mine", lib.ones(3, dtype=lib.float64))),
    "a shape that broadcasts": lambda lib: with_hook(lib, named("mine", lib.ones(1, dtype=lib.float64)), "leaf"),
    "another dtype": lambda lib: with_hook(lib, named("mine", lib.ones(2))),
    "another dtype at a leaf": lambda lib: with_hook(lib, named("mine", lib.ones(2)), "leaf"),
    "not callable": lambda lib: with_hook(lib, 3),
    "raises": lambda lib: with_hook(lib, lambda g: {}["a key"]),
}


@cases("name", RETURNED)
def rule_what_a_tensor_hook_may_not_return(torch, log, name):
    attempt(log, RETURNED[name], torch)


def rule_hook_without_a_name(torch, log):
    class Hook:
        def __call__(self, grad):
            return grad.reshape(2, 1)

    attempt(log, with_hook, torch, Hook())


def rule_hook_returning_what_it_got(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: g)
    x.register_hook(lambda g: None)
    (x * 3).sum().backward()
    log(rounded(x.grad))


def test_register_hook_takes_no_prepend():
    with pytest.raises(TypeError, match="unexpected keyword argument 'prepend'"):
        leaf(minicnn).register_hook(print, prepend=True)


def rule_hooks_are_not_copied(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: log("original"))
    for y in (copy.deepcopy(x), x.detach().requires_grad_(), x.clone()):
        if y.is_leaf:
            (y * 2).sum().backward()
    log("nothing before this")


def rule_leaf_that_stops_requiring_grad_still_fires(torch, log):
    x = leaf(torch)
    y = (x * 2).sum()
    x.register_hook(lambda g: log(rounded(g)))
    x.requires_grad_(False)
    y.backward()
    log(x.grad)


# --- retain_grad, post-accumulate hooks -----------------------------------------------------------------------------------


def rule_retain_grad(torch, log):
    x = leaf(torch)
    y = x * 2
    y.retain_grad()
    y.retain_grad()
    z = y.exp() * 0 + y
    z.register_hook(lambda g: g * 7)
    z.retain_grad()
    x.retain_grad()
    z.sum().backward(retain_graph=True)
    once = rounded(y.grad), rounded(z.grad)
    z.sum().backward()
    log(once, rounded(y.grad), rounded(z.grad), y.retains_grad, x.retains_grad, (x * 1).retains_grad)


def test_retain_grad_sees_all_hooks_however_ordered():
    def observed(lib):
        x = leaf(lib)
        y = x * 2
        y.register_hook(lambda g: g * 3)
        y.retain_grad()
        y.register_hook(lambda g: g * 5)
        y.sum().backward()
        return rounded(y.grad), rounded(x.grad)

    assert same(observed)[0] == [15, 15]


def rule_post_accumulate_hooks(torch, log):
    x = leaf(torch)
    x.register_hook(lambda g: log(("tensor", x.grad is None)))
    handle = x.register_post_accumulate_grad_hook(lambda t: log(("post", t is x, rounded(t.grad))))
    (x * 3).sum().backward()
    (x * 3).sum().backward()
    handle.remove()
    (x * 3).sum().backward()


def rule_post_accumulate_hook_that_steps(torch, log):
    x = leaf(torch)

    def step(tensor):
        with torch.no_grad():
            tensor -= 0.1 * tensor.grad
        tensor.grad = None

    x.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        (x * x).sum().backward()
    log(rounded(x), x.grad)


@pytest.mark.parametrize("result", [lambda lib, x: lib.ones(2), lambda lib, x: 3])
def test_what_a_post_accumulate_hook_may_not_return(result):
    def call(lib):
        x = leaf(lib)
        x.register_post_accumulate_grad_hook(lambda t: result(lib, t))
        (x * 3).sum().backward()

    same_error(call)


# --- autograd.grad and hooks ----------------------------------------------------------------------------------------------


def test_grad_runs_the_hooks_of_what_is_asked_for():
    def observed(lib):
        log = []

        def build():
            x = lib.tensor(2.0, requires_grad=True)
            y = x * 3
            y.register_hook(lambda g: log.append("y") or g * 7)
            y.retain_grad()
            x.register_hook(lambda g: log.append("x") or g * 11)
            x.register_post_accumulate_grad_hook(lambda t: log.append("never"))
            return x, y, y * 3

        x, y, z = build()
        only_y = [g.item() for g in lib.autograd.grad(z, [y])]
        log.append((only_y, y.grad.item(), x.grad))
        x, y, z = build()
        both = [g.item() for g in lib.autograd.grad(z, [y, x])]
        log.append((both, y.grad.item(), x.grad))
        x, y, z = build()
        z.backward(inputs=[y, x])
        log.append((y.grad.item(), x.grad.item()))
        return log

    log = same(observed)
    assert log[1] == ([21.0], 21.0, None)
    assert ([3.0, 21.0 * 3 * 11], 21.0, None) in log  # the raw gradient of y, as in torch


def rule_hooks_of_a_node_that_need_not_run(torch, log):
    x = leaf(torch)
    y = x * 2
    z = y.sum()
    y.grad_fn.register_hook(lambda *a: log("y's node"))
    z.grad_fn.register_hook(lambda *a: log("z's node"))
    torch.autograd.grad(z, y, retain_graph=True)
    log("x")
    torch.autograd.grad(z, x)


# --- node hooks -----------------------------------------------------------------------------------------------------------


def rule_node_hooks_see_and_replace(torch, log):
    x, w = leaf(torch), leaf(torch, [3.0, 4.0])
    y = x * w
    node = y.grad_fn
    node.register_prehook(lambda grads: log(("pre", [rounded(g) for g in grads])) or (grads[0] * 2,))
    node.register_prehook(lambda grads: log(("pre 2", [rounded(g) for g in grads])))
    node.register_hook(
        lambda inputs, outputs: (
            log(("post", [rounded(g) for g in inputs], [rounded(g) for g in outputs])) or (inputs[0] + 1, None)
        )
    )
    handle = node.register_hook(lambda inputs, outputs: log("removed"))
    handle.remove()
    y.sum().backward()
    log(rounded(x.grad), rounded(w.grad))


def rule_node_hooks_of_an_accumulator(torch, log):
    x = leaf(torch)
    y = x * 2
    accumulator = y.grad_fn.next_functions[0][0]
    accumulator.register_prehook(lambda grads: log(("pre", len(grads), x.grad is None)))
    accumulator.register_hook(lambda i, o: log(("post", i, [rounded(g) for g in o], rounded(x.grad))))
    x.register_post_accumulate_grad_hook(lambda t: log("accumulated"))
    y.sum().backward()


def node_hook(lib, result, kind="register_hook"):
    x, c = leaf(lib), lib.ones(2, dtype=lib.float64)
    y = x * c
    hook = (lambda i, o: result(lib, i)) if kind == "register_hook" else (lambda o: result(lib, o))
    hook.__name__ = "mine"
    getattr(y.grad_fn, kind)(hook)
    y.sum().backward()


NODE_RETURNED = {
    "post list": lambda lib: node_hook(lib, lambda lib, grads: list(grads)),
    "post too few": lambda lib: node_hook(lib, lambda lib, grads: grads[:1]),
    "post value for None": lambda lib: node_hook(lib, lambda lib, grads: (grads[0], grads[0])),
    "post tensor": lambda lib: node_hook(lib, lambda lib, grads: grads[0]),
    "post wrong shape": lambda lib: node_hook(lib, lambda lib, grads: (lib.ones(5, dtype=lib.float64), None)),
    "pre list": lambda lib: node_hook(lib, lambda lib, grads: list(grads), "register_prehook"),
    "pre too many": lambda lib: node_hook(lib, lambda lib, grads: grads * 2, "register_prehook"),
    "pre number": lambda lib: node_hook(lib, lambda lib, grads: (3,), "register_prehook"),
}


@cases("name", NODE_RETURNED)
def rule_what_a_node_hook_may_not_return(torch, log, name):
    attempt(log, NODE_RETURNED[name], torch)


def test_metadata():
    def observed(lib):
        node = (leaf(lib) * 2).grad_fn
        node.metadata["mine"] = 3
        return node.metadata["mine"], dict((leaf(lib) * 2).grad_fn.metadata)

    assert same(observed) == (3, {})


# --- what happens around a hook ------------------------------------------------------------------------------------------


def rule_backward_inside_a_hook(torch, log):
    x, inner = leaf(torch), leaf(torch)

    def hook(grad):
        with torch.enable_grad():
            (inner * 3).sum().backward()
        log(rounded(inner.grad))

    y = x * 2
    y.register_hook(hook)
    y.sum().backward()
    log(rounded(x.grad), torch.is_grad_enabled())


def rule_grad_mode_in_hooks(torch, log):
    x = leaf(torch)
    y = x * 2
    y.register_hook(lambda g: log((torch.is_grad_enabled(), g.requires_grad)))
    y.sum().backward()


def rule_exception_in_a_hook_leaves_what_was_accumulated(torch, log):
    x, w = leaf(torch), leaf(torch)
    y = x * 2
    z = (y * w).sum()

    def fail(grad):
        raise KeyError("stop")

    y.register_hook(fail)
    try:
        z.backward()
    except KeyError:
        pass
    log(rounded(w.grad), x.grad)


def test_handles_do_not_keep_tensors_alive():
    gc.collect()
    gc.disable()
    try:
        y = leaf(minicnn) * 2
        handle = y.register_hook(lambda g: None)
        node, tensor = weakref.ref(y.grad_fn), weakref.ref(y)
        del y
        assert (node(), tensor()) == (None, None)
        handle.remove()
    finally:
        gc.enable()


def rule_node_hooks_see_the_gradients_that_the_pass_needs(torch, log):
    """With `inputs=` a built-in operation computes no other gradients (a list of tensors: all), a user's Function does."""

    def shapes(name):
        return lambda grad_inputs, _: log(name, [None if g is None else tuple(g.shape) for g in grad_inputs])

    class Add(torch.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, grad):
            log("needs_input_grad", ctx.needs_input_grad)
            return grad, grad

    x, w = (torch.ones(2, 3, requires_grad=True) for _ in "xw")
    image, conv = torch.ones(1, 1, 4, 4, requires_grad=True), torch.nn.Conv2d(1, 1, 3)
    for name, result in {
        "mul": x * w, "add": x + w, "where": torch.where(x > 0, x, w), "maximum": torch.maximum(x, w),
        "cat": torch.cat([x, w]), "stack": torch.stack([x, w]), "a user's": Add.apply(x, w),
    }.items():  # fmt: skip
        result.grad_fn.register_hook(shapes(name))
        torch.autograd.grad(result.sum(), w, retain_graph=True)
        result.sum().backward(inputs=[x])
    result = conv(image)
    result.grad_fn.register_hook(shapes("conv2d"))
    torch.autograd.grad(result.sum(), image)


def rule_what_backward_and_grad_refuse_of_inputs(torch, log):
    constant, weight = torch.ones(2), torch.ones(2, requires_grad=True)
    product = (constant * weight).sum()
    attempt(log, constant.sum().backward, inputs=[constant])
    attempt(log, product.backward, inputs=[constant])
    attempt(log, product.backward, inputs=[])
    attempt(log, torch.autograd.grad, product, [])
    attempt(log, torch.autograd.grad, product, [constant])
    attempt(log, torch.autograd.grad, product, torch.ones(2, requires_grad=True))


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
