"""Operators of detectors: boxes that overlap less, regions of an image, reading at given places."""

from __future__ import annotations

from typing import Any

import numpy as np

import minicnn.nn.functional as F
from minicnn._tensor import Tensor
from minicnn.onnx._node import Compute, Node


def non_max_suppression(node: Node) -> Compute:
    """NonMaxSuppression: of each image and class the best boxes that overlap no better one by more than a share."""
    centred = node.attr("center_point_box", 0)

    def compute(boxes: Tensor, scores: Tensor, *limits: Tensor | None) -> Tensor:
        most, overlap, least = [None if t is None else t.array.reshape(-1)[0] for t in (*limits, None, None, None)[:3]]
        chosen = []
        for image, by_class in enumerate(scores.array):
            corners = _corners(boxes.array[image].astype(np.float64), centred)
            for kind, score in enumerate(by_class):
                kept = _best(corners, score, int(most or 0), float(overlap or 0.0), least)
                chosen += [(image, kind, box) for box in kept]
        return Tensor.wrap(np.array(chosen, np.int64).reshape(-1, 3))

    return compute


def _corners(boxes: np.ndarray, centred: int) -> np.ndarray:
    """(boxes, 4): the smaller y and x, then the larger ones."""
    if centred:
        x, y, width, height = boxes.T
        return np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], 1)
    first, last = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([np.minimum(first, last), np.maximum(first, last)], 1)


def _best(corners: np.ndarray, score: np.ndarray, most: int, overlap: float, least: Any) -> list[int]:
    order = np.argsort(-score, kind="stable")
    order = order if least is None else order[score[order] > least]
    area = np.prod(corners[:, 2:] - corners[:, :2], 1)
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = order[0], order[1:]
        kept.append(int(best))
        low, high = np.maximum(corners[best, :2], corners[order, :2]), np.minimum(corners[best, 2:], corners[order, 2:])
        shared = np.prod(np.clip(high - low, 0, None), 1)
        union = area[best] + area[order] - shared
        order = order[shared <= overlap * union]
    return kept


def grid_sample(node: Node) -> Compute:
    """GridSample: PyTorch's, of images of two dimensions."""
    mode = {"linear": "bilinear"}.get(node.attr("mode", "linear"), node.attr("mode", "linear"))
    padding, aligned = node.attr("padding_mode", "zeros"), bool(node.attr("align_corners", 0))
    if mode not in ("bilinear", "nearest") or node.rank() not in (4, None):
        raise node.error(
            f"mode={mode!r:.20} of {node.rank()} dimensions: linear and nearest of images (N, C, H, W) are read"
        )
    return lambda x, grid: F.grid_sample(x, grid.to(x.dtype), mode, padding, aligned)
