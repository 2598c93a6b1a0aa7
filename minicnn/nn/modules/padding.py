"""Layers that add a border to images (N, C, H, W) or (C, H, W), or to series (N, C, W) or (C, W).

`padding` is one number for all sides or (left, right, top, bottom); of a series (left, right).
"""

from __future__ import annotations

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn.nn.modules.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "ConstantPad1d", "ConstantPad2d", "ReflectionPad1d", "ReflectionPad2d",
    "ReplicationPad1d", "ReplicationPad2d", "ZeroPad1d", "ZeroPad2d",
]  # fmt: skip

Ends = int | tuple[int, int]
Sides = int | tuple[int, int, int, int]


class _Pad(Module):
    """A border of what `mode` says, as `F.pad` takes it."""

    mode = "constant"
    value: float | None = None
    dims = 2

    def __init__(self, padding: Ends | Sides) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Ends | Sides, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Ends | Sides) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPad(_Pad):
    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self.dims + 1, self.dims + 2):
            raise ValueError(f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.dim()}D input)")
        return super().forward(input)


class ConstantPad2d(_ConstantPad):
    """A border of the number `value`."""


class ZeroPad2d(_ZeroPad):
    """A border of zeros."""


class ReflectionPad2d(_Pad):
    """A border that mirrors the image; the edge pixels are not repeated."""

    mode = "reflect"


class ReplicationPad2d(_Pad):
    """A border that repeats the edge pixels."""

    mode = "replicate"


class CircularPad2d(_CircularPad):
    """A border that continues the image at the opposite side."""


class ConstantPad1d(_ConstantPad):
    """The number `value` at both ends."""

    dims = 1


class ZeroPad1d(_ZeroPad):
    """Zeros at both ends."""

    dims = 1


class ReflectionPad1d(_Pad):
    """The series mirrored at both ends, which are not repeated."""

    mode, dims = "reflect", 1


class ReplicationPad1d(_Pad):
    """The first and the last number repeated."""

    mode, dims = "replicate", 1


class CircularPad1d(_CircularPad):
    """The series continued at the opposite end."""

    dims = 1
