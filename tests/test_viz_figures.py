"""Figures can be read: what is drawn is named, headings do not touch, each rule of colour is stated, and no panel is empty."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from quick import one_of_each

from minicnn import viz
from minicnn.models import tinynet


@pytest.fixture(scope="module")
def model():
    return tinynet("standard").eval()


def words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))).replace(
        "\n", " "
    )


def headings(figure) -> list:
    """The boxes of all axes' titles, in pixels."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    return [ax.title.get_window_extent(renderer) for ax in figure.axes if ax.get_title()]


@pytest.mark.filterwarnings("ignore::minicnn.viz.ActivationWarning")  # two steps are few
def test_pictures_and_lines_of_units_are_named(model):
    names = ["goldfish", "pizza", "lighthouse"]
    made = viz.maximize(model, [f"logit:{name}" for name in names], steps=2, size=32, progress=False)
    figure = viz.draw_overview(model, viz.sample_photo(), [("classes", made)], layers=["features.1"], size=64)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[-3:] == names
    assert re.fullmatch(r"filter \d+", titles[1]) and "channel" in " ".join(titles)
    legend = next(ax.get_legend() for ax in made.figure().axes if ax.get_legend())
    assert [text.get_text() for text in legend.get_texts()] == names


@pytest.mark.parametrize(
    "name",
    one_of_each(
        ["backbone.stage.densely_connected_block.depthwise_convolution", "a.long.name.of.a.layer", "W" * 60, "i"],
        of=lambda name: "name",
    ),
)
@pytest.mark.parametrize("count", one_of_each([4, 40], of=lambda count: "strip"))
def test_headings_of_a_strip_do_not_touch(name, count):
    maps = {f"{name}.{i}": np.random.default_rng(i).random((1, 512, 7, 7)) for i in range(count)}
    figure = viz.draw_strip(maps, np.zeros((56, 56, 3), np.uint8))
    boxes = headings(figure)
    assert len(boxes) == count + 1
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    assert all(figure.bbox.x0 < box.x0 and box.x1 < figure.bbox.x1 and box.y1 < figure.bbox.y1 for box in boxes)
    assert figure.get_figwidth() < 17 and "".join(figure.axes[1].get_title().split("\n")[:-1]) == f"{name}.0"


@pytest.mark.parametrize(
    ("values", "styles", "rule"),
    [
        ((1, 8, 8), "", "black is nothing"),
        ((1, 3, 8, 8), "sum", "Red speaks for the answer"),
        ((1, 3, 8, 8), "max", "black is nothing"),
        ((1, 3, 8, 8), "colour", "mid-grey is nothing"),
    ],
)
def test_a_map_is_drawn_by_the_one_rule_that_is_stated(values, styles, rule):
    rng = np.random.default_rng(0)
    drawn = rng.random(values) if len(values) == 3 else rng.standard_normal(values)
    text = words(viz.draw_attribution(np.zeros((8, 8, 3), np.uint8), {"a map": drawn}, styles=styles))
    rules = ("black is nothing", "Red speaks for the answer", "mid-grey is nothing")
    assert [each for each in rules if each in text] == [rule]


@pytest.mark.slow
def test_a_report_has_no_empty_panels(model):
    report = viz.filter_report(model, "features.10")
    assert not report.oriented.any()
    panels = [ax for ax in report.figure().axes if ax.axison]
    assert panels and all(ax.has_data() for ax in panels)
    assert "no filter has bars or an edge" in words(report.figure())


@pytest.mark.slow
def test_a_film_rests_at_its_end(tmp_path):
    filters = np.random.default_rng(0).standard_normal((4, 2, 3, 5, 5))
    growth = viz.filter_growth({"filters": filters, "filter_step": np.array([0, 1, 10, 100])}, progress=False)
    growth.animation().save(tmp_path / "film.gif", writer="pillow", dpi=30)
    times = []
    with Image.open(tmp_path / "film.gif") as film:
        for i in range(film.n_frames):
            film.seek(i)
            times.append(film.info["duration"])
    assert times[0] >= 1000 and times[-1] >= 3000
