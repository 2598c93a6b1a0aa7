"""What `maximize` makes large: a channel's map, one neuron of it, a class logit, or any function of the maps.

An objective names the layers whose outputs it reads and turns them into one score for each image of the batch:

    objective.layers            # dotted names
    objective(maps) -> (N,)     # maps: {layer: Tensor (N, C, H, W) or (N, C)} of this step, with the graph attached
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, cat, tensor
from minicnn.inspect.names import near
from minicnn.nn import Module
from minicnn.nn import functional as F
from minicnn.viz.network import class_names, described, part_hint

LEAK = 0.01  # slope of a channel's score for positions below zero, see `score_channel`


@dataclass(frozen=True)
class Unit:
    """One unit: a channel of a map (N, C, H, W), one position (y, x) of it, or one feature of an output (N, C).

    `layer` is a dotted name, "relu#2" the second call of a module, '' the model's own output; `position` None is the whole
    map, "centre" its middle.
    """

    layer: str
    channel: int
    position: tuple[int, int] | str | None = None
    name: str | None = None  # what the picture is labelled with

    def __post_init__(self) -> None:
        if isinstance(self.position, str) and self.position not in ("centre", "center"):
            raise ValueError(f"a position is (y, x) or 'centre', got {self.position!r}")

    def __str__(self) -> str:
        unit = self.name or f"{self.layer or 'output'}:{self.channel}"
        if self.name or self.position is None:
            return unit
        return f"{unit}@{self.position if isinstance(self.position, str) else '{},{}'.format(*self.position)}"


def logit(model: Module, category: int | str) -> Unit:
    """The class logit of this index or name: unit `category` of the model's output (N, classes).

    A name is looked up in `model.meta.categories`: equal to a category or one of its synonyms (which a comma separates),
    else the one category that contains it; ValueError with the near names otherwise. See `network.class_names`.
    """
    names = list(class_names(model))
    if isinstance(category, str) and category.isdigit():
        category = int(category)
    if isinstance(category, str):
        category = _find_category(category, names)
    label = names[category].split(",")[0] if 0 <= category < len(names) else f"logit {category}"
    return Unit("", category, name=label)


def parse(model: Module, target: str) -> Unit:
    """A target string: "layer:channel", "layer:channel@y,x", "layer:channel@centre" or "logit:name or index"."""
    layer, _, rest = target.partition(":")
    if layer == "logit" and rest and layer not in dict(model.named_modules(remove_duplicate=False)):
        return logit(model, rest.strip())
    match = re.fullmatch(r"(.*):\s*(\d+)\s*(?:@\s*(centre|center|\d+\s*,\s*\d+)\s*)?", target)
    if not match:
        raise ValueError(
            f"cannot read the target {target!r}: write 'layer:channel', 'layer:channel@y,x', 'layer:channel@centre' "
            f"or 'logit:name', for instance 'features.0:12'"
        )
    layer, channel, position = match.groups()
    if position and "," in position:
        y, x = position.split(",")
        return Unit(layer, int(channel), (int(y), int(x)))
    return Unit(layer, int(channel), position)


class Units:
    """The objective of a list of units: image i of the batch is scored by unit i."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = list(units)
        self.layers = tuple(dict.fromkeys(unit.layer for unit in units))

    def __call__(self, maps: Mapping[str, Tensor]) -> Tensor:
        groups: dict[tuple[str, bool], list[int]] = {}
        for i, unit in enumerate(self.units):
            groups.setdefault((unit.layer, unit.position is None), []).append(i)
        scores = [self._score(maps[layer], rows) for (layer, _), rows in groups.items()]
        return scores[0] if len(scores) == 1 else cat(scores)[np.argsort(np.concatenate(list(groups.values())))]

    def _score(self, output: Tensor, rows: list[int]) -> Tensor:
        """Scores (len(rows),) of the images `rows` from one layer's output, by one gather for all of them."""
        _need_maps(output, self.units[rows[0]].layer)
        places = [(i, self.units[i].channel, *_place(self.units[i], output)) for i in rows]
        sizes, cell = output.shape[: len(places[0])], output.shape[len(places[0]) :]  # a cell: a map, or one number
        flat = np.ravel_multi_index(np.array(places).T, sizes)
        picked = output.reshape(math.prod(sizes), *cell).index_select(0, tensor(flat))
        return score_channel(picked) if cell else picked


def score_channel(maps: Tensor) -> Tensor:
    """The score of a channel: the mean over its map's positions of a where a > 0, and of LEAK * a elsewhere.

    Not the plain mean: before a ReLU that is a linear function of a first layer's input, which depends on nothing but the
    image's mean colour and its borders, so that the picture stays flat. Not the mean of the positive part alone: where
    the whole map starts below zero it has no gradient. (N, H, W) -> (N,)
    """
    return F.leaky_relu(maps, LEAK).mean((1, 2))


