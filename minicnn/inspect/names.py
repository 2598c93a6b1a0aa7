"""Modules by dotted name or pattern, and names that can be shown. Any object with `named_modules` will do."""

import difflib
import re
from collections.abc import Iterable
from typing import Any


def find_modules(model: Any, patterns: str | Iterable[str]) -> dict[str, Any]:
    """The modules that a name or pattern, or a list of them, selects: {dotted name: module}, in the model's order.

    In a pattern ``*`` stands for any one part of a dotted name or piece of one, ``**`` for any number of parts:
    ``features.*`` are the direct children of ``features``, ``layer1.**`` is everything below ``layer1``, ``**.conv1``
    every module called conv1. A name or pattern that selects nothing raises KeyError and lists the names near it.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    modules = dict(model.named_modules(remove_duplicate=False))
    selected: set[str] = set()
    for pattern in patterns:
        matches = [name for name in modules if _matches(name, pattern)]
        if not matches:
            raise KeyError(f"{type(model).__name__} has no module {pattern!r}. {near(pattern, modules)}")
        selected.update(matches)
    return {name: module for name, module in modules.items() if name in selected}


def names_of(modules: dict[str, Any]) -> dict[Any, list[str]]:
    """One entry a module object, with all its names: a shared module stands there once."""
    names: dict[Any, list[str]] = {}
    for name, module in modules.items():
        names.setdefault(module, []).append(name)
    return names


def near(name: str, known: Iterable[str]) -> str:
    """A sentence that names up to five known names near this one."""
    known = [candidate for candidate in known if candidate]
    lower = {candidate.lower(): candidate for candidate in known}
    close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0.5)]
    if close:
        return f"Near names: {', '.join(close)}."
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"Names: {listed}." if listed else "It has no named modules."


def printable(text: Any) -> str:
    """A text that does nothing to where it is shown: control characters, of a terminal or of the direction of writing, and pieces
    of a file name that is not UTF-8 become escapes such as \\u001b. Line ends stay."""
    unsafe = r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
    return re.sub(unsafe, lambda match: f"\\u{ord(match[0]):04x}", str(text))


def _matches(name: str, pattern: str) -> bool:
    pieces = re.split(r"(\*\*|\*)", pattern)
    expression = "".join({"*": r"[^.]*", "**": r".*"}.get(piece, re.escape(piece)) for piece in pieces)
    return re.fullmatch(expression, name) is not None and bool(name or not pattern)
