"""The arithmetic of convolution, pooling and resizing: plain functions on NumPy arrays (float32 or float64).

Each has a definition as loops (`reference.py`) and a fast twin (Numba), which is the default. One switch chooses, for the
thread that sets it:

    minicnn.kernels.use("reference")            # from here on
    with minicnn.kernels.use("reference"):      # or for a block

Legend: `N C H W` input, `O KH KW` kernel, `SH SW` stride, `PH PW` padding, `DH DW` dilation, `OH OW` output.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from minicnn.kernels import activation, convolution, pooling, product, reference, resize, sums
from minicnn.kernels.shapes import output_size

__all__ = [
    "add_up", "adaptive_avg_pool2d", "adaptive_avg_pool2d_grad", "adaptive_max_pool2d", "avg_pool2d", "avg_pool2d_grad", "conv2d",
    "conv2d_grad_input", "conv2d_grad_weight", "current", "exact", "explain", "grid_sample", "grid_sample_grad", "matmul", "max_pool2d",
    "max_pool2d_grad", "output_size", "relu", "relu_grad", "scale_channels", "upsample_bilinear2d", "upsample_bilinear2d_grad",
    "upsample_nearest2d", "upsample_nearest2d_grad", "use",
]  # fmt: skip

Pair = tuple[int, int]
Shape = tuple[int, ...]
Scales = tuple[float | None, float | None]


class use:
    """Choose the kernels of this thread. Takes effect at once; as a context manager, until the block ends.

    "fast": the compiled ones, each convolution by the algorithm that `explain` names. "reference": the loops. "direct",
    "winograd", "columns": the compiled ones, and this algorithm for the forward pass and the gradient to the input of every
    convolution that it can compute (`kernels/convolution.py`); "direct" for the others.
    """

    def __init__(self, name: str) -> None:
        names = ("fast", "reference", *convolution.ALGORITHMS)
        if name not in names:
            raise ValueError(f"the kernels are {', '.join(map(repr, names[:-1]))} or {names[-1]!r}, not {name!r}")
        self._previous = current()
        convolution.choice.set(name)

    def __enter__(self) -> use:
        return self

    def __exit__(self, *error: object) -> None:
        convolution.choice.set(self._previous)


def exact() -> use:
    """For a block: convolutions as they are defined, so that what an output does not see has no part in it and a gradient is
    exactly 0 outside of its field. Winograd's algorithm, which mixes neighbours in the last digits, is left out."""
    return use("direct" if current() in ("fast", "winograd") else current())


def current() -> str:
    """Which kernels run in this thread: what was given to `use`, "fast" at first."""
    return convolution.choice.get()


def _of(fast: ModuleType) -> ModuleType:
    return reference if current() == "reference" else fast


def _half_as_single(kernel: Callable) -> Callable:
    """Half precision goes into the kernel as float32, and comes back as half: what PyTorch does."""

    @functools.wraps(kernel)
    def in_single(*args: Any) -> Any:
        if not any(isinstance(arg, np.ndarray) and arg.dtype == np.float16 for arg in args):
            return kernel(*args)
        result = kernel(*(_cast(arg, np.float16, np.float32) for arg in args))
        if isinstance(result, tuple):
            return tuple(_cast(array, np.float32, np.float16) for array in result)
        return _cast(result, np.float32, np.float16)

    return in_single


def _cast(value: Any, source: type, target: type) -> Any:
    """An array of the source's type in the target's, anything else as it is; out of half's range is infinite."""
    with np.errstate(over="ignore"):
        return value.astype(target) if isinstance(value, np.ndarray) and value.dtype == source else value


def _check(*arrays: np.ndarray | None) -> None:
    for array in arrays:
        if array is not None and array.dtype not in (np.float32, np.float64):
            raise TypeError(f"the kernels compute in float32 or float64, got an array of {array.dtype}")


