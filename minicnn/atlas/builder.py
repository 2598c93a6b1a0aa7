"""From a network to its atlas: the cost said beforehand, the units maximised, the folder looked through, the pages written."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minicnn import Tensor
from minicnn.atlas.cache import UnitCache, maximize_all, seconds_of_a_step
from minicnn.atlas.contents import Contents
from minicnn.atlas.photograph import Photograph, look_at
from minicnn.atlas.plan import Plan
from minicnn.atlas.unit_page import photo_key
from minicnn.atlas.writing import advice, check_form, write
from minicnn.nn import Module
from minicnn.viz import TopPatches, draw_filters, draw_kernels, filter_report, sample_photo, top_patches
from minicnn.viz import image as images
from minicnn.viz.checkpoint import CheckpointError
from minicnn.viz.figures.plot import writable
from minicnn.viz.network import ASSUMED_NAMES, described, part_hint, stated
from minicnn.viz.sources import Reader, name_of, sources

# What a page weighs, measured on the bundled network's atlas: bytes of text for each unit and each of its patches, and
# bytes a pixel of the pictures as they stand in the page (WebP, then base64).
TEXT_BYTES, PATCH_BYTES = 3700, 310
UNIT_PIXEL, PHOTO_PIXEL, LAYER_BYTES = 0.47, 0.40, 100_000
DISTINCT = 0.45  # photographs for each patch: the same ones excite many units

SAMPLE = 32  # pictures of noise that stand for a folder's first ones
PATIENCE = 600  # seconds that an atlas may take without advice
FEW = 4  # units of a layer: before fewer are shown, the ascent is shortened


@dataclass(frozen=True)
class Cost:
    """What an atlas will cost: seconds for the units that are not finished and for the folder, bytes of the page.

    layers: of how many a batch was measured, in `measured_seconds`. fits: (units of each layer, steps) with which the atlas takes no
    longer than it may, ten minutes or the budget; None if no choice of these does.
    """

    units: int
    unfinished: int
    photographs: int
    ascent_seconds: float
    folder_seconds: float
    page_bytes: float
    layers: int
    measured_seconds: float
    fits: tuple[int, int] | None

    @property
    def seconds(self) -> float:
        """Of work that is still to be done."""
        return self.ascent_seconds + self.folder_seconds

    def __str__(self) -> str:
        kept = f", {self.units - self.unfinished} of them finished before" if self.unfinished < self.units else ""
        folder = (
            f" and about {duration(self.folder_seconds)} for {self.photographs:,} files" if self.photographs else ""
        )
        noise = f", and {2 * SAMPLE} pictures of noise" if self.photographs else ""
        return (
            f"{self.units} units{kept}: about {duration(self.ascent_seconds)} of gradient ascent{folder}; the page will have about "
            f"{megabytes(self.page_bytes)} (measured in {duration(self.measured_seconds)}: three steps of a batch of units of each of "
            f"{self.layers} layers{noise})"
        )


@dataclass(frozen=True)
class Built:
    """What `build` made: the file, its size with the folder of pages beside it, and what it shows (`contents`)."""

    path: Path
    bytes: int
    seconds: float
    units: int
    not_risen: int
    photographs: int
    skipped: list[tuple[str, str]]
    cost: Cost
    contents: Contents


def build(
    model: Module,
    output: str | os.PathLike[str],
    *,
    title: str | None = None,
    layers: Iterable[str] | None = None,
    units: int | Mapping[str, Sequence[int]] | None = None,
    folder: str | os.PathLike[str] | None = None,
    patches: int = 5,
    workers: Any = None,
    photo: Any = None,
    play: str | None = None,
    pages: str = "all",
    steps: int = 48,
    budget: float | None = None,
    seed: int = 0,
    size: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> Built:
    """Write the atlas of a network as an HTML file that needs nothing else.

    Args:
        model: any `Module` that takes images (N, C, H, W); `model.meta` says how they enter and what the classes are called.
        output: the file. Beside it, in `output` + ".units", each finished unit is kept: a call that was interrupted goes on
            where it was, and another folder or photograph costs no new ascent. The folder may be deleted at any time.
        title: by default "Atlas of " and the architecture's name.
        layers: names or patterns; by default the convolutions and the layer of the output.
        units: so many of each layer, or {layer: units}; by default all.
        folder: of photographs, searched with all folders in it, or a list, a shard or a URL of them, see `viz.top_patches`: `patches`
            places for each unit, and histograms. What was found so far is kept beside the units.
        workers: processes that look and maximise, see `viz.top_patches`; by default this one.
        photo: for the page of one photograph, whatever `viz.load_image` takes; by default the one that matplotlib installs.
        play: the address, as seen from the atlas, of a page that `play.build` made of this network: each unit links to it.
        pages: "all": they stand in the file, and work without scripts too. For large networks, whose file takes a browser long to open:
            "parts": they lie in the file as text, and a script takes out what is shown; "folder": they lie in `output` + ".pages", which
            goes where the file goes. The old ones stay until the new ones are there. OSError for a folder of this name that is another's.
        steps, seed: of the gradient ascent.
        budget: seconds of ascent and search, by what a batch of each layer costs now. What would take longer is cut: the first units of
            each layer, and fewer steps rather than fewer than 4 units; `say` is told. ValueError if no choice fits.
        size, mean, std: of the images, by default as `model.meta` says, see `Plan`.
        say: is given a line now and then: the cost before the work begins, and what is being done.

    Memory: one batch of images, the units' pictures (uint8), and what `viz.top_patches` keeps.
    """
    started = time.perf_counter()
    output = Path(output)
    plan = Plan(model, layers, units, steps=steps, seed=seed, size=size, mean=mean, std=std)
    writable(output)
    check_form(pages, output)
    photograph = photograph_of(plan, photo)
    cache = UnitCache.beside(output, plan)
    say(f"measuring what {plan.count} units of {len(plan.layers)} layers cost")
    cost = cost_of(plan, cache, folder, patches, progress, PATIENCE if budget is None else budget)
    say(str(cost))
    if budget is not None and cost.seconds > budget:
        plan = _cut(plan, cost, budget)
        cache = UnitCache.beside(output, plan)
        say(f"in {duration(budget)}: {plan.count} units, the first ones of each layer, {plan.steps} steps")
    if said := advice(pages, plan.count):
        say(said)
    pictures = maximize_all(plan, cache, progress, workers)
    name = stated(model, "architecture") or type(model).__name__
    contents = Contents(plan, title or f"Atlas of {name}", pictures, photograph=photograph, play=play)
    if folder is not None:
        say(f"looking through {os.fspath(folder)}")
        contents.folder = os.fspath(folder)
        contents.patches = _remembered(plan, cache, folder, patches, workers, progress, say)
        _add_photographs(contents, contents.patches)
    say("measuring filters, writing the pages")
    _add_filters(contents)
    _add_notes(contents)
    size = write(contents, output, pages)
    not_risen = sum(not picture.rose for picture in contents.units.values())
    seen, skipped = (contents.patches.images, contents.patches.skipped) if contents.patches else (0, [])
    seconds = time.perf_counter() - started
    return Built(output, size, seconds, plan.count, not_risen, seen, list(skipped), cost, contents)


def _add_notes(contents: Contents) -> None:
    """Say what the page does not show, and why."""
    plan = contents.plan
    if contents.photograph is None:
        contents.notes.append(f"There is no page of a photograph: this network takes {plan.channels} channels.")
    if not isinstance(plan.survey.output, Tensor):
        what = described(plan.survey.output) + part_hint(plan.survey.output)
        contents.notes.append(f"There is no answer: the network returns {what}.")
    if plan.classes_are_assumed:
        contents.notes.append(f"{ASSUMED_NAMES[0].upper()}{ASSUMED_NAMES[1:]}.")


def cost_of(
    plan: Plan, cache: UnitCache, folder: Any, patches: int, progress: bool = True, most: float = PATIENCE
) -> Cost:
    """Measure a batch of each layer, count the files, and add up. Raises if the folder is not there or has no photograph."""
    started = time.perf_counter()
    files = _count_photographs(folder, plan.channels) if folder is not None else 0
    shown = min(files, DISTINCT * plan.count * patches)
    unit_bytes = sum(len(layer.units) * np.prod(layer.recipe.shown) for layer in plan.layers) * UNIT_PIXEL
    text = plan.count * (TEXT_BYTES + (PATCH_BYTES * patches if files else 0))
    missing = {layer.name: cache.missing(layer) for layer in plan.layers}
    steps = seconds_of_a_step(plan, missing, progress)
    folder_seconds = _seconds_for(plan, files, patches) if files else 0.0
    return Cost(
        plan.count, sum(map(len, missing.values())), files,
        sum(seconds * (plan.steps + 1) * len(missing[name]) for name, seconds in steps.items()), folder_seconds,
        text + unit_bytes + shown * plan.side**2 * PHOTO_PIXEL + len(plan.layers) * LAYER_BYTES,
        len(steps), time.perf_counter() - started, _that_fit(plan, steps, most - folder_seconds),
    )  # fmt: skip


def _that_fit(plan: Plan, steps: Mapping[str, float], seconds: float) -> tuple[int, int] | None:
    """The most units of each layer, and steps, whose ascent takes no longer; rather fewer steps than fewer than FEW units."""
    lengths = {layer.name: len(layer.units) for layer in plan.layers}
    best = None
    for count in dict.fromkeys(min(plan.steps, count) for count in (plan.steps, 48, 32, 16)):
        units = max(lengths.values())
        while units and sum(s * (count + 1) * min(units, lengths[name]) for name, s in steps.items()) > seconds:
            units -= 1
        if units and (best is None or best[0] < FEW):
            best = units, count
    return best


def _cut(plan: Plan, cost: Cost, budget: float) -> Plan:
    """A plan of the units and steps that fit."""
    if cost.fits is None:
        raise ValueError(
            f"no choice of units and steps takes less than {duration(budget)}: one unit of each of {len(plan.layers)} layers and 16 steps "
            "take longer; choose layers, or fewer photographs"
        )
    units, steps = cost.fits
    chosen = {layer.name: layer.units[:units] for layer in plan.layers}
    mean, std, _ = plan.statistics
    return Plan(plan.model, chosen, chosen, steps=steps, seed=plan.seed, size=plan.side, mean=mean, std=std)


def _count_photographs(folder: str | os.PathLike[str], channels: int) -> int:
    """The number of files in a folder, at least one of which is a photograph."""
    reader, files, found, why = Reader(channels), 0, False, []
    for files, source in enumerate(sources(folder), 1):
        if not found:
            try:
                reader.read(source)
                found = True
            except (ValueError, OSError) as error:
                why.append(f"{name_of(source, files)}: {error}")
    if not found:
        told = "".join(f"{': ' if i == 0 else '; '}{reason}" for i, reason in enumerate(why[:3]))
        raise ValueError(f"{os.fspath(folder)}: {files} files, and no photograph among them{told}")
    return files


def duration(seconds: float) -> str:
    """A time as a person says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def megabytes(size: float) -> str:
    """A number of bytes as a person says it."""
    return f"{size / 1e6:.1f} MB"


