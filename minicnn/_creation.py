"""New tensors: from data, constants, ranges, random numbers. float32 unless the data or `dtype` say otherwise."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import numpy as np

from minicnn import ops
from minicnn import random as _random
from minicnn._tensor import Tensor, _drawn, _numbers
from minicnn._types import check_device, dtype, float32, int64, uint8

__all__ = [
    "ByteTensor", "FloatTensor", "LongTensor", "arange", "as_tensor", "asarray", "bernoulli", "empty", "empty_like",
    "eye", "from_numpy", "full", "full_like", "is_tensor", "linspace", "logspace", "meshgrid", "multinomial",
    "normal", "ones", "ones_like", "rand", "rand_like", "randint", "randn", "randn_like", "randperm", "tensor",
    "zeros", "zeros_like",
]  # fmt: skip


def _finish(array: np.ndarray, kind: dtype | None, device: Any, requires_grad: bool) -> Tensor:
    check_device(device)
    tensor = Tensor.wrap(array if kind is None else array.astype(kind.numpy, copy=False))
    if requires_grad:
        if not tensor.dtype.is_floating_point and not tensor.dtype.is_complex:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        tensor.requires_grad = True
    return tensor


def _array(data: Any) -> np.ndarray:
    """Numbers, nested lists, arrays or tensors as an array; Python floats become the default type."""
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    if isinstance(data, (list, tuple)) and any(isinstance(item, Tensor) for item in data):
        return np.stack([_array(item) for item in data])
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(_ragged(data, 0) or str(error)) from None
    if array.dtype.kind in "US":
        raise (
            TypeError("new(): invalid data type 'str'") if array.ndim == 0 else ValueError("too many dimensions 'str'")
        )
    if array.dtype.kind == "f":
        return array.astype(ops.default_dtype())
    if array.dtype.kind == "c":
        return array.astype(np.result_type(ops.default_dtype(), np.complex64))
    return array


def _ragged(data: Any, depth: int) -> str:
    """Where nested lists are of different lengths, in PyTorch's words."""
    lengths = [len(item) for item in data if isinstance(item, (list, tuple))]
    for length in lengths:
        if length != lengths[0]:
            return f"expected sequence of length {lengths[0]} at dim {depth + 1} (got {length})"
    return next((found for item in data if lengths and (found := _ragged(item, depth + 1))), "")


