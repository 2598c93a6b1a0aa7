"""GoogLeNet as torchvision has it. Szegedy et al. 2015, "Going deeper with convolutions": nine blocks of four branches each.

In torchvision's blocks the branch of 5 x 5 convolutions has 3 x 3 ones, and so have its weights. They came from TensorFlow, where
pixels lie between -1 and 1: with `transform_input` the network, which is given ImageNet's normalisation, makes that of them.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._inception import BasicConv2d, from_minus_one_to_one, init_truncated, with_heads
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.nn import functional as F
from minicnn.ops import cat

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "GoogLeNet_Weights", "googlenet"]


class GoogLeNetOutputs(NamedTuple):
    """What it returns in training, if it has the heads at half depth: logits (N, num_classes) of all three."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class Inception(nn.Module):
    """(N, in_channels, H, W) -> the maps of four branches, one after the other: 1 x 1; 3 x 3; 3 x 3 again; pooled."""

    def __init__(
        self, in_channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, ch5x5red: int, ch5x5: int, pool_proj: int
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, ch3x3red, kernel_size=1), BasicConv2d(ch3x3red, ch3x3, kernel_size=3, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, ch5x5red, kernel_size=1), BasicConv2d(ch5x5red, ch5x5, kernel_size=3, padding=1)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(kernel_size=3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """A head at half depth, which trains the first layers: (N, in_channels, H, W) -> logits."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float = 0.7) -> None:
        super().__init__()
        self.conv = BasicConv2d(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, num_classes)
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4))).flatten(1)
        return self.fc2(self.dropout(F.relu(self.fc1(x), inplace=True)))


class GoogLeNet(nn.Module):
    """Images (N, 3, H, W) of at least 15 x 15 -> logits (N, num_classes); in training, with `aux_logits`, `GoogLeNetOutputs`.

    Args:
        aux_logits: with the two heads at half depth. transform_input: see above. dropout, dropout_aux: before the logits.
        init_weights: draw weights as the paper does, which may take its time; False keeps those of the layers.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: Sequence[Any] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ) -> None:
        super().__init__()
        if blocks is not None and len(blocks) != 3:
            raise ValueError(f"blocks length should be 3 instead of {len(blocks)}")
        conv, block, aux = blocks or (BasicConv2d, Inception, InceptionAux)
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)  # 112 x 112 of 224 x 224
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)  # 56 x 56
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)  # 28 x 28
        self.inception3a = block(192, 64, 96, 128, 16, 32, 32)  # 256 maps
        self.inception3b = block(256, 128, 128, 192, 32, 96, 64)  # 480
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)  # 14 x 14
        self.inception4a = block(480, 192, 96, 208, 16, 48, 64)  # 512
        self.inception4b = block(512, 160, 112, 224, 24, 64, 64)  # 512
        self.inception4c = block(512, 128, 128, 256, 24, 64, 64)  # 512
        self.inception4d = block(512, 112, 144, 288, 32, 64, 64)  # 528
        self.inception4e = block(528, 256, 160, 320, 32, 128, 128)  # 832
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)  # 7 x 7
        self.inception5a = block(832, 256, 160, 320, 32, 128, 128)  # 832
        self.inception5b = block(832, 384, 192, 384, 48, 128, 128)  # 1024
        self.aux1 = aux(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = aux(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(1024, num_classes)
        if init_weights or init_weights is None:
            init_truncated(self, std=0.01)

    def forward(self, x: Tensor) -> Any:
        x = from_minus_one_to_one(x) if self.transform_input else x
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4a(x)
        aux1 = self.aux1(x) if self.aux1 is not None and self.training else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if self.aux2 is not None and self.training else None
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        x = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return GoogLeNetOutputs(x, aux2, aux1) if self.training and self.aux_logits else x


googlenet, GoogLeNet_Weights = network("GoogLeNet", GoogLeNet, "fc", with_heads("aux", wanted=False))
