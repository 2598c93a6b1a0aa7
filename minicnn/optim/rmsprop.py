"""RMSprop (Tieleman and Hinton 2012)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minicnn._tensor import Tensor
from minicnn.optim.optimizer import (
    Both,
    Optimizer,
    checked,
    count_step,
    fixed,
    held,
    number,
    root_of,
    scalar,
    with_decay,
    zeros_like,
)

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g^2;  p = p - lr g / (sqrt(v) + eps).

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        alpha: how slowly the mean square follows.
        eps: keeps the division finite.
        weight_decay: how strongly parameters are drawn to zero.
        momentum: how much of the former direction is kept.
        centered: divide by the standard deviation of the gradient instead of the root of its mean square.
        capturable, foreach: accepted; nothing depends on them.
        maximize: go up the gradient.
        differentiable: record the step, so that gradients go through it; the parameters must not be leaves.

    Raises:
        ValueError: a setting is out of its range.
    """

    _scalars = ("step",)

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, checked(locals()))

    def _update(self, param: Both, grad: Both, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["step"] = scalar(0.0)
            state["square_avg"] = zeros_like(param)
            if group["momentum"] > 0:
                state["momentum_buffer"] = zeros_like(param)
            if group["centered"]:
                state["grad_avg"] = zeros_like(param)
        count_step(state)
        lr, alpha = number(group["lr"], param), group["alpha"]
        grad = with_decay(param, grad, group)

        square = held(state, "square_avg", param)
        square *= alpha
        square += (1 - alpha) * (grad * grad)
        if group["centered"]:
            mean = held(state, "grad_avg", param)
            mean += (1 - alpha) * (grad - mean)
            root = root_of(square - fixed(mean) * fixed(mean), 1, group["eps"])
        else:
            root = root_of(square, 1, group["eps"])
        if group["momentum"] > 0:
            direction = held(state, "momentum_buffer", param)
            direction *= group["momentum"]
            direction += grad / root
            param -= lr * fixed(direction)
        else:
            param -= lr * (grad / root)
