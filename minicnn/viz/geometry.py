"""Where a unit of a layer looks: size, stride and place of its receptive field, in closed form.

One forward pass, and then the graph that it left behind is read: every node says through which window it sees its input (`window_of`), and
along a path these steps compose to another of the same form. So a user's own modules are followed as well as a
Sequential, functions such as `F.relu` and `F.max_pool2d` as well as modules, and branches and skips too: where several
ways lead to the image, the union of their fields is taken.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from minicnn import Tensor, enable_grad, tensor
from minicnn.nn import Module
from minicnn.viz.network import dtype_of, find_calls, input_channels, outputs_of
from minicnn.viz.window import Window, window_of


@dataclass(frozen=True)
class Axis:
    """One axis: unit i sees the pixels start + i * stride ... start + i * stride + size - 1 (some may lie outside).

    Whole numbers as long as nothing is enlarged; behind an upsampling fractions, whose pixels are the whole numbers between.
    """

    size: int | Fraction = 1
    stride: int | Fraction = 1
    start: int | Fraction = 0

    def through(self, window: Window) -> "Axis":
        """The field of units that each see the units window.first + i * window.stride ... window.last + i * window.stride of these."""
        ends = window.first * self.stride, window.last * self.stride
        size, stride = self.size + max(ends) - min(ends), self.stride * window.stride
        return Axis(_whole(size), _whole(stride), _whole(self.start + min(ends)))

    def union(self, other: "Axis") -> "Axis":
        """The smallest field that contains both; the strides must agree."""
        if self.stride != other.stride:
            raise ValueError(f"two branches with strides {self.stride} and {other.stride} meet: no closed form")
        start = min(self.start, other.start)
        return Axis(max(self.start + self.size, other.start + other.size) - start, self.stride, start)

    def interval(self, i: int) -> tuple[int, int]:
        """(first pixel, last pixel + 1) that unit i sees."""
        start = self.start + i * self.stride
        return math.ceil(start), math.floor(start + self.size - 1) + 1

    def centre(self, i: float = 0.0) -> float:
        """The pixel, counted from 0 at the middle of the first one, that unit i's field has in its middle."""
        return float(self.start + i * self.stride + (self.size - 1) / 2)

    def nearest(self, pixel: float) -> int:
        """The unit whose field has its middle nearest to this pixel."""
        return round((pixel - self.centre()) / float(self.stride))


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer's units; `everything`: each unit sees the whole image."""

    y: Axis = Axis()
    x: Axis = Axis()
    everything: bool = False

    def union(self, other: "Field") -> "Field":
        if self.everything or other.everything:
            return Field(everything=True)
        return Field(self.y.union(other.y), self.x.union(other.x))

    def box(
        self, y: int, x: int, inside: tuple[int, int] | None = None
    ) -> tuple[int, int, int, int]:  # fmt: skip
        """(top, left, bottom, right) of the pixels that the unit at (y, x) sees, the last two exclusive.

        inside: (height, width) of the image, to cut off what lies outside of it: in the padding. It is needed where a unit
        sees everything.
        """
        if self.everything:
            if inside is None:
                raise ValueError("this unit sees the whole image, whose size is needed: box(y, x, (height, width))")
            return 0, 0, *inside
        (top, bottom), (left, right) = self.y.interval(y), self.x.interval(x)
        if inside is not None:
            top, bottom = (min(max(edge, 0), inside[0]) for edge in (top, bottom))
            left, right = (min(max(edge, 0), inside[1]) for edge in (left, right))
        return top, left, bottom, right

    def extent(self, height: int, width: int) -> tuple[float, float, float, float]:
        """(left, right, bottom, top) in pixels of a whole map (height, width), as `imshow` takes it: each cell is one
        stride wide and has the centre of its receptive field in its middle."""
        return (
            self.x.centre(-0.5), self.x.centre(width - 0.5), self.y.centre(height - 0.5), self.y.centre(-0.5)
        )  # fmt: skip

    def __str__(self) -> str:
        if self.everything:
            return "the whole image"
        sides = (self.y,) if self.y == self.x else (self.y, self.x)
        return ", ".join(f"{a.size} pixels, every {a.stride}, the first from {a.start}" for a in sides)


def receptive_fields(
    model: Module, layers: str | Iterable[str] | None = None, shape: Iterable[int] | None = None
) -> dict[str, Field]:
    """{layer: Field} for an input of this shape (N, C, H, W), in the order of the calls.

    Args:
        model: any `Module` that takes one image tensor.
        layers: names or patterns, "pool#2" for the second call of a module, see `capture`; None: every call of every module
            without children.
        shape: of the input; by default 64 x 64 pixels of as many channels as the network takes. Fields of convolutions and
            poolings do not depend on H and W, those behind an adaptive pooling or a resizing to a given size do.

    The field is what a unit *can* see; where weights are zero or a ReLU is off, it sees less. Raises KeyError for unknown
    names, and ValueError where the way from the image to the layer cannot be followed: an operation that moves y and x
    to other dimensions, branches that meet with different strides, a `Function` of the user that moves places.
    """
    every = layers is None
    layers = [layers] if isinstance(layers, str) else list(layers or ())
    if every:
        named = model.named_modules(remove_duplicate=False)
        layers = [f"{name}#*" for name, module in named if next(module.children(), None) is None]
    shape = (1, input_channels(model), 64, 64) if shape is None else shape
    reader = _Reader()
    outputs = outputs_of(model, layers, reader.start(tuple(shape), dtype_of(model)))
    fields = {name: reader.of(output) for name, output in outputs.items()}
    missing = [name for name in find_calls(model, layers) if "*" not in name and fields.get(name) is None]
    if missing:
        raise ValueError(f"{missing[0]!r} was not called, or what it returned does not depend on the image")
    return {name: field for name, field in fields.items() if field is not None}


class _Reader:
    """Reads the graph from its end towards the image; a node that was read once is known."""

    def __init__(self) -> None:
        self.known: dict[Any, Field | None] = {}  # node -> the field of its output, None if the image is not behind it

    def start(self, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """An image, whose node is where the way back ends."""
        pixels = np.random.default_rng(0).standard_normal(shape)
        with enable_grad():
            image = tensor(pixels, dtype=dtype, requires_grad=True) * 1.0
        self.known[image.grad_fn] = Field()
        return image

    def of(self, output: Any) -> Field | None:
        """The field of what a module returned; None if that is no tensor, or the image is not behind it."""
        field = self.field(output.grad_fn) if isinstance(output, Tensor) and output.grad_fn is not None else None
        return field if field is None or output.dim() > 2 else Field(everything=True)

    def field(self, node: Any) -> Field | None:
        stack = [node]
        while stack:
            node = stack[-1]
            unread = [behind for behind, _ in node.next_functions if behind is not None and behind not in self.known]
            if node not in self.known and unread:
                stack += unread
                continue
            if node not in self.known:
                self.known[node] = self._after(node)
            stack.pop()
        return self.known[node]

    def _after(self, node: Any) -> Field | None:
        """The field of a node's output from those of its inputs."""
        out, field = node.input_metadata[0][0] if node.input_metadata else (), None
        for behind, number in node.next_functions:
            before = self.known.get(behind) if behind is not None else None
            if before is None:
                continue
            step = None if before.everything else window_of(node, out, behind.input_metadata[number][0])
            after = (
                Field(everything=True) if step is None else Field(before.y.through(step[0]), before.x.through(step[1]))
            )
            field = after if field is None else field.union(after)
        return field


def _whole(number: int | Fraction) -> int | Fraction:
    """A fraction that is a whole number as an int."""
    return int(number) if number == int(number) else number
