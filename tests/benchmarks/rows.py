"""What is timed, written once for both libraries. `row.build(lib)` gives the network with its numbers and the image;
`row.step(lib, network, image)` a function that does the work once and returns its result as arrays, so that results can be compared
as well as times. Between the two a peer may lay both out in another way, compile the network, or export it (`peers.py`)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.networks import network

Work = Callable[[], list[np.ndarray]]
FORWARD = ("torch", "channels_last", "onnxruntime", "openvino")  # the peers of a network forward,
ASCENT = ("torch", "channels_last", "compile")  # of a step of gradient ascent,
TRAINING = ("torch", "channels_last")  # and of a training step


class Row(NamedTuple):
    group: str
    name: str
    build: Callable[[Any], tuple[Any, Any]]
    step: Callable[[Any, Any, Any], Work]
    peers: tuple[str, ...] = ("torch",)
    target: int = 0  # the number in `targets.py`

    @property
    def tolerance(self) -> float:
        """How far results may be apart. Outputs by rounding. Gradients by whole terms: where the input of a ReLU is so near 0, or the two
        largest numbers of a max-pooling window so near each other, that rounding decides. One of millions is enough for thousandths
        (`python -m tests.kinks` counts the ReLUs). A wrong gradient is off by about 1."""
        return 1e-4 if self.step is forward else 0.1


def numbers(lib: Any, *shape: int, seed: int = 0) -> Any:
    return lib.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


# ------------------------------------------------------------------------------------------------ a: convolution layers

# C, H (= W), O, kernel, stride, padding
LAYERS = {
    "alexnet 0": (3, 224, 64, 11, 4, 2),
    "alexnet 3": (64, 27, 192, 5, 1, 2),
    "alexnet 6": (192, 13, 384, 3, 1, 1),
    "alexnet 8": (384, 13, 256, 3, 1, 1),
    "alexnet 10": (256, 13, 256, 3, 1, 1),
    "vgg16 conv1_1": (3, 224, 64, 3, 1, 1),
    "vgg16 conv1_2": (64, 224, 64, 3, 1, 1),
    "vgg16 conv2_1": (64, 112, 128, 3, 1, 1),
    "vgg16 conv2_2": (128, 112, 128, 3, 1, 1),
    "vgg16 conv3_1": (128, 56, 256, 3, 1, 1),
    "vgg16 conv3_2": (256, 56, 256, 3, 1, 1),
    "vgg16 conv4_1": (256, 28, 512, 3, 1, 1),
    "vgg16 conv4_2": (512, 28, 512, 3, 1, 1),
    "vgg16 conv5_1": (512, 14, 512, 3, 1, 1),
    "resnet18 conv1": (3, 224, 64, 7, 2, 3),
    "resnet18 layer1": (64, 56, 64, 3, 1, 1),
    "resnet18 layer2, strided": (64, 56, 128, 3, 2, 1),
    "resnet18 layer2, pointwise": (64, 56, 128, 1, 2, 0),
    "resnet18 layer2": (128, 28, 128, 3, 1, 1),
    "resnet18 layer3, strided": (128, 28, 256, 3, 2, 1),
    "resnet18 layer3, pointwise": (128, 28, 256, 1, 2, 0),
    "resnet18 layer3": (256, 14, 256, 3, 1, 1),
    "resnet18 layer4, strided": (256, 14, 512, 3, 2, 1),
    "resnet18 layer4, pointwise": (256, 14, 512, 1, 2, 0),
    "resnet18 layer4": (512, 7, 512, 3, 1, 1),
    "squeezenet 0": (3, 224, 64, 3, 2, 0),
    "squeezenet 3 squeeze": (64, 55, 16, 1, 1, 0),
    "squeezenet 3 expand1x1": (16, 55, 64, 1, 1, 0),
    "squeezenet 3 expand3x3": (16, 55, 64, 3, 1, 1),
    "squeezenet 6 squeeze": (128, 27, 32, 1, 1, 0),
    "squeezenet 6 expand3x3": (32, 27, 128, 3, 1, 1),
    "squeezenet 9 squeeze": (256, 13, 48, 1, 1, 0),
    "squeezenet 12 expand1x1": (64, 13, 256, 1, 1, 0),
    "squeezenet 12 expand3x3": (64, 13, 256, 3, 1, 1),
    "squeezenet classifier": (512, 13, 1000, 1, 1, 0),
    "tinynet 0": (3, 64, 64, 7, 2, 3),
    "tinynet 3": (64, 16, 128, 5, 1, 2),
    "tinynet 6": (128, 8, 256, 3, 1, 1),
    "tinynet 8": (256, 8, 256, 3, 1, 1),
}


def convolution(name: str, batch: int) -> Callable[[Any], tuple[Any, Any]]:
    C, H, O, K, stride, padding = LAYERS[name]

    def build(lib: Any) -> tuple[Any, Any]:
        layer = lib.nn.Conv2d(C, O, K, stride, padding)
        with lib.no_grad():
            layer.weight.copy_(numbers(lib, O, C, K, K, seed=1) * (C * K * K) ** -0.5)
            layer.bias.copy_(numbers(lib, O, seed=2))
        return layer, numbers(lib, batch, C, H, H)

    return build


def forward(lib: Any, model: Any, x: Any) -> Work:
    """The output, without a graph."""
    model.requires_grad_(False)

    def work() -> list[np.ndarray]:
        with lib.no_grad():
            return [model(x).numpy()]

    return work


def backward(lib: Any, model: Any, x: Any, parameters: bool) -> Work:
    """The output, and the gradients to the input and, if wanted, to the parameters."""
    model.requires_grad_(parameters)
    x.requires_grad_()
    grad = numbers(lib, *model(x).shape, seed=3)
    leaves = [x, *model.parameters()] if parameters else [x]

    def work() -> list[np.ndarray]:
        for leaf in leaves:
            leaf.grad = None
        y = model(x)
        y.backward(grad)
        return [y.detach().numpy(), *[leaf.grad.numpy() for leaf in leaves]]

    return work


WANTED = {
    "forward": forward,
    "forward, gradient to input": partial(backward, parameters=False),
    "forward, all gradients": partial(backward, parameters=True),
}


# ------------------------------------------------------------------------------------------- b: max-pooling and ReLU

# layer, N, C, H (= W)
SIMPLE = {
    "ReLU, 1 x 64 x 224": (lambda nn: nn.ReLU(), 1, 64, 224),
    "ReLU, 8 x 256 x 56": (lambda nn: nn.ReLU(), 8, 256, 56),
    "ReLU, 64 x 64 x 32": (lambda nn: nn.ReLU(), 64, 64, 32),
    "MaxPool2d(2), 1 x 64 x 224": (lambda nn: nn.MaxPool2d(2), 1, 64, 224),
    "MaxPool2d(2), 8 x 256 x 56": (lambda nn: nn.MaxPool2d(2), 8, 256, 56),
    "MaxPool2d(3, 2), 8 x 64 x 55": (lambda nn: nn.MaxPool2d(3, 2), 8, 64, 55),
    "MaxPool2d(3, 2, 1), 1 x 64 x 112": (lambda nn: nn.MaxPool2d(3, 2, 1), 1, 64, 112),
    "MaxPool2d(3, 2, 1), 64 x 64 x 32": (lambda nn: nn.MaxPool2d(3, 2, 1), 64, 64, 32),
}


def simple(name: str) -> Callable[[Any], tuple[Any, Any]]:
    build, N, C, H = SIMPLE[name]
    return lambda lib: (build(lib.nn), numbers(lib, N, C, H, H))


# ------------------------------------------------------------------------- c, d, e, h, i: networks, ascent, training


def whole(name: str, batch: int, size: int) -> Callable[[Any], tuple[Any, Any]]:
    return lambda lib: (network(lib, name, size), numbers(lib, batch, 3, size, size))


def part(name: str, last: str, batch: int, size: int) -> Callable[[Any], tuple[Any, Any]]:
    """A network's children, or those of its `features`, up to the one of this name."""

    def build(lib: Any) -> tuple[Any, Any]:
        model = network(lib, name, size)
        children = dict(getattr(model, "features", model).named_children())
        kept = list(children)[: list(children).index(last) + 1]
        return lib.nn.Sequential(*[children[child] for child in kept]), numbers(lib, batch, 3, size, size)

    return build


