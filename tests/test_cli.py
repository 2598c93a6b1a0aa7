"""The command: what each subcommand prints and writes, its exit codes, and errors that are one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from atlas_network import folder
from PIL import Image

from minicnn import viz
from minicnn.cli import main

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = ["--model", f"{Path(__file__).parent / 'atlas_network.py'}:network", "--quiet"]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    return str(path)


def drawn(path: Path) -> bool:
    return np.asarray(Image.open(path).convert("L")).std() > 5


def test_predict(photo, capsys):
    assert main(["predict", photo, "--top", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and all("%" in line for line in lines)
    assert main(["predict", photo, "--json", *HOSTILE]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert sum(row["probability"] for row in answer["predictions"]) == pytest.approx(1, abs=1e-4)
    assert answer["photo"] == photo


def test_predict_sees_the_same_in_16_bits(photo, tmp_path, capsys):
    grey = np.asarray(Image.open(photo).convert("L"))
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.tiff")
    answers = []
    for name in ("8.png", "16.tiff"):
        assert main(["predict", str(tmp_path / name), *HOSTILE]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]


def test_filters(tmp_path, capsys):
    target = tmp_path / "new folder" / "f.png"
    assert main(["filters", "-o", str(target), *HOSTILE]) == 0
    assert "Gabor R2" in (out := capsys.readouterr().out) and str(target) in out
    assert drawn(target)
    assert main(["filters", "-o", str(target), "--json", *HOSTILE]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["shape"] == [6, 3, 5, 5] and len(report["gabor_r2"]) == 6


def test_maps(photo, tmp_path, capsys):
    target = tmp_path / "m.png"
    for layers in ([], ["--layers", "features.1"]):
        assert main(["maps", photo, *layers, "-o", str(target), "--json", *HOSTILE]) == 0
        found = json.loads(capsys.readouterr().out)["layers"]
        assert found["features.1"]["shape"] == [1, 6, 16, 16]
        assert drawn(target)


@pytest.mark.filterwarnings("ignore:the activation did not rise")  # in so few steps
@pytest.mark.slow
def test_mistakes(tmp_path, capsys):
    photos, target = tmp_path / "photos", tmp_path / "m.png"
    for name, kind in (
        ("goldfish", "goldfish"),
        ("koala", "goldfish"),
        ("red_panda", "lesser panda"),
        ("espresso", "espresso"),
    ):
        (photos / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(viz.sample_folder() / f"{name}.jpg", photos / kind)
    (photos / "espresso" / "notes.txt").write_text("no picture")
    assert main(["mistakes", str(photos), "-o", str(target), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "75.0% of 4 photographs right" and lines[1].split() == [
        "1",
        "of",
        "goldfish",
        "taken",
        "for",
        "lesser",
        "panda",
    ]
    assert lines[2:] == ["1 files skipped", str(target)] and drawn(target)
    assert main(["mistakes", str(photos), "-o", str(target), "--matrix", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == 0.75 and found["by_class"]["0"] == 0.5 and found["by_class"]["1"] is None
    assert found["mistakes"] == [{"true": "goldfish", "answered": "lesser panda", "times": 1, "share": 0.5}]
    shutil.rmtree(photos / "goldfish")
    assert main(["mistakes", str(photos), "-o", str(target)]) == 0  # nothing is wrong
    assert capsys.readouterr().out.startswith("100.0% of 2 photographs right")


def test_maximize(tmp_path, capsys):
    target = tmp_path / "x.png"
    command = [
        "maximize",
        "features.0:1@centre",
        "logit:plain",
        "--steps",
        "3",
        "--size",
        "32",
        "-o",
        str(target),
        *HOSTILE,
    ]
    assert main([*command, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert [unit["unit"] for unit in first["units"]] == ["features.0:1@centre", "plain"]
    assert drawn(target)
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first, "one seed, one result"
    assert main([*command, "--json", "--seed", "5"]) == 0
    assert json.loads(capsys.readouterr().out)["units"] != first["units"]


@pytest.mark.slow
def test_atlas_and_its_estimate(tmp_path, capsys):
    photos, target = folder(tmp_path / "photos"), tmp_path / "a.html"
    command = ["atlas", "--units", "1", "--steps", "2", "--images", str(photos), "-o", str(target), *HOSTILE]
    assert main([*command, "--estimate", "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert (estimate["units"], estimate["unfinished"], estimate["photographs"]) == (3, 3, 11)
    assert not target.exists()
    assert main(command[:-1]) == 0
    out, err = capsys.readouterr()
    assert "3 units" in out and str(target) in out
    assert "about" in err and "MB" in err and "skipped" in err and "notes.txt" in err
    assert main([*command, "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert (built["units"], built["photographs"], len(built["skipped"])) == (3, 7, 4)
    assert built["bytes"] == target.stat().st_size
    assert main([*command, "--json", "--pages", "folder"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] > target.stat().st_size
    assert len(list((tmp_path / "a.html.pages").glob("*/index.js"))) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "no-such-photo.jpg"], "no such file: no-such-photo.jpg"),
        (["predict", "PHOTO", "--model", "nonet"], "nonet"),
        (["predict", "PHOTO", "--model", "missing.py:Net"], "missing.py"),
        (["predict", "PHOTO", "--weights", "missing.pth"], "missing.pth"),
        (["predict", "HUGE"], "huge.png: too large"),
        (["predict", "FOLDER"], "directory"),
        (["predict", "PHOTO", "--size", "99999"], "more than"),
        (["atlas", "--photo", "TEXT", "-o", "OUT"], "text.png: not an image"),
        (["atlas", "--photo", "TEXT", "--estimate", "-o", "OUT"], "text.png: not an image"),
        (["predict", "TEXT"], "text.png: not an image that Pillow can read"),
        (["filters", "--layer", "features.99", "-o", "OUT"], "features.9"),
        (["maps", "PHOTO", "--layers", "classifier", "-o", "OUT"], "maps"),
        (["maximize", "features.8", "-o", "OUT"], "cannot read the target"),
        (["maximize", "features.8:999", "--steps", "1", "-o", "OUT"], "256 channels"),
        (["atlas", "--images", "nowhere", "-o", "OUT"], "nowhere"),
        (["mistakes", "nowhere", "-o", "OUT"], "no such folder"),
        (["mistakes", "PHOTO", "-o", "OUT"], "minicnn mistakes needs a folder of folders"),
        (["mistakes", "FOLDER", "-o", "OUT"], "name them as classes. Without names"),
        (["atlas", "--layers", "nothing", "-o", "OUT"], "nothing"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_user_error_is_one_line_and_exit_code_1(arguments, words, photo, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    places = {
        "PHOTO": photo,
        "TEXT": str(tmp_path / "text.png"),
        "OUT": str(tmp_path / "out.png"),
        "FOLDER": str(tmp_path),
    }
    places["HUGE"] = str(folder(tmp_path / "photos", count=1) / "huge.png")
    assert main([places.get(word, word) for word in arguments]) == 1
    out, err = capsys.readouterr()
    assert words in err
    assert err.startswith("minicnn: ") and "Traceback" not in err
    assert out == "" and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["predict"], ["predict", "x.jpg", "--top", "0"], ["atlas", "--units", "few"], []],
    ids=str,
)
def test_a_command_that_is_not_understood_is_exit_code_2(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    assert "usage: minicnn" in capsys.readouterr().err


OWN = """
import minicnn as torch
from minicnn import nn
from minicnn.models import ModelMeta

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, 3)
        self.meta = ModelMeta("own", (0.0,) * 3, (1.0,) * 3, (3, 16, 16), ("a\\x1b[2Jb", "caf\\xe9 \\udce9", "$x_{$"))
    def forward(self, x):
        return self.fc(self.relu(self.conv(x)).mean((2, 3)))

