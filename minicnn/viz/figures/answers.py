"""Figures of what a network answers to many photographs: mistakes, classes that are mixed up, pictures that are alike to it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.viz.figures.plot import Figure, Grid, colour_bar, fitting, name_places, new_figure, panel

WRONG = "#b00020"


def draw_wrong(result: Any, index: Sequence[int] | np.ndarray, title: str | None = None) -> Figure:
    """Pictures with what is there and what was answered."""
    if not len(index):
        raise ValueError("no picture of a known class was answered wrongly")
    width, height = result.pictures[index[0]].shape[1::-1]
    grid = Grid(len(index), min(6, len(index)), height / width, 1.6, gap=0.08, label=0.24)
    rule = "Above each picture: the class that is there, with its probability; below it in red what the network answered, with its own."
    figure = new_figure(grid.wide + 0.3, grid.high + 0.2, title or "Photographs that the network gets wrong", rule)
    for ax, i in zip(grid.axes(figure, 0.15, 0.1), index, strict=True):
        ax.imshow(result.pictures[i], interpolation="bilinear")
        true, said = int(result.labels[i]), int(result.answered[i])
        size = fitting([f"{result.categories[c]} 100%" for c in (true, said)], 1.6, 7)
        for row, (category, colour) in enumerate(((said, WRONG), (true, "#222222"))):
            words = f"{result.categories[category]} {result.probabilities[i, category]:.0%}"
            ax.annotate(
                words,
                (0.5, 1),
                (0, 3 + 10 * row),
                "axes fraction",
                "offset points",
                ha="center",
                fontsize=size,
                color=colour,
            )
    return figure


def draw_confusion(result: Any, classes: Sequence[int], title: str | None = None) -> Figure:
    """A row for each class that is there, a column for each answer; the numbers are counts, the colour their share of the row."""
    counts = result.counts[np.ix_(classes, classes)]
    total = result.counts[classes].sum(1)
    shares = counts / np.maximum(total, 1)[:, None]
    names = [result.categories[i] for i in classes]
    longest = max(map(len, names))
    side, left, head = max(2.4, 0.32 * len(classes)), 0.3 + 0.075 * longest, 0.25 + 0.065 * longest
    outside = 1 - counts.sum() / max(total.sum(), 1)
    rule = (
        f"A row: pictures of one class; a column: what was answered. The number is a count, the colour its share of the row. "
        f"{len(classes)} of {len(result.categories)} classes; {outside:.0%} of their pictures were taken for one that is not shown."
    )
    figure = new_figure(left + side + 1.1, side + head + 0.1, title or "Classes that are mixed up", rule)
    ax = panel(figure, left, 0.15, side, side)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ax.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if shares[row, column] > 0.6 else "black",
            )
    name_places(ax.yaxis, names, fontsize=7.5)
    name_places(ax.xaxis, names, fontsize=7.5, rotation=60, ha="left", rotation_mode="anchor")
    ax.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    colour_bar(figure, image, left + side + 0.2, 0.15, side, "share of the row")
    return figure


def draw_nearest(result: Any, queries: Sequence[int], k: int, title: str | None = None) -> Figure:
    """A row for each query: the picture, and those most like it with their cosines."""
    if not len(queries):
        raise ValueError("no queries")
    found = [result.nearest(query, k) for query in queries]
    k = len(found[0])
    width, height = result.pictures[queries[0]].shape[1::-1]
    grid = Grid(len(queries) * (k + 1), k + 1, height / width, 1.25, gap=0.08, label=0.16)
    what = f"the answers of {result.layer}" if result.layer else "the logits"
    rule = (
        f"At the left a photograph, at its right the {k} of {len(result.names) - 1} others that are most like it to the network: "
        f"the number is the cosine between {what}."
    )
    figure = new_figure(grid.wide + 0.3, grid.high + 0.2, title or "Nearest neighbours", rule)
    tiles = iter(grid.axes(figure, 0.15, 0.1))
    for query, neighbours in zip(queries, found, strict=True):
        for i, words in ((query, "→"), *((i, f"{cosine:.2f}") for i, cosine in neighbours)):
            ax = next(tiles)
            ax.imshow(result.pictures[i], interpolation="bilinear")
            ax.set_title(words, fontsize=8, pad=2)
    return figure


def draw_picture_map(
    points: np.ndarray,
    pictures: Sequence[np.ndarray],
    title: str = "A map of photographs",
    rule: str = "",
    inches: float = 8.0,
) -> Figure:
    """Pictures at the places (N, 2) of a map, each drawn where its point is; only the distances mean anything, so no axes.

    pictures: (h, w, 3), uint8 or in [0, 1]. inches: the side of the map.
    """
    places = np.asarray(points, np.float64)
    if places.shape != (len(pictures), 2) or not np.isfinite(places).all():
        raise ValueError(f"{len(pictures)} pictures need finite points ({len(pictures)}, 2), got {places.shape}")
    span = places.max(0) - places.min(0)
    places = (places - places.min(0)) / np.where(span > 0, span, 1)
    side = min(0.12, 0.55 / np.sqrt(len(places)))  # of a picture, where the map has 1
    figure = new_figure(inches + 0.3, inches + 0.2, title, rule)
    ax = panel(figure, 0.15, 0.1, inches, inches)
    ax.set_axis_off()
    for (x, y), picture in zip(places, pictures, strict=True):
        half = side / 2
        ax.imshow(picture, extent=(x - half, x + half, y - half, y + half), interpolation="bilinear")
    ax.set(xlim=(-side / 2, 1 + side / 2), ylim=(-side / 2, 1 + side / 2), aspect="equal")
    return figure
