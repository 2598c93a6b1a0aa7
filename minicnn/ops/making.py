"""Tensors out of what is no tensor: numbers, nested lists, arrays, and the arguments of PyTorch's old constructors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn._types import Size, check_device, device, dtype, get_default_device
from minicnn.autograd.function import ViewOp
from minicnn.ops._common import default_dtype


def finished(array: np.ndarray, kind: dtype | None, where: Any, requires_grad: bool) -> Tensor:
    """A new tensor over this array, in the type `kind`. RuntimeError for another device than the CPU, and for integers that
    shall require grad."""
    check_device(get_default_device() if where is None else where)
    tensor = Tensor.wrap(array if kind is None else array.astype(kind.numpy, copy=False))
    if requires_grad:
        if not tensor.dtype.is_floating_point and not tensor.dtype.is_complex:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        tensor.requires_grad = True
    return tensor


def array_of(data: Any) -> np.ndarray:
    """Numbers, nested lists, arrays or tensors as an array; Python floats become the default type."""
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (np.ndarray, np.generic)):
        return np.asarray(data)
    if isinstance(data, (list, tuple)) and any(isinstance(item, Tensor) for item in data):
        return np.stack([array_of(item) for item in data])
    try:
        array = np.array(data)
    except ValueError as error:
        raise ValueError(_ragged(data, 0) or str(error)) from None
    if array.dtype.kind in "US":
        raise (
            TypeError("new(): invalid data type 'str'") if array.ndim == 0 else ValueError("too many dimensions 'str'")
        )
    if array.dtype.kind == "f":
        return array.astype(default_dtype())
    if array.dtype.kind == "c":
        return array.astype(np.result_type(default_dtype(), np.complex64))
    return array


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


class Alias(ViewOp):
    """The same memory as a tensor of its own."""

    @staticmethod
    def forward(ctx, a):
        return a.array

    @staticmethod
    def backward(ctx, grad):
        return grad


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
    numpy_type = default_dtype() if kind is None else kind.numpy
    if len(data) != 1 or isinstance(only, (int, np.integer, Size)):
        lengths = tuple(int(n) for n in (only if isinstance(only, Size) else data or (0,)))
        return Tensor.wrap(np.empty(lengths_of(lengths), numpy_type))
    array = array_of(only)
    if array.dtype.kind == "c" and numpy_type.kind in "iuf":
        whole = numpy_type.kind in "iu"
        raise TypeError(
            "'complex' object cannot be interpreted as an integer" if whole else "must be real number, not complex"
        )
    return Tensor.wrap(array.astype(numpy_type, copy=False))
