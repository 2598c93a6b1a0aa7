"""Which of many photographs excite a unit most, and which part of them: one streaming pass over a folder.

    result = top_patches(model, ["features.4", "features.8"], "photos/")
    result["features.8:12"].patches[0]      # the best of unit 12: path, value, place, pixels
    result.figure(["features.8:12"])

What is kept does not grow with the number of photographs: for each unit its k best patches, cut to the receptive field, and one
histogram. Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", figure 2.
"""

import contextlib
import itertools
import os
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from minicnn.cluster import in_chunks
from minicnn.nn import Module
from minicnn.viz.checkpoint import Checkpoint
from minicnn.viz.figures.plot import Figure
from minicnn.viz.figures.top_patches import draw_patches
from minicnn.viz.geometry import Field, receptive_fields
from minicnn.viz.network import class_names, find_module, source
from minicnn.viz.objectives import parse
from minicnn.viz.ranking import FREE, Found, Ranking, Search, chunks, look
from minicnn.viz.running_histogram import Histogram
from minicnn.viz.sources import MAX_PIXELS, Reader, name_of, sources
from minicnn.viz.stream import Entrance, Skipped, known_total

CHUNK = 8  # batches: what is looked at, merged and sent at a time
GREY = 128  # what a tile shows outside of the picture, where the network saw its padding


@dataclass(frozen=True)
class Patch:
    """The place of one picture at which a unit answered most strongly.

    image: its path, or "image 12" for an array. number: its place in the list of all images, from 0. value: the activation.
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
    size: (height, width) at which the network saw the pictures. sources: {number: where it lies} of those that stand in a patch.
    """

    layers: dict[str, dict[int, UnitPatches]]
    fields: dict[str, Field]
    images: int
    skipped: list[Skipped]
    skipped_count: int
    size: tuple[int, int]
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    sources: dict[int, Any] = field(default_factory=dict, repr=False)

    def photograph(self, number: int) -> np.ndarray:
        """The whole picture that a patch with this `number` was cut from, read again: uint8 (H, W, C). KeyError for one that is in
        no patch, ValueError for one that was in memory only, or cannot be read any more."""
        if self.sources[number] is None:
            raise ValueError(f"image {number} was given as an array: nobody kept it")
        return Reader(len(self.settings["statistics"].mean)).read(self.sources[number])

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
    workers: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> TopPatches:
    """The k patches of many pictures that excite each unit most, and a histogram of its activations.

    Args:
        model: any `Module` that takes images (N, C, H, W).
        layers: dotted names of modules that return maps (N, C, H, W) or features (N, C), "pool#2" for the second call of
            one, '' is the model's own output; or single units, "features.8:12" or "logit:lighthouse".
        images: a folder, which is searched with all folders in it, in the order of the names; a text file of paths; a tar file or a
            Parquet file of pictures, alone or among the files of a folder; a URL of any of them that `fsspec` opens; a Hugging Face
            dataset; or an iterable of paths and of arrays as `load_image` takes them, (H, W, C) for a network of C channels that
            are neither 1 nor 3. It is read once, and may be endless with `limit`.
        units: channels of every layer, or {layer: channels}; None: all.
        k: patches for each unit, from k different pictures.
        size: pictures are resized and cut to this (one side or (height, width)); by default the model's input size, or
            224 if there is no `model.meta`.
        mean, std: of the pixels that the network was trained on; by default `model.meta`'s, else 0 and 1.
        batch: pictures at a time.
        bins: of each histogram, a power of two.
        crop_size: a patch whose longer side has more pixels is kept at this size.
        max_pixels: a file of more pixels is skipped without being decoded.
        limit: look at the first so many only.
        workers: None looks in this process. A number starts so many processes on this machine; a `distributed.Client`, or the address
            of a scheduler, uses the workers that are there (`pip install "minicnn[cluster]"`). The result is the same, bit for bit.
        checkpoint: a file that holds what was found so far, written now and then and when the call ends early. A call with the same
            network, settings and images goes on from there, also with other `workers`; ValueError if something is another one.
        progress: a bar for what takes over two seconds.

    Memory: units * k patches of at most 3 * crop_size ** 2 bytes, units * bins counts, the pictures of a chunk of 8 batches as the network
    sees them, and the maps of one batch; each worker has a chunk of its own.
    A file that is damaged, too large or no image, and a picture to which a layer answers NaN or infinity, is skipped
    and named in `.skipped` with the reason. ValueError if no picture is left. Warns where a layer's receptive field has no
    closed form (see `receptive_fields`): its patches are whole pictures.
    """
    if k < 1 or batch < 1 or bins < 4 or bins & (bins - 1):
        raise ValueError(f"k and batch are at least 1, bins a power of two from 4 on; got {k}, {batch} and {bins}")
    wanted = _wanted(model, layers, units)
    entrance = Entrance(model, size, mean, std)
    shape, stats = entrance.shape, entrance.statistics
    fields, unknown = _fields(model, wanted, (1, entrance.channels, *shape))
    search = Search(model, wanted, fields, k, bins, crop_size, shape, stats, max_pixels, batch)
    started = time.perf_counter()
    found = _search(search, images, limit, workers, checkpoint, progress)
    found.skips.need(found.images)
    for reason in unknown:
        warnings.warn(f"{reason}. Its patches are whole pictures.", stacklevel=2)
    categories = class_names(model) if "" in wanted else ()
    settings = {"k": k, "size": shape, "statistics": stats, "source": source(model, mean=mean, std=std), "batch": batch}
    return TopPatches(
        {layer: _units(search, found, ranking, categories) for layer, ranking in found.rankings.items()},
        fields, found.images, found.skips.named, found.skips.total, shape, time.perf_counter() - started, settings,
        found.sources,
    )  # fmt: skip


