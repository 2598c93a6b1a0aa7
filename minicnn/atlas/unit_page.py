"""The page of one unit: what it responds to, and where that comes from."""

from minicnn.atlas.contents import (
    Contents,
    Page,
    inside,
    layer_id,
    layer_link,
    play_link,
    sees,
    unit_id,
    unit_key,
    unit_link,
)
from minicnn.atlas.histogram_svg import draw_histogram
from minicnn.atlas.markup import Markup, beside, el, enlargeable, html, panel, soft
from minicnn.atlas.photo_pages import map_of_unit
from minicnn.atlas.pictures import SMALL, box_style
from minicnn.atlas.plan import Layer
from minicnn.atlas.survey import Connection
from minicnn.atlas.words import word
from minicnn.viz.top_patches import Patch, UnitPatches

LINKS = 6  # connections on each side
MOST = 0.7  # of a photograph from which on a patch is not shown beside it


def unit_page(contents: Contents, layer: Layer, unit: int) -> Page:
    """What maximises a unit, what excites it in photographs, its connections, how often it answers how strongly."""
    plan = contents.plan
    before, after = plan.survey.before(layer.name, unit, LINKS), plan.survey.after(layer.name, unit, LINKS)
    label, classes = plan.label(layer.name, unit), plan.classes(layer.name)
    about = f"unit {unit} of {layer.name}, {layer.place}"
    driven = _classes(contents, after)
    found = contents.patches[f"{layer.name}:{unit}"] if contents.patches else None
    more = f"{layer.name}:{unit} {classes[unit]}" if classes else ""  # than its heading and what it is about
    about = ", ".join([about, *(["feeds " + ", ".join(driven)] if driven else [])])
    markup = el(
        "article",
        _steps(contents, layer, unit),
        el("h2", label),
        el("p", _lead(contents, layer, unit, before, driven), class_="lead"),
        beside(_maximised(contents, layer, unit), _patches(contents, found) if found else None),
        beside(
            _links(contents, "Where it comes from", "The units before that it reads most", before),
            _links(contents, "What it feeds", "The units after that read it most", after),
        ),
        beside(_activations(found) if found else None, map_of_unit(contents, layer, unit)),
        id=unit_id(layer.name, unit),
        class_="page",
        data_layer=layer_id(layer.name),
    )
    picture = contents.pictures.number(unit_key(layer.name, unit))
    return Page(unit_id(layer.name, unit), label, markup, more, about, picture)


def _steps(contents: Contents, layer: Layer, unit: int) -> Markup:
    at, links = layer.units.index(unit), [layer_link(layer.name, f"all of {layer.name}")]
    for rel, words, i in (("prev", "← {}", at - 1), ("next", "{} →", at + 1)):
        if 0 <= i < len(layer.units):
            label, target = contents.plan.label(layer.name, layer.units[i]), unit_id(layer.name, layer.units[i])
            links.append(el("a", words.format(label), rel=rel, href=f"#{target}", class_="unit"))
    return el("nav", links, class_="steps", aria_label="Neighbouring units")


def _lead(contents: Contents, layer: Layer, unit: int, before: list[Connection], driven: list[str]) -> Markup:
    """The page in two sentences."""
    what = [
        word("unit", "Unit"),
        f" {unit} of {layer.name} ({layer.place}) ",
        word("receptive-field", "sees"),
        f" {sees(layer.call)}.",
    ]
    if before:
        names = ", ".join(contents.plan.label(link.layer, link.unit) for link in before[:3])
        what += [f" It reads most from {names}."]
    if driven:
        what += [f" It speaks most for {', '.join(driven)}."]
    return html([*what, " ", play_link(contents, "See it at work, and switch it off", layer.name, unit)])


def _classes(contents: Contents, after: list[Connection]) -> list[str]:
    """The classes that a unit drives directly and most, by the connections that raise them."""
    plan = contents.plan
    return [plan.label(link.layer, link.unit) for link in after if link.excites and plan.classes(link.layer)][:4]


