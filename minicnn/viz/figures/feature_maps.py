"""What the layers answer to one image: a grid of maps, a strip from early to deep, one map laid over the photograph."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz._modules import input_channels
from minicnn.viz.capture import outputs_of
from minicnn.viz.feature_maps import maps_of, rank_maps, silent
from minicnn.viz.figures.plot import DIVERGING, SEQUENTIAL, Grid, axes, colour_bar, cross, new_figure, relative_bar
from minicnn.viz.geometry import receptive_fields
from minicnn.viz.tiles import as_rgb, in_grey, limits_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
) -> "Figure":
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
    columns = columns or max(4, round(np.sqrt(len(shown) * 1.3)) if len(shown) != 64 else 8)
    limits, cmap, rule, ends = _scaling(shown, off, scale)
    tops = np.abs(shown).max(axis=(1, 2))
    labels = [f"{c}: {top:.2g}" if scale == "each" else str(c) for c, top in zip(chosen, tops, strict=True)]
    inches = min(0.95, 9.6 / columns)
    grid = Grid(len(shown), columns, shown.shape[1] / shown.shape[2], label=0.16)
    title = title or f"{len(shown)} of {len(maps)} feature maps, {maps.shape[1]} × {maps.shape[2]} each"
    if off.any():
        rule += f" Crossed: the same value everywhere on this image ({off.sum()})."
    if isinstance(order, str) and order != "index":
        rule += f" By {order}, the largest first."
    figure = new_figure(grid.width * inches + 1.4, grid.height * inches + 0.3, title, rule)
    ax = axes(figure, 0.15, 0.15, grid.width * inches, grid.height * inches)
    drawn = grid.draw(ax, shown, labels=labels, cmap=cmap, limits=limits, crossed=off, fontsize=6.5)
    bar = grid.width * inches + 0.3, 0.2, min(2.0, grid.height * inches * 0.7)
    if scale == "each":
        relative_bar(figure, cmap, *bar, ends)
    elif drawn is not None:
        colour_bar(figure, drawn, *bar, "activation")
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
) -> "Figure":
    """Maps of several layers beside each other, all at one magnification: a deep map is small because it is coarse.

    Args:
        maps: a `capture`, or {name: output (N, C, H, W)}, early layers first; `layers` chooses among them.
        photo: the image (H, W, 3) that went in, drawn at the left at the same magnification.
        columns: of maps for the deepest layer; the columns of every layer are as many as fit the height of the image.
        order: which channels of each layer are shown first, see `rank_maps`.
    """
    stacks = {name: maps_of(maps[name], n) for name in (layers or maps) if getattr(maps[name], "ndim", 0) == 4}
    if not stacks:
        raise ValueError("no layer with maps (N, C, H, W)")
    which = (
        "those chosen"
        if not isinstance(order, str)
        else "the first"
        if order == "index"
        else f"those of the largest {order}"
    )
    rule = (
        f"One map cell is drawn as large in every layer as a pixel of the image. Each map has its own scale to its largest magnitude: "
        f"from 0 (black), or, where values are negative, from blue over 0 (white) to red. Of each layer {which}."
    )
    full = photo.shape[0] if photo is not None else max(stack.shape[1] for stack in stacks.values())
    inches = 3.3 / full
    parts = [_strip_part(name, stack, full, columns, order) for name, stack in stacks.items()]
    spacing = 0.22
    places = [max(part["width"] * inches, 0.068 * max(map(len, part["title"].split("\n")))) for part in parts]
    width = sum(places) + spacing * len(parts) + 0.3
    width += photo.shape[1] * inches + spacing if photo is not None else 0
    figure = new_figure(width, full * inches + 0.75, title, rule)
    left = 0.15
    if photo is not None:
        ax = axes(figure, left, 0.2, photo.shape[1] * inches, full * inches)
        ax.imshow(as_rgb(_unit(photo)), interpolation="nearest", aspect="auto")
        ax.set_title(f"image\n{photo.shape[0]} × {photo.shape[1]}", fontsize=8)
        left += photo.shape[1] * inches + spacing
    for part, place in zip(parts, places, strict=True):
        ax = axes(figure, left + (place - part["width"] * inches) / 2, 0.2, part["width"] * inches, full * inches)
        _draw_part(ax, part, full)
        left += place + spacing
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
) -> "Figure":
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
    between = "between cells interpolated" if smooth else "not interpolated"
    what = (
        f"Cells of {field.y.stride} × {field.x.stride} pixels, each around the middle of what it sees "
        f"({field.y.size} × {field.x.size} pixels). Colour and opacity grow with |activation|, {low:.3g} to {high:.3g}; "
        f"{between}."
    )
    figure = new_figure(2 * width * inches + 1.5, height * inches + 0.35, title or target, what)
    for i in range(2):
        ax = axes(figure, 0.15 + i * (width * inches + 0.15), 0.2, width * inches, height * inches)
        ax.imshow(picture if i == 0 and picture.shape[2] == 3 else in_grey(picture))
    drawn = ax.imshow(
        shown, extent=field.extent(*shown.shape), cmap=DIVERGING if low < 0 else SEQUENTIAL, vmin=low, vmax=high,
        alpha=np.clip(np.abs(shown) / high, 0, 1) * 0.75 + 0.1, interpolation="bilinear" if smooth else "nearest",
    )  # fmt: skip
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    drawn.set_clip_on(True)
    colour_bar(figure, drawn, 2 * width * inches + 0.45, 0.2, min(2.4, height * inches), "activation")
    return figure


def _scaling(shown: np.ndarray, off: np.ndarray, scale: str) -> tuple[Any, str, str, list[str]]:
    """(limits for `Grid.draw`, colour map, the rule in words, what to write at the ends of a relative colour bar)"""
    alive = shown[~off] if not off.all() else np.zeros_like(shown)
    signed = alive.size > 0 and alive.min() < 0
    if scale == "each":
        cmap = DIVERGING if signed else SEQUENTIAL
        tops = np.abs(shown).max(axis=(1, 2))
        limits = [(-top if signed else 0.0, top or 1.0) for top in tops]
        rule = "Each map has its own scale, symmetric about 0" if signed else "Each map has its own scale, from 0"
        return (
            limits,
            cmap,
            rule + " to its largest magnitude m: the number above it.",
            ["-m", "0", "m"] if signed else ["0", "m"],
        )
    magnitude = np.abs(alive)
    top = float(np.percentile(magnitude, 99.8)) or float(magnitude.max()) or 1.0
    if scale == "symmetric" or signed:
        return (
            (-top, top),
            DIVERGING,
            f"One scale for all maps, symmetric about 0, to the 99.8th percentile: {top:.3g}.",
            [],
        )
    return (0.0, top), SEQUENTIAL, f"One scale for all maps, from 0 to the 99.8th percentile: {top:.3g}.", []


def _strip_part(name: str, stack: np.ndarray, full: int, columns: int, order: str) -> dict[str, Any]:
    """What one layer takes of a strip; lengths in pixels of the image."""
    height, width = stack.shape[1:]
    gap = max(1, full // 110)
    rows = max(1, (full + gap) // (height + gap))
    across = 1 if rows == 1 else columns
    chosen = rank_maps(stack, order)[: rows * across]
    across = -(-len(chosen) // rows)
    return {
        "title": f"{name}\n{stack.shape[0]} maps, {height} × {width}",
        "maps": stack[chosen],
        "rows": rows,
        "gap": gap,
        "width": across * (width + gap) - gap,
    }


def _draw_part(ax: Any, part: dict[str, Any], full: int) -> None:
    _, height, width = part["maps"].shape
    off = silent(part["maps"])
    for i, shown in enumerate(part["maps"]):
        column, row = divmod(i, part["rows"])
        x, y = column * (width + part["gap"]), row * (height + part["gap"])
        if off[i]:
            cross(ax, x, y, width, height)
            continue
        low, high = limits_of(shown)
        cmap = DIVERGING if low < 0 else SEQUENTIAL
        ax.imshow(shown, extent=(x, x + width, y + height, y), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    ax.set_xlim(0, part["width"])
    ax.set_ylim(full, 0)
    ax.set_aspect("auto")
    ax.set_title(part["title"], fontsize=8)


def _unit(photo: np.ndarray) -> np.ndarray:
    """A photograph (H, W, C) as float in [0, 1]."""
    return photo / 255.0 if photo.dtype == np.uint8 else photo
