"""Normalization by layer, and by neighbouring channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn.nn import init
from minicnn.nn.modules._new import new_parameter
from minicnn.nn.modules.module import Module

__all__ = ["GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class LayerNorm(Module):
    """(x - mean) / sqrt(variance + eps) weight + bias, by the mean and variance of the last dimensions.

    Args:
        normalized_shape: those dimensions, or one number for the last one.
        eps: added to the variance.
        elementwise_affine: whether there are weight and bias, of `normalized_shape`.
        bias: whether there is a bias beside the weight.
        device: the CPU.
        dtype: of the parameters.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        for name, wanted in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(name, new_parameter(self.normalized_shape, device, dtype) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        shape, bias = self.normalized_shape, self.bias is not None
        return f"{shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={bias}"


class GroupNorm(Module):
    """(x - mean) / sqrt(variance + eps) weight + bias, by the mean and variance of each group of channels of each image.

    Args:
        num_groups: how many groups of neighbouring channels there are.
        num_channels: C of (N, C, ...), which they divide.
        eps: added to the variance.
        affine: whether there are weight and bias, one number for each channel.
        device: the CPU.
        dtype: of the parameters.
        bias: whether there is a bias beside the weight.

    Raises:
        ValueError: the groups do not divide the channels.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups != 0:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, new_parameter((num_channels,), device, dtype) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        numbers = f"{self.num_groups}, {self.num_channels}, eps={self.eps}"
        return f"{numbers}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """Each number of (N, C, ...) over (k + alpha mean)^beta, with the mean of the squares of its neighbours in the channels.

    Args:
        size: how many channels count as neighbours; those outside count as zeros.
        alpha: the weight of the mean.
        beta: the power.
        k: added to the mean.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class RMSNorm(Module):
    """x / sqrt(mean of x^2 + eps) weight, by the mean over the last dimensions.

    Args:
        normalized_shape: those dimensions, or one number for the last one.
        eps: added to the mean; the type's own if it is not given.
        elementwise_affine: whether there is a weight, of `normalized_shape`.
        device: the CPU.
        dtype: of the weight.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter(
            "weight", new_parameter(self.normalized_shape, device, dtype) if elementwise_affine else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
