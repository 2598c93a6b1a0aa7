"""torchvision's networks: keys, shapes, numbers of parameters, and what they compute, held against torch."""

from __future__ import annotations

import hashlib
import re

import numpy as np
import pytest
import torch
import torch_models

import minicnn
from minicnn import models
from minicnn.nn.utils import skip_init

# Of torchvision 0.29.1: the number of parameters, and the SHA-256 of what `listing` returns, beginnings.
TORCHVISION = {
    "alexnet": (61_100_840, "9d712155055155f9"),
    "resnet18": (11_689_512, "c71d7ac751c63823"),
    "resnet34": (21_797_672, "9c6ae1244569700b"),
    "resnet50": (25_557_032, "4f2041f5423b18f2"),
    "squeezenet1_0": (1_248_424, "bcc9203224f72636"),
    "squeezenet1_1": (1_235_496, "73279a2e0a5c5b62"),
    "vgg11": (132_863_336, "ff381a05a1d44f0c"),
    "vgg11_bn": (132_868_840, "41a00320b422bb7c"),
    "vgg13": (133_047_848, "7176f6dd210e1a77"),
    "vgg13_bn": (133_053_736, "940dbe7bc62d814b"),
    "vgg16": (138_357_544, "dae043e1927e557e"),
    "vgg16_bn": (138_365_992, "82e5ba86350a74d8"),
    "vgg19": (143_667_240, "d50c8e92ebfc2651"),
    "vgg19_bn": (143_678_248, "44185df9b6e18e04"),
}


def listing(model) -> str:
    """Every key with its shape, in order, and what the model prints: module names, settings."""
    return "\n".join([*(f"{key} {list(value.shape)}" for key, value in model.state_dict().items()), repr(model)])


def test_all_are_registered():
    assert set(TORCHVISION) == set(torch_models.BUILDERS) == set(models.list_models()) - {"tinynet"}


@pytest.mark.parametrize("name", TORCHVISION)
def test_keys_shapes_and_number_of_parameters(name):
    ours = skip_init(models.get_model, name)
    parameters, digest = TORCHVISION[name]
    assert sum(p.numel() for p in ours.parameters()) == parameters
    assert hashlib.sha256(listing(ours).encode()).hexdigest().startswith(digest)
    with torch.device("meta"):
        theirs = torch_models.BUILDERS[name]()
    assert set(ours.state_dict()) == set(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert tuple(ours.state_dict()[key].shape) == tuple(value.shape), key


def test_the_first_values_are_torchvisions_kind():
    """Standard deviations that follow from He's rule: by the inputs of a weight in SqueezeNet, its outputs in ResNet."""
    minicnn.manual_seed(0)
    squeeze, residual = models.squeezenet1_1(), models.resnet18(zero_init_residual=True)
    assert squeeze.features[3].expand3x3.weight.std().item() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.05)
    assert squeeze.classifier[1].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert residual.conv1.weight.std().item() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.05)
    assert residual.layer1[0].bn2.weight.abs().max() == 0
    assert residual.layer1[0].bn1.weight.min() == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_0", "resnet18"])
def test_logits_of_another_size(name):
    """Images that are neither square nor of 224 pixels; `test_pretrained.py` has those, for every network."""
    theirs = torch_models.build(name)
    ours = skip_init(models.get_model, name).eval()
    ours.load_state_dict({key: minicnn.from_numpy(value.numpy()) for key, value in theirs.state_dict().items()})
    x = torch.randn(2, 3, 75, 90, generator=torch.Generator().manual_seed(1))
    with torch.no_grad(), minicnn.no_grad():
        expected, got = theirs(x).numpy(), ours(minicnn.from_numpy(x.numpy())).numpy()
    assert expected.std() > 0.01
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_another_number_of_classes_and_their_errors():
    assert models.squeezenet1_1(num_classes=7)(minicnn.randn(1, 3, 40, 40)).shape == (1, 7)
    with pytest.raises(ValueError, match="Unsupported SqueezeNet version 2: 1_0 or 1_1 expected"):
        models.SqueezeNet("2")
    with pytest.raises(ValueError, match="should be None or a 3-element tuple"):
        models.resnet50(replace_stride_with_dilation=[True])


def test_dilation_in_place_of_stride():
    model = skip_init(models.resnet50, replace_stride_with_dilation=(False, True, True))
    assert (model.layer3[0].conv2.stride, model.layer3[0].conv2.dilation) == ((1, 1), (1, 1))
    assert (model.layer3[1].conv2.dilation, model.layer4[1].conv2.dilation) == ((2, 2), (4, 4))


# --- official weights -------------------------------------------------------------------------------------------------


def test_official_weights():
    assert {name: [w.name for w in models.get_model_weights(name)] for name in TORCHVISION} == {
        name: ["IMAGENET1K_V1", "IMAGENET1K_V2"] if name == "resnet50" else ["IMAGENET1K_V1"] for name in TORCHVISION
    }
    for name, (parameters, _) in TORCHVISION.items():
        for member in models.get_model_weights(name):
            file = member.url.removeprefix("https://download.pytorch.org/models/")
            assert re.fullmatch(rf"{name}(-owt)?-[0-9a-f]{{8}}\.pth", file)
            assert member.meta["num_params"] == parameters
            assert len(member.meta["categories"]) == 1000
    assert models.ResNet50_Weights.DEFAULT is models.ResNet50_Weights.IMAGENET1K_V2
    assert repr(models.AlexNet_Weights.DEFAULT) == "AlexNet_Weights.IMAGENET1K_V1"
    assert models.AlexNet_Weights.DEFAULT.transforms().resize_size == [256]
    assert models.ResNet50_Weights.DEFAULT.transforms().resize_size == [232]
    assert models.get_weight("VGG16_Weights.DEFAULT").url.endswith("vgg16-397923af.pth")


def test_the_thousand_classes():
    names = models.AlexNet_Weights.DEFAULT.meta["categories"]
    assert len(names) == len(set(names)) == 1000
    known = {
        0: "tench",
        1: "goldfish",
        207: "golden retriever",
        281: "tabby",
        285: "Egyptian cat",
        999: "toilet tissue",
    }
    assert {k: names[k] for k in known} == known
    assert hashlib.sha256("\n".join(names).encode()).hexdigest().startswith("0b0f9fee7c952f25")  # torchvision 0.29.1's


def test_weights_by_wrong_names():
    with pytest.raises(ValueError, match="AlexNet_Weights has no 'IMAGENET': there are IMAGENET1K_V1, DEFAULT"):
        models.AlexNet_Weights.verify("IMAGENET")
    with pytest.raises(FileNotFoundError, match="'DEFAUL' is neither 'IMAGENET1K_V1', 'DEFAULT', None nor a file"):
        models.alexnet("DEFAUL")
    with pytest.raises(TypeError, match="expected AlexNet_Weights but received VGG16_Weights"):
        models.alexnet(models.VGG16_Weights.DEFAULT)
    with pytest.raises(ValueError, match="torchvision has no weights for tinynet"):
        models.get_model_weights("tinynet")
    with pytest.raises(ValueError, match="write NAME_Weights.MEMBER"):
        models.get_weight("AlexNet")
    with pytest.raises(AttributeError, match="no attribute 'uri'"):
        _ = models.AlexNet_Weights.DEFAULT.uri
