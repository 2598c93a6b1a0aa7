"""What an element type can hold, and which type two of them make together."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn import _types, ops
from minicnn._tensor import Tensor
from minicnn._types import dtype

__all__ = [
    "can_cast",
    "finfo",
    "iinfo",
    "is_complex",
    "is_floating_point",
    "is_nonzero",
    "promote_types",
    "result_type",
]


class finfo:
    """The limits of a floating-point type, by default of the default one: bits, eps, max, min, tiny, smallest_normal, resolution.

    TypeError for another type.
    """

    __module__ = "minicnn"

    def __init__(self, type: dtype | None = None) -> None:
        kind = _types.get_default_dtype() if type is None else type
        if not (kind.is_floating_point or kind.is_complex):
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        info = np.finfo(kind.numpy)
        self.bits, self.dtype = info.bits, np.dtype(info.dtype).name
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(f"1e-{info.precision}")

    def __repr__(self) -> str:
        numbers = [
            f"{name}={getattr(self, name):g}" for name in ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        ]
        return f"finfo({', '.join(numbers)}, dtype={self.dtype})"


class iinfo:
    """The limits of a type of integers: bits, max, min. TypeError for another type."""

    __module__ = "minicnn"

    def __init__(self, type: dtype) -> None:
        if type is _types.bool_:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if type.numpy.kind not in "ui":
            raise TypeError("torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'")
        kind: Any = type.numpy
        info = np.iinfo(kind)
        self.bits, self.max, self.min, self.dtype = info.bits, int(info.max), int(info.min), type.numpy.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


def is_floating_point(input: Tensor) -> bool:
    """Whether the numbers are floating-point ones."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """Whether the numbers are complex."""
    return input.is_complex()


def is_nonzero(input: Tensor) -> bool:
    """Whether the one number is not 0. RuntimeError for more or none."""
    if input.array.size != 1:
        what = "more than one value" if input.array.size else "no values"
        raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
    return bool(input)


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type, of the higher category (bool, integer, float, complex), that holds both."""
    return dtype.of(ops._common.promote(type1.numpy, type2.numpy))


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The type of a sum of both, each a tensor or a number."""
    return dtype.of(ops.result_type(tensor1, tensor2))


def can_cast(from_: dtype, to: dtype) -> bool:
    """Whether a result of the one type may be written into the other: its category (bool, integer, float, complex) is not higher."""
    return _types.CATEGORY[from_.numpy.kind] <= _types.CATEGORY[to.numpy.kind]
