"""Dotted names for nodes: the scopes that the exporter kept, else the name of the weight, of the node, or of the operator."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from minicnn.nn import Module

Path = tuple[str, ...]
SCOPES = "pkg.torch.onnx.name_scopes"
WEIGHT = re.compile(r"(.+?)[./](weight|weight_quantized|kernel|w_0)(:0)?")
# What exporters write where they know of no scope: the operator with a number, or node_ before it.
NUMBERED = re.compile(r"(node_|p2o\.)?[A-Za-z0-9]*?[._]*\d*")
LONGEST = 200
RESERVED = ("inputs", "meta", "outputs", "training")  # what a network has


def dotted_names(nodes: Sequence[Any]) -> list[str]:
    """A name for each node, none twice and none a part of another's path.

    A scope that one node has alone is its name; where several share it, or it holds other scopes, the operator comes behind.
    """
    paths = [_scope(node) for node in nodes]
    if not any(
        node.name.startswith("/") or len(node.metadata_props) for node in nodes
    ):  # torch's scopes are the network's own
        start = _common_start(paths)
        paths = [path[start:] for path in paths]
    inner = {path[:i] for path in paths for i in range(len(path))}
    kinds: dict[Path, set[str]] = {}
    for node, path in zip(nodes, paths, strict=True):
        kinds.setdefault(path, set()).add(node.op_type)
    paths = [
        (*path, _word(node.op_type.lower())) if path in inner or len(kinds[path]) > 1 else path
        for node, path in zip(nodes, paths, strict=True)
    ]
    inner |= {path[:i] for path in paths for i in range(len(path))}
    taken, counts = set(), Counter[Path]()
    for i, path in enumerate(paths):
        name = path
        while name in taken or name in inner:
            counts[path] += 1
            name = (*path[:-1], f"{path[-1]}_{counts[path]}")
        taken.add(name)
        paths[i] = name
    return [".".join(path) for path in paths]


def _common_start(paths: Sequence[Path]) -> int:
    """How many scopes all nodes share, which say nothing: the network's own name."""
    shortest = min((len(path) for path in paths), default=0)
    start = 0
    while start < shortest - 1 and len({path[start] for path in paths}) == 1:
        start += 1
    return start


def _scope(node: Any) -> Path:
    weight = WEIGHT.fullmatch(node.input[1]) if len(node.input) > 1 else None
    kept = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), None)
    if weight and (
        "." in weight[1] or kept
    ):  # torch's own name of the module, also where a batch norm was folded into it
        return _path(weight[1])
    if kept is not None and (scopes := _listed(kept)):
        return _path(scopes[-2] if len(scopes) > 1 else "")
    name = node.name
    if NUMBERED.fullmatch(name):
        if weight:
            return _path(weight[1].replace("/", "."))
        if node.output and "/" in node.output[0]:
            name = node.output[0]
        else:
            return _path((name or node.op_type.lower()).replace(".", "_"))
    if "/" not in name:
        return _path(name)
    nested: list[str] = []
    for scope in name.strip("/").split("/")[
        :-1
    ]:  # /layer1/layer1.0/conv1/Conv: torch repeats the names of the scopes above
        if nested and scope.startswith(nested[-1] + "."):
            nested.pop()
        nested.append(scope)
    return _path(".".join(nested))


def _listed(text: str) -> list[str] | None:
    """The list of names that torch writes as Python does; None if it is something else."""
    try:
        names = ast.literal_eval(text) if len(text) < 10_000 else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _path(name: str) -> Path:
    return tuple(_word(part) for part in name[:LONGEST].split(".") if part)


def _word(part: str) -> str:
    """A part of a dotted name: without signs that mean something in the names of calls and units, and no name that a module has."""
    word = re.sub(r"[^\w-]", "_", part)
    word = f"n{word}" if word.startswith("_") else word
    return f"{word}_" if hasattr(Module, word) or word in RESERVED else word
