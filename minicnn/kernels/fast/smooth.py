"""Activations that NumPy would compute in several passes, fast: one pass over the memory, in vectors, shared among the threads.

For that exp and the normal distribution have to be arithmetic that a compiler can put into vectors: calls of the system's library are
not. In float32 they are polynomials here, right to about two units in the last place; in float64 they are the library's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, overload

from .parallel import jit, run

BLOCK = 2**13  # numbers in a unit of work
SOME = (
    2**10
)  # that are computed into an array of their own first: so a result may be written over its argument, in vectors all the same


def _map(kernel: Callable) -> Callable:
    """The function that runs a kernel over contiguous arrays of one shape; further arguments are numbers of their type. `out` may be
    one of the arrays."""

    def function(x: np.ndarray, *rest: Any, out: np.ndarray | None = None) -> np.ndarray:
        out = np.empty(x.shape, x.dtype) if out is None else out
        flat = [np.ascontiguousarray(array).reshape(-1) for array in (x, *rest) if isinstance(array, np.ndarray)]
        numbers = [x.dtype.type(number) for number in rest if not isinstance(number, np.ndarray)]
        run(kernel, -(-x.size // BLOCK), x.size, *flat, *numbers, out.reshape(-1))
        return out

    return function


# ------------------------------------------------------------------------------------------ exp and the normal distribution

MAGIC = np.float32(1.5 * 2**23)  # added to a number it leaves the next whole number in the last bits
LOG2E, LN2_HIGH, LN2_LOW = np.float32(1 / math.log(2)), np.float32(0.693359375), np.float32(-2.12194440e-4)
E6, E5, E4, E3, E2, E1 = (
    np.float32(c)
    for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
)
ONE, HALF, INFINITE, NOTHING = np.float32(1), np.float32(0.5), np.float32(np.inf), np.float32(0)
HIGHEST, LOWEST = np.float32(88.37), np.float32(-87.33)  # where 2^k is a number of float32
ROOT_HALF, DENSITY = np.float32(math.sqrt(0.5)), np.float32(1 / math.sqrt(2 * math.pi))
# erfc(z) = exp(-z^2) t Q(t), t = 1 / (1 + z / 2), for z >= 0: of degree 8, off by 4.5e-8 of itself at most (up to z = 14)
Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8 = (
    np.float32(c)
    for c in (
        0.282084336, 0.282412004, 0.242835911, 0.203748911, -0.0291388, 0.281717317, -0.490390714, 0.286115541, -0.0593845501,
    )
)  # fmt: skip


def exponential(x):
    """e^x"""
    return math.exp(x) if x < 709 else math.inf


def below(x):
    """The normal distribution function, and its density."""
    return math.erfc(-x / math.sqrt(2)) / 2, math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@intrinsic
def _power_of_two(typing, shifted):
    """2^k of k + MAGIC, whose last bits are k: they become the exponent."""

    def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        bits = ir.IntType(32)
        exponent = build.add(build.bitcast(arguments[0], bits), bits(127))
        return build.bitcast(build.shl(exponent, bits(23)), ir.FloatType())

    return types.float32(types.float32), write


@overload(exponential)
def _exponential(x):
    if x != types.float32:
        return lambda x: np.exp(x)

    def single(x):
        shifted = x * LOG2E + MAGIC
        k = shifted - MAGIC
        r = x - k * LN2_HIGH - k * LN2_LOW
        rest = ((((E6 * r + E5) * r + E4) * r + E3) * r + E2) * r + E1
        power = (rest * r * r + r + ONE) * _power_of_two(shifted)
        return INFINITE if x > HIGHEST else (NOTHING if x < LOWEST else power)

    return single


@overload(below)
def _below(x):
    if x != types.float32:
        return lambda x: (math.erfc(-x * math.sqrt(0.5)) / 2, np.exp(-x * x / 2) / math.sqrt(2 * math.pi))

    def single(x):
        z = abs(x) * ROOT_HALF
        t = ONE / (ONE + HALF * z)
        Q = (((((((Q8 * t + Q7) * t + Q6) * t + Q5) * t + Q4) * t + Q3) * t + Q2) * t + Q1) * t + Q0
        bell = exponential(-HALF * x * x)
        tail = HALF * bell * t * Q
        return (tail if x < NOTHING else ONE - tail), bell * DENSITY

    return single


# ----------------------------------------------------------------------------- the kernels; their units are of BLOCK numbers


@jit
def _silu(x, out, start, stop):
    one = x.dtype.type(1)
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        source, target = x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            some[i] = source[i] / (one + exponential(-source[i]))
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _silu_grad(grad, x, out, start, stop):
    one = x.dtype.type(1)
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        passed, source, target = grad[begin : begin + SOME], x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            s = one / (one + exponential(-source[i]))
            some[i] = passed[i] * s * (one + source[i] * (one - s))
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _gelu(x, out, start, stop):
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        source, target = x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            share, _ = below(source[i])
            some[i] = source[i] * share
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _gelu_grad(grad, x, out, start, stop):
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        passed, source, target = grad[begin : begin + SOME], x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            share, density = below(source[i])
            some[i] = passed[i] * (share + source[i] * density)
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _hardswish(x, out, start, stop):
    zero, three, six = x.dtype.type(0), x.dtype.type(3), x.dtype.type(6)
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        source, target = x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            gate = source[i] + three
            gate = zero if gate < zero else (six if gate > six else gate)
            some[i] = source[i] * gate / six
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _hardswish_grad(grad, x, out, start, stop):
    zero, half, one, three = x.dtype.type(0), x.dtype.type(0.5), x.dtype.type(1), x.dtype.type(3)
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        passed, source, target = grad[begin : begin + SOME], x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            slope = source[i] / three + half
            slope = zero if source[i] <= -three else (slope if source[i] < three else one)
            some[i] = passed[i] * slope
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _hardtanh(x, low, high, out, start, stop):
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        source, target = x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            value = source[i]
            some[i] = low if value < low else (high if value > high else value)
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _hardtanh_grad(grad, x, low, high, out, start, stop):
    zero = x.dtype.type(0)
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        passed, source, target = grad[begin : begin + SOME], x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            some[i] = zero if source[i] <= low or source[i] >= high else passed[i]
        for i in range(len(target)):
            target[i] = some[i]


@jit
def _erf(x, out, start, stop):
    some = np.empty(SOME, x.dtype)
    for begin in range(start * BLOCK, min(stop * BLOCK, len(x)), SOME):
        source, target = x[begin : begin + SOME], out[begin : begin + SOME]
        for i in range(len(target)):
            some[i] = math.erf(np.float64(source[i]))
        for i in range(len(target)):
            target[i] = some[i]


silu, silu_grad, gelu, gelu_grad = _map(_silu), _map(_silu_grad), _map(_gelu), _map(_gelu_grad)
hardswish, hardswish_grad = _map(_hardswish), _map(_hardswish_grad)
hardtanh, hardtanh_grad, erf = _map(_hardtanh), _map(_hardtanh_grad), _map(_erf)
