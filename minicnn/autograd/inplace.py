"""Writing into a tensor that autograd follows.

A write gives the tensor a new place in the graph and raises the version of its memory, which its views share. A write
to a view changes the base as well: the base's new node, `CopySlices`, passes the gradient of the written part through
the operation and the rest around it; the view's own `grad_fn` is then made afresh from the base (`AsStrided`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn._types import CATEGORY, short_name
from minicnn.autograd import creation, grad_mode
from minicnn.autograd.node import Node, saved_hooks, strip_backward

Tensor = Any  # `minicnn.Tensor` stands above this file
strided: Any = None  # so does `minicnn.autograd.strided`, which makes the nodes of views

_ADVICE = {  # what made the view -> why it must not be written, and what to do
    "custom": "This view was created inside a custom Function (or because an input was returned as-is) and the autograd "
    "logic to handle view+inplace would override the custom backward associated with the custom Function, leading to "
    "incorrect gradients. This behavior is forbidden. You can fix this by cloning the output of the custom Function.",
    "multi": "This view is the output of a function that returns multiple views. Such functions do not allow the output "
    "views to be modified inplace. You should replace the inplace operation by an out-of-place one.",
} | {
    name: "Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving both "
    f"the view and the inplace either both inside the {name} block (if you don't want the inplace to be tracked) or both "
    "outside (if you want the inplace to be tracked)."
    for name in ("no_grad", "inference_mode")
}


def refuse(view: Tensor, what: str = "is being") -> None:
    """Raise the RuntimeError that says why this view must not be written."""
    origin, node = view._view_origin, view._grad_fn
    made_by = "" if node is None else f"Output {view._output_nr} of {strip_backward(node)} is a view"
    if node is None or origin in ("no_grad", "inference_mode"):
        made_by = f"{made_by} of a view which was" if made_by else "A view was"
        modes = ("inference", "in normal mode") if origin == "inference_mode" else ("no_grad", "with grad mode enabled")
        happened = f" created in {modes[0]} mode and {what} modified inplace {modes[1]}."
    else:
        happened = f" and {what} modified inplace."
    raise RuntimeError(f"{made_by}{happened} {_ADVICE[origin]}")


def check(tensor: Tensor, recorded: bool = False) -> None:
    """RuntimeError if this tensor must not be written in place now, by something that requires grad if `recorded`."""
    grad_mode.need_writable(tensor)
    if not grad_mode.mode.enabled:
        return
    if tensor._base is not None:
        requires_grad = tensor.requires_grad
        if tensor._view_origin is not None and (requires_grad or recorded):
            refuse(tensor)
        if requires_grad and tensor._base._grad_fn is None:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    elif tensor._requires_grad and tensor._grad_fn is None:
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")


def written(tensor: Tensor, node: Node | None, output_nr: int = 0) -> Tensor:
    """Tell autograd that `tensor` has been written: by `node`, or outside of the graph if that is None."""
    counter = tensor._version_counter
    counter.value += 1
    if node is None:
        return tensor
    if tensor._base is not None:
        base = tensor._base
        copied = strided.CopySlices(base, tensor, node)
        counter.writer = strip_backward(copied)
        _move(base, copied, 0)
        refresh_view(tensor)
        if creation.watchers.hooks:
            creation.announce(copied)
    else:
        counter.writer = strip_backward(node)
        _move(tensor, node, output_nr)
    return tensor


def reseat(tensor: Tensor, view: Tensor) -> Tensor:
    """Let `tensor` become what this view of it is: another shape over the same memory, which is not written.

    So a base of `tensor` stays where it is in the graph, and hooks set so far stay with the old shape's gradient.
    """
    tensor.array = view.array
    tensor._version_counter.value += 1
    if view._grad_fn is not None:
        tensor._grad_fn, tensor._output_nr = view._grad_fn, view._output_nr
        tensor._view_version = tensor._version_counter.value
        tensor._version_counter.writer = strip_backward(view._grad_fn)
    return tensor


def _move(tensor: Tensor, node: Node, output_nr: int) -> None:
    """Give the tensor its new node. Hooks set so far stay with the old one; `retain_grad` goes along."""
    retained = tensor._retained_by
    if retained is not None:
        retained._retains_grad.pop(tensor._output_nr, None)
    tensor._grad_fn, tensor._output_nr = node, output_nr
    tensor._backward_hooks = None
    tensor._retained_by = None
    tensor._view_version = tensor._version_counter.value  # after the node: another thread may ask for it now
    if retained is not None:
        tensor.retain_grad()


def refresh_view(view: Tensor) -> None:
    """The base was written: make the view's grad_fn anew, from the base."""
    node = strided.view_node(view._base, view)
    _move(view, node, 0)
    if creation.watchers.hooks:
        creation.announce(node)


