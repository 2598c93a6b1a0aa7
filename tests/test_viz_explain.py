"""One number, taken apart: the products add up to what the library and PyTorch compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn
from minicnn import nn, viz

SETTINGS = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 3), "padding": (2, 0), "dilation": (2, 1)},
    {"padding": "same", "dilation": 2},
    {"groups": 2, "padding": 1, "bias": False},
    {"groups": 4, "stride": 2, "padding": (0, 2)},
    {"padding": 2, "padding_mode": "reflect"},
    {"padding": (1, 2), "padding_mode": "circular", "stride": 2},
    {"padding": 2, "padding_mode": "replicate", "groups": 2},
]


@pytest.fixture(params=SETTINGS, ids=str)
def case(request):
    """(our layer, input, torch's output, gradient of the output, torch's gradients of input and weight), in float64"""
    minicnn.manual_seed(0)
    layer = nn.Conv2d(4, 8, (3, 2), **request.param).double()
    theirs = torch.nn.Conv2d(4, 8, (3, 2), **request.param).double()
    theirs.load_state_dict({name: torch.from_numpy(t.numpy().copy()) for name, t in layer.state_dict().items()})
    rng = np.random.default_rng(0)
    image = rng.standard_normal((2, 4, 7, 6))
    x = torch.from_numpy(image).requires_grad_()
    output = theirs(x)
    grad = rng.standard_normal(tuple(output.shape))
    output.backward(torch.from_numpy(grad))
    return (
        layer,
        minicnn.tensor(image),
        output.detach().numpy(),
        minicnn.tensor(grad),
        x.grad.numpy(),
        theirs.weight.grad.numpy(),
    )


def places(shape: tuple, count: int = 12) -> list[tuple[int, ...]]:
    """The first, the last and some random ones."""
    rng = np.random.default_rng(1)
    random = [tuple(int(rng.integers(n)) for n in shape) for _ in range(count)]
    return [(0,) * len(shape), tuple(n - 1 for n in shape), *random]


def test_an_output_pixel(case):
    layer, x, output, *_ = case
    for place in places(output.shape):
        explained = viz.explain_pixel(layer, x, *place)
        assert explained.left.shape == (4 // layer.groups, 3, 2)
        np.testing.assert_allclose([explained.value, explained.library], output[place], rtol=1e-10, atol=1e-12)
        assert (explained.left[:, ~explained.inside] == 0).all()


def test_a_weights_gradient(case):
    layer, x, output, grad, _, to_weight = case
    for place in places(to_weight.shape):
        explained = viz.explain_weight_gradient(layer, x, grad, *place)
        assert explained.products.shape == (2, *output.shape[2:])
        np.testing.assert_allclose([explained.value, explained.library], to_weight[place], rtol=1e-9, atol=1e-11)
    assert layer.weight.grad is None


def test_an_input_pixels_gradient(case):
    layer, x, _, grad, to_input, _ = case
    for place in places(to_input.shape):
        explained = viz.explain_input_gradient(layer, x, grad, *place)
        assert len(explained.tables) == 8 // layer.groups
        np.testing.assert_allclose([explained.value, explained.library], to_input[place], rtol=1e-9, atol=1e-11)


def test_the_text():
    layer = nn.Conv2d(2, 1, 2, padding=1)
    with minicnn.no_grad():
        layer.weight[:] = minicnn.tensor([[[[1.0, 2], [3, 4]], [[0, 1], [0, -1]]]])
        layer.bias[:] = 0.5
    x = minicnn.arange(8.0).reshape(1, 2, 2, 2)
    text = str(viz.explain_pixel(layer, x, 0, 0, 0, 1))
    assert text.splitlines()[0] == f"Output pixel (n=0, c=0, y=0, x=1) of {layer}:"
    assert "rows pad 0 and columns 0 1" in text
    numbers = " ".join(text.split())
    assert (
        "pad pad 1.0000 2.0000 0.0000 0.0000 0.0000 1.0000 * 3.0000 4.0000 = 0.0000 4.0000 subtotal 4.0000" in numbers
    )
    assert numbers.endswith("sum of the subtotals -1 bias 0.5 sum -0.5 the library's number -0.5")


@pytest.mark.slow
def test_many_channels_and_large_tables_are_summed_up():
    layer, x = nn.Conv2d(64, 2, 13, padding=6), minicnn.randn(1, 64, 20, 20)
    explained = viz.explain_pixel(layer, x, 0, 1, 4, 5)
    text = explained.describe(tables=2)
    assert "The 2 of 64 tables" in text and "largest of 169 products" in text
    assert f"63:{explained.subtotals[63]:9.4f}" in text
    assert len(text.splitlines()) < 50
    assert explained.figure() is not None
    assert viz.explain_pixel(nn.Conv2d(64, 2, 11, padding=5), x, 0, 1, 4, 5).describe().count("\n  kernel\n") == 3


def test_a_pixel_that_no_kernel_met():
    layer, x = nn.Conv2d(1, 1, 1, stride=2), minicnn.randn(1, 1, 4, 4)
    explained = viz.explain_input_gradient(layer, x, minicnn.ones(1, 1, 2, 2), 0, 0, 1, 1)
    assert explained.value == explained.library == 0
    assert "the 0 output pixels" in str(explained)
    with pytest.raises(ValueError, match="no output pixel saw"):
        explained.figure()


def test_what_is_refused():
    x = minicnn.randn(1, 3, 8, 8)
    for layer, text in (
        (nn.Linear(3, 2), "weight.o. . x"),
        (nn.ConvTranspose2d(3, 2, 3), "explain_input"),
        (nn.ReLU(), "not a ReLU"),
    ):
        with pytest.raises(TypeError, match=text):
            viz.explain_pixel(layer, x, 0, 0, 0, 0)
    layer = nn.Conv2d(3, 2, 3)
    with pytest.raises(IndexError, match=r"\(0, 2, 0, 0\).*\(1, 2, 6, 6\)"):
        viz.explain_pixel(layer, x, 0, 2, 0, 0)
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        viz.explain_pixel(layer, x[:, :2], 0, 0, 0, 0)
    with pytest.raises(ValueError, match="output's shape"):
        viz.explain_weight_gradient(layer, x, minicnn.ones(1, 2, 5, 6), 0, 0, 0, 0)

    class Doubled(nn.Conv2d):
        def forward(self, input):
            return super().forward(input) * 2

    with pytest.raises(RuntimeError, match="not a plain convolution"):
        viz.explain_pixel(Doubled(3, 2, 3), x, 0, 0, 0, 0)


def test_hooks_do_not_run_and_the_figure_says_what_it_shows():
    layer, called = nn.Conv2d(3, 2, 3, padding=1), []
    layer.register_forward_hook(lambda *args: called.append(1))
    figure = viz.explain_pixel(layer, minicnn.randn(3, 8, 8), 0, 1, 0, 3).figure()
    assert not called
    words = " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))
    assert "Output pixel (n=0, c=1, y=0, x=3)" in words.replace("\n", " ") and "channel 2" in words and "pad" in words
