"""The page to play with before a browser opens it: its weights, the networks that it refuses, the command."""

from __future__ import annotations

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import nn, play, viz
from minicnn.cli import main
from minicnn.models import ModelMeta, tinynet
from minicnn.play.packing import quantize


class Net(nn.Module):
    """A chain of three channels; `change` exchanges one of its layers."""

    def __init__(self, **change):
        super().__init__()
        layers = {"conv": nn.Conv2d(3, 5, 3, padding=1, bias=False), "relu": nn.ReLU(), "pool": nn.MaxPool2d(2)}
        layers |= {
            "average": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "drop": nn.Dropout(),
            "last": nn.Linear(5, 3),
        }
        self.body = nn.Sequential(*(layers | change).values())
        self.meta = ModelMeta("net", (0.5,) * 3, (0.5,) * 3, (3, 16, 16), ("a</script>", "b$title", "c"))

    def forward(self, x):
        return self.body(x)


class Twisted(Net):
    def forward(self, x):
        return self.body(x) * 2


@pytest.mark.parametrize(("bits", "steps"), [(8, 254), (16, 65534)])
def test_a_weight_moves_by_half_a_step_at_most(bits, steps):
    weight = np.random.default_rng(0).standard_normal((6, 3, 5, 5)).astype(np.float32)
    weight[2] = 0
    whole, factor = quantize(weight, bits)
    assert whole.dtype.itemsize * 8 == bits and factor.shape == (6,)
    back = whole * factor.reshape(-1, 1, 1, 1)
    top = np.abs(weight).max((1, 2, 3))
    assert (np.abs(back - weight).max((1, 2, 3)) <= top / steps * 1.001).all()
    assert not back[2].any()
    assert (np.abs(whole).max((1, 2, 3)) == np.where(top > 0, np.iinfo(whole.dtype).max, 0)).all()


def test_weights_that_cannot_be_packed():
    with pytest.raises(ValueError, match="8 or 16 bits, not 4"):
        quantize(np.ones((1, 2), np.float32), 4)
    with pytest.raises(ValueError, match="not all finite"):
        quantize(np.array([[np.nan]], np.float32), 8)


def test_the_restored_network_answers_almost_as_the_network(tmp_path):
    model = tinynet("standard").eval()
    x = viz.preprocess(viz.sample_folder() / "goldfish.jpg", model)
    with minicnn.no_grad():
        full, small, smaller = (net(x).numpy() for net in (model, play.restored(model, 16), play.restored(model, 8)))
    assert np.abs(small - full).max() < 1e-3
    assert 1e-3 < np.abs(smaller - full).max() < 0.3


@pytest.mark.parametrize("bits", [8, 16])
def test_what_is_in_the_page(tmp_path, bits):
    model = Net()
    built = play.build(model, tmp_path / "page.html", bits=bits, photographs=[np.zeros((20, 30, 3), np.uint8)])
    text = built.path.read_text(encoding="utf-8")
    assert built.bytes == built.path.stat().st_size and built.layers == 5
    assert text.count("</script>") == 2 + 10, "no name ends an element"
    network = json.loads(re.search(r'id="network">(.*?)</script>', text, re.DOTALL)[1])
    assert [layer["kind"] for layer in network["layers"]] == ["conv", "relu", "pool", "average", "linear"]
    assert network["layers"][0] == {
        "name": "body.0", "kind": "conv", "kernel": 3, "stride": 1, "padding": 1, "dilation": 1, "inputs": 3, "outputs": 5,
    }  # fmt: skip
    assert network["categories"] == ["a</script>", "b$title", "c"] and network["side"] == 16
    data = base64.b64decode(re.search(r'id="weights">(.*?)</script>', text, re.DOTALL)[1])
    floats = np.frombuffer(data, "<f4", 2 * (5 + 3))
    whole = np.frombuffer(data, "<i1" if bits == 8 else "<i2", offset=floats.nbytes)
    assert not floats[5:10].any(), "a convolution without a bias"
    assert np.array_equal(floats[13:], model.body[-1].bias.detach().numpy())
    weight = play.restored(model, bits).body[0].weight.detach().numpy()
    assert np.array_equal((whole[: 5 * 27].reshape(5, 27) * floats[:5, None]).astype(np.float32), weight.reshape(5, 27))
    assert not re.search(r'(src|href)="(?!#|data:)', text), "it needs no other file"


