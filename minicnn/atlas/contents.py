"""What an atlas holds, and the names and links that its pages share."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from minicnn.atlas.cache import Picture
from minicnn.atlas.markup import Markup, el
from minicnn.atlas.photograph import Photograph
from minicnn.atlas.pictures import Pictures, encoded, figure_image
from minicnn.atlas.plan import Layer, Plan
from minicnn.atlas.survey import ModuleCall
from minicnn.viz import TopPatches


@dataclass
class Contents:
    """All that a page is made of.

    units: {(layer, unit): Picture}. patches, folder: what `viz.top_patches` found in which folder. photograph: see there.
    figures: {layer: [(what it shows, matplotlib Figure)]}. reports: {layer: text}. filters_at: {layer: the layer that shows its
    filters}, another one where the same weights are used twice. notes: what the reader must know. play: the address of a page in which
    the network runs.
    """

    plan: Plan
    title: str
    units: dict[tuple[str, int], Picture]
    pictures: Pictures = field(default_factory=Pictures)
    patches: TopPatches | None = None
    folder: str = ""
    photograph: Photograph | None = None
    figures: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    filters_at: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    play: str | None = None


class Page(NamedTuple):
    """A page and how search finds it.

    name: its heading. find: more words that lead to it. about: the same, and search shows them. picture: which of `Pictures` stands for it.
    """

    id: str
    name: str
    markup: Markup
    find: str = ""
    about: str = ""
    picture: int | None = None


def layer_id(layer: str) -> str:
    """The id of a layer's page, to which links lead."""
    return "layer-" + _plain(layer)


def unit_id(layer: str, unit: int) -> str:
    """The id of a unit's page."""
    return f"unit-{_plain(layer)}-{unit}"


def unit_key(layer: str, unit: int) -> str:
    """Under which `Pictures` holds a unit's image."""
    return f"unit {layer} {unit}"


def _plain(name: str) -> str:
    """A module's name as a piece of an id; two different names stay different."""
    return re.sub(r"[^A-Za-z0-9._-]", lambda match: f"~{ord(match[0]):x}~", name)


def layer_link(layer: str, text: str | None = None) -> Markup:
    """A link to a layer's page; by default it is called as the layer is."""
    return el("a", text or layer, href=f"#{layer_id(layer)}")


def unit_link(contents: Contents, layer: str, unit: int, *below: Any, short: bool = False) -> Markup:
    """A link to a unit with its picture; its name and an empty frame if the atlas does not show it. short: without the layer's name."""
    named = contents.plan.classes(layer) or not short
    label = contents.plan.label(layer, unit) if named else f"unit {unit}"
    key = unit_key(layer, unit)
    if key not in contents.pictures:
        return el("span", el("i"), label, below, class_="absent", title="not in this atlas")
    return el("a", contents.pictures.show(key), label, below, href=f"#{unit_id(layer, unit)}", class_="unit")


def play_link(contents: Contents, text: str, layer: str, unit: int) -> Markup | None:
    """A link to a unit where the network runs; None without such a page."""
    return el("a", text, href=f"{contents.play}#{quote(layer)}:{unit}") if contents.play else None


def inside(contents: Contents, name: str) -> str:
    """A file's name from the folder on: where the folder lies on the maker's disk is nobody's business."""
    if contents.folder.endswith(".txt"):  # a list of paths
        rest = name.removeprefix(os.path.join(os.path.dirname(contents.folder), ""))
        return os.path.basename(rest) if os.path.isabs(rest) else rest
    return name.removeprefix(f"{contents.folder.rstrip('/')}/").removeprefix(f"{contents.folder}{os.sep}")


def shape_of(call: ModuleCall) -> str:
    """What a call returns for one image, in words."""
    if len(call.shape) == 4:
        return f"{call.shape[1]} maps of {call.shape[2]} × {call.shape[3]}"
    return " × ".join(map(str, call.shape[1:])) + " numbers"


def sees(call: ModuleCall) -> str:
    """The receptive field in words."""
    if call.field is None:
        return "not known"
    if call.field.everything:
        return "the whole image"
    y, x = call.field.y, call.field.x
    return f"{y.size} × {x.size} pixels, one unit every {y.stride}"


def figure_element(what: str, figure: Any) -> Markup:
    """A matplotlib figure as a picture that can be enlarged."""
    pixels = figure_image(figure)
    image = el("img", src=encoded(pixels), alt=what, width=pixels.shape[1] // 2, height=pixels.shape[0] // 2)
    return el("figure", el("button", image, class_="zoom", aria_label=f"Zoom: {what}"))


def unit_list(contents: Contents, layer: Layer, units: Iterable[int], *more: Any) -> Markup:
    """Links to units of a layer, with their pictures."""
    links = [el("li", unit_link(contents, layer.name, unit, short=True)) for unit in units]
    return el("ul", links, more, class_="units")
