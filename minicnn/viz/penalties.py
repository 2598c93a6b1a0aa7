"""What an image is charged for, beside its score: exchangeable parts of `maximize`.

A penalty is a function of the image (N, C, H, W) in [0, 1], before any random change, that returns a cost for each image (N,);
`maximize` adds the costs to minus the score. The weights are in units of score.

A penalty with `layers` is a function of two other things instead: what these layers return, {layer: Tensor (N, C, H, W)}, for the
images as the network sees them in this step, and their scores (N,), without a gradient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from minicnn import Tensor
from minicnn.nn import functional as F

Penalty = Callable[..., Tensor]


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
