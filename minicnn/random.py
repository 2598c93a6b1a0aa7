"""Random numbers: one NumPy generator for all of minicnn, set by `manual_seed`. They are not PyTorch's numbers."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np


class Generator:
    """A source of random numbers of one's own: `Generator().manual_seed(0)`, then `rand(3, generator=g)`."""

    def __init__(self, device: str = "cpu") -> None:
        self.manual_seed(np.random.SeedSequence().generate_state(1)[0])

    def manual_seed(self, seed: int) -> Generator:
        """Start over: the same seed gives the same numbers. Returns the generator."""
        self._seed = int(seed)
        self.numpy = np.random.default_rng(self._seed % 2**64)
        return self

    def initial_seed(self) -> int:
        """The seed that it started from."""
        return self._seed

    def get_state(self) -> dict:
        """Where the numbers stand, the seed included."""
        return {"seed": self._seed, "numpy": self.numpy.bit_generator.state}

    def set_state(self, state: dict) -> None:
        """Go on from where `get_state` was called."""
        self._seed, self.numpy.bit_generator.state = state["seed"], state["numpy"]


default_generator = Generator()


_forked: ContextVar[Generator | None] = ContextVar("generator", default=None)


def manual_seed(seed: int) -> Generator:
    """Start the random numbers over: the same seed gives the same numbers."""
    return current().manual_seed(seed)


def current() -> Generator:
    """Where this thread draws from: the block of `fork_rng` that it is in, or the generator that all share."""
    return _forked.get() or default_generator


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, device_type: str = "cpu") -> Iterator[None]:
    """In the block this thread draws from a copy of the generator, which `manual_seed` then means too; the generator that all
    share stays as it is. Not unless `enabled`; there are no other devices."""
    if not enabled:
        yield
        return
    own = Generator()
    own.set_state(current().get_state())
    token = _forked.set(own)
    try:
        yield
    finally:
        _forked.reset(token)


def integers(low: Any, high: Any, size: tuple[int, ...], own: Generator | None = None) -> np.ndarray:
    """Integers in [low, high). RuntimeError if there are none, TypeError for what is no integer."""
    low, high = operator.index(low), operator.index(high)
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    return generator(own).integers(low, high, size)


def generator(own: Generator | None = None) -> np.random.Generator:
    """The NumPy generator of `own`, or of where this thread draws from."""
    return (own or current()).numpy
