"""Histograms of a stream whose range nobody knows beforehand: when a value falls outside, neighbouring bins are joined."""

from dataclasses import dataclass

import numpy as np


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
    """One growing histogram for each of some units. The range of each is a power of two, and doubles when it must."""

    def __init__(self, units: int, bins: int) -> None:
        self.counts = np.zeros((units, bins), np.int64)
        self.exponent = np.full(units, -126)  # of the half range: the smallest normal float32, until a value comes
        self.count = 0
        self.total = np.zeros(units)
        self.positive = np.zeros(units, np.int64)
        self.minimum, self.maximum = np.full(units, np.inf), np.full(units, -np.inf)

    def update(self, values: np.ndarray) -> None:
        """values: (units, any number), finite"""
        units, bins = self.counts.shape
        low, high = values.min(1), values.max(1)
        self._widen(np.maximum(np.abs(low), np.abs(high)))
        width = np.ldexp(1.0, self.exponent + 1) / bins
        places = (values / width[:, None] + bins // 2).astype(np.int64)
        places = (
            np.minimum(places, bins - 1) + (np.arange(units) * bins)[:, None]
        )  # the largest value lies on the last edge
        self.counts += np.bincount(places.ravel(), minlength=units * bins).reshape(units, bins)
        self.count += values.shape[1]
        self.total += values.sum(1, dtype=np.float64)
        self.positive += (values > 0).sum(1)
        self.minimum, self.maximum = np.minimum(self.minimum, low), np.maximum(self.maximum, high)

    def _widen(self, largest: np.ndarray) -> None:
        """Let every unit's half range be at least its largest magnitude."""
        needed = np.maximum(np.where(largest > 0, np.frexp(largest)[1], self.exponent), self.exponent)
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
            self.counts[unit].copy(), np.linspace(-half, half, bins + 1), count, float(self.total[unit] / max(count, 1)),
            float(self.minimum[unit]), float(self.maximum[unit]), float(self.positive[unit] / max(count, 1)),
        )  # fmt: skip
