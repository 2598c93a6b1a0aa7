"""What a network computes on the way: the outputs of named modules, taken by forward hooks.

    with capture(model, ["features.0", "classifier"]) as maps:
        model(x)
    maps["features.0"]          # Tensor (N, C, H, W), a copy

The three faults of a hand-written hook, and where each is cured here: the graph kept alive (`detach`), the stored tensor
changed afterwards by an in-place ReLU (`copy`), the hook left behind (`with`: removed at the end, after an error too).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from minicnn import Tensor
from minicnn.nn import Module
from minicnn.viz._modules import find_modules, named_modules, names_of, near


class StopForward(Exception):
    """Raised inside a forward pass to end it when everything wanted has been computed; `capture` catches it."""


class capture(Mapping):
    """Context manager and dict: {dotted name: what the module returned}, filled by the forward passes in its block.

    Args:
        model: any `Module`.
        names: a dotted name, a pattern, or a list of them (`features.*`: the direct children, `layer1.**`: all below;
            '' is the model itself). A name that selects nothing raises KeyError and lists the near ones.
        copy: store a copy, which nothing can change later (default). With False the stored tensor shares its memory
            with the network's own: cheaper, and an in-place layer that follows rewrites it.
        detach: cut the stored tensor off the graph (default). With False a gradient can flow through it, and the
            whole graph lives as long as this object.
        stop: end the forward pass as soon as all the named modules have been called. The pass raises, so the lines of
            the block after it are skipped; the `with` statement catches the exception.

    `maps[name]` is the latest output. A module that was called several times (one ReLU object used twice, several
    forward passes) has them all in `maps.calls(name)`, in the order of the calls. Outputs that are tuples, lists or
    dicts keep their structure; the tensors in them are treated as above, everything else is stored as it is.
    The order of the names is the order of the first calls. After the block the values stay, the hooks are gone.
    """

    def __init__(
        self, model: Module, names: str | Iterable[str], *, copy: bool = True, detach: bool = True, stop: bool = False
    ) -> None:
        self._modules = find_modules(model, names)
        self._known = list(named_modules(model))
        self._keep = _keeper(copy, detach)
        self._stop = stop
        self._outputs: dict[str, list[Any]] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> "capture":
        if self._handles:
            raise RuntimeError("this capture is already in use: make one for each `with`")
        try:
            for module, names in names_of(self._modules).items():
                self._handles.append(module.register_forward_hook(self._hook(names)))
        except BaseException:
            self.remove()
            raise
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
        self._outputs.clear()

    def calls(self, name: str) -> list[Any]:
        """All outputs of this module, in the order of its calls."""
        self[name]
        return list(self._outputs[name])

    def __getitem__(self, name: str) -> Any:
        if name in self._outputs:
            return self._outputs[name][-1]
        if name in self._modules:
            raise KeyError(f"{name!r} is watched, but no forward pass has called it yet")
        if name in self._known:
            raise KeyError(f"{name!r} is not among the watched modules. {near(name, self._modules)}")
        raise KeyError(f"the model has no module {name!r}. {near(name, self._known)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._outputs)

    def __len__(self) -> int:
        return len(self._outputs)

    def __repr__(self) -> str:
        lines = []
        for name in self._modules:
            outputs = self._outputs.get(name, [])
            times = f"  ({len(outputs)} calls)" if len(outputs) > 1 else ""
            lines.append(f"  {name!r}: {_describe(outputs[-1]) if outputs else 'not called'}{times}")
        return "capture({\n" + "\n".join(lines) + "\n})"

    def _hook(self, names: list[str]) -> Callable[..., None]:
        def hook(module: Module, args: tuple, output: Any) -> None:
            for name in names:
                self._outputs.setdefault(name, []).append(self._keep(output))
            if self._stop and len(self._outputs) == len(self._modules):
                raise StopForward(id(self))

        return hook


def _keeper(copy: bool, detach: bool) -> Callable[[Any], Any]:
    """What is done to an output before it is stored: tensors inside tuples, lists and dicts included."""

    def keep(output: Any) -> Any:
        if isinstance(output, Tensor):
            output = output.detach() if detach else output
            return output.clone() if copy else output
        if isinstance(output, dict):
            return {key: keep(value) for key, value in output.items()}
        if isinstance(output, tuple) and hasattr(output, "_fields"):
            return type(output)(*map(keep, output))
        if isinstance(output, tuple | list):
            return type(output)(map(keep, output))
        return output

    return keep


def _describe(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, tuple | list):
        return f"{type(output).__name__} of " + ", ".join(map(_describe, output))
    return type(output).__name__
