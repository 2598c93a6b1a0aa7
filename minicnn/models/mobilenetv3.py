"""MobileNetV3 as torchvision has it. Howard et al. 2019, "Searching for MobileNetV3": MobileNetV2's blocks with squeeze-and-excitation
and Hardswish, in an order that a search has found."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import Conv2dNormActivation, Layer, SqueezeExcitation, init_convolutions, make_divisible
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network

__all__ = [
    "MobileNetV3", "MobileNet_V3_Large_Weights", "MobileNet_V3_Small_Weights", "mobilenet_v3_large", "mobilenet_v3_small",
]  # fmt: skip


class InvertedResidualConfig:
    """A block of the paper's tables 1 and 2; the numbers of maps are multiplied by `width_mult`. activation: "RE" or "HS"."""

    def __init__(
        self, input_channels: int, kernel: int, expanded_channels: int, out_channels: int, use_se: bool, activation: str,
        stride: int, dilation: int, width_mult: float,
    ) -> None:  # fmt: skip
        self.input_channels = self.adjust_channels(input_channels, width_mult)
        self.kernel = kernel
        self.expanded_channels = self.adjust_channels(expanded_channels, width_mult)
        self.out_channels = self.adjust_channels(out_channels, width_mult)
        self.use_se, self.use_hs = use_se, activation == "HS"
        self.stride, self.dilation = stride, dilation

    @staticmethod
    def adjust_channels(channels: int, width_mult: float) -> int:
        """The number of maps at this width, a multiple of 8."""
        return make_divisible(channels * width_mult, 8)


class InvertedResidual(nn.Module):
    """More maps by 1 x 1, a depthwise convolution, squeeze-and-excitation, fewer maps by 1 x 1; the input is added if it has the
    same shape. At a dilation the stride is 1."""

    def __init__(
        self,
        cnf: InvertedResidualConfig,
        norm_layer: Layer,
        se_layer: Layer | None = None,
    ) -> None:
        super().__init__()
        if not 1 <= cnf.stride <= 2:
            raise ValueError("illegal stride value")
        self.use_res_connect = cnf.stride == 1 and cnf.input_channels == cnf.out_channels
        inner = cnf.expanded_channels
        activation = nn.Hardswish if cnf.use_hs else nn.ReLU
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        layers: list[nn.Module] = []
        if inner != cnf.input_channels:
            layers.append(conv(cnf.input_channels, inner, kernel_size=1))
        stride = 1 if cnf.dilation > 1 else cnf.stride
        layers.append(conv(inner, inner, cnf.kernel, stride, dilation=cnf.dilation, groups=inner))
        if cnf.use_se:
            se_layer = se_layer or partial(SqueezeExcitation, scale_activation=nn.Hardsigmoid)
            layers.append(se_layer(inner, make_divisible(inner // 4, 8)))
        self.block = nn.Sequential(*layers, conv(inner, cnf.out_channels, kernel_size=1, activation_layer=None))

    def forward(self, input: Tensor) -> Tensor:
        result = self.block(input)
        if self.use_res_connect:
            result += input
        return result


class MobileNetV3(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    Args:
        inverted_residual_setting: an `InvertedResidualConfig` for each block. last_channel: of the linear layer before the last.
        block, norm_layer: the class of the blocks; what makes a normalisation from a number of channels.
        dropout: before the logits.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        inverted_residual_setting: Sequence[InvertedResidualConfig],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Layer | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("The inverted_residual_setting should not be empty")
        block, norm_layer = block or InvertedResidual, norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.Hardswish)
        first, last = inverted_residual_setting[0].input_channels, inverted_residual_setting[-1].out_channels
        self.features = nn.Sequential(
            conv(3, first, stride=2),
            *(block(cnf, norm_layer) for cnf in inverted_residual_setting),
            conv(last, 6 * last, kernel_size=1),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * last, last_channel),
            nn.Hardswish(inplace=True),
            nn.Dropout(p=dropout, inplace=True),
            nn.Linear(last_channel, num_classes),
        )
        init_convolutions(self, partial(nn.init.normal_, mean=0.0, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


# input maps, kernel, maps between, output maps, squeeze-and-excitation, activation, stride; the last three are the tail
Numbers = tuple[int, int, int, int, bool, str, int]
LARGE: list[Numbers] = [
    (16, 3, 16, 16, False, "RE", 1), (16, 3, 64, 24, False, "RE", 2), (24, 3, 72, 24, False, "RE", 1),
    (24, 5, 72, 40, True, "RE", 2), (40, 5, 120, 40, True, "RE", 1), (40, 5, 120, 40, True, "RE", 1),
    (40, 3, 240, 80, False, "HS", 2), (80, 3, 200, 80, False, "HS", 1), (80, 3, 184, 80, False, "HS", 1),
    (80, 3, 184, 80, False, "HS", 1), (80, 3, 480, 112, True, "HS", 1), (112, 3, 672, 112, True, "HS", 1),
    (112, 5, 672, 160, True, "HS", 2), (160, 5, 960, 160, True, "HS", 1), (160, 5, 960, 160, True, "HS", 1),
]  # fmt: skip
SMALL: list[Numbers] = [
    (16, 3, 16, 16, True, "RE", 2), (16, 3, 72, 24, False, "RE", 2), (24, 3, 88, 24, False, "RE", 1),
    (24, 5, 96, 40, True, "HS", 2), (40, 5, 240, 40, True, "HS", 1), (40, 5, 240, 40, True, "HS", 1),
    (40, 5, 120, 48, True, "HS", 1), (48, 5, 144, 48, True, "HS", 1),
    (48, 5, 288, 96, True, "HS", 2), (96, 5, 576, 96, True, "HS", 1), (96, 5, 576, 96, True, "HS", 1),
]  # fmt: skip


def sized(
    blocks: list[Numbers], last_channel: int, width_mult: float = 1.0,
    reduced_tail: bool = False, dilated: bool = False, **kwargs: Any,
) -> MobileNetV3:  # fmt: skip
    """The network of these blocks. reduced_tail: with half as many maps in the last three. dilated: these dilate in place of a stride."""
    half, setting = 2 if reduced_tail else 1, []
    for i, (before, kernel, inner, after, se, activation, stride) in enumerate(blocks, 3 - len(blocks)):
        if i >= 0:  # of the tail, of which the first block still sees whole maps
            before, inner, after = before // (half if i else 1), inner // (half if i else 1), after // half
        dilation = 2 if dilated and i >= 0 else 1
        numbers = before, kernel, inner, after, se, activation, stride, dilation
        setting.append(InvertedResidualConfig(*numbers, width_mult))
    return MobileNetV3(setting, InvertedResidualConfig.adjust_channels(last_channel // half, width_mult), **kwargs)


mobilenet_v3_large, MobileNet_V3_Large_Weights = network(
    "MobileNet_V3_Large", partial(sized, LARGE, 1280), "classifier.3"
)
mobilenet_v3_small, MobileNet_V3_Small_Weights = network(
    "MobileNet_V3_Small", partial(sized, SMALL, 1024), "classifier.3"
)
