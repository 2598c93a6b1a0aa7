"""What full backward hooks may return: a sequence of the right length; the rest is an error, sooner or later."""

from __future__ import annotations

from both import attempt, known, linear, noting

from .catalogue import cases
from .parts import gradients, two_outputs

# What a hook makes of the gradients that it was given: (library, gradients) -> what it returns.
RETURNS = {
    "None": lambda torch, grads: None,
    "the same": lambda torch, grads: grads,
    "doubled": lambda torch, grads: tuple(g * 2 for g in grads),
    "list": lambda torch, grads: [g + 1 for g in grads],
    "too long": lambda torch, grads: (*grads, None),
    "empty": lambda torch, grads: (),
    "empty list": lambda torch, grads: [],
    "bare tensor, batch 5": lambda torch, grads: torch.ones(5, 3),
    "bare tensor, batch 1": lambda torch, grads: torch.ones(1, 3),
    "0-d tensor": lambda torch, grads: torch.tensor(1.0),
    "int": lambda torch, grads: 5,
    "bool": lambda torch, grads: True,
    "False": lambda torch, grads: False,
    "text of length 1": lambda torch, grads: "x",
    "dict of length 1": lambda torch, grads: {0: grads[0] * 3},
    "dict with another key": lambda torch, grads: {"a": grads[0] * 3},
    "set": lambda torch, grads: {1},
    "generator": lambda torch, grads: (g for g in grads),
    "broadcastable": lambda torch, grads: (torch.ones(1),),
    "other shape": lambda torch, grads: (torch.ones(7, 3),),
    "other dtype": lambda torch, grads: (grads[0].double(),),
    "integers": lambda torch, grads: (torch.ones(2, 3, dtype=torch.int64),),
    "not a tensor": lambda torch, grads: (5,),
    "nested tuple": lambda torch, grads: ((grads[0],),),
    "None inside": lambda torch, grads: (None,),
    "requires grad": lambda torch, grads: (torch.ones(*grads[0].shape, requires_grad=True),),
}


def _layer_with(torch, log, register, hook):
    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)
    getattr(layer, register)(hook)
    layer.register_full_backward_pre_hook(noting(log, "next pre"))
    layer.register_full_backward_hook(noting(log, "next post"))
    attempt(log, layer(x).sum().backward)
    gradients(log, x, layer.weight, layer.bias)


@cases(RETURNS)
def rule_return_of_a_hook(torch, log, case):
    """Only the length is checked when the hook returns: a list passes, and the next hook sees it as it is; a bare tensor
    is measured by its first dimension. Each entry is checked when it enters the graph: shape, dtype, that it is a
    tensor. None as an entry cuts the gradient."""
    _layer_with(torch, log, "register_full_backward_hook", lambda m, gi, go: case(torch, gi))


@cases(RETURNS)
def rule_return_of_a_pre_hook(torch, log, case):
    """The same for pre-hooks, whose return takes the place of `grad_output`: the module's own backward and the hooks see
    it. The documentation speaks of a tensor; a bare tensor is not accepted."""
    _layer_with(torch, log, "register_full_backward_pre_hook", lambda m, go: case(torch, go))


@cases({repr(v): v for v in (None, (None,), (None, None), (), [None], [], 0, False, ("x",), (None, 0), "", {})})
def rule_return_without_an_input_gradient(torch, log, case):
    """If no input requires grad a hook may return None or a tuple of Nones of any length, nothing else."""
    layer = linear(torch)
    layer.register_full_backward_hook(lambda m, gi, go: case)
    layer.register_full_backward_hook(noting(log, "next"))
    attempt(log, layer(known(torch, 2, 3)).sum().backward)


@cases(RETURNS)
def rule_return_of_a_pre_hook_without_an_input_gradient(torch, log, case):
    """A pre-hook may replace `grad_output` all the same, whether an input requires grad or not."""
    layer = linear(torch)
    layer.register_full_backward_pre_hook(lambda m, go: case(torch, go))
    layer.register_full_backward_hook(noting(log, "next"))
    attempt(log, layer(known(torch, 2, 3)).sum().backward)
    gradients(log, layer.weight)


def rule_chaining(torch, log):
    """Each hook sees the `grad_input` that the one before returned, and all the same `grad_output`: the one that the
    pre-hooks left, each of which saw what the one before returned."""
    layer = linear(torch)
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    layer.register_full_backward_pre_hook(noting(log, "pre 2"))
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    layer.register_full_backward_hook(noting(log, "post 2"))
    x = known(torch, 2, 3, requires_grad=True)
    layer(x).sum().backward()
    gradients(log, x, layer.weight)


def rule_changing_a_gradient_in_place(torch, log):
    """Writing into the gradients that a hook is given changes what goes on, without any return."""

    def double(m, *grads):
        for grad in grads[0]:
            grad.mul_(2)

    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)
    layer.register_full_backward_hook(double)
    attempt(log, (layer(x) * 1).exp().sum().backward)
    gradients(log, x)


def rule_changing_an_expanded_gradient_in_place(torch, log):
    """The gradient of a sum is one number shown many times: writing into it fails."""
    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)

    def double(m, grad_output):
        grad_output[0].mul_(2)

    layer.register_full_backward_pre_hook(double)
    attempt(log, layer(x).sum().backward)


def rule_returns_with_several_outputs(torch, log):
    """A pre-hook must return an entry for each output, those without a gradient included. A value may take the place of
    None for an output that can have a gradient."""
    for make in (
        lambda go: (go[0], go[1] * 2, None),
        lambda go: go[:2],
        lambda go: (torch.ones(2), go[1], None),
        lambda go: (None, None, None),
    ):
        module, x = two_outputs(torch), known(torch, 2, requires_grad=True)
        module.register_full_backward_pre_hook(lambda m, go: make(go))  # noqa: B023
        module.register_full_backward_hook(noting(log, "post"))
        attempt(log, module(x)[1].sum().backward)
        gradients(log, x)


def rule_a_value_where_there_is_no_tensor(torch, log):
    """What a hook returns at the place of an argument that is no tensor is dropped; a tensor that does not require grad
    gets nothing."""

    class Module(torch.nn.Module):
        def forward(self, a, text, c):
            return a * c

    module = Module()
    module.register_full_backward_hook(lambda m, gi, go: (gi[0] * 2, torch.ones(7), torch.ones(2)))
    module.register_full_backward_hook(noting(log, "next"))
    a, c = known(torch, 2, requires_grad=True), known(torch, 2)
    attempt(log, module(a, "text", c).sum().backward)
    gradients(log, a, c)


def rule_guided_backpropagation(torch, log):
    """The classic use: a hook on each ReLU that lets only positive gradients through returns a tuple of one."""
    net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh(), torch.nn.ReLU())
    for module in net:
        if isinstance(module, torch.nn.ReLU):
            module.register_full_backward_hook(lambda m, gi, go: (gi[0].clamp(min=0),))
    x = known(torch, 6, start=-0.25, requires_grad=True)
    (net(x) * known(torch, 6, start=0.2, step=-0.1)).sum().backward()
    gradients(log, x)


def rule_each_hooks_error_names_itself(torch, log):
    """The check of an entry names the wrapper of the backward hook, which is called `hook`, not the user's function."""

    def my_own_hook(m, grad_input, grad_output):
        return (torch.ones(7, 7),)

    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)
    layer.register_full_backward_hook(my_own_hook)
    attempt(log, layer(x).sum().backward)
