"""Lesson 0 is NumPy alone: its numbers are minicnn's and PyTorch's, and it imports neither."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import minicnn
from minicnn import viz
from minicnn.models import tinynet

LESSON = Path(__file__).resolve().parent.parent / "lessons" / "00_the_whole_idea.py"


@pytest.fixture(scope="module")
def lesson(tmp_path_factory) -> SimpleNamespace:
    """The names that the lesson defines. Its last act, the ascent, is left to the test that runs every lesson."""
    source, found, _ = LESSON.read_text(encoding="utf-8").partition("robust, _ = load_network")
    assert found
    names = {"__name__": "lesson", "__file__": str(LESSON)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESSON_OUT", str(tmp_path_factory.mktemp("out")))
        patch.delenv("LESSON_PHOTO", raising=False)
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # the lesson sets it: undone at the end
        exec(compile(source, str(LESSON), "exec"), names)
    return SimpleNamespace(**names)


def test_the_lesson_is_short_and_stands_alone():
    text = LESSON.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported - {"lessons"} == {"json", "os", "pathlib", "numpy", "matplotlib", "PIL"}
    assert re.findall("^from lessons.*", text, re.MULTILINE) == ["from lessons.exercises import check"]


def test_the_files_that_the_lesson_names_are_there():
    for word in LESSON.read_text(encoding="utf-8").replace("`", " ").split():
        if word.startswith("minicnn/"):
            assert (LESSON.parent.parent / word).exists(), word


def in_torch() -> torch.nn.Module:
    """The bundled network in PyTorch."""
    model = tinynet("standard")
    layers = []
    for layer in model.features:
        if isinstance(layer, minicnn.nn.Conv2d):
            layers.append(torch.nn.Conv2d(*layer.weight.shape[1::-1], layer.kernel_size, layer.stride, layer.padding))
        else:
            layers.append(torch.nn.ReLU() if isinstance(layer, minicnn.nn.ReLU) else torch.nn.MaxPool2d(3, 2, 1))
    net = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(256, 200))
    weights = [torch.from_numpy(value.numpy().copy()) for value in model.state_dict().values()]
    net.load_state_dict(dict(zip(net.state_dict(), weights, strict=True)))
    return net


def gradients(library, net, x: np.ndarray) -> list[np.ndarray]:
    """The logits, the gradient of their sum with respect to the input, and those of all weights and biases."""
    x = library.tensor(x.copy()).requires_grad_()
    logits = net(x)
    logits.sum().backward()
    return [logits.detach().numpy(), x.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]


def close(mine: np.ndarray, other: np.ndarray) -> bool:
    """Equal to 1e-5 of the largest number (sums of thousands of float32 products, in another order)."""
    return mine.shape == other.shape and np.abs(mine - other).max() <= 1e-5 * max(1, np.abs(other).max())


@pytest.mark.slow
def test_its_numbers_are_minicnns_and_torchs(lesson):
    x = lesson.prepare(lesson.photo)
    assert np.array_equal(x.array, viz.preprocess(lesson.photo, tinynet("standard")).numpy())
    logits = lesson.network(x)
    logits.backward()
    mine = [logits.array, x.grad, *(w.grad for layer in lesson.network.layers for w in layer.weights)]
    for library, net in ((minicnn, tinynet("standard")), (torch, in_torch())):
        theirs = gradients(library, net, x.array)
        assert len(mine) == len(theirs) == 14
        assert all(close(a, b) for a, b in zip(mine, theirs, strict=True)), library.__name__


@pytest.mark.slow
def test_its_hooks_see_the_same_maps(lesson):
    model = tinynet("standard")
    names = {place: f"features.{place}" for place in lesson.maps}
    with viz.capture(model, list(names.values())) as maps:
        model(minicnn.tensor(lesson.prepare(lesson.photo).array))
    for place, name in names.items():
        assert close(lesson.maps[place], maps[name][0].numpy()), name


@pytest.mark.slow
@pytest.mark.parametrize("stride, padding, kernel", [(1, 0, 1), (1, 1, 3), (2, 3, 7), (3, 0, 2)])
def test_its_convolution_and_pooling(lesson, stride, padding, kernel):
    rng = np.random.default_rng(stride)
    x, w, b = (rng.standard_normal(s).astype(np.float32) for s in [(2, 3, 11, 13), (4, 3, kernel, kernel), (4,)])
    ours = [lesson.Tensor(a) for a in (x, w, b)]
    y = lesson.conv2d(*ours, stride, padding)
    z = lesson.max_pool2d(lesson.relu(y), 3, 2, 1)
    z.backward()
    theirs = [torch.from_numpy(a).requires_grad_() for a in (x, w, b)]
    expected = torch.nn.functional.conv2d(*theirs, stride, padding)
    pooled = torch.nn.functional.max_pool2d(expected.relu(), 3, 2, 1)
    pooled.sum().backward()
    assert close(lesson.convolution_in_loops(x, w, b, stride, padding), expected.detach().numpy())
    assert close(y.array, expected.detach().numpy())
    assert close(z.array, pooled.detach().numpy())
    assert all(close(a.grad, t.grad.numpy()) for a, t in zip(ours, theirs, strict=True))
