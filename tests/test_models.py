"""The bundled networks, the export from PyTorch, and the way from one to the other."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn as tnn

import minicnn
from minicnn.models import ModelMeta, TinyNet, get_model, list_models, tinynet, weights_path
from minicnn.serialization import WeightsError, read_metadata

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
BUNDLED = ("standard", "robust")


def script(name: str):
    """A script of weights/ as a module."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, WEIGHTS / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def randomize_batch_norm(model: tnn.Module, seed: int = 0) -> tnn.Module:
    """Running statistics and affine parameters as training would leave them: none of them 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, tnn.BatchNorm2d):
            size = module.running_mean.shape
            module.running_mean.copy_(torch.randn(size, generator=generator))
            module.running_var.copy_(torch.rand(size, generator=generator) + 0.2)
            if module.affine:
                module.weight.data.copy_(torch.randn(size, generator=generator))
                module.bias.data.copy_(torch.randn(size, generator=generator))
    return model.eval()


def assert_same_outputs(left: tnn.Module, right: tnn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        expected, got = left(x), right(x)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


# --- the model functions ----------------------------------------------------------------------------------------------


def test_the_architecture():
    model = tinynet()
    assert sum(p.numel() for p in model.parameters()) == 1_741_128
    assert model(minicnn.randn(2, 3, 64, 64)).shape == (2, 200)
    assert model(minicnn.randn(1, 3, 96, 51)).shape == (1, 200)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items() if name.endswith("weight")}
    assert shapes == {
        "features.0.weight": (64, 3, 7, 7),
        "features.3.weight": (128, 64, 5, 5),
        "features.6.weight": (256, 128, 3, 3),
        "features.8.weight": (256, 256, 3, 3),
        "features.10.weight": (256, 256, 3, 3),
        "classifier.weight": (200, 256),
    }
    assert model.meta.categories == ()
    assert model.meta.accuracy is None
    assert model.meta.input_size == (3, 64, 64)
    assert tinynet(num_classes=7)(minicnn.randn(1, 3, 8, 8)).shape == (1, 7)


def test_models_by_name():
    assert "tinynet" in list_models()
    assert list_models(include="tiny*") == ["tinynet"]
    assert list_models(include="nothing*") == []
    assert list_models(include=["vgg1*", "resnet*"], exclude=["*_bn", "resnet50", "resnet1??"]) == [
        "resnet18",
        "resnet34",
        "vgg11",
        "vgg13",
        "vgg16",
        "vgg19",
    ]
    assert list_models(minicnn.models) == list_models()
    assert list_models(minicnn.nn) == []
    assert isinstance(get_model("tinynet", num_classes=3), TinyNet)
    with pytest.raises(ValueError, match=r"Unknown model tinnynet.*tinynet"):
        get_model("tinnynet")


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'stnadard' is neither 'standard', 'robust', None nor a file"):
        tinynet("stnadard")
    with pytest.raises(FileNotFoundError, match=r"'history_other\.npz' in .*weights or .*weights"):
        weights_path("history_other.npz")


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_weights_of_ones_own(tmp_path, suffix):
    source, path = TinyNet(num_classes=2), tmp_path / f"mine{suffix}"
    meta = ModelMeta("tinynet", (0.5,) * 3, (0.25,) * 3, (3, 32, 32), ("cat", "dog"), 0.75, "cats and dogs")
    minicnn.save(source.state_dict(), path, metadata=meta.to_metadata())
    for weights in (path, str(path)):
        model = tinynet(weights)
        assert model.meta == meta
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), source.state_dict()[name].numpy())

    minicnn.save(source.state_dict(), path)  # a file that says nothing about itself
    assert tinynet(path).meta == tinynet().meta
    with pytest.raises(WeightsError, match=r"classifier\.weight.*\[2, 256\].*\[200, 256\]"):
        tinynet(path, num_classes=200)
    minicnn.save(source.state_dict(), path, metadata={"mean": "half"})
    with pytest.raises(WeightsError, match=r"mine.*'mean' is not JSON"):
        tinynet(path)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_networks(name):
    model = tinynet(name)
    meta = model.meta
    assert meta.architecture == "tinynet"
    assert meta.input_size == (3, 64, 64)
    assert len(meta.categories) == len(set(meta.categories)) == 200
    assert meta.categories[0] == "goldfish"
    assert {"king penguin", "lighthouse", "pizza", "ladybug"} <= set(meta.categories)
    assert meta.accuracy == {"standard": 0.4745, "robust": 0.3826}[name]  # what the model card says
    assert weights_path(f"tinynet_{name}.safetensors").stat().st_size < 7.1e6
    assert all(value.dtype == minicnn.float32 for value in model.state_dict().values())
    assert np.isfinite(model(minicnn.randn(1, 3, 64, 64)).detach().numpy()).all()


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_history_ends_in_the_bundled_first_layer(name):
    """About 40 moments of the first layer, before its batch norm is folded in: one factor a filter apart at the end."""
    path = weights_path(f"history_{name}.npz")
    assert path.stat().st_size < 2e6
    with np.load(path, allow_pickle=False) as history:
        filters, steps = history["filters"], history["filter_step"]
        assert filters.shape[1:] == (64, 3, 7, 7)
        assert len(filters) == len(steps) >= 35
        assert (np.diff(steps) > 0).all()
        assert len(history["loss"]) == len(history["loss_step"]) > 0
        assert history["val_top1"][-1] == pytest.approx(tinynet(name).meta.accuracy, abs=5e-4)
    last = filters[-1].reshape(64, -1).astype(np.float64)
    shipped = tinynet(name).features[0].weight.detach().numpy().reshape(64, -1)
    alive = np.linalg.norm(shipped, axis=1) > 1e-3
    cosine = (last * shipped).sum(1) / (np.linalg.norm(last, axis=1) * np.linalg.norm(shipped, axis=1) + 1e-12)
    assert (np.abs(cosine[alive]) > 0.999).all()


def test_bundled_metadata_is_plain_json():
    metadata = read_metadata(weights_path("tinynet_standard.safetensors"))
    assert json.loads(metadata["mean"]) == [0.485, 0.456, 0.406]
    assert len(json.loads(metadata["categories"])) == 200


# --- export -----------------------------------------------------------------------------------------------------------


def test_from_the_training_network_to_minicnn(tmp_path):
    """What train.py writes, exported by the command line, gives the training network's logits in minicnn."""
    torch.manual_seed(0)
    trained = randomize_batch_norm(script("train").TrainingNet(5))
    torch.save({"model": trained.state_dict(), "epoch": 9}, tmp_path / "last.pth")
    (tmp_path / "wnids.txt").write_text("n3\nn1\nn2\nn5\nn4\n")
    (tmp_path / "words.txt").write_text("".join(f"n{i}\tname {i}, Latin {i}\n" for i in range(9)))
    target = tmp_path / "tiny.safetensors"
    script("export").main(
        [str(tmp_path / "last.pth"), str(target), "--architecture", "tinynet", "--accuracy", "0.4571"]
        + ["--classes", str(tmp_path / "wnids.txt"), "--words", str(tmp_path / "words.txt"), "--note", "a test"]
        + ["--rename", "name 2=two", "name 4=four"]
    )
    model = tinynet(target).eval()
    assert model.meta.categories == ("name 3", "name 1", "two", "name 5", "four")
    assert (model.meta.accuracy, model.meta.note) == (0.4571, "a test")
    x = torch.randn(3, 3, 64, 64)
    with torch.no_grad(), minicnn.no_grad():
        expected, got = trained(x).numpy(), model(minicnn.from_numpy(x.numpy())).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def vgg(batch_norm: bool) -> tnn.Module:
    """The layout of vgg11 and vgg11_bn, small."""
    layers, channels = [], 3
    for width in (8, "M", 12, "M", 16, 16, "M"):
        if width == "M":
            layers.append(tnn.MaxPool2d(2, 2))
            continue
        layers += [
            tnn.Conv2d(channels, width, 3, padding=1),
            *([tnn.BatchNorm2d(width)] if batch_norm else []),
            tnn.ReLU(),
        ]
        channels = width
    model = tnn.Module()
    model.features = tnn.Sequential(*layers)
    model.classifier = tnn.Sequential(tnn.Linear(16, 10), tnn.ReLU(), tnn.Dropout(), tnn.Linear(10, 4))
    model.forward = lambda x: model.classifier(model.features(x).mean((2, 3)))
    return model


