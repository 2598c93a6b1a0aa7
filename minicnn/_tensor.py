"""`Tensor`: an array with a place in the graph. Its data, its gradient, its hooks, and all its methods.

What a method computes stands above this file, in `minicnn/ops`; how gradients travel, in `minicnn/autograd`.
"""

from __future__ import annotations

import copy
import operator
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import _memory
from minicnn import random as _random
from minicnn._mirror import since
from minicnn._printing import tensor_repr
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
    int32,
    int64,
    memory_format,
    preserve_format,
    short_name,
    uint8,
)
from minicnn._warnings import warn_once, warn_user
from minicnn.autograd import creation, grad_mode, inplace
from minicnn.autograd.handles import RemovableHandle, warn_if_has_hooks
from minicnn.autograd.node import AccumulateGrad, Node, SavedTensor, shared, type_name
from minicnn.storage import TypedStorage, UntypedStorage

# Imports go one way, and operations are made of tensors: so these two enter themselves here when they are imported.
ops: Any = None  # `minicnn.ops`
engine: Any = None  # `minicnn.autograd.engine`

# In the class `int`, `dtype` ... are methods and properties: its annotations take the types under these names.
_bool = bool
_device = device
_dtype = dtype
_float = float
_int = int

_OUT_OF_THE_GRAPH = (
    "Converting a tensor with requires_grad=True to a scalar may lead to unexpected behavior.\n"
    "Consider using tensor.detach() first."
)

COPIED = (
    "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
    "sourceTensor.detach().clone().requires_grad_(True), rather than {}(sourceTensor)."
)

Dims = int | Sequence[int] | None
Number = (bool, int, float, complex, np.number, np.bool_)


class VersionCounter:
    """Counts the writes to a piece of memory. A tensor and its views share one."""

    inference = False
    value = 0
    writer: str | None = None  # the last operation that wrote as a part of the graph, for error texts


class _InferenceCounter(VersionCounter):
    """Of a tensor made under `inference_mode`: nothing may rely on it."""

    inference = True


def _new_counter() -> VersionCounter:
    return _InferenceCounter() if grad_mode.mode.inference else VersionCounter()


