"""torchvision's networks: keys, shapes, numbers of parameters, and what they compute, held against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_models

import minicnn
from minicnn import models
from minicnn.nn.utils import skip_init

# As torchvision's documentation states them.
PARAMETERS = {
    "alexnet": 61_100_840,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}


def test_all_are_registered():
    assert set(PARAMETERS) == set(torch_models.BUILDERS) == set(models.list_models()) - {"tinynet"}


@pytest.mark.parametrize("name", PARAMETERS)
def test_keys_shapes_and_number_of_parameters(name):
    ours = skip_init(models.get_model, name)
    assert sum(p.numel() for p in ours.parameters()) == PARAMETERS[name]
    with torch.device("meta"):
        theirs = torch_models.BUILDERS[name]()
    assert set(ours.state_dict()) == set(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert tuple(ours.state_dict()[key].shape) == tuple(value.shape), key


# The order in which torchvision builds them, and so that of the keys in its checkpoints.
FIRST_AND_LAST = {
    "alexnet": ("features.0.weight", "features.0.bias", "features.3.weight", "classifier.6.bias"),
    "vgg16": ("features.0.weight", "features.0.bias", "features.2.weight", "classifier.6.bias"),
    "vgg11_bn": ("features.0.weight", "features.0.bias", "features.1.weight", "classifier.6.bias"),
    "squeezenet1_1": ("features.0.weight", "features.0.bias", "features.3.squeeze.weight", "classifier.1.bias"),
    "resnet18": ("conv1.weight", "bn1.weight", "bn1.bias", "fc.bias"),
    "resnet50": ("conv1.weight", "bn1.weight", "bn1.bias", "fc.bias"),
}


@pytest.mark.parametrize("name", FIRST_AND_LAST)
def test_order_of_the_keys(name):
    keys = list(skip_init(models.get_model, name).state_dict())
    assert (*keys[:3], keys[-1]) == FIRST_AND_LAST[name]
    if name == "resnet50":
        block = [key.removeprefix("layer2.0.") for key in keys if key.startswith("layer2.0.")]
        norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
        expected = [key for i in (1, 2, 3) for key in (f"conv{i}.weight", *(f"bn{i}.{entry}" for entry in norm))]
        assert block == [*expected, "downsample.0.weight", *(f"downsample.1.{entry}" for entry in norm)]


def test_the_first_values_are_torchvisions_kind():
    """Standard deviations that follow from He's rule: by the inputs of a weight in SqueezeNet, its outputs in ResNet."""
    minicnn.manual_seed(0)
    squeeze, residual = models.squeezenet1_1(), models.resnet18(zero_init_residual=True)
    assert squeeze.features[3].expand3x3.weight.std().item() == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.05)
    assert squeeze.classifier[1].weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert residual.conv1.weight.std().item() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.05)
    assert residual.layer1[0].bn2.weight.abs().max() == 0
    assert residual.layer1[0].bn1.weight.min() == 1


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_0", "squeezenet1_1", "resnet18", "resnet50"])
def test_logits(name):
    """The complete networks at small images; `test_checkpoints.py` has all of them, from files."""
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
