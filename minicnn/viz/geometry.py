"""Where a unit of a layer looks: size, stride and place of its receptive field, from the modules that were executed.

One forward pass with a hook on every module that has no children. Each rule below carries the field of the module's input to that
of its output; the fields are attached to the tensors, by the graph node that made them, so that branches and skips
are followed too: between two modules an operation such as + or cat or `F.relu` keeps places, and the union of its inputs' fields
is taken. An operation that is not a module and moves places (`F.max_pool2d`, `flip`) cannot be seen and raises.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, enable_grad, zeros
from minicnn.nn import Module
from minicnn.viz._modules import find_module, still
from minicnn.viz.capture import StopForward


@dataclass(frozen=True)
class Axis:
    """One axis: unit i sees the pixels start + i * stride ... start + i * stride + size - 1 (some may lie outside)."""

    size: int = 1
    stride: int = 1
    start: int = 0

    def window(self, kernel: int, stride: int, padding: int, dilation: int) -> "Axis":
        """After a convolution or pooling along this axis."""
        return Axis(
            self.size + (kernel - 1) * dilation * self.stride, self.stride * stride, self.start - padding * self.stride
        )

    def union(self, other: "Axis") -> "Axis":
        """The smallest field that contains both; the strides must agree."""
        if self.stride != other.stride:
            raise ValueError(f"two branches with strides {self.stride} and {other.stride} meet")
        start = min(self.start, other.start)
        return Axis(max(self.start + self.size, other.start + other.size) - start, self.stride, start)

    def centre(self, i: float = 0.0) -> float:
        """The pixel, counted from 0 at the middle of the first one, that unit i's field has in its middle."""
        return self.start + i * self.stride + (self.size - 1) / 2


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

    def box(self, y: int, x: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of the pixels that the unit at (y, x) sees, the last two exclusive."""
        top, left = self.y.start + y * self.y.stride, self.x.start + x * self.x.stride
        return top, left, top + self.y.size, left + self.x.size

    def extent(self, height: int, width: int) -> tuple[float, float, float, float]:
        """(left, right, bottom, top) in pixels of a whole map (height, width), as `imshow` takes it: each cell is one
        stride wide and has the centre of its receptive field in its middle."""
        return (
            self.x.centre(-0.5), self.x.centre(width - 0.5), self.y.centre(height - 0.5), self.y.centre(-0.5)
        )  # fmt: skip


def receptive_fields(
    model: Module, layers: str | Iterable[str], shape: Iterable[int] = (1, 3, 64, 64)
) -> dict[str, Field]:
    """{layer: Field} for an input of this shape (N, C, H, W); a layer that is called several times has its first call's.

    Raises ValueError where the way from the image to the layer cannot be followed, and KeyError for unknown names.
    """
    layers = [layers] if isinstance(layers, str) else list(layers)
    wanted = {name: find_module(model, name) for name in layers}
    tracer = _Tracer(set(wanted.values()))
    handles = []
    try:
        with still(model), enable_grad():
            handles = [module.register_forward_hook(tracer.hook) for module in model.modules()]
            image = zeros(tuple(shape)).requires_grad_()
            tracer.start(image)
            try:
                model(tracer.first)
            except StopForward:
                pass
    finally:
        for handle in handles:
            handle.remove()
    for name, module in wanted.items():
        if module not in tracer.found:
            raise ValueError(f"{name!r} was not called, or what it returned does not depend on the image")
    return {name: tracer.found[module] for name, module in wanted.items()}


class _Tracer:
    """The fields known so far, by graph node; the nodes are kept, so that none is forgotten and its id used again."""

    def __init__(self, wanted: set[Module]) -> None:
        self.wanted, self.found = wanted, {}
        self.known: list[tuple[Any, Field]] = []

    def start(self, image: Tensor) -> None:
        self.first = image * 1.0  # a tensor with a graph node, where the walk back ends
        self.known.append((self.first.grad_fn, Field()))

    def hook(self, module: Module, args: tuple, output: Any) -> None:
        if not isinstance(output, Tensor) or output.grad_fn is None:
            return
        if next(module.children(), None) is None:
            tensors = [arg for arg in args if isinstance(arg, Tensor) and arg.grad_fn is not None]
            if tensors:
                self.known.append((output.grad_fn, _after(module, self.field(tensors[0].grad_fn), tensors[0], output)))
        if module in self.wanted and module not in self.found:
            self.found[module] = self.field(output.grad_fn)
            if len(self.found) == len(self.wanted):
                raise StopForward

    def field(self, node: Any) -> Field:
        """The field of a tensor: known, or the union of the known ones that lie behind it in the graph."""
        behind, stack, seen = [], [node], []
        while stack:
            node = stack.pop()
            if node is None or any(node is other for other in seen):
                continue
            seen.append(node)
            field = next((field for other, field in reversed(self.known) if other is node), None)
            if field is not None:
                behind.append(field)
                continue
            name = node.name()
            if any(word in name for word in ("Conv", "Pool", "Upsample", "Flip", "Roll", "Grid", "Index", "Slice")):
                raise ValueError(f"cannot follow {name}: it moves places and is not a module; make it one")
            if any(word in name for word in ("Mean", "Sum", "Mm", "Addmm", "Bmm")):
                return Field(everything=True)
            stack += [following for following, _ in node.next_functions]
        if not behind:
            raise ValueError("a tensor does not depend on the image")
        field = behind[0]
        for other in behind[1:]:
            field = field.union(other)
        return field


def _after(module: Module, field: Field, before: Tensor, output: Tensor) -> Field:
    """The field of a module's output, from that of its input."""
    if field.everything or output.dim() != 4:
        return Field(everything=field.everything or output.dim() != 4)
    kernel = getattr(module, "kernel_size", None)
    if kernel is None or getattr(module, "transposed", False):
        if tuple(before.shape[2:]) == tuple(output.shape[2:]):
            return field  # a ReLU, a batch norm, dropout: place by place
        if type(module).__name__.startswith("Adaptive"):
            return Field(everything=True)
        raise ValueError(f"cannot follow a {type(module).__name__}: no rule for where its outputs look")
    stride = getattr(module, "stride", None) or kernel
    padding = _padding(module, kernel)
    dilation = getattr(module, "dilation", 1)
    y, x = (
        axis.window(_at(kernel, i), _at(stride, i), padding[i], _at(dilation, i))
        for i, axis in enumerate((field.y, field.x))
    )
    return Field(y, x)


def _padding(module: Module, kernel: Any) -> tuple[int, int]:
    """Pixels of padding above and at the left."""
    padding = getattr(module, "padding", 0)
    if padding == "valid":
        return 0, 0
    if padding == "same":
        return tuple(_at(module.dilation, i) * (_at(kernel, i) - 1) // 2 for i in range(2))
    return _at(padding, 0), _at(padding, 1)


def _at(value: Any, i: int) -> int:
    return int(value if np.ndim(value) == 0 else value[i])
