"""Weights as whole numbers of 8 or 16 bits, with a factor for each filter: weight = factor * whole number."""

import copy
from collections.abc import Sequence

import numpy as np

from minicnn import Tensor, nn, no_grad
from minicnn.play.chain import Layer

TYPES: dict[int, type[np.signedinteger]] = {8: np.int8, 16: np.int16}


def quantize(weight: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 (O, ...) -> (int8 or int16 (O, ...), float32 (O,) factors): the largest |weight| of a filter is the largest number.

    A weight moves by at most half a factor, which is the filter's largest |weight| / 254 or / 65534. Raises ValueError for other bits and
    for weights that are not finite.
    """
    if bits not in TYPES:
        raise ValueError(f"weights are packed into 8 or 16 bits, not {bits}")
    if not np.isfinite(weight).all():
        raise ValueError("the weights are not all finite: they cannot be packed")
    top = np.abs(weight.reshape(len(weight), -1)).max(1, initial=0)
    factor = (top / np.iinfo(TYPES[bits]).max).astype(np.float32)
    safe = np.where(factor > 0, factor, 1).reshape(-1, *[1] * (weight.ndim - 1))  # a filter of zeros stays one
    return np.rint(weight / safe).astype(TYPES[bits]), factor


def pack(layers: Sequence[Layer], bits: int) -> bytes:
    """The weights of a chain, layer by layer: first all factors and biases as float32, then all whole numbers; little-endian."""
    floats, numbers = [], []
    for layer in layers:
        weight = _array(layer.module, "weight")
        if weight is not None:
            whole, factor = quantize(weight, bits)
            bias = _array(layer.module, "bias")
            floats += [factor, np.zeros(len(weight), np.float32) if bias is None else bias]
            numbers.append(whole)
    return b"".join(part.astype(part.dtype.newbyteorder("<")).tobytes() for part in (*floats, *numbers))


def restored(model: nn.Module, bits: int) -> nn.Module:
    """A copy of the network with the weights that the page has: packed, and unpacked again. Biases stay as they are."""
    model = copy.deepcopy(model)
    with no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                whole, factor = quantize(module.weight.detach().numpy(), bits)
                shape = (-1, *[1] * (whole.ndim - 1))
                module.weight.copy_(Tensor.wrap(whole.astype(np.float32) * factor.reshape(shape)))
    return model


def _array(module: nn.Module, name: str) -> np.ndarray | None:
    value = getattr(module, name, None)
    return None if value is None else value.detach().numpy().astype(np.float32)
