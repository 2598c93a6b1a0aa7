"""New tensors: from data, constants, ranges, random numbers. float32 unless the data or `dtype` say otherwise."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any

import numpy as np

from minicnn import _memory, ops
from minicnn import random as _random
from minicnn._tensor import Tensor, _drawn, _numbers
from minicnn._types import (
    bool_,
    check_device,
    contiguous_format,
    dtype,
    float16,
    float32,
    float64,
    get_default_device,
    int8,
    int16,
    int32,
    int64,
    memory_format,
    preserve_format,
    set_default_dtype,
    uint8,
)
from minicnn._warnings import warn_user
from minicnn.ops.making import array_of, finished, legacy, lengths_of

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor",
    "ShortTensor", "arange", "as_tensor", "asarray", "bernoulli", "empty", "empty_like", "eye", "from_numpy", "full",
    "full_like", "is_tensor", "linspace", "logspace", "meshgrid", "multinomial", "normal", "ones", "ones_like", "rand",
    "rand_like", "randint", "randn", "randn_like", "randperm", "set_default_tensor_type", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def tensor(data: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A copy of numbers, nested lists, an array or a tensor, of their shape. ValueError for lists of different lengths."""
    return finished(np.array(array_of(data)), dtype, device, requires_grad)


def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """The data as a tensor, without a copy where that is possible."""
    check_device(get_default_device() if device is None else device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return finished(array_of(data), dtype, device, False)


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


def zeros(*size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of this shape. RuntimeError for a negative length."""
    return finished(np.zeros(lengths_of(size, "zeros"), _float(dtype)), None, device, requires_grad)


def ones(*size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of this shape. RuntimeError for a negative length."""
    return finished(np.ones(lengths_of(size, "ones"), _float(dtype)), None, device, requires_grad)


def empty(
    *size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, memory_format: Any = None
) -> Tensor:
    """Undefined content of this shape, in rows or in the format. RuntimeError for a negative length."""
    format = contiguous_format if memory_format is None else memory_format
    _memory.need_format(format, "empty")
    if format is preserve_format:
        raise RuntimeError("unsupported memory format Preserve")
    lengths = lengths_of(size, "empty")
    strides = _memory.strides_in(tuple(int(n) for n in lengths), format)
    return finished(_memory.empty(lengths, _float(dtype), strides), None, device, requires_grad)


def full(
    size: Any, fill_value: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One number everywhere, of shape `size`; its type decides unless `dtype` is given. RuntimeError if that does not hold it."""
    number = ops._common.number(fill_value, "full", "fill_value", 2)
    kind = ops._common.number_type(number) if dtype is None else dtype.numpy
    return finished(np.full(size, ops._common.fitting(number, kind)), None, device, requires_grad)


def eye(n: int, m: int | None = None, *, dtype: dtype | None = None, requires_grad: bool = False) -> Tensor:
    """(n, m), or (n, n): ones on the diagonal, else zeros."""
    return finished(np.eye(n, m, dtype=_float(dtype)), None, None, requires_grad)


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
    return finished(np.arange(start, end, step).astype(kind), None, device, requires_grad)


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
    return finished(_spaced(np.linspace, "linspace", start, end, steps, dtype), None, device, requires_grad)


def logspace(start: float, end: float, steps: int, base: float = 10.0, *, dtype: dtype | None = None) -> Tensor:
    """`steps` numbers from base^start to base^end, both included, each the same multiple of the one before: (steps,)."""
    base = ops._common.number(base, "logspace", "base")
    return finished(_spaced(partial(np.logspace, base=base), "logspace", start, end, steps, dtype), None, None, False)


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
    return finished(drawn.astype(kind, copy=False), None, device, requires_grad)


def randn(
    *size: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """Normal, mean 0 and standard deviation 1, of this shape."""
    kind = _float(dtype)
    drawn = _random.generator(generator).standard_normal(_numbers(size), _drawn(kind))
    return finished(np.asarray(drawn, kind), None, device, requires_grad)


def randint(low: int, high: Any = None, size: Any = None, *, dtype: dtype = int64, generator: Any = None) -> Tensor:
    """Integers in [low, high), of shape `size`; `randint(high, size)` starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    return finished(_random.integers(low, high, size, generator), dtype, None, False)


def randperm(n: int, *, dtype: dtype = int64, generator: Any = None) -> Tensor:
    """The numbers 0 ... n - 1 in random order: (n,)."""
    return finished(_random.generator(generator).permutation(*lengths_of((operator.index(n),), "")), dtype, None, False)


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


# --- like another tensor, in its order in memory unless a `memory_format` is given ---------------------------------------


def zeros_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """Zeros of input's shape and type."""
    return full_like(input, 0, dtype=dtype, device=device, requires_grad=requires_grad, memory_format=memory_format)


def ones_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """Ones of input's shape and type."""
    return full_like(input, 1, dtype=dtype, device=device, requires_grad=requires_grad, memory_format=memory_format)


def empty_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """Undefined content of input's shape and type."""
    if memory_format is not None:
        _memory.need_format(memory_format, "empty_like")
    array = _memory.empty_like(input.array, memory_format, None if dtype is None else dtype.numpy)
    return finished(array, None, device or input.device, requires_grad)


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """One number everywhere, of input's shape and type. RuntimeError if the type does not hold it."""
    number = ops._common.number(fill_value, "full_like", "fill_value", 2)
    value = ops._common.fitting(number, dtype.numpy if dtype else input.array.dtype)
    new = empty_like(input, dtype=dtype, device=device, requires_grad=requires_grad, memory_format=memory_format)
    new.array[...] = value
    return new


def rand_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """Uniform in [0, 1), of input's shape and type."""
    new = empty_like(input, dtype=dtype, device=device, memory_format=memory_format).uniform_()
    return new.requires_grad_(requires_grad)


def randn_like(
    input: Tensor,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format | None = None,
) -> Tensor:
    """Normal, mean 0 and standard deviation 1, of input's shape and type."""
    new = empty_like(input, dtype=dtype, device=device, memory_format=memory_format).normal_()
    return new.requires_grad_(requires_grad)


# --- types as classes -----------------------------------------------------------------------------------------------------


class TensorType(type):
    """The class of `FloatTensor` and its siblings: `isinstance` asks for the element type, a call makes a tensor of it."""

    dtype: dtype
    is_cuda = False

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype

    def __call__(cls, *data: Any, device: Any = None) -> Tensor:
        return legacy(data, device, cls.dtype)


def _tensor_type(kind: dtype) -> TensorType:
    doc = f"""`tensor(data, dtype={kind.name})`, or undefined content of a shape: an old name, and a class for `isinstance`."""
    return TensorType(kind.tensor_type, (), {"dtype": kind, "__doc__": doc, "__module__": "minicnn"})


HalfTensor = _tensor_type(float16)
FloatTensor = _tensor_type(float32)
DoubleTensor = _tensor_type(float64)
ByteTensor = _tensor_type(uint8)
CharTensor = _tensor_type(int8)
ShortTensor = _tensor_type(int16)
IntTensor = _tensor_type(int32)
LongTensor = _tensor_type(int64)
BoolTensor = _tensor_type(bool_)
_TENSOR_TYPES = (
    HalfTensor, FloatTensor, DoubleTensor, ByteTensor, CharTensor, ShortTensor, IntTensor, LongTensor, BoolTensor,
)  # fmt: skip


def set_default_tensor_type(t: TensorType | str) -> None:
    """`set_default_dtype` by the class of a type, or by its name such as "torch.DoubleTensor"; an old function, which warns."""
    warn_user(
        "torch.set_default_tensor_type() is deprecated as of PyTorch 2.1, please use torch.set_default_dtype() and "
        "torch.set_default_device() as alternatives."
    )
    if isinstance(t, str):
        t = next((known for known in _TENSOR_TYPES if known.__name__ == t.rpartition(".")[2]), t)
    if not isinstance(t, TensorType):
        raise TypeError("invalid type object: only floating-point types are supported as the default type")
    set_default_dtype(t.dtype)
