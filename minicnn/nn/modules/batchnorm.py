"""Batch normalization."""

from __future__ import annotations

from typing import Any

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn._types import int64
from minicnn.nn import init
from minicnn.nn.modules._new import new_parameter
from minicnn.nn.modules.module import Module
from minicnn.ops import creation

__all__ = ["BatchNorm1d", "BatchNorm2d"]


class _NormBase(Module):
    """What batch and instance norm share: parameters (C,), running statistics (C,), and their first values."""

    _version = 2  # since 2 there is num_batches_tracked

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name, wanted in (("weight", affine), ("bias", affine and bias)):
            self.register_parameter(name, new_parameter((num_features,), device, dtype) if wanted else None)
        for name, buffer in (
            ("running_mean", creation.zeros(num_features, device=device, dtype=dtype)),
            ("running_var", creation.ones(num_features, device=device, dtype=dtype)),
            ("num_batches_tracked", creation.tensor(0, dtype=int64)),
        ):
            self.register_buffer(name, buffer if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and the running statistics reset."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            if self.bias is not None:
                init.zeros_(self.bias)

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local_metadata: dict, *rest: Any) -> None:
        version = local_metadata.get("version")
        if (version is None or version < 2) and self.track_running_stats:
            key = prefix + "num_batches_tracked"
            if key not in state_dict:  # a file from before version 2, or plain tensors
                state_dict[key] = self.num_batches_tracked
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)


class _BatchNorm(_NormBase):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain mean over all batches
                factor = 1.0 / float(self.num_batches_tracked)
        by_batch = self.training or (self.running_mean is None and self.running_var is None)
        # The running statistics are handed over if they are to be updated, or to be used.
        hand_over = not self.training or self.track_running_stats
        mean, variance = (self.running_mean, self.running_var) if hand_over else (None, None)
        return F.batch_norm(input, mean, variance, self.weight, self.bias, by_batch, factor, self.eps)


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(variance + eps) weight + bias for each channel of (N, C) or (N, C, L). See `BatchNorm2d`."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 3):
            raise ValueError(f"expected 2D or 3D input (got {input.dim()}D input)")


class BatchNorm2d(_BatchNorm):
    """(x - mean) / sqrt(variance + eps) weight + bias for each channel of (N, C, H, W).

    In training, mean and variance are those of the batch, and the running ones move towards them; in evaluation the
    running ones are used.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the fraction by which the running statistics move; None for the plain mean over all batches.
        affine: whether there are weight and bias.
        track_running_stats: whether there are running statistics; without them the batch's are always used.
        device: the CPU.
        dtype: of parameters and statistics.
        bias: whether there is a bias beside the weight.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 4:
            raise ValueError(f"expected 4D input (got {input.dim()}D input)")
