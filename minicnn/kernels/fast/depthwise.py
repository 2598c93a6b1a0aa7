"""Convolution of each map by itself: one input and one output channel in a group, which is called depthwise.

A tile computes several output channels of the same pixels, and here each has pixels of its own. So a strip, one row of a tile,
runs along them: the plane of a map is copied with its padding, as in `direct.py`, into an array that stays in the core's cache
and is used at once. Any kernel size, stride and dilation; the gradient to the input is such a convolution too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from minicnn.kernels.shapes import Geometry, Pair

from . import direct
from .parallel import jit, run
from .strip import (
    LENGTHS,
    LONGEST,
    TOGETHER,
    dots,
    half_1,
    half_2,
    half_3,
    half_5,
    half_7,
    half_dots,
    part_1,
    part_2,
    strip_1,
    strip_2,
    strip_3,
    strip_5,
    strip_7,
)
from .tile import VECTOR

BAND = 2**14  # numbers in the planes of one band of rows: they stay in a core's cache
SOME = 2**13  # numbers in the planes of several small maps, that are filled before they are used
TERMS = 2**10  # of a sum in float32; float64 adds up those sums


class Plan(NamedTuple):
    """How planes are cut into bands of rows, where a band lies in memory, and what is computed of it. Tables, so that the kernel looks
    up what it would have to divide for."""

    phases: int  # of the stride: each has a plane of its own, in which the pixels that a stride visits are neighbours
    rows: int  # of a plane, for one band
    pitch: int  # from one row of a plane to the next
    fills: np.ndarray  # (bands, phases, 6): first pixel in x and in the plane, rows, columns; end of the rows above, begin of those below
    products: np.ndarray  # (bands, groups, 8): place in out, rows, columns; taps in a run, first run, end; whether first, last of an output
    pixel_taps: np.ndarray  # of each run
    weight_taps: np.ndarray  # (runs, LONGEST)


def suits(geometry: Geometry) -> bool:
    """Whether each group has one input and one output channel."""
    return geometry.weight_shape[1] == 1 and geometry.weight_shape[0] == geometry.groups


def conv2d(geometry: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    _, _, KH, KW = weight.shape
    out = np.empty((len(x), len(weight), *geometry.output_size), x.dtype)
    _correlate(x, weight, direct.forward_taps(KH, KW, geometry.dilation, geometry.padding), geometry.stride, bias, out)
    return out


def conv2d_grad_input(geometry: Geometry, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    (SH, SW), (_, _, KH, KW) = geometry.stride, weight.shape
    out = np.empty(geometry.input_shape, grad.dtype)
    taps = direct.backward_taps(KH, KW, geometry.dilation, geometry.padding, geometry.stride)
    if len(taps.phases) < SH * SW:
        out[:] = 0
    _correlate(grad, weight, taps, (1, 1), None, out, geometry.stride)
    return out


def conv2d_grad_weight(geometry: Geometry, grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    _, _, KH, KW = geometry.weight_shape
    out = np.zeros(geometry.weight_shape, x.dtype)
    if 0 in (*grad.shape, *out.shape):
        return out
    taps = direct.forward_taps(KH, KW, geometry.dilation, geometry.padding)
    plan, places = _sums_plan(grad.shape[2:], x.shape[2:], taps, geometry.stride)
    run(
        _sums, len(out), grad.size * KH * KW // 8, grad.reshape(-1), grad.shape, x.reshape(-1), x.shape, out.reshape(len(out), -1),
        plan.fills, plan.products, plan.phases, plan.rows, plan.pitch, *geometry.stride, places,
    )  # fmt: skip
    return out


def _correlate(
    x: np.ndarray, weight: np.ndarray, taps: direct.Taps, stride: Pair, bias: np.ndarray | None, out: np.ndarray,
    step: Pair = (1, 1),
) -> None:  # fmt: skip
    """`direct.correlate` of one channel a group: each plane of `out` from its own plane of x."""
    if 0 in (*x.shape, *out.shape):
        out[:] = 0 if bias is None else bias[:, None, None]
        return
    bias = np.zeros(len(weight), x.dtype) if bias is None else np.ascontiguousarray(bias)
    plan, work = _plan(out.shape[2:], x.shape[2:], taps, stride, step), out.size * weight[0].size // 16
    run(
        _strips, x.shape[0] * x.shape[1] * len(plan.fills), work, x.reshape(-1), x.shape, np.ascontiguousarray(weight).reshape(-1), bias,
        out.reshape(-1), out.shape, *plan, *stride, *step,
    )  # fmt: skip


@lru_cache(maxsize=512)
def _plan(size: Pair, input_size: Pair, taps: direct.Taps, stride: Pair, step: Pair) -> Plan:
    (H, W), (SH, SW), (SY, SX) = input_size, stride, step
    OH, OW = (-(-n // s) for n, s in zip(size, step, strict=True))  # of the largest phase of the outputs
    every = [tap for phase in taps.phases for tap in phase.taps]
    more, pitch = max(dy // SH for dy, _, _ in every), OW + max(dx // SW for _, dx, _ in every)
    phases = _phases(taps, stride)
    band = min(OH, max(8, (BAND // (len(phases) * pitch) - more) // 8 * 8))
    plan = Plan(len(phases), band + more, pitch, *[np.empty(0, int)] * 4)
    groups, pixel_taps, weight_taps = _groups(taps, plan, phases, stride)
    fills, products = [], []
    for first in range(0, OH, band):
        for row, column in phases:
            y, x = row - taps.above + first * SH, column - taps.left  # of the plane's first pixel
            top, bottom = max(0, -(y // SH)), min(plan.rows, (H - 1 - y) // SH + 1)
            begin, end = max(0, -(x // SW)), min(pitch, (W - 1 - x) // SW + 1)
            height, width = max(0, bottom - top), max(0, end - begin)
            places = (y + top * SH) * W + x + begin * SW, top * pitch + begin
            fills.append((*places, height, width, min(plan.rows, top) * pitch, max(0, bottom) * pitch))
        for y, x, *rest in groups:
            y += first * SY
            height, width = max(0, min(band, -(-(size[0] - y) // SY))), max(0, -(-(size[1] - x) // SX))
            products.append((y * size[1] + x, height, width, *rest))
    bands = -(-OH // band)
    return plan._replace(
        fills=np.array(fills).reshape(bands, -1, 6), products=np.array(products).reshape(bands, -1, 8),
        pixel_taps=np.array(pixel_taps), weight_taps=np.array(weight_taps),
    )  # fmt: skip


@lru_cache(maxsize=512)
def _sums_plan(size: Pair, input_size: Pair, taps: direct.Taps, stride: Pair) -> tuple[Plan, np.ndarray]:
    """The plan, and where the taps lie in the planes; the last is repeated, so that `dots` finds all that it takes together."""
    plan, phases = _plan(size, input_size, taps, stride, (1, 1)), _phases(taps, stride)
    places = [_place(dy, dx, plan, phases, stride) for dy, dx, _ in taps.phases[0].taps]
    return plan, np.array(places + places[-1:] * (-len(places) % TOGETHER))


def _phases(taps: direct.Taps, stride: Pair) -> list[Pair]:
    """The rows and columns, modulo the stride, that a tap visits."""
    return sorted({(dy % stride[0], dx % stride[1]) for phase in taps.phases for dy, dx, _ in phase.taps})


def _place(dy: int, dx: int, plan: Plan, phases: list[Pair], stride: Pair) -> int:
    """Where a tap of the first output lies in the planes."""
    phase = phases.index((dy % stride[0], dx % stride[1]))
    return (phase * plan.rows + dy // stride[0]) * plan.pitch + dx // stride[1]


def _groups(taps: direct.Taps, plan: Plan, phases: list[Pair], stride: Pair) -> tuple[list, list[int], list[list[int]]]:
    """The taps of each phase of the outputs by the length of their runs (row and column of the phase; length, first run, end; whether
    first, last); the place of each run; the distances of its taps in the weight."""
    groups: list[tuple[int, ...]] = []
    pixel_taps: list[int] = []
    weight_taps: list[list[int]] = []
    for phase in taps.phases:
        runs = _runs([(_place(dy, dx, plan, phases, stride), distance) for dy, dx, distance in phase.taps], plan.pitch)
        lengths = sorted({len(run) for run in runs})
        for length in lengths:
            alike, at = [run for run in runs if len(run) == length], len(pixel_taps)
            groups.append((*phase.start, length, at, at + len(alike), length == lengths[0], length == lengths[-1]))
            pixel_taps += [run[0][0] for run in alike]
            weight_taps += [[distance for _, distance in run] + [0] * (LONGEST - length) for run in alike]
    return groups, pixel_taps, weight_taps


def _runs(taps: list[Pair], pitch: int) -> list[list[Pair]]:
    """(place, distance in the weight) of taps, those that stand below each other together, in runs of LENGTHS."""
    left, runs = dict(sorted(taps)), []
    while left:
        place = min(left)
        run = [(place, left.pop(place))]
        while len(run) < LONGEST and run[-1][0] + pitch in left:
            run.append((run[-1][0] + pitch, left.pop(run[-1][0] + pitch)))
        most = max(length for length in LENGTHS if length <= len(run))
        left |= run[most:]
        runs.append(run[:most])
    return runs


@jit
def _fill(x, origin, planes, at, fills, band, size, pitch, step, SW):
    """The band of one plane of x, with its padding, into planes[at:], one plane of `size` numbers for each phase.

    What is to the left and right of the image is zero from the beginning, and so is what is above and below it if there is one band.
    """
    for phase in range(fills.shape[1]):
        place, to, first = origin + fills[band, phase, 0], fills[band, phase, 1], at + phase * size
        height, width = fills[band, phase, 2], fills[band, phase, 3]
        if len(fills) > 1:
            planes[first : first + fills[band, phase, 4]] = 0
            planes[first + fills[band, phase, 5] : first + size] = 0
        if SW == 1:
            part_1(x, place, step, planes, first + to, pitch, height, width, 0.0)
        elif SW == 2:
            part_2(x, place, step, planes, first + to, pitch, height, width, 0.0)
        else:
            for i in range(height):
                for j in range(width):
                    planes[first + to + i * pitch + j] = x[place + i * step + j * SW]


@jit
def _strips(
    x, shape, weight, bias, out, out_shape, phases, rows, pitch, fills, products, pixel_taps, weight_taps, SH, SW, SY, SX, start,
    stop,
):  # fmt: skip
    """Unit: a band of rows of one plane (n, c). Some are filled before the first is used: what was written just now loads slowly.

    On small maps all that is not a multiplication counts: so no division, and no slice of an array, in the loops.
    """
    (_, C, H, W), (_, _, OH, OW) = shape, out_shape
    bands, size, kernel = len(fills), rows * pitch, len(weight) // C
    some = max(1, min(SOME // (phases * size), stop - start))
    # behind the planes lies what the last strips read past the end, and `_fill` writes there
    planes, target = np.zeros(some * phases * size + VECTOR, x.dtype), np.empty(rows * OW if SX > 1 else 0, x.dtype)
    for begin in range(start, stop, some):
        end, plane, band, at = min(stop, begin + some), begin // bands, begin % bands, 0
        for _ in range(begin, end):
            _fill(x, plane * H * W, planes, at, fills, band, size, pitch, SH * W, SW)
            band, at = band + 1, at + phases * size
            if band == bands:
                plane, band = plane + 1, 0
        plane, band, at = begin // bands, begin % bands, 0
        c = plane % C
        for _ in range(begin, end):
            for which in range(products.shape[1]):
                place, height, width = products[band, which, 0], products[band, which, 1], products[band, which, 2]
                length, first, last = products[band, which, 3], products[band, which, 4], products[band, which, 5]
                fresh, place, step = products[band, which, 6] == 1, plane * OH * OW + place, OW * SY
                own, runs, area = c * kernel, (first, last), (height, width)
                if SX == 1:
                    _strip(
                        length, weight, own, weight_taps, planes, at, pitch, pixel_taps, runs, area, fresh, bias[c], out, place, step
                    )  # fmt: skip
                    continue
                _strip(
                    length, weight, own, weight_taps, planes, at, pitch, pixel_taps, runs, area, fresh, bias[c], target, 0, width
                )  # fmt: skip
                for r in range(height if products[band, which, 7] == 1 else 0):
                    for j in range(width):
                        out[place + r * step + j * SX] = target[r * width + j]
            band, at = band + 1, at + phases * size
            if band == bands:
                plane, band, c = plane + 1, 0, c + 1 if c + 1 < C else 0


@jit
def _strip(length, weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step):
    """The strips of runs of this length, as wide as the map asks for."""
    if size[1] <= VECTOR // pixels.itemsize // 2:
        if length == 1:
            half_1(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
        elif length == 2:
            half_2(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
        elif length == 3:
            half_3(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
        elif length == 5:
            half_5(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
        else:
            half_7(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
    elif length == 1:
        strip_1(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
    elif length == 2:
        strip_2(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
    elif length == 3:
        strip_3(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
    elif length == 5:
        strip_5(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)
    else:
        strip_7(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step)


@jit
def _sums(grad, grad_shape, x, shape, out, fills, products, phases, rows, pitch, SH, SW, places, start, stop):
    """out[c, k] = the sum over n and the pixels of grad[n, c] times what tap k of each sees. Unit: one channel.

    As in `_strips` some planes are filled before the first is used.
    """
    (N, C, OH, OW), (_, _, H, W) = grad_shape, shape
    size, some = rows * pitch, max(1, min(SOME // (phases * rows * pitch), stop - start))
    planes, partial = np.zeros(some * phases * size + VECTOR, x.dtype), np.empty(TOGETHER, x.dtype)
    sums, terms = np.empty((some, len(places))), max(1, TERMS // OW)  # rows in one sum in float32
    for begin in range(start, stop, some):
        end = min(stop, begin + some)
        sums[:] = 0
        for n in range(N):
            first = 0
            for band in range(len(fills)):
                for c in range(begin, end):
                    at = (c - begin) * phases * size
                    _fill(x, (n * C + c) * H * W, planes, at, fills, band, size, pitch, SH * W, SW)
                height = products[band, 0, 1]
                for c in range(begin, end):
                    for row in range(0, height, terms):
                        place, at = ((n * C + c) * OH + first + row) * OW, (c - begin) * phases * size + row * pitch
                        several = min(terms, height - row)
                        for k in range(0, len(places), TOGETHER):
                            if VECTOR // x.itemsize // 2 >= OW:
                                half_dots(grad, place, OW, planes, at, pitch, places, k, several, OW, partial)
                            else:
                                dots(grad, place, OW, planes, at, pitch, places, k, several, OW, partial)
                            for i in range(TOGETHER):
                                sums[c - begin, k + i] += partial[i]
                first += height
        for c in range(begin, end):
            for k in range(out.shape[1]):
                out[c, k] = sums[c - begin, k]
