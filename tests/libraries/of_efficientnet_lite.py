"""efficientnet-lite-pytorch: a package of EfficientNet Lite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.libraries.networks import network

DISTRIBUTION = "efficientnet-lite-pytorch"


def build(name: str) -> Any:
    from efficientnet_lite_pytorch import EfficientNet

    return EfficientNet.from_name(name)


def cases() -> dict[str, Callable]:
    return {name: network(partial(build, name)) for name in ("efficientnet-lite0", "efficientnet-lite1")}
