"""Convolution of many small maps, in the tiles of `direct.py`, which here go on from one image to the next.

A map of 4x4 pixels fills a third of the widest tile, one of 2x2 a twelfth. So the outputs of all images stand in one line, and
48 neighbours of it make a panel. What tap k of a panel sees lies in pieces, one for each row of a map: they are copied side by
side, for some channels at a time, into a buffer that stays in the core's first cache while all output channels use it.
"""

from __future__ import annotations

import numpy as np

from .parallel import jit
from .strip import part_1, put
from .tile import ROWS, VECTOR, VECTORS, tile, width_of

TAPS = 96  # of a panel that are copied at a time: 24 kB
COPY = 3.0  # cycles to copy a vector of a piece
LEAST = 5.5  # cycles of a tap of a tile, whose weights must be loaded, however narrow the tile is
BLOCKS = 8  # times ROWS output channels at least use a panel that one thread has copied, if there are so many


def pays(images: int, OH: int, OW: int, pitch: int, blocks: int, lane: int) -> bool:
    """Whether a tap takes a tenth less than in tiles that end with their map, in rows of `pitch` pixels; `blocks` times ROWS output
    channels. From a model that is within a tenth of what was measured."""
    pieces = images * (-(-OH * OW // lane) if pitch == OW else OH * -(-OW // lane))
    copied = pieces * COPY / min(blocks, 2 * BLOCKS)
    return _cycles(images * OH * OW, lane) + copied < 0.9 * images * _cycles((OH - 1) * pitch + OW, lane)


def _cycles(pixels: int, lane: int) -> float:
    """That a tap takes in tiles of so many neighbouring pixels."""
    left = pixels % (VECTORS * lane)
    return pixels // (VECTORS * lane) * 4.0 * VECTORS + (max(LEAST, -(-left // lane) * 4.0) if left else 0.0)


def parts(panels: int, blocks: int) -> int:
    """Into how many parts the output channels are cut, so that threads have something to share."""
    return max(1, min(blocks // BLOCKS, -(-8 // panels)))


@jit
def multiply(
    weight, row_step, weight_taps, pixels, group_step, pixel_taps, out, bias, groups, taps, parts, pitch, OH, OW, y0, x0, SY, SX,
    start, stop,
):  # fmt: skip
    """Unit: (group, panel, part of the output channels). `taps`: how many a channel has; the other settings are those of
    `direct._multiply`, and so is the order in which a sum is added up."""
    (N, _, H, W), R, C = out.shape, out.shape[1] // groups, len(weight_taps) // taps
    if OW == pitch == W and SY == SX == 1:  # all rows are one
        OW, OH, pitch, W, H, x0, y0 = OH * OW, 1, OH * OW, H * W, 1, y0 * OW, 0
    lane = VECTOR // pixels.itemsize
    wide, beside = VECTORS * lane, (VECTORS + 1) * lane  # a copy writes whole vectors
    some, blocks = max(1, TAPS // taps), (R + ROWS - 1) // ROWS
    each = (blocks + parts - 1) // parts
    copy, flat = np.empty(some * taps * beside, pixels.dtype), out.reshape(-1)
    target = np.empty((each, ROWS, wide), pixels.dtype)
    places = np.arange(some * taps) * beside
    piece = np.empty(
        (wide, 4), np.int64
    )  # its first pixel; its place in the panel; its length; its place in the result
    panels = (N * OH * OW + wide - 1) // wide
    channel, kernels = group_step // C, weight.size // groups
    for unit in range(start, stop):
        part, panel, g = unit % parts, unit // parts % panels, unit // parts // panels
        first = panel * wide
        count = min(wide, N * OH * OW - first)
        n, y, x, at, pieces = first // (OH * OW), first // OW % OH, first % OW, 0, 0
        while at < count:
            length = min(OW - x, count - at)
            piece[pieces, 0] = (n * groups + g) * group_step + y * pitch + x
            piece[pieces, 1], piece[pieces, 2] = at, length
            piece[pieces, 3] = ((n * groups + g) * R * H + y0 + y * SY) * W + x0 + x * SX
            at, pieces, x, y = at + length, pieces + 1, 0, y + 1
            if y == OH:
                y, n = 0, n + 1
        width = width_of(count, lane)
        begin, end = part * each, min(blocks, part * each + each)
        for c in range(0, C, some):
            several = min(some, C - c)
            for t in range(taps):
                for i in range(pieces):
                    part_1(
                        pixels, piece[i, 0] + pixel_taps[t] + c * channel, channel, copy, t * beside + piece[i, 1], taps * beside,
                        several, piece[i, 2], 0.0,
                    )  # fmt: skip
            seen = weight_taps[c * taps : (c + several) * taps]
            for block in range(begin, end):
                row = block * ROWS
                tile(
                    width, weight, g * kernels + row * row_step, row_step, min(ROWS, R - row) - 1, seen, copy, 0,
                    places[: several * taps], target[block - begin], c > 0,
                )  # fmt: skip
        for block in range(begin, end):
            row, sums = block * ROWS, target[block - begin]
            rows = min(ROWS, R - row)
            for i in range(pieces):
                place = piece[i, 3] + row * H * W
                put(sums, piece[i, 1], bias, g * R + row, rows, flat, place, H * W, SX, piece[i, 2])