def _seconds_for(plan: Plan, files: int, patches: int, some: int = SAMPLE) -> float:
    """How long a folder will take: some pictures of noise, and twice as many, since the first ones all enter the ranking."""
    rng = np.random.default_rng(0)
    shape = (plan.side, plan.side, 3 if plan.channels == 1 else plan.channels)
    noise = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(2 * some)]
    _look_through(plan, noise[:4], patches, progress=False)
    first = _look_through(plan, noise[:some], patches, progress=False).seconds
    both = _look_through(plan, noise, patches, progress=False).seconds
    return first * min(1, files / some) + max(both - first, 0) / some * max(files - some, 0)


def _look_through(plan: Plan, pictures: Any, patches: int, progress: bool, **how: Any) -> TopPatches:
    units = {layer.name: layer.units for layer in plan.layers}
    return top_patches(
        plan.model, list(units), pictures, units=units, k=patches, size=plan.side, crop_size=1, progress=progress,
        mean=plan.statistics.mean, std=plan.statistics.std, **how,
    )  # fmt: skip


def _remembered(
    plan: Plan, cache: UnitCache, folder: Any, patches: int, workers: Any, progress: bool, say: Callable[[str], None]
) -> TopPatches:
    """`_look_through`, which goes on where an earlier call ended, unless the folder has changed since."""
    units = [(layer.name, layer.units) for layer in plan.layers]
    key = repr((cache.network, units, os.path.abspath(folder), plan.side, plan.statistics, patches))
    kept = cache.folder / f"{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.search"
    cache.folder.mkdir(parents=True, exist_ok=True)
    try:
        return _look_through(plan, folder, patches, progress, workers=workers, checkpoint=kept)
    except CheckpointError as error:
        say(f"looking through all of it again: {error}")
        kept.unlink()
    return _look_through(plan, folder, patches, progress, workers=workers, checkpoint=kept)