def tensor(data: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A copy of numbers, nested lists, an array or a tensor, of their shape. ValueError for lists of different lengths."""
    return _finish(np.array(_array(data)), dtype, device, requires_grad)


def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """The data as a tensor, without a copy where that is possible."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return _finish(_array(data), dtype, device, False)


asarray = as_tensor


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor over the memory of the array. TypeError for anything else."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    dtype.of(ndarray.dtype)
    if any(stride < 0 for stride in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently "
            "supported. (You can probably work around this by making a copy of your array  with array.copy().) "
        )
    return Tensor.wrap(ndarray)


def is_tensor(obj: Any) -> bool:
    """Whether it is a Tensor, or of a class made from it."""
    return isinstance(obj, Tensor)


def _float(kind: dtype | None) -> np.dtype:
    return kind.numpy if kind is not None else ops.default_dtype()


def _shape(size: tuple, name: str) -> tuple:
    """The lengths that were passed one by one or as one sequence. RuntimeError if one is negative."""
    lengths = _numbers(size)
    if any(isinstance(n, int) and n < 0 for n in lengths):
        raise RuntimeError(
            "zeros: Dimension size must be non-negative."
            if name == "zeros"
            else f"Trying to create tensor with negative dimension {min(lengths)}: {list(lengths)}"
        )
    return lengths


def zeros(*size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of this shape. RuntimeError for a negative length."""
    return _finish(np.zeros(_shape(size, "zeros"), _float(dtype)), None, device, requires_grad)


def ones(*size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of this shape. RuntimeError for a negative length."""
    return _finish(np.ones(_shape(size, "ones"), _float(dtype)), None, device, requires_grad)


def empty(
    *size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Undefined content of this shape. RuntimeError for a negative length."""
    return _finish(np.empty(_shape(size, "empty"), _float(dtype)), None, device, requires_grad)


def full(
    size: Any, fill_value: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One number everywhere, of shape `size`; its type decides unless `dtype` is given. RuntimeError if that does not hold it."""
    number = ops._common.number(fill_value, "full", "fill_value", 2)
    kind = ops._common.number_type(number) if dtype is None else dtype.numpy
    return _finish(np.full(size, ops._common.fitting(number, kind)), None, device, requires_grad)


def eye(n: int, m: int | None = None, *, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    """(n, m), or (n, n): ones on the diagonal, else zeros."""
    return _finish(np.eye(n, m, dtype=_float(dtype)), None, None, requires_grad)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below end: a vector, of int64 if all three are integers. RuntimeError if end is never reached."""
    if end is None:
        start, end = 0, ops._common.number(start, "arange", "end", 1)
    given = {"start": start, "end": end, "step": step}
    start, end, step = (ops._common.number(n, "arange", name) for name, n in given.items())
    if not np.isfinite([start, end, step]).all():
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) / step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if (end - start) / step >= 2**63:
        raise RuntimeError("invalid size, possible overflow?")
    whole = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    kind = dtype.numpy if dtype is not None else np.dtype(np.int64) if whole else ops.default_dtype()
    return _finish(np.arange(start, end, step).astype(kind), None, device, requires_grad)


def _spaced(space: Any, name: str, start: Any, end: Any, steps: int, kind: dtype | None) -> np.ndarray:
    """What NumPy makes of numbers, or of 0-d tensors, to which no gradient goes. RuntimeError for other tensors."""
    ends = []
    for which, given in (("start", start), ("end", end)):
        if isinstance(given, Tensor) and given.array.ndim:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got {which} with {given.array.ndim} dimension(s)."
            )
        ends.append(ops._common.number(given.detach() if isinstance(given, Tensor) else given, name, which))
    if operator.index(steps) < 0:
        raise RuntimeError("number of steps must be non-negative")
    common = ops._common.floating(ops._common.promote(*map(ops._common.number_type, ends)))
    to = common if kind is None else kind.numpy
    with np.errstate(all="ignore"):
        return space(*(ops._common.fitting(end, to).item() for end in ends), operator.index(steps)).astype(to)


def linspace(
    start: float, end: float, steps: int, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` numbers from start to end, both included, equally far apart: (steps,)."""
    return _finish(_spaced(np.linspace, "linspace", start, end, steps, dtype), None, device, requires_grad)


def logspace(start: float, end: float, steps: int, base: float = 10.0, *, dtype: dtype | None = None) -> Tensor:
    """`steps` numbers from base^start to base^end, both included, each the same multiple of the one before: (steps,)."""
    base = ops._common.number(base, "logspace", "base")
    return _finish(_spaced(partial(np.logspace, base=base), "logspace", start, end, steps, dtype), None, None, False)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """(n,), (m,), ... -> as many of (n, m, ...): the coordinates of a grid; "xy" exchanges the first two dimensions."""
    vectors = _numbers(tensors)
    lengths = [t.array.size for t in vectors]
    order = [1, 0, *range(2, len(vectors))] if indexing == "xy" and len(vectors) > 1 else list(range(len(vectors)))
    shape = [lengths[i] for i in order]
    grids = []
    for i, vector in enumerate(vectors):
        one = [1] * len(vectors)
        one[order.index(i)] = lengths[i]
        grids.append(ops.expand(ops.view(vector, one), shape))
    return tuple(grids)


# --- random numbers ---------------------------------------------------------------------------------------------------


def rand(
    *size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """Uniform in [0, 1), of this shape."""
    kind = _float(dtype)
    drawn = _random.generator(generator).random(_numbers(size), _drawn(kind))
    return _finish(drawn.astype(kind, copy=False), None, device, requires_grad)


def randn(
    *size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """Normal, mean 0 and standard deviation 1, of this shape."""
    kind = _float(dtype)
    drawn = _random.generator(generator).standard_normal(_numbers(size), _drawn(kind))
    return _finish(np.asarray(drawn, kind), None, device, requires_grad)


def randint(low: int, high: Any = None, size: Any = None, *, dtype: dtype = int64, generator: Any = None) -> Tensor:
    """Integers in [low, high), of shape `size`; `randint(high, size)` starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    return _finish(_random.integers(low, high, size, generator), dtype, None, False)


def randperm(n: int, *, dtype: dtype = int64, generator: Any = None) -> Tensor:
    """The numbers 0 ... n - 1 in random order: (n,)."""
    return _finish(_random.generator(generator).permutation(*_shape((operator.index(n),), "")), dtype, None, False)


def normal(mean: Any, std: Any, size: Any = None, *, generator: Any = None) -> Tensor:
    """Normal numbers with mean and standard deviation as numbers (with `size`) or tensors."""
    if size is not None:
        mean, std = (ops._common.number(n, "normal", name, kind="float") for name, n in (("mean", mean), ("std", std)))
    if isinstance(std, Tensor) and (std.array < 0).any():
        raise RuntimeError("normal expects all elements of std >= 0.0")
    if not isinstance(std, Tensor) and std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    shape = size if size is not None else np.broadcast_shapes(*(getattr(n, "shape", ()) for n in (mean, std)))
    return randn(*shape, generator=generator) * std + mean


def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """1 with the probability that each element gives, or with probability p, else 0, of input's shape and type."""
    return input.bernoulli(p, generator=generator)


def multinomial(input: Tensor, num_samples: int, replacement: bool = False) -> Tensor:
    """Indices drawn with probabilities proportional to the vector `input`: (num_samples,), int64."""
    return input.multinomial(num_samples, replacement)


# --- like another tensor ------------------------------------------------------------------------------------------------


def zeros_like(input: Tensor, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of input's shape and type."""
    return _finish(np.zeros_like(input.array), dtype, device, requires_grad)


def ones_like(input: Tensor, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of input's shape and type."""
    return _finish(np.ones_like(input.array), dtype, device, requires_grad)


def empty_like(input: Tensor, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Undefined content of input's shape and type."""
    return _finish(np.empty_like(input.array), dtype, device, requires_grad)


def full_like(
    input: Tensor, fill_value: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One number everywhere, of input's shape and type. RuntimeError if the type does not hold it."""
    kind = dtype.numpy if dtype else input.array.dtype
    value = ops._common.fitting(ops._common.number(fill_value, "full_like", "fill_value", 2), kind)
    return _finish(np.full(input.array.shape, value), None, device, requires_grad)


def rand_like(input: Tensor, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform in [0, 1), of input's shape and type."""
    return rand(*input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Normal, mean 0 and standard deviation 1, of input's shape and type."""
    return randn(*input.shape, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


# --- legacy constructors ------------------------------------------------------------------------------------------------


def FloatTensor(*data: Any) -> Tensor:
    """`tensor(data, dtype=float32)`, or undefined content of a shape; an old name that scripts still use."""
    return Tensor(*data).to(float32)


def ByteTensor(*data: Any) -> Tensor:
    """`tensor(data, dtype=uint8)`, or undefined content of a shape; an old name."""
    return tensor(data[0], dtype=uint8) if len(data) == 1 and not isinstance(data[0], int) else Tensor(*data).to(uint8)


def LongTensor(*data: Any) -> Tensor:
    """`tensor(data, dtype=int64)`, or undefined content of a shape; an old name."""
    return tensor(data[0], dtype=int64) if len(data) == 1 and not isinstance(data[0], int) else Tensor(*data).to(int64)
