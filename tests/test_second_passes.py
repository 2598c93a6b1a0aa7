"""Hooks and the graph in a pass that is recorded (`create_graph=True`), and in the pass through that graph: as in PyTorch."""

from __future__ import annotations

import gc
import inspect
import subprocess
import sys
import warnings
import weakref

import pytest
from both import assert_same, known, linear, scenarios

import minicnn


def net(torch):
    """Two layers with a curve between them."""
    return torch.nn.Sequential(linear(torch), torch.nn.Tanh(), linear(torch, 2, 4))


def seen(log, label):
    """A hook that logs its gradients, whether each can be differentiated, and the grad mode."""

    def hook(*args):
        grads = [arg for arg in args if not hasattr(arg, "parameters")]
        log(label, *grads, [facts(grad) for grad in grads])

    return hook


def facts(value):
    if isinstance(value, (tuple, list)):
        return [facts(entry) for entry in value]
    return value if value is None else (value.requires_grad, value.is_leaf)


def penalty(torch, x, y, **flags):
    """The squared slopes of a sum, through a pass that is recorded."""
    (slope,) = torch.autograd.grad(y.sum(), [x], create_graph=True, **flags)
    return (slope * slope).sum()


def rule_grad_mode_is_on_in_hooks_of_a_recorded_pass(torch, log):
    for create_graph in (False, True):
        x = known(torch, 3, requires_grad=True)
        y = x.exp()
        y.register_hook(lambda grad: log("tensor hook", torch.is_grad_enabled()))
        y.grad_fn.register_hook(lambda *grads: log("node hook", torch.is_grad_enabled()))
        y.grad_fn.register_prehook(lambda grads: log("node pre-hook", torch.is_grad_enabled()))
        torch.autograd.grad(y.sum(), [x], create_graph=create_graph)
        log("after", torch.is_grad_enabled())


def rule_what_hooks_see_has_a_graph(torch, log):
    layers, x = net(torch), known(torch, 2, 3, requires_grad=True)
    for k, layer in enumerate(layers):
        layer.register_full_backward_pre_hook(lambda m, g, k=k: log(f"pre {k}", g, facts(g)))
        layer.register_full_backward_hook(lambda m, i, o, k=k: log(f"post {k}", i, o, facts(i), facts(o)))
    x.register_hook(seen(log, "input"))
    layers[0].weight.register_hook(seen(log, "weight"))
    penalty(torch, x, layers(x))


def rule_the_second_pass_fires_tensor_and_node_hooks_again_and_module_hooks_once_more(torch, log):
    layers, x = net(torch), known(torch, 2, 3, requires_grad=True)
    layers[0].register_full_backward_hook(seen(log, "module"))
    y = layers(x)
    y.register_hook(seen(log, "output"))
    layers[2].weight.register_hook(seen(log, "weight"))
    layers[2].weight.register_post_accumulate_grad_hook(lambda p: log("accumulated", p.grad))
    number = penalty(torch, x, y)
    log("second pass")
    number.backward()
    log(*(p.grad for p in layers.parameters()), x.grad)


def rule_a_hook_may_change_a_gradient_that_is_differentiated(torch, log):
    """What the hook computes is a part of the second graph."""
    x = known(torch, 3, requires_grad=True)
    y = x.exp()
    y.register_hook(lambda grad: grad * x)
    (first,) = torch.autograd.grad(y.sum(), [x], create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), [x])
    log(first, second)


def rule_a_module_hook_may_change_grad_input_in_the_graph(torch, log):
    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)
    layer.register_full_backward_hook(lambda m, grad_input, grad_output: (grad_input[0] ** 2,))
    penalty(torch, x, layer(x).tanh()).backward()
    log(x.grad, layer.weight.grad, layer.bias.grad)


def rule_hooks_on_a_gradient_run_in_the_second_pass(torch, log):
    x = known(torch, 3, requires_grad=True)
    (first,) = torch.autograd.grad((x**3).sum(), [x], create_graph=True)
    first.register_hook(seen(log, "of the gradient"))
    first.retain_grad()
    node = first.grad_fn
    node.register_prehook(lambda grads: log("node pre", grads))
    node.register_hook(lambda to, of: log("node post", of))
    first.pow(2).sum().backward()
    log(x.grad, first.grad)


