"""Which of many photographs excite a unit most, and which part of them: one streaming pass over a folder.

    result = top_patches(model, ["features.4", "features.8"], "photos/")
    result["features.8:12"].patches[0]      # the best of unit 12: path, value, place, pixels
    result.figure(["features.8:12"])

What is kept does not grow with the number of photographs: for each unit its k best patches, cut to the receptive field, and one
histogram. Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", figure 2.
"""

import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn import Tensor, no_grad
from minicnn.nn import Module
from minicnn.viz import image as images_
from minicnn.viz._folder import MAX_PIXELS, Skipped, SkippedList
from minicnn.viz._stream import Picture, Stream
from minicnn.viz.figures.plot import Figure
from minicnn.viz.figures.top_patches import draw_patches
from minicnn.viz.geometry import Field, receptive_fields
from minicnn.viz.network import (
    capture,
    class_names,
    described,
    find_call,
    find_module,
    frozen,
    named_modules,
    part_hint,
    run,
)
from minicnn.viz.objectives import parse
from minicnn.viz.running_histogram import Histogram, Histograms

GREY = 128  # what a tile shows outside of the picture, where the network saw its padding


@dataclass(frozen=True)
class Patch:
    """The place of one picture at which a unit answered most strongly.

    image: its path, or "image 12" for an array. number: the how manieth picture it was, from 0. value: the activation.
    position: (y, x) in the unit's map, None for a feature without places. box: (top, left, bottom, right) of the receptive
    field in pixels of the picture as the network saw it; it reaches beyond the picture where the unit saw padding.
    shape: (H, W) of that picture. pixels: uint8 (h, w, 3), the part of the box inside of the picture, made smaller if it
    was longer than `crop_size`; (h, w, C) if the network takes neither 1 nor 3 channels.
    """

    image: str
    number: int
    value: float
    position: tuple[int, int] | None
    box: tuple[int, int, int, int]
    shape: tuple[int, int]
    pixels: np.ndarray

    def tile(self) -> np.ndarray:
        """uint8 (h, w, C) of the whole box, grey where it reaches beyond the picture: one size for all places."""
        top, left, bottom, right = self.box
        height, width = self.shape
        if not self.pixels.size:  # a unit that saw nothing but padding
            return np.full((bottom - top, right - left, self.pixels.shape[2]), GREY, np.uint8)
        inside = min(bottom, height) - max(top, 0)
        scale = self.pixels.shape[0] / inside
        before = [round(max(-edge, 0) * scale) for edge in (top, left)]
        after = [round(max(edge - end, 0) * scale) for edge, end in ((bottom, height), (right, width))]
        return np.pad(self.pixels, (*zip(before, after, strict=True), (0, 0)), constant_values=GREY)


@dataclass(frozen=True)
class UnitPatches:
    """What one unit answered to all pictures: the k best patches, the best first, and the histogram of its activations.

    A patch is one picture's best place, so no picture appears twice. A place with the unit's smallest value (for a
    ReLU: off) is not shown: a unit that was never active has no patches.
    """

    layer: str
    channel: int
    patches: list[Patch]
    histogram: Histogram
    name: str | None = None  # the category's, for a unit of the output of a network that knows them

    @property
    def label(self) -> str:
        return self.name or f"{self.layer or 'output'}:{self.channel}"


@dataclass
class TopPatches:
    """What `top_patches` returns.

    layers: {layer: {channel: UnitPatches}}. fields: {layer: Field}. images: the number of pictures that were seen.
    skipped: the files that were not, with the reason (the first 1000 of them; `skipped_count` is their number).
    size: (height, width) at which the network saw the pictures.
    """

    layers: dict[str, dict[int, UnitPatches]]
    fields: dict[str, Field]
    images: int
    skipped: list[Skipped]
    skipped_count: int
    size: tuple[int, int]
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, target: str) -> UnitPatches:
        """The unit "layer:channel"."""
        layer, _, channel = target.rpartition(":")
        try:
            return self.layers[layer][int(channel)]
        except (KeyError, ValueError):
            watched = ", ".join(f"{name}:{min(units)} to {max(units)}" for name, units in self.layers.items())
            raise KeyError(f"no unit {target!r}; there are {watched}") from None

    @property
    def units(self) -> list[UnitPatches]:
        """All units, layer by layer."""
        return [unit for units in self.layers.values() for unit in units.values()]

    def figure(self, units: Sequence[str] | None = None, *, title: str | None = None) -> Figure:
        """The patches of some units ("layer:channel"; by default the first twelve) with their histograms."""
        chosen = self.units[:12] if units is None else [self[target] for target in units]
        return draw_patches(self, chosen, title)

    def __repr__(self) -> str:
        return (
            f"TopPatches({len(self.units)} units of {len(self.layers)} layers, {self.images} images, "
            f"{self.skipped_count} files skipped, {self.seconds:.1f} s)"
        )


