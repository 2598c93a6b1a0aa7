"""Fresh parameters for layers, and what layers with a weight and a bias share."""

from __future__ import annotations

import math
from typing import Any

from minicnn.nn import init
from minicnn.nn.modules.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import creation

Single = int | tuple[int]  # for a series: one number, also in a tuple


def new_parameter(shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Parameter:
    """A parameter of this shape, of the default dtype unless one is given. It has zeros until the layer fills it."""
    return Parameter(creation.zeros(shape, device=device, dtype=dtype))


class _Weighted(Module):
    """A layer with a weight and, if it is wanted, a bias."""

    weight: Parameter
    bias: Any  # a Parameter, or None

    def _new_parameters(self, shape: tuple[int, ...], outputs: int | None, device: Any, dtype: Any) -> None:
        """A weight of this shape, and a bias of `outputs` numbers, or none."""
        self.weight = new_parameter(shape, device, dtype)
        self.register_parameter("bias", None if outputs is None else new_parameter((outputs,), device, dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform numbers between -1/sqrt(fan_in) and 1/sqrt(fan_in): how many numbers of the input meet in one output."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)
