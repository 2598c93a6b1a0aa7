"""Full backward hooks and pre-hooks. Each rule runs in both libraries."""

from __future__ import annotations

from collections import namedtuple

import pytest
from both import assert_same, cases, filled, known, scenarios
from test_hooks_forward import attempt, linear, noting


def gradients(log, *named):
    """Log the `.grad` of each tensor."""
    for tensor in named:
        log("grad", tensor.grad)


def chain(torch):
    """Two linear layers, called a and b, in a network N."""

    class N(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(3, 4)
            self.b = torch.nn.Linear(4, 2)

        def forward(self, x):
            return self.b(self.a(x))

    return filled(torch, N())


# Order and contents ---------------------------------------------------------------------------------------------------


@cases("requires_grad", [True, False])
def rule_firing_order(torch, log, requires_grad):
    net = chain(torch)
    for name, module in (("N", net), ("a", net.a), ("b", net.b)):
        module.register_full_backward_pre_hook(noting(log, name + ".pre"))
        module.register_full_backward_hook(noting(log, name + ".post"))
    x = known(torch, 2, 3, requires_grad=requires_grad)
    net(x).sum().backward()
    gradients(log, x, net.a.weight)


def rule_global_before_local_and_prepend(torch, log):
    layer = linear(torch)
    layer.register_full_backward_hook(noting(log, "post 1"))
    layer.register_full_backward_hook(noting(log, "post 2"), prepend=True)
    layer.register_full_backward_pre_hook(noting(log, "pre 1"))
    layer.register_full_backward_pre_hook(noting(log, "pre 2"), True)
    module = torch.nn.modules.module
    pre = module.register_module_full_backward_pre_hook(noting(log, "global pre"))
    with pre, module.register_module_full_backward_hook(noting(log, "global post")):
        layer(known(torch, 2, 3, requires_grad=True)).sum().backward()


class Mixed:
    """Makes a module that multiplies its first two arguments and passes the rest on."""

    def __new__(cls, torch):
        class Mixed(torch.nn.Module):
            def forward(self, a, b=None, *rest, **kwargs):
                out = a * 2 if b is None or not hasattr(b, "shape") else a * b
                return (out, *rest) if rest else out

        return Mixed()


def rule_non_tensors_give_none_unused_and_constant_tensors_zeros(torch, log):
    module = Mixed(torch)
    module.register_full_backward_hook(noting(log, "hook"))
    a, unused = known(torch, 2, requires_grad=True), known(torch, 3, requires_grad=True)
    constant, whole = known(torch, 2, start=1), torch.arange(2)
    out = module(a, constant, unused, whole, "text", None)
    log(out)
    out[0].sum().backward()
    gradients(log, a, unused)


def rule_unused_output_is_none(torch, log):
    class Two(torch.nn.Module):
        def forward(self, x):
            return x * 2, x * 3, x.argmax()

    module = Two()
    module.register_full_backward_hook(noting(log, "hook"))
    x = known(torch, 2, requires_grad=True)
    module(x)[1].sum().backward()
    gradients(log, x)


def rule_kwargs_are_ignored(torch, log):
    module = Mixed(torch)
    module.register_full_backward_hook(noting(log, "hook"))
    a, b = known(torch, 2, requires_grad=True), known(torch, 2, start=1, requires_grad=True)
    module(a, b=b).sum().backward()
    module(a=a).sum().backward()
    gradients(log, a, b)


def rule_inputs_in_lists_are_not_seen(torch, log):
    class Listed(torch.nn.Module):
        def forward(self, xs):
            return xs[0] * 2

    module = Listed()
    module.register_full_backward_hook(noting(log, "hook"))
    module([known(torch, 2, requires_grad=True)]).sum().backward()


def rule_no_argument_at_all(torch, log):
    class Source(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(known(torch, 2))

        def forward(self):
            return self.w * 2

    module = Source()
    module.register_full_backward_hook(noting(log, "hook"))
    module().sum().backward()


def rule_lists_are_frozen_at_the_call(torch, log):
    layer = linear(torch)
    handle = layer.register_full_backward_hook(noting(log, "removed after forward"))
    out = layer(known(torch, 1, 3, requires_grad=True))
    handle.remove()
    layer.register_full_backward_hook(noting(log, "registered after forward"))
    out.sum().backward()


def rule_registered_in_a_pre_hook_is_too_late(torch, log):
    layer = linear(torch)
    hook = noting(log, "late")
    layer.register_forward_pre_hook(lambda m, args: layer.register_full_backward_hook(hook) and None)
    layer(known(torch, 1, 3, requires_grad=True)).sum().backward()
    log("next call")
    layer(known(torch, 1, 3, requires_grad=True)).sum().backward()


def rule_parameter_gradients_are_complete_with_an_input_gradient(torch, log):
    for requires_grad in (True, False):
        layer = linear(torch)
        layer.register_full_backward_hook(lambda m, gi, go: log(m.weight.grad, m.bias.grad))
        layer(known(torch, 2, 3, requires_grad=requires_grad)).sum().backward()


# Return values --------------------------------------------------------------------------------------------------------

RETURNS = {
    "none": lambda torch, grads: None,
    "doubled": lambda torch, grads: tuple(g * 2 for g in grads),
    "list": lambda torch, grads: [g + 1 for g in grads],
    "too long": lambda torch, grads: (*grads, None),
    "empty": lambda torch, grads: (),
    "bare tensor, batch 5": lambda torch, grads: torch.ones(5, 3),
    "bare tensor, batch 1": lambda torch, grads: torch.ones(1, 3),
    "0-d tensor": lambda torch, grads: torch.tensor(1.0),
    "int": lambda torch, grads: 5,
    "bool": lambda torch, grads: True,
    "broadcastable": lambda torch, grads: (torch.ones(1),),
    "other dtype": lambda torch, grads: (grads[0].double(),),
    "not a tensor": lambda torch, grads: (5,),
    "None inside": lambda torch, grads: (None,),
}


@cases("kind", ["post", "pre"])
@cases("name", RETURNS)
def rule_return_value(torch, log, name, kind):
    layer = linear(torch)
    if kind == "post":
        layer.register_full_backward_hook(lambda m, gi, go: RETURNS[name](torch, gi))
    else:
        layer.register_full_backward_pre_hook(lambda m, go: RETURNS[name](torch, go))
    layer.register_full_backward_hook(noting(log, "next"))
    x = known(torch, 2, 3, requires_grad=True)
    attempt(log, layer(x).sum().backward)
    gradients(log, x, layer.weight, layer.bias)


@cases("value", [None, (None,), (None, None), (), [None], 0, ("x",)], ids=repr)
def rule_return_value_without_input_gradient(torch, log, value):
    layer = linear(torch)
    layer.register_full_backward_hook(lambda m, gi, go: value)
    attempt(log, layer(known(torch, 2, 3)).sum().backward)


def rule_chaining(torch, log):
    layer = linear(torch)
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    layer.register_full_backward_pre_hook(noting(log, "pre 2"))
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    layer.register_full_backward_hook(noting(log, "post 2"))
    x = known(torch, 2, 3, requires_grad=True)
    layer(x).sum().backward()
    gradients(log, x, layer.weight)


def rule_only_a_pre_hook_warns_too(torch, log):
    layer = linear(torch)
    layer.register_full_backward_pre_hook(noting(log, "pre"))
    layer(known(torch, 2, 3)).sum().backward()


def rule_exception_in_a_hook_propagates(torch, log):
    layer = linear(torch)
    layer.register_full_backward_hook(lambda *args: 1 / 0)
    attempt(log, layer(known(torch, 2, 3, requires_grad=True)).sum().backward)


# When nothing fires ---------------------------------------------------------------------------------------------------


def both_hooks(module, log):
    module.register_full_backward_pre_hook(noting(log, "pre"))
    module.register_full_backward_hook(noting(log, "post"))


def rule_silent_without_gradients(torch, log):
    layer = linear(torch).requires_grad_(False)
    both_hooks(layer, log)
    log(layer(known(torch, 1, 3)).grad_fn)
    with torch.no_grad():
        log(layer(known(torch, 1, 3, requires_grad=True)).grad_fn)


def rule_gradient_of_the_weight_alone(torch, log):
    layer = linear(torch)
    both_hooks(layer, log)
    x = known(torch, 1, 3, requires_grad=True)
    log(torch.autograd.grad(layer(x).sum(), layer.weight))
    layer(x).sum().backward(inputs=[layer.weight])


def rule_output_independent_of_the_input(torch, log):
    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(known(torch, 2))

        def forward(self, x):
            return self.w * 2

    module = Constant()
    both_hooks(module, log)
    module(known(torch, 2, requires_grad=True)).sum().backward()


def rule_gradient_that_bypasses_the_output(torch, log):
    layer, captured = linear(torch), []
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: captured.append(out))
    x = known(torch, 1, 3, requires_grad=True)
    out = layer(x)
    log(captured[0] is out)
    log(torch.autograd.grad(captured[0].sum(), x))


@cases("name", ["list", "dict", "none", "number", "nested tuple", "namedtuple", "list in tuple"])
def rule_output_types(torch, log, name):
    Pair = namedtuple("Pair", "left right")
    make = {
        "list": lambda x: [x],
        "dict": lambda x: {"a": x},
        "none": lambda x: None,
        "number": lambda x: 5,
        "nested tuple": lambda x: ((x,), x * 3),
        "namedtuple": lambda x: Pair(x, 7),
        "list in tuple": lambda x: ([x], 1),
    }[name]

    class Module(torch.nn.Module):
        def forward(self, x):
            return make(x * 2)

    module = Module()
    both_hooks(module, log)
    out = module(known(torch, 2, requires_grad=True))
    log(out)
    tensors = [out.left] if name == "namedtuple" else [out[1]] if name == "nested tuple" else []
    for tensor in tensors:
        tensor.sum().backward()


def rule_tuple_subclass_with_one_argument(torch, log):
    class Own(tuple):
        pass

    class Module(torch.nn.Module):
        def forward(self, x):
            return Own((x * 2, 1))

    module = Module()
    both_hooks(module, log)
    attempt(log, module, known(torch, 2, requires_grad=True))


# The views that the hooks make ----------------------------------------------------------------------------------------


def rule_output_and_input_are_views(torch, log):
    seen = []

    class Identity(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    module = Identity()
    x = known(torch, 2, requires_grad=True)
    log(module(x) is x)
    both_hooks(module, log)
    out = module(x)
    log(out is x, seen[-1] is x, out.grad_fn.name(), out._is_view(), seen[-1].grad_fn.name(), seen[-1]._is_view())
    log(module(known(torch, 2)).grad_fn)


def rule_forward_hook_sees_wrapped_args_and_unwrapped_output(torch, log):
    layer = linear(torch)
    both_hooks(layer, log)
    layer.register_forward_pre_hook(lambda m, args: log("pre", args[0].grad_fn))
    layer.register_forward_hook(lambda m, args, out: log(args[0].grad_fn.name(), out.grad_fn.name()))
    log(layer(known(torch, 1, 3, requires_grad=True)).grad_fn.name())


def rule_changed_input_is_what_grad_input_refers_to(torch, log):
    layer = linear(torch)
    layer.register_full_backward_hook(noting(log, "hook"))
    layer.register_forward_pre_hook(lambda m, args: (args[0] * 10,))
    x = known(torch, 1, 3, requires_grad=True)
    layer(x).sum().backward()
    gradients(log, x)


def rule_detached_output_disables(torch, log):
    layer = linear(torch)
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: out.detach())
    log(layer(known(torch, 1, 3, requires_grad=True)).grad_fn)


def rule_in_place_on_a_hooked_relu(torch, log):
    relu = torch.nn.ReLU(inplace=True)
    both_hooks(relu, log)
    x = known(torch, 3, requires_grad=True)
    attempt(log, relu, x * 2)
    attempt(log, relu, known(torch, 3))
    with torch.no_grad():
        attempt(log, relu, x * 2)


def rule_in_place_after_a_hooked_layer(torch, log):
    layer = linear(torch)
    both_hooks(layer, log)
    out = layer(known(torch, 1, 3, requires_grad=True))
    attempt(log, torch.nn.ReLU(inplace=True), out)
    attempt(log, out.add_, 1)


def rule_in_place_on_one_of_several_outputs(torch, log):
    class Two(torch.nn.Module):
        def forward(self, x):
            return x * 2, x * 3

    module = Two()
    both_hooks(module, log)
    _, second = module(known(torch, 2, requires_grad=True))
    attempt(log, second.mul_, 2)


def rule_in_place_inside_a_hooked_block_is_fine(torch, log):
    block = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(inplace=True)))
    both_hooks(block, log)
    x = known(torch, 1, 3, requires_grad=True)
    block(x).sum().backward()
    gradients(log, x)
    first = torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(3, 2))
    both_hooks(first, log)
    attempt(log, first, x * 1)


def rule_stored_input_after_its_base_changed(torch, log):
    stored = []
    layer = linear(torch)
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: stored.append(args[0]))
    base = known(torch, 1, 3, requires_grad=True) * 1
    layer(base)
    base.add_(1)
    attempt(log, lambda: stored[0] * 2)


def rule_the_graph_keeps_the_module_alive(torch, log):
    import gc
    import weakref

    layer = linear(torch)
    layer.register_full_backward_hook(lambda *args: None)
    reference, out = weakref.ref(layer), layer(known(torch, 1, 3, requires_grad=True))
    del layer
    gc.collect()
    log(reference() is not None)
    del out
    gc.collect()
    log(reference() is None)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
