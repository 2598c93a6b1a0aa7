"""Colour against shape: what is left of a network's answers when photographs lose their colours, or keep nothing but their textures.

Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards texture"; the shuffled patches are those of Brendel and Bethge 2019,
"Approximating CNNs with bag-of-local-features models".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz.answers import Answers, Labels, answers
from minicnn.viz.figures.cues import draw_cues
from minicnn.viz.figures.plot import Figure
from minicnn.viz.image import fit
from minicnn.viz.sources import MAX_PIXELS
from minicnn.viz.stream import Change
from minicnn.viz.tiles import in_grey

AS_IT_IS = "as it is"


def grey(picture: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
    """Without colours: every channel is their mean. uint8 (H, W, C) -> uint8 (H, W, C)."""
    return np.repeat(in_grey(picture)[:, :, :1], picture.shape[2], 2)


def shuffled(cells: int) -> Change:
    """A change that cuts a picture into cells x cells patches and puts them together in another order: colours and textures stay,
    the shape of anything larger than a patch goes. Sides that `cells` does not divide are cut from the middle, and enlarged again."""
    if cells < 2:
        raise ValueError(f"there are at least 2 x 2 patches, got {cells}")

    def change(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width, channels = picture.shape
        if min(height, width) < cells:
            raise ValueError(f"a picture of {height} x {width} pixels has no {cells} x {cells} patches")
        h, w = height // cells, width // cells
        top, left = (height - h * cells) // 2, (width - w * cells) // 2
        whole = picture[top : top + h * cells, left : left + w * cells]
        patches = whole.reshape(cells, h, cells, w, channels).swapaxes(1, 2).reshape(cells * cells, h, w, channels)
        mixed = patches[rng.permutation(cells * cells)].reshape(cells, cells, h, w, channels).swapaxes(1, 2)
        return fit(np.ascontiguousarray(mixed.reshape(h * cells, w * cells, channels)), (height, width))

    change.__name__ = f"shuffled {cells} x {cells}"
    return change


def phase_scrambled(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With random phases in its spectrum: the waves and their strengths stay, and the colours, on the average; where anything is, goes.
    The same phases are added in all channels. uint8 (H, W, C) -> uint8 (H, W, C)."""
    height, width = picture.shape[:2]
    phases = np.angle(np.fft.rfft2(rng.standard_normal((height, width))))  # those of a real image
    phases[0, 0] = 0  # the mean colour stays
    spectrum = np.fft.rfft2(picture.astype(np.float64), axes=(0, 1)) * np.exp(1j * phases)[:, :, None]
    return np.fft.irfft2(spectrum, (height, width), axes=(0, 1)).round().clip(0, 255).astype(np.uint8)


CHANGES: dict[str, Change] = {
    "grey": grey,
    "shuffled 2 x 2": shuffled(2),
    "shuffled 4 x 4": shuffled(4),
    "phases scrambled": phase_scrambled,
}


@dataclass
class Cues:
    """What `cues` returns. variants: {name: Answers}, the first are the pictures as they are."""

    variants: dict[str, Answers]

    @property
    def accuracy(self) -> dict[str, float]:
        """Of each variant the share of the pictures of a known class that are answered rightly; ValueError if no class is known."""
        return {name: found.accuracy for name, found in self.variants.items()}

    @property
    def probability(self) -> dict[str, float]:
        """Of each variant the mean probability of the class that is there, over the pictures of a known class."""
        return {
            name: float(np.nanmean(found.right_probability)) for name, found in self.variants.items() if found.confusion
        }

    @property
    def kept(self) -> dict[str, float]:
        """Of each variant the share of all pictures that get the same answer as the picture as it is."""
        plain = next(iter(self.variants.values())).answered
        return {name: float((found.answered == plain).mean()) for name, found in self.variants.items()}

    @property
    def by_class(self) -> dict[str, np.ndarray]:
        """Of each variant the accuracy of each class (classes,), NaN for a class without pictures."""
        return {name: found.confusion.by_class for name, found in self.variants.items()}

    def table(self) -> str:
        """A line for each variant: the accuracy and the mean probability of the class that is there, where classes are known, and the
        share of answers that stay."""
        known = bool((next(iter(self.variants.values())).labels >= 0).any())
        wide = max(map(len, self.variants))
        lines = [f"{'':{wide}}  {'accuracy  probability  ' if known else ''}same answer"]
        accuracy, probability = (self.accuracy, self.probability) if known else ({}, {})
        for name, kept in self.kept.items():
            of_known = f"{accuracy[name]:8.1%}  {probability[name]:11.3f}  " if known else ""
            lines.append(f"{name:{wide}}  {of_known}{kept:11.1%}")
        return "\n".join(lines)

    def figure(self, examples: int = 4, title: str | None = None) -> Figure:
        """Some pictures in each variant with what the network answers, and the accuracies as bars."""
        return draw_cues({"": self}, examples, title)


def cues(
    model: Module,
    images: Any,
    changes: Mapping[str, Change] | None = None,
    *,
    labels: Labels = None,
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    batch: int = 32,
    thumbnail: int = 96,
    max_pixels: int = MAX_PIXELS,
    limit: int | None = None,
    progress: bool = True,
) -> Cues:
    """A network's answers to many pictures as they are, in grey, in shuffled patches and with scrambled phases.

    Args:
        changes: {name: function (picture uint8 (H, W, C), generator) -> such a picture}; by default `CHANGES`.
        images: a folder, or a list of paths and arrays (it is read once for each variant).
        model, labels, seed, size, mean, std, batch, thumbnail, max_pixels, limit, progress: as in `answers`.

    So a number is known of how much an answer rests on colours, on what is larger than a patch, and on where anything is. None of the
    variants is a photograph, and the network was trained on photographs: a part of what is lost, it loses because of that.
    """
    if hasattr(images, "__next__"):
        raise TypeError("the images are read several times: give a folder or a list, not an iterator")
    variants: dict[str, Callable | None] = {AS_IT_IS: None, **(CHANGES if changes is None else changes)}
    options: dict[str, Any] = {
        "labels": labels, "seed": seed, "size": size, "mean": mean, "std": std, "batch": batch,
        "thumbnail": thumbnail, "max_pixels": max_pixels, "limit": limit, "progress": progress,
    }  # fmt: skip
    return Cues({name: answers(model, images, change=change, **options) for name, change in variants.items()})
