"""The fully connected layer, and the layer that does nothing."""

from __future__ import annotations

from typing import Any

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn.nn.modules._new import _Weighted
from minicnn.nn.modules.module import Module

__all__ = ["Identity", "Linear"]


class Identity(Module):
    """Returns its input. Takes any arguments and ignores them, so that it can stand in for another layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Linear(_Weighted):
    """x weight^T + bias: (..., in_features) -> (..., out_features).

    `weight` is (out_features, in_features), `bias` (out_features,).

    Args:
        in_features: the length of an input vector.
        out_features: the length of an output vector.
        bias: whether a learned number is added to each output.
        device: the CPU.
        dtype: of the parameters.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self._new_parameters((out_features, in_features), out_features if bias else None, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """A `Linear` by another name, which PyTorch prints for the last one in `MultiheadAttention`."""
