"""Winograd's convolution for 3x3 and 5x5 kernels at stride 1: fewer multiplications through polynomials.

A convolution of a signal with a kernel is a product of polynomials, and a product of polynomials can be formed from their
values: evaluate both at enough points, multiply the values, interpolate. In two dimensions, with six points along each,
a tile of 6x6 input pixels gives m x m outputs of a K x K kernel, m = 7 - K, by 36 multiplications instead of m*m*K*K:

    out = A^T [ (G weight G^T) * (B^T tile B) ] A        3x3: 36 instead of 144; 5x5: 36 instead of 100

(Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.) With many channels each of the 36 products
becomes a matrix product (O, C) @ (C, tiles).

It rounds more than a plain sum, and how much depends on the points: over 256 channels the usual 0, +-1, +-2 gave four times
the error of a plain float32 sum, and 0, +-3/4, +-3/2 gives twice. Float64, where every digit is wanted, never comes here.
"""

import numpy as np

from .direct import split
from .memory import scratch
from .parallel import jit, run
from .shapes import output_size
from .tile import ROWS, VECTOR, VECTORS, lanes, tile_1, tile_2, tile_3

TILE = 6
OUTPUTS = {3: 4, 5: 2}  # kernel size K: a tile gives m x m outputs
POINTS = (0, 3 / 4, -3 / 4, 3 / 2, -3 / 2)  # and infinity, where the value of a polynomial is its highest coefficient
WIDE = 6  # tiles in a row, see `_evaluate_tiles`
TILES = 2**21  # numbers in the transformed tiles of one block, which should stay in the processor's cache


def evaluation(terms: int) -> np.ndarray:
    """(6, terms): row i times a polynomial's coefficients is its value at point i."""
    matrix = np.zeros((TILE, terms))
    matrix[:-1] = [[point**power for power in range(terms)] for point in POINTS]
    matrix[-1, -1] = 1
    return matrix


def weight_matrix(K: int) -> np.ndarray:
    """G (6, K): evaluate a kernel; with the denominators of Lagrange's interpolation, which spares them later."""
    denominators = [np.prod([point - other for other in POINTS if other != point]) for point in POINTS]
    return evaluation(K) / np.array([*denominators, 1])[:, None]


def input_matrix() -> np.ndarray:
    """B^T (6, 6): row i holds the coefficients of the polynomial that is zero at all points but the i-th.

    (The transpose of interpolation: a convolution that keeps only full overlaps is the transpose of a product.)
    """
    matrix = np.zeros((TILE, TILE))
    for i, point in enumerate(POINTS):
        matrix[i, :-1] = np.poly([other for other in POINTS if other != point])[::-1]
    matrix[-1] = np.poly(POINTS)[::-1]
    return matrix


def output_matrix(m: int) -> np.ndarray:
    """A^T (m, 6): from 36 products to m x m outputs."""
    return evaluation(m).T


