"""Convolution, fast: the same results as the loops in `reference.py`.

Three algorithms, and a table (in `plan`) that says when each is used:

* ``direct``: the definition in register tiles, for any geometry (`direct.py`, `tile.py`).
* ``winograd``: 3x3 and 5x5 kernels at stride 1 in float32, with 4 and 2.8 times fewer multiplications (`winograd.py`).
* ``im2col``: the pixels under the kernel at each output position are copied into a column, and the convolution
  becomes weight (O, C*KH*KW) @ columns (C*KH*KW, OH*OW), a matrix product (`product.py`). Here.

Nothing larger than a few megabytes of columns exists at a time, whatever the size of the batch.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np

from minicnn.kernels.shapes import output_size

from . import direct, weight_gradient, winograd
from .direct import pick
from .memory import scratch
from .parallel import jit, run
from .product import matmul
from .tile import ROWS

COLUMNS = 2**20  # numbers in one block of columns: it should stay in the processor's cache until it has been used

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """Everything about a convolution but its numbers. Pairs are (height, width)."""

    input_shape: tuple[int, int, int, int]  # N, C, H, W
    weight_shape: tuple[int, int, int, int]  # O, C / groups, KH, KW
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    dtype: np.dtype

    @property
    def output_size(self) -> Pair:
        """OH, OW."""
        return tuple(
            map(output_size, self.input_shape[2:], self.weight_shape[2:], self.stride, self.padding, self.dilation)
        )


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    geometry = Geometry(x.shape, weight.shape, stride, padding, dilation, groups, x.dtype)
    return plan(geometry, "forward").forward(geometry, np.require(x, requirements="CW"), weight, bias)


def conv2d_grad_input(
    grad: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    geometry = Geometry(tuple(input_shape), weight.shape, stride, padding, dilation, groups, grad.dtype)
    return plan(geometry, "grad_input").grad_input(geometry, np.require(grad, requirements="CW"), weight)


def conv2d_grad_weight(
    grad: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    geometry = Geometry(x.shape, tuple(weight_shape), stride, padding, dilation, groups, x.dtype)
    arrays = (np.require(array, requirements="CW") for array in (grad, x))
    return plan(geometry, "grad_weight").grad_weight(geometry, *arrays)


# ----------------------------------------------------------------------------------------------------------- winograd


def _suits_winograd(geometry: Geometry) -> bool:
    """Whether Winograd's algorithm may be used: only in float32, because it rounds more."""
    KH, KW = geometry.weight_shape[2:]
    return (
        geometry.dtype == np.float32 and geometry.groups == 1 and KH == KW and KH in winograd.OUTPUTS
        and geometry.stride == (1, 1) == geometry.dilation and max(geometry.padding) < KH and geometry.input_shape[0] > 0
    )  # fmt: skip


