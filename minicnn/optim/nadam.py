"""NAdam: Adam with Nesterov's momentum (Dozat 2016)."""

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
    moments,
    number,
    root_of,
    scalar,
    with_decay,
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
        differentiable: record the step, so that gradients go through it; the parameters must not be leaves.

    Raises:
        ValueError: a setting is out of its range.
    """

    _scalars = ("step", "mu_product")

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
        super().__init__(params, checked(locals()))

    def _update(self, param: Both, grad: Both, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["step"] = scalar(0.0)
            state["mu_product"] = scalar(1.0)
            state["exp_avg"] = zeros_like(param)
            state["exp_avg_sq"] = zeros_like(param)
        lr, beta1, beta2 = (number(value, param) for value in (group["lr"], *group["betas"]))
        grad = with_decay(param, grad, group)

        step = count_step(state)
        momentum, following = (beta1 * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"])) for t in (step, step + 1))
        state["mu_product"].array *= momentum
        product = float(state["mu_product"].array)

        mean, square = moments(param, grad, state, beta1, beta2)
        root = root_of(square / (1 - beta2**step), 1, group["eps"])
        param -= (lr * (1.0 - momentum) / (1.0 - product)) * (grad / root)
        param -= (lr * following / (1.0 - product * following)) * (fixed(mean) / root)
