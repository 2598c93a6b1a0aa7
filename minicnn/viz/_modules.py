"""A network put into a state for looking at it and back; its modules and their calls by name, for all of viz and the atlas.

The rule for a module that a forward pass calls several times (one ``self.pool``, one ``self.relu``, tied convolutions): its
name means the first call, ``pool#2`` the second, and so on. In a pattern ``pool#*`` is every call, and an answer that lists
them names each with its number, or without one if there is but one. A module of two names has the calls of both.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from minicnn import Tensor, float32, no_grad, zeros
from minicnn.inspect.names import find_modules, named_modules, near
from minicnn.nn import Module

EVERY = 0  # in place of a call's number: all of them


class StopForward(Exception):
    """Raised inside a forward pass to end it when everything wanted has been computed; `capture` catches it."""


def find_calls(model: Module, patterns: str | Iterable[str]) -> dict[str, tuple[str, int]]:
    """What names or patterns, each with a call's number behind "#" or without, select: {name: (the module's dotted name, number)},
    in the model's order. KeyError with the near names for one that selects nothing."""
    order = list(named_modules(model))
    found: dict[str, tuple[str, int]] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        name, number = split_call(pattern, order)
        tail = pattern[len(name) :]
        found |= {module + tail: (module, 1 if number is None else number) for module in find_modules(model, name)}
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1][0]), item[1][1])))


def find_call(model: Module, name: str) -> tuple[str, int]:
    """(the module's dotted name, number of the call) of "pool" or "pool#2"; KeyError with the near names."""
    modules = named_modules(model)
    module, number = split_call(name, modules)
    if module not in modules or number == EVERY:
        raise KeyError(f"{type(model).__name__} has no module {name!r}. {near(module, modules)}")
    return module, number or 1


def find_module(model: Module, name: str) -> Module:
    """The module of a dotted name, with a call's number or without; KeyError with the near names if there is none."""
    return named_modules(model)[find_call(model, name)[0]]


def split_call(name: str, known: Iterable[str]) -> tuple[str, int | None]:
    """ "pool#2" -> ("pool", 2), "pool#*" -> ("pool", EVERY), "pool" -> ("pool", None). A module may be called "pool#2", too."""
    module, mark, number = name.rpartition("#")
    if not mark or name in known or not (number == "*" or (number.isdecimal() and int(number) > 0)):
        return name, None
    return module, EVERY if number == "*" else int(number)


def convolutions(model: Module) -> dict[str, Module]:
    """The modules whose weight has four dimensions, by name, in the model's order."""
    return {name: m for name, m in named_modules(model).items() if getattr(getattr(m, "weight", None), "ndim", 0) == 4}


def first_convolution(model: Module) -> tuple[str, Module] | None:
    """(name, module) of the convolution that a forward pass calls first; if that cannot be seen the one that is registered first."""
    found = convolutions(model)
    if len(found) < 2:
        return next(iter(found.items()), None)
    called = list(found.values())

    def stop(module: Module, args: tuple) -> None:
        called.insert(0, module)
        raise StopForward

    handles = [module.register_forward_pre_hook(stop) for module in found.values()]
    try:
        with frozen(model), no_grad():
            model(zeros(1, _inputs(called[0]), 64, 64, dtype=dtype_of(model)))
    except Exception:  # of the user's forward, before any convolution: then the order of the registration must do
        pass
    finally:
        for handle in handles:
            handle.remove()
    return next((name, module) for name, module in found.items() if module is called[0])


def input_channels(model: Module) -> int:
    """The input channels of the network: those of its first convolution; without one those that `model.meta` states, else 3."""
    first = first_convolution(model)
    if first is not None:
        return _inputs(first[1])
    size = stated(model, "input_size")
    return size[0] if isinstance(size, tuple | list) and len(size) == 3 else 3


def _inputs(module: Module) -> int:
    """Input channels of a convolution; its weight is (O, C / groups, KH, KW), of a transposed one (C, O / groups, KH, KW)."""
    if getattr(module, "transposed", False):
        return module.weight.shape[0]
    return module.weight.shape[1] * getattr(module, "groups", 1)


def stated(model: Module, what: str) -> Any:
    """What the network's `meta` states: "categories", "input_size", "architecture", ...; None if it does not."""
    return getattr(getattr(model, "meta", None), what, None)


def dtype_of(model: Module | None) -> Any:
    """The floating type that the network computes in: its first parameter's."""
    parameters = model.parameters() if model is not None else ()
    return next((parameter.dtype for parameter in parameters if parameter.dtype.is_floating_point), float32)


def run(model: Module, x: Tensor) -> Any:
    """model(x). Where the network cannot take such an input, the error says what went in, and which argument changes that."""
    try:
        return model(x)
    except RuntimeError as error:
        shape = ", ".join(map(str, x.shape))
        hint = "size= chooses another height and width (receptive_fields: shape=)"
        raise RuntimeError(f"{error}. The network was given ({shape}), (N, C, H, W): {hint}") from error


def choose_output(model: Module, *keys: int | str) -> Any:
    """From now on a network that returns a tuple, a list or a dict returns this part of it: `choose_output(model, "out")`.

    By a forward hook on the model, so that every function of viz and the atlas sees it; the handle that is returned takes it off
    (`handle.remove()`, or `with`). Several keys go deeper, one after the other.
    """

    def hook(module: Module, args: tuple, output: Any) -> Any:
        for key in keys:
            try:
                output = output[key]
            except (KeyError, IndexError, TypeError):
                raise ValueError(f"the network's output has no part {key!r}: it is {described(output)}") from None
        return output

    return model.register_forward_hook(hook)


def has_positions(output: Any) -> bool:
    """Whether it is maps (N, C, H, W) of more than one position."""
    return isinstance(output, Tensor) and output.dim() == 4 and output.shape[2] * output.shape[3] > 1


def described(output: Any) -> str:
    """A module's output in words: shapes, and how they are held together."""
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, dict):
        return "a dict of " + ", ".join(f"{key!r}: {described(value)}" for key, value in output.items())
    if isinstance(output, tuple | list):
        return f"a {type(output).__name__} of " + ", ".join(map(described, output))
    return type(output).__name__


def part_hint(output: Any) -> str:
    """How to choose a part of an output that is no tensor; "" if it is one, or has none."""
    if not isinstance(output, tuple | list | dict) or not output:
        return ""
    key = next(iter(output)) if isinstance(output, dict) else 0
    return f"; viz.choose_output(model, {key!r}) makes the network return one part of it"


@contextmanager
def frozen(model: Module) -> Iterator[None]:
    """In the block the network is in eval mode and its parameters ask for no gradient; afterwards all is as before.

    Eval mode, because a picture must not depend on dropout or on the other images of a batch; no gradients for the
    parameters, because only the image's is wanted: that saves a third of the work and leaves every ``.grad`` alone.
    """
    training = [(module, module.training) for module in model.modules()]
    requires = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for module, _ in training:  # not `eval()`: what a module of the user's does there could not be put back
            module.training = False
        for parameter, _ in requires:
            parameter.requires_grad = False
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, flag in requires:
            parameter.requires_grad = flag
