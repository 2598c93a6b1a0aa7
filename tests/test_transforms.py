"""Photographs on their way into a network: sizes and places as torchvision 0.29.1 gave them, pixels as PIL computes them.

torchvision itself is not installed here. The tables were recorded from it; with it at hand, all transforms were
compared bit for bit on 150 random images of every PIL mode.
"""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn
from minicnn import models, transforms, viz
from minicnn.nn.utils import skip_init
from minicnn.transforms import InterpolationMode, functional


def picture(width: int, height: int, mode: str = "RGB") -> Image.Image:
    numbers = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(numbers).convert(mode)


# ((width, height), size, (new width, new height))
SIZES = [
    ((512, 600), 256, (256, 300)),
    ((600, 512), 256, (300, 256)),
    ((500, 375), 256, (341, 256)),
    ((375, 500), 256, (256, 341)),
    ((333, 500), 232, (232, 348)),
    ((640, 427), 256, (383, 256)),
    ((1, 300), 7, (7, 2100)),
    ((256, 256), 256, (256, 256)),
    ((257, 256), 256, (257, 256)),
    ((100, 100), (30, 70), (70, 30)),
    ((101, 67), [50], (75, 50)),
    ((7, 300), 3, (3, 128)),
    ((3, 2), 255, (382, 255)),
]


@pytest.mark.parametrize(("old", "size", "new"), SIZES)
def test_resize(old, size, new):
    image = picture(*old)
    for mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC, InterpolationMode.NEAREST):
        resized = transforms.Resize(size, mode)(image)
        assert resized.size == new
        assert resized.tobytes() == image.resize(new, Image.Resampling[mode.name]).tobytes()


# ((width, height), size, (row, column) of the first pixel that is kept, (row, column) where it comes to lie)
CROPS = [
    ((341, 256), 224, (16, 58), (0, 0)),
    ((257, 256), 224, (16, 16), (0, 0)),
    ((256, 385), 224, (80, 16), (0, 0)),
    ((5, 5), 2, (2, 2), (0, 0)),
    ((6, 6), 3, (2, 2), (0, 0)),
    ((7, 9), (4, 4), (2, 2), (0, 0)),
    ((8, 8), (3, 5), (2, 2), (0, 0)),
    ((4, 4), 7, (0, 0), (1, 1)),
    ((5, 9), (8, 8), (0, 0), (0, 1)),
    ((3, 4), 4, (0, 0), (0, 0)),
    ((10, 3), (4, 5), (0, 2), (0, 0)),
]


@pytest.mark.parametrize(("old", "size", "first", "place"), CROPS)
def test_center_crop(old, size, first, place):
    numbers = 1 + np.arange(old[0] * old[1], dtype=np.int32).reshape(old[::-1])
    height, width = (size, size) if isinstance(size, int) else size
    expected = np.zeros((height, width), np.int32)
    kept = numbers[first[0] :, first[1] :][: height - place[0], : width - place[1]]
    expected[place[0] : place[0] + kept.shape[0], place[1] : place[1] + kept.shape[1]] = kept
    np.testing.assert_array_equal(np.asarray(transforms.CenterCrop(size)(Image.fromarray(numbers))), expected)
    of_tensor = transforms.CenterCrop(size)(minicnn.from_numpy(numbers)[None])
    np.testing.assert_array_equal(of_tensor[0].numpy(), expected)


