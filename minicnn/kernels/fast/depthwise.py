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

from . import direct, im2col
from .parallel import jit, jit_sums, run
from .strip import LONGEST, ROWS, part_1, part_2, strip_1, strip_2, strip_3, strip_4, strip_5, strip_6, strip_7
from .tile import VECTOR

BAND = 2**14  # numbers in the planes of one band of rows: they stay in a core's cache
SOME = 2**13  # numbers in the planes of several small maps, that are filled before they are used
TERMS = 2**10  # of a sum in float32; float64 adds up those sums


class Plan(NamedTuple):
    """How a plane is cut and where the taps are in it. Arrays, so that the kernel can take them as they are."""

    band: int  # rows of the outputs' largest phase that are computed at a time
    rows: int  # of a plane of the padded input that such a band sees
    pitch: int  # from one row of a plane to the next
    phases: np.ndarray  # (phases, 2): the row and column, modulo the stride, that each plane holds
    groups: (
        np.ndarray
    )  # (groups, 7): first output row and column; taps in a run, first run, end; first, last group of this output
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
    """Of an infinite or NaN kernel element see `direct.conv2d_grad_input`."""
    (SH, SW), (_, _, KH, KW) = geometry.stride, weight.shape
    out = np.empty(geometry.input_shape, grad.dtype)
    taps = direct.backward_taps(KH, KW, geometry.dilation, geometry.padding, geometry.stride)
    if len(taps.phases) < SH * SW:
        out[:] = 0
    _correlate(grad, weight, taps, (1, 1), None, out, geometry.stride)
    return out if np.isfinite(out[:1, :, :SH, :SW]).all() else im2col.conv2d_grad_input(geometry, grad, weight)


