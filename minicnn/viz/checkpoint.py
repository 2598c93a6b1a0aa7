"""What a long search found so far, in a file: a search that was interrupted goes on where it was."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import minicnn
from minicnn.nn import Module
from minicnn.serialization import atomic_write
from minicnn.viz.ranking import Chunk, Found, Ranking, Search
from minicnn.viz.sources import is_stored, name_of
from minicnn.viz.stream import Skipped

SECONDS = 30  # between two writes
ARRAYS = ("units", "values", "numbers", "places")  # of a ranking
COUNTS = ("counts", "exponent", "positive", "minimum", "maximum")  # of its histograms


def fingerprint(model: Module) -> str:
    """A hash of a network's modules and of all its numbers."""
    digest = hashlib.sha256(repr(model).encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    return digest.hexdigest()


class CheckpointError(ValueError):
    """The file does not hold the beginning of this search."""


class Checkpoint:
    """A context in which what was found is written to `path` now and then, and at the end, also if the end is an error or Ctrl-C.

    found: what the file holds, or nothing. CheckpointError if it belongs to another network or other settings, or is damaged. It is
    written whole or not at all, and holds no picture but the patches.
    """

    def __init__(self, path: str | os.PathLike[str], search: Search) -> None:
        self.path, self.found = Path(path), Found(search)
        self._identity = _identity(search)
        self._seen: dict[int, str] = {}  # first source of each chunk that is in `found`: the digest of its names
        self._whole, self._written = True, time.monotonic()
        if self.path.exists():
            self._read()

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, *error: object) -> None:
        if self._whole:  # else the end came in the middle of a merge, and the file keeps the state before
            self.write()

    def unseen(self, chunks: Iterable[Chunk], passed: Callable[[int], Any]) -> Iterator[Chunk]:
        """The chunks that are not in `found` yet; `passed` is told how many sources the others have. CheckpointError if the images
        are others than those that the file was made of."""
        for chunk in chunks:
            digest = self._seen.get(chunk.first)
            if digest is None:
                yield chunk
                continue
            if digest != _digest(chunk):
                last = name_of(chunk.sources[-1], chunk.first + len(chunk.sources) - 1)
                raise CheckpointError(
                    f"{self.path}: the images have changed since, between {name_of(chunk.sources[0], chunk.first)} and {last}; "
                    "delete the checkpoint to begin anew"
                )
            ranked = {number for ranking in self.found.rankings.values() for number in ranking.ranked}
            for number, source in enumerate(chunk.sources, chunk.first):
                if number in ranked:
                    self.found.sources[number] = source if is_stored(source) else None
            passed(len(chunk.sources))

    @contextmanager
    def adding(self, chunk: Chunk) -> Iterator[None]:
        """While what was found in a chunk is merged."""
        self._whole = False
        yield
        self._seen[chunk.first] = _digest(chunk)
        self._whole = True
        if time.monotonic() > self._written + SECONDS:
            self.write()

    def write(self) -> None:
        """Write the file now. OSError if it cannot be written."""
        found = self.found
        arrays: dict[str, Any] = {}
        rest: dict[str, Any] = {"identity": self._identity, "seen": self._seen, "images": found.images, "layers": {}}
        rest["skipped"] = [found.skips.total, list(found.skips.first.items())]
        for i, (layer, ranking) in enumerate(found.rankings.items()):
            if ranking.values is None:
                continue
            histograms, keys = ranking.histograms, sorted(ranking.crops)
            rest["layers"][layer] = [ranking.width, histograms.count, [hex(total) for total in histograms.total]]
            arrays |= {f"{i}.{name}": getattr(ranking, name) for name in ARRAYS}
            arrays |= {f"{i}.{name}": getattr(histograms, name) for name in COUNTS}
            crops = [ranking.crops[key] for key in keys]
            arrays[f"{i}.keys"] = np.array(keys, np.int64).reshape(-1, 2)
            arrays[f"{i}.shapes"] = np.array([crop.shape for crop in crops], np.int64).reshape(-1, 3)
            arrays[f"{i}.pixels"] = np.concatenate([crop.ravel() for crop in crops] or [np.zeros(0, np.uint8)])
        arrays["rest"] = np.frombuffer(json.dumps(rest).encode(), np.uint8)
        with atomic_write(self.path) as file:
            np.savez(file, **arrays)
        self._written = time.monotonic()

    def _read(self) -> None:
        try:
            with self.path.open("rb") as opened, np.load(opened) as file:
                rest = json.loads(file["rest"].tobytes())
                if rest["identity"] == self._identity:
                    self._fill(rest, file)
                    return
        except OSError as error:
            if error.errno is not None:
                raise
            raise CheckpointError(f"{self.path} is no checkpoint of a search") from error
        except Exception as error:  # whatever is wrong with it: zip, zlib, NumPy and JSON raise of everything
            raise CheckpointError(f"{self.path} is damaged, or no checkpoint of a search: {error}") from error
        raise CheckpointError(
            f"{self.path} is the checkpoint of another search: the network, its numbers, the layers, the settings or minicnn's "
            "version have changed; delete it to begin anew"
        )

    def _fill(self, rest: dict[str, Any], file: Any) -> None:
        found = self.found
        self._seen = {int(first): digest for first, digest in rest["seen"].items()}
        found.images = rest["images"]
        found.skips.total = rest["skipped"][0]
        found.skips.first = {number: Skipped(*skipped) for number, skipped in rest["skipped"][1]}
        for i, (layer, ranking) in enumerate(found.rankings.items()):
            if layer in rest["layers"]:
                _fill_ranking(
                    ranking, {name.partition(".")[2]: file[name] for name in file.files if name.startswith(f"{i}.")}
                )
                ranking.width, ranking.histograms.count, totals = rest["layers"][layer]
                ranking.histograms.total = np.array([int(total, 16) for total in totals], object)


def _fill_ranking(ranking: Ranking, arrays: dict[str, np.ndarray]) -> None:
    ranking.begin(arrays["units"], None)
    for name in ARRAYS:
        setattr(ranking, name, arrays[name])
    for name in COUNTS:
        setattr(ranking.histograms, name, arrays[name])
    ends = np.cumsum(arrays["shapes"].prod(1))
    parts = np.split(arrays["pixels"], ends[:-1]) if len(ends) else []
    for (row, number), shape, part in zip(arrays["keys"].tolist(), arrays["shapes"].tolist(), parts, strict=True):
        ranking.crops[row, number] = part.reshape(shape)


def _identity(search: Search) -> str:
    """A hash of all that decides what is found, but for the pictures."""
    units = {layer: None if chosen is None else chosen.tolist() for layer, chosen in search.units.items()}
    settings = [
        search.k,
        search.bins,
        search.crop_size,
        search.shape,
        search.statistics,
        search.max_pixels,
        search.batch,
    ]
    return hashlib.sha256(repr([minicnn.__version__, fingerprint(search.model), units, settings]).encode()).hexdigest()


def _digest(chunk: Chunk) -> str:
    names = [name_of(source, number) for number, source in enumerate(chunk.sources, chunk.first)]
    return hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:16]
