"""Inception v3 as torchvision has it. Szegedy et al. 2016, "Rethinking the Inception architecture for computer vision".

A convolution of 7 x 7 is one of 1 x 7 and one of 7 x 1 here. The names of modules are TensorFlow's, from where the weights came; of
`transform_input` see `googlenet.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._inception import BasicConv2d, from_minus_one_to_one, init_truncated, with_heads
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network
from minicnn.nn import functional as F
from minicnn.ops import cat

__all__ = ["Inception3", "InceptionOutputs", "Inception_V3_Weights", "inception_v3"]

Step = tuple[int, tuple[int, int]]  # a convolution of a branch: how many maps it makes, its kernel
Branch = Sequence[Step | list[Step]]
ONE, THREE, FIVE, WIDE, HIGH = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)


class InceptionOutputs(NamedTuple):
    """What it returns in training, if it has a head at half depth: logits (N, num_classes) of both."""

    logits: Tensor
    aux_logits: Tensor | None


class Branches(nn.Module):
    """Branches side by side, whose maps are put one after the other: (N, in_channels, H, W) -> (N, their sum, H, W).

    A branch is a chain of convolutions `NAME_1`, `NAME_2`, .. (`NAME` if it has one), which keep H and W; "branch_pool" sees means
    of 3 x 3 pixels. If the block `halves`, the last convolution of each branch makes half of H and W, and so does one branch more,
    the maxima of 3 x 3 pixels. Two steps in a list, `NAME_2a` and `NAME_2b`, see the same maps.
    """

    def __init__(self, in_channels: int, branches: Mapping[str, Branch], halves: bool = False) -> None:
        super().__init__()
        self.halves = halves
        self.names: list[list[list[str]]] = []  # of the convolutions in each step of each branch
        for branch, steps in branches.items():
            before, names = in_channels, []
            for number, step in enumerate(steps, 1):
                name = branch if len(steps) == 1 else f"{branch}_{number}"
                alike = step if isinstance(step, list) else [step]
                names.append([name] if len(alike) == 1 else [f"{name}a", f"{name}b"])
                last = halves and number == len(steps)
                for one, (maps, (KH, KW)) in zip(names[-1], alike, strict=True):
                    shape: dict[str, Any] = {"stride": 2} if last else {"padding": (KH // 2, KW // 2)}
                    self.add_module(one, BasicConv2d(before, maps, kernel_size=(KH, KW), **shape))
                before = alike[0][0]
            self.names.append(names)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for *first, last in self.names:
            y = F.avg_pool2d(x, kernel_size=3, stride=1, padding=1) if last == ["branch_pool"] else x
            for (name,) in first:
                y = getattr(self, name)(y)
            outputs += [getattr(self, name)(y) for name in last]
        return cat([*outputs, F.max_pool2d(x, kernel_size=3, stride=2)] if self.halves else outputs, 1)


class InceptionA(Branches):
    """35 x 35 maps of 299 x 299 pixels."""

    def __init__(self, in_channels: int, pool_features: int) -> None:
        double = [(64, ONE), (96, THREE), (96, THREE)]
        five = [(48, ONE), (64, FIVE)]
        pool = [(pool_features, ONE)]
        super().__init__(
            in_channels,
            {"branch1x1": [(64, ONE)], "branch5x5": five, "branch3x3dbl": double, "branch_pool": pool},
        )


class InceptionB(Branches):
    """From 35 x 35 to 17 x 17."""

    def __init__(self, in_channels: int) -> None:
        double = [(64, ONE), (96, THREE), (96, THREE)]
        super().__init__(in_channels, {"branch3x3": [(384, THREE)], "branch3x3dbl": double}, halves=True)


class InceptionC(Branches):
    """17 x 17 maps; `channels_7x7` between the convolutions of 7."""

    def __init__(self, in_channels: int, channels_7x7: int) -> None:
        c7 = channels_7x7
        seven = [(c7, ONE), (c7, WIDE), (192, HIGH)]
        double = [(c7, ONE), (c7, HIGH), (c7, WIDE), (c7, HIGH), (192, WIDE)]
        super().__init__(
            in_channels,
            {"branch1x1": [(192, ONE)], "branch7x7": seven, "branch7x7dbl": double, "branch_pool": [(192, ONE)]},
        )


class InceptionD(Branches):
    """From 17 x 17 to 8 x 8."""

    def __init__(self, in_channels: int) -> None:
        seven = [(192, ONE), (192, WIDE), (192, HIGH), (192, THREE)]
        super().__init__(in_channels, {"branch3x3": [(192, ONE), (320, THREE)], "branch7x7x3": seven}, halves=True)


class InceptionE(Branches):
    """8 x 8 maps: those of 1 x 3 and of 3 x 1 pixels beside each other."""

    def __init__(self, in_channels: int) -> None:
        both: list[Step] = [(384, (1, 3)), (384, (3, 1))]
        three: Branch = [(384, ONE), both]
        double: Branch = [(448, ONE), (384, THREE), both]
        super().__init__(
            in_channels,
            {"branch1x1": [(320, ONE)], "branch3x3": three, "branch3x3dbl": double, "branch_pool": [(192, ONE)]},
        )


class InceptionAux(nn.Module):
    """The head at half depth: (N, in_channels, 17, 17) or larger -> logits."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv0 = BasicConv2d(in_channels, 128, kernel_size=1)
        self.conv1 = BasicConv2d(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, num_classes)
        self.fc.stddev = 0.001

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(F.avg_pool2d(x, kernel_size=5, stride=3)))
        return self.fc(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class Inception3(nn.Module):
    """Images (N, 3, H, W) of at least 75 x 75 -> logits (N, num_classes); in training, with `aux_logits`, `InceptionOutputs`, of
    images of 299 x 299. Arguments as for `GoogLeNet`; `inception_blocks` are the seven classes that it is built of."""

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        inception_blocks: Sequence[Any] | None = None,
        init_weights: bool | None = None,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if inception_blocks is not None and len(inception_blocks) != 7:
            raise ValueError(f"length of inception_blocks should be 7 instead of {len(inception_blocks)}")
        own = BasicConv2d, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, InceptionAux
        conv, A, B, C, D, E, aux = inception_blocks or own
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.Conv2d_1a_3x3 = conv(3, 32, kernel_size=3, stride=2)  # 149 x 149 of 299 x 299
        self.Conv2d_2a_3x3 = conv(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = conv(32, 64, kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(kernel_size=3, stride=2)  # 73 x 73
        self.Conv2d_3b_1x1 = conv(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = conv(80, 192, kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(kernel_size=3, stride=2)  # 35 x 35
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
        self.Mixed_6a = B(288)  # 17 x 17
        self.Mixed_6b, self.Mixed_6c = C(768, 128), C(768, 160)
        self.Mixed_6d, self.Mixed_6e = C(768, 160), C(768, 192)
        self.AuxLogits = aux(768, num_classes) if aux_logits else None
        self.Mixed_7a = D(768)  # 8 x 8
        self.Mixed_7b, self.Mixed_7c = E(1280), E(2048)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(p=dropout)
        self.fc = nn.Linear(2048, num_classes)
        if init_weights or init_weights is None:
            init_truncated(self, std=0.1)

    def forward(self, x: Tensor) -> Any:
        x = from_minus_one_to_one(x) if self.transform_input else x
        x = self.maxpool1(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = self.maxpool2(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        aux = self.AuxLogits(x) if self.AuxLogits is not None and self.training else None
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        x = self.fc(self.dropout(self.avgpool(x)).flatten(1))
        return InceptionOutputs(x, aux) if self.training and self.aux_logits else x


inception_v3, Inception_V3_Weights = network("Inception_V3", Inception3, "fc", with_heads("AuxLogits", wanted=True))
