"""The small value types that every layer shares: `dtype`, `Size`, `device`. They print as PyTorch's do."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

__all__ = [
    "Size", "complex64", "complex128", "device", "dtype", "float16", "float32", "float64", "int8", "int16", "int32",
    "int64", "uint8",
]  # fmt: skip


class dtype:
    """An element type. `minicnn.float32.numpy` is the NumPy type behind it; prints `torch.float32` as in PyTorch."""

    __module__ = "minicnn"
    _by_numpy: dict[np.dtype, dtype] = {}

    def __init__(self, name: str, numpy_type: type, tensor_type: str) -> None:
        self.name = name
        self.numpy = np.dtype(numpy_type)
        self.tensor_type = tensor_type  # the legacy class name that PyTorch's error texts use, such as FloatTensor
        dtype._by_numpy[self.numpy] = self

    @staticmethod
    def of(numpy_type: np.dtype) -> dtype:
        """The dtype of a NumPy array's type; TypeError for types that tensors do not have (object, str ...)."""
        try:
            return dtype._by_numpy[numpy_type]
        except KeyError:
            known = ", ".join(d.name for d in dtype._by_numpy.values())
            raise TypeError(
                f"can't convert np.ndarray of type {numpy_type}. The only supported types are: {known}."
            ) from None

    @property
    def is_floating_point(self) -> bool:
        """Whether it is float16, float32 or float64."""
        return self.numpy.kind == "f"

    @property
    def is_complex(self) -> bool:
        """Whether it is complex64 or complex128."""
        return self.numpy.kind == "c"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str | tuple:
        return self.name  # of `minicnn`: pickling and copying give the same object back


float16 = dtype("float16", np.float16, "HalfTensor")
float32 = dtype("float32", np.float32, "FloatTensor")
float64 = dtype("float64", np.float64, "DoubleTensor")
complex64 = dtype("complex64", np.complex64, "ComplexFloatTensor")
complex128 = dtype("complex128", np.complex128, "ComplexDoubleTensor")
uint8 = dtype("uint8", np.uint8, "ByteTensor")
int8 = dtype("int8", np.int8, "CharTensor")
int16 = dtype("int16", np.int16, "ShortTensor")
int32 = dtype("int32", np.int32, "IntTensor")
int64 = dtype("int64", np.int64, "LongTensor")
uint16 = dtype("uint16", np.uint16, "UInt16Tensor")
uint32 = dtype("uint32", np.uint32, "UInt32Tensor")
uint64 = dtype("uint64", np.uint64, "UInt64Tensor")
bool_ = dtype("bool", np.bool_, "BoolTensor")


CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}  # of NumPy's `kind`; a result's type is that of the highest


class UnheldDtype(dtype):
    """An element type that PyTorch has and NumPy has not, such as bfloat16: a name that a file may give, and no more."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def numpy(self) -> np.dtype:  # type: ignore[override]
        """TypeError: NumPy has no such type."""
        raise TypeError(f"no tensor here is of type {self}: NumPy does not have it")

    def __reduce__(self) -> tuple:
        return UnheldDtype, (self.name,)


class layout:
    """How the numbers of a tensor lie, as PyTorch calls it: a name that a file may give. Here all are strided."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


def short_name(kind: dtype) -> str:
    """`Float` for float32, `Long` for int64: the name that error texts use."""
    return kind.tensor_type.removesuffix("Tensor")


def type_name(value: object) -> str:
    """What the type of a value is called in error texts: `numpy.float32` for NumPy's, `list` for others."""
    name = type(value).__name__
    return f"numpy.{name}" if isinstance(value, (np.generic, np.ndarray)) else name


class Size(tuple):
    """A tensor's shape: a tuple of ints that prints `torch.Size([1, 16, 32, 32])`."""

    __module__ = "minicnn"

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        return math.prod(self)

    def __getitem__(self, index):  # a slice of a Size is a Size
        result = super().__getitem__(index)
        return Size(result) if isinstance(index, slice) else result

    def __add__(self, other: Iterable[int]) -> Size:  # type: ignore[override]
        return Size(super().__add__(tuple(other)))


class device:
    """Where a tensor lives: `cpu` is the only place there is."""

    __module__ = "minicnn"
    type: str
    _known = ("cpu", "cuda", "mps", "xpu", "meta")

    def __init__(self, type: str | device = "cpu", index: int | None = None) -> None:
        kind, _, number = str(type.type if isinstance(type, device) else type).partition(":")
        if kind not in self._known:
            raise RuntimeError(
                f"Expected one of {', '.join(self._known)} device type at start of device string: {kind}"
            )
        self.type = kind
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')" if self.index is None else f"device(type='{self.type}', index={self.index})"
        )

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))


def check_device(where: device | str | None) -> None:
    """RuntimeError unless `where` is None or the CPU."""
    if where is not None and device(where).type != "cpu":
        raise RuntimeError(f"minicnn computes on the CPU only: device '{device(where)}' is not available")
