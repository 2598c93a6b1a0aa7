"""Long sums: float64 adds up short runs of the numbers, and those sums.

Added one by one in float32, 2e7 ones make 16777216: at some point each next number is less than half the last digit of the sum so
far. NumPy adds in pairs along the axis that lies closest in memory, and one by one along the others.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .parallel import jit_sums, run

SMALL = 2**12  # numbers: up to here NumPy is as quick
ROWS = 256  # rows that are added up one by one; more of them, if they are short
RUN = 2**12  # numbers that are added up together at least
COLUMNS = 1024  # numbers of a row in a unit of work
SIDE_BY_SIDE = 64  # sums that are kept apart at least, by taking several short rows at once


class Plan(NamedTuple):
    """How an array is summed: as it lies in memory, one run of neighbouring axes after the other, the longest first."""

    once: tuple[slice, ...]  # without what comes again and again, as `expand` makes it
    times: int  # how often that comes
    order: tuple[int, ...]  # the axes as they lie in memory
    runs: tuple[tuple[int, int, int], ...]  # (before the run, in it, behind it)
    back: tuple[int, ...]  # the axes in order again
    shape: tuple[int, ...]  # of the result, in the order of memory


def add_up(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    plan = _plan(x.shape, x.strides, axes)
    rest = np.ascontiguousarray(x[plan.once].transpose(plan.order), np.float32 if x.dtype == np.float16 else None)
    for shape in plan.runs:
        rest = _along(rest.reshape(shape))
    rest = rest.reshape(plan.shape).transpose(plan.back)
    return rest if plan.times == 1 else rest * np.float64(plan.times)


@lru_cache(maxsize=1024)  # it takes longer than a sum of thousands
def _plan(shape: tuple[int, ...], strides: tuple[int, ...], axes: tuple[int, ...]) -> Plan:
    again = [axis for axis in axes if strides[axis] == 0]
    once = tuple(slice(1) if axis in again else slice(None) for axis in range(len(shape)))
    order = sorted(range(len(shape)), key=lambda axis: -abs(strides[axis]))
    sizes = [1 if axis in again else shape[axis] for axis in order]
    runs = []
    for first, last in sorted(
        _groups([axis in axes for axis in order], sizes), key=lambda g: -math.prod(sizes[slice(*g)])
    ):
        runs.append((math.prod(sizes[:first]), math.prod(sizes[first:last]), math.prod(sizes[last:])))
        sizes[first:last] = [1] * (last - first)
    times = math.prod(shape[axis] for axis in again)
    return Plan(once, times, tuple(order), tuple(runs), tuple(np.argsort(order).tolist()), tuple(sizes))


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
    run(_add_rows, outer * blocks * -(-inner // COLUMNS), x.size // 64, x, out, rows)
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
