"""`torch.autograd.graph`: nodes, hooks on what they save, and hooks on several tensors of one pass."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn.autograd import engine
from minicnn.autograd.creation import node_creation_hook
from minicnn.autograd.handles import RemovableHandle
from minicnn.autograd.node import GradientEdge, Node, disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks

__all__ = [
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "node_creation_hook",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class _MultiHandle(RemovableHandle):
    """The handle of `register_multi_grad_hook`: removes the hook from all its tensors."""

    handles: tuple[RemovableHandle, ...]

    def __init__(self, handles: tuple[RemovableHandle, ...]) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __getstate__(self) -> tuple[RemovableHandle, ...]:
        return self.handles

    def __setstate__(self, state: tuple[RemovableHandle, ...]) -> None:
        self.handles = state


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` enters the graph. RuntimeError if it does not require grad."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    node, output_nr = tensor.gradient_edge()
    assert node is not None, "Expected gradient function to be set"
    return GradientEdge(node, output_nr)


def register_multi_grad_hook(tensors: Iterable[Tensor], fn: Callable, *, mode: str = "all") -> RemovableHandle:
    """Calls `fn` once in a backward pass: with the list of all gradients when the last one is there ("all"; None for
    tensors that get none), or with the first gradient that arrives ("any")."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    tensors = tuple(tensors)
    return _register_all(tensors, fn) if mode == "all" else _register_any(tensors, fn)


def _register_all(tensors: tuple[Tensor, ...], fn: Callable) -> RemovableHandle:
    lock = threading.Lock()
    counts: dict[int, int] = {}
    expected: dict[int, int] = {}
    buffers: dict[int, list] = {}
    nodes = [tensor.gradient_edge()[0] for tensor in tensors]
    if since(2, 5):  # before, `register_hook` below refused a tensor that does not require grad
        assert all(node is not None for node in nodes), "Expected gradient function to be set"

    def inner_hook(index: int) -> Callable:
        def hook(grad):
            task = engine.current_task()
            assert task is not None, "expected this hook to be called inside a backward call"
            with lock:
                if task.id not in counts:
                    counts[task.id] = 0
                    expected[task.id] = sum(task.will_execute(node) for node in nodes)
                    buffers[task.id] = [None] * len(tensors)
                buffers[task.id][index] = grad
                counts[task.id] += 1
                if counts[task.id] < expected[task.id]:
                    return
                del counts[task.id], expected[task.id]
                gradients = buffers.pop(task.id)
            fn(gradients)

        return hook

    return _MultiHandle(tuple(tensor.register_hook(inner_hook(i)) for i, tensor in enumerate(tensors)))


def _register_any(tensors: tuple[Tensor, ...], fn: Callable) -> RemovableHandle:
    lock = threading.Lock()
    ran_in: set[int] = set()

    def hook(grad):
        task = engine.current_task()
        assert task is not None, "expected this hook to be called inside a backward call"
        with lock:
            if task.id in ran_in:
                return
            ran_in.add(task.id)
        fn(grad)

    return _MultiHandle(tuple(tensor.register_hook(hook) for tensor in tensors if tensor.requires_grad))