def depth(bits: int) -> np.ndarray:
    """16 x 16 greys from black to white of so many bits, the brightest where 8 bits have 255."""
    return (np.arange(256).reshape(16, 16) * (2**bits - 1) // 255).astype(np.uint16 if bits == 16 else np.uint8)


def stored(image: Image.Image, kind: str, **settings) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    buffer.seek(0)
    return buffer


FLOATS, DEEP, BITS = (depth(8) / 255).astype(np.float32), depth(16), depth(8) > 127
SCALED = {
    "uint8": lambda: depth(8),
    "uint16": lambda: DEEP,
    "int64": lambda: depth(8).astype(int),
    "float16": lambda: FLOATS.astype(np.float16),
    "float64": lambda: FLOATS.astype(float),
    "16-bit PNG": lambda: stored(Image.fromarray(DEEP), "PNG"),
    "16-bit TIFF": lambda: stored(Image.fromarray(DEEP), "TIFF"),
    "16-bit TIFF, big-endian": lambda: stored(Image.fromarray(DEEP.astype(">u2")), "TIFF"),
    "16-bit PGM": lambda: io.BytesIO(b"P5 16 16 65535\n" + DEEP.astype(">u2").tobytes()),
    "PIL image of 16 bits": lambda: Image.fromarray(DEEP),
    "float TIFF": lambda: stored(Image.fromarray(FLOATS), "TIFF"),
    "PIL image of 32 bits": lambda: Image.fromarray(depth(8).astype(np.int32)),
}


@pytest.mark.parametrize("kind", SCALED)
def test_a_photograph_of_any_depth_has_its_greys(kind):
    image = viz.load_image(SCALED[kind]())
    assert image.dtype == np.uint8 and image.shape == (16, 16, 3)
    np.testing.assert_array_equal(image, np.repeat(depth(8)[:, :, None], 3, axis=2))


@pytest.mark.parametrize("source", [BITS, Image.fromarray(BITS), BITS[:, :, None]], ids=["array", "PIL", "(H, W, 1)"])
def test_one_bit_is_black_and_white(source):
    np.testing.assert_array_equal(viz.load_image(source)[:, :, 0], 255 * BITS)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (DEEP.astype(np.int32), r"int32 pixels must lie in \[0, 255\], got 0 to 65535"),
        (DEEP.astype(np.int16), "int16 .* got -32640 to 32639"),
        (DEEP.astype(np.uint32), "uint32 .* got 0 to 65535"),
        (depth(8).astype(np.float32), r"\[0, 1\], got 0 to 255"),
        (FLOATS * np.nan, "got nan to nan"),
        (FLOATS.astype(complex), "not complex128"),
        (np.zeros((0, 3), np.uint8), r"\(0, 3, 1\)"),
        (np.zeros((2, 2, 2), np.uint8), r"\(2, 2, 2\)"),
        (Image.fromarray(DEEP.astype(np.int32)), "got 0 to 65535"),
        (Image.fromarray(depth(8).astype(np.float32)), "got 0 to 255"),
    ],
    ids=str,
)
def test_pixels_of_an_unknown_range_are_refused_with_the_range_found(source, words):
    with pytest.raises(ValueError, match=words):
        viz.load_image(source)


def test_a_dark_picture_of_16_bits_is_dark_and_a_warning_says_so():
    """The type decides what is white, so that the pictures of a series are taken alike."""
    dark = depth(8).astype(np.uint16)
    with pytest.warns(UserWarning, match="its values go up to 255 of 65535; if 255 is white") as caught:
        image = viz.load_image(dark)
    assert image.max() == 1 and caught[0].filename == __file__
    np.testing.assert_array_equal(viz.load_image(dark.astype(np.uint8))[:, :, 0], dark)
    for silent in (dark + 1, dark * 0):  # brighter; black, whatever 255 is
        viz.load_image(silent)


@pytest.mark.parametrize("flag", range(1, 9))
def test_a_picture_is_turned_by_its_flag_from_whatever_it_comes(flag, tmp_path):
    upright = picture(6, 4)
    undo = [None, 0, 3, 1, 5, 2, 6, 4][flag - 1]  # Image.Transpose of the camera that wrote the flag
    exif = Image.Exif()
    exif[0x0112] = flag
    (upright if undo is None else upright.transpose(undo)).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        for source in (tmp_path / "a.png", opened):
            np.testing.assert_array_equal(viz.load_image(source), np.asarray(upright))


