"""`torch.autograd.profiler`: nothing is measured."""

from __future__ import annotations

from contextlib import ContextDecorator

__all__ = ["record_function"]


class record_function(ContextDecorator):
    """A name for a block or a function in a profile: there is none."""

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name

    def __enter__(self) -> record_function:
        return self

    def __exit__(self, *error: object) -> None:
        pass
