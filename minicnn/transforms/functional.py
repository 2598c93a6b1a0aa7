"""torchvision's functions on images, for PIL images; those that need no resampling take tensors (..., H, W) too."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
from PIL import Image

from minicnn import _types
from minicnn._tensor import Tensor
from minicnn.ops import creation

__all__ = [
    "InterpolationMode", "center_crop", "convert_image_dtype", "crop", "get_dimensions", "normalize",
    "pil_to_tensor", "resize", "to_pil_image", "to_tensor",
]  # fmt: skip

_MODES_OF_CHANNELS = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}
_MODE_OF_TYPE = {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}
_TYPE_OF_MODE = {"I": np.int32, "I;16": np.int16, "F": np.float32}


class InterpolationMode(Enum):
    """How `resize` computes new pixels; PIL's filters, all but the first two average when they make smaller."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


def get_dimensions(img: Image.Image | Tensor) -> list[int]:
    """[channels, height, width]."""
    if isinstance(img, Tensor):
        return [1 if img.ndim == 2 else img.shape[-3], *img.shape[-2:]]
    return [len(_pil(img).getbands()), img.height, img.width]


def resize(
    img: Image.Image,
    size: int | Sequence[int],
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Image.Image:
    """The image with other numbers of pixels.

    Args:
        img: a PIL image.
        size: one number: the shorter side gets it, and the longer one int(size * long / short); two: (height, width).
        interpolation: a filter, or PIL's number for it.
        max_size: with one number, the most that the longer side may get.
        antialias: always True for PIL images.

    Raises:
        TypeError: `img` is a tensor: torchvision resizes those by another rule, which minicnn does not have.
    """
    if isinstance(img, Tensor):
        raise TypeError(
            "minicnn resizes PIL images: turn the tensor into one by to_pil_image, or use nn.functional.interpolate"
        )
    height, width = _new_size((img.height, img.width) if isinstance(img, Image.Image) else (0, 0), size, max_size)
    if isinstance(interpolation, InterpolationMode):
        name = {"nearest-exact": "nearest"}.get(interpolation.value, interpolation.value)
        interpolation = Image.Resampling[name.upper()]
    if (_pil(img).height, img.width) == (height, width):
        return img
    return img.resize((width, height), Image.Resampling(interpolation))


def _new_size(old: tuple[int, int], size: int | Sequence[int], max_size: int | None) -> tuple[int, int]:
    if not isinstance(size, (int, Sequence)):
        raise TypeError(f"Size should be int or sequence. Got {type(size)}")
    sides = [size] if isinstance(size, int) else list(size)
    if len(sides) not in (1, 2):
        raise ValueError(f"Size must be an int or a 1 or 2 element tuple/list, not a {len(sides)} element tuple/list")
    if len(sides) == 2:
        if max_size is not None:
            raise ValueError("max_size should only be passed if size specifies the length of the smaller edge")
        return sides[0], sides[1]
    short, long = sides[0], int(sides[0] * max(old) / max(1, min(old)))
    if max_size is not None:
        if max_size <= short:
            raise ValueError(f"max_size = {max_size} must be strictly greater than the requested size {short}")
        if long > max_size:
            short, long = int(max_size * short / long), max_size
    return (long, short) if old[0] > old[1] else (short, long)


def crop(img: Image.Image | Tensor, top: int, left: int, height: int, width: int) -> Image.Image | Tensor:
    """The part of `height` x `width` pixels from (top, left) on."""
    if isinstance(img, Tensor):
        return img[..., top : top + height, left : left + width]
    return _pil(img).crop((left, top, left + width, top + height))


def center_crop(img: Image.Image | Tensor, output_size: int | Sequence[int]) -> Image.Image | Tensor:
    """The middle of the image, of `output_size`: (height, width) or one number. What lies outside of it is zero."""
    sides = [output_size] if isinstance(output_size, (int, float)) else list(output_size)
    target = [int(sides[0]), int(sides[-1])]
    old = get_dimensions(img)[1:]
    missing = [max(0, want - have) for want, have in zip(target, old, strict=True)]
    if any(missing):
        before = [n // 2 for n in missing]
        img = _padded(img, before, [n - m for n, m in zip(missing, before, strict=True)])
        old = get_dimensions(img)[1:]
    # Python's round goes to the even neighbour at one half, and torchvision's crop with it
    top, left = (round((have - want) / 2) for have, want in zip(old, target, strict=True))
    return crop(img, top, left, *target)


def _padded(img: Image.Image | Tensor, before: list[int], after: list[int]) -> Image.Image | Tensor:
    """With zeros added in (height, width)."""
    if isinstance(img, Tensor):
        width = [(0, 0)] * (img.ndim - 2) + list(zip(before, after, strict=True))
        return Tensor.wrap(np.pad(img.detach().numpy(), width))
    return img.crop((-before[1], -before[0], img.width + after[1], img.height + after[0]))


def to_tensor(pic: Image.Image | np.ndarray) -> Tensor:
    """A PIL image or an array (H, W[, C]) -> (C, H, W): float32 in [0, 1] of 8-bit pixels, else as it is.

    As in torchvision a picture of more than 8 bits is not scaled: "I;16" is int16, its upper half negative, "I" int32 and "F"
    float32; and the rotation flag is not applied. `viz.preprocess` does both, or refuses the picture.
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        pixels = pic
    elif isinstance(pic, Image.Image):
        pixels = np.array(pic, _TYPE_OF_MODE.get(pic.mode, np.uint8))
        pixels = pixels * np.uint8(255) if pic.mode == "1" else pixels
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    chw = creation.from_numpy(
        np.ascontiguousarray((pixels[:, :, None] if pixels.ndim == 2 else pixels).transpose(2, 0, 1))
    )
    return chw.float().div(255) if pixels.dtype == np.uint8 else chw


def pil_to_tensor(pic: Image.Image) -> Tensor:
    """A PIL image -> (C, H, W) of its own type, not scaled."""
    if not isinstance(pic, Image.Image):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    pixels = np.array(pic)
    return creation.from_numpy((pixels[:, :, None] if pixels.ndim == 2 else pixels).transpose(2, 0, 1))


def convert_image_dtype(image: Tensor, dtype: _types.dtype = _types.float32) -> Tensor:
    """Pixels in another type: from integers to floats in [0, 1]; floats keep their values.

    Raises TypeError for a conversion to integers, which minicnn does not have.
    """
    if not isinstance(image, Tensor):
        raise TypeError("Input img should be Tensor Image")
    if image.dtype == dtype:
        return image
    if not dtype.is_floating_point:
        raise TypeError(f"pixels become floats here, not {dtype}: use to_pil_image for 8-bit pixels")
    pixels = image.to(dtype)
    return pixels if image.is_floating_point() else pixels / int(np.iinfo(image.dtype.name).max)


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(tensor - mean) / std, for each channel of (..., C, H, W). ValueError if a std is zero."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = {tensor.size()}"
        )
    center, scale = (creation.as_tensor(list(values), dtype=tensor.dtype).view(-1, 1, 1) for values in (mean, std))
    if (scale == 0).any():
        raise ValueError(f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero.")
    if inplace:
        return tensor.sub_(center).div_(scale)
    return (tensor - center) / scale


def to_pil_image(pic: Tensor | np.ndarray, mode: str | None = None) -> Image.Image:
    """A tensor (C, H, W) or (H, W), or an array (H, W[, C]), as a PIL image.

    Floats are in [0, 1] and become 8-bit pixels, cut off after the point: 0.999 is 254. `mode` is PIL's, by default "L",
    "LA", "RGB" or "RGBA" by the number of channels.
    """
    if isinstance(pic, Tensor):
        array = pic.detach().numpy()
        array = array.transpose(1, 2, 0) if array.ndim == 3 else array
    elif isinstance(pic, np.ndarray):
        array = pic
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise ValueError(f"pic should be 2/3 dimensional. Got {array.ndim} dimensions.")
    channels = array.shape[2]
    if channels > 4:
        raise ValueError(f"pic should not have > 4 channels. Got {channels} channels.")
    if array.dtype.kind == "f" and mode != "F":
        array = (array * 255).astype(np.uint8)
    if channels == 1:
        expected = _MODE_OF_TYPE.get(array.dtype.name)
        if mode not in (None, expected):
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {array.dtype}. Should be {expected}")
        mode, array = expected, array[:, :, 0]
    elif mode is None:
        mode = _MODES_OF_CHANNELS[channels][0] if array.dtype == np.uint8 else None
    elif mode not in _MODES_OF_CHANNELS[channels]:
        raise ValueError(f"Only modes {list(_MODES_OF_CHANNELS[channels])} are supported for {channels} channels")
    if mode is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    array = np.ascontiguousarray(array)
    return Image.frombytes(mode, array.shape[1::-1], array.tobytes())


def _pil(img: Any) -> Image.Image:
    if not isinstance(img, Image.Image):
        raise TypeError(f"Unexpected type {type(img)}: a PIL image is needed")
    return img
