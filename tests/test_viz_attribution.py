"""Why this answer: each method against its definition, ReLU rules against PyTorch's hooks, and the sanity check."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
import torch

import minicnn
from minicnn import models, nn, viz
from minicnn.nn import functional as F
from minicnn.viz.attribution import METHODS


class Mixed(nn.Module):
    """ReLUs as a module, as one module used twice, in place, and as a function, around a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(3, 6, 3, padding=1),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.Conv2d(6, 8, 3),
        )
        self.relu, self.inplace, self.pool = nn.ReLU(), nn.ReLU(inplace=True), nn.MaxPool2d(2)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.pool(self.relu(x + self.conv2(x)))
        x = F.relu(self.inplace(self.conv3(x)) - 0.1)
        return self.fc(x.mean((2, 3)))


@pytest.fixture
def net() -> nn.Module:
    minicnn.manual_seed(0)
    return Mixed()


@pytest.fixture
def x() -> minicnn.Tensor:
    return minicnn.tensor(np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32))


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


# --- rules for ReLUs ----------------------------------------------------------------------------------------------------


class TorchMixed(torch.nn.Module):
    """The same network as PyTorch's hooks need it: every ReLU a module of its own, none in place."""

    def __init__(self, state: dict) -> None:
        super().__init__()
        self.conv1, self.conv2 = torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.Conv2d(6, 6, 3, padding=1)
        self.conv3, self.fc = torch.nn.Conv2d(6, 8, 3), torch.nn.Linear(8, 5)
        self.relus = torch.nn.ModuleList(torch.nn.ReLU() for _ in range(4))
        self.load_state_dict({name: torch.from_numpy(t.numpy().copy()) for name, t in state.items()})

    def forward(self, x):
        x = self.relus[0](self.conv1(x))
        x = torch.nn.functional.max_pool2d(self.relus[1](x + self.conv2(x)), 2)
        x = self.relus[3](self.relus[2](self.conv3(x)) - 0.1)
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("rule", [None, "guided", "deconvnet"])
def test_relu_rules_against_hooks_in_torch(net, x, rule):
    theirs = TorchMixed(net.state_dict())
    clamped = {
        "guided": lambda module, to_input, to_output: (to_input[0].clamp(min=0),),
        "deconvnet": lambda module, to_input, to_output: (to_output[0].clamp(min=0),),
    }
    for relu in theirs.relus if rule else ():
        relu.register_full_backward_hook(clamped[rule])
    image = torch.from_numpy(x.numpy().copy()).requires_grad_()
    theirs(image)[[0, 1], [3, 1]].sum().backward()
    ours = viz.gradient(net, x, [3, 1], rule=rule)
    assert np.abs(ours).max() > 0
    np.testing.assert_allclose(ours, image.grad.numpy(), atol=1e-6)


def test_a_rule_holds_in_its_block_alone_and_after_an_error(net, x):
    usual = viz.gradient(net, x, 2)
    before = hooks(net)
    modules = {name: id(module) for name, module in net.named_modules()}

    def failing() -> None:
        with viz.relu_rule(net, "guided") as replaced:
            net(x.clone().requires_grad_())
            assert replaced.count == 4
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        failing()
    assert hooks(net) == before
    assert {name: id(module) for name, module in net.named_modules()} == modules
    np.testing.assert_array_equal(viz.gradient(net, x, 2), usual)
    image = x.clone().requires_grad_()
    with viz.relu_rule(net, "guided"):
        output = net(image)
    output[:, 2].sum().backward()  # after the block: the graph is an ordinary one again
    np.testing.assert_allclose(image.grad.numpy(), usual, atol=1e-7)


def test_a_rule_stays_inside_of_the_network(net, x):
    """A ReLU that made the input is none of the network's."""
    image = x.clone().requires_grad_()
    with viz.relu_rule(net, "deconvnet") as replaced:
        net(F.relu(image))[:, 2].sum().backward()
    assert replaced.count == 4
    assert (image.grad.numpy()[x.numpy() <= 0] == 0).all()


def test_a_network_without_relus_and_an_unknown_rule_are_refused(x):
    net = nn.Sequential(nn.Conv2d(3, 2, 16), nn.Sigmoid(), nn.Flatten())
    with pytest.raises(ValueError, match="calls none"):
        viz.guided_backprop(net, x, 0)
    with pytest.raises(ValueError, match="'guided'"), viz.relu_rule(net, "guide"):
        pass


# --- the methods --------------------------------------------------------------------------------------------------------


def test_targets(net, x):
    best = net(x).detach().numpy().argmax(1)
    np.testing.assert_array_equal(viz.gradient(net, x), viz.gradient(net, x, best.tolist()))
    np.testing.assert_array_equal(viz.score(net, x), net(x).detach().numpy().max(1))
    np.testing.assert_allclose(viz.score(net, x, "conv1:2@3,4"), net.conv1(x).detach().numpy()[:, 2, 3, 4], rtol=1e-5)
    assert viz.gradient(net, x, "conv2:1").shape == x.shape
    with pytest.raises(ValueError, match="3 targets for 2 images"):
        viz.saliency(net, x, [1, 2, 3])
    with pytest.raises(TypeError, match="preprocess"):
        viz.saliency(net, np.zeros((3, 16, 16)))
    with pytest.raises(IndexError, match="5 channels"):
        viz.saliency(net, x, 7)


