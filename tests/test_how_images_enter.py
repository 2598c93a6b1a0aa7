"""How images enter a network, who says so, and what its classes are called: said wherever it matters, and open to change."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import nn, viz
from minicnn.atlas.builder import _that_fit
from minicnn.cli import main
from minicnn.models import ModelMeta, imagenet_classes
from minicnn.viz.network import class_names, entrance

OWN = """
from minicnn import nn
from minicnn.models import ModelMeta

class Colours(nn.Module):
    "Logits: the middle pixel as it enters."
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.conv.weight)

    def forward(self, x):
        return self.conv(x)[:, :, 4, 4]

class Thousand(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 1000)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))

class Stated(Colours):
    meta = ModelMeta("stated", (0.1, 0.2, 0.3), (0.5,) * 3, (3, 8, 8), ("red", "green", "blue"))

class Tall(Colours):
    def __init__(self, depth, width, *, height):
        super().__init__()

def short(): return Tall(1, 2, height=3)
def _hidden(): return Colours()
made = Colours()
"""
ROOT = Path(__file__).resolve().parent.parent
COLOUR = (200, 100, 50)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A name in the file above -> arguments that take this network of a photograph of one colour."""
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    Image.new("RGB", (8, 8), COLOUR).save("p.png")
    return lambda name: ["predict", "p.png", "--model", f"own.py:{name}", "--size", "8"]


def entered(arguments, capsys) -> np.ndarray:
    """What the network `Colours` was given: its logits, up to a constant, by the index of the class."""
    assert main([*arguments, "--json"]) == 0
    rows = sorted(json.loads(capsys.readouterr().out)["predictions"], key=lambda row: row["index"])
    return np.log([max(row["probability"], 1e-6) for row in rows])


def test_mean_std_scale_and_order(own, capsys):
    """Differences of the logits are those of what entered: (value / scale - mean) / std, in the order of the channels."""
    pixels = np.array(COLOUR) / 255
    cases = {
        "--mean 0 --std 1": pixels,
        "--mean 0.5 --std 0.25": pixels / 0.25,
        "--mean 0.5,0.1,0.3 --std 0.25,0.5,1": (pixels - [0.5, 0.1, 0.3]) / [0.25, 0.5, 1],
        "--mean 0.5,0.1,0.3 --std 1 --channels-order bgr": pixels[::-1] - [0.5, 0.1, 0.3],
        "--scale 255 --mean 120,110,100 --std 50": (np.array(COLOUR) - [120, 110, 100]) / 50,
        "--scale 3": pixels * 3,
        "--scale 2 --std 4": pixels * 2 / 4,
    }
    for words, expected in cases.items():
        logits = entered([*own("Colours"), *words.split()], capsys)
        np.testing.assert_allclose(logits - logits[0], expected - expected[0], atol=2e-3, err_msg=words)


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_pictures_are_red_green_blue_whatever_the_network_takes(order):
    """There and back, and for the filters of the first layer, which are drawn in the colours that they ask for."""
    minicnn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    model.meta = ModelMeta("own", (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), (3, 8, 8), channels_order=order)
    photo = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    x = viz.preprocess(photo, model)
    entering = photo if order == "rgb" else photo[..., ::-1]
    expected = (entering / 255 - model.meta.mean) / model.meta.std
    np.testing.assert_allclose(x.numpy()[0].transpose(1, 2, 0), expected, atol=1e-6)
    np.testing.assert_allclose(viz.to_pixels(x, viz.statistics(model))[0], photo / 255, atol=1e-6)
    weight = model[0].weight.detach().numpy()
    np.testing.assert_array_equal(viz.weight_of(model), weight if order == "rgb" else weight[:, ::-1])
    np.testing.assert_array_equal(viz.weight_of(model[0]), weight)


