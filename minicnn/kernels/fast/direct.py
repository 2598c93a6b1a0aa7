"""Convolution as it is defined, in tiles: for any kernel size, stride, dilation and groups, forward and backward.

Two steps. `_lay_out` copies the input into planes with the padding around them, one plane for each phase of the stride: in it
the pixels that a window visits are neighbours, and the next window is one pixel further. In such a plane the tap (c, kh, kw)
of every output pixel lies at one and the same distance from it, so that a run of neighbouring outputs needs a run of
neighbouring pixels for each tap: that is the product `tile` computes. The outputs of a row run on into the padding and into
the next row; what falls into the padding is computed and thrown away. (Many small maps would be mostly that: `panel.py`.)

The gradient to the input is such a convolution too: of the output's gradient, with the kernel turned by 180 degrees, inputs
and outputs exchanged. At a stride each phase of the input has its own taps. (`correlate` takes taps as they come.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.kernels.shapes import Geometry, Pair, Shape

from . import panel
from .parallel import inside, jit, run, scratch
from .strip import part_1, part_2, put
from .tile import ROWS, VECTOR, VECTORS, lanes, tile, width_for

PLANES = 2**22  # numbers in the planes of one block of images or rows
CHUNK = (
    2**16
)  # numbers of the planes that the tiles of a few rows read before the next rows: they stay in the core's cache


class Phase(NamedTuple):
    """The outputs at start, start + step, .. along both axes, and the kernel elements that contribute to them."""

    start: Pair
    taps: tuple[tuple[int, int, int], ...]  # row and column in the padded input; distance in the weight


class Taps:
    """Those of all outputs. A class of its own, so that it is known by what it is, not by its many numbers (see `_layout`)."""

    def __init__(self, phases: list[Phase], above: int, left: int) -> None:
        self.phases, self.above, self.left = phases, above, left  # above, left: the padding; may be negative


class Layout(NamedTuple):
    """How the planes of a band of the input lie in memory, and where the taps are in them."""

    phases: np.ndarray  # (phases, 2): the row and column, modulo the stride, that each plane of a channel holds
    rows: int
    pitch: int  # from one row of a plane to the next
    taps: list[tuple[np.ndarray, np.ndarray]]  # of each phase: distances in the planes, distances in the weight


class Product(NamedTuple):
    """The outputs of one phase in one block: one call of `multiply`, and what it is told beside the arrays."""

    multiply: Callable  # `_multiply`, or `panel.multiply` for many small maps
    units: int
    work: int
    weight_taps: np.ndarray
    pixel_taps: np.ndarray
    settings: tuple  # from `groups` to the last step


class Block(NamedTuple):
    """Some images, or some rows of one, that are computed together from one filling of the planes."""

    images: slice
    layout: Layout
    planes: tuple[int, int, int, int] | None  # (n C, phases, rows, pitch); None: the tiles read the input itself
    beyond: int  # numbers that the last tile reads past the end of the planes
    corner: Pair  # how far above and to the left of the input the planes begin
    group_step: int  # from one group's pixels to the next one's
    products: list[Product]


def conv2d(geometry: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    O, C, KH, KW = weight.shape  # C: of one group
    out = np.empty((len(x), O, *geometry.output_size), x.dtype)
    taps = forward_taps(KH, KW, geometry.dilation, geometry.padding)
    correlate(x, weight, (C * KH * KW, KH * KW), taps, geometry.stride, geometry.groups, bias, out)
    return out


def conv2d_grad_input(geometry: Geometry, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The zeros around `grad` meet kernel elements that no output has used there (see `convolution.conv2d_grad_input`)."""
    (SH, SW), (_, C, KH, KW) = geometry.stride, weight.shape
    out = np.empty(geometry.input_shape, grad.dtype)
    taps = backward_taps(KH, KW, geometry.dilation, geometry.padding, geometry.stride)
    if len(taps.phases) < SH * SW:
        out[:] = 0
    correlate(grad, weight, (KH * KW, C * KH * KW), taps, (1, 1), geometry.groups, None, out, geometry.stride)
    return out


