"""The figures of a `FilterGrowth`: a film strip with curves below it, and a film."""

from typing import Any

import numpy as np

from minicnn.viz.figures.plot import DIVERGING, Axes, Figure, FuncAnimation, Grid, axes, new_figure, panel, relative_bar
from minicnn.viz.filters import filter_tiles
from minicnn.viz.gabor import BEYOND
from minicnn.viz.tiles import mosaic

ORANGE, BLUE, GREY = "#d95f02", "#3b6fb6", "#999999"


def draw_growth(growth: Any, chosen: np.ndarray, frames: np.ndarray, title: str | None) -> Figure:
    """See `FilterGrowth.figure`: the filters `chosen` at the moments `frames`."""
    title = title or f"{len(chosen)} of {growth.filters.shape[1]} filters while they grow"
    below, channels = 2.5, growth.filters.shape[2]
    aspect = growth.filters.shape[3] / growth.filters.shape[4]
    grid = Grid(len(chosen) * len(frames), len(frames), aspect, 0.85, gap=0.08, widest=10.4)
    rule = (
        "Each picture on its own scale, m its largest |weight|. Above: training steps, at moments evenly "
        f"spaced by how much the filters turned. Below: all {growth.filters.shape[1]} filters over the steps (logarithmic; "
        "the start stands at 0.7), dots at the moments shown."
    )
    figure = new_figure(max(grid.wide + 1.5, 9.0), grid.high + 0.45 + below, title, _with_colours(rule, channels))
    tiles = _tiles(growth.filters[frames][:, chosen])  # (frames, chosen, ...)
    ordered = [tiles[t][f] for f in range(len(chosen)) for t in range(len(frames))]
    ax = grid.draw(figure, 0.75, below + 0.1, ordered, cmap=DIVERGING, limits=(-1.0, 1.0))
    for column, frame in enumerate(frames):
        ax.text(grid.place(column)[0] + 0.5, -0.12, f"{growth.steps[frame]:,}", ha="center", va="bottom", fontsize=8)
    for row, index in enumerate(chosen):
        y = grid.place(row * len(frames))[1] + grid.aspect / 2
        ax.text(-0.12, y, f"filter {index}", ha="right", va="center", fontsize=8)
    bar, height = "gray" if channels == 3 else DIVERGING, min(1.4, grid.high * 0.6)
    relative_bar(figure, bar, 0.95 + grid.wide, below + 0.2, height, ["-m", "0", "+m"])
    _curves(growth, figure, frames, below)
    return figure


def draw_film(growth: Any, moments: int, hold: float, fps: float, title: str) -> FuncAnimation:
    """See `FilterGrowth.animation`."""
    from matplotlib.animation import FuncAnimation

    count = growth.filters.shape[1]
    columns = 8 if count == 64 else max(1, round(np.sqrt(count * 1.3)))
    sheets = [mosaic(moment, columns) for moment in _tiles(growth.filters)]
    if sheets[0].ndim == 3:  # in colour the lines are white
        sheets = [np.nan_to_num(sheet, nan=1.0) for sheet in sheets]
    height, width = sheets[0].shape[:2]
    inches = min(4.6 / width, 4.6 / height)
    rule = _with_colours("Each filter on its own scale in each frame, m its largest |weight|.", growth.filters.shape[2])
    figure = new_figure(max(4.6, width * inches + 0.3), height * inches + 1.75, title, rule)
    ax = axes(figure, 0.15, 1.6, width * inches, height * inches)
    picture = ax.imshow(sheets[0], cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
    curve = panel(figure, 0.7, 0.5, figure.get_size_inches()[0] - 0.95, 0.85)
    _r2(growth, curve)
    curve.set_ylim(0, 1)
    dot = curve.plot([], [], "o", color="black", markersize=6)[0]
    x = _positions(growth.steps)

    def show(frame: int) -> tuple:
        picture.set_data(sheets[frame])
        dot.set_data([x[frame]], [growth.r2[frame]])
        curve.set_title(f"step {growth.steps[frame]:,}: median R² {growth.r2[frame]:.2f}", fontsize=9, loc="left")
        return picture, dot

    frames = [*[0] * round(fps), *growth.moments(moments), *[len(sheets) - 1] * round(hold * fps)]
    return FuncAnimation(figure, show, frames=frames, interval=1000 / fps, blit=False)


def _r2(growth: Any, ax: Axes) -> None:
    noise = growth.reports[0].noise_r2
    if len(noise):
        ax.axhline(np.median(noise), color=GREY, linewidth=1)
        ax.axhline(np.percentile(noise, BEYOND), color=GREY, linewidth=1, linestyle=":")
    ax.plot(_positions(growth.steps), growth.r2, color=ORANGE, linewidth=1.4)
    ax.set_xscale("log")


def _curves(growth: Any, figure: Figure, frames: np.ndarray, height: float) -> None:
    x = _positions(growth.steps)
    width = (figure.get_size_inches()[0] - 0.75) / 4
    with_start, with_end = (np.nanmedian(like, axis=1) for like in (growth.like_first, growth.like_last))
    shown: dict[str, dict[str, tuple[np.ndarray, str]]] = {
        "median R² (grey: noise,\nmedian and 95th percentile)": {"": (growth.r2, ORANGE)},
        "share of the filters": {
            "above 95 % of noise": (growth.beyond_noise, ORANGE),
            "and oriented": (growth.oriented, BLUE),
        },
        "cosine of a filter, median": {"with its start": (with_start, GREY), "with its end": (with_end, ORANGE)},
        "variance entropy\n(grey: noise)": {"": (growth.variance_entropy, ORANGE)},
    }
    for i, (title, curves) in enumerate(shown.items()):
        ax = panel(figure, 0.75 + width * i, 0.5, width - 0.55, height - 1.0, x="training steps")
        ax.set_title(title, fontsize=8, loc="left")
        if i == 0:
            _r2(growth, ax)
        if i == 3:
            ax.axhline(growth.reports[0].noise_quality.variance_entropy, color=GREY, linewidth=1)
        for name, (values, colour) in curves.items():
            ax.plot(x, values, color=colour, linewidth=1.4, label=name)
            ax.plot(x[frames], values[frames], "o", color=colour, markersize=3.5)
        if len(curves) > 1:
            ax.legend(frameon=False, fontsize=7)
        ax.set_xscale("log")
        ax.set_ylim(min(0, ax.get_ylim()[0]), 1.05)


def _positions(steps: np.ndarray) -> np.ndarray:
    """Where the steps stand on a logarithmic axis: 0 has no logarithm."""
    return np.maximum(steps, 0.7)


def _tiles(filters: np.ndarray) -> np.ndarray:
    """(T, O, C, KH, KW) -> pictures (T, O, KH, KW, 3) for three channels, else values of the first channel or the mean's."""
    if filters.shape[2] == 3:
        return np.stack([filter_tiles(moment) for moment in filters])
    plane = filters.mean(axis=2)
    top = np.abs(plane).max(axis=(2, 3), keepdims=True)
    return plane / np.where(top > 0, top, 1)


def _with_colours(rule: str, channels: int) -> str:
    if channels == 3:
        return rule + " Red, green, blue = 0.5 + weight / 2m each, so mid-grey is 0."
    return rule + " Symmetric about 0." + (" The mean over the input channels is shown." if channels > 1 else "")
