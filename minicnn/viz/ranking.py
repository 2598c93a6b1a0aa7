"""What many pictures do to the units of a network, as a map over chunks of pictures and a merge of what was found.

A `Search` says what is looked for; `look` shows it a chunk, and gives a `Found`. `Found.merge` is associative and has no order: however
the pictures were cut into chunks, and whoever looked at which, the result is the same to the last bit. That rests on three things. A
batch always has the same pictures (a chunk is a whole number of batches, counted in sources, whether they can be read or not), since
an algorithm may be chosen by the size of a batch. Of equal values the earlier source is the better one. And `Histograms` add exactly.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from minicnn import Tensor, no_grad
from minicnn.nn import Module
from minicnn.viz import image as images_
from minicnn.viz.geometry import Field
from minicnn.viz.network import capture, described, find_call, frozen, part_hint, run
from minicnn.viz.running_histogram import Histograms
from minicnn.viz.sources import Reader, is_stored
from minicnn.viz.stream import Picture, Skips, batches

FREE = -1  # the number of a place in a ranking that nobody has taken yet


class Chunk(NamedTuple):
    """Sources that are looked at together. first: the number of the first one, from 0."""

    first: int
    sources: list[Any]


@dataclass(frozen=True)
class Search:
    """What is looked for, and how: all that another process needs to know.

    units: {layer: channels, None for all}. fields: {layer: where its units look}. shape: (height, width) at which the network sees the
    pictures. batch: pictures at a time. The rest: see `viz.top_patches`.
    """

    model: Module
    units: dict[str, np.ndarray | None]
    fields: dict[str, Field]
    k: int
    bins: int
    crop_size: int
    shape: tuple[int, int]
    statistics: images_.Statistics
    max_pixels: int
    batch: int


class Ranking:
    """The best places and the histograms of one layer's units.

    values, numbers, places: (units, k), the best first: the activation, the number of the source, and the place in the map, y * width +
    x. crops: {(row of a unit, number): the pixels of that place}.
    """

    def __init__(self, name: str, units: np.ndarray | None, search: Search) -> None:
        self.name, self.k, self.bins = name, search.k, search.bins
        self.units: Any = units  # None for all, until the first answer
        self.width: int | None = None  # of a map; None for features without places, and before the first answer
        self.values: Any = None  # until the first answer says how many channels there are

    def update(self, output: Any, group: "Sequence[Picture]", skips: Skips) -> None:
        """The answers of the layer to one batch."""
        if not isinstance(output, Tensor) or output.dim() not in (2, 4):
            hint = "" if self.name else part_hint(output)
            what = f"{self.name or 'the network'!r} returns {described(output)}"
            raise ValueError(f"{what}: units need a map (N, C, H, W) or features (N, C){hint}")
        maps = output.detach().numpy()
        if self.values is None:
            units = np.arange(maps.shape[1]) if self.units is None else self.units
            if len(units) == 0 or units.min() < 0 or units.max() >= maps.shape[1]:
                raise IndexError(f"units {units.tolist()}: {self.name or 'the output'!r} has {maps.shape[1]} channels")
            self.begin(units, maps.shape[3] if maps.ndim == 4 else None)
        whole, answers = [], []
        for i, picture in enumerate(group):
            values = maps[i, self.units].reshape(len(self.units), -1)
            if np.isfinite(values).all():
                whole.append(picture.number)
                answers.append(values)
            else:
                skips.add(picture.number, picture.name, f"{self.name or 'the output'} answered NaN or infinity")
        if whole:
            self.histograms.update(answers)
            places = np.stack([values.argmax(1) for values in answers], 1)
            best = np.stack([values.max(1) for values in answers], 1)
            self._keep(best, np.broadcast_to(whole, best.shape), places)

    def begin(self, units: np.ndarray, width: int | None) -> None:
        """Nothing found yet, of these channels and maps of this width."""
        self.units, self.width = units, width
        shape = len(units), self.k
        self.values, self.numbers, self.places = (
            np.full(shape, -np.inf),
            np.full(shape, FREE),
            np.zeros(shape, np.int64),
        )
        self.histograms = Histograms(len(units), self.bins)
        self.crops: dict[tuple[int, int], np.ndarray] = {}

    def _keep(self, values: np.ndarray, numbers: np.ndarray, places: np.ndarray) -> None:
        """Let more candidates (units, n) in: the largest stay, of equal ones those of the earlier sources."""
        values = np.concatenate([self.values, values], 1)
        numbers = np.concatenate([self.numbers, numbers], 1)
        places = np.concatenate([self.places, places], 1)
        order = np.lexsort((numbers, -values))[:, : self.k]
        self.values, self.numbers, self.places = (np.take_along_axis(a, order, 1) for a in (values, numbers, places))

    def cut(self, pictures: "dict[int, Picture]", floor: np.ndarray | None, search: Search) -> None:
        """Take the pixels of each place that may stay, at the end of a chunk: until then most places were beaten again.

        floor: of each unit the least value that its ranking elsewhere has when it is full.
        """
        if self.values is None:
            return
        if floor is not None:
            beaten = self.values < floor[:, None]
            self.values[beaten], self.numbers[beaten], self.places[beaten] = -np.inf, FREE, 0
        for row, number, place in zip(*self._taken(), self.places[self.numbers != FREE].tolist(), strict=True):
            self.crops[row, number] = _crop(pictures[number].pixels, self.box(search, place), search.crop_size)

    def _taken(self) -> tuple[list[int], list[int]]:
        """The rows of the units and the numbers of the sources of all places that are taken."""
        taken = self.numbers != FREE
        return np.nonzero(taken)[0].tolist(), self.numbers[taken].tolist()

    def box(self, search: Search, place: int) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) of what a place of the map sees; it may reach beyond the picture."""
        field = search.fields[self.name]
        if self.width is None or field.everything:
            return 0, 0, *search.shape
        return field.box(*divmod(place, self.width))

    def merge(self, other: "Ranking") -> None:
        """Take in what the same units answered to other pictures."""
        if other.values is None:
            return
        if self.values is None:
            self.begin(other.units, other.width)
        self._keep(other.values, other.numbers, other.places)
        crops = self.crops | other.crops
        self.crops = {key: crops[key] for key in zip(*self._taken(), strict=True)}
        self.histograms.merge(other.histograms)

    @property
    def ranked(self) -> set[int]:
        """The numbers of the sources that stand in it."""
        return set() if self.values is None else set(self._taken()[1])

    @property
    def floor(self) -> np.ndarray | None:
        """(units,): what a value must reach to come in; None before the first answer."""
        return None if self.values is None else self.values[:, -1]


