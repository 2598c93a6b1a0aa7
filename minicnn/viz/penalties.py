"""What an image is charged for, beside its score: exchangeable parts of `maximize`.

A penalty is a function of the image (N, C, H, W) in [0, 1], before any random change, that returns a cost for each image (N,);
`maximize` adds the costs to minus the score. The weights are in units of score.
"""

from collections.abc import Callable
from dataclasses import dataclass

from minicnn import Tensor
from minicnn.nn import functional as F

Penalty = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class L2:
    """weight x the mean squared distance of the pixels from mid-grey: holds back extreme values."""

    weight: float = 1.0

    def __call__(self, image: Tensor) -> Tensor:
        return self.weight * ((image - 0.5) ** 2).mean((1, 2, 3))


@dataclass(frozen=True)
class TotalVariation:
    """weight x the mean absolute difference of neighbouring pixels: holds back speckle, keeps edges."""

    weight: float = 1.0

    def __call__(self, image: Tensor) -> Tensor:
        down = (image[:, :, 1:] - image[:, :, :-1]).abs().mean((1, 2, 3))
        right = (image[:, :, :, 1:] - image[:, :, :, :-1]).abs().mean((1, 2, 3))
        return self.weight * (down + right)


@dataclass(frozen=True)
class Blur:
    """weight x the mean squared distance of the image from itself blurred (3 x 3 mean): holds back the finest detail."""

    weight: float = 1.0

    def __call__(self, image: Tensor) -> Tensor:
        blurred = F.avg_pool2d(image, 3, 1)
        return self.weight * ((image[:, :, 1:-1, 1:-1] - blurred.detach()) ** 2).mean((1, 2, 3))


PENALTIES: dict[str, Penalty] = {"l2": L2(), "tv": TotalVariation(), "blur": Blur()}
