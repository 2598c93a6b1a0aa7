"""`torch.ops`: operations that compiled code registers. It is compiled for PyTorch and cannot be loaded; torchvision's suppression
of overlapping boxes is here, the others say so when they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn.interop.absent import refuse
from minicnn.ops.creation import from_numpy


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The numbers of the boxes that stay, the best first: a box goes if it and a better one that stays share more than the
    threshold of what both cover.

    Args:
        boxes: (count, 4), x1, y1, x2, y2 each.
        scores: (count,).
        iou_threshold: from 0 to 1.
    """
    corners, order = boxes.detach().numpy(), np.argsort(-scores.detach().numpy(), kind="stable")
    low, high = corners[:, :2], corners[:, 2:]
    area = np.prod(high - low, axis=1)
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        shared = np.prod(np.maximum(sides, 0), axis=1)
        order = rest[~(shared / (area[best] + area[rest] - shared) > iou_threshold)]
    return from_numpy(np.array(kept, dtype=np.int64))


THERE: dict[str, Callable] = {
    "torchvision.nms": nms,
    "torchvision._cuda_version": lambda: -1,  # compiled without CUDA
}


class _Operation:
    """`torch.ops.torchvision.nms`; its overloads, such as `.default`, are itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._name not in THERE:
            refuse(f"torch.ops.{self._name}")
        return THERE[self._name](*args, **kwargs)

    def __getattr__(self, overload: str) -> _Operation:
        if overload.startswith("__"):
            raise AttributeError(overload)
        return self

    def __repr__(self) -> str:
        return f"<torch.ops.{self._name}>"


class _Namespace:
    """`torch.ops.torchvision`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> _Operation:
        if name.startswith("__"):
            raise AttributeError(name)
        operation = _Operation(f"{self._name}.{name}")
        setattr(self, name, operation)
        return operation


class _Ops:
    def load_library(self, path: Any) -> None:
        """The compiled code is left alone: what of it is here is in `THERE`."""

    def __getattr__(self, name: str) -> _Namespace:
        if name.startswith("__"):
            raise AttributeError(name)
        namespace = _Namespace(name)
        setattr(self, name, namespace)
        return namespace


ops = _Ops()
