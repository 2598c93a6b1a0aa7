"""A module that one forward pass calls several times: for every kind of such a network a twin with a module object for each call
gives the same numbers and pictures in every function of viz and in the atlas."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import atlas, models, nn, viz
from minicnn.atlas.photograph import look_at
from minicnn.nn import functional as F
from minicnn.viz.attribution import last_maps
from minicnn.viz.sanity import layers_from_the_top


class Twin(nn.Module):
    """Modules by kind and call: one object for all calls of a kind if `shared`, else one for each, "pool2" for "pool#2"."""

    parts: dict[str, tuple[Callable[[], nn.Module], int]]  # name: (what makes it, how often a pass calls it)

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self.shared = shared
        for name, (make, times) in self.parts.items():
            minicnn.manual_seed(sum(map(ord, name)))
            module = make()
            for call in range(1, times + 1):
                setattr(self, self.path(name, call), make() if not shared else module)
                getattr(self, self.path(name, call)).load_state_dict(module.state_dict())
        for name, bias in self.named_parameters():
            if name.endswith("bias"):
                nn.init.constant_(bias, 0.3)  # so that no ReLU is off everywhere
        minicnn.manual_seed(3)
        self.head = nn.Linear(4, 3)

    def path(self, name: str, call: int) -> str:
        return name if self.shared or self.parts[name][1] == 1 else f"{name}{call}"

    def use(self, name: str, call: int, x: minicnn.Tensor) -> minicnn.Tensor:
        return getattr(self, self.path(name, call))(x)

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        return self.head(self.maps(x).mean((2, 3)))

    def names(self) -> list[tuple[str, str]]:
        """("pool#2", "pool2") for every call that has maps."""
        return [
            (name if times == 1 else f"{name}#{call}", name if times == 1 else f"{name}{call}")
            for name, (_, times) in self.parts.items()
            for call in range(1, times + 1)
        ]


def conv(inputs: int, outputs: int = 4, **options: Any) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(inputs, outputs, 3, padding=1, **options)


class OnePool(Twin):
    parts = {"first": (conv(3), 1), "second": (conv(4), 1), "pool": (lambda: nn.MaxPool2d(2), 3)}

    def maps(self, x):
        x = self.use("pool", 1, F.relu(self.first(x)))
        return self.use("pool", 3, self.use("pool", 2, F.relu(self.second(x))))


class OneRelu(Twin):
    parts = {"first": (conv(3), 1), "second": (conv(4, stride=2), 1), "relu": (lambda: nn.ReLU(inplace=True), 2)}

    def maps(self, x):
        return self.use("relu", 2, self.second(self.use("relu", 1, self.first(x))))


class Tied(Twin):
    parts = {"first": (conv(3), 1), "conv": (conv(4), 3)}

    def maps(self, x):
        x = F.relu(self.first(x))
        for call in (1, 2, 3):
            x = F.max_pool2d(F.relu(self.use("conv", call, x)), 3, 1, 1)
        return x


class Residual(Twin):
    """A block as ResNet's: the second call of its ReLU is behind the sum."""

    parts = {
        "stem": (conv(3, stride=2), 1),
        "conv1": (conv(4), 1),
        "conv2": (conv(4), 1),
        "relu": (lambda: nn.ReLU(inplace=True), 2),
    }

    def maps(self, x):
        x = self.stem(x)
        out = self.conv2(self.use("relu", 1, self.conv1(x)))
        out += x
        return self.use("relu", 2, out)


class Recurrent(Twin):
    """One convolution and one ReLU that go over a state several times, the image coming in at each."""

    parts = {"stem": (conv(3), 1), "step": (conv(4), 3), "relu": (lambda: nn.ReLU(), 3)}

    def maps(self, x):
        image = self.stem(x)
        state = image
        for call in (1, 2, 3):
            state = self.use("relu", call, self.use("step", call, state) + image)
        return state


