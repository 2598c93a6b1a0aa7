"""What a node has saved, as something to put hooks on: `node._raw_saved_self.register_hooks(pack, unpack)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SavedTensor:
    """One tensor that a node has saved, or None in its place."""

    def __init__(self, node: Any, index: int) -> None:
        self._node, self._index = node, index

    def register_hooks(self, pack_hook: Callable, unpack_hook: Callable) -> None:
        """Keep what `pack_hook(tensor)` returns, now, in its place; `unpack_hook` gives it back when the node runs.

        RuntimeError if it has such hooks, is None, has been freed with the graph, or is written by `pack_hook`.
        """
        for hook in (pack_hook, unpack_hook):
            if not callable(hook):
                raise TypeError(f"register_hooks(): a hook must be callable, not {type(hook).__name__}")
        if self._node._saved is None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are "
                "freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
                "through the graph a second time or if you need to access saved variables after calling backward."
            )
        kept = self._node._saved[self._index]
        if kept is None:
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        kept.register_hooks(pack_hook, unpack_hook)
