"""New tensors: from data, constants, ranges, random numbers, and the arguments of PyTorch's old constructors.

float32 unless the data or `dtype` say otherwise.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from minicnn import _memory
from minicnn import random as _random
from minicnn._mirror import since
from minicnn._tensor import COPIED, Tensor, _drawn, _numbers
from minicnn._types import (
    Size,
    bool_,
    check_device,
    contiguous_format,
    device,
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
from minicnn.ops import _common
from minicnn.ops.shape import Alias

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor",
    "ShortTensor", "arange", "as_tensor", "asarray", "bernoulli", "empty", "empty_like", "eye", "from_numpy", "full",
    "full_like", "is_tensor", "linspace", "logspace", "meshgrid", "multinomial", "normal", "ones", "ones_like", "rand",
    "rand_like", "randint", "randn", "randn_like", "randperm", "set_default_tensor_type", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def tensor(data: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A copy of numbers, nested lists or an array, of their shape; of a tensor, with a warning. ValueError for ragged lists."""
    if isinstance(data, Tensor):
        warn_user(COPIED.format("torch.tensor"))
    return finished(np.array(_numbers_in(data, dtype)), dtype, device, requires_grad)


def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """The data as a tensor, without a copy where that is possible."""
    check_device(get_default_device() if device is None else device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return finished(_numbers_in(data, dtype), dtype, device, False)


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
    return kind.numpy if kind is not None else _common.default_dtype()


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
    number = _common.number(fill_value, "full", "fill_value", 2)
    kind = _common.number_type(number) if dtype is None else dtype.numpy
    return finished(np.full(size, _common.fitting(number, kind)), None, device, requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """(n, m), or (n, n): ones on the diagonal, else zeros."""
    return finished(np.eye(n, m, dtype=_float(dtype)), None, device, requires_grad)


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
        start, end = 0, _common.number(start, "arange", "end", 1)
    given = {"start": start, "end": end, "step": step}
    start, end, step = (_common.number(n, "arange", name) for name, n in given.items())
    if not np.isfinite([start, end, step]).all():
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) / step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if (end - start) / step >= 2**63:
        raise RuntimeError("invalid size, possible overflow?")
    whole = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    kind = dtype.numpy if dtype is not None else np.dtype(np.int64) if whole else _common.default_dtype()
    return finished(np.arange(start, end, step).astype(kind), None, device, requires_grad)


def _spaced(space: Any, name: str, start: Any, end: Any, steps: int, kind: dtype | None) -> np.ndarray:
    """What NumPy makes of numbers, or of 0-d tensors, to which no gradient goes. RuntimeError for other tensors."""
    ends = []
    for which, given in (("start", start), ("end", end)):
        if isinstance(given, Tensor) and given.array.ndim:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got {which} with {given.array.ndim} dimension(s)."
            )
        ends.append(_common.number(given.detach() if isinstance(given, Tensor) else given, name, which))
    if operator.index(steps) < 0:
        raise RuntimeError("number of steps must be non-negative")
    common = _common.floating(_common.promote(*map(_common.number_type, ends)))
    to = common if kind is None else kind.numpy
    with np.errstate(all="ignore"):
        return space(*(_common.fitting(end, to) for end in ends), operator.index(steps)).astype(to)


