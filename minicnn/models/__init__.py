"""Networks with their weights: `tinynet("standard")` is the trained one that travels with minicnn; the others are
torchvision's, by their names, keys and shapes."""

from minicnn.models._meta import ModelMeta
from minicnn.models._registry import get_model, get_model_weights, get_weight, list_models, weights_path
from minicnn.models._spec import from_spec, provenance, raised_at
from minicnn.models._weights import Weights, WeightsEnum
from minicnn.models.alexnet import AlexNet, AlexNet_Weights, alexnet
from minicnn.models.resnet import (
    ResNet,
    ResNet18_Weights,
    ResNet34_Weights,
    ResNet50_Weights,
    resnet18,
    resnet34,
    resnet50,
)
from minicnn.models.squeezenet import (
    SqueezeNet,
    SqueezeNet1_0_Weights,
    SqueezeNet1_1_Weights,
    squeezenet1_0,
    squeezenet1_1,
)
from minicnn.models.tinynet import TinyNet, tinynet
from minicnn.models.vgg import (
    VGG,
    VGG11_BN_Weights,
    VGG11_Weights,
    VGG13_BN_Weights,
    VGG13_Weights,
    VGG16_BN_Weights,
    VGG16_Weights,
    VGG19_BN_Weights,
    VGG19_Weights,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)

__all__ = [
    "AlexNet", "AlexNet_Weights", "ModelMeta", "ResNet", "ResNet18_Weights", "ResNet34_Weights",
    "ResNet50_Weights", "SqueezeNet", "SqueezeNet1_0_Weights", "SqueezeNet1_1_Weights", "TinyNet", "VGG",
    "VGG11_BN_Weights", "VGG11_Weights", "VGG13_BN_Weights", "VGG13_Weights", "VGG16_BN_Weights", "VGG16_Weights",
    "VGG19_BN_Weights", "VGG19_Weights", "Weights", "WeightsEnum", "alexnet", "from_spec", "get_model",
    "get_model_weights", "get_weight", "list_models", "provenance", "raised_at", "resnet18", "resnet34", "resnet50",
    "squeezenet1_0", "squeezenet1_1", "tinynet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn",
    "vgg19", "vgg19_bn", "weights_path",
]  # fmt: skip
