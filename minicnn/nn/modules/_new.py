"""Fresh parameters for layers."""

from __future__ import annotations

from typing import Any

from minicnn import _creation
from minicnn.nn.parameter import Parameter


def new_parameter(shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> Parameter:
    """A parameter of this shape, of the default dtype unless one is given. It has zeros until the layer fills it."""
    return Parameter(_creation.zeros(shape, device=device, dtype=dtype))