class Found:
    """What was found so far. rankings: {layer: Ranking}. images: how many were read. sources: {number: source} of those in a ranking."""

    def __init__(self, search: Search) -> None:
        self.rankings = {layer: Ranking(layer, units, search) for layer, units in search.units.items()}
        self.images, self.skips = 0, Skips()
        self.sources: dict[int, Any] = {}

    @property
    def floors(self) -> dict[str, np.ndarray | None]:
        """For `look`: what can no longer come in need not be cut out and sent."""
        return {layer: ranking.floor for layer, ranking in self.rankings.items()}

    def merge(self, other: "Found") -> None:
        """Take in what was found in other chunks."""
        for layer, ranking in self.rankings.items():
            ranking.merge(other.rankings[layer])
        self.images += other.images
        self.skips.merge(other.skips)
        self.keep_sources(self.sources | other.sources)

    def keep_sources(self, sources: dict[int, Any]) -> None:
        """Keep of these the ones that stand in a ranking."""
        wanted = set().union(*(ranking.ranked for ranking in self.rankings.values()))
        self.sources = {number: sources[number] for number in sorted(wanted)}


def chunks(sources: Iterable[Any], size: int) -> Iterator[Chunk]:
    """Sources in groups of `size`, which is a whole number of batches."""
    stream, first = iter(sources), 0
    while some := list(islice(stream, size)):
        yield Chunk(first, some)
        first += len(some)


def look(search: Search, chunk: Chunk, floors: dict[str, np.ndarray | None]) -> Found:
    """Show the pictures of one chunk to the network. floors: `Found.floors` of what others found, or {}."""
    found = Found(search)
    pictures: dict[int, Picture] = {}
    reader = Reader(len(search.statistics.mean), search.max_pixels)
    numbered = list(enumerate(chunk.sources, chunk.first))
    with frozen(search.model), no_grad():
        for group in batches(reader, numbered, search.batch, search.shape, found.skips):
            if group:
                _show(search, found, group)
            found.images += len(group)
            pictures |= {picture.number: picture for picture in group}
    for layer, ranking in found.rankings.items():
        ranking.cut(pictures, floors.get(layer), search)
    found.keep_sources({number: source if is_stored(source) else None for number, source in numbered})
    return found


def _show(search: Search, found: Found, group: list[Picture]) -> None:
    """One batch through the network. Each layer's answer is looked at inside of its hook, so that no map outlives it and
    an in-place ReLU that follows comes too late to change it."""
    model = search.model
    calls = {layer: "{}#{}".format(*find_call(model, layer)) for layer in search.units}

    def hear(call: str, output: Any) -> None:
        for layer, ranking in found.rankings.items():
            if calls[layer] == call:
                ranking.update(output, group, found.skips)

    x = images_.as_input(np.stack([picture.pixels for picture in group]), model, search.statistics)
    with capture(model, calls.values(), keep=hear, stop=True) as seen:
        run(model, x)
    missing = [layer for layer, call in calls.items() if call not in seen]
    if missing:
        raise ValueError(f"{missing[0]!r} was not called by the network")


def _crop(pixels: np.ndarray, box: tuple[int, int, int, int], crop_size: int) -> np.ndarray:
    """The part of a box that lies inside of the picture, made smaller if it is longer than crop_size."""
    (top, bottom), (left, right) = (np.clip(box[i::2], 0, pixels.shape[i]) for i in (0, 1))
    part = pixels[top:bottom, left:right].copy()
    longest = max(part.shape[:2])
    if longest > crop_size:
        sides = [max(1, round(side * crop_size / longest)) for side in part.shape[:2]]
        part = images_.fit(part, (sides[0], sides[1]))
    return part
