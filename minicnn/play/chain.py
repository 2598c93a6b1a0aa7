"""The network as the page's engine can run it: layers one after the other."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, nn, no_grad
from minicnn.viz.network import frozen

PASSED_OVER = (
    nn.Dropout,
    nn.Dropout2d,
    nn.Flatten,
    nn.Identity,
)  # they change no number of a network that is not trained


@dataclass(frozen=True)
class Layer:
    """One step. kind: "conv", "relu", "pool", "average" or "linear"; settings: what the page is told of it."""

    name: str
    kind: str
    module: nn.Module
    settings: dict[str, int]


def chain(model: nn.Module, x: Tensor) -> list[Layer]:
    """The layers of a network in the order in which they run.

    Args:
        model: a chain of `Conv2d` (square kernels, zeros as padding, no groups), `ReLU`, `MaxPool2d`, a global average, `Linear`.
        x: (1, C, H, W), on which the chain must answer as the model does.

    Raises TypeError for a layer that the page cannot run, ValueError if the model is not a chain of its layers.
    """
    leaves = [(name, module) for name, module in model.named_modules() if next(module.children(), None) is None]
    layers = [_layer(name, module) for name, module in leaves if not isinstance(module, PASSED_OVER)]
    rule = "the page runs a network whose layers follow each other in the order in which they are defined"
    with frozen(model), no_grad():
        expected = model(x)
        try:
            found = x
            for layer in layers:
                found = layer.module(found.flatten(1) if layer.kind == "linear" else found)
        except Exception as error:
            raise ValueError(f"{rule}; these do not: {error}") from error
    if not isinstance(expected, Tensor) or expected.ndim != 2 or expected.shape != found.shape:
        raise ValueError(f"{rule}, and ends in logits (N, classes)")
    difference = float(np.abs(expected.numpy() - found.numpy()).max())
    if not difference <= 1e-5 * float(np.abs(expected.numpy()).max()):
        raise ValueError(
            f"{rule}; run so, these answer something else than the network: a logit differs by {difference:.3g}"
        )
    return layers


def _layer(name: str, module: nn.Module) -> Layer:
    if isinstance(module, nn.Conv2d):
        settings = {
            key: _one(name, key, getattr(module, key)) for key in ("kernel_size", "stride", "padding", "dilation")
        }
        if module.groups != 1 or module.padding_mode != "zeros":
            raise TypeError(f"{name}: the page runs convolutions of one group with zeros as padding, not {module}")
        return Layer(name, "conv", module, {**settings, "inputs": module.in_channels, "outputs": module.out_channels})
    if isinstance(module, nn.MaxPool2d):
        settings = {key: _one(name, key, getattr(module, key)) for key in ("kernel_size", "stride", "padding")}
        if module.dilation not in (1, (1, 1)) or module.ceil_mode or module.return_indices:
            raise TypeError(
                f"{name}: the page runs max-pooling without dilation, ceil_mode and return_indices, not {module}"
            )
        return Layer(name, "pool", module, settings)
    if isinstance(module, nn.Linear):
        return Layer(name, "linear", module, {"inputs": module.in_features, "outputs": module.out_features})
    if isinstance(module, nn.ReLU):
        return Layer(name, "relu", module, {})
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return Layer(name, "average", module, {})
    raise TypeError(f"{name}: the page runs Conv2d, ReLU, MaxPool2d, AdaptiveAvgPool2d(1) and Linear, not {module}")


def _one(name: str, key: str, value: Any) -> int:
    """The number that a setting is along both axes."""
    numbers = set(value) if isinstance(value, tuple) else {value}
    if len(numbers) != 1 or not isinstance(number := numbers.pop(), int):
        raise TypeError(f"{name}: the page takes one number as {key}, the same along both axes, not {value!r}")
    return number
