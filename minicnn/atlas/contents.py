"""What an atlas holds, and the names and links that its pages share."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minicnn.atlas.finished import Picture
from minicnn.atlas.markup import Markup, el
from minicnn.atlas.photograph import Photograph
from minicnn.atlas.pictures import Pictures, encoded, figure_image
from minicnn.atlas.plan import Layer, Plan
from minicnn.atlas.survey import Part

if TYPE_CHECKING:
    from minicnn.viz import TopPatches


@dataclass
class Contents:
    """All that a page is made of.

    units: {(layer, unit): Picture}. patches, folder: what `viz.top_patches` found in which folder. photograph: see there.
    figures: {layer: [(what it shows, matplotlib Figure)]}. reports: {layer: text}. notes: what the reader must know.
    """

    plan: Plan
    title: str
    units: dict[tuple[str, int], Picture]
    pictures: Pictures = field(default_factory=Pictures)
    patches: "TopPatches | None" = None
    folder: Path | None = None
    photograph: Photograph | None = None
    figures: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def layer_id(layer: str) -> str:
    return "layer-" + _plain(layer)


def unit_id(layer: str, unit: int) -> str:
    return f"unit-{_plain(layer)}-{unit}"


def unit_key(layer: str, unit: int) -> str:
    """Under which `Pictures` holds a unit's image."""
    return f"unit {layer} {unit}"


def _plain(name: str) -> str:
    """A module's name as a piece of an id; two different names stay different."""
    return re.sub(r"[^A-Za-z0-9._-]", lambda match: f"~{ord(match[0]):x}~", name)


def unit_link(contents: Contents, layer: str, unit: int, *below: Any, short: bool = False) -> Markup:
    """A link to a unit with its picture; its name and an empty frame if the atlas does not show it. short: without the layer's name."""
    named = contents.plan.classes(layer) or not short
    label = contents.plan.label(layer, unit) if named else f"unit {unit}"
    key = unit_key(layer, unit)
    if key not in contents.pictures:
        return el("span", el("i"), label, below, class_="absent", title="not in this atlas")
    return el("a", contents.pictures.show(key), label, below, href=f"#{unit_id(layer, unit)}", class_="unit")


def inside(contents: Contents, name: str) -> str:
    """A file's name from the folder on: where the folder lies on the maker's disk is nobody's business."""
    return name.removeprefix(f"{contents.folder}{os.sep}")


def shape_of(part: Part) -> str:
    if len(part.shape) == 4:
        return f"{part.shape[1]} maps of {part.shape[2]} × {part.shape[3]}"
    return " × ".join(map(str, part.shape[1:])) + " numbers"


def sees(part: Part) -> str:
    """The receptive field in words."""
    if part.field is None:
        return "not known"
    if part.field.everything:
        return "the whole image"
    y, x = part.field.y, part.field.x
    return f"{y.size} × {x.size} pixels, one unit every {y.stride}"


def figure_element(what: str, figure: Any) -> Markup:
    """A matplotlib figure as a picture that can be zoomed."""
    pixels = figure_image(figure)
    image = el("img", src=encoded(pixels), alt=what, width=pixels.shape[1] // 2, height=pixels.shape[0] // 2)
    return el("figure", el("button", image, class_="zoom", aria_label=f"Zoom: {what}"))


def neighbours(layer: Layer, unit: int) -> Iterator[tuple[str, int]]:
    """("prev", the unit before) and ("next", the one after), as far as there are any."""
    at = layer.units.index(unit)
    if at > 0:
        yield "prev", layer.units[at - 1]
    if at + 1 < len(layer.units):
        yield "next", layer.units[at + 1]
