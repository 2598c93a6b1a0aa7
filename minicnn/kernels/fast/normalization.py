"""Normalisation of rows, fast: the sums of a row in float64, all in one visit to it."""

from __future__ import annotations

import numpy as np

from .parallel import jit_sums, run


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    out, mean, inverse_std = np.empty(x.shape, x.dtype), np.empty(len(x)), np.empty(len(x))
    rows = map(np.ascontiguousarray, (x, weight, bias))
    run(_normalize, len(x), x.size, *rows, eps, out, mean, inverse_std)
    return out, mean, inverse_std


def layer_norm_grad(
    grad: np.ndarray, x: np.ndarray, weight: np.ndarray, mean: np.ndarray, inverse_std: np.ndarray
) -> np.ndarray:
    out = np.empty(x.shape, x.dtype)
    rows = map(np.ascontiguousarray, (grad, x, weight))
    run(_normalize_grad, len(x), x.size, *rows, mean, inverse_std, out)
    return out


@jit_sums
def _normalize(x, weight, bias, eps, out, mean, inverse_std, start, stop):
    n = x.shape[1]
    for r in range(start, stop):
        row, target = x[r], out[r]
        total, square = 0.0, 0.0
        for i in range(n):
            total += np.float64(row[i])
        center = total / n
        for i in range(n):
            square += (np.float64(row[i]) - center) ** 2
        scale = 1 / np.sqrt(square / n + eps)
        mean[r], inverse_std[r] = center, scale
        for i in range(n):
            target[i] = (np.float64(row[i]) - center) * scale * weight[i] + bias[i]


@jit_sums
def _normalize_grad(grad, x, weight, mean, inverse_std, out, start, stop):
    n = x.shape[1]
    for r in range(start, stop):
        row, passed, target = x[r], grad[r], out[r]
        center, scale = mean[r], inverse_std[r]
        total, along = 0.0, 0.0
        for i in range(n):
            g = np.float64(passed[i]) * weight[i]
            total += g
            along += g * ((row[i] - center) * scale)
        total, along = total / n, along / n
        for i in range(n):
            target[i] = (np.float64(passed[i]) * weight[i] - total - (row[i] - center) * scale * along) * scale
