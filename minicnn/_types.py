"""The small value types that every layer shares: `dtype`, `Size`, `device`. They print as PyTorch's do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextvars import ContextVar

import numpy as np

__all__ = [
    "Size", "channels_last", "channels_last_3d", "complex64", "complex128", "contiguous_format", "device", "dtype",
    "float16", "float32", "float64", "get_default_device", "get_default_dtype", "int8", "int16", "int32", "int64",
    "memory_format", "preserve_format", "set_default_device", "set_default_dtype", "uint8",
]  # fmt: skip

Size2 = int | tuple[int, ...]  # an argument for height and width: one number for both, or two


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
    def is_signed(self) -> bool:
        """Whether it has negative numbers."""
        return self.numpy.kind not in "bu"

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


class memory_format:
    """In which order the numbers of a tensor lie: `contiguous_format`, `channels_last`, `preserve_format` ..."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name  # a module-level name: pickling and copying give the same object back


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")


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
    """Where a tensor lives: `cpu` is the only place there is.

    As a context manager it is where new tensors are made in the block: `with minicnn.device("cpu"):`.
    """

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

    def __enter__(self) -> device:
        _default_devices.set((*_default_devices.get(), self))
        return self

    def __exit__(self, *error: object) -> None:
        _default_devices.set(_default_devices.get()[:-1])


# The last one is where new tensors are made. Those of blocks stand behind what `set_default_device` has chosen.
_default_devices: ContextVar[tuple[device, ...]] = ContextVar("devices of new tensors", default=(device("cpu"),))


def get_default_device() -> device:
    """Where new tensors are made: on the CPU, unless `set_default_device` or a block of a device says otherwise."""
    return _default_devices.get()[-1]


def set_default_device(device: str | device | None) -> None:
    """Make new tensors there; None is the CPU. Making one elsewhere is a RuntimeError."""
    _default_devices.set((globals()["device"]("cpu" if device is None else device), *_default_devices.get()[1:]))


_default_dtype = float32


def get_default_dtype() -> dtype:
    """The type of new tensors of Python floats: float32, unless `set_default_dtype` said otherwise."""
    return _default_dtype


def set_default_dtype(d: dtype) -> None:
    """float32 at the start; float64 makes new tensors, and parameters, double throughout. For all threads, as in PyTorch.

    TypeError for a type that is not a floating-point one.
    """
    global _default_dtype
    if not isinstance(d, dtype):
        raise TypeError("invalid dtype object: only floating-point types are supported as the default type")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default_dtype = d


def check_device(where: device | str | None) -> None:
    """RuntimeError unless `where` is None or the CPU."""
    if where is not None and (where if isinstance(where, device) else device(where)).type != "cpu":
        raise RuntimeError(f"minicnn computes on the CPU only: device '{device(where)}' is not available")
