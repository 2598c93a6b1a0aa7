"""Units that are maximised already, kept on disk: an interrupted atlas continues where it was."""

import hashlib
import os
import time
import warnings
from collections.abc import Container, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import minicnn
from minicnn.atlas.plan import Layer, Plan
from minicnn.cluster import in_chunks
from minicnn.nn import Module
from minicnn.serialization import atomic_write
from minicnn.viz import ActivationWarning, Maximized, maximize, weight_of
from minicnn.viz.checkpoint import fingerprint
from minicnn.viz.image import Statistics
from minicnn.viz.parts import L2


@dataclass(frozen=True)
class Picture:
    """The image that maximises a unit: uint8 (H, W, 3), and the unit's activation on the first and on the last image."""

    image: np.ndarray
    start: float
    end: float

    @property
    def rose(self) -> bool:
        """Whether the ascent did what it is for; without it the image shows nothing."""
        return self.end > self.start


class UnitCache:
    """A folder with one file for each finished unit.

    A file's name is a hash of all that decides its picture: the network and its numbers, how images enter it, the unit, the recipe with its
    seed, and minicnn's version. So a changed network or recipe never finds a picture of another one. A file that cannot
    be read counts as missing. network: the hash of the network and its numbers.
    """

    def __init__(self, folder: str | os.PathLike[str], plan: Plan) -> None:
        self.folder = Path(folder)
        self.network = fingerprint(plan.model)
        self._network = self.network, plan.statistics

    @classmethod
    def beside(cls, output: str | os.PathLike[str], plan: Plan) -> "UnitCache":
        """In `output` + ".units", see `beside`."""
        return cls(beside(output, ".units"), plan)

    def path(self, layer: Layer, unit: int) -> Path:
        """The file of a unit, whether it is there or not."""
        recipe = sorted(asdict(layer.recipe).items())
        key = repr((minicnn.__version__, self._network, layer.name, unit, recipe))
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"

    def get(self, layer: Layer, unit: int) -> Picture | None:
        """A unit's picture; None if its file is missing or damaged."""
        try:
            with self.path(layer, unit).open("rb") as opened, np.load(opened) as file:
                picture = Picture(file["image"], float(file["start"]), float(file["end"]))
        except Exception:  # whatever is wrong with it: zip, zlib, NumPy and what is in it raise of everything
            return None
        whole = picture.image.dtype == np.uint8 and picture.image.shape == (*layer.recipe.shown, 3)
        return picture if whole else None

    def put(self, layer: Layer, unit: int, picture: Picture) -> None:
        """Write a unit's file, as a whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path(layer, unit)) as file:
            np.savez_compressed(file, image=picture.image, start=picture.start, end=picture.end)

    def missing(self, layer: Layer) -> list[int]:
        """The units of a layer that are not finished."""
        return [unit for unit in layer.units if self.get(layer, unit) is None]


def beside(output: str | os.PathLike[str], suffix: str) -> Path:
    """`output` + suffix; where that is longer than names can be (255 bytes), a hash takes the place of the end."""
    output = Path(output)
    name = f"{output.name}{suffix}"
    if len(os.fsencode(name)) > 255:
        name = f"{output.name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}{suffix}"
    return output.with_name(name)


def seconds_of_a_step(plan: Plan, missing: dict[str, list[int]], progress: bool = True) -> dict[str, float]:
    """{layer: seconds of one step for one unit}, from three steps of one batch of each layer that misses units, measured now."""
    seconds: dict[str, float] = {}
    wanted = [layer for layer in plan.layers if missing[layer.name]]
    for layer in tqdm(wanted, desc="measuring", unit="layer", disable=not progress, leave=False):
        batch = Batch(layer, missing[layer.name][: layer.recipe.batch])
        _maximize(Ascent.of(plan), batch, steps=1)  # compiles, and brings the memory
        started = time.perf_counter()
        _maximize(Ascent.of(plan), batch, steps=3)
        # the activations before and after are about one step more
        seconds[layer.name] = (time.perf_counter() - started) / 4 / len(batch.units)
    return seconds


class Ascent(NamedTuple):
    """All that another process needs of a `Plan` to maximise its units."""

    model: Module
    channels: int
    statistics: Statistics

    @classmethod
    def of(cls, plan: Plan) -> "Ascent":
        return cls(plan.model, plan.channels, plan.statistics)


class Batch(NamedTuple):
    """Units of one layer that are maximised together."""

    layer: Layer
    units: list[int]


def maximize_all(
    plan: Plan, cache: UnitCache, progress: bool = True, workers: Any = None
) -> dict[tuple[str, int], Picture]:
    """{(layer, unit): its image}. Those that are not finished are maximised, each batch on disk before the next one begins, or as the
    `workers` finish them, see `cluster.in_chunks`."""
    pictures = {
        (layer.name, unit): picture
        for layer in plan.layers
        for unit in layer.units
        if (picture := cache.get(layer, unit)) is not None
    }
    batches = list(_batches(plan, pictures))
    with (
        tqdm(total=plan.count, initial=len(pictures), desc="maximising", unit="unit", disable=not progress) as bar,
        closing(in_chunks(_climb, Ascent.of(plan), batches, lambda: None, workers)) as results,
    ):
        for batch, made in results:
            for unit, picture in zip(batch.units, made, strict=True):
                cache.put(batch.layer, unit, picture)
                pictures[batch.layer.name, unit] = picture
            bar.update(len(batch.units))
    return {(layer.name, unit): pictures[layer.name, unit] for layer in plan.layers for unit in layer.units}


def _batches(plan: Plan, finished: Container[tuple[str, int]]) -> Iterator[Batch]:
    for layer in plan.layers:
        missing = [unit for unit in layer.units if (layer.name, unit) not in finished]
        for first in range(0, len(missing), layer.recipe.batch):
            yield Batch(layer, missing[first : first + layer.recipe.batch])


def _climb(ascent: Ascent, batch: Batch, _: None) -> list[Picture]:
    return list(_pictures(batch.layer, _maximize(ascent, batch, batch.layer.recipe.steps)))


def _maximize(ascent: Ascent, batch: Batch, steps: int) -> Maximized:
    layer, recipe = batch.layer, batch.layer.recipe
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ActivationWarning)  # the page marks each unit whose activation did not rise
        return maximize(
            ascent.model, [layer.target(unit) for unit in batch.units], steps=steps, size=recipe.side, seed=recipe.seed, rate=recipe.rate,
            transforms=recipe.transforms, parametrization=recipe.parametrization, channels=ascent.channels,
            mean=ascent.statistics.mean, std=ascent.statistics.std,
            penalties=[_distance_from_grey(ascent, batch)] if recipe.position else (), progress=False,
        )  # fmt: skip


def _distance_from_grey(ascent: Ascent, batch: Batch) -> L2:
    """The charge for distance from grey at which the best image of a unit that is linear in the pixels is its filter, from 0.05 to 0.95."""
    weights = weight_of(ascent.model, batch.layer.name)[batch.units]
    strongest = np.abs(weights).max(axis=(1, 2, 3)) / min(ascent.statistics.std)
    return L2(minicnn.tensor(strongest.astype(np.float64) * ascent.channels * batch.layer.recipe.side**2 / 0.9))


def _pictures(layer: Layer, result: Maximized) -> Iterator[Picture]:
    top, left, bottom, right = layer.recipe.box or (0, 0, *result.images.shape[1:3])
    for image, start, end in zip(result.uint8, result.activation_start, result.activation_end, strict=True):
        shown = image[top:bottom, left:right, :]
        shown = shown if shown.shape[2] == 3 else np.repeat(shown.mean(2, keepdims=True).round().astype(np.uint8), 3, 2)
        yield Picture(np.ascontiguousarray(shown), float(start), float(end))
