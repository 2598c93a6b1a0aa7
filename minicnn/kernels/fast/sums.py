"""Long sums: float64 adds up short runs of the numbers, and those sums.

Added one by one in float32, 2e7 ones make 16777216: at some point each next number is less than half the last digit of the sum so
far. NumPy adds in pairs along the axis that lies closest in memory, and one by one along the others.
"""

from __future__ import annotations

import math

import numpy as np

from .parallel import jit_sums, run

SMALL = 2**12  # numbers: up to here NumPy is as quick
ROWS = 256  # rows that are added up one by one; more of them, if they are short
RUN = 2**12  # numbers that are added up together at least
COLUMNS = 1024  # numbers of a row in a unit of work
SIDE_BY_SIDE = 64  # sums that are kept apart at least, by taking several short rows at once


def add_up(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    if x.size <= SMALL:
        return x.sum(axis=axes, dtype=np.float64, keepdims=True)
    again = [axis for axis in axes if x.strides[axis] == 0]  # the same numbers again and again, as `expand` makes them
    times = math.prod(x.shape[axis] for axis in again)
    x = x[tuple(slice(1) if axis in again else slice(None) for axis in range(x.ndim))]
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))  # as the numbers lie in memory
    sizes = [x.shape[axis] for axis in order]
    rest = np.ascontiguousarray(x.transpose(order), np.float32 if x.dtype == np.float16 else None)
    groups = _groups([axis in axes for axis in order], sizes)
    for first, last in sorted(
        groups, key=lambda group: -math.prod(sizes[slice(*group)])
    ):  # what is left is smallest so
        n = math.prod(sizes[first:last])
        rest = _along(rest.reshape(math.prod(sizes[:first]), n, math.prod(sizes[last:])))
        sizes[first:last] = [1] * (last - first)
    return rest.reshape(sizes).transpose(np.argsort(order)) * np.float64(times)


def _groups(summed: list[bool], sizes: list[int]) -> list[tuple[int, int]]:
    """Where runs of neighbouring axes begin and end that are summed, those of length 1 between them included."""
    groups: list[tuple[int, int]] = []
    for i, n in enumerate(sizes):
        if summed[i] and n > 1:
            joined = groups and all(m == 1 for m in sizes[groups[-1][1] : i])
            groups.append((groups.pop()[0] if joined else i, i + 1))
    return groups


def _along(x: np.ndarray) -> np.ndarray:
    """(outer, n, inner) -> float64 (outer, 1, inner)"""
    outer, n, inner = x.shape
    rows = max(ROWS, RUN // inner)
    blocks = -(-n // rows)
    out = np.empty((outer, blocks, inner))
    run(_add_rows, outer * blocks * -(-inner // COLUMNS), x.size // 8, x, out, rows)
    return out if blocks == 1 else _along(out)


@jit_sums
def _add_rows(x, out, rows, start, stop):
    """out[o, b] = the sum of the rows x[o, b * rows : (b + 1) * rows]. Unit: (o, b, COLUMNS numbers of a row)."""
    _, n, inner = x.shape
    blocks, pieces = out.shape[1], (inner + COLUMNS - 1) // COLUMNS
    together = max(1, SIDE_BY_SIDE // inner)
    flat, sums = x.reshape(-1), np.empty(COLUMNS)
    for unit in range(start, stop):
        left, rest = unit % pieces * COLUMNS, unit // pieces
        o, b = rest // blocks, rest % blocks
        columns = min(COLUMNS, inner - left)
        last = min(n, (b + 1) * rows)
        if inner == 1:
            total, source = 0.0, flat[o * n + b * rows : o * n + last]
            for j in range(len(source)):
                total += source[j]
            out[o, b, 0] = total
            continue
        sums[: columns * together] = 0
        for row in range(b * rows, last, together):
            place = (o * n + row) * inner + left
            source = flat[place : place + min(together, last - row) * columns]
            for j in range(len(source)):
                sums[j] += source[j]
        target = out[o, b, left : left + columns]
        target[:] = sums[:columns]
        for k in range(1, together):
            for j in range(columns):
                target[j] += sums[k * columns + j]
