"""Tensor hooks: `register_hook` sees the total gradient of a tensor and may replace it."""

from __future__ import annotations

import copy

from both import attempt, known, noting

from .catalogue import cases
from .parts import double_leaf, gradients


def rule_sees_the_sum_and_replaces_it(torch, log):
    """A hook fires once in a backward pass, with the sum of all that arrives; each sees what the one before returned."""
    x = double_leaf(torch)
    y = x * 2
    y.register_hook(noting(log, "first"))
    y.register_hook(lambda g: g * 10)
    y.register_hook(noting(log, "third"))
    x.register_hook(lambda g: log("leaf", g) or g + 1)
    (y.sum() + (y * 3).sum()).backward()
    gradients(log, x)


def rule_the_root_gets_the_seed(torch, log):
    """A hook on the tensor that `backward` is called on sees the gradient that the pass starts with, and may change it."""
    x = double_leaf(torch)
    y = (x * x).sum()
    y.register_hook(lambda g: log(g) or g * 5)
    y.backward(torch.tensor(2.0, dtype=torch.float64))
    gradients(log, x)


def rule_a_leaf_as_the_root(torch, log):
    """`backward` on a leaf: its hooks run and its `.grad` is the seed."""
    x = torch.tensor(3.0, requires_grad=True)
    x.register_hook(lambda g: log(g) or g * 4)
    x.register_post_accumulate_grad_hook(noting(log, "accumulated"))
    x.backward()
    gradients(log, x)


def rule_once_per_pass_until_removed(torch, log):
    """Hooks run at each pass through a retained graph, until their handle is removed, which may be done twice."""
    x = double_leaf(torch)
    y = x * x
    first = y.register_hook(noting(log, "first"))
    y.register_hook(noting(log, "second"))
    y.sum().backward(retain_graph=True)
    first.remove()
    first.remove()
    y.sum().backward(retain_graph=True)
    with x.register_hook(noting(log, "with")):
        y.sum().backward(retain_graph=True)
    y.sum().backward()


def rule_added_after_the_graph_was_built(torch, log):
    """The hooks of a tensor count when the pass reaches it: they may be added after the graph was built."""
    x = double_leaf(torch)
    y = x * 2
    z = y.sum()
    y.register_hook(noting(log, "inner"))
    x.register_hook(noting(log, "leaf"))
    z.backward()


def rule_added_in_a_hook_of_an_earlier_node(torch, log):
    """Also during the pass, by a hook of a node that runs before."""
    x = double_leaf(torch)
    y = x * 2
    z = y.sum()

    def add(grad):
        y.register_hook(noting(log, "inner"))
        x.register_hook(noting(log, "leaf"))

    z.register_hook(add)
    z.backward()


def rule_changed_while_they_run(torch, log):
    """The hooks of one tensor are worked through as a snapshot: one removed by an earlier one still runs, one that is
    added waits for the next pass."""
    x = double_leaf(torch)
    y = x * 1

    def first(grad):
        log("first")
        second.remove()
        y.register_hook(noting(log, "added"))

    y.register_hook(first)
    second = y.register_hook(noting(log, "second"))
    z = y.sum()
    z.backward(retain_graph=True)
    log("again")
    z.backward()


def rule_removed_by_a_hook_of_another_tensor(torch, log):
    """A hook that is removed before its tensor is reached does not run."""
    x = double_leaf(torch)
    y = x * 1
    handle = x.register_hook(noting(log, "x"))
    y.register_hook(lambda g: handle.remove())
    y.sum().backward()
    log(x.grad)


def rule_errors_at_registration(torch, log):
    """A tensor that does not require grad takes no hook; there is no `prepend`; the post-accumulate hook wants a leaf."""
    plain, x = known(torch, 2), double_leaf(torch)
    attempt(log, plain.register_hook, print)
    attempt(log, plain.register_post_accumulate_grad_hook, print)
    attempt(log, plain.retain_grad)
    attempt(log, (x * 2).register_post_accumulate_grad_hook, print)
    try:
        x.register_hook(print, prepend=True)
    except TypeError as error:
        log(type(error).__name__, str(error).split("() ")[1])


class Unnamed:
    def __init__(self, make):
        self.make = make

    def __call__(self, grad):
        return self.make(grad)


# (library, gradient) -> what the hook returns; the gradient is two float64 numbers
RETURNS = {
    "None": lambda torch, g: None,
    "the same": lambda torch, g: g,
    "a number": lambda torch, g: 3,
    "False": lambda torch, g: False,
    "a tuple": lambda torch, g: (g,),
    "a list": lambda torch, g: [g],
    "another shape": lambda torch, g: torch.ones(3, dtype=torch.float64),
    "a shape that broadcasts": lambda torch, g: torch.ones(1, dtype=torch.float64),
    "same count, another shape": lambda torch, g: g.reshape(2, 1),
    "another dtype": lambda torch, g: g.float(),
    "integers": lambda torch, g: torch.ones(2, dtype=torch.int64),
    "another dtype and shape": lambda torch, g: torch.ones(3),
    "a parameter": lambda torch, g: torch.nn.Parameter(g * 2),
}


