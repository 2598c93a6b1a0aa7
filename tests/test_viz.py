"""Looking inside: capture, filters, feature maps, maximisation."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

import minicnn
from minicnn import nn, viz
from minicnn.viz.figures.plot import new_figure
from minicnn.viz.parts import L2, Blur, TotalVariation


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


# --- words --------------------------------------------------------------------------------------------------------------

ODD = "a_b^c $x_{$ 5$ \\frac \x1b[2J caf\udce9"
SHOWN = "a_b^c $x_{$ 5$ \\frac \\u001b[2J caf\\udce9"
PHOTO = np.arange(48 * 48 * 3, dtype=np.uint8).reshape(48, 48, 3)


class Odd(nn.Module):
    """A network whose layers and classes have names that are formulas elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        minicnn.manual_seed(0)
        self.add_module(ODD, nn.Conv2d(3, 4, 3))
        self.meta = minicnn.models.ModelMeta("odd", (0.0,) * 3, (1.0,) * 3, (3, 16, 16), (ODD, "b", "c", "d"))

    def forward(self, x):
        return self._modules[ODD](x).relu().mean((2, 3))


ODD_FIGURES = {
    "filters": lambda: viz.draw_filters(Odd(), ODD, title=ODD),
    "report": lambda: viz.filter_report(Odd(), ODD).figure(),
    "strip": lambda: viz.draw_strip({ODD: minicnn.rand(1, 4, 8, 8)}, PHOTO),
    "maximized": lambda: viz.maximize(Odd(), ["logit:0", f"{ODD}:1"], size=16, steps=2).figure(),
    "patches": lambda: viz.top_patches(Odd(), [""], [PHOTO]).figure(),
    "answers": lambda: viz.answers(Odd(), [PHOTO], labels=[0], progress=False).confusion.figure(),
    "wrong": lambda: viz.answers(Odd(), [PHOTO] * 4, labels=[0, 1, 2, 3], progress=False).wrong_figure(),
    "ablation": lambda: viz.ablation(Odd(), f"{ODD}:1", [PHOTO], progress=False).figure(),
    "activity": lambda: viz.activity(Odd(), ODD, [PHOTO], progress=False).figure(),
    "adversarial": lambda: viz.adversarial(Odd(), PHOTO).figure(),
    "grid": lambda: viz.activation_grid(Odd(), ODD, PHOTO, steps=2, positions=4, progress=False).figure(),
    "attribution": lambda: viz.draw_attribution(PHOTO, {ODD: np.ones((1, 48, 48), np.float32)}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ODD_FIGURES)
def test_words_in_figures_are_words(kind, tmp_path):
    figure = ODD_FIGURES[kind]()
    figure.savefig(tmp_path / "a.png")
    assert SHOWN in " ".join(words(figure).split())  # in a line or in several
    assert type(pickle.loads(pickle.dumps(figure))) is Figure


def test_the_numbers_at_logarithmic_axes_stay_powers():
    figure = new_figure(4, 3, "$", "")
    ax = figure.add_subplot()
    ax.set_yscale("log")
    figure.draw_without_rendering()
    assert {label.get_parse_math() for label in ax.get_yticklabels()} == {True}


def test_names_at_an_axis_are_words():
    figure = new_figure(4, 3, "$", "")
    figure.add_subplot().set_yticks([0, 1], ["a$b_c$", "$x^2"])
    figure.draw_without_rendering()
    assert {label.get_parse_math() for label in figure.axes[0].get_yticklabels()} == {False}


def test_a_long_title_wraps():
    short, long = new_figure(4, 3, "word " * 20, "rule"), new_figure(4, 3, "word " * 200, "rule")
    assert 4 < short.get_figwidth() < long.get_figwidth() == 16
    assert "\n" not in short.texts[0].get_text() and "\n" in long.texts[0].get_text()
    long.draw_without_rendering()
    title, rule = (text.get_window_extent() for text in long.texts)
    assert title.x1 <= long.bbox.x1 and title.y0 >= rule.y1


@pytest.mark.parametrize("label", ["features.0:60@centre", "a very long name of a class"])
def test_labels_above_pictures_do_not_touch(label):
    figure = viz.draw_rows([("a row", [np.zeros((4, 4, 3))] * 3, [label] * 3)], "title", "rule", inches=1.15)
    figure.draw_without_rendering()
    first, second, _ = (ax.title.get_window_extent() for ax in figure.axes if ax.get_title())
    assert second.x0 - first.x1 > 1


# --- capture ------------------------------------------------------------------------------------------------------------


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_capture_takes_names_and_patterns_and_leaves_no_hook(net):
    x = minicnn.randn(2, 3, 16, 16)
    with viz.capture(net, ["0", "*"]) as maps:
        out = net(x)
        assert hooks(net) == 5 + 1  # the last: the network's own, which counts the passes
    assert hooks(net) == 0
    assert list(maps) == ["0", "1", "2", "3", "4"]
    assert maps["0"].shape == (2, 6, 8, 8)
    assert minicnn.equal(maps["4"], out.detach())
    assert not maps["4"].requires_grad


def test_capture_removes_its_hooks_after_an_error(net):
    with pytest.raises(RuntimeError, match="channels"), viz.capture(net, "*"):
        net(minicnn.randn(1, 4, 16, 16))
    assert hooks(net) == 0


def test_a_misspelt_name_lists_the_near_ones():
    model = nn.Sequential()
    model.features, model.classifier = nn.Sequential(nn.Conv2d(3, 2, 3)), nn.Identity()
    with pytest.raises(KeyError, match=r"features\.0"):
        viz.capture(model, "feature.0")


def test_copies_survive_an_in_place_layer_and_references_do_not():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
    x = minicnn.randn(1, 3, 8, 8)
    with minicnn.no_grad(), viz.capture(model, "0") as copied, viz.capture(model, "0", copy=False) as shared:
        model(x)
    assert (copied["0"] < 0).any()
    assert not (shared["0"] < 0).any()


def test_capture_keeps_what_a_function_makes_of_an_output(net):
    """A number in place of the map, taken inside of the hook; and no other call than the one that is named."""
    x = minicnn.randn(1, 3, 16, 16)
    with viz.capture(net, ["0", "1"], keep=lambda call, output: (call, output.mean().item())) as seen:
        net(x)
    assert seen["0"] == ("0#1", net[0](x).mean().item())
    assert [call for call, _ in seen.values()] == ["0#1", "1#1"]


def test_stop_ends_the_pass(net):
    reached = []
    net[3].register_forward_hook(lambda *args: reached.append(1))
    with viz.capture(net, "1", stop=True) as maps:
        net(minicnn.randn(1, 3, 16, 16))
    assert not reached
    assert maps["1"].shape == (1, 6, 8, 8)


def test_a_module_that_is_called_twice_has_both_outputs():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.relu(x) - 1)

    model = Twice()
    with viz.capture(model, "relu") as maps:
        model(minicnn.tensor([2.0, 0.5]))
    assert [t.tolist() for t in maps.calls("relu")] == [[2.0, 0.5], [1.0, 0.0]]


