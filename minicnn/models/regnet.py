"""RegNet as torchvision has it. Radosavovic et al. 2020, "Designing network design spaces": four stages of bottlenecks with grouped
convolutions, whose widths follow one rounded straight line; the Y ones have squeeze-and-excitation."""

import math
from collections import OrderedDict
from functools import partial
from itertools import groupby

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import Conv2dNormActivation, Layer, SqueezeExcitation, make_divisible
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network

__all__ = [
    "RegNet", "RegNet_X_16GF_Weights", "RegNet_X_1_6GF_Weights", "RegNet_X_32GF_Weights", "RegNet_X_3_2GF_Weights",
    "RegNet_X_400MF_Weights", "RegNet_X_800MF_Weights", "RegNet_X_8GF_Weights", "RegNet_Y_128GF_Weights",
    "RegNet_Y_16GF_Weights", "RegNet_Y_1_6GF_Weights", "RegNet_Y_32GF_Weights", "RegNet_Y_3_2GF_Weights",
    "RegNet_Y_400MF_Weights", "RegNet_Y_800MF_Weights", "RegNet_Y_8GF_Weights", "regnet_x_16gf", "regnet_x_1_6gf",
    "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf", "regnet_x_800mf", "regnet_x_8gf", "regnet_y_128gf",
    "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf", "regnet_y_3_2gf", "regnet_y_400mf", "regnet_y_800mf", "regnet_y_8gf",
]  # fmt: skip


class SimpleStemIN(Conv2dNormActivation):
    """What meets the image: 3 x 3 at stride 2."""

    def __init__(self, width_in: int, width_out: int, norm_layer: Layer, activation_layer: Layer) -> None:
        super().__init__(width_in, width_out, stride=2, norm_layer=norm_layer, activation_layer=activation_layer)


