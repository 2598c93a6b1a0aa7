"""`torch.types`: names for annotations."""

from collections.abc import Sequence
from typing import Any

from minicnn._types import Size, device, dtype

Number = int | float | bool
Device = device | str | int | None
_device, _dtype, _int, _float, _bool = device, dtype, int, float, bool
_size = Size | Sequence[int]
_TensorOrTensors = _TensorOrTensorsOrGradEdge = FileLike = Storage = Any
