"""Reverse-mode differentiation: the graph, the engine that walks it, and `Function`, which builds it."""

from minicnn._tensor import Tensor
from minicnn.autograd import functional, graph
from minicnn.autograd.engine import backward, grad
from minicnn.autograd.function import Function
from minicnn.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from minicnn.autograd.gradcheck import gradcheck, gradgradcheck


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """The tensor over the same memory, as a leaf: an old name that scripts still use. Every tensor is a variable now."""
    return data.alias().requires_grad_(requires_grad)


__all__ = [
    "Variable",
    "Function",
    "backward",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
    "set_multithreading_enabled",
]
