"""The atlas: what it finds out about a network, that it goes on where it was, and that its one file is whole and harmless."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from atlas_network import CATEGORIES, HOSTILE, folder, network

import minicnn
from minicnn import atlas, nn
from minicnn.atlas import cache as unit_cache
from minicnn.atlas.cache import Picture, UnitCache
from minicnn.atlas.markup import Markup, el, html
from minicnn.atlas.pictures import Pictures
from minicnn.atlas.words import anchor
from minicnn.models import tinynet

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
QUICK = dict(units=3, steps=3, progress=False, say=lambda line: None)


# --- survey -------------------------------------------------------------------------------------------------------------


def test_the_parts_are_those_that_were_called_and_their_parameters_add_up():
    model = tinynet("standard")
    survey = atlas.Survey(model, (1, 3, 64, 64))
    assert [call.kind for call in survey.calls] == ["Conv2d", "ReLU", "MaxPool2d", "Conv2d", "ReLU", "MaxPool2d",
                                                    *["Conv2d", "ReLU"] * 3, "AdaptiveAvgPool2d", "Linear"]  # fmt: skip
    assert sum(call.parameters for call in survey.calls) == sum(p.numel() for p in model.parameters())
    assert survey.call("features.10").shape == (1, 256, 8, 8)
    assert survey.call("features.10").field.y.size == 83
    assert [call.name for call in survey.choose()] == ["features.0", "features.3", "features.6", "features.8",
                                                       "features.10", "classifier"]  # fmt: skip
    assert all(not module._forward_hooks for module in model.modules())


def test_connections_are_the_weights():
    model = tinynet("standard")
    survey = atlas.Survey(model, (1, 3, 64, 64))
    weight = model.features[10].weight.detach().numpy()
    share = (weight[12] ** 2).sum((1, 2)) / (weight[12] ** 2).sum()
    before = survey.before("features.10", 12, 4)
    assert [link.unit for link in before] == np.argsort(-share)[:4].tolist()
    np.testing.assert_allclose([link.share for link in before], np.sort(share)[::-1][:4], rtol=1e-5)
    assert [link.excites for link in before] == [weight[12, link.unit].sum() > 0 for link in before]
    assert {link.layer for link in before} == {"features.8"}
    read_most = survey.after("features.10", 12, 1)[0]
    assert 12 in {
        link.unit for link in survey.before("classifier", read_most.unit, 256) if link.share == read_most.share
    }
    assert survey.before("features.0", 0, 4) == [] == survey.after("classifier", 0, 4)


class Branches(nn.Module):
    """A concatenation, a skip, a grouped convolution, and maps flattened before a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 2, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.both, self.skip = nn.Conv2d(6, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
        self.grouped, self.out = nn.Conv2d(4, 4, 1, groups=2), nn.Linear(4 * 16, 3)

    def forward(self, x):
        joined = minicnn.cat([self.left(x).relu(), self.right(x).relu()], dim=1)
        return self.out(self.grouped(minicnn.relu(self.both(joined) + self.skip(x))).flatten(1))


def test_connections_through_branches_skips_groups_and_flattening():
    model = Branches()
    with minicnn.no_grad():
        for layer, entries in ((model.both, (1, 3)), (model.grouped, (3, 1)), (model.out, (2, slice(16, 32)))):
            layer.weight[:] = 0
            layer.weight[entries] = -1.0
    survey = atlas.Survey(model, (1, 3, 4, 4))
    (link,) = survey.before("both", 1, 5)
    assert (link.layer, link.unit, link.share, link.excites) == ("right", 1, 1.0, False)  # channel 3 of left and right
    assert {(link.layer, link.unit) for link in survey.before("grouped", 3, 5)} == {("both", 3), ("skip", 3)}
    assert [(link.layer, link.unit) for link in survey.before("out", 2, 5)] == [("grouped", 1)]
    assert [(link.layer, link.unit) for link in survey.after("right", 1, 5)] == [("both", 1)]


class Scale(nn.Module):
    """A factor for each map: four dimensions as a convolution's weight, and no connections."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(minicnn.ones(1, maps, 1, 1))

    def forward(self, x):
        return x * self.weight


def test_connections_pass_by_what_connects_no_units_and_take_keyword_arguments():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.scale, self.second = nn.Conv2d(3, 4, 3), Scale(4), nn.Conv2d(4, 2, 3)

        def forward(self, x):
            return self.second(input=self.scale(self.first(x)))

    survey = atlas.Survey(Net(), (1, 3, 8, 8))
    assert [call.name for call in survey.weighted] == ["first", "second"]
    assert {link.layer for link in survey.before("second", 1, 4)} == {"first"}
    assert survey.before("scale", 0, 4) == []


# --- plan ---------------------------------------------------------------------------------------------------------------


def test_recipes_follow_what_a_unit_sees():
    plan = atlas.Plan(tinynet("standard"))
    assert plan.count == 64 + 128 + 3 * 256 + 200
    recipes = {layer.name: layer.recipe for layer in plan.layers}
    assert recipes["features.0"].position == "centre" and recipes["features.0"].shown == (7, 7)
    assert [recipes[f"features.{i}"].side for i in (3, 6, 8, 10)] == [32, 56, 72, 88]
    assert recipes["classifier"].side == 64
    assert plan.layer("features.10").place == "convolution 5 of 5, the last"
    assert plan.label("classifier", 0) == plan.model.meta.categories[0].split(",")[0]


def test_the_image_of_a_unit_that_is_linear_in_the_pixels_is_its_filter(tmp_path):
    """Not the extreme of each colour: what a first layer is charged for distance from grey scales with its filter."""
    model = tinynet("standard").eval()
    model.features[0].weight.detach().numpy()[3] *= 20  # a strong filter, and a weak one
    plan = atlas.Plan(model, ["features.0"], units={"features.0": [3, 60]}, steps=24)
    made = UnitCache(tmp_path, plan)
    unit_cache.maximize_all(plan, made, progress=False)
    for unit in (3, 60):
        image = made.get(plan.layers[0], unit).image.transpose(2, 0, 1) / 255 - 0.5
        weight = model.features[0].weight.detach().numpy()[unit]
        assert np.corrcoef(image.ravel(), weight.ravel())[0, 1] > 0.98
        assert 0.35 < np.abs(image).max() < 0.49


def test_a_plan_that_cannot_be_is_refused():
    model = network()
    with pytest.raises(KeyError, match="nothing"):
        atlas.Plan(model, ["nothing"])
    with pytest.raises(ValueError, match="at least 1"):
        atlas.Plan(model, units=0)
    with pytest.raises(KeyError, match="units of nothing: the atlas has features.0"):
        atlas.Plan(model, units={"nothing": [0]})
    with pytest.raises(ValueError, match="classifier has 5"):
        atlas.Plan(model, units={"classifier": [2, 5]})
    assert atlas.Plan(model, units={"classifier": [4, 2]}).layer("classifier").units == (2, 4)
    with pytest.raises(ValueError, match="no convolution"):
        atlas.Plan(nn.Sequential(nn.Linear(3, 2)))


# --- finished units -----------------------------------------------------------------------------------------------------


def test_an_interrupted_atlas_goes_on_where_it_was(tmp_path, monkeypatch):
    model, calls, real = network(), [], unit_cache.maximize

    def interrupted(model, targets, **settings):
        if settings["steps"] == QUICK["steps"]:
            calls.append(len(targets))
            if len(calls) == 2 and len(targets) == 3:
                raise KeyboardInterrupt
        return real(model, targets, **settings)

    monkeypatch.setattr("minicnn.atlas.builder.seconds_of_a_step", lambda plan, missing, progress: {})
    monkeypatch.setattr(unit_cache, "maximize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atlas.build(model, tmp_path / "a.html", **QUICK)
    assert not (tmp_path / "a.html").exists()
    assert len(list((tmp_path / "a.html.units").glob("*.npz"))) == 3
    calls[:] = [0] * 2
    built = atlas.build(model, tmp_path / "a.html", **QUICK)
    assert calls[2:] == [3, 3], "the first layer was finished"
    assert (built.cost.units, built.cost.unfinished) == (9, 6)
    atlas.build(model, tmp_path / "b.html", **QUICK)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert not list(tmp_path.glob("**/.*.partial"))


def test_a_finished_unit_is_found_by_all_that_decides_it(tmp_path):
    model = network()
    plan = atlas.Plan(model, units=2, steps=3)
    layer, cache = plan.layers[0], UnitCache(tmp_path, plan)
    picture = Picture(np.full((5, 5, 3), 7, np.uint8), 0.5, 1.5)
    cache.put(layer, 1, picture)
    found = UnitCache(tmp_path, atlas.Plan(network(), units=2, steps=3)).get(layer, 1)
    assert (found.start, found.end, found.rose) == (0.5, 1.5, True)
    assert (found.image == 7).all()
    assert cache.get(layer, 0) is None
    for other in (atlas.Plan(model, steps=4), atlas.Plan(model, seed=1), atlas.Plan(model, steps=3, mean=0.4)):
        assert UnitCache(tmp_path, other).get(other.layers[0], 1) is None
    cache.path(layer, 1).write_bytes(b"PK half a file")
    assert cache.get(layer, 1) is None
    cache.put(layer, 1, picture)
    with minicnn.no_grad():
        model.classifier.weight.add_(1)
    assert UnitCache(tmp_path, plan).get(layer, 1) is None


def damaged(whole: bytes, image: np.ndarray) -> dict[str, bytes]:
    """Files that lie where a finished unit should, and are none."""

    def written(save, *arrays, **named) -> bytes:
        buffer = io.BytesIO()
        save(buffer, *arrays, **named)
        return buffer.getvalue()

    flipped = bytearray(whole)
    flipped[80:90] = b"\xff" * 10  # inside of the compressed numbers
    return {
        "empty": b"",
        "text": b"not a zip",
        "half": whole[: len(whole) // 2],
        "flipped bytes": bytes(flipped),
        "one array": written(np.save, image),
        "another image": written(np.savez, image=image[1:], start=0, end=1),
        "floats": written(np.savez, image=image.astype(float), start=0, end=1),
        "an object": written(np.savez, image=np.array({}), start=0, end=1),
        "no number": written(np.savez, image=image, start="zero", end=1),
        "nothing else": written(np.savez, image=image),
    }


def test_a_damaged_unit_counts_as_missing_whatever_is_wrong_with_it(tmp_path):
    plan = atlas.Plan(network(), units=2, steps=3)
    layer, cache = plan.layers[0], UnitCache(tmp_path, plan)
    image = np.random.default_rng(0).integers(0, 256, (*layer.recipe.shown, 3), dtype=np.uint8)
    cache.put(layer, 1, Picture(image, 0.5, 1.5))
    assert cache.missing(layer) == [0]
    path = cache.path(layer, 1)
    for what, content in damaged(path.read_bytes(), image).items():
        path.write_bytes(content)
        assert cache.missing(layer) == [0, 1], what


# --- inputs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"photo": "nofile.jpg"}, FileNotFoundError, "nofile.jpg"),
        ({"photo": "text.jpg"}, ValueError, "text.jpg: not an image"),
        ({"folder": "nowhere"}, FileNotFoundError, "no such folder: nowhere"),
        ({"folder": "empty"}, ValueError, "empty: 0 files, and no photograph"),
        ({"folder": "texts"}, ValueError, "texts: 1 files, and no photograph among them: .*not an image"),
        ({"folder": "text.jpg"}, ValueError, "text.jpg: 1 files, and no photograph among them"),
        ({"output": "empty"}, IsADirectoryError, "empty is a folder"),
        ({"output": "text.jpg/a.html"}, OSError, "text.jpg"),
    ],
    ids=lambda value: " ".join(value.values()) if isinstance(value, dict) else "",
)
def test_wrong_inputs_are_refused_before_the_work(settings, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(unit_cache, "maximize", lambda *args, **settings: pytest.fail("the work had begun"))
    for folder_name in ("empty", "texts"):
        (tmp_path / folder_name).mkdir()
    for text in ("text.jpg", "texts/notes.txt"):
        (tmp_path / text).write_text("no image")
    with pytest.raises(error, match=words):
        atlas.build(network(), **{"output": "a.html", **settings}, **QUICK)
    assert not (tmp_path / "a.html").exists()


def test_a_file_name_that_is_not_utf_8_is_written_as_escapes(tmp_path):
    photos = folder(tmp_path / "photos", count=1)
    try:
        os.rename(photos / "class a" / "0.png", os.fsencode(photos) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system has no such names")
    built = atlas.build(
        network(), tmp_path / "a.html", folder=photos, photo=os.fsdecode(os.fsencode(photos) + b"/caf\xe9.png"), **QUICK
    )
    assert "caf\\udce9.png, as the network sees it" in built.path.read_text(encoding="utf-8")


def test_units_that_are_not_in_the_atlas_are_named_and_no_links(tmp_path):
    built = atlas.build(network(), tmp_path / "a.html", layers=[HOSTILE], **QUICK)
    text = built.path.read_text(encoding="utf-8")
    read = Reader(text)
    assert {target[1:] for target in read.values("href") if target != "data:,"} <= set(read.values("id"))
    assert "It speaks most for" in read.text[""] and "features.0:" in read.text[""], (
        "a class by its name, a unit by its layer"
    )
    assert not re.search(r"classifier:\d", read.text[""])
    assert "An empty frame" in read.text[""] and 'title="not in this atlas"' in text


# --- words, and the page to play with ------------------------------------------------------------------------------------


def test_the_glossary_is_a_page_whose_words_the_other_pages_link_to(tmp_path):
    built = atlas.build(network(), tmp_path / "a.html", folder=folder(tmp_path / "photos", count=1), **QUICK)
    text = built.path.read_text(encoding="utf-8")
    read = Reader(text)
    glossary = (ROOT / "lessons" / "glossary.md").read_text(encoding="utf-8")
    entries = {f"word-{anchor(heading)}" for heading in re.findall("^## (.+)$", glossary, re.MULTILINE)}
    assert entries == {name for name in read.values("id") if name.startswith("word-")} and len(entries) > 40
    pages = text[: text.index('id="words"')]
    linked = set(re.findall(r'href="#(word-[^"]+)" class="word"', pages))
    assert linked >= {f"word-{name}" for name in ("receptive-field", "gradient-ascent", "unit", "weight", "activation",
                                                   "kernel-and-filter", "feature-map", "logit", "softmax")}  # fmt: skip
    assert linked <= entries
    assert "**" not in read.text[""].partition("Words")[2] and "](" not in text, "no Markdown is left"
    assert "weight.shape[1] * groups == input channels" in read.text[""] and "pickle.loads(" in read.text[""]


def test_units_link_to_the_page_in_which_the_network_runs(tmp_path):
    plain, linked = (
        atlas.build(network(), tmp_path / name, play=page, **QUICK).path.read_text(encoding="utf-8")
        for name, page in (("plain.html", None), ("linked.html", 'play.html?"x"'))
    )
    addresses = [target for target in Reader(linked).values("href") if target.startswith("play.html")]
    assert addresses[0] == 'play.html?"x"' and 'play.html?"x"#features.0:2' in addresses
    assert len(addresses) == 1 + linked.count('<article id="unit-') > 5
    assert "play.html" not in plain and "See it at work" not in plain


# --- markup -------------------------------------------------------------------------------------------------------------


def test_text_becomes_markup_in_one_place():
    assert html("a < b & 'c'") == "a &lt; b &amp; &#x27;c&#x27;"
    assert el("p", "<", el("b", ">"), None, ["x", 3], class_='"', hidden=True, data_find=None) == (
        '<p class="&quot;" hidden>&lt;<b>&gt;</b>x3</p>'
    )
    assert el("br") == "<br>"
    assert isinstance(html(Markup("<b>")), Markup)


def test_a_picture_is_stored_once():
    pictures = Pictures()
    image = np.zeros((40, 40, 3), np.uint8)
    pictures.add("a", image)
    pictures.add("a", image)
    assert "".join(pictures.rules).count("base64") == 1 and pictures.number("a") == 0
    assert pictures.show("a", "dark & black") == '<span role="img" aria-label="dark &amp; black" class="i i0"></span>'
    assert pictures.show("a") == '<span class="i i0"></span>'
    pictures.add_sheet("maps", np.zeros((5, 4, 4, 3), np.uint8))
    assert "--c:1;--r:1" in pictures.tile("maps", 4, 5)


# --- the file -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("some secret place")
    return atlas.build(network(), path / "atlas.html", folder=folder(path / "photos"), **QUICK)


class Reader(HTMLParser):
    """What a browser would make of the file: elements with their attributes, and the text in scripts and elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {"script": "", "data": "", "style": "", "": ""}
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.inside = tag if tag in ("script", "style") else ""
        if tag == "script" and dict(attributes).get("type") == "application/json":  # which no browser runs
            self.inside = "data"

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        self.text[self.inside] += data

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


@pytest.fixture(scope="module")
def read(built):
    return Reader(built.path.read_text(encoding="utf-8"))


def test_the_folder_is_finished_and_what_was_skipped_is_listed(built, read):
    assert (built.units, built.photographs) == (9, 7)
    names = {name.rpartition("/")[2]: reason for name, reason in built.skipped}
    assert set(names) == {"damaged <i>.png", "notes.txt", "empty.jpg", "huge.png"}
    assert "3600000000 pixels" in names["huge.png"]
    for name in names:
        assert name in read.text[""]
    assert "some secret place" not in built.path.read_text(encoding="utf-8"), "where it was made is nobody's business"


def test_hostile_names_are_text(read):
    tags = Counter(tag for tag, _ in read.elements)
    assert tags["script"] == 2 and json.loads(read.text["data"])["id"].startswith("overview\n")
    assert tags["br"] > 0 and tags["b"] > 0
    assert not [attributes for _, attributes in read.elements if any(name.startswith("on") for name in attributes)]
    assert all(attributes["src"].startswith("data:") for tag, attributes in read.elements if tag == "img")
    assert HOSTILE not in read.text["script"] and "<script" not in read.text["data"]
    assert HOSTILE in json.loads(read.text["data"])["name"].split("\n")
    assert read.text[""].count(HOSTILE) > 3
    assert CATEGORIES[3] in read.text[""], "a name that looks like a placeholder of the template stays as it is"
    (policy,) = [a["content"] for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(read.text["script"].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy


def test_every_link_leads_somewhere_inside_of_the_file(read):
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    targets = {target for target in read.values("href") if target != "data:,"}
    assert all(target.startswith("#") for target in targets)
    assert {target[1:] for target in targets} <= set(ids)
    assert {f"unit-classifier-{i}" for i in range(3)} <= {target[1:] for target in targets}
    assert "@import" not in read.text["style"]
    assert set(re.findall(r"url\((.{5})", read.text["style"])) == {"data:"}


def test_every_picture_has_a_name_or_stands_beside_one(read):
    for tag, attributes in read.elements:
        if tag == "img":
            assert attributes["alt"]
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
    assert [a["lang"] for tag, a in read.elements if tag == "html"] == ["en"]


def test_a_unit_page_says_what_it_responds_to_and_where_that_comes_from(read):
    text = read.text[""]
    for words in ("convolution 2 of 2, the last", "It speaks most for", "What excites it in photographs", "Where it comes from",
                  "What it feeds", "How strongly it answers", "On the photograph", "Grad-CAM", "Gabor R2"):  # fmt: skip
        assert words in text, words


def test_the_size_is_known_beforehand(built):
    assert built.bytes == built.path.stat().st_size
    assert 0.4 < built.cost.page_bytes / built.bytes < 2.5
    assert "9 units" in str(built.cost) and "MB" in str(built.cost) and "11 files" in str(built.cost)


def test_a_network_of_other_channels_has_no_photograph_and_says_so(tmp_path):
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU())
    model.meta = minicnn.models.ModelMeta("two", (0.5,) * 2, (0.25,) * 2, (2, 16, 16))
    built = atlas.build(model, tmp_path / "a.html", **QUICK)
    assert "takes 2 channels" in built.path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="2"):
        atlas.build(model, tmp_path / "a.html", folder=folder(tmp_path / "photos"), **QUICK)


# --- a budget -----------------------------------------------------------------------------------------------------------


def test_a_budget_chooses_units_and_steps_and_says_so(tmp_path, monkeypatch):
    costs = dict.fromkeys((layer.name for layer in atlas.Plan(network()).layers), 0.01)
    monkeypatch.setattr("minicnn.atlas.builder.seconds_of_a_step", lambda plan, missing, progress: costs)
    told = []
    build = dict(steps=40, progress=False, say=told.append)
    with pytest.raises(ValueError, match=r"no choice of units and steps takes less than 1 s"):
        atlas.build(network(), tmp_path / "a.html", budget=0.01 * 17 * len(costs) - 1e-6, **build)
    seconds = 2.5 * 0.01 * 17 * len(costs)
    built = atlas.build(network(), tmp_path / "a.html", budget=seconds, **build)
    assert [len(layer.units) for layer in built.contents.plan.layers] == [2] * len(costs)
    assert built.contents.plan.steps == 16 and built.units == 2 * len(costs)
    assert any(line.endswith(f"{built.units} units, the first ones of each layer, 16 steps") for line in told)
    told.clear()
    built = atlas.build(network(), tmp_path / "a.html", budget=1e6, units=1, **build | {"steps": 3})
    assert built.contents.plan.steps == 3 and not any("the first ones" in line for line in told)