# --- filters and maps ---------------------------------------------------------------------------------------------------


def test_zero_is_mid_grey_and_the_largest_weight_is_an_end():
    weight = np.zeros((2, 3, 2, 2), np.float32)
    weight[0, 0, 0, 0], weight[0, 1, 1, 1], weight[1, 2, 0, 1] = 2.0, -1.0, 0.5
    each = viz.filter_tiles(weight, "each")
    assert each.shape == (2, 2, 2, 3)
    assert (each[0, 0, 0, 0], each[0, 1, 1, 1], each[0, 0, 1, 2]) == (1.0, 0.25, 0.5)
    shared = viz.filter_tiles(weight, "shared")
    assert shared[1, 0, 1, 2] == 0.5 + 0.5 / 4


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_filters_of_any_number_of_channels_are_drawn(channels):
    figure = viz.draw_filters(nn.Conv2d(channels, 8, 3))
    assert isinstance(figure, Figure)
    assert "largest |weight|" in words(figure) or "99.9th percentile" in words(figure)


def test_dead_filters_are_marked():
    layer = nn.Conv2d(3, 4, 3)
    with minicnn.no_grad():
        layer.weight[2] = 0
    assert viz.dead_filters(viz.weight_of(layer)).tolist() == [False, False, True, False]
    assert "dead" in words(viz.draw_filters(layer))


def test_figures_state_their_scale(net):
    with viz.capture(net, ["1", "4"]) as maps:
        net(minicnn.randn(1, 3, 32, 32))
    assert "largest magnitude" in words(viz.draw_maps(maps["1"]))
    assert "One scale for all maps" in words(viz.draw_maps(maps["1"], scale="shared"))
    assert "its own scale" in words(viz.draw_strip(maps))
    with pytest.raises(ValueError, match="scale"):
        viz.draw_maps(maps["1"], scale="nonsense")


