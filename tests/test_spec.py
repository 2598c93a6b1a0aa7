"""`from_spec`: any network by a name or from a file of the user's own."""

from __future__ import annotations

import sys

import pytest

import minicnn
from minicnn.models import TinyNet, from_spec, provenance
from minicnn.serialization import WeightsError

OWN = """
import minicnn as torch
from minicnn import nn
from minicnn.models import ModelMeta
import helper

class Small(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.first = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, helper.CLASSES)

    def forward(self, x):
        return self.head(self.first(x).relu().mean((2, 3)))

class Stated(Small):
    meta = ModelMeta("stated", (0.5,) * 3, (0.25,) * 3, (3, 32, 32), ("a", "b"))

class Needy(nn.Module):
    def __init__(self, width, *, depth):
        super().__init__()

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = 1 / 0

def wide():
    return Small(8)

def nothing():
    return 3

ready = Small(6)
number = 3
"""


@pytest.fixture
def own(tmp_path):
    (tmp_path / "helper.py").write_text("CLASSES = 2\n")
    (tmp_path / "mine.py").write_text(OWN)
    return tmp_path / "mine.py"


def test_names():
    assert isinstance(from_spec(), TinyNet)
    assert from_spec().meta.accuracy == from_spec("tinynet:standard").meta.accuracy
    assert from_spec("tinynet:robust").meta.accuracy != from_spec().meta.accuracy
    model = from_spec("squeezenet1_1")
    assert model.meta.architecture == "squeezenet1_1"
    assert model.meta.input_size == (3, 224, 224)
    assert model.meta.categories == ()
    assert not model.training


def test_a_network_in_a_file_of_ones_own(own):
    model = from_spec(f"{own}:Small")
    assert type(model).__name__ == "Small"
    assert not model.training
    assert model(minicnn.randn(1, 3, 8, 8)).shape == (1, 2)
    assert model.meta.mean == (0.485, 0.456, 0.406)
    assert "ImageNet's mean, std and size are assumed" in model.meta.note
    assert from_spec(f"{own}:Stated").meta.categories == ("a", "b")
    assert from_spec(f"{own}:wide").first.weight.shape == (8, 3, 3, 3)
    assert from_spec(f"{own}:ready").first.weight.shape == (6, 3, 3, 3)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_weights_of_ones_own_network(own, tmp_path, suffix):
    source = from_spec(f"{own}:Small")
    path = tmp_path / f"w{suffix}"
    minicnn.save(source.state_dict(), path, metadata={"mean": "[0.1, 0.2, 0.3]"})
    model = from_spec(f"{own}:Small", path)
    assert all((a == b).all() for a, b in zip(source.parameters(), model.parameters(), strict=True))
    assert model.meta.mean == (0.1, 0.2, 0.3)
    minicnn.save({"first.weight": source.first.weight}, path)
    with pytest.raises(WeightsError, match=r"(?s)does not fit Small.*head\.weight"):
        from_spec(f"{own}:Small", path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        from_spec(f"{own}:Small", tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", r"which network of .*mine\.py\? .*Networks in it: Small, Stated, Needy, Broken"),
        (":Smal", r"has no 'Smal'\. Networks in it: Small"),
        (":Needy", r"needs arguments \(width, depth\).*return Needy\(width=\.\.\., depth=\.\.\.\)"),
        (":Broken", r"cannot be built: ZeroDivisionError: division by zero \(mine\.py, line 26\)"),
        (":nothing", r"returned int, not a minicnn\.nn\.Module"),
        (":number", r"number in .*mine\.py is int"),
        (":ModelMeta", r"no subclass of minicnn\.nn\.Module"),
    ],
)
def test_what_goes_wrong_in_a_file(own, name, text):
    with pytest.raises(ValueError, match=f"(?s){text}"):
        from_spec(f"{own}{name}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tinynet",), "tinynet:standard"),
        (("tinynet:robust",), "tinynet:robust"),
        (("alexnet",), "alexnet, random weights"),
        (("alexnet", "folder/mine.pth"), "alexnet, weights of mine.pth"),
        (("folder/mine.py:Net", "mine.pth"), "mine.py:Net, weights of mine.pth"),
        (("folder/mine.py:Net",), "mine.py:Net, random weights unless the file loads some"),
    ],
    ids=str,
)
def test_where_the_numbers_of_a_network_come_from(arguments, words):
    assert provenance(*arguments) == words


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("import minicnn\nclass A(:\n", r"cannot be run: SyntaxError.*\(bad\.py, line 2\)"),
        ("import sys\n\nsys.exit(3)\n", r"cannot be run: SystemExit: 3 \(bad\.py, line 3\)"),
        ("import nonsense_module\n", "No module named 'nonsense_module'"),
        ("x = 1\n", "has no 'A'. It defines no subclass of minicnn.nn.Module"),
        ("from torch import nn\nclass A(nn.Module):\n    pass\n", "but PyTorch's: in the file, write `import minicnn"),
        (
            "import torchvision.nothing\n",  # it may be installed
            r"No module named 'torchvision[.a-z]*' \(bad\.py, line 1\); write `import minicnn as torch`",
        ),
    ],
)
def test_files_that_do_not_run(tmp_path, code, text):
    (tmp_path / "bad.py").write_text(code)
    with pytest.raises(ValueError, match=text):
        from_spec(f"{tmp_path / 'bad.py'}:A")


def test_wrong_names(tmp_path):
    with pytest.raises(ValueError, match=r"Unknown model alexnett\. There are: alexnet, "):
        from_spec("alexnett")
    with pytest.raises(FileNotFoundError, match=r"no such file: .*nowhere\.py"):
        from_spec(f"{tmp_path}/nowhere.py:Net")
    with pytest.raises(FileNotFoundError, match=r"'rubust' is neither 'standard', 'robust', None nor a file"):
        from_spec("tinynet:rubust")
    with pytest.raises(ValueError, match="give one of them"):
        from_spec("tinynet:robust", "weights.pth")


BROKEN = {
    "stops in the middle": ("import its_helper\nraise RuntimeError('half')", "Net"),
    "is no Python": ("class Net(:", "Net"),
    "leaves the process": ("import sys\nsys.path.insert(0, 'elsewhere')\nsys.exit(3)", "Net"),
    "has no such network": ("import its_helper", "Net"),
    "cannot be built": ("import its_helper\ndef net():\n    raise KeyError('x')", "net"),
}


@pytest.mark.parametrize("text, name", BROKEN.values(), ids=BROKEN.keys())
def test_after_an_error_nothing_of_the_file_is_left(tmp_path, text, name):
    (tmp_path / "its_helper.py").write_text("CLASSES = 2\n")
    file = tmp_path / "broken_network.py"
    file.write_text(text + "\n")
    paths, modules = list(sys.path), set(sys.modules)
    with pytest.raises(ValueError, match="broken_network"):
        from_spec(f"{file}:{name}")
    assert sys.path == paths
    assert {"minicnn_user_broken_network", "its_helper"} & (set(sys.modules) - modules) == set()
    file.write_text("from minicnn import nn\nimport its_helper\nNet = net = lambda: nn.Linear(1, its_helper.CLASSES)\n")
    (tmp_path / "its_helper.py").write_text(
        "CLASSES = 31\n"
    )  # of another length: Python would take the old bytes otherwise
    assert from_spec(f"{file}:{name}").out_features == 31
    assert sys.path == paths
    sys.modules.pop("its_helper")
