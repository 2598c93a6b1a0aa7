"""How filters grow: a layer recorded at several moments of its training, as a film strip, a film, and numbers over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from minicnn.viz.figures.growth import draw_film, draw_growth
from minicnn.viz.figures.plot import Figure, FuncAnimation
from minicnn.viz.filter_report import FilterReport, filter_report, median


@dataclass(frozen=True)
class FilterGrowth:
    """What `filter_growth` found: T moments of a layer of O filters, and numbers for each moment.

    filters: (T, O, C, KH, KW) the weights at each moment.
    steps: (T,) training steps done by then, ascending.
    reports: One for each moment.
    r2: (T,) median R2 of the Gabor fits.
    beyond_noise: (T,) share of the filters whose R2 lies above 95 % of the noise.
    oriented: (T,) share of the filters that moreover have bars or an edge.
    variance_entropy: (T,) see `Quality`.
    like_first: (T, O) cosine between each filter and itself at the first moment.
    like_last: (T, O) the same with the last moment.
    """

    filters: np.ndarray
    steps: np.ndarray
    reports: tuple[FilterReport, ...]
    r2: np.ndarray
    beyond_noise: np.ndarray
    oriented: np.ndarray
    variance_entropy: np.ndarray
    like_first: np.ndarray
    like_last: np.ndarray

    def figure(
        self, filters: Sequence[int] | None = None, moments: int | Sequence[int] = 11, title: str | None = None
    ) -> Figure:
        """The film strip: some filters (rows) at some moments (columns), and the numbers of all filters over time below.

        Args:
            filters: to follow; by default six, evenly from the smallest last R2 to the largest.
            moments: so many, evenly spaced by how much the filters turned from one to the next; or their indices.
        """
        chosen = self._six() if filters is None else np.asarray(filters, int)
        frames = self.moments(moments) if isinstance(moments, int) else np.asarray(moments, int)
        return draw_growth(self, chosen, frames, title)

    def animation(
        self, moments: int = 32, *, hold: float = 3.0, fps: float = 5.0, title: str = "A layer while it is trained"
    ) -> FuncAnimation:
        """The whole layer as a film: so many of the recorded moments, see `moments`, at `fps` a second; the first is held for a
        second and the last for `hold` seconds.

        `growth.animation().save("grow.gif", writer="pillow")` writes it; any writer of matplotlib's does.
        """
        return draw_film(self, moments, hold, fps, title)

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
