"""What a network answers to many photographs: which it gets wrong, which classes it mixes up, which photographs are alike to it.

result = answers(model, "validation/", labels="folders", layer="avgpool")
result.accuracy, result.confusion.mistakes(5), result.nearest(0)
result.wrong_figure()
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minicnn import Tensor, no_grad
from minicnn.nn import Module
from minicnn.viz import image as images_
from minicnn.viz.confusion import Confusion, confusion
from minicnn.viz.figures.answers import draw_nearest, draw_wrong
from minicnn.viz.figures.plot import Figure
from minicnn.viz.network import capture, class_names, described, frozen, part_hint, run
from minicnn.viz.objectives import logit
from minicnn.viz.sources import MAX_PIXELS
from minicnn.viz.stream import Change, Skipped, Stream
from minicnn.viz.tiles import in_grey

Labels = str | Mapping[str, int | str] | Sequence[int | str] | None


@dataclass
class Answers:
    """What `answers` returns, of N pictures.

    names: their paths, or "image 12". pictures: uint8 (h, w, 3) as the network saw them, at most `thumbnail` pixels a side.
    logits: float32 (N, classes). features: float32 (N, C), of `layer`. labels: int (N,), the class that is there, -1 where that is
    not known. categories: the names of the classes. skipped: the files that were not read, with the reason (the first 1000 of them;
    `skipped_count` is their number).
    """

    names: list[str]
    pictures: list[np.ndarray]
    logits: np.ndarray
    features: np.ndarray
    labels: np.ndarray
    categories: tuple[str, ...]
    layer: str
    skipped: list[Skipped]
    skipped_count: int
    seconds: float

    @cached_property
    def probabilities(self) -> np.ndarray:
        """float64 (N, classes)."""
        powers = np.exp(self.logits.astype(np.float64) - self.logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    @property
    def answered(self) -> np.ndarray:
        """int (N,): the most probable class."""
        return self.logits.argmax(1)

    @property
    def confusion(self) -> Confusion:
        """Of the pictures whose class is known; ValueError if there is none."""
        return confusion(self.labels, self.answered, self.categories)

    @property
    def accuracy(self) -> float:
        """The share of the pictures of a known class that were answered rightly; ValueError if there is none."""
        return self.confusion.accuracy

    @property
    def right_probability(self) -> np.ndarray:
        """float64 (N,): the probability of the class that is there; NaN where that is not known."""
        known = self.labels >= 0
        return np.where(known, self.probabilities[np.arange(len(self.labels)), np.where(known, self.labels, 0)], np.nan)

    @property
    def wrong(self) -> np.ndarray:
        """The pictures of a known class that were answered wrongly, the surest mistake first."""
        index = np.flatnonzero((self.labels >= 0) & (self.answered != self.labels))
        return index[np.argsort(-self.probabilities[index].max(1), kind="stable")]

    def nearest(self, query: int, k: int = 5) -> list[tuple[int, float]]:
        """The k pictures whose features are most like those of picture `query`: (picture, cosine), itself left out."""
        if not -len(self.names) <= query < len(self.names):
            raise IndexError(f"picture {query}: there are {len(self.names)}")
        cosines = self._directions @ self._directions[query]
        order = np.argsort(-cosines, kind="stable")
        return [(int(i), float(cosines[i])) for i in order if i != query % len(self.names)][:k]

    @cached_property
    def _directions(self) -> np.ndarray:
        """The features, each divided by its length."""
        lengths = np.sqrt((self.features.astype(np.float64) ** 2).sum(1, keepdims=True))
        return self.features / np.where(lengths > 0, lengths, 1)

    def find(self, name: str) -> int:
        """The picture of this file name, with its folders or without; KeyError if there is none, or several."""
        found = [i for i, path in enumerate(self.names) if name in (path, os.path.basename(path))]
        if len(found) != 1:
            raise KeyError(f"{len(found) or 'no'} pictures are called {name!r}")
        return found[0]

    def wrong_figure(self, k: int = 12, title: str | None = None) -> Figure:
        """The k surest mistakes: what is there, what was answered, and both probabilities."""
        return draw_wrong(self, self.wrong[:k], title)

    def nearest_figure(self, queries: Sequence[int], k: int = 6, title: str | None = None) -> Figure:
        """A row for each query: the picture, and the k that are most like it, each with its cosine."""
        return draw_nearest(self, queries, k, title)

    def __repr__(self) -> str:
        known = int((self.labels >= 0).sum())
        right = f", {self.accuracy:.1%} of {known} right" if known else ""
        return f"Answers({len(self.names)} pictures{right}, {self.skipped_count} files skipped, {self.seconds:.1f} s)"


def answers(
    model: Module,
    images: Any,
    *,
    labels: Labels = None,
    layer: str = "",
    change: Change | None = None,
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    batch: int = 32,
    thumbnail: int = 96,
    max_pixels: int = MAX_PIXELS,
    limit: int | None = None,
    progress: bool = True,
) -> Answers:
    """What a network of classes answers to many pictures, and what one of its layers makes of them.

    Args:
        model: any `Module` that takes images (N, C, H, W) and returns logits (N, classes).
        images: a folder, or an iterable of paths and arrays, as in `top_patches`.
        labels: which class is there. "folders": the name of the folder inside of `images` that a picture lies in, which is the
            name of a class, or of one of its synonyms; if none of the folders is, and there are as many as classes, the order of their
            names, as in torchvision's `ImageFolder`. A mapping {file name or folder name: class}; what it leaves out is unknown. A
            sequence with a class for each of a list of images. A class is a name or an index. None: nothing is known.
        layer: whose answers are `features`: (N, C), or the mean over the positions of maps (N, C, H, W); '' is the output.
        change: a function (picture uint8 (H, W, C), generator) -> such a picture, applied to each after it was cut to size, see
            `CHANGES`; seed: of the generators, one for each picture.
        thumbnail: side in pixels up to which a picture is kept.
        size, mean, std, batch, max_pixels, limit, progress: as in `top_patches`.

    Memory: the logits and features, and a thumbnail of each picture. A file that is no picture is skipped and named in `.skipped`.
    ValueError if none is left, for a class that does not
    exist, for an output that is not (N, classes), and for NaN or infinity in it.
    """
    started = time.perf_counter()
    stream = Stream(
        model, images, size=size, mean=mean, std=std, batch=batch, max_pixels=max_pixels, limit=limit, progress=progress,
        change=change, seed=seed,
    )  # fmt: skip
    names, kept, logits, features, known = [], [], [], [], []
    label = None
    with frozen(model), no_grad():
        for group, x in stream:
            with capture(model, layer, copy=False) as maps:
                logits.append(logits_of(run(model, x)))
            features.append(_features(maps[layer], layer))
            label = label or labeller(images, labels, model, logits[0].shape[1])  # what is wrong with them is said now
            known += [label(picture.name, picture.number) for picture in group]
            names += [picture.name for picture in group]
            kept += [_thumbnail(picture.pixels, thumbnail) for picture in group]
    found = np.concatenate(logits)
    categories = categories_of(model, found.shape[1])
    return Answers(
        names, kept, found, np.concatenate(features), as_labels(known, labels), categories, layer,
        stream.skips.named, stream.skips.total, time.perf_counter() - started,
    )  # fmt: skip


def logits_of(output: Any) -> np.ndarray:
    """A network's output as logits float32 (N, classes). ValueError if it is none."""
    if not isinstance(output, Tensor) or output.dim() != 2:
        raise ValueError(
            f"the network returns {described(output)}, not logits (N, classes), one for each class{part_hint(output)}"
        )
    array = output.detach().numpy().astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("the network answers NaN or infinity")
    return array


