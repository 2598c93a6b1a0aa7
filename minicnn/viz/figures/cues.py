"""The figure of `Cues`: photographs in each variant, and what is left of the accuracy."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from minicnn.viz.figures.plot import Figure, axes, caption, fitting, new_figure, panel

RIGHT, WRONG, OTHER = "#1b7837", "#b00020", "#555555"
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")


def draw_cues(results: Mapping[str, Any], examples: int = 4, title: str | None = None) -> Figure:
    """Of {caption: Cues}: a row for each variant with some pictures and the answer of the first network; beside them bars for each.

    The examples are those pictures of which the first network is surest while it is right (or of which it is surest, where no class
    is known). The bars are accuracies where classes are known, else the share of answers that stay. At most four results.
    """
    if not 1 <= len(results) <= len(COLOURS):
        raise ValueError(f"1 to {len(COLOURS)} results, got {len(results)}")
    first = next(iter(results.values()))
    plain = next(iter(first.variants.values()))
    if any(list(result.variants) != list(first.variants) for result in results.values()):
        raise ValueError("the results have other variants: draw them one by one")
    known = bool((plain.labels >= 0).any())
    surest = plain.probabilities.max(1) + (known & (plain.answered == plain.labels))
    chosen = np.argsort(-surest, kind="stable")[:examples]
    side, gap, head, left = 1.25, 0.08, 0.24, 1.45
    high = len(first.variants) * (side + head)
    bars = 2.6
    what = "accuracy" if known else "share of answers that stay"
    whose = f", of {next(iter(results))}" if len(results) > 1 else ""
    rule = (
        f"Above each picture: the answer and its probability{whose}; "
        + ("green: right, red: wrong. " if known else "")
        + f"At the right: the {what}, over all {int((plain.labels >= 0).sum()) if known else len(plain.names)} photographs"
        + (" of a known class." if known else ".")
    )
    figure = new_figure(
        left + len(chosen) * (side + gap) + bars + 0.7, high + 0.55, title or "Colour against shape", rule
    )
    for row, (name, found) in enumerate(first.variants.items()):
        bottom = 0.5 + high - (row + 1) * (side + head)
        caption(figure, 0.12, bottom, side, name)
        for column, i in enumerate(chosen):
            ax = axes(figure, left + column * (side + gap), bottom, side, side)
            ax.imshow(found.pictures[i], interpolation="bilinear")
            said = int(found.answered[i])
            colour = OTHER if found.labels[i] < 0 else RIGHT if said == found.labels[i] else WRONG
            words = f"{found.categories[said]} {found.probabilities[i, said]:.0%}"
            ax.set_title(words, fontsize=fitting([words], side, 7), pad=2, color=colour)
    ax = panel(figure, left + len(chosen) * (side + gap) + 0.35, 0.5, bars, high - head, x=what)
    thick = 0.7 / len(results)
    for i, ((words, result), colour) in enumerate(zip(results.items(), COLOURS, strict=False)):
        values = list((result.accuracy if known else result.kept).values())
        y = np.arange(len(values)) + (i - (len(results) - 1) / 2) * thick
        ax.barh(y, values, thick * 0.92, color=colour, label=words)
        for at, value in zip(y, values, strict=True):
            ax.text(value + 0.015, at, f"{value:.0%}", va="center", fontsize=7)
    ax.set(ylim=(len(first.variants) - 0.5, -0.5), xlim=(0, 1.0))
    ax.set_yticks([])
    if any(results):
        ax.legend(frameon=False, fontsize=7.5, loc="lower right")
    return figure
