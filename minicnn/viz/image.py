"""Photographs and network inputs: to a normalised tensor (1, C, H, W), and back to a picture (H, W, C) in [0, 1]."""

import math
import warnings
from collections.abc import Sequence
from os import PathLike, fspath
from typing import Any

import numpy as np

from minicnn import Tensor, tensor
from minicnn.nn import Module
from minicnn.transforms.functional import InterpolationMode, center_crop, resize
from minicnn.viz.network import (
    Statistics,
    dtype_of,
    input_channels,
    input_size,
    normalize,
    stated,
    statistics,
)

MOST_PIXELS = 2**27  # of a resized image


def as_input(pictures: np.ndarray, model: Module | None, stats: Statistics) -> Tensor:
    """uint8 pictures (N, H, W, C) -> the network's normalised input (N, channels, H, W), in the type that it computes in.

    channels: as many as `stats` has, see `to_channels`.
    """
    pictures = to_channels(pictures, len(stats.mean))
    dtype = dtype_of(model)
    pixels = tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).to(dtype) / 255
    return normalize(pixels, stats, dtype)


def to_channels(pictures: np.ndarray, channels: int) -> np.ndarray:
    """uint8 (..., H, W, C) with as many channels as a network takes: for one those of three become grey, as in Pillow's mode "L"."""
    from PIL import Image

    if channels == 1 and pictures.shape[-1] == 3:
        rows = Image.fromarray(np.ascontiguousarray(pictures).reshape(-1, *pictures.shape[-2:])).convert("L")
        return np.asarray(rows).reshape(*pictures.shape[:-1], 1)
    if pictures.shape[-1] != channels:
        raise ValueError(f"the picture has {pictures.shape[-1]} channels, the network takes {channels}")
    return pictures


def to_pixels(x: Tensor | np.ndarray, stats: Statistics) -> np.ndarray:
    """The way back: a normalised input (N, C, H, W) -> float32 pictures (N, H, W, C), clipped to [0, 1]."""
    array = x.detach().numpy() if isinstance(x, Tensor) else np.asarray(x)
    pixels = array.transpose(0, 2, 3, 1) * np.array(stats.std) + np.array(stats.mean)
    return (pixels if stats.order == "rgb" else pixels[..., ::-1]).clip(0, 1).astype(np.float32)


def load_image(source: Any, channels: int = 3) -> np.ndarray:
    """A photograph as uint8 (H, W, 3): from a path, an open file, a PIL image, or an array. The one place for that.

    Arrays are (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), of a range that is known: bool; uint16, 0 to 65535; other integers, 0 to
    255; floats, 0 to 1. The type decides, not the values, so that all pictures of a series are taken alike; a uint16 picture
    without a value above 255 is nearly black, and a warning says so. The pixels of PIL images of more than 8 bits are such
    arrays. Grey becomes RGB, alpha is dropped. A photograph's rotation flag (EXIF) is applied. ValueError for other pixels, with
    the range found, and for damaged files.

    channels: of the network that is to see it. One of grey images has (H, W, 3) here too, see `as_input`; for one that takes
    neither 1 nor 3 no photograph will do, but an array (H, W, channels) of such pixels.
    """
    if not isinstance(source, str | PathLike):
        return decoded(source, channels=channels)
    try:
        return decoded(source, channels=channels)
    except ValueError as error:
        raise ValueError(f"{fspath(source)}: {error}") from error


def decoded(source: Any, max_pixels: float = math.inf, channels: int = 3) -> np.ndarray:
    """`load_image`, whose errors do not name the file; one of more than `max_pixels` is refused before it is decoded."""
    from PIL import Image, UnidentifiedImageError

    if channels not in (1, 3):
        if np.ndim(source) != 3 or source.shape[2] != channels:
            has = f"this array has {source.shape}" if isinstance(source, np.ndarray) else "a photograph has 3"
            raise ValueError(f"the network takes {channels} channels and {has}: give arrays (H, W, {channels})")
        return _as_uint8(source)
    if isinstance(source, np.ndarray):
        return _array_to_rgb(source)
    if isinstance(source, Image.Image):
        return _picture_to_rgb(source)
    if not isinstance(source, str | PathLike) and not hasattr(source, "read"):
        raise TypeError(f"an image is a path, an open file, a PIL image or an array, not {type(source).__name__}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source) as opened:
                width, height = opened.size
                if width * height > max_pixels:
                    raise ValueError(f"{width} x {height} pixels are more than max_pixels = {max_pixels}")
                return _picture_to_rgb(opened)
    except UnidentifiedImageError as error:
        raise ValueError("not an image that Pillow can read") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"too large: {error}") from error
    except (ValueError, FileNotFoundError, IsADirectoryError, PermissionError, MemoryError):
        raise
    except Exception as error:  # Pillow's decoders raise of everything for damaged files
        raise ValueError(f"damaged: {type(error).__name__}: {error}") from error