def _evenly(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Counted from the nearer end, in steps of the ends' type (of float64 for integers), each number rounded once, as PyTorch's are."""
    if end.dtype.kind in "iub":
        start, end = start.astype(np.float64), end.astype(np.float64)
    step, count = (end - start) / end.dtype.type(max(steps - 1, 1)), np.arange(steps)
    wide = end.dtype if end.dtype == np.float16 else np.result_type(end, np.longdouble)
    up, down = (step.astype(wide) * many.astype(end.dtype) for many in (count, steps - 1 - count))
    return np.where(count < max(steps // 2, 1), start + up, end - down).astype(end.dtype)


def linspace(
    start: float, end: float, steps: int, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` numbers from start to end, both included, equally far apart: (steps,)."""
    return finished(_spaced(_evenly, "linspace", start, end, steps, dtype), None, device, requires_grad)


def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """`steps` numbers from base^start to base^end, both included, each the same multiple of the one before: (steps,)."""
    base = _common.number(base, "logspace", "base")
    powers = _spaced(
        lambda a, b, n: np.logspace(a.item(), b.item(), n, base=base), "logspace", start, end, steps, dtype
    )
    return finished(powers, None, device, requires_grad)


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
        grids.append(vector.view(one).expand(shape))
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


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    dtype: dtype = int64,
    device: Any = None,
    requires_grad: bool = False,
    generator: Any = None,
) -> Tensor:
    """Integers in [low, high), of shape `size`; `randint(high, size)` starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    return finished(_random.integers(low, high, size, generator), dtype, device, requires_grad)


def randperm(
    n: int, *, dtype: dtype = int64, device: Any = None, requires_grad: bool = False, generator: Any = None
) -> Tensor:
    """The numbers 0 ... n - 1 in random order: (n,)."""
    return finished(
        _random.generator(generator).permutation(*lengths_of((operator.index(n),), "")), dtype, device, requires_grad
    )


def normal(mean: Any, std: Any, size: Any = None, *, generator: Any = None) -> Tensor:
    """Normal numbers with mean and standard deviation as numbers (with `size`) or tensors."""
    if size is not None:
        mean, std = (_common.number(n, "normal", name, kind="float") for name, n in (("mean", mean), ("std", std)))
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
    number = _common.number(fill_value, "full_like", "fill_value", 2)
    value = _common.fitting(number, dtype.numpy if dtype else input.array.dtype)
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


# --- out of what is no tensor --------------------------------------------------------------------------------------------


def finished(array: np.ndarray, kind: dtype | None, where: Any, requires_grad: bool) -> Tensor:
    """A new tensor over this array, in the type `kind`. RuntimeError for another device than the CPU, and for integers that
    shall require grad."""
    check_device(get_default_device() if where is None else where)
    with np.errstate(invalid="ignore", over="ignore"):
        tensor = Tensor.wrap(array if kind is None else array.astype(kind.numpy, copy=False))
    if requires_grad:
        if not tensor.dtype.is_floating_point and not tensor.dtype.is_complex:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        tensor.requires_grad = True
    return tensor


def array_of(data: Any, exact: bool = False) -> np.ndarray:
    """Numbers, nested lists, arrays or tensors as an array; Python floats become the default type, unless they shall stay `exact`
    since the caller has a type for them."""
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (list, tuple)) and _holds_tensor(data):
        numbers = [item for item in _leaves(data) if not isinstance(item, Tensor)]
        kinds = {item.array.dtype for item in _leaves(data) if isinstance(item, Tensor)}
        kinds |= {array_of(numbers, exact).dtype} if numbers else set()
        return array_of(_without_tensors(data), True).astype(reduce(_common.promote, kinds))
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(_ragged(data, 0) or str(error)) from None
    if array.dtype.kind in "Ou" and all(isinstance(item, int) for item in _leaves([data])):
        raise ValueError("Overflow when unpacking long long")
    if array.dtype.kind in "US":
        raise (
            TypeError("new(): invalid data type 'str'") if array.ndim == 0 else ValueError("too many dimensions 'str'")
        )
    if exact:
        return array
    if array.dtype.kind == "f":
        return array.astype(_common.default_dtype())
    if array.dtype.kind == "c":
        return array.astype(np.result_type(_common.default_dtype(), np.complex64))
    return array


def _numbers_in(data: Any, kind: dtype | None) -> np.ndarray:
    array = array_of(data, kind is not None)
    return array if kind is None or isinstance(data, (Tensor, np.ndarray)) else checked(array, kind.numpy)


def checked(array: np.ndarray, kind: np.dtype) -> np.ndarray:
    """Python's numbers in this type. RuntimeError for one that it does not hold (a negative integer wraps where there is no sign),
    TypeError for complex ones in a real type."""
    if array.dtype.kind == "c" and kind.kind in "iuf":
        whole = kind.kind in "iu"
        raise TypeError(
            "'complex' object cannot be interpreted as an integer" if whole else "must be real number, not complex"
        )
    if kind.kind in "iu" and array.dtype.kind in "iuf":
        most = np.iinfo(kind).max
        least = -most if kind.kind == "u" and array.dtype.kind in "iu" else np.iinfo(kind).min
        fits = (array >= least) & (array <= most)
        if array.dtype.kind == "f" and since(2, 14):  # 255.9 is 255, and 2 ** 63 too much
            fits = (array >= least) & (array < most + 1.0)
        if not fits.all():
            raise RuntimeError(f"value cannot be converted to type {kind.name} without overflow")
    with np.errstate(invalid="ignore", over="ignore"):
        return array.astype(kind, copy=False)


def _holds_tensor(data: Any) -> bool:
    """Whether a tensor is among what nested lists hold."""
    if any(issubclass(kind, Tensor) for kind in set(map(type, data))):
        return True
    return any(_holds_tensor(item) for item in data if isinstance(item, (list, tuple)))


def _leaves(data: Any) -> Iterator[Any]:
    """What nested lists hold."""
    for item in data:
        yield from _leaves(item) if isinstance(item, (list, tuple)) else (item,)


def _without_tensors(data: Any) -> Any:
    """Nested lists in which each tensor is the number that it holds. ValueError for one of several elements."""
    if isinstance(data, (list, tuple)):
        return [_without_tensors(item) for item in data]
    if isinstance(data, Tensor) and data.array.size != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return data.array.item() if isinstance(data, Tensor) else data


def _ragged(data: Any, depth: int) -> str:
    """Where nested lists are of different lengths, in PyTorch's words."""
    lengths = [len(item) for item in data if isinstance(item, (list, tuple))]
    for length in lengths:
        if length != lengths[0]:
            return f"expected sequence of length {lengths[0]} at dim {depth + 1} (got {length})"
    return next((found for item in data if lengths and (found := _ragged(item, depth + 1))), "")


