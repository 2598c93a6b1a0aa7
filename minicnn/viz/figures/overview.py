"""One figure of a whole network: what it learned first, what it does with a photograph, what its units look for."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz.feature_maps import maps_of, rank_maps
from minicnn.viz.figures.plot import Figure, coloured, draw_rows
from minicnn.viz.filters import filter_tiles, weight_of
from minicnn.viz.network import outputs_of


def draw_overview(
    model: Module,
    photo: Any,
    maximized: Sequence[tuple[str, Any]],
    *,
    layers: Sequence[str],
    size: int = 224,
    across: int = 8,
    title: str = "Inside a network",
) -> Figure:
    """Rows of pictures from the first layer to the classes.

    The first convolution's filters; for each of `layers` the `across` maps of the photograph with the largest variance;
    and for each (caption, `Maximized`) a row of its images.

    Args:
        photo: whatever `load_image` takes, shown to the network at `size` pixels.
        layers: dotted names of modules that return maps.
    """
    x = images.preprocess(photo, model, size=size)
    outputs = outputs_of(model, layers, x)
    tiles = filter_tiles(weight_of(model))
    order = np.argsort(-weight_of(model).var(axis=(1, 2, 3)))
    rows: list[tuple[str, list[np.ndarray], list[str]]] = []
    for half, words in enumerate(("first-layer filters\n(0 is grey)", "")):
        chosen = order[half * across : (half + 1) * across]
        if len(chosen):
            rows.append((words, [tiles[i] for i in chosen], [f"filter {i}" for i in chosen]))
    for name in layers:
        maps = maps_of(outputs[name])
        chosen = rank_maps(maps, "variance")[:across]
        words = f"maps of the photograph\n{name}, {maps.shape[1]} × {maps.shape[2]}"
        rows.append((words, [coloured(maps[c], maps[c].min() < 0) for c in chosen], [f"channel {c}" for c in chosen]))
    rows += [(words, list(result.images[:across]), result.labels) for words, result in maximized]
    rule = (
        "Filters: each by itself, 0.5 + weight / 2m. Maps: each by itself to its largest magnitude, black is 0, or "
        "white where values are negative; those of the largest variance."
    )
    made = dict.fromkeys(result.ascent for _, result in maximized)
    rule += f" Images made by gradient ascent: {', '.join(made)}." if made else ""
    return draw_rows(rows, title, rule, inches=1.15)