def overlaps(array: np.ndarray) -> bool:
    return array.size > 0 and any(
        stride == 0 and length > 1 for stride, length in zip(array.strides, array.shape, strict=True)
    )


def result_for(tensor: Tensor, function: Callable, *args: Any, **kwargs: Any) -> Tensor:
    """`function(tensor, ...)`, which is about to be written into `tensor`: into a view, as a part of `CopySlices`."""
    given = before_write(tensor)
    if not saved_hooks.stack and (tensor._base is None or not creation.watchers.hooks):
        return function(given, *args, **kwargs)
    with contextlib.ExitStack() as stack:
        nodes = stack.enter_context(creation.held()) if tensor._base is not None and creation.watchers.hooks else ()
        saved = stack.enter_context(_held()) if saved_hooks.stack else ()
        result = function(given, *args, **kwargs)
    for node in nodes:
        if node is not result._grad_fn:
            creation.announce(node)
    for kept, output in saved:
        if not any(kept is other for other in getattr(result._grad_fn, "_saved", None) or ()):
            kept.pack(output)
    return result


@contextlib.contextmanager
def _held() -> Iterator[list]:
    """Outputs that are saved inside are listed, not packed: `assign` packs what is then the written tensor itself."""
    previous, saved_hooks.held = saved_hooks.held, []
    try:
        yield saved_hooks.held
    finally:
        saved_hooks.held = previous


def before_write(tensor: Tensor) -> Tensor:
    """What an operation reads that is about to write into `tensor`: itself, or a copy that a pack hook can keep."""
    if not saved_hooks.stack:
        return tensor
    copy = tensor.wrap(tensor.array.copy("K"))
    copy._grad_fn, copy._output_nr = tensor.gradient_edge()
    return copy


def assign(tensor: Tensor, result: Tensor, constant: bool = False) -> Tensor:
    """Write into `tensor` what an operation made of it, and take over the operation's place in the graph.

    RuntimeError if the result's shape is another one, its type of a higher category, or if several elements of
    `tensor` are one memory location (after `expand`), unless all elements become one `constant`.
    """
    if result is tensor:
        return tensor
    to, new = tensor.array, result.array
    if new.shape != to.shape:
        raise RuntimeError(f"output with shape {list(to.shape)} doesn't match the broadcast shape {list(new.shape)}")
    if CATEGORY[new.dtype.kind] > CATEGORY[to.dtype.kind]:
        source, target = (short_name(t.dtype) for t in (result, tensor))
        raise RuntimeError(f"result type {source} can't be cast to the desired output type {target}")
    if overlaps(to) and not constant:
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            "Please clone() the tensor before performing the operation."
        )
    node = result._grad_fn
    if node is not None and tensor._view_origin is not None:
        check(tensor, recorded=True)
    saved = getattr(node, "_saved", None) or ()
    # What an operation needs of its first argument it saves first, and it needs it as it was before this write. The same
    # memory as another argument must not be written, which is noticed in the backward pass.
    if saved and saved[0] is not None and not saved[0].is_output and saved[0]._array is to:
        saved[0].keep_copy()
    if new is not to:
        np.copyto(to, new, casting="unsafe")
    written(tensor, node, result._output_nr)
    for kept in saved:
        if kept is None or not kept.is_output:
            continue
        if kept._array is new:
            kept.moved_to(tensor)
        if saved_hooks.stack and kept._unpack is None:
            kept.pack(tensor)
    return tensor