def lengths_of(size: tuple, name: str = "") -> tuple[int, ...]:
    """The lengths that were passed one by one or as one sequence. RuntimeError if one is negative."""
    lengths = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    if any(isinstance(n, int) and n < 0 for n in lengths):
        raise RuntimeError(
            "zeros: Dimension size must be non-negative."
            if name == "zeros"
            else f"Trying to create tensor with negative dimension {min(lengths)}: {list(lengths)}"
        )
    return lengths


IN_C = {
    "float16": "c10::Half", "float32": "float", "float64": "double", "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>", "uint8": "unsigned char", "int8": "signed char", "int16": "short int",
    "int32": "int", "int64": "long int", "bool": "bool",
}  # fmt: skip


def legacy(data: Sequence[Any], where: Any, kind: dtype | None) -> Tensor:
    """What the old constructors make of their arguments: nothing, lengths, a sequence of numbers, or a tensor.

    In the type `kind`; None: in the default type, or in that of the tensor. TypeError for one number that is no length, and
    for a tensor of another type.
    """
    if where is not None and device(where).type != "cpu":
        raise RuntimeError(f"legacy constructor expects device type: cpu but device type: {device(where)} was passed")
    only = data[0] if len(data) == 1 else None
    if isinstance(only, Tensor):
        if kind is not None and only.dtype is not kind:
            expected, got = (
                f"TensorOptions(dtype={IN_C[of.name]}, device=cpu, layout=Strided, requires_grad=false (default), "
                "pinned_memory=false (default), memory_format=(nullopt))"
                for of in (kind, only.dtype)
            )
            raise TypeError(f"expected {expected} (got {got})")
        return Alias.apply(only)
    if isinstance(only, (bool, float, complex, np.floating, np.complexfloating, np.bool_)):
        raise TypeError(f"new(): data must be a sequence (got {type(only).__name__})")
    numpy_type = _common.default_dtype() if kind is None else kind.numpy
    if len(data) != 1 or isinstance(only, (int, np.integer, Size)):
        lengths = tuple(int(n) for n in (only if isinstance(only, Size) else data or (0,)))
        return Tensor.wrap(np.empty(lengths_of(lengths), numpy_type))
    return Tensor.wrap(checked(array_of(only, True), numpy_type))
