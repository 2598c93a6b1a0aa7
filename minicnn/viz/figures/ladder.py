"""The figure of a ladder: images, loss curves and spectra, for one network or two."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.viz.figures.maximize import rise_labels
from minicnn.viz.figures.plot import axes, new_figure
from minicnn.viz.spectrum import NATURAL, fine_share, radial_spectrum
from minicnn.viz.tiles import as_rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00")  # told apart by colour-blind eyes too
TILE, GAP, LEFT, CURVE, SPECTRUM, ROW = 1.45, 0.1, 0.95, 0.9, 1.15, 0.3  # inches; ROW is above each row


def draw_ladders(ladders: Sequence[Any], captions: Sequence[str]) -> "Figure":
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
    tile = TILE * first.images.shape[1] / first.images.shape[2]
    below = CURVE + SPECTRUM + 1.15
    rule = (
        f"{ladders[0].columns} Below the names: the activation of the clean image "
        f"before → after {steps} steps (seed {seeds}). Spectra: brightness, root mean square of each ring; dashed: "
        "the mean of photographs; in per cent: the share of the variance above 0.25 cycles a pixel (dotted line)."
    )
    width, height = LEFT + len(variants) * (TILE + GAP) + 0.1, len(ladders) * (tile + ROW) + 0.2 + below
    figure = new_figure(width, height, f"{ladders[0].unit}: one improvement at a time", rule)
    for row, (each, caption) in enumerate(zip(ladders, captions, strict=False)):
        bottom = below + (len(ladders) - 1 - row) * (tile + ROW)
        words = axes(figure, 0.12, bottom, LEFT - 0.2, tile)
        if len(ladders) > 1:
            words.text(0, 0.5, caption.replace(" ", "\n"), fontsize=9, va="center", color=COLOURS[row], weight="bold")
        for column, (name, result) in enumerate(each.results.items()):
            ax = axes(figure, LEFT + column * (TILE + GAP), bottom, TILE, tile)
            ax.imshow(as_rgb(result.images[0]), interpolation="bilinear")
            rise = rise_labels(result)[0]
            ax.set_title(f"{name}\n{rise}" if row == 0 else rise, fontsize=8, pad=3)
    curves = [axes(figure, _at(i), SPECTRUM + 0.85, TILE - 0.08, CURVE) for i in range(len(variants))]
    spectra = [axes(figure, _at(i), 0.42, TILE - 0.08, SPECTRUM) for i in range(len(variants))]
    for column, name in enumerate(variants):
        for row, each in enumerate(ladders):
            curves[column].plot(each.results[name].losses[:, 0], linewidth=0.9, color=COLOURS[row])
            picture = each.results[name].images[0]
            spectra[column].loglog(*radial_spectrum(picture), linewidth=1.1, color=COLOURS[row])
            share = f"{fine_share(picture):.0%}"
            spectra[column].text(
                0.97, 0.95 - 0.14 * row, share, ha="right", va="top", fontsize=7.5, color=COLOURS[row],
                transform=spectra[column].transAxes,
            )  # fmt: skip
        _photographs(spectra[column])
        spectra[column].set_xticks([0.02, 0.05, 0.1, 0.25, 0.5], ["0.02", "", "0.1", "", "0.5"])
    _same_axes(curves, "loss", "step")
    _same_axes(spectra, "magnitude", "cycles a pixel")
    return figure


def _at(column: int) -> float:
    return LEFT + column * (TILE + GAP) + 0.04


def _photographs(ax: Any) -> None:
    """The power law of photographs' brightness: the mean of three channels, where `NATURAL` has their sum / sqrt(3)."""
    a, b = NATURAL[0]
    frequency = np.array([1 / 64, 0.5])
    ax.plot(frequency, a / np.sqrt(3) / frequency**b, "--", linewidth=0.8, color="#666666")
    ax.axvline(0.25, linestyle=":", linewidth=0.7, color="#999999")


def _same_axes(row: Sequence[Any], y: str, x: str) -> None:
    """One scale for a row of plots; the numbers stand at the first."""
    low, high = min(ax.get_ylim()[0] for ax in row), max(ax.get_ylim()[1] for ax in row)
    for i, ax in enumerate(row):
        ax.set_axis_on()
        ax.set_ylim(low, high)
        ax.tick_params(labelsize=6.5, length=2, pad=1.5, labelleft=i == 0)
        ax.tick_params(which="minor", labelleft=False, labelbottom=False, length=1)
        ax.set_xlabel(x, fontsize=7, labelpad=1)
        ax.spines[["top", "right"]].set_visible(False)
    row[0].set_ylabel(y, fontsize=8)
