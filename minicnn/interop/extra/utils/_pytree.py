"""Tuples, lists and dicts as trees of what is in them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass
class TreeSpec:
    """The shape of a tree: the type of a container, None for what is none; a dict's keys; what is in it."""

    type: Any
    context: Any
    children_specs: list[TreeSpec]

    @property
    def num_leaves(self) -> int:
        """How many leaves the tree has."""
        return 1 if self.type is None else sum(child.num_leaves for child in self.children_specs)


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """(what is in it, its shape)."""
    keys: Any = None
    if is_leaf is not None and is_leaf(tree):
        return [tree], TreeSpec(None, None, [])
    if type(tree) in (dict, OrderedDict):
        keys, parts = list(tree), list(tree.values())
    elif type(tree) in (list, tuple) or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        parts = list(tree)
    else:
        return [tree], TreeSpec(None, None, [])
    flat = [tree_flatten(part, is_leaf) for part in parts]
    return [leaf for leaves, _ in flat for leaf in leaves], TreeSpec(type(tree), keys, [spec for _, spec in flat])


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree of this shape with these leaves. ValueError if their number is another."""
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(f"tree_unflatten: the tree has {treespec.num_leaves} leaves, {len(leaves)} were given")
    if treespec.type is None:
        return leaves[0]
    parts, start = [], 0
    for child in treespec.children_specs:
        parts.append(tree_unflatten(leaves[start : start + child.num_leaves], child))
        start += child.num_leaves
    if treespec.context is not None:
        return treespec.type(zip(treespec.context, parts, strict=True))
    return treespec.type(*parts) if hasattr(treespec.type, "_fields") else treespec.type(parts)


def tree_map(func: Callable, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """The tree with `func` of each leaf."""
    leaves, spec = tree_flatten(tree, is_leaf)
    return tree_unflatten([func(leaf) for leaf in leaves], spec)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """What is in it."""
    return tree_flatten(tree, is_leaf)[0]