def top_patches(
    model: Module,
    layers: str | Iterable[str],
    images: Any,
    *,
    units: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    k: int = 9,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    batch: int = 32,
    bins: int = 128,
    crop_size: int = 128,
    max_pixels: int = MAX_PIXELS,
    limit: int | None = None,
    progress: bool = True,
) -> TopPatches:
    """The k patches of many pictures that excite each unit most, and a histogram of its activations.

    Args:
        model: any `Module` that takes images (N, C, H, W).
        layers: dotted names of modules that return maps (N, C, H, W) or features (N, C), "pool#2" for the second call of
            one, '' is the model's own output; or single units, "features.8:12" or "logit:lighthouse".
        images: a folder, which is searched with all folders in it, in the order of the names; or an iterable of paths and
            of arrays as `load_image` takes them, (H, W, C) for a network of C channels that are neither 1 nor 3. It is read
            once, and may be endless with `limit`.
        units: channels of every layer, or {layer: channels}; None: all.
        k: patches for each unit, from k different pictures.
        size: pictures are resized and cut to this (one side or (height, width)); by default the model's input size, or
            224 if there is no `model.meta`.
        mean, std: of the pixels that the network was trained on; by default `model.meta`'s, else 0 and 1.
        batch: pictures at a time.
        bins: of each histogram, a multiple of 4.
        crop_size: a patch whose longer side has more pixels is kept at this size.
        max_pixels: a file of more pixels is skipped without being decoded.
        limit: stop after so many pictures.
        progress: a bar for what takes over two seconds.

    Memory: units * k patches of at most 3 * crop_size ** 2 bytes, units * bins counts, and one batch.
    A file that is damaged, too large or no image, and a picture to which a layer answers NaN or infinity, is skipped
    and named in `.skipped` with the reason. ValueError if no picture is left. Warns where a layer's receptive field has no
    closed form (see `receptive_fields`): its patches are whole pictures.
    """
    if k < 1 or bins < 4 or bins % 4:
        raise ValueError(f"k is at least 1, bins a multiple of 4; got {k} and {bins}")
    started = time.perf_counter()
    wanted = _wanted(model, layers, units)
    stream = Stream(
        model, images, size=size, mean=mean, std=std, batch=batch, max_pixels=max_pixels, limit=limit, progress=progress
    )
    fields, unknown = _fields(model, wanted, (1, stream.channels, *stream.shape))
    collectors = {layer: _Layer(layer, chosen, k, bins, fields[layer], crop_size) for layer, chosen in wanted.items()}
    with frozen(model), no_grad():
        for group, x in stream:
            _show(model, collectors, group, x, stream.skipped)
    for reason in unknown:
        warnings.warn(f"{reason}. Its patches are whole pictures.", stacklevel=2)
    categories = class_names(model) if "" in collectors else ()
    settings = {"k": k, "size": stream.shape, "statistics": stream.statistics, "batch": batch}
    return TopPatches(
        {layer: c.result(categories if layer == "" else ()) for layer, c in collectors.items()},
        fields, stream.seen, list(stream.skipped), stream.skipped.total, stream.shape, time.perf_counter() - started, settings,
    )  # fmt: skip


def _show(
    model: Module, collectors: dict[str, "_Layer"], group: list[Picture], x: Tensor, skipped: SkippedList
) -> None:
    """One batch through the network. Each layer's answer is looked at inside of its hook, so that no map outlives it and
    an in-place ReLU that follows comes too late to change it."""
    calls = {layer: "{}#{}".format(*find_call(model, layer)) for layer in collectors}

    def look(call: str, output: Any) -> None:
        for layer in collectors:
            if calls[layer] == call:
                collectors[layer].update(output, group, skipped)

    with capture(model, calls.values(), keep=look, stop=True) as seen:
        run(model, x)
    missing = [layer for layer, call in calls.items() if call not in seen]
    if missing:
        raise ValueError(f"{missing[0]!r} was not called by the network")


