"""Winograd's convolution for 3x3 and 5x5 kernels at stride 1: fewer multiplications through polynomials.

A convolution of a signal with a kernel is a product of polynomials, and a product of polynomials can be formed from their
values: evaluate both at enough points, multiply the values, interpolate. In two dimensions, with six points along each,
a tile of 6x6 input pixels gives m x m outputs of a K x K kernel, m = 7 - K, by 36 multiplications instead of m*m*K*K:

    out = A^T [ (G weight G^T) * (B^T tile B) ] A        3x3: 36 instead of 144; 5x5: 36 instead of 100

(Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.) With many channels each of the 36 products
becomes a matrix product (O, C) @ (C, tiles).

The points are 0, +-a, +-b and infinity, where the value of a polynomial is its highest coefficient. What a polynomial's even and
its odd coefficients give at a is what they give at -a, but for the sign of the odd ones: so `_input_values`, `_kernel_values_3`,
`_kernel_values_5` and `_outputs_4`, `_outputs_2`, the products with B^T, G and A^T, compute the halves and add and subtract them.

It rounds more than a plain sum, and how much depends on the points: the usual +-1, +-2 have about twice the error of +-3/4,
+-3/2 (lesson 8 prints both beside a plain sum's). What it rounds is as large as the largest pixel of the tile, whether an output
sees that pixel or not: `is_even` says where that does no harm. Float64, where every digit is wanted, never comes here.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.kernels.shapes import Geometry, Pair, Shape, output_size

from . import direct, parallel
from .parallel import jit, jit_sums, run, scratch
from .strip import finish, part_1
from .tile import ROWS, VECTOR, VECTORS, move, tile, width_of

POINTS = 36  # in two dimensions
OUTPUTS = {3: 4, 5: 2}  # kernel size K: a tile gives m x m outputs
# Times the largest |pixel| of the image and the sum of the |weights|: an output is off by less.
ERROR = 2.0**-16
SMALLEST = 2.0**-100  # the largest |pixel| of an image, unless it is 0
EVEN = 512  # times the mean |pixel|: the most that the largest |pixel| of an image may be
TILES = 2**21  # numbers in the values of one block of tiles, which should stay in the processor's cache
MOST_TILES = 256  # in a block
# Products in the time of a kernel's transform and of a tile's, by the kernel's side; measured on Zen 5.
COST = {3: (1700, 2200), 5: (2700, 2300)}
LANE = VECTOR // 4  # float32 in a vector register
PANEL = VECTORS * LANE  # tiles side by side in one tile of the matrix product
# Numbers side by side in a transform: a constant, so that the compiler knows which rows do not overlap.
WIDTH = ROWS * PANEL
HALF = 2 * WIDTH  # pixels side by side in the first half of the input's transform
PARTS = 6  # times PANEL input channels at a time
BLOCKS = 2  # times ROWS output channels: so many use the values of a panel before the next panel

A, B = np.float32(3 / 4), np.float32(3 / 2)
AA, BB, AABB, SUM = A * A, B * B, A * A * B * B, A * A + B * B
# The denominators of Lagrange's interpolation, the product of the distances to the other points, put into the kernel's values.
AT_0, AT_A, AT_B = 1 / AABB, 1 / (2 * AA * (AA - BB)), 1 / (2 * BB * (BB - AA))


@jit
def _input_values(d0, d1, d2, d3, d4, d5):
    """Row i of B^T holds the coefficients of the polynomial that is zero at all points but the i-th.

    (The transpose of interpolation: a convolution that keeps only full overlaps is the transpose of a product.)
    """
    even_a, odd_a = d4 - BB * d2, A * (d3 - BB * d1)
    even_b, odd_b = d4 - AA * d2, B * (d3 - AA * d1)
    at_0, at_infinity = AABB * d0 - SUM * d2 + d4, AABB * d1 - SUM * d3 + d5
    return at_0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, at_infinity


@jit
def _kernel_values_3(k0, k1, k2):
    """w(x) = k0 + k1 x + k2 x^2 at the points, divided by the denominators."""
    even_a, odd_a = AT_A * (k0 + AA * k2), AT_A * A * k1
    even_b, odd_b = AT_B * (k0 + BB * k2), AT_B * B * k1
    return AT_0 * k0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, k2


@jit
def _kernel_values_5(k0, k1, k2, k3, k4):
    even_a, odd_a = AT_A * (k0 + AA * (k2 + AA * k4)), AT_A * A * (k1 + AA * k3)
    even_b, odd_b = AT_B * (k0 + BB * (k2 + BB * k4)), AT_B * B * (k1 + BB * k3)
    return AT_0 * k0, even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, k4


@jit
def _outputs_4(at_0, at_a, at_minus_a, at_b, at_minus_b, at_infinity):
    """Column i of A^T holds the powers 1, x, x^2, x^3 of point i."""
    even_a, odd_a = at_a + at_minus_a, A * (at_a - at_minus_a)
    even_b, odd_b = at_b + at_minus_b, B * (at_b - at_minus_b)
    return at_0 + even_a + even_b, odd_a + odd_b, AA * even_a + BB * even_b, AA * odd_a + BB * odd_b + at_infinity


@jit
def _outputs_2(at_0, at_a, at_minus_a, at_b, at_minus_b, at_infinity):
    even = at_a + at_minus_a + at_b + at_minus_b
    return at_0 + even, A * (at_a - at_minus_a) + B * (at_b - at_minus_b) + at_infinity


def suits(geometry: Geometry) -> bool:
    """Whether Winograd's algorithm may be used: only in float32, because it rounds more."""
    KH, KW = geometry.weight_shape[2:]
    return (
        geometry.dtype == np.float32 and geometry.groups == 1 and KH == KW and KH in OUTPUTS
        and geometry.stride == (1, 1) == geometry.dilation and max(geometry.padding) < KH and 0 not in geometry.input_shape
    )  # fmt: skip


