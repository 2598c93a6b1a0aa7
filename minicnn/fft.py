"""Fourier transforms of the last two dimensions, under `torch.fft`'s names."""

from __future__ import annotations

import operator

import numpy as np

from minicnn import ops
from minicnn._tensor import Tensor
from minicnn.ops import irfft2, rfft2

__all__ = ["fftfreq", "irfft2", "irfftn", "rfft2", "rfftfreq"]


def irfftn(
    input: Tensor, s: tuple[int, int] | None = None, dim: tuple[int, int] = (-2, -1), norm: str | None = None
) -> Tensor:
    """`irfft2`; NotImplementedError for other dimensions than the last two."""
    if tuple(d % input.ndim for d in dim) != (input.ndim - 2, input.ndim - 1):
        raise NotImplementedError(f"minicnn.fft transforms the last two dimensions, got dim={dim}")
    return irfft2(input, s, norm)


def fftfreq(n: int, d: float = 1.0) -> Tensor:
    """The frequencies of a transform of length n, in cycles per unit if samples are d apart: (n,)."""
    return Tensor.wrap(np.fft.fftfreq(operator.index(n), d).astype(ops.default_dtype()))


def rfftfreq(n: int, d: float = 1.0) -> Tensor:
    """The frequencies of half a spectrum: (n // 2 + 1,)."""
    return Tensor.wrap(np.fft.rfftfreq(operator.index(n), d).astype(ops.default_dtype()))