def _picture_to_rgb(picture: Any) -> np.ndarray:
    """A PIL image as uint8 (H, W, 3)."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(picture)
    if upright.mode.startswith("I;16") or (upright.mode == "I" and picture.format in ("PNG", "PPM")):  # of 16 bits
        return _array_to_rgb(np.asarray(upright).astype(np.uint16))
    return _array_to_rgb(np.asarray(upright if upright.mode in ("I", "F") else upright.convert("RGB")))


def fit(image: np.ndarray, size: int | tuple[int, int] | None) -> np.ndarray:
    """uint8 (H, W, C) resized so that it covers `size` (height, width, or one side), then cut to it from the centre.

    None leaves it as it is. Resizing is PIL's bilinear filter, which averages when it makes smaller.
    """
    from PIL import Image

    if size is None:
        return image
    height, width = (size, size) if isinstance(size, int) else size
    if height < 1 or width < 1:
        raise ValueError(f"size must be positive, got {size}")
    scale = max(height / image.shape[0], width / image.shape[1])
    rows, columns = (max(side, round(scale * old)) for side, old in zip((height, width), image.shape[:2], strict=True))
    _check_pixels(image, rows, columns)
    resized = _by_pillow(image, lambda picture: picture.resize((columns, rows), Image.Resampling.BILINEAR))
    top, left = (rows - height) // 2, (columns - width) // 2
    return resized[top : top + height, left : left + width]


def _check_pixels(image: np.ndarray, rows: int, columns: int) -> None:
    """ValueError if the image, resized to this, would fill the memory: a very long one, or a mistyped size."""
    if rows * columns > MOST_PIXELS:
        height, width = image.shape[:2]
        raise ValueError(
            f"resized, an image of {height} x {width} pixels would have {rows} x {columns}, more than {MOST_PIXELS:,}: cut it, or "
            "choose a smaller size"
        )


def _by_pillow(image: np.ndarray, change: Any) -> np.ndarray:
    """uint8 (H, W, C) changed by a function of PIL images, which are of three channels or one."""
    from PIL import Image

    if image.shape[2] == 3:
        return np.asarray(change(Image.fromarray(image)))
    planes = np.moveaxis(image, 2, 0)
    return np.stack([np.asarray(change(Image.fromarray(np.ascontiguousarray(plane)))) for plane in planes], 2)


def frame(
    source: Any, model: Module | None = None, size: int | tuple[int, int] | None = None, *, channels: int | None = None
) -> np.ndarray:
    """The part of a photograph that the network gets, before it is normalised: uint8 (height, width, 3); (height, width, C)
    if the network, or `channels`, wants neither 1 nor 3.

    `fit` to `size`. Without it, what `model.meta` asks for: the shorter side resized to `resize_size`, if that is stated,
    and `input_size` cut from the middle, pixel for pixel as torchvision's preprocessing does; without a model, all of it.
    """
    channels = channels or (3 if model is None else input_channels(model))
    image = load_image(source, channels)
    meta = getattr(model, "meta", None)
    if size is not None or meta is None:
        return fit(image, size)
    side, shorter = input_size(model), stated(model, "resize_size")
    if shorter is None:
        return fit(image, side)
    _check_pixels(image, *(shorter * old // min(image.shape[:2]) for old in image.shape[:2]))
    mode = InterpolationMode(getattr(meta, "interpolation", "bilinear"))
    return _by_pillow(image, lambda picture: center_crop(resize(picture, shorter, mode), side))


def preprocess(
    source: Any,
    model: Module | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    channels: int | None = None,
) -> Tensor:
    """A photograph (whatever `load_image` takes) as the network wants it: (1, C, height, width), normalised, in the type that the
    network computes in: float32 without one.

    `frame` of it; mean and std: those given, else `model.meta`'s, else 0 and 1, see `statistics`. channels: those of the network's
    first convolution, 3 without a model; for one channel the photograph is made grey.
    """
    channels = channels or (3 if model is None else input_channels(model))
    image = frame(source, model, size, channels=channels)
    return as_input(image[None], model, statistics(model, mean, std, channels=channels))


def _array_to_rgb(array: np.ndarray) -> np.ndarray:
    """An array as `load_image` takes it as uint8 (H, W, 3)."""
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise ValueError(f"an image array is (H, W) or (H, W, 1, 3 or 4), got {array.shape}")
    array = _as_uint8(array[:, :, :3])
    return np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array


def _as_uint8(array: np.ndarray) -> np.ndarray:
    """Pixels (H, W, C) of any range that is known as uint8."""
    if array.dtype != np.uint8:
        array = (array * np.float32(255 / _top(array))).round().astype(np.uint8)
    return np.ascontiguousarray(array)


def _top(array: np.ndarray) -> float:
    """What is white in an array of this type. ValueError if a value is negative or above it."""
    tops = {"b": 1, "f": 1, "u": 65535 if array.dtype.itemsize == 2 else 255, "i": 255}
    if array.dtype.kind not in tops:
        raise ValueError(f"pixels are numbers or bool, not {array.dtype}")
    top, low, high = tops[array.dtype.kind], array.min(), array.max()
    if top == 65535 and 0 < high <= 255:
        warnings.warn(
            f"the uint16 picture is nearly black: its values go up to {high} of 65535; if 255 is white, give array.astype(np.uint8)",
            stacklevel=6,  # who called `load_image`
        )
    if not (low >= 0 and high <= top):
        raise ValueError(f"{array.dtype} pixels must lie in [0, {top}], got {low:.6g} to {high:.6g}: scale them")
    return top
