"""Convolution, fast: four algorithms that give the results of the loops in `reference.py`, and the rule that chooses (`plan`).

* ``direct``: the definition in register tiles, for any geometry (`direct.py`, `panel.py` for many small maps,
  `weight_gradient.py`, `tile.py`).
* ``depthwise``: the same where each map is convolved by itself (`depthwise.py`).
* ``winograd``: 3x3 and 5x5 kernels at stride 1 in float32, with 4 and 2.8 times fewer multiplications (`winograd.py`).
* ``im2col``: a matrix product over columns of pixels (`im2col.py`).
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache

import numpy as np

from minicnn.kernels.shapes import Geometry, Pair, Shape

from . import depthwise, direct, im2col, weight_gradient, winograd
from .tile import ROWS

FORWARD = {
    "winograd": winograd.conv2d, "direct": direct.conv2d, "depthwise": depthwise.conv2d, "im2col": im2col.conv2d,
}  # fmt: skip
GRAD_INPUT = {
    "winograd": winograd.conv2d_grad_input, "direct": direct.conv2d_grad_input, "depthwise": depthwise.conv2d_grad_input,
    "im2col": im2col.conv2d_grad_input,
}  # fmt: skip
GRAD_WEIGHT = {"direct": weight_gradient.conv2d_grad_weight, "depthwise": depthwise.conv2d_grad_weight}
ALGORITHMS = ("winograd", "direct", "im2col")  # that `minicnn.kernels.use` takes
OPERATIONS = ("forward", "grad_input", "grad_weight")
choice: ContextVar[str] = ContextVar("kernels", default="fast")  # of this thread; see `minicnn.kernels.use`


def conv2d(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    geometry = Geometry(x.shape, weight.shape, stride, padding, dilation, groups, x.dtype)
    algorithm = FORWARD[plan(geometry, "forward", choice.get())]
    return algorithm(geometry, np.require(x, None, ["C", "W"]), weight, bias)


def conv2d_grad_input(
    grad: np.ndarray, weight: np.ndarray, input_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The zeros around `grad` meet kernel elements that no output has used there, which an infinite or NaN one gives away: it
    reaches the first pixels of its channel, and then the columns of im2col, which have no such zeros, are taken."""
    geometry = Geometry(tuple(input_shape), weight.shape, stride, padding, dilation, groups, grad.dtype)
    grad, algorithm = np.require(grad, None, ["C", "W"]), plan(geometry, "grad_input", choice.get())
    out = GRAD_INPUT[algorithm](geometry, grad, weight)
    if algorithm == "im2col" or np.isfinite(out[:1, :, : stride[0], : stride[1]]).all():
        return out
    return im2col.conv2d_grad_input(geometry, grad, weight)


def conv2d_grad_weight(
    grad: np.ndarray, x: np.ndarray, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    geometry = Geometry(x.shape, tuple(weight_shape), stride, padding, dilation, groups, x.dtype)
    algorithm = GRAD_WEIGHT[plan(geometry, "grad_weight", choice.get())]
    return algorithm(geometry, *(np.require(array, None, ["C", "W"]) for array in (grad, x)))


@lru_cache(maxsize=1024)  # it takes as long as a small convolution
def plan(geometry: Geometry, operation: str, kernels: str = "fast") -> str:
    """The algorithm for an operation (one of `OPERATIONS`) of these shapes; `kernels` is what was given to `use`.

    | operation   | where                                                                  | algorithm |
    |-------------|------------------------------------------------------------------------|-----------|
    | all         | one input and one output channel in each group                         | depthwise |
    | grad_weight | everywhere else                                                        | direct    |
    | others      | 3x3, 5x5 at stride 1 in float32, with so many tiles (of 4x4 or 2x2     | winograd  |
    |             | outputs) and channels that `winograd.pays`: 64 at 56x56, 128 at 28x28  |           |
    | grad_input  | fewer input channels than a tile has rows, in one group, unless 1x1    | im2col    |
    | others      | 1x1 kernels on images of one pixel: a matrix product as they are       | im2col    |
    | others      | everywhere else                                                        | direct    |

    Winograd's algorithm mixes the pixels of a tile in the last digits: a number next to an output that does not see it changes
    it by up to `winograd.ERROR` of that number times the sum of the kernel's absolute weights, so what would be 0 is not quite
    0. Two rules keep that small. Images with a number that towers over the others (`winograd.is_even`) are computed as defined,
    and who reads zeros as zeros takes `kernels.exact()`.
    """
    if depthwise.suits(geometry) and kernels != "im2col":
        return "depthwise"
    if operation == "grad_weight":
        return "direct"
    if kernels == "fast" and geometry.is_product:
        return "im2col"
    if kernels in ("direct", "im2col"):
        return kernels
    if winograd.suits(geometry) and (kernels == "winograd" or winograd.pays(geometry)):
        return "winograd"
    _, C, KH, KW = geometry.weight_shape
    few = C < ROWS and geometry.groups == 1 and KH * KW > 1
    if few and kernels == "fast" and operation == "grad_input":
        return "im2col"
    return "direct"
