"""`Tensor`: an array that autograd follows, with PyTorch's operators and methods. Each calls an operation of `ops`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn import ops
from minicnn._printing import tensor_repr
from minicnn._tensor_inplace import InplaceMethods
from minicnn._tensor_methods import FunctionMethods, _numbers
from minicnn._types import Size, bool_, check_device, device, dtype, float16, float32, float64, int32, int64, uint8
from minicnn.autograd import engine, grad_mode
from minicnn.autograd.tensor_base import TensorBase, VersionCounter


class Tensor(FunctionMethods, InplaceMethods, TensorBase):
    """An n-dimensional array with a place in the graph of computations.

    `Tensor([[1, 2]])` holds these numbers as float32, `Tensor(2, 3)` has this shape and undefined content: prefer
    `minicnn.tensor` and `minicnn.empty`. `array` is the NumPy array behind it.
    """

    def __new__(cls, *data: Any) -> Tensor:
        if len(data) == 1 and isinstance(data[0], TensorBase):
            array = data[0].array
        elif len(data) == 1 and not isinstance(data[0], (int, Size)):
            array = np.array(data[0], np.float32)
        else:
            array = np.empty(_numbers(data), np.float32)
        tensor = super().__new__(cls)
        tensor.array, tensor._version_counter = array, VersionCounter()
        return tensor

    # --- looking ----------------------------------------------------------------------------------------------------

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return tensor_repr(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.array.ndim == 0 else object.__format__(self, spec)

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unbind(self))

    def __contains__(self, element: Any) -> bool:
        return bool((self == element).array.any())

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        if self.array.size > 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        if self.array.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        return bool(self.array.reshape(()))

    def _only(self) -> Any:
        if self.array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.array.reshape(())

    def __float__(self) -> float:
        return float(self._only())

    def __int__(self) -> int:
        return int(self._only())

    def __index__(self) -> int:
        if self.array.size != 1 or self.array.dtype.kind not in "biu":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._only())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype, copy=copy)

    def item(self) -> int | float | bool | complex:
        """The one number in this tensor. RuntimeError if there are more."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()

    def tolist(self) -> Any:
        return self.array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The array behind the tensor: shared memory. RuntimeError if it requires grad, unless under `no_grad`."""
        if grad_mode.mode.enabled and self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self.array

    def size(self, dim: int | None = None) -> Size | int:
        return self.shape if dim is None else self.shape[ops._common.wrap_dim(dim, self.array.ndim)]

    def dim(self) -> int:
        return self.array.ndim

    ndimension = dim

    def numel(self) -> int:
        return self.array.size

    nelement = numel

    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        strides = tuple(s // self.array.itemsize for s in self.array.strides)
        return strides if dim is None else strides[dim]

    def storage_offset(self) -> int:
        return (self.data_ptr() - _owner(self.array).__array_interface__["data"][0]) // self.array.itemsize

    def data_ptr(self) -> int:
        return self.array.__array_interface__["data"][0]

    def element_size(self) -> int:
        return self.array.itemsize

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    def is_contiguous(self) -> bool:
        return self.array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        return self.dtype.is_complex

    @property
    def device(self) -> device:
        return device("cpu")

    is_cuda = False

    @property
    def T(self) -> Tensor:
        return (
            ops.permute(self, tuple(reversed(range(self.array.ndim))))
            if self.array.ndim != 2
            else ops.permute(self, (1, 0))
        )

    @property
    def mT(self) -> Tensor:
        return ops.transpose(self, -2, -1)

    # --- gradients ----------------------------------------------------------------------------------------------------

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add this tensor's gradients to the leaves it was computed from; see `minicnn.autograd.backward`."""
        engine.backward(self, gradient, retain_graph, create_graph, inputs)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "
                "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, "
                "see https://github.com/pytorch/pytorch/pull/103001"
            )
        if id(self) in memo:
            return memo[id(self)]
        new = type(self).__new__(type(self)) if type(self) is Tensor else TensorBase.__new__(type(self))
        new.array, new._version_counter = _copied(self.array, memo)
        new._requires_grad = self._requires_grad
        memo[id(self)] = new
        if self._grad is not None:
            new._grad = copy.deepcopy(self._grad, memo)
        own = {name: value for name, value in self.__dict__.items() if name not in new.__dict__ and name[0] != "_"}
        new.__dict__.update(copy.deepcopy(own, memo))
        return new

    # --- type and place -----------------------------------------------------------------------------------------------

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """In another type: `x.to(minicnn.float64)`, `x.to(other)`; the only device is the CPU."""
        kind, force = kwargs.get("dtype"), kwargs.get("copy", False)
        check_device(kwargs.get("device"))
        for arg in args:
            if isinstance(arg, dtype):
                kind = arg
            elif isinstance(arg, TensorBase):
                kind = arg.dtype
            elif isinstance(arg, (str, device)):
                check_device(arg)
        result = self if kind is None else ops.to_dtype(self, kind.numpy)
        return result.clone() if force and result is self else result

    def type(self, kind: dtype | str | None = None, non_blocking: bool = False) -> Tensor | str:
        if kind is None:
            return f"torch.{self.dtype.tensor_type}"
        if isinstance(kind, str):
            kind = next(d for d in dtype._by_numpy.values() if d.tensor_type == kind.rpartition(".")[2])
        return self.to(kind)

    def type_as(self, other: Tensor) -> Tensor:
        return self.to(other.dtype)

    def float(self) -> Tensor:
        return self.to(float32)

    def double(self) -> Tensor:
        return self.to(float64)

    def half(self) -> Tensor:
        return self.to(float16)

    def int(self) -> Tensor:
        return self.to(int32)

    def long(self) -> Tensor:
        return self.to(int64)

    def byte(self) -> Tensor:
        return self.to(uint8)

    def bool(self) -> Tensor:
        return self.to(bool_)

    def cpu(self) -> Tensor:
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> Tensor:
        check_device("cuda")
        return self

    def _new(self, array: np.ndarray, kind: dtype | None, requires_grad: bool) -> Tensor:
        tensor = self.wrap(array.astype(kind.numpy if kind else self.array.dtype, copy=False))
        return tensor.requires_grad_(requires_grad)

    def new_zeros(
        self, *size: int, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        return self._new(np.zeros(_numbers(size)), dtype, requires_grad)

    def new_ones(
        self, *size: int, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        return self._new(np.ones(_numbers(size)), dtype, requires_grad)

    def new_full(
        self, size: tuple, fill_value: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        value = ops._common.fitting(fill_value, (dtype or self.dtype).numpy)
        return self._new(np.full(size, value), dtype, requires_grad)

    def new_empty(
        self, *size: int, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        return self._new(np.empty(_numbers(size)), dtype, requires_grad)

    def new_tensor(
        self, data: Any, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        return self._new(np.array(data), dtype, requires_grad)

    # --- operators ----------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Tensor:
        return _operator(ops.add, self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Tensor:
        return _operator(ops.sub, self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _operator(ops.rsub, self, other)

    def __mul__(self, other: Any) -> Tensor:
        return _operator(ops.mul, self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Tensor:
        return _operator(ops.div, self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.mul(ops.reciprocal(self), other)

    def __floordiv__(self, other: Any) -> Tensor:
        return _operator(ops.floor_divide, self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(other, self)

    def __mod__(self, other: Any) -> Tensor:
        return _operator(ops.remainder, self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.remainder(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _operator(ops.pow, self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.pow(other, self)

    def __matmul__(self, other: Tensor) -> Tensor:
        return ops.matmul(self, other) if isinstance(other, TensorBase) else NotImplemented

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __invert__(self) -> Tensor:
        if self.array.dtype.kind not in "biu":
            raise TypeError("~ (operator.invert) is only implemented on integer and Boolean-type tensors")
        return self.wrap(~self.array)

    def __and__(self, other: Any) -> Tensor:
        return _operator(ops.bitwise_and, self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Tensor:
        return _operator(ops.bitwise_or, self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Tensor:
        return _operator(ops.bitwise_xor, self, other)

    __rxor__ = __xor__

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return _operator(ops.eq, self, other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return _operator(ops.ne, self, other)

    def __lt__(self, other: Any) -> Tensor:
        return _operator(ops.lt, self, other)

    def __le__(self, other: Any) -> Tensor:
        return _operator(ops.le, self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _operator(ops.gt, self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _operator(ops.ge, self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return ops.index(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        ops.index_put_(self, key, value)

    __array_priority__ = 1000  # NumPy leaves `array * tensor` to the tensor


def _owner(array: np.ndarray) -> np.ndarray:
    """The array that a view shows a part of; what NumPy's `as_strided` made has it one step further away."""
    while isinstance(array.base, np.ndarray) or isinstance(getattr(array.base, "base", None), np.ndarray):
        array = array.base if isinstance(array.base, np.ndarray) else array.base.base
    return array


def _copied(array: np.ndarray, memo: dict) -> tuple[np.ndarray, VersionCounter]:
    """A copy for `copy.deepcopy`: arrays that shared memory share it again, and its version."""
    low, high = np.lib.array_utils.byte_bounds(_owner(array))
    memory, counter = memo.setdefault((low, high), (np.empty(high - low, np.uint8), VersionCounter()))
    offset = array.__array_interface__["data"][0] - low if array.size else 0
    new = np.ndarray(array.shape, array.dtype, memory, offset, array.strides)
    new[...] = array
    return new, counter


def _operator(function: Callable, a: Tensor, b: Any) -> Any:
    """An operator with something that is neither tensor nor number: Python asks the other side."""
    if isinstance(b, np.ndarray):
        b = a.wrap(b)
    if not isinstance(b, (TensorBase, *ops._common.Number)):
        return NotImplemented
    return function(a, b)


TensorBase._python_class = Tensor
