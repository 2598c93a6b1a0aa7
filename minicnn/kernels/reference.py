"""The definitions: convolution, pooling and resizing as plain loops, to be read and stepped through.

Every fast kernel must give these results. They are slow: one 3x3 layer of a real network takes minutes. Legend:
`N C H W` input, `O KH KW` kernel, `SH SW` stride, `PH PW` padding, `DH DW` dilation, `OH OW` output. Indices are small letters.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .shapes import (
    Pair,
    Scales,
    Shape,
    Windows,
    adaptive_windows,
    bilinear_sources,
    grid_slopes,
    grid_taps,
    nearest_sources,
    output_size,
    pooling_windows,
)  # fmt: skip

# ---------------------------------------------------------------------------------------------------------- convolution


def conv2d(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """Convolution: x (N, C, H, W), weight (O, C / groups, KH, KW), bias (O,) -> (N, O, OH, OW).

    out[n, o, oh, ow] = bias[o] + sum over c, kh, kw of weight[o, c, kh, kw] * padded x[n, c, h, w]

    with h = oh * SH + kh * DH and w = ow * SW + kw * DW. The padding is of zeros.
    """
    N, O = x.shape[0], weight.shape[0]
    OH, OW = map(output_size, x.shape[2:], weight.shape[2:], stride, padding, dilation)
    out, x = np.zeros((N, O, OH, OW), x.dtype), _padded(x, padding)
    for n, o, oh, ow in np.ndindex(out.shape):
        total = x.dtype.type(0)
        for c, kh, kw, channel, h, w in _taps(o, oh, ow, weight.shape, stride, dilation, O // groups):
            total += weight[o, c, kh, kw] * x[n, channel, h, w]
        out[n, o, oh, ow] = total if bias is None else total + bias[o]
    return out


def conv2d_grad_input(
    grad: np.ndarray, weight: np.ndarray, input_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The gradient of a convolution's input, (N, C, H, W), from that of its output, (N, O, OH, OW).

    Each product weight * x of the forward pass hands its output's gradient, times the weight, back to that x.
    """
    out = _padded(np.zeros(input_shape, grad.dtype), padding)
    for n, o, oh, ow in np.ndindex(grad.shape):
        for c, kh, kw, channel, h, w in _taps(o, oh, ow, weight.shape, stride, dilation, grad.shape[1] // groups):
            out[n, channel, h, w] += weight[o, c, kh, kw] * grad[n, o, oh, ow]
    return out[:, :, padding[0] : padding[0] + input_shape[2], padding[1] : padding[1] + input_shape[3]]


def conv2d_grad_weight(
    grad: np.ndarray, x: np.ndarray, weight_shape: Shape, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """The gradient of a convolution's weight, (O, C / groups, KH, KW), from that of its output, (N, O, OH, OW).

    Each product weight * x of the forward pass hands its output's gradient, times x, back to that weight.
    """
    out, x = np.zeros(weight_shape), _padded(x, padding)  # float64: a long sum
    for n, o, oh, ow in np.ndindex(grad.shape):
        for c, kh, kw, channel, h, w in _taps(o, oh, ow, weight_shape, stride, dilation, grad.shape[1] // groups):
            out[o, c, kh, kw] += x[n, channel, h, w] * grad[n, o, oh, ow]
    return out.astype(x.dtype)


def _padded(x: np.ndarray, padding: Pair) -> np.ndarray:
    """The image with zeros around it, which are multiplied and added like any pixel."""
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))


def _taps(
    o: int, oh: int, ow: int, weight_shape: Shape, stride: Pair, dilation: Pair, group: int
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """The products behind one output: (c, kh, kw) in the kernel, (channel, h, w) in the padded input.

    Output channel o sees only the input channels of its own group of `group` output channels.
    """
    for c, kh, kw in np.ndindex(weight_shape[1:]):
        h, w = oh * stride[0] + kh * dilation[0], ow * stride[1] + kw * dilation[1]
        yield c, kh, kw, o // group * weight_shape[1] + c, h, w


# -------------------------------------------------------------------------------------------------------------- pooling


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The largest of each window, and where it is: h * W + w in its plane, int64; both (N, C, OH, OW).

    Of equals the first, row by row; NaN wins.

    A window of nothing but padding holds minus infinity, at -1: nowhere.
    """
    rows, columns = (
        pooling_windows(*axis, ceil_mode) for axis in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    )
    return _maxima(x, rows, columns, dilation)


def adaptive_max_pool2d(x: np.ndarray, output_size: Pair) -> tuple[np.ndarray, np.ndarray]:
    """`max_pool2d` of OH x OW regions that cover the input; `max_pool2d_grad` is its gradient too."""
    rows, columns = (adaptive_windows(n, count) for n, count in zip(x.shape[2:], output_size, strict=True))
    return _maxima(x, rows, columns, (1, 1))


def _maxima(x: np.ndarray, rows: Windows, columns: Windows, dilation: Pair) -> tuple[np.ndarray, np.ndarray]:
    N, C, _, W = x.shape
    shape = (N, C, len(rows[0]), len(columns[0]))
    out, indices = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    for n, c, oh, ow in np.ndindex(shape):
        empty = rows[0][oh] >= rows[1][oh] or columns[0][ow] >= columns[1][ow]
        best, where = -np.inf, -1 if empty else rows[0][oh] * W + columns[0][ow]
        for h in range(rows[0][oh], rows[1][oh], dilation[0]):
            for w in range(columns[0][ow], columns[1][ow], dilation[1]):
                if x[n, c, h, w] > best or np.isnan(x[n, c, h, w]):
                    best, where = x[n, c, h, w], h * W + w
        out[n, c, oh, ow], indices[n, c, oh, ow] = best, where
    return out, indices


def max_pool2d_grad(grad: np.ndarray, indices: np.ndarray, input_shape: Shape) -> np.ndarray:
    """The gradient of a max-pooling's input: (N, C, OH, OW) and the indices -> (N, C, H, W).

    Each output hands its gradient to the pixel that won its window.
    """
    out = np.zeros(input_shape, grad.dtype)
    for n, c, oh, ow in np.ndindex(grad.shape):
        if indices[n, c, oh, ow] >= 0:
            h, w = divmod(indices[n, c, oh, ow], input_shape[3])
            out[n, c, h, w] += grad[n, c, oh, ow]
    return out


def avg_pool2d(x: np.ndarray, rows: Windows, columns: Windows, divisor: np.ndarray) -> np.ndarray:
    """The sum of each window over its divisor (OH, OW): (N, C, H, W) -> (N, C, OH, OW).

    rows, columns, divisor: from `average_windows` or `adaptive_average_windows`.
    """
    out = np.zeros((*x.shape[:2], *divisor.shape), x.dtype)
    for n, c, oh, ow, h, w in _window_pixels(out.shape, rows, columns):
        out[n, c, oh, ow] += x[n, c, h, w]
    return out / divisor.astype(x.dtype)


def avg_pool2d_grad(
    grad: np.ndarray, input_shape: Shape, rows: Windows, columns: Windows, divisor: np.ndarray
) -> np.ndarray:
    """The gradient of an average-pooling's input: (N, C, OH, OW) -> (N, C, H, W).

    Each output hands an equal share of its gradient to the pixels of its window.
    """
    out, share = np.zeros(input_shape, grad.dtype), grad / divisor.astype(grad.dtype)
    for n, c, oh, ow, h, w in _window_pixels(grad.shape, rows, columns):
        out[n, c, h, w] += share[n, c, oh, ow]
    return out


def _window_pixels(shape: Shape, rows: Windows, columns: Windows) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(n, c, oh, ow, h, w): the pixels that each output sees."""
    for n, c, oh, ow in np.ndindex(shape):
        for h in range(rows[0][oh], rows[1][oh]):
            for w in range(columns[0][ow], columns[1][ow]):
                yield n, c, oh, ow, h, w


# ------------------------------------------------------------------------------------------------------------- resizing


def upsample_nearest2d(x: np.ndarray, output_size: Pair, scales: Scales = (None, None)) -> np.ndarray:
    """Each output pixel copies the input pixel below it. `scales`: torch's scale_factor, where the size came from one."""
    rows, columns = map(nearest_sources, x.shape[2:], output_size, scales)
    out = np.empty((*x.shape[:2], *output_size), x.dtype)
    for oh in range(output_size[0]):
        for ow in range(output_size[1]):
            out[:, :, oh, ow] = x[:, :, rows[oh], columns[ow]]
    return out


def upsample_nearest2d_grad(
    grad: np.ndarray, input_shape: Shape, output_size: Pair, scales: Scales = (None, None)
) -> np.ndarray:
    """The gradient of `upsample_nearest2d`'s input: (N, C, OH, OW) -> (N, C, H, W).

    Each input pixel adds up the gradients of its copies.
    """
    rows, columns = map(nearest_sources, input_shape[2:], output_size, scales)
    out = np.zeros(input_shape, grad.dtype)
    for oh in range(output_size[0]):
        for ow in range(output_size[1]):
            out[:, :, rows[oh], columns[ow]] += grad[:, :, oh, ow]
    return out


def upsample_bilinear2d(
    x: np.ndarray, output_size: Pair, align_corners: bool, scales: Scales = (None, None)
) -> np.ndarray:
    """Each output pixel mixes the four input pixels around it, by its distance from each."""
    out = np.zeros((*x.shape[:2], *output_size), x.dtype)
    for oh, ow, h, w, weight in _corners(x.shape, output_size, align_corners, scales, x.dtype):
        out[:, :, oh, ow] += weight * x[:, :, h, w]
    return out


def upsample_bilinear2d_grad(
    grad: np.ndarray,
    input_shape: Shape,
    output_size: Pair,
    align_corners: bool,
    scales: Scales = (None, None),
) -> np.ndarray:
    """The gradient of `upsample_bilinear2d`'s input: (N, C, OH, OW) -> (N, C, H, W).

    Each input pixel adds up the gradients of the mixtures that it is in, by its weight in each.
    """
    out = np.zeros(input_shape, grad.dtype)
    for oh, ow, h, w, weight in _corners(input_shape, output_size, align_corners, scales, grad.dtype):
        out[:, :, h, w] += weight * grad[:, :, oh, ow]
    return out


def _corners(shape: Shape, output_size: Pair, align_corners: bool, scales: Scales, dtype: np.dtype) -> Iterator:
    """(oh, ow, h, w, weight): the input pixels behind each output pixel."""
    rows, columns = (
        bilinear_sources(n, count, align_corners, scale, dtype)
        for n, count, scale in zip(shape[2:], output_size, scales, strict=True)
    )
    for oh in range(output_size[0]):
        for ow in range(output_size[1]):
            for h, by_row in ((rows[0][oh], 1 - rows[2][oh]), (rows[1][oh], rows[2][oh])):
                for w, by_column in ((columns[0][ow], 1 - columns[2][ow]), (columns[1][ow], columns[2][ow])):
                    yield oh, ow, h, w, by_row * by_column


def grid_sample(x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool) -> np.ndarray:
    """x (N, C, H, W) read at grid (N, OH, OW, 2), places (x, y) in [-1, 1] -> (N, C, OH, OW).

    out[n, :, i, j] = the pixels around the place grid[n, i, j], mixed by their distance from it.
    """
    rows, columns, weights, _ = grid_taps(x.shape, grid, mode, padding_mode, align_corners)
    out = np.zeros((*x.shape[:2], *grid.shape[1:3]), x.dtype)
    for tap, n, i, j in np.ndindex(rows.shape):
        out[n, :, i, j] += weights[tap, n, i, j] * x[n, :, rows[tap, n, i, j], columns[tap, n, i, j]]
    return out


def grid_sample_grad(
    grad: np.ndarray, x: np.ndarray, grid: np.ndarray, mode: str, padding_mode: str, align_corners: bool, to_grid: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """The gradients of `grid_sample`: to x, and to the grid if `to_grid`.

    To each pixel by its weight; to the grid by how the weights change with the place.
    """
    rows, columns, weights, inside = grid_taps(x.shape, grid, mode, padding_mode, align_corners)
    by_x, by_y = (slopes * inside for slopes in grid_slopes(x.shape, grid, mode, padding_mode, align_corners))
    to_x, to_place = np.zeros(x.shape, grad.dtype), np.zeros_like(grid)
    for tap, n, i, j in np.ndindex(rows.shape):
        h, w = rows[tap, n, i, j], columns[tap, n, i, j]
        to_x[n, :, h, w] += weights[tap, n, i, j] * grad[n, :, i, j]
        product = (x[n, :, h, w] * grad[n, :, i, j]).sum()
        to_place[n, i, j] += product * by_x[tap, n, i, j], product * by_y[tap, n, i, j]
    return to_x, to_place if to_grid else None


# -------------------------------------------------------------------------------------------------------------- product


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Matrix product: (.., M, K), (.., K, N) -> (.., M, N), contiguous. The leading dimensions are equal. Any type of number.

    out[.., m, n] = sum over k of a[.., m, k] * b[.., k, n]
    """
    out = np.empty((*a.shape[:-1], b.shape[-1]), a.dtype)
    for *batch, m, n in np.ndindex(out.shape):
        out[(*batch, m, n)] = sum(a[(*batch, m, k)] * b[(*batch, k, n)] for k in range(a.shape[-1]))
    return out


# ----------------------------------------------------------------------------------------------------------------- sums


def add_up(x: np.ndarray, axes: Shape) -> np.ndarray:
    """out[0, c, 0] = sum over a and b of x[a, c, b], for axes (0, 2); in float64"""
    out = np.zeros([1 if axis in axes else n for axis, n in enumerate(x.shape)])
    for place in np.ndindex(x.shape):
        out[tuple(0 if axis in axes else i for axis, i in enumerate(place))] += x[place]
    return out


# ----------------------------------------------------------------------------------------------------------- activation


def relu(x: np.ndarray, in_place: bool = False) -> np.ndarray:
    """max(x, 0), any shape; NaN and -0 stay. `in_place`: written into x, which has to be contiguous, and x is returned."""
    out = x if in_place else np.empty(x.shape, x.dtype)
    for place in np.ndindex(x.shape):
        out[place] = 0 if x[place] < 0 else x[place]
    return out


def relu_grad(grad: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The gradient of a ReLU's input from that of its output and the output: 0 where the output is, else what arrives."""
    result = np.empty(out.shape, out.dtype)
    for place in np.ndindex(out.shape):
        result[place] = 0 if out[place] <= 0 else grad[place]
    return result


def scale_channels(x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """x * scale + shift for each channel: (N, C, *), (C,), (C,) -> (N, C, *)."""
    out = np.empty(x.shape, np.result_type(x, scale, shift))
    for place in np.ndindex(x.shape):
        out[place] = x[place] * scale[place[1]] + shift[place[1]]
    return out


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """Rows (R, n) -> (x - mean) / sqrt(var + eps) * weight + bias, by the mean and variance of each row; these are returned too, as
    float64 (R,): the mean and 1 / sqrt(var + eps). weight and bias: (n,)."""
    out, mean, inverse_std = np.empty_like(x), np.empty(len(x)), np.empty(len(x))
    for r, row in enumerate(x.astype(np.float64)):
        mean[r] = row.mean()
        inverse_std[r] = 1 / np.sqrt(((row - mean[r]) ** 2).mean() + eps)
        out[r] = (row - mean[r]) * inverse_std[r] * weight + bias
    return out, mean, inverse_std


def layer_norm_grad(
    grad: np.ndarray, x: np.ndarray, weight: np.ndarray, mean: np.ndarray, inverse_std: np.ndarray
) -> np.ndarray:
    """The gradient of `layer_norm`'s rows: the mean and variance of a row follow it, so what they undo is taken out of `grad`."""
    out = np.empty_like(x)
    for r, row in enumerate(x.astype(np.float64)):
        normalized, g = (row - mean[r]) * inverse_std[r], grad[r] * weight.astype(np.float64)
        out[r] = (g - g.mean() - normalized * (g * normalized).mean()) * inverse_std[r]
    return out


def channel_moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance, divided by the count, of each channel: (N, C, *) -> float64 (C,), (C,)."""
    channels = np.moveaxis(x, 1, 0).reshape(x.shape[1], -1).astype(np.float64)
    return channels.mean(axis=1), channels.var(axis=1)


def batch_norm_grad(
    grad: np.ndarray, x: np.ndarray, scale: np.ndarray, mean: np.ndarray, inverse_std: np.ndarray, training: bool
) -> tuple[np.ndarray, ...]:
    """The gradients of z * weight + bias, z = (x - mean) * inverse_std, for each channel of (N, C, *): of x, weight and bias.
    scale: inverse_std * weight, (C,). In training mean and inverse_std follow x: what they undo is taken out of `grad`."""
    to_x, to_weight, to_bias = np.empty_like(x), np.empty_like(scale), np.empty_like(scale)
    for c in range(x.shape[1]):
        g, z = grad[:, c].astype(np.float64), (x[:, c].astype(np.float64) - mean[c]) * inverse_std[c]
        to_weight[c], to_bias[c] = (g * z).sum(), g.sum()
        to_x[:, c] = (g - g.mean() - z * (g * z).mean() if training else g) * scale[c]
    return to_x, to_weight, to_bias