def _maximised(contents: Contents, layer: Layer, unit: int) -> Markup:
    picture = contents.units[layer.name, unit]
    what = f"image that maximises {contents.plan.label(layer.name, unit)}"
    shown = contents.pictures.show(unit_key(layer.name, unit), what)
    height, width = picture.image.shape[:2]
    rose = f" {picture.start:.3g} → {picture.end:.3g} on the image itself"
    caption = [word("activation", "Activation"), f"{rose}, {layer.recipe.steps} steps, {height} × {width} pixels."]
    flat = None if picture.rose else el("strong", "The activation did not rise: this image shows nothing.")
    return panel("The image that maximises it", enlargeable(shown, caption, el("br"), flat, class_="maximised"))


def _patches(contents: Contents, found: UnitPatches) -> Markup:
    title = "What excites it in photographs"
    if not found.patches:
        return panel(title, el("p", "No place in the photographs moved it."))
    rule = "The patch that the unit saw; beside it the photograph, with the patch framed. If the patch is most of it, the photograph alone."
    if any(_on_the_photograph(patch) != patch.box for patch in found.patches):
        rule += " Grey is beyond the photograph's border, where the network sees zeros."
    patches = [el("li", _patch(contents, patch)) for patch in found.patches]
    return panel(title, el("ol", patches, class_="patches"), soft(rule))


def _patch(contents: Contents, patch: Patch) -> Markup:
    """What the unit saw, and beside it where in the photograph that is; the second alone if that is most of it."""
    pictures, name, key = contents.pictures, inside(contents, patch.image), photo_key(patch)
    height, width = patch.shape
    top, left, bottom, right = cut = _on_the_photograph(patch)
    caption = [el("b", f"{patch.value:.3g}"), f" {name}"]
    if cut == (0, 0, height, width):
        shown, style = [pictures.show(key, name)], None
    else:
        caption += [el("br"), f"rows {top}–{bottom - 1}, columns {left}–{right - 1}"]
        frame = el("i", style=None if cut == patch.box else box_style(cut, patch.shape))
        shown, style = [pictures.show(key, f"{name}, framed", frame)], box_style(patch.box, patch.shape)
        if (bottom - top) * (right - left) < MOST * height * width:
            kind = "c p" if patch.box[2] - patch.box[0] <= SMALL else "c"
            shown.insert(0, pictures.show(key, f"{name}, the patch", kind=kind))
    return enlargeable(shown, caption, style=style)


def _on_the_photograph(patch: Patch) -> tuple[int, int, int, int]:
    """A patch's box as far as it lies on the photograph."""
    (top, left, bottom, right), (height, width) = patch.box, patch.shape
    return max(top, 0), max(left, 0), min(bottom, height), min(right, width)


def photo_key(patch: Patch) -> str:
    """Under which `Pictures` holds the photograph that a patch is in."""
    return f"photo {patch.number}"


def _links(contents: Contents, title: str, what: str, links: list[Connection]) -> Markup | None:
    if not links:
        return None
    items = [el("li", unit_link(contents, link.layer, link.unit, el("small", _strength(link)))) for link in links]
    rule = f"{what}, with their share of the later one's squared "
    more = ". + raises it, − lowers it."
    if any(unit_key(link.layer, link.unit) not in contents.pictures for link in links):
        more += " An empty frame is a unit that is not in this atlas."
    return panel(title, el("ul", items, class_="links"), soft(rule, word("weight", "weights"), more))


def _strength(link: Connection) -> str:
    return f"{'+' if link.excites else '−'} {link.share:.1%}"


def _activations(found: UnitPatches) -> Markup:
    h = found.histogram
    words = (
        f"{h.count:,} activations from {h.minimum:.3g} to {h.maximum:.3g}, mean {h.mean:.3g}, {h.active:.1%} above 0"
    )
    return panel(
        "How strongly it answers",
        draw_histogram(h, [patch.value for patch in found.patches]),
        soft(f"{words}. The height is the logarithm of the count; the marks are the photographs above."),
    )
