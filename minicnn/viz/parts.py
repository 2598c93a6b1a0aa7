"""The exchangeable parts of an ascent: how the image is written, how it is moved, what it is charged for.

**A parametrisation** says how an image is written as numbers for the optimiser. It has `rate`, the step size that suits it with Adam, and

    start(generators, channels, height, width) -> Tensor    the parameter to optimise: one row for each generator
    image(parameter, height, width) -> (N, C, height, width) in [0, 1], differentiable
    project(parameter)                                       called after each step: puts the parameter back into its range

Each image starts from the noise of its own generator, so it does not depend on what else is in the batch.

**A transform** changes the image at random before the network sees it. A pattern that survives small shifts, turns and zooms is one that
the network would meet in photographs; the fine interference that only fits one alignment of strides and poolings averages out. It is a
function `transform(x, rng)` of a batch (N, C, H, W) in [0, 1] and a NumPy generator. One draw serves the whole batch: the images of
a batch then look as each of them would alone.

**A penalty** is what an image is charged for, beside its score: a function of the image (N, C, H, W) in [0, 1], before any random change,
that returns a cost for each image (N,), in units of score. One with `layers` is a function of two other things instead: what these layers
return, {layer: Tensor (N, C, H, W)}, for the images as the network sees them in this step, and their scores (N,), without a gradient.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn import Tensor, fft, stack, tensor, view_as_complex
from minicnn.nn import functional as F
from minicnn.viz.spectrum import COLOURS, frequencies, natural_magnitude

Transform = Callable[[Tensor, np.random.Generator], Tensor]
Penalty = Callable[..., Tensor]


def named(part: Any, table: Mapping[str, Any]) -> Any:
    """The part itself, or the one that the table has under this name."""
    if not isinstance(part, str):
        return part
    if part not in table:
        raise ValueError(f"{part!r} is not one of {', '.join(map(repr, table))}")
    return table[part]


def words(part: Any) -> str:
    """A part for a caption: as it calls itself, a function by its name."""
    return str(part) if type(part).__str__ is not object.__str__ else getattr(part, "__name__", type(part).__name__)


# --- how the image is written -----------------------------------------------------------------------------------------


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
        x = _picture(parameter / tensor(_divisor(self.decay, height, width)), height, width)
        if self.decorrelate and parameter.shape[1] == 3:
            x = mix_colours(x, COLOURS)
        return x.sigmoid()

    def project(self, parameter: Tensor) -> None:
        pass  # every spectrum is an image


@functools.lru_cache(maxsize=16)
def _divisor(decay: float, height: int, width: int) -> np.ndarray:
    """(height, width // 2 + 1, 1): 4 frequency ** decay, frequency in cycles a pixel, the constant as the lowest."""
    frequency = np.maximum(frequencies(height, width), 1 / max(height, width))
    return (4 * frequency**decay).astype(np.float32)[:, :, None]


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
        x = _picture(parts, height, width)
        if channels == 3:
            x = mix_colours(x, COLOURS / np.linalg.norm(COLOURS, axis=0))
        return (x * 4).sigmoid()

    def project(self, parameter: Tensor) -> None:
        pass  # every phase is an image


def _picture(spectrum: Tensor, height: int, width: int) -> Tensor:
    """Real and imaginary parts of half spectra (N, C, H, W // 2 + 1, 2) -> (N, C, H, W), orthonormal."""
    return fft.irfft2(view_as_complex(spectrum), (height, width), "ortho")


def mix_colours(x: Tensor, columns: np.ndarray) -> Tensor:
    """(N, 3, H, W) amounts of the three colour directions that are the columns of (3, 3) -> red, green and blue: each pixel
    by itself, which is a convolution with kernels of 1 x 1."""
    return F.conv2d(x, tensor(columns[:, :, None, None].astype(np.float32)))


PARAMETRIZATIONS = {"fourier": Fourier(), "pixels": Pixels(), "fixed magnitude": FixedMagnitude()}


# --- how it is moved ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pad:
    """A border of so many pixels around the image, mid-grey: the network's own zero padding moves off the image."""

    pixels: int = 8
    value: float = 0.5

    def __str__(self) -> str:
        return f"a border of {self.pixels}"

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        return F.pad(x, (self.pixels,) * 4, value=self.value)


@dataclass(frozen=True)
class Jitter:
    """A random cut that is `pixels` smaller on each axis: a shift by whole pixels. (N, C, H, W) -> H - pixels, W - pixels."""

    pixels: int = 8

    def __str__(self) -> str:
        return f"a cut shifted by up to {self.pixels}"

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        if min(x.shape[2:]) <= self.pixels:
            raise ValueError(f"Jitter({self.pixels}) leaves nothing of an image of {tuple(x.shape[2:])}")
        top, left = rng.integers(0, self.pixels + 1, 2)
        return F.pad(x, (-left, left - self.pixels, -top, top - self.pixels))


@dataclass(frozen=True)
class Affine:
    """A random shift, zoom and turn about the centre in one bilinear resampling; the size stays, the border is mirrored.

    shift: uniform in +-shift pixels along each axis. scale: (smallest, largest) zoom. degrees: the turn is uniform in +-degrees.
    """

    scale: tuple[float, float] = (0.9, 1.1)
    degrees: float = 8.0
    shift: float = 0.0

    def __str__(self) -> str:
        shift = f"a shift of up to {self.shift:g}, " if self.shift else ""
        return f"{shift}a zoom of {self.scale[0]:g} to {self.scale[1]:g} and a turn of up to {self.degrees:g}°"

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        n, c, height, width = x.shape
        zoom, angle = rng.uniform(*self.scale), np.deg2rad(rng.uniform(-self.degrees, self.degrees))
        down, right = rng.uniform(-self.shift, self.shift, 2)
        ys = (2 * np.arange(height) + 1 - height)[:, None] / 2  # pixels from the centre
        xs = (2 * np.arange(width) + 1 - width)[None, :] / 2
        from_x = (np.cos(angle) * xs - np.sin(angle) * ys) / zoom + right
        from_y = (np.sin(angle) * xs + np.cos(angle) * ys) / zoom + down
        grid = np.stack([from_x * 2 / width, from_y * 2 / height], axis=2)[None].astype(np.float32)  # edges at -1 and 1
        planes = x.reshape(1, n * c, height, width)  # one grid for the whole batch: its places are worked out once
        moved = F.grid_sample(planes, tensor(grid), mode="bilinear", padding_mode="reflection", align_corners=False)
        return moved.reshape(n, c, height, width)


@dataclass(frozen=True)
class Roll:
    """A shift by up to `pixels` each way; what leaves at one border comes in at the opposite one. The size stays."""

    pixels: int = 16

    def __str__(self) -> str:
        return f"a roll of up to {self.pixels}"

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        return x.roll(tuple(rng.integers(-self.pixels, self.pixels + 1, 2).tolist()), (2, 3))


TRANSFORMS: dict[str, tuple[Transform, ...]] = {
    "none": (),
    "jitter": (Pad(4), Jitter(8)),
    "roll": (Roll(16),),
    "standard": (Affine(shift=6),),
}


# --- what it is charged for --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class L2:
    """weight x the mean squared distance of the pixels from mid-grey: holds back extreme values.

    weight: a number, or a Tensor (N,) with one for each image.
    """

    weight: "float | Tensor" = 1.0

    def __str__(self) -> str:
        return f"{self.weight:.3g} × L2"

    def __call__(self, image: Tensor) -> Tensor:
        return self.weight * ((image - 0.5) ** 2).mean((1, 2, 3))


@dataclass(frozen=True)
class TotalVariation:
    """weight x the mean absolute difference of neighbouring pixels: holds back speckle, keeps edges."""

    weight: float = 1.0

    def __str__(self) -> str:
        return f"{self.weight:.3g} × total variation"

    def __call__(self, image: Tensor) -> Tensor:
        down = (image[:, :, 1:] - image[:, :, :-1]).abs().mean((1, 2, 3))
        right = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs().mean((1, 2, 3))
        return self.weight * (down + right)


@dataclass(frozen=True)
class Blur:
    """weight x the mean squared distance of the image from itself blurred (3 x 3 mean): holds back the finest detail."""

    weight: float = 1.0

    def __str__(self) -> str:
        return f"{self.weight:.3g} × what a blur takes away"

    def __call__(self, image: Tensor) -> Tensor:
        blurred = F.avg_pool2d(image, 3, 1)
        return self.weight * ((image[:, :, 1:-1, 1:-1] - blurred.detach()) ** 2).mean((1, 2, 3))


@dataclass(frozen=True)
class Diversity:
    """weight x the image's own |score| x how alike it is to the others of the batch, on the average over them.

    Alike: the cosine between the Gram matrices of what `layer` makes of the two images, after a ReLU. They say which channels answer
    together, wherever that is; 1 for equal textures. Olah, Mordvintsev, Schubert 2017, "Feature visualization", section on diversity.
    The factor, and that only the image itself is moved and not those it is compared with, are ours: an image that
    hardly answers is left alone until it does, where a constant weight would drive it to silence, which is different too.
    """

    layer: str
    weight: float = 1.0

    def __str__(self) -> str:
        return f"{self.weight:.3g} × likeness in {self.layer}"

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    def __call__(self, maps: Mapping[str, Tensor], scores: Tensor) -> Tensor:
        gram = gram_directions(maps[self.layer])
        alike = gram @ gram.detach().transpose(0, 1)  # (N, N); the diagonal is 1
        return self.weight * scores.abs() * (alike.sum(1) - 1) / max(len(alike) - 1, 1)


def gram_directions(maps: Tensor) -> Tensor:
    """The Gram matrices of N images' maps (N, C, H, W), or features (N, C), after a ReLU, as rows of length 1: (N, C C)."""
    if maps.dim() not in (2, 4):
        raise ValueError(f"diversity needs a layer that returns (N, C, H, W) or (N, C), got {tuple(maps.shape)}")
    flat = F.relu(maps).reshape(maps.shape[0], maps.shape[1], -1)  # (N, C, H W)
    gram = (flat @ flat.transpose(1, 2)).reshape(maps.shape[0], -1)
    return gram / ((gram * gram).sum(1, keepdim=True) + 1e-12).sqrt()


PENALTIES: dict[str, Penalty] = {"l2": L2(), "tv": TotalVariation(), "blur": Blur()}
