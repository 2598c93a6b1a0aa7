"""VGG as torchvision has it. Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
recognition": nothing but 3 x 3 convolutions, and half the width and height after each group of them."""

from typing import Any

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import WeightsArgument, build, register_model
from minicnn.models._weights import WeightsEnum, imagenet

# Columns A, B, D and E of the paper's table 1: the number of maps of each convolution, "M" where a max-pooling stands.
cfgs: dict[str, list[int | str]] = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    "E": [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512, "M", 512, 512, 512, 512, "M"],
}


def make_layers(cfg: list[int | str], batch_norm: bool = False) -> nn.Sequential:
    """The convolutions: images (N, 3, H, W) -> (N, 512, H / 32, W / 32)."""
    layers: list[nn.Module] = []
    channels = 3
    for maps in cfg:
        if isinstance(maps, str):
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            continue
        layers.append(nn.Conv2d(channels, maps, kernel_size=3, padding=1))
        if batch_norm:
            layers.append(nn.BatchNorm2d(maps))
        layers.append(nn.ReLU(inplace=True))
        channels = maps
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes); H and W at least 32.

    Args:
        features: the convolutions, as `make_layers` makes them.
        num_classes: the number of outputs.
        init_weights: He's normal distribution for the convolutions, as torchvision draws it.
        dropout: the probability between the three linear layers.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            self._initialize_weights()

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x).flatten(1)
        return self.classifier(x)

    def _initialize_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)


def _vgg(
    name: str, cfg: str, batch_norm: bool, weights: WeightsArgument, progress: bool, kwargs: dict[str, Any]
) -> VGG:
    def architecture(**kwargs: Any) -> VGG:
        return VGG(make_layers(cfgs[cfg], batch_norm), **kwargs)

    return build(name, architecture, weights, progress, output="classifier.6", **kwargs)


class VGG11_Weights(WeightsEnum):
    """torchvision's weights of `vgg11`."""

    IMAGENET1K_V1 = imagenet("vgg11-8a719046", 32, 132_863_336, 69.02, 88.628)
    DEFAULT = IMAGENET1K_V1


class VGG11_BN_Weights(WeightsEnum):
    """torchvision's weights of `vgg11_bn`."""

    IMAGENET1K_V1 = imagenet("vgg11_bn-6002323d", 32, 132_868_840, 70.37, 89.81)
    DEFAULT = IMAGENET1K_V1


class VGG13_Weights(WeightsEnum):
    """torchvision's weights of `vgg13`."""

    IMAGENET1K_V1 = imagenet("vgg13-19584684", 32, 133_047_848, 69.928, 89.246)
    DEFAULT = IMAGENET1K_V1


class VGG13_BN_Weights(WeightsEnum):
    """torchvision's weights of `vgg13_bn`."""

    IMAGENET1K_V1 = imagenet("vgg13_bn-abd245e5", 32, 133_053_736, 71.586, 90.374)
    DEFAULT = IMAGENET1K_V1


class VGG16_Weights(WeightsEnum):
    """torchvision's weights of `vgg16`."""

    IMAGENET1K_V1 = imagenet("vgg16-397923af", 32, 138_357_544, 71.592, 90.382)
    DEFAULT = IMAGENET1K_V1


class VGG16_BN_Weights(WeightsEnum):
    """torchvision's weights of `vgg16_bn`."""

    IMAGENET1K_V1 = imagenet("vgg16_bn-6c64b313", 32, 138_365_992, 73.36, 91.516)
    DEFAULT = IMAGENET1K_V1


class VGG19_Weights(WeightsEnum):
    """torchvision's weights of `vgg19`."""

    IMAGENET1K_V1 = imagenet("vgg19-dcbb9e9d", 32, 143_667_240, 72.376, 90.876)
    DEFAULT = IMAGENET1K_V1


class VGG19_BN_Weights(WeightsEnum):
    """torchvision's weights of `vgg19_bn`."""

    IMAGENET1K_V1 = imagenet("vgg19_bn-c79401a0", 32, 143_678_248, 74.218, 91.842)
    DEFAULT = IMAGENET1K_V1


@register_model(VGG11_Weights)
def vgg11(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-11, 11 layers with weights: 132.9 million numbers. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg11", "A", False, weights, progress, kwargs)


@register_model(VGG11_BN_Weights)
def vgg11_bn(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-11 with batch normalisation after each convolution. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg11_bn", "A", True, weights, progress, kwargs)


@register_model(VGG13_Weights)
def vgg13(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-13, 13 layers with weights: 133.0 million numbers. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg13", "B", False, weights, progress, kwargs)


@register_model(VGG13_BN_Weights)
def vgg13_bn(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-13 with batch normalisation after each convolution. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg13_bn", "B", True, weights, progress, kwargs)


@register_model(VGG16_Weights)
def vgg16(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-16, 16 layers with weights: 138.4 million numbers. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg16", "D", False, weights, progress, kwargs)


@register_model(VGG16_BN_Weights)
def vgg16_bn(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-16 with batch normalisation after each convolution. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg16_bn", "D", True, weights, progress, kwargs)


@register_model(VGG19_Weights)
def vgg19(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-19, 19 layers with weights: 143.7 million numbers. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg19", "E", False, weights, progress, kwargs)


@register_model(VGG19_BN_Weights)
def vgg19_bn(weights: WeightsArgument = None, progress: bool = True, **kwargs: Any) -> VGG:
    """VGG-19 with batch normalisation after each convolution. Arguments as for `alexnet`; `kwargs` go to `VGG`."""
    return _vgg("vgg19_bn", "E", True, weights, progress, kwargs)
