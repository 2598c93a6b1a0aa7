"""EfficientNet as torchvision has it. Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks", and
2021, "EfficientNetV2: smaller models and faster training"."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import (
    Conv2dNormActivation,
    Layer,
    SqueezeExcitation,
    StochasticDepth,
    init_convolutions,
    make_divisible,
)
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network

__all__ = [
    "EfficientNet", "EfficientNet_B0_Weights", "EfficientNet_B1_Weights", "EfficientNet_B2_Weights", "EfficientNet_B3_Weights",
    "EfficientNet_B4_Weights", "EfficientNet_B5_Weights", "EfficientNet_B6_Weights", "EfficientNet_B7_Weights",
    "EfficientNet_V2_L_Weights", "EfficientNet_V2_M_Weights", "EfficientNet_V2_S_Weights", "efficientnet_b0",
    "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4", "efficientnet_b5", "efficientnet_b6",
    "efficientnet_b7", "efficientnet_v2_l", "efficientnet_v2_m", "efficientnet_v2_s",
]  # fmt: skip


class _Block(nn.Module):
    """Convolutions, and the input added to what they make if it has the same shape."""

    def __init__(self, cnf: "Stage", stochastic_depth_prob: float, norm_layer: Layer) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        inner = make_divisible(cnf.input_channels * cnf.expand_ratio, 8)
        self.block = nn.Sequential(*self._layers(cnf, inner, norm_layer))
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def _layers(self, cnf: "Stage", inner: int, norm_layer: Layer) -> list[nn.Module]:
        raise NotImplementedError

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        if self.use_res_connect:
            result = self.stochastic_depth(result)
            result += input
        return result


class MBConv(_Block):
    """More maps by 1 x 1, a depthwise convolution, squeeze-and-excitation, fewer maps by 1 x 1."""

    def _layers(self, cnf: "Stage", inner: int, norm_layer: Layer) -> list[nn.Module]:
        conv, last = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU), cnf.out_channels
        return [
            *([] if inner == cnf.input_channels else [conv(cnf.input_channels, inner, kernel_size=1)]),
            conv(inner, inner, cnf.kernel, cnf.stride, groups=inner),
            SqueezeExcitation(inner, max(1, cnf.input_channels // 4), activation=partial(nn.SiLU, inplace=True)),
            conv(inner, last, kernel_size=1, activation_layer=None),
        ]


class FusedMBConv(_Block):
    """More maps by an ordinary convolution, which is faster for a few maps, fewer by 1 x 1."""

    def _layers(self, cnf: "Stage", inner: int, norm_layer: Layer) -> list[nn.Module]:
        conv, last = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU), cnf.out_channels
        if inner == cnf.input_channels:
            return [conv(inner, last, cnf.kernel, cnf.stride)]
        return [
            conv(cnf.input_channels, inner, cnf.kernel, cnf.stride),
            conv(inner, last, kernel_size=1, activation_layer=None),
        ]


@dataclass
class Stage:
    """`num_layers` blocks: the first has the stride and changes the number of maps. Between the 1 x 1 convolutions of a block there are
    `expand_ratio` times as many."""

    expand_ratio: float
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int
    block: type[_Block] = MBConv


class EfficientNet(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    Args:
        inverted_residual_setting: the stages. dropout: before the logits.
        stochastic_depth_prob: with which the last block is left out in training; those before it are by less.
        norm_layer: makes a normalisation from a number of channels; BatchNorm2d if None.
        last_channel: maps of the last convolution; four times the last stage's if None.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        inverted_residual_setting: Sequence[Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Layer | None = None,
        last_channel: int | None = None,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        norm_layer = norm_layer or nn.BatchNorm2d
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        layers: list[nn.Module] = [conv(3, inverted_residual_setting[0].input_channels, stride=2)]
        blocks, total = 0, sum(stage.num_layers for stage in inverted_residual_setting)
        for stage in inverted_residual_setting:
            rest = replace(stage, input_channels=stage.out_channels, stride=1)
            made = []
            for cnf in [stage] + [rest] * (stage.num_layers - 1):
                made.append(cnf.block(cnf, stochastic_depth_prob * blocks / total, norm_layer))
                blocks += 1
            layers.append(nn.Sequential(*made))
        before = inverted_residual_setting[-1].out_channels
        last = last_channel or 4 * before
        self.features = nn.Sequential(*layers, conv(before, last, kernel_size=1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(last, num_classes))
        bound = num_classes**-0.5
        init_convolutions(self, partial(nn.init.uniform_, a=-bound, b=bound))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


B0 = [(1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3), (6, 5, 1, 80, 112, 3),
      (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1)]  # fmt: skip
V2 = {  # the first three stages are fused
    "s": [(1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4), (4, 3, 2, 64, 128, 6), (6, 3, 1, 128, 160, 9),
          (6, 3, 2, 160, 256, 15)],
    "m": [(1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5), (4, 3, 2, 80, 160, 7), (6, 3, 1, 160, 176, 14),
          (6, 3, 2, 176, 304, 18), (6, 3, 1, 304, 512, 5)],
    "l": [(1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7), (4, 3, 2, 96, 192, 10), (6, 3, 1, 192, 224, 19),
          (6, 3, 2, 224, 384, 25), (6, 3, 1, 384, 640, 7)],
}  # fmt: skip


def _scaled(width: float, depth: float, dropout: float, **settings: Layer) -> partial[EfficientNet]:
    """B0 with `width` times as many maps and `depth` times as many blocks."""
    stages = [
        Stage(expand, kernel, stride, make_divisible(a * width, 8), make_divisible(b * width, 8), math.ceil(n * depth))
        for expand, kernel, stride, a, b, n in B0
    ]
    return partial(EfficientNet, stages, dropout=dropout, **settings)  # type: ignore[arg-type]


def _second(size: str, dropout: float) -> partial[EfficientNet]:
    stages = [Stage(*numbers, FusedMBConv if i < 3 else MBConv) for i, numbers in enumerate(V2[size])]
    norm = partial(nn.BatchNorm2d, eps=1e-3)
    return partial(EfficientNet, stages, dropout=dropout, last_channel=1280, norm_layer=norm)


OUT, LARGE = "classifier.1", partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
efficientnet_b0, EfficientNet_B0_Weights = network("EfficientNet_B0", _scaled(1.0, 1.0, 0.2), OUT)
efficientnet_b1, EfficientNet_B1_Weights = network("EfficientNet_B1", _scaled(1.0, 1.1, 0.2), OUT)
efficientnet_b2, EfficientNet_B2_Weights = network("EfficientNet_B2", _scaled(1.1, 1.2, 0.3), OUT)
efficientnet_b3, EfficientNet_B3_Weights = network("EfficientNet_B3", _scaled(1.2, 1.4, 0.3), OUT)
efficientnet_b4, EfficientNet_B4_Weights = network("EfficientNet_B4", _scaled(1.4, 1.8, 0.4), OUT)
efficientnet_b5, EfficientNet_B5_Weights = network("EfficientNet_B5", _scaled(1.6, 2.2, 0.4, norm_layer=LARGE), OUT)
efficientnet_b6, EfficientNet_B6_Weights = network("EfficientNet_B6", _scaled(1.8, 2.6, 0.5, norm_layer=LARGE), OUT)
efficientnet_b7, EfficientNet_B7_Weights = network("EfficientNet_B7", _scaled(2.0, 3.1, 0.5, norm_layer=LARGE), OUT)
efficientnet_v2_s, EfficientNet_V2_S_Weights = network("EfficientNet_V2_S", _second("s", 0.2), OUT)
efficientnet_v2_m, EfficientNet_V2_M_Weights = network("EfficientNet_V2_M", _second("m", 0.3), OUT)
efficientnet_v2_l, EfficientNet_V2_L_Weights = network("EfficientNet_V2_L", _second("l", 0.4), OUT)
