"""Full backward hooks that do not fire, or fire at the output: no gradient, other inputs, odd outputs."""

from __future__ import annotations

from collections import namedtuple

from both import attempt, known, linear, noting

from .catalogue import cases
from .parts import both_hooks, gradients, mixed


def rule_the_warning_without_an_input_gradient(torch, log):
    """If no input requires grad the hooks fire at the output, with a UserWarning each time; `grad_input` is all None."""
    layer = linear(torch)
    both_hooks(layer, log)
    out = layer(known(torch, 2, 3))
    out.sum().backward(retain_graph=True)
    out.sum().backward()


def rule_only_a_pre_hook_warns_too(torch, log):
    """A defect of 2.13.0 that is kept: the warning comes even if only pre-hooks are set, who are not concerned."""
    layer = linear(torch)
    layer.register_full_backward_pre_hook(noting(log, "pre"))
    layer(known(torch, 2, 3)).sum().backward()


def rule_integer_inputs(torch, log):
    """An index as the only input never requires grad: an embedding-like layer fires at its output."""

    class Rows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = torch.nn.Parameter(known(torch, 4, 2))

        def forward(self, index):
            return self.w[index]

    module = Rows()
    both_hooks(module, log)
    module(torch.arange(2)).sum().backward()


def rule_silent_without_gradients(torch, log):
    """If no output requires grad, or grad mode is off, nothing is wrapped and nothing fires."""
    layer = linear(torch).requires_grad_(False)
    both_hooks(layer, log)
    log(layer(known(torch, 1, 3)).grad_fn)
    with torch.no_grad():
        log(layer(known(torch, 1, 3, requires_grad=True)).grad_fn)


def rule_gradient_of_the_weight_alone(torch, log):
    """`autograd.grad(..., weight)` and `backward(inputs=[weight])` do not reach the input side: the pre-hook fires,
    the hook does not."""
    layer = linear(torch)
    both_hooks(layer, log)
    x = known(torch, 1, 3, requires_grad=True)
    log(torch.autograd.grad(layer(x).sum(), layer.weight))
    layer(x).sum().backward(inputs=[layer.weight])


def rule_gradient_of_the_input_alone(torch, log):
    """`autograd.grad(..., x)` passes both edges: both hooks fire; the parameters stay without a gradient."""
    layer = linear(torch)
    both_hooks(layer, log)
    x = known(torch, 1, 3, requires_grad=True)
    log(torch.autograd.grad(layer(x).sum(), x))
    layer(x).sum().backward(inputs=[x])
    gradients(log, x, layer.weight)


def rule_gradient_of_the_output_alone(torch, log):
    """`autograd.grad(..., out)` stops before the output side: nothing fires."""
    layer = linear(torch)
    both_hooks(layer, log)
    out = layer(known(torch, 1, 3, requires_grad=True))
    log(torch.autograd.grad((out * 2).sum(), out))


def rule_output_independent_of_the_input(torch, log):
    """If the output does not depend on the input the pre-hook fires and the hook does not."""

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
    """A gradient that reaches the input without passing the output side, here from a tensor that a forward hook
    captured, fires nothing."""
    layer, captured = linear(torch), []
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: captured.append(out))
    x = known(torch, 1, 3, requires_grad=True)
    out = layer(x)
    log(captured[0] is out)
    log(torch.autograd.grad(captured[0].sum(), x))


def rule_a_gradient_that_enters_in_the_middle_and_one_through_the_output(torch, log):
    """If both ways carry a gradient the hook fires, once, with the sum at the input and only the output's own part in
    `grad_output`."""
    layer, captured = linear(torch), []
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: captured.append(out))
    x = known(torch, 1, 3, requires_grad=True)
    out = layer(x)
    (out.sum() + captured[0].sum() * 10).backward()
    gradients(log, x)


