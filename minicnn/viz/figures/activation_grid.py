"""The figure of an `ActivationGrid`: the photograph, and the images in the places of their positions."""

from typing import Any

import numpy as np

from minicnn.viz.figures.plot import Figure, axes, new_figure
from minicnn.viz.tiles import as_rgb, mosaic

SMALLEST = 0.3  # side of the weakest image, where the strongest has 1


def draw_activation_grid(result: Any, title: str | None = None) -> Figure:
    """The photograph; the images side by side; and the same with each image's side by the strength of the answer there."""
    h, w = result.images.shape[:2]
    side = 4.3
    high = side * h / w
    rule = (
        f"Each image maximises the mixture of {result.vectors.shape[2]} channels that the layer answers at that place of the "
        f"photograph ({h} × {w} places). Right: the same, the side of an image grows with the length of the answer, from "
        f"{SMALLEST:g} to 1 for {np.nanmin(result.strength):.3g} to {result.strength.max():.3g}. {result.ascent}. The images get that "
        f"mixture with a cosine of {np.nanmedian(result.cosine):.2f} (median); that of another place: {np.nanmedian(result.control):.2f}."
    )
    figure = new_figure(3 * side + 0.7, high + 0.4, title or f"What {result.layer} sees in a photograph", rule)
    photo = as_rgb(result.photo / 255)
    tiles = np.stack([as_rgb(image) for image in result.images.reshape(h * w, *result.images.shape[2:])])
    whole = mosaic(tiles, w)
    for i, (picture, words) in enumerate(((photo, "the photograph"), (whole, "all answers alike"))):
        ax = axes(figure, 0.15 + i * (side + 0.2), 0.1, side, high)
        ax.imshow(np.nan_to_num(picture, nan=1.0), interpolation="bilinear" if i == 0 else "nearest")
        ax.set_title(words, fontsize=9, pad=3)
    ax = axes(figure, 0.15 + 2 * (side + 0.2), 0.1, side, high)
    low, top = result.strength.min(), result.strength.max()
    shares = SMALLEST + (1 - SMALLEST) * (result.strength - low) / ((top - low) or 1.0)
    for (row, column), share in np.ndenumerate(shares):
        x, y, half = column + 0.5, row + 0.5, share / 2
        ax.imshow(tiles[row * w + column], extent=(x - half, x + half, y + half, y - half), interpolation="bilinear")
    ax.set(xlim=(0, w), ylim=(h, 0), aspect="equal")
    ax.set_title("strong answers larger", fontsize=9, pad=3)
    return figure
