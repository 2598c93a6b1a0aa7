"""The figure of a ladder: images, loss curves and spectra, for one network or two."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.viz.figures.maximize import rise_labels
from minicnn.viz.figures.plot import Figure, Grid, caption, new_figure, panel
from minicnn.viz.spectrum import NATURAL, fine_share, radial_spectrum
from minicnn.viz.tiles import as_rgb

COLOURS = ("#0072b2", "#d55e00")  # told apart by colour-blind eyes too


def draw_ladders(ladders: Sequence[Any], captions: Sequence[str]) -> Figure:
    """See `Ladder.figure`. The ladders must have the same variants."""
    variants = list(ladders[0].results)
    for other in ladders[1:]:
        if list(other.results) != variants:
            raise ValueError(f"the ladders have different variants: {variants} and {list(other.results)}")
    results = [result for each in ladders for result in each.results.values()]
    first = results[0]
    steps, seeds = (
        " or ".join(map(str, sorted(set(n)))) for n in ([len(r.scores) for r in results], [r.seed for r in results])
    )
    grid = Grid(
        len(results),
        len(variants),
        first.images.shape[1] / first.images.shape[2],
        1.45,
        gap=0.07,
        label=0.2,
        widest=math.inf,
    )
    left, below, wide = 0.95, 3.2, grid.wide / grid.width - 0.08
    rule = (
        f"{ladders[0].columns} Below the names: the activation of the clean image "
        f"before → after {steps} steps (seed {seeds}). Spectra: brightness, root mean square of each ring; dashed: "
        "the mean of photographs; in per cent: the share of the variance above 0.25 cycles a pixel (dotted line)."
    )
    title = f"{ladders[0].unit}: one improvement at a time"
    figure = new_figure(left + grid.wide + 0.2, grid.high + 0.3 + below, title, rule)
    places = np.array(grid.axes(figure, left, below)).reshape(len(ladders), len(variants))
    at = [left + grid.place(i)[0] * grid.wide / grid.width + 0.04 for i in range(len(variants))]
    curves = [panel(figure, x, 2.0, wide, 0.9, x="step") for x in at]
    spectra = [panel(figure, x, 0.42, wide, 1.15, x="cycles a pixel") for x in at]
    for row, (each, words, colour) in enumerate(zip(ladders, captions, COLOURS, strict=False)):
        if len(ladders) > 1:
            caption(figure, 0.12, *grid.row(row, below), words.replace(" ", "\n"), color=colour, weight="bold")
        for column, (name, result) in enumerate(each.results.items()):
            picture, rise = result.images[0], rise_labels(result)[0]
            places[row, column].imshow(as_rgb(picture), interpolation="bilinear")
            places[row, column].set_title(f"{name}\n{rise}" if row == 0 else rise, fontsize=8, pad=3)
            curves[column].plot(result.losses[:, 0], linewidth=0.9, color=colour)
            ax = spectra[column]
            ax.loglog(*radial_spectrum(picture), linewidth=1.1, color=colour)
            style: dict[str, Any] = {
                "ha": "right",
                "va": "top",
                "fontsize": 7.5,
                "color": colour,
                "transform": ax.transAxes,
            }
            ax.text(0.97, 0.95 - 0.14 * row, f"{fine_share(picture):.0%}", **style)
    for ax in spectra:
        _photographs(ax)
        ax.set_xticks([0.02, 0.05, 0.1, 0.25, 0.5], ["0.02", "", "0.1", "", "0.5"])
    _same_axes(curves, "loss")
    _same_axes(spectra, "magnitude")
    return figure


def _photographs(ax: Any) -> None:
    """The power law of photographs' brightness: the mean of three channels, where `NATURAL` has their sum / sqrt(3)."""
    a, b = NATURAL[0]
    frequency = np.array([1 / 64, 0.5])
    ax.plot(frequency, a / np.sqrt(3) / frequency**b, "--", linewidth=0.8, color="#666666")
    ax.axvline(0.25, linestyle=":", linewidth=0.7, color="#999999")


def _same_axes(row: Sequence[Any], y: str) -> None:
    """One scale for a row of plots; the numbers stand at the first."""
    low, high = min(ax.get_ylim()[0] for ax in row), max(ax.get_ylim()[1] for ax in row)
    for i, ax in enumerate(row):
        ax.set_ylim(low, high)
        ax.tick_params(labelsize=6.5, pad=1.5, labelleft=i == 0)
        ax.tick_params(which="minor", labelleft=False, labelbottom=False, length=1)
    row[0].set_ylabel(y, fontsize=8)
