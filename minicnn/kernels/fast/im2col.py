"""Convolution as a matrix product: the pixels under the kernel at each output position are copied into a column, and the
convolution becomes weight (O, C*KH*KW) @ columns (C*KH*KW, OH*OW), computed in `product.py`. Backwards the gradients of the
columns, weight^T @ grad, are themselves a convolution, with 1x1 kernels: `direct` computes it, whose loops the layers before and
after have compiled already.

Nothing larger than a few megabytes of columns exists at a time, whatever the size of the batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from minicnn.kernels.shapes import Geometry, Pair

from . import direct
from .parallel import jit, pick, run, scratch
from .product import matmul

COLUMNS = 2**20  # numbers in one block of columns: it should stay in the processor's cache until it has been used


def conv2d(geometry: Geometry, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    N, O, groups = len(x), weight.shape[0], geometry.groups
    if geometry.is_product:
        out = matmul(x.reshape(N, -1), weight.reshape(O, -1).T).reshape(N, O, 1, 1)
        return out if bias is None else np.add(out, bias[:, None, None], out)
    out = np.empty((N, O, *geometry.output_size), x.dtype)
    matrix = weight.reshape(groups, O // groups, -1)
    for images, rows, columns in _im2col(geometry, x, geometry.output_size):
        target = out[images, :, rows]  # n, O, r, OW
        n, _, r, OW = target.shape
        columns = _by_group(columns, groups).reshape(groups, -1, n, r * OW).transpose(2, 0, 1, 3)  # n, groups, .., r*OW
        for image in range(n):
            target[image] = matmul(matrix, columns[image]).reshape(target[image].shape)
        if bias is not None:
            target += bias[:, None, None]
    return out


def conv2d_grad_input(geometry: Geometry, grad: np.ndarray, weight: np.ndarray) -> np.ndarray:
    (N, C, H, _), (O, _, KH, KW) = geometry.input_shape, weight.shape
    if geometry.is_product:
        return matmul(grad.reshape(N, -1), weight.reshape(O, -1)).reshape(geometry.input_shape)
    result = np.zeros(geometry.input_shape, grad.dtype)
    turned, taps = (1, math.prod(weight.shape[1:])), direct.forward_taps(1, 1, (1, 1), (0, 0))
    for images, rows in _blocks(geometry, grad.shape[2:]):
        part = np.ascontiguousarray(grad[images, :, rows])  # n, O, r, OW
        columns = scratch("columns", (len(part), C * KH * KW, *part.shape[2:]), grad.dtype)
        direct.correlate(part, weight, turned, taps, (1, 1), geometry.groups, None, columns)
        target = result[images]
        steps = (*geometry.stride, *geometry.padding, *geometry.dilation)
        run(_fold, target.shape[0] * C * H, columns.size, columns, target, KH, KW, rows.start, *steps)
    return result


@lru_cache(maxsize=512)
def _blocks(geometry: Geometry, size: Pair) -> list[tuple[slice, slice]]:
    """Cut the output, of this size, into blocks of about `COLUMNS` numbers: several whole images each, or rows of one image."""
    N, (OH, OW) = geometry.input_shape[0], size
    _, C, KH, KW = geometry.weight_shape
    rows = max(1, COLUMNS // max(1, geometry.groups * C * KH * KW * OW))
    images = max(1, rows // max(1, OH))
    rows = min(rows, OH)
    some = [slice(n, min(n + images, N)) for n in range(0, N, images)]
    return [(block, slice(r, min(r + rows, OH))) for block in some for r in range(0, OH, rows)]


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
    _, _, R, OW = columns.shape  # n, (c, kh, kw), r, OW
    width = max((W + 2 * PW + SW - 1) // SW, (KW - 1) * DW // SW + OW)
    phases = np.empty((SW, width), grad.dtype)
    for unit in range(start, stop):
        n, c, h = unit // (C * H), unit // H % C, unit % H
        phases[:] = 0
        for kh in range(KH):
            y = h + PH - kh * DH  # the row where a window would start
            r = y // SH - first
            if y % SH == 0 and 0 <= r < R:
                for kw in range(KW):
                    source = columns[n, (c * KH + kh) * KW + kw, r]
                    target = phases[kw * DW % SW, kw * DW // SW :]
                    for ow in range(OW):
                        target[ow] += source[ow]
        for p in range(SW):
            skipped = max(0, (PW - p + SW - 1) // SW)
            source = phases[p, skipped:]
            target = grad[n, c, h, skipped * SW + p - PW :]
            for q in range((len(target) + SW - 1) // SW):
                target[q * SW] += source[q]
