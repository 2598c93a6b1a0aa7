"""The figures of a `FilterReport`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.viz.figures.filters import crossed_rule
from minicnn.viz.figures.plot import DIVERGING, Axes, Figure, Grid, new_figure, panel, relative_bar

LAYER, NOISE = "#d95f02", "#999999"  # the two that every panel compares


def draw_report(report: Any, title: str | None = None) -> Figure:
    """See `FilterReport.figure`."""
    count, channels, height, width = report.weight.shape
    quality, noise = report.quality, report.noise_quality
    beyond, oriented = report.beyond_noise, report.oriented
    title = title or f"{report.layer or 'A layer'}: {count} filters of {channels} × {height} × {width} in numbers"
    fitted = (
        "A Gabor is fitted to each filter's principal kernel; "
        f"R² is its share of the kernel's sum of squares. {beyond.sum()} of {(~report.dead).sum()} filters lie above the noise's 95th "
        f"percentile (dotted); {oriented.sum()} of them have bars or an edge: those are in the middle."
    )
    rule = (
        f"Orange: this layer; grey: noise of the same shape, seed {report.seed}. "
        f"{fitted if len(report.noise_r2) else 'No Gabor is fitted to kernels of one weight.'} Orthogonality "
        f"{quality.orthogonality:.2f} (noise {noise.orthogonality:.2f}), sparsity {quality.sparsity:.1%}, dead {report.dead.sum()}."
    )
    chosen = _spread(report, 14)
    strip = 2.05 if len(chosen) else 0.0
    figure = new_figure(12.0, 2.75 + strip, title, rule)
    panels = [panel(figure, 0.6 + 3.0 * i, strip + 0.5, 2.3, 1.95) for i in range(4)]
    _histogram(panels[0], report.gabor.r2, report.noise_r2, np.linspace(0, 1, 26), "R² of the Gabor fit", "all filters")
    if len(report.noise_r2):
        panels[0].axvline(np.percentile(report.noise_r2, 95), color="black", linestyle=":", linewidth=1)
    if oriented.any():
        turned = (report.gabor.orientation[oriented] + 7.5) % 180 - 7.5
        _histogram(panels[1], turned, (), np.arange(-7.5, 180, 15), "bars, degrees")
        panels[1].set_xticks([0, 45, 90, 135], ["0 —", "45 ╱", "90 |", "135 ╲"])
        _histogram(
            panels[2], report.gabor.frequency[oriented], (), np.linspace(0, 0.72, 19), "frequency, cycles a pixel"
        )
    else:
        for ax, what in zip(panels[1:3], ("orientation", "frequency"), strict=True):
            ax.set_axis_off()
            ax.text(0.5, 0.5, f"no filter has bars or an edge:\nno {what}", fontsize=8.5, ha="center", color="#555555")
    _spectrum(panels[3], quality, noise)
    if len(chosen):
        _strip(figure, report, chosen, strip)
    return figure


def _spectrum(ax: Axes, layer: Any, noise: Any) -> None:
    order = np.arange(1, len(layer.spectrum) + 1)
    for name, quality, colour in (("noise", noise, NOISE), ("layer", layer, LAYER)):
        ax.plot(order, quality.spectrum, color=colour, label=f"{name}, entropy {quality.variance_entropy:.2f}")
    ax.set_yscale("log")
    ax.set_ylim(max(1e-5, np.nan_to_num(layer.spectrum).min() / 2), 1.2)
    ax.set_xlabel("pattern (principal component)", fontsize=8.5)
    ax.set_ylabel("share of the variance", fontsize=8.5)
    ax.legend(frameon=False, fontsize=7)


def _strip(figure: Figure, report: Any, chosen: np.ndarray, top: float) -> None:
    """Some filters above their Gabors, `top` inches above the figure's lower edge."""
    rule = (
        "Filters above, their Gabors below, from the smallest R² to the largest. "
        f"Each pair on one scale, m the filter's largest |weight|{_in_colour(report)}."
    )
    width, height = figure.get_size_inches()
    figure.text(0.6 / width, (top + 0.02) / height, rule, fontsize=8.5, va="top", color="#333333")
    tiles = _pairs(report, chosen, upright=True)
    aspect = tiles[0].shape[0] / tiles[0].shape[1]
    grid = Grid(len(chosen), len(chosen), aspect, 2.0, gap=0.12, label=0.42, widest=10.8, highest=1.75)
    _draw_pairs(figure, 0.05, 0.6, grid, tiles, report, chosen, upright=True)
    _bar(figure, report, 0.8 + grid.wide, 0.3)


