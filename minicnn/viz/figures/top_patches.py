"""Figures of where a unit looks: the patches that excite it with its histogram, and receptive fields on a photograph."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz.figures.plot import Figure, Grid, axes, caption, cross, new_figure, normalisation, panel
from minicnn.viz.geometry import Field, receptive_fields
from minicnn.viz.network import input_channels, outputs_of
from minicnn.viz.tiles import in_grey

BAR = "#4c72b0"
MARK = "#d55e00"


def draw_patches(result: Any, units: Sequence[Any], title: str | None = None) -> Figure:
    """A row for each unit: its patches, the best first, each with its activation, and the histogram of all activations."""
    if not units:
        raise ValueError("no units to draw")
    k = max(1, result.settings["k"])
    left, right = 1.35, 2.3
    grid = Grid(len(units) * k, k, 1.0, 0.95, gap=0.06, label=0.25, widest=math.inf)
    rule = (
        f"The {k} of {result.images} images with the largest activation, the number above each; the part that the unit sees, "
        "grey beyond the border. At the right all activations, counted on a log scale; the marks below: the patches."
    ) + normalisation(result.settings)
    figure = new_figure(left + grid.wide + right, grid.high + 0.2, title or "What excites a unit most", rule)
    places = grid.axes(figure, left, 0.15)
    for row, unit in enumerate(units):
        bottom, high = grid.row(row, 0.15)
        field = result.fields[unit.layer]
        seen = "everything" if field.everything else f"{field.y.size} × {field.x.size} pixels"
        words = f"sees {seen}\nactive {unit.histogram.active:.1%}"
        caption(figure, 0.12, bottom, high, unit.label, fontsize=8, va="bottom", fontweight="bold")
        caption(figure, 0.12, bottom - 0.05, high, words, fontsize=7, va="top", linespacing=1.5)
        _draw_patches(places[row * k : (row + 1) * k], unit.patches)
        _draw_histogram(panel(figure, left + grid.wide + 0.35, bottom + 0.12, right - 0.65, high - 0.15), unit)
    return figure


def _draw_patches(places: Sequence[Any], patches: Sequence[Any]) -> None:
    """A unit's patches; a place that is left over is crossed."""
    for ax, patch in itertools.zip_longest(places, patches):
        if patch is None:
            cross(ax, 0, 0, 1, 1)
            continue
        tile = patch.tile()
        ax.imshow(tile if tile.shape[2] == 3 else in_grey(tile), interpolation="nearest")
        ax.set_anchor("SW")
        ax.set_title(f"{patch.value:.3g}", fontsize=7, pad=2)


def _draw_histogram(ax: Any, unit: Any) -> None:
    histogram = unit.histogram
    ax.stairs(histogram.counts, histogram.edges, fill=True, color=BAR)
    ax.set_yscale("log")
    margin = 0.03 * (histogram.maximum - histogram.minimum) or 1.0
    ax.set_xlim(histogram.minimum - margin, histogram.maximum + margin)
    values = [patch.value for patch in unit.patches]
    below = {"transform": ax.get_xaxis_transform(), "clip_on": False}
    ax.plot(values, np.full(len(values), -0.04), "^", color=MARK, markersize=3.5, **below)
    ax.tick_params(labelsize=6)
    ax.tick_params(axis="y", which="minor", left=False, labelleft=False)


def draw_receptive_fields(
    model: Module,
    photo: Any,
    layers: str | Sequence[str],
    *,
    at: tuple[float, float] | None = None,
    size: int | tuple[int, int] | None = None,
    title: str | None = None,
) -> Figure:
    """What one unit of each layer sees: frames on the photograph, and beside it the part inside of each.

    Of each layer the unit whose field has its middle nearest to the pixel `at` (y, x), by default the photograph's middle.

    Args:
        photo: whatever `load_image` takes, resized and cut to `size` (by default left as it is).
        layers: names or patterns of modules that return maps, "pool#2" for the second call of one.
    """
    channels = input_channels(model)
    picture = images.fit(images.load_image(photo, channels), size)
    height, width = picture.shape[:2]
    at = (height / 2, width / 2) if at is None else at
    fields = receptive_fields(model, layers, (1, channels, height, width))
    maps = outputs_of(model, fields, images.preprocess(picture, model, size=(height, width)))
    boxes = {name: _box_at(field, at, maps[name].shape[2:], picture.shape[:2]) for name, field in fields.items()}
    picture = picture if picture.shape[2] == 3 else in_grey(picture)
    columns = min(len(boxes), 4)
    rows = -(-len(boxes) // columns)
    side = 4.6
    grid = Grid(len(boxes), columns, 1.0, (side - 0.3 * rows) / max(rows, 2), gap=0.08, label=0.2, highest=side)
    top, left = (min(0, *(box[i] for box in boxes.values())) for i in (0, 1))
    bottom, right = (max(edge, *(box[i] for box in boxes.values())) for i, edge in ((2, height), (3, width)))
    scale = side / max(bottom - top, right - left)
    wide, high = (right - left) * scale, (bottom - top) * scale
    figure = new_figure(
        wide + 0.6 + grid.wide, side + 0.1, title or "What one unit sees",
        "Frames: the pixels that can reach one unit of each layer, computed from kernel sizes, strides, paddings and dilations. "
        "At the right the same parts, each enlarged to one size; grey is outside of the photograph, where the network sees padding.",
    )  # fmt: skip
    ax = axes(figure, 0.15, 0.1 + side - high, wide, high)
    ax.imshow(picture, extent=(0, width, height, 0))
    ax.set(xlim=(left, right), ylim=(bottom, top))
    parts = grid.axes(figure, wide + 0.4, 0.1 + side - grid.high)
    for i, (part, (name, box)) in enumerate(zip(parts, boxes.items(), strict=True)):
        colour = _colour(i, len(boxes))
        _frame(ax, box, colour)
        part.imshow(_part(picture, box), extent=(0, box[3] - box[1], box[2] - box[0], 0))
        _frame(part, (0, 0, box[2] - box[0], box[3] - box[1]), colour)
        seen = f"{box[2] - box[0]} × {box[3] - box[1]}" if not fields[name].everything else "everything"
        part.set_title(f"{name}: {seen}", fontsize=7.5, pad=3)
    return figure


def _box_at(
    field: Field, at: tuple[float, float], cells: Sequence[int], shape: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The box of that unit of a map of so many cells whose field has its middle nearest to a pixel."""
    if field.everything:
        return field.box(0, 0, shape)
    y, x = (
        min(max(axis.nearest(place), 0), count - 1)
        for axis, place, count in zip((field.y, field.x), at, cells, strict=True)
    )
    return field.box(y, x)


def _part(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The part of a picture inside of a box, grey where the box reaches beyond it."""
    height, width = picture.shape[:2]
    top, left, bottom, right = box
    out = np.full((bottom - top, right - left, 3), 128, np.uint8)
    y, x = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    out[y.start - top : y.stop - top, x.start - left : x.stop - left] = picture[y, x]
    return out


def _frame(ax: Any, box: tuple[int, int, int, int], colour: Any) -> None:
    from matplotlib.patches import Rectangle

    top, left, bottom, right = box
    corner: dict[str, Any] = {"width": right - left, "height": bottom - top, "fill": False, "clip_on": False}
    ax.add_patch(Rectangle((left, top), edgecolor="white", linewidth=3.0, **corner))
    ax.add_patch(Rectangle((left, top), edgecolor=colour, linewidth=1.6, **corner))


def _colour(i: int, count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis_r"](0.1 + 0.9 * i / max(count - 1, 1))