def test_saliency_is_the_largest_gradient_over_the_channels(net, x):
    np.testing.assert_array_equal(viz.saliency(net, x, 1), np.abs(viz.gradient(net, x, 1)).max(1))


def test_integrated_gradients_are_complete(net, x):
    baseline = minicnn.full((1, 3, 16, 16), -0.3)
    shares = viz.integrated_gradients(net, x, 2, baseline=baseline, steps=200)
    start = viz.score(net, baseline, 2)
    np.testing.assert_allclose(shares.sum((1, 2, 3)), viz.score(net, x, 2) - start, rtol=0.01)
    # What equals the baseline gets nothing.
    same = x.clone()
    same[:, :, :, :8] = -0.3
    assert (viz.integrated_gradients(net, same, 2, baseline=baseline)[..., :8] == 0).all()


def test_too_few_steps_are_said(x):
    class Cubes(nn.Module):
        def forward(self, x):
            return (x**3).sum((2, 3))

    with pytest.warns(viz.AttributionWarning, match="more steps"):
        viz.integrated_gradients(Cubes(), x, 2, steps=1)  # half way, the gradient is a quarter of that at the end


def test_smooth_grad_without_noise_is_the_gradient_and_with_noise_is_seeded(net, x):
    np.testing.assert_allclose(viz.smooth_grad(net, x, 2, noise=0, samples=3), viz.gradient(net, x, 2), atol=1e-6)
    maps = [viz.smooth_grad(net, x, 2, seed=seed, samples=5, batch=2) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.abs(maps[0] - maps[2]).max() > 0


def test_occlusion_of_a_linear_network_is_what_the_square_contributed(x):
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 2))
    falls = viz.occlusion(net, x, 1, window=4, stride=4)
    product = (net[1].weight.detach().numpy()[1].reshape(3, 16, 16) * x.numpy()).sum(1)
    squares = product.reshape(2, 4, 4, 4, 4).sum((2, 4))
    np.testing.assert_allclose(falls, squares.repeat(4, 1).repeat(4, 2), atol=1e-4)
    with pytest.raises(ValueError, match="window"):
        viz.occlusion(net, x, 1, window=20)


def test_occlusion_covers_the_border(net, x):
    assert np.isfinite(viz.occlusion(net, x, 1, window=5, stride=3)).all()


def test_grad_cam_before_an_average_and_a_linear_layer_is_cam(net, x):
    """Zhou et al. 2016: there the weights of the maps are those of the class. conv3 is followed by a ReLU in place."""
    with minicnn.no_grad(), viz.capture(net, "conv3") as maps:
        net(x)
    weight = net.fc.weight.detach().numpy()[2]
    cam = viz.grad_cam(net, x, 2, layer="conv3", upsample=False)
    conv3 = maps["conv3"].numpy()
    passed = (np.maximum(conv3, 0) - 0.1 > 0).mean((2, 3))  # through both ReLUs, of each map a share
    expected = ((weight * passed / conv3[0, 0].size)[:, :, None, None] * conv3).sum(1)
    np.testing.assert_allclose(cam, np.maximum(expected, 0), atol=1e-6)


