"""The gradient of a convolution's weight in tiles: for any kernel size, stride, dilation and groups.

    out[o, c, kh, kw] = sum over n, oh, ow of grad[n, o, oh, ow] * padded x[n, c, oh SH + kh DH, ow SW + kw DW]

The sum is over pixels, so here the pixels are the taps of `tile`, its rows are output channels, and side by side lie input
channels: `_lay_out` copies x into pixels of C numbers each. There the C channels of a pixel are followed by those of its right
neighbour, so that a whole row (kw, c) of a kernel is one run of KW C numbers: with few channels it is taken as one.

Millions of terms, added one by one in float32, would lose what is small beside the sum so far. So a tile adds up TERMS of them at
most, a few rows of pixels, and float64 adds up those.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.kernels.shapes import Geometry, Pair

from .parallel import jit, run, scratch
from .tile import ROWS, VECTOR, VECTORS, add_partial, lanes, tile, width_of

PIXELS = 2**18  # numbers of x in one block of images or rows: they stay in a core's cache
TERMS = 2**10  # of a sum in float32


class Layout(NamedTuple):
    """How a block of `images` or of the rows of one lies in memory, and where the first terms of the sum are in it."""

    shape: tuple[int, int, int, int, int]  # images, groups, rows, columns, channels of a group
    terms: tuple[int, int, int]  # images, rows and columns of the output in one sum in float32
    pixel_taps: np.ndarray
    grad_taps: np.ndarray
    runs: np.ndarray  # where each run of kernel elements begins


def conv2d_grad_weight(geometry: Geometry, grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    _, weight_shape, stride, padding, dilation, groups, _ = geometry
    N, O, OH, OW = grad.shape
    _, C, KH, KW = weight_shape  # C: of one group
    if 0 in (N, OH, OW, *weight_shape):
        return np.zeros(weight_shape, x.dtype)
    if KH == KW == 1 and padding == (0, 0) and stride != (1, 1):  # the other pixels play no part
        x, stride = np.ascontiguousarray(x[:, :, :: stride[0], :: stride[1]]), (1, 1)
    out = np.empty(weight_shape, x.dtype)
    width = extent(OW, KW, stride[1], dilation[1])
    per_image = groups * C * width * extent(OH, KH, stride[0], dilation[0])
    images = min(N, max(1, PIXELS // per_image))
    rows = OH if images > 1 else min(OH, max(1, PIXELS // (groups * C * width * stride[0])))
    lane = lanes(x.dtype)
    whole_rows = lane > C and dilation[1] == 1
    length = KW * C if whole_rows else C  # of a run
    parts = -(-length // (VECTORS * lane))
    part = -(-length // (parts * lane)) * lane
    blocks = -(-(O // groups) // ROWS)
    once = images == N and rows == OH
    kept = 1 if once else groups * blocks * parts
    sums = scratch("sums", (kept, KH * KW * C // length, ROWS, VECTORS * lane), np.float64)
    for n in range(0, N, images):
        for row in range(0, OH, rows):
            some = min(images, N - n), min(rows, OH - row)
            layout = _layout(*some, C, groups, OW, O * OH * OW, KH, 1 if whole_rows else KW, width, stride, dilation)
            size = math.prod(layout.shape)
            pixels = scratch("pixels", (size + VECTORS * lane,), x.dtype)
            pixels[size:] = 0
            planes = pixels[:size].reshape(-1, *layout.shape[3:])
            run(_lay_out, len(planes), size, x, planes, layout.shape[2], n, row * stride[0] - padding[0], padding[1])
            first, last = n == row == 0, n + some[0] == N and row + some[1] == OH
            run(
                _multiply, groups * blocks * parts, out.size // 16 * math.prod(some) * OW,
                grad.reshape(-1), (n * O * OH + row) * OW, OH * OW, layout.grad_taps, pixels, layout.shape, layout.pixel_taps,
                layout.runs, length, part, sums, first, last, out, (*some, OW), layout.terms, stride,
            )  # fmt: skip
    return out


def extent(n: int, K: int, S: int, D: int) -> int:
    """How many input pixels n windows span along one axis."""
    return (n - 1) * S + (K - 1) * D + 1


@lru_cache(maxsize=64)  # of TERMS numbers each
def _layout(
    images: int,
    rows: int,
    C: int,
    groups: int,
    OW: int,
    image_step: int,
    KH: int,
    KW: int,
    width: int,
    stride: Pair,
    dilation: Pair,
) -> Layout:
    height = extent(rows, KH, stride[0], dilation[0])
    some_columns = min(OW, TERMS)
    some_rows = min(rows, TERMS // some_columns) if some_columns == OW else 1
    some_images = min(images, TERMS // (rows * OW)) if some_rows == rows and some_columns == OW else 1
    some = some_images, some_rows, some_columns
    n, oh, ow = np.ogrid[:some_images, :some_rows, :some_columns]
    pixel_taps = (n * (groups * height * width) + oh * (stride[0] * width) + ow * stride[1]) * C
    grad_taps = n * image_step + oh * OW + ow
    kh, kw = np.ogrid[:KH, :KW]
    runs = (kh * (dilation[0] * width) + kw * dilation[1]) * C
    return Layout((images, groups, height, width, C), some, pixel_taps.ravel(), grad_taps.ravel(), runs.ravel())


@jit
def _lay_out(x, planes, rows, first, top, left, start, stop):
    """planes[(n, g, y), w, c] = padded x[first + n, channel c of group g, top + y, w - left]. Unit: one row (n, g, y)."""
    _, width, C = planes.shape
    groups, (H, W) = x.shape[1] // C, x.shape[2:]
    for unit in range(start, stop):
        y, g, n = unit % rows + top, unit // rows % groups, first + unit // rows // groups
        target = planes[unit]
        if y < 0 or y >= H:
            target[:] = 0
            continue
        low, high = min(width, max(0, left)), max(0, min(width, W + left))
        target[:low] = 0
        target[max(low, high) :] = 0
        for begin in range(low, high, 16):  # a few pixels at a time, so that what is written stays in the cache
            end = min(high, begin + 16)
            for c in range(0, C - 3, 4):  # and four channels: their numbers are written together
                first_c = g * C + c
                s0, s1, s2, s3 = x[n, first_c, y], x[n, first_c + 1, y], x[n, first_c + 2, y], x[n, first_c + 3, y]
                for w in range(begin, end):
                    v0, v1, v2, v3 = s0[w - left], s1[w - left], s2[w - left], s3[w - left]
                    target[w, c], target[w, c + 1], target[w, c + 2], target[w, c + 3] = v0, v1, v2, v3
            for c in range(C // 4 * 4, C):
                source = x[n, g * C + c, y]
                for w in range(begin, end):
                    target[w, c] = source[w - left]


@jit
def _multiply(
    grad, place, row_step, grad_taps, pixels, shape, pixel_taps, runs, length, part, sums, first, last, out, size, terms, stride,
    start, stop,
):  # fmt: skip
    """All tiles. Unit: (group, ROWS output channels, part of each run). `sums` keeps a unit's until the last block.

    size: images, rows and columns of the output in this block; a tile adds up `terms` of them, or those that are left.
    """
    _, groups, height, pitch, C = shape
    (N, OH, OW), (some, some_rows, some_columns), (SH, SW) = size, terms, stride
    R = out.shape[0] // groups
    blocks, parts = (R + ROWS - 1) // ROWS, (length + part - 1) // part
    lane = VECTOR // pixels.itemsize
    own = np.empty(sums.shape[1:], sums.dtype)
    partial = np.empty(sums.shape[2:], pixels.dtype)
    for unit in range(start, stop):
        begin, rest = unit % parts * part, unit // parts
        row, g = rest % blocks * ROWS, rest // blocks
        numbers, rows = min(part, length - begin), min(ROWS, R - row)
        width = width_of(numbers, lane)
        mine = own if first and last else sums[unit]
        for which in range(len(runs)):
            fresh = first
            for n in range(0, N, some):
                for y in range(0, OH, some_rows):
                    for x in range(0, OW, some_columns):
                        count = min(some, N - n) * min(some_rows, OH - y) * min(some_columns, OW - x)
                        w = place + (n * out.shape[0] + g * R + row) * row_step + y * OW + x
                        pixel = ((n * groups + g) * height + y * SH) * pitch + x * SW
                        tile(
                            width, grad, w, row_step, rows - 1, grad_taps[:count],
                            pixels, pixel * C + runs[which] + begin, pixel_taps[:count], partial, False,
                        )  # fmt: skip
                        add_partial(mine[which], partial, rows, width, fresh)
                        fresh = False
        if last:
            for r in range(rows):
                _unpack(mine, r, begin, numbers, out[g * R + row + r], length)


@jit
def _unpack(sums, r, begin, count, out, length):
    """Row r of sums[run, .., j] to out[c, kh, kw]: run kh and number (kw, c), or run (kh, kw) and number c, is begin + j."""
    C, KH, KW = out.shape
    flat = out.reshape(-1)
    if KH * KW == 1:
        source, target = sums[0, r], flat[begin : begin + count]
        for j in range(count):
            target[j] = source[j]
        return
    if length == C:  # each run is a kernel element
        for which in range(KH * KW):
            source, target = sums[which, r], flat[begin * (KH * KW) + which :]
            for j in range(count):
                target[j * (KH * KW)] = source[j]
        return
    step = length // C  # kernel elements in a run
    k, c = begin // C, begin % C
    for j in range(count):
        to = c * (KH * KW) + k
        for which in range(len(sums)):
            flat[to + which * step] = sums[which, r, j]
        c += 1
        if c == C:
            k, c = k + 1, 0
