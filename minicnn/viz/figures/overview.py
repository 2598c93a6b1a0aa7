"""One figure of a whole network: what it learned first, what it does with a photograph, what its units look for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import no_grad
from minicnn.nn import Module
from minicnn.viz import image as images
from minicnn.viz._modules import frozen, run
from minicnn.viz.capture import capture
from minicnn.viz.feature_maps import maps_of, rank_maps
from minicnn.viz.figures.plot import SEQUENTIAL, axes, new_figure
from minicnn.viz.filters import filter_tiles, weight_of
from minicnn.viz.tiles import as_rgb, limits_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_overview(
    model: Module,
    photo: Any,
    maximized: Sequence[tuple[str, Any]],
    *,
    layers: Sequence[str],
    size: int = 224,
    across: int = 8,
    title: str = "Inside a network",
) -> "Figure":
    """Rows of pictures from the first layer to the classes.

    The first convolution's filters; for each of `layers` the `across` maps of the photograph with the largest variance;
    and for each (caption, `Maximized`) a row of its images.

    Args:
        photo: whatever `load_image` takes, shown to the network at `size` pixels.
        layers: dotted names of modules that return maps.
    """
    x = images.preprocess(photo, model, size=size)
    with frozen(model), no_grad(), capture(model, layers) as captured:
        run(model, x)
    tiles = filter_tiles(weight_of(model))
    order = np.argsort(-weight_of(model).var(axis=(1, 2, 3)))
    rows: list[tuple[str, list[np.ndarray], list[str]]] = []  # caption, pictures, a label above each
    for half in range(2):
        chosen = order[half * across : (half + 1) * across]
        caption = "first-layer filters\n(0 is grey)" if half == 0 else ""
        rows.append((caption, [as_rgb(tiles[i]) for i in chosen], [f"filter {i}" for i in chosen]))
    for name in layers:
        maps = maps_of(captured[name])
        chosen = rank_maps(maps, "variance")[:across]
        caption = f"maps of the photograph\n{name}, {maps.shape[1]} × {maps.shape[2]}"
        rows.append((caption, [maps[c] for c in chosen], [f"channel {c}" for c in chosen]))
    rows += [(caption, [as_rgb(image) for image in result.images], result.labels) for caption, result in maximized]

    inch, gap, left = 1.15, 0.22, 1.75
    height = len(rows) * (inch + gap)
    rule = (
        "Filters: each by itself, 0.5 + weight / 2m. Maps: each by itself, black is 0, the brightest its largest value; those of "
        "the largest variance."
    )
    made = dict.fromkeys(result.ascent for _, result in maximized)
    rule += f" Images made by gradient ascent: {', '.join(made)}." if made else ""
    figure, _ = new_figure(left + across * (inch + 0.07), height + 0.2, title, rule)
    for r, (caption, pictures, labels) in enumerate(rows):
        bottom = 0.1 + height - (r + 1) * (inch + gap)
        label = axes(figure, 0.12, bottom, left - 0.25, inch)
        label.text(0, 0.5, caption, fontsize=8.5, va="center", ha="left")
        for c, tile in enumerate(pictures[:across]):
            ax = axes(figure, left + c * (inch + 0.07), bottom, inch, inch)
            ax.set_title(labels[c], fontsize=7, pad=2)
            if tile.ndim == 3:
                ax.imshow(tile, interpolation="nearest" if tile.shape[0] < 32 else "bilinear")
            else:
                low, high = limits_of(tile)
                ax.imshow(tile, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="nearest")
    return figure
