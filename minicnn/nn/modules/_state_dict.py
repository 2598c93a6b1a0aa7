"""How a module's state is saved to a dictionary and loaded from one, and the hooks on the way."""

from __future__ import annotations

import functools
import weakref
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from minicnn import __future__
from minicnn._tensor import Tensor
from minicnn._warnings import warn_deprecated
from minicnn.autograd.grad_mode import no_grad
from minicnn.autograd.handles import Hooks, RemovableHandle, add_hook
from minicnn.nn.parameter import Parameter
from minicnn.utils import swap_tensors

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    __module__ = "minicnn.nn.modules.module"
    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class _WrappedHook:
    """A hook that is called with its module first, without keeping the module alive."""

    __module__ = "minicnn.nn.modules.module"

    def __init__(self, hook: Callable, module: Any = None) -> None:
        self.hook = hook
        functools.update_wrapper(self, hook)
        self.with_module = module is not None
        if self.with_module:
            self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict:
        state = {"hook": self.hook, "with_module": self.with_module}
        if self.with_module:
            state["module"] = self.module()
        return state

    def __setstate__(self, state: dict) -> None:
        self.hook = state["hook"]
        self.with_module = state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


class StateDict:
    """The part of `Module` that saves and loads. Keys are dotted names: 'features.0.weight'."""

    _version: int = 1  # a subclass raises it when its entries change, and sees the saved one when it loads
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: Hooks
    _state_dict_pre_hooks: Hooks
    _load_state_dict_pre_hooks: Hooks
    _load_state_dict_post_hooks: Hooks

    def get_extra_state(self) -> Any:
        """For subclasses: what else, beside parameters and buffers, `state_dict` shall contain."""
        raise RuntimeError(_NO_EXTRA_STATE.format("get"))

    def set_extra_state(self, state: Any) -> None:
        """For subclasses: take back what `get_extra_state` returned."""
        raise RuntimeError(_NO_EXTRA_STATE.format("set"))

    # Saving -------------------------------------------------------------------------------------------------------

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers, by dotted name, in the order of registration.

        The tensors share memory with the module's own; they are detached unless `keep_vars` is set. The returned
        OrderedDict has an attribute `_metadata` with the version of each module.

        Args:
            destination: a dictionary to fill and return instead of a new one.
            prefix: what every key begins with.
            keep_vars: put the Parameter objects themselves in.
        """
        if args:
            destination, prefix, keep_vars = _positional_state_dict_args(args, destination, prefix, keep_vars)
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata

        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                # The child's return value is not used: so a private hook's own dictionary wins at the root only.
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            replacement = hook(self, destination, prefix, local_metadata)
            if replacement is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = replacement
        return destination

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Save this module's own entries. For subclasses to extend."""
        for name, tensor in self._own_state().items():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not StateDict.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def _own_state(self) -> dict[str, Tensor]:
        """Parameters, then persistent buffers, of this module alone, without those that are None."""
        buffers = {name: b for name, b in self._buffers.items() if name not in self._non_persistent_buffers_set}
        return {name: t for name, t in (*self._parameters.items(), *buffers.items()) if t is not None}

    # Loading ------------------------------------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the entries of `state_dict` into this module's parameters and buffers of the same names.

        Args:
            state_dict: tensors by dotted name.
            strict: raise if keys are missing or unexpected.
            assign: take the tensors themselves in the place of the module's, instead of copying their numbers.

        Returns:
            The lists `missing_keys` and `unexpected_keys`.

        Raises:
            TypeError: `state_dict` is no mapping.
            RuntimeError: keys or shapes do not match; the message lists everything. What did match has been loaded.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        missing_keys: list[str] = []
        unexpected_keys: list[str] = []
        error_msgs: list[str] = []

        metadata = getattr(state_dict, "_metadata", None)
        entries: Any = OrderedDict(state_dict)  # hooks that rename keys must not reach the caller's dictionary
        if metadata is not None:
            entries._metadata = metadata

        self._load_tree(entries, "", metadata, assign, (missing_keys, unexpected_keys, error_msgs))
        if strict:
            error_msgs[:0] = [
                f"{kind} key(s) in state_dict: {', '.join(f'{chr(34)}{key}{chr(34)}' for key in keys)}. "
                for kind, keys in (("Missing", missing_keys), ("Unexpected", unexpected_keys))
                if keys
            ]
        if error_msgs:
            error_msgs += _hints(entries, missing_keys)
            messages = "\n\t".join(error_msgs)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{messages}")
        return _IncompatibleKeys(missing_keys, unexpected_keys)

    def _load_tree(self, state_dict: Any, prefix: str, metadata: Any, assign: bool, lists: tuple) -> None:
        """Load this module and then all below it; `lists` are the missing and unexpected keys and the errors."""
        local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
        if assign:
            local_metadata["assign_to_params_buffers"] = assign
        # `strict` is always True here, whatever the caller said: that decides only what happens to the lists.
        self._load_from_state_dict(state_dict, prefix, local_metadata, True, *lists)
        for name, child in self._modules.items():
            if child is not None:
                child_prefix = prefix + name + "."
                child_state = {key: value for key, value in state_dict.items() if key.startswith(child_prefix)}
                child._load_tree(child_state, child_prefix, metadata, assign, lists)
        incompatible_keys = _IncompatibleKeys(*lists[:2])
        for hook in self._load_state_dict_post_hooks.values():
            if hook(self, incompatible_keys) is not None:
                raise AssertionError(_POST_HOOK_RETURNED)

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: dict,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load this module's own entries; write what does not fit to the three lists. For subclasses to extend."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)

        own_state = self._own_state()
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, own in own_state.items():
            key = prefix + name
            if key in state_dict:
                self._load_tensor(name, own, key, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)

        extra_key = prefix + _EXTRA_STATE_KEY_SUFFIX
        if type(self).set_extra_state is not StateDict.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)

        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    first, dot, _ = key[len(prefix) :].partition(".")
                    if first not in (self._modules if dot else own_state):
                        unexpected_keys.append(key)

    def _load_tensor(self, name: str, own: Tensor, key: str, loaded: Any, assign: bool, error_msgs: list[str]) -> None:
        if not isinstance(loaded, Tensor):
            error_msgs.append(
                f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
                f"checkpoint but received {type(loaded)}"
            )
            return
        if own.dim() == 0 and loaded.shape == (1,):
            loaded = loaded[0]  # very old files have scalars as vectors of one number
        if loaded.shape != own.shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {loaded.shape} from checkpoint, "
                f"the shape in current model is {own.shape}."
            )
            return
        swap = __future__.get_swap_module_params_on_conversion()
        try:
            with no_grad():
                if swap:
                    _swap_in(own, loaded, assign)
                    return
                if not assign:
                    own.copy_(loaded)
                    return
                if isinstance(own, Parameter):
                    if isinstance(loaded, Parameter):
                        loaded.requires_grad_(own.requires_grad)
                    else:
                        loaded = Parameter(loaded, requires_grad=own.requires_grad)
                setattr(self, name, loaded)
        except Exception as error:
            action = "swapping" if swap else "copying"
            error_msgs.append(
                f'While {action} the parameter named "{key}", whose dimensions in the model are {own.size()} and whose '
                f"dimensions in the checkpoint are {loaded.size()}, an exception occurred : {error.args}."
            )

    # Hooks --------------------------------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` in `state_dict`, before this module's entries are saved."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Any) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after this module and its children are saved.

        The hook may change the dictionary, but must return None. The mark that tells it from a private hook is set on
        the function itself: a bound method cannot carry it and raises AttributeError, as in PyTorch.
        """
        hook._from_public_api = True
        return add_hook(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable) -> RemovableHandle:
        """Like `register_state_dict_post_hook`, but a dictionary that the hook returns replaces the root's result."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`
        before this module's entries are loaded. The hook may change the dictionary and the lists."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook: Callable, with_module: bool = False) -> RemovableHandle:
        """Like `register_load_state_dict_pre_hook`; the hook is given the module only if `with_module` is set."""
        return add_hook(self._load_state_dict_pre_hooks, _WrappedHook(hook, self if with_module else None))

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after this module and its children are loaded.

        The hook may change the lists in `incompatible_keys`, which decides what strict loading says; it must return
        None.
        """
        return add_hook(self._load_state_dict_post_hooks, hook)


def _swap_in(own: Tensor, loaded: Tensor, assign: bool) -> None:
    """Exchange a parameter or buffer with what `module_load` makes of the entry."""
    new = own.module_load(loaded, assign=assign)
    if new is own or new is loaded:
        raise RuntimeError(
            "module_load returned one of self or other, please .detach() the result if returning one of the inputs in "
            "module_load"
        )
    if isinstance(own, Parameter):
        new = new.requires_grad_(own.requires_grad) if isinstance(new, Parameter) else Parameter(new, own.requires_grad)
    swap_tensors(own, new)


_NO_EXTRA_STATE = (
    "Reached a code path in Module.{}_extra_state() that should never be called. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml to report this bug."
)
_POST_HOOK_RETURNED = (
    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new values, if "
    "incompatible_keys need to be modified, it should be done inplace."
)


def _hints(state_dict: Mapping[str, Any], missing: list[str]) -> list[str]:
    """What to do, where it can be seen: a state_dict inside of a checkpoint, or keys that a wrapper has lengthened."""
    for key, value in state_dict.items():
        if isinstance(value, Mapping) and _beginning(value, missing) is not None:
            return [f'This is a checkpoint with the state_dict inside: load_state_dict(checkpoint["{key}"]).']
    beginning = _beginning(state_dict, missing)
    if beginning:
        return [
            f"The keys begin with {beginning!r}, as wrappers such as DataParallel save them: "
            f"load_state_dict({{key.removeprefix({beginning!r}): value for key, value in state_dict.items()}})."
        ]
    return []


def _beginning(state_dict: Mapping[str, Any], missing: list[str]) -> str | None:
    """What all keys begin with, if it is followed by the missing ones; None if there is no such thing."""
    for key in state_dict if missing else ():
        start = str(key).removesuffix(missing[0])
        if all(start + name in state_dict for name in missing) and all(
            str(name).startswith(start) for name in state_dict
        ):
            return start
    return None


def _positional_state_dict_args(args: tuple, destination: Any, prefix: str, keep_vars: bool) -> tuple[Any, str, bool]:
    warn_deprecated(
        "Positional args are being deprecated, use kwargs instead. Refer to "
        "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for details."
    )
    if destination is None:
        destination = args[0]
    if len(args) > 1 and prefix == "":
        prefix = args[1]
    if len(args) > 2 and keep_vars is False:
        keep_vars = args[2]
    return destination, prefix, keep_vars
