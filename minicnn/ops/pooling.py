"""Pooling and resizing of (N, C, H, W). The arithmetic is in `minicnn.kernels`; here is what depends on what."""

from __future__ import annotations

import numpy as np

from minicnn import kernels
from minicnn.autograd.function import Op
from minicnn.autograd.tensor_base import TensorBase
from minicnn.ops import reduction

Pair = tuple[int, int]
Scales = tuple[float | None, float | None]


class MaxPool2DWithIndices(Op):
    """The largest of each window; the gradient goes to it alone, to the first of equals in scan order."""

    @staticmethod
    def forward(ctx, x, kernel, stride, padding, dilation, ceil_mode):
        ctx.shape = x.array.shape
        out, ctx.indices = kernels.max_pool2d(x.array, kernel, stride, padding, dilation, ceil_mode)
        return out, ctx.indices

    @staticmethod
    def backward(ctx, grad, _):
        return kernels.max_pool2d_grad(grad.array, ctx.indices, ctx.shape)


class AdaptiveMaxPool2D(Op):
    """The largest of each of OH x OW regions that cover the input."""

    @staticmethod
    def forward(ctx, x, output_size):
        ctx.shape = x.array.shape
        out, ctx.indices = kernels.adaptive_max_pool2d(x.array, output_size)
        return out, ctx.indices

    @staticmethod
    def backward(ctx, grad, _):
        return kernels.max_pool2d_grad(grad.array, ctx.indices, ctx.shape)


class AvgPool2D(Op):
    """The mean of each window; every element of it gets an equal share of the gradient."""

    @staticmethod
    def forward(ctx, x, *geometry):
        ctx.shape, ctx.geometry = x.array.shape, geometry
        return kernels.avg_pool2d(x.array, *geometry)

    @staticmethod
    def backward(ctx, grad):
        return kernels.avg_pool2d_grad(grad.array, ctx.shape, *ctx.geometry)


class AdaptiveAvgPool2D(Op):
    """The mean of each of OH x OW regions that cover the input."""

    @staticmethod
    def forward(ctx, x, output_size):
        ctx.shape, ctx.size = x.array.shape, output_size
        return kernels.adaptive_avg_pool2d(x.array, output_size)

    @staticmethod
    def backward(ctx, grad):
        return kernels.adaptive_avg_pool2d_grad(grad.array, ctx.shape, ctx.size)


class UpsampleNearest2D(Op):
    """Each output pixel copies the nearest input pixel."""

    @staticmethod
    def forward(ctx, x, output_size, scales):
        ctx.shape, ctx.options = x.array.shape, (output_size, scales)
        return kernels.upsample_nearest2d(x.array, *ctx.options)

    @staticmethod
    def backward(ctx, grad):
        return kernels.upsample_nearest2d_grad(grad.array, ctx.shape, *ctx.options)


class UpsampleBilinear2D(Op):
    """Each output pixel mixes the four input pixels around it."""

    @staticmethod
    def forward(ctx, x, output_size, align_corners, scales):
        ctx.shape, ctx.options = x.array.shape, (output_size, align_corners, scales)
        return kernels.upsample_bilinear2d(x.array, *ctx.options)

    @staticmethod
    def backward(ctx, grad):
        return kernels.upsample_bilinear2d_grad(grad.array, ctx.shape, *ctx.options)


class GridSampler2D(Op):
    """Pixels read at the places that a grid names; places between pixels mix their neighbours."""

    slots = 2

    @staticmethod
    def forward(ctx, x, grid, mode, padding_mode, align_corners):
        ctx.save_for_backward(x, grid)
        ctx.options = mode, padding_mode, align_corners
        taps = _taps(x.array.shape, grid.array, *ctx.options)
        out = np.zeros((x.array.shape[0], x.array.shape[1], *grid.array.shape[1:3]), x.array.dtype)
        batch = np.arange(x.array.shape[0])[:, None, None]
        for rows, columns, weight, _, _ in taps:
            out += np.moveaxis(x.array[batch, :, rows, columns] * weight[..., None], -1, 1)
        return out

    @staticmethod
    def backward(ctx, grad):
        x, grid = (t.array for t in ctx.saved_tensors)
        taps = _taps(x.shape, grid, *ctx.options)
        batch = np.arange(x.shape[0])[:, None, None]
        g = np.moveaxis(grad.array, 1, -1)
        to_x = to_grid = None
        if ctx.needs_input_grad[0]:
            flat = np.zeros((x.shape[0] * x.shape[2] * x.shape[3], x.shape[1]), x.dtype)
            for rows, columns, weight, _, _ in taps:
                np.add.at(flat, (batch * x.shape[2] + rows) * x.shape[3] + columns, g * weight[..., None])
            to_x = np.moveaxis(flat.reshape(x.shape[0], x.shape[2], x.shape[3], x.shape[1]), -1, 1)
        if ctx.needs_input_grad[1]:
            to_grid = np.zeros_like(grid)
            for rows, columns, _, by_x, by_y in taps:
                product = (x[batch, :, rows, columns] * g).sum(-1)
                to_grid[..., 0] += product * by_x
                to_grid[..., 1] += product * by_y
        return to_x, to_grid