def _search(search: Search, images: Any, limit: int | None, workers: Any, checkpoint: Any, progress: bool) -> Found:
    total = known_total(images, limit)
    every = chunks(itertools.islice(sources(images), limit), CHUNK * search.batch)
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(Checkpoint(checkpoint, search)) if checkpoint is not None else None
        found = kept.found if kept else Found(search)
        bar = stack.enter_context(tqdm(total=total, unit="image", delay=2, disable=not progress))
        if kept:
            every = kept.unseen(every, bar.update)
        answers = in_chunks(look, search, every, lambda: found.floors, workers)
        for chunk, part in stack.enter_context(contextlib.closing(answers)):
            with kept.adding(chunk) if kept else contextlib.nullcontext():
                found.merge(part)
            bar.update(len(chunk.sources))
    return found


def _units(search: Search, found: Found, ranking: Ranking, categories: Sequence[str]) -> dict[int, UnitPatches]:
    units = {}
    names = categories if ranking.name == "" else ()
    for row, channel in enumerate([] if ranking.values is None else ranking.units.tolist()):
        histogram = ranking.histograms.of(row)
        patches = []
        for value, number, place in zip(
            ranking.values[row], ranking.numbers[row].tolist(), ranking.places[row].tolist(), strict=True
        ):
            if number != FREE and value > histogram.minimum:
                position = None if ranking.width is None else divmod(place, ranking.width)
                image, crop = name_of(found.sources[number], number), ranking.crops[row, number]
                patches.append(
                    Patch(image, number, float(value), position, ranking.box(search, place), search.shape, crop)
                )
        units[channel] = UnitPatches(ranking.name, channel, patches, histogram, _category(names, channel))
    return units


def _category(categories: Sequence[str], channel: int) -> str | None:
    return categories[channel].split(",")[0] if channel < len(categories) else None


def _wanted(model: Module, layers: Any, units: Any) -> dict[str, np.ndarray | None]:
    """{layer: channels, None for all}"""
    wanted: dict[str, Any] = {}
    known = dict(model.named_modules(remove_duplicate=False))
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