def ascent(lib: Any, model: Any, x: Any) -> Work:
    """One step of gradient ascent on channel 12, or on class 12: the gradient to the image alone, Adam on the image."""
    model.requires_grad_(False)
    optimizer = lib.optim.Adam([x.requires_grad_()], lr=0.05)

    def step() -> list[np.ndarray]:
        optimizer.zero_grad()
        (-model(x)[:, 12].mean()).backward()
        optimizer.step()
        return [x.grad.numpy()]

    return step


def maximize(lib: Any, model: Any, x: Any) -> Work:
    """A whole picture with default settings. The result: the activation at the end."""
    if lib.__name__ == "minicnn":
        from minicnn.viz import maximize

        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return lambda: [maximize(model, "features.10:12", mean=mean, std=std, progress=False).activation_end]
    from tests.benchmarks.recipe import maximize_with_torch

    return lambda: [maximize_with_torch(model, 10, [12])]


def training(lib: Any, model: Any, x: Any) -> Work:
    """One step: forward, all gradients, SGD with momentum. The rate is too small to change anything. Nothing is dropped out, since the
    two libraries draw other masks."""
    model.train()
    for module in model.modules():
        if isinstance(module, lib.nn.Dropout):
            module.eval()
    labels = lib.from_numpy(np.arange(len(x)))
    optimizer = lib.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def step() -> list[np.ndarray]:
        optimizer.zero_grad()
        lib.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        return [parameter.grad.numpy() for parameter in model.parameters()]

    return step


