"""Which classes a network takes for which: counts of (the class that is there, the class that was answered)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minicnn.viz.figures.answers import draw_confusion
from minicnn.viz.figures.plot import Figure

Indices = Sequence[int] | np.ndarray


class Mistake(NamedTuple):
    """`times` pictures of class `true` were taken for class `answered`; share: of all pictures of class `true`."""

    true: str
    answered: str
    times: int
    share: float


@dataclass
class Confusion:
    """counts[i, j]: how many pictures of class i were taken for class j. categories: the names of the classes."""

    counts: np.ndarray
    categories: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """The share of pictures whose class was answered."""
        return float(np.trace(self.counts) / self.counts.sum())

    @property
    def by_class(self) -> np.ndarray:
        """(classes,) the share of each class's pictures that were answered rightly; NaN for a class without pictures."""
        total = self.counts.sum(1)
        return np.where(total > 0, np.diag(self.counts) / np.maximum(total, 1), np.nan)

    def mistakes(self, k: int = 10) -> list[Mistake]:
        """The k most frequent mistakes, the most frequent first."""
        return [
            Mistake(
                self.categories[i],
                self.categories[j],
                int(self.counts[i, j]),
                float(self.counts[i, j] / self.counts[i].sum()),
            )
            for i, j in self._mixed_up()[:k]
        ]

    def _mixed_up(self) -> list[tuple[int, int]]:
        """The pairs of classes (true, answered) that are mistakes, the most frequent first."""
        wrong = self.counts * (1 - np.eye(len(self.counts), dtype=self.counts.dtype))
        order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
        return [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]

    def figure(self, classes: Sequence[int | str] | None = None, title: str | None = None) -> Figure:
        """The matrix of some classes (indices or names); by default at most 16, those of the most frequent mistakes."""
        if classes is None:
            chosen: set[int] = set()
            for pair in self._mixed_up() or [(i, i) for i in range(len(self.counts))]:
                if len(chosen | set(pair)) <= 16:
                    chosen |= set(pair)
            classes = sorted(chosen)
        return draw_confusion(self, [self._index(c) for c in classes], title)

    def _index(self, category: int | str) -> int:
        if isinstance(category, str) and category in self.categories:
            return self.categories.index(category)
        if isinstance(category, str) or not 0 <= category < len(self.categories):
            raise ValueError(f"no class {category!r} among {len(self.categories)}")
        return int(category)


def confusion(labels: Indices, answered: Indices, categories: Sequence[str]) -> Confusion:
    """The `Confusion` of labels (N,) and answers (N,), class indices. A label of -1 is unknown, and not counted."""
    true, said = np.asarray(labels), np.asarray(answered)
    if true.shape != said.shape or true.ndim != 1:
        raise ValueError(f"labels and answers are two (N,) of equal length, got {true.shape} and {said.shape}")
    known, count = true >= 0, len(categories)
    if known.any() and not (max(true.max(), said[known].max()) < count and said[known].min() >= 0):
        raise ValueError(f"there are {count} categories, but labels up to {true.max()} and answers up to {said.max()}")
    if not known.any():
        raise ValueError("the class of no picture is known: give labels")
    places = true[known].astype(np.int64) * count + said[known]
    return Confusion(np.bincount(places, minlength=count * count).reshape(count, count), tuple(categories))