def test_receptive_fields_agree_with_the_support_of_a_gradient(net):
    field = viz.receptive_fields(net, "3", (1, 3, 40, 40))["3"]
    x = minicnn.randn(1, 3, 40, 40).requires_grad_()
    with viz.capture(net, "3", copy=False, detach=False) as maps:
        net(x)
    y, across = 5, 4
    maps["3"][0, :, y, across].sum().backward()
    rows = np.flatnonzero(np.abs(x.grad.numpy()).sum((0, 1, 3)))
    columns = np.flatnonzero(np.abs(x.grad.numpy()).sum((0, 1, 2)))
    top, left, bottom, right = field.box(y, across)
    assert top <= rows[0] <= rows[-1] < bottom
    assert left <= columns[0] <= columns[-1] < right
    assert field.y.size == 5 + 2 * 2 + 2 * 4  # kernel 5, then 3 at stride 2, then 3 at stride 4


def test_an_overlay_is_a_figure(net):
    assert "Cells of 4 × 4 pixels" in words(viz.draw_overlay(net, viz.sample_photo(), "3:0", size=64))


# --- maximisation -------------------------------------------------------------------------------------------------------

QUICK = {"steps": 12, "size": 24, "progress": False}


@pytest.mark.parametrize("parametrization", ["pixels", "fourier", viz.Fourier(decorrelate=False)], ids=str)
def test_the_activation_rises(net, parametrization):
    result = viz.maximize(
        net, ["3:0", "3:1@centre", "0:2@3,4"], parametrization=parametrization, transforms="none", **QUICK
    )
    assert result.images.shape == (3, 24, 24, 3)
    assert 0 <= result.images.min() <= result.images.max() <= 1
    assert result.rose.all()
    assert result.scores.shape == (12, 3)
    assert isinstance(result.figure(), Figure)


def test_equal_seeds_give_equal_images_and_others_do_not(net):
    images = [viz.maximize(net, "3:0", seed=seed, **QUICK).images for seed in (3, 3, 4)]
    np.testing.assert_array_equal(images[0], images[1])
    assert np.abs(images[0] - images[2]).max() > 0.01


def test_a_unit_gives_the_same_image_in_any_batch(net):
    alone = viz.maximize(net, "3:1", **QUICK).images[0]
    together = viz.maximize(net, ["3:0", "3:1"], **QUICK).images[1]
    np.testing.assert_allclose(alone, together, atol=1e-3)


def test_the_network_is_left_as_it_was(net):
    net.train()
    net[0].weight.requires_grad_(False)
    later = []
    net[4].register_forward_hook(lambda *args: later.append(1))
    viz.maximize(net, "3:0", **QUICK)
    assert not later, "the pass stops after the target layer"
    assert net.training
    assert [p.requires_grad for p in net.parameters()] == [False, True, True, True]
    assert all(p.grad is None for p in net.parameters())
    assert hooks(net) == 1


@pytest.mark.filterwarnings("ignore:the activation did not rise")  # against so large a penalty
@pytest.mark.parametrize("penalty", [L2(5.0), TotalVariation(5.0), Blur(50.0)], ids=str)
def test_penalties_lower_what_they_charge_for(net, penalty):
    free = viz.maximize(net, "3:0", transforms="none", parametrization="pixels", **{**QUICK, "steps": 40})
    charged = viz.maximize(
        net, "3:0", transforms="none", parametrization="pixels", penalties=[penalty], **{**QUICK, "steps": 40}
    )
    cost = [penalty(minicnn.tensor(r.images.transpose(0, 3, 1, 2))).item() for r in (free, charged)]
    assert cost[1] < cost[0]


@pytest.mark.filterwarnings("ignore:the activation did not rise")  # the other warning
@pytest.mark.slow
def test_a_dead_relu_is_named_and_the_remedy_works(net):
    with minicnn.no_grad():
        net[3].bias[:] = -2.0
    with pytest.warns(viz.ActivationWarning, match="open_dead_relus"):
        viz.maximize(net, "4:0@centre", parametrization="pixels", transforms="none", **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = viz.maximize(
            net, "4:0@centre", parametrization="pixels", transforms="none", open_dead_relus=400, rate=0.05,
            **{**QUICK, "steps": 400},
        )  # fmt: skip
    assert result.activation_start[0] == 0 < result.activation_end[0]
    assert hooks(net) == 0


def test_a_function_as_objective(net):
    result = viz.maximize(net, lambda maps: maps["3"][:, :2].mean((1, 2, 3)), layers=["3"], count=2, **QUICK)
    assert result.rose.all()


@pytest.mark.parametrize(
    ("target", "error", "text"),
    [
        ("3", ValueError, "cannot read the target"),
        ("9:0", KeyError, "9"),
        ("3:99", IndexError, "8 channels"),
        ("3:0@50,50", IndexError, "6 x 6"),
        ("logit:cat", ValueError, "categories"),
    ],
)
def test_wrong_targets(net, target, error, text):
    with pytest.raises(error, match=text):
        viz.maximize(net, target, **QUICK)