@cases(RETURNS)
def rule_return_value(torch, log, case):
    """None or the same object leave the gradient. Anything else must be a tensor of the same dtype and shape; the text
    names the hook."""

    def mine(grad):
        return case(torch, grad)

    for on_leaf in (False, True):
        x = double_leaf(torch)
        y = x * 2
        (x if on_leaf else y).register_hook(mine)
        attempt(log, y.sum().backward)
        gradients(log, x)


@cases({"another shape": lambda torch, g: g.reshape(2, 1), "another dtype": lambda torch, g: g.float()})
def rule_a_hook_without_a_name(torch, log, case):
    """Objects without `__name__` appear in the texts as `<unknown>`, functions by theirs, lambdas as `<lambda>`."""
    for hook in (Unnamed(lambda g: case(torch, g)), lambda g: case(torch, g)):
        x = double_leaf(torch)
        x.register_hook(hook)
        attempt(log, (x * 2).sum().backward)


def rule_a_hook_that_cannot_be_called(torch, log):
    """It fails when it would run."""
    x = double_leaf(torch)
    x.register_hook(3)
    attempt(log, (x * 2).sum().backward)


def rule_changing_the_gradient_in_place(torch, log):
    """Writing into the gradient takes effect on what follows, where it is memory of its own."""

    def double(grad):
        grad.mul_(2)

    x = double_leaf(torch)
    y = x * 3
    y.register_hook(double)
    y.exp().sum().backward()
    gradients(log, x)


def rule_changing_an_expanded_gradient_in_place(torch, log):
    """The gradient of `sum` is one number shown many times: writing into it fails."""

    def double(grad):
        grad.mul_(2)

    x = double_leaf(torch)
    y = x * 3
    y.register_hook(double)
    attempt(log, y.sum().backward)


def rule_hooks_stay_with_the_value_before_an_in_place_operation(torch, log):
    """Hooks set before an in-place operation see the gradient of the old value, later ones that of the new. `retain_grad`
    follows the tensor."""
    x = double_leaf(torch)
    y = x * 2
    y.retain_grad()
    y.register_hook(noting(log, "before"))
    y.mul_(10)
    log(y._backward_hooks)
    y.register_hook(noting(log, "after"))
    (y * 3).sum().backward()
    gradients(log, y, x)
    log(y.retains_grad)


def rule_handle_of_a_hook_before_an_in_place_operation(torch, log):
    """The handle of an earlier hook still removes it, from the old node."""
    x = double_leaf(torch)
    y = x * 2
    handle = y.register_hook(noting(log, "before"))
    y.add_(1)
    handle.remove()
    y.register_hook(noting(log, "after"))
    y.sum().backward()


def rule_on_one_of_several_outputs(torch, log):
    """On a node with several outputs each has its own hooks; one whose output is not used is called with None."""
    x = torch.arange(4.0, requires_grad=True)
    a, b = (x * 1).split(2)
    a.register_hook(noting(log, "a"))
    b.register_hook(noting(log, "b"))
    (b * 5).sum().backward()
    gradients(log, x)


def rule_a_value_for_an_unused_output(torch, log):
    """A hook that is called with None cannot give a gradient."""
    x = torch.arange(4.0, requires_grad=True)
    a, b = (x * 1).split(2)
    a.register_hook(lambda g: torch.ones(2))
    attempt(log, (b * 5).sum().backward)
    gradients(log, x)


def rule_order_over_several_outputs(torch, log):
    """The hooks of several outputs of one node run output by output, in the order in which the outputs got their first
    hook."""
    x = torch.arange(4.0, requires_grad=True)
    a, b = (x * 1).split(2)
    b.register_hook(noting(log, "b 1"))
    a.register_hook(noting(log, "a 1"))
    b.register_hook(noting(log, "b 2"))
    (a.sum() + b.sum()).backward()


def rule_not_copied(torch, log):
    """Neither deepcopy nor clone nor detach copy hooks."""
    x = double_leaf(torch)
    x.register_hook(noting(log, "original"))
    for y in (copy.deepcopy(x), x.detach().requires_grad_(), copy.copy(x).detach().requires_grad_()):
        (y * 2).sum().backward()
        log(y._backward_hooks is None, y.grad)
    x.clone().sum().backward()


def rule_a_leaf_that_stops_requiring_grad_still_fires(torch, log):
    """A leaf whose requires_grad is switched off after forward still fires its hook; nothing is accumulated."""
    x = double_leaf(torch)
    y = (x * 2).sum()
    x.register_hook(noting(log, "leaf"))
    x.register_post_accumulate_grad_hook(noting(log, "accumulated"))
    x.requires_grad_(False)
    y.backward()
    gradients(log, x)