def convolve(
    x: np.ndarray, weight: np.ndarray, padding: tuple[int, int], bias: np.ndarray | None, turned: bool = False
) -> tuple[np.ndarray, bool]:
    """Convolve x (N, C, H, W) at stride 1 with weight (O, C, K, K): (N, O, OH, OW), and whether all of it is finite.

    `turned`: with the kernels turned by 180 degrees, inputs and outputs exchanged: x (N, O, ..) -> (N, C, ..).
    """
    N, C, H, W = x.shape
    K, kind = weight.shape[2], x.dtype
    O, m = weight.shape[1 if turned else 0], OUTPUTS[K]
    OH, OW = output_size(H, K, 1, padding[0]), output_size(W, K, 1, padding[1])
    down, across = -(-OH // m), -(-OW // m)  # tiles
    wide = across >= WIDE
    pitch = across + (TILE - 1) // m if wide else across  # from one row of tiles to the next
    B, A, G = (matrix.astype(kind) for matrix in (input_matrix(), output_matrix(m), weight_matrix(K)))
    out = np.empty((N, O, OH, OW), kind)
    bias = np.zeros(O, kind) if bias is None else bias
    weight = np.ascontiguousarray(weight)
    strange = np.zeros(O, np.int64)  # how many outputs of each channel are infinite or NaN
    bands = N * down  # a band is one row of tiles
    step = _bands_at_once(bands, pitch, C)
    # So many output channels at a time that their transformed kernels stay in a core's cache.
    blocks = ROWS if C > 256 else 2 * ROWS
    for first in range(0, bands, step):
        count = min(step, bands - first)
        width = VECTORS * lanes(kind)  # tiles side by side in one tile of the matrix product
        values = scratch("values", (-(-count * pitch // width), TILE * TILE, C, width), kind)
        run(_evaluate_tiles, C, values.size, x, values, B, m, *padding, first, count, down, across, pitch, wide)
        run(
            _multiply, -(-O // blocks), TILE * TILE * O * C,
            values, weight, turned, blocks, out, bias, strange, G, A, first, count, down, across, pitch,
        )  # fmt: skip
    return out, not strange.any()


def _bands_at_once(bands: int, pitch: int, C: int) -> int:
    """So many rows of tiles that they stay in the cache, and of those numbers the one that fills the registers best."""
    most = min(bands, max(1, -(-96 // pitch), TILES // (TILE * TILE * C * pitch)))
    if most == bands:
        return bands
    counts = range(-(-most // 2), most + 1)
    return max(counts, key=lambda count: (count * pitch / (-(-count * pitch // 16) * 16), count))


@jit
def _both_axes(matrix, source, places, half, target, to, count):
    """matrix tile matrix^T for `count` tiles side by side: element k of a tile t is source[places[k] + t]; target (p*p, ..) is
    filled from column `to` on.

    `matrix` is (p, 6), and `half` (p*6, count) holds the tiles between the two steps.
    """
    p = matrix.shape[0]
    for i in range(p):
        m0, m1, m2, m3, m4, m5 = matrix[i, 0], matrix[i, 1], matrix[i, 2], matrix[i, 3], matrix[i, 4], matrix[i, 5]
        for j in range(6):  # down the columns
            s0, s1, s2 = source[places[j] :], source[places[6 + j] :], source[places[12 + j] :]
            s3, s4, s5 = source[places[18 + j] :], source[places[24 + j] :], source[places[30 + j] :]
            row = half[6 * i + j]
            for t in range(count):
                row[t] = m0 * s0[t] + m1 * s1[t] + m2 * s2[t] + m3 * s3[t] + m4 * s4[t] + m5 * s5[t]
    for j in range(p):
        m0, m1, m2, m3, m4, m5 = matrix[j, 0], matrix[j, 1], matrix[j, 2], matrix[j, 3], matrix[j, 4], matrix[j, 5]
        for i in range(p):  # along the rows
            h0, h1, h2 = half[6 * i], half[6 * i + 1], half[6 * i + 2]
            h3, h4, h5 = half[6 * i + 3], half[6 * i + 4], half[6 * i + 5]
            row = target[p * i + j, to:]
            for t in range(count):
                row[t] = m0 * h0[t] + m1 * h1[t] + m2 * h2[t] + m3 * h3[t] + m4 * h4[t] + m5 * h5[t]


@jit
def _evaluate_tiles(x, values, B, m, PH, PW, first, count, down, across, pitch, wide, start, stop):
    """B^T tile B for the tiles of `count` bands, from band `first` on: values (panels, 36, C, width). Unit: one channel.

    Tiles overlap, and in the phases of a plane dealt by m (see `direct.split`) element (i, j) of all tiles lies in one phase,
    tile beside tile. Where a row has many tiles they are taken from there, with what lies between two rows; where it has
    few, they are gathered first.
    """
    panels, _, _, width_of_panel = values.shape
    tiles = panels * width_of_panel
    reach = (TILE - 1) // m
    width, most = across + reach, min(count, down) + reach
    flat = np.zeros(m * m * most * width + 64, x.dtype)
    places, gathered = np.empty(36, np.int64), np.arange(36) * tiles
    patches = np.empty(36 * (1 if wide else tiles), x.dtype)
    half, points = np.empty((36, tiles), x.dtype), np.empty((36, tiles), x.dtype)
    for c in range(start, stop):
        band = 0
        while band < count:
            n, top = (first + band) // down, (first + band) % down
            some = min(down - top, count - band)  # bands of this image
            rows = some + reach
            split(x[n, c], flat[: m * m * rows * width].reshape(m, m, rows, width), PH - top * m, PW)
            for i in range(6):
                for j in range(6):
                    places[6 * i + j] = ((i % m * m + j % m) * rows + i // m) * width + j // m
            if wide:
                _both_axes(B, flat, places, half, points, band * pitch, some * pitch)
            else:
                for k in range(36):
                    for b in range(some):
                        source, target = flat[places[k] + b * width :], patches[gathered[k] + (band + b) * across :]
                        for q in range(across):
                            target[q] = source[q]
            band += some
        if not wide:
            _both_axes(B, patches, gathered, half, points, 0, count * pitch)
        for panel in range(panels):
            for k in range(36):
                source, target = points[k, panel * width_of_panel :], values[panel, k, c]
                for t in range(len(target)):
                    target[t] = source[t]


@jit
def _multiply(values, weight, turned, most, out, bias, strange, G, A, first, count, down, across, pitch, start, stop):
    """All that remains, for a few output channels at a time. Unit: `most` output channels.

    Transform their kernels, multiply them with the tiles at each of the 36 points, and transform the products back.
    """
    O, K, m = out.shape[1], G.shape[1], A.shape[0]
    C = weight.shape[0] if turned else weight.shape[1]
    lane = VECTOR // out.itemsize
    width = VECTORS * lane
    kernels = np.empty((most // ROWS, 36, C * ROWS), out.dtype)
    taps, half_taps = np.empty((K * K, 32 * ROWS), out.dtype), np.empty((6 * K, 32 * ROWS), out.dtype)
    products = np.empty((most // ROWS, 36, ROWS, width), out.dtype)
    half, patches = np.empty((m * 6, ROWS * width), out.dtype), np.empty((m * m, ROWS * width), out.dtype)
    line = np.empty(width * m, out.dtype)
    weight_taps, tile_taps = np.arange(C) * ROWS, np.arange(C) * width
    flat = values.reshape(-1)
    places = np.arange(36) * (ROWS * width)
    for unit in range(start, stop):
        rows = min(most, O - unit * most)
        blocks = (rows + ROWS - 1) // ROWS
        for block in range(blocks):
            _evaluate_kernels(weight, kernels[block], G, unit * most + block * ROWS, turned, taps, half_taps)
        for t in range(0, count * pitch, width):
            vectors = min(VECTORS, (count * pitch - t + lane - 1) // lane)
            for k in range(36):
                place = (t // width * 36 + k) * C * width
                for block in range(blocks):
                    left, target = kernels[block, k], products[block, k]
                    if vectors == 3:
                        tile_3(left, 0, 1, ROWS - 1, weight_taps, flat, place, tile_taps, target)
                    elif vectors == 2:
                        tile_2(left, 0, 1, ROWS - 1, weight_taps, flat, place, tile_taps, target)
                    else:
                        tile_1(left, 0, 1, ROWS - 1, weight_taps, flat, place, tile_taps, target)
            some = min(width, count * pitch - t)
            for block in range(blocks):
                _both_axes(A, products[block].reshape(-1), places, half, patches, 0, ROWS * width)
                for r in range(min(ROWS, rows - block * ROWS)):
                    o = unit * most + block * ROWS + r
                    mine = patches[:, r * width : (r + 1) * width]
                    strange[o] += _put_together(mine, line, out, o, bias[o], m, first, t, some, down, across, pitch)


@jit
def _evaluate_kernels(weight, out, G, first, turned, taps, half):
    """G kernel G^T of ROWS output channels from `first` on and all input channels: out (36, C * ROWS), row beside row.

    The last channel is repeated where fewer than ROWS are left.
    """
    K = weight.shape[2]
    C, O = (weight.shape[0], weight.shape[1]) if turned else (weight.shape[1], weight.shape[0])
    flat = weight.reshape(-1)
    c_step, o_step = (O * K * K, K * K) if turned else (K * K, C * K * K)
    for begin in range(0, C, 32):
        count = min(32, C - begin)
        for r in range(ROWS):
            source = flat[min(first + r, O - 1) * o_step + begin * c_step :]
            for k in range(K * K):
                target = taps[K * K - 1 - k if turned else k, r:]
                for c in range(count):
                    target[c * ROWS] = source[c * c_step + k]
        for i in range(6):
            for j in range(K):
                _mix(G[i], taps[j:], K, half[i * K + j])
        for i in range(6):
            for j in range(6):
                _mix(G[j], half[i * K :], 1, out[6 * i + j, begin * ROWS : (begin + count) * ROWS])


@jit
def _mix(factors, rows, step, target):
    """target = the sum of factors[k] * rows[k * step]"""
    f0, f1, f2 = factors[0], factors[1], factors[2]
    a, b, c = rows[0], rows[step], rows[2 * step]
    if len(factors) == 3:
        for t in range(len(target)):
            target[t] = f0 * a[t] + f1 * b[t] + f2 * c[t]
    else:
        f3, f4 = factors[3], factors[4]
        d, e = rows[3 * step], rows[4 * step]
        for t in range(len(target)):
            target[t] = f0 * a[t] + f1 * b[t] + f2 * c[t] + f3 * d[t] + f4 * e[t]


@jit
def _put_together(patches, line, out, o, bias, m, first, t, some, down, across, pitch):
    """Tiles of m x m outputs, `some` from number t on, (m * m, ..), side by side into channel o of out (N, O, OH, OW).

    Returns how many of them are infinite or NaN.
    """
    OH = out.shape[2]
    done = strange = 0
    while done < some:
        band, q = (t + done) // pitch, (t + done) % pitch
        length = min(pitch - q, some - done)
        valid = min(length, across - q)
        n, top = (first + band) // down, (first + band) % down * m
        for i in range(min(m, OH - top) if valid > 0 else 0):
            for j in range(m):
                source, target = patches[m * i + j, done:], line[j:]
                for k in range(valid):
                    target[k * m] = source[k]
            target = out[n, o, top + i, q * m :]
            for w in range(min(valid * m, len(target))):
                value = line[w] + bias
                target[w] = value
                strange += value - value != 0
        done += length
    return strange
