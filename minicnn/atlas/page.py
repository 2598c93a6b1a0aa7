"""The pages of an atlas, an overview and one for each layer, each unit, the photograph and the folder; and the HTML file around them."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from string import Template

import minicnn
from minicnn.atlas.contents import (
    Contents,
    Page,
    figure_element,
    layer_id,
    layer_link,
    sees,
    shape_of,
    unit_key,
    unit_list,
)
from minicnn.atlas.markup import Markup, el, html
from minicnn.atlas.photo_pages import add_photograph, folder_page, photograph_page
from minicnn.atlas.plan import Layer
from minicnn.atlas.survey import ModuleCall
from minicnn.atlas.unit_page import unit_page
from minicnn.atlas.words import word, words_page
from minicnn.viz.checkpoint import fingerprint
from minicnn.viz.network import stated

STRIP = 12  # units of each layer that the overview shows


def pages(contents: Contents) -> Iterator[Page]:
    """All pages in their order, the overview first; their pictures are in `contents.pictures` from then on."""
    plan = contents.plan
    for (name, unit), picture in contents.units.items():
        contents.pictures.add(unit_key(name, unit), picture.image)
    if contents.photograph:
        add_photograph(contents, contents.photograph)
    yield overview_page(contents)
    for layer in plan.layers:
        yield layer_page(contents, layer)
        yield from (unit_page(contents, layer, unit) for unit in layer.units)
    if contents.photograph:
        yield photograph_page(contents, contents.photograph)
    if contents.patches:
        yield folder_page(contents, contents.patches)
    yield words_page()


def document(
    contents: Contents,
    shown: Iterable[str],
    rules: Iterable[str] = (),
    inert: Iterable[str] = (),
    folder: str | None = None,
) -> str:
    """The HTML file.

    shown: the pages that stand in it. rules: of the pictures that do. inert: what the script reads when it needs it. folder: the address
    of one in which it finds the rest.
    """
    script = _file("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(_file("page.html")).substitute(
        title=html(contents.title), version=html(minicnn.__version__), script=script, script_hash=f"sha256-{digest}",
        # by 'strict-dynamic' this script may bring in others, and nothing else may
        more=" 'strict-dynamic'" if folder else "",
        folder=el("meta", name_="minicnn-pages", content=folder) if folder else "",
        style=_file("style.css") + "\n".join(rules), navigation=_navigation(contents),
        pages="\n".join(shown), footer=_footer(contents, folder), inert="\n".join(inert),
    )  # fmt: skip


def overview_page(contents: Contents) -> Page:
    """What the network is, its layers as a table, and the first units of each."""
    plan = contents.plan
    parameters = sum(parameter.numel() for parameter in plan.model.parameters())
    categories, accuracy, note = (stated(plan.model, what) for what in ("categories", "accuracy", "note"))
    facts = [f"{parameters:,} parameters", f"images of {plan.side} × {plan.side} pixels"]
    facts += [f"{len(categories)} classes"] if categories else []
    facts += [f"{accuracy:.1%} right on validation images"] if accuracy is not None else []
    markup = el(
        "section",
        el("h1", contents.title),
        el("p", " · ".join(facts), class_="lead"),
        el("p", f"Images enter as {plan.entrance}."),
        el("p", note) if note else None,
        el(
            "p",
            "Each ", word("unit", "unit"), " has a page. It shows an image made by ", word("gradient-ascent", "gradient ascent"),
            " to make the unit answer most; ",
            "the places in photographs that do so; how often the unit answers how strongly; " if contents.patches else "",
            "and the units before and after it to which it is connected most. An image made by ascent shows what drives a unit, but "
            "not all that it does. So read it beside the photographs and the connections.",
        ),
        el(
            "p",
            "A connection's number is the share of the later unit's squared ", word("weight", "weights"), " that lie on it. "
            "Its sign is that of their sum. ", el("a", "All words", href="#words"), " are explained.",
        ),
        el("p", "In another page ", el("a", "the network runs", href=contents.play), ": change it, and see what becomes of its answer.")
        if contents.play else None,
        [el("p", note, class_="warn") for note in contents.notes],
        el("h3", "The layers, from the image to the answer"),
        el("div", _architecture(contents), class_="scroll", tabindex="0", role="region", aria_label="Architecture"),
        [_strip(contents, layer) for layer in plan.layers],
        id="overview",
        class_="page",
    )  # fmt: skip
    return Page("overview", contents.title, markup, "overview architecture")


def _architecture(contents: Contents) -> Markup:
    heads = ("layer", "kind", "settings", "output", "parameters", word("receptive-field", "a unit sees"))
    return el(
        "table",
        el("thead", el("tr", [el("th", head, scope="col", class_="n" if head == "parameters" else None) for head in heads])),
        el("tbody", [_architecture_row(contents, call) for call in contents.plan.survey.calls]),
    )  # fmt: skip


def _architecture_row(contents: Contents, call: ModuleCall) -> Markup:
    layer = contents.plan.layer(call.name)
    name = layer_link(call.name) if layer else call.name
    return el(
        "tr", el("th", name, scope="row"), el("td", call.kind), el("td", call.detail), el("td", shape_of(call)),
        el("td", f"{call.parameters:,}" if call.parameters else "", class_="n"), el("td", sees(call)),
    )  # fmt: skip


def _strip(contents: Contents, layer: Layer) -> Markup:
    more = len(layer.units) - STRIP
    rest = el("li", layer_link(layer.name, f"and {more} more")) if more > 0 else None
    heading = el("h3", layer_link(layer.name), f" · {layer.place}")
    return html([heading, unit_list(contents, layer, layer.units[:STRIP], rest)])


def layer_page(contents: Contents, layer: Layer) -> Page:
    """All units of a layer, how they were maximised, and its filters."""
    call, recipe = layer.call, layer.recipe
    where = "at one position" if recipe.position else "anywhere in its map" if layer.has_maps else "in the output"
    shown = len(layer.units)
    markup = el(
        "section",
        el("h2", layer.name),
        el(
            "p",
            f"{layer.place}: {shape_of(call)}. A unit ",
            word("receptive-field", "sees"),
            f" {sees(call)}.",
            class_="lead",
        ),
        el(
            "p",
            f"{shown} of {call.shape[1]} units. " if shown < call.shape[1] else "",
            f"Each image makes its unit answer most {where}. It took {recipe.steps} steps of ",
            word("gradient-ascent", "gradient ascent"),
            f" from noise, with {recipe.shown[0]} × {recipe.shown[1]} pixels and seed {recipe.seed}.",
            " Such a unit is linear in the pixels. So they are charged for their distance from grey, and the image becomes the filter."
            if recipe.position
            else "",
        ),
        unit_list(contents, layer, layer.units),
        _filters(contents, layer),
        id=layer_id(layer.name),
        class_="page",
    )
    return Page(layer_id(layer.name), layer.name, markup, f"layer {call.kind}", layer.place)


def _filters(contents: Contents, layer: Layer) -> Markup:
    at = contents.filters_at.get(layer.name)
    if at is None:
        return html(None)
    if at != layer.name:
        return el("p", "Its filters are those of ", layer_link(at), ": the same weights.")
    figures = [figure_element(f"{at}: {what}", figure) for what, figure in contents.figures[at]]
    report = [el("h3", "Its filters in numbers, beside those of noise"), el("pre", contents.reports[at], tabindex="0")]
    return html([el("h3", "Its ", word("kernel-and-filter", "filters")), figures, report])


def _navigation(contents: Contents) -> Markup:
    entries = [("overview", "Overview"), *((layer_id(layer.name), layer.name) for layer in contents.plan.layers)]
    entries += [("photograph", "Photograph")] if contents.photograph else []
    entries += [("folder", "Folder")] if contents.patches else []
    entries += [("words", "Words")]
    return html([el("a", name, href=f"#{target}"), "\n"] for target, name in entries)


def _footer(contents: Contents, folder: str | None) -> Markup:
    plan = contents.plan
    asks = "This file and the folder beside it ask" if folder else "This file asks"
    return html(
        [
            el("p", "Keys: ", el("kbd", "/"), " search, ", el("kbd", "←"), " ", el("kbd", "→"), " the neighbouring unit, ",
               el("kbd", "Esc"), " close. Click a picture to enlarge it; it can be saved from there."),
            el("p", f"Made by minicnn {minicnn.__version__}: {plan.count} units, seed {plan.seed}, "
                    f"weights {fingerprint(plan.model)[:12]}. {asks} nothing of any network."),
        ]
    )  # fmt: skip


def _file(name: str) -> str:
    return files("minicnn.atlas").joinpath(name).read_text(encoding="utf-8")
