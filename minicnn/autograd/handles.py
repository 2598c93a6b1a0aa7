"""The handle of a hook. A leaf: tensors, graph nodes, modules and optimisers all give it out (as `utils.hooks.RemovableHandle`)."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minicnn._mirror import since
from minicnn._warnings import warn_user

Hooks = OrderedDict[int, Callable]


class RemovableHandle:
    """Takes one hook out of the dictionary that it was put into.

    The handle holds the dictionaries weakly: it keeps no module alive, and dropping it does not remove the hook. A
    plain `dict` cannot be referenced weakly, so all hook dictionaries are `OrderedDict`.

    Args:
        hooks_dict: the dictionary that will hold the hook under `handle.id`.
        extra_dict: one dictionary or a list of them with flags under the same id, to be cleared with the hook.

    Raises:
        TypeError: if `hooks_dict` is a plain dict.
    """

    __module__ = "minicnn.utils.hooks"
    id: int
    next_id: int = 0  # one counter for the whole process, whatever the kind of hook

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        side_dicts = (extra_dict,) if isinstance(extra_dict, dict) else extra_dict or ()
        self.extra_dict_ref: tuple = tuple(weakref.ref(side) for side in side_dicts)

    def remove(self) -> None:
        """Remove the hook and its flags. A second call does nothing, nor does a call after the module is gone."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            held = ref()
            if held is not None:
                held.pop(self.id, None)

    def __getstate__(self) -> tuple:
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state: tuple) -> None:
        hooks_dict, self.id = state[0], state[1]
        # Without its dictionary the handle is dead: the reference below points to nothing at once, `remove` is silent.
        self.hooks_dict_ref = weakref.ref(OrderedDict() if hooks_dict is None else hooks_dict)
        side_dicts = state[2] if len(state) > 2 and state[2] is not None else ()
        self.extra_dict_ref = tuple(weakref.ref(side) for side in side_dicts)
        # Only an unpickled *handle* moves the counter. A module unpickled with its hooks, but without handles, does
        # not: a later registration may then reuse an id and overwrite a hook. PyTorch behaves so too.
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, type: Any, value: Any, tb: Any) -> None:
        self.remove()


def add_hook(
    hooks: Hooks, hook: Callable, *flags: tuple[dict[int, bool], bool], prepend: bool = False
) -> RemovableHandle:
    """Put a hook last, or first, into a dictionary; its id also into those of the `flags` (dictionary, whether it is set)."""
    handle = RemovableHandle(hooks, extra_dict=[flag for flag, _ in flags])
    hooks[handle.id] = hook
    for flag, is_set in flags:
        if is_set:
            flag[handle.id] = True
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def unserializable_hook(f: Callable) -> Callable:
    """Mark a tensor hook as one that pickling may drop without a warning. Usable as a decorator."""
    setattr(f, "__torch_unserializable__", True)  # noqa: B010  (a function has no such attribute for a type checker)
    return f


def warn_if_has_hooks(tensor: Any) -> None:
    """Warn of every hook on `tensor` that pickling will drop, unless it is marked with `unserializable_hook`."""
    for hook in (tensor._backward_hooks or {}).values():
        if not hasattr(hook, "__torch_unserializable__") or not since(2, 4):  # before, the mark had no effect
            warn_user(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, you can "
                "decorate the function with @torch.utils.hooks.unserializable_hook to suppress this warning"
            )
