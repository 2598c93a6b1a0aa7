"""MNASNet (B1) as torchvision has it. Tan et al. 2019, "MnasNet: platform-aware neural architecture search for mobile"."""

from functools import partial

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.models._blocks import init_convolutions, make_divisible
from minicnn.models._meta import IMAGENET, ModelMeta
from minicnn.models._registry import network

__all__ = [
    "MNASNet", "MNASNet0_5_Weights", "MNASNet0_75_Weights", "MNASNet1_0_Weights", "MNASNet1_3_Weights",
    "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3",
]  # fmt: skip

MOMENTUM = 1 - 0.9997  # of batch norm; TensorFlow counts the rest


class _InvertedResidual(nn.Module):
    """More maps by 1 x 1, a depthwise convolution, fewer maps by 1 x 1 without a ReLU; the input is added if it has the same shape."""

    def __init__(self, in_ch: int, out_ch: int, kernel_size: int, stride: int, expansion_factor: int) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        if kernel_size not in (3, 5):
            raise ValueError(f"kernel_size should be 3 or 5 instead of {kernel_size}")
        self.apply_residual = in_ch == out_ch and stride == 1
        mid = in_ch * expansion_factor
        self.layers = nn.Sequential(
            nn.Conv2d(in_ch, mid, 1, bias=False),
            nn.BatchNorm2d(mid, momentum=MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, mid, kernel_size, padding=kernel_size // 2, stride=stride, groups=mid, bias=False),
            nn.BatchNorm2d(mid, momentum=MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, out_ch, 1, bias=False),
            nn.BatchNorm2d(out_ch, momentum=MOMENTUM),
        )

    def forward(self, input: Tensor) -> Tensor:
        return self.layers(input) + input if self.apply_residual else self.layers(input)


def _stack(in_ch: int, out_ch: int, kernel_size: int, stride: int, exp_factor: int, repeats: int) -> nn.Sequential:
    """`repeats` blocks, of which the first changes the number of maps, and H and W by `stride`."""
    first = _InvertedResidual(in_ch, out_ch, kernel_size, stride, exp_factor)
    return nn.Sequential(
        first, *(_InvertedResidual(out_ch, out_ch, kernel_size, 1, exp_factor) for _ in range(1, repeats))
    )


class MNASNet(nn.Module):
    """Images (N, 3, H, W), normalised by `meta.mean` and `meta.std` -> logits (N, num_classes), for any H and W.

    alpha: times as many maps, rounded to multiples of 8. dropout: before the logits. The state_dicts of torchvision before 0.4 do not
    fit: there `alpha` had not changed the first layers.
    """

    meta: ModelMeta = IMAGENET
    _version = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha, self.num_classes = alpha, num_classes
        d = [make_divisible(depth * alpha, 8) for depth in (32, 16, 24, 40, 80, 96, 192, 320)]
        self.layers = nn.Sequential(
            nn.Conv2d(3, d[0], 3, padding=1, stride=2, bias=False),
            nn.BatchNorm2d(d[0], momentum=MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(d[0], d[0], 3, padding=1, stride=1, groups=d[0], bias=False),
            nn.BatchNorm2d(d[0], momentum=MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(d[0], d[1], 1, padding=0, stride=1, bias=False),
            nn.BatchNorm2d(d[1], momentum=MOMENTUM),
            _stack(d[1], d[2], 3, 2, 3, 3),
            _stack(d[2], d[3], 5, 2, 3, 3),
            _stack(d[3], d[4], 5, 2, 6, 3),
            _stack(d[4], d[5], 3, 1, 6, 2),
            _stack(d[5], d[6], 5, 2, 6, 4),
            _stack(d[6], d[7], 3, 1, 6, 1),
            nn.Conv2d(d[7], 1280, 1, padding=0, stride=1, bias=False),
            nn.BatchNorm2d(1280, momentum=MOMENTUM),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        init_convolutions(self, partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="sigmoid"))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))


mnasnet0_5, MNASNet0_5_Weights = network("MNASNet0_5", partial(MNASNet, 0.5), "classifier.1")
mnasnet0_75, MNASNet0_75_Weights = network("MNASNet0_75", partial(MNASNet, 0.75), "classifier.1")
mnasnet1_0, MNASNet1_0_Weights = network("MNASNet1_0", partial(MNASNet, 1.0), "classifier.1")
mnasnet1_3, MNASNet1_3_Weights = network("MNASNet1_3", partial(MNASNet, 1.3), "classifier.1")
