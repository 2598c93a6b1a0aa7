"""The innermost loops of depthwise convolutions: one map against one kernel, 8 rows a vector wide at a time, in registers.

    out[place + r * step + j] = start + sum over begin <= k < end and l of
                                weight[own + taps[k, l]] * pixels[first + pixel_taps[k] + (r + l) * pitch + j]

for begin, end of `runs`, r < height and j < width of `size`. The taps of a kernel that stand below each other are a run, k, of L: a
vector of pixels is loaded once and used in all rows that see it, so that 8 rows of 3 x 3 taps take 30 loads for 72 multiply-adds. Maps
that are no wider than half a vector take half a vector. As in `tile.py` the instructions are stated in LLVM's language, and `plain` is
what they compute.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .parallel import jit
from .tile import VECTOR, VECTORS, lanes

ROWS = 8
LENGTHS = (1, 2, 3, 5, 7)  # of runs of taps
LONGEST = LENGTHS[-1]
TOGETHER = 9  # taps whose sums are in registers at the same time, in the gradient of the weight
index, small = ir.IntType(64), ir.IntType(32)


def plain(weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step, L, share=1):
    """The strips in Python. They begin with `bias` if they are `fresh`, else with what is in `out`; taps (k, LONGEST). Flat arrays;
    reads nothing outside of them, though a strip reads whole vectors."""
    lane, (height, width) = lanes(pixels.dtype) // share, size
    for r in range(height):
        for j in range(0, width, lane):
            target = out[place + r * step + j : place + r * step + min(width, j + lane)]
            total = np.full(lane, bias)
            total[: len(target)] = bias if fresh else target
            for k in range(*runs):
                for l in range(L):
                    at = first + pixel_taps[k] + (r + l) * pitch + j
                    if at < 0 or at + lane > len(pixels):
                        raise IndexError(f"a strip reads pixels {at} to {at + lane} of {len(pixels)}")
                    total += weight[own + taps[k, l]] * pixels[at : at + lane]
            target[:] = total[: len(target)]


def compiled(L: int, share: int = 1) -> Callable:
    """The strips for compiled kernels, of runs of L taps, in vectors of a `share` of the registers' length."""

    @intrinsic
    def strip(typing, weight, own, taps, pixels, first, pitch, pixel_taps, runs, size, fresh, bias, out, place, step):
        n, pair = types.int64, types.UniTuple(types.int64, 2)
        given = weight, n, taps, pixels, n, n, pixel_taps, pair, pair, types.bool_, weight.dtype, out, n, n
        return types.void(*given), lambda *place: _write(L, share, *place)

    return strip


