"""The figure of an `Activity`: a layer's answers as a histogram, and how often each of its units is on."""

from typing import Any

import numpy as np

from minicnn.viz.figures.plot import Figure, new_figure, panel

BAR, DEAD, ALWAYS = "#4c72b0", "#b00020", "#e69f00"


def draw_activity(result: Any, title: str | None = None) -> Figure:
    """A column for each layer: above all its answers, counted on a log scale; below its units, from the least to the most active."""
    count = len(result.layers)
    left, wide, high = 0.65, 2.1, 1.45
    rule = (
        f"{result.images} photographs. Above: all answers of a layer at all places, counted on a log scale. Below: the share of a unit's "
        "answers that are above 0, unit by unit from the least to the most active; red: dead (0 everywhere), orange: on in 99 % or more."
    )
    bottom = high + 1.05
    figure = new_figure(count * (left + wide) + 0.15, bottom + high + 0.35, title or "How often the units are on", rule)
    for i, (name, layer) in enumerate(result.layers.items()):
        x = left + i * (left + wide)
        ax = panel(
            figure, x, bottom, wide, high, f"{name or 'output'}: {layer.histogram.active:.0%} above 0", x="answer"
        )
        low, top = layer.histogram.minimum, layer.histogram.maximum
        margin = 0.03 * (top - low) or 1.0
        if low == top:  # one value: the bins about it are too narrow to be seen
            ax.bar([low], [layer.histogram.count], 0.05 * margin, color=BAR)
        else:
            ax.stairs(layer.histogram.counts, layer.histogram.edges, fill=True, color=BAR)
        ax.set_yscale("log")
        ax.set_xlim(low - margin, top + margin)
        ax.tick_params(axis="y", which="minor", left=False, labelleft=False)
        active = np.sort(layer.active)
        dead, always = len(layer.dead), len(layer.always_on())
        words = f"{dead} of {len(active)} dead, {always} always on"
        ax = panel(figure, x, 0.45, wide, high, words, x="units, sorted", y="share above 0" if i == 0 else "")
        ends = (0, dead, len(active) - always, len(active))
        for start, end, colour in zip(ends[:-1], ends[1:], (DEAD, BAR, ALWAYS), strict=True):
            ax.stairs(active[start:end], np.arange(start, end + 1), fill=True, color=colour)
        if dead:  # of no height: a line that is seen
            ax.plot([0, dead], [0, 0], color=DEAD, linewidth=4, clip_on=False, solid_capstyle="butt")
        ax.set(ylim=(0, 1.02), xlim=(0, len(active)))
    return figure
