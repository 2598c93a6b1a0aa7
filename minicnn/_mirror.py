"""Which version of PyTorch minicnn behaves as. Each place that asks `since` is a rule that changed in PyTorch there."""

from __future__ import annotations

import re
from contextvars import ContextVar

OLDEST, NEWEST = (2, 0), (2, 14)
_mirrored: ContextVar[tuple[int, int]] = ContextVar("mirrored version of PyTorch", default=(2, 13))


def since(major: int, minor: int) -> bool:
    """Whether the PyTorch that is mirrored is this version or a newer one."""
    return _mirrored.get() >= (major, minor)


def mirrored() -> tuple[int, int]:
    """The version of PyTorch that is mirrored: (2, 13) unless `mirror` said otherwise."""
    return _mirrored.get()


class mirror:
    """Behave as another version of PyTorch than 2.13, from now on or for a `with` block: `mirror("2.6")`.

    For the thread (the context) that calls it. What is switched is what hooks and gradients do: which hooks run, with
    which values, which warnings and errors come. Names and arguments that an older version lacks stay, and texts are those
    of 2.13. HOOKS.md lists what changed in each version, and what is switched. ValueError unless the version is one of
    2.0 to 2.14.
    """

    def __init__(self, version: str) -> None:
        found = re.match(r"(\d+)\.(\d+)", version)
        asked = (int(found[1]), int(found[2])) if found else None
        if asked is None or not OLDEST <= asked <= NEWEST:
            raise ValueError(f"mirror: a version of PyTorch from 2.0 to 2.14, such as '2.6', not {version!r}")
        self._previous = _mirrored.get()
        _mirrored.set(asked)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        _mirrored.set(self._previous)
