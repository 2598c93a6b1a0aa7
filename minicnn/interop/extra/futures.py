"""`torch.futures`: Python's `Future` with PyTorch's names."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

__all__ = ["Future", "collect_all", "wait_all"]


class Future(concurrent.futures.Future):
    """A value that somebody will set."""

    def __init__(self, *, devices: Any = None) -> None:
        super().__init__()

    def wait(self) -> Any:
        """The value, when it is there."""
        return self.result()

    def value(self) -> Any:
        """The value; RuntimeError if it is not there."""
        if not self.done():
            raise RuntimeError("Future.value: nothing has been set yet")
        return self.result()

    def then(self, callback: Callable[[Future], Any]) -> Future:
        """A future of what the callback makes of this one."""
        after: Future = Future()

        def call(done: Any) -> None:
            try:
                after.set_result(callback(done))
            except Exception as error:
                after.set_exception(error)

        self.add_done_callback(call)
        return after


def wait_all(futures: list[Future]) -> list[Any]:
    """The values of all."""
    return [future.wait() for future in futures]


def collect_all(futures: list[Future]) -> Future:
    """A future of the list, when all are there. It waits here."""
    for future in futures:
        concurrent.futures.wait([future])
    everything: Future = Future()
    everything.set_result(futures)
    return everything
