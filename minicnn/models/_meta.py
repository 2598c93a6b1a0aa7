"""What a file of weights says about itself: architecture, class names, normalisation, input size, accuracy."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from minicnn.serialization import WeightsError


@dataclass(frozen=True)
class ModelMeta:
    """What must travel with the weights, so that a photograph can be prepared and a prediction be named.

    A pixel enters the network as `(value / 255 - mean) / std`, channel by channel, in the order of `channels_order`.
    """

    architecture: str
    """Name of the architecture, as `minicnn.models.get_model` takes it."""
    mean: tuple[float, ...]
    """Mean of the pixels / 255, one number for each input channel, as they enter: (R, G, B)."""
    std: tuple[float, ...]
    """Standard deviation of the pixels / 255, one number for each input channel."""
    input_size: tuple[int, int, int]
    """(C, H, W) of the training images; a network that ends in an adaptive average takes other H and W too."""
    categories: tuple[str, ...] = ()
    """Class names in the order of the outputs; empty if nobody stated them."""
    accuracy: float | None = None
    """Top-1 accuracy on the validation images as a fraction in [0, 1]; None if it was not measured."""
    note: str = ""
    """One line: what the network was trained on, what the accuracy was measured on."""
    resize_size: int | None = None
    """Pixels of the shorter side before (H, W) are cut from the middle; None: it just covers them."""
    interpolation: str = "bilinear"
    """How it is resized: "bilinear", "bicubic" or another of `transforms.InterpolationMode`."""
    channels_order: str = "rgb"
    """The order in which a photograph's channels enter: "rgb" or "bgr"; that of `mean` and `std`, too."""
    source: str = field(default="", compare=False)
    """Who says how images enter, for captions: "as torchvision states"; it is not written to files."""

    def to_metadata(self) -> dict[str, str]:
        """Strings only, which is what a `.safetensors` header holds: each value but a string as JSON."""
        entries = {name: value for name, value in asdict(self).items() if value is not None and name != "source"}
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in entries.items()}

    def updated(self, metadata: Mapping[str, str], file: str) -> "ModelMeta":
        """This, with everything that the metadata of `file` states in its place; unknown entries are passed over."""
        stated: dict[str, Any] = {}
        for name in asdict(self):
            if name not in metadata or name == "source":
                continue
            if name in ("architecture", "note", "interpolation", "channels_order"):
                stated[name] = metadata[name]
                continue
            try:
                value = json.loads(metadata[name])
            except json.JSONDecodeError as error:
                raise WeightsError(
                    f"{file}: the metadata entry {name!r} is not JSON: {metadata[name][:60]!r}"
                ) from error
            stated[name] = tuple(value) if isinstance(value, list) else value
        if {"mean", "std"} & stated.keys():
            stated["source"] = f"as {Path(file).name} states"
        return replace(self, **stated)


IMAGENET = ModelMeta(
    architecture="", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), input_size=(3, 224, 224), resize_size=256
)  # how torchvision's networks want their images
ASSUMED = "ImageNet's, assumed: nothing states others"  # a `source`
