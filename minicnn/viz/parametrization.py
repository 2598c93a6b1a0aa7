"""How an image is written as numbers for the optimiser to move: exchangeable parts of `maximize`.

A parametrisation has `rate` (the step size that suits it with Adam), and three methods:

    start(generators, channels, height, width) -> Tensor    the parameter to optimise: one row for each generator
    image(parameter, height, width) -> (N, C, height, width) in [0, 1], differentiable
    project(parameter)                                       called after each step: puts the parameter back into its range

Each image starts from the noise of its own generator, so it does not depend on what else is in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minicnn import Tensor, ops, tensor

# How the colours of photographs vary together: the square root of the covariance of R, G, B (rows) over 4,000 images of
# Tiny ImageNet-200, a column for each principal direction (brightness, warm-cold, green-magenta), divided by the
# longest column. The idea and the use: Olah, Mordvintsev, Schubert 2017, "Feature visualization".
COLOURS = np.array([[0.565, 0.227, 0.054], [0.584, -0.010, -0.115], [0.583, -0.210, 0.063]], np.float32)


@dataclass(frozen=True)
class Pixels:
    """The image is the parameter: grey with a little noise, cut to [0, 1] after each step. The naive way: speckle.

    noise: standard deviation of the starting pixels around 0.5.
    """

    noise: float = 0.05
    rate: float = 0.01

    def start(self, generators: Sequence[np.random.Generator], channels: int, height: int, width: int) -> Tensor:
        pixels = [0.5 + self.noise * g.standard_normal((channels, height, width)) for g in generators]
        return tensor(np.stack(pixels).clip(0, 1).astype(np.float32)).requires_grad_()

    def image(self, parameter: Tensor, height: int, width: int) -> Tensor:
        return parameter * 1.0  # a node of its own, so that the parameter can change in place between two steps

    def project(self, parameter: Tensor) -> None:
        parameter.clamp_(0, 1)


@dataclass(frozen=True)
class Fourier:
    """The image is a sigmoid of a spectrum whose coefficients are scaled by 1 / frequency ** decay, in natural colours.

    In photographs amplitude falls as 1/f. With the same scaling one step of the optimiser moves every frequency as much as
    photographs have of it, where a step on pixels moves mostly the highest ones. In the same way `decorrelate` makes
    the three colour axes those of photographs (RGB only; another number of channels stays as it is).

    noise: standard deviation of the starting coefficients before they are scaled.
    """

    noise: float = 0.01
    decay: float = 1.0
    decorrelate: bool = True
    rate: float = 0.05

    def start(self, generators: Sequence[np.random.Generator], channels: int, height: int, width: int) -> Tensor:
        shape = (channels, height, width // 2 + 1, 2)  # real and imaginary parts of the half spectrum
        noise = [self.noise * g.standard_normal(shape) for g in generators]
        return tensor(np.stack(noise).astype(np.float32)).requires_grad_()

    def image(self, parameter: Tensor, height: int, width: int) -> Tensor:
        x = ops.fourier_to_image(parameter * tensor(self._scale(height, width)), (height, width))
        if self.decorrelate and parameter.shape[1] == 3:
            n = parameter.shape[0]
            x = (tensor(COLOURS) @ x.reshape(n, 3, height * width)).reshape(n, 3, height, width)
        return x.sigmoid()

    def project(self, parameter: Tensor) -> None:
        pass  # every spectrum is an image

    def _scale(self, height: int, width: int) -> np.ndarray:
        """(height, width // 2 + 1, 1): 1 / frequency ** decay, frequency in cycles a pixel, the constant as the lowest."""
        fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
        frequency = np.maximum(np.hypot(fy, fx), 1 / max(height, width))
        return (0.25 / frequency**self.decay).astype(np.float32)[:, :, None]


PARAMETRIZATIONS = {"fourier": Fourier(), "pixels": Pixels()}
