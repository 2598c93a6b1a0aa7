"""`torch.nn.parameter`."""

from typing import Any


def is_lazy(param: Any) -> bool:
    """False: every parameter has its sizes."""
    return False