def test_a_file_that_is_no_photograph_is_named(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 99, 3), dtype=np.uint8)).save(tmp_path / "half.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "half.png").read_bytes()[:9000])
    for name, words in (("text.png", "not an image"), ("half.png", "damaged")):
        with pytest.raises(ValueError, match=f"{name}: {words}"):
            viz.load_image(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        viz.load_image(tmp_path / "nowhere.png")
    with pytest.raises(TypeError, match="not int"):
        viz.load_image(3)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1", "F", "I"])
def test_to_tensor(mode):
    image = picture(5, 3, mode)
    pixels = (
        np.array(image).astype(np.uint8) * (255 if mode == "1" else 1)
        if mode != "F" and mode != "I"
        else np.array(image)
    )
    chw = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    expected = torch.from_numpy(chw.copy())
    expected = expected.float().div(255) if expected.dtype == torch.uint8 else expected
    got = transforms.ToTensor()(image)
    assert got.numpy().tobytes() == expected.numpy().tobytes()
    assert got.shape == tuple(expected.shape)


def test_to_tensor_does_not_scale_16_bits():
    """torchvision's: int16, the upper half negative."""
    got = transforms.ToTensor()(Image.fromarray(DEEP))
    assert got.dtype == minicnn.int16
    np.testing.assert_array_equal(got.numpy()[0], DEEP.astype(np.int16))
    own = transforms.PILToTensor()(Image.fromarray(DEEP))
    np.testing.assert_array_equal(own.numpy()[0], DEEP)
    np.testing.assert_array_equal(
        transforms.ConvertImageDtype(minicnn.float32)(own).numpy()[0], DEEP / np.float32(65535)
    )


def test_pixels_there_and_back():
    image = picture(9, 4)
    assert functional.to_pil_image(functional.to_tensor(image)).tobytes() == image.tobytes()
    assert transforms.PILToTensor()(image).dtype == minicnn.uint8
    assert transforms.ToPILImage()(transforms.PILToTensor()(image)).tobytes() == image.tobytes()
    assert functional.to_pil_image(minicnn.full((1, 2, 2), 0.999)).getpixel((0, 0)) == 254
    assert functional.to_pil_image(np.zeros((2, 3, 4), np.uint8)).mode == "RGBA"
    assert functional.to_pil_image(minicnn.zeros(4, 5)).size == (5, 4)
    assert functional.to_pil_image(minicnn.zeros(4, 5), mode="F").mode == "F"


def test_normalize_is_torchs_arithmetic():
    x = torch.rand(3, 5, 4)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    expected = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    ours = minicnn.from_numpy(x.numpy().copy())
    assert transforms.Normalize(mean, std)(ours).numpy().tobytes() == expected.numpy().tobytes()
    assert transforms.Normalize(mean, std, inplace=True)(ours) is ours
    assert ours.numpy().tobytes() == expected.numpy().tobytes()


@pytest.mark.parametrize(("name", "shorter"), [("alexnet", 256), ("resnet50", 232)])
def test_the_preprocessing_of_official_weights(name, shorter):
    image, weights = picture(500, 375), models.get_model_weights(name).DEFAULT
    width, height = int(shorter * 500 / 375), shorter
    top, left = round((height - 224) / 2), round((width - 224) / 2)
    pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))[top : top + 224, left : left + 224]
    x = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (x - mean[:, None, None]) / std[:, None, None]
    assert weights.transforms()(image).numpy().tobytes() == expected.numpy().tobytes()
    steps = [transforms.Resize(shorter), transforms.CenterCrop(224), transforms.ToTensor()]
    by_steps = transforms.Compose([*steps, transforms.Normalize(mean.tolist(), std.tolist())])(image)
    np.testing.assert_allclose(by_steps.numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("old", [(500, 375), (301, 517), (90, 60)])
def test_viz_prepares_photographs_in_the_same_way(old):
    model, image = skip_init(models.squeezenet1_1), picture(*old)
    expected = models.SqueezeNet1_1_Weights.DEFAULT.transforms()(image)
    assert viz.preprocess(image, model).numpy().tobytes() == expected.numpy().tobytes()
    model.meta = replace(model.meta, resize_size=None)
    assert viz.frame(image, model).shape == (224, 224, 3)
    assert (viz.frame(image, model) == viz.fit(np.asarray(image), 224)).all()


def test_what_they_print():
    steps = [
        transforms.Resize(40),
        transforms.CenterCrop(33),
        transforms.ToTensor(),
        transforms.Normalize([0.5], [0.25]),
    ]
    assert repr(transforms.Compose(steps)) == (
        "Compose(\n    Resize(size=40, interpolation=bilinear, max_size=None, antialias=True)\n"
        "    CenterCrop(size=(33, 33))\n    ToTensor()\n    Normalize(mean=[0.5], std=[0.25])\n)"
    )


def test_errors():
    image = picture(4, 4)
    with pytest.raises(TypeError, match="resizes PIL images"):
        transforms.Resize(3)(minicnn.zeros(3, 4, 4))
    with pytest.raises(TypeError, match="Size should be int or sequence"):
        transforms.Resize(3.5)
    with pytest.raises(ValueError, match="1 or 2 values"):
        transforms.Resize((1, 2, 3))
    with pytest.raises(ValueError, match="strictly greater"):
        transforms.Resize(8, max_size=8)(image)
    with pytest.raises(TypeError, match="pic should be PIL Image or ndarray"):
        transforms.ToTensor()(minicnn.zeros(3))
    with pytest.raises(TypeError, match="should be a float tensor"):
        transforms.Normalize([0.5], [0.5])(transforms.PILToTensor()(image))
    with pytest.raises(ValueError, match="std evaluated to zero"):
        transforms.Normalize([0.5], [0.0])(transforms.ToTensor()(image))
    with pytest.raises(ValueError, match="> 4 channels"):
        functional.to_pil_image(minicnn.zeros(5, 2, 2))
    with pytest.raises(TypeError, match="Unexpected type"):
        functional.crop("photo.jpg", 0, 0, 1, 1)