class Direction:
    """The objective of directions in a layer's channels: image i is scored by how far what it gets lies along vectors[i] (C,).

    Each vector v is divided by its length, so that the ascents of a weak and of a strong answer are alike. With a the answer (C,)
    of the image at one place, the score is (a . v) * max(cos(a, v), 0.1) ** power: the product alone is raised most cheaply by
    the strongest channel, the cosine asks that the others keep their shares. Without a position: the mean over the map.
    Carter et al. 2019, "Activation atlas" (distill.pub/2019/activation-atlas).
    """

    def __init__(
        self, layer: str, vectors: np.ndarray, position: tuple[int, int] | str | None = None, power: float = 2.0
    ) -> None:
        rows = np.atleast_2d(np.asarray(vectors, np.float64))
        lengths = np.sqrt((rows * rows).sum(1, keepdims=True))
        if rows.ndim != 2 or not (np.isfinite(rows).all() and (lengths > 0).all()):
            raise ValueError(f"directions are (N, C), finite, and none is zero; got {np.shape(vectors)}")
        self.layers, self.position, self.power = (layer,), position, power
        self.directions = (rows / lengths).astype(np.float32)
        self.__name__ = layer

    def __call__(self, maps: Mapping[str, Tensor]) -> Tensor:
        output = maps[self.layers[0]]
        count, channels = self.directions.shape
        if not isinstance(output, Tensor) or output.dim() not in (2, 4) or tuple(output.shape[:2]) != (count, channels):
            raise ValueError(
                f"{self.layers[0] or 'the network'!r} returns {described(output)}: {count} directions of {channels} channels need "
                f"({count}, {channels}, H, W) or ({count}, {channels})"
            )
        if output.dim() == 4 and self.position is not None:
            y, x = _place(Unit(self.layers[0], 0, self.position), output)
            output = output[:, :, y, x]
        v = tensor(self.directions, dtype=output.dtype).reshape(count, channels, *(1,) * (output.dim() - 2))
        along = (output * v).sum(1)
        cosines = along / ((output * output).sum(1) + 1e-12).sqrt()
        score = along * cosines.clamp(min=0.1) ** self.power
        return score.mean((1, 2)) if score.dim() == 3 else score


class Function:
    """The objective of a user's function: `function(maps)` returns a score for each image (N,), or one number for all."""

    def __init__(self, function: Callable[[Mapping[str, Tensor]], Tensor], layers: Iterable[str]) -> None:
        self.function, self.layers = function, tuple(layers)

    def __call__(self, maps: Mapping[str, Tensor]) -> Tensor:
        return self.function(maps)


def objective(model: Module, targets: Any, layers: Iterable[str] | None, count: int = 1) -> tuple[Any, list[str]]:
    """(objective, a label for each image) from what a caller of `maximize` wrote as `targets`; `count`: of a function's images."""
    if callable(targets):
        layers = getattr(targets, "layers", None) if layers is None else [layers] if isinstance(layers, str) else layers
        if not layers:
            raise ValueError("a function as objective needs layers=[...]: the modules whose outputs it is given")
        name = getattr(targets, "__name__", type(targets).__name__)
        return Function(targets, layers), [name] if count == 1 else [f"{name} {i}" for i in range(count)]
    listed = [targets] if isinstance(targets, str | Unit) else list(targets)
    if not listed:
        raise ValueError("no targets")
    units = [parse(model, target) if isinstance(target, str) else target for target in listed]
    for unit in units:
        if not isinstance(unit, Unit):
            raise TypeError(f"a target is a string, a Unit or a function of the maps, not {type(unit).__name__}")
    return Units(units), [str(unit) for unit in units]


def _need_maps(output: Any, layer: str) -> None:
    """ValueError unless the layer gave maps or features."""
    if not isinstance(output, Tensor) or output.dim() not in (2, 4):
        hint = "" if layer else part_hint(output)
        raise ValueError(
            f"{layer or 'the network'!r} returns {described(output)}: a unit needs a map (N, C, H, W) or features (N, C); "
            f"use a function{hint}"
        )


def _place(unit: Unit, output: Tensor) -> tuple[int, ...]:
    """(y, x) in the layer's output, or nothing for a whole map or a feature. ValueError or IndexError if it has no such unit."""
    if not 0 <= unit.channel < output.shape[1]:
        raise IndexError(f"{unit}: {unit.layer or 'the output'!r} has {output.shape[1]} channels")
    if unit.position is None:
        return ()
    if output.dim() == 2:
        raise ValueError(f"{unit}: {unit.layer!r} returns features (N, C), which have no position")
    height, width = output.shape[2:]
    y, x = (height // 2, width // 2) if isinstance(unit.position, str) else unit.position
    if not (0 <= y < height and 0 <= x < width):
        raise IndexError(f"{unit}: the map of {unit.layer!r} is {height} x {width}")
    return y, x


def _find_category(name: str, names: list[str]) -> int:
    wanted = name.strip().lower()
    synonyms = [[part.strip().lower() for part in label.split(",")] for label in names]
    equal = [i for i, parts in enumerate(synonyms) if wanted in parts or wanted == names[i].lower()]
    found = equal or [i for i, label in enumerate(names) if wanted in label.lower()]
    if len(found) == 1:
        return found[0]
    if not names:
        raise ValueError(f"cannot look up the class {name!r}: model.meta has no categories; give its index")
    if found:
        raise ValueError(f"the class {name!r} is not unique: {'; '.join(names[i] for i in found[:8])}")
    raise ValueError(f"no class {name!r}. {near(name, [part.strip() for label in names for part in label.split(',')])}")
