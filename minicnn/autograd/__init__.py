"""Reverse-mode differentiation: the graph, the engine that walks it, and `Function`, which builds it."""

from minicnn.autograd import graph
from minicnn.autograd.engine import backward, grad
from minicnn.autograd.function import Function
from minicnn.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled

__all__ = ["Function", "backward", "enable_grad", "grad", "graph", "inference_mode", "no_grad", "set_grad_enabled"]
