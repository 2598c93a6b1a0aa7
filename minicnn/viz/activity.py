"""How often each unit answers: histograms of whole layers, units that are never on (dead) and units that are on everywhere."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, no_grad
from minicnn.nn import Module
from minicnn.viz.figures.activity import draw_activity
from minicnn.viz.figures.plot import Figure
from minicnn.viz.network import capture, described, find_call, frozen, part_hint, run
from minicnn.viz.running_histogram import Histogram, Histograms
from minicnn.viz.sources import MAX_PIXELS
from minicnn.viz.stream import Skipped, Stream


@dataclass
class LayerActivity:
    """A layer's answers to many pictures. histogram: of all its units together; units: of each, at all places of all pictures."""

    layer: str
    histogram: Histogram
    units: list[Histogram]

    @property
    def active(self) -> np.ndarray:
        """(C,) the share of each unit's answers that are above 0."""
        return np.array([unit.active for unit in self.units])

    @property
    def dead(self) -> np.ndarray:
        """The units whose answer was nowhere above 0: behind a ReLU they hand on nothing, and learn nothing."""
        return np.flatnonzero([unit.maximum <= 0 for unit in self.units])

    def always_on(self, share: float = 0.99) -> np.ndarray:
        """The units that are above 0 in at least this share of all answers: behind them the ReLU does next to nothing."""
        return np.flatnonzero(self.active >= share)


@dataclass
class Activity:
    """What `activity` returns. layers: {layer: LayerActivity}. images: how many pictures were seen. skipped: as in `TopPatches`."""

    layers: dict[str, LayerActivity]
    images: int
    skipped: list[Skipped]
    skipped_count: int
    seconds: float

    def __getitem__(self, layer: str) -> LayerActivity:
        try:
            return self.layers[layer]
        except KeyError:
            raise KeyError(f"no layer {layer!r}; there are {', '.join(self.layers)}") from None

    def table(self) -> str:
        """A line for each layer: units, dead, always on, the share of its answers above 0, their mean and largest."""
        wide = max(5, *map(len, self.layers))
        lines = [f"{'layer':{wide}}  units  dead  on in 99 %  above 0     mean  largest"]
        for name, layer in self.layers.items():
            h = layer.histogram
            lines.append(
                f"{name:{wide}} {len(layer.units):6} {len(layer.dead):5} {len(layer.always_on()):11} {h.active:8.1%} "
                f"{h.mean:8.3f} {h.maximum:8.2f}"
            )
        return "\n".join(lines)

    def figure(self, title: str | None = None) -> Figure:
        """Of each layer the histogram of all answers, and how often each of its units is on."""
        return draw_activity(self, title)


def activity(
    model: Module,
    layers: str | Iterable[str],
    images: Any,
    *,
    bins: int = 128,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    batch: int = 32,
    max_pixels: int = MAX_PIXELS,
    limit: int | None = None,
    progress: bool = True,
) -> Activity:
    """Histograms of what layers answer to many pictures: how many units are dead, and how many always on.

    Args:
        layers: dotted names of modules that return maps (N, C, H, W) or features (N, C); "relu#2" is the second call of one.
        images: a folder, or an iterable of paths and arrays, as in `top_patches`.
        bins: of each histogram, a power of two.
        size, mean, std, batch, max_pixels, limit, progress: as in `top_patches`.

    A unit that is dead for these pictures may wake up for others: the more pictures, the more the word says. ValueError for a layer
    that returns something else, or answers NaN or infinity.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names or bins < 4 or bins & (bins - 1):
        raise ValueError(f"one layer or more, and bins a power of two from 4 on; got {names} and {bins}")
    calls = {"{}#{}".format(*find_call(model, name)): name for name in names}
    stream = Stream(
        model, images, size=size, mean=mean, std=std, batch=batch, max_pixels=max_pixels, limit=limit, progress=progress
    )
    units: dict[str, Histograms] = {}
    whole = {name: Histograms(1, bins) for name in names}
    started = time.perf_counter()

    def look(call: str, output: Any) -> None:  # inside of the hook: no map outlives it
        if call not in calls:
            return
        name = calls[call]
        rows = _rows(output, name)
        units.setdefault(name, Histograms(len(rows), bins)).update([rows])
        whole[name].update([rows.reshape(1, -1)])

    with frozen(model), no_grad():
        for _, x in stream:
            with capture(model, calls, keep=look, stop=True) as seen:
                run(model, x)
            if missing := [name for call, name in calls.items() if call not in seen]:
                raise ValueError(f"{missing[0]!r} was not called by the network")
    found = {
        name: LayerActivity(name, whole[name].of(0), [h.of(i) for i in range(len(h.counts))])
        for name, h in units.items()
    }
    ordered = {name: found[name] for name in names}
    return Activity(ordered, stream.seen, stream.skips.named, stream.skips.total, time.perf_counter() - started)


def _rows(output: Any, layer: str) -> np.ndarray:
    """A layer's answers as (C, all places of all pictures)."""
    if not isinstance(output, Tensor) or output.dim() not in (2, 4):
        what = f"{layer or 'the network'!r} returns {described(output)}"
        raise ValueError(
            f"{what}: units need a map (N, C, H, W) or features (N, C){'' if layer else part_hint(output)}"
        )
    rows = np.moveaxis(output.detach().numpy(), 1, 0).reshape(output.shape[1], -1)
    if not np.isfinite(rows).all():
        raise ValueError(f"{layer or 'the output'} answers NaN or infinity")
    return rows
