"""torchsummary: the table that it prints, character by character."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.libraries.networks import small

DISTRIBUTION = "torchsummary"
FLOAT32 = False  # it prints counts and sizes


def as_numbers(text: str) -> list[Any]:
    """The characters of a text."""
    import torch

    return [torch.tensor([ord(letter) for letter in text], dtype=torch.float64)]


def printed(build: Callable[[], Any], size: Any, dtype: Any, **how: Any) -> list[Any]:
    from torchsummary import summary

    with contextlib.redirect_stdout(io.StringIO()) as out:
        summary(build(), size, device="cpu", **how)
    return as_numbers(out.getvalue())


def ours() -> Any:
    import torch

    return small(torch.float32)


def of_torchvision(name: str) -> Any:
    from torchvision import models

    return models.get_model(name)


def two_inputs() -> Any:
    import torch
    from torch import nn

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3), nn.Linear(9, 2)

        def forward(self, x: Any, y: Any) -> Any:
            return self.last((self.first(x) + torch.relu(self.second(y))).flatten(2))

    return Two()


def cases() -> dict[str, Callable]:
    return {
        "the small network": partial(printed, ours, (3, 28, 36)),
        "the small network, a batch": partial(printed, ours, (3, 28, 36), batch_size=5),
        "vgg11_bn": partial(printed, partial(of_torchvision, "vgg11_bn"), (3, 64, 64)),
        "resnet18": partial(printed, partial(of_torchvision, "resnet18"), (3, 64, 64)),
        "two inputs": partial(printed, two_inputs, [(1, 5, 5), (1, 5, 5)]),
    }
