"""The figure of an `Ablation`: which classes lose and which gain when a unit is switched off."""

from typing import Any

import numpy as np

from minicnn.viz.figures.plot import Figure, name_places, new_figure, panel

LOSS, GAIN = "#b2182b", "#2166ac"


def draw_ablation(result: Any, k: int = 6, title: str | None = None) -> Figure:
    """For each ablation bars of the k classes whose logits lose most and the k that gain most, on the average over the pictures."""
    count, classes = result.change.shape
    k = min(k, classes // 2 or 1)
    columns = min(3, count)
    longest = max(map(len, result.categories))
    left, wide, high, gap = 0.3 + 0.07 * longest, 2.5, 0.17 * 2 * k + 0.15, 0.95
    rows = -(-count // columns)
    known = bool((result.labels >= 0).any())
    rule = (
        f"The mean change of a class's logit over {len(result.names)} photographs when the channel is set to a fixed value: the {k} "
        "classes that lose most, and those that gain most. Above: on how many photographs the answer changes."
    ) + (" Beside a bar: the class's accuracy before → after, where its photographs are known." if known else "")
    figure = new_figure(
        columns * (left + wide + 0.75), rows * (high + gap), title or "What breaks without a unit", rule
    )
    bound = float(np.abs(result.change).max()) or 1.0
    before = result.accuracy() if known else None
    for i, change in enumerate(result.change):
        column, row = i % columns, i // columns
        words = f"{_named(result.units[i])}\n{result.changed[i].sum()} of {result.changed.shape[1]} answers change"
        bottom = (rows - 1 - row) * (high + gap) + 0.4
        ax = panel(figure, left + column * (left + wide + 0.75), bottom, wide, high, words, x="change of the logit")
        order = np.argsort(change, kind="stable")
        shown = [*order[:k], *order[len(order) - k :]] if classes > 2 * k else list(order)
        values = change[shown]
        ax.barh(range(len(shown)), values, color=[LOSS if v < 0 else GAIN for v in values])
        name_places(ax.yaxis, [result.categories[c] for c in shown], fontsize=7)
        ax.axvline(0, color="black", linewidth=0.6)
        ax.set(ylim=(len(shown) - 0.4, -0.6), xlim=(-1.05 * bound, 1.05 * bound))
        if before is not None:
            after = result.accuracy(i)
            for y, c in enumerate(shown):
                if np.isfinite(before[c]):
                    ax.text(1.08 * bound, y, f"{before[c]:.0%} → {after[c]:.0%}", fontsize=6.5, va="center")
    return figure


def _named(units: str) -> str:
    """What was switched off, in at most a line: all units, or how many."""
    return units if len(units) < 45 else f"{units.count(' + ') + 1} units, {units.split(' + ')[0]} and others"
