"""Figures of why this answer: maps beside the photograph, and the sanity check of a method."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.viz import image as images
from minicnn.viz.figures.plot import (
    DIVERGING,
    SEQUENTIAL,
    Figure,
    Grid,
    caption,
    cross,
    draw_map,
    new_figure,
    overlay,
    panel,
    relative_bar,
)

STYLES = ("sum", "max", "colour", "overlay")
RULES = {
    "signed": "Red speaks for the answer, blue against it, white is nothing.",
    "unsigned": "Where there is one sign only, black is nothing.",
    "colour": "Where mid-grey is nothing, red, green and blue are each 0.5 + value / (2 × strongest).",
}
TOP = 99.5  # percentile of the magnitudes that gets the strongest colour
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito


def draw_attribution(
    photo: Any,
    maps: Mapping[str, np.ndarray],
    *,
    styles: str | Mapping[str, str] = "",
    n: int = 0,
    columns: int = 4,
    title: str = "Why this answer?",
    order: str = "rgb",
) -> Figure:
    """The photograph and the maps of several methods beside it.

    Args:
        photo: whatever `load_image` takes; it is resized and cut as the maps' size asks.
        maps: {caption: what a method returned, (N, H, W) or (N, C, H, W)}; n chooses the image.
        styles: of all maps, or {caption: style}. "sum": the channels added up, red speaks for the target and blue against it (the
            default for maps with channels). "max": the largest magnitude over the channels, black is none (the default for maps
            without). "colour": the three channels as a picture about grey. "overlay": laid over the grey photograph.
        order: of three channels, in which the network takes them: "rgb", or "bgr" as `model.meta.channels_order` states it.
    """
    if order not in ("rgb", "bgr"):
        raise ValueError(f"the order of the channels is 'rgb' or 'bgr', not {order!r}")
    shown = {caption: np.asarray(values)[n] for caption, values in maps.items()}
    if order == "bgr":
        shown = {caption: values[::-1] if values.ndim == 3 else values for caption, values in shown.items()}
    if not shown:
        raise ValueError("no maps")
    size = max((values.shape[-2:] for values in shown.values()), key=lambda shape: shape[0] * shape[1])
    picture = images.fit(images.load_image(photo), size)
    chosen = {caption: _style(styles, caption, values) for caption, values in shown.items()}
    grid = Grid(len(shown) + 1, columns, 1.0, 2.35, gap=0.04, label=0.1)
    rule = " ".join(
        [f"Each map by itself: its strongest colour is the {TOP:g}th percentile of its magnitudes."]
        + [words for style, words in RULES.items() if style in {_colours(shown[name], chosen[name]) for name in shown}]
    )
    figure = new_figure(grid.wide + 1.05, grid.high + 0.15, title, rule)
    places = grid.axes(figure, 0.15, 0.1)
    places[0].imshow(picture)
    used = {_draw(ax, shown[name], chosen[name], picture) for ax, name in zip(places[1:], shown, strict=True)}
    for ax, name in zip(places, ["image", *shown], strict=True):
        ax.set_title(name, fontsize=9, pad=3)
    left = 0.25 + grid.wide
    bars = [(DIVERGING, ["against", "0", "for"]), (SEQUENTIAL, ["0", "top"])]
    for i, (cmap, ends) in enumerate(bar for bar in bars if bar[0] in used):
        relative_bar(figure, cmap, left, 0.15 + 1.1 * i, 0.9, ends)
    return figure


def _style(styles: str | Mapping[str, str], caption: str, values: np.ndarray) -> str:
    style = styles if isinstance(styles, str) else styles.get(caption, "")
    style = style or ("sum" if values.ndim == 3 else "max")
    if style not in STYLES:
        raise ValueError(f"a style is {', '.join(map(repr, STYLES))}, not {style!r}")
    return style


def _colours(values: np.ndarray, style: str) -> str:
    """Which of `RULES` a map is drawn by."""
    if style == "colour" and values.ndim == 3 and len(values) == 3:
        return "colour"
    if style == "max" and values.ndim == 3:
        return "unsigned"
    return "signed" if (values.sum(0) if values.ndim == 3 else values).min() < 0 else "unsigned"


def _draw(ax: Any, values: np.ndarray, style: str, picture: np.ndarray) -> str | None:
    """Draw one map; the colour map that was used, None if there is none."""
    if _colours(values, style) == "colour":
        top = _top(values)
        ax.imshow((0.5 + values.transpose(1, 2, 0) / (2 * top)).clip(0, 1), interpolation="nearest")
        return None
    if values.ndim == 3:
        values = np.abs(values).max(0) if style == "max" else values.sum(0)
    if np.ptp(values) == 0 or not np.isfinite(values).all():
        cross(ax, 0, 0, 1, 1)
        return None
    drawn = overlay(ax, picture, values, _top(values)) if style == "overlay" else draw_map(ax, values, _top(values))
    return drawn.get_cmap().name


def _top(values: np.ndarray) -> float:
    magnitude = np.abs(values)
    return float(np.percentile(magnitude, TOP)) or float(magnitude.max()) or 1.0


def draw_sanity(
    checks: Sequence[Any],
    photo: Any = None,
    *,
    n: int = 0,
    title: str = "Does the map depend on the weights?",
) -> Figure:
    """A row of maps for each method, one for each step of randomisation, and the curves of the numbers below.

    checks: of one network, with the same stages. photo: drawn at the left; n: which of its images is drawn. The curves are the
    means over all images.
    """
    stages = checks[0].stages
    if any(check.stages != stages for check in checks):
        raise ValueError("the checks have different stages: they are of different networks or layers")
    below, left = 2.5, 1.35
    across = len(stages) + (photo is not None)
    grid = Grid(len(checks) * across, across, 1.0, 1.15, gap=0.07, widest=math.inf)
    rule = (
        f"From left to right {checks[0].order} Magnitudes of the maps, each by itself from "
        f"0 (black) to its {TOP:g}th percentile; crossed: one value everywhere. Below, means over all images: 1 is the trained "
        "network's map itself. A map that stays as it is does not show what was learned."
    )
    figure = new_figure(left + grid.wide + 0.2, grid.high + 0.35 + below, title, rule)
    places = np.array(grid.axes(figure, left, below)).reshape(len(checks), across)
    if photo is not None:
        places[0, 0].imshow(images.fit(images.load_image(photo), checks[0].maps.shape[2:]))
    for row, check in enumerate(checks):
        words = textwrap.fill(check.name.replace("_", " "), 14)
        caption(figure, 0.12, *grid.row(row, below), words, color=LINES[row % len(LINES)], fontweight="bold")
        for ax, values in zip(places[row, -len(stages) :], check.maps[:, n], strict=True):
            _draw(ax, values, "max", np.zeros(0))
    for ax, name in zip(places[0], ["image", *stages][-across:], strict=True):
        ax.set_title(name, fontsize=7, pad=3)
    _curves(figure, checks, stages, left, below)
    return figure


def _curves(figure: Figure, checks: Sequence[Any], stages: list[str], left: float, below: float) -> None:
    width = figure.get_size_inches()[0] - left - 0.2
    panels = ("absolute_rank_correlation", "rank correlation of magnitudes"), ("ssim", "SSIM")
    for i, (number, title) in enumerate(panels):
        x = "layers with random weights: from the last to this one"
        place = left + i * width / 2, 0.85, width / 2 - 0.6, below - 1.25
        ax = panel(figure, *place, title, x=x, y="with the trained map")
        for line, check in enumerate(checks):
            ax.plot(check.means[number], "o-", color=LINES[line % len(LINES)], markersize=3, linewidth=1.2)
        ax.axhline(0, color="#999999", linewidth=0.7)
        ax.set_ylim(min(-0.1, ax.get_ylim()[0]), 1.05)
        ax.set_xticks(range(len(stages)), stages, fontsize=6.5, rotation=30, ha="right")
