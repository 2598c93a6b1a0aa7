"""torchvision's own definitions of its classifiers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.libraries.networks import network

DISTRIBUTION = "torchvision"
NAMES = (
    "alexnet", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "squeezenet1_0", "squeezenet1_1", "googlenet",
    "inception_v3", "densenet121", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0", "mnasnet0_5", "mnasnet1_0", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf",
    "convnext_tiny", "swin_t", "vit_b_16",
)  # fmt: skip
SIZES = {"inception_v3": (79, 91), "vit_b_16": (224, 224)}
TRAINED: dict[
    str, dict[str, Any]
] = {  # in training mode: batch norm by the batch, outputs on the way, activations computed twice
    "googlenet": {
        "aux_logits": True,
        "transform_input": True,
        "init_weights": False,
        "dropout": 0.0,
        "dropout_aux": 0.0,
    },
    "inception_v3": {"transform_input": True, "init_weights": False, "dropout": 0.0, "size": (299, 299)},
    "densenet121": {"num_classes": 3, "memory_efficient": True},
    "mobilenet_v3_small": {"dilated": True, "dropout": 0.0},
    "efficientnet_b0": {"num_classes": 5, "dropout": 0.0, "stochastic_depth_prob": 0.0},
}


def build(name: str, **settings: Any) -> Any:
    from torchvision import models

    if name in ("googlenet", "inception_v3"):
        settings.setdefault("init_weights", False)
    return models.get_model(name, **settings)


def cases() -> dict[str, Callable]:
    found = {name: network(partial(build, name), SIZES.get(name, (65, 88))) for name in NAMES}
    for name, settings in TRAINED.items():
        size = settings.get("size", (65, 88))
        rest = {key: value for key, value in settings.items() if key != "size"}
        found[f"{name}, training"] = network(partial(build, name, **rest), size, train=True)
    return found
