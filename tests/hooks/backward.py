"""Full backward hooks and pre-hooks: when they fire, in which order, and what they see."""

from __future__ import annotations

import gc
import weakref

from both import attempt, filled, known, linear, noting

from .catalogue import cases
from .parts import both_hooks, chain, gradients, mixed, two_outputs


@cases({"input requires grad": True, "input does not": False})
def rule_firing_order(torch, log, case):
    """With a gradient at the input: N.pre, b.pre, b.post, a.pre, a.post, N.post. Without: the root and the first layer
    have no input side, so their hooks fire when the gradient of their *output* is known."""
    net = chain(torch)
    for name, module in (("N", net), ("a", net.a), ("b", net.b)):
        module.register_full_backward_pre_hook(noting(log, name + ".pre"))
        module.register_full_backward_hook(noting(log, name + ".post"))
    x = known(torch, 2, 3, requires_grad=case)
    net(x).sum().backward()
    gradients(log, x, net.a.weight)


def rule_global_before_local_and_prepend(torch, log):
    """Global hooks before the module's own; `prepend` (which may be given by position) only among the module's own."""
    layer = linear(torch)
    layer.register_full_backward_hook(noting(log, "post 1"))
    layer.register_full_backward_hook(noting(log, "post 2"), prepend=True)
    layer.register_full_backward_pre_hook(noting(log, "pre 1"))
    layer.register_full_backward_pre_hook(noting(log, "pre 2"), True)
    module = torch.nn.modules.module
    pre = module.register_module_full_backward_pre_hook(noting(log, "global pre"))
    with pre, module.register_module_full_backward_hook(noting(log, "global post")):
        layer(known(torch, 2, 3, requires_grad=True)).sum().backward()


def rule_between_tensor_hooks(torch, log):
    """Output tensor's hook, module pre, hook set inside a forward hook, weight's hook, weight's post-accumulate hook,
    module post, input tensor's hook."""
    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: out.register_hook(noting(log, "inside")) and None)
    layer.weight.register_hook(noting(log, "weight"))
    layer.weight.register_post_accumulate_grad_hook(noting(log, "weight accumulated"))
    layer.bias.register_hook(noting(log, "bias"))
    x.register_hook(noting(log, "input"))
    out = layer(x)
    out.register_hook(noting(log, "output"))
    out.sum().backward()


def rule_non_tensors_give_none_unused_and_constant_tensors_zeros(torch, log):
    """`grad_input` has one entry for each positional argument: None for what is no tensor; *zeros*, of its own shape and
    dtype, for a tensor that is unused or does not require grad, integers included."""
    module = mixed(torch)
    module.register_full_backward_hook(noting(log, "hook"))
    a, unused = known(torch, 2, requires_grad=True), known(torch, 3, requires_grad=True)
    constant, whole = known(torch, 2, start=1), torch.arange(2)
    out = module(a, constant, unused, whole, "text", None)
    log(out)
    out[0].sum().backward()
    gradients(log, a, unused)


def rule_unused_output_is_none(torch, log):
    """An output that did not take part, or that has no gradient (an index), is None in `grad_output`."""
    module = two_outputs(torch)
    both_hooks(module, log)
    x = known(torch, 2, requires_grad=True)
    module(x)[1].sum().backward()
    gradients(log, x)


def rule_two_outputs_fire_once(torch, log):
    """With several outputs the hooks fire once, when all gradients are there; outputs used in two backward passes fire
    twice, with None for the other."""
    module = two_outputs(torch)
    both_hooks(module, log)
    x = known(torch, 2, requires_grad=True)
    first, second, _ = module(x)
    (first * second).sum().backward(retain_graph=True)
    first.sum().backward(retain_graph=True)
    second.sum().backward()
    gradients(log, x)


def rule_kwargs_are_ignored(torch, log):
    """Keyword arguments are no inputs for backward hooks: with all tensors in keywords `grad_input` is empty, and the
    hook fires at the output, with the warning."""
    module = mixed(torch)
    module.register_full_backward_hook(noting(log, "hook"))
    a, b = known(torch, 2, requires_grad=True), known(torch, 2, start=1, requires_grad=True)
    module(a, b=b).sum().backward()
    module(a=a).sum().backward()
    gradients(log, a, b)


def rule_inputs_in_lists_are_not_seen(torch, log):
    """Tensors in a list or dict among the arguments are no inputs: None stands in their place, and the hook fires at
    the output."""

    class Listed(torch.nn.Module):
        def forward(self, xs):
            return xs[0] * 2

    module = Listed()
    module.register_full_backward_hook(noting(log, "hook"))
    module([known(torch, 2, requires_grad=True)]).sum().backward()