def draw_fits(report: Any, filters: Sequence[int] | None = None, columns: int = 8, title: str | None = None) -> Figure:
    """See `FilterReport.draw_fits`."""
    chosen = np.arange(len(report.weight)) if filters is None else np.asarray(filters, int)
    tiles = _pairs(report, chosen, upright=False)
    grid = Grid(len(chosen), columns, tiles[0].shape[0] / tiles[0].shape[1], 1.35, gap=0.1, label=0.12)
    kind = "Filter" if report.weight.shape[1] in (1, 3) else "Principal kernel"
    title = title or f"{report.layer or 'Filters'}, each with its Gabor beside it"
    rule = (
        f"Left: {kind.lower()}; right: the Gabor fitted to its principal kernel. Both on one scale, m the largest |weight| of the left"
        f"{_in_colour(report)}. Above: number and R²; pale: below the 95th percentile of noise of this kernel size, with the share of "
        f"the noise that is fitted less well (seed {report.seed})."
    )
    figure = new_figure(grid.wide + 0.95, grid.high + 0.25, title, rule + crossed_rule(report.dead[chosen]))
    _draw_pairs(figure, 0.1, 0.15, grid, tiles, report, chosen, upright=False)
    _bar(figure, report, 0.35 + grid.wide, 0.2, min(1.5, grid.high))
    return figure


def _in_colour(report: Any) -> str:
    in_colour = report.weight.shape[1] == 3
    return ": red, green, blue = 0.5 + weight / 2m, so mid-grey is 0" if in_colour else ", symmetric about 0"


def _bar(figure: Figure, report: Any, left: float, bottom: float, height: float = 1.1) -> None:
    relative_bar(figure, "gray" if report.weight.shape[1] == 3 else DIVERGING, left, bottom, height, ["-m", "0", "+m"])


def _pairs(report: Any, chosen: np.ndarray, upright: bool) -> list[np.ndarray]:
    """Each filter and its Gabor in one tile, above one another or side by side."""
    left, right = _pictures(report, chosen)
    axis = 1 if upright else 2
    gap = max(1, round(0.1 * left.shape[2]))
    edge = np.full_like(left.take(range(gap), axis=axis), np.nan)
    tiles = np.concatenate([left, edge, right], axis=axis)
    return list(np.nan_to_num(tiles, nan=1.0) if tiles.ndim == 4 else tiles)  # in colour the gap is white


def _draw_pairs(
    figure: Figure,
    bottom: float,
    left: float,
    grid: Grid,
    tiles: list,
    report: Any,
    chosen: np.ndarray,
    upright: bool,
) -> None:
    labels = []
    for i in chosen:
        numbers = [str(i), "dead" if np.isnan(report.gabor.r2[i]) else f"{report.gabor.r2[i]:.2f}"]
        if not upright and not report.beyond_noise[i] and not np.isnan(report.percentile[i]):
            numbers.append(f"{report.percentile[i]:.0f} %")
        labels.append(("\n" if upright else "   ").join(numbers))
    colours = ["#222222" if report.beyond_noise[i] else "#8a8a8a" for i in chosen]
    style: dict[str, Any] = {"cmap": DIVERGING, "limits": (-1.0, 1.0), "labels": labels, "colours": colours}
    grid.draw(figure, left, bottom, tiles, crossed=report.dead[chosen], **style)


def _pictures(report: Any, chosen: np.ndarray) -> list[np.ndarray]:
    """[filters, Gabors]: colours (N, KH, KW, 3) for three channels, else values (N, KH, KW) in [-1, 1]."""
    fitted, in_colour = np.nan_to_num(report.gabor.fitted[chosen])[:, None], report.weight.shape[1] == 3
    if in_colour:
        weight, fitted = np.nan_to_num(report.weight[chosen]), fitted * report.channels[chosen][:, :, None, None]
    else:
        weight = report.kernels[chosen][:, None]
    top = np.abs(weight).max(axis=(1, 2, 3), keepdims=True)
    shares = [np.clip(part / np.where(top > 0, top, 1), -1, 1) for part in (weight, fitted)]
    return [0.5 + share.transpose(0, 2, 3, 1) / 2 if in_colour else share[:, 0] for share in shares]


def _spread(report: Any, count: int) -> np.ndarray:
    """Filters that are alive, evenly from the smallest R2 to the largest."""
    alive = np.flatnonzero(~np.isnan(report.gabor.r2))
    order = alive[np.argsort(report.gabor.r2[alive])]
    return order[np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))] if len(order) else order


def _histogram(
    ax: Axes, layer: np.ndarray, noise: Sequence[float], bins: np.ndarray, label: str, what: str = "these"
) -> None:
    """Shares of the layer's values, and of the noise's if there are any."""
    for values, colour, alpha in ((np.asarray(noise), NOISE, 0.9), (layer[~np.isnan(layer)], LAYER, 0.75)):
        if len(values):
            ax.hist(values, list(bins), weights=np.full(len(values), 1 / len(values)), color=colour, alpha=alpha)
    ax.set_xlabel(label, fontsize=8.5)
    ax.set_ylabel(f"share of {what}", fontsize=8.5)
