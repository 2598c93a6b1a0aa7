"""A Gabor function fitted to a filter: a wave under a Gaussian envelope, and how much of the filter it accounts for.

    g(x, y) = A exp(-u^2 / 2 s_u^2 - v^2 / 2 s_v^2) cos(2 pi f u + phase)

u runs across the bars of the wave and v along them, both from the centre of the envelope. A Gabor has eight numbers, and a 3 x 3
kernel nine: such a kernel is always fitted well, and so is noise. An R2 says something beside the R2 of noise only,
found by the same fit for the same kernel size: `noise_r2`.

J. P. Jones and L. A. Palmer 1987, "An evaluation of the two-dimensional Gabor filter model of simple receptive fields in cat
striate cortex", fitted such functions to what neurons answer to; the fit below starts at the best of a dictionary and goes on
by Levenberg-Marquardt, for all filters at once.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

ORIENTATIONS = 8  # of the dictionary, over 180 degrees
FREQUENCIES = (0.0, 0.07, 0.14, 0.21, 0.29, 0.37, 0.46)  # cycles a pixel
WIDTHS = (0.15, 0.25, 0.45)  # deviation of the envelope, of the kernel's longer side
STARTS = 3  # dictionary entries of different orientation from which a fit sets out
STEPS = 40
BEYOND = 95  # percentile of the noise above which an R2 counts as more than noise
NARROWEST = 0.5  # pixels: a narrower envelope is one pixel and has no wave


@dataclass(frozen=True)
class GaborFit:
    """Gabor functions fitted to N kernels (N, KH, KW). Every array has one entry for each; NaN for a kernel of zeros.

    Angles in degrees, as seen in the picture; lengths in pixels of the kernel; places count from its upper left weight.

    r2: (N,) share of the kernel's sum of squares that the fit accounts for: 1 - sum (w - g)^2 / sum w^2, about zero.
    orientation: (N,) of the bars, in [0, 180): 0 horizontal, 90 upright, 45 from lower left to upper right.
    frequency: (N,) cycles a pixel, up to 0.5 along an axis; 0 is a blob without bars.
    phase: (N,) in (-180, 180]: 0 a bright bar in the middle of the envelope, 180 a dark one, +-90 an edge.
    sigma: (N, 2) deviations of the envelope, across and along the bars.
    centre: (N, 2) row and column of the envelope's middle.
    amplitude: (N,) A of the formula above.
    coherence: (N,) in [0, 1], (a - b) / (a + b + c) with a the mean squared slope of the function in the direction in which
        it is largest, b that at right angles, c that of a function which changes by half of itself over the kernel: 1 bars
        or an edge, 0 a round blob or a flat kernel, whose orientation means nothing.
    fitted: (N, KH, KW) the functions themselves.
    """

    r2: np.ndarray
    orientation: np.ndarray
    frequency: np.ndarray
    phase: np.ndarray
    sigma: np.ndarray
    centre: np.ndarray
    amplitude: np.ndarray
    coherence: np.ndarray
    fitted: np.ndarray

    def __len__(self) -> int:
        return len(self.r2)


class Shape(NamedTuple):
    """What the wave and the envelope depend on other than linearly, one entry for each function."""

    row: np.ndarray
    column: np.ndarray
    angle: np.ndarray  # of the bars, radians
    frequency: np.ndarray
    across: np.ndarray  # logarithm of the deviation
    along: np.ndarray


def fit_gabor(kernels: np.ndarray) -> GaborFit:
    """Fit a Gabor function to each kernel (N, KH, KW), or to one (KH, KW). For filters with channels: `principal_kernels`.

    Deterministic: the STARTS best entries of a dictionary, of different orientation, are improved by up to STEPS
    Levenberg-Marquardt steps, and the best result is kept. The centre stays inside the kernel, the frequency below
    0.5 cycles a pixel along each axis, the deviations between 0.5 pixels and twice the longer side.
    """
    kernels = np.atleast_3d(np.asarray(kernels, np.float64).T).T  # (KH, KW) -> (1, KH, KW)
    if kernels.ndim != 3:
        raise ValueError(f"kernels are (N, KH, KW), got {kernels.shape}")
    count, height, width = kernels.shape
    flat = kernels.reshape(count, -1)
    norm = np.linalg.norm(flat, axis=1)
    good = np.isfinite(norm) & (norm > 0)
    grid = _pixels(height, width)
    if good.any():
        target = flat[good] / norm[good, None]
        starts = _starts(target, height, width)
        per_filter = len(starts[0]) // len(target)
        shape, weights, error = _improve(np.repeat(target, per_filter, axis=0), starts, grid, (height, width))
        best = error.reshape(-1, per_filter).argmin(axis=1) + per_filter * np.arange(len(target))
        shape, weights, error = Shape(*(p[best] for p in shape)), weights[best], error[best]
    else:
        shape, weights, error = Shape(*np.empty((6, 0))), np.empty((0, 2)), np.empty(0)
    shape, coherence = _oriented(shape, weights, grid)
    fitted = np.einsum("nk,nkp->np", weights, _pair(shape, grid)[0]) * norm[good, None]

    def spread(values: np.ndarray) -> np.ndarray:
        out = np.full((count, *values.shape[1:]), np.nan)
        out[good] = values
        return out

    turns = np.floor(shape.angle / np.pi)  # half turns, each of which mirrors u and with it the phase
    sign = np.where(turns % 2 == 0, 1.0, -1.0)
    degrees = np.degrees(shape.angle - turns * np.pi) % 180
    phase = np.degrees(np.arctan2(-weights[:, 1], weights[:, 0])) * sign
    return GaborFit(
        r2=spread(1 - error),
        orientation=spread(degrees),
        frequency=spread(shape.frequency),
        phase=spread(np.where(phase <= -180, 180.0, phase)),
        sigma=spread(np.exp(np.stack([shape.across, shape.along], axis=1))),
        centre=spread(np.stack([shape.row, shape.column], axis=1)),
        amplitude=spread(np.hypot(*weights.T) * norm[good]),
        coherence=spread(coherence),
        fitted=spread(fitted).reshape(kernels.shape),
    )


def principal_kernels(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The one kernel that says most about each filter of a weight (O, C, KH, KW): (kernels, channels, share).

    The filter is close to kernels[o] (KH, KW) times channels[o] (C,): the best such product in the sum of squares, by
    the singular value decomposition of the filter as a C x KH KW matrix. `channels` has length 1, and its largest entry
    is positive; `share` (O,) is the product's share of the filter's sum of squares, 1 if all channels have one pattern.
    For filters of independent noise the kernel is white noise again, whatever the number of channels.
    """
    count, channels, height, width = weight.shape
    matrix = np.where(np.isfinite(weight), weight, 0).astype(np.float64).reshape(count, channels, -1)
    few = channels <= height * width
    gram = matrix @ matrix.transpose(0, 2, 1) if few else matrix.transpose(0, 2, 1) @ matrix
    top = np.linalg.eigh(gram)[1][:, :, -1]
    if not few:
        top = np.einsum("ocp,op->oc", matrix, top)
        length = np.linalg.norm(top, axis=1, keepdims=True)
        top = np.divide(top, length, out=np.zeros_like(top), where=length > 0)
    largest = np.take_along_axis(top, np.abs(top).argmax(axis=1)[:, None], axis=1)
    top = top * np.where(largest < 0, -1, 1)
    kernels = np.einsum("oc,ocp->op", top, matrix)
    total = (matrix**2).sum(axis=(1, 2))
    share = np.divide((kernels**2).sum(axis=1), total, out=np.full(count, np.nan), where=total > 0)
    return kernels.reshape(count, height, width), top, share


