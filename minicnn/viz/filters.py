"""Weights as pictures: the first layer's filters in colour, a deeper layer as a matrix of kernels about zero.

A weight is (O, C, KH, KW): O filters over C input channels (C / groups for a grouped convolution). Zero is always mid-grey or white:
a filter is a pattern of plus and minus, and its picture must show where neither is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import Tensor
from minicnn.nn import Module
from minicnn.viz.network import find_module, first_convolution, stated
from minicnn.viz.tiles import GREY

DEAD = 0.01  # a filter whose largest weight is below this share of the layer's largest one counts as dead


def weight_of(source: Any, layer: str | None = None) -> np.ndarray:
    """The weight (O, C, KH, KW) as an array: of an array, a tensor, a convolution, or a layer of a model by its name.

    A model without `layer` means its first convolution. Where a network takes blue, green, red, that convolution's channels are
    turned, so that pictures of it have their colours.
    """
    turned = False
    if isinstance(source, Module):
        first = first_convolution(source) if stated(source, "channels_order") == "bgr" else None
        turned = first is not None and layer in (None, first[0])
        if layer is not None:
            source = find_module(source, layer)
        elif getattr(source, "weight", None) is None:
            first = first_convolution(source)
            if first is None:
                raise ValueError(f"{type(source).__name__} has no convolution")
            source = first[1]
        source = getattr(source, "weight", None)
    weight = source.detach().numpy() if isinstance(source, Tensor) else np.asarray(source)
    if weight.ndim != 4:
        raise ValueError(
            f"filters are (C_out, C_in, KH, KW), got {weight.shape if weight.ndim else type(source).__name__}"
        )
    return weight[:, ::-1] if turned and weight.shape[1] == 3 else weight


def dead_filters(weight: np.ndarray, below: float = DEAD) -> np.ndarray:
    """bool (O,): the filter's largest |weight| is at most `below` x the layer's largest |weight|, or is not finite."""
    peak = np.abs(weight).max(axis=(1, 2, 3))
    finite = np.isfinite(peak)
    return ~finite | (peak <= below * np.max(peak, where=finite, initial=0.0))


def filter_tiles(weight: np.ndarray, scale: str = "each") -> np.ndarray:
    """Weights (O, C, KH, KW) -> pictures (O, KH, KW, C) in [0, 1] in which 0.5 is a weight of zero.

    scale "each": 0.5 + w / (2 m), m the filter's own largest |w|; "shared": m the layer's largest |w|.
    """
    if scale not in ("each", "shared"):
        raise ValueError(f"scale is 'each' or 'shared', not {scale!r}")
    axis = (1, 2, 3) if scale == "each" else None
    top = np.abs(weight).max(axis=axis, keepdims=True)
    pictures = GREY + weight / np.where(top > 0, 2 * top, 1)
    return pictures.transpose(0, 2, 3, 1).astype(np.float32)


def ranking(weight: np.ndarray, order: str | Sequence[int] = "index", axis: int = 0) -> np.ndarray:
    """The filters (axis 0) or input channels (axis 1) in the order that is asked for, as indices.

    order: "index"; "norm": the largest Euclidean norm first; "variance": the largest variance first; or the indices.
    """
    if not isinstance(order, str):
        return np.asarray(order, int)
    rows = np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    if order == "index":
        return np.arange(len(rows))
    if order not in ("norm", "variance"):
        raise ValueError(f"order is 'index', 'norm', 'variance' or a list of indices, not {order!r}")
    key = np.linalg.norm(rows, axis=1) if order == "norm" else rows.var(axis=1)
    return np.argsort(-key, kind="stable")
