"""Resize and Upsample: each pixel of the result is a weighted sum of a few of the image's, along one dimension after the other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import nn
from minicnn._tensor import Tensor
from minicnn.onnx._node import Node, check_size, ints

Array = np.ndarray
ROUND: dict[str, Callable[[Array], Array]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}
MODES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)  # fmt: skip


def _places(how: str, factor: float, n: int, m: int, region: tuple[float, float]) -> Array:
    """Where the m pixels of the result lie among the n of the image, which are at 0, 1, ..."""
    length = factor * n  # the m that it would be without rounding
    y, by = np.arange(m, dtype=np.float32), np.float32(factor)  # in single precision, as runtimes do
    if how == "asymmetric":
        return y / by
    if how == "align_corners":
        return y * np.float32(n - 1) / np.float32(length - 1) if length != 1 else np.zeros(m)
    if how == "tf_crop_and_resize":
        start, end = region
        middle = (end - start) * (n - 1)
        return start * (n - 1) + (y * middle / (length - 1) if length != 1 else np.full(m, middle / 2))
    if how == "pytorch_half_pixel" and length <= 1:
        return np.zeros(m)
    if how == "tf_half_pixel_for_nn":
        return (y + 0.5) / by
    offset = np.float32(n / 2 * (1 - m / length)) if how == "half_pixel_symmetric" else np.float32(0)
    return offset + (y + 0.5) / by - 0.5


def _cubic(distance: Array, a: float) -> Array:
    d = np.abs(distance)
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _taps(places: Array, n: int, mode: str, near: str, a: float, inside: bool, shrink: float) -> tuple[Array, Array]:
    """(m, taps): which pixels of the image each pixel of the result is made of, and by which weights.

    inside: weights of pixels outside of the image are 0, else its edge is repeated. shrink: below 1 the filter is widened.
    """
    if mode == "nearest":
        return np.clip(ROUND[near](places), 0, n - 1).astype(np.int64)[:, None], np.ones((len(places), 1))
    reach = (1 if mode == "linear" else 2) / shrink
    check_size([len(places), math.ceil(2 * reach)])
    around = np.floor(places)[:, None] + np.arange(math.floor(-reach) + 1, 1 - math.floor(-reach))
    distance = (around - places[:, None]) * shrink
    weights = np.clip(1 - np.abs(distance), 0, 1) if mode == "linear" else _cubic(distance, a)
    if inside:
        weights = np.where((around >= 0) & (around < n), weights, 0.0)
    if inside or shrink < 1:
        weights = weights / weights.sum(1, keepdims=True)
    return np.clip(around, 0, n - 1).astype(np.int64), weights


def _mixed(x: Tensor, axis: int, taps: Array, weights: Array) -> Tensor:
    """The sum of the taps, each times its weight."""
    total: Any = None
    for tap, weight in zip(taps.T, weights.T, strict=True):
        part = x.index_select(axis, Tensor.wrap(np.ascontiguousarray(tap)))
        if (weight != 1).any():
            shape = [1] * x.dim()
            shape[axis] = -1
            part = part * Tensor.wrap(weight.reshape(shape).astype(x.dtype.numpy))
        total = part if total is None else total + part
    return total


def resize(node: Node) -> Any:
    """Resize, Upsample: nn.Upsample where that is the same, else a function."""
    old = node.op == "Upsample" or node.opset < 11
    mode = node.attr("mode", "nearest")
    how = "asymmetric" if old else node.attr("coordinate_transformation_mode", "half_pixel")
    near = "floor" if old else node.attr("nearest_mode", "round_prefer_floor")
    for name, value, known in (
        ("mode", mode, ("nearest", "linear", "cubic")),
        ("nearest_mode", near, ROUND),
        ("the mode", how, MODES),
    ):
        if value not in known:
            raise node.error(f"{name} is {value!r:.40}, not one of {', '.join(known)}")
    if (same := _upsample(node, mode, how, near, old)) is not None:
        return same
    smooth, inside, a = (
        node.attr("antialias", 0),
        bool(node.attr("exclude_outside", 0)),
        node.attr("cubic_coeff_a", -0.75),
    )
    policy, beyond = node.attr("keep_aspect_ratio_policy", "stretch"), node.attr("extrapolation_value", 0.0)
    named, stated = node.attr("axes"), node.attr("scales")

    def compute(x: Tensor, *given: Tensor | None) -> Tensor:
        roi, scales, sizes = [*([None] if old else []), *given, None, None, None][:3]
        axes = list(range(x.dim())) if named is None else [d % x.dim() for d in named]
        lengths = [x.shape[d] for d in axes]
        if sizes is not None and sizes.numel():
            wanted = ints(sizes)
            factors = [m / n for m, n in zip(wanted, lengths, strict=True)]
            if policy != "stretch":
                factors = [(min if policy == "not_larger" else max)(factors)] * len(axes)
                wanted = [math.floor(n * factors[0] + 0.5) for n in lengths]
        else:
            factors = stated if scales is None else [float(v) for v in scales.array]
            wanted = [math.floor(n * f) for n, f in zip(lengths, factors, strict=True)]
        check_size(wanted)
        regions = [(0.0, 1.0)] * len(axes)
        if how == "tf_crop_and_resize" and roi is not None:
            regions = list(zip(*np.split(roi.array.astype(float), 2), strict=True))
        for d, factor, m, region in zip(axes, factors, wanted, regions, strict=True):
            n = x.shape[d]
            if (m, factor) == (n, 1.0) and region == (0.0, 1.0):
                continue
            places = _places(how, factor, n, m, region)
            # before opset 11 the standard names no rounding: runtimes take the next pixel where the image shrinks
            rounding = "ceil" if old and factor < 1 else near
            x = _mixed(x, d, *_taps(places, n, mode, rounding, a, inside, min(factor, 1.0) if smooth else 1.0))
            if how == "tf_crop_and_resize":
                outside = ((places < 0) | (places > n - 1)).reshape([-1 if i == d else 1 for i in range(x.dim())])
                x = x.masked_fill(Tensor.wrap(outside), beyond)
        return x

    return compute


def _upsample(node: Node, mode: str, how: str, near: str, old: bool) -> nn.Module | None:
    """An Upsample layer, for images (N, C, H, W) that a constant factor enlarges as PyTorch does."""
    scales = node.constant(1 if old else 2)
    factors = node.attr("scales", []) if scales is None else [float(v) for v in scales.array.reshape(-1)]
    if len(factors) != 4 or factors[:2] != [1.0, 1.0] or node.has(3) or node.attr("axes") or node.attr("antialias", 0):
        return None
    by, centred = tuple(factors[2:]), how in ("half_pixel", "pytorch_half_pixel")
    whole = all(f.is_integer() for f in by)  # else the standard counts the corners with a length that is not rounded
    if (
        mode == "nearest"
        and whole
        and ((how, near) == ("asymmetric", "floor") or (centred and near.startswith("round")))
    ):
        return nn.Upsample(scale_factor=by, mode="nearest")
    if mode == "linear" and (centred or (whole and how == "align_corners")) and not node.attr("exclude_outside", 0):
        return nn.Upsample(scale_factor=by, mode="bilinear", align_corners=how == "align_corners")
    return None