@pytest.mark.filterwarnings("ignore::minicnn.viz.ActivationWarning")
def test_a_network_of_blue_green_red_is_the_other_one_with_its_channels_turned():
    """The same images maximise both, and the same attributions follow."""
    minicnn.manual_seed(0)
    made = []
    for order in ("rgb", "bgr"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        if made:
            weights = {name: value.clone() for name, value in made[0].state_dict().items()}
            weights["0.weight"] = weights["0.weight"].flip(1)
            model.load_state_dict(weights)
        turn = slice(None, None, -1 if order == "bgr" else 1)
        model.meta = ModelMeta("own", (0.1, 0.2, 0.3)[turn], (0.5, 0.6, 0.7)[turn], (3, 16, 16), channels_order=order)
        made.append(model)
    images = [viz.maximize(model, ["logit:1"], steps=4, size=16, progress=False).images for model in made]
    np.testing.assert_allclose(images[0], images[1], atol=1e-5)
    photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    drawn = []
    for model in made:
        order = model.meta.channels_order
        maps = {"saliency": viz.gradient(model, viz.preprocess(photo, model), 1)}
        figures = [
            viz.draw_attribution(photo, maps, styles="colour", order=order),
            viz.expanded_weights(model, "2", size=16).figure(),
        ]
        drawn.append([np.asarray(axes.images[0].get_array()) for f in figures for axes in f.axes if axes.images])
    for one, other in zip(*drawn, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_who_says_how_images_enter(own, tmp_path, capsys):
    def said(*arguments):
        assert main([*own("Colours")[:2], *arguments]) == 0
        return next(line for line in capsys.readouterr().err.splitlines() if "images enter" in line)

    colours, stated = ["--model", "own.py:Colours"], ["--model", "own.py:Stated"]
    assert said(*colours).endswith(
        "224 × 224 pixels, mean 0.485, 0.456, 0.406; std 0.229, 0.224, 0.225: ImageNet's, assumed: nothing states others"
    )
    assert said(*stated).endswith("8 × 8 pixels, mean 0.1, 0.2, 0.3; std 0.5, 0.5, 0.5: as model.meta states")
    assert said(*stated, "--mean", "0").endswith("--mean as given; the rest as model.meta states")
    assert "order blue, green, red" in said(*stated, "--channels-order", "bgr")
    assert said("--model", "tinynet").endswith("as tinynet_standard.safetensors states")
    model = minicnn.models.from_spec("own.py:Stated")
    metadata = replace(model.meta, mean=(0.4,) * 3).to_metadata()
    minicnn.serialization.save(model.state_dict(), "w.safetensors", metadata=metadata)
    line = said(*stated, "--weights", "w.safetensors")
    assert line.endswith("mean 0.4, 0.4, 0.4; std 0.5, 0.5, 0.5: as w.safetensors states")
    assert main([*own("Stated"), "--quiet"]) == 0
    assert "images enter" not in capsys.readouterr().err


def test_json_and_figures_say_it_too(own, capsys):
    assert main([*own("Stated"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["input"] == {
        "size": 8, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "order": "rgb",
        "source": "--size as given; the rest as model.meta states",
    }  # fmt: skip
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        for command, words in (
            (["maps", "p.png"], "images enter as 8 × 8 pixels, mean 0.1, 0.2, 0.3"),
            (["maximize", "conv:0", "--steps", "8"], "Normalisation: mean 0.1, 0.2, 0.3"),
        ):
            assert main([*command, "--model", "own.py:Stated", "-o", "f.svg"]) == 0
            text = re.sub(r"<[^>]*>", " ", Path("f.svg").read_text(encoding="utf-8"))
            assert words in " ".join(text.split())


def test_the_functions_of_python_say_what_was_given():
    model = nn.Conv2d(3, 1, 1)
    assert entrance(model) == "224 × 224 pixels, pixels as they are: nothing states others"
    assert entrance(model, 64, mean=0.5).endswith("std 1, 1, 1: size, mean as given; the rest nothing states others")


@pytest.mark.filterwarnings("ignore::minicnn.viz.ActivationWarning")
def test_figures_of_python_say_with_what_images_entered():
    model, photo = nn.Sequential(nn.Conv2d(3, 2, 3)), np.zeros((16, 16, 3), np.uint8)

    def rule(figure):
        return " ".join(" ".join(text.get_text() for text in figure.texts).split())

    made = viz.maximize(model, "0:1", steps=1, size=16, progress=False)
    assert "Normalisation: pixels as they are: nothing states others." in rule(made.figure())
    model.meta = ModelMeta("own", (0.1, 0.2, 0.3), (0.5,) * 3, (3, 16, 16))
    made = viz.maximize(model, "0:1", steps=1, size=16, std=0.25, progress=False)
    said = "Normalisation: mean 0.1, 0.2, 0.3; std 0.25, 0.25, 0.25: std as given; the rest as model.meta states."
    assert said in rule(made.figure())
    found = viz.top_patches(model, ["0"], [photo], progress=False)
    assert "std 0.5, 0.5, 0.5: as model.meta states." in rule(found.figure())


def test_numbers_of_255_without_a_scale_are_noticed(own, capsys):
    assert main([*own("Colours"), "--mean", "123.7,116.3,103.5"]) == 0
    assert "--scale 255 says so" in capsys.readouterr().err
    for arguments, words in ((["--scale", "0"], "positive"), (["--channels-order", "gbr"], "invalid choice")):
        with pytest.raises(SystemExit):
            main([*own("Colours"), *arguments])
        assert words in capsys.readouterr().err


def test_the_example_in_the_readme(tmp_path, monkeypatch, capsys):
    """The class as it stands there, with the commands as they stand there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").split("### A network of your own")[1].split("\n### ")[0]
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(re.search(r"```python\n(.*?)```", readme, re.DOTALL)[1], encoding="utf-8")
    Path("names.txt").write_text("a cat\na dog\n", encoding="utf-8")
    Image.new("RGB", (80, 90), COLOUR).save("photo.jpg")
    lines = re.search(r"```sh\n(.*?)```", readme, re.DOTALL)[1].splitlines()
    said = []
    for line in lines:
        code = main(line.partition("#")[0].split()[1:])
        said.append("".join(capsys.readouterr()))
        assert code == (1 if line.split("#")[0].strip().endswith("mine.py") else 0), said[-1]
    assert "Networks in it: Net." in said[0] and "128 × 128" in said[1]
    assert "--mean, --std as given" in said[2] and "std 0.003922" in said[3]
    assert "order blue, green, red; mean 0.4075, 0.458, 0.4851" in said[4] and "a dog" in said[5]
    monkeypatch.syspath_prepend(str(tmp_path))
    from mine import Net

    minicnn.save(Net().state_dict(), "net.safetensors", metadata=Net.meta.to_metadata())
    assert minicnn.models.from_spec("mine.py:Net", "net.safetensors").meta == Net.meta


# --- what the classes are called ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "red\ngreen, lime\nblue\n",
        '["red", "green, lime", "blue"]',
        '{"0": "red", "1": "green, lime", "2": "blue"}',
        '{"0": ["n1", "red"], "1": ["n2", "green, lime"], "2": ["n3", "blue"]}',
        '{"blue": 2, "red": 0, "green, lime": 1}',
        "\ufeffred\r\ngreen, lime\r\nblue",
    ],
)
def test_names_of_classes_from_a_file(own, text, capsys):
    Path("names").write_text(text, encoding="utf-8", newline="")
    assert main([*own("Stated"), "--classes", "names", "--json"]) == 0
    out = capsys.readouterr().out
    assert {row["index"]: row["class"] for row in json.loads(out)["predictions"]} == {
        0: "red", 1: "green, lime", 2: "blue",
    }  # fmt: skip


@pytest.mark.filterwarnings("default:2 names for 3 classes")
def test_files_that_name_no_classes(own, capsys):
    cases = {
        "": "holds no names",
        "[1": "lines or JSON",
        '{"0": "a", "2": "b"}': "2 names, and none of them has the index 1",
        "{}": "holds no names",
    }
    for text, words in cases.items():
        Path("names").write_text(text)
        assert main([*own("Stated"), "--classes", "names"]) == 1
        assert words in capsys.readouterr().err
    Path("names").write_bytes(b"\xff\xfe\xff")
    assert main([*own("Stated"), "--classes", "names"]) == 1
    assert "lines or JSON" in capsys.readouterr().err
    Path("names").write_text("a\nb\n")
    assert main([*own("Stated"), "--classes", "names"]) == 0
    out, err = capsys.readouterr()
    assert "2 names for 3 classes: they are not used" in err and "class 0" in out


@pytest.mark.filterwarnings("default:nothing names the 1000 classes")
def test_a_thousand_classes_without_names_are_taken_for_imagenets(own, capsys):
    assert main(own("Thousand")) == 0
    out, err = capsys.readouterr()
    said = "minicnn: nothing names the 1000 classes: ImageNet's names are assumed (--classes FILE states others)"
    assert err.splitlines().count(said) == 1
    assert {re.sub(r" *[0-9.]+%  ", "", line) for line in out.splitlines()} <= set(imagenet_classes())
    assert main(["maximize", "logit:tench", "--steps", "8", "--size", "8", *own("Thousand")[2:4], "-o", "x.png"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tench: ") and said in err.splitlines()


def test_names_are_assumed_for_a_thousand_only():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 10))
    assert class_names(model) == class_names(model, 10) == ()
    model.meta = ModelMeta("own", (0,) * 3, (1,) * 3, (3, 8, 8), tuple("abcdefghij"))
    assert class_names(model) == class_names(model, 10) == model.meta.categories
    with pytest.warns(UserWarning, match="10 names for 1000 classes: they are not used"):
        assert class_names(model, 1000) == ()


# --- hints ---------------------------------------------------------------------------------------------------------------


def test_a_file_without_a_name_lists_what_it_has(own, capsys):
    assert main(["predict", "p.png", "--model", "own.py"]) == 1
    err = capsys.readouterr().err
    assert "Networks in it: Colours, Thousand, Stated, Tall, made. Functions in it: short." in err
    assert main(["predict", "p.png", "--model", "own.py:Tall"]) == 1
    assert "return Tall(depth=..., width=..., height=...)" in capsys.readouterr().err


def test_weights_that_do_not_fit_are_counted(tmp_path):
    model = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(30)))
    other = nn.Sequential(*(nn.Conv2d(2, 3, 1) for _ in range(30)))
    minicnn.save({f"a.{name}": value for name, value in model.state_dict().items()}, tmp_path / "named.pth")
    minicnn.save({"a": minicnn.ones(1), **{f"b.{i}": minicnn.ones(1) for i in range(9)}}, tmp_path / "no.pth")
    minicnn.save(other.state_dict(), tmp_path / "shapes.pth")
    with pytest.raises(minicnn.serialization.WeightsError) as error:
        minicnn.serialization.load_weights(model, tmp_path / "no.pth")
    message = str(error.value)
    assert '"0.weight", "0.bias", "1.weight", "1.bias", "2.weight", ... (60 of 60)' in message
    assert '"a", "b.0", "b.1", "b.2", "b.3", ... (10 of 10)' in message
    with pytest.raises(minicnn.serialization.WeightsError) as error:
        minicnn.serialization.load_weights(model, tmp_path / "shapes.pth")
    message = str(error.value)
    assert message.count("size mismatch") == 5 and "60 such keys of 60" in message
    assert len(message) < 1000


COMMANDS = ("predict", "filters", "maps", "maximize", "atlas", "play")


def test_every_option_that_a_message_advises_is_one_of_the_command(capsys):
    """Those of the messages that the commands share; `maximize` alone says its remedy, and `atlas` its own advice."""
    options = {}
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        options[command] = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    from minicnn import cli

    source = Path(cli.__file__).read_text()
    assert set(re.findall(r"--[a-z-]+", cli.REMEDY)) <= options["maximize"]
    assert set(re.findall(r"--[a-z]+", source.split("def _advice")[1].split("def _parser")[0])) <= options["atlas"]
    for command in COMMANDS:
        assert {"--weights", "--debug", "--json", "--quiet", "--channels-order"} <= options[command]
        if command != "filters":  # which looks at no image
            assert {"--size", "--mean", "--std", "--scale", "--classes", "--part"} <= options[command]


# --- what an atlas costs -------------------------------------------------------------------------------------------------


class FakePlan:
    """Three layers of 64, 8 and 1000 units, for which 64 steps are planned."""

    steps = 64

    class Layer:
        def __init__(self, name, units):
            self.name, self.units = name, range(units)

    layers = [Layer("a", 64), Layer("b", 8), Layer("c", 1000)]


@pytest.mark.parametrize(("unit_seconds", "seconds"), [(0.001, 600), (0.01, 600), (0.1, 600), (1.0, 600), (1.0, 300)])
def test_what_fits_in_ten_minutes_does_fit_and_one_more_would_not(unit_seconds, seconds):
    steps = {"a": unit_seconds, "b": 2 * unit_seconds, "c": unit_seconds}

    def takes(units, count):
        return sum(steps[layer.name] * (count + 1) * min(units, len(layer.units)) for layer in FakePlan.layers)

    units, count = _that_fit(FakePlan, steps, seconds)
    assert 1 <= units <= 1000 and count in (64, 48, 32, 16)
    assert takes(units, count) <= seconds
    assert units == 1000 or takes(units + 1, count) > seconds
    assert count == 64 or takes(4, {48: 64, 32: 48, 16: 32}[count]) > seconds, (
        "steps are given up only where few units would be left"
    )


def test_what_never_fits():
    assert _that_fit(FakePlan, {"a": 1e3, "b": 1e3, "c": 1e3}, 600) is None
    assert _that_fit(FakePlan, {"a": 1e-3, "b": 1e-3, "c": 1e-3}, -5) is None


@pytest.mark.filterwarnings("default:nothing names the 1000 classes")
def test_an_estimate_says_what_it_measured_and_what_would_fit(own, capsys, monkeypatch):
    command = ["atlas", "--model", "own.py:Thousand", "--size", "16", "--no-images", "--estimate", "-o", "a.html"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert re.search(r"\(measured in \d+ s: three steps of a batch of units of each of 2 layers\)", out)
    assert "measuring" in err and "fit in ten minutes" not in out and not Path("a.html").exists()
    monkeypatch.setattr(
        "minicnn.atlas.builder.seconds_of_a_step", lambda plan, missing, progress: {"conv": 0.01, "fc": 1.0}
    )
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "--units 12 --steps 48 fit in ten minutes",
        "a browser opens 1,004 units sooner with pages that are read when they are shown: --pages folder, or parts for one file",
    ]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ten_minutes"] == {"units": 12, "steps": 48}
    monkeypatch.setattr(
        "minicnn.atlas.builder.seconds_of_a_step", lambda plan, missing, progress: {"conv": 50.0, "fc": 1e4}
    )
    assert main(command) == 0
    assert "No choice of --units and --steps fits" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("default:nothing names the 1000 classes")
def test_the_atlas_says_how_images_enter_and_that_names_are_assumed(own, capsys):
    command = ["atlas", "--model", "own.py:Thousand", "--size", "16", "--no-images", "--units", "1", "--steps", "1"]
    assert main([*command, "-o", "a.html"]) == 0
    text = Path("a.html").read_text(encoding="utf-8")
    assert "Images enter as 16 × 16 pixels, mean 0.485, 0.456, 0.406; std" in text
    assert "Nothing names the 1000 classes: ImageNet" in text and "tench" in text
    assert capsys.readouterr().err.count("nothing names the 1000 classes") == 1