@lru_cache(maxsize=32)
def noise_r2(height: int, width: int, seed: int = 0, count: int = 256) -> np.ndarray:
    """The R2 that the same fit reaches on `count` kernels of white Gaussian noise, in ascending order (read-only)."""
    noise = np.random.default_rng(seed).standard_normal((count, height, width))
    values = np.sort(fit_gabor(noise).r2)
    values.flags.writeable = False
    return values


def _pixels(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each weight, (KH KW,)."""
    rows, columns = np.mgrid[:height, :width]
    return rows.ravel().astype(float), columns.ravel().astype(float)


def _pair(shape: Shape, grid: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cosine and the sine wave under the envelope (B, 2, KH KW), and the coordinates u and v (B, KH KW)."""
    row, column, angle, frequency, across, along = (parameter[:, None] for parameter in shape)
    dy, dx = grid[0] - row, grid[1] - column
    u, v = dx * np.sin(angle) + dy * np.cos(angle), dx * np.cos(angle) - dy * np.sin(angle)
    envelope = np.exp(-0.5 * (u * np.exp(-across)) ** 2 - 0.5 * (v * np.exp(-along)) ** 2)
    wave = 2 * np.pi * frequency * u
    return np.stack([envelope * np.cos(wave), envelope * np.sin(wave)], axis=1), u, v


@lru_cache(maxsize=32)
def _dictionary(height: int, width: int) -> tuple[Shape, np.ndarray]:
    """Shapes, ordered by orientation first, and for each an orthonormal basis of its two waves (D, 2, KH KW)."""
    places = [np.linspace(0.1, 0.9, 5 if side > 3 else 3) * (side - 1) for side in (height, width)]
    angles = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
    widths = np.log(np.maximum(np.array(WIDTHS) * max(height, width), NARROWEST))
    angle, row, column, frequency, spread = (
        axis.ravel() for axis in np.meshgrid(angles, *places, np.array(FREQUENCIES), widths, indexing="ij")
    )
    shape = Shape(row, column, angle, frequency, spread, spread)
    pair = _pair(shape, _pixels(height, width))[0]
    cosine = pair[:, 0] / np.linalg.norm(pair[:, 0], axis=1, keepdims=True)
    sine = pair[:, 1] - (pair[:, 1] * cosine).sum(axis=1, keepdims=True) * cosine
    length = np.linalg.norm(sine, axis=1, keepdims=True)  # 0 where there is no wave
    sine = np.divide(sine, length, out=np.zeros_like(sine), where=length > 1e-6)
    return shape, np.stack([cosine, sine], axis=1)


def _starts(target: np.ndarray, height: int, width: int) -> Shape:
    """For each target (N, KH KW) the best dictionary entry of each of the STARTS best orientations, (N STARTS,)."""
    shape, basis = _dictionary(height, width)
    energy = (target @ basis[:, 0].T) ** 2 + (target @ basis[:, 1].T) ** 2  # (N, D)
    energy = energy.reshape(len(target), ORIENTATIONS, -1)
    best = energy.argmax(axis=2)  # (N, ORIENTATIONS)
    order = np.argsort(-energy.max(axis=2), axis=1)[:, :STARTS]
    chosen = (order * energy.shape[2] + np.take_along_axis(best, order, axis=1)).ravel()
    return Shape(*(parameter[chosen] for parameter in shape))


def _improve(
    target: np.ndarray, shape: Shape, grid: tuple[np.ndarray, np.ndarray], size: tuple[int, int]
) -> tuple[Shape, np.ndarray, np.ndarray]:
    """Levenberg-Marquardt for all targets at once: (shape, weights of cosine and sine (B, 2), error (B,))."""
    parameters = _allowed(np.stack(shape, axis=1), size)
    weights, error = _amplitudes(target, parameters, grid)
    damping = np.full(len(target), 1e-2)
    active = np.arange(len(target))  # those that the last steps have still improved
    idle = np.zeros(len(target), int)
    for _ in range(STEPS):
        now, goal = parameters[active], target[active]
        gradient, curvature = _normal_equations(goal, now, weights[active], grid)
        diagonal = np.einsum("bii->bi", curvature)
        diagonal += damping[active, None] * diagonal + 1e-9
        trial = _allowed(now + np.linalg.solve(curvature, gradient[:, :, None])[:, :6, 0], size)
        new_weights, new_error = _amplitudes(goal, trial, grid)
        better = new_error < error[active]
        gain = np.where(better, error[active] - new_error, 0.0)
        took = active[better]
        parameters[took], weights[took], error[took] = trial[better], new_weights[better], new_error[better]
        damping[active] = np.clip(damping[active] * np.where(better, 0.3, 4.0), 1e-7, 1e4)
        idle[active] = np.where(gain > 1e-5, 0, idle[active] + 1)
        active = active[idle[active] < 4]
        if not len(active):
            break
    return Shape(*parameters.T), weights, error


def _amplitudes(
    target: np.ndarray, parameters: np.ndarray, grid: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The best weights of the cosine and the sine wave (B, 2) and the error (B,) that is left, of 1."""
    pair = _pair(Shape(*parameters.T), grid)[0]
    gram = pair @ pair.transpose(0, 2, 1)
    np.einsum("bii->bi", gram)[:] += 1e-9
    weights = np.linalg.solve(gram, np.einsum("bkp,bp->bk", pair, target)[:, :, None])[:, :, 0]
    return weights, ((target - np.einsum("bk,bkp->bp", weights, pair)) ** 2).sum(axis=1)


def _slopes(parameters: np.ndarray, weights: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, ...]:
    """The two waves, u, v, the function, its derivative by the wave's f u, by u and by v: (B, 2, KH KW), then (B, KH KW)."""
    pair, u, v = _pair(Shape(*parameters.T), grid)
    across, along = np.exp(-2 * parameters[:, 4, None]), np.exp(-2 * parameters[:, 5, None])  # 1 / deviation^2
    value = np.einsum("bk,bkp->bp", weights, pair)
    slope = 2 * np.pi * (weights[:, 1, None] * pair[:, 0] - weights[:, 0, None] * pair[:, 1])
    return pair, u, v, value, slope, slope * parameters[:, 3, None] - value * u * across, -value * v * along


def _oriented(shape: Shape, weights: np.ndarray, grid: tuple[np.ndarray, np.ndarray]) -> tuple[Shape, np.ndarray]:
    """The shapes, a blob without a wave turned so that it is longer along than across; and the coherence (N,)."""
    turned = (shape.frequency == 0) & (shape.across > shape.along)
    shape = shape._replace(
        angle=shape.angle + np.where(turned, np.pi / 2, 0.0),
        across=np.where(turned, shape.along, shape.across),
        along=np.where(turned, shape.across, shape.along),
    )
    *_, value, _, by_u, by_v = _slopes(np.stack(shape, axis=1), weights, grid)
    uu, vv, uv = (by_u**2).sum(axis=1), (by_v**2).sum(axis=1), (by_u * by_v).sum(axis=1)
    flat = (value**2).sum(axis=1) * (0.5 / (max(grid[0].max(), grid[1].max()) + 1)) ** 2
    return shape, np.hypot(uu - vv, 2 * uv) / (uu + vv + flat + 1e-12)


def _normal_equations(
    target: np.ndarray, parameters: np.ndarray, weights: np.ndarray, grid: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """J^T r (B, 8) and J^T J (B, 8, 8), J the derivatives of the function by its six shape parameters and two weights."""
    pair, u, v, value, slope, by_u, by_v = _slopes(parameters, weights, grid)
    angle = parameters[:, 2, None]
    across, along = np.exp(-2 * parameters[:, 4, None]), np.exp(-2 * parameters[:, 5, None])
    sine, cosine = np.sin(angle), np.cos(angle)
    jacobian = np.stack(
        [
            by_v * sine - by_u * cosine,  # the centre's row
            -by_u * sine - by_v * cosine,  # its column
            by_u * v - by_v * u,  # the angle
            slope * u,  # the frequency
            value * u * u * across,  # the logarithms of the deviations
            value * v * v * along,
            pair[:, 0],
            pair[:, 1],
        ],
        axis=1,
    )
    return np.einsum("bjp,bp->bj", jacobian, target - value), jacobian @ jacobian.transpose(0, 2, 1)


def _allowed(parameters: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The parameters (B, 6) moved to the nearest allowed ones."""
    height, width = size
    row, column, angle, frequency, across, along = parameters.T
    finest = 0.5 / np.maximum(np.abs(np.sin(angle)), np.abs(np.cos(angle)))  # 0.5 along the axes: Nyquist
    narrow, wide = np.log(NARROWEST), np.log(2 * max(height, width))
    if min(size) == 1:  # a line of weights: its bars can only stand across it
        angle = np.full_like(angle, np.pi / 2 if height == 1 else 0.0)
    return np.stack(
        [
            np.clip(row, 0, height - 1), np.clip(column, 0, width - 1), angle, np.clip(frequency, 0, finest),
            np.clip(across, narrow, wide), np.clip(along, narrow, wide),
        ],
        axis=1,
    )  # fmt: skip
