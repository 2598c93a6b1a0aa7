"""The figure of `Adversarial`s: a photograph, its change made visible, and how the change goes through the layers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.viz.figures.plot import (
    SEQUENTIAL,
    Figure,
    axes,
    caption,
    colour_bar,
    fitting,
    name_places,
    new_figure,
    panel,
)
from minicnn.viz.tiles import as_rgb

COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
NAMED = 40  # layers whose names there is room for
SHOWN = 5  # layers of which the places are drawn


def draw_adversarial(results: Mapping[str, Any], title: str | None = None) -> Figure:
    """A row for each of {caption: Adversarial}: the photograph, the change, the changed photograph, and where the answers of some layers
    change; below all of them the relative change of every layer, and that of noise as strong.

    At most four results. The layers of the first result name the curves' points; the others must have the same.
    """
    if not 1 <= len(results) <= len(COLOURS):
        raise ValueError(f"1 to {len(COLOURS)} results, got {len(results)}")
    first = next(iter(results.values()))
    names = list(first.layers)
    if any(list(result.layers) != names for result in results.values()):
        raise ValueError("the results are of networks with other layers: draw them one by one")
    placed = [name for name in names if first.layers[name].where is not None]
    placed = [
        placed[i] for i in np.unique(np.linspace(0, len(placed) - 1, min(SHOWN, len(placed))).round().astype(int))
    ]
    side, gap, head = 1.5, 0.1, 0.42
    left = 0.15 + (1.0 if any(results) else 0)
    columns = 4 + len(placed)
    below = 0.3 + 0.045 * max(map(len, names))  # for the names, which stand aslant
    curve, width = below + 2.05, left + columns * (side + gap) + 0.75
    rule = (
        f"No pixel changes by more than {first.epsilon} of 255; the change is drawn about mid-grey, {_gain(first)} times as strong. The "
        "control changes every pixel as much, up or down at random. Maps: how much a layer's answers change at each place, in units of "
        "their own root mean square (one scale for all). Curves: |a' - a| / |a| of each layer, dotted: for the control."
    )
    figure = new_figure(
        width, len(results) * (side + head) + curve, title or "A photograph changed against the network", rule
    )
    top = max((result.layers[name].where.max() for result in results.values() for name in placed), default=1.0)
    image = None
    for row, (words, result) in enumerate(results.items()):
        bottom = curve + (len(results) - 1 - row) * (side + head)
        if words:
            caption(figure, 0.12, bottom, side, words, color=COLOURS[row], fontweight="bold")
        change = 0.5 + _gain(first) * (result.picture.astype(int) - result.photo) / 255
        pictures = [
            (result.photo / 255, "the photograph", result.before),
            (change.clip(0, 1), "the change", None),
            (result.picture / 255, "changed", result.after),
            (result.noisy / 255, "control: noise", result.control),
        ]
        for column, (picture, name, probabilities) in enumerate(pictures):
            ax = axes(figure, left + column * (side + gap), bottom, side, side)
            ax.imshow(as_rgb(picture), interpolation="bilinear")
            label = f"{name}\n{_answer(result, probabilities)}"
            ax.set_title(label, fontsize=fitting([label], side), pad=3)
        for column, name in enumerate(placed, 4):
            ax = axes(figure, left + column * (side + gap), bottom, side, side)
            image = ax.imshow(result.layers[name].where, cmap=SEQUENTIAL, vmin=0, vmax=top or 1.0)
            label = f"{name}\nchanges by {result.layers[name].relative:.0%}"
            ax.set_title(label, fontsize=fitting([label], side), pad=3)
    if image is not None:
        colour_bar(figure, image, left + columns * (side + gap) + 0.02, curve, side, "change")
    _curves(panel(figure, 0.75, below, width - 2.3, 1.75, y="relative change"), results, names)
    return figure


def _curves(ax: Any, results: Mapping[str, Any], names: Sequence[str]) -> None:
    """The relative change of each layer, and that of the control."""
    for (words, result), colour in zip(results.items(), COLOURS, strict=False):
        ax.plot(
            [c.relative for c in result.layers.values()], "o-", color=colour, markersize=3, label=words or "the change"
        )
        noise, label = [c.noise for c in result.layers.values()], f"{words} control".strip()
        ax.plot(noise, "o:", color=colour, markersize=2, linewidth=1, label=label)
    every = -(-len(names) // NAMED)
    some = [name if i % every == 0 else "" for i, name in enumerate(names)]
    name_places(ax.xaxis, some, rotation=40, ha="right", rotation_mode="anchor", fontsize=7)
    ax.set_ylim(0, None)
    ax.legend(frameon=False, fontsize=7.5, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _gain(result: Any) -> int:
    """How much stronger a change is drawn, so that the largest is black and white."""
    return max(1, 127 // result.epsilon)


def _answer(result: Any, probabilities: np.ndarray | None) -> str:
    if probabilities is None:
        return f"at most {result.epsilon} of 255"
    said = int(probabilities.argmax())
    return f"{result.categories[said]} {probabilities[said]:.0%}"
