"""How an image is written as numbers for the optimiser to move: exchangeable parts of `maximize`.

A parametrisation has `rate` (the step size that suits it with Adam), and three methods:

    start(generators, channels, height, width) -> Tensor    the parameter to optimise: one row for each generator
    image(parameter, height, width) -> (N, C, height, width) in [0, 1], differentiable
    project(parameter)                                       called after each step: puts the parameter back into its range

Each image starts from the noise of its own generator, so it does not depend on what else is in the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minicnn import Tensor, ops, stack, tensor
from minicnn.nn import functional as F
from minicnn.viz.spectrum import frequencies, natural_magnitude

# How the colours of photographs vary together: the square root of the covariance of R, G, B (rows) over the 10,000 validation
# photographs of Tiny ImageNet-200, a column for each principal direction (brightness, warm-cold, green-magenta), divided by the
# longest column. Measured by `python weights/image_statistics.py`. The idea: Olah, Mordvintsev, Schubert 2017.
COLOURS = np.array([[0.565, 0.227, 0.056], [0.584, -0.005, -0.115], [0.583, -0.215, 0.061]], np.float32)


@dataclass(frozen=True)
class Pixels:
    """The image is the parameter: grey with a little noise, cut to [0, 1] after each step. The naive way: speckle.

    noise: standard deviation of the starting pixels around what the image starts from.
    initial: where to start, float (H, W, C) in [0, 1] of the size that is asked for, a photograph for instance; else mid-grey.
    """

    noise: float = 0.05
    rate: float = 0.01
    initial: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        start = "grey" if self.initial is None else "a given picture"
        return f"they are, from {start}" + (f" with noise of {self.noise:g}" if self.noise else "")

    def start(self, generators: Sequence[np.random.Generator], channels: int, height: int, width: int) -> Tensor:
        grey = np.full((height, width, channels), 0.5) if self.initial is None else np.asarray(self.initial)
        if grey.shape != (height, width, channels):
            size = f"{height} x {width} pixels of {channels} channels"
            raise ValueError(f"the initial image is (H, W, C) {grey.shape}, asked for are {size}")
        base = grey.transpose(2, 0, 1)
        pixels = [base + self.noise * g.standard_normal((channels, height, width)) for g in generators]
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

    def __str__(self) -> str:
        scale = "1/f" if self.decay == 1 else f"1/f^{self.decay:g}"
        return f"a spectrum scaled by {scale}, {'natural colours' if self.decorrelate else 'each channel by itself'}"

    def start(self, generators: Sequence[np.random.Generator], channels: int, height: int, width: int) -> Tensor:
        shape = (channels, height, width // 2 + 1, 2)  # real and imaginary parts of the half spectrum
        noise = [self.noise * g.standard_normal(shape) for g in generators]
        return tensor(np.stack(noise).astype(np.float32)).requires_grad_()

    def image(self, parameter: Tensor, height: int, width: int) -> Tensor:
        x = ops.fourier_to_image(parameter * tensor(self._scale(height, width)), (height, width))
        if self.decorrelate and parameter.shape[1] == 3:
            x = mix_colours(x, COLOURS)
        return x.sigmoid()

    def project(self, parameter: Tensor) -> None:
        pass  # every spectrum is an image

    def _scale(self, height: int, width: int) -> np.ndarray:
        """(height, width // 2 + 1, 1): 1 / frequency ** decay, frequency in cycles a pixel, the constant as the lowest."""
        frequency = np.maximum(frequencies(height, width), 1 / max(height, width))
        return (0.25 / frequency**self.decay).astype(np.float32)[:, :, None]


@dataclass(frozen=True)
class FixedMagnitude:
    """Only the phases of the spectrum move; its magnitudes stay those of photographs. So every image has the contrast, the
    smoothness and, in RGB, the colours of photographs, and the ascent can only arrange: it cannot add energy anywhere.

    Fel et al. 2023, "Unlocking feature visualization for deeper networks with magnitude constrained optimization" (MaCo).
    As there, the spectrum belongs to the decorrelated colours, the phases start uniform in +-pi, and a sigmoid (here with
    slope 1 at mid-grey) brings the pixels into [0, 1].

    magnitude: (C, H, W // 2 + 1) of an orthonormal transform, from `spectrum.mean_magnitude` of your own photographs; by
        default the power laws that were fitted to those of Tiny ImageNet-200, see `spectrum.natural_magnitude`.
    """

    rate: float = 0.2
    magnitude: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"phases of {'the magnitudes of photographs' if self.magnitude is None else 'given magnitudes'}"

    def start(self, generators: Sequence[np.random.Generator], channels: int, height: int, width: int) -> Tensor:
        shape = (channels, height, width // 2 + 1)
        phases = [g.uniform(-np.pi, np.pi, shape) for g in generators]
        return tensor(np.stack(phases).astype(np.float32)).requires_grad_()

    def image(self, parameter: Tensor, height: int, width: int) -> Tensor:
        channels = parameter.shape[1]
        magnitude = natural_magnitude(height, width, channels) if self.magnitude is None else self.magnitude
        if magnitude.shape != tuple(parameter.shape[1:]):
            raise ValueError(f"the magnitudes are {magnitude.shape}, this image needs {tuple(parameter.shape[1:])}")
        parts = stack([parameter.cos(), parameter.sin()], -1) * tensor(magnitude[..., None].astype(np.float32))
        x = ops.fourier_to_image(parts, (height, width))
        if channels == 3:
            x = mix_colours(x, COLOURS / np.linalg.norm(COLOURS, axis=0))
        return (x * 4).sigmoid()

    def project(self, parameter: Tensor) -> None:
        pass  # every phase is an image


def mix_colours(x: Tensor, columns: np.ndarray) -> Tensor:
    """(N, 3, H, W) amounts of the three colour directions that are the columns of (3, 3) -> red, green and blue: each pixel
    by itself, which is a convolution with kernels of 1 x 1."""
    return F.conv2d(x, tensor(columns[:, :, None, None].astype(np.float32)))


PARAMETRIZATIONS = {"fourier": Fourier(), "pixels": Pixels(), "fixed magnitude": FixedMagnitude()}