def rule_grad_mode_is_off(torch, log):
    """Hooks run without recording; the gradient does not require grad."""
    x = double_leaf(torch)
    y = x * 2
    y.register_hook(lambda g: log(torch.is_grad_enabled(), g.requires_grad))
    y.sum().backward()


def rule_a_backward_pass_inside_a_hook(torch, log):
    """A backward pass inside a hook works, with enable_grad around what it differentiates."""
    x, inner = double_leaf(torch), double_leaf(torch)

    def hook(grad):
        attempt(log, lambda: (inner * 3).sum().backward())
        with torch.enable_grad():
            (inner * 3).sum().backward()
        gradients(log, inner)

    y = x * 2
    y.register_hook(hook)
    y.sum().backward()
    gradients(log, x)
    log(torch.is_grad_enabled())


def rule_an_exception_leaves_what_was_accumulated(torch, log):
    """An exception in a hook ends the pass; gradients already accumulated stay."""
    x, w = double_leaf(torch), double_leaf(torch)
    y = x * 2
    z = (y * w).sum()
    y.register_hook(lambda g: {}["stop"])
    attempt(log, z.backward)
    gradients(log, w, x)


def rule_through_a_view(torch, log):
    """A hook on a view sees the gradient of the view; one on its base the whole, zeros elsewhere."""
    x = torch.arange(4.0, requires_grad=True)
    y = x * 1
    view = y[1:3]
    view.register_hook(noting(log, "view"))
    y.register_hook(noting(log, "base"))
    (view * 3).sum().backward()


@cases(
    {
        "grad_fn read first": lambda view: view.grad_fn.name(),
        "retain_grad": lambda view: view.retain_grad(),
        "retain_grad, then a hook": lambda view: view.retain_grad() or view.grad_fn.name(),
    }
)
def rule_on_a_view_whose_base_was_written(torch, log, case):
    """A view whose base was written in place gets a new node when its `grad_fn` is read; a hook set after that sees the
    gradient."""
    x = torch.arange(4.0, requires_grad=True)
    y = x * 1
    view = y[:2]
    y.mul_(3)
    log(case(view), view.grad_fn.name())
    view.register_hook(noting(log, "hook"))
    (view * 5).sum().backward()
    gradients(log, view, x)


def rule_two_hooks_around_a_write_to_the_base(torch, log):
    """A defect of 2.13.0 that is kept: a view with a hook, whose base is then written, adds the next hook to the
    dictionary of its old node. Neither fires."""
    x = torch.arange(4.0, requires_grad=True)
    y = x * 1
    view = y[:2]
    view.register_hook(noting(log, "before"))
    y.mul_(3)
    view.register_hook(noting(log, "after"))
    (view * 5).sum().backward()
    gradients(log, x)
    log(view._backward_hooks is None or len(view._backward_hooks))


def rule_the_private_dictionary(torch, log):
    """`_backward_hooks` is None before the first hook, then an OrderedDict by id; it may be emptied, and a hook that is
    deleted from it does not run."""
    x = double_leaf(torch)
    log(x._backward_hooks, x._post_accumulate_grad_hooks)
    handle = x.register_hook(noting(log, "one"))
    x.register_hook(noting(log, "two"))
    log(
        type(x._backward_hooks).__name__,
        next(iter(x._backward_hooks)) == handle.id,
        handle.hooks_dict_ref() is x._backward_hooks,
    )
    del x._backward_hooks[handle.id]
    (x * 1).sum().backward()
    x._backward_hooks.clear()
    (x * 1).sum().backward()
    post = x.register_post_accumulate_grad_hook(print)
    log(type(x._post_accumulate_grad_hooks).__name__, post.hooks_dict_ref() is x._post_accumulate_grad_hooks)


def rule_hooks_of_a_parameter_in_two_graphs(torch, log):
    """A leaf's hooks belong to the leaf: they fire in every graph that it is part of."""
    x = double_leaf(torch)
    a = (x * 2).sum()
    x.register_hook(noting(log, "hook"))
    b = (x * 3).sum()
    a.backward()
    b.backward()
    gradients(log, x)


def rule_what_comes_from_c_has_its_module_in_the_error(torch, log):
    """A hook that returns no tensor: a class made in C is named with its module, one of Python's own or the user's without."""
    import collections
    import decimal

    import numpy as np

    class Mine:
        pass

    for value in (
        np.ones(2),
        np.float32(1),
        3,
        [1],
        Mine(),
        collections.OrderedDict(),
        collections.deque(),
        decimal.Decimal(1),
    ):
        y = double_leaf(torch) * 1
        y.register_hook(lambda grad, value=value: value)
        attempt(log, y.sum().backward)


def rule_requires_grad_is_a_bool(torch, log):
    """Nothing else is taken for one."""
    x = double_leaf(torch)
    for value in (1, 0, None, "yes", torch.tensor(True)):
        attempt(log, setattr, x, "requires_grad", value)
