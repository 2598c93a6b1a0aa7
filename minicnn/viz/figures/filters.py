"""Weights as pictures: the first layer's filters in colour, a deeper layer as a matrix of kernels about zero."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.viz.figures.plot import DIVERGING, Figure, Grid, axes, colour_bar, cross, new_figure, relative_bar
from minicnn.viz.filters import DEAD, dead_filters, filter_tiles, ranking, weight_of
from minicnn.viz.tiles import as_rgb, mosaic


def draw_filters(
    source: Any,
    layer: str | None = None,
    *,
    scale: str = "each",
    order: str | Sequence[int] = "index",
    count: int | None = None,
    columns: int | None = None,
    labels: bool | Sequence[str] = True,
    title: str | None = None,
) -> Figure:
    """The filters of a layer as a grid of pictures: in colour for three input channels, grey for one.

    Another number of channels has no colours: then the figure is `draw_kernels`, a row for each filter.

    Args:
        source: a model (its first convolution, or `layer`), a convolution, a tensor or an array (O, C, KH, KW).
        scale: "each" or "shared", see `filter_tiles`. order: see `ranking`. count: the first so many of that order.
        columns: of the grid. labels: the filter's index above each, or a list of other words, one for each filter of the
            layer. title: in place of the layer's shape.
    """
    weight = weight_of(source, layer)
    chosen = ranking(weight, order)[:count]
    if weight.shape[1] not in (1, 3):
        row_scale = "row" if scale == "each" else "shared"
        return draw_kernels(weight, rows=chosen, columns=weight.shape[1], scale=row_scale, title=title)
    dead = dead_filters(weight)[chosen]
    tiles = filter_tiles(weight, scale)[chosen]
    columns = columns or (8 if len(tiles) == 64 else max(4, round(np.sqrt(len(tiles) * 1.3))))
    aspect, label = tiles.shape[1] / tiles.shape[2], 0.2 if labels else 0
    grid = Grid(len(tiles), columns, aspect, 0.62, gap=0.08, label=label, widest=10)
    title = title or f"{len(tiles)} filters of {weight.shape[1]} × {weight.shape[2]} × {weight.shape[3]} weights"
    figure = new_figure(grid.wide + 1.5, grid.high + 0.25, title, _rule(weight, scale, dead, order))
    names = [str(i if labels is True else labels[i]) for i in chosen] if labels else ()
    grid.draw(figure, 0.15, 0.15, [as_rgb(tile) for tile in tiles], labels=names, crossed=dead, fontsize=6.5)
    m = "m" if scale == "each" else f"{np.abs(weight).max():.3g}"
    relative_bar(figure, "gray", grid.wide + 0.35, 0.2, min(1.6, grid.high * 0.6), [f"-{m}", "0", f"+{m}"])
    return figure


def draw_kernels(
    source: Any,
    layer: str | None = None,
    *,
    rows: int | Sequence[int] | np.ndarray = 24,
    columns: int | Sequence[int] | np.ndarray = 32,
    order: str = "norm",
    scale: str = "shared",
    title: str | None = None,
) -> Figure:
    """A layer as the matrix of its kernels, filter by input channel, on a diverging map about zero.

    A deeper layer's filter has a kernel for each of its input channels; to show some three of them as red, green and
    blue would mix channels that have nothing to do with each other. Here each kernel stands by itself.

    Args:
        source, layer: as in `draw_filters`.
        rows, columns: the filters and the input channels: the first so many by `order`, or lists of indices.
        order: "index", "norm" or "variance", see `ranking`; columns are ordered over the chosen rows.
        scale: "shared": one colour scale, to the 99.9th percentile of the |weights| shown; "row": one for each filter;
            "each": one for each kernel (its strength is lost).
    """
    weight = weight_of(source, layer)
    total_rows, total_columns = weight.shape[:2]
    row_index = ranking(weight, order)[:rows] if isinstance(rows, int) else np.asarray(rows, int)
    shown = weight[row_index]
    column_index = ranking(shown, order, axis=1)[:columns] if isinstance(columns, int) else np.asarray(columns, int)
    shown = shown[:, column_index].astype(np.float32)
    dead = dead_filters(weight)[row_index]
    shown[dead] = np.nan
    values, top, rule = _scaled(shown, scale)
    picture = mosaic(values.reshape(-1, *values.shape[2:]), values.shape[1])
    inches = min(9.5 / picture.shape[1], 7.5 / picture.shape[0], 0.45 / weight.shape[3])
    width, height = picture.shape[1] * inches, picture.shape[0] * inches
    title = title or f"{len(row_index)} of {total_rows} filters × {len(column_index)} of {total_columns} input channels"
    by = f", by {order}, the largest first" if order != "index" else ""
    sorted_rows, sorted_columns = (by if isinstance(chosen, int) else "" for chosen in (rows, columns))
    rule = (
        f"Each cell: one {weight.shape[2]} × {weight.shape[3]} kernel. {rule} "
        f"Rows: filters{sorted_rows}; columns: input channels{sorted_columns}.{crossed_rule(dead)}"
    )
    figure = new_figure(width + 1.6, height + 0.65, title, rule)
    ax = axes(figure, 0.6, 0.5, width, height)
    image = ax.imshow(picture, cmap=DIVERGING, vmin=-top, vmax=top, interpolation="nearest")
    _label_matrix(ax, picture.shape, row_index, column_index, weight.shape[2:], dead)
    bar = width + 0.75, 0.5, min(height, 2.2)
    if scale == "shared":
        colour_bar(figure, image, *bar, "weight")
    else:
        relative_bar(figure, DIVERGING, *bar, ["-m", "0", "+m"])
    return figure


def _scaled(shown: np.ndarray, scale: str) -> tuple[np.ndarray, float, str]:
    """(values to draw, the value at the end of the colour map, the rule in words)"""
    magnitude = np.nan_to_num(np.abs(shown))
    if scale == "shared":
        top = float(np.percentile(magnitude[magnitude > 0], 99.9)) if magnitude.any() else 1.0
        return shown, top, f"One scale for all, symmetric about 0, to the 99.9th percentile of |weight|: {top:.3g}."
    if scale not in ("row", "each"):
        raise ValueError(f"scale is 'shared', 'row' or 'each', not {scale!r}")
    own = magnitude.max(axis=(1, 2, 3) if scale == "row" else (2, 3), keepdims=True)
    whose = "filter" if scale == "row" else "kernel"
    rule = f"Each {whose} by itself: symmetric about 0, m its own largest |weight|."
    return shown / np.where(own > 0, own, 1), 1.0, rule


def _label_matrix(
    ax: Any, shape: tuple, rows: np.ndarray, columns: np.ndarray, kernel: tuple[int, int], dead: np.ndarray
) -> None:
    (height, width), (kh, kw) = shape, kernel
    ax.set_axis_on()
    ax.set_facecolor("#d9d9d9")
    for axis, index, size, least in (
        (ax.yaxis, rows, kh + 1, 0.016 * height),
        (ax.xaxis, columns, kw + 1, 0.03 * width),
    ):
        every = max(1, int(np.ceil(least / size)))
        places = np.arange(0, len(index), every)
        axis.set_ticks(places * size + (size - 2) / 2, [str(index[i]) for i in places])
    ax.tick_params(labelsize=6.5, length=0, pad=2)
    ax.set_xlabel("input channel", fontsize=8)
    ax.set_ylabel("filter", fontsize=8)
    for spine in ax.spines.values():
        spine.set_visible(False)
    for i in np.flatnonzero(dead):
        cross(ax, -0.5, i * (kh + 1) - 0.5, width, kh)


def _rule(weight: np.ndarray, scale: str, dead: np.ndarray, order: str | Sequence[int]) -> str:
    whose = "each filter by itself, m its own" if scale == "each" else "one scale for all, m the layer's"
    colour = "red, green, blue" if weight.shape[1] == 3 else "brightness"
    rule = f"{colour.capitalize()} = 0.5 + weight / 2m, so mid-grey is 0; {whose} largest |weight|."
    if isinstance(order, str) and order != "index":
        rule += f" By {order}, the largest first."
    return rule + crossed_rule(dead)


def crossed_rule(dead: np.ndarray) -> str:
    """What a cross means, for a caption; "" if there is none."""
    return (
        f" Crossed: dead, largest |weight| at most {DEAD:g} of the layer's largest ({dead.sum()})."
        if dead.any()
        else ""
    )