def test_folding_renumbers_as_without_batch_norm():
    source, target = randomize_batch_norm(vgg(batch_norm=True)), vgg(batch_norm=False).eval()
    state, folded, kept = script("export").fold_batch_norm(source.state_dict())
    assert list(state) == list(target.state_dict())
    assert (folded["features.1"], folded["features.5"], kept) == ("features.0", "features.4", [])
    target.load_state_dict({name: value.float() for name, value in state.items()})
    assert_same_outputs(source, target, torch.randn(2, 3, 16, 16))


def test_folding_by_name_groups_nesting_and_no_affine():
    class Block(tnn.Module):
        def __init__(self, batch_norm: bool) -> None:
            super().__init__()
            self.conv1 = tnn.Conv2d(8, 8, 3, padding=1, groups=4, bias=not batch_norm)
            self.bn1 = tnn.BatchNorm2d(8) if batch_norm else tnn.Identity()
            norm = [tnn.BatchNorm2d(8, affine=False)] if batch_norm else []
            self.downsample = tnn.Sequential(tnn.Conv2d(8, 8, 1, bias=not batch_norm), *norm)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.bn1(self.conv1(x)) + self.downsample(x))

    source = randomize_batch_norm(tnn.Sequential(tnn.Sequential(Block(True)), tnn.ReLU(), Block(True)))
    target = tnn.Sequential(tnn.Sequential(Block(False)), tnn.ReLU(), Block(False)).eval()
    state, folded, kept = script("export").fold_batch_norm(source.state_dict())
    assert len(folded) == 4
    assert kept == []
    target.load_state_dict({name: value.float() for name, value in state.items()})
    assert_same_outputs(source, target, torch.randn(2, 8, 6, 6))


