"""Operators that look through a window: convolutions and poolings, of images of one to three dimensions.

A builder returns the layer of minicnn where it has one: for images (N, C, H, W), if the file has the weight.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import minicnn.nn.functional as F
from minicnn import nn, ops
from minicnn._tensor import Tensor
from minicnn.nn.utils import skip_init
from minicnn.onnx._arithmetic import lowest
from minicnn.onnx._node import Compute, Node, check_size, ints
from minicnn.ops.creation import zeros_like

Pads = list[tuple[int, int]]  # of each dimension of an image: before it, behind it
CONV = {1: nn.Conv1d, 2: nn.Conv2d}  # by the number of the image's dimensions
CONV_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}
MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
AVG_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
FLOATS = (0, 1, 10, 11, 16)  # the standard's numbers of the types that kernels compute in; 0: not known
MOST_PLAIN = 32  # padding and stride of a layer that does not look at the size of what it makes


class Window:
    """Size, steps and padding of a window along each dimension of the image."""

    def __init__(self, node: Node, kernel: Sequence[int] | None) -> None:
        if not kernel or not 1 <= len(kernel) <= 3 or None in kernel:
            raise node.error("windows of one to three dimensions are read, whose size the file states")
        self.kernel = node.numbers("kernel_shape", len(kernel), kernel)
        if self.kernel != list(kernel):
            raise node.error(f"kernel_shape is {self.kernel}, and the weight's is {list(kernel)}")
        self.count = len(kernel)
        self.strides, self.dilations = (
            node.numbers(name, self.count, [1] * self.count) for name in ("strides", "dilations")
        )
        self.auto = node.attr("auto_pad", "NOTSET")
        if self.auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
            raise node.error(f"auto_pad is {self.auto!r:.40}")
        none = [0] * 2 * self.count
        pads = node.numbers("pads", len(none), none, least=0) if self.auto == "NOTSET" else none
        self.fixed: Pads = list(zip(pads[: self.count], pads[self.count :], strict=True))
        self.same = self.auto.startswith("SAME")
        self.extents = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        self.plain = not self.same and all(
            low == high <= MOST_PLAIN for low, high in self.fixed
        )  # PyTorch's layers have it

    def pads(self, sizes: Sequence[int]) -> Pads:
        """The padding for an image of these sizes."""
        if not self.same:
            return self.fixed
        found = []
        for size, extent, stride in zip(sizes, self.extents, self.strides, strict=True):
            total = max((-(-size // stride) - 1) * stride + extent - size, 0)
            less, more = total // 2, total - total // 2
            found.append((less, more) if self.auto == "SAME_UPPER" else (more, less))
        return found

    def settings(self) -> dict[str, Any]:
        """The arguments of a layer."""
        kernel, stride, padding = tuple(self.kernel), tuple(self.strides), tuple(low for low, _ in self.fixed)
        return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": tuple(self.dilations)}


def padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """The image with a frame of a number; negative widths cut off."""
    sizes = [n + low + high for n, (low, high) in zip(x.shape[-len(pads) :], pads, strict=True)]
    check_size([*x.shape[: -len(pads)], *sizes])
    return F.pad(x, _flat(pads), value=value) if any(map(any, pads)) else x


def _flat(pads: Pads) -> list[int]:
    """As `F.pad` takes it: the last dimension first."""
    return [width for pair in reversed(pads) for width in pair]


# --- convolution ----------------------------------------------------------------------------------------------------------


class PaddedConv2d(nn.Conv2d):
    """A Conv2d whose padding differs from side to side, or depends on the image's size (SAME_UPPER)."""

    def __init__(self, window: Window, inputs: int, outputs: int, **settings: Any) -> None:
        super().__init__(inputs, outputs, **settings)
        self.window = window
        self._reversed_padding_repeated_twice = _flat(window.fixed)  # for those who ask where the padding lies

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        image = padded(input, self.window.pads(input.shape[2:]))
        return F.conv2d(image, weight, bias, self.stride, 0, self.dilation, self.groups)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, pads={self.window.auto if self.window.same else self.window.fixed}"


