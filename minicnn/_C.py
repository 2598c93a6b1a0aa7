"""What scripts about hooks ask PyTorch's C++ part for, under the names that it has there."""

from __future__ import annotations

from minicnn.autograd import engine
from minicnn.autograd.grad_mode import multithreading
from minicnn.autograd.node import Node


def _current_graph_task_id() -> int:
    """The number of the backward pass that runs in this thread; -1 outside of one. A pass inside has its own."""
    task = engine.current_task()
    return -1 if task is None else task.id


def _current_autograd_node() -> Node | None:
    """The node whose turn it is, with its hooks, in this thread's backward pass; None outside of one."""
    task = engine.current_task()
    return None if task is None else task.node


def _will_engine_execute_node(node: Node) -> bool:
    """Whether this node runs, or will run, in the present backward pass. RuntimeError outside of one, for what is no node,
    and for a leaf that `autograd.grad` asks for."""
    if not isinstance(node, Node):
        raise RuntimeError(f"_will_engine_execute_node expects an grad_fn, but got {type(node).__name__}")
    task = engine.current_task()
    if task is None:
        raise RuntimeError("_get_should_execute_nodes should only be called during the backward pass")
    return task.will_execute(node)


def _is_multithreading_enabled() -> bool:
    """What `autograd.set_multithreading_enabled` has set for this thread."""
    return multithreading.enabled
