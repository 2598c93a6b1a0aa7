"""Adam (Kingma and Ba 2015)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn.optim.optimizer import (
    Both,
    Optimizer,
    checked,
    count_step,
    fixed,
    held,
    moments,
    number,
    root_of,
    scalar,
    with_decay,
    zeros_like,
)

__all__ = ["Adam"]


class Adam(Optimizer):
    """Each number moves by its mean gradient divided by the root of its mean squared gradient, so about lr a step.

        g = gradient + weight_decay p
        m = beta1 m + (1 - beta1) g            corrected for its start at 0: m / (1 - beta1^t)
        v = beta2 v + (1 - beta2) g^2          corrected for its start at 0: v / (1 - beta2^t)
        p = p - lr m / (sqrt(v) + eps)

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: (beta1, beta2): how slowly the two means follow.
        eps: keeps the division finite.
        weight_decay: how strongly parameters are drawn to zero.
        amsgrad: divide by the largest v so far.
        foreach, capturable, fused: accepted; nothing depends on them.
        maximize: go up the gradient.
        differentiable: record the step, so that gradients go through it; the parameters must not be leaves.
        decoupled_weight_decay: p = p - lr weight_decay p instead of the term in g; this is AdamW.

    Raises:
        ValueError: a setting is out of its range.
    """

    _scalars = ("step",)

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(params, checked(locals()))

    def _update(self, param: Both, grad: Both, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["step"] = scalar(0.0)
            state["exp_avg"] = zeros_like(param)
            state["exp_avg_sq"] = zeros_like(param)
        lr, beta1, beta2 = (number(value, param) for value in (group["lr"], *group["betas"]))
        grad = with_decay(param, grad, group)

        mean, square = moments(param, grad, state, beta1, beta2)
        if group["amsgrad"]:
            if "max_exp_avg_sq" not in state:
                state["max_exp_avg_sq"] = zeros_like(param)
            largest = held(state, "max_exp_avg_sq", param)
            if isinstance(largest, Tensor):
                square = largest.copy_(largest.clone().maximum(square.clone()))
            else:
                square = np.maximum(largest, square, out=largest)

        step = count_step(state)
        root = root_of(square, (1 - beta2**step) ** 0.5, group["eps"])
        param -= (lr / (1 - beta1**step)) * (fixed(mean) / root)
