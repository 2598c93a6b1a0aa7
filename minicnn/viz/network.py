"""A network under observation: its modules and their calls by name, its state while it is looked at, what it computes on the way.

    with capture(model, ["features.0", "classifier"]) as maps:
        model(x)
    maps["features.0"]          # Tensor (N, C, H, W), a copy

The three faults of a hand-written hook, and where each is cured here: the graph kept alive (`detach`), the stored tensor
changed afterwards by an in-place ReLU (`copy`), the hook left behind (`with`: removed at the end, after an error too).

The rule for a module that a forward pass calls several times (one ``self.pool``, one ``self.relu``, tied convolutions): its
name means the first call, ``pool#2`` the second, and so on. In a pattern ``pool#*`` is every call, and an answer that lists
them names each with its number, or without one if there is but one. A module of two names has the calls of both.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from minicnn import Tensor, enable_grad, float32, no_grad, tensor, zeros
from minicnn.inspect.names import find_modules, near
from minicnn.models import imagenet_classes
from minicnn.nn import Module

ASSUMED_NAMES = "nothing names the 1000 classes: ImageNet's names are assumed"
EVERY = 0  # in place of a call's number: all of them


class StopForward(Exception):
    """Raised inside a forward pass to end it when everything wanted has been computed; `capture` catches it."""


def find_calls(model: Module, patterns: str | Iterable[str]) -> dict[str, tuple[str, int]]:
    """What names or patterns, each with a call's number behind "#" or without, select: {name: (the module's dotted name, number)},
    in the model's order. KeyError with the near names for one that selects nothing."""
    order = [name for name, _ in model.named_modules(remove_duplicate=False)]
    found: dict[str, tuple[str, int]] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        name, number = split_call(pattern, order)
        for module in [name] if name in order else find_modules(model, name):
            found[module + pattern[len(name) :]] = module, number
    return dict(sorted(found.items(), key=lambda item: (order.index(item[1][0]), item[1][1])))


def find_call(model: Module, name: str) -> tuple[str, int]:
    """(the module's dotted name, number of the call) of "pool" or "pool#2"; KeyError with the near names."""
    modules = dict(model.named_modules(remove_duplicate=False))
    module, number = split_call(name, modules)
    if module not in modules or number == EVERY:
        raise KeyError(f"{type(model).__name__} has no module {name!r}. {near(module, modules)}")
    return module, number


def find_module(model: Module, name: str) -> Module:
    """The module of a dotted name, with a call's number or without; KeyError with the near names if there is none."""
    return dict(model.named_modules(remove_duplicate=False))[find_call(model, name)[0]]


def split_call(name: str, known: Iterable[str]) -> tuple[str, int]:
    """ "pool#2" -> ("pool", 2), "pool#*" -> ("pool", EVERY), "pool" -> ("pool", 1). A module may be called "pool#2", too."""
    if "#" not in name or name in known:
        return name, 1
    module, _, number = name.rpartition("#")
    if number == "*":
        return module, EVERY
    return (module, int(number)) if number.isdecimal() and int(number) > 0 else (name, 1)


# --- what it is ------------------------------------------------------------------------------------------------------


def convolutions(model: Module) -> dict[str, Module]:
    """The modules whose weight has four dimensions, by name, in the model's order."""
    modules = model.named_modules(remove_duplicate=False)
    return {name: module for name, module in modules if getattr(getattr(module, "weight", None), "ndim", 0) == 4}


def first_convolution(model: Module) -> tuple[str, Module] | None:
    """(name, module) of the convolution that a forward pass calls first; if that cannot be seen the one that is registered first."""
    found = convolutions(model)
    name = _called_first(model, found) if len(found) > 1 else next(iter(found), None)
    return None if name is None else (name, found[name])


def _called_first(model: Module, found: dict[str, Module]) -> str:
    called = list(found)

    def stop(name: str) -> None:
        called.insert(0, name)
        raise StopForward

    # Before the call, not after it: a convolution that takes other images than the first one that is registered fails.
    hooks = {name: lambda module, args, name=name: stop(name) for name in found}
    handles = [module.register_forward_pre_hook(hooks[name]) for name, module in found.items()]
    try:
        with frozen(model), no_grad():
            model(zeros(1, _inputs(found[called[0]]), 64, 64, dtype=dtype_of(model)))
    except Exception:  # of the user's forward, before any convolution: then the order of the registration must do
        pass
    finally:
        for handle in handles:
            handle.remove()
    return called[0]


