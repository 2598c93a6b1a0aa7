"""`retain_grad` and post-accumulate hooks: what happens when a gradient is stored."""

from __future__ import annotations

from both import attempt, known, noting

from .catalogue import cases
from .parts import double_leaf, gradients


def rule_retain_grad(torch, log):
    """`retain_grad` makes a pass store a non-leaf's gradient; it adds up over passes, may be said twice, and is nothing
    on a leaf."""
    x = double_leaf(torch)
    y = x * 2
    log(y.retain_grad(), y.retain_grad())
    z = y.exp() * 0 + y
    z.register_hook(lambda g: g * 7)
    z.retain_grad()
    x.retain_grad()
    z.sum().backward(retain_graph=True)
    gradients(log, y, z)
    z.sum().backward()
    gradients(log, y, z)
    log(y.retains_grad, x.retains_grad, (x * 1).retains_grad)


def rule_retain_grad_sees_all_tensor_hooks(torch, log):
    """What is stored is the gradient after all tensor hooks, however they were ordered."""
    x = double_leaf(torch)
    y = x * 2
    y.register_hook(lambda g: g * 3)
    y.retain_grad()
    y.register_hook(lambda g: g * 5)
    y.sum().backward()
    gradients(log, y, x)


def rule_retain_grad_comes_before_node_pre_hooks(torch, log):
    """The documentation says the reverse: the gradient is stored after the tensor hooks and before the node's pre-hooks,
    whose changes it does not show."""
    x = double_leaf(torch)
    y = x * 2
    y.retain_grad()
    y.grad_fn.register_prehook(lambda grads: log("stored", y.grad) or (grads[0] * 100,))
    y.register_hook(lambda g: log("not yet", y.grad))
    y.sum().backward()
    gradients(log, y, x)


def rule_grad_of_a_non_leaf(torch, log):
    """`.grad` of a non-leaf that does not retain it is None, with a UserWarning."""
    x = double_leaf(torch)
    y = x * 2
    y.sum().backward()
    log(y.grad)
    z = x * 2
    z.retain_grad()
    log(z.grad)


def rule_retain_grad_on_an_unused_output(torch, log):
    """An output that got no gradient stores none."""
    x = torch.arange(4.0, requires_grad=True)
    a, b = (x * 1).split(2)
    a.retain_grad()
    b.retain_grad()
    (b * 5).sum().backward()
    gradients(log, a, b)


def rule_retain_grad_after_an_in_place_operation(torch, log):
    """After an in-place operation `retain_grad` stores the gradient of the new value, whether it was called before or
    after."""
    for before in (True, False):
        x = double_leaf(torch)
        y = x * 2
        if before:
            y.retain_grad()
        y.mul_(3)
        if not before:
            y.retain_grad()
        log(y.retains_grad)
        (y * 5).sum().backward()
        gradients(log, y, x)


def rule_the_stored_gradient_is_memory_of_its_own(torch, log):
    """Writing into a stored gradient changes neither what goes on nor another tensor's gradient."""
    x, w = double_leaf(torch), double_leaf(torch)
    y = x * 2
    y.retain_grad()
    z = y + w
    z.sum().backward()
    y.grad.mul_(100)
    gradients(log, y, w, x)


def rule_post_accumulate_hooks(torch, log):
    """`hook(tensor)` runs when the leaf's `.grad` has just been added to, after its tensor hooks."""
    x = double_leaf(torch)
    x.register_hook(lambda g: log("tensor", x.grad))
    handle = x.register_post_accumulate_grad_hook(lambda t: log("post", t is x, t.grad))
    x.register_post_accumulate_grad_hook(noting(log, "second"))
    (x * 3).sum().backward()
    (x * 3).sum().backward()
    handle.remove()
    (x * 3).sum().backward()


def rule_a_leaf_used_several_times_accumulates_once(torch, log):
    """The parts of one pass are added up before the leaf: one tensor hook, one accumulation."""
    x = double_leaf(torch)
    x.register_hook(noting(log, "tensor"))
    x.register_post_accumulate_grad_hook(lambda t: log("post", t.grad))
    (x * 3 + x * x + x.exp()).sum().backward()


