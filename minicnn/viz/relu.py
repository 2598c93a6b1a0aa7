"""The gradient rule of the ReLUs changed for a while: by hooks on the nodes of the graph, never by exchanging modules.

In the block of `relu_rule` every forward pass of the network leaves a graph whose ReLU nodes replace the gradient that they send
back. The modules, their hooks and the values of the forward pass stay what they are, and a ReLU is found however it was called: as a
module, one object used twice, in place, or as the function `F.relu`.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from minicnn import Tensor
from minicnn.nn import Module
from minicnn.ops.activation import Hardtanh, Relu, Threshold

RELUS = (Relu, Threshold, Hardtanh)  # F.relu, and what F.threshold and F.relu6 leave behind
Rule = Callable[[Tensor, Tensor], Tensor]


def guided(usual: Tensor, grad: Tensor) -> Tensor:
    """The gradient passes where x > 0 and where it is positive itself: only what speaks for the unit, on ways that were open.

    Springenberg, Dosovitskiy, Brox, Riedmiller 2015, "Striving for simplicity: the all convolutional net".
    """
    return usual.clamp(min=0)


def deconvnet(usual: Tensor, grad: Tensor) -> Tensor:
    """The gradient passes where it is positive, whatever x was: a ReLU on the way back.

    Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks".
    """
    return grad.clamp(min=0)


def opened(usual: Tensor, grad: Tensor) -> Tensor:
    """The usual gradient for every image for which any of it is left; for the others it passes where a descent step on the
    loss, which moves x against it, raises x: where grad < 0."""
    dims = tuple(range(1, grad.dim()))
    blocked = (usual != 0).sum(dims, keepdim=True) == 0
    return usual + grad * (blocked & (grad < 0))


RULES: dict[str, Rule] = {"guided": guided, "deconvnet": deconvnet, "opened": opened}


class Replaced:
    """What `relu_rule` gives to its block: `count` is the number of ReLU calls whose gradient is replaced so far."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def relu_rule(model: Module, rule: str | Rule) -> Iterator[Replaced]:
    """In the block, the backward pass of what the model computes follows this rule at every ReLU.

        with relu_rule(model, "guided"):
            model(x)[0, 7].backward()       # x.grad is guided backpropagation's

    Args:
        rule: "guided", "deconvnet", "opened", or a function (usual, grad) -> the gradient of the ReLU's input, where `grad` is the
            gradient of its output and `usual` the ReLU's own: grad where x > 0, else 0.

    The backward pass must run inside of the block too: at its end, after an error too, the hooks are taken off the graph's
    nodes and off the model. ReLU6 and Threshold are treated alike; other activations keep their gradient.
    """
    if isinstance(rule, str) and rule not in RULES:
        raise ValueError(f"a rule is {', '.join(map(repr, RULES))} or a function, not {rule!r}")
    function = RULES[rule] if isinstance(rule, str) else rule
    seen: weakref.WeakSet = weakref.WeakSet()
    handles, replaced = [], Replaced()

    def enter(module: Module, args: tuple) -> None:  # what came before the network is none of its business
        seen.update(node for node in _nodes(args))

    def leave(module: Module, args: tuple, output: Any) -> None:
        stack = _nodes(output)
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if issubclass(getattr(node, "function", object), RELUS):
                handles.append(node.register_hook(lambda grads, outs: (function(grads[0], outs[0]), *grads[1:])))
                replaced.count += 1
            stack += [behind for behind, _ in node.next_functions if behind is not None]

    try:
        handles.append(model.register_forward_pre_hook(enter))
        # On every module, not on the model alone: the pass may be ended early, in a hook of a layer inside.
        handles += [module.register_forward_hook(leave, prepend=True) for module in model.modules()]
        yield replaced
    finally:
        for handle in handles:
            handle.remove()


def _nodes(value: Any) -> list[Any]:
    """The graph nodes of the tensors in a module's arguments or output."""
    if isinstance(value, Tensor):
        return [value.grad_fn] if value.grad_fn is not None else []
    if isinstance(value, dict):
        value = tuple(value.values())
    return [node for part in value for node in _nodes(part)] if isinstance(value, tuple | list) else []