class Attribute(Base):
    def forward(self, x):
        return self.nothing(x)

class Assertion(Base):
    def forward(self, x):
        assert x.shape[2] == 7

class Own(Base):
    def forward(self, x):
        class Mine(BaseException):
            pass
        raise Mine("my own\\nerror")

class Exit(Base):
    def forward(self, x):
        raise SystemExit(3)

class Shape(Base):
    def forward(self, x):
        return self.fc(self.conv(x))

class Recursion(Base):
    def forward(self, x):
        return self.forward(x)

class Nothing(Base):
    def forward(self, x):
        return None

class Tuple(Base):
    def forward(self, x):
        return {"out": (super().forward(x), x)}

class Infinite(Base):
    def forward(self, x):
        return super().forward(x * float("inf"))

class Dead(Base):
    def __init__(self):
        super().__init__()
        with torch.no_grad():
            self.conv.bias.fill_(-100)

class Mean(Base):
    def forward(self, x):
        return x.mean((2, 3)) * 10

class Grey(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
    def forward(self, x):
        return self.conv(x).mean((2, 3))

class Four(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3)
    def forward(self, x):
        return self.conv(x).mean((2, 3))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A function name -> arguments that take this network of the file above, from a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    return lambda name: ["--model", f"own.py:{name}", "--quiet"]


def line_of(code: str) -> int:
    return next(i for i, line in enumerate(OWN.splitlines(), 1) if code in line)


@pytest.mark.parametrize("command", ["predict", "maps", "maximize", "atlas"])
@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("Attribute", "self.nothing", "AttributeError: 'Attribute' object has no attribute 'nothing'"),
        ("Assertion", "assert x", r"AssertionError: assert x\.shape\[2\] == 7"),
        ("Own", "raise Mine", "Mine: my own error"),
        ("Exit", "raise SystemExit", "SystemExit: 3"),
        ("Shape", "self.fc(self.conv(x))", "RuntimeError: mat1 and mat2"),
        pytest.param(
            "Recursion",
            "self.forward(x)",
            "(RuntimeError|RecursionError): maximum recursion depth",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_a_forward_raises_is_one_paragraph_with_file_and_line(name, code, words, command, own, photo, capsys):
    wanted = {"predict": [photo], "maps": [photo], "maximize": ["logit:0"], "atlas": []}[command]
    assert main([command, *wanted, *own(name)]) == 1
    warning, error = capsys.readouterr().err.splitlines()
    assert "random weights" in warning
    assert re.match(rf"minicnn: own\.py, line {line_of(code)}: {words}", error)


def test_debug_shows_the_traceback(own, photo):
    with pytest.raises(BaseException, match="my own\nerror"):
        main(["predict", photo, *own("Own"), "--debug"])


@pytest.mark.slow
def test_random_weights_are_never_silent(own, photo, capsys):
    for command in [
        ["predict", photo],
        ["atlas", "--units", "1", "--steps", "1"],
        ["filters"],
        ["maximize", "conv:0", "--steps", "2"],
    ]:
        assert main([*command, *own("Base"), "--json"]) == 0
        out, err = capsys.readouterr()
        assert "own.py:Base, random weights" in err
        assert "random weights" in json.loads(out)["network"]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        assert main(["filters", "-o", "f.svg", *own("Base")]) == 0
    assert "own.py:Base, random weights" in Path("f.svg").read_text()
    assert "<h1>Atlas of own.py:Base, random weights" in Path("atlas.html").read_text(encoding="utf-8").replace(
        ' tabindex="-1"', ""
    )
    capsys.readouterr()
    assert main(["predict", photo, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["network"] == "tinynet:standard" and err == ""


def test_class_names_do_nothing_to_the_terminal(own, photo, capsys):
    assert main(["predict", photo, *own("Base")]) == 0
    out = capsys.readouterr().out
    assert out.isprintable() or (set(out) - set("\n") and "\x1b" not in out)
    assert "a\\u001b[2Jb" in out and "caf\xe9 \\udce9" in out
    assert main(["predict", photo, "--json", *own("Base")]) == 0
    out = capsys.readouterr().out
    assert {row["class"] for row in json.loads(out)["predictions"]} == {"a\x1b[2Jb", "caf\xe9 \udce9", "$x_{$"}
    out.encode("utf-8")


@pytest.mark.slow
def test_a_terminal_without_the_letters_gets_escapes(own, photo):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "minicnn", "predict", photo, *own("Base")]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert b"caf\\xe9" in done.stdout


@pytest.mark.slow
def test_json_has_neither_nan_nor_infinity(own, photo, capsys):
    assert main(["maps", photo, "--json", *own("Infinite")]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(name))
    assert found["layers"]["conv"]["mean"] is None
    assert main(["predict", photo, *own("Infinite")]) == 1
    assert "NaN or infinity" in capsys.readouterr().err


def test_a_name_without_an_ending_becomes_a_png_and_is_printed(own, capsys):
    assert main(["filters", "-o", "odd", *own("Base")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "odd.png"
    assert drawn(Path("odd.png"))


@pytest.mark.parametrize(
    ("command", "output", "words"),
    [
        ("filters", "odd.xyz", "a figure is written as"),
        ("maximize conv:0", "odd.xyz", "a figure is written as"),
        ("maps photo.png", "empty", "folder"),
        ("atlas", "empty", "empty is a folder"),
        ("filters", "photo.png/x.png", "photo.png is a file, not a folder"),
        ("atlas", "photo.png/x.html", "photo.png is a file, not a folder"),
        ("maps photo.png", "photo.png", "photo.png is read by this command"),
        ("atlas --photo photo.png", "photo.png", "photo.png is read by this command"),
        ("atlas", "own.py", "own.py is read by this command"),
    ],
)
def test_where_to_write_is_looked_at_before_the_work(command, output, words, own, photo, capsys, monkeypatch):
    monkeypatch.setattr("minicnn.models.from_spec", lambda *args: pytest.fail("the work had begun"))
    Path("empty").mkdir()
    before = Path(photo).read_bytes()
    assert main([*command.split(), "-o", output, *own("Base")]) == 1
    assert words in capsys.readouterr().err
    assert Path(photo).read_bytes() == before and Path("own.py").read_text() == OWN


def test_a_dead_unit_is_an_error_that_names_an_option_of_the_command(own, capsys):
    assert main(["maximize", "relu:1", "--steps", "2", "-o", "x.png", *own("Dead")]) == 1
    err = capsys.readouterr().err
    assert "did not rise" in err and "relu:1: 0 -> 0" in err and "Traceback" not in err
    assert not Path("x.png").exists()
    named = set(re.findall(r"--[a-z-]+", err)) - {"--weights"}
    assert "--open-dead-relus" in named
    with pytest.raises(SystemExit):
        main(["maximize", "--help"])
    assert named <= set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert main(["maximize", "relu:1", "conv:1", "--steps", "5", "-o", "x.png", "--json", *own("Dead")]) == 0
    out, err = capsys.readouterr()
    assert [unit["rose"] for unit in json.loads(out)["units"]] == [False, True]
    assert "did not rise" in err and drawn(Path("x.png"))


def test_how_images_enter_and_which_part_of_the_output_is_used(own, photo, capsys):
    def probabilities(*arguments):
        assert main(["predict", photo, "--json", *arguments]) == 0
        return [row["probability"] for row in json.loads(capsys.readouterr().out)["predictions"]]

    pixels = np.asarray(Image.open(photo).resize((40, 32), Image.Resampling.BILINEAR))[:, 4:36] / 255
    scaled = (pixels.mean((0, 1)) - [0.5, 0.4, 0.3]) / [0.2, 0.2, 0.1]
    expected = np.exp(10 * scaled) / np.exp(10 * scaled).sum()
    given = probabilities(*own("Mean"), "--size", "32", "--mean", "0.5,0.4,0.3", "--std", "0.2,0.2,0.1")
    np.testing.assert_allclose(given, np.sort(expected)[::-1], atol=2e-3)
    assert len(probabilities(*own("Grey"), "--size", "32", "--mean", "0.5")) == 3
    assert probabilities(*own("Tuple"), "--part", "out,0") == probabilities(*own("Base"))
    for arguments, words in (
        ([*own("Tuple")], "--part out makes"),
        ([*own("Tuple"), "--part", "no"], "has no part 'no'"),
        ([*own("Base"), "--mean", "1,2"], "3 channels, but --mean 2 values"),
        ([*own("Base"), "--std", "0"], "std must be positive, got (0.0, 0.0, 0.0)"),
        ([*own("Base"), "--size", "1"], "The network was given (1, 3, 1, 1), (N, C, H, W): --size chooses"),
        ([*own("Base"), "--size", "100000"], "more than 134,217,728"),
        ([*own("Nothing")], "NoneType"),
    ):
        assert main(["predict", photo, *arguments]) == 1
        assert words in capsys.readouterr().err.splitlines()[-1]
    words = "the network takes 4 channels and a photograph has 3: in Python, minicnn.viz takes arrays (H, W, 4)"
    for arguments in (["predict", photo], ["maps", photo], ["atlas", "--photo", photo], ["atlas", "--images", "."]):
        assert main([*arguments, *own("Four")]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == f"minicnn: {words}"


def test_an_interruption_says_that_nothing_is_lost(tmp_path, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("minicnn.atlas.builder.maximize_all", interrupted)
    command = ["atlas", "--units", "1", "--steps", "1", "-o", str(tmp_path / "a.html"), *HOSTILE[:2]]
    assert main(command) == 130
    assert "goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "filters", "maps", "mistakes", "maximize", "atlas"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"examples:\n  minicnn {command}" in out and "--model" in out


@pytest.mark.slow
def test_python_m_minicnn_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "minicnn", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "minicnn atlas -o atlas.html" in done.stdout
    assert 'minicnn = "minicnn.cli:main"' in (ROOT / "pyproject.toml").read_text()
