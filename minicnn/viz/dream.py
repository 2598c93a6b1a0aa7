"""DeepDream: a photograph changed so that a layer answers more strongly to what it already finds there.

Mordvintsev, Olah, Tyka 2015, "Inceptionism: going deeper into neural networks", and the notebook that they published with it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from minicnn import Tensor, no_grad, optim, tensor
from minicnn.nn import Module
from minicnn.nn import functional as F
from minicnn.viz import image as images
from minicnn.viz.figures.plot import Figure, draw_rows
from minicnn.viz.maximize import Maximized, activation, maximize
from minicnn.viz.network import find_module, input_channels
from minicnn.viz.objectives import Unit
from minicnn.viz.parts import TRANSFORMS, Pixels, named


class Energy:
    """The objective of a whole layer: the mean square of what it returns after a ReLU, (N,). What answers most counts most."""

    def __init__(self, layer: str) -> None:
        self.layers = (layer,)
        self.__name__ = layer

    def __call__(self, maps: Mapping[str, Tensor]) -> Tensor:
        answers = F.relu(maps[self.layers[0]]).reshape(maps[self.layers[0]].shape[0], -1)
        return (answers * answers).mean(1)


class NormalizedAscent(optim.SGD):
    """SGD whose gradient is first divided, image by image, by its mean magnitude: a step moves a pixel by `lr` on the average."""

    name = "ascent with a normalised gradient"

    def _update(self, param: np.ndarray, grad: np.ndarray, state: dict[str, Any], group: dict[str, Any]) -> None:
        axes = tuple(range(1, grad.ndim))
        super()._update(param, grad / (np.abs(grad).mean(axis=axes, keepdims=True) + 1e-12), state, group)


@dataclass
class Dream:
    """What `dream` returns. photo, image: float32 (H, W, C) in [0, 1], with the channels of the network. activation_start,
    activation_end: the objective on the photograph and on the dream at full size. octaves: the `Maximized` of each size, from the
    smallest."""

    photo: np.ndarray
    image: np.ndarray
    label: str
    activation_start: float
    activation_end: float
    octaves: list[Maximized]

    @property
    def seconds(self) -> float:
        return sum(octave.seconds for octave in self.octaves)

    def figure(self) -> Figure:
        """The photograph and the dream, each with its activation."""
        labels = [f"the photograph: {self.activation_start:.3g}", f"the dream: {self.activation_end:.3g}"]
        sizes = ", ".join(f"{octave.images.shape[1]} × {octave.images.shape[2]}" for octave in self.octaves)
        first, last = self.octaves[0], self.octaves[-1]
        seeds = f"seed {first.seed}" + (f" to {last.seed}" if last is not first else "")
        rule = f"Above each picture: its activation. {first.ascent} at each of {sizes} pixels; {first.conditions}; {seeds}."
        return draw_rows([("", [self.photo, self.image], labels)], f"DeepDream of {self.label}", rule, inches=3.6)


def dream(
    model: Module,
    photo: Any,
    target: str | Unit,
    *,
    size: int | tuple[int, int] | None = None,
    octaves: int = 4,
    octave_scale: float = 1.4,
    steps: int = 10,
    rate: float = 0.01,
    transforms: Any = "roll",
    penalties: Iterable[Any] = (),
    seed: int = 0,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    progress: bool = True,
) -> Dream:
    """Gradient ascent from a photograph, at several sizes: what a small size adds is enlarged and refined at the next.

    Args:
        photo: whatever `load_image` takes.
        target: a layer's dotted name: its `Energy`, the mean square of its answers; or a unit as in `maximize`.
        size: of the result; default: the photograph's own.
        octaves, octave_scale: so many sizes, each so many times larger than the one before.
        steps: of each octave; each moves a pixel by `rate` (pixels in [0, 1]) on the average, see `NormalizedAscent`.
        transforms, penalties, seed, mean, std, progress: as in `maximize`.
    """
    if octaves < 1 or octave_scale <= 1:
        raise ValueError(f"octaves must be at least 1 and octave_scale above 1, got {octaves} and {octave_scale}")
    channels = input_channels(model)
    whole = images.to_channels(images.fit(images.load_image(photo, channels), size), channels)
    objective: Any = target
    if isinstance(target, str) and ":" not in target:
        find_module(model, target)
        objective = Energy(target)
    targets = objective if callable(objective) else [objective]
    detail = np.zeros((1, 1, channels), np.float32)
    results = []
    for octave in tqdm(range(octaves), desc=f"dream of {target}", unit="octave", delay=2, disable=not progress):
        shrunk = octave_scale ** (octaves - 1 - octave)
        height, width = (max(1, round(side / shrunk)) for side in whole.shape[:2])
        base = images.fit(whole, (height, width)).astype(np.float32) / 255
        start = (base + _enlarge(detail, (height, width))).clip(0, 1)
        result = maximize(
            model, targets, steps=steps, size=(height, width), channels=channels, seed=seed + octave, mean=mean, std=std,
            parametrization=Pixels(noise=0, initial=start), transforms=named(transforms, TRANSFORMS), penalties=penalties,
            optimizer=lambda parameters: NormalizedAscent(parameters, lr=rate), rate=rate, progress=False,
        )  # fmt: skip
        detail = result.images[0] - base
        results.append(result)
    first, last = (
        float(activation(model, targets, picture[None], mean=mean, std=std)[0]) for picture in (base, result.images[0])
    )
    return Dream(base, result.images[0], result.labels[0], first, last, results)


def _enlarge(detail: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h, w, C) -> (height, width, C), bilinear."""
    with no_grad():
        x = tensor(np.ascontiguousarray(detail.transpose(2, 0, 1)[None]))
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False).numpy()[0].transpose(1, 2, 0)
