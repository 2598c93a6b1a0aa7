"""The gradient of a convolution's weight in tiles: for any kernel size, stride, dilation and groups.

    out[o, c, kh, kw] = sum over n, oh, ow of grad[n, o, oh, ow] * padded x[n, c, oh SH + kh DH, ow SW + kw DW]

The sum is over pixels, so here the pixels are the taps of `tile`, its rows are output channels, and side by side lie input
channels: `_lay_out` copies x into pixels of C numbers each. There the C channels of a pixel are followed by those of its right
neighbour, so that a whole row (kw, c) of a kernel is one run of KW C numbers, whatever the number of channels.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .memory import scratch
from .parallel import jit, run
from .tile import ROWS, VECTOR, VECTORS, lanes, tile

PIXELS = 2**18  # numbers of x in one block of images or rows: they stay in a core's cache

Pair = tuple[int, int]


class Layout(NamedTuple):
    """How a block of `images` or of the rows of one lies in memory, and where the terms of the sum are in it."""

    shape: tuple[int, int, int, int, int]  # images, groups, rows, columns, channels of a group
    pixel_taps: np.ndarray
    grad_taps: np.ndarray
    runs: np.ndarray  # first number and length of each run of kernel elements


def conv2d_grad_weight(
    grad: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    N, O, OH, OW = grad.shape
    _, C, KH, KW = weight_shape  # C: of one group
    out = np.zeros(weight_shape, x.dtype)
    if 0 in (N, OH, OW, out.size):
        return out
    width = extent(OW, KW, stride[1], dilation[1])
    per_image = groups * C * width * extent(OH, KH, stride[0], dilation[0])
    images = min(N, max(1, PIXELS // per_image))
    rows = OH if images > 1 else min(OH, max(1, PIXELS // (groups * C * width * stride[0])))
    # sums[g, o // ROWS, run, part of the run] is the target of a tile
    run_length = KW * C if dilation[1] == 1 else C
    parts = -(-run_length // (VECTORS * lanes(x.dtype)))
    runs = KH * KW * C // run_length
    blocks = -(-(O // groups) // ROWS)
    sums = scratch("sums", (groups * blocks * runs * parts, ROWS, VECTORS * lanes(x.dtype)), x.dtype)
    for n in range(0, N, images):
        for row in range(0, OH, rows):
            some = min(images, N - n), min(rows, OH - row)
            layout = _layout(*some, C, groups, OH, OW, O, KH, KW, stride, dilation)
            size = math.prod(layout.shape)
            pixels = scratch("pixels", (size + VECTORS * lanes(x.dtype),), x.dtype)
            pixels[size:] = 0
            planes = pixels[:size].reshape(-1, *layout.shape[3:])
            run(_lay_out, len(planes), size, x, planes, layout.shape[2], n, row * stride[0] - padding[0], padding[1])
            run(
                _multiply, len(sums), len(sums) * len(layout.pixel_taps) * ROWS,
                grad.reshape(-1), (n * O * OH + row) * OW, OH * OW, layout.grad_taps, pixels,
                math.prod(layout.shape[2:]), layout.pixel_taps, layout.runs, parts, O // groups, sums, n > 0 or row > 0,
            )  # fmt: skip
    run(_unpack, O, out.size, sums, out, groups, run_length, parts)
    return out


def extent(n: int, K: int, S: int, D: int) -> int:
    """How many input pixels n windows span along one axis."""
    return (n - 1) * S + (K - 1) * D + 1


@lru_cache(maxsize=512)
def _layout(
    images: int, rows: int, C: int, groups: int, OH: int, OW: int, O: int, KH: int, KW: int, stride: Pair, dilation: Pair
) -> Layout:
    height, width = extent(rows, KH, stride[0], dilation[0]), extent(OW, KW, stride[1], dilation[1])
    n, oh, ow = np.ogrid[:images, :rows, :OW]
    pixel_taps = (n * (groups * height * width) + oh * (stride[0] * width) + ow * stride[1]) * C
    grad_taps = n * (O * OH * OW) + oh * OW + ow
    kh, kw = (axis.ravel() for axis in np.mgrid[:KH, : 1 if dilation[1] == 1 else KW])
    first = (kh * (dilation[0] * width) + kw * dilation[1]) * C
    length = np.full_like(first, KW * C if dilation[1] == 1 else C)
    shape = images, groups, height, width, C
    return Layout(shape, pixel_taps.ravel(), grad_taps.ravel(), np.stack([first, length], axis=1))


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
        for begin in range(low, high, 16):  # a few pixels at a time: what is written stays in the cache
            for c in range(C):
                source = x[n, g * C + c, y]
                for w in range(begin, min(high, begin + 16)):
                    target[w, c] = source[w - left]


@jit
def _multiply(
    grad, first, row_step, grad_taps, pixels, group_step, pixel_taps, runs, parts, R, sums, add, start, stop
):  # fmt: skip
    """All tiles. Unit: (group, ROWS output channels, run of kernel elements, part of the run)."""
    blocks = (R + ROWS - 1) // ROWS
    lane = VECTOR // pixels.itemsize
    for unit in range(start, stop):
        part, rest = unit % parts * (VECTORS * lane), unit // parts
        which, rest = rest % len(runs), rest // len(runs)
        row, g = rest % blocks * ROWS, rest // blocks
        place = first + (g * R + row) * row_step
        pixel = g * group_step + runs[which, 0] + part
        left = runs[which, 1] - part
        width = lane // 2 if left <= lane // 2 else min(VECTORS, (left + lane - 1) // lane) * lane
        last = min(ROWS, R - row) - 1
        tile(width, grad, place, row_step, last, grad_taps, pixels, pixel, pixel_taps, sums[unit], add)


@jit
def _unpack(sums, out, groups, length, parts, start, stop):
    """From runs (kh, kw, c), or (kh, kw) of c, cut into parts, to out[o, c, kh, kw]. Unit: one output channel."""
    O, C, KH, KW = out.shape
    R = O // groups
    blocks, runs = (R + ROWS - 1) // ROWS, KH * KW * C // length
    width = sums.shape[2]
    for o in range(start, stop):
        block, r = o // R * blocks + o % R // ROWS, o % R % ROWS
        flat = out[o].reshape(-1)
        for which in range(runs):
            for part in range(parts):
                source = sums[(block * runs + which) * parts + part, r]
                for j in range(min(width, length - part * width)):
                    k, c = divmod(which * length + part * width + j, C)  # k: kh * KW + kw
                    flat[c * (KH * KW) + k] = source[j]
