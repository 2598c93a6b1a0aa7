"""ResNet as torchvision has it. He et al. 2016, "Deep residual learning for image recognition".

The same blocks make ResNeXt (Xie et al. 2017: the 3 x 3 convolution in groups) and Wide ResNet (Zagoruyko and Komodakis 2016: it has
twice as many maps). As in torchvision, a Bottleneck halves width and height in its 3 x 3 convolution, not in its first 1 x 1 as the paper
does ("ResNet v1.5").
"""

from collections.abc import Callable, Sequence
from functools import partial

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network

__all__ = [
    "ResNeXt101_32X8D_Weights", "ResNeXt101_64X4D_Weights", "ResNeXt50_32X4D_Weights", "ResNet", "ResNet101_Weights",
    "ResNet152_Weights", "ResNet18_Weights", "ResNet34_Weights", "ResNet50_Weights", "Wide_ResNet101_2_Weights",
    "Wide_ResNet50_2_Weights", "resnet101", "resnet152", "resnet18", "resnet34", "resnet50", "resnext101_32x8d",
    "resnext101_64x4d", "resnext50_32x4d", "wide_resnet101_2", "wide_resnet50_2",
]  # fmt: skip

Norm = Callable[[int], nn.Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps H and W (at stride 1); without bias, because a batch norm follows."""
    return nn.Conv2d(in_planes, out_planes, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """A 1 x 1 convolution: another number of maps."""
    return nn.Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """(N, inplanes, H, W) -> (N, planes, H / stride, W / stride): two 3 x 3 convolutions, and the input added to them."""

    expansion = 1

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Norm = nn.BatchNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample  # gives the input the shape of the result, where that is another one
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """(N, inplanes, H, W) -> (N, 4 planes, H / stride, W / stride): fewer maps by 1 x 1, then 3 x 3, then more by 1 x 1."""

    expansion = 4

    def __init__(
        self, inplanes: int, planes: int, stride: int = 1, downsample: nn.Module | None = None, groups: int = 1,
        base_width: int = 64, dilation: int = 1, norm_layer: Norm = nn.BatchNorm2d,
    ) -> None:  # fmt: skip
        super().__init__()
        width = int(planes * (base_width / 64)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    Args:
        block: BasicBlock or Bottleneck.
        layers: the number of blocks in layer1, layer2, layer3, layer4.
        num_classes: the number of outputs.
        zero_init_residual: start every block as the identity, its last batch norm with weights of zero.
        groups, width_per_group: of the 3 x 3 convolutions of a Bottleneck.
        replace_stride_with_dilation: three flags for layer2 to layer4: keep H and W and dilate instead.
        norm_layer: makes a normalisation from a number of channels; BatchNorm2d if None.
    """

    meta: ModelMeta = IMAGENET

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        dilate = replace_stride_with_dilation or (False, False, False)
        if len(dilate) != 3:
            raise ValueError(
                f"replace_stride_with_dilation should be None or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.inplanes, self.dilation = 64, 1  # as far as the network has been built
        self.groups, self.base_width = groups, width_per_group

        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)  # 112 x 112 of 224 x 224
        self.bn1 = self._norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)  # 56 x 56
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilate[0])  # 28 x 28
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilate[1])  # 14 x 14
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilate[2])  # 7 x 7
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._initialize_weights(zero_init_residual)

    def _make_layer(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        """`blocks` blocks, of which the first changes the number of maps, and H and W by `stride`."""
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        outplanes = planes * block.expansion
        downsample = None
        if stride != 1 or self.inplanes != outplanes:
            downsample = nn.Sequential(conv1x1(self.inplanes, outplanes, stride), self._norm_layer(outplanes))
        shared = (self.groups, self.base_width)
        made = [block(self.inplanes, planes, stride, downsample, *shared, first_dilation, self._norm_layer)]
        made += [block(outplanes, planes, 1, None, *shared, self.dilation, self._norm_layer) for _ in range(1, blocks)]
        self.inplanes = outplanes
        return nn.Sequential(*made)

    def _initialize_weights(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(module, (BasicBlock, Bottleneck)):
                last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = self.avgpool(x).flatten(1)
        return self.fc(x)


_of50, _of101 = partial(ResNet, Bottleneck, (3, 4, 6, 3)), partial(ResNet, Bottleneck, (3, 4, 23, 3))
resnet18, ResNet18_Weights = network("ResNet18", partial(ResNet, BasicBlock, (2, 2, 2, 2)), "fc")
resnet34, ResNet34_Weights = network("ResNet34", partial(ResNet, BasicBlock, (3, 4, 6, 3)), "fc")
resnet50, ResNet50_Weights = network("ResNet50", _of50, "fc")
resnet101, ResNet101_Weights = network("ResNet101", _of101, "fc")
resnet152, ResNet152_Weights = network("ResNet152", partial(ResNet, Bottleneck, (3, 8, 36, 3)), "fc")
_x50 = partial(_of50, groups=32, width_per_group=4)
_x101, _x101_64 = partial(_of101, groups=32, width_per_group=8), partial(_of101, groups=64, width_per_group=4)
resnext50_32x4d, ResNeXt50_32X4D_Weights = network("ResNeXt50_32X4D", _x50, "fc")
resnext101_32x8d, ResNeXt101_32X8D_Weights = network("ResNeXt101_32X8D", _x101, "fc")
resnext101_64x4d, ResNeXt101_64X4D_Weights = network("ResNeXt101_64X4D", _x101_64, "fc")
wide_resnet50_2, Wide_ResNet50_2_Weights = network("Wide_ResNet50_2", partial(_of50, width_per_group=128), "fc")
wide_resnet101_2, Wide_ResNet101_2_Weights = network("Wide_ResNet101_2", partial(_of101, width_per_group=128), "fc")
