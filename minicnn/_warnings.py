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


_told: set[str] = set()
_always = False


def warn_once(message: str) -> None:
    """Warn the first time in this process; each time after `set_warn_always(True)`."""
    if _always or message not in _told:
        _told.add(message)
        warn_user(message)


def set_warn_always(b: bool, /) -> None:
    """Whether the warnings that come once in a process come each time. RuntimeError unless it is a bool."""
    global _always
    if not isinstance(b, bool):
        raise RuntimeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _always = b


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was last told; False at first."""
    return _always


def warn_deprecated(message: str) -> None:
    """Warn of what may go, in the category that PyTorch has for it."""
    warn_user(message, FutureWarning if since(2, 4) else UserWarning)
