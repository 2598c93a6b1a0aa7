"""The page of the photograph, with the maps of all layers, and the page of the folder."""

import os

import numpy as np

from minicnn.atlas.contents import Contents, Page, inside, unit_id
from minicnn.atlas.markup import Markup, beside, el, enlargeable, html, panel, soft
from minicnn.atlas.photograph import Photograph
from minicnn.atlas.plan import Layer
from minicnn.atlas.words import word
from minicnn.viz import TopPatches
from minicnn.viz.figures.plot import coloured


def add_photograph(contents: Contents, photo: Photograph) -> None:
    """Store the photograph and its maps among the pictures, each map on its own scale."""
    contents.pictures.add("photograph", photo.image)
    for name, overlay in photo.why:
        contents.pictures.add(f"why {name}", overlay)
    for layer, maps in photo.maps.items():
        contents.pictures.add_sheet(f"maps {layer}", np.stack([coloured(values, maps.min() < 0) for values in maps]))


def photograph_page(contents: Contents, photo: Photograph) -> Page:
    """The photograph, the answer, why, and the maps of each layer."""
    height, width = photo.image.shape[:2]
    shown = contents.pictures.show("photograph", f"photograph {photo.name}")
    name = "One photograph, layer by layer"
    markup = el(
        "section",
        el("h2", name),
        beside(
            enlargeable(shown, f"{photo.name}, as the network sees it: {height} × {width} pixels", class_="photo"),
            _answer(contents, photo),
        ),
        _why(contents, photo),
        [_maps(contents, layer, photo.maps[layer.name]) for layer in contents.plan.layers if layer.name in photo.maps],
        id="photograph",
        class_="page",
    )
    return Page("photograph", name, markup, f"photograph {photo.name} maps prediction")


def _answer(contents: Contents, photo: Photograph) -> Markup | None:
    if not photo.answer:
        return None
    last = contents.plan.layers[-1]
    shown = last.units if contents.plan.classes(last.name) else ()
    rows = [
        el(
            "li",
            el("a", name.split(",")[0], href=f"#{unit_id(last.name, i)}", class_="unit") if i in shown else name.split(",")[0],
            el("div", el("span", style=f"width:{probability:.1%}")),
            el("small", f"{probability:.1%}"),
        )
        for i, name, probability in photo.answer
    ]  # fmt: skip
    rule = soft("Probabilities: the ", word("softmax", "softmax"), " of its ", word("logit", "logits"), ".")
    return el("div", el("h3", "The network's answer"), el("ol", rows, class_="bars"), rule)


def _why(contents: Contents, photo: Photograph) -> Markup | None:
    if not photo.why:
        return None
    shown = [(name, contents.pictures.show(f"why {name}", f"Grad-CAM for {name}")) for name, _ in photo.why]
    figures = [el("li", enlargeable(picture, name.split(",")[0])) for name, picture in shown]
    rule = " shows where the last maps speak for the class. Dark is nothing, and bright is each picture's own largest value."
    return html([el("h3", "Why"), el("ul", figures, class_="wide photo"), soft(word("grad-cam", "Grad-CAM"), rule)])


def _maps(contents: Contents, layer: Layer, maps: np.ndarray) -> Markup:
    links = [
        el("a", _map(contents, layer, unit, len(maps)), href=f"#{unit_id(layer.name, unit)}",
           title=contents.plan.label(layer.name, unit))
        for unit in layer.units
    ]  # fmt: skip
    title = f"{layer.name}: {len(layer.units)} of {len(maps)} maps, {maps.shape[1]} × {maps.shape[2]} each"
    rule = soft("Each ", word("feature-map", "map"), f" is scaled by its own largest magnitude: {_colours(maps)}.")
    return html([el("h3", title), rule, el("div", links, class_="maps")])


def map_of_unit(contents: Contents, layer: Layer, unit: int) -> Markup | None:
    """A unit's map of the photograph, for its own page."""
    photo = contents.photograph
    if photo is None or layer.name not in photo.maps:
        return None
    maps = photo.maps[layer.name]
    low, high = float(maps[unit].min()), float(maps[unit].max())
    return panel(
        el("a", "On the photograph", href="#photograph"),
        _map(contents, layer, unit, len(maps)),
        " ",
        contents.pictures.show("photograph", f"photograph {photo.name}"),
        soft("Its ", word("feature-map", "map"), f", from {low:.3g} to {high:.3g}: {_colours(maps)}."),
        class_="onphoto",
    )


def _colours(maps: np.ndarray) -> str:
    return "blue below 0, white 0, red above" if maps.min() < 0 else "black 0, bright large"


def _map(contents: Contents, layer: Layer, unit: int, count: int) -> Markup:
    return contents.pictures.tile(f"maps {layer.name}", unit, count, f"map of {contents.plan.label(layer.name, unit)}")


def folder_page(contents: Contents, patches: TopPatches) -> Page:
    """What was seen of the folder, and what was skipped and why."""
    named = os.path.basename(contents.folder.rstrip("/")) or contents.folder
    skipped = [
        el("tr", el("th", inside(contents, name), scope="row"), el("td", why.replace(contents.folder, "…")))
        for name, why in patches.skipped
    ]
    more = patches.skipped_count - len(patches.skipped)
    size = "each resized and cut to {} × {} pixels".format(*patches.size)
    name = "The folder of photographs"
    markup = el(
        "section",
        el("h2", name),
        el("p", f"{patches.images:,} photographs of {named} were shown to the network, {size}."),
        el("h3", f"{patches.skipped_count:,} files were skipped"),
        el("div", el("table", el("tbody", skipped)), class_="scroll", tabindex="0") if skipped else el("p", "None."),
        el("p", f"and {more:,} more") if more else None,
        id="folder",
        class_="page",
    )  # fmt: skip
    return Page("folder", name, markup, "folder photographs skipped files")
