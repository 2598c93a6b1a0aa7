"""What is timed, written once for both libraries: `row.make(lib)` returns a function that does the work once and returns
its result as arrays, so that the two libraries' results can be compared as well as their times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.networks import network


class Row(NamedTuple):
    group: str
    name: str
    make: Callable[[Any], Callable[[], list[np.ndarray]]]


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


def convolution(name: str, batch: int, wanted: str) -> Callable[[Any], Callable]:
    """Forward alone, or forward and backward with the gradients that are wanted: "input", "all"."""
    C, H, O, K, stride, padding = LAYERS[name]

    def make(lib: Any) -> Callable:
        layer = lib.nn.Conv2d(C, O, K, stride, padding)
        with lib.no_grad():
            layer.weight.copy_(numbers(lib, O, C, K, K, seed=1) * (C * K * K) ** -0.5)
            layer.bias.copy_(numbers(lib, O, seed=2))
        return forward_and_backward(lib, layer, numbers(lib, batch, C, H, H), wanted)

    return make


def forward_and_backward(lib: Any, layer: Any, x: Any, wanted: str) -> Callable:
    """The work of one layer. The results: its output, and the gradients to the input and to the parameters."""
    for parameter in layer.parameters():
        parameter.requires_grad_(wanted == "all")
    if wanted == "forward":

        def forward() -> list[np.ndarray]:
            with lib.no_grad():
                return [layer(x).numpy()]

        return forward
    x.requires_grad_()
    grad = numbers(lib, *layer(x).shape, seed=3)
    leaves = [x, *layer.parameters()] if wanted == "all" else [x]

    def both() -> list[np.ndarray]:
        for leaf in leaves:
            leaf.grad = None
        y = layer(x)
        y.backward(grad)
        return [y.detach().numpy(), *[leaf.grad.numpy() for leaf in leaves]]

    return both


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


def simple(name: str, wanted: str) -> Callable[[Any], Callable]:
    build, N, C, H = SIMPLE[name]
    return lambda lib: forward_and_backward(lib, build(lib.nn), numbers(lib, N, C, H, H), wanted)


# ---------------------------------------------------------------------------- c, d, e: networks, ascent, training


def forward(name: str, batch: int, size: int) -> Callable[[Any], Callable]:
    def make(lib: Any) -> Callable:
        return forward_and_backward(lib, network(lib, name), numbers(lib, batch, 3, size, size), "forward")

    return make


def ascent(name: str, layer: int, batch: int, size: int) -> Callable[[Any], Callable]:
    """One step of gradient ascent: forward to `features.<layer>`, the gradient to the image alone, Adam on the image."""

    def make(lib: Any) -> Callable:
        model = lib.nn.Sequential(*list(network(lib, name).features)[: layer + 1])
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        x = numbers(lib, batch, 3, size, size).requires_grad_()
        optimizer = lib.optim.Adam([x], lr=0.05)

        def step() -> list[np.ndarray]:
            optimizer.zero_grad()
            (-model(x)[:, 12].mean()).backward()
            optimizer.step()
            return [x.grad.numpy()]

        return step

    return make


def logit_ascent(name: str, size: int) -> Callable[[Any], Callable]:
    """One step of gradient ascent on a class: forward to the logits, the gradient to the image alone, Adam on the image."""

    def make(lib: Any) -> Callable:
        model = network(lib, name).requires_grad_(False)
        x = numbers(lib, 1, 3, size, size).requires_grad_()
        optimizer = lib.optim.Adam([x], lr=0.05)

        def step() -> list[np.ndarray]:
            optimizer.zero_grad()
            (-model(x)[:, 12].sum()).backward()
            optimizer.step()
            return [x.grad.numpy()]

        return step

    return make


def maximize(lib: Any) -> Callable:
    """A whole picture with default settings. The result: the activation at the end."""
    model = network(lib, "tinynet")
    if lib.__name__ == "minicnn":
        from minicnn.viz import maximize

        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        return lambda: [maximize(model, "features.10:12", mean=mean, std=std, progress=False).activation_end]
    from tests.benchmarks.recipe import maximize_with_torch

    return lambda: [maximize_with_torch(model, 10, [12])]


def training(lib: Any) -> Callable:
    """One step on 64 images: forward, all gradients, SGD with momentum."""
    model = network(lib, "tinynet").train()
    x = numbers(lib, 64, 3, 64, 64)
    labels = lib.from_numpy(np.arange(64))
    optimizer = lib.optim.SGD(model.parameters(), lr=1e-6, momentum=0.9)

    def step() -> list[np.ndarray]:
        optimizer.zero_grad()
        lib.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        return [parameter.grad.numpy() for parameter in model.parameters()]

    return step


NETWORKS = [
    ("tinynet", 1, 64), ("tinynet", 64, 64), ("alexnet", 1, 224), ("alexnet", 8, 224), ("squeezenet1_1", 1, 224),
    ("resnet18", 1, 224), ("vgg16", 1, 224),
]  # fmt: skip
FAMILIES = {  # one network of each; the pixels of its images
    "convnext_tiny": 224, "densenet121": 224, "efficientnet_b0": 224, "efficientnet_v2_s": 384, "googlenet": 224, "inception_v3": 299,
    "mnasnet1_0": 224, "mobilenet_v2": 224, "mobilenet_v3_large": 224, "mobilenet_v3_small": 224, "regnet_x_400mf": 224,
    "regnet_y_400mf": 224, "resnet50": 224, "resnext50_32x4d": 224, "shufflenet_v2_x1_0": 224, "wide_resnet50_2": 224,
}  # fmt: skip
WANTED = {"forward": "forward", "input": "forward, gradient to input", "all": "forward, all gradients"}

ROWS = [
    *[
        Row("a", f"{name}, batch {batch}: {text}", convolution(name, batch, wanted))
        for wanted, text in WANTED.items() for batch in (1, 8) for name in LAYERS
    ],
    *[Row("b", f"{name}: {WANTED[wanted]}", simple(name, wanted)) for wanted in ("forward", "input") for name in SIMPLE],
    *[Row("c", f"{name}, batch {batch}", forward(name, batch, size)) for name, batch, size in NETWORKS],
    *[
        Row("i", f"{name}: {what}", make)
        for name, size in FAMILIES.items()
        for what, make in (
            ("batch 1", forward(name, 1, size)), ("batch 8", forward(name, 8, size)), ("ascent step", logit_ascent(name, size)),
        )
    ],
    Row("d", "ascent step: vgg16 conv5_1 at 224", ascent("vgg16", 24, 1, 224)),
    Row("d", "ascent step: vgg16 conv3_3 at 128, batch 4", ascent("vgg16", 14, 4, 128)),
    Row("d", "ascent step: tinynet features.10 at 96, batch 8", ascent("tinynet", 10, 8, 96)),
    Row("d", "maximize: tinynet features.10, all defaults", maximize),
    Row("e", "training step: tinynet, batch 64", training),
    *[
        Row("h", f"{size} px, batch {batch}", ascent("tinynet", 10, batch, size))
        for batch, sizes in ((1, (64, 96, 128, 192, 256, 320, 448)), (4, (64, 128)), (16, (64, 96, 128, 192)))
        for size in sizes
    ],
]  # fmt: skip
