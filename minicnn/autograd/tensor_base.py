"""What autograd knows of a tensor: an array, a place in the graph, a version.

`minicnn.Tensor` adds the operators and methods; it stands above the operations, which stand above this.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn._types import Size, dtype
from minicnn.autograd import grad_mode, inplace
from minicnn.autograd.graph import AccumulateGrad, Node, shared
from minicnn.autograd.handles import RemovableHandle, warn_if_has_hooks


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


class TensorBase:
    """An n-dimensional array that autograd can follow. `array` is the NumPy array behind it."""

    array: np.ndarray
    _version_counter: VersionCounter

    _requires_grad = False
    _grad: TensorBase | None = None
    _grad_fn: Node | None = None
    _output_nr = 0
    _accumulator: weakref.ref | None = None
    _backward_hooks: OrderedDict | None = None
    _post_accumulate_grad_hooks: OrderedDict | None = None
    _retained_by: Node | None = None
    # of a view that can be differentiated: the tensor whose memory it shows, and the version that `_grad_fn` belongs to
    _base: TensorBase | None = None
    _view_version = 0
    _view_origin: str | None = (
        None  # "custom", "multi", "no_grad", "inference_mode": why it must not be written in place
    )

    _python_class: type[TensorBase]  # what `wrap` makes: `minicnn.Tensor` puts itself here

    @staticmethod
    def wrap(array: np.ndarray) -> TensorBase:
        """A new tensor over this array, without copying. It does not require grad."""
        tensor = object.__new__(TensorBase._python_class)
        tensor.array = array if isinstance(array, np.ndarray) else np.asarray(array)
        if grad_mode.inference_blocks and grad_mode.mode.inference:
            tensor._version_counter = _InferenceCounter()
        else:
            tensor._version_counter = VersionCounter()
        return tensor

    def alias(self) -> TensorBase:
        """A tensor that shares memory and version, outside of the graph: what `detach()` returns."""
        tensor = self.wrap(self.array)
        tensor._version_counter = self._version_counter
        return tensor

    # --- place in the graph -------------------------------------------------------------------------------------------

    @property
    def grad_fn(self) -> Node | None:
        """The node that made this tensor; None for a leaf. That of a view follows writes to its base."""
        base = self._base
        if base is not None and self._view_version != self._version_counter.value and base.requires_grad:
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
        if not self.is_leaf and not value:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if value and self._version_counter.inference and not grad_mode.mode.inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        if value and self.array.dtype.kind not in "fc":
            raise RuntimeError("only Tensors of floating point dtype can require gradients")
        if self.is_leaf:
            self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> TensorBase:
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
    def grad(self) -> TensorBase | None:
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
    def grad(self, value: TensorBase | None) -> None:
        if value is not None:
            if not isinstance(value, TensorBase):
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

    def detach(self) -> TensorBase:
        """The same memory outside of the graph: writes to one are seen by the other, and counted."""
        return self.alias()

    def detach_(self) -> TensorBase:
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
    def data(self) -> TensorBase:
        """The same memory with a version counter of its own: autograd does not see writes through it."""
        return self.alias() if self._version_counter.inference else self.wrap(self.array)

    @data.setter
    def data(self, value: TensorBase) -> None:
        if not isinstance(value, TensorBase):
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


def short_name(kind: dtype) -> str:
    """`Float` for float32, `Long` for int64: the name that error texts use."""
    return kind.tensor_type.removesuffix("Tensor")


def _rebuild(cls: type[TensorBase], array: np.ndarray, requires_grad: bool, state: dict) -> TensorBase:
    tensor = cls.__new__(cls)
    tensor.array, tensor._version_counter = array, VersionCounter()
    tensor._requires_grad = requires_grad
    tensor._backward_hooks = OrderedDict()  # as PyTorch leaves it: no hook is pickled
    tensor.__dict__.update(state)
    return tensor
