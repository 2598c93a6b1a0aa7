"""Resizing and resampling, fast. Resizing works along one axis after the other: width, then height."""

from __future__ import annotations

import math

import numpy as np

from .parallel import jit, run

Pair = tuple[int, int]
Scales = tuple[float | None, float | None]


def nearest_sources(size: int, count: int, scale: float | None) -> np.ndarray:
    """For each of `count` output pixels the input pixel that it copies: floor(i * step), step = size / count or 1 / scale.

    As in PyTorch a size that stays, or doubles, is copied whatever the scale that led to it.
    """
    i = np.arange(count)
    if count in (size, 2 * size):
        return i * size // count
    step = np.float32(1 / scale if scale else size / count)
    return np.minimum(np.floor(i.astype(np.float32) * step).astype(np.int64), size - 1)


def bilinear_sources(
    size: int, count: int, align_corners: bool, scale: float | None, dtype: np.dtype
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `count` output pixels the two input pixels that it mixes and the second one's weight.

    align_corners: i (size - 1) / (count - 1), else (i + 1/2) * step - 1/2, not below 0; a size that stays is copied.
    """
    i = np.arange(count, dtype=dtype)
    if count == size:
        place = i
    elif align_corners:
        place = i * dtype.type((size - 1) / (count - 1) if count > 1 else 0)
    else:
        place = np.maximum(
            (i + dtype.type(0.5)) * dtype.type(1 / scale if scale else size / count) - dtype.type(0.5), 0
        )
    low = np.minimum(place.astype(np.int64), size - 1)
    return low, low if count == size else np.minimum(low + 1, size - 1), np.minimum(place - low, 1).astype(dtype)


def upsample_nearest2d(x: np.ndarray, output_size: Pair, scales: Scales = (None, None)) -> np.ndarray:
    rows, columns = (nearest_sources(*axis) for axis in zip(x.shape[2:], output_size, scales, strict=True))
    return np.ascontiguousarray(x[:, :, rows][:, :, :, columns])


def upsample_nearest2d_grad(
    grad: np.ndarray, input_shape: tuple[int, ...], output_size: Pair, scales: Scales = (None, None)
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
    input_shape: tuple[int, ...],
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
    rows, columns, weights, _, _ = grid_taps(x.shape, grid, mode, padding_mode, align_corners)
    out = np.zeros((*x.shape[:2], *grid.shape[1:3]), x.dtype)
    run(_read, x.shape[0] * x.shape[1], out.size * len(rows), np.ascontiguousarray(x), rows, columns, weights, out)
    return out


def grid_sample_grad(
    grad: np.ndarray, x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool, to_grid: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    rows, columns, weights, by_x, by_y = grid_taps(x.shape, grid, mode, padding_mode, align_corners)
    to_x = np.zeros(x.shape, grad.dtype)
    run(
        _write, x.shape[0] * x.shape[1], grad.size * len(rows), np.ascontiguousarray(grad), rows, columns, weights, to_x
    )
    if not to_grid:
        return to_x, None
    batch = np.arange(x.shape[0])[:, None, None]
    g = np.moveaxis(grad, 1, -1)
    out = np.zeros_like(grid)
    for tap in range(len(rows)):
        product = (x[batch, :, rows[tap], columns[tap]] * g).sum(-1)
        out[..., 0] += product * by_x[tap]
        out[..., 1] += product * by_y[tap]
    return to_x, out


def grid_taps(
    shape: tuple[int, ...], grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The pixels that each place of the grid reads, one entry (N, OH, OW) for each tap: rows, columns, weights, and the
    slopes of the weights by the grid's x and y. A tap outside the input has weight 0."""
    _, _, H, W = shape
    x, slope_x = _unnormalize(grid[..., 0], W, padding_mode, align_corners)
    y, slope_y = _unnormalize(grid[..., 1], H, padding_mode, align_corners)
    if mode == "nearest":
        nothing = np.zeros_like(x)
        taps = [(np.round(y), np.round(x), np.ones_like(x), nothing, nothing)]
    else:
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        taps = [
            (y0, x0, (1 - fx) * (1 - fy), -(1 - fy) * slope_x, -(1 - fx) * slope_y),
            (y0, x0 + 1, fx * (1 - fy), (1 - fy) * slope_x, -fx * slope_y),
            (y0 + 1, x0, (1 - fx) * fy, -fy * slope_x, (1 - fx) * slope_y),
            (y0 + 1, x0 + 1, fx * fy, fy * slope_x, fx * slope_y),
        ]
    rows, columns, weights, by_x, by_y = map(np.stack, zip(*taps, strict=True))
    inside = (rows >= 0) & (rows < H) & (columns >= 0) & (columns < W)
    at = (np.where(inside, place, 0).astype(np.int64) for place in (rows, columns))
    return (*at, weights * inside, by_x * inside, by_y * inside)


def _unnormalize(g: np.ndarray, n: int, padding_mode: str, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """Grid coordinates in [-1, 1] as pixel coordinates, and the slope of that map."""
    kind = g.dtype.type
    half = kind((n - 1) / 2 if align_corners else n / 2)
    x = (g + 1) * half - (0 if align_corners else kind(0.5))
    slope = np.full_like(g, half)
    if padding_mode == "zeros":
        return x, slope
    if padding_mode == "reflection":
        low, high = (0.0, n - 1.0) if align_corners else (-0.5, n - 0.5)
        span = high - low
        if span == 0:
            return np.zeros_like(x), np.zeros_like(slope)
        turns, rest = _divide(np.abs(x - kind(low)), kind(span))
        odd = turns % 2 == 1
        slope = slope * np.where(x < low, -1, 1) * np.where(odd, -1, 1)
        x = np.where(odd, kind(high) - rest, rest + kind(low))
    outside = (x <= 0) | (x >= n - 1)
    return np.clip(x, 0, n - 1).astype(g.dtype, copy=False), np.where(outside, 0, slope).astype(g.dtype, copy=False)


def _divide(a: np.ndarray, b: float) -> tuple[np.ndarray, np.ndarray]:
    """Quotient and rest. `np.divmod` is exact for huge numbers too, and twenty times slower."""
    quotient = np.floor(a / b)
    return quotient, a - quotient * b


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
