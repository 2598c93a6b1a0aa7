"""What the layers answer to one image: a grid of maps, a strip from early to deep, one map laid over the photograph."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz.feature_maps import maps_of, rank_maps, silent
from minicnn.viz.figures.plot import (
    DIVERGING,
    SEQUENTIAL,
    WIDEST,
    Figure,
    Grid,
    axes,
    colour_bar,
    cross,
    draw_map,
    new_figure,
    overlay,
    relative_bar,
    text_width,
)
from minicnn.viz.geometry import receptive_fields
from minicnn.viz.network import input_channels, outputs_of
from minicnn.viz.tiles import as_rgb, in_grey, limits_of

SCALES = ("each", "shared", "symmetric")


def draw_maps(
    output: Any,
    *,
    scale: str = "each",
    order: str | Sequence[int] = "index",
    count: int | None = 64,
    columns: int | None = None,
    n: int = 0,
    title: str | None = None,
) -> Figure:
    """The maps of one layer as a grid.

    Args:
        output: what `capture` holds for the layer, (N, C, H, W) or (C, H, W); n chooses the image.
        scale: "each": every map has its own colour scale, from 0 to its own largest value, which is written above it
            (from -m to m if it has negative values); "shared": one scale for all, to the 99.8th percentile;
            "symmetric": one scale for all, symmetric about 0, on a diverging map.
        order, count: which channels, see `rank_maps`; by default the first 64.
    """
    if scale not in SCALES:
        raise ValueError(f"scale is {', '.join(map(repr, SCALES))}, not {scale!r}")
    maps = maps_of(output, n)
    chosen = rank_maps(maps, order)[:count]
    shown, off = maps[chosen], silent(maps)[chosen]
    alive = shown[~off] if not off.all() else np.zeros_like(shown)
    signed = scale == "symmetric" or (alive.size > 0 and alive.min() < 0)
    magnitude, zero = np.abs(alive), "symmetric about 0" if signed else "from 0"
    top = float(np.percentile(magnitude, 99.8)) or float(magnitude.max()) or 1.0
    tops = np.abs(shown).max(axis=(1, 2)) if scale == "each" else np.full(len(shown), top)
    rule = f"One scale for all maps, {zero}, to the 99.8th percentile: {top:.3g}."
    if scale == "each":
        rule = f"Each map has its own scale, {zero} to its largest magnitude m: the number above it."
    if off.any():
        rule += f" Crossed: the same value everywhere on this image ({off.sum()})."
    if isinstance(order, str) and order != "index":
        rule += f" By {order}, the largest first."
    labels = [f"{c}: {m:.2g}" if scale == "each" else str(c) for c, m in zip(chosen, tops, strict=True)]
    columns = columns or max(4, round(np.sqrt(len(shown) * 1.3)) if len(shown) != 64 else 8)
    grid = Grid(len(shown), columns, shown.shape[1] / shown.shape[2], 0.95, label=0.16, widest=10)
    title = title or f"{len(shown)} of {len(maps)} feature maps, {maps.shape[1]} × {maps.shape[2]} each"
    figure = new_figure(grid.wide + 1.4, grid.high + 0.3, title, rule)
    limits, cmap = [(-m if signed else 0.0, m or 1.0) for m in tops], DIVERGING if signed else SEQUENTIAL
    ax = grid.draw(figure, 0.15, 0.15, shown, labels=labels, cmap=cmap, limits=limits, crossed=off, fontsize=6.5)
    bar = grid.wide + 0.3, 0.2, min(2.0, grid.high * 0.7)
    if scale == "each":
        relative_bar(figure, cmap, *bar, ["-m", "0", "m"] if signed else ["0", "m"])
    elif ax.images:
        colour_bar(figure, ax.images[-1], *bar, "activation")
    return figure


def draw_strip(
    maps: Mapping[str, Any],
    photo: np.ndarray | None = None,
    *,
    layers: Sequence[str] | None = None,
    columns: int = 2,
    order: str = "variance",
    n: int = 0,
    title: str = "From early to deep",
) -> Figure:
    """Maps of several layers beside each other, all at one magnification: a deep map is small because it is coarse. Where they would be
    wider than WIDEST inches, they go on in a further row.

    Args:
        maps: a `capture`, or {name: output (N, C, H, W)}, early layers first; `layers` chooses among them.
        photo: the image (H, W, 3) that went in, drawn at the left at the same magnification.
        columns: of maps for the deepest layer; the columns of every layer are as many as fit the height of the image.
        order: which channels of each layer are shown first, see `rank_maps`.
    """
    stacks = {name: maps_of(maps[name], n) for name in (layers or maps) if getattr(maps[name], "ndim", 0) == 4}
    if not stacks:
        raise ValueError("no layer with maps (N, C, H, W)")
    words = (
        {"index": "the first"}.get(order, f"those of the largest {order}") if isinstance(order, str) else "those chosen"
    )
    rule = (
        f"One map cell is drawn as large in every layer as a pixel of the image. Each map has its own scale to its largest magnitude: "
        f"from 0 (black), or, where values are negative, from blue over 0 (white) to red. Of each layer {words}."
    )
    full = photo.shape[0] if photo is not None else max(stack.shape[1] for stack in stacks.values())
    inches, spacing = 3.3 / full, 0.22
    parts = [_Part(name, stack, full, columns, order) for name, stack in stacks.items()]
    if photo is not None:
        parts.insert(0, _Part("image", photo[None], full, 1, order))
    places = [max(part.width * inches, text_width(part.title, 8)) + spacing for part in parts]
    rows: list[list[tuple[_Part, float]]] = [[]]
    for part, place in zip(parts, places, strict=True):
        if rows[-1] and sum(taken for _, taken in rows[-1]) + place > WIDEST:
            rows.append([])
        rows[-1].append((part, place))
    heights = [max(part.height for part, _ in row) * inches for row in rows]
    heads = [0.15 * (2 + max(part.title.count("\n") for part, _ in row)) for row in rows]
    bottom = sum(heights) + sum(heads) + 0.2
    figure = new_figure(max(sum(place for _, place in row) for row in rows) + 0.3, bottom, title, rule)
    for row, height, head in zip(rows, heights, heads, strict=True):
        left, bottom = 0.15, bottom - head - height
        for part, place in row:
            wide, high = part.width * inches, part.height * inches
            part.draw(axes(figure, left + (place - spacing - wide) / 2, bottom + height - high, wide, high))
            left += place
    return figure


def draw_overlay(
    model: Module,
    photo: Any,
    target: str,
    *,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    smooth: bool = False,
    title: str | None = None,
) -> Figure:
    """One map laid over the photograph that caused it, every cell where it looked.

    A map is not simply stretched to the image's size: with strides and padding its cells' centres lie elsewhere. They are computed
    through the modules that were executed, see `geometry`; a cell is drawn one stride wide around the middle of its field.

    Args:
        photo: whatever `image.load_image` takes. size: it is resized and cut to this, by default left as it is.
        target: "layer:channel", "pool#2:channel" for the second call of a module. smooth: interpolate between the cells' centres.
    """
    layer, _, channel = target.rpartition(":")
    picture = images.fit(images.load_image(photo, input_channels(model)), size)
    x = images.preprocess(picture, model, size=picture.shape[:2], mean=mean, std=std)
    shown = maps_of(outputs_of(model, layer, x)[layer])[int(channel)]
    field = receptive_fields(model, layer, x.shape)[layer]
    if field.everything:
        raise ValueError(f"{layer!r} sees the whole image: there is no place to lay its map")
    low, high = limits_of(shown)
    height, width = picture.shape[:2]
    inches = 4.2 / max(height, width)
    rule = (
        f"Cells of {field.y.stride} × {field.x.stride} pixels, each around the middle of what it sees "
        f"({field.y.size} × {field.x.size} pixels). Colour and opacity grow with |activation|, {low:.3g} to {high:.3g}; "
        f"{'between cells interpolated' if smooth else 'not interpolated'}."
    )
    figure = new_figure(2 * width * inches + 1.5, height * inches + 0.35, title or target, rule)
    left, right = (axes(figure, x, 0.2, width * inches, height * inches) for x in (0.15, 0.3 + width * inches))
    left.imshow(picture if picture.shape[2] == 3 else in_grey(picture))
    how: dict[str, Any] = {"extent": field.extent(*shown.shape), "interpolation": "bilinear" if smooth else "nearest"}
    drawn = overlay(right, picture, shown, **how)
    colour_bar(figure, drawn, 2 * width * inches + 0.45, 0.2, min(2.4, height * inches), "activation")
    return figure


class _Part:
    """What one layer, or the image, takes of a strip; lengths in pixels of the image."""

    def __init__(self, name: str, stack: np.ndarray, full: int, columns: int, order: Any) -> None:
        height, width = stack.shape[1:3]
        self.gap, self.is_image = max(1, full // 110), stack.ndim == 4
        self.rows = max(1, (full + self.gap) // (height + self.gap))
        kept = self.rows * (1 if self.rows == 1 else columns)
        self.maps = stack if self.is_image else stack[rank_maps(stack, order)[:kept]]
        self.width = -(-len(self.maps) // self.rows) * (width + self.gap) - self.gap
        name = "\n".join(textwrap.wrap(name.replace(".", ". "), 26)).replace(". ", ".")  # after a dot, if it can be
        self.height = min(self.rows, len(self.maps)) * (height + self.gap) - self.gap
        self.title = f"{name}\n{'' if self.is_image else f'{len(stack)} maps, '}{height} × {width}"

    def draw(self, ax: Any) -> None:
        height, width = self.maps.shape[1:3]
        for i, shown in enumerate(self.maps):
            column, row = divmod(i, self.rows)
            x, y = column * (width + self.gap), row * (height + self.gap)
            extent = (x, x + width, y + height, y)
            if self.is_image:
                ax.imshow(
                    as_rgb(shown / 255.0 if shown.dtype == np.uint8 else shown), extent=extent, interpolation="nearest"
                )
            elif silent(shown[None])[0]:
                cross(ax, x, y, width, height)
            else:
                draw_map(ax, shown, extent=extent)
        ax.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="auto")
        ax.set_title(self.title, fontsize=8)
