"""Node creation hooks (since 2.14): each node of the graph is shown when it has just been made."""

from __future__ import annotations

import threading

from both import attempt, filled, known, linear

from .catalogue import cases
from .parts import double_leaf, gradients


def _watched(torch, log, function, *args):
    """Log the names of the nodes that a call makes, and the error that ends it."""
    names = []
    with torch.autograd.graph.node_creation_hook(lambda node: names.append(node.name())):
        try:
            return function(*args)
        except RuntimeError as error:
            names.append(str(error)[:60])
        finally:
            log(names)


@cases(
    {
        "a chain": lambda torch, x: (x * 2).relu().sum(),
        "without gradient": lambda torch, x: (x.detach() * 2, x > 0, x.argmax()),
        "several outputs": lambda torch, x: (x.max(1), x.split(1), x.sort()),
        "a view": lambda torch, x: x.view(6).unsqueeze(0),
        "in place": lambda torch, x: (x * 1).relu_().add_(1),
        "into a view": lambda torch, x: (x * 1)[0].mul_(2),
        "into a view twice": lambda torch, x: [view.mul_(2) for view in [(x * 1)[0]] * 2],
        "fill a view": lambda torch, x: ((x * 1)[0].fill_(1), (x * 1)[:, 1].zero_()),
        "a view of a leaf": lambda torch, x: x[0].mul_(2),
        "linear": lambda torch, x: linear(torch)(x),
        "convolution": lambda torch, x: filled(torch, torch.nn.Conv2d(1, 2, 2))(x.view(1, 1, 2, 3)),
        "losses": lambda torch, x: (
            torch.nn.functional.cross_entropy(x, torch.tensor([0, 1])),
            torch.nn.functional.mse_loss(x, x.detach()),
        ),
        "of another type": lambda torch, x: x.double().exp(),
    }
)
def rule_what_is_seen(torch, log, case):
    """Each operation that leaves a node; a leaf's accumulator when it is first used; a write into a view as `CopySlices` and
    the view's new node."""
    x = known(torch, 2, 3, requires_grad=True)
    _watched(torch, log, case, torch, x)
    _watched(torch, log, lambda: x * 2)


def rule_assignment_by_index(torch, log):
    """`x[key] = value` is a write into a view, or a node of its own for indices and masks."""
    x, row = known(torch, 2, 3, requires_grad=True), known(torch, 3, requires_grad=True)

    def assign(key, value):
        base = x * 1
        base[key] = value

    for key, value in ((0, 5.0), (0, row), (torch.tensor([0]), row), (torch.tensor([True, False]), row)):
        _watched(torch, log, assign, key, value)


def rule_the_node_is_complete(torch, log):
    """It has its edges, what it saved, and a place for notes; it is the output's `grad_fn`."""
    x, seen = double_leaf(torch), []

    def look(node):
        seen.append(node)
        node.metadata["number"] = len(seen)
        log(node.name(), len(node.next_functions), getattr(node, "_saved_result", None), torch.is_grad_enabled())
        node.register_hook(lambda inputs, outputs: log("ran", node.metadata, inputs, outputs))

    with torch.autograd.graph.node_creation_hook(look):
        y = x.exp()
    log(y.grad_fn is seen[1], y.grad_fn.next_functions[0][0] is seen[0])
    y.sum().backward()
    gradients(log, x)


def rule_a_function_of_ones_own(torch, log):
    """Of a Function the node is seen, and those that its forward makes under `enable_grad`; none if it writes into a view."""

    class Inner(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            with torch.enable_grad():
                return x.detach().requires_grad_().exp().detach()

        @staticmethod
        def backward(ctx, grad):
            return grad

    class Writes(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            return x.mul_(2)

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    x = double_leaf(torch)
    _watched(torch, log, Inner.apply, x)
    _watched(torch, log, lambda: Writes.apply(x * 1))
    _watched(torch, log, lambda: Writes.apply((x * 1)[:1]))


def rule_around_a_hooked_module(torch, log):
    """A module with full backward hooks has an identity at each edge, if there is a gradient."""
    module = linear(torch)
    module.register_full_backward_hook(lambda *args: None)
    _watched(torch, log, module, known(torch, 1, 3, requires_grad=True))
    _watched(torch, log, module, known(torch, 1, 3))


def rule_nested_and_used_again(torch, log):
    """The outermost hook is called first; one context can be entered twice, and again later."""
    graph, x = torch.autograd.graph, double_leaf(torch)
    with graph.node_creation_hook(lambda node: log("outer", node.name())):
        with graph.node_creation_hook(lambda node: log("inner", node.name())):
            y = x.exp()
        y.sin()
    context = graph.node_creation_hook(lambda node: log("again", node.name()))
    with context, context:
        x.cos()
    with context:
        x.cos()
    x.cos()


def rule_what_a_hook_must_not_do(torch, log):
    """It must return None and make no node; its error is the operation's, and the hook is gone behind the block."""
    graph, x = torch.autograd.graph, double_leaf(torch)
    y = x * 2

    def fails(node):
        raise KeyError("mine")

    for hook in (lambda node: 5, lambda node: y.exp() and None, fails):
        with graph.node_creation_hook(hook):
            attempt(log, y.sin)
        attempt(log, y.sin)


def rule_the_hooks_belong_to_their_thread(torch, log):
    """Another thread is not watched; a backward pass makes no nodes."""
    x = double_leaf(torch)

    def elsewhere():
        thread = threading.Thread(target=lambda: x.exp())
        thread.start()
        thread.join()

    _watched(torch, log, elsewhere)
    y = x.exp().sum()
    _watched(torch, log, y.backward)
