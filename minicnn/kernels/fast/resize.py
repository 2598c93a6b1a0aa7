"""Resizing and resampling, fast. Resizing works along one axis after the other: width, then height."""

from __future__ import annotations

import math

import numpy as np

from minicnn.kernels.shapes import Pair, Scales, Shape, bilinear_sources, grid_slopes, grid_taps, nearest_sources

from .parallel import jit, run


def upsample_nearest2d(x: np.ndarray, output_size: Pair, scales: Scales = (None, None)) -> np.ndarray:
    rows, columns = (nearest_sources(*axis) for axis in zip(x.shape[2:], output_size, scales, strict=True))
    return np.ascontiguousarray(x[:, :, rows][:, :, :, columns])


def upsample_nearest2d_grad(
    grad: np.ndarray, input_shape: Shape, output_size: Pair, scales: Scales = (None, None)
) -> np.ndarray:
    out = grad
    for axis in (2, 3):
        source = nearest_sources(input_shape[axis], output_size[axis - 2], scales[axis - 2])
        out = _collect(out, axis, input_shape[axis], [(source, np.ones(len(source), grad.dtype))])
    return out


def upsample_bilinear2d(
    x: np.ndarray, output_size: Pair, align_corners: bool, scales: Scales = (None, None)
) -> np.ndarray:
    out = x
    for axis in (3, 2):
        low, high, weight = bilinear_sources(
            x.shape[axis], output_size[axis - 2], align_corners, scales[axis - 2], x.dtype
        )
        weight = weight if axis == 3 else weight[:, None]
        out = (1 - weight) * out.take(low, axis) + weight * out.take(high, axis)
    return out


def upsample_bilinear2d_grad(
    grad: np.ndarray,
    input_shape: Shape,
    output_size: Pair,
    align_corners: bool,
    scales: Scales = (None, None),
) -> np.ndarray:
    out = grad
    for axis in (2, 3):
        low, high, weight = bilinear_sources(
            input_shape[axis], output_size[axis - 2], align_corners, scales[axis - 2], grad.dtype
        )
        out = _collect(out, axis, input_shape[axis], [(low, 1 - weight), (high, weight)])
    return out


def _collect(grad: np.ndarray, axis: int, size: int, sources: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The adjoint of reading along an axis: each input pixel adds up the weighted gradients of those that read it."""
    shape = *grad.shape[:axis], size, *grad.shape[axis + 1 :]
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    lines, out = (
        np.ascontiguousarray(grad).reshape(outer, grad.shape[axis], inner),
        np.zeros((outer, size, inner), grad.dtype),
    )
    for source, weight in sources:
        run(_add_to, outer, grad.size, lines, source, weight, out)
    return out.reshape(shape)


@jit
def _add_to(grad, source, weight, out, start, stop):
    """out[o, source[i]] += weight[i] * grad[o, i]. Unit: o."""
    for o in range(start, stop):
        for i in range(len(source)):
            target, line, w = out[o, source[i]], grad[o, i], weight[i]
            for j in range(len(line)):
                target[j] += w * line[j]


# ------------------------------------------------------------------------------------------------- reading at any place


def grid_sample(x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool) -> np.ndarray:
    rows, columns, weights, _ = grid_taps(x.shape, grid, mode, padding_mode, align_corners)
    out = np.zeros((*x.shape[:2], *grid.shape[1:3]), x.dtype)
    run(_read, x.shape[0] * x.shape[1], out.size * len(rows), np.ascontiguousarray(x), rows, columns, weights, out)
    return out


def grid_sample_grad(
    grad: np.ndarray, x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool, to_grid: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    rows, columns, weights, inside = grid_taps(x.shape, grid, mode, padding_mode, align_corners)
    to_x = np.zeros(x.shape, grad.dtype)
    run(
        _write, x.shape[0] * x.shape[1], grad.size * len(rows), np.ascontiguousarray(grad), rows, columns, weights, to_x
    )
    if not to_grid:
        return to_x, None
    by_x, by_y = (slopes * inside for slopes in grid_slopes(x.shape, grid, mode, padding_mode, align_corners))
    batch = np.arange(x.shape[0])[:, None, None]
    g = np.moveaxis(grad, 1, -1)
    out = np.zeros_like(grid)
    for tap in range(len(rows)):
        product = (x[batch, :, rows[tap], columns[tap]] * g).sum(-1)
        out[..., 0] += product * by_x[tap]
        out[..., 1] += product * by_y[tap]
    return to_x, out


@jit
def _read(x, rows, columns, weights, out, start, stop):
    """out[n, c, y, x] = sum over taps of weight * pixel. Unit: one plane (n, c)."""
    taps, _, OH, OW = rows.shape
    C = x.shape[1]
    for unit in range(start, stop):
        n, c = unit // C, unit % C
        for t in range(taps):
            for i in range(OH):
                for j in range(OW):
                    weight = weights[t, n, i, j]
                    if weight != 0:
                        out[n, c, i, j] += weight * x[n, c, rows[t, n, i, j], columns[t, n, i, j]]


@jit
def _write(grad, rows, columns, weights, out, start, stop):
    """The adjoint of `_read`: each pixel collects the weighted gradients of those that read it. Unit: one plane (n, c)."""
    taps, _, OH, OW = rows.shape
    C = out.shape[1]
    for unit in range(start, stop):
        n, c = unit // C, unit % C
        for t in range(taps):
            for i in range(OH):
                for j in range(OW):
                    out[n, c, rows[t, n, i, j], columns[t, n, i, j]] += weights[t, n, i, j] * grad[n, c, i, j]
