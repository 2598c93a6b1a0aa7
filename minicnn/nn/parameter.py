"""Tensors that a module notices when they are assigned to it: `Parameter` (learned) and `Buffer` (state)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn._tensor import Tensor

__all__ = ["Parameter", "Buffer"]


class Parameter(Tensor):
    """A leaf tensor that requires grad. It shares the memory of `data`.

    Args:
        data: a tensor; its place in a graph is left behind. Without it, an empty tensor.
        requires_grad: whether autograd computes its gradient.

    Raises:
        RuntimeError: `data` is not of a floating-point type, and `requires_grad` is set.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = _empty()
        if requires_grad and not data.detach().is_floating_point():
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        source, parameter = data.detach(), object.__new__(cls)
        parameter.array, parameter._version_counter = source.array, source._version_counter
        parameter.requires_grad = requires_grad
        return parameter

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        pass  # all is done in __new__

    def __deepcopy__(self, memo: dict) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.data.clone(), self.requires_grad)
        return memo[id(self)]

    def __repr__(self) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + super().__repr__()

    def __reduce_ex__(self, protocol: Any) -> tuple:
        # Hooks are dropped without a warning, unlike those of other tensors.
        state = {name: value for name, value in self.__dict__.items() if not name.startswith("_") and name != "array"}
        return _rebuild_parameter, (type(self), self.data, self.requires_grad, state)


class _BufferType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferType):
    """A tensor that is state of a module, not learned. It shares the memory of `data`.

    It is a plain `Tensor` with a mark, as in PyTorch: `isinstance(b, Buffer)` asks for the mark.

    Args:
        data: a tensor. Without it, an empty tensor.
        persistent: whether `state_dict` contains it.
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = _empty()
        buffer: Any = data.detach().requires_grad_(data.requires_grad)
        buffer.persistent, buffer._is_buffer = persistent, True
        return buffer


def zero_gradients(parameters: Iterable[Tensor], set_to_none: bool) -> None:
    """What `zero_grad` of a module and of an optimizer do: drop the gradients, or fill them with zeros."""
    for parameter in parameters:
        grad = parameter.grad
        if grad is None:
            continue
        if set_to_none:
            parameter.grad = None
            continue
        if grad.grad_fn is not None:
            grad.detach_()
        else:
            grad.requires_grad_(False)
        grad.zero_()


def _empty() -> Tensor:
    return Tensor.wrap(np.empty(0, np.float32))


def _rebuild_parameter(cls: type, data: Tensor, requires_grad: bool, state: dict) -> Parameter:
    parameter = cls(data, requires_grad)
    parameter._backward_hooks = OrderedDict()  # as PyTorch leaves it: no hook is pickled
    parameter.__dict__.update(state)
    return parameter