def _write(L: int, share: int, context: Any, build: Any, signature: Any, arguments: Any) -> Any:
    _, own, _, _, first, pitch, _, runs, size, fresh, bias, _, place, step = arguments
    (begin_runs, end_runs), (height, width) = (cgutils.unpack_tuple(build, two) for two in (runs, size))
    weight, taps_of, pixels_of, places, out = _memory(context, build, signature, arguments)
    vectors = _Vectors(context, build, signature.args[0].dtype, 1 / share)
    starts = vectors.spread(bias)
    is_fresh, lane = build.icmp_signed("!=", fresh, fresh.type(0)), index(vectors.lane)
    # To write a part of a vector takes several times as long as a whole one. So in a map of one column of vectors a row is written
    # with what is behind it, which the next rows, then written, are; in wider maps the last column is moved.
    may_move = build.and_(is_fresh, build.icmp_signed(">=", width, lane))
    one_column = build.and_(build.icmp_signed("<=", width, lane), build.icmp_signed("==", width, step))
    weight = build.gep(weight, [own])

    sums = [cgutils.alloca_once(build, vectors.kind) for _ in range(ROWS)]  # they become registers
    with cgutils.for_range_slice(build, index(0), height, index(ROWS)) as (row, _):
        last = build.sub(_least(build, index(ROWS), build.sub(height, row)), index(1))
        seen = [build.mul(pitch, _least(build, index(i), build.add(last, index(L - 1)))) for i in range(ROWS + L - 1)]
        row_place, row_first = build.add(place, build.mul(row, step)), build.add(first, build.mul(row, pitch))
        lines = [build.add(row_place, build.mul(step, _least(build, index(r), last))) for r in range(ROWS)]
        with cgutils.for_range_slice(build, index(0), width, index(vectors.lane)) as (next_column, _):
            # the last vector of a row ends where the row does: what it shares with the one before is the same in both
            column = build.select(may_move, _least(build, next_column, build.sub(width, lane)), next_column)
            left = build.sub(width, column)
            full, inside = build.icmp_signed(">=", left, lane), vectors.below(left)
            targets = [build.gep(out, [build.add(line, column)]) for line in lines]
            with build.if_else(is_fresh) as (then, otherwise):
                with then:
                    for total in sums:
                        build.store(starts, total)
                with otherwise:
                    for total, target in zip(sums, targets, strict=True):
                        build.store(vectors.load(target, inside), total)
            with cgutils.for_range_slice(build, begin_runs, end_runs, index(1)) as (k, _):
                tap = build.load(build.gep(places, [k]))
                corner = build.gep(pixels_of, [build.add(build.add(row_first, column), tap)])
                taps = [
                    build.load(build.gep(taps_of, [build.add(build.mul(k, index(LONGEST)), index(l))]))
                    for l in range(L)
                ]
                weights = [vectors.spread(build.load(build.gep(weight, [tap]))) for tap in taps]
                for i, offset in enumerate(seen):
                    pixels = vectors.load(build.gep(corner, [offset]))
                    for total, own_weight in [(sums[i - l], weights[l]) for l in range(L) if 0 <= i - l < ROWS]:
                        build.store(vectors.multiply_add(own_weight, pixels, build.load(total)), total)
            for r, total, target in zip(range(ROWS), sums, targets, strict=True):
                behind = build.add(width, build.mul(step, build.sub(last, index(r))))  # up to the end of the last row
                followed = build.and_(build.icmp_signed(">=", behind, lane), one_column)
                in_range, whole = build.icmp_signed("<=", index(r), last), build.or_(full, followed)
                with build.if_then(in_range), build.if_else(whole) as (then, otherwise):
                    with then:
                        vectors.store(build.load(total), target)
                    with otherwise:
                        vectors.store(build.load(total), target, inside)
    return context.get_dummy_value()


def _memory(context: Any, build: Any, signature: Any, arguments: Any) -> list[Any]:
    """Where the arrays among the arguments begin."""
    return [
        context.make_array(kind)(context, build, value).data
        for kind, value in zip(signature.args, arguments, strict=True)
        if isinstance(kind, types.Array)
    ]


def _least(build: Any, a: Any, b: Any) -> Any:
    return build.select(build.icmp_signed("<", a, b), a, b)


class _Vectors:
    """Instructions on vectors of one type, `width` registers long."""

    def __init__(self, context: Any, build: Any, dtype: Any, width: float = 1) -> None:
        self.build, self.lane, self.bits = build, int(width * VECTOR) // (dtype.bitwidth // 8), dtype.bitwidth
        self.kind = ir.VectorType(context.get_value_type(dtype), self.lane)
        self.flags = ir.VectorType(ir.IntType(1), self.lane)

    def spread(self, value: Any) -> Any:
        """A number in every lane."""
        kind = ir.VectorType(value.type, self.lane)
        one = self.build.insert_element(ir.Constant(kind, ir.Undefined), value, small(0))
        lanes = ir.Constant(ir.VectorType(small, self.lane), [0] * self.lane)
        return self.build.shuffle_vector(one, ir.Constant(kind, ir.Undefined), lanes)

    def below(self, count: Any) -> Any:
        """The mask of the first `count` lanes."""
        least = self.build.trunc(_least(self.build, count, index(self.lane)), small)
        numbers = ir.Constant(ir.VectorType(small, self.lane), list(range(self.lane)))
        return self.build.icmp_signed("<", numbers, self.spread(least))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self._call(f"llvm.fma.v{self.lane}f{self.bits}", self.kind, a, b, c)

    def add_up(self, value: Any) -> Any:
        """The sum of the lanes, halves onto halves."""
        start = ir.Constant(self.kind.element, 0.0)
        kind = ir.FunctionType(start.type, [start.type, self.kind])
        name = f"llvm.vector.reduce.fadd.v{self.lane}f{self.bits}"
        function = cgutils.get_or_insert_function(self.build.module, kind, name)
        return self.build.call(function, [start, value], fastmath=("reassoc",))

    def load(self, pointer: Any, mask: Any = None, beyond: Any = None) -> Any:
        """From memory; lanes that the mask leaves out are those of `beyond`, or zero, and not read."""
        pointer = self.build.bitcast(pointer, self.kind.as_pointer())
        if mask is None:
            return self.build.load(pointer, align=4)
        beyond = ir.Constant(self.kind, [0.0] * self.lane) if beyond is None else beyond
        return self._call(f"llvm.masked.load.{self._suffix}", self.kind, pointer, small(4), mask, beyond)

    def store(self, value: Any, pointer: Any, mask: Any = None) -> None:
        pointer = self.build.bitcast(pointer, self.kind.as_pointer())
        if mask is None:
            self.build.store(value, pointer, align=4)
            return
        self._call(f"llvm.masked.store.{self._suffix}", ir.VoidType(), value, pointer, small(4), mask)

    @property
    def _suffix(self) -> str:
        return f"v{self.lane}f{self.bits}.p0v{self.lane}f{self.bits}"

    def _call(self, name: str, result: Any, *arguments: Any) -> Any:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return self.build.call(cgutils.get_or_insert_function(self.build.module, kind, name), arguments)


