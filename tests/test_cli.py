"""The command: what each subcommand prints and writes, its exit codes, and errors that are one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from atlas_network import folder
from PIL import Image

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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "no-such-photo.jpg"], "no such file: no-such-photo.jpg"),
        (["predict", "PHOTO", "--model", "nonet"], "nonet"),
        (["predict", "PHOTO", "--model", "missing.py:Net"], "missing.py"),
        (["predict", "PHOTO", "--weights", "missing.pth"], "missing.pth"),
        (["predict", "TEXT"], "text.png: not an image that Pillow can read"),
        (["filters", "--layer", "features.99", "-o", "OUT"], "features.9"),
        (["maps", "PHOTO", "--layers", "classifier", "-o", "OUT"], "maps"),
        (["maximize", "features.8", "-o", "OUT"], "cannot read the target"),
        (["maximize", "features.8:999", "--steps", "1", "-o", "OUT"], "256 channels"),
        (["atlas", "--images", "nowhere", "-o", "OUT"], "nowhere"),
        (["atlas", "--layers", "nothing", "-o", "OUT"], "nothing"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_user_error_is_one_line_and_exit_code_1(arguments, words, photo, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no image")
    places = {"PHOTO": photo, "TEXT": str(tmp_path / "text.png"), "OUT": str(tmp_path / "out.png")}
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


def test_an_interruption_says_that_nothing_is_lost(tmp_path, capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("minicnn.atlas.builder.maximize_all", interrupted)
    command = ["atlas", "--units", "1", "--steps", "1", "-o", str(tmp_path / "a.html"), *HOSTILE[:2]]
    assert main(command) == 130
    assert "goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["predict", "filters", "maps", "maximize", "atlas"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"examples:\n  minicnn {command}" in out and "--model" in out


def test_python_m_minicnn_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "minicnn", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "minicnn atlas --images photos/" in done.stdout
    assert 'minicnn = "minicnn.cli:main"' in (ROOT / "pyproject.toml").read_text()
