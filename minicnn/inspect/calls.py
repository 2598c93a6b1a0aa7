"""Hooks that see every call of some modules, as `trace` and `leaks` need them."""

from collections.abc import Callable, Collection
from typing import Any


class WatchedCalls:
    """`called(module, args, kwargs)` comes before all other hooks of a call, `returned(module, args, kwargs, output)` after
    all others, an error or not, until `remove()`.

    modules: those that are watched. A deep copy of one keeps the hooks, and is passed by.
    """

    def __init__(self, modules: Collection[Any], called: Callable, returned: Callable) -> None:
        self._handles: list[Any] = []
        self._last: dict[Any, Any] = {}  # module -> the handle of its forward hook

        # Plain functions: a deep copy of the model shares them, while it would copy bound methods with all that they hold.
        def before(module: Any, args: tuple, kwargs: dict) -> None:
            if module in modules:
                if module in self._last:  # anew at every call, so that it comes after the hooks that were set meanwhile
                    self._last[module].remove()
                self._last[module] = module.register_forward_hook(after, with_kwargs=True, always_call=True)
                called(module, args, kwargs)

        def after(module: Any, args: tuple, kwargs: dict, output: Any) -> None:
            if module in modules:
                returned(module, args, kwargs, output)

        try:
            for module in modules:
                self._handles.append(module.register_forward_pre_hook(before, prepend=True, with_kwargs=True))
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Take all hooks off."""
        for handle in (*self._handles, *self._last.values()):
            handle.remove()
        self._handles.clear()
        self._last.clear()