def _winograd_pays(geometry: Geometry) -> bool:
    """Whether the products that it saves repay the transforms. Those of the kernels are shared by the tiles, those of the tiles
    by the channels: there must be enough of both."""
    (N, C, _, _), (O, _, K, _) = geometry.input_shape, geometry.weight_shape
    OH, OW = geometry.output_size
    m = winograd.OUTPUTS[K]
    tiles = N * -(-OH // m) * -(-OW // m)
    return min(C, O) >= (32 if tiles >= 32 else 192) and tiles >= 16


def _winograd_forward(geometry: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Its sums would carry a large, infinite or NaN pixel to outputs that do not see it; such data takes the exact path."""
    if winograd.is_even(x):
        out, finite = winograd.convolve(x, weight, geometry.padding, bias)
        if finite:
            return out
    return _direct_forward(geometry, x, weight, bias)


def _winograd_grad_input(geometry: Geometry, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient is a convolution of `grad` with the kernels turned by 180 degrees, inputs and outputs exchanged."""
    if winograd.is_even(grad):
        padding = tuple(weight.shape[2] - 1 - p for p in geometry.padding)
        out, finite = winograd.convolve(grad, weight, padding, None, turned=True)
        if finite:
            return out
    return _direct_grad_input(geometry, grad, weight)


# ------------------------------------------------------------------------------------------------------------- direct


def _direct_forward(geometry: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return direct.conv2d(x, weight, bias, geometry.stride, geometry.padding, geometry.dilation, geometry.groups)


def _direct_grad_input(geometry: Geometry, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Its zeros around `grad` meet kernel elements that no output has used there, which an infinite or NaN one gives away: it
    reaches the first pixels of its channel, and then the columns, which have no such zeros, are taken."""
    out = direct.conv2d_grad_input(
        grad, weight, geometry.input_shape, geometry.stride, geometry.padding, geometry.dilation, geometry.groups
    )
    SH, SW = geometry.stride
    return out if np.isfinite(out[:1, :, :SH, :SW]).all() else _im2col_grad_input(geometry, grad, weight)


def _direct_grad_weight(geometry: Geometry, grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    return weight_gradient.conv2d_grad_weight(
        grad, x, geometry.weight_shape, geometry.stride, geometry.padding, geometry.dilation, geometry.groups
    )


# ------------------------------------------------------------------------------------------------------------ columns


def _im2col_forward(geometry: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    N, O, groups = len(x), weight.shape[0], geometry.groups
    out = np.empty((N, O, *geometry.output_size), x.dtype)
    matrix = weight.reshape(groups, O // groups, -1)
    for images, rows, columns in _im2col(geometry, x, geometry.output_size):
        target = out[images, :, rows]  # n, O, r, OW
        n, _, r, OW = target.shape
        columns = _by_group(columns, groups).reshape(groups, -1, n, r * OW).transpose(2, 0, 1, 3)  # n, groups, .., r*OW
        for image in range(n):
            target[image] = matmul(matrix, columns[image]).reshape(target[image].shape)
        _add_bias(target, bias)
    return out


def _im2col_grad_input(geometry: Geometry, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    groups, O = geometry.groups, weight.shape[0]
    _N, C, H, _ = geometry.input_shape
    _, _, KH, KW = weight.shape
    result = np.zeros(geometry.input_shape, grad.dtype)
    matrix = weight.reshape(groups, O // groups, -1).swapaxes(1, 2)
    for images, rows in _blocks(geometry, grad.shape[2:]):
        part = np.ascontiguousarray(grad[images, :, rows].swapaxes(0, 1))  # O, n, r, OW
        columns = scratch("columns", (C * KH * KW, *part.shape[1:]), grad.dtype)
        matmul(matrix, part.reshape(groups, O // groups, -1), _by_group(columns, groups))
        target = result[images]
        steps = (*geometry.stride, *geometry.padding, *geometry.dilation)
        run(_fold, target.shape[0] * C * H, columns.size, columns, target, KH, KW, rows.start, *steps)
    return result


def _im2col_grad_weight(geometry: Geometry, grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    groups, O = geometry.groups, geometry.weight_shape[0]
    total = np.zeros((groups, O // groups, np.prod(geometry.weight_shape[1:], dtype=int)))  # float64: a long sum
    for images, rows, columns in _im2col(geometry, x, grad.shape[2:]):
        part = np.ascontiguousarray(grad[images, :, rows].swapaxes(0, 1))  # O, n, r, OW
        total += matmul(part.reshape(groups, O // groups, -1), _by_group(columns, groups).swapaxes(1, 2))
    return total.reshape(geometry.weight_shape).astype(x.dtype)


def _blocks(geometry: Geometry, size: Pair) -> Iterator[tuple[slice, slice]]:
    """Cut the output, of this size, into blocks of about `COLUMNS` numbers: several whole images each, or rows of one image."""
    N, (OH, OW) = geometry.input_shape[0], size
    _, C, KH, KW = geometry.weight_shape
    rows = max(1, COLUMNS // max(1, geometry.groups * C * KH * KW * OW))
    images = max(1, rows // max(1, OH))
    rows = min(rows, OH)
    for n in range(0, N, images):
        for r in range(0, OH, rows):
            yield slice(n, min(n + images, N)), slice(r, min(r + rows, OH))


def _im2col(geometry: Geometry, x: np.ndarray, size: Pair) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Blocks of the output with the input pixels that each of their elements sees: images, rows, columns (C*KH*KW, n, r, OW).

    The array is reused for the next block.
    """
    (SH, SW), (PH, PW), (DH, DW) = geometry.stride, geometry.padding, geometry.dilation
    _, C, H, W = x.shape
    _, _, KH, KW = geometry.weight_shape
    OW = size[1]
    images = slice(0, 0)
    for block, rows in _blocks(geometry, size):
        if block != images:
            images, n = block, block.stop - block.start
            phases = scratch("phases", (n, C, SW, H + 2 * PH, -(-(W + 2 * PW) // SW)), x.dtype)
            run(_split, n * C, phases.size, x[images], phases, PH, PW)
        r = rows.stop - rows.start
        columns = scratch("columns", (C * KH * KW, n, r, OW), x.dtype)
        run(_unfold, C * KH * KW * n, columns.size, phases, columns, KH, KW, rows.start, SH, DH, DW)
        yield images, rows, columns


def _by_group(columns: np.ndarray, groups: int) -> np.ndarray:
    """(C*KH*KW, n, r, OW) -> (groups, C/groups*KH*KW, n*r*OW), without a copy."""
    return columns.reshape(groups, len(columns) // groups, -1)


def _add_bias(out: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    if bias is not None:
        out += bias[:, None, None]
    return out


@jit
def _split(x, phases, PH, PW, start, stop):
    """Pad the planes and sort their columns by phase: phases[n, c, p, y, q] = padded x[n, c, y, q * SW + p].

    Afterwards the pixels that a stride of SW visits lie side by side. Unit: one plane (n, c).
    """
    _, C, SW, _, _ = phases.shape
    for unit in range(start, stop):
        n, c = unit // C, unit % C
        for p in range(SW):
            pick(x[n, c], -PH, p - PW, 1, SW, phases[n, c, p])


@jit
def _unfold(phases, columns, KH, KW, first, SH, DH, DW, start, stop):
    """columns[(c, kh, kw), n, r, ow] = padded x[n, c, (first + r) * SH + kh * DH, ow * SW + kw * DW]. Unit: ((c, kh, kw), n)."""
    _, N, R, OW = columns.shape
    SW = phases.shape[2]
    for unit in range(start, stop):
        k, n = unit // N, unit % N
        c, kh, kw = k // (KH * KW), k // KW % KH, k % KW
        p, q = kw * DW % SW, kw * DW // SW
        for r in range(R):
            source = phases[n, c, p, (first + r) * SH + kh * DH, q : q + OW]
            target = columns[k, n, r]
            for ow in range(OW):
                target[ow] = source[ow]


@jit
def _fold(columns, grad, KH, KW, first, SH, SW, PH, PW, DH, DW, start, stop):
    """The adjoint of split and unfold: add each column's elements to the pixels that they were copied from.

    Unit: one row (n, c, h) of the gradient, which collects from all output rows that saw it.
    """
    _, C, H, W = grad.shape
    _, _, R, OW = columns.shape
    width = max((W + 2 * PW + SW - 1) // SW, (KW - 1) * DW // SW + OW)
    phases = np.zeros((SW, width), grad.dtype)
    for unit in range(start, stop):
        n, c, h = unit // (C * H), unit // H % C, unit % H
        phases[:] = 0
        for kh in range(KH):
            y = h + PH - kh * DH  # the row where a window would start
            r = y // SH - first
            if y % SH == 0 and 0 <= r < R:
                for kw in range(KW):
                    source = columns[(c * KH + kh) * KW + kw, n, r]
                    target = phases[kw * DW % SW, kw * DW // SW :]
                    for ow in range(OW):
                        target[ow] += source[ow]
        for p in range(SW):
            skipped = max(0, (PW - p + SW - 1) // SW)
            source = phases[p, skipped:]
            target = grad[n, c, h, skipped * SW + p - PW :]
            for q in range((len(target) + SW - 1) // SW):
                target[q * SW] += source[q]


# -------------------------------------------------------------------------------------------------------- the planner


class Algorithm(NamedTuple):
    """A way to convolve: where it may be used, how to go forward, and the gradients with respect to the input and weight."""

    name: str
    suits: Callable[[Geometry], bool]
    forward: Callable[..., np.ndarray]  # geometry, x, weight, bias
    grad_input: Callable[..., np.ndarray]  # geometry, grad, weight
    grad_weight: Callable[..., np.ndarray]  # geometry, grad, x


def _always(geometry: Geometry) -> bool:
    return True


ALGORITHMS = {
    "winograd": Algorithm("winograd", _suits_winograd, _winograd_forward, _winograd_grad_input, _direct_grad_weight),
    "direct": Algorithm("direct", _always, _direct_forward, _direct_grad_input, _direct_grad_weight),
    "im2col": Algorithm("im2col", _always, _im2col_forward, _im2col_grad_input, _im2col_grad_weight),
}
OPERATIONS = ("forward", "grad_input", "grad_weight")
choice: ContextVar[str] = ContextVar("kernels", default="fast")  # of this thread; see `minicnn.kernels.use`


def plan(geometry: Geometry, operation: str) -> Algorithm:
    """The algorithm for an operation (one of `OPERATIONS`) of these shapes.

    | operation   | where                                                                  | algorithm |
    |-------------|------------------------------------------------------------------------|-----------|
    | grad_weight | everywhere                                                             | direct    |
    | others      | 3x3, 5x5 at stride 1 in float32; from 32 tiles on with 32 channels,    | winograd  |
    |             | from 16 tiles on with 192 channels (a tile: 4x4 or 2x2 outputs)        |           |
    | grad_input  | fewer input channels than a tile has rows                              | columns   |
    | others      | everywhere else                                                        | direct    |

    Winograd's algorithm mixes the pixels of a tile in the last digits: a number next to an output that does not see it changes
    it by up to `winograd.ERROR` of that number times the sum of the kernel's absolute weights, so what would be 0 is not quite
    0. Two rules keep that small. Images with a number that towers over the others (`winograd.is_even`) are computed as defined,
    and who reads zeros as zeros takes `kernels.exact()`.
    """
    forced = choice.get()
    if forced in ALGORITHMS:
        return ALGORITHMS[forced if ALGORITHMS[forced].suits(geometry) else "direct"]
    if operation == "grad_weight":
        return ALGORITHMS["direct"]
    if _suits_winograd(geometry) and _winograd_pays(geometry):
        return ALGORITHMS["winograd"]
    if operation == "grad_input" and geometry.weight_shape[1] < ROWS:
        return ALGORITHMS["im2col"]
    return ALGORITHMS["direct"]
