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

from .memory import scratch
from .parallel import jit, run
from .shapes import output_size

TILE = 6
OUTPUTS = {3: 4, 5: 2}  # kernel size K: a tile gives m x m outputs
POINTS = (0, 3 / 4, -3 / 4, 3 / 2, -3 / 2)  # and infinity, where the value of a polynomial is its highest coefficient
WORKSPACE = 2**21  # numbers in the transformed tiles of one block, which should stay in the processor's cache


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


def transform_weight(weight: np.ndarray, turned: bool = False) -> np.ndarray:
    """G weight G^T for each pair of channels: (O, C, K, K) -> (36, O, C). `turned` turns the kernels by 180 degrees first."""
    O, C, K, _ = weight.shape
    G = weight_matrix(K)[:, :: -1 if turned else 1]
    both_axes = np.kron(G, G).astype(weight.dtype)  # (36, K*K)
    transformed = scratch("weight", (TILE * TILE, O * C), weight.dtype)
    return np.matmul(both_axes, weight.reshape(O * C, K * K).T, out=transformed).reshape(TILE * TILE, O, C)


def convolve(
    x: np.ndarray, transformed: np.ndarray, padding: tuple[int, int], K: int, bias: np.ndarray | None
) -> np.ndarray:
    """Convolve x (N, C, H, W) at stride 1 with a transformed weight (36, O, C): (N, O, OH, OW)."""
    N, C, H, W = x.shape
    O, m = transformed.shape[1], OUTPUTS[K]
    OH, OW = output_size(H, K, 1, padding[0]), output_size(W, K, 1, padding[1])
    down, across = -(-OH // m), -(-OW // m)  # tiles
    B, A = input_matrix().astype(x.dtype), output_matrix(m).astype(x.dtype)
    out = np.empty((N, O, OH, OW), x.dtype)
    bias = np.zeros(O, x.dtype) if bias is None else bias
    bands = N * down  # a band is one row of tiles
    step = max(1, WORKSPACE // (TILE * TILE * (C + O) * across))
    for first in range(0, bands, step):
        count = min(step, bands - first)
        tiles = count * across
        values, products = _workspace("values", C, tiles, x.dtype), _workspace("products", O, tiles, x.dtype)
        run(_evaluate_tiles, C, values.size, x, values, B, m, *padding, first, count, down, across)
        np.matmul(transformed, _by_channel(values, tiles), out=_by_channel(products, tiles))
        run(_interpolate_tiles, O, products.size, products, out, bias, A, first, count, down, across)
    return out


def _workspace(name: str, channels: int, tiles: int, dtype: np.dtype) -> np.ndarray:
    """(36, channels * tiles), and a little more: rows at a distance of a power of two would share a few lines of the cache."""
    return scratch(name, (TILE * TILE, channels * tiles + 16), dtype)


def _by_channel(workspace: np.ndarray, tiles: int) -> np.ndarray:
    """View a workspace as (36, channels, tiles)."""
    return workspace[:, :-16].reshape(TILE * TILE, -1, tiles)


@jit
def _both_axes(matrix, source, at, half, target, to, count):
    """matrix tile matrix^T for `count` tiles side by side: source (36, ..) from column `at`, target (p*p, ..) from column `to`.

    `matrix` is (p, 6), and `half` (p*6, count) holds the tiles between the two steps.
    """
    p = matrix.shape[0]
    for i in range(p):
        m0, m1, m2, m3, m4, m5 = matrix[i, 0], matrix[i, 1], matrix[i, 2], matrix[i, 3], matrix[i, 4], matrix[i, 5]
        for j in range(6):  # down the columns
            s0, s1, s2 = source[j, at:], source[6 + j, at:], source[12 + j, at:]
            s3, s4, s5 = source[18 + j, at:], source[24 + j, at:], source[30 + j, at:]
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
def _evaluate_tiles(x, values, B, m, PH, PW, first, count, down, across, start, stop):
    """B^T tile B for the tiles of `count` bands, from band `first` on: values (36, C * tiles). Unit: one channel."""
    _, _, H, W = x.shape
    tiles = count * across
    rows = np.zeros((6, max(across * m + 6, PW + W)), x.dtype)
    patches = np.empty((36, tiles), x.dtype)
    half = np.empty((36, tiles), x.dtype)
    for c in range(start, stop):
        for band in range(count):
            n, top = (first + band) // down, (first + band) % down * m - PH
            for i in range(6):
                inside = rows[i, PW : PW + W]
                if 0 <= top + i < H:
                    inside[:] = x[n, c, top + i]
                else:
                    inside[:] = 0
            for q in range(across):
                for i in range(6):
                    for j in range(6):
                        patches[6 * i + j, band * across + q] = rows[i, q * m + j]
        _both_axes(B, patches, 0, half, values, c * tiles, tiles)


@jit
def _interpolate_tiles(products, out, bias, A, first, count, down, across, start, stop):
    """A^T product A for the same tiles, put side by side into out (N, O, OH, OW). Unit: one output channel."""
    _, _, OH, _OW = out.shape
    m = A.shape[0]
    tiles = count * across
    half = np.empty((m * 6, tiles), out.dtype)
    patches = np.empty((m * m, tiles), out.dtype)
    for o in range(start, stop):
        _both_axes(A, products, o * tiles, half, patches, 0, tiles)
        for band in range(count):
            n, top = (first + band) // down, (first + band) % down * m
            for i in range(min(m, OH - top)):
                for j in range(m):
                    source = patches[m * i + j, band * across :]
                    target = out[n, o, top + i, j:]
                    for q in range((len(target) + m - 1) // m):
                        target[q * m] = source[q] + bias[o]
