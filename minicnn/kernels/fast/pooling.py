"""Pooling, fast: compiled loops for maxima and for sums, and their adjoints. The definitions are in `reference.py`.

For maxima the pixels are laid out as for a convolution (`direct.lay_out`), minus infinity around them: so a tap of neighbouring
windows is a run of neighbouring pixels, which `maximum.py` takes by the vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minicnn.kernels.shapes import Pair, Shape, Windows, adaptive_windows, output_size

from .direct import lay_out
from .maximum import NOWHERE, largest
from .parallel import jit, run
from .tile import VECTOR

BAND = 2**12  # windows whose maxima are found together: what is kept of them stays in the core's cache


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    axes = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    size = [output_size(*axis, ceil_mode) for axis in axes]
    taps, SH, SW = [(kh * dilation[0], kw * dilation[1]) for kh in range(kernel[0]) for kw in range(kernel[1])], *stride
    phases = sorted({(dy % SH, dx % SW) for dy, dx in taps})
    pitch = size[1] + taps[-1][1] // SW
    height = min(size[0], max(1, BAND // max(1, pitch)))
    rows = height + taps[-1][0] // SH
    places = [phases.index((dy % SH, dx % SW)) * rows * pitch + dy // SH * pitch + dx // SW for dy, dx in taps]
    distances = np.array([dy * x.shape[3] + dx for dy, dx in taps], np.int32)
    settings = np.array(phases), height, rows, pitch, np.array(places), distances, stride, padding, kernel, dilation
    return _maxima(_largest, x, size, *settings)


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
def _largest(
    x, out, indices, phases, height, rows, pitch, places, distances, stride, padding, kernel, dilation, start, stop
):  # fmt: skip
    """A plane is done in bands of `height` rows of windows, each from `rows` rows of pixels of every phase of the stride."""
    (SH, SW), (PH, PW), (H, W), (_, OH, OW) = stride, padding, x.shape[1:], out.shape
    slack = VECTOR // x.itemsize
    pixels = x.reshape(-1)
    lines, low = np.empty(len(phases) * rows * pitch + slack, x.dtype), x.dtype.type(-np.inf)
    for i in range(len(lines)):
        lines[i] = low
    best, taken = np.empty(height * pitch + slack, x.dtype), np.empty(height * pitch + slack, np.int32)
    for plane in range(start, stop):
        for first in range(0, OH, height):
            for k in range(len(phases)):
                y0, x0 = first * SH + phases[k, 0] - PH, phases[k, 1] - PW
                lay_out(pixels, plane * H * W, H, W, y0, x0, SH, SW, lines, k * rows * pitch, rows, pitch, low)
            count = min(height, OH - first)
            largest(lines, 0, places, distances, (count - 1) * pitch + OW, best, taken)
            for i in range(count):
                oh = first + i
                corner, least = (oh * SH - PH) * W - PW, np.int32(0)
                for ow in range(OW):
                    place = taken[i * pitch + ow]
                    out[plane, oh, ow] = best[i * pitch + ow]
                    indices[plane, oh, ow] = corner + ow * SW + place
                    least = min(least, place)
                if least == NOWHERE:  # a window of nothing more than minus infinity names its first pixel
                    above = _until_inside(oh * SH - PH, dilation[0], H, W)
                    for ow in range(OW):
                        left = _until_inside(ow * SW - PW, dilation[1], W, 1)
                        if taken[i * pitch + ow] == NOWHERE:
                            nowhere = above == NOWHERE or left == NOWHERE
                            indices[plane, oh, ow] = -1 if nowhere else corner + ow * SW + above + left


@jit
def _until_inside(place, step, end, pitch):
    """How far a window that starts at `place` goes to its first pixel that is not padding, times the pitch; or NOWHERE, if all of it is.

    (A window that starts at 0 or later starts inside.)"""
    first = place % step if place < 0 else place
    return np.int32((first - place) * pitch) if first < end else NOWHERE


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
