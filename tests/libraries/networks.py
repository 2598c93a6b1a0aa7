"""A network with the same weights on both sides: numbers by the names of its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np

from tests.torchvision_record import directions, fill, image, outputs_of


def network(
    build: Callable[[], Any], size: tuple[int, int] = (65, 88), train: bool = False, weights: bool = True
) -> Callable:
    """A case: the outputs of the network on two images of this height and width, and the gradient to them.

    `weights=False` leaves the network its own numbers.
    """

    def run(dtype: Any) -> list[Any]:
        import torch

        model = build().to(dtype).train(train).requires_grad_(False)
        own = model.state_dict()
        if weights:
            with torch.no_grad():
                for key, value in fill({key: value.shape for key, value in own.items()}).items():
                    if own[key].is_floating_point() or key.endswith("num_batches_tracked"):
                        own[key].copy_(torch.from_numpy(value))
        return with_gradient(model, torch.from_numpy(image(size)).to(dtype).requires_grad_())

    return run


def with_gradient(model: Callable, x: Any) -> list[Any]:
    """What the model gives for x, and the gradient to x of all of it, each number with a weight."""
    import torch

    outputs = outputs_of(model(x))
    sum((y * torch.from_numpy(directions(tuple(y.shape))).to(y.dtype)).sum() for y in outputs).backward()
    return [*outputs, x.grad]


def small(dtype: Any) -> Any:
    """A network of three convolutions for images of any size, ten classes; every ReLU and pool is a module of its own."""
    from torch import nn

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.relu1, self.pool1 = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
            self.conv2, self.relu2, self.pool2 = nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
            self.conv3, self.relu3, self.avgpool = nn.Conv2d(12, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(16, 10)

        def forward(self, x: Any) -> Any:
            x = self.pool1(self.relu1(self.conv1(x)))
            x = self.pool2(self.relu2(self.conv2(x)))
            return self.fc(self.avgpool(self.relu3(self.conv3(x))).flatten(1))

    return filled(Small(), dtype)


def filled(model: Any, dtype: Any) -> Any:
    """The model in evaluation mode with the numbers of `fill`, in this type."""
    import torch

    own = model.to(dtype).eval().state_dict()
    with torch.no_grad():
        for key, value in fill({key: value.shape for key, value in own.items()}).items():
            own[key].copy_(torch.from_numpy(value))
    return model


def images(dtype: Any, size: tuple[int, int] = (28, 36)) -> Any:
    """Two images (2, 3, H, W)."""
    import torch

    return torch.from_numpy(image(size)).to(dtype)


@contextmanager
def default_type(dtype: Any) -> Iterator[None]:
    """What a library makes without a type, it makes in this one."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def in_float64(*arrays: tuple[Any, str]) -> Iterator[None]:
    """float64 where a library writes float32: in `Tensor.float`, and in arrays of its own, given as (module, name)."""
    import torch

    with default_type(torch.float64), ExitStack() as changes:
        changes.enter_context(mock.patch.object(torch.Tensor, "float", torch.Tensor.double))
        for module, name in arrays:
            changes.enter_context(mock.patch.object(module, name, getattr(module, name).astype(np.float64)))
        yield
