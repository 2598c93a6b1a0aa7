"""The figure of a `Maximized`: the images, their activations before and after, and the curves of the ascent."""

from typing import Any

from minicnn.viz.figures.plot import Figure, Grid, new_figure, normalisation, panel
from minicnn.viz.tiles import as_rgb


def draw_maximized(result: Any, columns: int | None = None, curves: bool = True) -> Figure:
    """The images of a `Maximized`, the activation of each on the clean image before and after above it, and below them
    the score of every step on the randomly changed image."""
    count = len(result.images)
    pictures = [as_rgb(image) for image in result.images]
    labels = [f"{label}\n{rise}" for label, rise in zip(result.labels, rise_labels(result), strict=True)]
    grid = Grid(count, columns or min(count, 8), pictures[0].shape[0] / pictures[0].shape[1], 1.6, label=0.24)
    below = 1.7 if curves else 0.0
    rule = f"Above each image: the unit, and its activation on the clean image before → after {result.recipe}."
    rule += normalisation(result.settings)
    figure = new_figure(grid.wide + 0.3, grid.high + 0.3 + below, "Images that maximise a unit", rule)
    colours = ["#222222" if rose else "#b00020" for rose in result.rose]
    grid.draw(figure, 0.15, 0.15 + below, pictures, labels=labels, colours=colours)
    if curves:
        width = figure.get_size_inches()[0]
        named = count <= 10  # as many colours as there are
        y = "score on the\nchanged image" if result.settings.get("transforms") else "score"
        ax = panel(figure, 0.9, 0.45, width - 1.15 - named * 1.3, below - 0.6, x="step", y=y)
        lines = ax.plot(result.scores, linewidth=0.9, color=None if named else "#777777")
        if named:
            ax.legend(lines, result.labels, frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def rise_labels(result: Any) -> list[str]:
    """For each image of a `Maximized` its activation before and after: "1.2 → 34"."""
    ends = zip(result.activation_start, result.activation_end, strict=True)
    return [f"{start:.3g} → {end:.3g}" for start, end in ends]
