"""The innermost loops of depthwise convolutions: one map against one kernel, 8 rows a vector wide at a time, in registers.

    out[place + r * step + j] = start + sum over k and l of weight[taps[k, l]] * pixels[first + pixel_taps[k] + (r + l) * pitch + j]

for r < height and j < width. The taps of a kernel that stand below each other are a run, k, of L: a vector of pixels is loaded once
and used in all rows that see it, so that 8 rows of 3 x 3 taps take 30 loads for 72 multiply-adds. Maps that are no wider than half a
vector take half a vector. As in `tile.py` the instructions are stated in LLVM's language, and `plain` is what they compute.
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

from .tile import VECTOR, lanes

ROWS = 8
LENGTHS = (1, 2, 3, 5, 7)  # of runs of taps
LONGEST = LENGTHS[-1]
index, small = ir.IntType(64), ir.IntType(32)


def plain(weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step, L, share=1):
    """The strips in Python. They begin with `bias` if they are `fresh`, else with what is in `out`; taps (k, LONGEST). Flat arrays;
    reads nothing outside of them, though a strip reads whole vectors."""
    lane = lanes(pixels.dtype) // share
    for r in range(height):
        for j in range(0, width, lane):
            target = out[place + r * step + j : place + r * step + min(width, j + lane)]
            total = np.full(lane, bias)
            total[: len(target)] = bias if fresh else target
            for k, tap in enumerate(pixel_taps):
                for l in range(L):
                    begin = first + tap + (r + l) * pitch + j
                    if begin < 0 or begin + lane > len(pixels):
                        raise IndexError(f"a strip reads pixels {begin} to {begin + lane} of {len(pixels)}")
                    total += weight[taps[k, l]] * pixels[begin : begin + lane]
            target[:] = total[: len(target)]


def compiled(L: int, share: int = 1) -> Callable:
    """The strips for compiled kernels, of runs of L taps, in vectors of a `share` of the registers' length."""

    @intrinsic
    def strip(typing, weight, taps, pixels, first, pitch, pixel_taps, height, width, fresh, bias, out, place, step):
        n = types.int64
        result = types.void(weight, taps, pixels, n, n, pixel_taps, n, n, types.bool_, weight.dtype, out, n, n)
        return result, lambda *place: _write(L, share, *place)

    return strip


