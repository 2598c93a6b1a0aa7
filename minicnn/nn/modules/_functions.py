"""The autograd function on which full backward hooks stand."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Function

__all__ = ["BackwardHookFunction"]


class BackwardHookFunction(Function):
    """The identity. Its node is a place in the graph where all gradients at one edge of a module meet.

    The outputs are views of the inputs and share their memory. Inputs that require no gradient stay so.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> tuple:
        ctx.mark_non_differentiable(*(arg for arg in args if not arg.requires_grad))
        return args

    @staticmethod
    def backward(ctx: Any, *args: Any) -> tuple:
        return args
