"""`Tensor`: an array with a place in the graph. Its data, its gradient, its hooks, and all its methods.

What a method computes stands above this file, in `minicnn/ops`; how gradients travel, in `minicnn/autograd`.
"""

from __future__ import annotations

import copy
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import random as _random
from minicnn._printing import tensor_repr
from minicnn._types import (
    Size,
    bool_,
    check_device,
    device,
    dtype,
    float16,
    float32,
    float64,
    int32,
    int64,
    short_name,
    uint8,
)
from minicnn.autograd import grad_mode, inplace
from minicnn.autograd.handles import RemovableHandle, warn_if_has_hooks
from minicnn.autograd.node import AccumulateGrad, Node, shared

# Imports go one way, and operations are made of tensors: so these two enter themselves here when they are imported.
ops: Any = None  # `minicnn.ops`
engine: Any = None  # `minicnn.autograd.engine`

Dims = int | Sequence[int] | None
Number = (bool, int, float, complex, np.number, np.bool_)


class VersionCounter:
    """Counts the writes to a piece of memory. A tensor and its views share one."""

    __slots__ = ("value", "writer")
    inference = False

    def __init__(self) -> None:
        self.value = 0
        self.writer: str | None = None  # the last operation that wrote as a part of the graph, for error texts


class _InferenceCounter(VersionCounter):
    """Of a tensor made under `inference_mode`: nothing may rely on it."""

    __slots__ = ()
    inference = True


