"""What the families share: type promotion, dimension numbers, operands."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn._mirror import since
from minicnn._tensor import Number, Tensor
from minicnn._types import CATEGORY, dtype, get_default_dtype, short_name, type_name


def default_dtype() -> np.dtype:
    """NumPy's type for new tensors of Python floats."""
    return get_default_dtype().numpy


def promote(a: np.dtype, b: np.dtype) -> np.dtype:
    """PyTorch's rule for two tensors: the higher category (bool, integer, float, complex) decides."""
    if a == b:
        return a
    first, second = CATEGORY[a.kind], CATEGORY[b.kind]
    if first == second or {first, second} == {2, 3}:
        return np.promote_types(a, b)
    return a if first > second else b


def result_type(*operands: Any) -> np.dtype:
    """The type of an operation's result: tensors decide, then 0-d tensors, then Python numbers, each lower rank only if
    its category (bool, integer, float, complex) is higher."""
    ranks: tuple[list[np.dtype], ...] = [], [], []
    for operand in operands:
        if isinstance(operand, Tensor):
            ranks[0 if operand.array.ndim else 1].append(operand.array.dtype)
        else:
            ranks[2].append(number_type(operand))
    first, *lower = [functools.reduce(promote, kinds) for kinds in ranks if kinds]
    for kind in lower:
        if CATEGORY[kind.kind] > CATEGORY[first.kind]:
            of_its_precision = kind.kind == "c" and first.kind == "f"
            first = np.result_type(first, np.complex64) if of_its_precision else kind
    return first


def number_type(value: Any) -> np.dtype:
    """The type of a tensor that is made of this number. TypeError if it is none."""
    if isinstance(value, bool):
        return np.dtype(np.bool_)
    if isinstance(value, (int, np.integer)):
        if not -(2**63) <= value < 2**63:
            raise OverflowError("int too big to convert")
        return np.dtype(np.int64)
    if isinstance(value, (float, np.floating, np.bool_)):  # PyTorch takes NumPy's bool for a float
        return default_dtype()
    if isinstance(value, complex):
        return np.result_type(default_dtype(), np.complex64)
    raise TypeError(f"expected a Tensor or a number, but got {type(value).__name__}")


def floating(kind: np.dtype) -> np.dtype:
    """The type of exp, sqrt, a true division ... of this type."""
    return kind if kind.kind in "fc" else default_dtype()


def count(array: np.ndarray, dims: tuple[int, ...]) -> int:
    """How many numbers a reduction over dims makes one of."""
    return math.prod([array.shape[d] for d in dims])


def wide(kind: np.dtype) -> np.dtype:
    """The type that long sums and products are formed in: double, real or complex; int64 for integers."""
    return np.dtype(np.int64) if kind.kind in "biu" else np.result_type(kind, np.float64)


def mean_of(array: np.ndarray, dims: tuple[int, ...], keepdim: bool, kind: np.dtype | None = None) -> np.ndarray:
    """The mean over dims in double precision, or as `kind`; NaN of nothing."""
    mean = kernels.add_up(array, dims, keepdim, wide(array.dtype)) / np.float64(count(array, dims))
    return np.asarray(mean, kind)


