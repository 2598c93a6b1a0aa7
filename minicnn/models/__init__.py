"""Networks with their weights: `tinynet("standard")` is the trained one that travels with minicnn; the others are
torchvision's, by their names, keys and shapes."""

from minicnn.models._meta import ModelMeta
from minicnn.models._registry import get_model, list_models, weights_path
from minicnn.models._spec import from_spec
from minicnn.models.alexnet import AlexNet, alexnet
from minicnn.models.resnet import ResNet, resnet18, resnet34, resnet50
from minicnn.models.squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from minicnn.models.tinynet import TinyNet, tinynet
from minicnn.models.vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "AlexNet",
    "ModelMeta",
    "ResNet",
    "SqueezeNet",
    "TinyNet",
    "VGG",
    "alexnet",
    "from_spec",
    "get_model",
    "list_models",
    "resnet18",
    "resnet34",
    "resnet50",
    "squeezenet1_0",
    "squeezenet1_1",
    "tinynet",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "weights_path",
]
