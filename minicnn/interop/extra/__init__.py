"""Names of PyTorch that mean little on a CPU without a compiler: each does the least that is right. A tree with PyTorch's paths:
this file is `torch` itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn._mirror import mirrored
from minicnn.interop.extra._ops import ops
from minicnn.interop.extra.amp import autocast
from minicnn.interop.extra.compiler import compile
from minicnn.interop.extra.torch_version import TorchVersion

__all__ = [
    "_assert", "_check", "are_deterministic_algorithms_enabled", "autocast", "compile", "get_float32_matmul_precision",
    "is_autocast_enabled", "ops", "set_float32_matmul_precision", "use_deterministic_algorithms",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":  # asked for each time: another version can be mirrored
        return TorchVersion(".".join(map(str, (*mirrored(), 0))))
    raise AttributeError(name)


def _assert(condition: Any, message: str) -> None:
    """AssertionError unless the condition holds."""
    assert condition, message


def _check(cond: bool, message: Callable[[], str] | None = None) -> None:
    """RuntimeError unless the condition holds."""
    if not cond:
        raise RuntimeError("Expected cond to be True" if message is None else message())


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """They are, always: the same numbers come out twice."""


def are_deterministic_algorithms_enabled() -> bool:
    """True."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """float32 is computed in float32."""


def get_float32_matmul_precision() -> str:
    """'highest'."""
    return "highest"


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """False."""
    return False
