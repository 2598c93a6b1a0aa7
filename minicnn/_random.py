"""Random numbers: one NumPy generator for all of minicnn, set by `manual_seed`. They are not PyTorch's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np


class Generator:
    """A source of random numbers of one's own: `Generator().manual_seed(0)`, then `rand(3, generator=g)`."""

    def __init__(self, device: str = "cpu") -> None:
        self.manual_seed(np.random.SeedSequence().generate_state(1)[0])

    def manual_seed(self, seed: int) -> Generator:
        self._seed = int(seed)
        self.numpy = np.random.default_rng(self._seed % 2**64)
        return self

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> dict:
        """Where the numbers stand, the seed included."""
        return {"seed": self._seed, "numpy": self.numpy.bit_generator.state}

    def set_state(self, state: dict) -> None:
        self._seed, self.numpy.bit_generator.state = state["seed"], state["numpy"]


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the random numbers over: the same seed gives the same numbers."""
    return default_generator.manual_seed(seed)


_of_this_thread: ContextVar[Generator | None] = ContextVar("generator", default=None)


@contextmanager
def drawing_from(own: Generator) -> Iterator[None]:
    """In the block this thread draws from a generator of its own; the one that all share stays as it is."""
    token = _of_this_thread.set(own)
    try:
        yield
    finally:
        _of_this_thread.reset(token)


def generator(own: Generator | None = None) -> np.random.Generator:
    """The NumPy generator of `own`, of the block that this thread is in, or the one that all share."""
    return (own or _of_this_thread.get() or default_generator).numpy