def explain(
    input_shape: Shape,
    weight_shape: Shape,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    dtype: type = np.float32,
    operation: str = "forward",
) -> str:
    """The name of the algorithm that a convolution of these shapes takes: "direct", "winograd", "columns" or "reference".

    `operation`: "forward", "grad_input" or "grad_weight". The table is in `kernels/convolution.py`, in `plan`.
    """
    if operation not in convolution.OPERATIONS:
        raise ValueError(f"operation is one of {', '.join(map(repr, convolution.OPERATIONS))}, not {operation!r}")
    if current() == "reference":
        return "reference"
    geometry = convolution.Geometry(input_shape, weight_shape, stride, padding, dilation, groups, np.dtype(dtype))
    return convolution.plan(geometry, operation).name


@_half_as_single
def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """Convolution: x (N, C, H, W), weight (O, C / groups, KH, KW), bias (O,) -> (N, O, OH, OW)."""
    _check(x, weight, bias)
    return _of(convolution).conv2d(x, weight, bias, stride, padding, dilation, groups)


@_half_as_single
def conv2d_grad_input(
    grad: np.ndarray,
    weight: np.ndarray,
    input_shape: Shape,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """The gradient of a convolution's input, (N, C, H, W), from that of its output, (N, O, OH, OW)."""
    _check(grad, weight)
    return _of(convolution).conv2d_grad_input(grad, weight, input_shape, stride, padding, dilation, groups)


@_half_as_single
def conv2d_grad_weight(
    grad: np.ndarray, x: np.ndarray, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The gradient of a convolution's weight, (O, C / groups, KH, KW), from that of its output, (N, O, OH, OW)."""
    _check(grad, x)
    return _of(convolution).conv2d_grad_weight(grad, x, weight_shape, stride, padding, dilation, groups)


@_half_as_single
def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product: (.., M, K), (.., K, N) -> (.., M, N), contiguous. The leading dimensions are equal. Any type of number."""
    return _of(product).matmul(a, b)


def add_up(
    x: np.ndarray, axes: int | Shape | None = None, keepdims: bool = False, dtype: np.dtype | type | None = None
) -> np.ndarray:
    """The sum over these axes, over all if None, as `dtype`, x's if None (int64 for integers). float64 adds up: see `sums.py`."""
    axes = tuple(range(x.ndim)) if axes is None else tuple(axis % x.ndim for axis in np.atleast_1d(axes).tolist())
    if x.dtype.kind in "biu":
        return np.asarray(x.sum(axis=axes, keepdims=keepdims, dtype=dtype or np.int64))
    with np.errstate(all="ignore"):
        if x.dtype.kind == "c":
            parts = (add_up(part, axes, keepdims, np.float64) for part in (x.real, x.imag))
            return (next(parts) + 1j * next(parts)).astype(dtype or x.dtype)
        out = _of(sums).add_up(x, axes).astype(dtype or x.dtype, copy=False)
        return out if keepdims else out.squeeze(axes)


def relu(x: np.ndarray, in_place: bool = False) -> np.ndarray:
    """max(x, 0), any shape; NaN stays NaN. `in_place`: written into x, which has to be contiguous, and x is returned."""
    _check(x)
    return _of(activation).relu(x, in_place)


@_half_as_single
def relu_grad(grad: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The gradient of a ReLU's input from that of its output and the output: 0 where the output is, else what arrives."""
    return _of(activation).relu_grad(grad, out)


@_half_as_single
def scale_channels(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """x * scale + shift for each channel: (N, C, *), (C,), (C,) -> (N, C, *)."""
    _check(x)
    return _of(activation).scale_channels(x, scale, shift)


@_half_as_single
def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(largest of each window, its int64 index h * W + w), both (N, C, OH, OW). Of equals the first; NaN wins."""
    _check(x)
    return _of(pooling).max_pool2d(x, kernel, stride, padding, dilation, ceil_mode)


@_half_as_single
def max_pool2d_grad(grad: np.ndarray, indices: np.ndarray, input_shape: Shape) -> np.ndarray:
    """The gradient of a max-pooling's input: (N, C, OH, OW) and the indices -> (N, C, H, W)."""
    return _of(pooling).max_pool2d_grad(grad, indices, input_shape)


@_half_as_single
def avg_pool2d(
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """The mean of each window: (N, C, H, W) -> (N, C, OH, OW)."""
    _check(x)
    return _of(pooling).avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


@_half_as_single
def avg_pool2d_grad(
    grad: np.ndarray,
    input_shape: Shape,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """The gradient of an average-pooling's input: (N, C, OH, OW) -> (N, C, H, W)."""
    return _of(pooling).avg_pool2d_grad(
        grad, input_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@_half_as_single
def adaptive_avg_pool2d(x: np.ndarray, output_size: Pair) -> np.ndarray:
    """The mean of each of OH x OW regions that cover the input: region i spans floor(i H / OH) to ceil((i + 1) H / OH)."""
    _check(x)
    return _of(pooling).adaptive_avg_pool2d(x, output_size)


@_half_as_single
def adaptive_avg_pool2d_grad(grad: np.ndarray, input_shape: Shape, output_size: Pair) -> np.ndarray:
    """The gradient of an adaptive average-pooling's input: (N, C, OH, OW) -> (N, C, H, W)."""
    return _of(pooling).adaptive_avg_pool2d_grad(grad, input_shape, output_size)


@_half_as_single
def adaptive_max_pool2d(x: np.ndarray, output_size: Pair) -> tuple[np.ndarray, np.ndarray]:
    """(largest of each region, its index), both (N, C, OH, OW); `max_pool2d_grad` is its gradient too."""
    _check(x)
    return _of(pooling).adaptive_max_pool2d(x, output_size)


def upsample_nearest2d(x: np.ndarray, output_size: Pair, scales: Scales = (None, None)) -> np.ndarray:
    """Each output pixel copies one input pixel. `scales`: torch's scale_factor, where the size came from one."""
    return _of(resize).upsample_nearest2d(x, output_size, scales)


@_half_as_single
def upsample_nearest2d_grad(
    grad: np.ndarray, input_shape: Shape, output_size: Pair, scales: Scales = (None, None)
) -> np.ndarray:
    """The gradient of `upsample_nearest2d`'s input: (N, C, OH, OW) -> (N, C, H, W)."""
    return _of(resize).upsample_nearest2d_grad(grad, input_shape, output_size, scales)


@_half_as_single
def upsample_bilinear2d(
    x: np.ndarray, output_size: Pair, align_corners: bool, scales: Scales = (None, None)
) -> np.ndarray:
    """Each output pixel mixes the four input pixels around it. align_corners: corner centres stay at the corners."""
    _check(x)
    return _of(resize).upsample_bilinear2d(x, output_size, align_corners, scales)


@_half_as_single
def upsample_bilinear2d_grad(
    grad: np.ndarray, input_shape: Shape, output_size: Pair, align_corners: bool, scales: Scales = (None, None)
) -> np.ndarray:
    """The gradient of `upsample_bilinear2d`'s input: (N, C, OH, OW) -> (N, C, H, W)."""
    return _of(resize).upsample_bilinear2d_grad(grad, input_shape, output_size, align_corners, scales)


@_half_as_single
def grid_sample(x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool) -> np.ndarray:
    """x (N, C, H, W) read at grid (N, OH, OW, 2), places (x, y) in [-1, 1] -> (N, C, OH, OW)."""
    _check(x, grid)
    return _of(resize).grid_sample(x, grid, mode, padding_mode, align_corners)


@_half_as_single
def grid_sample_grad(
    grad: np.ndarray, x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool, to_grid: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """The gradients of `grid_sample`: to x, and to the grid if `to_grid`."""
    return _of(resize).grid_sample_grad(grad, x, grid, mode, padding_mode, align_corners, to_grid)
