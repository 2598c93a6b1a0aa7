"""Layers that add a border to images (N, C, H, W) or (C, H, W).

`padding` is one number for all sides or (left, right, top, bottom).
"""

from __future__ import annotations

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn.nn.modules.module import Module

__all__ = ["CircularPad2d", "ConstantPad2d", "ReflectionPad2d", "ReplicationPad2d", "ZeroPad2d"]

Sides = int | tuple[int, int, int, int]


class _Pad2d(Module):
    """A border of what `mode` says, as `F.pad` takes it."""

    mode = "constant"
    value: float | None = None

    def __init__(self, padding: Sides) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * 4

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad2d(_Pad2d):
    """A border of the number `value`."""

    def __init__(self, padding: Sides, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ZeroPad2d(ConstantPad2d):
    """A border of zeros."""

    def __init__(self, padding: Sides) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ReflectionPad2d(_Pad2d):
    """A border that mirrors the image; the edge pixels are not repeated."""

    mode = "reflect"


class ReplicationPad2d(_Pad2d):
    """A border that repeats the edge pixels."""

    mode = "replicate"


class CircularPad2d(_Pad2d):
    """A border that continues the image at the opposite side."""

    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(f"expected 3D or 4D input (got {input.dim()}D input)")
        return super().forward(input)