def rule_post_accumulate_hook_that_steps(torch, log):
    """It may step the parameter and clear `.grad`: an optimizer inside the backward pass."""
    x = double_leaf(torch)

    def step(tensor):
        with torch.no_grad():
            tensor -= 0.1 * tensor.grad
        tensor.grad = None

    x.register_post_accumulate_grad_hook(step)
    for _ in range(3):
        (x * x).sum().backward()
    log(x, x.grad)


RETURNS = {
    "None": lambda torch, x: None,
    "the tensor itself": lambda torch, x: x,
    "another tensor": lambda torch, x: torch.ones(2, dtype=torch.float64),
    "another shape": lambda torch, x: torch.ones(5, dtype=torch.float64),
    "another dtype": lambda torch, x: torch.ones(2),
    "its gradient": lambda torch, x: x.grad,
    "a number": lambda torch, x: 3,
    "a tuple": lambda torch, x: (x,),
}


@cases(RETURNS)
def rule_return_of_a_post_accumulate_hook(torch, log, case):
    """It must return None; the tensor itself passes, anything else raises, after the gradient was accumulated."""
    x = double_leaf(torch)

    def mine(tensor):
        return case(torch, tensor)

    x.register_post_accumulate_grad_hook(mine)
    x.register_post_accumulate_grad_hook(noting(log, "next"))
    attempt(log, (x * 3).sum().backward)
    gradients(log, x)


def rule_changed_while_post_accumulate_hooks_run(torch, log):
    """One that is removed by an earlier one still runs; one that is added waits."""
    x = double_leaf(torch)

    def first(tensor):
        log("first")
        second.remove()
        x.register_post_accumulate_grad_hook(noting(log, "added"))

    handle = x.register_post_accumulate_grad_hook(first)
    second = x.register_post_accumulate_grad_hook(noting(log, "second"))
    (x * 3).sum().backward()
    handle.remove()
    log("again")
    (x * 3).sum().backward()


def rule_nothing_is_accumulated_for_a_gradient_of_none(torch, log):
    """A leaf whose gradient was cut by a hook: its own hooks are called with None, nothing is stored, and the
    post-accumulate hook does not run."""
    x = double_leaf(torch)
    y = x * 2
    x.register_hook(noting(log, "tensor"))
    x.register_post_accumulate_grad_hook(noting(log, "post"))
    y.grad_fn.register_hook(lambda inputs, outputs: (None, None))
    y.sum().backward()
    gradients(log, x)


def rule_assigning_grad(torch, log):
    """`.grad` may be set beforehand: the pass adds to it, in place. A wrong shape, dtype or type is refused."""
    x = double_leaf(torch)
    held = torch.ones(2, dtype=torch.float64)
    x.grad = held
    x.register_post_accumulate_grad_hook(lambda t: log(t.grad is held, t.grad))
    (x * 3).sum().backward()
    log(held)
    for wrong in (torch.ones(3, dtype=torch.float64), torch.ones(2), 5):
        attempt(log, setattr, x, "grad", wrong)


def rule_hooks_of_parameters_and_zero_grad(torch, log):
    """Hooks on parameters outlive `zero_grad`, steps under no_grad, and `requires_grad_` off and on."""
    w = torch.nn.Parameter(known(torch, 2))
    w.register_hook(noting(log, "tensor"))
    w.register_post_accumulate_grad_hook(noting(log, "post"))
    (w * 2).sum().backward()
    w.grad = None
    with torch.no_grad():
        w.sub_(1)
    w.requires_grad_(False).requires_grad_(True)
    (w * 2).sum().backward()
    gradients(log, w)


def rule_numbers_out_of_the_graph(torch, log):
    """`float(y)` and `complex(y)` warn that the graph ends there, since 2.8; `int`, `bool`, `item()` and `no_grad` are silent."""
    x = known(torch, 1, requires_grad=True)
    for kind in (float, complex, int, bool):
        log(kind.__name__, str(kind(x * 2)))
    log((x * 2).item(), f"{(x * 2)[0]:.1f}")
    log(float(x.detach()))
    with torch.no_grad():
        log(float(x))