def product_of(array: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """The product over dims, of integers in int64."""
    kind = wide(array.dtype)
    product = array.prod(axis=dims, keepdims=keepdim, dtype=kind)
    return np.asarray(product, kind if kind.kind == "i" else array.dtype)


def operand(value: Any, kind: np.dtype) -> np.ndarray:
    """A tensor or a number as an array of this type. Integers wrap around, as in PyTorch: 300 is 44 in uint8."""
    if isinstance(value, Tensor):
        return value.array.astype(kind, copy=False)
    of = number_type(value)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(value, of if of.kind in "bi" else None).astype(kind)


def computed(kind: np.dtype) -> np.dtype:
    """The type in which PyTorch computes numbers of this one: float32 for half precision."""
    return np.dtype(np.float32) if kind == np.float16 else kind


def single(array: np.ndarray) -> np.ndarray:
    """Half precision as float32, in which PyTorch computes; others as they are."""
    return array.astype(computed(array.dtype), copy=False)


def fitting(value: Any, kind: np.dtype) -> np.ndarray:
    """A number, or a tensor of one element, in this type. RuntimeError if it is out of the type's range.

    As in PyTorch a negative integer wraps around in uint8, and every number is a boolean.
    """
    number = value.array.item() if isinstance(value, Tensor) else value
    if type(number) is float and kind.kind == "f" and abs(number) <= float(np.finfo(kind).max):  # most are
        return np.asarray(number, kind)
    of = number_type(number)
    if kind.kind == "b":
        return np.asarray(bool(number))
    if of.kind == "c" and kind.kind != "c":
        fits, number = number.imag == 0, number.real
    elif kind.kind in "ui":
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        fits = low <= number <= high or (of.kind == "i" and kind.kind == "u" and -high <= number < 0)
    else:
        fits = not np.isfinite(number) or abs(number) <= float(np.finfo(kind).max)
    if not fits:
        name = {"float16": "c10::Half", "float32": "float", "float64": "double", "int32": "int"}
        raise RuntimeError(
            f"value cannot be converted to type {name.get(kind.name, f'{kind.name}_t')} without overflow"
        )
    return operand(number, kind)


def number(value: Any, function: str, argument: str, position: int = 0, kind: str = "Number") -> Any:
    """What a function is told by a number: Python's, NumPy's, or a 0-d tensor that requires no gradient, for none goes there.

    TypeError, in PyTorch's words, for all else, and for a complex one if `kind` is "float".
    """
    if type(value) in (int, float):
        return value
    told = value.array[()] if isinstance(value, Tensor) and not (value.array.ndim or value.requires_grad) else value
    if not isinstance(told, Number) or (kind == "float" and isinstance(told, (complex, np.complexfloating))):
        where = f" (position {position})" if position else ""
        raise TypeError(f"{function}(): argument '{argument}'{where} must be {kind}, not {type_name(value)}")
    if isinstance(value, np.bool_):
        return float(value)  # PyTorch takes NumPy's bool for a float
    return told.item() if isinstance(told, (np.number, np.bool_)) else told


def unsupported(text: str) -> RuntimeError:
    """The error for element types that an operation refuses by itself: NotImplementedError since 2.14."""
    return NotImplementedError(text) if since(2, 14) else RuntimeError(text)


def unordered(booleans: str, input: Tensor) -> RuntimeError:
    """The error for what cannot be cut off at a bound: complex numbers, and booleans, for which it says `booleans`."""
    return (
        NotImplementedError("clamp is not supported for complex types") if input.is_complex() else unsupported(booleans)
    )


def implemented(name: str, kind: np.dtype, kinds: str = "fc") -> None:
    """NotImplementedError, in PyTorch's words, for a type that an operation does not have; `kinds`: NumPy's letters."""
    if kind.kind not in kinds:
        error = NotImplementedError if since(2, 8) else RuntimeError
        raise error(f"\"{name}\" not implemented for '{short_name(dtype.of(kind))}'")


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The common shape; RuntimeError with both lengths and the dimension if there is none."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        pass
    a, b = shapes[0], shapes[-1]
    n = max(len(a), len(b))
    padded = [(1,) * (n - len(s)) + tuple(s) for s in (a, b)]
    for i in reversed(range(n)):
        x, y = padded[0][i], padded[1][i]
        if x != y and 1 not in (x, y):
            raise RuntimeError(
                f"The size of tensor a ({x}) must match the size of tensor b ({y}) at non-singleton dimension {i}"
            )
    raise RuntimeError(f"shapes {[list(s) for s in shapes]} cannot be broadcast together")


def operands(a: Any, b: Any, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Both operands as arrays of this type, or of float32 for half. RuntimeError if their shapes do not broadcast."""
    x, y = single(operand(a, kind)), single(operand(b, kind))
    if x.ndim and y.ndim and x.shape != y.shape:
        broadcast_shapes(x.shape, y.shape)
    return x, y


def check_expand(old: tuple[int, ...], new: tuple[int, ...]) -> None:
    """RuntimeError unless a tensor of shape `old` can be expanded to `new`."""
    extra = len(new) - len(old)
    for i, n in reversed(list(enumerate(old))):
        if extra + i >= 0 and n not in (1, new[extra + i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({new[extra + i]}) must match the existing size ({n}) at non-singleton "
                f"dimension {extra + i}.  Target sizes: {list(new)}.  Tensor sizes: {list(old)}"
            )


def wrap_dim(dim: int, ndim: int) -> int:
    """A dimension number that may count from the end, as a number from 0. IndexError out of range."""
    n, dim = max(ndim, 1), operator.index(dim)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return dim + n if dim < 0 else dim


def wrap_dims(dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """None or () means all dimensions."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    if isinstance(dim, (int, np.integer, Tensor)):
        dim = (operator.index(dim),)
    dims = tuple(wrap_dim(d, ndim) for d in dim)
    if len(set(dims)) != len(dims):
        duplicate = next(d for d in dims if dims.count(d) > 1)
        raise RuntimeError(f"dim {duplicate} appears multiple times in the list of dims")
    return dims if ndim else ()


def pair(value: Any, dims: int = 2) -> tuple:
    """(v, v) for a number v, the entries of a sequence otherwise. For (height, width); of a series (v,)."""
    if type(value) is int:
        return (value,) * dims
    if type(value) is tuple and {*map(type, value)} == {int}:  # a layer's: most calls end here
        return value
    entries = value if isinstance(value, (tuple, list)) else (value,) * dims
    return tuple([operator.index(entry) if isinstance(entry, Tensor) else entry for entry in entries])
