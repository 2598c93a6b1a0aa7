"""`trace` writes down what the modules of a network do, forward and backward.

It works on PyTorch's modules as on minicnn's, by the hooks that anyone can set, and holds no tensor.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from minicnn.inspect.calls import WatchedCalls
from minicnn.inspect.events import Event, TensorRecord, table
from minicnn.inspect.names import find_modules, names_of
from minicnn.inspect.tensors import as_array, is_tensor, memory_block, share_memory, tensors_in, version

__all__ = ["trace"]


@dataclass
class _Open:
    """A call that has not returned yet. It holds no tensor: `inputs` are {place: (id, version)}."""

    module: Any
    number: int
    depth: int
    inputs: dict[str, tuple[int, int]]
    handling: BaseException | None  # the exception that was being handled when the call began
    waiting: list[tuple[list, tuple]] = field(default_factory=list)


class trace(Sequence):
    """Context manager and list of `Event`: every call of every module in the block, forward and backward, in order.

    What an event holds is written at `minicnn.inspect.events.Event` and `TensorRecord`.

        with trace(model) as events:
            model(x).sum().backward()
        print(events)                       # an indented table
        events[3].tensors[0].shape
        json.dumps(events.records())        # plain dicts; `trace.from_records` reads them

    It does not change what it shows: gradients are seen by hooks on the tensors, which leave the tensors as they are,
    while a full backward hook puts views at the module's edges, and in-place layers then fail. So `grad_input` is the
    gradient of the input *tensor*: if several modules read this tensor it is their sum, and comes when the last of them
    has sent its part. An input that does not require grad has no such event.

    At a `call` the inputs are what the caller gave, before pre-hooks that change them; at a `return` the output is what
    the caller gets, after all forward hooks of this module. All hooks are removed at the end of the block, after an
    error too; calls that have not returned by then end in a `raise`.

    Args:
        model: a `Module` of minicnn or PyTorch.
        modules: a name, a pattern (`features.*`, `layer1.**`), or several: trace these modules only.
        numbers: keep mean, rms and order of each tensor, so that `diff` compares numbers too. A pass over each tensor.
        full_backward: see the gradients through full backward (pre-)hooks instead: what these would get, with None
            where they get None, views at the edges, and `number` 0, since they do not know the call.

    Raises:
        KeyError: a name or pattern selects nothing.
    """

    def __init__(
        self,
        model: Any,
        modules: str | Iterable[str] | None = None,
        *,
        numbers: bool = True,
        full_backward: bool = False,
    ) -> None:
        selected = (
            dict(model.named_modules(remove_duplicate=False)) if modules is None else find_modules(model, modules)
        )
        self._names = names_of(selected)
        self._numbers, self._full_backward = numbers, full_backward
        self._events: list[Event] = []
        self._open: list[_Open] = []
        self._calls: dict[Any, int] = {}
        self._hooks: WatchedCalls | None = None
        self._handles: list[Any] = []
        self._watched: dict[
            int, tuple[weakref.ref, int, list]
        ] = {}  # id of a tensor -> (it, version, who waits for its gradient)
        self._begun: dict[tuple, int] = {}  # (module, number) -> how often a gradient of its output has come

    @classmethod
    def from_records(cls, records: Iterable[dict[str, Any]]) -> trace:
        """A trace from what `records` returned, to print or to compare."""
        read = cls.__new__(cls)
        read._events = [Event(**record) for record in records]
        return read

    def records(self) -> list[dict[str, Any]]:
        """The events as plain dicts, lists, strings and numbers."""
        return [asdict(event) for event in self._events]

    def note(self, text: str, *values: Any) -> None:
        """Add a line of one's own, from a hook for example, with the tensors in `values`."""
        tensors = [pair for i, value in enumerate(values) for pair in tensors_in(value, f"value {i}")]
        self._events.append(Event("note", depth=len(self._open), text=text, tensors=self._describe(tensors)))

    def __len__(self) -> int:
        return len(self._events)

    def __getitem__(self, index: Any) -> Any:
        return self._events[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __str__(self) -> str:
        return table(list(enumerate(self._events))) if self._events else "trace: nothing was called"

    def __repr__(self) -> str:
        return f"<trace of {len(self._events)} events>"

    # Setting and removing -----------------------------------------------------------------------------------------

    def __enter__(self) -> trace:
        if self._hooks is not None:
            raise RuntimeError("this trace is already in use: make one for each `with`")
        self._hooks = WatchedCalls(self._names, self._called, self._returned)
        if self._full_backward:
            grad_output, grad_input = self._gradients("grad_output"), self._gradients("grad_input")
            for module in self._names:
                self._handles.append(module.register_full_backward_pre_hook(grad_output, prepend=True))
                self._handles.append(module.register_full_backward_hook(lambda m, grads, _: grad_input(m, grads)))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: object) -> None:
        self.remove()
        while self._open:
            self._raised(self._open.pop(), error)

    def remove(self) -> None:
        """Take all hooks off; the events stay."""
        for handle in (self._hooks, *self._handles):
            if handle is not None:
                handle.remove()
        self._hooks = None
        self._handles.clear()
        self._watched.clear()

    # Forward ------------------------------------------------------------------------------------------------------

    def _called(self, module: Any, args: tuple, kwargs: dict) -> None:
        self._calls[module] = number = self._calls.get(module, 0) + 1
        inputs = _inputs(args, kwargs)
        seen = {place: (id(tensor), version(tensor)) for place, tensor in inputs}
        call = _Open(module, number, len(self._open), seen, sys.exc_info()[1])
        self._add("call", call, self._describe(inputs))
        self._open.append(call)
        self._wait_for_gradients("grad_input", call, inputs)

    def _returned(self, module: Any, args: tuple, kwargs: dict, output: Any) -> None:
        if not any(call.module is module for call in self._open):
            return  # an earlier pre-hook raised: the call never began
        while self._open[-1].module is not module:  # left by a KeyboardInterrupt that somebody caught
            self._raised(self._open.pop(), None)
        call, error = self._open.pop(), sys.exc_info()[1]
        if error is not None and error is not call.handling:
            self._raised(call, error)
            return
        inputs, outputs = _inputs(args, kwargs), list(tensors_in(output, "output"))
        owned = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        event = self._add("return", call, self._describe(outputs, [*inputs, *owned]))
        for place, tensor in inputs:
            was = call.inputs.get(place)
            if was is not None and was[0] == id(tensor) and version(tensor) > was[1]:
                event.written.append(place)
        if any(tensor.requires_grad for _, tensor in outputs):
            self._wait_for_gradients("grad_output", call, outputs)
        else:  # no graph: a gradient that reaches the inputs on another way is none of this call's
            for waiting, entry in call.waiting:
                waiting.remove(entry)

    def _raised(self, call: _Open, error: BaseException | None) -> None:
        text = f"{type(error).__name__}: {error}" if error is not None else "did not return"
        self._add("raise", call, [], text)

    # Backward -----------------------------------------------------------------------------------------------------

    def _wait_for_gradients(self, kind: str, call: _Open, tensors: list[tuple[str, Any]]) -> None:
        if self._full_backward:
            return
        for place, tensor in tensors:
            if tensor.requires_grad:
                waiting, entry = self._waiting_for(tensor), (kind, call, place, [0])
                waiting.append(entry)
                call.waiting.append((waiting, entry))

    def _waiting_for(self, tensor: Any) -> list[tuple]:
        """Who waits for this tensor's gradient. One hook tells them all, the last that came first: what was entered
        last in the forward pass is left first in the backward pass."""
        known = self._watched.get(id(tensor))
        if known is not None and known[0]() is tensor and known[1] == version(tensor):
            return known[2]
        waiting: list[tuple] = []

        def hook(grad: Any) -> None:
            for kind, call, place, seen in reversed(waiting):
                self._gradient(kind, call, place, seen, grad)

        self._handles.append(tensor.register_hook(hook))
        self._watched[id(tensor)] = weakref.ref(tensor), version(tensor), waiting
        return waiting

    def _gradient(self, kind: str, call: _Open, place: str, seen: list[int], grad: Any) -> None:
        key = call.module, call.number
        if kind == "grad_output":
            self._begun[key] = self._begun.get(key, 0) + 1
        else:  # a leaf's hook outlives its graph: only a call that this backward pass has entered can be left by it
            if self._begun.get(key, 0) == seen[0]:
                return
            seen[0] = self._begun[key]
        self._add(kind, call, self._describe([(place, grad)]))

    def _gradients(self, kind: str) -> Callable:
        """A full backward (pre-)hook that writes `kind`."""
        place = "output" if kind == "grad_output" else "input"

        def hook(module: Any, grads: tuple) -> None:
            if module in self._names:
                places = [place] if len(grads) == 1 else [f"{place}[{i}]" for i in range(len(grads))]
                call = _Open(module, 0, self._names[module][0].count(".") + (self._names[module][0] != ""), {}, None)
                self._add(kind, call, self._describe(list(zip(places, grads, strict=True))))

        return hook

    # Writing down -------------------------------------------------------------------------------------------------

    def _add(self, kind: str, call: _Open, tensors: list[TensorRecord], text: str = "") -> Event:
        name, *also = self._names[call.module]
        self._events.append(
            Event(kind, name, type(call.module).__name__, call.number, call.depth, tensors, also, text=text)
        )
        return self._events[-1]

    def _describe(self, tensors: list[tuple[str, Any]], others: Iterable[tuple[str, Any]] = ()) -> list[TensorRecord]:
        records = []
        for place, tensor in tensors:
            if tensor is None:
                records.append(TensorRecord(place, (), "None", 0, False))
                continue
            shares = [name for name, other in others if share_memory(tensor, other)]
            shape, kind, size = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), memory_block(tensor)[1]
            numbers = _fingerprint(tensor) if self._numbers else {}
            records.append(TensorRecord(place, shape, kind, size, tensor.requires_grad, shares, **numbers))
        return records


def _inputs(args: tuple, kwargs: dict) -> list[tuple[str, Any]]:
    """(place, tensor) of a call: `input` if there is one argument only, else `input[0]`; `mask=` for a keyword."""
    only = len(args) == 1 and is_tensor(args[0])
    found = [("input", args[0])] if only else list(tensors_in(tuple(args), "input"))
    for name, value in kwargs.items():
        found += tensors_in(value, f"{name}=")
    return found


def _fingerprint(tensor: Any) -> dict[str, float]:
    array = as_array(tensor)
    if array is None or array.size == 0:
        return {}
    values = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64).reshape(-1)
    values = values.real + values.imag if values.dtype.kind == "c" else values
    order = values @ np.cos(np.arange(values.size)) / values.size
    return {"mean": float(values.mean()), "rms": float(np.sqrt(np.mean(values * values))), "order": float(order)}
