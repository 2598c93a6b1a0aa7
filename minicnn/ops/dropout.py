"""Dropout (Srivastava et al. 2014): numbers or channels set to zero at random."""

from __future__ import annotations

import numpy as np

from minicnn import _memory
from minicnn import random as _random
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.ops._common import number


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, set each number to zero with probability `p` and divide the others by 1 - p.

    Returns the input itself if there is nothing to do.
    """
    p = _probability(p, "dropout", inplace)
    return _drop(input, p, training, inplace, input.shape)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, set whole channels of (N, C, W) or (C, W) to zero with probability `p`; divide the others by 1 - p.

    RuntimeError for another number of dimensions.
    """
    p = _probability(p, "feature_dropout", inplace)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.dim()}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return _drop(input, p, training, inplace, (*input.shape[:-1], 1))


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, set whole channels of (N, C, H, W) to zero with probability `p`; divide the others by 1 - p."""
    p = _probability(p, "feature_dropout", inplace)
    if input.dim() not in (3, 4):
        warn_user(
            f"dropout2d: Received a {input.dim()}-D input to dropout2d, which is deprecated and will result in an "
            "error in a future release. To retain the behavior and silence this warning, please use dropout instead. "
            "Note that dropout2d exists to provide channel-wise dropout on inputs with 2 spatial dimensions, a channel "
            "dimension, and an optional batch dimension (i.e. 3D or 4D inputs)."
        )
    if input.dim() == 3:
        warn_user(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired "
            "- input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a "
            "future release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain "
            "the 1D channel-wise dropout behavior, please switch to using dropout1d instead."
        )
    return _drop(input, p, training, inplace, (*input.shape[:2], *(1,) * (input.dim() - 2)))


def _probability(p: float, function: str, inplace: bool) -> float:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    return number(p, f"{function}_" if inplace else function, "p", 2, "float")


def _drop(input: Tensor, p: float, training: bool, inplace: bool, noise_shape: tuple[int, ...]) -> Tensor:
    if not training or p == 0 or input.numel() == 0:
        return input
    kept = _random.generator().random(noise_shape, np.float32) >= p
    factors = np.where(kept, 1 / (1 - p) if p < 1 else 0, 0).astype(input.array.dtype)
    noise = Tensor.wrap(_memory.laid_as(input.array, factors) if factors.shape == input.array.shape else factors)
    return input.mul_(noise) if inplace else input * noise