def input_channels(model: Module) -> int:
    """The input channels of the network: those of its first convolution; without one those that `model.meta` states, else 3."""
    found, size = convolutions(model), stated(model, "input_size")
    channels = size[0] if isinstance(size, tuple | list) and len(size) == 3 else 3
    if not found or (size and _inputs(next(iter(found.values()))) == channels):
        return channels  # where the two agree no forward pass has to tell what is called first
    return _inputs(found[_called_first(model, found)])


def _inputs(module: Module) -> int:
    """Input channels of a convolution; its weight is (O, C / groups, KH, KW), of a transposed one (C, O / groups, KH, KW)."""
    if getattr(module, "transposed", False):
        return module.weight.shape[0]
    return module.weight.shape[1] * getattr(module, "groups", 1)


def stated(model: Module | None, what: str) -> Any:
    """What the network's `meta` states: "categories", "input_size", "architecture", ...; None if it does not."""
    return getattr(getattr(model, "meta", None), what, None)


def class_names(model: Module, outputs: int | None = None) -> tuple[str, ...]:
    """The names of so many classes, as `model.meta.categories` states them; if nothing states any, ImageNet's for 1,000. Else ().

    A warning says that ImageNet's are assumed, or that there are names for another number of classes.
    outputs: if nobody has seen the output, those of the weight that is registered last are meant.
    """
    names = tuple(stated(model, "categories") or ())
    if outputs is None:
        weights = [parameter for parameter in model.parameters() if parameter.dim() in (2, 4)]
        outputs = len(names) or (len(weights[-1]) if weights else 0)
    if not names and outputs == 1000:
        warnings.warn(f"{ASSUMED_NAMES} (model.meta.categories states others)", stacklevel=1)  # once, whoever asks
        return tuple(imagenet_classes())
    if len(names) not in (0, outputs):
        warnings.warn(f"{len(names)} names for {outputs} classes: they are not used", stacklevel=1)
    return names if len(names) == outputs else ()


def dtype_of(model: Module | None) -> Any:
    """The floating type that the network computes in: its first parameter's."""
    parameters = model.parameters() if model is not None else ()
    return next((parameter.dtype for parameter in parameters if parameter.dtype.is_floating_point), float32)


