"""Which units an atlas shows, by which recipe each is maximised, and what that will cost."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.atlas.survey import ModuleCall, Survey
from minicnn.nn import Module
from minicnn.viz import Unit
from minicnn.viz import image as images
from minicnn.viz.geometry import Axis
from minicnn.viz.network import class_names, entrance, input_channels, stated

MOST_PIXELS = 16 * 64 * 64  # of a batch that is maximised together: bounds the memory for any network


@dataclass(frozen=True)
class Recipe:
    """How the units of a layer are maximised: `viz.maximize`'s arguments, and what is cut out of its image.

    side: of the square image in pixels. rate: above `viz.maximize`'s default, since the steps are few. position: of
    the unit in its map. box: (top, left, bottom, right) of the image to keep, None for all of it.
    """

    side: int
    steps: int
    seed: int
    rate: float = 0.1
    position: str | None = None
    transforms: str = "standard"
    parametrization: str = "fourier"
    box: tuple[int, int, int, int] | None = None

    @property
    def shown(self) -> tuple[int, int]:
        """(height, width) of the picture that is kept."""
        top, left, bottom, right = self.box or (0, 0, self.side, self.side)
        return bottom - top, right - left

    @property
    def batch(self) -> int:
        """So many units are maximised together."""
        return int(np.clip(MOST_PIXELS // self.side**2, 1, 32))


@dataclass(frozen=True)
class Layer:
    """A layer of the atlas. units: those that are shown."""

    call: ModuleCall
    place: str
    units: tuple[int, ...]
    recipe: Recipe

    @property
    def name(self) -> str:
        """The module's dotted name, with the number of the call if there are several."""
        return self.call.name

    @property
    def has_maps(self) -> bool:
        """Whether it returns maps (N, C, H, W)."""
        return len(self.call.shape) == 4

    def target(self, unit: int) -> Unit:
        """What `viz.maximize` takes for it."""
        return Unit(self.name, unit, self.recipe.position)


class Plan:
    """The layers of an atlas and their recipes.

    Args:
        layers: names or patterns of modules, see `viz.capture`; by default the convolutions and the layer that returns the output.
        units: so many of each layer, the first ones; or {layer: units}; None: all.
        steps: of gradient ascent for each unit. seed: of its start and its random changes.
        size, mean, std: of the images; by default what `model.meta` states, else 224 pixels that enter as they are.

    The image that is maximised is as wide as what the unit sees, rounded up to 8 and at least 32, at most one and a half times
    the network's input; for an output that sees everything it is as large as the input. A unit of the first layer is linear
    in the pixels, and a whole map of it would ask for a flat colour: there one position is maximised, with a charge for the pixels'
    distance from grey (else it would ask for the extreme of each), and what it sees is shown.
    """

    def __init__(
        self,
        model: Module,
        layers: Iterable[str] | None = None,
        units: int | Mapping[str, Sequence[int]] | None = None,
        *,
        steps: int = 48,
        seed: int = 0,
        size: int | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
    ) -> None:
        if steps < 1:
            raise ValueError(f"at least 1 step, got {steps}")
        if not any(parameter.dim() == 4 for parameter in model.parameters()):
            raise ValueError(f"{type(model).__name__} has no convolution: an atlas is of a network that takes images")
        self.model, self.steps, self.seed = model, steps, seed
        self.side = size or images.input_size(model)
        self.channels = input_channels(model)
        self.statistics = images.statistics(model, mean, std, channels=self.channels)
        self.entrance = entrance(model, size, mean, std)
        self.survey = Survey(model, (1, self.channels, self.side, self.side))
        self._output = self.survey.weighted[-1]
        shape = self._output.shape
        self._classes = class_names(model, shape[1]) if len(shape) == 2 else ()
        self.layers = [self._layer(call, units) for call in self.survey.choose(layers)]
        names = [layer.name for layer in self.layers]
        if isinstance(units, Mapping) and (unknown := units.keys() - set(names)):
            raise KeyError(f"units of {', '.join(sorted(unknown))}: the atlas has {', '.join(names)}")

    @property
    def count(self) -> int:
        """The number of units."""
        return sum(len(layer.units) for layer in self.layers)

    def layer(self, name: str) -> Layer | None:
        """The layer of this name, None if the atlas does not show it."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def classes(self, name: str) -> tuple[str, ...]:
        """The names of a layer's units, if it is the output and the network knows them; whether the atlas shows it or not."""
        return self._classes if name == self._output.name else ()

    @property
    def classes_are_assumed(self) -> bool:
        """Whether nobody stated the names of the classes."""
        return bool(self._classes) and not stated(self.model, "categories")

    def label(self, name: str, unit: int) -> str:
        """How a unit is called: its class, else "layer:unit"."""
        classes = self.classes(name)
        return classes[unit].split(",")[0] if classes else f"{name}:{unit}"

    def _layer(self, call: ModuleCall, units: int | Mapping[str, Sequence[int]] | None) -> Layer:
        return Layer(call, self._place(call), _chosen(call, units), self._recipe(call))

    def _place(self, call: ModuleCall) -> str:
        """In words, which of its kind it is: "convolution 5 of 5"."""
        words = {"Conv2d": "convolution", "Linear": "linear layer"}
        if call.kind not in words:
            return call.kind
        alike = [other.name for other in self.survey.calls if other.kind == call.kind]
        place = alike.index(call.name) + 1
        return f"{words[call.kind]} {place} of {len(alike)}" + (", the last" if 1 < place == len(alike) else "")

    def _recipe(self, call: ModuleCall) -> Recipe:
        if len(call.shape) == 2 or call.field is None or call.field.everything:
            return Recipe(self.side, self.steps, self.seed)
        sees = math.ceil(max(call.field.y.size, call.field.x.size))
        if self.survey.is_first(call.name):
            side = 3 * sees
            middle = _middle(call.field.y, side)
            top, left, bottom, right = call.field.box(middle, middle)
            if min(top, left) >= 0 and max(bottom, right) <= side:
                return Recipe(
                    side, self.steps, self.seed, position="centre", transforms="none", parametrization="pixels",
                    box=(top, left, bottom, right),
                )  # fmt: skip
        side = min(math.ceil(sees / 8) * 8, self.side * 3 // 2)
        return Recipe(max(side, 32), self.steps, self.seed)


def _middle(axis: Axis, side: int) -> int:
    """The middle position of a first layer's map of an image of this side, as `viz.maximize` counts it."""
    outputs = (side - 2 * axis.start - axis.size) // axis.stride + 1  # padded alike on both ends
    return int(outputs // 2)


def _chosen(call: ModuleCall, units: int | Mapping[str, Sequence[int]] | None) -> tuple[int, ...]:
    count = call.shape[1]
    if isinstance(units, Mapping):
        wanted = units.get(call.name, range(count))
        chosen = tuple(sorted(set(wanted)))
        if not chosen or not 0 <= chosen[0] <= chosen[-1] < count:
            raise ValueError(f"units {list(wanted)}: {call.name} has {count}, counted from 0")
        return chosen
    if units is not None and units < 1:
        raise ValueError(f"at least 1 unit of each layer, got {units}")
    return tuple(range(count))[:units]
