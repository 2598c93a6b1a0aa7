"""ConvNeXt as torchvision has it. Liu et al. 2022, "A ConvNet for the 2020s": 7 x 7 on each map, then linear layers on each pixel."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import Conv2dNormActivation, Layer, Permute, StochasticDepth
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.nn import functional as F
from minicnn.ops.creation import full

__all__ = [
    "ConvNeXt", "ConvNeXt_Base_Weights", "ConvNeXt_Large_Weights", "ConvNeXt_Small_Weights", "ConvNeXt_Tiny_Weights",
    "convnext_base", "convnext_large", "convnext_small", "convnext_tiny",
]  # fmt: skip


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation of the channels of each pixel: (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """7 x 7 on each map; on each pixel to four times as many numbers and back; times `layer_scale`, and the input added."""

    def __init__(
        self, dim: int, layer_scale: float, stochastic_depth_prob: float, norm_layer: Layer | None = None
    ) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim),
            Permute([0, 2, 3, 1]),
            (norm_layer or partial(nn.LayerNorm, eps=1e-6))(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(full((dim, 1, 1), layer_scale))
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, input: Tensor) -> Tensor:
        result = self.stochastic_depth(self.layer_scale * self.block(input))
        result += input
        return result


class CNBlockConfig(NamedTuple):
    """A stage: maps, those of the next one (None after the last), blocks."""

    input_channels: int
    out_channels: int | None
    num_layers: int


class ConvNeXt(nn.Module):
    """Images (N, 3, H, W) of at least 32 x 32, normalised by `meta.mean` and `meta.std` -> logits (N, num_classes).

    Args:
        block_setting: the stages. layer_scale: what a block's result is multiplied with at first.
        stochastic_depth_prob: with which the last block is left out in training; those before it are by less.
        block, norm_layer: the class of the blocks; what makes a normalisation from a number of channels.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        block_setting: Sequence[CNBlockConfig],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Layer | None = None,
        norm_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        if not block_setting:
            raise ValueError("The block_setting should not be empty")
        block, norm = block or CNBlock, norm_layer or partial(LayerNorm2d, eps=1e-6)
        first: dict[str, Any] = {"kernel_size": 4, "stride": 4, "padding": 0, "bias": True}
        layers: list[nn.Module] = [
            Conv2dNormActivation(3, block_setting[0].input_channels, **first, norm_layer=norm, activation_layer=None)
        ]
        blocks, total = 0, sum(stage.num_layers for stage in block_setting)
        for maps, following, count in block_setting:
            made = [
                block(maps, layer_scale, stochastic_depth_prob * (blocks + i) / (total - 1.0)) for i in range(count)
            ]
            layers.append(nn.Sequential(*made))
            blocks += count
            if following is not None:
                layers.append(nn.Sequential(norm(maps), nn.Conv2d(maps, following, kernel_size=2, stride=2)))
        last = block_setting[-1].out_channels or block_setting[-1].input_channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(norm(last), nn.Flatten(1), nn.Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))


def sized(maps: int, third: int, stochastic_depth_prob: float) -> partial[ConvNeXt]:
    """The network of `maps` maps in its first stage, twice as many in each further one, and `third` blocks in the third."""
    counts = 3, 3, third, 3
    stages = [CNBlockConfig(maps << i, maps << i + 1 if i < 3 else None, count) for i, count in enumerate(counts)]
    return partial(ConvNeXt, stages, stochastic_depth_prob=stochastic_depth_prob)


convnext_tiny, ConvNeXt_Tiny_Weights = network("ConvNeXt_Tiny", sized(96, 9, 0.1), "classifier.2")
convnext_small, ConvNeXt_Small_Weights = network("ConvNeXt_Small", sized(96, 27, 0.4), "classifier.2")
convnext_base, ConvNeXt_Base_Weights = network("ConvNeXt_Base", sized(128, 27, 0.5), "classifier.2")
convnext_large, ConvNeXt_Large_Weights = network("ConvNeXt_Large", sized(192, 27, 0.5), "classifier.2")
