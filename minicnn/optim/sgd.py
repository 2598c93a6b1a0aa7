"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minicnn._tensor import Tensor
from minicnn.optim.optimizer import Both, Optimizer, checked, fixed, held, number, with_decay

__all__ = ["SGD"]


class SGD(Optimizer):
    """g = gradient + weight_decay p;  b = momentum b + (1 - dampening) g, at first b = g;  p = p - lr b.

    With `nesterov`: p = p - lr (g + momentum b).

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum: how much of the former direction is kept.
        dampening: how much of the gradient is left out of the direction.
        weight_decay: how strongly parameters are drawn to zero.
        nesterov: use the gradient beside the direction.
        maximize: go up the gradient.
        foreach: accepted; nothing depends on it.
        differentiable: record the step, so that gradients go through it; the parameters must not be leaves.
        fused: accepted; nothing depends on it.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        settings = checked(locals())
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(params, settings)

    def _update(self, param: Both, grad: Both, state: dict[str, Any], group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        grad = with_decay(param, grad, group)
        if momentum != 0:
            if state.get("momentum_buffer") is None:
                copied = grad.detach().clone() if isinstance(grad, Tensor) else Tensor.wrap(grad.copy())
                state["momentum_buffer"] = copied
                direction = held(state, "momentum_buffer", param)
            else:
                direction = held(state, "momentum_buffer", param)
                direction *= momentum
                direction += (1 - group["dampening"]) * grad
            grad = grad + momentum * direction if group["nesterov"] else fixed(direction)
        param -= number(group["lr"], param) * grad
