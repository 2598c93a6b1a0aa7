"""`torch.hub`'s names for people who look inside."""

from __future__ import annotations

import os
from urllib.parse import urlparse

from minicnn.hub import HASH as HASH_REGEX
from minicnn.hub import get_dir

__all__ = ["HASH_REGEX", "_get_torch_home", "urlparse"]


def _get_torch_home() -> str:
    return os.path.dirname(get_dir())