class Tensor:
    """An n-dimensional array with a place in the graph of computations.

    `Tensor([[1, 2]])` holds these numbers in the default type, `Tensor(2, 3)` has this shape and undefined content: prefer
    `minicnn.tensor` and `minicnn.empty`. `array` is the NumPy array behind it.
    """

    __module__ = "minicnn"  # where people import it from, as the other names of the front door
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

    def __new__(cls, *data: Any, device: Any = None) -> Tensor:
        made = ops.creation.legacy(data, device, None)
        if cls is Tensor:
            return made
        tensor = super().__new__(cls)
        tensor.__dict__.update(made.__dict__)
        return tensor

    @staticmethod
    def wrap(array: np.ndarray) -> Tensor:
        """A new tensor over this array, without copying. It does not require grad."""
        tensor = object.__new__(Tensor)
        tensor.array = array if isinstance(array, np.ndarray) else np.asarray(array)
        tensor._version_counter = _new_counter() if grad_mode.inference_blocks else VersionCounter()
        return tensor

    def alias(self) -> Tensor:
        """A tensor that shares memory and version, outside of the graph: what `detach()` returns."""
        tensor = self.wrap(self.array)
        tensor._version_counter = self._version_counter
        return tensor

    def as_subclass(self, cls: type[Tensor]) -> Any:
        """A view of all of it, of a class that is derived from Tensor. What operations make of it is a Tensor again, since
        `__torch_function__` is not asked."""
        if not (isinstance(cls, type) and issubclass(cls, Tensor)):
            raise TypeError(
                "Creating a Tensor subclass from a class that does not inherit from Tensor is not possible. Make sure your class "
                "inherits from Tensor."
            )
        view = ops.view(self, tuple(self.shape))
        view.__class__ = cls
        return view

    # --- looking ----------------------------------------------------------------------------------------------------

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return tensor_repr(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.array.ndim == 0 else object.__format__(self, spec)

    def __len__(self) -> _int:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(ops.unbind(self))

    def __contains__(self, element: Any) -> _bool:
        return bool((self == element).array.any())

    def __hash__(self) -> _int:
        return id(self)

    def __bool__(self) -> _bool:
        if self.array.size > 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        if self.array.size == 0:
            raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
        return bool(self.array.reshape(()))

    def _only(self) -> Any:
        if self.array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self.array.reshape(())

    def _scalar(self) -> Any:
        if self.requires_grad and grad_mode.mode.enabled and since(2, 8):
            warn_once(_OUT_OF_THE_GRAPH)
        return self._only()

    def __float__(self) -> _float:
        return float(_real(self._scalar(), "double"))

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __int__(self) -> _int:
        return int(_real(self._only(), "int64_t"))

    def __index__(self) -> _int:
        if self.array.size != 1 or self.array.dtype.kind not in "biu":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self._only())

    def __array__(self, dtype: Any = None, copy: _bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype, copy=copy)

    def item(self) -> _int | _float | _bool | complex:
        """The one number in this tensor. RuntimeError if there are more."""
        if self.array.size != 1:
            raise RuntimeError(f"a Tensor with {self.array.size} elements cannot be converted to Scalar")
        return self.array.item()

    def tolist(self) -> Any:
        """The numbers as nested lists; one number for a 0-d tensor."""
        return self.array.tolist()

    def numpy(self, *, force: _bool = False) -> np.ndarray:
        """The array behind the tensor: shared memory. RuntimeError if it requires grad, unless under `no_grad`."""
        if grad_mode.mode.enabled and self.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self.array

    def size(self, dim: _int | None = None) -> Size | _int:
        """The shape, or the length of dimension `dim`. IndexError if there is no such dimension."""
        return self.shape if dim is None else self.shape[ops._common.wrap_dim(dim, self.array.ndim)]

    def dim(self) -> _int:
        """The number of dimensions."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> _int:
        """The number of elements."""
        return self.array.size

    nelement = numel

    def stride(self, dim: _int | None = None) -> tuple[_int, ...] | _int:
        """How many elements apart neighbours along each dimension lie in memory, or along `dim`."""
        strides = _memory.strides_of(self.array)
        return strides if dim is None else strides[ops._common.wrap_dim(dim, self.array.ndim)]

    def storage_offset(self) -> _int:
        """How many elements lie in the memory before the first one."""
        return (self.data_ptr() - _owner(self.array).__array_interface__["data"][0]) // self.array.itemsize

    def data_ptr(self) -> _int:
        """The address of the first element."""
        return self.array.__array_interface__["data"][0]

    def storage(self) -> TypedStorage:
        """The memory that it lies in, which views of it share, counted in elements."""
        return TypedStorage(_owner(self.array), self.dtype)

    def untyped_storage(self) -> UntypedStorage:
        """The memory that it lies in, which views of it share, counted in bytes."""
        return UntypedStorage(_owner(self.array))

    def element_size(self) -> _int:
        """Bytes of one element."""
        return self.array.itemsize

    @property
    def nbytes(self) -> _int:
        """Bytes of all elements."""
        return self.array.nbytes

    @property
    def itemsize(self) -> _int:
        """Bytes of one element."""
        return self.array.itemsize

    def is_contiguous(self, *, memory_format: memory_format = contiguous_format) -> _bool:
        """Whether the elements lie one after the other, the last dimension's closest together; or in another format."""
        _memory.need_format(memory_format, "is_contiguous")
        return _memory.lies_in(self.array, memory_format)

    def is_floating_point(self) -> _bool:
        """Whether the element type is a floating-point one."""
        return self.dtype.is_floating_point

    def is_complex(self) -> _bool:
        """Whether the element type is a complex one."""
        return self.dtype.is_complex

    @property
    def device(self) -> _device:
        """Where the memory is: always the CPU."""
        return device("cpu")

    is_cpu = True
    # Where a tensor of minicnn never is, and what it never is; scripts ask.
    is_cuda = is_ipu = is_maia = is_meta = is_mkldnn = is_mps = is_mtia = is_vulkan = is_xla = is_xpu = False
    is_nested = is_quantized = is_sparse = is_sparse_csr = False

    def get_device(self) -> _int:
        """-1, which stands for the CPU."""
        return -1

    def is_signed(self) -> _bool:
        """Whether the element type has negative numbers."""
        return self.dtype.is_signed

    def is_pinned(self) -> _bool:
        """False: there is no GPU to copy to."""
        return False

    def pin_memory(self) -> Tensor:
        """RuntimeError: there is no GPU to copy to."""
        raise RuntimeError("Cannot access accelerator device when none is available.")

    def is_shared(self) -> _bool:
        """False: no other process sees it."""
        return False

    @property
    def T(self) -> Tensor:
        """The dimensions in reverse order; a view."""
        return ops.permute(self, tuple(reversed(range(self.array.ndim))))

    @property
    def mT(self) -> Tensor:
        """The last two dimensions exchanged, (..., n, m) -> (..., m, n); a view."""
        return ops.transpose(self, -2, -1)

    # --- place in the graph -------------------------------------------------------------------------------------------

    @property
    def grad_fn(self) -> Node | None:
        """The node that made this tensor; None for a leaf. That of a view follows writes to its base."""
        base = self._base
        if base is not None and self._view_version != self._version_counter.value:
            self._follow(base)
        return self._grad_fn

    def _follow(self, base: Tensor) -> None:
        """Bring the node of a view up to date with what has been written to its base, if that is a part of a graph."""
        if self._grad_fn is None and not base.requires_grad:
            return
        if self._view_origin is not None:
            inplace.refuse(self, "its base or another view of its base has been")
        with shared:
            if self._view_version != self._version_counter.value:
                inplace.refresh_view(self)

    @property
    def is_leaf(self) -> _bool:
        """Whether no operation made it: what `backward` gives a `.grad`, if it requires grad."""
        return self.grad_fn is None

    @property
    def requires_grad(self) -> _bool:
        """Whether a gradient may be wanted. A view asks its base, even one made under `no_grad` (as in PyTorch)."""
        if self._requires_grad or self._grad_fn is not None:
            return True
        return self._base is not None and self._base.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: _bool) -> None:
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

    def requires_grad_(self, requires_grad: _bool = True) -> Tensor:
        """Say whether a gradient may be wanted; returns the tensor. RuntimeError for integers, and for what is no leaf."""
        self.requires_grad = requires_grad
        return self

    def gradient_edge(self) -> tuple[Node | None, _int]:
        """(node, input number) that this tensor's gradient goes to; (None, 0) if it needs none."""
        node = self.grad_fn
        if node is not None:
            return node, self._output_nr
        return (self._accumulate_grad(), 0) if self._requires_grad else (None, 0)

    def _accumulate_grad(self) -> AccumulateGrad:
        """The node that adds this leaf's gradients up: one, as long as a graph ends in it."""
        with shared:  # two threads that use a parameter at the same time must get the same node
            accumulator = self._accumulator() if self._accumulator is not None else None
            if accumulator is None:
                accumulator = AccumulateGrad(self)
                self._accumulator = weakref.ref(accumulator)
                if creation.watchers.hooks:
                    creation.announce(accumulator)
            return accumulator

    @property
    def output_nr(self) -> _int:
        """Which of its node's outputs it is."""
        return self._output_nr

    @property
    def _version(self) -> _int:
        if self._version_counter.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return self._version_counter.value

    def is_inference(self) -> _bool:
        """Whether it was made under `inference_mode`: it can then not be written, nor kept for a backward pass, outside."""
        return self._version_counter.inference

    def _is_view(self) -> _bool:
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
                kind = type_name(value)
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
    def retains_grad(self) -> _bool:
        """Whether `retain_grad` was called on a tensor that is no leaf."""
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
        retain_graph: _bool | None = None,
        create_graph: _bool = False,
        inputs: Any = None,
    ) -> None:
        """Add this tensor's gradients to the leaves it was computed from; see `minicnn.autograd.backward`."""
        engine.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

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
        """The length of each dimension."""
        return Size(self.array.shape)

    @property
    def dtype(self) -> _dtype:
        """The type of the elements."""
        return dtype.of(self.array.dtype)

    @property
    def ndim(self) -> _int:
        """The number of dimensions."""
        return self.array.ndim

    def detach(self) -> Tensor:
        """The same memory outside of the graph: writes to one are seen by the other, and counted."""
        return self.alias()

    def detach_(self) -> Tensor:
        """Leave the graph: this tensor becomes a leaf that requires no grad. RuntimeError for a view."""
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
        if value._version_counter.inference or self._version_counter.inference:
            self._version_counter = value._version_counter if value._version_counter.inference else VersionCounter()

    def __reduce_ex__(self, protocol: Any) -> Any:
        state = {name: value for name, value in self.__dict__.items() if not name.startswith("_")}
        state.pop("array")
        warn_if_has_hooks(self)
        return _rebuild, (type(self), self.array, self.requires_grad, state)

    # --- type and place -----------------------------------------------------------------------------------------------

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """In another type or order: `x.to(minicnn.float64)`, `x.to(other)`, `x.to(memory_format=minicnn.channels_last)`.

        The only device is the CPU. The tensor itself if it is as it shall be already, unless `copy=True`.
        """
        kind, format, copy = conversion_asked(*args, **kwargs)
        return ops.to_dtype(self, self.array.dtype if kind is None else kind.numpy, format, copy)

    def type(self, dtype: Any = None, non_blocking: _bool = False, *, memory_format: Any = None) -> Tensor | str:
        """The type's old name, `torch.FloatTensor`; or with a type, its class or such a name, the tensor in that type."""
        if dtype is None:
            return f"torch.{self.dtype.tensor_type}"
        kind = dtype
        if isinstance(kind, str):
            check_device("cuda" if kind.startswith("torch.cuda.") else None)
            named = {of.tensor_type: of for of in _dtype._by_numpy.values()}
            if kind.rpartition(".")[2] not in named:
                raise ValueError(f"invalid type: '{kind}'")
            kind = named[kind.rpartition(".")[2]]
        return self.to(kind if isinstance(kind, _dtype) else kind.dtype, memory_format=memory_format)

    def type_as(self, other: Tensor) -> Tensor:
        """In the type of the other tensor; itself if it has it already."""
        return ops.to_dtype(self, other.array.dtype)

    def float(self, memory_format: Any = preserve_format) -> Tensor:
        """In float32; itself if it is."""
        return self.to(float32, memory_format=memory_format)

    def double(self, memory_format: Any = preserve_format) -> Tensor:
        """In float64; itself if it is."""
        return self.to(float64, memory_format=memory_format)

    def half(self, memory_format: Any = preserve_format) -> Tensor:
        """In float16; itself if it is."""
        return self.to(float16, memory_format=memory_format)

    def int(self, memory_format: Any = preserve_format) -> Tensor:
        """In int32, cut off towards 0; itself if it is."""
        return self.to(int32, memory_format=memory_format)

    def long(self, memory_format: Any = preserve_format) -> Tensor:
        """In int64, cut off towards 0; itself if it is."""
        return self.to(int64, memory_format=memory_format)

    def byte(self, memory_format: Any = preserve_format) -> Tensor:
        """In uint8, wrapped around at 256; itself if it is."""
        return self.to(uint8, memory_format=memory_format)

    def bool(self, memory_format: Any = preserve_format) -> Tensor:
        """Which elements are not 0; itself if it is boolean."""
        return self.to(bool_, memory_format=memory_format)

    def cpu(self, memory_format: Any = preserve_format) -> Tensor:
        """Itself: it is on the CPU; or a copy in the format."""
        return self.to(memory_format=memory_format)

    def cuda(self, *args: Any, **kwargs: Any) -> Tensor:
        """RuntimeError: there is no other device than the CPU."""
        check_device("cuda")
        return self

    def new(self, *data: Any, device: Any = None) -> Tensor:
        """A tensor of this type: of these lengths with undefined content, of a sequence of numbers, or over another tensor's
        memory. An old function: prefer `new_empty` and `new_tensor`."""
        return ops.creation.legacy(data, device, self.dtype)

    def _new(self, array: np.ndarray, kind: _dtype | None, device: Any, requires_grad: _bool) -> Tensor:
        return ops.creation.finished(array, kind or self.dtype, device or self.device, requires_grad)

    def new_zeros(
        self, *size: Any, dtype: _dtype | None = None, device: Any = None, requires_grad: _bool = False
    ) -> Tensor:
        """Zeros of this shape, in this tensor's type unless `dtype` says otherwise."""
        return self._new(np.zeros(ops.creation.lengths_of(size)), dtype, device, requires_grad)

    def new_ones(
        self, *size: Any, dtype: _dtype | None = None, device: Any = None, requires_grad: _bool = False
    ) -> Tensor:
        """Ones of this shape, in this tensor's type unless `dtype` says otherwise."""
        return self._new(np.ones(ops.creation.lengths_of(size)), dtype, device, requires_grad)

    def new_full(
        self,
        size: Sequence[_int],
        fill_value: Any,
        dtype: _dtype | None = None,
        device: Any = None,
        requires_grad: _bool = False,
    ) -> Tensor:
        """One number everywhere, of shape `size`, in this tensor's type unless `dtype` says otherwise."""
        number = ops._common.number(fill_value, "new_full", "fill_value", 2)
        value = ops._common.fitting(number, (dtype or self.dtype).numpy)
        return self._new(np.full(ops.creation.lengths_of(size), value), dtype, device, requires_grad)

    def new_empty(
        self, *size: Any, dtype: _dtype | None = None, device: Any = None, requires_grad: _bool = False
    ) -> Tensor:
        """Undefined content of this shape, in this tensor's type unless `dtype` says otherwise."""
        # In its type from the start: what stands in the memory may not fit another one.
        array = np.empty(ops.creation.lengths_of(size), (dtype or self.dtype).numpy)
        return self._new(array, dtype, device, requires_grad)

    def new_tensor(
        self, data: Any, dtype: _dtype | None = None, device: Any = None, requires_grad: _bool = False
    ) -> Tensor:
        """A copy of the data, in this tensor's type unless `dtype` says otherwise. A warning if the data are a tensor."""
        if isinstance(data, Tensor):
            warn_user(COPIED.format("tensor.new_tensor"))
        array = ops.creation.array_of(data, True)
        if not isinstance(data, (Tensor, np.ndarray)):
            array = ops.creation.checked(array, (dtype or self.dtype).numpy)
        return self._new(np.array(array), dtype, device, requires_grad)

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
        """self + alpha * other, of their common shape. RuntimeError if the shapes do not broadcast."""
        return ops.add(self, other, alpha=alpha)

    def sub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """self - alpha * other, of their common shape. RuntimeError for booleans, or if the shapes do not broadcast."""
        return ops.sub(self, other, alpha=alpha)

    def mul(self, other: Any) -> Tensor:
        """self * other, of their common shape. RuntimeError if the shapes do not broadcast."""
        return ops.mul(self, other)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """self / other, of their common shape: a true division, also for integers, or rounded: "trunc", "floor"."""
        return ops.div(self, other, rounding_mode=rounding_mode)

    def floor_divide(self, other: Any) -> Tensor:
        """self / other rounded down, of their common shape. RuntimeError for an integer divided by 0."""
        return ops.floor_divide(self, other)

    def remainder(self, other: Any) -> Tensor:
        """self modulo other, with the sign of other, of their common shape. RuntimeError for an integer and 0."""
        return ops.remainder(self, other)

    def reciprocal(self) -> Tensor:
        """1 / self, of the same shape."""
        return ops.reciprocal(self)

    def neg(self) -> Tensor:
        """-self, of its shape and type. RuntimeError for booleans."""
        return ops.neg(self)

    def pow(self, exponent: Any) -> Tensor:
        """self ** exponent, of their common shape. RuntimeError for integers and a negative number as the exponent."""
        return ops.pow(self, exponent)

    def square(self) -> Tensor:
        """self * self, of its shape."""
        return ops.square(self)

    def maximum(self, other: Tensor) -> Tensor:
        """The larger of both, element by element, of their common shape. TypeError unless both are tensors."""
        return ops.maximum(self, other)

    def fmax(self, other: Tensor) -> Tensor:
        """The larger of both, and of a number and NaN the number."""
        return ops.fmax(self, other)

    def fmin(self, other: Tensor) -> Tensor:
        """The smaller of both, and of a number and NaN the number."""
        return ops.fmin(self, other)

    def minimum(self, other: Tensor) -> Tensor:
        """The smaller of both, element by element, of their common shape. TypeError unless both are tensors."""
        return ops.minimum(self, other)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """self, and the number `value` where the mask is true, of the common shape. RuntimeError for a mask that is not boolean."""
        return ops.masked_fill(self, mask, value)

    def xlogy(self, other: Any) -> Tensor:
        """self * log(other), of their common shape; 0 where self is 0, unless other is NaN."""
        return ops.xlogy(self, other)

    def lerp(self, end: Tensor, weight: _float) -> Tensor:
        """self + weight * (end - self), of the common shape; `weight` a number or a tensor. RuntimeError if the types differ."""
        return ops.lerp(self, end, weight)

    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
        """self + value * tensor1 * tensor2, of the common shape. NotImplementedError for booleans."""
        return ops.addcmul(self, tensor1, tensor2, value=value)

    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: _float = 1) -> Tensor:
        """self + value * tensor1 / tensor2, of the common shape. RuntimeError for integers."""
        return ops.addcdiv(self, tensor1, tensor2, value=value)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """min(max(self, min), max): values cut off at bounds that are numbers or tensors, of the common shape."""
        return ops.clamp(self, min, max)

    clip = clamp

    def clamp_min(self, min: Any) -> Tensor:
        """The larger of this tensor and `min`, a number or a tensor, of their common shape."""
        return ops.clamp_min(self, min)

    def clamp_max(self, max: Any) -> Tensor:
        """The smaller of this tensor and `max`, a number or a tensor, of their common shape."""
        return ops.clamp_max(self, max)

    def exp(self) -> Tensor:
        """e to the power of each element, of the same shape; of integers in float32."""
        return ops.exp(self)

    def log(self) -> Tensor:
        """The natural logarithm of each element, of the same shape: -inf of 0, NaN of a negative number."""
        return ops.log(self)

    def log2(self) -> Tensor:
        """The logarithm to base 2 of each element, of the same shape."""
        return ops.log2(self)

    def log1p(self) -> Tensor:
        """log(1 + self), exact near 0, of the same shape."""
        return ops.log1p(self)

    def sqrt(self) -> Tensor:
        """The square root of each element, of the same shape: NaN of a negative number."""
        return ops.sqrt(self)

    def rsqrt(self) -> Tensor:
        """1 / sqrt(self), of the same shape."""
        return ops.rsqrt(self)

    def sin(self) -> Tensor:
        """The sine of each element, in radians, of the same shape."""
        return ops.sin(self)

    def cos(self) -> Tensor:
        """The cosine of each element, in radians, of the same shape."""
        return ops.cos(self)

    def tan(self) -> Tensor:
        """The tangent of each element, in radians, of the same shape."""
        return ops.tan(self)

    def conj(self) -> Tensor:
        """The complex conjugate; the tensor itself unless it is complex."""
        return ops.conj(self)

    @property
    def real(self) -> Tensor:
        """The real parts, a view; the tensor itself unless it is complex."""
        return ops.view_as_real(self)[..., 0] if self.is_complex() else self

    @property
    def imag(self) -> Tensor:
        """The imaginary parts, a view. RuntimeError unless it is complex."""
        if not self.is_complex():
            raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
        return ops.view_as_real(self)[..., 1]

    def abs(self) -> Tensor:
        """The size of each element without its sign, of the same shape. NotImplementedError for booleans."""
        return ops.abs(self)

    absolute = abs

    def sign(self) -> Tensor:
        """-1, 0 or 1, of the same shape and type; 0 for NaN."""
        return ops.sign(self)

    def round(self) -> Tensor:
        """The nearest integer, halves to the even one, of the same shape and type. NotImplementedError for booleans."""
        return ops.round(self)

    def floor(self) -> Tensor:
        """The integer below, of the same shape and type. NotImplementedError for booleans."""
        return ops.floor(self)

    def ceil(self) -> Tensor:
        """The integer above, of the same shape and type. NotImplementedError for booleans."""
        return ops.ceil(self)

    def trunc(self) -> Tensor:
        """The integer towards zero, of the same shape and type. NotImplementedError for booleans and complex numbers."""
        return ops.trunc(self)

    fix = trunc

    def eq(self, other: Any) -> Tensor:
        """self == other: booleans of their common shape. RuntimeError if the shapes do not broadcast."""
        return ops.eq(self, other)

    def ne(self, other: Any) -> Tensor:
        """self != other: booleans of their common shape. RuntimeError if the shapes do not broadcast."""
        return ops.ne(self, other)

    def lt(self, other: Any) -> Tensor:
        """self < other: booleans of their common shape. NotImplementedError for complex numbers."""
        return ops.lt(self, other)

    def le(self, other: Any) -> Tensor:
        """self <= other: booleans of their common shape. NotImplementedError for complex numbers."""
        return ops.le(self, other)

    def gt(self, other: Any) -> Tensor:
        """self > other: booleans of their common shape. NotImplementedError for complex numbers."""
        return ops.gt(self, other)

    def ge(self, other: Any) -> Tensor:
        """self >= other: booleans of their common shape. NotImplementedError for complex numbers."""
        return ops.ge(self, other)

    def isnan(self) -> Tensor:
        """Which elements are NaN: booleans of the same shape."""
        return ops.isnan(self)

    def isinf(self) -> Tensor:
        """Which elements are infinite: booleans of the same shape."""
        return ops.isinf(self)

    def isfinite(self) -> Tensor:
        """Which elements are neither infinite nor NaN: booleans of the same shape."""
        return ops.isfinite(self)

    def equal(self, other: Tensor) -> _bool:
        """Whether both have the same shape and values."""
        return ops.equal(self, other)

    def allclose(self, other: Tensor, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False) -> _bool:
        """Whether all are as near as `isclose` asks, as one boolean. RuntimeError if the types differ."""
        return ops.allclose(self, other, rtol, atol, equal_nan)

    def isclose(self, other: Tensor, rtol: _float = 1e-05, atol: _float = 1e-08, equal_nan: _bool = False) -> Tensor:
        """|self - other| <= atol + rtol |other|: booleans of their common shape. RuntimeError if the types differ."""
        return ops.isclose(self, other, rtol, atol, equal_nan)

    def logical_and(self, other: Tensor) -> Tensor:
        """Where both are not 0: booleans of their common shape. TypeError unless both are tensors."""
        return ops.logical_and(self, other)

    def logical_or(self, other: Tensor) -> Tensor:
        """Where one of both is not 0: booleans of their common shape. TypeError unless both are tensors."""
        return ops.logical_or(self, other)

    def logical_not(self) -> Tensor:
        """Which elements are 0: booleans of the same shape."""
        return ops.logical_not(self)

    def sum(self, dim: Dims = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """Sum over the dimensions `dim`, or over all: the shape without them, or with 1 for `keepdim`; of integers int64."""
        return ops.sum(self, dim, keepdim, dtype=dtype)

    def nansum(self, dim: Dims = None, keepdim: _bool = False) -> Tensor:
        """Sum over the dimensions `dim`, or over all, with NaN counted as 0: the shape without them, or with 1 for `keepdim`."""
        return ops.nansum(self, dim, keepdim)

    def mean(self, dim: Dims = None, keepdim: _bool = False, *, dtype: Any = None) -> Tensor:
        """Mean over the dimensions `dim`, or over all: the shape without them, or with 1 for `keepdim`. RuntimeError for integers."""
        return ops.mean(self, dim, keepdim, dtype=dtype)

    def prod(self, dim: _int | None = None, keepdim: _bool = False) -> Tensor:
        """Product over the dimension `dim`, or over all: the shape without it, or with 1 for `keepdim`; of integers int64."""
        return ops.prod(self, dim, keepdim)

    def max(self, dim: Any = None, keepdim: _bool = False) -> Any:
        """The largest element; with `dim`, (values, indices) along it; with a tensor, the larger of both."""
        return ops.max(self, dim, keepdim)

    def min(self, dim: Any = None, keepdim: _bool = False) -> Any:
        """The smallest element; with `dim`, (values, indices) along it; with a tensor, the smaller of both."""
        return ops.min(self, dim, keepdim)

    def median(self, dim: _int | None = None, keepdim: _bool = False) -> Any:
        """The lower median of all elements; with `dim`, (values, indices) along it."""
        return ops.median(self, dim, keepdim)

    def amax(self, dim: Dims = (), keepdim: _bool = False) -> Tensor:
        """The largest over the dimensions `dim`, or over all; equal ones share the gradient. IndexError if there is none."""
        return ops.amax(self, dim, keepdim)

    def amin(self, dim: Dims = (), keepdim: _bool = False) -> Tensor:
        """The smallest over the dimensions `dim`, or over all; equal ones share the gradient. IndexError if there is none."""
        return ops.amin(self, dim, keepdim)

    def argmax(self, dim: _int | None = None, keepdim: _bool = False) -> Tensor:
        """The index of the largest, the first of several; without `dim` in the flattened tensor."""
        return ops.argmax(self, dim, keepdim)

    def argmin(self, dim: _int | None = None, keepdim: _bool = False) -> Tensor:
        """The index of the smallest, the first of several; without `dim` in the flattened tensor."""
        return ops.argmin(self, dim, keepdim)

    def var(
        self, dim: Any = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None
    ) -> Tensor:
        """Variance over `dim`, or over all; the denominator is n - 1, or n - correction. RuntimeError for integers."""
        return ops.var(self, dim, unbiased, keepdim, correction=correction)

    def std(
        self, dim: Any = None, unbiased: _bool = True, keepdim: _bool = False, *, correction: _float | None = None
    ) -> Tensor:
        """Square root of the variance over `dim`, or over all. RuntimeError for integers."""
        return ops.std(self, dim, unbiased, keepdim, correction=correction)

    def norm(
        self, p: _float | str | None = "fro", dim: Dims = None, keepdim: _bool = False, dtype: Any = None
    ) -> Tensor:
        """(sum |self|^p)^(1/p) over all elements, or over `dim`; "fro" and None are p = 2. RuntimeError for integers."""
        return ops.norm(self, p, dim, keepdim, dtype)

    def logsumexp(self, dim: Dims, keepdim: _bool = False) -> Tensor:
        """log(sum of exp(self)) over `dim`, without overflow."""
        return ops.logsumexp(self, dim, keepdim)

    def diff(self, n: _int = 1, dim: _int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
        """What each number along `dim` has more than the one before it, `n` times; with slices put at either end before."""
        return ops.diff(self, n, dim, prepend, append)

    def cumsum(self, dim: _int) -> Tensor:
        """Running sums along `dim`, of the same shape; integers in int64."""
        return ops.cumsum(self, dim)

    def sort(self, dim: _int = -1, descending: _bool = False, stable: _bool = True) -> Any:
        """(values, indices) in order along `dim`, both of the same shape; equal elements keep their order."""
        return ops.sort(self, dim, descending, stable)

    def argsort(self, dim: _int = -1, descending: _bool = False, stable: _bool = True) -> Tensor:
        """The indices that put the elements in order along `dim`, of the same shape; equal elements keep their order."""
        return ops.argsort(self, dim, descending, stable)

    def topk(self, k: _int, dim: _int = -1, largest: _bool = True, sorted: _bool = True) -> Any:
        """(values, indices) of the k largest along `dim`, the largest first. RuntimeError if there are fewer."""
        return ops.topk(self, k, dim, largest, sorted)

    def any(self, dim: Dims = None, keepdim: _bool = False) -> Tensor:
        """Whether one element, or one over `dim`, is not 0: booleans; of uint8 uint8, as in PyTorch."""
        return ops.any(self, dim, keepdim)

    def all(self, dim: Dims = None, keepdim: _bool = False) -> Tensor:
        """Whether no element, or none over `dim`, is 0: booleans; of uint8 uint8, as in PyTorch."""
        return ops.all(self, dim, keepdim)

    def count_nonzero(self, dim: Dims = None) -> Tensor:
        """How many elements are not 0, in all or over `dim`: int64, the shape without `dim`."""
        return ops.count_nonzero(self, dim)

    def bincount(self, minlength: _int = 0) -> Tensor:
        """How often each number from 0 on is there: (max + 1,), or (minlength,) if that is more. RuntimeError for negative ones."""
        return ops.bincount(self, minlength)

    def histc(self, bins: _int = 100, min: _float = 0, max: _float = 0) -> Tensor:
        """Counts in equal bins from min to max (the data's range if both are 0): (bins,), in the same type."""
        return ops.histc(self, bins, min, max)

    def flatten(self, start_dim: _int = 0, end_dim: _int = -1) -> Tensor:
        """(a, b, c, ...) -> (a * b * c * ...): the dimensions from start_dim to end_dim as one; a view where possible."""
        return ops.flatten(self, start_dim, end_dim)

    def unflatten(self, dim: _int, sizes: Sequence[_int]) -> Tensor:
        """One dimension as several, of these sizes, one -1 worked out; a view. RuntimeError if they do not fit."""
        return ops.unflatten(self, dim, sizes)

    def diagonal(self, offset: _int = 0, dim1: _int = 0, dim2: _int = 1) -> Tensor:
        """The diagonal of two dimensions, which becomes the last one; `offset`: how far to the right; a view."""
        return ops.diagonal(self, offset, dim1, dim2)

    def transpose(self, dim0: _int, dim1: _int) -> Tensor:
        """Two dimensions exchanged, without a copy. IndexError if there is no such dimension."""
        return ops.transpose(self, dim0, dim1)

    swapaxes = swapdims = transpose

    def t(self) -> Tensor:
        """(n, m) -> (m, n), a view; a vector stays as it is. RuntimeError for more dimensions."""
        return ops.t(self)

    def squeeze(self, dim: _int | Sequence[_int] | None = None) -> Tensor:
        """Without the dimensions of length 1: all of them, or those named; a view."""
        return ops.squeeze(self, dim)

    def unsqueeze(self, dim: _int) -> Tensor:
        """With one more dimension, of length 1, at `dim`; a view."""
        return ops.unsqueeze(self, dim)

    def select(self, dim: _int, index: _int) -> Tensor:
        """One index of a dimension, which goes away; a view. IndexError if it is out of range."""
        return ops.select(self, dim, index)

    def narrow(self, dim: _int, start: _int, length: _int) -> Tensor:
        """`length` indices of a dimension from `start`; a view. IndexError or RuntimeError if they are out of range."""
        return ops.narrow(self, dim, start, length)

    def split(self, split_size_or_sections: _int | Sequence[_int], dim: _int = 0) -> tuple[Tensor, ...]:
        """Pieces along `dim` of the given length (the last may be shorter), or of the given lengths; views."""
        return ops.split(self, split_size_or_sections, dim)

    def chunk(self, chunks: _int, dim: _int = 0) -> tuple[Tensor, ...]:
        """At most `chunks` pieces of equal length along `dim` (the last may be shorter); views. RuntimeError below one."""
        return ops.chunk(self, chunks, dim)

    def unbind(self, dim: _int = 0) -> tuple[Tensor, ...]:
        """The slices along a dimension, as many as it is long, each without it; views."""
        return ops.unbind(self, dim)

    def unfold(self, dimension: _int, size: _int, step: _int) -> Tensor:
        """Windows of `size` along a dimension, `step` apart, as a new last dimension; a view."""
        return ops.unfold(self, dimension, size, step)

    def roll(self, shifts: _int | Sequence[_int], dims: _int | Sequence[_int] | None = None) -> Tensor:
        """Shifted along the dimensions, of the same shape; what leaves at one end comes in at the other."""
        return ops.roll(self, shifts, dims)

    def rot90(self, k: _int = 1, dims: Sequence[_int] = (0, 1)) -> Tensor:
        """Turned by k quarters in the plane of two dimensions, from the first towards the second; the others keep their length."""
        return ops.rot90(self, k, dims)

    def tril(self, diagonal: _int = 0) -> Tensor:
        """Zeros above the diagonal of the last two dimensions, of the same shape; diagonal 1 keeps one more."""
        return ops.tril(self, diagonal)

    def triu(self, diagonal: _int = 0) -> Tensor:
        """Zeros below the diagonal of the last two dimensions, of the same shape; diagonal 1 drops one more."""
        return ops.triu(self, diagonal)

    def index_select(self, dim: _int, index: Tensor) -> Tensor:
        """The slices of a dimension that the vector `index` names, in its order. IndexError for a negative or too large one."""
        return ops.index_select(self, dim, index)

    def gather(self, dim: _int, index: Tensor) -> Tensor:
        """out[i][j] = self[index[i][j]][j] for dim 0, self[i][index[i][j]] for dim 1, and so on; of index's shape."""
        return ops.gather(self, dim, index)

    def mm(self, mat2: Tensor) -> Tensor:
        """Matrix product of two matrices: (n, k), (k, m) -> (n, m)."""
        return ops.mm(self, mat2)

    def bmm(self, mat2: Tensor) -> Tensor:
        """Matrix products of a batch: (N, n, k), (N, k, m) -> (N, n, m)."""
        return ops.bmm(self, mat2)

    def matmul(self, other: Tensor) -> Tensor:
        """The product of vectors, matrices or batches of matrices (leading dimensions broadcast), by their dimensions."""
        return ops.matmul(self, other)

    def relu(self) -> Tensor:
        """max(self, 0), of the same shape and type. RuntimeError for booleans."""
        return ops.relu(self)

    def prelu(self, weight: Tensor) -> Tensor:
        """self where positive, weight * self elsewhere, of the same shape; one weight, or one for each channel."""
        return ops.prelu(self, weight)

    def sigmoid(self) -> Tensor:
        """1 / (1 + exp(-self)), of the same shape; of integers in float32."""
        return ops.sigmoid(self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent of each element, of the same shape; of integers in float32."""
        return ops.tanh(self)

    def erf(self) -> Tensor:
        """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to each element, of the same shape."""
        return ops.erf(self)

    def erfinv(self) -> Tensor:
        """The number whose `erf` is each element: infinite at -1 and 1, NaN beyond, of the same shape."""
        return ops.erfinv(self)

    def atan(self) -> Tensor:
        """The angle between -pi / 2 and pi / 2 with this tangent, of the same shape."""
        return ops.atan(self)

    def asin(self) -> Tensor:
        """The angle between -pi / 2 and pi / 2 with this sine, of self's shape; NaN beyond 1."""
        return ops.asin(self)

    def acos(self) -> Tensor:
        """The angle between 0 and pi with this cosine, of self's shape; NaN beyond 1."""
        return ops.acos(self)

    def sinh(self) -> Tensor:
        """The hyperbolic sine, of self's shape."""
        return ops.sinh(self)

    def cosh(self) -> Tensor:
        """The hyperbolic cosine, of self's shape."""
        return ops.cosh(self)

    def asinh(self) -> Tensor:
        """The number with this hyperbolic sine, of self's shape."""
        return ops.asinh(self)

    def acosh(self) -> Tensor:
        """The number from 0 on with this hyperbolic cosine, of self's shape; NaN below 1."""
        return ops.acosh(self)

    def atanh(self) -> Tensor:
        """The number with this hyperbolic tangent, of self's shape; NaN beyond 1."""
        return ops.atanh(self)

    def view(self, *shape: Any) -> Tensor:
        """The same memory in another shape."""
        return ops.view(self, _numbers(shape))

    def reshape(self, *shape: Any) -> Tensor:
        """Another shape: a view where that is possible, else a copy."""
        return ops.reshape(self, _numbers(shape))

    def view_as(self, other: Tensor) -> Tensor:
        """The same memory in the shape of another tensor. RuntimeError if that needs a copy."""
        return ops.view(self, other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """The same elements in the shape of another tensor: a view where that is possible, else a copy."""
        return ops.reshape(self, other.shape)

    def permute(self, *dims: Any) -> Tensor:
        """The dimensions in another order, without a copy. RuntimeError unless `dims` names each once."""
        return ops.permute(self, _numbers(dims))

    def expand(self, *shape: Any) -> Tensor:
        """Dimensions of length 1 repeated to `shape` without a copy; -1 keeps a length. RuntimeError if another one differs."""
        return ops.expand(self, _numbers(shape))

    def expand_as(self, other: Tensor) -> Tensor:
        """Dimensions of length 1 repeated to the shape of another tensor, without a copy."""
        return ops.expand(self, other.shape)

    def repeat(self, *repeats: Any) -> Tensor:
        """Copies laid side by side, as often as `repeats` says for each dimension; more numbers make new leading ones."""
        return ops.repeat(self, _numbers(repeats))

    def repeat_interleave(
        self, repeats: Tensor | _int, dim: _int | None = None, *, output_size: _int | None = None
    ) -> Tensor:
        """Each slice of a dimension `repeats` times in a row, or as often as its number there says; without `dim` each number."""
        return ops.repeat_interleave(self, repeats, dim, output_size=output_size)

    def flip(self, *dims: Any) -> Tensor:
        """The elements in reverse order along the dimensions, a copy of the same shape. IndexError for a missing dimension."""
        return ops.flip(self, _numbers(dims))

    def contiguous(self, *, memory_format: memory_format = contiguous_format) -> Tensor:
        """The tensor itself if its elements lie one after the other, or in another format; else such a copy."""
        return ops.contiguous(self, memory_format)

    def clone(self, *, memory_format: memory_format | None = None) -> Tensor:
        """A copy that is part of the graph; in the same order in memory, or in the format."""
        return ops.clone(self, memory_format=memory_format)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """self where the condition holds, else other, of the common shape. RuntimeError for a condition that is not boolean."""
        return ops.where(condition, self, other)

    def nonzero(self, *, as_tuple: _bool = False) -> Any:
        """The indices of the elements that are not 0: (count, ndim), or one tensor for each dimension."""
        return ops.nonzero(self, as_tuple=as_tuple)

    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements where the mask is true: (count,). RuntimeError for a mask that is not boolean or does not broadcast."""
        return ops.masked_select(self, mask)

    def scatter(self, dim: _int, index: Tensor, src: Any) -> Tensor:
        """A copy with out[index[i][j]][j] = src[i][j] for dim 0, and so on; `src` a tensor or a number."""
        return ops.scatter(self, dim, index, src)

    def mv(self, vec: Tensor) -> Tensor:
        """Matrix times vector: (n, k), (k,) -> (n,)."""
        return ops.mv(self, vec)

    def dot(self, other: Tensor) -> Tensor:
        """The inner product of two vectors: (k,), (k,) -> ()."""
        return ops.dot(self, other)

    def outer(self, vec2: Tensor) -> Tensor:
        """All products of two vectors: (n,), (m,) -> (n, m)."""
        return ops.outer(self, vec2)

    def log10(self) -> Tensor:
        """The logarithm to base 10 of each element, of the same shape."""
        return ops.log10(self)

    def expm1(self) -> Tensor:
        """exp(self) - 1, exact near 0, of the same shape."""
        return ops.expm1(self)

    def tile(self, *dims: Any) -> Tensor:
        """Copies laid side by side: like `repeat`, but missing leading numbers count as 1."""
        return ops.tile(self, _numbers(dims))

    def broadcast_to(self, shape: Sequence[_int]) -> Tensor:
        """Dimensions of length 1 repeated to `shape`, without a copy; another name of `expand`."""
        return ops.broadcast_to(self, shape)

    def softmax(self, dim: _int, dtype: _dtype | None = None) -> Tensor:
        """exp(self) / sum of exp(self) along `dim`, of the same shape: positive numbers that sum to 1; with `dtype`, in that type."""
        return ops.softmax(self if dtype is None else self.to(dtype), dim)

    def log_softmax(self, dim: _int, dtype: _dtype | None = None) -> Tensor:
        """log(softmax(self)) along `dim`, without overflow, of the same shape; with `dtype`, in that type."""
        return ops.log_softmax(self if dtype is None else self.to(dtype), dim)

    def multinomial(self, num_samples: _int, replacement: _bool = False, *, generator: Any = None) -> Tensor:
        """Indices drawn with probabilities proportional to this vector, or to each row of a matrix: (num_samples,) or (m, num_samples)."""
        p, num_samples = self.array.astype(np.float64), operator.index(num_samples)
        choice = _random.generator(generator).choice
        rows = [choice(p.shape[-1], num_samples, replacement, row / row.sum()) for row in p.reshape(-1, p.shape[-1])]
        return self.wrap(np.array(rows, np.int64).reshape(*p.shape[:-1], num_samples))

    def bernoulli(self, p: Any = None, *, generator: Any = None) -> Tensor:
        """1 with the probability that each element gives, or with probability p, else 0."""
        return self.new_empty(self.shape).bernoulli_(self if p is None else p, generator=generator)

    def exp2(self) -> Tensor:
        """2 to the power of each element, of the same shape."""
        return ops.exp2(self)

    def frac(self) -> Tensor:
        """What is left without the integer part, with the sign of the element, of the same shape. NotImplementedError for integers."""
        return ops.frac(self)

    def logit(self, eps: _float | None = None) -> Tensor:
        """log(self / (1 - self)), of the same shape: the inverse of the sigmoid; with `eps` of numbers cut off at eps and 1 - eps."""
        return ops.logit(self, eps)

    def nan_to_num(
        self, nan: _float | None = None, posinf: _float | None = None, neginf: _float | None = None
    ) -> Tensor:
        """self, with 0 or `nan` for NaN, and the type's largest and smallest number, or these, for the infinities."""
        return ops.nan_to_num(self, nan, posinf, neginf)

    def erfc(self) -> Tensor:
        """1 - erf(self), exact where erf is nearly 1; of integers in float32."""
        return ops.erfc(self)

    def atan2(self, other: Tensor) -> Tensor:
        """The angle between -pi and pi of the point (other, self), of their common shape."""
        return ops.atan2(self, other)

    def fmod(self, other: Any) -> Tensor:
        """self modulo other, with the sign of self, of their common shape. RuntimeError for an integer and 0."""
        return ops.fmod(self, other)

    def hypot(self, other: Tensor) -> Tensor:
        """sqrt(self^2 + other^2), of their common shape. NotImplementedError for integers."""
        return ops.hypot(self, other)

    def logaddexp(self, other: Tensor) -> Tensor:
        """log(exp(self) + exp(other)) without overflow, of their common shape. NotImplementedError for integers."""
        return ops.logaddexp(self, other)

    def argwhere(self) -> Tensor:
        """The indices of the elements that are not 0: (count, ndim)."""
        return ops.argwhere(self)

    def index_add(self, dim: _int, index: Tensor, source: Tensor, *, alpha: _float = 1) -> Tensor:
        """A copy in which the slices of `source` times alpha are added to those that the vector `index` names."""
        return ops.index_add(self, dim, index, source, alpha=alpha)

    def index_copy(self, dim: _int, index: Tensor, source: Tensor) -> Tensor:
        """A copy in which the slices of `source` stand in place of those that the vector `index` names."""
        return ops.index_copy(self, dim, index, source)

    def index_fill(self, dim: _int, index: Tensor, value: Any) -> Tensor:
        """A copy with one number, or that of a 0-d tensor, in the slices that `index` names; negative ones count from the end."""
        return ops.index_fill(self, dim, index, value)

    def index_put(self, indices: Sequence[Tensor | None], values: Tensor, accumulate: _bool = False) -> Tensor:
        """A copy with self[indices] = values, or += if `accumulate`; None stands for all of a dimension."""
        return ops.index_put(self, indices, values, accumulate)

    def scatter_add(self, dim: _int, index: Tensor, src: Tensor) -> Tensor:
        """A copy with out[index[i][j]][j] += src[i][j] for dim 0, and so on; what meets in one place is added up."""
        return ops.scatter_add(self, dim, index, src)

    def take(self, index: Tensor) -> Tensor:
        """The numbers at these places of the flattened tensor, of index's shape. IndexError for one out of range."""
        return ops.take(self, index)

    def take_along_dim(self, indices: Tensor, dim: _int | None = None) -> Tensor:
        """`gather` with int64 indices that broadcast against the other dimensions; without `dim` in the flattened tensor."""
        return ops.take_along_dim(self, indices, dim)

    def movedim(self, source: _int | Sequence[_int], destination: _int | Sequence[_int]) -> Tensor:
        """Dimensions moved to other places, the others in their order; a view."""
        return ops.movedim(self, source, destination)

    def diag(self, diagonal: _int = 0) -> Tensor:
        """The diagonal of a matrix, or a vector as a matrix with this diagonal. RuntimeError for other numbers of dimensions."""
        return ops.diag(self, diagonal)

    def diag_embed(self, offset: _int = 0, dim1: _int = -2, dim2: _int = -1) -> Tensor:
        """(..., n) as matrices of zeros with these numbers on a diagonal, in the dimensions dim1 and dim2 of the result."""
        return ops.diag_embed(self, offset, dim1, dim2)

    def trace(self) -> Tensor:
        """The sum of a matrix's diagonal: (). RuntimeError for other numbers of dimensions."""
        return ops.trace(self)

    def ravel(self) -> Tensor:
        """The numbers in rows as a vector; a view where possible."""
        return ops.ravel(self)

    def tensor_split(self, indices_or_sections: Any, dim: _int = 0) -> tuple[Tensor, ...]:
        """As many pieces along `dim` as a number says, nearly equal, or cut at these indices; views."""
        return ops.tensor_split(self, indices_or_sections, dim)

    def hsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Pieces along the second dimension, of a vector along its only one: a number of equal ones, or cut at these indices; views."""
        return ops.hsplit(self, indices_or_sections)

    def vsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Pieces along the first dimension of at least two: a number of equal ones, or cut at these indices; views."""
        return ops.vsplit(self, indices_or_sections)

    def dsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Pieces along the third dimension: a number of equal ones, or cut at these indices; views."""
        return ops.dsplit(self, indices_or_sections)

    def isposinf(self) -> Tensor:
        """Which elements are plus infinity: booleans of the same shape."""
        return ops.isposinf(self)

    def isneginf(self) -> Tensor:
        """Which elements are minus infinity: booleans of the same shape."""
        return ops.isneginf(self)

    def isreal(self) -> Tensor:
        """Which elements have no imaginary part: booleans of the same shape."""
        return ops.isreal(self)

    def signbit(self) -> Tensor:
        """Which elements have a minus, -0 among them: booleans of the same shape."""
        return ops.signbit(self)

    def bitwise_not(self) -> Tensor:
        """~self, bit by bit, of booleans which are false, of the same shape. NotImplementedError for floating-point numbers."""
        return ops.bitwise_not(self)

    def bitwise_and(self, other: Any) -> Tensor:
        """self & other, bit by bit, of their common shape. NotImplementedError for floating-point numbers."""
        return ops.bitwise_and(self, other)

    def bitwise_or(self, other: Any) -> Tensor:
        """self | other, bit by bit, of their common shape. NotImplementedError for floating-point numbers."""
        return ops.bitwise_or(self, other)

    def bitwise_xor(self, other: Any) -> Tensor:
        """self ^ other, bit by bit, of their common shape. NotImplementedError for floating-point numbers."""
        return ops.bitwise_xor(self, other)

    def logical_xor(self, other: Tensor) -> Tensor:
        """Where one of both is not 0, and the other one is: booleans of their common shape. TypeError unless both are tensors."""
        return ops.logical_xor(self, other)

    def kthvalue(self, k: _int, dim: _int = -1, keepdim: _bool = False) -> Any:
        """(values, indices) of the k-th smallest along `dim`, of the same shape without it. RuntimeError if there are fewer."""
        return ops.kthvalue(self, k, dim, keepdim)

    def unique(
        self, sorted: _bool = True, return_inverse: _bool = False, return_counts: _bool = False, dim: _int | None = None
    ) -> Any:
        """The different values, in order: (count,), or with `dim` the different slices."""
        return ops.unique(self, sorted, return_inverse, return_counts, dim)

    def unique_consecutive(
        self, return_inverse: _bool = False, return_counts: _bool = False, dim: _int | None = None
    ) -> Any:
        """What is left when equal neighbours are one: (count,), or with `dim` slices; the others as of `unique`."""
        return ops.unique_consecutive(self, return_inverse, return_counts, dim)

    def aminmax(self, *, dim: _int | None = None, keepdim: _bool = False) -> Any:
        """(min, max) of all elements, or along `dim`; equal ones share the gradient."""
        return ops.aminmax(self, dim=dim, keepdim=keepdim)

    def nanmean(self, dim: Dims = None, keepdim: _bool = False) -> Tensor:
        """Mean of the numbers that are not NaN over the dimensions `dim`, or over all."""
        return ops.nanmean(self, dim, keepdim)

    def renorm(self, p: _float, dim: _int, maxnorm: _float) -> Tensor:
        """A copy in which the slices of `dim` that have a larger p-norm than `maxnorm` are made as short. RuntimeError for p <= 0."""
        return ops.renorm(self, p, dim, maxnorm)

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """beta self + alpha (mat1 @ mat2): what broadcasts to (n, m), (n, k), (k, m) -> (n, m)"""
        return ops.addmm(self, mat1, mat2, beta=beta, alpha=alpha)

    def addmv(self, mat: Tensor, vec: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """beta self + alpha (mat @ vec): what broadcasts to (n,), (n, k), (k,) -> (n,)"""
        return ops.addmv(self, mat, vec, beta=beta, alpha=alpha)

    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """beta self + alpha (batch1 @ batch2): what broadcasts to (N, n, m), (N, n, k), (N, k, m) -> (N, n, m)"""
        return ops.baddbmm(self, batch1, batch2, beta=beta, alpha=alpha)

    def inner(self, other: Tensor) -> Tensor:
        """Products summed over the last dimensions, which are equally long: (..., k), (___, k) -> (..., ___)."""
        return ops.inner(self, other)

    def kron(self, other: Tensor) -> Tensor:
        """Each number of self times all of other, side by side: the sizes are multiplied, dimension by dimension."""
        return ops.kron(self, other)

    def cross(self, other: Tensor, dim: _int | None = None) -> Tensor:
        """The cross product of vectors of three numbers along `dim`, by default the first dimension of length 3."""
        return ops.cross(self, other, dim)

    def fliplr(self) -> Tensor:
        """The second dimension in reverse order, a copy. RuntimeError below two dimensions."""
        return ops.fliplr(self)

    def flipud(self) -> Tensor:
        """The first dimension in reverse order, a copy. RuntimeError for a 0-d tensor."""
        return ops.flipud(self)

    # PyTorch's second names
    multiply, subtract, divide, true_divide, negative = mul, sub, div, div, neg
    greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
    arccos, arcsin, arctan, arctan2, arccosh, arcsinh, arctanh = acos, asin, atan, atan2, acosh, asinh, atanh
    moveaxis = movedim

    def inverse(self) -> Tensor:
        """The inverse of a matrix (n, n), or of each of a batch (..., n, n). RuntimeError for one that has none, or is not square."""
        return ops.inverse(self)

    # --- in place -------------------------------------------------------------------------------------------------------
    #
    # Each computes its operation and assigns the result, which counts as one write. RuntimeError for a leaf that requires
    # grad, for a view that must not be written, and for a result of another shape or of a type that does not fit.

    def _inplace(self, function: Callable, *args: Any, **kwargs: Any) -> Tensor:
        inplace.check(self)
        return inplace.assign(self, inplace.result_for(self, function, *args, **kwargs))

    def _outside(self, result: Tensor) -> Tensor:
        """Written, and no word to autograd, as PyTorch does it in logic: a leaf may be written, and gradients pass as before."""
        grad_mode.need_writable(self)
        return inplace.assign(self, result)

    def _reseat(self, function: Callable, *args: Any) -> Tensor:
        """Another shape for this very tensor: `unsqueeze_`, `squeeze_`, `t_` ..."""
        inplace.check(self)
        return inplace.reseat(self, function(self, *args))

    def exp_(self) -> Tensor:
        """In place: e to the power of each element."""
        return self._inplace(ops.exp)

    def erfinv_(self) -> Tensor:
        """In place: the number whose `erf` is each element: infinite at -1 and 1, NaN beyond."""
        return self._inplace(ops.erfinv)

    def log_(self) -> Tensor:
        """In place: the natural logarithm of each element: -inf of 0, NaN of a negative number."""
        return self._inplace(ops.log)

    def sqrt_(self) -> Tensor:
        """In place: the square root of each element: NaN of a negative number."""
        return self._inplace(ops.sqrt)

    def rsqrt_(self) -> Tensor:
        """In place: 1 / sqrt(self)."""
        return self._inplace(ops.rsqrt)

    def abs_(self) -> Tensor:
        """In place: the size of each element without its sign. NotImplementedError for booleans."""
        return self._inplace(ops.abs)

    def neg_(self) -> Tensor:
        """In place: -self. RuntimeError for booleans."""
        return self._inplace(ops.neg)

    def sign_(self) -> Tensor:
        """In place: -1, 0 or 1; 0 for NaN."""
        return self._inplace(ops.sign)

    def sin_(self) -> Tensor:
        """In place: the sine of each element, in radians."""
        return self._inplace(ops.sin)

    def cos_(self) -> Tensor:
        """In place: the cosine of each element, in radians."""
        return self._inplace(ops.cos)

    def tan_(self) -> Tensor:
        """In place: the tangent of each element, in radians."""
        return self._inplace(ops.tan)

    def atan_(self) -> Tensor:
        """In place: the angle between -pi / 2 and pi / 2 with this tangent."""
        return self._inplace(ops.atan)

    def reciprocal_(self) -> Tensor:
        """In place: 1 / self."""
        return self._inplace(ops.reciprocal)

    def round_(self) -> Tensor:
        """In place: the nearest integer, halves to the even one. NotImplementedError for booleans."""
        return self._inplace(ops.round)

    def floor_(self) -> Tensor:
        """In place: the integer below. NotImplementedError for booleans."""
        return self._inplace(ops.floor)

    def ceil_(self) -> Tensor:
        """In place: the integer above. NotImplementedError for booleans."""
        return self._inplace(ops.ceil)

    def trunc_(self) -> Tensor:
        """In place: the integer towards zero. NotImplementedError for booleans and complex numbers."""
        return self._inplace(ops.trunc)

    fix_ = trunc_

    def square_(self) -> Tensor:
        """In place: self * self."""
        return self._inplace(ops.square)

    def relu_(self) -> Tensor:
        """In place: max(self, 0). RuntimeError for booleans."""
        return ops.relu(self, inplace=True)

    def sigmoid_(self) -> Tensor:
        """In place: 1 / (1 + exp(-self))."""
        return self._inplace(ops.sigmoid)

    def tanh_(self) -> Tensor:
        """In place: the hyperbolic tangent of each element."""
        return self._inplace(ops.tanh)

    def add_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """In place: self + alpha * other. RuntimeError if the shapes do not broadcast, or for an alpha of a higher type."""
        return self._inplace(ops.add, other, alpha=ops._common.number(alpha, "add_", "alpha"))

    def sub_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """In place: self - alpha * other. RuntimeError for booleans, or if the shapes do not broadcast."""
        return self._inplace(ops.sub, other, alpha=ops._common.number(alpha, "sub_", "alpha"))

    def mul_(self, other: Any) -> Tensor:
        """In place: self * other. RuntimeError if the shapes do not broadcast."""
        return self._inplace(ops.mul, other)

    def div_(self, other: Any) -> Tensor:
        """In place: self / other. RuntimeError for integers, and if the shapes do not broadcast."""
        return self._inplace(ops.div, other)

    def pow_(self, exponent: Any) -> Tensor:
        """In place: self ** exponent. RuntimeError for integers and a negative number as the exponent."""
        return self._inplace(ops.pow, exponent)

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """In place: min(max(self, min), max): values cut off at bounds that are numbers or tensors."""
        return self._inplace(ops.clamp, min, max)

    def clamp_min_(self, min: Any) -> Tensor:
        """In place: the larger of this tensor and `min`, a number or a tensor."""
        return self._inplace(ops.clamp_min, min)

    def clamp_max_(self, max: Any) -> Tensor:
        """In place: the smaller of this tensor and `max`, a number or a tensor."""
        return self._inplace(ops.clamp_max, max)

    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        """In place: the number `value` where the mask is true. RuntimeError for a mask that is not boolean."""
        return self._inplace(ops.masked_fill, mask, value)

    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: _float = 1) -> Tensor:
        """In place: self + value * tensor1 * tensor2. NotImplementedError for booleans."""
        return self._inplace(ops.addcmul, tensor1, tensor2, value=ops._common.number(value, "addcmul_", "value"))

    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: _float = 1) -> Tensor:
        """In place: self + value * tensor1 / tensor2. RuntimeError for integers."""
        return self._inplace(ops.addcdiv, tensor1, tensor2, value=ops._common.number(value, "addcdiv_", "value"))

    def xlogy_(self, other: Any) -> Tensor:
        """In place: self * log(other), and 0 where self is 0. RuntimeError for integers."""
        return self._inplace(ops.xlogy, other)

    def lerp_(self, end: Any, weight: _float) -> Tensor:
        """In place: self + weight * (end - self); `weight` a number or a tensor. RuntimeError if the types differ."""
        return self._inplace(ops.lerp, end, weight)

    def cumsum_(self, dim: _int) -> Tensor:
        """In place: running sums along `dim`; integers in int64."""
        return self._inplace(ops.cumsum, dim)

    def fmod_(self, other: Any) -> Tensor:
        """In place: `fmod`."""
        return self._inplace(ops.fmod, other)

    def remainder_(self, other: Any) -> Tensor:
        """In place: `remainder`."""
        return self._inplace(ops.remainder, other)

    def floor_divide_(self, other: Any) -> Tensor:
        """In place: `floor_divide`."""
        return self._inplace(ops.arithmetic.FloorDivideInPlace.apply, other)

    def erf_(self) -> Tensor:
        """In place: `erf`."""
        return self._inplace(ops.erf)

    def erfc_(self) -> Tensor:
        """In place: `erfc`."""
        return self._inplace(ops.erfc)

    def expm1_(self) -> Tensor:
        """In place: `expm1`."""
        return self._inplace(ops.expm1)

    def exp2_(self) -> Tensor:
        """In place: `exp2`."""
        return self._inplace(ops.exp2)

    def log1p_(self) -> Tensor:
        """In place: `log1p`."""
        return self._inplace(ops.log1p)

    def log2_(self) -> Tensor:
        """In place: `log2`."""
        return self._inplace(ops.log2)

    def log10_(self) -> Tensor:
        """In place: `log10`."""
        return self._inplace(ops.log10)

    def logit_(self, eps: _float | None = None) -> Tensor:
        """In place: `logit`."""
        return self._inplace(ops.logit, eps)

    def nan_to_num_(
        self, nan: _float | None = None, posinf: _float | None = None, neginf: _float | None = None
    ) -> Tensor:
        """In place: `nan_to_num`."""
        return self._inplace(ops.nan_to_num, nan, posinf, neginf)

    def frac_(self) -> Tensor:
        """In place: `frac`."""
        return self._inplace(ops.frac)

    def atan2_(self, other: Tensor) -> Tensor:
        """In place: `atan2`."""
        return self._inplace(ops.atan2, other)

    def hypot_(self, other: Tensor) -> Tensor:
        """In place: `hypot`."""
        return self._inplace(ops.hypot, other)

    def index_add_(self, dim: _int, index: Tensor, source: Tensor, *, alpha: _float = 1) -> Tensor:
        """In place: `index_add`."""
        return self._inplace(ops.index_add, dim, index, source, alpha=alpha)

    def index_copy_(self, dim: _int, index: Tensor, source: Tensor) -> Tensor:
        """In place: `index_copy`."""
        return self._inplace(ops.index_copy, dim, index, source)

    def index_fill_(self, dim: _int, index: Tensor, value: Any) -> Tensor:
        """In place: `index_fill`."""
        return self._inplace(ops.index_fill, dim, index, value)

    def scatter_add_(self, dim: _int, index: Tensor, src: Tensor) -> Tensor:
        """In place: `scatter_add`."""
        return self._inplace(ops.scatter_add, dim, index, src)

    def logical_and_(self, other: Tensor) -> Tensor:
        """In place: `logical_and`."""
        return self._outside(ops.logical_and(self, other))

    def logical_or_(self, other: Tensor) -> Tensor:
        """In place: `logical_or`."""
        return self._outside(ops.logical_or(self, other))

    def logical_not_(self) -> Tensor:
        """In place: `logical_not`."""
        return self._outside(ops.logical_not(self))

    def logical_xor_(self, other: Tensor) -> Tensor:
        """In place: `logical_xor`."""
        return self._outside(ops.logical_xor(self, other))

    def bitwise_and_(self, other: Any) -> Tensor:
        """In place: `bitwise_and`."""
        return self._inplace(ops.bitwise_and, other)

    def bitwise_or_(self, other: Any) -> Tensor:
        """In place: `bitwise_or`."""
        return self._inplace(ops.bitwise_or, other)

    def bitwise_xor_(self, other: Any) -> Tensor:
        """In place: `bitwise_xor`."""
        return self._inplace(ops.bitwise_xor, other)

    def bitwise_not_(self) -> Tensor:
        """In place: `bitwise_not`."""
        return self._inplace(ops.bitwise_not)

    def eq_(self, other: Any) -> Tensor:
        """In place: `eq`."""
        return self._inplace(ops.comparison.compared, "eq", other)

    def ne_(self, other: Any) -> Tensor:
        """In place: `ne`."""
        return self._inplace(ops.comparison.compared, "ne", other)

    def lt_(self, other: Any) -> Tensor:
        """In place: `lt`."""
        return self._inplace(ops.comparison.compared, "lt", other)

    def le_(self, other: Any) -> Tensor:
        """In place: `le`."""
        return self._inplace(ops.comparison.compared, "le", other)

    def gt_(self, other: Any) -> Tensor:
        """In place: `gt`."""
        return self._inplace(ops.comparison.compared, "gt", other)

    def ge_(self, other: Any) -> Tensor:
        """In place: `ge`."""
        return self._inplace(ops.comparison.compared, "ge", other)

    def renorm_(self, p: _float, dim: _int, maxnorm: _float) -> Tensor:
        """In place: `renorm`."""
        return self._inplace(lambda x: ops.renorm(x.clone(), p, dim, maxnorm))  # which keeps what it reads

    def addmm_(self, mat1: Tensor, mat2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In place: `addmm`."""
        return self._inplace(ops.addmm, mat1, mat2, beta=beta, alpha=alpha)

    def addmv_(self, mat: Tensor, vec: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In place: `addmv`."""
        return self._inplace(ops.addmv, mat, vec, beta=beta, alpha=alpha)

    def baddbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: _float = 1, alpha: _float = 1) -> Tensor:
        """In place: `baddbmm`."""
        return self._inplace(ops.baddbmm, batch1, batch2, beta=beta, alpha=alpha)

    def acos_(self) -> Tensor:
        """In place: `acos`."""
        return self._inplace(ops.acos)

    def asin_(self) -> Tensor:
        """In place: `asin`."""
        return self._inplace(ops.asin)

    def sinh_(self) -> Tensor:
        """In place: `sinh`."""
        return self._inplace(ops.sinh)

    def cosh_(self) -> Tensor:
        """In place: `cosh`."""
        return self._inplace(ops.cosh)

    def asinh_(self) -> Tensor:
        """In place: `asinh`."""
        return self._inplace(ops.elementwise.AsinhInPlace.apply)

    def acosh_(self) -> Tensor:
        """In place: `acosh`."""
        return self._inplace(ops.elementwise.AcoshInPlace.apply)

    def atanh_(self) -> Tensor:
        """In place: `atanh`."""
        return self._inplace(ops.elementwise.AtanhInPlace.apply)

    def tril_(self, diagonal: _int = 0) -> Tensor:
        """In place: `tril`."""
        return self._inplace(ops.tril, diagonal)

    def triu_(self, diagonal: _int = 0) -> Tensor:
        """In place: `triu`."""
        return self._inplace(ops.triu, diagonal)

    __iadd__, __isub__, __imul__, __itruediv__, __ipow__ = add_, sub_, mul_, div_, pow_

    def copy_(self, src: Any, non_blocking: _bool = False) -> Tensor:
        """The values of `src`, broadcast and converted to this tensor's shape and type."""
        return self._inplace(ops.copying.Copy.apply, src)

    def module_load(self, other: Tensor, assign: _bool = False) -> Tensor:
        """What `load_state_dict` makes of an entry for this parameter or buffer if it is to swap tensors."""
        return other.detach() if assign else self.copy_(other).detach()

    def fill_(self, value: Any) -> Tensor:
        """One number everywhere, or that of a 0-d tensor."""
        from_tensor = isinstance(value, Tensor)
        if from_tensor and value.array.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions."
            )
        inplace.check(self)
        fill = ops.copying.FillTensor if from_tensor else ops.copying.Fill
        return inplace.assign(self, inplace.result_for(self, fill.apply, value), constant=True)

    def fill_diagonal_(self, fill_value: _float, wrap: _bool = False) -> Tensor:
        """In place: one number on the main diagonal; of a tall matrix, with `wrap`, on the ones below it too, a row apart.

        RuntimeError below two dimensions, or for more of different lengths.
        """
        shape = self.array.shape
        if len(shape) < 2:
            raise RuntimeError("dimensions must larger than 1")
        if len(shape) > 2 and len(set(shape)) > 1:
            raise RuntimeError("all dimensions of input must be of equal length")
        below = range(shape[1] + 1, shape[0], shape[1] + 1) if wrap and len(shape) == 2 else ()
        for part in (self, *(self[row:] for row in below)):
            while part.array.ndim > 1:
                part = part.diagonal(0, 0, -1)
            part.fill_(fill_value)
        return self

    def zero_(self) -> Tensor:
        """0 everywhere; returns the tensor."""
        inplace.check(self)
        return inplace.assign(self, inplace.result_for(self, ops.copying.Zero.apply, 0), constant=True)

    def index_put_(self, indices: tuple, values: Any, accumulate: _bool = False) -> Tensor:
        """self[indices] = values, or +=; None stands for all of a dimension. TypeError unless `values` is a tensor."""
        need_tensor(values, "index_put_", "values", 2)
        key = tuple(slice(None) if index is None else index for index in indices)
        return ops.index_put_(self, key, values, accumulate)

    def scatter_(self, dim: _int, index: Any, src: Any) -> Tensor:
        """self[index[i][j]][j] = src[i][j] for dim 0, and so on; `src` a tensor of index's shape or a number."""
        return self._inplace(ops.scatter, dim, index, src)

    def normal_(self, mean: _float = 0, std: _float = 1, *, generator: Any = None) -> Tensor:
        """Filled with normal numbers of this mean and standard deviation; returns the tensor."""
        rng, (mean, std) = _random.generator(generator), _floats("normal_", mean=mean, std=std)
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
        return self._draw(rng.standard_normal, std, mean)

    def uniform_(self, a: _float = 0, b: _float = 1, *, generator: Any = None) -> Tensor:
        """Filled with uniform numbers in [a, b); returns the tensor."""
        rng, (a, b) = _random.generator(generator), _floats("uniform_", **{"from": a, "to": b})
        if a > b:
            raise RuntimeError(f"uniform_ expects to return a [from, to) range, but found from={a:g} > to={b:g}")
        return self._draw(rng.random, b - a, a)

    def bernoulli_(self, p: Any = 0.5, *, generator: Any = None) -> Tensor:
        """Filled with 1 with probability p, a number or a tensor that broadcasts, else 0; returns the tensor."""
        if isinstance(p, Tensor):
            ops._common.implemented("bernoulli_tensor_cpu_p_", p.array.dtype, "f")
            ops._common.check_expand(p.array.shape, self.array.shape)
        p = p.array if isinstance(p, Tensor) else np.asarray(_floats("bernoulli_", p=p)[0])
        if not ((p >= 0) & (p <= 1)).all():
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p}")
        return self._random(_random.generator(generator).random(self.array.shape) < p)

    def random_(self, low: _int | None = None, high: _int | None = None, *, generator: Any = None) -> Tensor:
        """Filled with integers in [low, high), with one number in [0, low); returns the tensor."""
        first, end = (0, 2**24 if low is None else low) if high is None else (low, high)
        return self._random(_random.integers(first, end, self.array.shape, generator))

    def _draw(self, numbers: Callable, factor: _float, term: _float) -> Tensor:
        """Filled with random numbers * factor + term, some at a time: nothing else is as large as the tensor."""
        whole, kind = self.array, _drawn(self.array.dtype)
        with np.errstate(over="ignore"):
            if not whole.flags.c_contiguous:
                return self._random(numbers(whole.shape, kind) * factor + term)
            inplace.check(self)
            for first in range(0, whole.size, _SOME):
                some = whole.reshape(-1)[first : first + _SOME]
                some[:] = numbers(some.shape, kind) * factor + term
        return inplace.written(self, None)

    def _random(self, values: np.ndarray) -> Tensor:
        inplace.check(self)
        with grad_mode.no_grad():
            return self._inplace(ops.copying.Copy.apply, self.wrap(np.asarray(values)))

    def unsqueeze_(self, dim: _int) -> Tensor:
        """This very tensor gets one more dimension, of length 1, at `dim`; returns it."""
        return self._reseat(ops.unsqueeze, dim)

    def squeeze_(self, dim: Any = None) -> Tensor:
        """This very tensor loses its dimensions of length 1, or those named; returns it."""
        return self._reseat(ops.squeeze, dim)

    def transpose_(self, dim0: _int, dim1: _int) -> Tensor:
        """This very tensor gets two dimensions exchanged; returns it."""
        return self._reseat(ops.transpose, dim0, dim1)

    swapaxes_ = swapdims_ = transpose_

    def t_(self) -> Tensor:
        """This very tensor (n, m) becomes (m, n); returns it. RuntimeError for more dimensions."""
        return self._reseat(ops.t)


def _real(number: Any, kind: str) -> Any:
    """The number without its imaginary part, which must be 0."""
    if number.dtype.kind == "c" and number.imag != 0:
        raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
    return number.real


def _numbers(args: tuple) -> tuple:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


def _owner(array: np.ndarray) -> np.ndarray:
    """The array that a view shows a part of; what NumPy's `as_strided` made has it one step further away."""
    while True:
        base = array.base if isinstance(array.base, np.ndarray) else getattr(array.base, "base", None)
        if not isinstance(base, np.ndarray):
            return array
        array = base


def _copied(array: np.ndarray, memo: dict) -> tuple[np.ndarray, VersionCounter]:
    """A copy for `copy.deepcopy`: arrays that shared memory share it again, and its version."""
    low, high = np.lib.array_utils.byte_bounds(_owner(array))
    memory, counter = memo.setdefault((low, high), (np.empty(high - low, np.uint8), _new_counter()))
    offset = array.__array_interface__["data"][0] - low if array.size else 0
    new = np.ndarray(array.shape, array.dtype, memory, offset, array.strides)
    new[...] = array
    return new, counter


def _operator(function: Callable, a: Tensor, b: Any) -> Any:
    """An operator with something that is neither tensor nor number: Python asks the other side."""
    if isinstance(b, (Tensor, *Number)):
        return function(a, b)
    return function(a, a.wrap(b)) if isinstance(b, np.ndarray) else NotImplemented


def _floats(function: str, **numbers: Any) -> list[float]:
    """The first arguments of a function as numbers."""
    return [ops._common.number(n, function, name, i, "float") for i, (name, n) in enumerate(numbers.items(), 1)]


_SOME = 2**16  # random numbers


def _drawn(kind: np.dtype) -> Any:
    """The type in which NumPy draws random numbers that will be of this type."""
    return np.float64 if kind == np.float64 else np.float32


def _rebuild(cls: type[Tensor], array: np.ndarray, requires_grad: bool, state: dict) -> Tensor:
    tensor = cls.__new__(cls)
    tensor.array, tensor._version_counter = array, _new_counter()
    tensor._requires_grad = requires_grad
    tensor._backward_hooks = OrderedDict()  # as PyTorch leaves it: no hook is pickled
    tensor.__dict__.update(state)
    return tensor


def conversion_asked(*args: Any, **kwargs: Any) -> tuple[dtype | None, memory_format | None, bool]:
    """(type, memory format, whether to copy) among the arguments of a tensor's or a module's `to`; the device is the CPU.

    Raises TypeError for what `to` does not take.
    """
    unknown = kwargs.keys() - {"device", "dtype", "non_blocking", "copy", "memory_format", "other"}
    if unknown:
        raise TypeError(f"to() received an invalid combination of arguments - got {', '.join(sorted(unknown))}")
    kind, other = kwargs.get("dtype"), kwargs.get("other")
    check_device(kwargs.get("device"))
    flags = []  # non_blocking, copy
    for arg in args:
        if isinstance(arg, dtype):
            kind = arg
        elif isinstance(arg, Tensor):
            other = arg
        elif isinstance(arg, bool):
            flags.append(arg)
        elif isinstance(arg, (str, device)):
            check_device(arg)
        elif arg is not None:
            raise TypeError(f"to() received an invalid combination of arguments - got ({type(arg).__name__})")
    format = kwargs.get("memory_format")
    if format is not None:
        _memory.need_format(format, "to")
    return kind if other is None else other.dtype, format, kwargs.get("copy", flags[1:] == [True])


def need_tensor(value: Any, function: str, argument: str = "input", position: int = 1) -> None:
    """TypeError unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{function}(): argument '{argument}' (position {position}) must be Tensor, not {type(value).__name__}"
        )


def typename(obj: Any) -> str:
    """The name of an object's type as error messages give it: 'torch.FloatTensor', 'int', 'package.module.Class'."""
    if isinstance(obj, Tensor):
        return str(obj.type())
    module, name = type(obj).__module__, type(obj).__qualname__
    if hasattr(obj, "__qualname__"):
        module, name = getattr(obj, "__module__", ""), obj.__qualname__
    return name if module in (None, "", "builtins") else f"{module}.{name}"


SavedTensor.wrap = staticmethod(Tensor.wrap)
