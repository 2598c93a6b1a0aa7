"""Converting a module: whether its parameters stay the objects that they are, and what becomes of their hooks."""

from __future__ import annotations

import weakref

from both import attempt, known, linear

from .catalogue import cases
from .parts import gradients

WAYS = {
    "as it is": lambda torch: None,
    "overwriting": lambda torch: torch.__future__.set_overwrite_module_params_on_conversion(True),
    "swapping": lambda torch: torch.__future__.set_swap_module_params_on_conversion(True),
    "both": lambda torch: (WAYS["overwriting"](torch), WAYS["swapping"](torch)),
}


def _as_it_was(torch):
    torch.__future__.set_overwrite_module_params_on_conversion(False)
    torch.__future__.set_swap_module_params_on_conversion(False)


def _hooked(torch, log):
    """A layer with gradients, whose weight has hooks and a note."""
    layer = linear(torch)
    layer(known(torch, 1, 3)).sum().backward()
    layer.weight.register_hook(lambda grad: log("hook", grad))
    layer.weight.register_post_accumulate_grad_hook(lambda leaf: log("accumulated", leaf.grad))
    layer.weight.note = "mine"
    return layer


def _is_the_same(log, layer, weight, grad):
    log(layer.weight is weight, layer.weight.grad is grad, type(layer.weight).__name__, layer.weight.requires_grad)
    log(hasattr(layer.weight, "note"))
    gradients(log, layer.weight, layer.bias)


@cases(WAYS)
def rule_another_type(torch, log, case):
    """`module.double()` gives the parameters new data, and their hooks stay; `torch.__future__` can ask for new parameters,
    or for new tensors that are swapped with the old ones: the hooks go in both cases."""
    try:
        case(torch)
        log(torch.__future__.get_overwrite_module_params_on_conversion())
        log(torch.__future__.get_swap_module_params_on_conversion())
        layer = _hooked(torch, log)
        weight, grad = layer.weight, layer.weight.grad
        layer.double()
        _is_the_same(log, layer, weight, grad)
        layer(known(torch, 1, 3).double()).sum().backward()
        gradients(log, layer.weight, weight)
    finally:
        _as_it_was(torch)


@cases(
    {f"{name}, {'assigned' if assign else 'copied'}": (way, assign) for name, way in WAYS.items() for assign in (0, 1)}
)
def rule_loading_a_state_dict(torch, log, case):
    """`load_state_dict` copies, or swaps each parameter with what `module_load` makes of the entry."""
    way, assign = case
    try:
        way(torch)
        layer = _hooked(torch, log)
        weight, grad = layer.weight, layer.weight.grad
        state = {"weight": known(torch, 2, 3).double(), "bias": known(torch, 2)}
        log(str(layer.load_state_dict(state, assign=bool(assign))))
        _is_the_same(log, layer, weight, grad)
        log(layer.weight.data_ptr() == state["weight"].data_ptr(), layer.weight.dtype, layer.weight.detach())
        (layer.weight * 2).sum().backward()
        gradients(log, layer.weight)
    finally:
        _as_it_was(torch)


def rule_a_parameter_that_cannot_be_swapped(torch, log):
    """A weak reference to a parameter forbids the swap; the error says which parameter, and leaves it as it was."""
    try:
        WAYS["swapping"](torch)
        layer = _hooked(torch, log)
        reference = weakref.ref(layer.bias)
        attempt(log, layer.double)
        gradients(log, layer.weight, layer.bias)
        attempt(log, layer.load_state_dict, {"weight": known(torch, 2, 3), "bias": known(torch, 2)})
        attempt(log, torch.utils.swap_tensors, layer.weight, layer.bias)
        log(reference() is layer.bias)
    finally:
        _as_it_was(torch)


def rule_two_tensors_are_swapped(torch, log):
    """`utils.swap_tensors`: numbers, class, gradient, hooks and attributes change sides."""
    a, b = torch.nn.Parameter(known(torch, 2)), known(torch, 3, requires_grad=True)
    a.grad, a.note = known(torch, 2), "a"
    b.register_hook(lambda grad: log("hook of b", grad))
    torch.utils.swap_tensors(a, b)
    for tensor in (a, b):
        log(type(tensor).__name__, tensor.detach(), tensor.grad, getattr(tensor, "note", None))
    a.sum().backward()
    log(a.grad, b.grad)


def rule_a_graph_that_ends_in_a_swapped_leaf(torch, log):
    """A graph whose leaf was swapped refuses its backward pass."""
    a, b = known(torch, 2, requires_grad=True), known(torch, 3, requires_grad=True)
    y = (a + 1).sum()
    torch.utils.swap_tensors(a, b)
    attempt(log, y.backward)
    (a.sum() + b.sum()).backward()
    gradients(log, a, b)
