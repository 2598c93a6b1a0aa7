"""Lengths and angles of vectors, made of other operations."""

from __future__ import annotations

import numpy as np

from minicnn._tensor import Tensor, need_tensor
from minicnn.autograd.grad_mode import no_grad
from minicnn.ops._common import broadcast_shapes, fitting, number


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """x divided by its p-norm along `dim`, by `eps` where the norm is smaller."""
    need_tensor(input, "normalize")
    length = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    quotient = input / length
    return quotient if out is None else out.copy_(quotient)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """x1 x2 / (|x1| |x2|) along `dim`; a length below `eps` counts as `eps`."""
    need_tensor(x1, "cosine_similarity", "x1")
    eps = number(eps, "cosine_similarity", "eps", kind="float")
    if eps < 0:
        raise RuntimeError(f"eps must be non-negative, got: {eps:g}")
    bound = fitting(eps, x1.array.dtype)
    shape = broadcast_shapes(x1.array.shape, x2.array.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    lengths = [x.norm(2, dim, keepdim=True) for x in (x1, x2)]
    with no_grad():
        # As in PyTorch, the bound is set on the number only: the gradient is that of the true length.
        for length in lengths:
            np.maximum(length.array, bound, out=length.array)
    return ((x1 / lengths[0]) * (x2 / lengths[1])).sum(dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension."""
    need_tensor(x1, "pairwise_distance", "x1")
    p, eps = (number(n, "pairwise_distance", name, kind="float") for name, n in (("p", p), ("eps", eps)))
    return (x1 - x2 + eps).norm(p, max(x1.dim(), x2.dim()) - 1, keepdim=keepdim)
