"""Views and writing in place: what full backward hooks forbid, with the texts of 2.13.0."""

from __future__ import annotations

from both import attempt, filled, known, linear

from .catalogue import cases
from .parts import both_hooks, gradients, two_outputs


def rule_output_and_input_are_views(torch, log):
    """With a full backward hook, forward's input and the caller's output are views with the grad_fn
    BackwardHookFunctionBackward; an Identity no longer returns its argument."""
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


def rule_one_kind_of_hook_is_enough(torch, log):
    """A pre-hook alone, a global hook alone, or a hook alone wraps; a forward hook or a legacy hook does not."""
    module = torch.nn.modules.module
    x = known(torch, 2, requires_grad=True)

    def name_of(layer):
        return layer(x).grad_fn.name()

    for register in ("full_backward_pre", "full_backward", "backward", "forward", "forward_pre"):
        layer = torch.nn.Tanh()
        getattr(layer, f"register_{register}_hook")(lambda *args: None)
        log(register, name_of(layer))
    with module.register_module_full_backward_pre_hook(lambda *args: None):
        log("global", name_of(torch.nn.Tanh()))


def rule_a_hooked_in_place_relu(torch, log):
    """The most asked question: a full backward hook on `ReLU(inplace=True)` raises, since the ReLU would write into the
    view that the hook made. Not if nothing requires grad, nor under no_grad."""
    relu = torch.nn.ReLU(inplace=True)
    both_hooks(relu, log)
    x = known(torch, 3, requires_grad=True)
    attempt(log, relu, x * 2)
    attempt(log, relu, known(torch, 3))
    with torch.no_grad():
        attempt(log, relu, x * 2)


def rule_in_place_after_a_hooked_layer(torch, log):
    """The layer before an in-place operation: its output is a view that must not be written."""
    layer = linear(torch)
    both_hooks(layer, log)
    out = layer(known(torch, 1, 3, requires_grad=True))
    attempt(log, torch.nn.ReLU(inplace=True), out)
    attempt(log, out.add_, 1)


def rule_residual_addition_in_place(torch, log):
    """`out += identity`, as in residual blocks, after a hooked layer."""

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 3)

        def forward(self, x):
            out = self.layer(x)
            out += x
            return out

    block = filled(torch, Block())
    x = known(torch, 1, 3, requires_grad=True)
    log(block(x))
    both_hooks(block.layer, log)
    attempt(log, block, x)


def rule_in_place_on_one_of_several_outputs(torch, log):
    """With two or more outputs the text is another: a function that returns multiple views."""
    module = two_outputs(torch)
    both_hooks(module, log)
    first, second, index = module(known(torch, 2, requires_grad=True))
    attempt(log, second.mul_, 2)
    attempt(log, first.add_, 1)
    attempt(log, index.add_, 1)


def rule_in_place_on_one_of_several_inputs(torch, log):
    """With several tensor arguments, writing to one inside forward gives that text as well, also for an argument that
    does not require grad."""

    class Writing(torch.nn.Module):
        def forward(self, a, b):
            attempt(log, a.add_, 1)
            attempt(log, b.add_, 1)
            return a * 2

    module = Writing()
    both_hooks(module, log)
    module(known(torch, 2, requires_grad=True) * 1, known(torch, 2))


def rule_in_place_inside_a_hooked_block_is_fine(torch, log):
    """Strictly inside of a hooked block writing is fine; as its first operation it is not."""
    block = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(inplace=True)))
    both_hooks(block, log)
    x = known(torch, 1, 3, requires_grad=True)
    block(x).sum().backward()
    gradients(log, x)
    first = torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(3, 2))
    both_hooks(first, log)
    attempt(log, first, x * 1)


def rule_a_clone_is_the_way_out(torch, log):
    """Cloning in a pre-hook of the in-place layer, or `inplace=False`, gives the numbers that one wanted."""
    for inplace in (True, False):
        net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(inplace=inplace)))
        both_hooks(net[0], log)
        if inplace:
            net[1].register_forward_pre_hook(lambda m, args: args[0].clone())
        x = known(torch, 1, 3, requires_grad=True)
        net(x).sum().backward()
        gradients(log, x)


def rule_stored_input_after_its_base_changed(torch, log):
    """A stored wrapped input is a view of the caller's tensor: once that is written, using the stored one raises,
    with "its base or another view of its base"."""
    stored = []
    layer = linear(torch)
    both_hooks(layer, log)
    layer.register_forward_hook(lambda m, args, out: stored.append(args[0]))
    base = known(torch, 1, 3, requires_grad=True) * 1
    layer(base)
    base.add_(1)
    attempt(log, lambda: stored[0] * 2)


def rule_stored_output_after_it_was_written_through_detach(torch, log):
    """Writing through a detached alias of a wrapped output counts as a write to its memory."""
    layer = linear(torch)
    both_hooks(layer, log)
    out = layer(known(torch, 1, 3, requires_grad=True))
    out.detach().add_(1)
    log(out)
    attempt(log, lambda: out * 2)


