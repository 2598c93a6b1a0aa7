"""Pictures one after the other from a folder or an iterable; what cannot be read is named with the reason."""

import os
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minicnn.viz.image import decoded

MAX_PIXELS = 50_000_000  # of a file; one that has more is skipped


def sample_folder() -> Path:
    """The folder of 58 photographs that come with minicnn, in the public domain or CC0: animals, buildings, things, landscapes.

    The table of their sources is beside it, in `minicnn/photographs/README.md`.
    """
    return Path(__file__).parent.parent / "photographs" / "images"


def sample_labels() -> dict[str, str]:
    """{file name in `sample_folder()`: what it shows}, of those photographs that show one of the bundled networks' 200 classes."""
    return dict(SAMPLE_LABELS)


SAMPLE_LABELS = {
    "bison.jpg": "bison", "bucket.jpg": "bucket", "cat.jpg": "tabby", "cliff_dwellings.jpg": "cliff dwelling", "cow.jpg": "ox",
    "dam.jpg": "dam", "espresso.jpg": "espresso", "frying_pan.jpg": "frying pan", "german_shepherd.jpg": "German shepherd",
    "goldfish.jpg": "goldfish", "koala.jpg": "koala", "kitten.jpg": "tabby", "pig.jpg": "hog", "plate.jpg": "plate",
    "pont_du_gard.jpg": "viaduct", "red_panda.jpg": "lesser panda", "rocky_shore.jpg": "seashore", "snowy_peak.jpg": "alp",
    "triumphal_arch.jpg": "triumphal arch",
}  # fmt: skip


class Skipped(NamedTuple):
    """A file that was not used, and why."""

    name: str
    reason: str


class SkippedList(list):
    """The first KEEP skipped files, and the number of all: a folder of a million text files must not fill the memory."""

    KEEP = 1000

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def add(self, name: str, reason: str) -> None:
        self.total += 1
        if len(self) < self.KEEP:
            self.append(Skipped(name, reason))


def pictures(images: Any, max_pixels: int, skipped: SkippedList, channels: int = 3) -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 (H, W, 3), or (H, W, channels), see `load_image`) of all that can be read, in order; the others go to `skipped`.

    images: a folder or a file, or an iterable of paths and arrays. FileNotFoundError if the folder is not there.
    """
    for number, source in enumerate(sources(images)):
        name = os.fspath(source) if isinstance(source, str | PathLike) else f"image {number}"
        try:
            picture = decoded(source, max_pixels, channels)
        except Exception as error:  # of a PIL image its decoder may raise of everything, too
            skipped.add(name, str(error) or type(error).__name__)
            continue
        yield name, picture


def sources(images: Any) -> Iterator[Any]:
    """What is read: the files of a folder and of all folders in it, in the order of the names; a file; or what is iterated over."""
    if not isinstance(images, str | PathLike):
        yield from images
    elif os.path.isdir(images):
        for folder, folders, files in os.walk(os.fspath(images)):
            folders.sort()
            for file in sorted(files):
                yield os.path.join(folder, file)
    elif os.path.exists(images):
        yield images
    else:
        raise FileNotFoundError(f"no such folder: {os.fspath(images)!r}")


def count_files(images: Any) -> int | None:
    """How many there are, for the progress bar; None for an iterable that does not know."""
    if isinstance(images, str | PathLike) and os.path.isdir(images):
        return sum(len(files) for _, _, files in os.walk(os.fspath(images)))
    return len(images) if hasattr(images, "__len__") and not isinstance(images, str) else None
