"""The lines of a trace, how they print, and where two traces part. See `minicnn.inspect.tracing`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Difference", "Event", "TensorRecord", "diff", "table"]


@dataclass
class TensorRecord:
    """What a trace keeps of one tensor.

    `bytes` is the size of the block of memory that the tensor keeps alive: for a view the whole block that it shows a
    part of. `shares` names the module's inputs, parameters and buffers whose memory this is too. Of the numbers there
    are `mean`, `rms` (root of the mean square) and `order` (the mean after multiplying element i by cos(i): it changes
    if elements change places); None if the trace was made without numbers, or if NumPy cannot see the tensor.
    """

    place: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    requires_grad: bool
    shares: list[str] = field(default_factory=list)
    mean: float | None = None
    rms: float | None = None
    order: float | None = None

    def __post_init__(self) -> None:
        self.shape = tuple(self.shape)  # JSON makes a list of it


@dataclass
class Event:
    """One line of a trace.

    `kind` is one of

        call          the module was called; `tensors` are its inputs
        return        it returned; `tensors` are its outputs, `written` names inputs that it wrote in place
        raise         it raised, or was left some other way; `text` says with what
        grad_output   the gradient of its output is known: its backward pass begins
        grad_input    the gradient of its input is known: its backward pass is over
        note          a line from `trace.note`

    `module` is the dotted name ('' is the model), `also` the further names of a shared module, `type` its class,
    `number` counts its calls from 1, `depth` is how many calls were open around it.
    """

    kind: str
    module: str = ""
    type: str = ""
    number: int = 0
    depth: int = 0
    tensors: list[TensorRecord] = field(default_factory=list)
    also: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        self.tensors = [t if isinstance(t, TensorRecord) else TensorRecord(**t) for t in self.tensors]

    def __str__(self) -> str:
        return table([(0, self)])


# Printing -------------------------------------------------------------------------------------------------------------

_HEADER = ("#", "event", "module", "tensor", "shape", "dtype", "bytes", "")


def table(events: list[tuple[int, Event]], labels: dict[int, str] | None = None) -> str:
    """The events as an indented table, one row a tensor."""
    rows = [_HEADER]
    for index, event in events:
        head = str(index), "  " * event.depth + event.kind, _title(event)
        lines = [(t.place, str(t.shape), t.dtype, f"{t.bytes:,}", _remark(event, t)) for t in event.tensors]
        lines = lines or [("", "", "", "", event.text if event.kind != "note" else "")]
        rows += [(*(head if i == 0 else ("", "", "")), *line) for i, line in enumerate(lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    numeric = (0, 6)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numeric else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _title(event: Event) -> str:
    if event.kind == "note":
        return event.text
    title = f"{event.module} {event.type}".strip()
    if event.also:
        title += f" (also {', '.join(event.also)})"
    return f"{title} #{event.number}" if event.number > 1 else title


def _remark(event: Event, tensor: TensorRecord) -> str:
    remarks = []
    if tensor.shares:
        remarks.append(f"memory of {', '.join(tensor.shares)}")
    written = [place for place in event.written if place in tensor.shares]
    if written:
        remarks.append("written in place")
    if event.kind != "note" and event.text:
        remarks.append(event.text)
    return "; ".join(remarks)


# Comparing ------------------------------------------------------------------------------------------------------------


@dataclass
class Difference:
    """Where two traces part: event number `index`, `a` and `b` (None if that trace has ended), and what differs."""

    index: int
    a: Event | None
    b: Event | None
    fields: list[str]
    _context: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self._context


def diff(
    trace_a: Any,
    trace_b: Any,
    *,
    context: int = 3,
    ignore: Iterable[str] = ("bytes",),
    tolerance: float = 1e-4,
) -> Difference | None:
    """The first difference between two traces; None if they agree. `print` it to see both with the lines around it.

    Args:
        trace_a, trace_b: traces, or what their `records` returned.
        context: how many equal events before it, and events of each trace after it, are shown.
        ignore: names of fields of `Event` and `TensorRecord` that may differ. By default the bytes: the same tensor may
            lie in a block of another size.
        tolerance: `mean`, `rms` and `order` may differ by this part of the tensor's rms.
    """
    a, b = ([Event(**event) if isinstance(event, dict) else event for event in events] for events in (trace_a, trace_b))
    for index in range(max(len(a), len(b))):
        ours, theirs = (events[index] if index < len(events) else None for events in (a, b))
        fields = ["one trace ends here"]
        if ours is not None and theirs is not None:
            fields = _differing(ours, theirs, set(ignore), tolerance)
        if fields:
            shown = _show_difference(a, b, index, fields, context)
            return Difference(index, ours, theirs, fields, shown)
    return None


def _differing(a: Event, b: Event, ignore: set[str], tolerance: float) -> list[str]:
    found = _unequal(a, b, ("kind", "module"), ignore)
    if found:  # another event altogether
        return found
    found = _unequal(a, b, ("type", "number", "depth", "also", "written", "text"), ignore)
    places = [[t.place for t in event.tensors] for event in (a, b)]
    if places[0] != places[1]:
        return [*found, f"tensors: {places[0]} | {places[1]}"]
    for ours, theirs in zip(a.tensors, b.tensors, strict=True):
        different = _unequal(ours, theirs, ("shape", "dtype", "bytes", "requires_grad", "shares"), ignore)
        different += [] if different else _unequal_numbers(ours, theirs, ignore, tolerance)
        found += [f"{ours.place}: {text}" for text in different]
    return found


def _unequal(a: Any, b: Any, names: Iterable[str], ignore: set[str]) -> list[str]:
    pairs = [(name, getattr(a, name), getattr(b, name)) for name in names if name not in ignore]
    return [f"{name} {ours!r} | {theirs!r}" for name, ours, theirs in pairs if ours != theirs]


def _unequal_numbers(a: TensorRecord, b: TensorRecord, ignore: set[str], tolerance: float) -> list[str]:
    if a.rms is None or b.rms is None:  # one of them was made without numbers
        return []
    scale = float(np.nan_to_num(max(abs(a.rms), abs(b.rms)), posinf=0))
    found = []
    for name in ("mean", "rms", "order"):
        ours, theirs = getattr(a, name), getattr(b, name)
        if name not in ignore and not np.isclose(ours, theirs, rtol=0, atol=tolerance * scale, equal_nan=True):
            found.append(f"{name} {ours:.6g} | {theirs:.6g}")
    return found


def _show_difference(a: list[Event], b: list[Event], index: int, fields: list[str], context: int) -> str:
    shared = list(enumerate(a))[max(0, index - context) : index]
    lines = [f"the traces part at event {index}: {'; '.join(fields)}"]
    if shared:
        lines += ["both:", table(shared)]
    for name, events in (("a:", a), ("b:", b)):
        rest = list(enumerate(events))[index : index + 1 + context]
        lines += [name, table(rest) if rest else f"ends after {len(events)} events"]
    return "\n".join(lines)