def rule_retain_grad_in_a_recorded_pass_keeps_the_graph(torch, log):
    x = known(torch, 3, requires_grad=True)
    y = x.exp()
    y.retain_grad()
    torch.autograd.grad((y**2).sum(), [x], create_graph=True)
    log(y.grad, facts(y.grad))
    (second,) = torch.autograd.grad(y.grad.sum(), [x])
    log(second)


def rule_retain_graph_is_what_create_graph_is(torch, log):
    for flags in ({}, {"create_graph": True}, {"create_graph": True, "retain_graph": False}, {"retain_graph": True}):
        x = known(torch, 3, requires_grad=True)
        y = x.exp().sum()
        torch.autograd.grad(y, [x], **flags)
        try:
            log(flags, torch.autograd.grad(y, [x]))
        except RuntimeError as error:
            log(flags, str(error))


def rule_freed_by_the_second_pass(torch, log):
    """The first graph is a part of the second one, which frees what it walks."""
    x = known(torch, 3, requires_grad=True)
    y = x.exp()
    number = penalty(torch, x, y)
    number.backward()
    log(x.grad)
    for again in (number, y.sum()):
        try:
            again.backward()
            log("walked again")
        except RuntimeError as error:
            log(str(error))


def rule_written_between_the_passes(torch, log):
    """What the second graph keeps is watched as what the first one keeps."""
    x = known(torch, 3, requires_grad=True)
    a = x * 1
    y = a.sin()
    number = penalty(torch, x, y)
    with torch.no_grad():
        a.mul_(2)
    number.backward()


def rule_saved_tensors_hooks_pack_what_the_second_graph_keeps(torch, log):
    x = known(torch, 3, requires_grad=True)
    y = x.tanh() * x
    counted = []

    def pack(tensor):
        counted.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
        (first,) = torch.autograd.grad(y.sum(), [x], create_graph=True)
    log("packed something", len(counted) > 0, set(counted) == {(3,)})
    log(torch.autograd.grad(first.sum(), [x]))


def rule_saved_tensors_of_the_first_graph_are_unpacked_with_their_graph(torch, log):
    x = known(torch, 3, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = x.exp() * x
    (first,) = torch.autograd.grad(y.sum(), [x], create_graph=True)
    log(first, torch.autograd.grad(first.sum(), [x]))


def rule_gradients_that_meet_are_added_in_the_graph(torch, log):
    x = known(torch, 3, requires_grad=True)
    (first,) = torch.autograd.grad((x.exp() + x**3 + x).sum(), [x], create_graph=True)
    log(first.grad_fn.name(), first)
    log(torch.autograd.grad(first.sum(), [x]))


def rule_grad_outputs_have_derivatives(torch, log):
    x, v = known(torch, 3, requires_grad=True), known(torch, 3, requires_grad=True)
    (first,) = torch.autograd.grad(x**2, [x], v, create_graph=True)
    log(first, torch.autograd.grad(first.sum(), [x, v]))


def rule_user_functions_made_of_operations_differentiate_twice(torch, log):
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            log("backward", torch.is_grad_enabled(), facts(grad), facts(x))
            return grad * 3 * x**2

    x = known(torch, 3, requires_grad=True)
    y = Cube.apply(x * 1)
    for _ in range(3):
        (y,) = torch.autograd.grad(y.sum(), [x], create_graph=True)
        log(y)


def rule_once_differentiable(torch, log):
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x**2

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, grad):
            log("backward", torch.is_grad_enabled())
            return grad * 2

    x = known(torch, 3, requires_grad=True)
    v = known(torch, 3, requires_grad=True)
    (first,) = torch.autograd.grad(Once.apply(x), [x], v, create_graph=True)
    log(first, facts(first), first.grad_fn.name())
    first.sum().backward()


