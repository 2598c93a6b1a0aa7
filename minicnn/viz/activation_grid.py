"""What a whole layer makes of a photograph: at each position the image that maximises what the layer answers there.

A map shows where a channel answers, and a maximised image what one channel looks for. This shows what all channels together say at
one place: their answers are a direction, and the ascent goes along it. Olah et al. 2018, "The building blocks of interpretability"
(distill.pub/2018/building-blocks); Carter et al. 2019, "Activation atlas".
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from minicnn import Tensor, tensor
from minicnn.nn import Module
from minicnn.viz import image as images_
from minicnn.viz.figures.activation_grid import draw_activation_grid
from minicnn.viz.figures.plot import Figure
from minicnn.viz.maximize import maximize
from minicnn.viz.network import described, dtype_of, input_channels, outputs_of
from minicnn.viz.objectives import Direction


@dataclass
class ActivationGrid:
    """What `activation_grid` returns, of a layer's map of C channels, of which h x w positions are shown.

    photo: uint8 (H, W, C) as the network saw it. vectors: float32 (h, w, C), the layer's answers at the positions.
    images: float32 (h, w, tile, tile, C) in [0, 1], one for each position; mid-grey where the layer answered nothing.
    strength: (h, w), the length of each vector. cosine: (h, w), between the vector and what the image gets, 1 for the same mixture of
    channels; NaN where there is no vector. control: as cosine, with the vector of another position, drawn at random.
    rows, columns: which of the map's rows and columns are shown. ascent: what `maximize` ran, in words.
    """

    layer: str
    photo: np.ndarray
    vectors: np.ndarray
    images: np.ndarray
    strength: np.ndarray
    cosine: np.ndarray
    control: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    ascent: str
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)

    def figure(self, title: str | None = None) -> Figure:
        """The photograph, the images in the places of their positions, and the same with the size of an image by its strength."""
        return draw_activation_grid(self, title)


def activation_grid(
    model: Module,
    layer: str,
    photo: Any,
    *,
    size: int | tuple[int, int] | None = None,
    tile: int | None = None,
    positions: int = 256,
    power: float = 2.0,
    steps: int = 64,
    rate: float = 0.1,
    batch: int = 64,
    transforms: Any = "standard",
    seed: int = 0,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    progress: bool = True,
) -> ActivationGrid:
    """At each position of a layer's map of a photograph: an image that gets the same mixture of channels.

    Args:
        layer: a dotted name of a module that returns maps (N, C, H, W), best one behind a ReLU; "relu#2" is the second call of one.
        photo: whatever `load_image` takes; it is resized and cut to `size`, by default what `model.meta` asks for, see `frame`.
        tile: pixels of each image's side; by default a third of the network's input size, at least 48.
        positions: at most so many; of a larger map every second, third, ... row and column is shown.
        power: of the cosine in the objective, see `Direction`; there each position's vector is divided by its length.
        batch: so many positions share one ascent. All start from the same image and are moved alike, so that neighbours look
            different only where the layer's answers are.
        steps, rate, transforms, seed, mean, std, progress: as in `maximize`.

    A position at which all channels are 0 gets a mid-grey image. ValueError if there is no other, or the layer returns no map.
    """
    tile = max(48, images_.input_size(model, 64) // 3) if tile is None else tile
    if min(tile, positions, batch) < 1:
        raise ValueError(f"tile, positions and batch are at least 1, got {tile}, {positions} and {batch}")
    started = time.perf_counter()
    channels = input_channels(model)
    stats = images_.statistics(model, mean, std, channels=channels)
    picture = images_.frame(photo, model, size)
    output = outputs_of(model, layer, images_.as_input(picture[None], model, stats))[layer]
    if not isinstance(output, Tensor) or output.dim() != 4:
        raise ValueError(f"{layer!r} returns {described(output)}: a grid needs a map (N, C, H, W)")
    maps = output.numpy()[0].transpose(1, 2, 0).astype(np.float32)
    stride = 1
    while math.prod(-(-side // stride) for side in maps.shape[:2]) > positions:
        stride += 1
    rows, columns = (np.arange((side - 1) % stride // 2, side, stride) for side in maps.shape[:2])
    vectors = maps[np.ix_(rows, columns)]
    strength = np.sqrt((vectors.astype(np.float64) ** 2).sum(2))
    places = np.argwhere(strength > 0)
    if not len(places):
        raise ValueError(f"{layer!r} answers 0 everywhere: there is no direction to go")
    images = np.full((*strength.shape, tile, tile, channels), 0.5, np.float32)
    cosine, control = np.full((2, *strength.shape), np.nan)
    others = places[np.random.default_rng(seed).permutation(len(places))]
    for start in tqdm(range(0, len(places), batch), desc=layer, unit="batch", delay=2, disable=not progress):
        some, other = (tuple(chosen[start : start + batch].T) for chosen in (places, others))
        made = maximize(
            model, Direction(layer, vectors[some], power=power), count=len(some[0]), steps=steps, rate=rate, size=tile,
            channels=channels, transforms=transforms, seed=seed, mean=mean, std=std, progress=False,
        )  # fmt: skip
        images[some] = made.images
        pixels = tensor(np.ascontiguousarray(made.images.transpose(0, 3, 1, 2)))
        answers = (
            outputs_of(model, layer, images_.normalize(pixels, stats, dtype_of(model)))[layer].numpy().mean((2, 3))
        )
        cosine[some], control[some] = _cosines(answers, vectors[some]), _cosines(answers, vectors[other])
    settings = {**made.settings, "power": power, "stride": stride}
    words = f"{made.ascent}; {made.conditions}; seed {seed}"
    return ActivationGrid(
        layer, picture, vectors, images, strength, cosine, control, rows, columns, words, time.perf_counter() - started, settings
    )  # fmt: skip


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) cosines of the rows of two (N, C); 0 where one of them is zero."""
    lengths = np.sqrt((a * a).sum(1) * (b * b).sum(1))
    return (a * b).sum(1) / np.where(lengths > 0, lengths, 1)
