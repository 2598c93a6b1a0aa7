"""`swap_tensors`: two tensors exchange all that they are but their identity."""

from __future__ import annotations

import weakref

from minicnn._tensor import Tensor

POISONED = (
    "Trying to execute AccumulateGrad node that was poisoned by swap_tensors this can happen when you try to run backward on a "
    "tensor that was swapped. For a module m with `torch.__future__.set_swap_module_params_on_conversion(True)` you should "
    "not change the device or dtype of the module (e.g. `m.cpu()` or `m.half()`) between running forward and backward. To "
    "resolve this, please only change the device/dtype before running forward (or after both forward and backward)."
)


def swap_tensors(t1: Tensor, t2: Tensor) -> None:
    """Exchange numbers, class, gradient, hooks and attributes of two tensors: whoever holds `t1` has from now on what `t2` was.

    RuntimeError if somebody holds a weak reference to one of them, and in the backward pass of a graph in which one of
    them is a leaf.
    """
    for name, tensor in (("t1", t1), ("t2", t2)):
        if weakref.getweakrefs(tensor):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    for tensor in (t1, t2):
        if tensor._accumulator is not None and (node := tensor._accumulator()) is not None:  # a graph ends in it
            node.register_prehook(_refuse)
            tensor._version_counter.value += 1  # what the graph has saved of it is not there any more
    t1.__class__, t2.__class__ = t2.__class__, t1.__class__
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__


def _refuse(grads: tuple) -> None:
    raise RuntimeError(POISONED)