def test_a_network_of_blue_green_red_has_the_page_of_the_one_with_its_channels_turned(tmp_path):
    """The page feeds red, green, blue; the network itself stays as it was."""
    model, pages = Net(), []
    photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    for order in ("rgb", "bgr"):
        turn = slice(None, None, -1 if order == "bgr" else 1)
        model.meta = ModelMeta("net", (0.1, 0.2, 0.3)[turn], (0.5, 0.6, 0.7)[turn], (3, 16, 16), channels_order=order)
        if order == "bgr":
            model.body[0].weight.data.copy_(model.body[0].weight.data.flip(1))
        before = model.body[0].weight.detach().numpy().copy()
        pages.append(play.build(model, tmp_path / "page.html", photographs=[photo]).path.read_bytes())
        assert np.array_equal(model.body[0].weight.detach().numpy(), before)
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Net(relu=nn.Sigmoid()), "body.1: the page runs Conv2d, ReLU, .* not Sigmoid"),
        (Net(relu=nn.BatchNorm2d(5)), "body.1: the page runs .* not BatchNorm2d"),
        (Net(conv=nn.Conv2d(3, 5, (3, 5))), "one number as kernel_size, the same along both axes, not \\(3, 5\\)"),
        (Net(conv=nn.Conv2d(3, 5, 3, padding="same")), "one number as padding, .* not 'same'"),
        (Net(conv=nn.Conv2d(3, 6, 3, groups=3), last=nn.Linear(6, 3)), "one group with zeros as padding"),
        (Net(pool=nn.MaxPool2d(2, ceil_mode=True)), "max-pooling without dilation, ceil_mode"),
        (Net(average=nn.AdaptiveAvgPool2d(2), last=nn.Linear(20, 3)), "AdaptiveAvgPool2d"),
        (Net(conv=nn.Conv2d(1, 5, 3)), "takes 1 channels"),
        (Net(conv=nn.ReLU(), relu=nn.Conv2d(3, 5, 3)), "begins with a convolution, this network with ReLU"),
        (Twisted(), "these answer something else than the network: a logit differs by"),
    ],
    ids=lambda value: "" if isinstance(value, nn.Module) else value[:30],
)
def test_a_network_that_the_page_cannot_run_is_refused_with_the_rule(model, words, tmp_path):
    with pytest.raises((TypeError, ValueError), match=words):
        play.build(model, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_command(tmp_path, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    target = tmp_path / "new" / "play.html"
    assert main(["play", "-o", str(target)]) == 0
    assert "14 layers" in (out := capsys.readouterr().out) and "MB" in out and str(target) in out and not opened
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "my_own.png")
    more = ["--photos", str(tmp_path / "my_own.png"), "--bits", "8", "--open", "--json", "--model", "tinynet:robust"]
    assert main(["play", "-o", str(target), *more]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["photographs"] == ["my own"] and result["bits"] == 8 and result["bytes"] == target.stat().st_size
    assert result["network"] == "tinynet:robust" and opened == [target.as_uri()]
    before = target.read_bytes()
    assert main(["play", "-o", str(target), "--model", "squeezenet1_1"]) == 1
    assert "the page runs" in capsys.readouterr().err and target.read_bytes() == before
    assert main(["play", "-o", str(tmp_path / "my_own.png"), "--photos", str(tmp_path / "my_own.png")]) == 1
    assert "is read by this command" in capsys.readouterr().err