def categories_of(model: Module, count: int) -> tuple[str, ...]:
    """The names of so many classes, the first synonym of each; "class 3" if the network does not state them."""
    names = class_names(model, count)
    return tuple(name.split(",")[0] for name in names) or tuple(f"class {i}" for i in range(count))


def labeller(images: Any, labels: Labels, model: Module, classes: int) -> Callable[[str, int], int]:
    """A function (name, number of a picture) -> its class, -1 where that is not known. Raises what is wrong with the labels."""
    if labels is None:
        return lambda name, number: -1
    if isinstance(labels, str):
        if labels != "folders":
            raise ValueError(f"labels is 'folders', a mapping or a sequence, not {labels!r}")
        if not isinstance(images, str | os.PathLike) or not os.path.isdir(images):
            raise ValueError("labels='folders' needs a folder of folders, one for each class")
        table = _classes_of_folders(images, model, classes)
        return lambda name, number: table.get(_folder(name, images), -1)
    if not isinstance(labels, Mapping):
        if not hasattr(images, "__len__") or isinstance(images, str) or len(images) != len(labels):
            raise ValueError(
                f"{len(labels)} labels are for a list of as many images; for a folder give 'folders' or a mapping"
            )
        indices = [class_of(model, label, classes) for label in labels]
        return lambda name, number: indices[number]
    given = {name: class_of(model, label, classes) for name, label in labels.items()}

    def look_up(name: str, number: int) -> int:
        keys = (name, os.path.basename(name), _folder(name, images))
        return next((given[key] for key in keys if key in given), -1)

    return look_up


