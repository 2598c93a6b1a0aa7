"""Hooks that see each node of the graph when it has just been made: `autograd.graph.node_creation_hook`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Node = Any  # any node: `minicnn.autograd.node` stands above this file


class _Watchers(threading.local):
    hooks: tuple[Callable, ...] = ()  # the outermost first
    running = False
    held: list[Node] | None = None  # nodes that are made, but may yet become a part of another one


watchers = _Watchers()


class node_creation_hook:
    """Inside, `hook(node)` is called for each node that is made, when it is complete: with its edges and what it has saved.

    For notes in `node.metadata`, or hooks on the node. Of several, the outermost is called first. A leaf's accumulator is
    seen when it is made, not when it is used again. What the hook raises, the operation raises; RuntimeError if it returns
    something, or makes a node.
    """

    __module__ = "minicnn.autograd.graph"

    def __init__(self, hook: Callable[[Node], None]) -> None:
        self.hook = hook

    def __enter__(self) -> None:
        if not callable(self.hook):
            raise TypeError(f"node_creation_hook: the hook must be callable, not {type(self.hook).__name__}")
        watchers.hooks = (*watchers.hooks, self.hook)

    def __exit__(self, *error: object) -> None:
        watchers.hooks = watchers.hooks[:-1]


def announce(node: Node) -> None:
    """Show a complete node to the hooks. To be asked for where `watchers.hooks` is not empty."""
    if watchers.running:
        raise RuntimeError(
            "Creating a new autograd node from inside a node creation hook is not supported. Node creation hooks should only "
            "observe the node (e.g. record it, stash metadata, or register backward hooks on it); got a new node of type "
            f"{node.name()} while a hook was running."
        )
    if watchers.held is not None:
        watchers.held.append(node)
        return
    watchers.running = True
    try:
        for hook in watchers.hooks:
            result = hook(node)
            if result is not None:
                raise RuntimeError(f"node creation hook must return None, got {type(result).__name__}")
    finally:
        watchers.running = False


@contextmanager
def held() -> Iterator[list[Node]]:
    """Inside, nodes are not shown, but collected in the list that this gives."""
    nodes: list[Node] = []
    watchers.held = nodes
    try:
        yield nodes
    finally:
        watchers.held = None
