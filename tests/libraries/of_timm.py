"""timm's networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.libraries.networks import network

DISTRIBUTION = "timm"
NAMES = ("resnet18", "mobilenetv3_small_100", "convnext_atto", "efficientnet_b0")


def build(name: str) -> Any:
    import timm

    return timm.create_model(name)


def cases() -> dict[str, Callable]:
    return {name: network(partial(build, name)) for name in NAMES}
