"""Random numbers: one NumPy generator for all of minicnn, set by `manual_seed`. They are not PyTorch's numbers."""

from __future__ import annotations

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
        return self.numpy.bit_generator.state

    def set_state(self, state: dict) -> None:
        self.numpy.bit_generator.state = state


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the random numbers over: the same seed gives the same numbers."""
    return default_generator.manual_seed(seed)


def generator(own: Generator | None = None) -> np.random.Generator:
    """The NumPy generator of `own`, or the one that all share."""
    return (own or default_generator).numpy