_strips: list[Callable] = [
    partial(plain, L=L, share=share) if numba.config.DISABLE_JIT else compiled(L, share)
    for share in (1, 2)
    for L in LENGTHS
]
strip_1, strip_2, strip_3, strip_5, strip_7, half_1, half_2, half_3, half_5, half_7 = _strips


def plain_dots(grad, place, step, pixels, first, pitch, taps, begin, height, width, sums, share):
    """sums[k] = sum of grad[place + r * step + j] * pixels[first + taps[begin + k] + r * pitch + j] for r < height, j < width and
    k < TOGETHER. Flat arrays."""
    for k in range(TOGETHER):
        total = sums.dtype.type(0)
        for r in range(height):
            passed, at = grad[place + r * step : place + r * step + width], first + taps[begin + k] + r * pitch
            if at < 0 or at + width > len(pixels):
                raise IndexError(f"a sum reads pixels {at} to {at + width} of {len(pixels)}")
            total += (passed * pixels[at : at + width]).sum()
        sums[k] = total


def compiled_dots(share: int) -> Callable:
    """It for compiled kernels: of a vector of grad TOGETHER products are added up, each in a register of its own."""

    @intrinsic
    def dots(typing, grad, place, step, pixels, first, pitch, taps, begin, height, width, sums):
        def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
            _, place, step, _, first, pitch, _, begin, height, width, _ = arguments
            passed, seen, places, sums = _memory(context, build, signature, arguments)
            vectors = _Vectors(context, build, signature.args[0].dtype, 1 / share)
            totals = [cgutils.alloca_once(build, vectors.kind) for _ in range(TOGETHER)]  # they become registers
            for total in totals:
                build.store(ir.Constant(vectors.kind, [0.0] * vectors.lane), total)
            seen = [
                build.gep(seen, [build.add(first, build.load(build.gep(places, [build.add(begin, index(k))])))])
                for k in range(TOGETHER)
            ]
            with cgutils.for_range(build, height) as row:
                source, other = build.add(place, build.mul(row.index, step)), build.mul(row.index, pitch)
                with cgutils.for_range_slice(build, index(0), width, index(vectors.lane)) as (j, _):
                    inside = vectors.below(build.sub(width, j))
                    factor = vectors.load(build.gep(passed, [build.add(source, j)]), inside)
                    at = build.add(other, j)
                    for total, corner in zip(totals, seen, strict=True):
                        pixels = vectors.load(build.gep(corner, [at]), inside)
                        build.store(vectors.multiply_add(factor, pixels, build.load(total)), total)
            for k, total in enumerate(totals):
                build.store(vectors.add_up(build.load(total)), build.gep(sums, [index(k)]))
            return context.get_dummy_value()

        n = types.int64
        return types.void(grad, n, n, pixels, n, n, taps, n, n, n, sums), write

    return dots


dots, half_dots = (
    partial(plain_dots, share=share) if numba.config.DISABLE_JIT else compiled_dots(share) for share in (1, 2)
)


