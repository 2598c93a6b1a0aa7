"""What a network computes on the way: the outputs of named modules, taken by forward hooks.

    with capture(model, ["features.0", "classifier"]) as maps:
        model(x)
    maps["features.0"]          # Tensor (N, C, H, W), a copy

The three faults of a hand-written hook, and where each is cured here: the graph kept alive (`detach`), the stored tensor
changed afterwards by an in-place ReLU (`copy`), the hook left behind (`with`: removed at the end, after an error too).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from minicnn import Tensor, enable_grad, no_grad
from minicnn.nn import Module
from minicnn.viz._modules import (
    EVERY,
    StopForward,
    described,
    find_call,
    find_calls,
    frozen,
    named_modules,
    near,
    run,
    split_call,
)


class capture(Mapping):
    """Context manager and dict: {name: what the module returned}, filled by the forward passes in its block.

    Args:
        model: any `Module`.
        names: a dotted name, a pattern, or a list of them (`features.*`: the direct children, `layer1.**`: all below;
            '' is the model itself). A name that selects nothing raises KeyError and lists the near ones.
        copy: store a copy, which nothing can change later (default). With False the stored tensor shares its memory
            with the network's own: cheaper, and an in-place layer that follows rewrites it.
        detach: cut the stored tensor off the graph (default). With False a gradient can flow through it, and the
            whole graph lives as long as this object.
        stop: end the forward pass as soon as all that is named has been called. The pass raises, so the lines of
            the block after it are skipped; the `with` statement catches the exception.
        keep: what is stored in place of an output: keep("relu#2", output), called inside of the hook, so that no map need
            outlive it. `copy` and `detach` then mean nothing.

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
        copy: bool = True,
        detach: bool = True,
        stop: bool = False,
        keep: Callable[[str, Any], Any] | None = None,
    ) -> None:
        self._model = model
        self._watched = find_calls(model, names)
        self._known = named_modules(model)
        self._keep = keep or (lambda call, output: _kept(output, copy, detach))
        self._stop = stop
        self._handles: list[Any] = []
        self._depth = self._passes = 0
        self.clear()

    def __enter__(self) -> "capture":
        if self._handles:
            raise RuntimeError("this capture is already in use: make one for each `with`")
        self._depth = 0
        wanted = {name: self._known[name] for name, _ in self._watched.values()}
        self._handles.append(self._model.register_forward_pre_hook(self._begin))
        self._handles += [module.register_forward_hook(self._hook(name)) for name, module in wanted.items()]
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
        if not self._depth:  # in the middle of a pass its calls are counted on
            self._counts: dict[str, tuple[int, int]] = {}  # dotted name: (the pass, how often it was called in it)

    def calls(self, name: str) -> list[Any]:
        """All outputs of this module, in the order of its calls, of all passes."""
        name, _ = find_call(self._model, name)
        if name not in self._history:
            self[name]  # says what is wrong
        return list(self._history[name])

    def __getitem__(self, name: str) -> Any:
        module, number = split_call(name, self._known)
        number = number or 1
        if (module, number) in self._latest:
            return self._latest[module, number]
        if module not in self._known:
            raise KeyError(f"the model has no module {name!r}. {near(name, self._known)}")
        if not any(self._wants(key, module, number) for key in self._watched):
            raise KeyError(f"{name!r} is not among the watched modules. {near(name, self._watched)}")
        if module not in self._counts:
            raise KeyError(f"{name!r} is watched, but no forward pass has called it yet")
        raise KeyError(f"the latest pass called {module!r} only {self._counts[module][1]} times: there is no {name!r}")

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for call in self._latest for key in self._keys(*call)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        lines = []
        for name, output in self.items():
            times = self._counts[name][1] if name in self._counts and name in self._watched else 1
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
            yield name if self._counts[name][1] == 1 else own

    def _wants(self, key: str, name: str, number: int) -> bool:
        """Whether a watched name asks for this call of this module to be kept; a name alone is given all of them."""
        return self._watched[key][0] == name and (key == name or self._watched[key][1] in (EVERY, number))

    def _begin(self, module: Module, args: tuple) -> None:
        self._passes += self._depth == 0
        self._depth += 1

    def _end(self, module: Module, args: tuple, output: Any) -> None:
        self._depth -= 1

    def _hook(self, name: str) -> Callable[..., None]:
        def hook(module: Module, args: tuple, output: Any) -> None:
            number = self._count(name)
            if number == 1:
                self._latest = {call: kept for call, kept in self._latest.items() if call[0] != name}
            if any(self._wants(key, name, number) for key in self._watched):
                self._latest[name, number] = self._keep(f"{name}#{number}", output)
                self._history.setdefault(name, []).append(self._latest[name, number])
            if self._stop and all(self._reached(*call) for call in self._watched.values()):
                raise StopForward(id(self))

        return hook

    def _count(self, name: str) -> int:
        """The number of the call that has just been made. A call outside of the model's own is a pass of its own."""
        latest, number = self._counts.get(name, (0, 0))
        number = number + 1 if self._depth and latest == self._passes else 1
        self._counts[name] = self._passes, number
        return number

    def _reached(self, name: str, number: int) -> bool:
        latest, times = self._counts.get(name, (-1, 0))
        return number != EVERY and latest == self._passes and times >= number


def outputs_of(model: Module, names: str | Iterable[str], x: Tensor) -> capture:
    """What these modules return for x: a `capture` that one pass filled, in eval mode, up to the last of them. They have a
    graph if x asks for a gradient."""
    mode, graph = (enable_grad, True) if x.requires_grad else (no_grad, False)
    with frozen(model), mode(), capture(model, names, detach=not graph, stop=True) as outputs:
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