NETWORKS = [
    ("alexnet", 1, 224), ("alexnet", 8, 224), ("squeezenet1_1", 1, 224), ("resnet18", 1, 224), ("resnet18", 8, 224), ("vgg16", 1, 224),
    ("tinynet", 1, 64), ("tinynet", 64, 64),
]  # fmt: skip
ASCENTS = [  # network, the last child, pixels, batch
    ("alexnet", "10", 224, 1), ("vgg16", "24", 224, 1), ("resnet18", "layer3", 224, 1), ("squeezenet1_1", "12", 224, 1),
    ("googlenet", "inception4e", 224, 1), ("tinynet", "10", 96, 8),
]  # fmt: skip
FAMILIES = {  # one network of each; the pixels of its images
    "convnext_tiny": 224, "densenet121": 224, "efficientnet_b0": 224, "efficientnet_v2_s": 384, "googlenet": 224, "inception_v3": 299,
    "mnasnet1_0": 224, "mobilenet_v2": 224, "mobilenet_v3_large": 224, "mobilenet_v3_small": 224, "regnet_x_400mf": 224,
    "regnet_y_400mf": 224, "resnet50": 224, "resnext50_32x4d": 224, "shufflenet_v2_x1_0": 224, "wide_resnet50_2": 224,
}  # fmt: skip
FORWARD_TARGETS = ("densenet121", "efficientnet_b0", "googlenet", "mobilenet_v2")  # of the families


def family(name: str, size: int) -> list[Row]:
    wanted, climbed = name in FORWARD_TARGETS, name == "mobilenet_v2"
    return [
        Row("i", f"{name}, batch 1", whole(name, 1, size), forward, *((FORWARD, 1) if wanted else ())),
        Row("i", f"{name}, batch 8", whole(name, 8, size), forward),
        Row("i", f"{name}, ascent step", whole(name, 1, size), ascent, *((ASCENT, 2) if climbed else ())),
    ]


ROWS = [
    *[
        Row("a", f"{name}, batch {batch}: {text}", convolution(name, batch), step, target=5)
        for text, step in WANTED.items() for batch in (1, 8) for name in LAYERS
    ],
    *[
        Row("b", f"{name}: {text}", simple(name), WANTED[text], target=5)
        for text in ("forward", "forward, gradient to input") for name in SIMPLE
    ],
    *[Row("c", f"{name}, batch {batch}", whole(name, batch, size), forward, FORWARD, 1) for name, batch, size in NETWORKS],
    *[row for name, size in FAMILIES.items() for row in family(name, size)],
    *[
        Row("d", f"ascent step: {name} {last} at {size}, batch {batch}", part(name, last, batch, size), ascent, ASCENT, 2)
        for name, last, size, batch in ASCENTS
    ],
    Row("d", "ascent step: vgg16 14 at 128, batch 4", part("vgg16", "14", 4, 128), ascent),
    Row("d", "maximize: tinynet features.10, all defaults", whole("tinynet", 1, 96), maximize),
    *[
        Row("e", f"training step: {name} at {size}, batch {batch}", whole(name, batch, size), training, TRAINING, 3)
        for name, size, batch in (("tinynet", 64, 64), ("resnet18", 64, 32), ("mobilenet_v2", 64, 32))
    ],
    *[
        Row("h", f"{size} px, batch {batch}", part("tinynet", "10", batch, size), ascent)
        for batch, sizes in ((1, (64, 96, 128, 192, 256, 320, 448)), (4, (64, 128)), (16, (64, 96, 128, 192)))
        for size in sizes
    ],
]  # fmt: skip
