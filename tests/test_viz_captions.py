"""Captions say what ran, in words."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim, viz
from minicnn.viz.maximize import words
from minicnn.viz.parts import PARAMETRIZATIONS

QUICK = {"size": 16, "steps": 2, "progress": False}
PHOTO = viz.fit(viz.sample_photo(), 16)

pytestmark = pytest.mark.filterwarnings("ignore::minicnn.viz.ActivationWarning")  # two steps are few


def caption(figure) -> str:
    """All words of a figure, in one line."""
    texts = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return " ".join(" ".join(text.get_text().split()) for text in texts)


def darker(x, rng):
    return x * 0.9


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 0.5}, "→ after 2 steps of Adam at rate 0.5 on 16 × 16 pixels as a spectrum scaled by 1/f, natural colours; "),
        ({}, "Adam at rate 0.05"),
        ({"parametrization": "pixels"}, "Adam at rate 0.01 on 16 × 16 pixels as they are, from grey with noise of 0.05"),
        ({"parametrization": viz.Pixels(noise=0, initial=PHOTO / 255)}, "as they are, from a given picture; "),
        ({"parametrization": viz.Fourier(decay=1.5, decorrelate=False)}, "by 1/f^1.5, each channel by itself"),
        ({"parametrization": "fixed magnitude"}, "Adam at rate 0.2 on 16 × 16 pixels as phases of the magnitudes of photographs"),
        ({"optimizer": lambda p: optim.SGD(p, lr=2.0), "rate": 7.0}, "2 steps of SGD at rate 2 on"),
        ({"transforms": "none"}, "; no random changes; seed 0."),
        ({"transforms": "standard"}, "; random changes: a shift of up to 6, a zoom of 0.9 to 1.1 and a turn of up to 8°; "),
        ({"transforms": [viz.Roll(3), darker]}, "; random changes: a roll of up to 3, darker; "),
        ({"transforms": [partial(darker)]}, "; random changes: partial; "),
        ({"penalties": ["l2", viz.TotalVariation(0.25), viz.Blur(1e-3)]}, "; charged for 1 × L2, 0.25 × total variation, 0.001 × what a "),
        ({"open_dead_relus": 2}, "; ReLUs that are off let the gradient through for 2 steps; "),
        ({"seed": 5}, "; seed 5."),
    ],
)  # fmt: skip
def test_the_caption_of_an_ascent_is_what_ran(net, options, said):
    result = viz.maximize(net, "3:1", **{**QUICK, "transforms": "none", **options})
    text = caption(result.figure())
    assert said in text
    assert ("changed image" in text) == bool(result.settings["transforms"])


def test_no_part_calls_itself_by_a_repr():
    parts = [*PARAMETRIZATIONS.values(), *viz.TRANSFORMS["standard"], *viz.TRANSFORMS["roll"], *viz.PENALTIES.values()]
    for part in (*parts, viz.Diversity("features.0"), viz.FixedMagnitude(magnitude=np.ones(3))):
        assert "(" not in words(part) and "=" not in words(part), part
    bare = viz.Maximized(np.zeros((1, 4, 4, 3)), ["a"], *np.zeros((2, 1)), *np.zeros((2, 3, 1)), 7, 0.1)
    assert "before → after 3 steps, seed 7." in caption(bare.figure())


def test_captions_of_several_images_for_a_unit(net):
    text = caption(viz.diverse(net, "3:1", 2, strength=0.25, rate=0.125, **QUICK).figure())
    assert "2 steps of Adam at rate 0.125 on 16 × 16 pixels" in text and "also charged for 0.25 × that" in text


def test_the_caption_of_a_dream_and_of_an_inversion(net):
    dream = viz.dream(net, PHOTO, "3", steps=3, octaves=2, rate=0.25, seed=4, progress=False)
    text = caption(dream.figure())
    assert "3 steps of ascent with a normalised gradient at rate 0.25 at each of 11 × 11, 16 × 16 pixels" in text
    assert "random changes: a roll of up to 16; seed 4 to 5." in text
    text = caption(viz.invert(net, PHOTO, "3", **QUICK).figure())
    assert (
        "→ after 2 steps of Adam at rate 0.05 on 16 × 16 pixels" in text and "charged for 0.1 × total variation" in text
    )


@pytest.mark.slow
def test_the_caption_of_a_ladder(net):
    standard = caption(viz.ladder(net, "3:1", **QUICK).figure())
    assert "Each column adds what its name says" in standard and "→ after 2 steps (seed 0)" in standard
    own = {"short": {"steps": 1, "seed": 3, "transforms": "none"}, "long": {"parametrization": "pixels"}}
    text = caption(viz.ladder(net, "3:1", variants=own, **QUICK).figure())
    assert "Each column adds" not in text and "→ after 1 or 2 steps (seed 0 or 3)" in text
    assert "short: 1 step of Adam at rate 0.05" in text and "long: 2 steps of Adam at rate 0.01" in text


@pytest.mark.slow
def test_the_caption_of_an_overview(net):
    options = {"layers": ["3"], "size": 16, "across": 2}
    made = viz.maximize(net, "3:1", parametrization=viz.Pixels(initial=PHOTO / 255), rate=0.25, **QUICK)
    assert "Images made by gradient ascent: 2 steps of Adam at rate 0.25." in caption(
        viz.draw_overview(net, PHOTO, [("a", made)], **options)
    )
    assert "ascent" not in caption(viz.draw_overview(net, PHOTO, [], **options))


@pytest.mark.parametrize(
    ("values", "style", "said", "not_said"),
    [
        (np.random.default_rng(0).standard_normal((1, 3, 8, 8)), "sum", "Red speaks for", "black is nothing"),
        (np.random.default_rng(0).random((1, 8, 8)), "max", "black is nothing", "Red speaks for"),
        (np.random.default_rng(0).standard_normal((1, 3, 8, 8)), "colour", "grey is nothing", "Red speaks for"),
    ],
)
def test_the_caption_of_maps_names_the_colours_that_are_there(values, style, said, not_said):
    text = caption(viz.draw_attribution(PHOTO, {"map": values}, styles=style))
    assert said in text and not_said not in text


@pytest.mark.slow
def test_the_caption_of_a_sanity_check_says_in_which_order(net):
    net.append(nn.AdaptiveAvgPool2d(1)), net.append(nn.Flatten())
    x = viz.preprocess(PHOTO)
    check = partial(viz.sanity_check, "saliency", net, x, 1, progress=False)
    assert "one layer more gets random weights, beginning with 3." in caption(check().figure())
    assert "beginning with 0." in caption(check(layers=["0", "3"]).figure())
    text = caption(check(cascade=False).figure())
    assert "one layer at a time gets random weights, the others are trained." in text and "one layer more" not in text


def test_expanded_weights_say_what_was_made_linear(net):
    titles = [caption(viz.expanded_weights(net, layer, [0], size=32).figure()) for layer in ("0", "1", "3")]
    assert ["ReLUs open" in title for title in titles] == [False, True, True]
    assert ["maxima averaged" in title for title in titles] == [False, False, True]


@pytest.mark.slow
def test_the_caption_of_a_report_of_single_weights():
    weight = np.random.default_rng(0).standard_normal((6, 4, 1, 1)).astype(np.float32)
    text = caption(viz.filter_report(weight).figure())
    assert "No Gabor is fitted" in text and "(dotted)" not in text
    assert "A Gabor is fitted" in caption(viz.filter_report(np.repeat(weight, 3, 2).repeat(3, 3)).figure())


def test_captions_name_the_order_that_was_used(net):
    weight = net[3].weight
    assert "Rows: filters, by norm, the largest first; columns: input channels, by norm" in caption(
        viz.draw_kernels(weight)
    )
    text = caption(viz.draw_kernels(weight, rows=[2, 1], columns=[0, 1]))
    assert "Rows: filters; columns: input channels." in text
    with minicnn.no_grad(), viz.capture(net, "3") as maps:
        net(viz.preprocess(PHOTO))
    for order, said in (
        ("index", "Of each layer the first."),
        ("variance", "those of the largest variance."),
        ([1, 0], "those chosen."),
    ):
        assert said in caption(viz.draw_strip(maps, order=order))


def test_a_photograph_of_a_grey_network_is_shown_grey():
    from minicnn import atlas
    from minicnn.atlas.photograph import look_at

    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = look_at(atlas.Plan(model, size=16), PHOTO, "photo").image
    assert (image == image[:, :, :1]).all()
