"""Photographs as a network gets them: batches of one size, normalised, from a folder or an iterable."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from minicnn import Tensor
from minicnn.nn import Module
from minicnn.viz import image as images_
from minicnn.viz._folder import MAX_PIXELS, SkippedList, count_files, pictures
from minicnn.viz.network import input_channels

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Picture(NamedTuple):
    """One picture as the network sees it, before it is normalised: uint8 (H, W, 3 or C). number: from 0."""

    name: str
    number: int
    pixels: np.ndarray


class Stream:
    """Iterates over (pictures, their input (n, C, H, W)); `seen` and `skipped` grow meanwhile. The arguments are `top_patches`'.

    change: applied to each picture, with a generator of (seed, number): a picture is changed alike in whatever batch it is.
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
        side = images_.input_size(model) if size is None else size
        self.shape = (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))
        self.channels = input_channels(model)
        self.statistics = images_.statistics(model, mean, std, channels=self.channels)
        self.skipped, self.seen = SkippedList(), 0
        self._model, self._batch, self._change, self._seed = model, batch, change, seed
        self._pictures = itertools.islice(pictures(images, max_pixels, self.skipped, self.channels), limit)
        total = min(filter(None, (count_files(images), limit)), default=None)
        self._bar = {"total": total, "unit": "image", "delay": 2, "disable": not progress}

    def __iter__(self) -> Iterator[tuple[list[Picture], Tensor]]:
        with tqdm(**self._bar) as bar:
            while group := self._next():
                self.seen += len(group)
                yield group, images_.as_input(np.stack([p.pixels for p in group]), self._model, self.statistics)
                bar.update(len(group))
        if not self.seen:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.skipped[:3])
            skipped = f", {self.skipped.total} files skipped: {why}" if why else ""
            raise ValueError(f"no picture among the images{skipped}")

    def _next(self) -> list[Picture]:
        some = enumerate(itertools.islice(self._pictures, self._batch), self.seen)
        return [Picture(name, number, self._seen_as(pixels, number)) for number, (name, pixels) in some]

    def _seen_as(self, pixels: np.ndarray, number: int) -> np.ndarray:
        pixels = images_.fit(pixels, self.shape)
        if self._change is None:
            return pixels
        changed = self._change(pixels, np.random.default_rng([self._seed, number]))
        if changed.shape != pixels.shape or changed.dtype != np.uint8:
            raise ValueError(f"a change returns a picture uint8 {pixels.shape}, not {changed.dtype} {changed.shape}")
        return changed