def _write(L: int, share: int, context: Any, build: Any, signature: Any, arguments: Any) -> Any:
    structures: list[Any] = [context.make_array(kind)(context, build, value) if isinstance(kind, types.Array) else None
                  for kind, value in zip(signature.args, arguments, strict=True)]  # fmt: skip
    _, _, _, first, pitch, _, height, width, fresh, bias, _, place, step = arguments
    vectors = _Vectors(context, build, signature.args[0].dtype, 1 / share)
    runs, starts = build.extract_value(structures[5].shape, 0), vectors.spread(bias)
    is_fresh = build.icmp_signed("!=", fresh, fresh.type(0))

    def address(argument: int, offset: Any) -> Any:
        return build.gep(structures[argument].data, [offset])

    with cgutils.for_range_slice(build, index(0), height, index(ROWS)) as (row, _):
        rows = _least(build, index(ROWS), build.sub(height, row))
        last = build.add(rows, index(L - 2))  # row of pixels that is used
        offsets = [build.mul(pitch, _least(build, index(i), last)) for i in range(ROWS + L - 1)]
        row_place, row_first = build.add(place, build.mul(row, step)), build.add(first, build.mul(row, pitch))
        with cgutils.for_range_slice(build, index(0), width, index(vectors.lane)) as (column, _):
            inside = vectors.below(build.sub(width, column))
            targets, masks = [], []
            for r in range(ROWS):
                targets.append(address(10, build.add(build.add(row_place, column), build.mul(step, index(r)))))
                masks.append(
                    build.select(build.icmp_signed("<", index(r), rows), inside, ir.Constant(inside.type, None))
                )
            none = ir.Constant(inside.type, None)
            begin = []
            for target, mask in zip(targets, masks, strict=True):
                before = vectors.load(target, build.select(is_fresh, none, mask))
                begin.append(build.select(is_fresh, starts, before))
            entry, loop, after = build.block, build.append_basic_block("runs"), build.append_basic_block("done")
            build.branch(loop)
            build.position_at_end(loop)
            k = build.phi(index)  # the loop's variable, and the sums: registers
            sums = [build.phi(vectors.kind) for _ in range(ROWS)]
            corner = address(2, build.add(build.add(row_first, column), build.load(address(5, k))))
            taps = [build.load(address(1, build.add(build.mul(k, index(LONGEST)), index(l)))) for l in range(L)]
            weights = [vectors.spread(build.load(address(0, tap))) for tap in taps]
            totals: list[Any] = list(sums)
            for i in range(ROWS + L - 1):
                pixels = vectors.load(build.gep(corner, [offsets[i]]))
                for l in range(L):
                    if 0 <= i - l < ROWS:
                        totals[i - l] = vectors.multiply_add(weights[l], pixels, totals[i - l])
            following = build.add(k, index(1))
            for register, value, result in zip([k, *sums], [index(0), *begin], [following, *totals], strict=True):
                register.add_incoming(value, entry)
                register.add_incoming(result, loop)
            build.cbranch(build.icmp_signed("<", following, runs), loop, after)
            build.position_at_end(after)
            for total, target, mask in zip(totals, targets, masks, strict=True):
                vectors.store(total, target, mask)
    return context.get_dummy_value()


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

    def load(self, pointer: Any, mask: Any = None) -> Any:
        """From memory; lanes that the mask leaves out are zero, and not read."""
        pointer = self.build.bitcast(pointer, self.kind.as_pointer())
        if mask is None:
            return self.build.load(pointer, align=4)
        zeros = ir.Constant(self.kind, [0.0] * self.lane)
        return self._call(f"llvm.masked.load.{self._suffix}", self.kind, pointer, small(4), mask, zeros)

    def store(self, value: Any, pointer: Any, mask: Any) -> None:
        pointer = self.build.bitcast(pointer, self.kind.as_pointer())
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


def plain_part(source, place, step, target, to, pitch, rows, count, S):
    """target[to + r * pitch + j] = source[place + r * step + j * S] for r < rows and j < count. Flat arrays."""
    for r in range(rows if count > 0 else 0):
        begin, first = place + r * step, to + r * pitch
        target[first : first + count] = source[begin : begin + (count - 1) * S + 1 : S]


def compiled_part(S: int) -> Callable:
    """It for compiled kernels, at a stride of 1 or 2: what short loops do not get compiled to."""

    @intrinsic
    def part(typing, source, place, step, target, to, pitch, rows, count):
        def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
            arrays = [context.make_array(signature.args[i])(context, build, arguments[i]) for i in (0, 3)]
            _, place, step, _, to, pitch, rows, count = arguments
            wide, narrow = (_Vectors(context, build, signature.args[0].dtype, width) for width in (S, 1))
            chosen = ir.Constant(ir.VectorType(small, narrow.lane), list(range(0, S * narrow.lane, S)))
            with cgutils.for_range_slice(build, index(0), count, index(narrow.lane)) as (j, _):
                left = build.sub(count, j)
                read = wide.below(build.sub(build.mul(left, index(S)), index(S - 1)))
                written = narrow.below(left)
                first, last = build.add(place, build.mul(j, index(S))), build.add(to, j)
                with cgutils.for_range(build, rows) as row:
                    source_row = build.add(first, build.mul(row.index, step))
                    values = wide.load(build.gep(arrays[0].data, [source_row]), read)
                    every = build.shuffle_vector(values, values, chosen)
                    target_row = build.add(last, build.mul(row.index, pitch))
                    narrow.store(every, build.gep(arrays[1].data, [target_row]), written)
            return context.get_dummy_value()

        n = types.int64
        return types.void(source, n, n, target, n, n, n, n), write

    return part


part_1, part_2 = (partial(plain_part, S=S) if numba.config.DISABLE_JIT else compiled_part(S) for S in (1, 2))
