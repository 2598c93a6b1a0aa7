"""VGG as torchvision has it. Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
recognition": nothing but 3 x 3 convolutions, and half the width and height after each group of them."""

from functools import partial
from typing import Any

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network

__all__ = [
    "VGG", "VGG11_BN_Weights", "VGG11_Weights", "VGG13_BN_Weights", "VGG13_Weights", "VGG16_BN_Weights", "VGG16_Weights",
    "VGG19_BN_Weights", "VGG19_Weights", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn",
]  # fmt: skip

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


def _of(cfg: str, batch_norm: bool = False, **kwargs: Any) -> VGG:
    """The VGG of a column of the table."""
    return VGG(make_layers(cfgs[cfg], batch_norm), **kwargs)


OUT = "classifier.6"
vgg11, VGG11_Weights = network("VGG11", partial(_of, "A"), OUT)
vgg13, VGG13_Weights = network("VGG13", partial(_of, "B"), OUT)
vgg16, VGG16_Weights = network("VGG16", partial(_of, "D"), OUT)
vgg19, VGG19_Weights = network("VGG19", partial(_of, "E"), OUT)
vgg11_bn, VGG11_BN_Weights = network("VGG11_BN", partial(_of, "A", True), OUT)
vgg13_bn, VGG13_BN_Weights = network("VGG13_BN", partial(_of, "B", True), OUT)
vgg16_bn, VGG16_BN_Weights = network("VGG16_BN", partial(_of, "D", True), OUT)
vgg19_bn, VGG19_BN_Weights = network("VGG19_BN", partial(_of, "E", True), OUT)
