"""torchvision's official weights: where they are, how images enter, what the outputs mean.

    AlexNet_Weights.DEFAULT.url, .transforms(), .meta["categories"]
    alexnet(weights="DEFAULT"), alexnet(weights=AlexNet_Weights.IMAGENET1K_V1)

Addresses, accuracies and class names are those of torchvision 0.29.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache, partial
from pathlib import Path
from typing import Any

from minicnn.hub import load_state_dict_from_url
from minicnn.transforms import ImageClassification

ADDRESS = "https://download.pytorch.org/models/"


@dataclass
class Weights:
    """One file of official weights.

    `transforms()` makes the preprocessing; `meta` has "categories" (1000 class names), "num_params", "min_size" (height,
    width) and "_metrics" (percent of right answers on ImageNet's validation images, first and among the first five).
    """

    url: str
    transforms: Callable[[], ImageClassification]
    meta: dict[str, Any]


class WeightsEnum(Enum):
    """The official weights of one model. A member has the attributes of its `Weights`."""

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """A member, of a member or its name, "DEFAULT" or "AlexNet_Weights.DEFAULT"; None stays None."""
        if obj is None or isinstance(obj, cls):
            return obj
        if not isinstance(obj, str):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received {type(obj).__name__}."
            )
        name = obj.removeprefix(f"{cls.__name__}.")
        if name not in cls.__members__:
            raise ValueError(f"{cls.__name__} has no {obj!r}: there are {', '.join(cls.__members__)}")
        return cls[name]

    def get_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The tensors, downloaded if they are not in the cache; arguments of `hub.load_state_dict_from_url`."""
        return load_state_dict_from_url(self.url, *args, **kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    __str__ = __repr__

    def __getattr__(self, name: str) -> Any:
        if name in {field.name for field in fields(Weights)}:
            return getattr(self.value, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


@cache
def imagenet_classes() -> list[str]:
    """The 1000 classes of ImageNet's challenge of 2012, in the order of the outputs."""
    return (Path(__file__).parent / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()


def imagenet(file: str, min_size: int, num_params: int, acc1: float, acc5: float, resize_size: int = 256) -> Weights:
    """Weights that were trained on ImageNet, for images of 224 x 224."""
    return Weights(
        url=f"{ADDRESS}{file}.pth",
        transforms=partial(ImageClassification, crop_size=224, resize_size=resize_size),
        meta={
            "categories": imagenet_classes(),
            "min_size": (min_size, min_size),
            "num_params": num_params,
            "_metrics": {"ImageNet-1K": {"acc@1": acc1, "acc@5": acc5}},
        },
    )