def rule_no_argument_at_all(torch, log):
    """A module without arguments: `grad_input` is `()`, and the hook fires at the output."""

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
    """The hooks of a graph are those of the moment of the call: removing a handle after forward does not stop its
    hook, registering then has no effect."""
    layer = linear(torch)
    handle = layer.register_full_backward_hook(noting(log, "removed after forward"))
    out = layer(known(torch, 1, 3, requires_grad=True))
    handle.remove()
    layer.register_full_backward_hook(noting(log, "registered after forward"))
    out.sum().backward()


def rule_registered_in_a_pre_hook_is_too_late(torch, log):
    """A full backward hook that a forward pre-hook registers comes with the next call: the lists are collected
    first."""
    layer = linear(torch)
    hook = noting(log, "late")
    layer.register_forward_pre_hook(lambda m, args: layer.register_full_backward_hook(hook) and None)
    layer(known(torch, 1, 3, requires_grad=True)).sum().backward()
    log("next call")
    layer(known(torch, 1, 3, requires_grad=True)).sum().backward()


def rule_registered_during_the_backward_pass(torch, log):
    """What a backward hook adds or removes changes calls to come, not the lists of this graph."""
    layer = linear(torch)

    def hook(m, grad_input, grad_output):
        log("first")
        second.remove()
        m.register_full_backward_hook(noting(log, "added"))

    layer.register_full_backward_hook(hook)
    second = layer.register_full_backward_hook(noting(log, "second"))
    x = known(torch, 1, 3, requires_grad=True)
    out = layer(x)
    out.sum().backward(retain_graph=True)
    log("same graph")
    out.sum().backward()
    log("next call")
    layer(x).sum().backward()


def rule_parameter_gradients_are_complete_with_an_input_gradient(torch, log):
    """The parameters' `.grad` is complete when the hook fires, since leaves accumulate first; it is not there yet if
    no input requires grad."""
    for requires_grad in (True, False):
        layer = linear(torch)
        layer.register_full_backward_hook(lambda m, gi, go: log(m.weight.grad, m.bias.grad))
        layer(known(torch, 2, 3, requires_grad=requires_grad)).sum().backward()


def rule_a_shared_module_fires_for_each_call(torch, log):
    """A module that is called twice has two pairs of edges: the hooks fire twice in one backward pass, the last call
    first."""
    layer = filled(torch, torch.nn.Linear(2, 2))
    both_hooks(layer, log)
    x = known(torch, 1, 2, requires_grad=True)
    layer(layer(x)).sum().backward()
    gradients(log, x, layer.weight)


def rule_global_hooks_fire_for_losses_and_parents(torch, log):
    """Global full backward hooks fire for every module: the loss first, then parents before their children's end."""
    module = torch.nn.modules.module
    net, x = chain(torch), known(torch, 2, 3, requires_grad=True)
    pre = module.register_module_full_backward_pre_hook(noting(log, "pre"))
    with pre, module.register_module_full_backward_hook(noting(log, "post")):
        loss = torch.nn.MSELoss()(net(x), known(torch, 2, 2))
    log(loss)
    loss.backward()


def rule_grad_mode_is_off_in_hooks(torch, log):
    """In the backward pass gradients are not recorded, in no kind of hook; afterwards the mode is as before."""
    layer = linear(torch)
    layer.register_full_backward_pre_hook(lambda m, go: log("pre", torch.is_grad_enabled(), go[0].requires_grad))
    layer.register_full_backward_hook(lambda m, gi, go: log("post", torch.is_grad_enabled(), gi[0].requires_grad))
    layer(known(torch, 2, 3, requires_grad=True)).sum().backward()
    log(torch.is_grad_enabled())


def rule_a_backward_pass_inside_a_hook(torch, log):
    """A hook may run another forward and backward pass, through the same module even, if it enables gradients."""
    layer, done = linear(torch), []

    def hook(m, grad_input, grad_output):
        log("hook", grad_input)
        if not done:
            done.append(True)
            with torch.enable_grad():
                m(known(torch, 1, 3, start=2, requires_grad=True)).sum().backward()

    layer.register_full_backward_hook(hook)
    x = known(torch, 2, 3, requires_grad=True)
    layer(x).sum().backward()
    gradients(log, x, layer.weight)


def rule_changed_input_is_what_grad_input_refers_to(torch, log):
    """`grad_input` is the gradient of what `forward` received, which a pre-hook may have changed."""
    layer = linear(torch)
    layer.register_full_backward_hook(noting(log, "hook"))
    layer.register_forward_pre_hook(lambda m, args: (args[0] * 10,))
    x = known(torch, 1, 3, requires_grad=True)
    layer(x).sum().backward()
    gradients(log, x)


def rule_changed_output_is_what_grad_output_refers_to(torch, log):
    """`grad_output` is the gradient of what the forward hooks left."""
    layer = linear(torch)
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: out * 10)
    x = known(torch, 1, 3, requires_grad=True)
    layer(x).sum().backward()
    gradients(log, x)


