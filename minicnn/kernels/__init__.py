"""The arithmetic of convolution, pooling and resizing: plain functions on NumPy arrays (float32 or float64).

Each operation of `TABLE` has a definition as loops (`reference.py`) and a fast twin (Numba), which is the default. One
switch chooses, for the thread that sets it:

    minicnn.kernels.use("reference")            # from here on
    with minicnn.kernels.use("reference"):      # or for a block

Legend: `N C H W` input, `O KH KW` kernel, `SH SW` stride, `PH PW` padding, `DH DW` dilation, `OH OW` output.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.kernels import elementwise, reference, shapes
from minicnn.kernels.fast import (
    activation,
    convolution,
    normalization,
    parallel,
    pooling,
    product,
    resize,
    smooth,
    sums,
)
from minicnn.kernels.fast.parallel import keep_memory
from minicnn.kernels.shapes import adaptive_average_windows, average_windows, output_size, transposed_size

__all__ = [
    "adaptive_average_windows", "add_up", "average_windows", "current", "exact", "explain", "get", "get_num_threads",
    "in_rows", "keep_memory", "output_size", "set_num_threads", "transposed_size", "use",
]  # fmt: skip

TABLE: dict[str, tuple[Callable, Callable]] = {  # operation: (the loops that define it, its fast twin)
    "conv2d": (reference.conv2d, convolution.conv2d),
    "conv2d_grad_input": (reference.conv2d_grad_input, convolution.conv2d_grad_input),
    "conv2d_grad_weight": (reference.conv2d_grad_weight, convolution.conv2d_grad_weight),
    "matmul": (reference.matmul, product.matmul),
    "relu": (reference.relu, activation.relu),
    "relu_grad": (reference.relu_grad, activation.relu_grad),
    "scale_channels": (reference.scale_channels, activation.scale_channels),
    "layer_norm": (reference.layer_norm, normalization.layer_norm),
    "layer_norm_grad": (reference.layer_norm_grad, normalization.layer_norm_grad),
    "channel_moments": (reference.channel_moments, normalization.channel_moments),
    "batch_norm_grad": (reference.batch_norm_grad, normalization.batch_norm_grad),
    "max_pool2d": (reference.max_pool2d, pooling.max_pool2d),
    "adaptive_max_pool2d": (reference.adaptive_max_pool2d, pooling.adaptive_max_pool2d),
    "max_pool2d_grad": (reference.max_pool2d_grad, pooling.max_pool2d_grad),
    "avg_pool2d": (reference.avg_pool2d, pooling.avg_pool2d),
    "avg_pool2d_grad": (reference.avg_pool2d_grad, pooling.avg_pool2d_grad),
    "upsample_nearest2d": (reference.upsample_nearest2d, resize.upsample_nearest2d),
    "upsample_nearest2d_grad": (reference.upsample_nearest2d_grad, resize.upsample_nearest2d_grad),
    "upsample_bilinear2d": (reference.upsample_bilinear2d, resize.upsample_bilinear2d),
    "upsample_bilinear2d_grad": (reference.upsample_bilinear2d_grad, resize.upsample_bilinear2d_grad),
    "grid_sample": (reference.grid_sample, resize.grid_sample),
    "grid_sample_grad": (reference.grid_sample_grad, resize.grid_sample_grad),
}
ELEMENTWISE = (
    "erf", "gelu", "gelu_grad", "hardswish", "hardswish_grad", "hardtanh", "hardtanh_grad", "silu", "silu_grad",
)  # fmt: skip
TABLE |= {name: (getattr(elementwise, name), getattr(smooth, name)) for name in ELEMENTWISE}
_OF_ANY_TYPE = ("matmul", "upsample_nearest2d", "upsample_nearest2d_grad")


class use:
    """Choose the kernels of this thread. Takes effect at once; as a context manager, until the block ends.

    "fast": the compiled ones, each convolution by the algorithm that `explain` names. "reference": the loops. "direct",
    "winograd", "im2col": the compiled ones, and this algorithm for the forward pass and the gradient to the input of every
    convolution that it can compute (`kernels/fast/convolution.py`); "direct" for the others.
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


def in_rows(image: np.ndarray) -> bool:
    """Whether it is (N, C, H, W) and its channels surely do not lie last; most images are done with this question."""
    return image.ndim == 4 and (image.strides[3], 1) < (image.strides[1], image.shape[1])


