"""Histograms of a stream whose range nobody knows beforehand: when a value falls outside, neighbouring bins are joined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST = -126  # 2 ** LEAST is the smallest normal float32


@dataclass(frozen=True)
class Histogram:
    """The activations of one unit at all positions of all pictures.

    counts: int64 (bins,), edges: (bins + 1,), symmetric about 0, so that 0 is an edge. count, mean, minimum, maximum: of
    all values, exact. active: the share of values above 0.
    """

    counts: np.ndarray
    edges: np.ndarray
    count: int
    mean: float
    minimum: float
    maximum: float
    active: float

    def quantile(self, q: float) -> float:
        """The value below which a share q of the activations lies, exact to a bin's width; 0 and 1 are exact."""
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is of a share between 0 and 1, got {q}")
        if q in (0, 1):
            return self.maximum if q else self.minimum
        above = np.cumsum(self.counts) / self.count
        i = int(np.searchsorted(above, q))  # the first bin that brings the share up to q
        share = self.counts[i] / self.count
        value = self.edges[i] + (self.edges[i + 1] - self.edges[i]) * (1 - (above[i] - q) / share)
        return float(np.clip(value, self.minimum, self.maximum))


class Histograms:
    """One growing histogram for each of some units. The range of each is a power of two, and doubles when it must.

    bins: a power of two. What two of them hold together, `merge` gives exactly, whatever the parts were and in whichever order
    they come: counts are whole numbers, the bins of a doubled range are pairs of the old ones, and the totals are added as whole
    multiples of 2 ** -1074.
    """

    def __init__(self, units: int, bins: int) -> None:
        self.counts = np.zeros((units, bins), np.int64)
        self.exponent = np.full(units, LEAST)  # of the half range
        self.count = 0
        self.total = np.zeros(units, object)  # Python's integers, see `_exact`
        self.positive = np.zeros(units, np.int64)
        self.minimum, self.maximum = np.full(units, np.inf), np.full(units, -np.inf)

    def update(self, pictures: Sequence[np.ndarray]) -> None:
        """pictures: finite values (units, any number) of one batch; the same pictures always come in the same batch."""
        sums = np.zeros(len(self.counts))
        for values in pictures:
            sums += values.sum(1, dtype=np.float64)
            self._count(values)
        self.total += np.array([_exact(value) for value in sums.tolist()], object)

    def _count(self, values: np.ndarray) -> None:
        units, bins = self.counts.shape
        self._widen(_exponents(np.abs(values).max(1)))
        places = np.ldexp(
            values.astype(np.float64), (bins.bit_length() - 2 - self.exponent)[:, None]
        )  # exact: bins = 2 ** n
        places = np.floor(places, out=places).astype(np.int64) + bins // 2 + (np.arange(units) * bins)[:, None]
        self.counts += np.bincount(places.ravel(), minlength=units * bins).reshape(units, bins)
        self.count += values.shape[1]
        self.positive += (values > 0).sum(1)
        self.minimum, self.maximum = np.minimum(self.minimum, values.min(1)), np.maximum(self.maximum, values.max(1))

    def merge(self, other: "Histograms") -> None:
        """Take in what another one of the same units and bins has counted. `other` is widened, and otherwise as it was."""
        self._widen(other.exponent)
        other._widen(self.exponent)
        self.counts += other.counts
        self.count += other.count
        self.total += other.total
        self.positive += other.positive
        self.minimum = np.minimum(self.minimum, other.minimum)
        self.maximum = np.maximum(self.maximum, other.maximum)

    def _widen(self, exponents: np.ndarray) -> None:
        """Let every unit's half range be at least 2 ** its exponent."""
        needed = np.maximum(exponents, self.exponent)
        empty = ~self.counts.any(axis=1)
        self.exponent[empty] = needed[empty]
        while (narrow := needed > self.exponent).any():
            bins = self.counts.shape[1]
            joined = self.counts[narrow].reshape(-1, bins // 2, 2).sum(2)  # the middle half of the doubled range
            self.counts[narrow] = np.pad(joined, ((0, 0), (bins // 4, bins // 4)))
            self.exponent[narrow] += 1

    def of(self, unit: int) -> Histogram:
        half, bins = 2.0 ** self.exponent[unit], self.counts.shape[1]
        count = self.count
        return Histogram(
            self.counts[unit].copy(), np.linspace(-half, half, bins + 1), count, self.total[unit] / (max(count, 1) << 1074),
            float(self.minimum[unit]), float(self.maximum[unit]), float(self.positive[unit] / max(count, 1)),
        )  # fmt: skip


def _exponents(largest: np.ndarray) -> np.ndarray:
    """The powers of two above these magnitudes; the least that there is for 0."""
    return np.where(largest > 0, np.frexp(largest)[1], LEAST)


def _exact(value: float) -> int:
    """A finite float64 as a multiple of 2 ** -1074, the smallest one: the sum of such numbers has no order."""
    numerator, denominator = value.as_integer_ratio()
    return numerator << (1075 - denominator.bit_length())
