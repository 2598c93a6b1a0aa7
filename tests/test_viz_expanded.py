"""Expanded weights: equal to the gradient of the linear network that the rules leave, in PyTorch and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn
from minicnn import nn, viz
from minicnn.models import resnet18
from minicnn.nn import functional as F


@pytest.fixture
def net() -> nn.Module:
    minicnn.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=2, padding=2),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(6, 8, 3, padding=1, groups=2),
        nn.LeakyReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(8, 5, 3),
        nn.AdaptiveAvgPool2d(1),
    )
    model[1].running_mean[:] = minicnn.randn(6)
    model[1].running_var[:] = minicnn.rand(6) + 0.5
    return model


def linear_twin(model: nn.Module) -> torch.nn.Sequential:
    """The network above in PyTorch, with the linear maps that the rules name in place of its gates and maxima."""
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 5, stride=2, padding=2),
        torch.nn.BatchNorm2d(6),
        torch.nn.Identity(),
        torch.nn.AvgPool2d(3, 2, 1),
        torch.nn.Conv2d(6, 8, 3, padding=1, groups=2),
        torch.nn.Identity(),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(8, 5, 3),
    ).eval()
    twin.load_state_dict({name: torch.tensor(value.numpy()) for name, value in model.state_dict().items()})
    return twin


@pytest.mark.slow
@pytest.mark.parametrize(("layer", "side"), [("0", 5), ("3", 9), ("4", 17), ("7", 37)])
def test_weights_are_the_gradient_of_the_linear_network(net, layer, side):
    expanded = viz.expanded_weights(net, layer, size=64)
    assert expanded.weights.shape == (len(expanded.channels), 3, side, side)
    twin = linear_twin(net)[: int(layer) + 1]
    image = torch.randn(1, 3, 96, 96, requires_grad=True)
    maps = twin(image)
    y, x = (size // 2 for size in maps.shape[2:])
    top, left, bottom, right = viz.receptive_fields(net, layer, (1, 3, 96, 96))[layer].box(y, x)
    for channel, weights in zip(expanded.channels, expanded.weights, strict=True):
        (gradient,) = torch.autograd.grad(maps[0, int(channel), y, x], image, retain_graph=True)
        np.testing.assert_allclose(weights, gradient[0, :, top:bottom, left:right].numpy(), atol=2e-6)
        assert gradient.abs().sum().item() == pytest.approx(np.abs(weights).sum(), rel=1e-4), "nothing lies outside"


def test_two_convolutions_are_one_with_the_kernels_convolved():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 1, 3))
    first, second = model[0].weight.detach().numpy(), model[2].weight.detach().numpy()
    by_hand = np.zeros((2, 5, 5))
    for y, x in np.ndindex(3, 3):
        by_hand[:, y : y + 3, x : x + 3] += np.einsum("m,mchw->chw", second[0, :, y, x], first)
    np.testing.assert_allclose(viz.expanded_weights(model, "2", size=16).weights[0], by_hand, atol=1e-6)


def test_branches_and_skips_are_followed():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu, self.out = nn.Conv2d(1, 1, 3, padding=1), nn.ReLU(), nn.Identity()

        def forward(self, x):
            return self.out(self.relu(self.conv(x)) + x)

    model = Residual()
    expected = model.conv.weight.detach().numpy()[0, 0].copy()
    expected[1, 1] += 1
    np.testing.assert_allclose(viz.expanded_weights(model, "out", size=16).weights[0, 0], expected, atol=1e-6)


def test_a_block_that_uses_one_relu_twice():
    model = resnet18(num_classes=2)
    expanded = viz.expanded_weights(model, "layer1.0", [5], size=64)  # checks by itself that the network is linear
    assert expanded.weights.shape == (1, 3, 27, 27)


def test_the_network_is_linear_in_the_block_and_itself_again_after_it(net):
    net.eval()
    x, y = minicnn.randn(2, 1, 3, 33, 33).unbind(0)
    before = net(x).detach().numpy().copy()
    with viz.linearized(net):
        zero = net(minicnn.zeros(1, 3, 33, 33))
        total, parts = net(x + y) - zero, net(x) + net(y) - zero - zero
    assert minicnn.allclose(total, parts, atol=1e-5)
    with pytest.raises(RuntimeError, match="channels"), viz.linearized(net):
        net(minicnn.zeros(1, 4, 33, 33))
    np.testing.assert_array_equal(net(x).detach().numpy(), before)
    viz.expanded_weights(net.train(), "4", [0, 3], size=64)
    assert net.training
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in net.modules())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_what_cannot_be_expanded_says_why(net):
    with pytest.raises(ValueError, match="whole image"):
        viz.expanded_weights(net, "8", size=64)
    with pytest.raises(IndexError, match="8 channels"):
        viz.expanded_weights(net, "4", 8, size=64)
    with pytest.raises(KeyError):
        viz.expanded_weights(net, "40")
    with pytest.raises(ValueError, match="holes"), viz.linearized(nn.Sequential(nn.MaxPool2d(3, 1, dilation=2))):
        pass

    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 3)

        def forward(self, x):
            return self.second(F.relu(self.first(x)))

    with pytest.raises(ValueError, match="not linear"):
        viz.expanded_weights(Hidden(), "second", size=16)


def test_a_figure_of_any_number_of_channels(net):
    figure = viz.expanded_weights(net, "4", [1, 5], size=64).figure()
    texts = [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    assert {"1", "5"} <= set(texts)
    assert any("17 × 17 pixels" in text for text in texts)
    grey = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    assert viz.expanded_weights(grey, "2", size=16).figure().axes
