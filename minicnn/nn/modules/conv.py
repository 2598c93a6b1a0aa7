"""Convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minicnn.nn.functional as F
from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn._types import Size2
from minicnn.nn.modules._new import Single, _Weighted
from minicnn.ops._common import pair

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

# Lists, not sets: the texts below print them, and the order of a set of strings changes from run to run.
_PADDING_NAMES = ["same", "valid"]
_PADDING_MODES = ["zeros", "reflect", "replicate", "circular"]


class _ConvNd(_Weighted):
    """What a convolution and its transpose share: the numbers, the parameters, their first values."""

    _dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2 | Single,
        stride: Size2 | Single,
        padding: Size2 | Single | str,
        dilation: Size2 | Single,
        transposed: bool,
        output_padding: Size2 | Single,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = map(self._repeated, (kernel_size, stride, dilation))
        self.padding = padding if isinstance(padding, str) else self._repeated(padding)
        self.transposed, self.output_padding = transposed, self._repeated(output_padding)
        self.padding_mode = padding_mode
        _check(in_channels, out_channels, self.stride, self.padding, groups, padding_mode)
        self._reversed_padding_repeated_twice = _border(self.padding, self.kernel_size, self.dilation)

        ends = (in_channels, out_channels // groups) if transposed else (out_channels, in_channels // groups)
        self._new_parameters((*ends, *self.kernel_size), out_channels if bias else None, device, dtype)

    def _repeated(self, value: Any) -> tuple[int, ...]:
        """One number for each dimension."""
        return pair(value) if isinstance(value, (tuple, list)) else (pair(value)[0],) * self._dims

    def extra_repr(self) -> str:
        zeros, ones = (0,) * self._dims, (1,) * self._dims
        usual = {"padding": zeros, "dilation": ones, "output_padding": zeros, "groups": 1, "padding_mode": "zeros"}
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, value in usual.items():
            if name == "padding_mode" and self.bias is None:
                text += ", bias=False"
            if getattr(self, name) != value:
                text += f", {name}={getattr(self, name)}"
        return text

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("padding_mode", "zeros")


def _check(
    in_channels: int, out_channels: int, stride: tuple, padding: tuple | str, groups: int, padding_mode: str
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups != 0:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups != 0:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str):
        if padding not in _PADDING_NAMES:
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {_as_set(_PADDING_NAMES)}")
        if padding == "same" and any(step != 1 for step in stride):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in _PADDING_MODES:
        raise ValueError(
            f"padding_mode must be one of {_as_set(_PADDING_MODES)}, but got padding_mode='{padding_mode}'"
        )


def _as_set(names: list[str]) -> str:
    return "{" + ", ".join(map(repr, names)) + "}"


def _border(padding: tuple | str, kernel_size: tuple, dilation: tuple) -> list[int]:
    """The padding as `F.pad` takes it: two numbers for each dimension, the last dimension first."""
    border: list[int] = []
    for i in reversed(range(len(kernel_size))):
        if isinstance(padding, str):
            total = dilation[i] * (kernel_size[i] - 1) if padding == "same" else 0
            border += [total // 2, total - total // 2]
        else:
            border += [padding[i]] * 2
    return border


class _Conv(_ConvNd):
    """A convolution by the function `_function`."""

    _function: Any

    def forward(self, input: Tensor) -> Tensor:
        """Call the convolution with the layer's own weight, bias and settings."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """`forward` with another weight and bias. For subclasses to call."""
        padding = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = (0,) * self._dims
        return self._function(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    """Filters over an image: (N, C, H, W) -> (N, O, OH, OW), also without N.

    `weight` is (O, C / groups, KH, KW), `bias` (O,). OH = floor((H + 2 PH - DH (KH - 1) - 1) / SH) + 1.

    Args:
        in_channels: C.
        out_channels: O, the number of filters.
        kernel_size: one number or (KH, KW); so are stride, padding and dilation.
        stride: the distance between neighbouring windows.
        padding: rows and columns added on each side; 'valid' for none; 'same' for as many as keep the size.
        dilation: the distance between neighbouring points of a filter.
        groups: the channels are cut into this many groups, and the filters with them.
        bias: whether a learned number is added to each output channel.
        padding_mode: 'zeros', 'reflect', 'replicate' or 'circular': what the padding is filled with.
        device: the CPU.
        dtype: of the parameters.

    Raises:
        ValueError: the numbers do not fit together.
    """

    _function = staticmethod(F.conv2d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2,
        stride: Size2 = 1,
        padding: Size2 | str = 0,
        dilation: Size2 = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, False, 0, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        """Call the convolution with the layer's own weight, bias and settings."""
        if self.padding_mode != "zeros" or type(self) is not Conv2d:  # a subclass may have a `_conv_forward` of its own
            return self._conv_forward(input, self.weight, self.bias)
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv1d(_Conv):
    """Filters over a series: (N, C, W) -> (N, O, OW), also without N.

    `weight` is (O, C / groups, KW), `bias` (O,). Arguments and errors are those of `Conv2d`, with one number, or a tuple of
    one, where that has two.
    """

    _dims = 1
    _function = staticmethod(F.conv1d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Single,
        stride: Single = 1,
        padding: Single | str = 0,
        dilation: Single = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, False, 0, groups, bias, padding_mode,
            device, dtype,
        )  # fmt: skip


class _ConvTranspose(_ConvNd):
    """A transposed convolution by the function `_function`."""

    _function: Any

    def __init__(self, *settings: Any) -> None:
        if settings[10] != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(*settings)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """`output_size`, the size of the result, decides where several sizes are possible."""
        output_padding: Sequence[int] = self.output_padding
        if output_size is not None:
            output_padding = self._output_padding_for(input, output_size)
        return self._function(
            input, self.weight, self.bias, self.stride, self.padding, output_padding, self.groups, self.dilation
        )

    def _output_padding_for(self, input: Tensor, output_size: Sequence[int]) -> list[int]:
        channel_dims = input.dim() - self._dims
        if len(output_size) == input.dim():
            output_size = output_size[channel_dims:]
        if len(output_size) != self._dims:
            raise ValueError(
                f"ConvTranspose{self._dims}D: for {input.dim()}D input, output_size must have {self._dims} or {input.dim()} "
                f"elements (got {len(output_size)})"
            )
        size = input.shape[channel_dims:]
        settings: Any = (self.kernel_size, self.stride, self.padding, self.dilation)
        smallest = [kernels.transposed_size(*numbers) for numbers in zip(size, *settings, strict=False)]
        largest = [size + step - 1 for size, step in zip(smallest, self.stride, strict=True)]
        if not all(low <= size <= high for low, size, high in zip(smallest, output_size, largest, strict=True)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {smallest} to {largest} "
                f"(for an input of {input.shape[2:]})"
            )
        return [size - low for size, low in zip(output_size, smallest, strict=True)]


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution, for upsampling: (N, C, H, W) -> (N, O, OH, OW), also without N.

    `weight` is (C, O / groups, KH, KW), `bias` (O,). OH = (H - 1) SH - 2 PH + DH (KH - 1) + output_padding + 1.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: one number or (KH, KW); so are stride, padding, output_padding and dilation.
        stride: of the convolution that this is the transpose of.
        padding: of the convolution that this is the transpose of: it makes the result smaller.
        output_padding: rows and columns added at the far edge of the result.
        groups: the channels are cut into this many groups.
        bias: whether a learned number is added to each output channel.
        dilation: the distance between neighbouring points of a filter.
        padding_mode: 'zeros'.
        device: the CPU.
        dtype: of the parameters.

    Raises:
        ValueError: the numbers do not fit together.
    """

    _function = staticmethod(F.conv_transpose2d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2,
        stride: Size2 = 1,
        padding: Size2 = 0,
        output_padding: Size2 = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size2 = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a convolution of series: (N, C, W) -> (N, O, OW), also without N.

    `weight` is (C, O / groups, KW), `bias` (O,). Arguments and errors are those of `ConvTranspose2d`, with one number, or a
    tuple of one, where that has two.
    """

    _dims = 1
    _function = staticmethod(F.conv_transpose1d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Single,
        stride: Single = 1,
        padding: Single = 0,
        output_padding: Single = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Single = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip
