"""AdamW (Loshchilov and Hutter 2019)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minicnn._tensor import Tensor
from minicnn.optim.adam import Adam
from minicnn.optim.optimizer import given

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam whose weight decay acts on the parameter directly, p = p - lr weight_decay p, and not through the means.

    The arguments are those of `Adam`, with `weight_decay` 0.01 by default.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, **given(locals()), decoupled_weight_decay=True)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
