"""torchvision's networks in torch.nn, written a second time and as short as possible: the judge of `minicnn.models`.

torchvision itself cannot be a judge here (its releases ask for their own version of torch). What is known of it stands
in `test_architectures.py`: the numbers of parameters, and keys and shapes.
"""

from __future__ import annotations

import torch
from torch import nn

VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
RESNET = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}


class Net(nn.Module):
    """features -> avgpool -> flat -> classifier."""

    def __init__(self, features, avgpool, classifier):
        super().__init__()
        self.features, self.avgpool, self.classifier = nn.Sequential(*features), avgpool, nn.Sequential(*classifier)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet():
    sizes = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
    features = []
    for i, (before, after, kernel, stride, padding) in enumerate(sizes):
        features += [nn.Conv2d(before, after, kernel, stride, padding), nn.ReLU()]
        features += [nn.MaxPool2d(3, 2)] if i in (0, 1, 4) else []
    head = [nn.Dropout(), nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU()]
    return Net(features, nn.AdaptiveAvgPool2d(6), [*head, nn.Linear(4096, 1000)])


def vgg(depth, batch_norm=False):
    features, before = [], 3
    for width, count in zip((64, 128, 256, 512, 512), VGG[depth], strict=True):
        for _ in range(count):
            features += [nn.Conv2d(before, width, 3, 1, 1), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]
            before = width
        features.append(nn.MaxPool2d(2))
    head = [nn.Linear(25088, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
    return Net(features, nn.AdaptiveAvgPool2d(7), [*head, nn.Linear(4096, 1000)])


class Fire(nn.Module):
    def __init__(self, before, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


def squeezenet(version):
    kernel, width, pools = {"1_0": (7, 96, (3, 7)), "1_1": (3, 64, (2, 4))}[version]
    features = [nn.Conv2d(3, width, kernel, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    before = width
    for i, (squeeze, expand) in enumerate(
        zip((16, 16, 32, 32, 48, 48, 64, 64), (64, 64, 128, 128, 192, 192, 256, 256), strict=True)
    ):
        if i in pools:
            features.append(nn.MaxPool2d(3, 2, ceil_mode=True))
        features.append(Fire(before, squeeze, expand))
        before = 2 * expand
    head = [nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    model = Net(features, nn.Identity(), head)
    model.forward = lambda x: model.classifier(model.features(x))
    return model


class Block(nn.Module):
    def __init__(self, before, width, stride, bottleneck):
        super().__init__()
        after = 4 * width if bottleneck else width
        shapes = [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
        shapes = shapes if bottleneck else [(before, width, 3, stride), (width, width, 3, 1)]
        for i, (channels, maps, kernel, step) in enumerate(shapes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(channels, maps, kernel, step, kernel // 2, bias=False))
            setattr(self, f"bn{i}", nn.BatchNorm2d(maps))
        self.count = len(shapes)
        self.downsample = None
        if stride > 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = y.relu() if i < self.count else y
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class ResNet(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        before = 64
        for k, count in enumerate(RESNET[depth]):
            blocks = []
            for i in range(count):
                blocks.append(Block(before, 64 * 2**k, 2 if k and i == 0 else 1, depth == 50))
                before = 64 * 2**k * (4 if depth == 50 else 1)
            setattr(self, f"layer{k + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(before, 1000)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for k in range(1, 5):
            x = getattr(self, f"layer{k}")(x)
        return self.fc(x.mean((2, 3)))


BUILDERS = {
    "alexnet": alexnet,
    **{f"vgg{depth}": (lambda depth=depth: vgg(depth)) for depth in VGG},
    **{f"vgg{depth}_bn": (lambda depth=depth: vgg(depth, True)) for depth in VGG},
    "squeezenet1_0": lambda: squeezenet("1_0"),
    "squeezenet1_1": lambda: squeezenet("1_1"),
    **{f"resnet{depth}": (lambda depth=depth: ResNet(depth)) for depth in RESNET},
}


def build(name: str, seed: int = 0, given: dict[str, torch.Tensor] | None = None) -> nn.Module:
    """The network in eval mode, filled with numbers that keep the size of what passes through: none is 0, none is 1.

    `given` are tensors to take as they are, by key.
    """
    with torch.device("meta"):
        model = BUILDERS[name]()
    model.to_empty(device="cpu")
    model.load_state_dict(given or {}, strict=False, assign=True)
    model.eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if given and key in given:
                continue
            if key.endswith("num_batches_tracked"):
                value.fill_(1000)
            elif value.dim() > 1:
                bound = (6 / value[0].numel()) ** 0.5
                value.uniform_(-bound, bound, generator=generator)
            elif key.endswith(("bias", "running_mean")):
                value.uniform_(-0.1, 0.1, generator=generator)
            else:  # the scale of a batch norm, its variance
                value.uniform_(0.5, 1.0, generator=generator)
    return model
