"""ShuffleNet v2 as torchvision has it. Ma et al. 2018, "ShuffleNet V2: practical guidelines for efficient CNN architecture design":
half of the maps pass a block as they are, and a shuffle mixes the halves."""

from collections.abc import Sequence
from functools import partial

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import Layer
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.ops import cat

__all__ = [
    "ShuffleNetV2", "ShuffleNet_V2_X0_5_Weights", "ShuffleNet_V2_X1_0_Weights", "ShuffleNet_V2_X1_5_Weights",
    "ShuffleNet_V2_X2_0_Weights", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0",
]  # fmt: skip


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """The maps in another order: the first of each group, then the second of each, .."""
    N, C, H, W = x.shape
    return x.reshape(N, groups, C // groups, H, W).transpose(1, 2).reshape(N, C, H, W)


def pointwise(inp: int, oup: int) -> list[nn.Module]:
    """A 1 x 1 convolution, batch norm and ReLU."""
    return [nn.Conv2d(inp, oup, kernel_size=1, bias=False), nn.BatchNorm2d(oup), nn.ReLU(inplace=True)]


def depthwise(maps: int, stride: int) -> list[nn.Module]:
    """A 3 x 3 convolution on each map, and batch norm."""
    return [nn.Conv2d(maps, maps, 3, stride, padding=1, bias=False, groups=maps), nn.BatchNorm2d(maps)]


class InvertedResidual(nn.Module):
    """(N, inp, H, W) -> (N, oup, H / stride, W / stride). At stride 1 the first half of the maps stays as it is."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        half = oup // 2
        if not 1 <= stride <= 3:
            raise ValueError("illegal stride value")
        if stride == 1 and inp != 2 * half:
            raise ValueError(
                f"Invalid combination of stride {stride}, inp {inp} and oup {oup} values. If stride == 1 then inp should be equal "
                "to oup // 2 << 1."
            )
        self.stride = stride
        self.branch1 = nn.Sequential(*depthwise(inp, stride), *pointwise(inp, half)) if stride > 1 else nn.Sequential()
        self.branch2 = nn.Sequential(
            *pointwise(inp if stride > 1 else half, half), *depthwise(half, stride), *pointwise(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        stay, change = x.chunk(2, dim=1) if self.stride == 1 else (x, x)
        return channel_shuffle(cat([self.branch1(stay), self.branch2(change)], 1), 2)


class ShuffleNetV2(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    Args:
        stages_repeats: the number of blocks in stage2, stage3, stage4.
        stages_out_channels: maps of conv1, of the three stages, of conv5.
        inverted_residual: the class of the blocks.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Layer = InvertedResidual,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3:
            raise ValueError("expected stages_repeats as list of 3 positive ints")
        if len(stages_out_channels) != 5:
            raise ValueError("expected stages_out_channels as list of 5 positive ints")
        first, *stages, last = stages_out_channels
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, first, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(inplace=True)
        )
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)  # 56 x 56 of 224 x 224
        made, before = [], first
        for repeats, maps in zip(stages_repeats, stages, strict=True):
            rest = [inverted_residual(maps, maps, 1) for _ in range(repeats - 1)]
            made.append(nn.Sequential(inverted_residual(before, maps, 2), *rest))
            before = maps
        self.stage2, self.stage3, self.stage4 = made
        self.conv5 = nn.Sequential(*pointwise(before, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.conv5(x).mean([2, 3]))


REPEATS = (4, 8, 4)
shufflenet_v2_x0_5, ShuffleNet_V2_X0_5_Weights = network(
    "ShuffleNet_V2_X0_5", partial(ShuffleNetV2, REPEATS, (24, 48, 96, 192, 1024)), "fc"
)
shufflenet_v2_x1_0, ShuffleNet_V2_X1_0_Weights = network(
    "ShuffleNet_V2_X1_0", partial(ShuffleNetV2, REPEATS, (24, 116, 232, 464, 1024)), "fc"
)
shufflenet_v2_x1_5, ShuffleNet_V2_X1_5_Weights = network(
    "ShuffleNet_V2_X1_5", partial(ShuffleNetV2, REPEATS, (24, 176, 352, 704, 1024)), "fc"
)
shufflenet_v2_x2_0, ShuffleNet_V2_X2_0_Weights = network(
    "ShuffleNet_V2_X2_0", partial(ShuffleNetV2, REPEATS, (24, 244, 488, 976, 2048)), "fc"
)