@lru_cache
def forward_taps(KH: int, KW: int, dilation: Pair, padding: Pair) -> Taps:
    taps = tuple((kh * dilation[0], kw * dilation[1], kh * KW + kw) for kh in range(KH) for kw in range(KW))
    return Taps([Phase((0, 0), taps)], *padding)


@lru_cache
def backward_taps(KH: int, KW: int, dilation: Pair, padding: Pair, stride: Pair) -> Taps:
    """Input pixel p S + i, i one of the S phases, is touched at k by window p + (i + P - k D) / S, where that is an integer."""
    rows, columns = (
        [[(k, (i + P - k * D) // S) for k in range(K) if (i + P - k * D) % S == 0] for i in range(S)]
        for K, D, P, S in zip((KH, KW), dilation, padding, stride, strict=True)
    )
    above, left = (-min((shift for taps in axis for _, shift in taps), default=0) for axis in (rows, columns))
    phases = [
        Phase((y, x), tuple((above + i, left + j, kh * KW + kw) for kh, i in rows[y] for kw, j in columns[x]))
        for y in range(stride[0]) for x in range(stride[1]) if rows[y] and columns[x]
    ]  # fmt: skip
    return Taps(phases, above, left)


def correlate(
    x: np.ndarray, weight: np.ndarray, weight_steps: Pair, taps: Taps, stride: Pair, groups: int, bias: np.ndarray | None,
    out: np.ndarray, step: Pair = (1, 1),
) -> None:  # fmt: skip
    """out[n, r, y, x] = bias[r] + sum over channels c of its group and taps (dy, dx, distance) of
    weight[of the group + r * row_step + c * channel_step + distance] * padded x[n, c, y' SH + dy, x' SW + dx]

    for y = start + y' step and x likewise, in each of the phases. `weight_steps` is (row_step, channel_step). x, weight and out
    are contiguous.
    """
    if 0 in (*x.shape[:2], *out.shape):
        out[:] = 0 if bias is None else bias[:, None, None]
        return
    bias = np.zeros(out.shape[1], x.dtype) if bias is None else np.ascontiguousarray(bias)
    weight = np.ascontiguousarray(weight).reshape(-1)
    for block in _blocks(x.shape, out.shape, x.dtype, taps, stride, groups, weight_steps[1], step):
        image = x[block.images]
        pixels = image.reshape(-1)
        if block.planes is not None:
            size = math.prod(block.planes)
            pixels = scratch("planes", (size + block.beyond,), x.dtype)
            pixels[size:] = 0
            planes = pixels[:size].reshape(block.planes)
            run(_lay_out, block.planes[0], size, image, planes, block.layout.phases, *stride, *block.corner)
        for product in block.products:
            factors = weight, weight_steps[0], product.weight_taps, pixels, block.group_step, product.pixel_taps
            run(product.multiply, product.units, product.work, *factors, out[block.images], bias, *product.settings)


@lru_cache(maxsize=512)  # it takes as long as a small convolution
def _blocks(
    shape: Shape, out: Shape, dtype: np.dtype, taps: Taps, stride: Pair, groups: int, channel_step: int, step: Pair
) -> list[Block]:
    """How `correlate` cuts its work: about `PLANES` numbers of planes at a time."""
    (N, C, H, W), lane = shape, lanes(dtype)
    C_group, R_group = C // groups, out[1] // groups
    rows, columns = (-(-n // s) for n, s in zip(out[2:], step, strict=True))  # of the largest phase
    # Without padding, on any side, the input itself can be read, if the last tile can end at the last pixel or panels are copied.
    narrow, row_blocks = (rows - 1) * W + columns < VECTORS * lane, -(-R_group // ROWS)
    as_it_is = stride == step == (1, 1) and taps.above == taps.left == 0
    as_it_is = as_it_is and (not narrow or panel.pays(N, rows, columns, W, row_blocks, lane))
    as_it_is = as_it_is and all(rows + dy <= H and columns + dx <= W for dy, dx, _ in taps.phases[0].taps)
    whole = taps, stride, C_group, W, columns, channel_step, as_it_is
    layout = _layout(rows, *whole)
    per_row = C * len(layout.phases) * layout.pitch
    images, band = max(1, PLANES // (per_row * layout.rows)), rows
    if images == 1 and not as_it_is:
        band = min(rows, max(8, PLANES // per_row - (layout.rows - rows)))  # two bands share some rows of a plane
    blocks = []
    for n in range(0, N, images):
        count = min(images, N - n)
        for y in range(0, rows, band):
            height = min(band, rows - y)
            layout = _layout(height, *whole)
            planes = None if as_it_is else (count * C, len(layout.phases), layout.rows, layout.pitch)
            channel = H * W if planes is None else math.prod(planes[1:])
            products = []
            for phase, (pixel_taps, weight_taps) in zip(taps.phases, layout.taps, strict=True):
                y0, x0 = phase.start[0] + y * step[0], phase.start[1]
                OH, OW = min(height, -(-(out[2] - y0) // step[0])), -(-(out[3] - x0) // step[1])
                if OH <= 0 or OW <= 0:
                    continue
                total = (OH - 1) * layout.pitch + OW  # pixels, those between the rows included
                place = layout.pitch, OH, OW
                if (as_it_is and narrow) or panel.pays(count, OH, OW, layout.pitch, row_blocks, lane):
                    panels = groups * -(-count * OH * OW // (VECTORS * lane))
                    parts = panel.parts(panels, row_blocks)
                    work = count * OH * OW * out[1] * len(pixel_taps) // 16
                    settings = groups, len(phase.taps), parts, *place, y0, x0, *step
                    products.append(Product(panel.multiply, panels * parts, work, weight_taps, pixel_taps, settings))
                    continue
                chunk = -(-total // (-(-total * C_group * len(layout.phases) // CHUNK) * lane)) * lane
                units = count * groups * -(-total // chunk) * row_blocks
                work = count * total * out[1] * len(pixel_taps) // 16
                settings = groups, chunk, *place, as_it_is, y0, x0, *step
                products.append(Product(_multiply, units, work, weight_taps, pixel_taps, settings))
            corner = taps.above - y * stride[0], taps.left
            beyond = layout.pitch + VECTORS * lane
            blocks.append(Block(slice(n, n + count), layout, planes, beyond, corner, C_group * channel, products))
    return blocks


@lru_cache(maxsize=512)
def _layout(
    OH: int, taps: Taps, stride: Pair, channels: int, W: int, OW: int, channel_step: int, as_it_is: bool
) -> Layout:
    SH, SW = stride
    every = [tap for phase in taps.phases for tap in phase.taps]
    rows = OH + max(dy // SH for dy, _, _ in every)
    pitch = OW + max(dx // SW for _, dx, _ in every)
    if as_it_is:
        pitch = W
    elif SW == 1:  # the padding at the left of a row is that at the right of the one before, too
        pitch = max(OW, pitch - max(0, min(taps.left, pitch - taps.left - W)))
    phases = sorted({(dy % SH, dx % SW) for dy, dx, _ in every})
    plane, c = rows * pitch, np.arange(channels)[:, None]
    places = []
    for phase in taps.phases:
        pixels, weights = np.array([
            (phases.index((dy % SH, dx % SW)) * plane + dy // SH * pitch + dx // SW, distance)
            for dy, dx, distance in phase.taps
        ]).T  # fmt: skip
        places.append(((c * (plane * len(phases)) + pixels).ravel(), (c * channel_step + weights).ravel()))
    return Layout(np.array(phases), rows, pitch, places)


@jit
def _lay_out(x, planes, phases, SH, SW, above, left, start, stop):
    """planes[(n, c), phase, i, j] = padded x[n, c, i * SH + row of the phase, j * SW + its column]. Unit: (n, c)."""
    _, _, H, W = x.shape
    _, _, rows, pitch = planes.shape
    pixels, flat = x.reshape(-1), planes.reshape(-1)
    for unit in range(start, stop):
        for phase in range(len(phases)):
            y0, x0 = phases[phase, 0] - above, phases[phase, 1] - left
            to = (unit * len(phases) + phase) * rows * pitch
            lay_out(pixels, unit * H * W, H, W, y0, x0, SH, SW, flat, to, rows, pitch, x.dtype.type(0))


@jit
def lay_out(x, origin, H, W, y0, x0, SH, SW, flat, plane, rows, pitch, outside):
    """flat[plane + i * pitch + j] = x[origin + (y0 + i * SH) * W + x0 + j * SW], or `outside` where the image has no such pixel.

    Whole vectors are written, whose ends are `outside`: on the next rows, then on what belongs there. What comes after the plane may be
    another thread's, so rows from which they reach so far are written number by number.
    """
    (top, bottom), (first, end) = inside(H, y0, SH, rows), inside(W, x0, SW, pitch)
    source, target, behind = (
        origin + (y0 + top * SH) * W + x0 + first * SW,
        plane + top * pitch + first,
        plane + rows * pitch,
    )
    for i in range(plane, min(target, behind)):
        flat[i] = outside
    count, lane = end - first, VECTOR // x.itemsize
    vectors = (count + lane - 1) // lane * lane
    whole = max(0, min(bottom - top, (behind - target - vectors) // pitch + 1)) if SW <= 2 else 0
    if SW == 1:
        part_1(x, source, SH * W, flat, target, pitch, whole, count, outside)
    elif SW == 2:
        part_2(x, source, SH * W, flat, target, pitch, whole, count, outside)
    for i in range(whole, bottom - top):
        for j in range(count):
            flat[target + i * pitch + j] = x[source + i * SH * W + j * SW]
    for i in range(bottom - top):  # between the vectors of a row and the next row
        row = target + i * pitch
        for j in range(row + (vectors if i < whole else count), min(row + pitch, behind)):
            flat[j] = outside
    for i in range(plane + bottom * pitch, behind):
        flat[i] = outside


@jit
def _multiply(
    weight, row_step, weight_taps, pixels, group_step, pixel_taps, out, bias, groups, chunk, pitch, OH, OW, stay_inside, y0, x0,
    SY, SX, start, stop,
):  # fmt: skip
    """All tiles. Unit: (image, group, chunk of pixels, ROWS output channels), so that threads share neither rows nor pixels."""
    (_, O, H, W), flat, R = out.shape, out.reshape(-1), out.shape[1] // groups
    blocks = (R + ROWS - 1) // ROWS
    total = (OH - 1) * pitch + OW
    chunks = (total + chunk - 1) // chunk
    if OW == pitch == W and SY == SX == 1:  # nothing to throw away: all rows are one
        H, W, x0, y0, OW, pitch = 1, H * W, y0 * W, 0, total, total
    lane = VECTOR // pixels.itemsize
    target = np.empty((ROWS, VECTORS * lane), pixels.dtype)
    for unit in range(start, stop):
        row, rest = unit % blocks * ROWS, unit // blocks
        begin, rest = rest % chunks * chunk, rest // chunks
        g, n = rest % groups, rest // groups
        rows = min(ROWS, R - row)
        origin, own = (n * groups + g) * group_step, (n * O + g * R + row) * H * W
        w = g * (weight.size // groups) + row * row_step
        p, end = begin, min(total, begin + chunk)
        while p < end:
            width = width_for(end - p, lane)
            count = min(width, end - p)
            # the last tile may end behind the last pixel: in an array of the caller's it is moved back
            moved = max(0, p + width - total) if stay_inside else 0
            tile(
                width, weight, w, row_step, rows - 1, weight_taps, pixels, origin + p - moved, pixel_taps, target, False
            )
            oh, ow, done = p // pitch, p % pitch, 0
            while done < count:
                length = min(pitch - ow, count - done)
                used, place = min(length, OW - ow), own + (y0 + oh * SY) * W + x0 + ow * SX
                put(target, moved + done, bias, g * R + row, rows, flat, place, H * W, SX, used)
                oh, ow, done = oh + 1, 0, done + length
            p += width
