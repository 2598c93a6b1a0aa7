"""Convolution as it is defined, in tiles: for any kernel size, stride, dilation and groups, forward and backward.

Three steps. `lay_out` copies the input into planes with the padding around them, one plane for each phase of the stride: in
it the pixels that a window visits are neighbours, and the next window is one pixel further. In such a plane the tap (c, kh,
kw) of every output pixel lies at one and the same distance from it, so that a run of neighbouring outputs needs a run of
neighbouring pixels for each tap: that is the product `tile` computes. The outputs of a row run on into the padding and into
the next row; what falls into the padding is computed and thrown away.

The gradient to the input is such a convolution too: of the output's gradient, with the kernel turned by 180 degrees, inputs
and outputs exchanged. At a stride each phase of the input has its own taps. (`correlate` takes taps as they come.)
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .memory import scratch
from .parallel import jit, run
from .shapes import output_size
from .tile import ROWS, VECTOR, VECTORS, lanes, tile_1, tile_2, tile_3

PLANES = 2**22  # numbers in the planes of one block of images or rows
CHUNK = (
    2**16
)  # numbers of the planes that one tile after the other reads before the next rows: they stay in the core's cache

Pair = tuple[int, int]
Tap = tuple[int, int, int]  # row and column of a kernel element in the padded input; its distance in the weight


class Layout(NamedTuple):
    """How the planes of a band of the input lie in memory, and where the taps are in them."""

    rows: int
    pitch: int  # from one row of a plane to the next
    pixel_taps: np.ndarray
    weight_taps: np.ndarray


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    O, C, KH, KW = weight.shape  # C: of one group
    size = tuple(map(output_size, x.shape[2:], (KH, KW), stride, padding, dilation))
    out = np.empty((len(x), O, *size), x.dtype)
    taps = tuple((kh * dilation[0], kw * dilation[1], kh * KW + kw) for kh in range(KH) for kw in range(KW))
    correlate(x, weight, (C * KH * KW, KH * KW), taps, stride, padding, groups, bias, out)
    return out


def conv2d_grad_input(
    grad: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    O, C, KH, KW = weight.shape
    out = np.empty(input_shape, grad.dtype)
    turned = scratch("turned", (groups, C, O // groups, KH * KW), weight.dtype)
    run(_exchange, O, weight.size, np.ascontiguousarray(weight).reshape(groups, O // groups, C, KH * KW), turned)
    for y in range(min(stride[0], input_shape[2])):
        for x in range(min(stride[1], input_shape[3])):
            # the pixels y, y + SH, ..: window oh touches pixel h at kh if oh SH + kh DH = h + PH
            rows, columns = (
                [(k, (p + pad - k * d) // s) for k in range(K) if (p + pad - k * d) % s == 0]
                for p, pad, K, d, s in zip((y, x), padding, (KH, KW), dilation, stride, strict=True)
            )
            if not rows or not columns:
                out[:, :, y :: stride[0], x :: stride[1]] = 0
                continue
            above, left = -min(shift for _, shift in rows), -min(shift for _, shift in columns)
            taps = tuple((above + i, left + j, kh * KW + kw) for kh, i in rows for kw, j in columns)
            steps = (O // groups * KH * KW, KH * KW)
            correlate(grad, turned, steps, taps, (1, 1), (above, left), groups, None, out, (y, x), stride)
    return out


@jit
def _exchange(weight, out, start, stop):
    """out[g, c, o] = weight[g, o, c], so that the weights of one tap after the other lie one after the other. Unit: (g, o)."""
    _, O, C, K = weight.shape
    for unit in range(start, stop):
        g, o = unit // O, unit % O
        for c in range(C):
            source, target = weight[g, o, c], out[g, c, o]
            for k in range(K):
                target[k] = source[k]


def correlate(
    x: np.ndarray,
    weight: np.ndarray,
    weight_steps: Pair,
    taps: tuple[Tap, ...],
    stride: Pair,
    padding: Pair,
    groups: int,
    bias: np.ndarray | None,
    out: np.ndarray,
    start: Pair = (0, 0),
    step: Pair = (1, 1),
) -> None:
    """out[n, r, y, x] = bias[r] + sum over channels c of its group and taps (dy, dx, distance) of
    weight[of the group + r * row_step + c * channel_step + distance] * padded x[n, c, y' SH + dy, x' SW + dx]

    for y = start + y' step and x likewise. `weight_steps` is (row_step, channel_step). padding: above and at the left; may be
    negative. x, weight and out are contiguous.
    """
    N, C, H, W = x.shape
    size = tuple(-(-(n - a) // s) for n, a, s in zip(out.shape[2:], start, step, strict=True))
    if 0 in (N, C, *out.shape):
        out[:] = 0 if bias is None else bias[:, None, None]
        return
    C_group, R_group = C // groups, out.shape[1] // groups
    bias = np.zeros(out.shape[1], x.dtype) if bias is None else np.ascontiguousarray(bias)
    weight = np.ascontiguousarray(weight).reshape(-1)
    width = VECTORS * lanes(x.dtype)  # pixels of a tile
    # Without padding the tiles can read x itself, if the last of them can end at the last pixel.
    as_it_is = stride == step == (1, 1) and padding == (0, 0) and (size[0] - 1) * W + size[1] >= width
    whole_rows = as_it_is and size == (H, W)
    if whole_rows:  # 1x1: a plane is one long row
        x, out, H, W, size = x.reshape(N, C, 1, H * W), out.reshape(*out.shape[:2], 1, H * W), 1, H * W, (1, H * W)
    full = _layout(taps, stride, padding[1], C_group, W, size, weight_steps[1], as_it_is)
    images = max(1, PLANES // (C * stride[0] * stride[1] * full.rows * full.pitch))
    band = size[0]
    if images == 1 and not as_it_is:
        extra = full.rows - size[0]  # rows of a plane that two bands share
        band = min(size[0], max(8, PLANES // (C * stride[0] * stride[1] * full.pitch) - extra))
    for n in range(0, N, images):
        part, target = x[n : n + images], out[n : n + images]
        for y in range(0, size[0], band):
            height = min(band, size[0] - y)
            layout = full if height == size[0] else _layout(
                taps, stride, padding[1], C_group, W, (height, size[1]), weight_steps[1], as_it_is
            )  # fmt: skip
            above = padding[0] - y * stride[0]
            pixels = part.reshape(-1) if as_it_is else _planes(part, layout, stride, (above, padding[1]), width)
            total = (height - 1) * layout.pitch + size[1]
            plane = H * W if as_it_is else stride[0] * stride[1] * layout.rows * layout.pitch
            chunk = min(-(-total // width), max(1, CHUNK // (C_group * width)))
            blocks, chunks = -(-R_group // ROWS), -(-total // (chunk * width))
            units = len(part) * groups * chunks * blocks
            run(
                _multiply, units, len(part) * total * out.shape[1] * len(layout.pixel_taps) // 16,
                weight, weight_steps[0], layout.weight_taps, pixels, C_group * plane, layout.pixel_taps, target, bias,
                groups, blocks, chunk * width, chunks, layout.pitch, height, size[1], as_it_is,
                start[0] + y * step[0], start[1], *step,
            )  # fmt: skip


@lru_cache(maxsize=512)
def _layout(
    taps: tuple[Tap, ...],
    stride: Pair,
    left: int,
    channels: int,
    W: int,
    size: Pair,
    channel_step: int,
    as_it_is: bool,
) -> Layout:
    (SH, SW), (OH, OW) = stride, size
    rows = OH + max(dy // SH for dy, _, _ in taps)
    pitch = OW + max(dx // SW for _, dx, _ in taps)
    if as_it_is:
        pitch = W
    elif SW == 1:  # the padding at the left of a row is that at the right of the one before, too
        pitch = max(OW, pitch - max(0, min(left, pitch - left - W)))
    plane = rows * pitch
    places = [((dy % SH * SW + dx % SW) * plane + dy // SH * pitch + dx // SW, distance) for dy, dx, distance in taps]
    pixels, weights = np.array(places).T
    c = np.arange(channels)[:, None]
    return Layout(rows, pitch, (c * (plane * SH * SW) + pixels).ravel(), (c * channel_step + weights).ravel())


def _planes(x: np.ndarray, layout: Layout, stride: Pair, padding: Pair, width: int) -> np.ndarray:
    """(N, C, SH, SW, rows, pitch), flat. Behind them are zeros for what the last tile, `width` pixels, reads past the end."""
    N, C, _, _ = x.shape
    shape = (N * C, *stride, layout.rows, layout.pitch)
    size = math.prod(shape)
    flat = scratch("planes", (size + layout.pitch + width,), x.dtype)
    flat[size:] = 0
    run(_lay_out, N * C, size, x, flat[:size].reshape(shape), *padding)
    return flat


@jit
def _lay_out(x, planes, PH, PW, start, stop):
    """planes[(n, c), p, q, i, j] = padded x[n, c, i * SH + p, j * SW + q]. Unit: one plane (n, c) of x."""
    C = x.shape[1]
    for unit in range(start, stop):
        split(x[unit // C, unit % C], planes[unit], PH, PW)


@jit
def split(x, planes, PH, PW):
    """Deal one plane (H, W), with PH rows and PW columns of zeros before it, into its phases (SH, SW, rows, pitch)."""
    H, W = x.shape
    SH, SW, rows, pitch = planes.shape
    for p in range(SH):
        for q in range(SW):
            low = min(pitch, max(0, (PW - q + SW - 1) // SW))  # the first place that is not padding
            high = max(low, min(pitch, (W - 1 + PW - q) // SW + 1))
            for i in range(rows):
                y = i * SH + p - PH
                target = planes[p, q, i]
                if y < 0 or y >= H:
                    target[:] = 0
                    continue
                target[:low] = 0
                target[high:] = 0
                if high == low:
                    continue
                source, target = x[y, low * SW + q - PW :], target[low:high]
                if SW == 1:
                    for j in range(len(target)):
                        target[j] = source[j]
                elif SW == 4:
                    for j in range(len(target)):
                        target[j] = source[4 * j]
                else:
                    for j in range(len(target)):
                        target[j] = source[j * SW]


@jit
def _multiply(
    weight, row_step, weight_taps, pixels, group_step, pixel_taps, out, bias, groups, blocks, chunk, chunks, pitch, OH, OW,
    stay_inside, y0, x0, SY, SX, start, stop,
):  # fmt: skip
    """All tiles. Unit: (image, group, chunk of pixels, block of rows), so that threads share neither rows nor pixels."""
    R = out.shape[1] // groups
    total = (OH - 1) * pitch + OW
    lane = VECTOR // pixels.itemsize
    target = np.empty((ROWS, VECTORS * lane), pixels.dtype)
    for unit in range(start, stop):
        row, rest = unit % blocks * ROWS, unit // blocks
        begin, rest = rest % chunks * chunk, rest // chunks
        g, n = rest % groups, rest // groups
        rows = min(ROWS, R - row)
        origin = (n * groups + g) * group_step
        w = g * (weight.size // groups) + row * row_step
        for p in range(begin, min(total, begin + chunk), VECTORS * lane):
            count = min(VECTORS * lane, total - p)
            vectors = (count + lane - 1) // lane
            # the last tile may end behind the last pixel: in an array of the caller's it is moved back
            moved = max(0, p + vectors * lane - total) if stay_inside else 0
            first = origin + p - moved
            if vectors == 3:
                tile_3(weight, w, row_step, rows - 1, weight_taps, pixels, first, pixel_taps, target)
            elif vectors == 2:
                tile_2(weight, w, row_step, rows - 1, weight_taps, pixels, first, pixel_taps, target)
            else:
                tile_1(weight, w, row_step, rows - 1, weight_taps, pixels, first, pixel_taps, target)
            oh, ow, done = p // pitch, p % pitch, 0
            while done < count:
                length = min(pitch - ow, count - done)
                for r in range(rows):
                    o = g * R + row + r
                    source, b = target[r, moved + done :], bias[o]
                    line = out[n, o, y0 + oh * SY, x0 + ow * SX :]
                    if SX == 1:
                        for j in range(min(length, OW - ow)):
                            line[j] = source[j] + b
                    else:
                        for j in range(min(length, OW - ow)):
                            line[j * SX] = source[j] + b
                oh, ow, done = oh + 1, 0, done + length