_SINGLE = np.dtype(np.float32)


def current() -> str:
    """Which kernels run in this thread: what was given to `use`, "fast" at first."""
    return convolution.choice.get()


def get(operation: str, dtype: np.dtype = _SINGLE) -> Callable:
    """The kernel of an operation in `TABLE` for arrays of this type: the loops or the fast one, as `use` says.

    Half precision goes into the kernel as float32, and comes back as half: what PyTorch does. What a kernel takes and
    gives is written at the loops, in `reference.py`. TypeError for a type that it does not compute in.
    """
    kernel = TABLE[operation][convolution.choice.get() != "reference"]
    if dtype.char in "fd" or (operation in _OF_ANY_TYPE and dtype.char != "e"):
        return kernel
    if dtype.char != "e":
        raise TypeError(f"the kernels compute in float32 or float64, got an array of {dtype}")
    return _half_as_single(kernel)


def _half_as_single(kernel: Callable) -> Callable:
    """Half precision goes into the kernel as float32, and comes back as half: what PyTorch does."""

    @functools.wraps(kernel)
    def in_single(*args: Any) -> Any:
        result = kernel(*(_cast(arg, np.float16, np.float32) for arg in args))
        if isinstance(result, tuple):
            return tuple(_cast(array, np.float32, np.float16) for array in result)
        return _cast(result, np.float32, np.float16)

    return in_single


def _cast(value: Any, source: type, target: type) -> Any:
    """An array of the source's type in the target's, anything else as it is."""
    return value.astype(target) if isinstance(value, np.ndarray) and value.dtype == source else value


def explain(
    input_shape: shapes.Shape,
    weight_shape: shapes.Shape,
    stride: shapes.Pair = (1, 1),
    padding: shapes.Pair = (0, 0),
    dilation: shapes.Pair = (1, 1),
    groups: int = 1,
    dtype: type = np.float32,
    operation: str = "forward",
) -> str:
    """The algorithm that a convolution of these shapes takes: "direct", "depthwise", "winograd", "im2col" or "reference".

    `operation`: "forward", "grad_input" or "grad_weight". The table is in `kernels/fast/convolution.py`, in `plan`.
    """
    if operation not in convolution.OPERATIONS:
        raise ValueError(f"operation is one of {', '.join(map(repr, convolution.OPERATIONS))}, not {operation!r}")
    if current() == "reference":
        return "reference"
    sizes = tuple(input_shape), tuple(weight_shape)
    geometry = shapes.Geometry(*sizes, stride, padding, dilation, groups, np.dtype(dtype))
    return convolution.plan(geometry, operation, current())


def get_num_threads() -> int:
    """How many threads a kernel shares its work among."""
    return parallel.THREADS


def set_num_threads(n: int) -> None:
    """Share the work of a kernel among n threads; at first they are the cores, or ``NUMBA_NUM_THREADS``.

    For all of the process. (With ``NUMBA_DISABLE_JIT=1`` there is one thread, whatever is set.) RuntimeError unless n is a
    positive integer.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise RuntimeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    parallel.THREADS = int(n)


def add_up(
    x: np.ndarray, axes: int | shapes.Shape | None = None, keepdims: bool = False, dtype: np.dtype | type | None = None
) -> np.ndarray:
    """The sum over these axes, over all if None, as `dtype`, x's if None (int64 for integers). float64 adds up: see `sums.py`."""
    given = range(x.ndim) if axes is None else (axes,) if isinstance(axes, int) else axes
    axes, kind, loops = tuple([axis % x.ndim for axis in given]), x.dtype.kind, convolution.choice.get() == "reference"
    if kind in "biu" or (x.size <= sums.SMALL and not loops):
        wide = {"f": np.float64, "c": np.complex128}.get(kind, np.int64)
        total = np.asarray(x.sum(axis=axes, keepdims=keepdims, dtype=wide))
        return total.astype(dtype or (x.dtype if kind in "fc" else wide), copy=False)
    if kind == "c":
        real, imag = (add_up(part, axes, keepdims, np.float64) for part in (x.real, x.imag))
        out = np.empty(real.shape, np.complex128)
        out.real, out.imag = real, imag
        return out.astype(dtype or x.dtype, copy=False)
    out = (reference.add_up if loops else sums.add_up)(x, axes).astype(dtype or x.dtype, copy=False)
    return out if keepdims else out.squeeze(axes)
