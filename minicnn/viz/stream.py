"""Photographs as a network gets them: batches of one size, normalised; what cannot be read is named with the reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from minicnn import Tensor
from minicnn.cluster.faults import is_machines_fault
from minicnn.nn import Module
from minicnn.viz import image as images_
from minicnn.viz.network import input_channels
from minicnn.viz.sources import MAX_PIXELS, Reader, count_known, name_of, sources

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Picture(NamedTuple):
    """One picture as the network sees it, before it is normalised: uint8 (H, W, 3 or C). number: its place among all sources, from 0."""

    name: str
    number: int
    pixels: np.ndarray


class Skipped(NamedTuple):
    """A file that was not used, and why."""

    name: str
    reason: str


class Skips:
    """The first KEEP sources that were not used, and the number of all: a folder of a million text files must not fill the memory."""

    KEEP = 1000

    def __init__(self) -> None:
        self.first: dict[int, Skipped] = {}  # by the number of the source
        self.total = 0

    @property
    def named(self) -> list[Skipped]:
        """The first ones, in the order of the sources."""
        return list(self.first.values())

    def add(self, number: int, name: str, reason: str) -> None:
        """A source is named once, with the first reason. The numbers come in order."""
        if number not in self.first:
            self.total += 1
            if len(self.first) < self.KEEP:
                self.first[number] = Skipped(name, reason)

    def merge(self, other: "Skips") -> None:
        """Take in those of other sources."""
        self.total += other.total
        self.first = dict(sorted((self.first | other.first).items())[: self.KEEP])

    def need(self, images: int) -> None:
        """ValueError that says why, if no picture was among the images."""
        if not images:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.named[:3])
            raise ValueError(f"no picture among the images{f', {self.total} files skipped: {why}' if why else ''}")


def batches(
    reader: Reader, numbered: Iterable[tuple[int, Any]], size: int, shape: tuple[int, int], skips: Skips
) -> Iterator[list[Picture]]:
    """The pictures of each `size` sources, fewer where some cannot be read: so a picture is always in the same batch."""
    stream = iter(numbered)
    while some := list(islice(stream, size)):
        group = []
        for number, source in some:
            name = name_of(source, number)
            try:
                group.append(Picture(name, number, images_.fit(reader.read(source), shape)))
            except Exception as error:  # of a PIL image its decoder may raise of everything, too
                if isinstance(error, ImportError) or is_machines_fault(error):
                    raise
                skips.add(number, name, str(error) or type(error).__name__)
        yield group


class Entrance:
    """How pictures enter a network: shape (height, width), channels, statistics. The arguments are `top_patches`'."""

    def __init__(
        self,
        model: Module,
        size: int | tuple[int, int] | None,
        mean: float | Sequence[float] | None,
        std: float | Sequence[float] | None,
    ) -> None:
        side = images_.input_size(model) if size is None else size
        self.shape = (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))
        self.channels = input_channels(model)
        self.statistics = images_.statistics(model, mean, std, channels=self.channels)


class Stream(Entrance):
    """Iterates over (pictures, their input (n, C, H, W)); `seen` and `skips` grow meanwhile. The arguments are `top_patches`'.

    change: applied to each picture, with a generator of (seed, number): a picture is changed alike in whatever batch it is.
    ValueError at the end if there was no picture.
    """

    def __init__(
        self,
        model: Module,
        images: Any,
        *,
        size: int | tuple[int, int] | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        batch: int = 32,
        max_pixels: int = MAX_PIXELS,
        limit: int | None = None,
        progress: bool = True,
        change: Change | None = None,
        seed: int = 0,
    ) -> None:
        if batch < 1 or (limit is not None and limit < 1):
            raise ValueError(f"batch and limit are at least 1, got {batch} and {limit}")
        super().__init__(model, size, mean, std)
        self.skips, self.seen = Skips(), 0
        self._model, self._batch, self._change, self._seed = model, batch, change, seed
        self._reader, self._sources = Reader(self.channels, max_pixels), islice(sources(images), limit)
        self._bar = {"total": known_total(images, limit), "unit": "image", "delay": 2, "disable": not progress}

    def __iter__(self) -> Iterator[tuple[list[Picture], Tensor]]:
        with tqdm(**self._bar) as bar:
            for group in batches(self._reader, enumerate(self._sources), self._batch, self.shape, self.skips):
                if group:
                    self.seen += len(group)
                    group = [picture._replace(pixels=self._changed(picture)) for picture in group]
                    shown = np.stack([picture.pixels for picture in group])
                    yield group, images_.as_input(shown, self._model, self.statistics)
                bar.update(len(group))
        self.skips.need(self.seen)

    def _changed(self, picture: Picture) -> np.ndarray:
        pixels = picture.pixels
        if self._change is None:
            return pixels
        changed = self._change(pixels, np.random.default_rng([self._seed, picture.number]))
        if changed.shape != pixels.shape or changed.dtype != np.uint8:
            raise ValueError(f"a change returns a picture uint8 {pixels.shape}, not {changed.dtype} {changed.shape}")
        return changed


def known_total(images: Any, limit: int | None) -> int | None:
    """How many sources there will be, for the progress bar; None if that is not known."""
    return min((count for count in (count_known(images), limit) if count is not None), default=None)
