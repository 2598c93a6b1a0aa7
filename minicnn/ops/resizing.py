"""Resizing by weights along each axis: cubic, linear in one dimension, nearest pixels by their centres, and with antialiasing.

Each output pixel is a weighted sum of input pixels, along one axis after the other, so an axis is a matrix: (count, size) of weights.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import _memory
from minicnn._tensor import Tensor
from minicnn.autograd.function import Op
from minicnn.kernels.shapes import nearest_sources
from minicnn.ops._common import single

# (the size before, the size after, the factor that was given or None) of an axis.
Axis = tuple[int, int, Any]


class _Resized(Op):
    """x with the last axes resized, or what is the transpose of that."""

    saves = ()
    turned: type[Op]
    transposed = False

    @classmethod
    def value(cls, x, axes, filter, align_corners, antialias):
        out = single(x)
        for k, axis in enumerate(axes):
            matrix = _weights(axis, filter, align_corners, antialias).astype(out.dtype)
            matrix = matrix.T if cls.transposed else matrix
            out = out @ matrix.T if k == len(axes) - 1 else matrix @ out
        return _memory.follow(np.asarray(out, x.dtype), x)

    @classmethod
    def backward(cls, ctx, grad):
        return cls.turned.of(grad, *ctx.options)


def _operation(name: str, doc: str) -> type[Op]:
    """The operation of this name, and the one that is its gradient."""
    forward: Any = type(name, (_Resized,), {"__doc__": doc, "__module__": __name__})
    settings = {"__doc__": f"The gradient of {name}.", "__module__": __name__, "turned": forward, "transposed": True}
    forward.turned = type(f"{name}Backward", (_Resized,), settings)
    return forward


OPERATIONS: dict[tuple[str, int, bool], type[Op]] = {
    ("linear", 3, False): _operation("UpsampleLinear1D", "Each number mixes the two around it."),
    ("nearest", 3, False): _operation("UpsampleNearest1D", "Each number copies the nearest one."),
    ("nearest-exact", 3, False): _operation(
        "UpsampleNearestExact1D", "Each number copies the one whose centre is nearest."
    ),
    ("nearest-exact", 4, False): _operation(
        "UpsampleNearestExact2D", "Each pixel copies the one whose centre is nearest."
    ),
    ("bicubic", 4, False): _operation(
        "UpsampleBicubic2D", "Each pixel mixes the sixteen around it by cubic polynomials."
    ),
    ("bilinear", 4, True): _operation("UpsampleBilinear2DAa", "Each pixel mixes all that fall into it."),
    ("bicubic", 4, True): _operation(
        "UpsampleBicubic2DAa", "Each pixel mixes all that fall into it, by cubic polynomials."
    ),
}


def resized(
    input: Tensor, size: tuple[int, ...], scales: tuple, mode: str, align_corners: bool, antialias: bool
) -> Tensor:
    """The tensor (N, C, ...) with its last dimensions resized by one of `OPERATIONS`.

    An axis that keeps its size is copied, whatever the factor; of cubic polynomials only if all axes do.
    """
    before = input.array.shape[2:]
    if mode != "bicubic" or antialias or before == size:
        scales = tuple([None if n == count else by for n, count, by in zip(before, size, scales, strict=True)])
    axes = tuple(zip(before, size, scales, strict=True))
    op = OPERATIONS[mode, input.array.ndim, antialias]
    return op.apply(input, axes, mode.removeprefix("bi"), align_corners, antialias)


def _linear(x: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: np.ndarray, a: float) -> np.ndarray:
    """Keys' polynomials: 1 at 0, 0 at other integers and from 2 on."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


@functools.lru_cache(maxsize=64)
def _weights(axis: Axis, filter: str, align_corners: bool, antialias: bool) -> np.ndarray:
    """(count, size): how much of each input pixel each output pixel has."""
    size, count, scale = axis
    if align_corners:
        step = (size - 1) / (count - 1) if count > 1 else 0.0
    else:
        step = 1 / scale if scale else size / count
    i = np.arange(count)
    if filter == "nearest":
        return np.eye(size)[nearest_sources(*axis)]
    if filter == "nearest-exact":
        places = np.floor((i + np.float32(0.5)) * np.float32(step)).astype(np.int64)
        return np.eye(size)[np.minimum(places, size - 1)]
    if antialias:
        shape: Callable = _linear if filter == "linear" else functools.partial(_cubic, a=-0.5)
        return _antialiased(size, step * (i + 0.5), max(step, 1.0), shape, 1 if filter == "linear" else 2)
    place = step * i if align_corners else step * (i + 0.5) - 0.5
    shape = functools.partial(_cubic, a=-0.75)
    if filter == "linear":
        place, shape = np.maximum(place, 0), _linear
    weights = np.zeros((count, size))
    low = np.floor(place).astype(np.int64)
    for tap in range(-1, 3):  # a pixel beyond the edge is the one at the edge
        np.add.at(weights, (i, np.clip(low + tap, 0, size - 1)), shape(place - (low + tap)))
    return weights


def _antialiased(size: int, centre: np.ndarray, width: float, shape: Callable, reach: int) -> np.ndarray:
    """Weights of a filter as wide as an output pixel, which sum to 1 among the input pixels that are there."""
    pixels, support = np.arange(size), reach * width
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)[:, None]
    end = np.minimum((centre + support + 0.5).astype(np.int64), size)[:, None]
    weights = np.where((pixels >= first) & (pixels < end), shape((pixels - centre[:, None] + 0.5) / width), 0)
    return weights / weights.sum(1, keepdims=True)
