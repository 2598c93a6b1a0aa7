"""Windows of an image as columns, and back."""

from __future__ import annotations

from minicnn._tensor import Tensor
from minicnn._types import Size2
from minicnn.nn import functional as F
from minicnn.nn.modules.module import Module

__all__ = ["Fold", "Unfold"]


class Unfold(Module):
    """The windows of an image as columns: (N, C, H, W) -> (N, C KH KW, OH OW)."""

    _extra_repr_names = ("kernel_size", "dilation", "padding", "stride")

    def __init__(self, kernel_size: Size2, dilation: Size2 = 1, padding: Size2 = 0, stride: Size2 = 1) -> None:
        super().__init__()
        self.kernel_size, self.dilation, self.padding, self.stride = kernel_size, dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(Module):
    """Columns added up at the places of their windows: (N, C KH KW, OH OW) -> (N, C, *output_size)."""

    _extra_repr_names = ("output_size", "kernel_size", "dilation", "padding", "stride")

    def __init__(
        self, output_size: Size2, kernel_size: Size2, dilation: Size2 = 1, padding: Size2 = 0, stride: Size2 = 1
    ) -> None:
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)