class BottleneckTransform(nn.Sequential):
    """1 x 1, 3 x 3 in groups of `group_width` maps, squeeze-and-excitation to `se_ratio` times the input's maps, 1 x 1."""

    def __init__(
        self, width_in: int, width_out: int, stride: int, norm_layer: Layer, activation_layer: Layer, group_width: int,
        bottleneck_multiplier: float, se_ratio: float | None,
    ) -> None:  # fmt: skip
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation_layer)
        inner = round(width_out * bottleneck_multiplier)
        layers: OrderedDict[str, nn.Module] = OrderedDict(a=conv(width_in, inner, kernel_size=1))
        layers["b"] = conv(inner, inner, stride=stride, groups=inner // group_width)
        if se_ratio:
            layers["se"] = SqueezeExcitation(inner, round(se_ratio * width_in), activation=activation_layer)
        layers["c"] = conv(inner, width_out, kernel_size=1, activation_layer=None)
        super().__init__(layers)


class ResBottleneckBlock(nn.Module):
    """(N, width_in, H, W) -> (N, width_out, H / stride, W / stride): a `BottleneckTransform`, and the input added to it."""

    def __init__(
        self, width_in: int, width_out: int, stride: int, norm_layer: Layer, activation_layer: Layer, group_width: int = 1,
        bottleneck_multiplier: float = 1.0, se_ratio: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.proj = None
        if width_in != width_out or stride != 1:
            self.proj = Conv2dNormActivation(
                width_in, width_out, kernel_size=1, stride=stride, norm_layer=norm_layer, activation_layer=None
            )
        layers = norm_layer, activation_layer
        self.f = BottleneckTransform(width_in, width_out, stride, *layers, group_width, bottleneck_multiplier, se_ratio)
        self.activation = activation_layer(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation((x if self.proj is None else self.proj(x)) + self.f(x))


class AnyStage(nn.Sequential):
    """The blocks of a stage, whose modules are called `blockSTAGE-NUMBER`."""


class BlockParams:
    """Of each stage the depth, width, group width, bottleneck multiplier and stride; se_ratio of all."""

    def __init__(
        self, depths: list[int], widths: list[int], group_widths: list[int], bottleneck_multipliers: list[float],
        strides: list[int], se_ratio: float | None = None,
    ) -> None:  # fmt: skip
        self.depths, self.widths, self.group_widths = depths, widths, group_widths
        self.bottleneck_multipliers, self.strides, self.se_ratio = bottleneck_multipliers, strides, se_ratio

    @classmethod
    def from_init_params(
        cls, depth: int, w_0: int, w_a: float, w_m: float, group_width: int, bottleneck_multiplier: float = 1.0,
        se_ratio: float | None = None,
    ) -> "BlockParams":  # fmt: skip
        """Block i is w_0 + w_a i wide, rounded to the next w_0 w_m^k, and that to a multiple of 8; blocks of one width are a stage.

        A stage's width is rounded again, to a multiple of its groups'.
        """
        if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
            raise ValueError("Invalid RegNet settings")
        powers = [round(math.log((w_0 + w_a * i) / w_0) / math.log(w_m)) for i in range(depth)]
        blocks = [round(w_0 * w_m**power / 8) * 8 for power in powers]
        widths, depths = zip(*((width, len(list(group))) for width, group in groupby(blocks)), strict=True)
        bottlenecks = [int(width * bottleneck_multiplier) for width in widths]
        groups = [min(group_width, width) for width in bottlenecks]
        fitting = [make_divisible(width, group) for width, group in zip(bottlenecks, groups, strict=True)]
        n = len(widths)
        return cls(
            list(depths), [int(width / bottleneck_multiplier) for width in fitting], groups, [bottleneck_multiplier] * n, [2] * n,
            se_ratio,
        )  # fmt: skip


class RegNet(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    stem_type, block_type, norm_layer, activation: classes to build it of; torchvision's own if None.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self, block_params: BlockParams, num_classes: int = 1000, stem_width: int = 32, stem_type: Layer | None = None,
        block_type: Layer | None = None, norm_layer: Layer | None = None, activation: Layer | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        norm_layer, activation = norm_layer or nn.BatchNorm2d, activation or nn.ReLU
        block: Layer = block_type or ResBottleneckBlock
        self.stem = (stem_type or SimpleStemIN)(3, stem_width, norm_layer, activation)
        p, before, stages = block_params, stem_width, OrderedDict()
        each = zip(p.depths, p.widths, p.strides, p.group_widths, p.bottleneck_multipliers, strict=True)
        for stage, (depth, width, stride, group, multiplier) in enumerate(each, 1):
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for i in range(depth):
                sizes = (before, width, stride) if i == 0 else (width, width, 1)
                blocks[f"block{stage}-{i}"] = block(*sizes, norm_layer, activation, group, multiplier, p.se_ratio)
            stages[f"block{stage}"], before = AnyStage(blocks), width
        self.trunk_output = nn.Sequential(stages)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(before, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # by the outputs of a weight, as if there were no groups
                nn.init.normal_(module.weight, 0.0, (2 / (math.prod(module.kernel_size) * module.out_channels)) ** 0.5)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.trunk_output(self.stem(x))).flatten(1))


def _of(
    depth: int, w_0: int, w_a: float, w_m: float, group_width: int, se_ratio: float | None = None
) -> partial[RegNet]:
    return partial(RegNet, BlockParams.from_init_params(depth, w_0, w_a, w_m, group_width, 1.0, se_ratio))


_with_se = partial(_of, se_ratio=0.25)
regnet_x_400mf, RegNet_X_400MF_Weights = network("RegNet_X_400MF", _of(22, 24, 24.48, 2.54, 16), "fc")
regnet_x_800mf, RegNet_X_800MF_Weights = network("RegNet_X_800MF", _of(16, 56, 35.73, 2.28, 16), "fc")
regnet_x_1_6gf, RegNet_X_1_6GF_Weights = network("RegNet_X_1_6GF", _of(18, 80, 34.01, 2.25, 24), "fc")
regnet_x_3_2gf, RegNet_X_3_2GF_Weights = network("RegNet_X_3_2GF", _of(25, 88, 26.31, 2.25, 48), "fc")
regnet_x_8gf, RegNet_X_8GF_Weights = network("RegNet_X_8GF", _of(23, 80, 49.56, 2.88, 120), "fc")
regnet_x_16gf, RegNet_X_16GF_Weights = network("RegNet_X_16GF", _of(22, 216, 55.59, 2.1, 128), "fc")
regnet_x_32gf, RegNet_X_32GF_Weights = network("RegNet_X_32GF", _of(23, 320, 69.86, 2.0, 168), "fc")
regnet_y_400mf, RegNet_Y_400MF_Weights = network("RegNet_Y_400MF", _with_se(16, 48, 27.89, 2.09, 8), "fc")
regnet_y_800mf, RegNet_Y_800MF_Weights = network("RegNet_Y_800MF", _with_se(14, 56, 38.84, 2.4, 16), "fc")
regnet_y_1_6gf, RegNet_Y_1_6GF_Weights = network("RegNet_Y_1_6GF", _with_se(27, 48, 20.71, 2.65, 24), "fc")
regnet_y_3_2gf, RegNet_Y_3_2GF_Weights = network("RegNet_Y_3_2GF", _with_se(21, 80, 42.63, 2.66, 24), "fc")
regnet_y_8gf, RegNet_Y_8GF_Weights = network("RegNet_Y_8GF", _with_se(17, 192, 76.82, 2.19, 56), "fc")
regnet_y_16gf, RegNet_Y_16GF_Weights = network("RegNet_Y_16GF", _with_se(18, 200, 106.23, 2.48, 112), "fc")
regnet_y_32gf, RegNet_Y_32GF_Weights = network("RegNet_Y_32GF", _with_se(20, 232, 115.89, 2.53, 232), "fc")
regnet_y_128gf, RegNet_Y_128GF_Weights = network("RegNet_Y_128GF", _with_se(27, 456, 160.83, 2.52, 264), "fc")
