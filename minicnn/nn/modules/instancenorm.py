"""Instance normalization."""

from __future__ import annotations

from typing import Any

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.nn.modules.batchnorm import _NormBase

__all__ = ["InstanceNorm1d", "InstanceNorm2d"]


class _InstanceNorm(_NormBase):
    _dims: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self._dims + 1, self._dims + 2):
            raise ValueError(f"expected {self._dims + 1}D or {self._dims + 2}D input (got {input.dim()}D input)")
        channel_dim = input.dim() - self._dims - 1
        if input.size(channel_dim) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={channel_dim} to match num_features ({self.num_features}), "
                    f"but got: {input.size(channel_dim)}."
                )
            warn_user(
                f"input's size at dim={channel_dim} does not match num_features. You can silence this warning by not "
                "passing in num_features, which is not used because affine=False"
            )
        if channel_dim == 0:
            return self._normalize(input.unsqueeze(0)).squeeze(0)
        return self._normalize(input)

    def _normalize(self, input: Tensor) -> Tensor:
        state = self.running_mean, self.running_var, self.weight, self.bias
        by_image = self.training or not self.track_running_stats
        return F.instance_norm(input, *state, by_image, 0.0 if self.momentum is None else self.momentum, self.eps)


class InstanceNorm1d(_InstanceNorm):
    """(x - mean) / sqrt(variance + eps) weight + bias for each channel of each series: (N, C, W) or (C, W).

    The arguments are those of `InstanceNorm2d`.
    """

    _dims = 1


class InstanceNorm2d(_InstanceNorm):
    """(x - mean) / sqrt(variance + eps) weight + bias for each channel of each image: (N, C, H, W) or (C, H, W).

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: the fraction by which the running statistics move, if there are any.
        affine: whether there are weight and bias.
        track_running_stats: whether evaluation uses running statistics instead of the image's.
        device: the CPU.
        dtype: of parameters and statistics.
        bias: whether there is a bias beside the weight.
    """

    _dims = 2