def _taps(shape: tuple[int, ...], grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool) -> list[tuple]:
    """The pixels that each place reads: (rows, columns, weight, d weight / d grid x, d weight / d grid y)."""
    _, _, H, W = shape
    x, slope_x = _unnormalize(grid[..., 0], W, padding_mode, align_corners)
    y, slope_y = _unnormalize(grid[..., 1], H, padding_mode, align_corners)
    if mode == "nearest":
        columns, rows = np.round(x), np.round(y)
        nothing = np.zeros_like(x)
        return [_tap(rows, columns, np.ones_like(x), nothing, nothing, H, W)]
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = x - x0, y - y0
    return [
        _tap(y0, x0, (1 - fx) * (1 - fy), -(1 - fy) * slope_x, -(1 - fx) * slope_y, H, W),
        _tap(y0, x0 + 1, fx * (1 - fy), (1 - fy) * slope_x, -fx * slope_y, H, W),
        _tap(y0 + 1, x0, (1 - fx) * fy, -fy * slope_x, (1 - fx) * slope_y, H, W),
        _tap(y0 + 1, x0 + 1, fx * fy, fy * slope_x, fx * slope_y, H, W),
    ]


def _tap(rows, columns, weight, by_x, by_y, H: int, W: int) -> tuple:
    inside = (rows >= 0) & (rows < H) & (columns >= 0) & (columns < W)
    at = np.where(inside, rows, 0).astype(np.int64), np.where(inside, columns, 0).astype(np.int64)
    return (*at, weight * inside, by_x * inside, by_y * inside)


def _unnormalize(g: np.ndarray, n: int, padding_mode: str, align_corners: bool) -> tuple[np.ndarray, np.ndarray]:
    """Grid coordinates in [-1, 1] as pixel coordinates, and the slope of that map."""
    kind = g.dtype.type
    half = kind((n - 1) / 2 if align_corners else n / 2)
    x = (g + 1) * half - (0 if align_corners else kind(0.5))
    slope = np.full_like(g, half)
    if padding_mode == "border":
        outside = (x <= 0) | (x >= n - 1)
        return np.clip(x, 0, n - 1), np.where(outside, 0, slope).astype(g.dtype)
    if padding_mode == "reflection":
        low, high = (0.0, n - 1.0) if align_corners else (-0.5, n - 0.5)
        span = high - low
        if span == 0:
            return np.zeros_like(x), np.zeros_like(slope)
        distance = np.abs(x - low)
        turns = np.floor(distance / span)
        rest = distance - turns * span
        odd = turns % 2 == 1
        slope = slope * np.sign(x - low) * np.where(odd, -1, 1)
        x = np.where(odd, high - rest, low + rest)
        outside = (x <= 0) | (x >= n - 1)
        return np.clip(x, 0, n - 1).astype(g.dtype), np.where(outside, 0, slope).astype(g.dtype)
    return x, slope


def max_pool2d(
    input: TensorBase, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[TensorBase, TensorBase]:
    """(values, indices), both (N, C, OH, OW); an index is y W + x in its input plane."""
    return MaxPool2DWithIndices.apply(input, kernel, stride, padding, dilation, ceil_mode)


def avg_pool2d(
    input: TensorBase,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> TensorBase:
    """(N, C, H, W) -> (N, C, OH, OW)"""
    return AvgPool2D.apply(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)


def adaptive_avg_pool2d(input: TensorBase, output_size: Pair) -> TensorBase:
    """(N, C, H, W) -> (N, C, *output_size); one single region is a plain mean, as in PyTorch's graph."""
    if output_size == (1, 1):
        return reduction.mean(input, (-1, -2), keepdim=True)
    return AdaptiveAvgPool2D.apply(input, output_size)


def adaptive_max_pool2d(input: TensorBase, output_size: Pair) -> tuple[TensorBase, TensorBase]:
    """(values, indices), both (N, C, *output_size)"""
    return AdaptiveMaxPool2D.apply(input, output_size)


def upsample_nearest2d(input: TensorBase, output_size: Pair, scales: Scales = (None, None)) -> TensorBase:
    """(N, C, H, W) -> (N, C, *output_size); `scales` where the size came from a scale factor."""
    return UpsampleNearest2D.apply(input, output_size, scales)


def upsample_bilinear2d(
    input: TensorBase, output_size: Pair, align_corners: bool, scales: Scales = (None, None)
) -> TensorBase:
    """(N, C, H, W) -> (N, C, *output_size); align_corners: the corner pixels' centres stay at the corners."""
    return UpsampleBilinear2D.apply(input, output_size, align_corners, scales)


def grid_sample(
    input: TensorBase, grid: TensorBase, mode: str, padding_mode: str, align_corners: bool
) -> TensorBase:
    """(N, C, H, W) read at grid (N, OH, OW, 2), x and y in [-1, 1] -> (N, C, OH, OW)."""
    return GridSampler2D.apply(input, grid, mode, padding_mode, align_corners)
