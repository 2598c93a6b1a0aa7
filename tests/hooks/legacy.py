"""Legacy `register_backward_hook`: a hook on the last graph node of the output, and the warnings that say so."""

from __future__ import annotations

import gc

from both import attempt, filled, known, linear, noting

from .catalogue import cases
from .parts import gradients


def rule_full_and_legacy_do_not_mix(torch, log):
    """A module holds full or legacy hooks, not both; the flag stays after removal. Pre-hooks are free of it."""
    for first, second in (("full_backward", "backward"), ("backward", "full_backward")):
        layer = linear(torch)
        getattr(layer, f"register_{first}_hook")(noting(log, first)).remove()
        log(layer._is_full_backward_hook)
        attempt(log, getattr(layer, f"register_{second}_hook"), print)
        layer.register_full_backward_pre_hook(noting(log, "pre"))


def rule_full_and_legacy_do_not_mix_globally(torch, log):
    """The same holds for the global hooks as a set, with another text."""
    module = torch.nn.modules.module
    before = module._global_is_full_backward_hook
    for first, second in (("full_backward", "backward"), ("backward", "full_backward")):
        module._global_is_full_backward_hook = None
        getattr(module, f"register_module_{first}_hook")(noting(log, first)).remove()
        attempt(log, getattr(module, f"register_module_{second}_hook"), print)
    module._global_is_full_backward_hook = before


def rule_global_full_and_local_legacy(torch, log):
    """Global full hooks and local legacy ones, or the other way round, are allowed: the full ones fire at the edges, the
    legacy ones sit on the node that is last by then."""
    module = torch.nn.modules.module
    before = module._global_is_full_backward_hook
    for theirs, own in (
        ("register_module_full_backward_hook", "register_backward_hook"),
        ("register_module_backward_hook", "register_full_backward_hook"),
    ):
        module._global_is_full_backward_hook = None
        layer = linear(torch)
        getattr(layer, own)(noting(log, own))
        with getattr(module, theirs)(noting(log, theirs)):
            layer(known(torch, 2, 3, requires_grad=True)).sum().backward()
    module._global_is_full_backward_hook = before


def rule_sees_the_last_node(torch, log):
    """`grad_input` is that of the last node: a Linear gives (bias, input, transposed weight), a Sequential only what
    its last operation gives."""
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)))
    net[0].register_backward_hook(noting(log, "linear"))
    net.register_backward_hook(noting(log, "sequential"))
    net(known(torch, 2, 3, requires_grad=True)).sum().backward()


def rule_on_layers(torch, log):
    """What `grad_input` holds for a convolution, an activation, a flatten, a batch norm and an identity."""
    nn = torch.nn
    for layer, shape in (
        (nn.Conv2d(1, 2, 2), (1, 1, 3, 3)),
        (nn.ReLU(), (1, 2)),
        (nn.Flatten(), (1, 2, 2)),
        (nn.MaxPool2d(2), (1, 1, 2, 2)),
        (nn.Identity(), (1, 2)),
    ):
        layer = filled(torch, layer)
        layer.register_backward_hook(noting(log, "hook"))
        attempt(log, layer(known(torch, *shape, requires_grad=True) * 1).sum().backward)


def rule_global_before_local(torch, log):
    """Global legacy hooks before the module's own, in the order of registration."""
    module = torch.nn.modules.module
    before, module._global_is_full_backward_hook = module._global_is_full_backward_hook, None
    layer = torch.nn.Tanh()
    layer.register_backward_hook(noting(log, "local 1"))
    layer.register_backward_hook(noting(log, "local 2"))
    with module.register_module_backward_hook(noting(log, "global")):
        layer(known(torch, 2, requires_grad=True)).sum().backward()
    module._global_is_full_backward_hook = before


OUTPUTS = {
    "dict": lambda x: {"n": 1, "a": x * 2},
    "list": lambda x: [x * 2],
    "two nodes": lambda x: (x * 2, x * 3),
    "one node, two outputs": lambda x: x.split(1),
    "nested": lambda x: ((x * 2,), x),
    "one node": lambda x: x * 2,
    "several nodes": lambda x: x.exp() * 2,
    "no tensor": lambda x: {"a": 1},
    "empty list": lambda x: [],
    "None": lambda x: None,
    "number": lambda x: 5,
    "no grad": lambda x: x.detach(),
    "the input": lambda x: x,
    "list in": lambda x: x[0] * 2,
    "tensor and number": lambda x: (x * 2, 3),
}


@cases(OUTPUTS)
def rule_warnings(torch, log, case):
    """The first tensor in nested containers gives the node. Five FutureWarnings, at the call: the output is no tensor or
    tuple of tensors, nor the input; outputs nested; outputs from different nodes; several nodes in the forward. A
    structure without tensors fails in the way of its type. Without a grad_fn there is neither hook nor warning."""

    class Module(torch.nn.Module):
        def forward(self, x):
            return case(x)

    module = Module()
    module.register_backward_hook(noting(log, "hook"))
    x = known(torch, 2, requires_grad=True) * 1
    attempt(log, module, [x] if case is OUTPUTS["list in"] else x)


def rule_return_value_replaces(torch, log):
    """The return is checked as that of a node hook: a tuple of the right length replaces `grad_input`."""
    for value in (lambda gi: tuple(g * 2 for g in gi), list, lambda gi: gi[:1]):
        relu = torch.nn.Tanh()
        relu.register_backward_hook(lambda m, gi, go: value(gi))  # noqa: B023
        x = known(torch, 3, requires_grad=True)
        attempt(log, relu(x).sum().backward)
        gradients(log, x)


def rule_holds_the_module_weakly(torch, log):
    """The hook holds its module weakly: if that is gone the backward pass fails."""
    module = torch.nn.Tanh()
    module.register_backward_hook(noting(log, "hook"))
    out = module(known(torch, 2, requires_grad=True))
    del module
    gc.collect()
    attempt(log, out.sum().backward)


def rule_compatible_with_in_place_layers(torch, log):
    """A legacy hook makes no views: in-place layers work."""
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(inplace=True)))
    for module in net.modules():
        module.register_backward_hook(noting(log, "hook"))
    x = known(torch, 1, 3, requires_grad=True)
    net(x).sum().backward()
    gradients(log, x)


def rule_the_input_counts_positional_tensors_only(torch, log):
    """Keyword arguments are not looked at: a call with keywords only counts as one without inputs."""
    layer = torch.nn.Tanh()
    layer.register_backward_hook(noting(log, "hook"))
    layer(input=known(torch, 2, requires_grad=True)).sum().backward()


def rule_attached_at_the_call(torch, log):
    """The hook is put on the node when the module is called: removing the handle later does not stop it, and a hook on a
    node fires at each pass."""
    layer = torch.nn.Tanh()
    handle = layer.register_backward_hook(noting(log, "hook"))
    out = layer(known(torch, 2, requires_grad=True))
    handle.remove()
    out.sum().backward(retain_graph=True)
    out.sum().backward()


def rule_nothing_under_no_grad(torch, log):
    """Without a grad_fn there is nothing to put the hook on."""
    layer = linear(torch)
    layer.register_backward_hook(noting(log, "hook"))
    with torch.no_grad():
        log(layer(known(torch, 1, 3)))


def rule_with_forward_hooks(torch, log):
    """The node is that of the output as the forward hooks left it."""
    layer = torch.nn.Tanh()
    layer.register_backward_hook(noting(log, "hook"))
    layer.register_forward_hook(lambda m, args, out: out * 3)
    layer(known(torch, 2, requires_grad=True)).sum().backward()
