"""Pooling, fast: one compiled loop for maxima, one for sums, and their adjoints. The definitions are in `reference.py`."""

from __future__ import annotations

import numpy as np

from .parallel import jit, run
from .shapes import adaptive_windows, pooling_windows

Pair = tuple[int, int]
Windows = tuple[np.ndarray, np.ndarray]  # first pixel and end of each window along one axis


def max_pool2d(
    x: np.ndarray, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    windows = [
        pooling_windows(*axis, ceil_mode) for axis in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    return _maxima(x, *windows, *dilation)


def adaptive_max_pool2d(x: np.ndarray, output_size: Pair) -> tuple[np.ndarray, np.ndarray]:
    windows = [adaptive_windows(n, count) for n, count in zip(x.shape[2:], output_size, strict=True)]
    return _maxima(x, *windows, 1, 1)


def max_pool2d_grad(grad: np.ndarray, indices: np.ndarray, input_shape: tuple[int, ...]) -> np.ndarray:
    planes = input_shape[0] * input_shape[1]
    out = np.zeros((planes, input_shape[2] * input_shape[3]), grad.dtype)
    flat = np.ascontiguousarray(grad).reshape(planes, -1), np.ascontiguousarray(indices).reshape(planes, -1)
    run(_deliver, planes, grad.size, *flat, out)
    return out.reshape(input_shape)


def avg_pool2d(
    x: np.ndarray,
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    rows, columns, divisor = _average_windows(
        x.shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _means(x, rows, columns, divisor)


def avg_pool2d_grad(
    grad: np.ndarray,
    input_shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    rows, columns, divisor = _average_windows(
        input_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    return _shares(grad, input_shape, rows, columns, divisor)


def adaptive_avg_pool2d(x: np.ndarray, output_size: Pair) -> np.ndarray:
    return _means(x, *_adaptive(x.shape, output_size))


def adaptive_avg_pool2d_grad(grad: np.ndarray, input_shape: tuple[int, ...], output_size: Pair) -> np.ndarray:
    return _shares(grad, input_shape, *_adaptive(input_shape, output_size))


# --------------------------------------------------------------------------------------------------------------- windows


def _adaptive(shape: tuple[int, ...], output_size: Pair) -> tuple[Windows, Windows, np.ndarray]:
    rows, columns = (adaptive_windows(n, count) for n, count in zip(shape[2:], output_size, strict=True))
    return rows, columns, np.outer(rows[1] - rows[0], columns[1] - columns[0])


def _average_windows(
    shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[Windows, Windows, np.ndarray]:
    """The windows along both axes, and what the sum of each is divided by: (OH, OW)."""
    windows, lengths = [], []
    for n, k, s, p in zip(shape[2:], kernel, stride, padding, strict=True):
        first, end = pooling_windows(n, k, s, p, 1, ceil_mode)
        windows.append((first, end))
        start = np.arange(len(first)) * s - p
        lengths.append(np.minimum(start + k, n + p) - start if count_include_pad else end - first)
    divisor = (
        np.outer(*lengths)
        if divisor_override is None
        else np.full((len(lengths[0]), len(lengths[1])), divisor_override)
    )
    return windows[0], windows[1], divisor


def _maxima(x: np.ndarray, rows: Windows, columns: Windows, DH: int, DW: int) -> tuple[np.ndarray, np.ndarray]:
    N, C, H, W = x.shape
    shape = (N * C, len(rows[0]), len(columns[0]))
    out, indices = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    planes = np.ascontiguousarray(x).reshape(N * C, H, W)
    run(_largest, N * C, x.size, planes, out, indices, *rows, *columns, DH, DW)
    return out.reshape(N, C, *shape[1:]), indices.reshape(N, C, *shape[1:])


def _means(x: np.ndarray, rows: Windows, columns: Windows, divisor: np.ndarray) -> np.ndarray:
    N, C, H, W = x.shape
    out = np.empty((N * C, len(rows[0]), len(columns[0])), x.dtype)
    run(_add_up, N * C, x.size, np.ascontiguousarray(x).reshape(N * C, H, W), out, *rows, *columns)
    return out.reshape(N, C, *out.shape[1:]) / divisor.astype(x.dtype)


def _shares(
    grad: np.ndarray, input_shape: tuple[int, ...], rows: Windows, columns: Windows, divisor: np.ndarray
) -> np.ndarray:
    N, C, H, W = input_shape
    out = np.zeros((N * C, H, W), grad.dtype)
    share = (grad / divisor.astype(grad.dtype)).reshape(N * C, *grad.shape[2:])
    run(_hand_out, N * C, out.size, share, out, *rows, *columns)
    return out.reshape(input_shape)


# ----------------------------------------------------------------------------------------------- loops; unit: one plane


@jit
def _largest(x, out, indices, top, bottom, left, right, DH, DW, start, stop):
    _, OH, OW = out.shape
    W = x.shape[2]
    for plane in range(start, stop):
        for oh in range(OH):
            for ow in range(OW):
                best, where = -np.inf, top[oh] * W + left[ow]
                for h in range(top[oh], bottom[oh], DH):
                    for w in range(left[ow], right[ow], DW):
                        value = x[plane, h, w]
                        if value > best or value != value:  # NaN is unequal to itself: it wins
                            best, where = value, h * W + w
                out[plane, oh, ow] = best
                indices[plane, oh, ow] = where


@jit
def _deliver(grad, indices, out, start, stop):
    for plane in range(start, stop):
        for i in range(grad.shape[1]):
            where = indices[plane, i]
            if 0 <= where < out.shape[1]:  # a window of nothing but padding names no pixel
                out[plane, where] += grad[plane, i]


@jit
def _add_up(x, out, top, bottom, left, right, start, stop):
    _, OH, OW = out.shape
    for plane in range(start, stop):
        for oh in range(OH):
            for ow in range(OW):
                out[plane, oh, ow] = 0
                for h in range(top[oh], bottom[oh]):
                    for w in range(left[ow], right[ow]):
                        out[plane, oh, ow] += x[plane, h, w]


@jit
def _hand_out(share, out, top, bottom, left, right, start, stop):
    _, OH, OW = share.shape
    for plane in range(start, stop):
        for oh in range(OH):
            for ow in range(OW):
                for h in range(top[oh], bottom[oh]):
                    for w in range(left[ow], right[ow]):
                        out[plane, h, w] += share[plane, oh, ow]
