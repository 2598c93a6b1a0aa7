"""The window that one operation looks through: which units of its input a unit of its output sees, read off the operation's graph node.

Along one axis the answer is a `Window`: unit i sees the input's units first + i * stride ... last + i * stride. The operations of
minicnn keep on their node all that is needed; a user's own `Function` is asked by sending a gradient through it.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from minicnn import Tensor, kernels, no_grad
from minicnn.ops import (
    activation,
    convolution,
    copying,
    indexing,
    normalization,
    padding,
    pooling,
    shape,
    sorting,
    vision,
)


class Window(NamedTuple):
    """Unit i of the output sees the units first + i * stride ... last + i * stride of the input."""

    first: Any = 0
    last: Any = 0
    stride: Any = 1


SAME = Window(), Window()
EVERYTHING = None
Shape = tuple[int, ...]
Rule = Callable[[Any, Shape, Shape], "tuple[Window, Window] | None"]


def window_of(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window] | None:
    """(along y, along x) from a node's output of shape `out` into one of its inputs of shape `inp`; None: everything.

    Maps have y and x as their last two dimensions. ValueError for an operation that cannot be followed.
    """
    if len(out) < 3 or len(inp) < 3:
        return EVERYTHING  # features without places
    bases = getattr(node, "function", type(node)).__mro__
    rule = next((RULES[base] for base in bases if base in RULES), None)
    if rule is not None:
        return rule(node, out, inp)
    room = bases[0].__module__
    if room in PLACE_BY_PLACE:
        return _same(node, out, inp)
    if room in ALONG_DIMS:
        return _along(node, out, inp)
    if room.startswith("minicnn.ops."):
        return EVERYTHING  # matrix products, Fourier transforms, sampling at given places: no bound is known
    return _probe(node, out, inp)


def _same(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window] | None:
    return SAME if out[-2:] == inp[-2:] else EVERYTHING


def _window(kernel: Any, stride: Any, padding: Any, dilation: Any = (1, 1)) -> tuple[Window, Window]:
    y, x = (
        Window(-p, (k - 1) * d - p, s) for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True)
    )  # fmt: skip
    return y, x


def _convolution(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    stride, padded, dilation, _ = node.geometry
    return _window(node.saved_tensors[1].shape[2:], stride, padded, dilation)


def _transposed(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    """Output y SH + i DH - PH comes from input y, so output i sees the inputs (i + PH - k DH) / SH that are whole."""
    stride, padded, dilation, _ = node.geometry
    kernel = node.saved_tensors[1].shape[2:]
    y, x = (
        Window(Fraction(p - (k - 1) * d, s), Fraction(p, s), Fraction(1, s))
        for k, s, p, d in zip(kernel, stride, padded, dilation, strict=True)
    )
    return y, x


def _adaptive(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    """Region i is floor(i r) ... ceil((i + 1) r) - 1, where r is the ratio of the lengths."""
    ratios = [Fraction(n, m) for n, m in zip(inp[-2:], out[-2:], strict=True)]
    rests = [Fraction(r.denominator - 1, r.denominator) for r in ratios]
    y, x = (Window(-rest, r + rest - 1, r) for r, rest in zip(ratios, rests, strict=True))
    return y, x


def _nearest(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    y, x = (
        Window(-Fraction(r.denominator - 1, r.denominator), 0, r) for r in _ratios(out, inp, node.options[-1])
    )  # fmt: skip
    return y, x


def _bilinear(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    """Unit i mixes floor(p) and floor(p) + 1, where p = i r with aligned corners, else (i + 1/2) r - 1/2."""
    _, aligned, scales = node.options
    if aligned:
        ratios = [Fraction(n - 1, m - 1) if m > 1 else Fraction(0) for n, m in zip(inp[-2:], out[-2:], strict=True)]
        places = [Fraction(0)] * 2
    else:
        ratios = _ratios(out, inp, scales)
        places = [r / 2 - Fraction(1, 2) for r in ratios]
    rests = [
        Fraction(d - 1, d) for d in (np.lcm(r.denominator, p.denominator) for r, p in zip(ratios, places, strict=True))
    ]
    y, x = (Window(p - rest, p + 1, r) for r, p, rest in zip(ratios, places, rests, strict=True))
    return y, x


def _ratios(out: Shape, inp: Shape, scales: Any) -> list[Fraction]:
    """Input pixels for each output pixel, along y and x."""
    return [
        1 / Fraction(scale).limit_denominator(1000) if scale else Fraction(n, m)
        for n, m, scale in zip(inp[-2:], out[-2:], scales, strict=True)
    ]


def _constant_pad(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    y, x = (here.start - there.start for here, there in zip(node.here[-2:], node.there[-2:], strict=True))
    return Window(y, y), Window(x, x)


def _border_pad(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    """As for zeros: a mirrored pixel is one that the same window sees anyway. (Circular: also the opposite border.)"""
    (y, _), (x, _) = node.widths[-2:]
    return Window(-y, -y), Window(-x, -x)


def _flip(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    dims = {dim % len(inp) for dim in np.atleast_1d(node.args[0])}
    y, x = (Window(inp[d] - 1, inp[d] - 1, -1) if d in dims else Window() for d in (len(inp) - 2, len(inp) - 1))
    return y, x


def _slice(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    dim, part = len(node.key) - 2, node.key[-2]
    first, _, step = part.indices(inp[dim])
    y, x = (Window(first, first, step) if dim == d else Window() for d in (len(inp) - 2, len(inp) - 1))
    return y, x


def _along(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window] | None:
    """A reduction, sum, or joining along dimensions: place by place if those are not y and x."""
    dims = getattr(node, "dims", getattr(node, "dim", ()))
    longer = max(out, inp, key=len)
    return SAME if all(dim % len(longer) < len(longer) - 2 for dim in np.atleast_1d(dims)) else EVERYTHING


def _select(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window] | None:
    return SAME if len(node.key) - 2 < len(inp) - 2 else EVERYTHING


def _index(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window] | None:
    """Channels picked by a list: place by place, if nothing is picked along y and x."""
    key = node.key if isinstance(node.key, tuple) else (node.key,)
    untouched = all(isinstance(part, slice) and part == slice(None) for part in key[len(inp) - 2 :])
    return SAME if untouched and out[-2:] == inp[-2:] else EVERYTHING


def _permute(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    order = np.arange(len(inp))
    if hasattr(node, "back"):
        order = np.asarray(node.back)
    else:
        order[list(node.dims)] = order[list(node.dims)[::-1]]
    if order[-2:].tolist() != [len(inp) - 2, len(inp) - 1]:
        raise ValueError(f"cannot follow {node.name()}: it moves y and x, the last two dimensions of {list(inp)}")
    return SAME


def _batch_norm(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window] | None:
    return EVERYTHING if node.training else SAME  # in training (an instance norm always) mean and variance see all


def _probe(node: Any, out: Shape, inp: Shape) -> tuple[Window, Window]:
    """A user's own operation: gradients at some places of the output must come back at those places alone."""
    rng = np.random.default_rng(0)
    if out[-2:] == inp[-2:] and len(node.input_metadata) == 1:
        sent = [tuple(int(rng.integers(n)) for n in out[-2:]) for _ in range(5)]
        returned = [_places(node, out, inp, place, rng) for place in sent]
        if any(returned) and all(places <= {place} for place, places in zip(sent, returned, strict=True)):
            return SAME
    raise ValueError(
        f"cannot follow {node.name()}, from {list(inp)} to {list(out)}: its rule is not known, and it does not work "
        "place by place; add one to minicnn.viz.window.RULES"
    )


