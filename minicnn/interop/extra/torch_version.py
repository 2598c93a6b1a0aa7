"""`torch.__version__`: a string that compares as a version does."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["TorchVersion"]


def _numbers(version: Any) -> tuple[int, ...]:
    """The numbers that it begins with: (2, 13, 0) of "2.13.0+cpu" or of (2, 13, 0)."""
    text = version if isinstance(version, str) else ".".join(map(str, version))
    found = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


class TorchVersion(str):
    """`TorchVersion("2.13.0") > "2.9"` and `>= (2, 9)` are True."""

    def __lt__(self, other: Any) -> bool:
        return _numbers(self) < _numbers(other)

    def __le__(self, other: Any) -> bool:
        return _numbers(self) <= _numbers(other)

    def __gt__(self, other: Any) -> bool:
        return _numbers(self) > _numbers(other)

    def __ge__(self, other: Any) -> bool:
        return _numbers(self) >= _numbers(other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (str, tuple, list)) and _numbers(self) == _numbers(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__
