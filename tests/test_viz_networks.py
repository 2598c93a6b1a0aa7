"""What people bring: networks of one, four or any number of input channels, of float64, with tuples and dicts as outputs, with images
of 32 pixels and nothing that states it. Every function works, or its error says which argument to give."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quick import one_of_each

import minicnn
from minicnn import atlas, nn, viz


class Net(nn.Module):
    """Two convolutions and a linear layer of a fixed size: 16 x 16 pixels enter it, unless it averages before the linear layer."""

    def __init__(self, channels: int = 3, fixed: bool = False, form: str = "tensor") -> None:
        super().__init__()
        self.head = nn.Conv2d(6, 3, 1)  # registered first and called last
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.pool = nn.Identity() if fixed else nn.AdaptiveAvgPool2d(8)
        self.linear = nn.Linear(3 * 64, 3)
        self.form = form

    def forward(self, x):
        maps = minicnn.relu(self.second(minicnn.relu(self.first(x))))
        out = self.linear(self.head(self.pool(maps)).flatten(1))
        return {"tensor": out, "tuple": (out, maps), "dict": {"maps": maps, "out": out}}[self.form]


def build(kind: str) -> nn.Module:
    minicnn.manual_seed(0)
    channels = {"grey": 1, "four": 4, "seven": 7}.get(kind, 3)
    model = Net(channels, fixed=kind == "small", form=kind if kind in ("tuple", "dict") else "tensor").eval()
    if kind in ("tuple", "dict"):
        viz.choose_output(model, 0 if kind == "tuple" else "out")
    return model.double() if kind == "float64" else model


KINDS = ["plain", "grey", "four", "seven", "float64", "tuple", "dict", "small"]
PHOTO = viz.fit(viz.sample_photo(), 16)
QUICK: dict[str, Any] = {"steps": 2, "size": 16, "progress": False}


def photo_for(model: nn.Module) -> np.ndarray:
    """A photograph; for a network that takes neither 1 nor 3 channels an array of so many."""
    channels = model.first.in_channels
    return PHOTO if channels in (1, 3) else np.concatenate([PHOTO] * 3, axis=2)[:, :, :channels]


def sanity(model: nn.Module, photo: np.ndarray) -> np.ndarray:
    return viz.sanity_check("saliency", model, viz.preprocess(photo, model), progress=False).maps


def atlas_of(model: nn.Module, photo: np.ndarray, folder: Any) -> atlas.Contents:
    options = {
        "units": 1,
        "steps": 1,
        "size": 16,
        "layers": ["second", "linear"],
        "progress": False,
        "say": lambda line: None,
    }
    return atlas.build(model, folder / "a.html", photo=photo, **options).contents


FUNCTIONS: dict[str, Callable[[nn.Module, np.ndarray], Any]] = {
    "predict": lambda model, photo: model(viz.preprocess(photo, model)),
    "maximize maps": lambda model, photo: viz.maximize(model, "second:1", steps=2, progress=False).images,
    "maximize logit": lambda model, photo: viz.maximize(model, "logit:1", **QUICK).figure(),
    "activation": lambda model, photo: viz.activation(model, "logit:1", viz.maximize(model, "first:1", **QUICK).images),
    "ladder": lambda model, photo: viz.ladder(model, "second:1", **QUICK).figure(),
    "diverse": lambda model, photo: viz.diverse(model, "linear:1", 2, **QUICK).figure(),
    "dream": lambda model, photo: viz.dream(model, photo, "second", steps=1, octaves=2, progress=False).figure(),
    "invert": lambda model, photo: viz.invert(model, photo, ["second", ""], **QUICK).figure(),
    "top_patches": lambda model, photo: viz.top_patches(
        model, ["second", "logit:1"], [photo, photo[::-1]], size=16, progress=False
    ).figure(),
    "draw_overlay": lambda model, photo: viz.draw_overlay(model, photo, "second:1"),
    "draw_receptive_fields": lambda model, photo: viz.draw_receptive_fields(model, photo, ["first", "second"]),
    "draw_overview": lambda model, photo: viz.draw_overview(model, photo, [], layers=["second"], size=16, across=2),
    "filter_report": lambda model, photo: viz.filter_report(model).table(),
    "draw_filters": lambda model, photo: viz.draw_filters(model),
    "expanded_weights": lambda model, photo: viz.expanded_weights(model, "first", [0], size=16).figure(),
    "grad_cam": lambda model, photo: viz.grad_cam(model, viz.preprocess(photo, model)),
    "saliency": lambda model, photo: viz.saliency(model, viz.preprocess(photo, model), 1),
    "guided_backprop": lambda model, photo: viz.guided_backprop(model, viz.preprocess(photo, model), "second:1"),
    "integrated_gradients": lambda model, photo: viz.integrated_gradients(model, viz.preprocess(photo, model), steps=9),
    "smooth_grad": lambda model, photo: viz.smooth_grad(model, viz.preprocess(photo, model), samples=2),
    "occlusion": lambda model, photo: viz.occlusion(model, viz.preprocess(photo, model)),
    "score": lambda model, photo: viz.score(model, viz.preprocess(photo, model)),
    "draw_attribution": lambda model, photo: viz.draw_attribution(
        PHOTO, {"gradient": viz.gradient(model, viz.preprocess(photo, model))}
    ),
    "sanity_check": sanity,
    "answers": lambda model, photo: viz.answers(
        model, [photo, photo[::-1]], labels=[1, 2], size=16, layer="second", progress=False
    ).nearest_figure([0]),
    "ablation": lambda model, photo: viz.ablation(model, "second:1", [photo], size=16, progress=False).figure(),
    "activity": lambda model, photo: viz.activity(model, ["second", "linear"], [photo], size=16, progress=False).figure(),
    "adversarial": lambda model, photo: viz.adversarial(model, photo, size=16, steps=2).figure(),
    "cues": lambda model, photo: viz.cues(model, [photo], labels=[1], size=16, progress=False).figure(),
    "activation_grid": lambda model, photo: viz.activation_grid(model, "second", photo, tile=8, **QUICK).figure(),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_everything_works_on_what_people_bring(kind, function):
    model = build(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", viz.ActivationWarning)  # two steps are few
        warnings.simplefilter("ignore", viz.AttributionWarning)
        result = FUNCTIONS[function](model, photo_for(model))
    if isinstance(result, np.ndarray) and not function.startswith("act"):
        assert result.dtype == np.float32 and np.isfinite(result).all()
    assert all(not module._forward_hooks for module in list(model.modules())[1:])


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind != "grey")) for kind in KINDS])
def test_an_atlas_of_what_people_bring(kind, tmp_path):
    model = build(kind)
    contents = atlas_of(model, photo_for(model), tmp_path)
    assert len(contents.photograph.answer) == 3 and not contents.notes
    assert contents.photograph.image.shape == (16, 16, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_receptive_fields_of_what_people_bring(kind):
    model = build(kind)
    assert viz.receptive_fields(model, "second")["second"].y.size == 5
    with pytest.raises(RuntimeError, match="shape="):
        viz.receptive_fields(build("small"), "linear", (1, 3, 20, 20))


def test_the_same_network_in_float64_says_the_same():
    ours, others = build("plain"), build("float64")
    x = viz.preprocess(PHOTO, others)
    assert (
        x.dtype == minicnn.float64
        and viz.preprocess(PHOTO, ours).dtype == viz.preprocess(PHOTO).dtype == minicnn.float32
    )
    np.testing.assert_allclose(viz.grad_cam(others, x), viz.grad_cam(ours, x.float()), atol=1e-5)
    first, second = (viz.maximize(model, "second:1", **QUICK).images for model in (ours, others))
    assert first.dtype == second.dtype == np.float32
    np.testing.assert_allclose(first, second, atol=1e-3)


# --- channels, mean and std ---------------------------------------------------------------------------------------------


def test_a_photograph_becomes_grey_for_one_channel_as_pillow_makes_it(tmp_path):
    model = build("grey")
    x = viz.preprocess(PHOTO, model)
    expected = np.asarray(Image.fromarray(PHOTO).convert("L"), np.float32) / 255
    np.testing.assert_array_equal(x.numpy(), expected[None, None])
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)  # what is grey already stays as it is
    np.testing.assert_array_equal(viz.preprocess(grey, model).numpy()[0, 0] * 255, grey)
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    assert minicnn.equal(viz.preprocess(str(tmp_path / "photo.png"), model), x)
    assert minicnn.equal(viz.preprocess(PHOTO, channels=1), x)
    found = viz.top_patches(model, "first", [PHOTO], size=16, progress=False)
    assert found.units[0].patches[0].pixels.shape[2] == 3  # shown as it was


def test_mean_and_std_by_rule():
    model = build("grey")
    model.meta = SimpleNamespace(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225), input_size=(3, 16, 16))
    assert viz.statistics(model, channels=1)[:2] == ((pytest.approx(0.449),), (pytest.approx(0.226),))
    assert viz.statistics(model)[:2] == (model.meta.mean, model.meta.std)
    assert viz.statistics(model, mean=0.5, std=(0.1, 0.2, 0.3, 0.4), channels=4)[:2] == (
        (0.5,) * 4,
        (0.1, 0.2, 0.3, 0.4),
    )
    with pytest.raises(ValueError, match="the input has 1 channels, but mean= 3 values"):
        viz.preprocess(PHOTO, model, mean=(0.1, 0.2, 0.3))
    given = viz.preprocess(PHOTO, model, mean=0.5, std=0.25)
    np.testing.assert_allclose(given.numpy(), (viz.preprocess(PHOTO, channels=1).numpy() - 0.5) / 0.25, rtol=1e-6)


def test_another_number_of_channels_takes_arrays_and_says_so(tmp_path):
    model, photo = build("four"), photo_for(build("four"))
    x = viz.preprocess(photo, model, size=8)
    assert x.shape == (1, 4, 8, 8)
    np.testing.assert_array_equal(x.numpy()[0, :3], viz.preprocess(PHOTO, size=8).numpy()[0])
    np.testing.assert_array_equal(
        x.numpy()[0, 3], x.numpy()[0, 0]
    )  # the fourth is the first again; alpha is not dropped
    path = tmp_path / "photo.png"
    Image.fromarray(PHOTO).save(path)
    quiet = {"size": 16, "say": lambda line: None}
    calls = (
        lambda photograph: viz.preprocess(photograph, model),
        lambda photograph: viz.draw_overlay(model, photograph, "first:1"),
        lambda photograph: viz.dream(model, photograph, "first", progress=False),
        lambda photograph: viz.invert(model, photograph, "first", **QUICK),
        lambda photograph: viz.top_patches(model, "first", [photograph], size=16, progress=False),
        lambda photograph: atlas.build(model, tmp_path / "a.html", photo=photograph, **quiet),
        lambda photograph: atlas.build(model, tmp_path / "a.html", folder=tmp_path, **quiet),
    )
    for call in calls:
        for photograph in (PHOTO, str(path)):
            with pytest.raises(ValueError, match=r"takes 4 channels and .*: give arrays \(H, W, 4\)"):
                call(photograph)
    assert list(tmp_path.iterdir()) == [path]


def test_the_first_convolution_is_the_one_that_is_called_first():
    model = build("plain")
    assert next(iter(model.children())) is model.head
    assert viz.weight_of(model).shape == (4, 3, 3, 3) and viz.filter_report(model).layer == "first"


# --- sizes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda model: viz.maximize(model, "logit:1", steps=1, progress=False),
        lambda model: viz.invert(model, PHOTO, "", steps=1, progress=False),
        lambda model: viz.dream(model, PHOTO, "logit:1", size=20, progress=False),
        lambda model: viz.top_patches(model, "logit:1", [PHOTO], progress=False),
        lambda model: viz.diverse(model, "logit:1", steps=1, progress=False),
        lambda model: viz.grad_cam(model, viz.preprocess(PHOTO, model, size=20)),
        lambda model: viz.sanity_check("saliency", model, viz.preprocess(PHOTO, model, size=20), progress=False),
        lambda model: viz.draw_receptive_fields(model, PHOTO, "linear", size=20),
        lambda model: atlas.Plan(model),
    ],
)
def test_a_size_that_the_network_cannot_take_is_named_with_the_argument(call):
    with pytest.raises(RuntimeError, match=r"The network was given \(1, 3, \d+, \d+\).*size=") as error:
        call(build("small"))
    assert isinstance(error.value.__cause__, RuntimeError)


def test_a_layer_before_the_one_that_has_a_size_needs_none():
    model = build("small")
    assert viz.maximize(model, "second:1", steps=1, progress=False).images.shape[1] == 96
    assert viz.top_patches(model, "second", [PHOTO], size=40, progress=False).size == (40, 40)
    with minicnn.no_grad(), viz.capture(model, "linear") as maps, pytest.raises(RuntimeError, match="shapes"):
        model(viz.preprocess(PHOTO, model, size=20))
    assert "linear" not in maps


def test_the_default_size_is_half_as_much_again_for_what_has_maps():
    model = build("small")
    model.meta = SimpleNamespace(input_size=(3, 16, 16))
    parts = {"steps": 1, "transforms": "none", "progress": False}
    sides = [viz.maximize(model, target, **parts).images.shape[1] for target in ("first:1", "linear:1")]
    assert sides == [24, 16]


# --- outputs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "key"), one_of_each([("tuple", 0), ("dict", "maps")], of=lambda form, key: "form"))
def test_an_output_that_is_no_tensor_is_named_with_the_remedy(form, key, tmp_path):
    model, x = Net(form=form).eval(), viz.preprocess(PHOTO, size=16)
    for call in (
        lambda: viz.grad_cam(model, x),
        lambda: viz.maximize(model, "logit:1", steps=1, progress=False),
        lambda: viz.invert(model, PHOTO, "", **QUICK),
        lambda: viz.top_patches(model, "", [PHOTO], size=16, progress=False),
    ):
        with pytest.raises(ValueError, match=rf"a {form} of .*viz.choose_output\(model, {key!r}\)"):
            call()
    built = atlas.build(
        model,
        tmp_path / "a.html",
        photo=PHOTO,
        units=1,
        steps=1,
        size=16,
        layers=["second"],
        progress=False,
        say=lambda _: None,
    )
    assert f"viz.choose_output(model, {key!r})" in built.contents.notes[0]


def test_a_part_of_the_output_is_chosen_and_given_back():
    model, x = Net(form="dict").eval(), viz.preprocess(PHOTO)
    with viz.choose_output(model, "out"):
        assert model(x).shape == (1, 3)
    assert set(model(x)) == {"maps", "out"}
    nested = nn.Sequential(Net(form="tuple"))
    nested.register_forward_hook(lambda module, args, output: {"all": output})
    viz.choose_output(nested, "all", 1)
    assert nested(x).shape == (1, 6, 8, 8)
    with viz.choose_output(model, "other"), pytest.raises(ValueError, match=r"no part 'other'.*'out': \(1, 3\)"):
        model(x)
