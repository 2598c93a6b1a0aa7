"""Pooling layers."""

from __future__ import annotations

from typing import Any

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn._types import Size2
from minicnn.nn.modules._new import Single
from minicnn.nn.modules.module import Module
from minicnn.ops._common import pair
from minicnn.ops.pooling import check_norm

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d", "AvgPool2d",
    "LPPool1d", "LPPool2d", "MaxPool1d", "MaxPool2d", "MaxUnpool1d", "MaxUnpool2d",
]  # fmt: skip


class _Window(Module):
    """A pooling layer with windows of a fixed size."""

    _extra_repr_names: tuple[str, ...] = ("kernel_size", "stride", "padding")

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode


class MaxPool2d(_Window):
    """The maximum of each window: (N, C, H, W) -> (N, C, OH, OW), also without N.

    Args:
        kernel_size: of the window.
        stride: the distance between windows; the kernel size if not given.
        padding: rows and columns of minus infinity on each side; at most half a window.
        dilation: the distance between neighbouring points of a window.
        return_indices: return (maxima, indices), where index y W + x is the place of the first maximum in its plane.
        ceil_mode: also take windows that begin inside but reach over the far edge.
    """

    _extra_repr_names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Size2,
        stride: Size2 | None = None,
        padding: Size2 = 0,
        dilation: Size2 = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = dilation
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        settings = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        return F.max_pool2d(input, *settings)


class MaxPool1d(_Window):
    """The maximum of each window: (N, C, W) -> (N, C, OW), also without N. The arguments are those of `MaxPool2d`."""

    _extra_repr_names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Single,
        stride: Single | None = None,
        padding: Single = 0,
        dilation: Single = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = dilation
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        settings = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        return F.max_pool1d(input, *settings)


def _one(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


class AvgPool1d(_Window):
    """The mean of each window: (N, C, W) -> (N, C, OW), also without N. The arguments are those of `AvgPool2d`."""

    def __init__(
        self,
        kernel_size: Single,
        stride: Single | None = None,
        padding: Single = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(_one(kernel_size), None if stride is None else _one(stride), _one(padding), ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_Window):
    """The mean of each window: (N, C, H, W) -> (N, C, OH, OW), also without N.

    Args:
        kernel_size: of the window.
        stride: the distance between windows; the kernel size if not given.
        padding: rows and columns of zeros on each side; at most half a window.
        ceil_mode: also take windows that begin inside but reach over the far edge.
        count_include_pad: divide by the number of places in the window, those in the padding included.
        divisor_override: divide the sum by this number instead.
    """

    def __init__(
        self,
        kernel_size: Size2,
        stride: Size2 | None = None,
        padding: Size2 = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        how = self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, *how)


class LPPool2d(Module):
    """The p-norm of each window: (N, C, H, W) -> (N, C, OH, OW), also without N.

    Args:
        norm_type: p; infinity for the largest |x|.
        kernel_size: of the window.
        stride: the distance between windows; the kernel size if not given.
        ceil_mode: also take windows that begin inside but reach over the far edge.
    """

    _extra_repr_names = ("norm_type", "kernel_size", "stride", "ceil_mode")

    def __init__(
        self, norm_type: float, kernel_size: Size2, stride: Size2 | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        check_norm(norm_type)
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool1d(LPPool2d):
    """The p-norm of each window of a series: (N, C, W) -> (N, C, OW), also without N; settings as of `LPPool2d`."""

    def forward(self, input: Tensor) -> Tensor:
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class AdaptiveAvgPool2d(Module):
    """The means of windows that divide the image evenly: (N, C, H, W) -> (N, C, *output_size), also without N.

    Args:
        output_size: one number or (OH, OW); None keeps the input's size.
    """

    _extra_repr_names = ("output_size",)

    def __init__(self, output_size: Size2) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool1d(Module):
    """The means of windows that divide the series evenly: (N, C, W) -> (N, C, output_size), also without N."""

    _extra_repr_names = ("output_size",)

    def __init__(self, output_size: Single) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveMaxPool1d(Module):
    """The maxima of windows that divide the series evenly: (N, C, W) -> (N, C, output_size), also without N.

    With `return_indices` (maxima, indices), where index x is the place of the first maximum in its row.
    """

    _extra_repr_names = ("output_size",)

    def __init__(self, output_size: Single, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(Module):
    """The maxima of windows that divide the image evenly: (N, C, H, W) -> (N, C, *output_size), also without N.

    Args:
        output_size: one number or (OH, OW); None keeps the input's size.
        return_indices: return (maxima, indices), where index y W + x is the place of the first maximum in its plane.
    """

    _extra_repr_names = ("output_size",)

    def __init__(self, output_size: Size2, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class MaxUnpool2d(Module):
    """Each number back at the place that `MaxPool2d(..., return_indices=True)` took it from, zeros elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling.
    """

    def __init__(self, kernel_size: Size2, stride: Size2 | None = None, padding: Size2 = 0) -> None:
        super().__init__()
        self.kernel_size, self.padding = pair(kernel_size), pair(padding)
        self.stride = self.kernel_size if stride is None else pair(stride)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(Module):
    """Each number back at the place that `MaxPool1d(..., return_indices=True)` took it from, zeros elsewhere.

    Args:
        kernel_size, stride, padding: those of the pooling.
    """

    def __init__(self, kernel_size: Single, stride: Single | None = None, padding: Single = 0) -> None:
        super().__init__()
        self.kernel_size, self.padding = pair(kernel_size, 1), pair(padding, 1)
        self.stride = self.kernel_size if stride is None else pair(stride, 1)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    extra_repr = MaxUnpool2d.extra_repr
