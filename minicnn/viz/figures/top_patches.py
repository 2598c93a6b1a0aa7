"""Figures of where a unit looks: the patches that excite it with its histogram, and receptive fields on a photograph."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz._modules import input_channels
from minicnn.viz.capture import outputs_of
from minicnn.viz.figures.plot import Grid, axes, cross, new_figure
from minicnn.viz.geometry import Field, receptive_fields
from minicnn.viz.tiles import in_grey

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAR = "#4c72b0"
MARK = "#d55e00"


def draw_patches(result: Any, units: Sequence[Any], title: str | None = None) -> "Figure":
    """A row for each unit: its patches, the best first, each with its activation, and the histogram of all activations."""
    if not units:
        raise ValueError("no units to draw")
    k = max(1, result.settings["k"])
    inch, gap, left, right = 0.95, 0.3, 1.35, 2.3
    rule = (
        f"The {k} of {result.images} images with the largest activation, the number above each; the part that the unit sees, "
        "grey beyond the border. At the right all activations, counted on a log scale; the marks below: the patches."
    )
    height = len(units) * (inch + gap)
    figure = new_figure(
        left + k * inch + (k - 1) * 0.06 + right, height + 0.15, title or "What excites a unit most", rule
    )
    for row, unit in enumerate(units):
        bottom = height - (row + 1) * (inch + gap) + 0.15
        name = axes(figure, 0.12, bottom, left - 0.2, inch)
        field = result.fields[unit.layer]
        seen = "everything" if field.everything else f"{field.y.size} × {field.x.size} pixels"
        name.text(0, 0.75, unit.label, fontsize=8, va="top", fontweight="bold")
        name.text(0, 0.55, f"sees {seen}\nactive {unit.histogram.active:.1%}", fontsize=7, va="top", linespacing=1.5)
        ax = axes(figure, left, bottom, k * inch + (k - 1) * 0.06, inch + gap)
        _draw_row(ax, unit, k, inch, gap)
        bars = axes(figure, left + k * (inch + 0.06) + 0.35, bottom + 0.12, right - 0.65, inch - 0.15)
        _draw_histogram(bars, unit)
    return figure


def _draw_row(ax: Any, unit: Any, k: int, inch: float, gap: float) -> None:
    grid = Grid(k, k, gap=0.06 / inch, label=gap / inch)
    for i in range(k):
        x, y = grid.place(i)
        if i >= len(unit.patches):
            cross(ax, x, y, 1, 1)
            continue
        patch = unit.patches[i]
        tile = patch.tile()
        longest = max(tile.shape[:2])
        high, wide = tile.shape[0] / longest, tile.shape[1] / longest
        ax.imshow(
            tile if tile.shape[2] == 3 else in_grey(tile), extent=(x, x + wide, y + high, y), interpolation="nearest"
        )
        ax.text(x + 0.5, y - 0.04, f"{patch.value:.3g}", fontsize=7, ha="center", va="bottom")
    ax.set_xlim(0, grid.width)
    ax.set_ylim(1 + gap / inch, 0)
    ax.set_aspect("auto")


def _draw_histogram(ax: Any, unit: Any) -> None:
    histogram = unit.histogram
    ax.set_axis_on()
    ax.stairs(histogram.counts, histogram.edges, fill=True, color=BAR)
    ax.set_yscale("log")
    margin = 0.03 * (histogram.maximum - histogram.minimum) or 1.0
    ax.set_xlim(histogram.minimum - margin, histogram.maximum + margin)
    values = [patch.value for patch in unit.patches]
    ax.plot(
        values,
        np.full(len(values), -0.04),
        "^",
        color=MARK,
        markersize=3.5,
        clip_on=False,
        transform=ax.get_xaxis_transform(),
    )
    ax.tick_params(labelsize=6, length=2)
    ax.tick_params(axis="y", which="minor", left=False)
    ax.spines[["top", "right"]].set_visible(False)


def draw_receptive_fields(
    model: Module,
    photo: Any,
    layers: str | Sequence[str],
    *,
    at: tuple[float, float] | None = None,
    size: int | tuple[int, int] | None = None,
    title: str | None = None,
) -> "Figure":
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
    tile = (side - 0.3 * rows) / max(rows, 2)
    top, left = (min(0, *(box[i] for box in boxes.values())) for i in (0, 1))
    bottom, right = (max(edge, *(box[i] for box in boxes.values())) for i, edge in ((2, height), (3, width)))
    scale = side / max(bottom - top, right - left)
    figure = new_figure(
        (right - left) * scale + 0.5 + columns * (tile + 0.12), side + 0.1, title or "What one unit sees",
        "Frames: the pixels that can reach one unit of each layer, computed from kernel sizes, strides, paddings and dilations. "
        "At the right the same parts, each enlarged to one size; grey is outside of the photograph, where the network sees padding.",
    )  # fmt: skip
    ax = axes(figure, 0.15, 0.1 + side - (bottom - top) * scale, (right - left) * scale, (bottom - top) * scale)
    ax.imshow(picture, extent=(0, width, height, 0))
    ax.set_xlim(left, right)
    ax.set_ylim(bottom, top)
    for i, (name, box) in enumerate(boxes.items()):
        colour = _colour(i, len(boxes))
        _frame(ax, box, colour)
        row, column = divmod(i, columns)
        place = (right - left) * scale + 0.4 + column * (tile + 0.12), 0.1 + side - (row + 1) * (tile + 0.3)
        part = axes(figure, *place, tile, tile)
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
    corner = {"width": right - left, "height": bottom - top, "fill": False, "clip_on": False}
    ax.add_patch(Rectangle((left, top), edgecolor="white", linewidth=3.0, **corner))
    ax.add_patch(Rectangle((left, top), edgecolor=colour, linewidth=1.6, **corner))


def _colour(i: int, count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis_r"](0.1 + 0.9 * i / max(count - 1, 1))
