"""Units that are switched off, dead units, changed photographs, and what a whole layer sees: against sums by hand, and on bad input."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import minicnn
from minicnn import nn, viz
from minicnn.models import tinynet
from tests.test_viz_answers import hooks, network, outputs, photographs, words

# --- ablation -----------------------------------------------------------------------------------------------------------


def test_a_unit_that_is_switched_off_is_zero_and_nothing_else_changes():
    model, images = network(), photographs(4)
    x = minicnn.cat([viz.preprocess(image, model) for image in images])
    with minicnn.no_grad():
        before = model(x).numpy()
        with viz.ablated(model, ["relu#2:3", "relu#2:1"]), viz.capture(model, ["relu#*", "pool"]) as maps:
            after = model(x).numpy()
        assert hooks(model) == 0
        np.testing.assert_array_equal(model(x).numpy(), before)
    assert (maps["pool"].numpy()[:, [1, 3]] == 0).all() and (maps["relu"].numpy()[:, [1, 3]] != 0).any()
    pooled = maps["pool"].numpy()[:, :, 0, 0]
    weight, bias = model.last.weight.detach().numpy(), model.last.bias.detach().numpy()
    np.testing.assert_allclose(after, pooled @ weight.T + bias, rtol=1e-5, atol=1e-6)
    assert np.abs(after - before).max() > 1e-3
    with minicnn.no_grad(), viz.ablated(model, "first:0", value=2.5), viz.capture(model, "first") as maps:
        model(x)
        model(x)
    assert all((output.numpy()[:, 0] == 2.5).all() for output in maps.calls("first"))


def test_no_gradient_reaches_what_is_switched_off_and_hooks_go_after_an_error():
    model = network()
    x = viz.preprocess(photographs(1)[0], model)
    with viz.ablated(model, "relu#2:2"):
        model(x).sum().backward()
    slopes = model.second.weight.grad.numpy()
    assert (slopes[2] == 0).all() and (slopes != 0).any()
    with pytest.raises(IndexError, match="first:9: 'first' has 5 channels"), viz.ablated(model, "first:9"):
        model(x)
    assert hooks(model) == 0
    for wrong, error, says in (
        ("first:0@1,1", ValueError, "leave out the position"),
        ("frist:0", KeyError, "first"),
        ([], ValueError, "no units"),
        ("", ValueError, "cannot read the target ''"),
    ):
        with pytest.raises(error, match=says), viz.ablated(model, wrong):
            pass


def test_ablation_is_ablated_for_each():
    model, images = network(), photographs(9)
    labels = [i % 4 for i in range(9)]
    result = viz.ablation(model, ["relu#2:0", ["relu#2:1", "first:2"]], images, labels=labels, batch=4, progress=False)
    np.testing.assert_allclose(result.before, outputs(model, images), rtol=1e-5, atol=1e-6)
    with viz.ablated(model, ["relu#2:1", "first:2"]):
        expected = outputs(model, images)
    np.testing.assert_allclose(result.after[1], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.change[1], (expected - result.before).mean(0), atol=1e-6)
    np.testing.assert_array_equal(result.changed[1], expected.argmax(1) != result.before.argmax(1))
    np.testing.assert_array_equal(result.accuracy(1), [(expected[c::4].argmax(1) == c).mean() for c in range(4)])
    assert result.table().startswith("relu#2:0: ") and "relu#2:1 + first:2" in result.table()
    assert "→" in words(result.figure(k=2)) and "2 units" not in words(result.figure())
    with pytest.raises(ValueError, match="no units"):
        viz.ablation(model, [], images)


# --- activity -----------------------------------------------------------------------------------------------------------


def test_activity_counts_every_answer_and_finds_dead_units():
    model, images = network(), photographs(5)
    with minicnn.no_grad():
        model.second.bias[1] = -100.0
        model.second.bias[4] = 100.0
    result = viz.activity(model, ["relu#2", "last", "first"], images, batch=2, progress=False)
    assert list(result.layers) == ["relu#2", "last", "first"] and result.images == 5
    x = minicnn.cat([viz.preprocess(image, model) for image in images])
    with minicnn.no_grad(), viz.capture(model, ["relu#2", "first"]) as maps:
        model(x)
    for name in ("relu#2", "first"):  # the ReLU writes into what first has returned, later
        rows = np.moveaxis(maps[name].numpy(), 1, 0).reshape(maps[name].shape[1], -1)
        layer = result[name]
        np.testing.assert_allclose(layer.active, (rows > 0).mean(1))
        assert layer.histogram.count == layer.histogram.counts.sum() == rows.size
        assert math.isclose(layer.histogram.maximum, rows.max(), rel_tol=1e-5)
    assert result["relu#2"].dead.tolist() == [1] and result["relu#2"].always_on().tolist() == [4]
    assert result["first"].always_on(0).tolist() == list(range(5))
    assert len(result["last"].units) == 4
    (line,) = [line for line in result.table().splitlines() if line.startswith("relu#2")]
    assert line.split()[1:4] == ["6", "1", "1"]
    assert "1 of 6 dead, 1 always on" in words(result.figure())
    with pytest.raises(KeyError, match="no layer 'relu'; there are relu#2, last, first"):
        result["relu"]


@pytest.mark.parametrize(
    "layers, options, error, says",
    [
        ([], {}, ValueError, "one layer or more"),
        ("first", {"bins": 6}, ValueError, "bins a power of two"),
        ("frist", {}, KeyError, "first"),
        ("relu#3", {}, ValueError, "'relu#3' was not called"),
    ],
)
def test_activity_says_what_is_wrong(layers, options, error, says):
    with pytest.raises(error, match=says):
        viz.activity(network(), layers, photographs(1), progress=False, **options)


# --- adversarial --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attacked():
    model = tinynet("standard")
    photo = viz.sample_folder() / "goldfish.jpg"
    return model, {epsilon: viz.adversarial(model, photo, epsilon=epsilon) for epsilon in (1, 4)}


def test_an_adversarial_photograph_is_a_photograph_and_its_change_is_bounded(attacked):
    model, results = attacked
    for epsilon, result in results.items():
        assert result.picture.dtype == np.uint8
        change = result.picture.astype(int) - result.photo
        assert np.abs(change).max() == epsilon and (change != 0).mean() > 0.5
        control = result.noisy.astype(int) - result.photo
        assert (np.abs(control) <= np.abs(change)).all()
        for picture, expected in (
            (result.photo, result.before),
            (result.picture, result.after),
            (result.noisy, result.control),
        ):
            with minicnn.no_grad():
                p = model(viz.preprocess(picture, model)).softmax(1).numpy()[0]
            np.testing.assert_allclose(p, expected, atol=1e-5)
        assert result.after[result.label] < result.before[result.label]
    result = results[4]
    assert result.categories[result.label] == "goldfish" and result.fooled
    assert result.after[result.label] < results[1].after[result.label]


@pytest.mark.slow
def test_the_change_of_a_layer_is_what_it_says(attacked):
    model, results = attacked
    result = results[4]
    name = "features.7"
    with minicnn.no_grad(), viz.capture(model, name) as maps:
        model(minicnn.cat([viz.preprocess(p, model) for p in (result.photo, result.picture, result.noisy)]))
    a, b, c = maps[name].numpy()
    layer = result.layers[name]
    assert math.isclose(layer.relative, np.linalg.norm(b - a) / np.linalg.norm(a), rel_tol=1e-4)
    assert math.isclose(layer.noise, np.linalg.norm(c - a) / np.linalg.norm(a), rel_tol=1e-4)
    assert layer.where.shape == a.shape[1:]
    assert math.isclose(np.sqrt((layer.where**2).mean()), layer.relative, rel_tol=1e-4)
    assert list(result.layers) == [f"features.{i}" for i in range(12)] + ["avgpool", "classifier"]
    assert result.layers["avgpool"].where is None
    said = words(viz.draw_adversarial({"one": result, "other": results[1]}))
    assert "goldfish" in said and "features.11" in said and "relative change" in said
    assert "at most 4 of 255" in words(result.figure())


@pytest.mark.slow
def test_the_names_of_many_layers_stand_apart_and_inside_of_the_figure():
    minicnn.manual_seed(0)
    body = nn.Sequential(*(nn.Identity() for _ in range(90)), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = nn.Sequential()
    model.add_module("a_body_with_a_long_name", body)
    figure = viz.adversarial(nn.Sequential(nn.Conv2d(3, 4, 3), model), photographs(1)[0], size=12).figure()
    figure.draw_without_rendering()
    (curves,) = (ax for ax in figure.axes if ax.get_ylabel() == "relative change")
    named = [label for label in curves.get_xticklabels() if label.get_text()]
    assert 20 < len(named) <= 40
    assert min(label.get_window_extent().y0 for label in named) > 0


def test_a_targeted_change_goes_to_its_target(attacked):
    model, _ = attacked
    result = viz.adversarial(model, viz.sample_folder() / "goldfish.jpg", target="banana", layers=["avgpool"])
    assert result.fooled and result.categories[result.after.argmax()] == "banana"
    assert list(result.layers) == ["avgpool"]
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "options, says",
    [
        ({"epsilon": 0}, "whole number of steps of 255, from 1"),
        ({"epsilon": 4 / 255}, "whole number of steps of 255, from 1"),
        ({"steps": 0}, "steps at least 1"),
        ({"label": 7}, "class 7: there are 4"),
        ({"label": "purple"}, "no class 'purple'"),
        ({"label": 1, "target": 1}, "the target is the class that is there"),
    ],
)
def test_adversarial_says_what_is_wrong(options, says):
    with pytest.raises(ValueError, match=says):
        viz.adversarial(network(), photographs(1)[0], **options)


def test_adversarial_needs_a_gradient():
    class Constant(nn.Module):
        def forward(self, x):
            return minicnn.zeros(x.shape[0], 3)

    with pytest.raises(ValueError, match="does not depend on the image"):
        viz.adversarial(Constant(), photographs(1)[0])


# --- colour against shape -----------------------------------------------------------------------------------------------


def test_what_each_change_keeps():
    picture, rng = viz.fit(viz.sample_photo(), (64, 72)), np.random.default_rng(0)
    grey = viz.grey(picture)
    assert (grey == grey[:, :, :1]).all() and np.abs(grey[:, :, 0] - picture.mean(2)).max() < 1
    mixed = viz.shuffled(4)(picture, rng)
    assert mixed.shape == picture.shape and not np.array_equal(mixed, picture)
    assert sorted(map(tuple, mixed.reshape(-1, 3))) == sorted(map(tuple, picture.reshape(-1, 3)))
    patches = lambda p: {p[y : y + 16, x : x + 18].tobytes() for y in range(0, 64, 16) for x in range(0, 72, 18)}  # noqa: E731
    assert patches(mixed) == patches(picture)
    assert viz.shuffled(5)(picture, rng).shape == picture.shape  # 64 and 72 are no multiples of 5
    low = (96 + picture // 4).astype(np.uint8)  # far from 0 and 255, so that nothing is cut off
    waves = viz.phase_scrambled(low, rng)
    strength = [np.abs(np.fft.fft2(p.astype(float), axes=(0, 1))) for p in (low, waves)]
    assert np.abs(strength[0] - strength[1]).max() < 0.5 * 64 * 72  # what rounding a pixel can do
    assert np.abs(strength[0] - strength[1]).mean() < 0.02 * strength[0].mean()
    assert np.corrcoef(low.ravel(), waves.ravel())[0, 1] < 0.7
    np.testing.assert_allclose(waves.mean((0, 1)), low.mean((0, 1)), atol=0.1)
    with pytest.raises(ValueError, match="at least 2 x 2"):
        viz.shuffled(1)
    with pytest.raises(ValueError, match="has no 9 x 9 patches"):
        viz.shuffled(9)(picture[:8], rng)


@pytest.mark.slow
def test_cues_are_answers_to_changed_pictures():
    model, images = network(), photographs(6)
    labels = [i % 4 for i in range(6)]
    result = viz.cues(model, images, labels=labels, progress=False)
    assert list(result.variants) == ["as it is", *viz.CHANGES]
    expected = outputs(model, [viz.grey(image) for image in images])
    np.testing.assert_allclose(result.variants["grey"].logits, expected, rtol=1e-4, atol=1e-5)
    assert result.kept["as it is"] == 1
    assert result.kept["grey"] == (expected.argmax(1) == outputs(model, images).argmax(1)).mean()
    assert result.accuracy["grey"] == (expected.argmax(1) == labels).mean()
    assert 0 < result.probability["grey"] < 1
    assert np.isfinite(result.by_class["grey"]).all()
    assert "same answer" in result.table() and "accuracy" in result.table()
    unknown = viz.cues(model, images, {"dark": lambda picture, rng: picture // 2}, progress=False)
    assert "accuracy" not in unknown.table() and list(unknown.variants) == ["as it is", "dark"]
    assert "share of answers that stay" in words(viz.draw_cues({"one": unknown, "other": unknown}))
    assert "accuracy" in words(result.figure(examples=2))
    with pytest.raises(TypeError, match="read several times"):
        viz.cues(model, iter(images))


# --- what a whole layer sees --------------------------------------------------------------------------------------------


def test_a_direction_is_scored_as_it_says(net):
    rng = np.random.default_rng(0)
    vectors = rng.random((3, 8)) + 0.1
    maps = {"4": minicnn.tensor(rng.random((3, 8, 5, 6)).astype(np.float32))}
    a = maps["4"].numpy().transpose(0, 2, 3, 1).astype(np.float64)
    v = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    along = np.einsum("nhwc,nc->nhw", a, v)
    expected = along * np.maximum(along / np.linalg.norm(a, axis=3), 0.1) ** 2
    np.testing.assert_allclose(viz.Direction("4", vectors)(maps).numpy(), expected.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(viz.Direction("4", 7 * vectors, "centre")(maps).numpy(), expected[:, 2, 3], rtol=1e-4)
    np.testing.assert_allclose(viz.Direction("4", vectors, (0, 5), power=0)(maps).numpy(), along[:, 0, 5], rtol=1e-4)
    made = viz.maximize(net, viz.Direction("4", vectors), count=3, steps=8, size=16, progress=False)
    assert made.rose.all()
    with pytest.raises(ValueError, match=r"3 directions of 8 channels need \(3, 8, H, W\)"):
        viz.Direction("0", vectors)({"0": minicnn.zeros(3, 6, 4, 4)})
    with pytest.raises(IndexError, match="5 x 6"):
        viz.Direction("4", vectors, (5, 0))(maps)
    for wrong in (np.zeros(4), np.full((2, 2), np.nan), np.ones((1, 2, 3))):
        with pytest.raises(ValueError, match="directions are"):
            viz.Direction("4", wrong)


def test_an_activation_grid_has_an_image_for_each_position(net):
    photo = viz.fit(viz.sample_photo(), 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", viz.ActivationWarning)
        options = {"size": 32, "tile": 12, "steps": 6, "progress": False}
        result = viz.activation_grid(net, "4", photo, **options)
        again = viz.activation_grid(net, "4", photo, batch=7, **options)
        few = viz.activation_grid(net, "4", photo, positions=20, **options)
    with minicnn.no_grad(), viz.capture(net, "4") as maps:
        net(viz.preprocess(photo, net, size=32))
    answers = maps["4"].numpy()[0].transpose(1, 2, 0)
    np.testing.assert_allclose(result.vectors, answers, rtol=1e-5)
    np.testing.assert_allclose(result.strength, np.linalg.norm(answers, axis=2), rtol=1e-5)
    assert result.images.shape == (8, 8, 12, 12, 3)
    assert few.images.shape[:2] == (4, 4) and few.rows.tolist() == few.columns.tolist()
    np.testing.assert_array_equal(few.vectors, answers[np.ix_(few.rows, few.columns)])
    np.testing.assert_allclose(result.images, again.images, atol=0.02)  # the batch does not matter
    np.testing.assert_allclose(few.images[0, 0], result.images[few.rows[0], few.columns[0]], atol=0.02)
    assert np.nanmedian(result.cosine) > np.nanmedian(result.control)
    assert "8 × 8 places" in words(result.figure()) and "6 steps of Adam" in words(result.figure())


def test_an_activation_grid_says_what_is_wrong(net):
    photo = viz.fit(viz.sample_photo(), 32)
    with pytest.raises(ValueError, match="needs a map"):
        viz.activation_grid(network(), "last", photo)
    with pytest.raises(ValueError, match="at least 1, got 0, 256 and 64"):
        viz.activation_grid(net, "4", photo, tile=0, size=32)
    with minicnn.no_grad():
        net[3].weight.zero_()
        net[3].bias.fill_(-1.0)
    with pytest.raises(ValueError, match="answers 0 everywhere"):
        viz.activation_grid(net, "4", photo, size=32)