KINDS = [OnePool, OneRelu, Tied, Residual, Recurrent]
PHOTO = viz.fit(viz.sample_photo(), 24)
QUICK: dict[str, Any] = {"steps": 2, "size": 16, "progress": False}


def drawn(figure: Any) -> list[Any]:
    """The pictures of a figure with their places, and its words but for the names of layers."""
    return [(np.asarray(image.get_array()), image.get_extent()) for ax in figure.axes for image in ax.images]


def patches(model: nn.Module, layer: str) -> list[Any]:
    noise = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), dtype=np.uint8)
    found = viz.top_patches(model, layer, [PHOTO, *noise], k=2, size=24, progress=False)
    return [(p.value, p.position, p.box, p.pixels) for unit in found.units for p in unit.patches]


def diverse(model: nn.Module, layer: str) -> Any:
    return viz.diverse(model, f"{layer}:1", 2, **QUICK).diverse.images


FUNCTIONS: dict[str, Callable[[nn.Module, str, minicnn.Tensor], Any]] = {
    "capture": lambda model, layer, x: captured(model, layer, x).numpy(),
    "maximize": lambda model, layer, x: viz.maximize(model, [f"{layer}:1", "head:2"], **QUICK).images,
    "activation": lambda model, layer, x: viz.activation(model, f"{layer}:1", PHOTO[None] / 255),
    "ladder": lambda model, layer, x: viz.ladder(model, f"{layer}:1", variants={"one": {}}, **QUICK).results["one"].images,
    "diverse": lambda model, layer, x: diverse(model, layer),
    "dream": lambda model, layer, x: viz.dream(model, PHOTO, layer, steps=1, octaves=2, progress=False).image,
    "invert": lambda model, layer, x: viz.invert(model, PHOTO, layer, **QUICK).images,
    "top_patches": lambda model, layer, x: patches(model, layer),
    "receptive_fields": lambda model, layer, x: viz.receptive_fields(model, layer)[layer],
    "draw_receptive_fields": lambda model, layer, x: drawn(viz.draw_receptive_fields(model, PHOTO, layer)),
    "draw_overlay": lambda model, layer, x: drawn(viz.draw_overlay(model, PHOTO, f"{layer}:1")),
    "draw_strip": lambda model, layer, x: drawn(viz.draw_strip({"": captured(model, layer, x)})),
    "draw_overview": lambda model, layer, x: drawn(viz.draw_overview(model, PHOTO, [], layers=[layer], size=24, across=1)),
    "grad_cam": lambda model, layer, x: viz.grad_cam(model, x, 2, layer=layer),
    "saliency": lambda model, layer, x: viz.saliency(model, x, f"{layer}:1"),
    "guided_backprop": lambda model, layer, x: viz.guided_backprop(model, x, "head:1"),
    "integrated_gradients": lambda model, layer, x: viz.integrated_gradients(model, x, f"{layer}:1", steps=4),
    "smooth_grad": lambda model, layer, x: viz.smooth_grad(model, x, f"{layer}:1", samples=2),
    "answers": lambda model, layer, x: viz.answers(model, [PHOTO], layer=layer, size=24, progress=False).features,
    "ablation": lambda model, layer, x: viz.ablation(model, f"{layer}:1", [PHOTO], size=24, progress=False).after,
    "activity": lambda model, layer, x: viz.activity(model, layer, [PHOTO], size=24, progress=False)[layer].active,
    "adversarial": lambda model, layer, x: viz.adversarial(model, PHOTO, layers=layer, steps=2).layers[layer].relative,
    "activation_grid": lambda model, layer, x: viz.activation_grid(model, layer, PHOTO, tile=8, positions=4, **QUICK).images,
    "occlusion": lambda model, layer, x: viz.occlusion(model, x, f"{layer}:1"),
}  # fmt: skip


