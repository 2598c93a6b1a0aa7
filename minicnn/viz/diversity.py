"""Several different images for one unit: one picture shows one thing that excites it, and it may answer to more than one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import tensor, zeros
from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz.figures.maximize import rise_labels
from minicnn.viz.figures.plot import Figure, draw_rows
from minicnn.viz.maximize import Maximized, maximize
from minicnn.viz.network import capture, convolutions, dtype_of, find_module, has_positions, input_channels, outputs_of
from minicnn.viz.objectives import Unit, parse
from minicnn.viz.parts import Diversity, gram_directions


@dataclass
class Diverse:
    """What `diverse` returns: N images of one unit without the diversity term (`plain`) and with it (`diverse`).

    plain_similarity, diverse_similarity: how alike the images of a row are on the average, 0 to 1: see `similarity`.
    layer: where that is measured. strength: weight of the term.
    """

    plain: Maximized
    diverse: Maximized
    plain_similarity: float
    diverse_similarity: float
    layer: str
    strength: float

    def figure(self) -> Figure:
        """Two rows of images: from different noise alone, and with the diversity term."""
        captions = (
            f"from other noise\nalike: {self.plain_similarity:.2f}",
            f"with diversity\nalike: {self.diverse_similarity:.2f}",
        )
        rows = [
            (caption, result.images, rise_labels(result))
            for caption, result in zip(captions, (self.plain, self.diverse), strict=True)
        ]
        rule = (
            "Above each image: the activation of the clean image before → after. Alike: the mean cosine between the Gram "
            f"matrices of {self.layer} for two images of a row (1: the same texture). {self.plain.recipe}; the second row also "
            f"charged for {self.strength:.3g} × that."
        )
        return draw_rows(rows, f"Several images for {self.plain.labels[0]}", rule)


def diverse(
    model: Module,
    unit: str | Unit,
    count: int = 4,
    *,
    strength: float = 1.0,
    layer: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    **parts: Any,
) -> Diverse:
    """`count` images that maximise one unit and differ from one another, beside as many that only start from other noise.

    Args:
        unit: as in `maximize`. count: at least 2.
        strength: weight of the `Diversity` term, as a share of an image's score.
        layer: where the images are compared; by default the unit's own layer if that returns maps, else the last convolution
            that is called before it.
        parts: everything else that `maximize` takes.
    """
    if count < 2:
        raise ValueError(f"diversity needs at least two images, got count={count}")
    unit = parse(model, unit) if isinstance(unit, str) else unit
    layer = layer or _layer_of(model, unit, parts.get("size"))
    find_module(model, layer)
    parts |= {"mean": mean, "std": std}
    penalties = list(parts.pop("penalties", ()))
    plain = maximize(model, [unit] * count, penalties=penalties, **parts)
    apart = maximize(model, [unit] * count, penalties=[*penalties, Diversity(layer, strength)], **parts)
    before, after = (
        _off_diagonal(similarity(model, each.images, layer, mean=mean, std=std)) for each in (plain, apart)
    )
    return Diverse(plain, apart, before, after, layer, strength)


def similarity(
    model: Module,
    pictures: np.ndarray,
    layer: str,
    *,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
) -> np.ndarray:
    """How alike pictures (N, H, W, C) in [0, 1] are to a layer: (N, N) cosines of the Gram matrices of its maps after a ReLU."""
    x = tensor(np.ascontiguousarray(np.asarray(pictures, np.float32).transpose(0, 3, 1, 2)))
    stats = images.statistics(model, mean, std, channels=x.shape[1])
    gram = gram_directions(outputs_of(model, layer, images.normalize(x, stats, dtype_of(model)))[layer])
    return (gram @ gram.transpose(0, 1)).numpy()


def _off_diagonal(matrix: np.ndarray) -> float:
    return float(matrix[~np.eye(len(matrix), dtype=bool)].mean())


def _layer_of(model: Module, unit: Unit, size: int | tuple[int, int] | None) -> str:
    """The unit's own layer if that returns maps, else the last convolution that was called before it."""
    side = images.input_size(model, 64) if size is None else size
    shape = (side, side) if isinstance(side, int) else side
    with capture(model, [f"{name}#*" for name in convolutions(model)]) as before:
        own = outputs_of(model, unit.layer, zeros(1, input_channels(model), *shape, dtype=dtype_of(model)))
    if has_positions(own[unit.layer]):
        return unit.layer
    if not before:
        raise ValueError(f"no convolution before {unit}: name the layer= where the images are compared")
    return list(before)[-1]