def weighted(node: Node, kind: Any, *args: Any, **settings: Any) -> Any:
    """A layer with the weight and the bias of the node's second and third input."""
    try:
        layer = skip_init(kind, *args, **settings)
    except (ValueError, ZeroDivisionError) as error:
        raise node.error(str(error)) from error
    for name, i in (("weight", 1), ("bias", 2)):
        if (tensor := node.constant(i)) is not None:
            wanted = getattr(layer, name).shape
            if tensor.shape != wanted:
                raise node.error(f"its {name} is {tuple(tensor.shape)}, and {tuple(wanted)} is needed")
            setattr(layer, name, node.parameter_of(tensor))
    return layer


def conv(node: Node) -> Any:
    """Conv."""
    groups, weight, shape = node.attr("group", 1), node.constant(1), node.shape(1)
    window = Window(node, node.attr("kernel_shape") if shape is None else shape[2:])  # type: ignore[arg-type]
    padded_alone = window.count == 1 and not window.plain
    if weight is None or not node.fixed(2) or window.count > 2 or padded_alone or not weight.dtype.is_floating_point:
        return lambda x, w, b=None: _convolve(
            padded(x, window.pads(x.shape[2:])), w, b, window.strides, window.dilations, groups
        )
    channels = weight.shape[1] * groups, weight.shape[0]
    settings = window.settings() | {"groups": groups, "bias": node.has(2)}
    if window.plain:
        return weighted(node, CONV[window.count], *channels, **settings)
    return weighted(node, PaddedConv2d, window, *channels, **settings | {"padding": 0})


def _convolve(x: Tensor, w: Tensor, b: Tensor | None, strides: list[int], dilations: list[int], groups: int) -> Tensor:
    """A convolution without padding of an image of one, two or three dimensions."""
    if x.dim() == 3:
        return F.conv1d(x, w, b, tuple(strides), 0, tuple(dilations), groups)
    if x.dim() == 4:
        return F.conv2d(x, w, b, tuple(strides), 0, tuple(dilations), groups)
    depth = (x.shape[2] - (w.shape[2] - 1) * dilations[0] - 1) // strides[0] + 1  # planes of the result
    total: Any = 0
    for i in range(w.shape[2]):  # each plane of the kernel convolves the planes that it meets
        first = i * dilations[0]
        planes = x[:, :, first : first + (depth - 1) * strides[0] + 1 : strides[0]].transpose(1, 2)
        images = planes.reshape(-1, *planes.shape[2:])
        total = total + F.conv2d(images, w[:, :, i], None, tuple(strides[1:]), 0, tuple(dilations[1:]), groups)
    volume = total.reshape(x.shape[0], depth, *total.shape[1:]).transpose(1, 2)
    return volume if b is None else volume + b.reshape(-1, 1, 1, 1)