def pays(geometry: Geometry) -> bool:
    """Whether the products that it saves repay the transforms. Those of the kernels are shared by the tiles, those of the tiles
    by the channels: there must be enough of both."""
    (N, C, _, _), (O, _, K, _) = geometry.input_shape, geometry.weight_shape
    OH, OW = geometry.output_size
    m = OUTPUTS[K]
    tiles = N * -(-OH // m) * -(-OW // m)
    # of a tile, for each pair of channels; the tiles at the edge are not full
    saved = N * OH * OW * K * K / tiles - POINTS
    per_kernel, per_tile = COST[K]
    return saved > per_kernel / tiles + per_tile * (1 / C + 1 / O)


def conv2d(geometry: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Its sums would carry a large, infinite or NaN pixel to outputs that do not see it; such data takes the exact path."""
    out = convolve(x, weight, geometry.padding, bias) if is_even(x) else None
    return direct.conv2d(geometry, x, weight, bias) if out is None else out


def conv2d_grad_input(geometry: Geometry, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The gradient is a convolution of `grad` with the kernels turned by 180 degrees, inputs and outputs exchanged."""
    PH, PW = (weight.shape[2] - 1 - p for p in geometry.padding)
    out = convolve(grad, weight, (PH, PW), None, turned=True) if is_even(grad) else None
    return direct.conv2d_grad_input(geometry, grad, weight) if out is None else out


def is_even(x: np.ndarray) -> bool:
    """Whether no number of an image (N, C, H, W) is more than EVEN times their mean magnitude, all are finite, and not all so small
    that the sums lose digits. x is contiguous, float32."""
    planes, largest = x.reshape(*x.shape[:2], -1), np.empty(1, np.int32)
    return _is_even(planes, planes.view(np.int32), largest, largest.view(np.float32))


@jit_sums
def _is_even(x, x_bits, largest, largest_number):
    """Magnitudes are in the order of their bits, NaN above infinity, and a maximum of integers is found in vectors. (What is seen as
    other numbers is made so outside: compiled, each `view` takes a tenth of a second at the start.)"""
    N, C, pixels = x.shape
    for n in range(N):
        most, total = np.int32(0), 0.0
        for c in range(C):
            plane, bits, whole = x[n, c], x_bits[n, c], x.dtype.type(0)
            for i in range(len(plane)):
                whole += abs(plane[i])
            total += whole
            for i in range(len(bits)):
                most = max(most, bits[i] & np.int32(0x7FFFFFFF))
        largest[0] = most
        top = np.float64(largest_number[0])
        if not (total < np.inf and top * (C * pixels) <= EVEN * total and (top == 0 or top >= SMALLEST)):
            return False
    return True


def convolve(
    x: np.ndarray, weight: np.ndarray, padding: tuple[int, int], bias: np.ndarray | None, turned: bool = False
) -> np.ndarray | None:
    """Convolve x (N, C, H, W) at stride 1 with weight (O, C, K, K): (N, O, OH, OW), or None if not all of it is finite.

    `turned`: with the kernels turned by 180 degrees, inputs and outputs exchanged: x (N, O, ..) -> (N, C, ..). All float32.
    """
    O, C = weight.shape[1 if turned else 0], x.shape[1]
    plan = _plan(x.shape, O, weight.shape[2], padding)
    rows = ROWS * min(BLOCKS, -(-O // (ROWS * parallel.THREADS)))  # output channels of a unit
    out = np.empty(plan.out, x.dtype)
    bias = np.zeros(O, x.dtype) if bias is None else bias
    weight = np.ascontiguousarray(weight)
    nonfinite = np.zeros(O, np.int64)  # how many outputs of each channel are infinite or NaN
    for first, count, panels in plan.blocks:
        values = scratch("values", (POINTS, panels, C, PANEL), x.dtype)
        run(_evaluate_tiles, C, values.size, x, values, plan.m, *padding, first, count, plan.down, plan.across)
        arguments = values, weight, turned, rows, out, bias, nonfinite, first, count, plan.down, plan.across
        run(_multiply, -(-O // rows), values.size // C * O, *arguments)
    return None if nonfinite.any() else out


class Plan(NamedTuple):
    """How `convolve` cuts its work: blocks of bands; a band is one row of tiles."""

    out: Shape
    m: int  # outputs of a tile, along each axis
    down: int  # tiles in a column and in a row of an image
    across: int
    blocks: list[tuple[int, int, int]]  # the first band, how many, panels of tiles


@lru_cache(maxsize=512)
def _plan(shape: Shape, O: int, K: int, padding: Pair) -> Plan:
    (N, C, H, W), m = shape, OUTPUTS[K]
    OH, OW = output_size(H, K, 1, padding[0]), output_size(W, K, 1, padding[1])
    down, across = -(-OH // m), -(-OW // m)
    bands = N * down
    step = -(-bands // -(-bands // max(1, min(MOST_TILES, TILES // (POINTS * C)) // across)))
    counts = [(first, min(step, bands - first)) for first in range(0, bands, step)]
    return Plan((N, O, OH, OW), m, down, across, [(*some, -(-some[1] * across // PANEL)) for some in counts])


@jit
def _evaluate_tiles(x, values, m, PH, PW, first, count, down, across, start, stop):
    """B^T tile B for the tiles of `count` bands, from band `first` on: values (36, panels, C, PANEL). Unit: one channel.

    The i-th rows of all bands lie side by side, of several images too, so B^T is applied to six long runs of pixels; then B to the
    rows of the result, where a tile's pixels are m further than those of the tile before. Behind the tiles of a band this goes on
    over a few numbers that belong to no tile: `_gather` leaves them out.
    """
    segment = min(across, HALF // m - 2 * LANE)  # tiles of a band that are transformed at once
    pitch = (segment * m + 5) // m * m  # pixels in a row: a tile sees 6 - m more than its own
    some = max(1, (HALF - LANE) // pitch)  # bands that are transformed at once; a row is written in whole vectors
    seen, half = np.zeros(6 * HALF, x.dtype), np.zeros(6 * HALF, x.dtype)
    points = np.empty(POINTS * WIDTH + LANE, x.dtype)
    tiles = np.empty((POINTS, values.shape[1] * PANEL + LANE), x.dtype)
    (_, C, _, _), pixels = x.shape, x.reshape(-1)
    for c in range(start, stop):
        for band in range(0, count, some):
            bands = min(count - band, some)
            for q in range(0, across, segment):
                if across > segment:  # else what is left and right of an image is zero from the beginning
                    for t in range(len(seen)):
                        seen[t] = 0
                b, n, top = 0, (first + band) // down, (first + band) % down
                while b < bands:  # those of one image after the other
                    rows = min(down - top, bands - b)
                    place = n * C + c, top * m - PH, q * m - PW
                    _fill(pixels, x.shape, *place, m, seen, b * pitch, pitch, rows)
                    b, n, top = b + rows, n + 1, 0
                _down(seen, half, bands * pitch)
                for i in range(6):
                    _along(half[i * HALF :], m, points[6 * i * WIDTH :], bands * pitch // m)
                _gather(points, pitch // m, bands, tiles, band * across + q, across, min(segment, across - q))
        for k in range(POINTS):
            for panel in range(values.shape[1]):
                for t in range(0, min(PANEL, count * across - panel * PANEL), LANE):
                    move(tiles[k], panel * PANEL + t, values[k, panel, c], t)


@jit
def _fill(pixels, shape, plane, y0, x0, m, seen, to, pitch, rows):
    """Row y0 + i + b * m of a plane (H, W), from column x0 on, to seen[i * HALF + to + b * pitch], for i < 6 and b < rows."""
    _, _, H, W = shape
    left = max(0, -x0)
    count = min(pitch - left, W - x0 - left)
    for i in range(6):
        low, high = 0, rows
        while low < high and y0 + i + low * m < 0:
            low += 1
        while low < high and y0 + i + (high - 1) * m >= H:
            high -= 1
        target = i * HALF + to
        for t in range(target, target + low * pitch):
            seen[t] = 0
        source = (plane * H + y0 + i + low * m) * W + x0 + left
        part_1(pixels, source, m * W, seen, target + low * pitch + left, pitch, high - low, count, 0.0)
        for t in range(target + high * pitch, target + rows * pitch):
            seen[t] = 0


@jit
def _down(rows, half, count):
    """`_input_values` down the columns: value i of rows[k * HALF + t] over k to half[i * HALF + t], t < count."""
    d0, d1, d2 = rows, rows[HALF:], rows[2 * HALF :]
    d3, d4, d5 = rows[3 * HALF :], rows[4 * HALF :], rows[5 * HALF :]
    for t in range(count):
        v0, v1, v2, v3, v4, v5 = _input_values(d0[t], d1[t], d2[t], d3[t], d4[t], d5[t])
        half[t], half[HALF + t], half[2 * HALF + t] = v0, v1, v2
        half[3 * HALF + t], half[4 * HALF + t], half[5 * HALF + t] = v3, v4, v5


@jit
def _along(row, m, points, count):
    """`_input_values` along a row, of the six numbers from row[m * t] on; value j of tile t to points[j * WIDTH + t]."""
    if m == 4:  # strides that the compiler knows can be loaded as vectors
        for t in range(count):
            d0, d1, d2 = row[4 * t], row[4 * t + 1], row[4 * t + 2]
            d3, d4, d5 = row[4 * t + 3], row[4 * t + 4], row[4 * t + 5]
            v0, v1, v2, v3, v4, v5 = _input_values(d0, d1, d2, d3, d4, d5)
            points[t], points[WIDTH + t], points[2 * WIDTH + t] = v0, v1, v2
            points[3 * WIDTH + t], points[4 * WIDTH + t], points[5 * WIDTH + t] = v3, v4, v5
    else:
        for t in range(count):
            d0, d1, d2 = row[2 * t], row[2 * t + 1], row[2 * t + 2]
            d3, d4, d5 = row[2 * t + 3], row[2 * t + 4], row[2 * t + 5]
            v0, v1, v2, v3, v4, v5 = _input_values(d0, d1, d2, d3, d4, d5)
            points[t], points[WIDTH + t], points[2 * WIDTH + t] = v0, v1, v2
            points[3 * WIDTH + t], points[4 * WIDTH + t], points[5 * WIDTH + t] = v3, v4, v5


@jit
def _gather(points, pitch, bands, tiles, first, across, count):
    """Copy the values of `count` tiles of each band, and of a few more, which the next band will overwrite."""
    for k in range(POINTS):
        for band in range(bands):
            for t in range(0, count, LANE):
                move(points, k * WIDTH + band * pitch + t, tiles[k], first + band * across + t)


@jit
def _multiply(values, weight, turned, most, out, bias, nonfinite, first, count, down, across, start, stop):
    """All that remains, for a few output channels at a time. Unit: `most` output channels.

    Transform their kernels, multiply them with the tiles at each of the 36 points, and transform the products back. The input
    channels are taken in groups of a few parts: the kernels of a group, and its values at a point, stay in the core's cache.
    """
    _, panels, C, _ = values.shape
    O, m = out.shape[1], 4 if weight.shape[2] == 3 else 2
    tiles = count * across
    parts = (C + PANEL - 1) // PANEL
    per = (C + parts - 1) // parts
    kernels = np.empty((most // ROWS, PARTS * POINTS * WIDTH), out.dtype)
    kernel_taps, value_taps = np.empty(PARTS * per, np.int64), np.arange(PARTS * per) * PANEL
    for c in range(PARTS * per):
        kernel_taps[c] = c // per * (POINTS * WIDTH) + c % per
    products = np.zeros((most // ROWS, panels, POINTS, ROWS, PANEL), out.dtype)
    taps, half = np.zeros(25 * WIDTH, out.dtype), np.empty(30 * WIDTH, out.dtype)
    patches = np.empty(16 * WIDTH, out.dtype)
    line, places = np.empty(PANEL * m, out.dtype), np.empty((PANEL, 4), np.int64)
    flat = values.reshape(-1)
    for unit in range(start, stop):
        rows = min(most, O - unit * most)
        blocks = (rows + ROWS - 1) // ROWS
        for channel in range(0, C, PARTS * per):
            channels = min(PARTS * per, C - channel)
            for block in range(blocks):
                for c in range(0, channels, per):
                    target = kernels[block, c // per * (POINTS * WIDTH) :]
                    part = channel + c, min(per, channels - c), per
                    _evaluate_kernels(weight, turned, unit * most + block * ROWS, *part, taps, half, target)
            for k in range(POINTS):
                for block in range(blocks):
                    for panel in range(panels):
                        width = width_of(min(PANEL, tiles - panel * PANEL), LANE)
                        place = ((k * panels + panel) * C + channel) * PANEL
                        tile(
                            width, kernels[block], k * WIDTH, per, ROWS - 1, kernel_taps[:channels],
                            flat, place, value_taps[:channels], products[block, panel, k], channel > 0,
                        )  # fmt: skip
        for block in range(blocks):
            for panel in range(panels):
                _interpolate(products[block, panel].reshape(-1), half, patches, m)
                some = min(PANEL, tiles - panel * PANEL)
                bands = places[: _places(first, panel * PANEL, some, m, out, down, across, places)]
                for r in range(min(ROWS, rows - block * ROWS)):
                    o = unit * most + block * ROWS + r
                    nonfinite[o] += _put_together(patches[r * PANEL :], m, some, line, bands, bias, o, out)


@jit
def _evaluate_kernels(weight, turned, first, channel, channels, per, taps, half, out):
    """G kernel G^T of ROWS output channels from `first` on, for some input channels: out[k * WIDTH + r * per + c].

    The last output channel is repeated where there are no more.
    """
    K = weight.shape[2]
    C, O = (weight.shape[0], weight.shape[1]) if turned else (weight.shape[1], weight.shape[0])
    flat = weight.reshape(-1)
    c_step, o_step = (O * K * K, K * K) if turned else (K * K, C * K * K)
    begin, step = (K * K - 1, -1) if turned else (0, 1)
    for c in range(channels):
        for r in range(ROWS):
            source = begin + min(first + r, O - 1) * o_step + (channel + c) * c_step
            target = r * per + c
            if K == 3:  # a number of kernel elements that the compiler knows
                for k in range(9):
                    taps[k * WIDTH + target] = flat[source + k * step]
            else:
                for k in range(25):
                    taps[k * WIDTH + target] = flat[source + k * step]
    for j in range(K):  # down the columns
        _kernel_pass(taps[j * WIDTH :], K * WIDTH, K, half[6 * j * WIDTH :], ROWS * per)
    for i in range(6):  # along the rows
        _kernel_pass(half[i * WIDTH :], 6 * WIDTH, K, out[6 * i * WIDTH :], ROWS * per)


@jit
def _kernel_pass(source, step, K, target, count):
    """`_kernel_values_3` or `.._5` of `count` kernels side by side, from source[k * step + t] to target[i * WIDTH + t]."""
    k0, k1, k2 = source, source[step:], source[2 * step :]
    if K == 3:
        for t in range(count):
            v0, v1, v2, v3, v4, v5 = _kernel_values_3(k0[t], k1[t], k2[t])
            target[t], target[WIDTH + t], target[2 * WIDTH + t] = v0, v1, v2
            target[3 * WIDTH + t], target[4 * WIDTH + t], target[5 * WIDTH + t] = v3, v4, v5
    else:
        k3, k4 = source[3 * step :], source[4 * step :]
        for t in range(count):
            v0, v1, v2, v3, v4, v5 = _kernel_values_5(k0[t], k1[t], k2[t], k3[t], k4[t])
            target[t], target[WIDTH + t], target[2 * WIDTH + t] = v0, v1, v2
            target[3 * WIDTH + t], target[4 * WIDTH + t], target[5 * WIDTH + t] = v3, v4, v5


@jit
def _interpolate(products, half, patches, m):
    """A^T products A of WIDTH tiles side by side: output (i, j) of tile t to patches[(i * m + j) * WIDTH + t]."""
    for j in range(6):  # down the columns
        _output_pass(products[j * WIDTH :], 6 * WIDTH, m, half[m * j * WIDTH :])
    for i in range(m):  # along the rows
        _output_pass(half[i * WIDTH :], m * WIDTH, m, patches[m * i * WIDTH :])


@jit
def _output_pass(source, step, m, target):
    """`_outputs_4` or `_outputs_2` of WIDTH tiles, from source[k * step + t] to target[i * WIDTH + t]."""
    p0, p1, p2 = source, source[step:], source[2 * step :]
    p3, p4, p5 = source[3 * step :], source[4 * step :], source[5 * step :]
    if m == 4:
        for t in range(WIDTH):
            v0, v1, v2, v3 = _outputs_4(p0[t], p1[t], p2[t], p3[t], p4[t], p5[t])
            target[t], target[WIDTH + t], target[2 * WIDTH + t], target[3 * WIDTH + t] = v0, v1, v2, v3
    else:
        for t in range(WIDTH):
            target[t], target[WIDTH + t] = _outputs_2(p0[t], p1[t], p2[t], p3[t], p4[t], p5[t])


@jit
def _places(first, t, some, m, out, down, across, places):
    """Where `some` tiles from number t on go, those of a band after each other: numbers before them in a row of the panel's outputs,
    numbers, place of the first in channel 0 of out (N, O, OH, OW), rows. Returns how many bands there are."""
    _, O, OH, OW = out.shape
    done = count = 0
    while done < some:
        band, q = (t + done) // across, (t + done) % across
        length = min(across - q, some - done)
        n, top = (first + band) // down, (first + band) % down * m
        places[count, 0], places[count, 1] = done * m, min(length * m, OW - q * m)
        places[count, 2], places[count, 3] = (n * O * OH + top) * OW + q * m, min(m, OH - top)
        done, count = done + length, count + 1
    return count


@jit
def _put_together(patches, m, some, line, places, bias, o, out):
    """Tiles of m x m outputs, `some` side by side, into channel o of out. Returns how many of them are infinite or NaN."""
    _, _, OH, OW = out.shape
    flat, nonfinite = out.reshape(-1), 0
    for i in range(m):
        p0, p1 = patches[m * i * WIDTH :], patches[(m * i + 1) * WIDTH :]
        if m == 4:
            p2, p3 = patches[(m * i + 2) * WIDTH :], patches[(m * i + 3) * WIDTH :]
            for k in range(PANEL):
                line[4 * k], line[4 * k + 1], line[4 * k + 2], line[4 * k + 3] = p0[k], p1[k], p2[k], p3[k]
        else:
            for k in range(PANEL):
                line[2 * k], line[2 * k + 1] = p0[k], p1[k]
        for w in range(some * m):
            nonfinite += line[w] - line[w] != 0
        for band in range(len(places)):
            if i < places[band, 3]:
                place = places[band, 2] + (o * OH + i) * OW
                finish(line, places[band, 0], bias, o, 1, flat, place, 0, places[band, 1])
    return nonfinite
