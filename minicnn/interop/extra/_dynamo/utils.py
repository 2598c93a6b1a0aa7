"""Asked by torchvision's `roi_align`."""

from typing import Any


def is_compile_supported(device_type: Any) -> bool:
    """False."""
    return False