Pair = namedtuple("Pair", "left right")
OUTPUTS = {
    "list": lambda x: [x],
    "dict": lambda x: {"a": x},
    "None": lambda x: None,
    "number": lambda x: 5,
    "text": lambda x: "abc",
    "nested tuple": lambda x: ((x,), x * 3),
    "namedtuple": lambda x: Pair(x, 7),
    "list in tuple": lambda x: ([x], 1),
    "empty tuple": lambda x: (),
    "tuple without tensors": lambda x: (1, "a"),
    "tensor and None": lambda x: (x, None),
    "integers": lambda x: x.argmax(),
    "detached": lambda x: x.detach(),
}


@cases(OUTPUTS)
def rule_output_types(torch, log, case):
    """The output must be a tensor or a tuple: for anything else there is a UserWarning and the hooks are dead. In a tuple
    only top-level tensors take part, without any warning for the others; a namedtuple is made anew."""

    class Module(torch.nn.Module):
        def forward(self, x):
            return case(x * 2)

    module = Module()
    both_hooks(module, log)
    out = module(known(torch, 2, requires_grad=True))
    log(out, type(out).__name__.split(".")[-1])
    entries = out if isinstance(out, tuple) else (out,)
    for tensor in entries:
        if getattr(tensor, "requires_grad", False):
            tensor.sum().backward()


def rule_tuple_subclass_with_one_argument(torch, log):
    """A tuple subclass is made anew with its entries as separate arguments: one with the plain constructor raises
    TypeError."""

    class Own(tuple):
        pass

    class Module(torch.nn.Module):
        def forward(self, x):
            return Own((x * 2, 1))

    module = Module()
    both_hooks(module, log)
    attempt(log, module, known(torch, 2, requires_grad=True))


def rule_a_dataclass_as_output(torch, log):
    """An output object of the user's own, however tensor-like its fields, leaves the hooks dead, with the warning."""

    class Result:
        def __init__(self, value):
            self.value = value

    class Module(torch.nn.Module):
        def forward(self, x):
            return Result(x * 2)

    module = Module()
    both_hooks(module, log)
    x = known(torch, 2, requires_grad=True)
    try:
        module(x).value.sum().backward()
    finally:
        gradients(log, x)


def rule_no_grad_inside_the_module(torch, log):
    """A module that computes under no_grad gives an output that does not require grad: nothing fires; computed again
    with gradients it does."""

    class Sometimes(torch.nn.Module):
        grad = False

        def forward(self, x):
            with torch.set_grad_enabled(self.grad):
                return x * 2

    module = Sometimes()
    both_hooks(module, log)
    x = known(torch, 2, requires_grad=True)
    log(module(x).requires_grad)
    module.grad = True
    module(x).sum().backward()


def rule_grad_mode_switched_on_inside(torch, log):
    """The input side is decided before forward, the output side after it: under no_grad outside and enable_grad inside,
    nothing is wrapped."""

    class Inside(torch.nn.Module):
        def forward(self, x):
            with torch.enable_grad():
                return x * 2

    module = Inside()
    both_hooks(module, log)
    x = known(torch, 2, requires_grad=True)
    with torch.no_grad():
        out = module(x)
    log(out.grad_fn.name())
    out.sum().backward()


def rule_unused_branch(torch, log):
    """A module whose output is not used in the loss does not fire; the one beside it does."""
    used, unused = linear(torch), linear(torch)
    both_hooks(used, log)
    unused.register_full_backward_hook(noting(log, "unused"))
    x = known(torch, 1, 3, requires_grad=True)
    kept = unused(x)
    used(x).sum().backward()
    log(kept)


def rule_list_argument_beside_a_tensor(torch, log):
    """One positional tensor that requires grad is enough for an input side; what is in a list stays None."""

    class Module(torch.nn.Module):
        def forward(self, a, others):
            return a * others[0]

    module = Module()
    both_hooks(module, log)
    a, b = known(torch, 2, requires_grad=True), known(torch, 2, start=1, requires_grad=True)
    module(a, [b]).sum().backward()
    gradients(log, a, b)


def rule_kwargs_alone(torch, log):
    """A call with keywords only has no input for backward hooks: they fire at the output, with `grad_input == ()`."""
    module = mixed(torch)
    both_hooks(module, log)
    a = known(torch, 2, requires_grad=True)
    module(a=a).sum().backward()
    gradients(log, a)
