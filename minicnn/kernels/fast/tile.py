"""The innermost loop of every convolution: a small tile of a matrix product that never leaves the processor's registers.

    target[r, p] = sum over k of weight[row + r * step + weight_taps[k]] * pixels[first + pixel_taps[k] + p]

for 8 rows r (output channels) and 8, 16, 32 or 48 neighbouring p (pixels; with AVX-512). With `add`, that is added to the target.
For each k the widest tile loads three vectors of pixels and eight weights and does 24 multiply-adds, which is what keeps the
processor's multipliers busy; a loop that keeps its sums in memory is bound by loading and storing them. Compilers do not find this
form by themselves, so it is stated here in LLVM's language, one instruction a line. `plain` is what it computes: it runs with
``NUMBA_DISABLE_JIT=1``.

The taps are two lists of distances, and they are what lets one tile serve every convolution: kernel size, stride, dilation,
forward and backward only change where the k-th weight and the k-th pixel lie. Nothing is copied into columns.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .parallel import jit

_features = llvm.get_host_cpu_features()
if _features.get("avx512f"):
    VECTOR, ROWS = 64, 8  # bytes in a vector register; rows of a tile, so that 8 x 3 sums fit into 32 registers
elif _features.get("avx2"):
    VECTOR, ROWS = 32, 4  # 4 x 3 sums in 16 registers
else:
    VECTOR, ROWS = 16, 8
VECTORS = 3  # in the widest tile


def lanes(dtype: np.dtype) -> int:
    """How many numbers are in a vector register."""
    return VECTOR // np.dtype(dtype).itemsize


def plain(weight, row, step, last, weight_taps, pixels, first, pixel_taps, target, add, vectors):
    """The tile in Python, `vectors` vector registers wide. Rows after `last` repeat it: their sums are not used. Reads nothing
    outside of the arrays."""
    width = int(vectors * lanes(pixels.dtype))
    places = first + pixel_taps[:, None] + np.arange(width)
    if places.min() < 0 or places.max() >= len(pixels):
        raise IndexError(f"a tile reads pixels {places.min()} to {places.max()} of {len(pixels)}")
    for r in range(ROWS):
        total = weight[row + min(r, last) * step + weight_taps] @ pixels[places]
        target[r, :width] = target[r, :width] + total if add else total


def compiled(vectors: float) -> Callable:
    """The tile for compiled kernels. All arrays are contiguous; `weight` and `pixels` are flat. Half a vector is one of half the
    size."""

    @intrinsic
    def tile(typing, weight, row, step, last, weight_taps, pixels, first, pixel_taps, target, add):
        integer = types.int64
        result = types.void(
            weight, integer, integer, integer, weight_taps, pixels, integer, pixel_taps, target, types.bool_
        )
        return result, lambda *place: _write(vectors, *place)

    return tile


def _write(size: float, context: Any, build: Any, signature: Any, arguments: Any) -> Any:
    """The instructions of a tile that is `size` vector registers wide."""
    _, row, step, last, _, _, first, _, _, add = arguments
    structures: list[Any] = [context.make_array(kind)(context, build, value) if isinstance(kind, types.Array) else None
                  for kind, value in zip(signature.args, arguments, strict=True)]  # fmt: skip
    index, number = ir.IntType(64), context.get_value_type(signature.args[0].dtype)
    full = VECTOR // (signature.args[0].dtype.bitwidth // 8)
    vectors, width = (int(size), full) if size >= 1 else (1, int(size * full))
    vector = ir.VectorType(number, width)
    nothing, zeros = ir.Constant(vector, ir.Undefined), ir.Constant(vector, [0.0] * width)
    first_lane = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    name = f"llvm.fma.v{width}f{signature.args[0].dtype.bitwidth}"
    multiply_add = cgutils.get_or_insert_function(build.module, ir.FunctionType(vector, [vector] * 3), name)

    def address(argument: int, *offset: Any) -> Any:
        return build.gep(structures[argument].data, offset) if offset else structures[argument].data

    starts = []
    for r in range(ROWS):
        inside = build.icmp_signed("<", index(r), last)
        starts.append(build.gep(address(0, row), [build.mul(step, build.select(inside, index(r), last))]))
    count = build.extract_value(structures[7].shape, 0)
    results = [
        [
            build.bitcast(build.gep(address(8), [index(r * VECTORS * full + v * width)]), vector.as_pointer())
            for v in range(vectors)
        ]
        for r in range(ROWS)
    ]
    add = build.icmp_signed("!=", add, add.type(0))
    begin = [[build.select(add, build.load(place, align=4), zeros) for place in places] for places in results]

    before, loop, after = build.block, build.append_basic_block("taps"), build.append_basic_block("done")
    build.branch(loop)
    build.position_at_end(loop)
    k = build.phi(index)  # the loop's variable, and the sums: registers
    sums = [[build.phi(vector) for _ in range(vectors)] for _ in range(ROWS)]
    place = build.bitcast(build.gep(address(5, first), [build.load(address(7, k))]), vector.as_pointer())
    loaded = [build.load(build.gep(place, [index(v)]), align=4) for v in range(vectors)]
    tap = build.load(address(4, k))
    totals = []
    for r in range(ROWS):
        one = build.insert_element(nothing, build.load(build.gep(starts[r], [tap])), ir.IntType(32)(0))
        spread = build.shuffle_vector(one, nothing, first_lane)  # the weight in every lane
        totals.append([build.call(multiply_add, [spread, loaded[v], sums[r][v]]) for v in range(vectors)])
    following = build.add(k, index(1))
    for register, start, result in [(k, index(0), following), *(
        (sums[r][v], begin[r][v], totals[r][v]) for r in range(ROWS) for v in range(vectors)
    )]:  # fmt: skip
        register.add_incoming(start, before)
        register.add_incoming(result, loop)
    back = build.cbranch(build.icmp_signed("<", following, count), loop, after)
    _keep_rolled(build.module, back)

    build.position_at_end(after)
    for r in range(ROWS):
        for v in range(vectors):
            build.store(totals[r][v], results[r][v], align=4)
    return context.get_dummy_value()


def _keep_rolled(module: Any, back: Any) -> None:
    """Unrolled twice, as LLVM would, a tile's loop no longer fits into the registers. back: the branch to its begin."""
    once = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    properties = module.add_metadata([once])
    properties.operands = (properties, once)  # a loop's properties are a node that names itself first
    back.set_metadata("llvm.loop", properties)


