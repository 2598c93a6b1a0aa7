"""What a layer answers to one image, channel by channel."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import Tensor


def maps_of(output: Any, n: int = 0) -> np.ndarray:
    """Image n's maps (C, H, W) of a captured output (N, C, H, W), or (C, H, W) as it is."""
    array = output.detach().numpy() if isinstance(output, Tensor) else np.asarray(output)
    if array.ndim == 4:
        return array[n]
    if array.ndim != 3:
        raise ValueError(f"feature maps are (N, C, H, W) or (C, H, W), got {array.shape}")
    return array


def silent(maps: np.ndarray) -> np.ndarray:
    """bool (C,): the map has one value everywhere (for a ReLU: zero), or is not finite. It says nothing of this image."""
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    return ~np.isfinite(low + high) | (high - low <= 1e-7 * np.maximum(np.abs(low), np.abs(high)))


def rank_maps(maps: np.ndarray, order: str | Sequence[int] = "index") -> np.ndarray:
    """Channels in this order: "index"; "variance" or "mean", the largest first, the silent last; or a list of indices."""
    if not isinstance(order, str):
        return np.asarray(order, int)
    if order == "index":
        return np.arange(len(maps))
    if order not in ("variance", "mean"):
        raise ValueError(f"order is 'index', 'variance', 'mean' or a list of channels, not {order!r}")
    key = maps.var(axis=(1, 2)) if order == "variance" else maps.mean(axis=(1, 2))
    return np.argsort(np.where(silent(maps), np.inf, -key), kind="stable")