def plain_part(source, place, step, target, to, pitch, rows, count, outside, S):
    """target[to + r * pitch + j] = source[place + r * step + j * S] for r < rows and j < count. Flat arrays. Whole vectors are
    written: behind a row stands `outside`, then the next row, so what is behind the last one must be free."""
    lane = lanes(source.dtype)
    for r in range(rows if count > 0 else 0):
        begin, first = place + r * step, to + r * pitch
        target[first : first + -(-count // lane) * lane] = outside
        target[first : first + count] = source[begin : begin + (count - 1) * S + 1 : S]


def compiled_part(S: int) -> Callable:
    """It for compiled kernels, at a stride of 1 or 2: what short loops do not get compiled to."""

    @intrinsic
    def part(typing, source, place, step, target, to, pitch, rows, count, outside):
        def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
            arrays = [context.make_array(signature.args[i])(context, build, arguments[i]) for i in (0, 3)]
            _, place, step, _, to, pitch, rows, count, outside = arguments
            wide, narrow = (_Vectors(context, build, signature.args[0].dtype, width) for width in (S, 1))
            beyond = wide.spread(outside)
            chosen = ir.Constant(ir.VectorType(small, narrow.lane), list(range(0, S * narrow.lane, S)))
            with cgutils.for_range(build, rows) as row:
                first, last = (
                    build.add(begin, build.mul(row.index, length)) for begin, length in ((place, step), (to, pitch))
                )
                with cgutils.for_range_slice(build, index(0), count, index(narrow.lane)) as (j, _):
                    left = build.mul(build.sub(count, j), index(S))
                    source_place = build.add(first, build.mul(j, index(S)))
                    values = wide.load(
                        build.gep(arrays[0].data, [source_place]), wide.below(build.sub(left, index(S - 1))), beyond
                    )
                    every = build.shuffle_vector(values, values, chosen)
                    narrow.store(every, build.gep(arrays[1].data, [build.add(last, j)]))
            return context.get_dummy_value()

        n = types.int64
        return types.void(source, n, n, target, n, n, n, n, source.dtype), write

    return part


part_1, part_2 = (partial(plain_part, S=S) if numba.config.DISABLE_JIT else compiled_part(S) for S in (1, 2))


def plain_finish(sums, at, bias, first, rows, out, place, plane, count):
    """out[place + r * plane + j] = sums[r, at + j] + bias[first + r] for r < rows and j < count: what tiles summed up, to its place.
    A row of sums is that of the widest tile."""
    row = VECTORS * lanes(sums.dtype)
    for r in range(rows):
        begin, source = place + r * plane, sums.reshape(-1)[r * row + at :]
        out[begin : begin + count] = source[:count] + bias[first + r]


@intrinsic
def compiled_finish(typing, sums, at, bias, first, rows, out, place, plane, count):
    """It for compiled kernels."""

    def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        _, at, _, first, rows, _, place, plane, count = arguments
        summed, biases, to = _memory(context, build, signature, arguments)
        vectors = _Vectors(context, build, signature.args[0].dtype)
        lane = index(vectors.lane)
        with cgutils.for_range(build, rows) as row:
            r = row.index
            own = vectors.spread(build.load(build.gep(biases, [build.add(first, r)])))
            source = build.gep(summed, [build.add(at, build.mul(r, index(VECTORS * vectors.lane)))])
            target = build.gep(to, [build.add(place, build.mul(r, plane))])
            with cgutils.for_range_slice(build, index(0), count, lane) as (j, _):
                left, pointer = build.sub(count, j), build.gep(target, [j])
                with build.if_else(build.icmp_signed(">=", left, lane)) as (whole, part):
                    with whole:
                        vectors.store(build.fadd(vectors.load(build.gep(source, [j])), own), pointer)
                    with part:
                        inside = vectors.below(left)
                        value = build.fadd(vectors.load(build.gep(source, [j]), inside), own)
                        vectors.store(value, pointer, inside)
        return context.get_dummy_value()

    n = types.int64
    return types.void(sums, n, bias, n, n, out, n, n, n), write


finish = plain_finish if numba.config.DISABLE_JIT else compiled_finish


@jit
def put(sums, at, bias, first, rows, out, place, plane, step, count):
    """`finish`, at every step-th place of a row of the result."""
    if step == 1:
        finish(sums, at, bias, first, rows, out, place, plane, count)
        return
    for r in range(rows):
        for j in range(count):
            out[place + r * plane + j * step] = sums[r, at + j] + bias[first + r]