class Tensor:
    """An n-dimensional array with a place in the graph of computations.

    `Tensor([[1, 2]])` holds these numbers as float32, `Tensor(2, 3)` has this shape and undefined content: prefer
    `minicnn.tensor` and `minicnn.empty`. `array` is the NumPy array behind it.
    """

    array: np.ndarray
    _version_counter: VersionCounter

    _requires_grad = False
    _grad: Tensor | None = None
    _grad_fn: Node | None = None
    _output_nr = 0
    _accumulator: weakref.ref | None = None
    _backward_hooks: OrderedDict | None = None
    _post_accumulate_grad_hooks: OrderedDict | None = None
    _retained_by: Node | None = None
    # of a view that can be differentiated: the tensor whose memory it shows, and the version that `_grad_fn` belongs to
    _base: Tensor | None = None
    _view_version = 0
    _view_origin: str | None = (
        None  # "custom", "multi", "no_grad", "inference_mode": why it must not be written in place
    )

    def __new__(cls, *data: Any) -> Tensor:
        if len(data) == 1 and isinstance(data[0], Tensor):
            array = data[0].array
        elif len(data) == 1 and not isinstance(data[0], (int, Size)):
            array = np.array(data[0], np.float32)
        else:
            array = np.empty(_numbers(data), np.float32)
        tensor = super().__new__(cls)
        tensor.array, tensor._version_counter = array, VersionCounter()
        return tensor

    @staticmethod
    def wrap(array: np.ndarray) -> Tensor:
        """A new tensor over this array, without copying. It does not require grad."""
        tensor = object.__new__(Tensor)
        tensor.array = array if isinstance(array, np.ndarray) else np.asarray(array)
        if grad_mode.inference_blocks and grad_mode.mode.inference:
            tensor._version_counter = _InferenceCounter()
        else:
            tensor._version_counter = VersionCounter()
        return tensor

    def alias(self) -> Tensor:
        """A tensor that shares memory and version, outside of the graph: what `detach()` returns."""
        tensor = self.wrap(self.array)
        tensor._version_counter = self._version_counter
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

    # --- place in the graph -------------------------------------------------------------------------------------------

    @property
    def grad_fn(self) -> Node | None:
        """The node that made this tensor; None for a leaf. That of a view follows writes to its base."""
        base = self._base
        if (
            base is not None
            and self._view_version != self._version_counter.value
            and (self._grad_fn is not None or base.requires_grad)
        ):
            if self._view_origin is not None:
                inplace.refuse(self, "its base or another view of its base has been")
            with shared:
                if self._view_version != self._version_counter.value:
                    inplace.refresh_view(self)
        return self._grad_fn

    @property
    def is_leaf(self) -> bool:
        return self.grad_fn is None

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient may be wanted. A view asks its base, even one made under `no_grad` (as in PyTorch)."""
        if self._requires_grad or self._grad_fn is not None:
            return True
        return self._base is not None and self._base.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError("requires_grad must be a bool")
        if not value and not self.is_leaf:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if value and self._version_counter.inference and not grad_mode.mode.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        if value and self.array.dtype.kind not in "fc":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if self._grad_fn is None:
            self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        self.requires_grad = requires_grad
        return self

    def gradient_edge(self) -> tuple[Node | None, int]:
        """(node, input number) that this tensor's gradient goes to; (None, 0) if it needs none."""
        node = self.grad_fn
        if node is not None:
            return node, self._output_nr
        if not self._requires_grad:
            return None, 0
        accumulator = self._accumulator() if self._accumulator is not None else None
        return accumulator or self._new_accumulator(), 0

    def _new_accumulator(self) -> AccumulateGrad:
        with shared:  # two threads that use a parameter at the same time must get the same node
            accumulator = self._accumulator() if self._accumulator is not None else None
            if accumulator is None:
                accumulator = AccumulateGrad(self)
                self._accumulator = weakref.ref(accumulator)
            return accumulator

    @property
    def output_nr(self) -> int:
        return self._output_nr

    @property
    def _version(self) -> int:
        if self._version_counter.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return self._version_counter.value

    def is_inference(self) -> bool:
        """Whether it was made under `inference_mode`: it can then not be written, nor kept for a backward pass, outside."""
        return self._version_counter.inference

    def _is_view(self) -> bool:
        return self._base is not None

    # --- gradient -----------------------------------------------------------------------------------------------------

    @property
    def grad(self) -> Tensor | None:
        """The gradient added up so far, of this tensor's shape; None before the first backward pass."""
        if self._grad is None and self._grad_fn is not None and not self.retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't "
                "be populated during autograd.backward(). If you indeed want the .grad field to be populated for a "
                "non-leaf Tensor, use .retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by "
                "mistake, make sure you access the leaf Tensor instead. See github.com/pytorch/pytorch/pull/30531 for "
                "more information.",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                kind = type(value).__name__
                raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {kind}")
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value.array.dtype != self.array.dtype:
                ours, theirs = dtype.of(self.array.dtype), dtype.of(value.array.dtype)
                raise RuntimeError(
                    f"attempting to assign a gradient with dtype '{short_name(theirs).lower()}' to a tensor with grad_dtype "
                    f"'{short_name(ours)}'. The gradient must match the tensor's grad_dtype (defaults to the tensor's "
                    "dtype). You can set the tensor's grad_dtype attribute with a specific dtype, or None to allow any dtype. "
                    "Set grad_dtype with caution. Diverging the dtypes of a tensor and its gradient may break downstream "
                    "systems that assume they match."
                )
            if value.array.shape != self.array.shape:
                raise RuntimeError(
                    f"attempting to assign a gradient of size '{list(value.array.shape)}' to a tensor of size "
                    f"'{list(self.array.shape)}'. Please ensure that the gradient and the tensor are the same size"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def retains_grad(self) -> bool:
        return self._retained_by is not None

    def retain_grad(self) -> None:
        """Lets the backward pass store the gradient of this tensor in `.grad`, although it is not a leaf."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        node = self.grad_fn
        if node is None or self._retained_by is not None:
            return
        if node._retains_grad is None:
            node._retains_grad = {}
        node._retains_grad[self._output_nr] = weakref.ref(self)
        self._retained_by = node

    def register_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(grad)` when this tensor's total gradient is known; a tensor that it returns takes its place."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._backward_hooks is None:
            node = self.grad_fn  # of a view whose base was written it is made anew, without the hooks of the old one
            self._backward_hooks = OrderedDict()
            if node is not None:
                node.add_tensor_hooks(self._backward_hooks, self._output_nr)
        handle = RemovableHandle(self._backward_hooks)
        self._backward_hooks[handle.id] = hook
        return handle

    def register_post_accumulate_grad_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(tensor)` when a backward pass has just added to this leaf's `.grad`."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self._post_accumulate_grad_hooks is None:
            self._post_accumulate_grad_hooks = OrderedDict()
        handle = RemovableHandle(self._post_accumulate_grad_hooks)
        self._post_accumulate_grad_hooks[handle.id] = hook
        return handle

    # --- the backward pass, and copies of a leaf -------------------------------------------------------------------------

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
        new = type(self).__new__(type(self)) if type(self) is Tensor else object.__new__(type(self))
        new.array, new._version_counter = _copied(self.array, memo)
        new._requires_grad = self._requires_grad
        memo[id(self)] = new
        if self._grad is not None:
            new._grad = copy.deepcopy(self._grad, memo)
        own = {name: value for name, value in self.__dict__.items() if name not in new.__dict__ and name[0] != "_"}
        new.__dict__.update(copy.deepcopy(own, memo))
        return new

    # --- memory -------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        return Size(self.array.shape)

    @property
    def dtype(self) -> dtype:
        return dtype.of(self.array.dtype)

    @property
    def ndim(self) -> int:
        return self.array.ndim

    def detach(self) -> Tensor:
        """The same memory outside of the graph: writes to one are seen by the other, and counted."""
        return self.alias()

    def detach_(self) -> Tensor:
        if self._base is not None:
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
                "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence detach_() "
                "cannot be called on these gradients. To fix this error, please refer to the Optimizer.zero_grad() function in "
                "torch/optim/optimizer.py as the solution."
            )
        if self._grad_fn is not None:
            self._grad_fn._detached = (*self._grad_fn._detached, self._output_nr)
        self._grad_fn, self._output_nr, self._requires_grad = None, 0, False
        return self

    @property
    def data(self) -> Tensor:
        """The same memory with a version counter of its own: autograd does not see writes through it."""
        tensor = self.alias()
        if not self._version_counter.inference:
            tensor._version_counter = VersionCounter()
        return tensor

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self.requires_grad and value.array.dtype.kind not in "fc":
            raise RuntimeError("data set to a tensor that requires gradients must be floating point or complex dtype")
        if value.array.shape != self.array.shape or value.array.dtype != self.array.dtype:
            self._accumulator = None  # the next graph gets a node of the new shape and type
        self.array = value.array

    def __reduce_ex__(self, protocol: int) -> Any:
        state = {name: value for name, value in self.__dict__.items() if not name.startswith("_")}
        state.pop("array")
        warn_if_has_hooks(self)
        return _rebuild, (type(self), self.array, self.requires_grad, state)

    # --- type and place -----------------------------------------------------------------------------------------------

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """In another type: `x.to(minicnn.float64)`, `x.to(other)`; the only device is the CPU."""
        kind, force = kwargs.get("dtype"), kwargs.get("copy", False)
        check_device(kwargs.get("device"))
        for arg in args:
            if isinstance(arg, dtype):
                kind = arg
            elif isinstance(arg, Tensor):
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
        return ops.matmul(self, other) if isinstance(other, Tensor) else NotImplemented

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

    # --- functions of `ops` under their own names -----------------------------------------------------------------------

    def add(self, other: Any, *, alpha: Any = 1) -> Tensor:
        return ops.add(self, other, alpha=alpha)

    def sub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        return ops.sub(self, other, alpha=alpha)

    def mul(self, other: Any) -> Tensor:
        return ops.mul(self, other)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return ops.div(self, other, rounding_mode=rounding_mode)

    def floor_divide(self, other: Any) -> Tensor:
        return ops.floor_divide(self, other)

    def remainder(self, other: Any) -> Tensor:
        return ops.remainder(self, other)

    def reciprocal(self) -> Tensor:
        return ops.reciprocal(self)

    def neg(self) -> Tensor:
        return ops.neg(self)

    def pow(self, exponent: Any) -> Tensor:
        return ops.pow(self, exponent)

    def square(self) -> Tensor:
        return ops.square(self)

    def maximum(self, other: Tensor) -> Tensor:
        return ops.maximum(self, other)

    def minimum(self, other: Tensor) -> Tensor:
        return ops.minimum(self, other)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        return ops.masked_fill(self, mask, value)

    def lerp(self, end: Tensor, weight: float) -> Tensor:
        return ops.lerp(self, end, weight)

    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        return ops.addcmul(self, tensor1, tensor2, value=value)

    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        return ops.addcdiv(self, tensor1, tensor2, value=value)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        return ops.clamp(self, min, max)

    def clamp_min(self, min: Any) -> Tensor:
        return ops.clamp_min(self, min)

    def clamp_max(self, max: Any) -> Tensor:
        return ops.clamp_max(self, max)

    def exp(self) -> Tensor:
        return ops.exp(self)

    def log(self) -> Tensor:
        return ops.log(self)

    def log2(self) -> Tensor:
        return ops.log2(self)

    def log1p(self) -> Tensor:
        return ops.log1p(self)

    def sqrt(self) -> Tensor:
        return ops.sqrt(self)

    def rsqrt(self) -> Tensor:
        return ops.rsqrt(self)

    def sin(self) -> Tensor:
        return ops.sin(self)

    def cos(self) -> Tensor:
        return ops.cos(self)

    def tan(self) -> Tensor:
        return ops.tan(self)

    def abs(self) -> Tensor:
        return ops.abs(self)

    def sign(self) -> Tensor:
        return ops.sign(self)

    def round(self) -> Tensor:
        return ops.round(self)

    def floor(self) -> Tensor:
        return ops.floor(self)

    def ceil(self) -> Tensor:
        return ops.ceil(self)

    def eq(self, other: Any) -> Tensor:
        return ops.eq(self, other)

    def ne(self, other: Any) -> Tensor:
        return ops.ne(self, other)

    def lt(self, other: Any) -> Tensor:
        return ops.lt(self, other)

    def le(self, other: Any) -> Tensor:
        return ops.le(self, other)

    def gt(self, other: Any) -> Tensor:
        return ops.gt(self, other)

    def ge(self, other: Any) -> Tensor:
        return ops.ge(self, other)

    def isnan(self) -> Tensor:
        return ops.isnan(self)

    def isinf(self) -> Tensor:
        return ops.isinf(self)

    def isfinite(self) -> Tensor:
        return ops.isfinite(self)

    def equal(self, other: Tensor) -> bool:
        return ops.equal(self, other)

    def allclose(self, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
        return ops.allclose(self, other, rtol, atol, equal_nan)

    def isclose(self, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
        return ops.isclose(self, other, rtol, atol, equal_nan)

    def logical_and(self, other: Tensor) -> Tensor:
        return ops.logical_and(self, other)

    def logical_or(self, other: Tensor) -> Tensor:
        return ops.logical_or(self, other)

    def logical_not(self) -> Tensor:
        return ops.logical_not(self)

    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.sum(self, dim, keepdim, dtype=dtype)

    def nansum(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return ops.nansum(self, dim, keepdim)

    def mean(self, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.mean(self, dim, keepdim, dtype=dtype)

    def prod(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.prod(self, dim, keepdim)

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        return ops.max(self, dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        return ops.min(self, dim, keepdim)

    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        return ops.median(self, dim, keepdim)

    def amax(self, dim: Dims = (), keepdim: bool = False) -> Tensor:
        return ops.amax(self, dim, keepdim)

    def amin(self, dim: Dims = (), keepdim: bool = False) -> Tensor:
        return ops.amin(self, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.argmax(self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.argmin(self, dim, keepdim)

    def var(
        self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
    ) -> Tensor:
        return ops.var(self, dim, unbiased, keepdim, correction=correction)

    def std(
        self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
    ) -> Tensor:
        return ops.std(self, dim, unbiased, keepdim, correction=correction)

    def norm(self, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
        return ops.norm(self, p, dim, keepdim, dtype)

    def logsumexp(self, dim: Dims, keepdim: bool = False) -> Tensor:
        return ops.logsumexp(self, dim, keepdim)

    def cumsum(self, dim: int) -> Tensor:
        return ops.cumsum(self, dim)

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
        return ops.sort(self, dim, descending, stable)

    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
        return ops.argsort(self, dim, descending, stable)

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
        return ops.topk(self, k, dim, largest, sorted)

    def any(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return ops.any(self, dim, keepdim)

    def all(self, dim: Dims = None, keepdim: bool = False) -> Tensor:
        return ops.all(self, dim, keepdim)

    def count_nonzero(self, dim: Dims = None) -> Tensor:
        return ops.count_nonzero(self, dim)

    def unique(self) -> Tensor:
        return ops.unique(self)

    def bincount(self, minlength: int = 0) -> Tensor:
        return ops.bincount(self, minlength)

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
        return ops.histc(self, bins, min, max)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return ops.flatten(self, start_dim, end_dim)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Tensor:
        return ops.unflatten(self, dim, sizes)

    def movedim(self, source: int, destination: int) -> Tensor:
        return ops.movedim(self, source, destination)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return ops.transpose(self, dim0, dim1)

    swapaxes = swapdims = transpose

    def t(self) -> Tensor:
        return ops.t(self)

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Tensor:
        return ops.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return ops.unsqueeze(self, dim)

    def select(self, dim: int, index: int) -> Tensor:
        return ops.select(self, dim, index)

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        return ops.narrow(self, dim, start, length)

    def split(self, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        return ops.split(self, split_size_or_sections, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.chunk(self, chunks, dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.unbind(self, dim)

    def unfold(self, dimension: int, size: int, step: int) -> Tensor:
        return ops.unfold(self, dimension, size, step)

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
        return ops.roll(self, shifts, dims)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
        return ops.rot90(self, k, dims)

    def tril(self, diagonal: int = 0) -> Tensor:
        return ops.tril(self, diagonal)

    def triu(self, diagonal: int = 0) -> Tensor:
        return ops.triu(self, diagonal)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        return ops.index_select(self, dim, index)

    def gather(self, dim: int, index: Tensor) -> Tensor:
        return ops.gather(self, dim, index)

    def mm(self, mat2: Tensor) -> Tensor:
        return ops.mm(self, mat2)

    def bmm(self, mat2: Tensor) -> Tensor:
        return ops.bmm(self, mat2)

    def matmul(self, other: Tensor) -> Tensor:
        return ops.matmul(self, other)

    def relu(self) -> Tensor:
        return ops.relu(self)

    def prelu(self, weight: Tensor) -> Tensor:
        return ops.prelu(self, weight)

    def sigmoid(self) -> Tensor:
        return ops.sigmoid(self)

    def tanh(self) -> Tensor:
        return ops.tanh(self)

    def erf(self) -> Tensor:
        return ops.erf(self)

    def atan(self) -> Tensor:
        return ops.atan(self)

    def absolute(self) -> Tensor:
        return ops.abs(self)

    def view(self, *shape: Any) -> Tensor:
        """The same memory in another shape."""
        return ops.view(self, _numbers(shape))

    def reshape(self, *shape: int) -> Tensor:
        """Another shape: a view where that is possible, else a copy."""
        return ops.reshape(self, _numbers(shape))

    def view_as(self, other: Tensor) -> Tensor:
        return ops.view(self, other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        return ops.reshape(self, other.shape)

    def permute(self, *dims: int) -> Tensor:
        return ops.permute(self, _numbers(dims))

    def expand(self, *shape: int) -> Tensor:
        return ops.expand(self, _numbers(shape))

    def expand_as(self, other: Tensor) -> Tensor:
        return ops.expand(self, other.shape)

    def repeat(self, *repeats: int) -> Tensor:
        return ops.repeat(self, _numbers(repeats))

    def flip(self, *dims: int) -> Tensor:
        return ops.flip(self, _numbers(dims))

    def contiguous(self, memory_format: Any = None) -> Tensor:
        """The tensor itself if its elements lie one after the other, else such a copy."""
        return ops.contiguous(self)

    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy that is part of the graph."""
        return ops.clone(self)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        return ops.where(condition, self, other)

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """The indices of the elements that are not 0: (count, ndim), or one tensor for each dimension."""
        return ops.nonzero(self, as_tuple=as_tuple)

    def masked_select(self, mask: Tensor) -> Tensor:
        return ops.masked_select(self, mask)

    def scatter(self, dim: int, index: Tensor, src: Any) -> Tensor:
        return ops.scatter(self, dim, index, src)

    def mv(self, vec: Tensor) -> Tensor:
        return ops.mv(self, vec)

    def dot(self, other: Tensor) -> Tensor:
        return ops.dot(self, other)

    def outer(self, vec2: Tensor) -> Tensor:
        return ops.outer(self, vec2)

    def log10(self) -> Tensor:
        return ops.log10(self)

    def expm1(self) -> Tensor:
        return ops.expm1(self)

    def tile(self, *dims: int) -> Tensor:
        return ops.tile(self, _numbers(dims))

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        return ops.broadcast_to(self, shape)

    def softmax(self, dim: int, dtype: dtype | None = None) -> Tensor:
        return ops.softmax(self if dtype is None else self.to(dtype), dim)

    def log_softmax(self, dim: int, dtype: dtype | None = None) -> Tensor:
        return ops.log_softmax(self if dtype is None else self.to(dtype), dim)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return ops.clamp(self, min, max)

    def multinomial(self, num_samples: int, replacement: bool = False) -> Tensor:
        """Indices drawn with probabilities proportional to this vector."""
        p = self.array.astype(np.float64)
        return self.wrap(_random.generator().choice(len(p), num_samples, replacement, p / p.sum()))

    def bernoulli(self) -> Tensor:
        """1 with the probability that each element gives, else 0."""
        drawn = _random.generator().random(self.array.shape) < self.array
        return self.wrap(drawn.astype(self.array.dtype))

    # --- in place -------------------------------------------------------------------------------------------------------
    #
    # Each computes its operation and assigns the result, which counts as one write. RuntimeError for a leaf that requires
    # grad, for a view that must not be written, and for a result of another shape or of a type that does not fit.

    def _inplace(self, function: Callable, *args: Any, **kwargs: Any) -> Tensor:
        inplace.check(self)
        return inplace.assign(self, function(inplace.before_write(self), *args, **kwargs))

    def _reseat(self, function: Callable, *args: Any) -> Tensor:
        """Another shape for this very tensor: `unsqueeze_`, `squeeze_`, `t_` ..."""
        inplace.check(self)
        return inplace.reseat(self, function(self, *args))

    def exp_(self) -> Tensor:
        return self._inplace(ops.exp)

    def log_(self) -> Tensor:
        return self._inplace(ops.log)

    def sqrt_(self) -> Tensor:
        return self._inplace(ops.sqrt)

    def rsqrt_(self) -> Tensor:
        return self._inplace(ops.rsqrt)

    def abs_(self) -> Tensor:
        return self._inplace(ops.abs)

    def neg_(self) -> Tensor:
        return self._inplace(ops.neg)

    def sign_(self) -> Tensor:
        return self._inplace(ops.sign)

    def sin_(self) -> Tensor:
        return self._inplace(ops.sin)

    def cos_(self) -> Tensor:
        return self._inplace(ops.cos)

    def tan_(self) -> Tensor:
        return self._inplace(ops.tan)

    def atan_(self) -> Tensor:
        return self._inplace(ops.atan)

    def reciprocal_(self) -> Tensor:
        return self._inplace(ops.reciprocal)

    def round_(self) -> Tensor:
        return self._inplace(ops.round)

    def floor_(self) -> Tensor:
        return self._inplace(ops.floor)

    def ceil_(self) -> Tensor:
        return self._inplace(ops.ceil)

    def square_(self) -> Tensor:
        return self._inplace(ops.square)

    def relu_(self) -> Tensor:
        return ops.relu(self, inplace=True)

    def sigmoid_(self) -> Tensor:
        return self._inplace(ops.sigmoid)

    def tanh_(self) -> Tensor:
        return self._inplace(ops.tanh)

    def add_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        return self._inplace(ops.add, other, alpha=alpha)

    def sub_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        return self._inplace(ops.sub, other, alpha=alpha)

    def mul_(self, other: Any) -> Tensor:
        return self._inplace(ops.mul, other)

    def div_(self, other: Any) -> Tensor:
        return self._inplace(ops.div, other)

    def pow_(self, exponent: Any) -> Tensor:
        return self._inplace(ops.pow, exponent)

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        return self._inplace(ops.clamp, min, max)

    def clamp_min_(self, min: Any) -> Tensor:
        return self._inplace(ops.clamp_min, min)

    def clamp_max_(self, max: Any) -> Tensor:
        return self._inplace(ops.clamp_max, max)

    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        return self._inplace(ops.masked_fill, mask, value)

    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
        return self._inplace(ops.addcmul, tensor1, tensor2, value=value)

    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
        return self._inplace(ops.addcdiv, tensor1, tensor2, value=value)

    def lerp_(self, end: Any, weight: float) -> Tensor:
        return self._inplace(ops.lerp, end, weight)

    def cumsum_(self, dim: int) -> Tensor:
        return self._inplace(ops.cumsum, dim)

    def __iadd__(self, other: Any) -> Tensor:
        return self.add_(other)

    def __isub__(self, other: Any) -> Tensor:
        return self.sub_(other)

    def __imul__(self, other: Any) -> Tensor:
        return self.mul_(other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self.div_(other)

    def __ipow__(self, other: Any) -> Tensor:
        return self.pow_(other)

    def copy_(self, src: Any, non_blocking: bool = False) -> Tensor:
        """The values of `src`, broadcast and converted to this tensor's shape and type."""
        return self._inplace(ops.copying.Copy.apply, src)

    def fill_(self, value: Any) -> Tensor:
        """One number everywhere, or that of a 0-d tensor."""
        from_tensor = isinstance(value, Tensor)
        if from_tensor and value.array.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions."
            )
        inplace.check(self)
        fill = ops.copying.FillTensor if from_tensor else ops.copying.Fill
        return inplace.assign(self, fill.apply(self, value), constant=True)

    def zero_(self) -> Tensor:
        inplace.check(self)
        return inplace.assign(self, ops.copying.Zero.apply(self, 0), constant=True)

    def index_put_(self, indices: tuple, values: Any, accumulate: bool = False) -> Tensor:
        """self[indices] = values, or +=; None stands for all of a dimension."""
        key = tuple(slice(None) if index is None else index for index in indices)
        return ops.index_put_(self, key, values, accumulate)

    def scatter_(self, dim: int, index: Any, src: Any) -> Tensor:
        """self[index[i][j]][j] = src[i][j] for dim 0, and so on; `src` a tensor of index's shape or a number."""
        return self._inplace(ops.scatter, dim, index, src)

    def normal_(self, mean: float = 0, std: float = 1, *, generator: Any = None) -> Tensor:
        rng = _random.generator(generator)
        return self._random(rng.standard_normal(self.array.shape, _drawn(self.array.dtype)) * std + mean)

    def uniform_(self, a: float = 0, b: float = 1, *, generator: Any = None) -> Tensor:
        rng = _random.generator(generator)
        return self._random(rng.random(self.array.shape, _drawn(self.array.dtype)) * (b - a) + a)

    def bernoulli_(self, p: float = 0.5, *, generator: Any = None) -> Tensor:
        return self._random(_random.generator(generator).random(self.array.shape) < p)

    def random_(self, low: int = 0, high: int | None = None, *, generator: Any = None) -> Tensor:
        if high is None:
            low, high = 0, low or 2**24
        return self._random(_random.generator(generator).integers(low, high, self.array.shape))

    def _random(self, values: np.ndarray) -> Tensor:
        inplace.check(self)
        with grad_mode.no_grad():
            return self._inplace(ops.copying.Copy.apply, self.wrap(np.asarray(values)))

    def unsqueeze_(self, dim: int) -> Tensor:
        return self._reseat(ops.unsqueeze, dim)

    def squeeze_(self, dim: Any = None) -> Tensor:
        return self._reseat(ops.squeeze, dim)

    def transpose_(self, dim0: int, dim1: int) -> Tensor:
        return self._reseat(ops.transpose, dim0, dim1)

    swapaxes_ = swapdims_ = transpose_

    def t_(self) -> Tensor:
        return self._reseat(ops.t)


def _numbers(args: tuple) -> tuple:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


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
    if not isinstance(b, (Tensor, *Number)):
        return NotImplemented
    return function(a, b)


def _drawn(kind: np.dtype) -> Any:
    return np.float64 if kind == np.float64 else np.float32


def _rebuild(cls: type[Tensor], array: np.ndarray, requires_grad: bool, state: dict) -> Tensor:
    tensor = cls.__new__(cls)
    tensor.array, tensor._version_counter = array, VersionCounter()
    tensor._requires_grad = requires_grad
    tensor._backward_hooks = OrderedDict()  # as PyTorch leaves it: no hook is pickled
    tensor.__dict__.update(state)
    return tensor
