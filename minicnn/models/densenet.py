"""DenseNet as torchvision has it. Huang et al. 2017, "Densely connected convolutional networks": a layer sees the maps of all layers
before it in its block, and adds `growth_rate` maps to them."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.nn import functional as F
from minicnn.ops import cat

__all__ = [
    "DenseNet", "DenseNet121_Weights", "DenseNet161_Weights", "DenseNet169_Weights", "DenseNet201_Weights",
    "densenet121", "densenet161", "densenet169", "densenet201",
]  # fmt: skip


class _DenseLayer(nn.Module):
    """The maps so far, a list of (N, .., H, W) -> (N, growth_rate, H, W): fewer maps by 1 x 1, then 3 x 3."""

    def __init__(self, num_input_features: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, bn_size * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bn_size * growth_rate)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bn_size * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)

    def forward(self, input: list[Tensor] | Tensor) -> Tensor:
        x = input if isinstance(input, Tensor) else cat(input, 1)
        x = self.conv1(self.relu1(self.norm1(x)))
        x = self.conv2(self.relu2(self.norm2(x)))
        return F.dropout(x, p=self.drop_rate, training=self.training) if self.drop_rate > 0 else x


class _DenseBlock(nn.ModuleDict):
    """(N, num_input_features, H, W) -> that and the maps of `num_layers` layers."""

    def __init__(
        self, num_layers: int, num_input_features: int, bn_size: int, growth_rate: int, drop_rate: float
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            layer = _DenseLayer(num_input_features + i * growth_rate, growth_rate, bn_size, drop_rate)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, init_features: Tensor) -> Tensor:
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return cat(features, 1)


class _Transition(nn.Sequential):
    """Between two blocks: fewer maps, half of H and W."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """Images (N, 3, H, W) of at least 29 x 29, normalised by `meta.mean` and `meta.std` -> logits (N, num_classes).

    Args:
        growth_rate: how many maps a layer adds. block_config: the number of layers in each block.
        num_init_features: maps of the first convolution. bn_size: a layer's 1 x 1 convolution has so many times `growth_rate` maps.
        drop_rate: dropout after each layer.
        memory_efficient: torchvision's choice to compute some maps twice rather than keep them; here they are kept.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, ...] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.conv0 = nn.Conv2d(3, num_init_features, kernel_size=7, stride=2, padding=3, bias=False)
        self.features.norm0 = nn.BatchNorm2d(num_init_features)
        self.features.relu0 = nn.ReLU(inplace=True)
        self.features.pool0 = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)  # 56 x 56 of 224 x 224
        maps = num_init_features
        for i, layers in enumerate(block_config, 1):
            self.features.add_module(f"denseblock{i}", _DenseBlock(layers, maps, bn_size, growth_rate, drop_rate))
            maps += layers * growth_rate
            if i < len(block_config):
                self.features.add_module(f"transition{i}", _Transition(maps, maps // 2))
                maps //= 2
        self.features.norm5 = nn.BatchNorm2d(maps)
        self.classifier = nn.Linear(maps, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


def today(state: Mapping[str, Tensor], settings: dict[str, Any], is_official: bool) -> Mapping[str, Tensor]:
    """The tensors by the names that modules have today: the official files are older, and say "norm.1" for "norm1"."""
    old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
    return {old.sub(r"\1\2", key): value for key, value in state.items()}


densenet121, DenseNet121_Weights = network("DenseNet121", DenseNet, "classifier", today)
densenet161, DenseNet161_Weights = network(
    "DenseNet161", partial(DenseNet, 48, (6, 12, 36, 24), 96), "classifier", today
)
densenet169, DenseNet169_Weights = network(
    "DenseNet169", partial(DenseNet, 32, (6, 12, 32, 32), 64), "classifier", today
)
densenet201, DenseNet201_Weights = network(
    "DenseNet201", partial(DenseNet, 32, (6, 12, 48, 32), 64), "classifier", today
)