def plain_move(source, place, target, to):
    """Copy one vector register from source[place] on to target[to] on. Flat arrays; what a short loop does not get compiled to."""
    count = lanes(source.dtype)
    target[to : to + count] = source[place : place + count]


@intrinsic
def compiled_move(typing, source, place, target, to):
    def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        number = context.get_value_type(signature.args[0].dtype)
        vector = ir.VectorType(number, VECTOR // (signature.args[0].dtype.bitwidth // 8)).as_pointer()
        first, last = (
            build.bitcast(build.gep(context.make_array(kind)(context, build, array).data, [offset]), vector)
            for kind, array, offset in ((signature.args[0], *arguments[:2]), (signature.args[2], *arguments[2:]))
        )
        build.store(build.load(first, align=4), last, align=4)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), write


move = plain_move if numba.config.DISABLE_JIT else compiled_move

_tiles: list[Callable] = [
    partial(plain, vectors=vectors) if numba.config.DISABLE_JIT else compiled(vectors) for vectors in (0.5, 1, 2, 3)
]
tile_half, tile_1, tile_2, tile_3 = _tiles


@jit
def width_for(count, lane):
    """The widest tile that `count` pixels fill; or, for the last of them, the narrowest that holds them. lane: see `lanes`."""
    vectors = count // lane + (1 if count % lane > lane // 2 else 0)
    return min(VECTORS, vectors) * lane if vectors > 0 else lane // 2


@jit
def width_of(count, lane):
    """The narrowest tile that holds `count` pixels, no more than the widest holds."""
    return lane // 2 if count <= lane // 2 else (count + lane - 1) // lane * lane


@jit
def tile(width, weight, row, step, last, weight_taps, pixels, first, pixel_taps, target, add):
    """The tile of this width; target (ROWS, 3 * lane)."""
    lane = target.shape[1] // VECTORS
    if width == 3 * lane:
        tile_3(weight, row, step, last, weight_taps, pixels, first, pixel_taps, target, add)
    elif width == 2 * lane:
        tile_2(weight, row, step, last, weight_taps, pixels, first, pixel_taps, target, add)
    elif width == lane:
        tile_1(weight, row, step, last, weight_taps, pixels, first, pixel_taps, target, add)
    else:
        tile_half(weight, row, step, last, weight_taps, pixels, first, pixel_taps, target, add)


@jit
def add_partial(sums, partial, rows, width, fresh):
    """Add what a tile has summed up to `sums`, float64; or, if `fresh`, begin with it. Rows by columns, those of the tile."""
    for r in range(rows):
        source, target = partial[r, :width], sums[r, :width]
        if fresh:
            for j in range(width):
                target[j] = source[j]
        else:
            for j in range(width):
                target[j] += source[j]