def as_labels(found: Sequence[int], labels: Labels) -> np.ndarray:
    """int (N,). ValueError if a mapping names none of the pictures."""
    known = np.array(found)
    if isinstance(labels, Mapping) and labels and not (known >= 0).any():
        first = next(iter(labels))
        raise ValueError(f"none of the {len(labels)} labels is of a picture that was read: the first is for {first!r}")
    return known


def _folder(name: str, images: Any) -> str:
    """The first folder on the way from the folder `images` to a picture in it; "" if it lies there itself."""
    if not isinstance(images, str | os.PathLike):
        return ""
    way = os.path.relpath(name, images).split(os.sep)
    return way[0] if len(way) > 1 else ""


def _classes_of_folders(images: Any, model: Module, classes: int) -> dict[str, int]:
    """{folder: class} of the folders in a folder."""
    folders = sorted(entry.name for entry in os.scandir(images) if entry.is_dir() and entry.name[0] != ".")
    table, unknown = {}, []
    for folder in folders:
        try:
            table[folder] = class_of(model, folder.replace("_", " "), classes, whole=True)
        except ValueError:
            unknown.append(folder)
    if not unknown:
        return table
    if not table and len(folders) == classes:
        return {folder: i for i, folder in enumerate(folders)}
    raise ValueError(
        f"{len(unknown)} of {len(folders)} folders are no class, the first {unknown[0]!r}: name them as classes, or give "
        f"labels={{folder: class}}. Without names there would have to be as many folders as classes, {classes}"
    )


def class_of(model: Module, label: int | str, classes: int, whole: bool = False) -> int:
    """The index of a class by its name or index. whole: a name must be all of a category or of a synonym, not a part of it."""
    if isinstance(label, str):
        names = class_names(model, classes)
        if whole and not any(label.lower() in (n.lower(), *(p.strip().lower() for p in n.split(","))) for n in names):
            raise ValueError(f"no class {label!r}")
        label = logit(model, label).channel
    if not 0 <= label < classes:
        raise ValueError(f"class {label}: there are {classes}")
    return int(label)


def _features(output: Any, layer: str) -> np.ndarray:
    if not isinstance(output, Tensor) or output.dim() not in (2, 4):
        raise ValueError(f"{layer!r} returns {described(output)}: features are (N, C), or maps (N, C, H, W)")
    array = output.detach().numpy()
    array = array.mean((2, 3)) if array.ndim == 4 else array
    return array.astype(np.float32)


def _thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """A picture as the network saw it, made smaller if its longer side has more pixels; in grey if it is not of 3 channels."""
    longest = max(pixels.shape[:2])
    if longest > side:
        rows, columns = (max(1, round(length * side / longest)) for length in pixels.shape[:2])
        pixels = images_.fit(pixels, (rows, columns))
    return pixels.copy() if pixels.shape[2] == 3 else in_grey(pixels)