def _add_photographs(contents: Contents, patches: TopPatches) -> None:
    """Store the photographs that any unit's patches are in, as the network saw them, each once."""
    side = contents.plan.side
    used = {patch.number: patch for unit in patches.units for patch in unit.patches}
    for number in sorted(used):
        contents.pictures.add(photo_key(used[number]), images.fit(patches.photograph(number), side))


def _add_filters(contents: Contents) -> None:
    """Draw and measure the filters of each convolution; of a tied one, which has several pages, once."""
    first: dict[int, str] = {}
    for layer in contents.plan.layers:
        weight = getattr(contents.plan.survey.module(layer.name), "weight", None)
        if getattr(weight, "ndim", 0) != 4:
            continue
        contents.filters_at[layer.name] = first.setdefault(id(weight), layer.name)
        if first[id(weight)] == layer.name:
            report = filter_report(contents.plan.model, layer.name)
            contents.reports[layer.name] = report.table()
            contents.figures[layer.name] = [
                ("its filters", _filters(weight)),
                ("its filters in numbers, beside noise", report.figure()),
            ]


def _filters(weight: Any) -> Any:
    """Filters in colour; of a deeper layer, a part of its kernels that is small enough to send."""
    if weight.shape[1] in (1, 3):
        return draw_filters(weight, order="variance", count=128)
    return draw_kernels(weight, rows=16, columns=24)


def photograph_of(plan: Plan, photo: Any) -> Photograph | None:
    """What the network does with the photograph; None if there is none and a photograph has not the channels for this network."""
    if photo is None and plan.channels not in (1, 3):
        return None
    if photo is None:
        return look_at(plan, sample_photo(), "grace_hopper.jpg")
    return look_at(plan, photo, Path(photo).name if isinstance(photo, str | os.PathLike) else "photograph")
