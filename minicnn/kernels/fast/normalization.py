"""Normalisation of rows and of channels, fast: the sums of each in float64, all in one visit to it."""

from __future__ import annotations

import math

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


def channel_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, var = np.empty(x.shape[1]), np.empty(x.shape[1])
    run(_moments, len(mean), x.size, _planes(x), mean, var)
    return mean, var


def batch_norm_grad(
    grad: np.ndarray, x: np.ndarray, scale: np.ndarray, mean: np.ndarray, inverse_std: np.ndarray, training: bool
) -> tuple[np.ndarray, ...]:
    to_x, to_weight, to_bias = np.empty(x.shape, x.dtype), np.empty_like(scale), np.empty_like(scale)
    planes = map(_planes, (grad, x, to_x))
    run(_batch_norm_grad, x.shape[1], x.size, *planes, scale, mean, inverse_std, training, to_weight, to_bias)
    return to_x, to_weight, to_bias


def _planes(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(x).reshape(*x.shape[:2], math.prod(x.shape[2:]))


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


@jit_sums
def _moments(x, mean, var, start, stop):
    """Unit: a channel."""
    N, _, n = x.shape
    for c in range(start, stop):
        total, square = 0.0, 0.0
        for i in range(N):
            plane = x[i, c]
            for j in range(n):
                total += np.float64(plane[j])
        center = total / (N * n)
        for i in range(N):
            plane = x[i, c]
            for j in range(n):
                square += (np.float64(plane[j]) - center) ** 2
        mean[c], var[c] = center, square / (N * n)


@jit_sums
def _batch_norm_grad(grad, x, to_x, scale, mean, inverse_std, training, to_weight, to_bias, start, stop):
    """Unit: a channel."""
    N, _, n = x.shape
    for c in range(start, stop):
        total, along, center, narrow, factor = 0.0, 0.0, mean[c], inverse_std[c], scale[c]
        for i in range(N):
            passed, plane = grad[i, c], x[i, c]
            for j in range(n):
                total += np.float64(passed[j])
                along += np.float64(passed[j]) * np.float64((plane[j] - center) * narrow)
        to_weight[c], to_bias[c] = along, total
        constant, slope = x.dtype.type(total / (N * n)), x.dtype.type(along / (N * n) * narrow)
        for i in range(N):
            passed, plane, target = grad[i, c], x[i, c], to_x[i, c]
            if training:
                for j in range(n):
                    target[j] = factor * (passed[j] - constant - (plane[j] - center) * slope)
            else:  # whatever x is: 0 times infinity would be NaN
                for j in range(n):
                    target[j] = factor * passed[j]
