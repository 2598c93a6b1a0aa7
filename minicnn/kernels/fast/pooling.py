"""Pooling, fast: compiled loops for maxima and for sums, and their adjoints. The definitions are in `reference.py`.

Where the largest of a window is, is a matter of chance: a branch on it is guessed wrong every other time, and that costs more
than all the rest. `_largest` has none: it goes through the windows of many rows at once, tap by tap, and keeps for each the
largest so far with a select, which the compiler turns into vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minicnn.kernels.shapes import Pair, Shape, Windows, adaptive_windows, output_size

from .parallel import jit, run

NOWHERE = np.int32(-(2**31))  # the first pixel of a window of nothing but padding
BAND = 2**11  # windows whose maxima are found together: what is kept of them stays in the core's cache


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    axes = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    size = [output_size(*axis, ceil_mode) for axis in axes]
    return _maxima(_largest, x, size, kernel, stride, padding, dilation)


def adaptive_max_pool2d(x: np.ndarray, output_size: Pair) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = (adaptive_windows(n, count) for n, count in zip(x.shape[2:], output_size, strict=True))
    return _maxima(_largest_of_uneven, x, output_size, *rows, *columns)


def max_pool2d_grad(grad: np.ndarray, indices: np.ndarray, input_shape: Shape) -> np.ndarray:
    planes, pixels = input_shape[0] * input_shape[1], grad.shape[2] * grad.shape[3]
    out = np.zeros((planes, input_shape[2] * input_shape[3]), grad.dtype)
    flat = [np.ascontiguousarray(array).reshape(planes, pixels) for array in (grad, indices)]
    run(_deliver, planes, grad.size, *flat, out)
    return out.reshape(input_shape)


def avg_pool2d(x: np.ndarray, rows: Windows, columns: Windows, divisor: np.ndarray) -> np.ndarray:
    N, C, H, W = x.shape
    out = np.empty((N * C, *divisor.shape), x.dtype)
    run(_add_up, N * C, x.size, np.ascontiguousarray(x).reshape(N * C, H, W), out, *rows, *columns)
    return out.reshape(N, C, *divisor.shape) / divisor.astype(x.dtype)


def avg_pool2d_grad(
    grad: np.ndarray, input_shape: Shape, rows: Windows, columns: Windows, divisor: np.ndarray
) -> np.ndarray:
    N, C, H, W = input_shape
    out = np.zeros((N * C, H, W), grad.dtype)
    share = (grad / divisor.astype(grad.dtype)).reshape(N * C, *divisor.shape)
    run(_hand_out, N * C, out.size, share, out, *rows, *columns)
    return out.reshape(input_shape)


def _maxima(kernel: Callable, x: np.ndarray, size: Sequence[int], *windows: object) -> tuple[np.ndarray, np.ndarray]:
    N, C, H, W = x.shape
    out, indices = np.empty((N * C, *size), x.dtype), np.empty((N * C, *size), np.int64)
    run(kernel, N * C, x.size, np.ascontiguousarray(x).reshape(N * C, H, W), out, indices, *windows)
    return out.reshape(N, C, *size), indices.reshape(N, C, *size)


# ----------------------------------------------------------------------------------------------- loops; unit: one plane


@jit
def _largest(x, out, indices, kernel, stride, padding, dilation, start, stop):
    """Tap (kh, kw) of the windows of a row lies in the line of its phase, kw * DW modulo the stride, kw * DW // SW places
    further. The lines of a band of rows lie one after the other, so that a tap of all its windows is one run of memory."""
    (KH, KW), (SH, SW), (PH, PW), (DH, DW) = kernel, stride, padding, dilation
    _, OH, OW = out.shape
    H, W = x.shape[1:]
    pitch = OW + (KW - 1) * DW // SW
    height = min(OH, BAND // pitch + 1)
    padded = np.empty(pitch * SW, x.dtype)  # one row
    for j in range(len(padded)):  # (`np.full` takes 0.4 s to compile)
        padded[j] = -np.inf
    inside = padded[PW : PW + W]
    lines = np.empty((SW, height, pitch), x.dtype)
    best = np.empty((height, pitch), x.dtype)
    taken = np.empty((height, pitch), np.int32)  # where the best is, from the window's corner, which may be padding
    left, one = np.empty(pitch, np.int32), np.int64(1)  # for a literal `_until_inside` would be compiled again
    for j in range(pitch):
        left[j] = _until_inside(j * SW - PW, DW, W, one)
    flat_lines, flat_best, flat_taken = lines.reshape(SW, -1), best.reshape(-1), taken.reshape(-1)
    for plane in range(start, stop):
        for first in range(0, OH, height):
            rows = min(height, OH - first)
            for i in range(rows):
                above = _until_inside((first + i) * SH - PH, DH, H, W)
                for j in range(pitch):  # a window of nothing more than minus infinity names its first pixel
                    best[i, j] = -np.inf
                    taken[i, j] = NOWHERE if above == NOWHERE or left[j] == NOWHERE else above + left[j]
            for kh in range(KH):
                for i in range(rows):
                    h = (first + i) * SH + kh * DH - PH
                    if 0 <= h < H:
                        for w in range(len(inside)):
                            inside[w] = x[plane, h, w]
                    else:
                        for w in range(len(inside)):
                            inside[w] = -np.inf
                    _deal(padded, lines, i)
                total = (rows - 1) * pitch + OW
                for kw in range(KW):
                    line = flat_lines[kw * DW % SW, kw * DW // SW :]
                    _keep_larger(line, kh * DH * W + kw * DW, flat_best[:total], flat_taken[:total])
            for i in range(rows):
                corner = ((first + i) * SH - PH) * W - PW
                for ow in range(OW):
                    out[plane, first + i, ow] = best[i, ow]
                    place = taken[i, ow]
                    indices[plane, first + i, ow] = -1 if place == NOWHERE else corner + ow * SW + place


@jit
def _until_inside(place, step, end, pitch):
    """How far a window that starts at `place` goes to its first pixel that is not padding, times the pitch; or NOWHERE.

    (A window that starts at 0 or later starts inside.)"""
    first = place % step if place < 0 else place
    return np.int32((first - place) * pitch) if first < end else NOWHERE


@jit
def _deal(row, lines, i):
    """lines[q, i, j] = row[j * SW + q]. A stride that the compiler knows, and all phases in one loop, make vectors."""
    SW, _, pitch = lines.shape
    if SW == 1:
        for j in range(pitch):
            lines[0, i, j] = row[j]
    elif SW == 2:
        for j in range(pitch):
            lines[0, i, j] = row[2 * j]
            lines[1, i, j] = row[2 * j + 1]
    else:
        for j in range(pitch):
            for q in range(SW):
                lines[q, i, j] = row[j * SW + q]


@jit
def _keep_larger(line, place, best, taken):
    place = np.int32(place)
    for i in range(len(best)):
        value = line[i]
        larger = (value > best[i]) | (value != value)  # NaN is unequal to itself: it wins
        best[i] = value if larger else best[i]
        taken[i] = place if larger else taken[i]


@jit
def _largest_of_uneven(x, out, indices, top, bottom, left, right, start, stop):
    """Windows that differ in size."""
    _, OH, OW = out.shape
    W = x.shape[2]
    for plane in range(start, stop):
        for oh in range(OH):
            for ow in range(OW):
                empty = top[oh] >= bottom[oh] or left[ow] >= right[ow]
                best, where = -np.inf, -1 if empty else top[oh] * W + left[ow]
                for h in range(top[oh], bottom[oh]):
                    for w in range(left[ow], right[ow]):
                        value = x[plane, h, w]
                        if value > best or value != value:
                            best, where = value, h * W + w
                out[plane, oh, ow] = best
                indices[plane, oh, ow] = where


@jit
def _deliver(grad, indices, out, start, stop):
    for plane in range(start, stop):
        for i in range(grad.shape[1]):
            where = indices[plane, i]
            if 0 <= where < out.shape[1]:  # a window of nothing but padding names no pixel
                out[plane, where] += grad[plane, i]


@jit
def _add_up(x, out, top, bottom, left, right, start, stop):
    _, OH, OW = out.shape
    for plane in range(start, stop):
        for oh in range(OH):
            for ow in range(OW):
                total = 0.0  # float64: a window may be large
                for h in range(top[oh], bottom[oh]):
                    for w in range(left[ow], right[ow]):
                        total += x[plane, h, w]
                out[plane, oh, ow] = total


@jit
def _hand_out(share, out, top, bottom, left, right, start, stop):
    _, OH, OW = share.shape
    for plane in range(start, stop):
        for oh in range(OH):
            for ow in range(OW):
                for h in range(top[oh], bottom[oh]):
                    for w in range(left[ow], right[ow]):
                        out[plane, h, w] += share[plane, oh, ow]