class _Layer:
    """The best patches and the histograms of one layer's units so far."""

    def __init__(self, name: str, units: Any, k: int, bins: int, seen: Field, crop_size: int) -> None:
        self.name, self.units, self.k, self.bins = name, units, k, bins
        self.field, self.crop_size = seen, crop_size
        self.values: Any = None  # (units, k) once the first answer came

    def _begin(self, channels: int) -> None:
        self.units = np.arange(channels) if self.units is None else self.units
        if len(self.units) == 0 or self.units.min() < 0 or self.units.max() >= channels:
            raise IndexError(f"units {self.units.tolist()}: {self.name or 'the output'!r} has {channels} channels")
        self.values = np.full((len(self.units), self.k), -np.inf, np.float32)
        self.patches: list[list[Any]] = [[None] * self.k for _ in self.units]
        self.histograms = Histograms(len(self.units), self.bins)

    def update(self, output: Any, group: list[Picture], skipped: SkippedList) -> None:
        if not isinstance(output, Tensor) or output.dim() not in (2, 4):
            hint = "" if self.name else part_hint(output)
            what = f"{self.name or 'the network'!r} returns {described(output)}"
            raise ValueError(f"{what}: units need a map (N, C, H, W) or features (N, C){hint}")
        maps = output.detach().numpy()
        if self.values is None:
            self._begin(maps.shape[1])
        width = maps.shape[3] if maps.ndim == 4 else None
        best, places = np.full((2, len(group), len(self.units)), -np.inf)
        for i, picture in enumerate(group):
            answers = maps[i, self.units].reshape(len(self.units), -1)
            if not np.isfinite(answers).all():
                skipped.add(picture.name, f"{self.name or 'the output'} answered NaN or infinity")
                continue
            places[i] = answers.argmax(1)
            best[i] = answers.max(1)
            self.histograms.update(answers)
        self._merge(best.T, places.T, group, width)

    def _merge(self, best: np.ndarray, places: np.ndarray, group: list[Picture], width: int | None) -> None:
        """The k largest of the old and the new values (units, pictures); of equal ones the earlier stays."""
        candidates = np.concatenate([self.values, best], axis=1)
        order = np.argsort(-candidates, axis=1, kind="stable")[:, : self.k]
        values = np.take_along_axis(candidates, order, 1)  # -inf: a place that is still free
        for unit in np.flatnonzero(((order >= self.k) & np.isfinite(values)).any(axis=1)):
            kept = [self.patches[unit][j] if j < self.k else None for j in order[unit]]
            for i, (j, value) in enumerate(zip(order[unit] - self.k, values[unit], strict=True)):
                if j >= 0 and np.isfinite(value):
                    kept[i] = self._cut(group[j], value, places[unit, j], width)
            self.patches[unit], self.values[unit] = kept, values[unit]

    def _cut(self, picture: Picture, value: float, place: float, width: int | None) -> Patch:
        """The patch of a picture around one place of a map of this width."""
        shape = picture.pixels.shape[:2]
        position = None if width is None else divmod(int(place), width)
        box = (0, 0, *shape) if position is None or self.field.everything else self.field.box(*position)
        (top, bottom), (left, right) = (np.clip(box[i::2], 0, shape[i]) for i in (0, 1))
        pixels = picture.pixels[top:bottom, left:right].copy()
        longest = max(pixels.shape[:2])
        if longest > self.crop_size:
            sides = [max(1, round(side * self.crop_size / longest)) for side in pixels.shape[:2]]
            pixels = images_.fit(pixels, (sides[0], sides[1]))
        return Patch(picture.name, picture.number, float(value), position, box, shape, pixels)

    def result(self, categories: Sequence[str]) -> dict[int, UnitPatches]:
        units = {}
        for i, channel in enumerate(self.units.tolist()):
            histogram = self.histograms.of(i)
            kept = [p for p in self.patches[i] if p is not None and p.value > histogram.minimum]
            units[channel] = UnitPatches(self.name, channel, kept, histogram, _category(categories, channel))
        return units


def _category(categories: Sequence[str], channel: int) -> str | None:
    return categories[channel].split(",")[0] if channel < len(categories) else None


def _wanted(model: Module, layers: Any, units: Any) -> dict[str, np.ndarray | None]:
    """{layer: channels, None for all}"""
    wanted: dict[str, Any] = {}
    known = named_modules(model)
    for entry in [layers] if isinstance(layers, str) else list(layers):
        if ":" in entry and entry not in known:
            unit = parse(model, entry)
            if unit.position is not None:
                raise ValueError(
                    f"{entry!r}: top_patches looks at every position; leave out {entry[entry.index('@') :]!r}"
                )
            if wanted.get(unit.layer, []) is not None:
                wanted.setdefault(unit.layer, []).append(unit.channel)
            continue
        find_module(model, entry)
        wanted[entry] = units.get(entry) if isinstance(units, Mapping) else units
    if not wanted:
        raise ValueError("no layers")
    return {layer: None if chosen is None else np.unique(np.asarray(chosen, int)) for layer, chosen in wanted.items()}


def _fields(model: Module, layers: Iterable[str], shape: tuple[int, ...]) -> tuple[dict[str, Field], list[str]]:
    """{layer: where its units look}, and why that cannot be said of some, which then count as seeing everything."""
    fields, unknown = {}, []
    for layer in layers:
        try:
            fields[layer] = receptive_fields(model, layer, shape)[layer]
        except ValueError as error:
            unknown.append(f"{layer or 'the output'}: {error}")
            fields[layer] = Field(everything=True)
    return fields, unknown