def conv_transpose(node: Node) -> Any:
    """ConvTranspose."""
    weight, groups, shape = node.constant(1), node.attr("group", 1), node.shape(1)
    window = Window(node, node.attr("kernel_shape") if shape is None else shape[2:])  # type: ignore[arg-type]
    extra, sizes = node.numbers("output_padding", window.count, [0] * window.count, least=0), node.attr("output_shape")
    steps = list(zip(extra, window.strides, window.dilations, strict=True))
    small = all(e < max(s, d) and s <= MOST_PLAIN for e, s, d in steps)
    if window.plain and small and sizes is None and weight is not None and window.count < 3 and node.fixed(2):
        channels = weight.shape[0], weight.shape[1] * groups
        settings = window.settings() | {"groups": groups, "bias": node.has(2), "output_padding": tuple(extra)}
        return weighted(node, CONV_TRANSPOSE[window.count], *channels, **settings)

    def compute(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        whole = [(n - 1) * s + e for n, s, e in zip(x.shape[2:], window.strides, window.extents, strict=True)]
        check_size([x.shape[0], w.shape[1] * groups, *whole])
        pads = window.fixed
        if sizes or window.same:
            wanted = sizes or [n * s for n, s in zip(x.shape[2:], window.strides, strict=True)]
            totals = [n + e - m for n, e, m in zip(whole, extra, wanted[-window.count :], strict=True)]
            less = [total // 2 if window.auto == "SAME_UPPER" else total - total // 2 for total in totals]
            pads = [(low, total - low) for low, total in zip(less, totals, strict=True)]
        image = padded(
            _spread(x, w, window, groups), [(-low, e - high) for (low, high), e in zip(pads, extra, strict=True)]
        )
        return image if b is None else image + b.reshape(-1, *(1,) * window.count)

    return compute


def _spread(x: Tensor, w: Tensor, window: Window, groups: int) -> Tensor:
    """The transposed convolution without padding: zeros between the image's pixels, and the kernel turned round."""
    if window.count == 2:
        return F.conv_transpose2d(x, w, None, tuple(window.strides), 0, 0, groups, tuple(window.dilations))
    for axis, stride in enumerate(window.strides, 2):
        if stride > 1:
            x = ops.stack([x, *[zeros_like(x)] * (stride - 1)], axis + 1).flatten(axis, axis + 1)
            x = x.narrow(axis, 0, x.shape[axis] - stride + 1)
    x = padded(x, [(e - 1, e - 1) for e in window.extents])
    channels, each = w.shape[:2]
    kernel = w.reshape(groups, channels // groups, each, *window.kernel).transpose(1, 2)
    kernel = kernel.reshape(groups * each, channels // groups, *window.kernel).flip(list(range(2, 2 + window.count)))
    return _convolve(x, kernel, None, [1] * window.count, window.dilations, groups)


# --- pooling ----------------------------------------------------------------------------------------------------------------


def pool(node: Node) -> Any:
    """MaxPool, AveragePool, LpPool."""
    window = Window(node, node.attr("kernel_shape"))
    ceil, counted = bool(node.attr("ceil_mode", 0)), bool(node.attr("count_include_pad", 0))
    half = all(low <= extent // 2 for (low, _), extent in zip(window.fixed, window.extents, strict=True))
    if window.count < 3 and window.plain and half and node.kind() in FLOATS:
        settings = window.settings() | {"ceil_mode": ceil}
        if node.op == "MaxPool" and not node.gives(1):
            return MAX_POOL[window.count](**settings)
        if node.op == "AveragePool" and set(settings.pop("dilation")) == {1}:
            return AVG_POOL[window.count](**settings, count_include_pad=counted)
    p, order = node.attr("p", 2), node.attr("storage_order", 0)
    if node.op == "MaxPool":
        return lambda x: _largest(x, window, ceil, order)[: 1 + node.gives(1)]
    if node.op == "AveragePool":
        return lambda x: _sum(x, window, ceil, True, counted)
    return lambda x: _sum(x.abs() ** p, window, ceil, False, False) ** (1 / p)


def _spans(x: Tensor, window: Window, ceil: bool) -> list[tuple[int, np.ndarray, int]]:
    """Of each dimension of the image, the last first: (axis, places (windows, kernel), where the padding ends). Places in the
    padding are below 0, or not below the image's size."""
    counts = []
    for i, (low, high) in enumerate(pads := window.pads(x.shape[2:])):
        size, stride = x.shape[2 + i], window.strides[i]
        room = size + low + high - window.extents[i]
        count = (-(-room // stride) if ceil else room // stride) + 1
        counts.append(count - (ceil and (count - 1) * stride >= size + low))  # none begins behind the image
        if counts[-1] < 1:
            raise RuntimeError(
                f"a window of {window.extents[i]} does not fit into {size} with a padding of {low} and {high}"
            )
    check_size([*x.shape[:2], *counts, max(window.kernel)])
    places = [
        np.arange(counts[i])[:, None] * window.strides[i]
        + np.arange(window.kernel[i]) * window.dilations[i]
        - pads[i][0]
        for i in range(window.count)
    ]
    return [(2 + i, places[i], x.shape[2 + i] + pads[i][1]) for i in reversed(range(window.count))]


def _seen(x: Tensor, axis: int, places: np.ndarray, value: float) -> Tensor:
    """What each window sees along an axis: its length becomes (windows, kernel); `value` in the padding."""
    size = x.shape[axis]
    places = np.where((places >= 0) & (places < size), places, size)
    check_size([*x.shape[:axis], places.size, *x.shape[axis + 1 :]])
    framed = F.pad(x, [0, 0] * (x.dim() - 1 - axis) + [0, 1], value=value)
    picked = framed.index_select(axis, Tensor.wrap(places.reshape(-1)))
    return picked.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _largest(x: Tensor, window: Window, ceil: bool, order: int) -> tuple[Tensor, Tensor]:
    """The maxima and their places, counted through the whole tensor, by columns if `order`; of equals the first."""
    shape = x.shape if not order else (*x.shape[:2], *x.shape[:1:-1])
    found = np.arange(x.numel()).reshape(shape)
    found = found if not order else found.transpose(0, 1, *range(found.ndim - 1, 1, -1))
    for axis, places, _ in _spans(x, window, ceil):
        x, best = _seen(x, axis, places, lowest(x.array.dtype)).max(axis + 1)
        there = np.take_along_axis(places, np.moveaxis(best.array, axis, 0).reshape(len(places), -1), 1)
        there = np.moveaxis(there.reshape(np.moveaxis(best.array, axis, 0).shape), 0, axis)
        found = np.take_along_axis(found, np.clip(there, 0, found.shape[axis] - 1), axis)
    return x, Tensor.wrap(np.ascontiguousarray(found))


def _sum(x: Tensor, window: Window, ceil: bool, mean: bool, counted: bool) -> Tensor:
    """The sum over each window, or the mean of those places that lie in the image, or, if counted, in its padding too."""
    for axis, places, end in _spans(x, window, ceil):
        inside = places < end if counted else (places >= 0) & (places < x.shape[axis])
        x = _seen(x, axis, places, 0.0).sum(axis + 1)
        if mean:
            x = x / Tensor.wrap(inside.sum(1).reshape(-1, *(1,) * (x.dim() - 1 - axis)).astype(x.array.dtype))
    return x


def max_unpool(node: Node) -> Compute:
    """MaxUnpool: each number back to the place that MaxPool took it from, zeros elsewhere."""
    window = Window(node, node.attr("kernel_shape"))

    def compute(x: Tensor, places: Tensor, output_shape: Tensor | None = None) -> Tensor:
        lists = x.shape[2:], window.strides, window.kernel, window.fixed
        smaller = [*x.shape[:2], *((n - 1) * s + k - low - high for n, s, k, (low, high) in zip(*lists, strict=True))]
        shape = smaller if output_shape is None else ints(output_shape)
        check_size(shape)
        there = np.ravel_multi_index(np.unravel_index(places.array.reshape(-1), smaller), shape)
        nothing = Tensor.wrap(np.zeros(math.prod(shape), x.array.dtype))
        return nothing.scatter(0, Tensor.wrap(there.astype(np.int64)), x.reshape(-1)).reshape(shape)

    return compute


class GlobalAveragePool(nn.AdaptiveAvgPool2d):
    """The mean of each channel, of an image of any number of dimensions."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, input: Tensor) -> Tensor:
        return input.mean(tuple(range(2, input.dim())), keepdim=True)


def global_pool(node: Node) -> Any:
    """GlobalAveragePool, GlobalMaxPool, GlobalLpPool: a number for each channel."""
    if node.op == "GlobalAveragePool":
        return GlobalAveragePool()
    if node.op == "GlobalMaxPool":
        return lambda x: x.flatten(2).max(2)[0].reshape(*x.shape[:2], *(1,) * (x.dim() - 2))
    p = node.attr("p", 2)
    return lambda x: (x.abs() ** p).sum(tuple(range(2, x.dim())), keepdim=True) ** (1 / p)