def test_batch_norm_without_a_convolution_before_it_is_kept():
    after_relu = tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.ReLU(), tnn.BatchNorm2d(4))
    first = tnn.Sequential(tnn.BatchNorm2d(3), tnn.Conv2d(3, 3, 3))
    after_linear = tnn.Sequential(tnn.Linear(3, 4), tnn.BatchNorm1d(4))
    for model, norm in ((after_relu, "2"), (first, "0"), (after_linear, "1")):
        state, folded, kept = script("export").fold_batch_norm(model.state_dict())
        assert (folded, kept) == ({}, [norm])
        assert state.keys() == model.state_dict().keys()


def test_eps_is_an_argument():
    source = randomize_batch_norm(tnn.Sequential(tnn.Conv2d(3, 4, 3), tnn.BatchNorm2d(4, eps=0.5)))
    target = tnn.Sequential(tnn.Conv2d(3, 4, 3)).eval()
    state, _, _ = script("export").fold_batch_norm(source.state_dict(), eps=0.5)
    target.load_state_dict({name: value.float() for name, value in state.items()})
    assert_same_outputs(source, target, torch.randn(2, 3, 6, 6))


@pytest.mark.parametrize("nested", [None, "model", "state_dict", "model_state_dict"])
def test_a_network_of_ones_own(tmp_path, nested):
    """Class names one a line, its own normalisation, half precision, the prefix of DataParallel."""
    source = tnn.Linear(3, 2).half()
    state = {f"module.{name}": value for name, value in source.state_dict().items()}
    torch.save({nested: state, "epoch": 3} if nested else state, tmp_path / "mine.pth")
    (tmp_path / "names.txt").write_text("left\nright\n")
    for target in (tmp_path / "mine.safetensors", tmp_path / "mine.npz"):
        script("export").main(
            [
                str(tmp_path / "mine.pth"),
                str(target),
                "--architecture",
                "mynet",
                "--classes",
                str(tmp_path / "names.txt"),
            ]
            + ["--mean", "0.5", "--std", "0.25", "--input-size", "1", "28", "28"]
        )
        metadata = read_metadata(target)
        assert metadata["architecture"] == "mynet"
        assert json.loads(metadata["categories"]) == ["left", "right"]
        assert (json.loads(metadata["mean"]), json.loads(metadata["input_size"])) == ([0.5], [1, 28, 28])
        assert "accuracy" not in metadata
        weight = minicnn.load(target)["weight"]
        assert weight.dtype == minicnn.float32
        np.testing.assert_array_equal(weight.numpy(), source.weight.detach().float().numpy())


def test_export_says_what_is_wrong(tmp_path):
    export = script("export")
    torch.save({"epoch": 3, "loss": [1.0]}, tmp_path / "other.pth")
    with pytest.raises(SystemExit, match=r"no state_dict found.*epoch"):
        export.read_state_dict(tmp_path / "other.pth")
    (tmp_path / "twice.txt").write_text("crane\ngoose\ncrane\n")
    with pytest.raises(SystemExit, match="more than once: crane"):
        export.read_classes(tmp_path / "twice.txt")
    (tmp_path / "words.txt").write_text("n1\tgoose\n")
    with pytest.raises(SystemExit, match="no line for crane"):
        export.read_classes(tmp_path / "twice.txt", tmp_path / "words.txt")
    for rename in ("goose=duck", "crane"):
        with pytest.raises(SystemExit, match=f"--rename {rename}"):
            export.read_classes(tmp_path / "words.txt", rename=[rename])
