"""ReLU and scaling by channel, fast: one pass over the memory, shared among the threads. NumPy would take two, in one thread."""

from __future__ import annotations

import math

import numpy as np

from .parallel import jit, run

BLOCK = 2**14  # numbers in a unit of work


def relu(x: np.ndarray, in_place: bool = False) -> np.ndarray:
    """max(x, 0) in vectors, the threads sharing the array; `in_place` writes into x itself."""
    if in_place:
        run(_positive_in_place, -(-x.size // BLOCK), x.size // 4, x.reshape(-1))
        return x
    out = np.empty(x.shape, x.dtype)
    run(_positive, -(-x.size // BLOCK), x.size // 4, np.ascontiguousarray(x).reshape(-1), out.reshape(-1))
    return out


def relu_grad(grad: np.ndarray, out: np.ndarray) -> np.ndarray:
    result = np.empty(out.shape, out.dtype)
    flat = [np.ascontiguousarray(array).reshape(-1) for array in (grad, out)]
    run(_where_positive, -(-out.size // BLOCK), out.size // 4, *flat, result.reshape(-1))
    return result


def scale_channels(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    planes = x.shape[0] * x.shape[1], math.prod(x.shape[2:])
    out = np.empty(planes, np.result_type(x, scale, shift))
    run(_scale, planes[0], x.size // 4, np.ascontiguousarray(x).reshape(planes), out, scale, shift)
    return out.reshape(x.shape)


@jit
def _positive(x, out, start, stop):
    source, target = x[start * BLOCK : stop * BLOCK], out[start * BLOCK : stop * BLOCK]
    for i in range(len(target)):
        value = source[i]
        target[i] = out.dtype.type(0) if value < 0 else value


@jit
def _positive_in_place(x, start, stop):  # with one array for both, the loop above could not work on vectors
    target = x[start * BLOCK : stop * BLOCK]
    for i in range(len(target)):
        value = target[i]
        target[i] = x.dtype.type(0) if value < 0 else value


@jit
def _where_positive(grad, out, result, start, stop):
    passed, value = grad[start * BLOCK : stop * BLOCK], out[start * BLOCK : stop * BLOCK]
    target = result[start * BLOCK : stop * BLOCK]
    for i in range(len(target)):
        target[i] = result.dtype.type(0) if value[i] <= 0 else passed[i]


@jit
def _scale(x, out, scale, shift, start, stop):
    """Unit: a plane (n, c)."""
    for plane in range(start, stop):
        source, target = x[plane], out[plane]
        c = plane % len(scale)
        factor, term = scale[c], shift[c]
        for i in range(len(target)):
            target[i] = source[i] * factor + term
