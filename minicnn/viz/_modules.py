"""Modules by dotted name or pattern, and a network put into a state for looking at it and back."""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from minicnn import Tensor
from minicnn.nn import Module


def named_modules(model: Module) -> dict[str, Module]:
    """Every dotted name of every module; a module that is registered under two names has both, '' is the model."""
    return dict(model.named_modules(remove_duplicate=False))


def find_modules(model: Module, patterns: str | Iterable[str]) -> dict[str, Module]:
    """The modules that a name or pattern, or a list of them, selects: {dotted name: module}, in the model's order.

    In a pattern ``*`` stands for any one part of a dotted name or piece of one, ``**`` for any number of parts:
    ``features.*`` are the direct children of ``features``, ``layer1.**`` is everything below ``layer1``, ``**.conv1``
    every module called conv1. A name or pattern that selects nothing raises KeyError and lists the names near it.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    modules = named_modules(model)
    selected: set[str] = set()
    for pattern in patterns:
        matches = [name for name in modules if _matches(name, pattern)]
        if not matches:
            raise KeyError(f"{type(model).__name__} has no module {pattern!r}. {near(pattern, modules)}")
        selected.update(matches)
    return {name: module for name, module in modules.items() if name in selected}


def find_module(model: Module, name: str) -> Module:
    """The one module of this dotted name; KeyError with the near names if there is none."""
    modules = named_modules(model)
    if name not in modules:
        raise KeyError(f"{type(model).__name__} has no module {name!r}. {near(name, modules)}")
    return modules[name]


def near(name: str, known: Iterable[str]) -> str:
    """A sentence that names up to five known names near this one."""
    known = [candidate for candidate in known if candidate]
    lower = {candidate.lower(): candidate for candidate in known}
    close = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0.5)]
    if close:
        return f"Near names: {', '.join(close)}."
    listed = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"Names: {listed}." if listed else "It has no named modules."


def _matches(name: str, pattern: str) -> bool:
    pieces = re.split(r"(\*\*|\*)", pattern)
    expression = "".join({"*": r"[^.]*", "**": r".*"}.get(piece, re.escape(piece)) for piece in pieces)
    return re.fullmatch(expression, name) is not None and bool(name or not pattern)


def input_channels(model: Module) -> int:
    """The input channels of the network: those of the first convolution's weight (O, C / groups, KH, KW)."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() == 4:
            return weight.shape[1] * getattr(module, "groups", 1)
    return 3


@contextmanager
def still(model: Module) -> Iterator[None]:
    """In the block the network is in eval mode and its parameters ask for no gradient; afterwards all is as before.

    Eval mode, because a picture must not depend on dropout or on the other images of a batch; no gradients for the
    parameters, because only the image's is wanted: that saves a third of the work and leaves every ``.grad`` alone.
    """
    training = [(module, module.training) for module in model.modules()]
    requires = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _ in requires:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, flag in requires:
            parameter.requires_grad_(flag)
