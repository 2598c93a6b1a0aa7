"""Functions of a file's own: each call is replaced by the nodes of its body."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from minicnn.serialization import WeightsError

MOST_NODES = 200_000  # of a file whose functions are written out
DEEPEST = 50  # calls of functions in functions
Key = tuple[str, str]  # domain and name


def written_out(nodes: Sequence[Any], functions: Sequence[Any], opset: int) -> list[Any]:
    """The nodes without calls of functions. WeightsError if a function calls itself, or they would become too many."""
    bodies: dict[Key, Any] = {(function.domain, function.name): function for function in functions}
    for function in functions:
        other = [entry.version for entry in function.opset_import if not entry.domain and entry.version != opset]
        if other:
            raise WeightsError(f"its function {function.name!r:.80} is of opset {other[0]}, and the file of {opset}")
    if bodies and _count(nodes, bodies, {}, 0) > MOST_NODES:
        raise WeightsError(f"with its functions written out it has more than {MOST_NODES:,} nodes")
    return [inner for i, node in enumerate(nodes) for inner in _expanded(node, bodies, str(i))]


def _count(nodes: Iterable[Any], bodies: dict[Key, Any], known: dict[Key, int], depth: int) -> int:
    """How many nodes these are, with the bodies of the functions that they call."""
    total = 0
    for node in nodes:
        key = (node.domain, node.op_type)
        if key in bodies and key not in known:
            if depth == DEEPEST:
                raise WeightsError(f"its function {key[1]!r:.80} calls itself, or {DEEPEST} functions call each other")
            known[key] = _count(bodies[key].node, bodies, known, depth + 1)
        total += known.get(key, 1)
    return total


def _expanded(node: Any, bodies: dict[Key, Any], name: str) -> list[Any]:
    """A node, or, if it is a call, what it stands for."""
    body = bodies.get((node.domain, node.op_type))
    if body is None:
        return [node]
    values = dict(zip(body.input, [*node.input, *[""] * len(body.input)], strict=False))
    values |= dict(zip(body.output, [*node.output, *[""] * len(body.output)], strict=False))
    given = {entry.name: entry for entry in (*body.attribute_proto, *node.attribute)}
    scope = f"{node.name or node.op_type}.{name}"
    found: list[Any] = []
    for i, inner in enumerate(body.node):
        copy = type(node)(op_type=inner.op_type, domain=inner.domain, name=f"{scope}.{inner.name or inner.op_type}")
        copy.input[:] = [values.setdefault(value, f"{scope}.{value}") if value else "" for value in inner.input]
        copy.output[:] = [values.setdefault(value, f"{scope}.{value}") if value else "" for value in inner.output]
        for entry in inner.attribute:
            if not entry.ref_attr_name:
                copy.attribute.append(entry)
            elif entry.ref_attr_name in given:  # the value that the call gives it
                copy.attribute.append(given[entry.ref_attr_name])
                copy.attribute[-1].name = entry.name
        found += _expanded(copy, bodies, str(i))
    return found