def rule_a_leaf_s_gradient_has_a_graph_and_is_not_added_to_in_place(torch, log):
    x = known(torch, 3, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cycle, said once in a process
        (x**3).sum().backward(create_graph=True)
        before = x.grad
        log(before, facts(before))
        (x**2).sum().backward(create_graph=True)
    log(before, x.grad, x.grad is before)
    log(torch.autograd.grad(x.grad.sum(), [x]))
    x.grad = None


def rule_post_accumulate_hooks_of_a_recorded_pass(torch, log):
    x = known(torch, 3, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda p: log("accumulated", p.grad, facts(p.grad), torch.is_grad_enabled()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x.exp().sum().backward(create_graph=True)
    x.grad = None


def rule_in_place_and_views_in_both_graphs(torch, log):
    x = known(torch, 2, 3, requires_grad=True)
    a = x * 2
    row = a[0]
    row.exp_()
    a[:, 1].mul_(x[:, 0])
    (first,) = torch.autograd.grad((a**2).sum(), [x], create_graph=True)
    log(first)
    (second,) = torch.autograd.grad((first**2).sum(), [x], create_graph=True)
    log(second, torch.autograd.grad(second.sum(), [x]))


def rule_multi_grad_hooks_in_both_passes(torch, log):
    x, w = known(torch, 3, requires_grad=True), known(torch, 3, requires_grad=True)
    torch.autograd.graph.register_multi_grad_hook((x, w), lambda grads: log("all", grads))
    torch.autograd.graph.register_multi_grad_hook((x, w), lambda grad: log("any", grad), mode="any")
    y = (x.exp() * w).sum()
    first = torch.autograd.grad(y, [x, w], create_graph=True)
    log("second")
    (first[0] * first[1]).sum().backward()


def rule_a_pass_inside_of_a_hook_may_be_recorded(torch, log):
    x = known(torch, 3, requires_grad=True)
    y = x.exp()

    def hook(grad):
        inner = known(torch, 3, requires_grad=True)
        (slope,) = torch.autograd.grad((inner**3).sum(), [inner], create_graph=True)
        log("inside", torch.autograd.grad(slope.sum(), [inner]))

    y.register_hook(hook)
    y.sum().backward()
    log(x.grad)


def rule_a_gradient_penalty_of_a_network_of_images(torch, log):
    F = torch.nn.functional
    image, weight = known(torch, 1, 2, 6, 6, requires_grad=True), known(torch, 3, 2, 3, 3, requires_grad=True)
    maps = F.max_pool2d(F.softplus(F.conv2d(image, weight, padding=1)), 2)
    number = penalty(torch, image, maps.mean((2, 3)).log_softmax(1)[0, 1])
    number.backward()
    log(image.grad, weight.grad)


def rule_what_a_pass_does_not_need_is_unpacked_all_the_same(torch, log):
    """A bias asks for nothing that was saved, and yet an unpack hook that raises is an error."""
    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)

    def unpack(packed):
        raise KeyError("unpack")

    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
        y = layer(x).sum()
    y.backward(inputs=[layer.bias])


def rule_a_pack_hook_of_a_view_made_without_grad(torch, log):
    """It requires grad, and has no place in the graph."""
    x = known(torch, 3, requires_grad=True)
    with torch.no_grad():
        view = x[:]
    log(facts(view))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        y = (view * x).sum()
    y.backward()
    log(x.grad)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda rule: rule.__name__.removeprefix("rule_"))
def test_rule(scenario):
    assert_same(scenario)


def test_a_second_graph_dies_with_its_gradient():
    """No cycle: what `autograd.grad` returns is the only thing that holds it."""
    x = known(minicnn, 3, requires_grad=True)
    (first,) = minicnn.autograd.grad((x.exp() * x).sum(), [x], create_graph=True)
    node = weakref.ref(first.grad_fn)
    gc.disable()
    try:
        del first
        assert node() is None
    finally:
        gc.enable()


def test_a_leaf_that_holds_its_second_graph_is_freed_by_the_collector():
    """In PyTorch it never is: there the warning is all that one gets."""
    x = known(minicnn, 3, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x.exp().sum().backward(create_graph=True)
    leaf, node = weakref.ref(x), weakref.ref(x.grad.grad_fn)
    del x
    gc.collect()
    assert leaf() is None
    assert node() is None


CYCLE = """
import warnings
{imports}
x = torch.ones(2, requires_grad=True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for always in (False, True):
        torch.set_warn_always(always)
        for _ in range(2):
            (x * x).sum().backward(create_graph=True)
            float(x[0])
        print(torch.is_warn_always_enabled(), len(caught))
print([str(warning.message).split(" (Triggered")[0] for warning in caught])
"""


@pytest.mark.slow
def test_what_is_warned_of_once_in_a_process():
    """Of the cycle, and of a number out of the graph; each time after `set_warn_always(True)`."""
    outputs = []
    for imports in ("import minicnn as torch", "import torch"):
        code = inspect.cleandoc(CYCLE).format(imports=imports)
        outputs.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith(
        "False 2\nTrue 6\n['Using backward() with create_graph=True will create a reference cycle"
    )