def captured(model: nn.Module, layer: str, x: minicnn.Tensor) -> minicnn.Tensor:
    with minicnn.no_grad(), viz.capture(model, layer) as maps:
        model(x)
    return maps[layer]


def same(ours: Any, others: Any) -> None:
    if isinstance(ours, list | tuple) and not hasattr(ours, "_fields"):
        assert len(ours) == len(others)
        for one, other in zip(ours, others, strict=True):
            same(one, other)
    else:
        np.testing.assert_array_equal(ours, others)


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_is_what_a_module_of_its_own_would_be(kind, function):
    shared, twin = kind(True).eval(), kind(False).eval()
    x = viz.preprocess(PHOTO)
    names = shared.names()
    assert minicnn.equal(shared(x), twin(x)) and any("#2" in name for name, _ in names)
    assert all(captured(twin, name, x)[:, 1].std() > 0 for _, name in names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", viz.ActivationWarning)  # two steps are few
        warnings.simplefilter("ignore", viz.AttributionWarning)
        several = [pair for pair in names if "#" in pair[0]]
        for name, of_twin in (several[0], several[-1]):
            expected = FUNCTIONS[function](twin, of_twin, x)
            same(FUNCTIONS[function](shared, name, x), expected)
            if name.endswith("#1"):  # a name alone is the first call
                same(FUNCTIONS[function](shared, name[:-2], x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_layer_of_grad_cam_is_the_last_maps_of_either(kind):
    shared, twin = kind(True).eval(), kind(False).eval()
    x = viz.preprocess(PHOTO)
    assert dict(shared.names())[last_maps(shared, x)] == last_maps(twin, x)
    np.testing.assert_array_equal(viz.grad_cam(shared, x, 1), viz.grad_cam(twin, x, 1))


@pytest.mark.parametrize("kind", [OnePool, OneRelu, Residual])
def test_the_sanity_check_of_either(kind):
    x = viz.preprocess(PHOTO)
    first, second = (viz.sanity_check("grad_cam", kind(shared).eval(), x, 1) for shared in (True, False))
    assert first.stages == second.stages
    np.testing.assert_array_equal(first.maps, second.maps)


def test_a_tied_module_is_randomised_once_and_by_its_last_call():
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1), nn.Identity())
    model[2] = model[0]
    assert layers_from_the_top(model, minicnn.randn(1, 2, 3, 3)) == ["0", "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_atlas_has_a_page_for_every_call(kind, tmp_path):
    shared, twin = kind(True).eval(), kind(False).eval()
    names = {**dict(shared.names()), "head": "head"}
    first, second = (atlas.Plan(model, ["**#*"], size=24) for model in (shared, twin))
    assert [names[call.name] for call in first.survey.calls] == [call.name for call in second.survey.calls]
    for layer, other in zip(first.layers, second.layers, strict=True):
        assert (layer.call.shape, layer.call.field, layer.place) == (other.call.shape, other.call.field, other.place)
        assert (layer.recipe, layer.units) == (other.recipe, other.units)
        for links in ("before", "after"):
            ours, others = (
                getattr(plan.survey, links)(each.name, 1, 9) for plan, each in ((first, layer), (second, other))
            )
            assert [(names[o.layer], o.unit, o.share, o.excites) for o in ours] == [
                (o.layer, o.unit, o.share, o.excites) for o in others
            ]
    photos = [look_at(plan, PHOTO, "photo") for plan in (first, second)]
    assert {names[name]: maps.tolist() for name, maps in photos[0].maps.items()} == {
        name: maps.tolist() for name, maps in photos[1].maps.items()
    }
    same([picture for _, picture in photos[0].why], [picture for _, picture in photos[1].why])
    chosen = (
        [atlas.Plan(shared, [pattern], size=24).layers for pattern in ("relu#2", "relu")] if kind is Recurrent else []
    )
    assert [[layer.name for layer in layers] for layers in chosen] == ([["relu#2"], ["relu#1"]] if chosen else [])


@pytest.mark.slow
def test_an_atlas_of_tied_convolutions(tmp_path):
    options = {"units": 2, "steps": 2, "size": 24, "progress": False, "say": lambda line: None}
    built = [
        atlas.build(Tied(shared).eval(), tmp_path / name, layers=[name, "head"], **options)
        for shared, name in ((True, "conv#2"), (False, "conv2"))
    ]
    ours, others = (each.contents.units for each in built)
    names = {**dict(Tied(True).names()), "head": "head"}
    assert [(names[layer], unit) for layer, unit in ours] == list(others)
    same([p.image for p in ours.values()], [p.image for p in others.values()])


@pytest.mark.slow
def test_the_filters_of_a_tied_convolution_are_measured_once(tmp_path, monkeypatch):
    measured = []

    def report(model, layer):
        measured.append(layer)
        return viz.filter_report(model, layer)

    monkeypatch.setattr("minicnn.atlas.builder.filter_report", report)
    options = {"units": 1, "steps": 1, "size": 24, "progress": False, "say": lambda line: None}
    built = atlas.build(Tied(True).eval(), tmp_path / "a.html", **options)
    assert measured == ["first", "conv#1"]
    text = built.path.read_text(encoding="utf-8")
    assert text.count('Its filters are those of <a href="#layer-conv~23~1">conv#1</a>: the same weights.') == 2
    assert text.count("<h3>Its filters in numbers") == 2


def test_the_default_layer_in_resnet18_is_behind_the_skip():
    minicnn.manual_seed(0)
    model = models.resnet18(num_classes=4).eval()
    x = minicnn.randn(1, 3, 64, 64)
    layer = last_maps(model, x)
    assert layer == "layer4.1.relu#2"
    cams = [viz.grad_cam(model, x, 1, layer=name, upsample=False) for name in (layer, "layer4", "layer4.1.bn2")]
    np.testing.assert_array_equal(cams[0], cams[1])
    assert not np.array_equal(cams[0], cams[2])


class FunctionalBlock(nn.Module):
    """The same block with functions: its sum is what the block returns, and no module inside of it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        out = self.conv(x)
        out += x
        return out.relu_()


@pytest.mark.parametrize(
    ("build", "layer"),
    [
        (lambda: [nn.Conv2d(3, 4, 3), FunctionalBlock()], "1"),
        (lambda: [nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)], "1"),
        (lambda: [nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 3), nn.MaxPool2d(2))], "2.0"),
        (lambda: [nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(3)], "0"),
    ],
    ids=["block", "in place", "pooling in a part", "two poolings"],
)
def test_the_default_layer_of_grad_cam(build, layer):
    model = nn.Sequential(*build(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    x = minicnn.randn(1, 3, 16, 16)
    assert last_maps(model, x) == layer
    np.testing.assert_array_equal(viz.grad_cam(model, x, 1), viz.grad_cam(model, x, 1, layer=layer))


# --- capture itself -----------------------------------------------------------------------------------------------------


class Count(nn.Module):
    """Adds one at every call; so often as its argument says."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.unused = nn.Identity(), nn.Identity()

    def forward(self, x, times):
        for _ in range(times):
            x = self.one(x + 1)
        return x


def test_capture_names_calls_and_forgets_those_of_earlier_passes():
    model, x = Count(), minicnn.zeros(1)
    with viz.capture(model, ["one", "one#2", "unused"]) as maps:
        model(x, 3)
        assert list(maps) == ["one", "one#2"]
        assert [maps[name].item() for name in ("one", "one#1", "one#2", "one#3")] == [1, 2 - 1, 2, 3]
        assert (
            repr(maps)
            == "capture({\n  'one': (1,)  (the first of 3 calls)\n  'one#2': (1,)\n  'unused': not called\n})"
        )
        model(x + 10, 1)
        assert maps["one"].item() == 11 and list(maps) == ["one"]
        assert [y.item() for y in maps.calls("one")] == [1, 2, 3, 11]
        with pytest.raises(KeyError, match="called 'one' only 1 times"):
            maps["one#2"]
        model.one(x + 20)  # outside of the network's own call: a pass of its own
        assert maps["one"].item() == 20
        maps.clear()
        with pytest.raises(KeyError, match="no forward pass has called it yet"):
            maps["one"]
    for names, expected in (("one#*", ["one#1", "one#2"]), ("one#2", ["one#2"]), ("*#2", ["one#2"]), ("*", ["one"])):
        with viz.capture(model, names) as maps:
            model(x, 2)
        assert list(maps) == expected and len(maps) == len(expected)
    with viz.capture(model, "one#*") as maps:
        model(x, 1)
    assert list(maps) == ["one"]
    with pytest.raises(KeyError, match="'one#\\*' is every call of 'one'"):
        maps["one#*"]
    with viz.capture(model, "one#2") as maps:
        model(x, 2)
    with pytest.raises(KeyError, match="'one' is not among the watched"):
        maps["one"]
    with pytest.raises(KeyError, match=r"no module 'two'"):
        viz.capture(model, "two#1")
    with pytest.raises(KeyError, match=r"no module 'one#0'"):
        viz.capture(model, "one#0")


def test_stop_waits_for_the_call_that_is_named():
    model, x = Count(), minicnn.zeros(1)
    reached = []
    model.one.register_forward_hook(lambda *args: reached.append(1))
    with viz.capture(model, ["one#3", "one"], stop=True) as maps:
        model(x, 9)
    assert len(reached) == 3 and maps["one#3"].item() == 3


def test_a_module_with_two_names_has_the_calls_of_both():
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    model[2] = model[0]
    x = minicnn.randn(1, 2, 3, 3)
    with viz.capture(model, ["0", "2#2", "1"]) as maps:
        out = model(x)
    assert list(maps) == ["0", "1", "2#2"]
    assert minicnn.equal(maps["2#2"], out.detach()) and not minicnn.equal(maps["0"], out.detach())


def test_a_module_may_have_the_mark_in_its_name():
    model = nn.Sequential()
    model.add_module("pool#2", nn.Identity())
    with viz.capture(model, "pool#2") as maps:
        model(minicnn.ones(1))
    assert maps["pool#2"].item() == 1


def test_a_layer_before_an_in_place_relu_scores_alike_alone_and_beside_a_deeper_one():
    minicnn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3))
    picture = np.random.default_rng(0).random((1, 12, 12, 3), np.float32)
    alone = viz.activation(model, "0:1", picture)
    both = viz.activation(model, ["0:1", "2:0"], np.repeat(picture, 2, axis=0))
    assert both[0] == alone[0]
    x = viz.preprocess(np.repeat((picture[0] * 255).astype(np.uint8)[None], 1, 0)[0])
    batch = minicnn.cat([x, x])
    np.testing.assert_allclose(viz.score(model, batch, ["0:1", "2:0"])[0], viz.score(model, x, "0:1")[0], rtol=1e-6)


def test_one_pass_needs_no_hook_on_the_network():
    """The same outputs, also in a second block of the same capture, and after a pass that failed."""
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(1, 2, 1), relu, nn.Conv2d(2, 2, 1), relu)
    x = minicnn.rand(1, 1, 3, 3)
    with viz.capture(model, ["1", "1#2", "2"]) as usual:
        model(x)
    maps = viz.capture(model, ["1", "1#2", "2"], one_pass=True)
    with pytest.raises(RuntimeError), maps:
        model(minicnn.rand(1, 3, 3, 3))
    for _ in range(2):
        with maps:
            assert not model._forward_hooks and not model._forward_pre_hooks and len(relu._forward_hooks) == 1
            model(x)
        assert not relu._forward_hooks and list(maps) == list(usual)
        assert all((maps[name] == usual[name]).all() for name in usual)
