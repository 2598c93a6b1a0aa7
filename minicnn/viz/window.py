"""The window that one operation looks through: which units of its input a unit of its output sees, read off the operation's graph node.

Along one axis the answer is a `Window`: unit i sees the input's units first + i * stride ... last + i * stride. The operations of
minicnn keep on their node all that is needed; a user's own `Function` is asked by sending a gradient through it.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from minicnn import Tensor, kernels, no_grad


class Window(NamedTuple):
    """Unit i of the output sees the units first + i * stride ... last + i * stride of the input."""

    first: Any = 0
    last: Any = 0
    stride: Any = 1


SAME = Window(), Window()
EVERYTHING = None
Shape = tuple[int, ...]
Windows = tuple[Window, Window]
Rule = Callable[[Any, Shape, Shape], "Windows | None"]


def window_of(node: Any, out: Shape, inp: Shape) -> Windows | None:
    """(along y, along x) from a node's output of shape `out` into one of its inputs of shape `inp`; None: everything.

    Maps have y and x as their last two dimensions. ValueError for an operation that cannot be followed.
    """
    if len(out) < 3 or len(inp) < 3:
        return EVERYTHING  # features without places
    bases = getattr(node, "function", type(node)).__mro__
    own = (RULES.get(base.__name__ if base.__module__.startswith("minicnn.ops.") else base) for base in bases)
    room = bases[0].__module__
    if rule := next(filter(None, own), ROOMS.get(room)):
        return rule(node, out, inp)
    if room.startswith("minicnn.ops."):
        return EVERYTHING  # matrix products, Fourier transforms, sampling at given places: no bound is known
    return _probe(node, out, inp)


def _both(axis: Callable[..., Window], *numbers: Any) -> Windows:
    """The windows along y and x by one function of each axis' numbers."""
    y, x = (axis(*own) for own in zip(*numbers, strict=True))
    return y, x


def _same(node: Any, out: Shape, inp: Shape) -> Windows | None:
    return SAME if out[-2:] == inp[-2:] else EVERYTHING


def _window(kernel: Any, stride: Any, padding: Any, dilation: Any = (1, 1)) -> Windows:
    return _both(lambda k, s, p, d: Window(-p, (k - 1) * d - p, s), kernel, stride, padding, dilation)


def _convolution(node: Any, out: Shape, inp: Shape) -> Windows:
    return _window(node.saved_tensors[1].shape[2:], *node.geometry[:3])


def _transposed(node: Any, out: Shape, inp: Shape) -> Windows:
    """Output y SH + i DH - PH comes from input y, so output i sees the inputs (i + PH - k DH) / SH that are whole."""

    def axis(k: int, s: int, p: int, d: int) -> Window:
        return Window(Fraction(p - (k - 1) * d, s), Fraction(p, s), Fraction(1, s))

    return _both(axis, node.saved_tensors[1].shape[2:], *node.geometry[:3])


def _adaptive(node: Any, out: Shape, inp: Shape) -> Windows:
    """Region i is floor(i r) ... ceil((i + 1) r) - 1, where r is the ratio of the lengths."""
    return _both(lambda r: Window(-_rest(r), r + _rest(r) - 1, r), _ratios(out, inp, (None, None)))


def _nearest(node: Any, out: Shape, inp: Shape) -> Windows:
    return _both(lambda r: Window(-_rest(r), 0, r), _ratios(out, inp, node.options[-1]))


def _bilinear(node: Any, out: Shape, inp: Shape) -> Windows:
    """Unit i mixes floor(p) and floor(p) + 1, where p = i r with aligned corners, else (i + 1/2) r - 1/2."""
    _, aligned, scales = node.options

    def axis(n: int, m: int, r: Fraction) -> Window:
        if aligned:
            r = Fraction(n - 1, m - 1) if m > 1 else Fraction(0)
        place = Fraction(0) if aligned else r / 2 - Fraction(1, 2)
        return Window(place - _rest(r, place), place + 1, r)

    return _both(axis, inp[-2:], out[-2:], _ratios(out, inp, scales))


def _ratios(out: Shape, inp: Shape, scales: Any) -> list[Fraction]:
    """Input pixels for each output pixel, along y and x."""
    return [
        1 / Fraction(scale).limit_denominator(1000) if scale else Fraction(n, m)
        for n, m, scale in zip(inp[-2:], out[-2:], scales, strict=True)
    ]


def _rest(*numbers: Fraction) -> Fraction:
    """The most that a sum of multiples of these numbers can lie above a whole number."""
    d = math.lcm(*(number.denominator for number in numbers))
    return Fraction(d - 1, d)


def _constant_pad(node: Any, out: Shape, inp: Shape) -> Windows:
    shifts = [here.start - there.start for here, there in zip(node.here[-2:], node.there[-2:], strict=True)]
    return _both(lambda shift: Window(shift, shift), shifts)


