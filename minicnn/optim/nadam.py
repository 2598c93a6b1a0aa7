"""NAdam: Adam with Nesterov's momentum (Dozat 2016)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn.optim.optimizer import (
    Optimizer,
    check_at_least_zero,
    check_betas,
    check_lr,
    count_step,
    scalar,
    zeros_like,
)

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """Adam that steps along the mean gradient of the next step as far as it is known, with a growing momentum.

        mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2),  M_t = mu_1 ... mu_t;  m, v as in Adam
        p = p - lr (1 - mu_t) / (1 - M_t) g / (sqrt(v) + eps) - lr mu_t+1 / (1 - M_t+1) m / (sqrt(v) + eps)

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: (beta1, beta2): how slowly the two means follow.
        eps: keeps the division finite.
        weight_decay: how strongly parameters are drawn to zero.
        momentum_decay: how fast the momentum grows.
        decoupled_weight_decay: weight decay as in AdamW.
        foreach, capturable: accepted; nothing depends on them.
        maximize: go up the gradient.
        differentiable: must be False.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_at_least_zero(eps=("epsilon value", eps))
        check_betas(betas)
        check_at_least_zero(a=("weight_decay value", weight_decay), b=("momentum_decay value", momentum_decay))
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _update(self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["step"] = scalar(0.0)
            state["mu_product"] = scalar(1.0)
            state["exp_avg"] = zeros_like(param)
            state["exp_avg_sq"] = zeros_like(param)
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                param *= 1 - lr * group["weight_decay"]
            else:
                grad = grad + group["weight_decay"] * param

        step = count_step(state)
        momentum, following = (beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1))
        state["mu_product"].array *= momentum
        product = float(state["mu_product"].array)

        mean, square = state["exp_avg"].array, state["exp_avg_sq"].array
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * (grad * grad)
        root = np.sqrt(square / (1 - beta2**step)) + group["eps"]
        param -= (lr * (1.0 - momentum) / (1.0 - product)) * (grad / root)
        param -= (lr * following / (1.0 - product * following)) * (mean / root)
