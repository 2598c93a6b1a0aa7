"""Random changes of the image before the network sees it: exchangeable parts of `maximize`.

A pattern that survives small shifts, turns and zooms is one that the network would meet in photographs; the fine
interference that only fits one alignment of strides and poolings averages out.

A transform is a function `transform(x, rng)` of a batch (N, C, H, W) in [0, 1] and a NumPy generator. One draw serves the
whole batch: the images of a batch then look as each of them would alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from minicnn import Tensor, tensor
from minicnn.nn import functional as F

Transform = Callable[[Tensor, np.random.Generator], Tensor]


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
    """A random zoom and turn about the centre in one bilinear resampling; the size stays, the border is mirrored.

    scale: (smallest, largest) zoom; degrees: the turn is uniform in +-degrees.
    """

    scale: tuple[float, float] = (0.9, 1.1)
    degrees: float = 8.0

    def __str__(self) -> str:
        return f"a zoom of {self.scale[0]:g} to {self.scale[1]:g} and a turn of up to {self.degrees:g}°"

    def __call__(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        n, c, height, width = x.shape
        zoom, angle = rng.uniform(*self.scale), np.deg2rad(rng.uniform(-self.degrees, self.degrees))
        ys = (2 * np.arange(height) + 1 - height)[:, None] / 2  # pixels from the centre
        xs = (2 * np.arange(width) + 1 - width)[None, :] / 2
        from_x = (np.cos(angle) * xs - np.sin(angle) * ys) / zoom
        from_y = (np.sin(angle) * xs + np.cos(angle) * ys) / zoom
        grid = np.stack([from_x * 2 / width, from_y * 2 / height], axis=2)[None].astype(np.float32)  # edges at -1 and 1
        planes = x.reshape(1, n * c, height, width)  # one grid for the whole batch: its places are worked out once
        turned = F.grid_sample(planes, tensor(grid), mode="bilinear", padding_mode="reflection", align_corners=False)
        return turned.reshape(n, c, height, width)


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
    "standard": (Pad(8), Jitter(8), Affine(), Jitter(8)),
}