def _places(
    node: Any, out: Shape, inp: Shape, place: tuple[int, int], rng: np.random.Generator
) -> set[tuple[int, int]]:
    """Where a gradient that is sent to one place of the node's output arrives at its input."""
    grad = np.zeros(out, node.input_metadata[0][1])
    grad[(..., *place)] = rng.standard_normal(out[:-2])
    with no_grad(), kernels.exact():
        results = [r.numpy() for r in node.run([Tensor.wrap(grad)]) if r is not None and tuple(r.shape) == tuple(inp)]
    return {(int(y), int(x)) for result in results for y, x in np.argwhere(result)[:, -2:]}


PLACE_BY_PLACE = {f"minicnn.ops.{name}" for name in ("activation", "arithmetic", "comparison", "elementwise")}
PLACE_BY_PLACE.add("minicnn.nn.modules._functions")  # what a backward hook puts around its module
ALONG_DIMS = {"minicnn.ops.reduction"}
RULES: dict[type, Rule] = {
    convolution.Convolution: _convolution,
    convolution.ConvTranspose: _transposed,
    pooling.MaxPool2DWithIndices: lambda node, out, inp: _window(*node.geometry),
    pooling.AvgPool2D: lambda node, out, inp: _window(*node.geometry[:3]),
    pooling.AdaptiveAvgPool2D: _adaptive,
    pooling.AdaptiveMaxPool2D: _adaptive,
    vision.UpsampleNearest2D: _nearest,
    vision.UpsampleBilinear2D: _bilinear,
    padding.ConstantPadNd: _constant_pad,
    padding._BorderPad: _border_pad,
    normalization.NativeBatchNorm: _batch_norm,
    activation.Softmax: _along,
    activation.LogSoftmax: _along,
    sorting.Cumsum: _along,
    sorting.Sort: _along,
    copying.Cat: _along,
    copying.Stack: _along,
    copying.Flip: _flip,
    copying.Clone: _same,
    copying.Copy: _same,
    indexing.Index: _index,
    shape.Split: _along,
    shape.Unbind: _along,
    shape.View: _same,
    shape.UnsafeView: _same,
    shape.Alias: _same,
    shape.Expand: _same,
    shape.Permute: _permute,
    shape.Transpose: _permute,
    shape.Slice: _slice,
    shape.Select: _select,
}
