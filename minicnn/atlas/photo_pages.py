"""The page of the photograph, with the maps of all layers, and the page of the folder."""

import numpy as np

from minicnn.atlas.contents import Contents, inside, unit_id
from minicnn.atlas.markup import Markup, el, html
from minicnn.atlas.plan import Layer
from minicnn.viz.figures.plot import coloured


def add_photograph(contents: Contents) -> None:
    """Store the photograph and its maps among the pictures, each map on its own scale."""
    photo = contents.photograph
    if photo is None:
        return
    contents.pictures.add("photograph", photo.image)
    for name, overlay in photo.why:
        contents.pictures.add(f"why {name}", overlay)
    for layer, maps in photo.maps.items():
        contents.pictures.add_sheet(f"maps {layer}", np.stack([coloured(values, maps.min() < 0) for values in maps]))


def photograph_page(contents: Contents) -> Markup:
    photo = contents.photograph
    height, width = photo.image.shape[:2]
    shown = contents.pictures.show("photograph", f"photograph {photo.name}")
    return el(
        "section",
        el("h2", "One photograph, layer by layer"),
        el(
            "div",
            el(
                "figure",
                el("button", shown, class_="zoom"),
                el("figcaption", f"{photo.name}, as the network sees it: {height} × {width} pixels"),
                class_="photo",
            ),
            _answer(contents),
            class_="split",
        ),
        _why(contents),
        [_maps(contents, contents.plan.layer(layer)) for layer in photo.maps],
        id="photograph",
        class_="page",
        data_find=f"photograph {photo.name} maps prediction",
    )


def _answer(contents: Contents) -> Markup | None:
    answer = contents.photograph.answer
    if not answer:
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
        for i, name, probability in answer
    ]  # fmt: skip
    return el("div", el("h3", "The network's answer"), el("ol", rows, class_="bars"))


def _why(contents: Contents) -> Markup | None:
    if not contents.photograph.why:
        return None
    figures = [
        el(
            "li",
            el(
                "figure",
                el(
                    "button",
                    contents.pictures.show(f"why {name}", f"Grad-CAM for {name}"),
                    type="button",
                    class_="zoom",
                ),
                el("figcaption", name.split(",")[0]),
            ),
        )
        for name, _ in contents.photograph.why
    ]
    rule = "Grad-CAM: where the last maps speak for the class, each picture to its own largest value (dark none, bright most)."
    return html([el("h3", "Why"), el("ul", figures, class_="wide photo"), el("p", rule, class_="soft")])


def _maps(contents: Contents, layer: Layer) -> Markup:
    maps = contents.photograph.maps[layer.name]
    links = [
        el(
            "a",
            _map(contents, layer, unit),
            href=f"#{unit_id(layer.name, unit)}",
            title=contents.plan.label(layer.name, unit),
        )
        for unit in layer.units
    ]
    rule = "blue below 0, white 0, red above" if maps.min() < 0 else "black 0, bright large"
    title = f"{layer.name}: {len(layer.units)} of {len(maps)} maps, {maps.shape[1]} × {maps.shape[2]} each"
    return html(
        [
            el("h3", title),
            el("p", f"Each map by itself, to its largest magnitude: {rule}.", class_="soft"),
            el("div", links, class_="maps"),
        ]
    )


def map_of_unit(contents: Contents, layer: Layer, unit: int) -> Markup | None:
    """A unit's map of the photograph, for its own page."""
    if contents.photograph is None or layer.name not in contents.photograph.maps:
        return None
    maps = contents.photograph.maps[layer.name]
    low, high = float(maps[unit].min()), float(maps[unit].max())
    signs = "blue below 0, white 0, red above" if maps.min() < 0 else "black 0"
    return el(
        "section",
        el("h3", el("a", "On the photograph", href="#photograph")),
        _map(contents, layer, unit),
        " ",
        contents.pictures.show("photograph", f"photograph {contents.photograph.name}"),
        el("p", f"Its map, from {low:.3g} to {high:.3g}: {signs}.", class_="soft"),
        class_="onphoto",
    )


def _map(contents: Contents, layer: Layer, unit: int) -> Markup:
    count = len(contents.photograph.maps[layer.name])
    return contents.pictures.tile(f"maps {layer.name}", unit, count, f"map of {contents.plan.label(layer.name, unit)}")


def folder_page(contents: Contents) -> Markup:
    patches = contents.patches
    skipped = [
        el("tr", el("th", inside(contents, name), scope="row"), el("td", why.replace(str(contents.folder), "…")))
        for name, why in patches.skipped
    ]
    more = patches.skipped_count - len(patches.skipped)
    size = "each resized and cut to {} × {} pixels".format(*patches.size)
    return el(
        "section",
        el("h2", "The folder of photographs"),
        el("p", f"{patches.images:,} photographs of {contents.folder.name or contents.folder} were shown to the network, {size}."),
        el("h3", f"{patches.skipped_count:,} files were skipped"),
        el("div", el("table", el("tbody", skipped)), class_="scroll", tabindex="0") if skipped else el("p", "None."),
        el("p", f"and {more:,} more") if more else None,
        id="folder",
        class_="page",
        data_find="folder photographs skipped files",
    )  # fmt: skip
