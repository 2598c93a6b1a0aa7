"""MobileNetV2 as torchvision has it. Sandler et al. 2018, "MobileNetV2: inverted residuals and linear bottlenecks": a convolution that
sees one map at a time (depthwise) between two of 1 x 1."""

from functools import partial

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import Conv2dNormActivation, Layer, init_convolutions, make_divisible
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.nn import functional as F

__all__ = ["MobileNetV2", "MobileNet_V2_Weights", "mobilenet_v2"]

# Of each stage: how many times as many maps lie between the 1 x 1 convolutions, maps, blocks, stride of the first.
SETTING = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


class InvertedResidual(nn.Module):
    """(N, inp, H, W) -> (N, oup, H / stride, W / stride): more maps by 1 x 1, 3 x 3 on each map, fewer by 1 x 1 without a ReLU; the
    input is added if it has the same shape."""

    def __init__(
        self, inp: int, oup: int, stride: int, expand_ratio: float, norm_layer: Layer = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        hidden = round(inp * expand_ratio)
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        first = [] if expand_ratio == 1 else [conv(inp, hidden, kernel_size=1)]
        self.conv = nn.Sequential(
            *first,
            conv(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, kernel_size=1, bias=False),
            norm_layer(oup),
        )
        self.use_res_connect = stride == 1 and inp == oup

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    Args:
        width_mult: times as many maps, rounded to multiples of `round_nearest`.
        inverted_residual_setting: a list like `SETTING`. block: the class of its blocks.
        norm_layer: makes a normalisation from a number of channels; BatchNorm2d if None. dropout: before the logits.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: list[list[int]] | None = None,
        round_nearest: int = 8,
        block: Layer | None = None,
        norm_layer: Layer | None = None,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        block, norm_layer = block or InvertedResidual, norm_layer or nn.BatchNorm2d
        setting = SETTING if inverted_residual_setting is None else inverted_residual_setting
        if not setting or len(setting[0]) != 4:
            raise ValueError(
                f"inverted_residual_setting should be non-empty or a 4-element list, got {inverted_residual_setting}"
            )
        conv = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        maps = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [conv(3, maps, stride=2)]
        for expand_ratio, c, n, s in setting:
            before, maps = maps, make_divisible(c * width_mult, round_nearest)
            for i in range(n):
                features.append(block(before if i == 0 else maps, maps, s if i == 0 else 1, expand_ratio, norm_layer))
        features.append(conv(maps, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout), nn.Linear(self.last_channel, num_classes))
        init_convolutions(self, partial(nn.init.normal_, mean=0.0, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.classifier(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


mobilenet_v2, MobileNet_V2_Weights = network("MobileNet_V2", MobileNetV2, "classifier.1")