def test_grad_cam_lies_where_its_cells_look():
    """One cell of the last layer is active: the map's top must be the middle of its receptive field."""
    net = nn.Sequential(
        nn.Conv2d(1, 1, 3, stride=2), nn.Conv2d(1, 1, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    with minicnn.no_grad():
        for conv in net[:2]:
            conv.weight[:], conv.bias[:] = 0, 0
            conv.weight[:, :, 1, 1] = 1
    x = minicnn.zeros(1, 1, 31, 31)
    x[0, 0, 11, 19] = 1.0  # cell (2, 4) of 7 x 7 looks at 8 ... 14 and 16 ... 22
    cam = viz.grad_cam(net, x, 0)
    assert viz.grad_cam(net, x, 0, upsample=False).shape == (1, 7, 7)
    assert np.unravel_index(cam[0].argmax(), cam[0].shape) == (11, 19)
    with pytest.raises(ValueError, match="does not return maps"):
        viz.grad_cam(net, x, 0, layer="3")
    with pytest.raises(ValueError, match="not called before"):
        viz.grad_cam(net, x, "0:0", layer="1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "layer", "size", "stride"),
    [
        (models.alexnet, "features.12", 195, 32),  # as in Araujo, Norris, Sim 2019, "Computing receptive fields"
        (models.resnet18, "layer4", 435, 32),
        (models.squeezenet1_1, "features.12", 207, 16),  # 3, 7, two fires 23, 31, two 63, 79, four 207
    ],
    ids=["alexnet", "resnet18", "squeezenet"],
)
def test_everything_on_other_networks(build, layer, size, stride):
    minicnn.manual_seed(0)
    model = build(num_classes=4)
    x = minicnn.randn(1, 3, 64, 64)
    quick = {
        "integrated_gradients": {"steps": 4},
        "smooth_grad": {"samples": 2},
        "occlusion": {"window": 32, "stride": 32},
    }
    training = [module.training for module in model.modules()]
    for name, method in METHODS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", viz.AttributionWarning)  # four steps are few
            values = method(model, x, 1, **quick.get(name, {}))
        assert values.shape in ((1, 64, 64), (1, 3, 64, 64)) and np.isfinite(values).all(), name
    field = viz.receptive_fields(model, layer)[layer]
    assert (field.y.size, field.y.stride) == (size, stride)
    found = viz.top_patches(
        model, [f"{layer}:3", "logit:1"], [np.zeros((80, 64, 3), np.uint8)], size=64, progress=False
    )
    assert found.images == 1 and [unit.label for unit in found.units] == [f"{layer}:3", "output:1"]
    first = next(name for name, module in model.named_modules() if isinstance(module, nn.Conv2d))
    assert viz.explain_pixel(dict(model.named_modules())[first], x, 0, 5, 3, 4).tables == [
        "channel 0",
        "channel 1",
        "channel 2",
    ]
    assert hooks(model) == 0
    assert [module.training for module in model.modules()] == training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


# --- the sanity check ---------------------------------------------------------------------------------------------------


def bytes_of(model: nn.Module) -> list[bytes]:
    return [t.detach().numpy().tobytes() for t in (*model.parameters(), *model.buffers())]


def test_sanity_check_randomises_from_the_top_and_restores_every_bit(net, x):
    net.norm = nn.BatchNorm2d(3)
    before, calls = bytes_of(net), []

    def method(model, x, target):
        calls.append(bytes_of(model))
        return viz.gradient(model, x, target)

    minicnn.manual_seed(5)
    drawn = minicnn.rand(3).tolist()
    minicnn.manual_seed(5)
    check = viz.sanity_check(method, net, x, 2, progress=False)
    assert minicnn.rand(3).tolist() == drawn
    assert minicnn.default_generator.initial_seed() == 5
    assert bytes_of(net) == before == calls[0]
    assert check.stages == ["trained", "fc", "conv3", "conv2", "conv1"]
    changed = [sum(a != b for a, b in zip(before, call, strict=True)) for call in calls]
    assert changed == [0, 2, 4, 6, 8]
    assert check.maps.shape == (5, 2, 16, 16)
    np.testing.assert_allclose(check.ssim[0], 1)
    np.testing.assert_allclose(check.rank_correlation[0], 1)
    assert check.rank_correlation[1:].max() < 0.9
    calls.clear()
    viz.sanity_check(method, net, x, 2, cascade=False, progress=False)
    assert [sum(a != b for a, b in zip(before, call, strict=True)) for call in calls] == [0, 2, 2, 2, 2]


def test_sanity_check_restores_after_an_error(net, x):
    before, calls = bytes_of(net), []

    def failing(model, x, target):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("mine")
        return np.zeros((2, 16, 16))

    with pytest.raises(RuntimeError, match="mine"):
        viz.sanity_check(failing, net, x, 2, progress=False)
    assert bytes_of(net) == before


def test_a_map_of_the_image_alone_never_changes(net, x):
    check = viz.sanity_check(lambda model, x, target: np.abs(x.numpy()).max(1), net, x, 2, name="edges", progress=False)
    np.testing.assert_allclose(check.absolute_rank_correlation, 1)
    np.testing.assert_allclose(check.ssim, 1)
    assert "edges" in str(check)


def test_rank_correlation_and_ssim():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 40, 40))
    assert viz.rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert viz.rank_correlation(a, -a) == pytest.approx(-1)
    assert abs(viz.rank_correlation(a, b)) < 0.1
    assert viz.rank_correlation(np.array([1, 2, 2, 3]), np.array([1, 3, 2, 4])) == pytest.approx(
        0.9486833
    )  # with a tie
    assert np.isnan(viz.rank_correlation(a, a * 0)) and np.isnan(viz.ssim(a * 0, abs(a)))
    assert viz.ssim(abs(a), 3 * abs(a)) == pytest.approx(1)
    assert abs(viz.ssim(abs(a), abs(b))) < 0.2


def test_figures(net, x):
    photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    maps = {
        "gradient": viz.gradient(net, x),
        "saliency": viz.saliency(net, x),
        "Grad-CAM": viz.grad_cam(net, x, layer="pool"),
    }
    figure = viz.draw_attribution(photo, maps, styles={"gradient": "colour", "Grad-CAM": "overlay"}, n=1)
    words = " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))
    assert "99.5th percentile" in words and "Grad-CAM" in words
    check = viz.sanity_check(partial(viz.grad_cam, layer="pool"), net, x, 2, progress=False)
    assert check.name == "grad_cam"
    assert check.figure(photo) is not None
    with pytest.raises(ValueError, match="style"):
        viz.draw_attribution(photo, maps, styles="red")
