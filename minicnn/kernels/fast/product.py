"""Matrix products on the register tile of the convolutions.

Why not the BLAS library behind NumPy's ``@``: its threads keep spinning for tens of milliseconds after each product and take the
cores from the kernels that come next. That slowed down all of ResNet-18, though its last layer alone is a matrix product. Small
products, which BLAS computes in the calling thread, are left to it.
"""

from __future__ import annotations

import numpy as np

from .parallel import jit, jit_sums, run, scratch
from .tile import ROWS, VECTOR, VECTORS, add_partial, tile, width_for

SMALL = 2**13  # multiplications that are left to BLAS
TERMS = 256  # of the sums at a time: so many rows of b stay in a core's cache while many rows of a use them
PARTIAL = 4 * TERMS  # terms that are added up in the arrays' own type; float64 adds up those sums
BLOCKS = 8  # times ROWS rows of a that do
COLUMNS = 2048  # of b in a unit of work where a has few rows


def matmul(a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    (M, K), N = a.shape[-2:], b.shape[-1]
    if M * K * N <= SMALL or a.dtype != b.dtype or a.dtype not in (np.float32, np.float64):
        return np.ascontiguousarray(np.matmul(a, b, out=out))
    if out is None:
        out = np.empty((*a.shape[:-1], N), a.dtype)
    for batch in np.ndindex(a.shape[:-2]):
        product(a[batch], b[batch], out[batch])
    return out


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """a @ b of two matrices, in the way that suits their shapes."""
    (M, K), N = a.shape, b.shape[1]
    if (
        M < ROWS and b.T.flags.c_contiguous
    ):  # bound by the reading of b, which is read once, in the order in which it lies
        run(_dots, N, M * N * K, np.ascontiguousarray(a), b.T, out)
    elif M < ROWS and K > ROWS:  # (of few rows with few terms, tiles are not much slower)
        run(_sums, -(-N // COLUMNS), M * N * K, np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    elif b.flags.c_contiguous or M >= N:
        _in_tiles(a, b, out)
    else:  # some rows with a transposed matrix: they, not the matrix, are turned
        turned = np.empty((N, M), a.dtype)
        _in_tiles(b.T, a.T, turned)
        out[:] = turned.T


@jit_sums
def _dots(a, b, out, start, stop):
    """out[m, n] = a[m] . b[n]. Unit: one n."""
    for n in range(start, stop):
        for m in range(len(a)):
            whole = 0.0
            for first in range(0, a.shape[1], PARTIAL):
                row, column = a[m, first : first + PARTIAL], b[n, first : first + PARTIAL]
                total = out.dtype.type(0)
                for k in range(len(row)):
                    total += row[k] * column[k]
                whole += total
            out[m, n] = whole


@jit
def _sums(a, b, out, start, stop):
    """out[m] = the sum of the rows of b, each times a number of a[m]. Unit: COLUMNS columns."""
    K = len(b)
    sums, partial = np.empty((1, COLUMNS)), np.empty((1, COLUMNS), out.dtype)
    for unit in range(start, stop):
        for m in range(len(a)):
            result = out[m, unit * COLUMNS : (unit + 1) * COLUMNS]
            target = partial[0, : len(result)]
            for first in range(0, K, PARTIAL):
                last = min(K, first + PARTIAL)
                target[:] = 0
                for k in range(first, last - 3, 4):
                    a0, a1, a2, a3 = a[m, k], a[m, k + 1], a[m, k + 2], a[m, k + 3]
                    b0, b1 = b[k, unit * COLUMNS :], b[k + 1, unit * COLUMNS :]
                    b2, b3 = b[k + 2, unit * COLUMNS :], b[k + 3, unit * COLUMNS :]
                    for j in range(len(target)):
                        target[j] += a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j]
                for k in range(last - (last - first) % 4, last):
                    a0, b0 = a[m, k], b[k, unit * COLUMNS :]
                    for j in range(len(target)):
                        target[j] += a0 * b0[j]
                add_partial(sums, partial, len(sums), len(target), first == 0)
            _copy(sums[0], result)  # (`result[:] = ...` takes two seconds to compile)


def _in_tiles(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """a @ b with a as it lies, by rows or by columns, in tiles of ROWS rows and panels of columns."""
    (M, K), N = a.shape, b.shape[1]
    lane = VECTOR // a.itemsize
    if VECTORS * lane > N:  # a tile may read past the end of a row, but not of the last
        padded = scratch("factor", (K, -(-N // (lane // 2)) * (lane // 2)), a.dtype)
        padded[:, :N], padded[:, N:] = b, 0
        b = padded
    b = np.ascontiguousarray(b)
    if not a.flags.c_contiguous and not a.T.flags.c_contiguous:
        a = np.ascontiguousarray(a)
    row_step, step = (K, 1) if a.flags.c_contiguous else (1, M)
    flat = (a if a.flags.c_contiguous else a.T).reshape(-1), b.reshape(-1)
    taps = np.arange(min(K, TERMS))
    units = -(-M // (BLOCKS * ROWS)) * -(-N // (VECTORS * lane))
    run(_multiply, units, M * N * K // 16, *flat, out, K, row_step, step, taps * step, taps * b.shape[1])


@jit
def _multiply(a, b, out, K, row_step, step, a_taps, b_taps, start, stop):
    """Unit: BLOCKS times ROWS rows of one panel of the result."""
    M, N = out.shape
    pitch, terms = len(b) // K, len(a_taps)
    lane = VECTOR // out.itemsize
    panel = VECTORS * lane
    partial, sums = np.empty((2, BLOCKS, ROWS, panel), out.dtype), np.empty((2, BLOCKS, ROWS, panel))
    groups = (M + BLOCKS * ROWS - 1) // (BLOCKS * ROWS)
    places, widths = np.empty(2, np.int64), np.empty(2, np.int64)
    for unit in range(start, stop):
        top, left = unit % groups * (BLOCKS * ROWS), unit // groups * panel
        rows = min(M - top, BLOCKS * ROWS)
        if panel <= N:  # the last panel may begin before the one before it ends
            pieces, places[0], widths[0] = 1, min(left, N - panel), panel
        else:  # a narrow b is cut into two
            places[0], widths[0] = 0, width_for(N, lane)
            places[1], widths[1] = widths[0], width_for(N - widths[0], lane)
            pieces = 1 if widths[0] >= N else 2
        for k in range(0, K, terms):
            count = min(terms, K - k)
            for piece in range(pieces):
                for block in range((rows + ROWS - 1) // ROWS):
                    row = top + block * ROWS
                    tile(
                        widths[piece], a, row * row_step + k * step, row_step, min(ROWS, M - row) - 1, a_taps[:count],
                        b, k * pitch + places[piece], b_taps[:count], partial[piece, block], k % PARTIAL > 0,
                    )  # fmt: skip
                    if K > PARTIAL and (k + count == K or (k + count) % PARTIAL == 0):
                        add_partial(
                            sums[piece, block], partial[piece, block], sums.shape[2], widths[piece], k < PARTIAL
                        )
        for r in range(rows):
            for piece in range(pieces):
                target = out[top + r, places[piece] : places[piece] + widths[piece]]
                if K > PARTIAL:
                    _copy(sums[piece, r // ROWS, r % ROWS], target)
                else:
                    _copy(partial[piece, r // ROWS, r % ROWS], target)


@jit
def _copy(source, target):
    for j in range(len(target)):
        target[j] = source[j]