def rule_detached_output_disables(torch, log):
    """A forward hook that returns a detached tensor disables the backward hooks."""
    layer = linear(torch)
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: out.detach())
    log(layer(known(torch, 1, 3, requires_grad=True)).grad_fn)


def rule_a_tensor_given_twice(torch, log):
    """The same tensor at two places has two entries in `grad_input`, each with its part of the gradient."""
    module = mixed(torch)
    both_hooks(module, log)
    x = known(torch, 2, requires_grad=True)
    module(x, x).sum().backward()
    gradients(log, x)


def rule_the_same_tensor_returned_twice(torch, log):
    """The same tensor twice in the output: two views, two entries in `grad_output`."""

    class Twice(torch.nn.Module):
        def forward(self, x):
            y = x * 2
            return y, y

    module = Twice()
    both_hooks(module, log)
    x = known(torch, 2, requires_grad=True)
    a, b = module(x)
    log(a is b)
    (a * 3 + b * 5).sum().backward()
    gradients(log, x)


def rule_an_input_returned_as_it_came(torch, log):
    """A module that returns its argument, alone or beside others, goes through both edges all the same."""

    class Passing(torch.nn.Module):
        def forward(self, x, y):
            return x, y * 2

    module = Passing()
    both_hooks(module, log)
    x, y = known(torch, 2, requires_grad=True), known(torch, 2)
    a, b = module(x, y)
    log(a is x, a.requires_grad, b.requires_grad, b.grad_fn and b.grad_fn.name())
    a.sum().backward()
    gradients(log, x)


def rule_arguments_that_do_not_require_grad_come_out_so(torch, log):
    """All tensor arguments go through the identity; those that did not require grad do not afterwards either."""

    class Looking(torch.nn.Module):
        def forward(self, a, b, n):
            log([t.requires_grad for t in (a, b, n)], a._is_view(), b._is_view(), b.grad_fn, n.dtype)
            return a * b

    module = Looking()
    both_hooks(module, log)
    a, b = known(torch, 2, requires_grad=True), known(torch, 2)
    module(a, b, torch.arange(2)).sum().backward()


def rule_parameters_as_arguments(torch, log):
    """A parameter given as an argument is an input as any other; it arrives as a view, not as a Parameter."""

    class Looking(torch.nn.Module):
        def forward(self, w):
            log(type(w).__name__, w.is_leaf, w.grad_fn.name())
            return w * 2

    module, w = Looking(), torch.nn.Parameter(known(torch, 2))
    both_hooks(module, log)
    module(w).sum().backward()
    gradients(log, w)


def rule_exception_in_a_hook_propagates(torch, log):
    """An exception in a hook leaves the backward pass as it is."""
    layer = linear(torch)
    layer.register_full_backward_hook(lambda *args: 1 / 0)
    attempt(log, layer(known(torch, 2, 3, requires_grad=True)).sum().backward)


def rule_after_an_exception_the_parameters_keep_what_they_have(torch, log):
    """What was accumulated before the exception stays; a second pass through a retained graph works."""
    layer, fail = linear(torch), [True]

    def hook(m, grad_input, grad_output):
        log("hook")
        if fail:
            raise KeyError("stop")

    layer.register_full_backward_hook(hook)
    x = known(torch, 2, 3, requires_grad=True)
    out = layer(x)
    attempt(log, out.sum().backward, retain_graph=True)
    gradients(log, layer.weight, x)
    fail.clear()
    out.sum().backward()
    gradients(log, layer.weight, x)


def rule_the_graph_keeps_the_module_alive(torch, log):
    """The graph of a call with full backward hooks holds the module."""

    layer = linear(torch)
    layer.register_full_backward_hook(lambda *args: None)
    reference, out = weakref.ref(layer), layer(known(torch, 1, 3, requires_grad=True))
    del layer
    gc.collect()
    log(reference() is not None)
    del out
    gc.collect()
    log(reference() is None)


def rule_twice_through_a_retained_graph(torch, log):
    """With `retain_graph=True` the hooks fire at each pass; without it the second pass is an error."""
    layer = linear(torch)
    both_hooks(layer, log)
    x = known(torch, 1, 3, requires_grad=True)
    out = layer(x).exp().sum()
    out.backward(retain_graph=True)
    out.backward()
    attempt(log, out.backward)
    gradients(log, x)


def rule_hooks_on_a_sequential_and_its_ends(torch, log):
    """A container and its first and last layer see the same gradients at the edges that they share."""
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2)))
    for module in net.modules():
        both_hooks(module, log)
    x = known(torch, 1, 3, requires_grad=True)
    net(x).sum().backward()
    gradients(log, x)
