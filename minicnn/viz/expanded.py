"""Expanded weights: what a deep unit weighs in the image, if all that lies between is made linear.

A convolution is linear, and two in a row are one convolution with a larger kernel. What keeps a network from being that are its
ReLUs and max poolings. `linearized` replaces them for a while by the linear maps nearest to them:

    ReLU and its kin    pass their input on, as if every gate were open
    max pooling         the mean of the same windows
    all else            as it is: convolution, batch norm in eval mode, average pooling, sums, concatenation

What is left is linear but for constants, and the weights of a unit are its derivative by the pixels, the same everywhere. They
are exact for the first layer, and say less of the network the more gates lie before the unit. Voss et al. 2021, "Visualizing
weights" (Distill), call them so.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn import Tensor, autograd, enable_grad, kernels, nn, tensor, zeros
from minicnn.nn import MaxPool2d, Module
from minicnn.nn import functional as F
from minicnn.viz.figures.filters import draw_filters
from minicnn.viz.figures.plot import Figure
from minicnn.viz.geometry import receptive_fields
from minicnn.viz.network import dtype_of, find_module, input_channels, outputs_of, statistics

GATES = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish)
BATCH = 16  # units whose weights are computed at once


@dataclass(frozen=True)
class ExpandedWeights:
    """What `expanded_weights` found: weights (N, C, H, W) of N units over the pixels of their receptive field.

    channels: (N,) the units' channels.
    replaced: What was made linear on the way, in words.
    """

    weights: np.ndarray
    layer: str
    channels: np.ndarray
    replaced: tuple[str, ...] = ()
    order: str = "rgb"
    """Of three input channels, as the network takes them."""

    def figure(self, columns: int | None = None, title: str | None = None) -> Figure:
        """The weights as pictures, in colour for three input channels, each on its own scale about zero."""
        height, width = self.weights.shape[2:]
        how = f", {' and '.join(self.replaced)}" if self.replaced else ""
        title = title or f"{self.layer}: weights over {height} × {width} pixels{how}"
        weights = self.weights[:, ::-1] if self.order == "bgr" else self.weights
        return draw_filters(weights, columns=columns, title=title, labels=[str(c) for c in self.channels])


@contextmanager
def linearized(model: Module) -> Iterator[set[str]]:
    """In the block every ReLU (or other gate) of the model passes its input on, and every max pooling takes means.

    By hooks: the modules stay the same objects, and the hooks are removed at the end, after an error too. What the
    model calls as a function (`F.relu`) keeps its own rule. Yields a set of words that says what a pass met so far. Raises
    ValueError for a dilated max pooling.
    """
    handles: list[Any] = []
    met: set[str] = set()
    try:
        for module in model.modules():
            if isinstance(module, MaxPool2d):
                handles += _replace(module, _mean_of_windows(module), met, "maxima averaged")
            elif isinstance(module, GATES):
                handles += _replace(module, lambda x: x, met, "ReLUs open")
        yield met
    finally:
        for handle in handles:
            handle.remove()


def expanded_weights(
    model: Module, layer: str, channels: int | Sequence[int] | None = None, *, size: int = 224
) -> ExpandedWeights:
    """The weights of units of a layer over the pixels of their receptive field, in the `linearized` network.

    They multiply the network's own input, which is normalised. Equal to the derivative of the unit by the image, for any
    image: that the network is linear under the rules is checked on one random image.

    Args:
        model, layer: a dotted name; what lies behind it does not matter. channels: of the units; None: all.
        size: side of an image that reaches the layer, used to find the receptive field.

    Raises KeyError for an unknown layer, IndexError for a channel that is not there, ValueError if every unit sees the
    whole image (behind a global average), or if something on the way has no linear rule.
    """
    find_module(model, layer)
    planes = input_channels(model)
    field = receptive_fields(model, layer, (1, planes, size, size))[layer]
    if field.everything:
        raise ValueError(f"a unit of {layer!r} sees the whole image, so that its weights have no size of their own")
    at = [-(axis.start // axis.stride) for axis in (field.y, field.x)]  # the first unit whose field lies inside
    top, left, bottom, right = field.box(at[0], at[1])

    def respond(images: Tensor) -> Tensor:
        return outputs_of(model, layer, images.to(dtype_of(model)))[layer][:, :, at[0], at[1]]  # (N, channels)

    with linearized(model) as met, kernels.exact():
        constant = respond(zeros(1, planes, bottom, right)).numpy()[0]
        chosen = _chosen(channels, len(constant), layer)
        weights = np.concatenate(
            [_derivative(respond, chosen[i : i + BATCH], (planes, bottom, right)) for i in range(0, len(chosen), BATCH)]
        )
        probe = np.random.default_rng(0).standard_normal((1, planes, bottom, right), dtype=np.float32)
        answer = respond(tensor(probe)).numpy()[0, chosen]
    expected = constant[chosen] + np.tensordot(weights, probe[0], 3)
    if not np.allclose(answer, expected, rtol=1e-3, atol=1e-3 * (np.abs(answer - constant[chosen]).max() + 1e-12)):
        raise ValueError(f"up to {layer!r} the network is not linear: something on the way has no rule, such as F.relu")
    order = statistics(model, channels=planes).order
    return ExpandedWeights(weights[:, :, top:, left:], layer, chosen, tuple(sorted(met)), order)


def _derivative(respond: Any, channels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """The derivative of each of these channels' answers by an image (N, C, H, W), one image for each."""
    with enable_grad():
        images = zeros(len(channels), *shape).requires_grad_()
        grads: Any = autograd.grad([respond(images)[np.arange(len(channels)), channels].sum()], [images])
    return grads[0].numpy()


def _chosen(channels: int | Sequence[int] | None, total: int, layer: str) -> np.ndarray:
    chosen = np.arange(total) if channels is None else np.atleast_1d(np.asarray(channels, int))
    if len(chosen) and not 0 <= chosen.min() <= chosen.max() < total:
        raise IndexError(f"{layer!r} has {total} channels, 0 to {total - 1}, got {channels}")
    return chosen


def _mean_of_windows(pool: MaxPool2d) -> Any:
    if pool.dilation not in (1, (1, 1)):
        raise ValueError(f"{pool} has no linear rule: its windows have holes")

    def means(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)

    return means


def _replace(module: Module, rule: Any, met: set[str], word: str) -> list[Any]:
    """Hooks on one module: remember its input on the way in (and protect it from an in-place module), return rule(input)."""
    inputs: list[Tensor] = []

    def before(module: Module, args: tuple) -> tuple:
        inputs.append(args[0])
        met.add(word)
        return (args[0].detach().clone(),)  # what the module itself returns is thrown away

    def after(module: Module, args: tuple, output: Any) -> Any:
        return rule(inputs.pop())

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after, prepend=True)]
