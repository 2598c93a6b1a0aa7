"""The figures of a `FilterGrowth`: a film strip with curves below it, and a film."""

from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.viz.figures.plot import DIVERGING, Grid, axes, new_figure, relative_bar
from minicnn.viz.filters import filter_tiles
from minicnn.viz.gabor import BEYOND
from minicnn.viz.tiles import mosaic

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE, BLUE, GREY = "#d95f02", "#3b6fb6", "#999999"


def draw_growth(growth: Any, chosen: np.ndarray, frames: np.ndarray, title: str | None) -> "Figure":
    """See `FilterGrowth.figure`: the filters `chosen` at the moments `frames`."""
    title = title or f"{len(chosen)} of {growth.filters.shape[1]} filters while they grow"
    below = 2.5
    grid = Grid(len(chosen) * len(frames), len(frames), growth.filters.shape[3] / growth.filters.shape[4], gap=0.08)
    inches = min(0.85, 10.4 / grid.width)
    rule = (
        "Each picture on its own scale, m its largest |weight|. Above: training steps, at moments evenly "
        f"spaced by how much the filters turned. Below: all {growth.filters.shape[1]} filters over the steps (logarithmic; "
        "the start stands at 0.7), dots at the moments shown."
    )
    figure = new_figure(
        grid.width * inches + 1.5, grid.height * inches + 0.45 + below, title, _with_colours(rule, growth.filters.shape[2])
    )  # fmt: skip
    ax = axes(figure, 0.75, below + 0.1, grid.width * inches, grid.height * inches)
    tiles = _tiles(growth.filters[frames][:, chosen])  # (frames, chosen, ...)
    ordered = [tiles[t][f] for f in range(len(chosen)) for t in range(len(frames))]
    grid.draw(ax, ordered, cmap=DIVERGING, limits=(-1.0, 1.0))
    for column, frame in enumerate(frames):
        ax.text(grid.place(column)[0] + 0.5, -0.12, f"{growth.steps[frame]:,}", ha="center", va="bottom", fontsize=8)
    for row, index in enumerate(chosen):
        y = grid.place(row * len(frames))[1] + grid.aspect / 2
        ax.text(-0.12, y, f"filter {index}", ha="right", va="center", fontsize=8)
    bar = "gray" if growth.filters.shape[2] == 3 else DIVERGING
    left, height = 0.95 + grid.width * inches, min(1.4, grid.height * inches * 0.6)
    relative_bar(figure, bar, left, below + 0.2, height, ["-m", "0", "+m"])
    _curves(growth, figure, frames, below)
    return figure


def draw_film(growth: Any, moments: int, hold: float, fps: float, title: str) -> "FuncAnimation":
    """See `FilterGrowth.animation`."""
    from matplotlib.animation import FuncAnimation

    count = growth.filters.shape[1]
    columns = 8 if count == 64 else max(1, round(np.sqrt(count * 1.3)))
    sheets = [_sheet(moment, columns) for moment in _tiles(growth.filters)]
    height, width = sheets[0].shape[:2]
    inches = min(4.6 / width, 4.6 / height)
    rule = _with_colours("Each filter on its own scale in each frame, m its largest |weight|.", growth.filters.shape[2])
    figure = new_figure(max(4.6, width * inches + 0.3), height * inches + 1.75, title, rule)
    ax = axes(figure, 0.15, 1.6, width * inches, height * inches)
    picture = ax.imshow(sheets[0], cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
    curve = axes(figure, 0.7, 0.5, figure.get_size_inches()[0] - 0.95, 0.85)
    curve.set_axis_on()
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


def _r2(growth: Any, ax: "Axes") -> None:
    noise = growth.reports[0].noise_r2
    if len(noise):
        ax.axhline(np.median(noise), color=GREY, linewidth=1)
        ax.axhline(np.percentile(noise, BEYOND), color=GREY, linewidth=1, linestyle=":")
    ax.plot(_positions(growth.steps), growth.r2, color=ORANGE, linewidth=1.4)
    ax.set_xscale("log")
    ax.tick_params(labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)


def _curves(growth: Any, figure: "Figure", frames: np.ndarray, height: float) -> None:
    x = _positions(growth.steps)
    width = (figure.get_size_inches()[0] - 0.75) / 4
    panels = [axes(figure, 0.75 + width * i, 0.5, width - 0.55, height - 1.0) for i in range(4)]
    _r2(growth, panels[0])
    for ax, curves in (
        (panels[0], {}),
        (panels[1], {"above 95 % of noise": (growth.beyond_noise, ORANGE), "and oriented": (growth.oriented, BLUE)}),
        (panels[2], {"with its start": (np.nanmedian(growth.like_first, axis=1), GREY),
                     "with its end": (np.nanmedian(growth.like_last, axis=1), ORANGE)}),
        (panels[3], {"layer": (growth.variance_entropy, ORANGE)}),
    ):  # fmt: skip
        ax.set_axis_on()
        for name, (values, colour) in curves.items():
            ax.plot(x, values, color=colour, linewidth=1.4, label=name)
            ax.plot(x[frames], values[frames], "o", color=colour, markersize=3.5)
        if len(curves) > 1:
            ax.legend(frameon=False, fontsize=7)
        ax.set_xscale("log")
        ax.set_ylim(min(0, ax.get_ylim()[0]), 1.05)
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("training steps", fontsize=8)
    panels[0].plot(x[frames], growth.r2[frames], "o", color=ORANGE, markersize=3.5)
    panels[3].axhline(growth.reports[0].noise_quality.variance_entropy, color=GREY, linewidth=1)
    names = (
        "median R² (grey: noise,\nmedian and 95th percentile)", "share of the filters",
        "cosine of a filter, median", "variance entropy\n(grey: noise)",
    )  # fmt: skip
    for ax, name in zip(panels, names, strict=True):
        ax.set_title(name, fontsize=8, loc="left")


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


def _sheet(tiles: np.ndarray, columns: int) -> np.ndarray:
    """All tiles of a moment as one picture with white lines between them."""
    rows = -(-len(tiles) // columns)
    missing = [(0, rows * columns - len(tiles))] + [(0, 0)] * (tiles.ndim - 1)
    tiles = np.pad(tiles.astype(np.float32), missing, constant_values=np.nan).reshape(rows, columns, *tiles.shape[1:])
    if tiles.ndim == 4:
        return mosaic(tiles)
    return np.nan_to_num(np.stack([mosaic(tiles[..., c]) for c in range(3)], axis=2), nan=1.0)