def rule_writing_to_the_argument_inside_forward(torch, log):
    """`x += 1` on the argument, and set item, with a hook and without."""

    class Writing(torch.nn.Module):
        def forward(self, x):
            x[0] = 5.0
            return x * 2

    module, x = Writing(), known(torch, 3, requires_grad=True)
    attempt(log, module, x * 1)
    both_hooks(module, log)
    attempt(log, module, x * 1)


def rule_views_of_a_wrapped_output(torch, log):
    """A view of a wrapped output inherits what is forbidden."""
    layer = linear(torch)
    both_hooks(layer, log)
    out = layer(known(torch, 2, 3, requires_grad=True))
    attempt(log, out[0].add_, 1)
    attempt(log, out.view(4).mul_, 2)
    attempt(log, out.t().zero_)
    attempt(log, out.detach().zero_)


@cases(
    {
        "add_": lambda torch, t: t.add_(1),
        "mul_ by itself": lambda torch, t: t.mul_(t),
        "zero_": lambda torch, t: t.zero_(),
        "copy_": lambda torch, t: t.copy_(torch.ones(1, 2)),
        "clamp_": lambda torch, t: t.clamp_(min=0),
        "relu_": lambda torch, t: t.relu_(),
        "fill_": lambda torch, t: t.fill_(3.0),
        "set item": lambda torch, t: t.__setitem__(0, 1.0),
        "iadd": lambda torch, t: t.__iadd__(1),
        "detach_": lambda torch, t: t.detach_(),
        "requires_grad_": lambda torch, t: t.requires_grad_(False),
        "no_grad add_": lambda torch, t: torch.no_grad()(lambda: t.add_(1))(),
    }
)
def rule_ways_to_write_a_wrapped_output(torch, log, case):
    """Every in-place operation raises the same error; under no_grad the write is allowed, and the graph goes on using
    the tensor as before, if it may."""
    layer = linear(torch)
    both_hooks(layer, log)
    x = known(torch, 1, 3, requires_grad=True)
    out = layer(x)
    attempt(log, case, torch, out)
    attempt(log, lambda: out.sum().backward())
    gradients(log, x)


def rule_a_leaf_and_its_views(torch, log):
    """Without any hook: a leaf that requires grad, or a view of it, must not be written."""
    x = known(torch, 3, requires_grad=True)
    attempt(log, x.add_, 1)
    attempt(log, x[0].add_, 1)
    attempt(log, torch.nn.ReLU(inplace=True), x)
    relu = torch.nn.ReLU(inplace=True)
    both_hooks(relu, log)
    attempt(log, relu, x)


def rule_multiple_views_of_built_in_operations(torch, log):
    """`split`, `chunk` and `unbind` return multiple views: the same text, with their node's name, hooks or none."""
    x = known(torch, 4, requires_grad=True) * 1
    for make in (lambda: x.split(2), lambda: x.chunk(2), lambda: x.unbind(0)):
        attempt(log, make()[1].add_, 1)


def rule_a_view_made_under_no_grad(torch, log):
    """A view that was made under no_grad and is written with gradients on has a text of its own."""
    x = known(torch, 4, requires_grad=True) * 1
    with torch.no_grad():
        view = x[:2]
    attempt(log, view.add_, 1)


def rule_a_tensor_needed_for_the_gradient(torch, log):
    """Without hooks an in-place ReLU behind an operation that needs its output raises in the backward pass; the text
    names the operation and the versions."""
    x = known(torch, 1, 3, requires_grad=True)
    for first in (torch.nn.Sigmoid(), torch.nn.Tanh(), torch.nn.ReLU(), torch.nn.Linear(3, 3)):
        first = filled(torch, first)
        attempt(log, torch.nn.Sequential(first, torch.nn.ReLU(inplace=True))(x).sum().backward)


def rule_hooks_that_write_in_place(torch, log):
    """A forward hook that writes the output of an operation which needs it makes the backward pass fail."""
    tanh = torch.nn.Tanh()
    tanh.register_forward_hook(lambda m, args, out: out.mul_(2))
    x = known(torch, 3, requires_grad=True)
    attempt(log, tanh(x).sum().backward)
    relu = torch.nn.ReLU()
    relu.register_forward_pre_hook(lambda m, args: args[0].mul_(2))
    attempt(log, relu(x * 1).sum().backward)
    gradients(log, x)


def rule_versions_that_hooks_see(torch, log):
    """`_version` counts the writes; a wrapped view shares the count of what it shows."""
    layer, x = linear(torch), known(torch, 1, 3, requires_grad=True) * 1
    both_hooks(layer, log)
    x.add_(1)
    layer.register_forward_hook(lambda m, args, out: log(args[0]._version, args[0]._base is x, out._version))
    out = layer(x)
    log(out._version, out._is_view(), out._base is None)
