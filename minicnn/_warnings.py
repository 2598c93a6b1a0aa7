"""Warnings that point at the user's line."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from minicnn._mirror import since


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, and name the nearest calling line that is not inside minicnn as the place.

    A fixed `stacklevel` cannot do this: how many frames lie between the user and a hook depends on the network.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "minicnn":
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def warn_deprecated(message: str) -> None:
    """Warn of what may go, in the category that PyTorch has for it."""
    warn_user(message, FutureWarning if since(2, 4) else UserWarning)
