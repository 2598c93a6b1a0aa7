"""A layer's filters in numbers, each beside the same number of noise: is there a pattern, how many, which?

`filter_report(model, "features.0")` measures; the result prints as a table and draws itself. It takes any kernel size and any
number of channels. A filter with channels is reduced to its principal kernel first (`principal_kernels`).

Sparsity, variance entropy and orthogonality follow Gavrikov and Keuper 2022, "CNN Filter DB: An empirical investigation of
trained convolutional filters", but for any kernel size, and the entropy as a share of its maximum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz.figures.filter_report import draw_fits, draw_report
from minicnn.viz.figures.plot import Figure
from minicnn.viz.filters import DEAD, dead_filters, weight_of
from minicnn.viz.gabor import BEYOND, GaborFit, fit_gabor, noise_r2, principal_kernels
from minicnn.viz.network import first_convolution

ORIENTED = 0.4  # coherence from which a filter counts as having an orientation; an edge under a round envelope has 0.5


@dataclass(frozen=True)
class Quality:
    """Numbers of a whole weight (O, C, KH, KW). They do not depend on its scale.

    share: Median over filters: the share of a filter's sum of squares that its principal kernel has; 1 for one channel.
    spectrum: (KH KW,) shares of the variance of all O C kernels along its principal components, the largest first; sum 1.
    variance_entropy: Entropy of the spectrum / its maximum log(KH KW), in [0, 1]: 1 all patterns occur equally, 0 a single
        one.
    sparsity: Share of the O C kernels whose largest |weight| is at most 1 % of the layer's largest.
    orthogonality: 1 - the mean |cosine| between two different filters, in [0, 1]: 1 all at right angles, 0 all alike.
    """

    share: float
    spectrum: np.ndarray
    variance_entropy: float
    sparsity: float
    orthogonality: float


@dataclass(frozen=True)
class FilterReport:
    """What `filter_report` found. `print(report)` is the table, `report.figure()` and `report.draw_fits()` draw it.

    weight: (O, C, KH, KW)
    seed: Of the noise.
    kernels: (O, KH, KW) principal kernels, `channels` (O, C) what each channel gets of it.
    gabor: Fitted to `kernels`. NaN for dead filters and for kernels of one weight.
    noise_r2: (256,) what the same fit reaches on noise of this kernel size, ascending; empty for kernels of one weight.
    percentile: (O,) in [0, 100]: how much of the noise has a smaller R2.
    dead: bool (O,), see `dead_filters`.
    noise_quality: The same numbers of Gaussian noise of the same shape.
    """

    layer: str
    weight: np.ndarray
    seed: int
    kernels: np.ndarray
    channels: np.ndarray
    gabor: GaborFit
    noise_r2: np.ndarray
    percentile: np.ndarray
    dead: np.ndarray
    quality: Quality
    noise_quality: Quality

    @property
    def beyond_noise(self) -> np.ndarray:
        """bool (O,): the R2 lies above the 95th percentile of the noise."""
        return np.nan_to_num(self.percentile) >= BEYOND

    @property
    def oriented(self) -> np.ndarray:
        """bool (O,): beyond the noise, and bars or an edge rather than a round blob (coherence at least 0.4)."""
        return self.beyond_noise & (np.nan_to_num(self.gabor.coherence) >= ORIENTED)

    @property
    def r2_above_noise(self) -> float:
        """The median R2 minus the median R2 of noise."""
        return median(self.gabor.r2) - median(self.noise_r2)

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """The numbers beside those of noise, as text."""
        count, channels, height, width = self.weight.shape
        mine, noise, oriented = self.quality, self.noise_quality, self.oriented
        alive = (~self.dead).sum()
        rows = [
            ("Gabor R2, median", _number(median(self.gabor.r2)), _number(median(self.noise_r2))),
            (f"filters above {BEYOND} % of the noise", f"{self.beyond_noise.sum()} of {alive}", f"{100 - BEYOND} %"),
            ("principal kernel's share, median", _number(mine.share), _number(noise.share)),
            ("variance entropy (1: no pattern prevails)", _number(mine.variance_entropy), _number(noise.variance_entropy)),
            ("sparsity (kernels below 1 % of the largest)", f"{mine.sparsity:.1%}", f"{noise.sparsity:.1%}"),
            ("orthogonality (1: all at right angles)", _number(mine.orthogonality), _number(noise.orthogonality)),
            ("dead filters", f"{self.dead.sum()} of {count}", "0"),
        ]  # fmt: skip
        lines = [
            f"{self.layer or 'weight'}: {count} filters of {channels} x {height} x {width}",
            f"{'':<44}{'layer':>12}{'noise':>10}",
            *(f"{name:<44}{value:>12}{control:>10}" for name, value, control in rows),
        ]
        if oriented.any():
            counts = np.histogram((self.gabor.orientation[oriented] + 22.5) % 180, 4, (0, 180))[0]
            names = ("lying", "rising", "upright", "falling")
            low, middle, high = np.percentile(self.gabor.frequency[oriented], [10, 50, 90])
            lines += [
                f"of those, with bars or an edge: {oriented.sum()}",
                "  bars: " + ", ".join(f"{n} {name}" for n, name in zip(counts, names, strict=True)),
                f"  cycles a pixel: median {middle:.2f}, from {low:.2f} (10 %) to {high:.2f} (90 %)",
            ]
        return "\n".join(lines)

    def figure(self, title: str | None = None) -> Figure:
        """R2 against the noise, orientations, frequencies, the spectrum of patterns, and some filters beside their fits."""
        return draw_report(self, title)

    def draw_fits(self, filters: Sequence[int] | None = None, columns: int = 8, title: str | None = None) -> Figure:
        """Each filter (all, or these) with its Gabor beside it, and above them its number, R2 and percentile."""
        return draw_fits(self, filters, columns, title)


def filter_report(source: Any, layer: str | None = None, *, seed: int = 0) -> FilterReport:
    """Measure the filters of one layer; well under ten seconds for any layer of the usual networks.

    Args:
        source: a model (its first convolution, or `layer` by its dotted name), a convolution, a tensor or an array
            (O, C, KH, KW). Raises ValueError for anything else, KeyError for an unknown name.
        seed: of the noise that each number is compared with.
    """
    weight = weight_of(source, layer)
    if not weight.size:
        raise ValueError(f"a weight of shape {weight.shape} has no numbers")
    dead = dead_filters(weight)
    kernels, channels, _ = principal_kernels(weight)
    kernels[dead] = 0
    height, width = weight.shape[2:]
    has_shape = height * width > 1
    fit = fit_gabor(kernels if has_shape else np.zeros_like(kernels))
    noise = noise_r2(height, width, seed) if has_shape else np.empty(0)
    below = np.searchsorted(noise, fit.r2) / max(1, len(noise)) * 100
    random = np.random.default_rng(seed).standard_normal(weight.shape, dtype=np.float32)
    return FilterReport(
        layer=_name(source, layer), weight=weight, seed=seed, kernels=kernels, channels=channels, gabor=fit,
        noise_r2=noise, percentile=np.where(np.isnan(fit.r2), np.nan, below), dead=dead,
        quality=measure(weight), noise_quality=measure(random),
    )  # fmt: skip


def measure(weight: np.ndarray) -> Quality:
    """The numbers of a weight (O, C, KH, KW) as a whole; NaN where there is nothing to measure, such as one filter's angle."""
    count, channels, height, width = weight.shape
    finite = np.where(np.isfinite(weight), weight, 0).astype(np.float64)
    kernels = finite.reshape(count * channels, height * width)
    peak = np.abs(kernels).max(axis=1)
    variance = np.linalg.eigvalsh(np.atleast_2d(np.cov(kernels.T, bias=True)))[::-1].clip(0)
    spectrum = variance / variance.sum() if variance.sum() > 0 else np.full(len(variance), np.nan)
    seen = spectrum[spectrum > 0]
    entropy = -(seen * np.log(seen)).sum() / np.log(len(spectrum)) if len(spectrum) > 1 and len(seen) else np.nan
    rows = finite.reshape(count, -1)
    rows = rows[np.linalg.norm(rows, axis=1) > 0]
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = len(rows) * (len(rows) - 1)
    cosines = np.abs(rows @ rows.T)
    return Quality(
        share=median(principal_kernels(weight)[2]),
        spectrum=spectrum,
        variance_entropy=float(entropy),
        sparsity=float((peak <= DEAD * peak.max()).mean()),
        orthogonality=float(1 - (cosines.sum() - np.trace(cosines)) / pairs) if pairs else np.nan,
    )


def median(values: np.ndarray) -> float:
    """The median of those that are not NaN; NaN if there are none."""
    values = values[~np.isnan(values)]
    return float(np.median(values)) if len(values) else np.nan


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def _name(source: Any, layer: str | None) -> str:
    if layer is not None or not isinstance(source, Module) or getattr(source, "weight", None) is not None:
        return layer or ""
    first = first_convolution(source)
    return first[0] if first else ""
