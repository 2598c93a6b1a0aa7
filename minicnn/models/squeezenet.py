"""SqueezeNet as torchvision has it: 1.2 million numbers, no linear layer. Iandola et al. 2016, "SqueezeNet:
AlexNet-level accuracy with 50x fewer parameters"."""

from functools import partial

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.ops import cat

__all__ = ["SqueezeNet", "SqueezeNet1_0_Weights", "SqueezeNet1_1_Weights", "squeezenet1_0", "squeezenet1_1"]


class Fire(nn.Module):
    """(N, inplanes, H, W) -> few maps by 1 x 1 -> many maps, some by 1 x 1 and some by 3 x 3, one after the other."""

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int) -> None:
        super().__init__()
        self.inplanes = inplanes
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, kernel_size=1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, kernel_size=1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        narrow = self.expand1x1_activation(self.expand1x1(x))
        wide = self.expand3x3_activation(self.expand3x3(x))
        return cat([narrow, wide], 1)


# How many maps each Fire squeezes its input to (it expands them to eight times as many), "M" where a max-pooling stands.
cfgs: dict[str, list[int | str]] = {
    "1_0": ["M", 16, 16, 32, "M", 32, 48, 48, 64, "M", 64],
    "1_1": ["M", 16, 16, "M", 32, 32, "M", 48, 48, 64, 64],
}


def make_layers(cfg: list[int | str], first: nn.Conv2d) -> nn.Sequential:
    """The convolutions, of which `first` meets the image: (N, 3, H, W) -> (N, 512, about H / 16, W / 16)."""
    layers: list[nn.Module] = [first, nn.ReLU(inplace=True)]
    channels = first.out_channels
    for maps in cfg:
        if isinstance(maps, str):
            layers.append(nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True))
            continue
        layers.append(Fire(channels, maps, 4 * maps, 4 * maps))
        channels = 8 * maps
    return nn.Sequential(*layers)


class SqueezeNet(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes).

    The logits are the averages of the last convolution's maps. H and W are at least 21 ("1_0") or 17 ("1_1").
    """

    meta: ModelMeta = IMAGENET

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        if version not in cfgs:
            raise ValueError(f"Unsupported SqueezeNet version {version}: 1_0 or 1_1 expected")
        self.num_classes = num_classes
        first = nn.Conv2d(3, 96, 7, stride=2) if version == "1_0" else nn.Conv2d(3, 64, 3, stride=2)
        self.features = make_layers(cfgs[version], first)
        final_conv = nn.Conv2d(512, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            final_conv,
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((1, 1)),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is final_conv:
                    nn.init.normal_(module.weight, mean=0.0, std=0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(x).flatten(1)


squeezenet1_0, SqueezeNet1_0_Weights = network("SqueezeNet1_0", partial(SqueezeNet, "1_0"), "classifier.1")
squeezenet1_1, SqueezeNet1_1_Weights = network("SqueezeNet1_1", partial(SqueezeNet, "1_1"), "classifier.1")
