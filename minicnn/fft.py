"""Fourier transforms of the last two dimensions, under `torch.fft`'s names."""

from __future__ import annotations

import numpy as np

from minicnn import ops
from minicnn._tensor import Tensor
from minicnn.autograd.tensor_base import TensorBase
from minicnn.ops import irfft2, rfft2

__all__ = ["fftfreq", "irfft2", "rfft2", "rfftfreq"]


def fftfreq(n: int, d: float = 1.0) -> Tensor:
    """The frequencies of a transform of length n, in cycles per unit if samples are d apart: (n,)."""
    return TensorBase.wrap(np.fft.fftfreq(n, d).astype(ops.default_dtype()))


def rfftfreq(n: int, d: float = 1.0) -> Tensor:
    """The frequencies of half a spectrum: (n // 2 + 1,)."""
    return TensorBase.wrap(np.fft.rfftfreq(n, d).astype(ops.default_dtype()))