def conv2d_grad_weight(geometry: Geometry, grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    _, _, KH, KW = geometry.weight_shape
    out = np.zeros(geometry.weight_shape, x.dtype)
    if 0 in (*grad.shape, *out.shape):
        return out
    taps = direct.forward_taps(KH, KW, geometry.dilation, geometry.padding)
    plan = _plan(grad.shape[2:], taps, geometry.stride, (1, 1))
    places = np.array([_place(dy, dx, plan, geometry.stride) for dy, dx, _ in taps.phases[0].taps])
    run(
        _sums, len(out), grad.size * KH * KW, grad, x, out.reshape(len(out), -1), plan.phases, plan.band, plan.rows, plan.pitch,
        taps.above, taps.left, *geometry.stride, places,
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
    weight = np.ascontiguousarray(weight).reshape(len(weight), -1)
    plan = _plan(out.shape[2:], taps, stride, step)
    bands = -(-out.shape[2] // (plan.band * step[0]))
    run(
        _strips, x.shape[0] * x.shape[1] * bands, out.size * weight.shape[1] // 16, x, weight, bias, out.reshape(-1), out.shape,
        plan.phases, plan.band, bands, plan.rows, plan.pitch, plan.groups, plan.pixel_taps, plan.weight_taps, taps.above, taps.left,
        *stride, *step,
    )  # fmt: skip


@lru_cache(maxsize=512)
def _plan(size: Pair, taps: direct.Taps, stride: Pair, step: Pair) -> Plan:
    (SH, SW), (OH, OW) = stride, (-(-n // s) for n, s in zip(size, step, strict=True))
    every = [tap for phase in taps.phases for tap in phase.taps]
    more, pitch = max(dy // SH for dy, _, _ in every), OW + max(dx // SW for _, dx, _ in every)
    phases = sorted({(dy % SH, dx % SW) for dy, dx, _ in every})
    band = min(OH, max(ROWS, (BAND // (len(phases) * pitch) - more) // ROWS * ROWS))
    plan = Plan(band, band + more, pitch, np.array(phases), *[np.empty(0, int)] * 3)
    groups: list[tuple[int, ...]] = []
    pixel_taps: list[int] = []
    weight_taps: list[list[int]] = []
    for phase in taps.phases:
        runs = _runs([(_place(dy, dx, plan, stride), distance) for dy, dx, distance in phase.taps], pitch)
        lengths = sorted({len(run) for run in runs})
        for length in lengths:
            alike, at = [run for run in runs if len(run) == length], len(pixel_taps)
            groups.append((*phase.start, length, at, at + len(alike), length == lengths[0], length == lengths[-1]))
            pixel_taps += [run[0][0] for run in alike]
            weight_taps += [[distance for _, distance in run] + [0] * (LONGEST - length) for run in alike]
    return plan._replace(groups=np.array(groups), pixel_taps=np.array(pixel_taps), weight_taps=np.array(weight_taps))


def _place(dy: int, dx: int, plan: Plan, stride: Pair) -> int:
    """Where a tap of the first output lies in the planes."""
    phase = plan.phases.tolist().index([dy % stride[0], dx % stride[1]])
    return (phase * plan.rows + dy // stride[0]) * plan.pitch + dx // stride[1]


def _runs(taps: list[Pair], pitch: int) -> list[list[Pair]]:
    """(place, distance in the weight) of taps, those that stand below each other together, LONGEST at most."""
    left, runs = dict(sorted(taps)), []
    while left:
        place = min(left)
        run = [(place, left.pop(place))]
        while len(run) < LONGEST and run[-1][0] + pitch in left:
            run.append((run[-1][0] + pitch, left.pop(run[-1][0] + pitch)))
        runs.append(run)
    return runs


@jit
def _fill(x, planes, phases, bands, rows, pitch, above, left, SH, SW):
    """planes[phase, i, j] = padded x[above + i SH + row of the phase, j SW - left + its column]. The columns at the left and right are
    zero from the beginning, and so are the rows above and below if there is but one band."""
    H, W = x.shape
    flat = x.reshape(-1)
    for phase in range(len(phases)):
        y, x0 = above + phases[phase, 0], phases[phase, 1] - left
        top, bottom = max(0, (SH - 1 - y) // SH), min(rows, (H - 1 - y) // SH + 1)
        begin, end = max(0, (SW - 1 - x0) // SW), min(pitch, (W - 1 - x0) // SW + 1)
        plane = planes[phase * rows * pitch : (phase + 1) * rows * pitch]
        if bands > 1:
            plane[: min(rows, top) * pitch] = 0
            plane[max(0, bottom) * pitch :] = 0
        for i in range(top, bottom):
            place, to = (y + i * SH) * W + x0 + begin * SW, i * pitch + begin
            if SW == 1:
                part_1(flat, place, plane, to, end - begin)
            elif SW == 2:
                part_2(flat, place, plane, to, end - begin)
            else:
                for j in range(end - begin):
                    plane[to + j] = flat[place + j * SW]


@jit
def _strips(
    x, weight, bias, out, shape, phases, band, bands, rows, pitch, groups, pixel_taps, weight_taps, above, left, SH, SW, SY, SX,
    start, stop,
):  # fmt: skip
    """Unit: a band of rows of one plane (n, c). Some are filled before the first is used: what was written just now loads slowly."""
    C, OH, OW = shape[1], shape[2], shape[3]
    size = len(phases) * rows * pitch
    some = max(1, min(SOME // size, stop - start))
    # behind the planes lies what the last strips read past the end
    planes, target = np.zeros(some * size + VECTOR, x.dtype), np.empty(band * OW if SX > 1 else 0, x.dtype)
    for begin in range(start, stop, some):
        for unit in range(begin, min(stop, begin + some)):
            first, plane = unit % bands * band, unit // bands
            own = planes[(unit - begin) * size : (unit - begin + 1) * size]
            _fill(x[plane // C, plane % C], own, phases, bands, rows, pitch, first * SH - above, left, SH, SW)
        for unit in range(begin, min(stop, begin + some)):
            first, plane = unit % bands * band, unit // bands
            c, origin = plane % C, (unit - begin) * size
            for which in range(len(groups)):
                y0, x0, length = groups[which, 0] + first * SY, groups[which, 1], groups[which, 2]
                height, width = min(band, (OH - y0 + SY - 1) // SY), (OW - x0 + SX - 1) // SX
                place, step = (plane * OH + y0) * OW + x0, OW * SY
                own, to = (
                    pixel_taps[groups[which, 3] : groups[which, 4]],
                    weight_taps[groups[which, 3] : groups[which, 4]],
                )
                fresh, last = groups[which, 5] == 1, groups[which, 6] == 1
                if SX == 1:
                    _strip(
                        length,
                        weight[c],
                        to,
                        planes,
                        origin,
                        pitch,
                        own,
                        height,
                        width,
                        fresh,
                        bias[c],
                        out,
                        place,
                        step,
                    )
                    continue
                _strip(
                    length, weight[c], to, planes, origin, pitch, own, height, width, fresh, bias[c], target, 0, width
                )
                for r in range(height if last else 0):
                    line, values = out[place + r * step :], target[r * width : (r + 1) * width]
                    for j in range(width):
                        line[j * SX] = values[j]


@jit
def _strip(length, weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step):
    """The strips of runs of this length."""
    if length == 1:
        strip_1(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step)
    elif length == 2:
        strip_2(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step)
    elif length == 3:
        strip_3(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step)
    elif length == 4:
        strip_4(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step)
    elif length == 5:
        strip_5(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step)
    elif length == 6:
        strip_6(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step)
    else:
        strip_7(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step)


@jit_sums
def _sums(grad, x, out, phases, band, rows, pitch, above, left, SH, SW, pixel_taps, start, stop):
    """out[c, k] = the sum over n and the pixels of grad[n, c] times what tap k of each sees. Unit: one channel."""
    N, _, OH, OW = grad.shape
    planes, bands = np.zeros(len(phases) * rows * pitch, x.dtype), (OH + band - 1) // band
    sums = np.empty(len(pixel_taps))
    some = max(1, TERMS // OW)  # rows in one sum in float32
    for c in range(start, stop):
        sums[:] = 0
        for n in range(N):
            for first in range(0, OH, band):
                _fill(x[n, c], planes, phases, bands, rows, pitch, first * SH - above, left, SH, SW)
                height = min(band, OH - first)
                for k in range(len(pixel_taps)):
                    for row in range(0, height, some):
                        total = out.dtype.type(0)
                        for i in range(row, min(height, row + some)):
                            passed, seen = grad[n, c, first + i], planes[pixel_taps[k] + i * pitch :]
                            for j in range(OW):
                                total += passed[j] * seen[j]
                        sums[k] += total
        for k in range(len(pixel_taps)):
            out[c, k] = sums[k]