def _border_pad(node: Any, out: Shape, inp: Shape) -> Windows:
    """As for zeros: a mirrored pixel is one that the same window sees anyway. (Circular: also the opposite border.)"""
    return _both(lambda width: Window(-width[0], -width[0]), node.widths[-2:])


def _flip(node: Any, out: Shape, inp: Shape) -> Windows:
    dims = {dim % len(inp) for dim in node.args[0]}
    return _both(lambda d: Window(inp[d] - 1, inp[d] - 1, -1) if d in dims else Window(), (len(inp) - 2, len(inp) - 1))


def _slice(node: Any, out: Shape, inp: Shape) -> Windows:
    dim, part = len(node.key) - 2, node.key[-2]
    first, _, step = part.indices(inp[dim])
    return _both(lambda d: Window(first, first, step) if d == dim else Window(), (len(inp) - 2, len(inp) - 1))


def _along(node: Any, out: Shape, inp: Shape) -> Windows | None:
    """A reduction, sum, or joining along dimensions: place by place if those are not y and x."""
    dims = node.dims if hasattr(node, "dims") else node.dim
    longer = max(out, inp, key=len)
    return SAME if all(dim % len(longer) < len(longer) - 2 for dim in np.atleast_1d(dims)) else EVERYTHING


def _select(node: Any, out: Shape, inp: Shape) -> Windows | None:
    return SAME if len(node.key) - 2 < len(inp) - 2 else EVERYTHING


def _index(node: Any, out: Shape, inp: Shape) -> Windows | None:
    """Channels picked by a list: place by place, if nothing is picked along y and x."""
    key = node.key if isinstance(node.key, tuple) else (node.key,)
    untouched = all(isinstance(part, slice) and part == slice(None) for part in key[len(inp) - 2 :])
    return SAME if untouched and out[-2:] == inp[-2:] else EVERYTHING


def _permute(node: Any, out: Shape, inp: Shape) -> Windows:
    order = np.arange(len(inp))
    if hasattr(node, "back"):
        order = np.asarray(node.back)
    else:
        order[list(node.dims)] = order[list(node.dims)[::-1]]
    if order[-2:].tolist() != [len(inp) - 2, len(inp) - 1]:
        raise ValueError(f"cannot follow {node.name()}: it moves y and x, the last two dimensions of {list(inp)}")
    return SAME


def _batch_norm(node: Any, out: Shape, inp: Shape) -> Windows | None:
    return EVERYTHING if node.options[0] else SAME  # in training (an instance norm always) mean and variance see all


def _probe(node: Any, out: Shape, inp: Shape) -> Windows:
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


def _places(node: Any, out: Shape, inp: Shape, place: Shape, rng: np.random.Generator) -> set[Shape]:
    """Where a gradient that is sent to one place of the node's output arrives at its input."""
    grad = np.zeros(out, node.input_metadata[0][1])
    at: Any = (..., *place)
    grad[at] = rng.standard_normal(out[:-2])
    with no_grad(), kernels.exact():
        results = [r.numpy() for r in node.run([Tensor.wrap(grad)]) if r is not None and tuple(r.shape) == tuple(inp)]
    return {(int(y), int(x)) for result in results for y, x in np.argwhere(result)[:, -2:]}


ROOMS: dict[str, Rule] = {
    **{f"minicnn.ops.{name}": _same for name in ("activation", "arithmetic", "comparison", "elementwise")},
    "minicnn.ops.reduction": _along,
    "minicnn.nn.modules._functions": _same,  # what a backward hook puts around its module
}
RULES: dict[Any, Rule] = {  # by the name of the operation's class; of a user's own by the class
    "Convolution": _convolution,
    "ConvTranspose": _transposed,
    "MaxPool2DWithIndices": lambda node, out, inp: _window(*node.geometry),
    "AvgPool2D": lambda node, out, inp: _window(*node.options[:3]),
    "UpsampleNearest2D": _nearest,
    "UpsampleBilinear2D": _bilinear,
    "ConstantPadNd": _constant_pad,
    "_BorderPad": _border_pad,
    "NativeBatchNorm": _batch_norm,
    "Flip": _flip,
    "Index": _index,
    "Slice": _slice,
    "Select": _select,
    **dict.fromkeys(("AdaptiveAvgPool2D", "AdaptiveMaxPool2D"), _adaptive),
    **dict.fromkeys(("Permute", "Transpose"), _permute),
    **dict.fromkeys(("Clone", "Copy", "View", "UnsafeView", "Alias", "Expand"), _same),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Cumsum", "Sort", "Cat", "Stack", "Split", "Unbind"), _along),
}
