"""torchvision's transforms, those that bring a photograph into a network: on PIL images the same pixels as torchvision's.

Compose([Resize(256), CenterCrop(224), ToTensor(), Normalize(mean, std)])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from minicnn import _types
from minicnn._tensor import Tensor
from minicnn.nn import Module
from minicnn.transforms import functional
from minicnn.transforms import functional as F
from minicnn.transforms.functional import InterpolationMode

__all__ = [
    "CenterCrop", "Compose", "ConvertImageDtype", "InterpolationMode", "Lambda", "Normalize", "PILToTensor",
    "Resize", "ToPILImage", "ToTensor", "functional",
]  # fmt: skip


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return f"Compose({''.join(f'{chr(10)}    {transform}' for transform in self.transforms)}\n)"


class ToTensor:
    """`functional.to_tensor`: a PIL image or an array (H, W, C) of 8-bit pixels -> float32 (C, H, W) in [0, 1]."""

    def __call__(self, pic: Image.Image | np.ndarray) -> Tensor:
        return F.to_tensor(pic)

    def __repr__(self) -> str:
        return "ToTensor()"


class PILToTensor:
    """`functional.pil_to_tensor`: a PIL image -> uint8 (C, H, W)."""

    def __call__(self, pic: Image.Image) -> Tensor:
        return F.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return "PILToTensor()"


class ToPILImage:
    """`functional.to_pil_image`: a tensor (C, H, W), floats in [0, 1] or 8-bit pixels -> a PIL image."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Tensor | np.ndarray) -> Image.Image:
        return F.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return "ToPILImage()" if self.mode is None else f"ToPILImage(mode={self.mode})"


class Lambda:
    """Any function of one's own."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


class ConvertImageDtype(Module):
    """`functional.convert_image_dtype`: 8-bit pixels -> floats in [0, 1]."""

    def __init__(self, dtype: _types.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


class Normalize(Module):
    """(x - mean) / std for each channel of (..., C, H, W)."""

    _extra_repr_names = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: Tensor) -> Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)


class Resize(Module):
    """A PIL image with its shorter side of `size` pixels, or of (height, width); see `functional.resize`."""

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if not isinstance(size, (int, Sequence)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, Sequence) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size, self.interpolation, self.max_size, self.antialias = size, interpolation, max_size, antialias

    def forward(self, img: Image.Image) -> Image.Image:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        mode = self.interpolation.value if isinstance(self.interpolation, InterpolationMode) else self.interpolation
        return f"Resize(size={self.size}, interpolation={mode}, max_size={self.max_size}, antialias={self.antialias})"


class CenterCrop(Module):
    """The middle of an image; see `functional.center_crop`."""

    _extra_repr_names = ("size",)

    def __init__(self, size: int | Sequence[int]) -> None:
        super().__init__()
        sides = (size, size) if isinstance(size, int) else tuple(size)
        self.size = (sides[0], sides[-1])

    def forward(self, img: Image.Image | Tensor) -> Image.Image | Tensor:
        return F.center_crop(img, self.size)


class ImageClassification(Module):
    """What a network for classes wants: resize, crop, [0, 1], normalise. A PIL image -> float32 (C, crop, crop)."""

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    ) -> None:
        super().__init__()
        self.crop_size, self.resize_size = [crop_size], [resize_size]
        self.mean, self.std, self.interpolation = list(mean), list(std), interpolation

    def forward(self, img: Image.Image) -> Tensor:
        cropped: Any = F.center_crop(F.resize(img, self.resize_size, self.interpolation), self.crop_size)
        return F.normalize(F.convert_image_dtype(F.pil_to_tensor(cropped)), self.mean, self.std)

    def __repr__(self) -> str:
        names = ("crop_size", "resize_size", "mean", "std", "interpolation")
        return f"ImageClassification({''.join(f'{chr(10)}    {name}={getattr(self, name)}' for name in names)}\n)"
