"""How filters grow: a layer recorded at several moments of its training, as a film strip, a film, and numbers over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from minicnn.viz.filter_report import BEYOND, FilterReport, filter_report, median
from minicnn.viz.filters import filter_tiles
from minicnn.viz.plot import DIVERGING, Grid, axes, mosaic, new_figure, relative_bar

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE, BLUE, GREY = "#d95f02", "#3b6fb6", "#999999"


@dataclass(frozen=True)
class FilterGrowth:
    """What `filter_growth` found: T moments of a layer of O filters, and numbers for each moment."""

    filters: np.ndarray
    """(T, O, C, KH, KW) the weights at each moment."""
    steps: np.ndarray
    """(T,) training steps done by then, ascending."""
    reports: tuple[FilterReport, ...]
    """One for each moment."""
    r2: np.ndarray
    """(T,) median R2 of the Gabor fits."""
    beyond_noise: np.ndarray
    """(T,) share of the filters whose R2 lies above 95 % of the noise."""
    oriented: np.ndarray
    """(T,) share of the filters that moreover have bars or an edge."""
    variance_entropy: np.ndarray
    """(T,) see `Quality`."""
    like_first: np.ndarray
    """(T, O) cosine between each filter and itself at the first moment."""
    like_last: np.ndarray
    """(T, O) the same with the last moment."""

    def figure(
        self, filters: Sequence[int] | None = None, moments: int | Sequence[int] = 11, title: str | None = None
    ) -> "Figure":
        """The film strip: some filters (rows) at some moments (columns), and the numbers of all filters over time below.

        Args:
            filters: to follow; by default six, evenly from the smallest last R2 to the largest.
            moments: so many, evenly spaced by how much the filters turned from one to the next; or their indices.
        """
        chosen = self._six() if filters is None else np.asarray(filters, int)
        frames = self.moments(moments) if isinstance(moments, int) else np.asarray(moments, int)
        title = title or f"{len(chosen)} of {self.filters.shape[1]} filters while they grow"
        below = 2.5
        grid = Grid(len(chosen) * len(frames), len(frames), self.filters.shape[3] / self.filters.shape[4], gap=0.08)
        inches = min(0.85, 10.4 / grid.width)
        rule = (
            "Each picture on its own scale, m its largest |weight|. Above: training steps, at moments evenly "
            f"spaced by how much the filters turned. Below: all {self.filters.shape[1]} filters over the steps (logarithmic; "
            "the start stands at 0.7), dots at the moments shown."
        )
        figure, _ = new_figure(
            grid.width * inches + 1.5, grid.height * inches + 0.45 + below, title, _with_colours(rule, self.filters.shape[2])
        )  # fmt: skip
        ax = axes(figure, 0.75, below + 0.1, grid.width * inches, grid.height * inches)
        tiles = _tiles(self.filters[frames][:, chosen])  # (frames, chosen, ...)
        ordered = [tiles[t][f] for f in range(len(chosen)) for t in range(len(frames))]
        grid.draw(ax, ordered, cmap=DIVERGING, limits=(-1.0, 1.0))
        for column, frame in enumerate(frames):
            ax.text(grid.place(column)[0] + 0.5, -0.12, f"{self.steps[frame]:,}", ha="center", va="bottom", fontsize=8)
        for row, index in enumerate(chosen):
            y = grid.place(row * len(frames))[1] + grid.aspect / 2
            ax.text(-0.12, y, f"filter {index}", ha="right", va="center", fontsize=8)
        bar = "gray" if self.filters.shape[2] == 3 else DIVERGING
        left, height = 0.95 + grid.width * inches, min(1.4, grid.height * inches * 0.6)
        relative_bar(figure, bar, left, below + 0.2, height, ["-m", "0", "+m"])
        self._curves(figure, frames, below)
        return figure

    def animation(
        self, moments: int = 32, *, hold: float = 3.0, fps: float = 5.0, title: str = "A layer while it is trained"
    ) -> "FuncAnimation":
        """The whole layer as a film: so many of the recorded moments, see `moments`, at `fps` a second; the first is held for a
        second and the last for `hold` seconds.

        `growth.animation().save("grow.gif", writer="pillow")` writes it; any writer of matplotlib's does.
        """
        from matplotlib.animation import FuncAnimation

        count = self.filters.shape[1]
        columns = 8 if count == 64 else max(1, round(np.sqrt(count * 1.3)))
        sheets = [_sheet(moment, columns) for moment in _tiles(self.filters)]
        height, width = sheets[0].shape[:2]
        inches = min(4.6 / width, 4.6 / height)
        rule = _with_colours(
            "Each filter on its own scale in each frame, m its largest |weight|.", self.filters.shape[2]
        )
        figure, _ = new_figure(max(4.6, width * inches + 0.3), height * inches + 1.75, title, rule)
        ax = axes(figure, 0.15, 1.6, width * inches, height * inches)
        picture = ax.imshow(sheets[0], cmap=DIVERGING, vmin=-1, vmax=1, interpolation="nearest")
        curve = axes(figure, 0.7, 0.5, figure.get_size_inches()[0] - 0.95, 0.85)
        curve.set_axis_on()
        self._r2(curve)
        curve.set_ylim(0, 1)
        dot = curve.plot([], [], "o", color="black", markersize=6)[0]
        x = _positions(self.steps)

        def show(frame: int) -> tuple:
            picture.set_data(sheets[frame])
            dot.set_data([x[frame]], [self.r2[frame]])
            curve.set_title(f"step {self.steps[frame]:,}: median R² {self.r2[frame]:.2f}", fontsize=9, loc="left")
            return picture, dot

        frames = [*[0] * round(fps), *self.moments(moments), *[len(sheets) - 1] * round(hold * fps)]
        return FuncAnimation(figure, show, frames=frames, interval=1000 / fps, blit=False)

    def _six(self) -> np.ndarray:
        order = np.argsort(np.nan_to_num(self.reports[-1].gabor.r2))
        return order[np.unique(np.linspace(0, len(order) - 1, 6).round().astype(int))]

    def moments(self, count: int) -> np.ndarray:
        """Indices of up to `count` moments, first and last included, evenly spaced by how much the filters turned on the way.

        The angle between a filter at one moment and at the next, the mean over the filters, is added up; a recording that is
        dense where nothing happens yet then does not fill the strip with equal pictures.
        """
        cosines = [np.nanmean(_cosines(a[None], b)) for a, b in zip(self.filters, self.filters[1:], strict=False)]
        turned = np.concatenate([[0.0], np.arccos(np.clip(cosines, -1, 1)).cumsum()])
        return np.unique([np.abs(turned - at).argmin() for at in np.linspace(0, turned[-1], count)])

    def _r2(self, ax: "Axes") -> None:
        noise = self.reports[0].noise_r2
        if len(noise):
            ax.axhline(np.median(noise), color=GREY, linewidth=1)
            ax.axhline(np.percentile(noise, BEYOND), color=GREY, linewidth=1, linestyle=":")
        ax.plot(_positions(self.steps), self.r2, color=ORANGE, linewidth=1.4)
        ax.set_xscale("log")
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)

    def _curves(self, figure: "Figure", frames: np.ndarray, height: float) -> None:
        x = _positions(self.steps)
        width = (figure.get_size_inches()[0] - 0.75) / 4
        panels = [axes(figure, 0.75 + width * i, 0.5, width - 0.55, height - 1.0) for i in range(4)]
        self._r2(panels[0])
        for ax, curves in (
            (panels[0], {}),
            (panels[1], {"above 95 % of noise": (self.beyond_noise, ORANGE), "and oriented": (self.oriented, BLUE)}),
            (panels[2], {"with its start": (np.nanmedian(self.like_first, axis=1), GREY),
                         "with its end": (np.nanmedian(self.like_last, axis=1), ORANGE)}),
            (panels[3], {"layer": (self.variance_entropy, ORANGE)}),
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
        panels[0].plot(x[frames], self.r2[frames], "o", color=ORANGE, markersize=3.5)
        panels[3].axhline(self.reports[0].noise_quality.variance_entropy, color=GREY, linewidth=1)
        names = (
            "median R² (grey: noise,\nmedian and 95th percentile)", "share of the filters",
            "cosine of a filter, median", "variance entropy\n(grey: noise)",
        )  # fmt: skip
        for ax, name in zip(panels, names, strict=True):
            ax.set_title(name, fontsize=8, loc="left")


def filter_growth(history: Mapping[str, np.ndarray], *, seed: int = 0, progress: bool = True) -> FilterGrowth:
    """Measure a layer at every recorded moment.

    Args:
        history: `filters` (T, O, C, KH, KW) and `filter_step` (T,), as in `weights/history_standard.npz`
            (`numpy.load(minicnn.models.weights_path("history_standard.npz"))`) or a dict of your own.
        seed: of the noise. progress: a bar on stderr.

    Raises ValueError if the two disagree in length, or there is only one moment.
    """
    filters, steps = np.asarray(history["filters"], np.float32), np.asarray(history["filter_step"])
    if filters.ndim != 5 or len(filters) != len(steps) or len(steps) < 2:
        raise ValueError(
            f"a history has filters (T, C_out, C_in, KH, KW) and filter_step (T,) of two moments or more, "
            f"got {filters.shape} and {steps.shape}"
        )
    reports = tuple(
        filter_report(moment, seed=seed) for moment in tqdm(filters, desc="measuring filters", disable=not progress)
    )
    return FilterGrowth(
        filters=filters, steps=steps, reports=reports,
        r2=np.array([median(report.gabor.r2) for report in reports]),
        beyond_noise=np.array([report.beyond_noise.mean() for report in reports]),
        oriented=np.array([report.oriented.mean() for report in reports]),
        variance_entropy=np.array([report.quality.variance_entropy for report in reports]),
        like_first=_cosines(filters, filters[0]), like_last=_cosines(filters, filters[-1]),
    )  # fmt: skip


def _cosines(filters: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(T, O, ...) and (O, ...) -> (T, O), NaN where one of the two is zero."""
    a, b = filters.reshape(*filters.shape[:2], -1), other.reshape(len(other), -1)
    lengths = np.linalg.norm(a, axis=2) * np.linalg.norm(b, axis=1)
    return np.divide((a * b).sum(axis=2), lengths, out=np.full(lengths.shape, np.nan), where=lengths > 0)


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
