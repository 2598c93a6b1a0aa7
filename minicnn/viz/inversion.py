"""Inversion of a representation: an image to which a layer answers as it answers to a photograph.

What the inversion shows the layer has kept; what it gets wrong the layer has thrown away, or holds in a form that gradient ascent cannot
find. Mahendran and Vedaldi 2015, "Understanding deep image representations by inverting them"; for networks that were trained
against an adversary Engstrom et al. 2019, "Adversarial robustness as a prior for learned representations".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, stack
from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz.figures.plot import Figure, draw_rows
from minicnn.viz.maximize import Maximized, maximize
from minicnn.viz.network import described, find_module, input_channels, outputs_of, part_hint
from minicnn.viz.parts import TotalVariation

SMOOTH = (TotalVariation(0.1),)  # the prior of Mahendran and Vedaldi: of the images that match as well, a smooth one


class Match:
    """The objective of an inversion: minus the squared distance of what `layers[i]` makes of image i from `wanted[layers[i]]`,
    divided by the latter's squared length: 0 is a perfect match, -1 is what an answer of nothing but zeros has."""

    def __init__(self, wanted: Mapping[str, Tensor]) -> None:
        self.wanted, self.layers = dict(wanted), tuple(wanted)
        self.lengths = {layer: (output * output).sum().item() for layer, output in self.wanted.items()}
        silent = [layer for layer, length in self.lengths.items() if length == 0]
        if silent:
            raise ValueError(f"{', '.join(silent)}: all zeros for this photograph, there is nothing to match")

    def __call__(self, maps: Mapping[str, Tensor]) -> Tensor:
        scores = []
        for i, layer in enumerate(self.layers):
            apart = maps[layer][i] - self.wanted[layer][0]
            scores.append(-(apart * apart).sum() / self.lengths[layer])
        return stack(scores)


@dataclass
class Inverted:
    """What `invert` returns. photo: float32 (H, W, C) in [0, 1], with the channels of the network. layers: the layer that image i
    was made to match. result: the `Maximized` whose images these are; its activations are minus the errors."""

    photo: np.ndarray
    layers: list[str]
    result: Maximized

    @property
    def images(self) -> np.ndarray:
        """float32 (N, H, W, C), pixels in [0, 1]: image i for `layers[i]`."""
        return self.result.images

    @property
    def errors(self) -> np.ndarray:
        """(N,) squared distance of the layer's answers to the image from those to the photograph, divided by the squared length of
        the latter: 0 is a perfect match."""
        return -self.result.activation_end

    @property
    def distances(self) -> np.ndarray:
        """(N,) root mean square distance of the pixels of each image from those of the photograph, in [0, 1]."""
        return np.sqrt(((self.images - self.photo) ** 2).mean((1, 2, 3)))

    def row(self) -> tuple[list[np.ndarray], list[str]]:
        """The photograph and the images, and a label for each, as `plot.draw_rows` takes them."""
        labels = [
            f"{layer}\n{before:.2g} → {after:.2g}"
            for layer, before, after in zip(self.layers, -self.result.activation_start, self.errors, strict=True)
        ]
        return [self.photo, *self.images], ["the photograph\n", *labels]

    def figure(self) -> Figure:
        """The photograph, and for each layer the image that the layer takes for it, with the error before and after."""
        rule = (
            f"Above each image: the layer, and the squared distance of its answers from those to the photograph, as a share of their "
            f"squared length, before → after {self.result.recipe}."
        )
        return draw_rows([("", *self.row())], "What a layer knows of a photograph", rule)


def invert(
    model: Module,
    photo: Any,
    layers: str | Sequence[str],
    *,
    size: int | tuple[int, int] | None = None,
    steps: int = 256,
    transforms: Any = "none",
    penalties: Iterable[Any] = SMOOTH,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    **parts: Any,
) -> Inverted:
    """From noise, an image for each layer that the layer can hardly tell from the photograph.

    Args:
        photo: whatever `load_image` takes; cut to `size`, by default the network's input size.
        layers: dotted names of modules that return tensors; '' is the model's output. One image for each.
        parts, steps, transforms, penalties, mean, std: as in `maximize`. No random changes by default: the answers must match
            place by place. By default a little total variation is charged for.
    """
    layers = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
    for layer in layers:
        find_module(model, layer)
    channels = input_channels(model)
    size = size or images.input_size(model, 64)
    picture = images.to_channels(images.fit(images.load_image(photo, channels), size), channels)
    x = images.preprocess(picture, model, size=picture.shape[:2], mean=mean, std=std)
    maps = outputs_of(model, layers, x)
    match = Match({layer: _tensor(layer, maps[layer]) for layer in layers})
    result = maximize(
        model, match, count=len(layers), steps=steps, size=picture.shape[:2], channels=channels, transforms=transforms,
        penalties=penalties, mean=mean, std=std, **parts,
    )  # fmt: skip
    result.labels = [layer or "the output" for layer in layers]
    return Inverted(picture.astype(np.float32) / 255, result.labels, result)


def _tensor(layer: str, output: Any) -> Tensor:
    if not isinstance(output, Tensor):
        hint = "" if layer else part_hint(output)
        raise ValueError(f"{layer or 'the network'!r} returns {described(output)}: an inversion needs a tensor{hint}")
    return output
