"""The innermost loop of max-pooling: the largest of some pixels at fixed distances, for a vector of windows at a time.

    best[p] = the largest of pixels[first + taps[k] + p] over all k, taken[p] = distances[k] of the first of them; NaN wins

for p < total; whole vectors are read and written. taken[p] is NOWHERE where nothing is larger than minus infinity. Best and taken of a
vector stay in registers until all taps have been looked at, and nothing branches: where the largest is, is a matter of chance, and a
branch on it would be guessed wrong every other time. As in `tile.py` the instructions are stated in LLVM's language, and `plain` is
what they compute.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .strip import _memory, _Vectors, index, small
from .tile import lanes

NOWHERE = np.int32(-(2**31))


def plain(pixels, first, taps, distances, total, best, taken):
    whole = -(-total // lanes(pixels.dtype)) * lanes(pixels.dtype)
    best[:whole], taken[:whole] = -np.inf, NOWHERE
    for tap, distance in zip(taps, distances, strict=True):
        if first + tap < 0 or first + tap + whole > len(pixels):
            raise IndexError(f"a window reads pixels {first + tap} to {first + tap + whole} of {len(pixels)}")
        value = pixels[first + tap : first + tap + whole]
        larger = (value > best[:whole]) | np.isnan(value)
        best[:whole][larger], taken[:whole][larger] = value[larger], distance


@intrinsic
def compiled(typing, pixels, first, taps, distances, total, best, taken):
    def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        pixels_of, taps_of, distances_of, best_of, taken_of = _memory(context, build, signature, arguments)
        _, first, taps, _, total, _, _ = arguments
        count = build.extract_value(context.make_array(signature.args[2])(context, build, taps).shape, 0)
        vectors = _Vectors(context, build, signature.args[0].dtype)
        places = ir.VectorType(small, vectors.lane)
        largest, where = cgutils.alloca_once(build, vectors.kind), cgutils.alloca_once(build, places)  # registers
        with cgutils.for_range_slice(build, index(0), total, index(vectors.lane)) as (p, _):
            build.store(ir.Constant(vectors.kind, [float("-inf")] * vectors.lane), largest)
            build.store(ir.Constant(places, [int(NOWHERE)] * vectors.lane), where)
            with cgutils.for_range(build, count) as tap:
                distance = vectors.spread(build.load(build.gep(distances_of, [tap.index])))
                at = build.add(build.add(first, p), build.load(build.gep(taps_of, [tap.index])))
                value, before = vectors.load(build.gep(pixels_of, [at])), build.load(largest)
                more = build.fcmp_ordered(">", value, before)
                more = build.or_(more, build.fcmp_unordered("uno", value, value))  # NaN is unequal to itself
                build.store(build.select(more, value, before), largest)
                build.store(build.select(more, distance, build.load(where)), where)
            vectors.store(build.load(largest), build.gep(best_of, [p]))
            target = build.bitcast(build.gep(taken_of, [p]), places.as_pointer())
            build.store(build.load(where), target, align=4)
        return context.get_dummy_value()

    n = types.int64
    return types.void(pixels, n, taps, distances, n, best, taken), write


largest = plain if numba.config.DISABLE_JIT else compiled
