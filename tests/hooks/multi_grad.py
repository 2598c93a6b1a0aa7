"""`register_multi_grad_hook`: one hook on several tensors."""

from __future__ import annotations

import copy
import pickle

from both import attempt, noting

from .catalogue import cases
from .parts import double_leaf


def _register(torch, *args, **kwargs):
    return torch.autograd.graph.register_multi_grad_hook(*args, **kwargs)


def rule_all(torch, log):
    """mode="all", the default: once in a pass, when the last of the gradients is there, with the list of all."""
    x, w = double_leaf(torch), double_leaf(torch)
    y = x * w
    x.register_hook(noting(log, "x"))
    w.register_hook(noting(log, "w"))
    _register(torch, (y, x, w), lambda grads: log(type(grads).__name__, grads) or 5)
    y.sum().backward(retain_graph=True)
    y.sum().backward()


def rule_all_with_some_unused(torch, log):
    """Tensors that get no gradient in this pass are None in the list, and are not waited for. With `autograd.grad` a leaf
    among them is an error."""
    a, b, c = double_leaf(torch), double_leaf(torch), double_leaf(torch)
    _register(torch, [a, b, c], noting(log, "all"))
    (a * c).sum().backward()
    log("with inputs=")
    (a * b * c).sum().backward(inputs=[b])
    log("grad")
    torch.autograd.grad((a * b * c).sum(), [a, c])


def rule_all_with_inputs_that_are_not_in_the_graph(torch, log):
    """Tensors that `inputs=` asks for, but that the root does not depend on, are not waited for."""
    a, b, c = double_leaf(torch), double_leaf(torch), double_leaf(torch)
    _register(torch, [a, b, c], noting(log, "all"))
    (a * c).sum().backward(inputs=[a, b])


def rule_any(torch, log):
    """mode="any": once in a pass, with the first gradient that arrives; again in the next."""
    x, w = double_leaf(torch), double_leaf(torch)
    y = x * w
    _register(torch, [x, y, w], noting(log, "any"), mode="any")
    y.sum().backward(retain_graph=True)
    y.sum().backward()


@cases({"all": "all", "any": "any"})
def rule_tensors_that_do_not_require_grad(torch, log, case):
    """In "all" such a tensor is an AssertionError, in "any" it is passed over."""
    x = double_leaf(torch)
    attempt(log, lambda: _register(torch, [x, torch.ones(1)], noting(log, "hook"), mode=case) and None)
    (x * 2).sum().backward()


@cases({"all": "all", "any": "any"})
def rule_no_tensors(torch, log, case):
    """An empty list is accepted and never fires."""
    handle = _register(torch, [], noting(log, "hook"), mode=case)
    log(type(handle).__name__, handle.handles)
    double_leaf(torch).sum().backward()


@cases({"some": "some", "None": None, "ALL": "ALL"})
def rule_modes(torch, log, case):
    """Another mode is a ValueError."""
    attempt(log, _register, torch, [double_leaf(torch)], print, mode=case)


def rule_the_handle(torch, log):
    """A `_MultiHandle`: a RemovableHandle without an id, with the handles of all tensors; a context manager too."""
    x, w = double_leaf(torch), double_leaf(torch)
    with _register(torch, [x, w], noting(log, "hook")) as handle:
        (x * w).sum().backward()
        log(type(handle).__name__, type(handle).__mro__[1].__name__, hasattr(handle, "id"), len(handle.handles))
        log([h.hooks_dict_ref() is t._backward_hooks for h, t in zip(handle.handles, (x, w), strict=True)])
    (x * w).sum().backward()
    handle.remove()
    log(len(x._backward_hooks), len(w._backward_hooks))


def rule_copies_of_the_handle(torch, log):
    """Copied alone it is a handle of dead handles: removing does nothing. It cannot be pickled while its tensors live."""
    x = double_leaf(torch)
    handle = _register(torch, [x], print)
    again = copy.deepcopy(handle)
    log(type(again).__name__, len(again.handles), again.handles[0].hooks_dict_ref() is None)
    again.remove()
    log(len(x._backward_hooks))
    try:
        pickle.dumps(handle)
    except Exception as error:  # the hooks are functions inside of functions
        log(type(error).__name__)


def rule_changes_are_ignored(torch, log):
    """What it returns is ignored, but tensor hooks before it have changed what it sees."""
    x = double_leaf(torch)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    _register(torch, [y], noting(log, "all", 7))
    y.register_hook(noting(log, "behind"))
    y.sum().backward()


def rule_an_exception_inside(torch, log):
    """An exception leaves the pass; the next pass counts anew."""
    x, fail = double_leaf(torch), [True]

    def hook(grads):
        log("hook", grads)
        if fail:
            raise KeyError("stop")

    y = x * 2
    _register(torch, [x, y], hook)
    attempt(log, y.sum().backward, retain_graph=True)
    fail.clear()
    y.sum().backward()


def rule_the_same_tensor_twice(torch, log):
    """A tensor given twice has two hooks: two entries in the list."""
    x = double_leaf(torch)
    _register(torch, [x, x], noting(log, "all"))
    (x * 2).sum().backward()


def rule_roots_and_inner_passes(torch, log):
    """Each pass counts for itself, also one inside another."""
    x, w = double_leaf(torch), double_leaf(torch)
    _register(torch, [x, w], noting(log, "all"))
    y = x * w

    def inner(grad):
        with torch.enable_grad():
            (x * 3).sum().backward()

    y.register_hook(inner)
    y.sum().backward()