class Statistics(NamedTuple):
    """The mean and standard deviation of each input channel that a network was trained with, for pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    order: str = "rgb"
    """Of the channels as they enter, and of mean and std: pictures are always red, green, blue."""

    def __str__(self) -> str:
        order = "" if self.order == "rgb" else "channels in the order blue, green, red; "
        if set(self.mean) == {0.0} and set(self.std) == {1.0}:
            return f"{order}pixels as they are"
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return f"{order}mean {mean}; std {std}"


def statistics(
    model: Module | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    *,
    channels: int = 3,
) -> Statistics:
    """Mean and std of each input channel: those given, else those of `model.meta`, else 0 and 1 (pixels as they are).

    A number is that of every channel. If `model.meta` states another number of channels than there are (ImageNet's three for a
    network of grey images), every channel has the average of what is stated.
    """
    chosen = []
    for name, given, fallback in (("mean", mean, 0.0), ("std", std, 1.0)):
        known = (value for value in (given, stated(model, name), fallback) if value is not None)
        values = np.asarray(next(known), np.float64)
        if given is None and values.shape != (channels,):
            values = values.mean()
        if values.shape not in ((), (channels,)):
            raise ValueError(f"the input has {channels} channels, but {name}= {values.size} values")
        chosen.append(tuple(np.broadcast_to(values, channels).tolist()))
    if min(chosen[1]) <= 0:
        raise ValueError(f"std must be positive, got {chosen[1]}")
    order = stated(model, "channels_order") or "rgb"
    if order not in ("rgb", "bgr"):
        raise ValueError(f"the order of the channels is 'rgb' or 'bgr', not {order!r}")
    return Statistics(chosen[0], chosen[1], order if channels == 3 else "rgb")


def input_size(model: Module | None, default: int = 224) -> int:
    """The side in pixels of the images that the network was trained with, from `model.meta`; `default` if it is not there."""
    size = stated(model, "input_size")
    if size is None:
        return default
    return int(size[-1]) if isinstance(size, Sequence) else int(size)


def entrance(
    model: Module,
    size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> str:
    """How images enter the network, and who says so: "64 × 64 pixels, mean 0.48, ..; std 0.23, ..: as mine.pth states".

    size, mean, std: those that are given in place of what `model.meta` states.
    """
    side, stats = size or input_size(model), statistics(model, mean, std, channels=input_channels(model))
    return f"{side} × {side} pixels, {stats}: {source(model, size=size, mean=mean, std=std)}"


def source(model: Module, **given: Any) -> str:
    """Who says how images enter: "mean as given; the rest as mine.pth states". given: what was, each None if it was not."""
    known = "as model.meta states" if hasattr(model, "meta") else "nothing states others"
    return as_given([name for name, value in given.items() if value is not None], stated(model, "source") or known)


def as_given(names: Sequence[str], otherwise: str) -> str:
    """A `ModelMeta.source`, where somebody gave what these names mean."""
    return f"{', '.join(names)} as given; the rest {otherwise}" if names else otherwise


def normalize(pixels: Tensor, stats: Statistics, dtype: Any = float32) -> Tensor:
    """(N, C, H, W) pixels in [0, 1] -> (pixels - mean) / std, what the network was trained with. The one place for it."""
    mean, std = (tensor(np.array(values).reshape(1, -1, 1, 1), dtype=dtype) for values in (stats.mean, stats.std))
    pixels = pixels if stats.order == "rgb" else pixels.flip(1)
    return ((pixels if pixels.dtype is dtype else pixels.to(dtype)) - mean) / std


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


# --- its state -------------------------------------------------------------------------------------------------------


@contextmanager
def frozen(model: Module) -> Iterator[None]:
    """In the block the network is in eval mode and its parameters ask for no gradient; afterwards all is as before.

    Eval mode, because a picture must not depend on dropout or on the other images of a batch; no gradients for the
    parameters, because only the image's is wanted: that saves a third of the work and leaves every ``.grad`` alone.
    """
    # Not by `eval()`: what a module of the user's does there could not be put back.
    before: list[tuple[Any, str, bool]] = [(module, "training", module.training) for module in model.modules()]
    before += [(parameter, "requires_grad", parameter.requires_grad) for parameter in model.parameters()]
    try:
        for owner, flag, _ in before:
            setattr(owner, flag, False)
        yield
    finally:
        for owner, flag, value in before:
            setattr(owner, flag, value)


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


# --- what it computes on the way -------------------------------------------------------------------------------------


class capture(Mapping):
    """Context manager and dict: {name: what the module returned}, filled by the forward passes in its block.

    Args:
        model: any `Module`.
        names: a dotted name, a pattern, or a list of them (`features.*`: the direct children, `layer1.**`: all below;
            '' is the model itself). A name that selects nothing raises KeyError and lists the near ones.
        copy: store a copy, which nothing can change later (default). With False the stored tensor shares its memory
            with the network's own: cheaper, and an in-place layer that follows rewrites it. With None the output that ends a pass
            (`stop`) is not copied: nothing follows that could.
        detach: cut the stored tensor off the graph (default). With False a gradient can flow through it, and the
            whole graph lives as long as this object.
        stop: end the forward pass as soon as all that is named has been called. The pass raises, so the lines of
            the block after it are skipped; the `with` statement catches the exception.
        keep: what is stored in place of an output: keep("relu#2", output), called inside of the hook, so that no map need
            outlive it. `copy` and `detach` then mean nothing.
        one_pass: the block is one call of the model: no hook on the model has to tell one pass from the next.

    A module that one forward pass calls several times (one ReLU object used twice): `maps["relu"]` is its first call,
    `maps["relu#2"]` the second. So it is in all of viz. `capture(model, "relu#2")` keeps that one alone, and the pattern
    "relu#*" lists every call: "relu#1", "relu#2", or "relu" if there is but one. After several passes they are those of the
    latest; `maps.calls("relu")` has all outputs of all passes.
    Outputs that are tuples, lists or dicts keep their structure; the tensors in them are treated as above, everything else is
    stored as it is. The order of the names is the order of the calls. After the block the values stay, the hooks are gone.
    """

    def __init__(
        self,
        model: Module,
        names: str | Iterable[str],
        *,
        copy: bool | None = True,
        detach: bool = True,
        stop: bool = False,
        keep: Callable[[str, Any], Any] | None = None,
        one_pass: bool = False,
    ) -> None:
        self._model, self._known = model, dict(model.named_modules(remove_duplicate=False))
        self._watched = find_calls(model, names)
        self._keep, self._copy, self._detach, self._stop = keep, copy, detach, stop
        self._one_pass = one_pass
        self._handles: list[Any] = []
        self.clear()

    def __enter__(self) -> "capture":
        if self._handles:
            raise RuntimeError("this capture is already in use: make one for each `with`")
        self._running = Counter[str]()  # how often this pass has called each module
        self._depth = int(self._one_pass)  # calls of the model that run now
        for name in dict.fromkeys(module for module, _ in self._watched.values()):
            self._handles.append(self._known[name].register_forward_hook(partial(self._called, name)))
        if not self._one_pass:
            self._handles.append(self._model.register_forward_pre_hook(self._begin))
            self._handles.append(self._model.register_forward_hook(self._end, always_call=True))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> bool:
        self.remove()
        return isinstance(error, StopForward) and error.args == (id(self),)

    def remove(self) -> None:
        """Take the hooks off the network; the captured values stay."""
        while self._handles:
            self._handles.pop().remove()

    def clear(self) -> None:
        """Forget what was captured so far; the hooks stay."""
        self._latest: dict[tuple[str, int], Any] = {}  # (dotted name, number of the call) of each module's latest pass
        self._history: dict[str, list[Any]] = {}
        self._counts: dict[str, int] = {}  # dotted name: how often the latest pass called it

    def calls(self, name: str) -> list[Any]:
        """All outputs of this module, in the order of its calls, of all passes."""
        name, _ = find_call(self._model, name)
        if name not in self._history:
            self[name]  # says what is wrong
        return list(self._history[name])

    def __getitem__(self, name: str) -> Any:
        module, number = split_call(name, self._known)
        if (module, number) in self._latest:
            return self._latest[module, number]
        if module not in self._known:
            raise KeyError(f"the model has no module {name!r}. {near(name, self._known)}")
        if number == EVERY:
            raise KeyError(f"{name!r} is every call of {module!r}: ask for one of them, or for `calls({module!r})`")
        if not self._is_wanted(module, number):
            raise KeyError(f"{name!r} is not among the watched modules. {near(name, self._watched)}")
        if module not in self._counts:
            raise KeyError(f"{name!r} is watched, but no forward pass has called it yet")
        raise KeyError(f"the latest pass called {module!r} only {self._counts[module]} times: there is no {name!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for call in self._latest for key in self._keys(*call)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        lines = []
        for name, output in self.items():
            times = self._counts[name] if name in self._counts and name in self._watched else 1
            lines.append(f"  {name!r}: {described(output)}" + (f"  (the first of {times} calls)" if times > 1 else ""))
        lines += [f"  {key!r}: not called" for key, (name, _) in self._watched.items() if name not in self._counts]
        return "capture({\n" + "\n".join(lines) + "\n})"

    def _keys(self, name: str, number: int) -> Iterator[str]:
        """The names under which a call is listed."""
        own = f"{name}#{number}"
        if own in self._watched:
            yield own
        if number == 1 and name in self._watched:
            yield name
        if f"{name}#*" in self._watched:
            yield name if self._counts[name] == 1 else own

    def _is_wanted(self, name: str, number: int) -> bool:
        """Whether this call is kept; a name alone is given all."""
        return not self._watched.keys().isdisjoint((name, f"{name}#{number}", f"{name}#*"))

    def _begin(self, module: Module, args: tuple) -> None:
        if not self._depth:
            self._running.clear()
        self._depth += 1

    def _end(self, module: Module, args: tuple, output: Any) -> None:
        self._depth -= 1

    def _called(self, name: str, module: Module, args: tuple, output: Any) -> None:
        """The hook of a module: keep what it returned, if this call is wanted, and stop if it was the last one that is."""
        if not self._depth:  # a call outside of the model's own is a pass of its own
            self._running[name] = 0
        self._running[name] += 1
        number = self._counts[name] = self._running[name]
        if number == 1:
            self._latest = {call: kept for call, kept in self._latest.items() if call[0] != name}
        last = self._stop and all(n != EVERY and self._running[called] >= n for called, n in self._watched.values())
        if self._is_wanted(name, number):
            copy = not last if self._copy is None else self._copy
            kept = self._keep(f"{name}#{number}", output) if self._keep else _kept(output, copy, self._detach)
            self._latest[name, number] = kept
            self._history.setdefault(name, []).append(kept)
        if last:
            raise StopForward(id(self))


def outputs_of(model: Module, names: str | Iterable[str], x: Tensor) -> capture:
    """What these modules return for x: a `capture` that one pass filled, in eval mode, up to the last of them. They have a
    graph if x asks for a gradient."""
    with frozen(model), enable_grad() if x.requires_grad else no_grad():
        return computed(model, names, x, detach=not x.requires_grad)


def computed(model: Module, names: str | Iterable[str], x: Tensor, detach: bool = False) -> capture:
    """The same of a network as it is: in its mode, with the graph that this makes."""
    with capture(model, names, copy=None, detach=detach, stop=True, one_pass=True) as outputs:
        run(model, x)
    return outputs


def _kept(output: Any, copy: bool, detach: bool) -> Any:
    """An output as it is stored: tensors inside tuples, lists and dicts included."""
    if isinstance(output, Tensor):
        output = output.detach() if detach else output
        return output.clone() if copy else output
    if isinstance(output, dict):
        return {key: _kept(value, copy, detach) for key, value in output.items()}
    if isinstance(output, tuple | list):
        parts = [_kept(value, copy, detach) for value in output]
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
    return output
