"""`Module`, the base of all layers: what a call does, and the hooks around it.

Saving and loading are in a file of their own, `_state_dict`.

One call of a module with hooks goes through the phases of `_HookedCall.run`, top to bottom:

    global forward pre-hooks, then the module's own          may change the arguments
    arguments through the input side of full backward hooks
    forward
    global forward hooks, then the module's own              may change the result
    result through the output side of full backward hooks
    legacy backward hooks on the result's graph node
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minicnn._tensor import Tensor, conversion_asked, typename
from minicnn._warnings import warn_deprecated, warn_user
from minicnn.autograd.handles import Hooks, RemovableHandle, add_hook
from minicnn.nn.modules._convert import converted
from minicnn.nn.modules._state_dict import StateDict, _IncompatibleKeys, _WrappedHook  # noqa: F401
from minicnn.nn.parameter import Buffer, Parameter, zero_gradients
from minicnn.ops.creation import empty_like
from minicnn.utils.hooks import BackwardHook

__all__ = [
    "register_module_forward_pre_hook", "register_module_forward_hook", "register_module_full_backward_pre_hook",
    "register_module_backward_hook", "register_module_full_backward_hook",
    "register_module_buffer_registration_hook", "register_module_module_registration_hook",
    "register_module_parameter_registration_hook", "Module",
]  # fmt: skip

# Hooks for all modules. They run before a module's own.
_global_backward_pre_hooks: Hooks = OrderedDict()
_global_backward_hooks: Hooks = OrderedDict()
_global_is_full_backward_hook: bool | None = None  # None until the first backward hook is registered; then it stays
_global_forward_pre_hooks: Hooks = OrderedDict()
_global_forward_hooks: Hooks = OrderedDict()
_global_forward_hooks_always_called: dict[int, bool] = OrderedDict()
_global_forward_hooks_with_kwargs: dict[int, bool] = OrderedDict()

# Hooks for all modules, called when a part is registered, before it is stored; what they return replaces the part.
_global_buffer_registration_hooks: Hooks = OrderedDict()
_global_module_registration_hooks: Hooks = OrderedDict()
_global_parameter_registration_hooks: Hooks = OrderedDict()


_MIXED_BACKWARD_HOOKS = (
    "Cannot use both regular backward hooks and full backward hooks {}. Please use only one of them."
)


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, args)` before the forward of every module. See `Module.register_forward_pre_hook`."""
    return add_hook(_global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after the forward of every module. See `Module.register_forward_hook`."""
    # The handle knows one side dictionary only: removing a hook with kwargs leaves its flag behind, as in 2.13.0.
    handle = add_hook(_global_forward_hooks, hook, (_global_forward_hooks_always_called, always_call))
    if with_kwargs:
        _global_forward_hooks_with_kwargs[handle.id] = True
    return handle


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_output)` for every module. See `Module.register_full_backward_pre_hook`."""
    return add_hook(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` for every module. See `Module.register_full_backward_hook`.

    Raises:
        RuntimeError: a legacy global backward hook has been registered at any time before.
    """
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is False:
        raise RuntimeError(_MIXED_BACKWARD_HOOKS.format("as a global Module hook"))
    _global_is_full_backward_hook = True
    return add_hook(_global_backward_hooks, hook)


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """Legacy: `hook(module, grad_input, grad_output)` for every module. See `Module.register_backward_hook`.

    Raises:
        RuntimeError: a full global backward hook has been registered at any time before.
    """
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is True:
        raise RuntimeError(_MIXED_BACKWARD_HOOKS.format("as a global Module hook"))
    _global_is_full_backward_hook = False
    return add_hook(_global_backward_hooks, hook)


def register_module_buffer_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, buffer)` whenever any module registers a buffer, None included.

    A return value other than None is stored in the buffer's place, unchecked, and passed to the next hook.
    """
    return add_hook(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, submodule)` whenever any module registers a submodule, None included.

    A return value other than None is stored in the submodule's place, unchecked, and passed to the next hook.
    """
    return add_hook(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, parameter)` whenever any module registers a parameter; not for None.

    A return value other than None is stored in the parameter's place, unchecked, and passed to the next hook.
    """
    return add_hook(_global_parameter_registration_hooks, hook)


class _HookedCall:
    """One call of a module that has hooks. `args`, `kwargs`, `result` are what the hooks have made of them so far."""

    # The backward hooks, global before own, are copied when the call begins: for this call's graph they are final.
    backward_pre_hooks: Sequence[Callable] = ()
    full_hooks: Sequence[Callable] = ()
    legacy_hooks: Sequence[Callable] = ()
    started: tuple[int, ...] = ()  # the always_call hooks that have been called, even if they raised
    result: Any = None
    edges: BackwardHook | None = None  # for full backward hooks and backward pre-hooks

    def __init__(self, module: Module, args: tuple, kwargs: dict[str, Any]) -> None:
        """Remember the call as it came in, so that hooks can change it and, after an error, be told of it."""
        self.module, self.args, self.kwargs = module, args, kwargs
        self.forward = module.forward  # looked up now: a pre-hook that replaces it changes the next call

    def run(self) -> Any:
        """The phases of a call, in the order in which PyTorch goes through them."""
        module = self.module
        if module._backward_hooks or module._backward_pre_hooks or _global_backward_hooks or _global_backward_pre_hooks:
            self.backward_pre_hooks = module._get_backward_pre_hooks()
            self.full_hooks, self.legacy_hooks = module._get_backward_hooks()
        if _global_forward_pre_hooks or module._forward_pre_hooks:
            self.run_forward_pre_hooks()
        if self.full_hooks or self.backward_pre_hooks:
            self.edges = BackwardHook(module, self.full_hooks, self.backward_pre_hooks)
            self.args = self.edges.setup_input_hook(self.args)
        self.result = self.forward(*self.args, **self.kwargs)
        if _global_forward_hooks or module._forward_hooks:
            self.run_forward_hooks()
        if self.edges or self.legacy_hooks:
            self.attach_backward_hooks()
        return self.result

    def run_forward_pre_hooks(self) -> None:
        """Let each forward pre-hook change the arguments."""
        # The tuple is a snapshot: hooks added or removed by a hook of this phase change the next call.
        module = self.module
        for hook_id, hook in (*_global_forward_pre_hooks.items(), *module._forward_pre_hooks.items()):
            if hook_id in module._forward_pre_hooks_with_kwargs:
                changed = hook(module, self.args, self.kwargs)
                if changed is None:
                    continue
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                self.args, self.kwargs = changed
            else:
                changed = hook(module, self.args)
                if changed is not None:
                    self.args = changed if isinstance(changed, tuple) else (changed,)

    def run_forward_hooks(self) -> None:
        """Let each forward hook see the result, and replace it if it returns something."""
        module = self.module
        for hook_id, hook in (*_global_forward_hooks.items(), *module._forward_hooks.items()):
            if hook_id in module._forward_hooks_always_called or hook_id in _global_forward_hooks_always_called:
                self.started += (hook_id,)
            # The flag is looked up now, not in the snapshot: a hook with kwargs that an earlier hook of this phase has
            # removed is still called, but without kwargs. PyTorch 2.13.0 does the same.
            if hook_id in module._forward_hooks_with_kwargs or hook_id in _global_forward_hooks_with_kwargs:
                changed = hook(module, self.args, self.kwargs, self.result)
            else:
                changed = hook(module, self.args, self.result)
            if changed is not None:
                self.result = changed

    def attach_backward_hooks(self) -> None:
        if self.edges is not None:
            if not isinstance(self.result, (Tensor, tuple)):
                warn_user(
                    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                    f"{type(self.result)}"
                )
            self.result = self.edges.setup_output_hook(self.result)
        if self.legacy_hooks:
            self.attach_legacy_hooks()

    def attach_legacy_hooks(self) -> None:
        grad_fn = _first_tensor(self.result).grad_fn
        if grad_fn is None:
            return
        for hook in self.legacy_hooks:
            grad_fn.register_hook(_WrappedHook(hook, self.module))
        _warn_of_legacy_hooks(self.args, self.result, grad_fn)

    def rescue(self) -> None:
        """After an exception: the always_call hooks that have not been started, with what there is of the result.

        Two defects of PyTorch 2.13.0 are kept: a global hook is called without kwargs even if it wants them, and the
        live dictionaries are iterated, so that a hook that adds or removes one ends in a RuntimeError.
        """
        module = self.module
        for hook_id, hook in _global_forward_hooks.items():
            if hook_id in _global_forward_hooks_always_called and hook_id not in self.started:
                self.run_rescue_hook("global module", hook, (module, self.args, self.result))
        for hook_id, hook in module._forward_hooks.items():
            if hook_id in module._forward_hooks_always_called and hook_id not in self.started:
                if hook_id in module._forward_hooks_with_kwargs:
                    self.run_rescue_hook("module", hook, (module, self.args, self.kwargs, self.result))
                else:
                    self.run_rescue_hook("module", hook, (module, self.args, self.result))

    def run_rescue_hook(self, kind: str, hook: Callable, hook_args: tuple) -> None:
        try:
            changed = hook(*hook_args)
        except Exception as error:
            warn_user(
                f"{kind} forward hook with ``always_call=True`` raised an exception that was silenced as another error "
                f"was raised in forward: {error}"
            )
            return
        if changed is not None:
            self.result = changed


def _first_tensor(value: Any) -> Tensor:
    """The first tensor in nested dictionaries, lists and tuples. Raises if there is none, as each of them does."""
    while not isinstance(value, Tensor):
        if isinstance(value, dict):
            value = next(entry for entry in value.values() if isinstance(entry, Tensor))
        else:
            value = value[0]
    return value


def _warn_of_legacy_hooks(inputs: tuple, result: Any, grad_fn: Any) -> None:
    """Say in which way a legacy backward hook on the node `grad_fn` does not see the gradients of the module."""
    results = (result,) if isinstance(result, Tensor) else result
    advice = " Please use register_full_backward_hook to get the documented behavior."
    if not _is_tuple_of_tensors(results):
        problem = "non-full backward hooks on a Module that does not return a single Tensor or a tuple of Tensors"
        missing = "some of the grad_output"
    elif not _is_tuple_of_tensors(inputs):
        problem = (
            "non-full backward hooks on a Module that does not take as input a single Tensor or a tuple of Tensors"
        )
        missing = "some of the grad_input"
    elif len(_nodes(results)) > 1:
        problem = "a non-full backward hook when outputs are generated by different autograd Nodes"
        missing = "some grad_output"
    elif grad_fn not in _nodes(results):
        problem = "a non-full backward hook when outputs are nested in python data structure"
        missing, advice = "some grad_output", ""
    elif _nodes(inputs) != {node for node, _ in grad_fn.next_functions}:
        problem = "a non-full backward hook when the forward contains multiple autograd Nodes"
        missing = "some grad_input"
    else:
        return
    deprecated = "is deprecated and will be removed in future versions. This hook will be missing"
    warn_deprecated(f"Using {problem} {deprecated} {missing}.{advice}")


def _nodes(tensors: tuple) -> set:
    return {tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None}


def _is_tuple_of_tensors(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(entry, Tensor) for entry in value)


def _after_hooks(hooks: Hooks, module: Any, name: str, part: Any) -> Any:
    for hook in hooks.values():
        replacement = hook(module, name, part)
        if replacement is not None:
            part = replacement
    return part


_PARTS = ("_parameters", "_buffers", "_modules")  # the dictionaries that hold a module's parts

# What `__init__` gives every module, besides `training`. `__setstate__` adds what an older pickle lacks.
_HOOK_DICTS = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Module(StateDict):
    """The base of all layers and networks: parameters, buffers, submodules, and a call with hooks around it.

    A subclass calls `super().__init__()`, assigns its parts as attributes, and defines `forward`. Its users call the
    module itself, `module(x)`: that runs `forward` and the hooks.
    """

    training: bool
    _is_full_backward_hook: bool | None  # of which kind its backward hooks are; None before the first
    _forward_hooks: Hooks
    _forward_pre_hooks: Hooks
    _backward_hooks: Hooks
    _backward_pre_hooks: Hooks
    _extra_repr_names: tuple[str, ...] = ()  # the attributes that `extra_repr` prints
    call_super_init: bool = False  # True passes __init__'s arguments on to the next class in the order of resolution

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and kwargs:
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
            )
        if not self.call_super_init and args:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        state = self.__dict__  # directly: __setattr__ looks for the three dictionaries that are only made here
        state["training"] = True
        state["_parameters"] = {}
        state["_buffers"] = {}
        state["_non_persistent_buffers_set"] = set()
        state["_is_full_backward_hook"] = None
        for name in _HOOK_DICTS:
            state[name] = OrderedDict()
        state["_modules"] = {}
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def forward(self, *input: Any) -> Any:
        """Compute the result. Every subclass defines this; callers call the module instead."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        """Every call of a module comes here: `forward` at once if there are no hooks, else with the hooks around it."""
        hooks = self._backward_hooks or self._backward_pre_hooks or self._forward_hooks or self._forward_pre_hooks
        hooks = hooks or _global_backward_pre_hooks or _global_backward_hooks
        hooks = hooks or _global_forward_hooks or _global_forward_pre_hooks
        if not hooks:
            return self.forward(*args, **kwargs)
        call = _HookedCall(self, args, kwargs)
        try:
            return call.run()
        except Exception:
            call.rescue()
            raise

    __call__ = _call_impl

    # Forward hooks ------------------------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`. What it returns becomes the arguments; None leaves them.

        A tuple is the new arguments, anything else is wrapped in one. With `with_kwargs` the hook is
        `hook(module, args, kwargs)` and returns None or a tuple `(new_args, new_kwargs)`. `prepend` puts the hook
        before the module's other pre-hooks; global ones come first all the same.
        """
        return add_hook(
            self._forward_pre_hooks, hook, (self._forward_pre_hooks_with_kwargs, with_kwargs), prepend=prepend
        )

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`. What it returns, except None, replaces the output.

        With `with_kwargs` the hook is `hook(module, args, kwargs, output)`. With `always_call` it runs even if the call
        raises an Exception. `prepend` puts it before the module's other hooks; global ones come first all the same.
        """
        return add_hook(
            self._forward_hooks, hook, (self._forward_hooks_with_kwargs, with_kwargs),
            (self._forward_hooks_always_called, always_call), prepend=prepend,
        )  # fmt: skip

    # Backward hooks -----------------------------------------------------------------------------------------------

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` in the backward pass, before the module's own backward.

        `grad_output` is a tuple with one entry for each output. The hook may return a sequence of the same length to
        replace it.
        """
        return add_hook(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` in the backward pass, after the module's own backward.

        Both are tuples, with one entry for each positional argument and each output, None where that is no tensor. The
        hook may return a sequence of the same length as `grad_input` to replace it. If no positional argument requires
        grad, the hook runs before the module's own backward, with None for each gradient.

        Raises:
            RuntimeError: the module has had a legacy backward hook.
        """
        if self._is_full_backward_hook is False:
            raise RuntimeError(_MIXED_BACKWARD_HOOKS.format("on a single Module"))
        self._is_full_backward_hook = True
        return add_hook(self._backward_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """Legacy: call `hook(module, grad_input, grad_output)` when the last graph node of the output has run.

        `grad_input` holds the gradients of that node's inputs, which are not the module's inputs unless the module is a
        single operation. Use `register_full_backward_hook`.

        Raises:
            RuntimeError: the module has had a full backward hook.
        """
        if self._is_full_backward_hook is True:
            raise RuntimeError(_MIXED_BACKWARD_HOOKS.format("on a single Module"))
        self._is_full_backward_hook = False
        return add_hook(self._backward_hooks, hook)

    def _get_backward_hooks(self) -> tuple[list[Callable], list[Callable]]:
        """The full and the legacy backward hooks, global before own."""
        hooks: dict[bool, list[Callable]] = {True: [], False: []}
        for is_full, registered in (
            (_global_is_full_backward_hook, _global_backward_hooks),
            (self._is_full_backward_hook, self._backward_hooks),
        ):
            if is_full is not None:
                hooks[is_full] += registered.values()
        return hooks[True], hooks[False]

    def _get_backward_pre_hooks(self) -> list[Callable]:
        return [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]

    # Parts: they look like attributes, but live in three dictionaries, where `__getattr__` finds them -----------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under `name`. None reserves the name: a layer without bias has `bias = None`.

        Raises:
            TypeError: the name is no string, or `param` no Parameter.
            KeyError: the name is empty, has a dot, or is another attribute's.
            ValueError: the parameter is the result of an operation.
        """
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is None:
            self._parameters[name] = None
            return
        if not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param.grad_fn is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = _after_hooks(_global_parameter_registration_hooks, self, name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state of the module but not learned, such as a running mean.

        Args:
            name: the attribute's name.
            tensor: the buffer, or None.
            persistent: whether `state_dict` contains it.

        Raises:
            TypeError: the name is no string, or `tensor` no Tensor.
            KeyError: the name is empty, has a dot, or is another attribute's.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        self._buffers[name] = _after_hooks(_global_buffer_registration_hooks, self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def _check_name(self, kind: str, name: Any, taken: dict) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in taken:
            raise KeyError(f"attribute '{name}' already exists")

    def add_module(self, name: str, module: Any) -> None:
        """Add a submodule, or None, under `name`.

        Raises:
            TypeError: `module` is no Module, or the name no string.
            KeyError: the name is empty, has a dot, or is another attribute's.
        """
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = _after_hooks(_global_module_registration_hooks, self, name, module)

    def register_module(self, name: str, module: Any) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    def __getattr__(self, name: str) -> Any:
        """Find a parameter, buffer or submodule as an attribute: Python asks here for what it has not found elsewhere."""
        state = self.__dict__
        for kind in _PARTS:
            if name in state.get(kind, ()):
                return state[kind][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        """Sort a new attribute by its type, and by what stands under its name so far; what is no part is a plain attribute."""
        parts = self.__dict__
        known = [kind for kind in _PARTS if name in parts.get(kind, ())]
        if not known and not isinstance(value, (Tensor, Module)):
            super().__setattr__(name, value)
        elif isinstance(value, Parameter):
            self._assign_parameter(name, value)
        elif "_parameters" in known:
            self._reassign_parameter(name, value)
        elif isinstance(value, Module):
            self._assign_module(name, value)
        elif "_modules" in known:
            self._reassign_module(name, value)
        elif "_buffers" in known or isinstance(value, Buffer):
            self._assign_buffer(name, value)
        else:
            super().__setattr__(name, value)

    def _assign_parameter(self, name: str, value: Parameter) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameters before Module.__init__() call")
        self._forget(name, self._buffers, self._modules)
        self.register_parameter(name, value)

    def _reassign_parameter(self, name: str, value: Any) -> None:
        if value is not None:
            raise TypeError(
                f"cannot assign '{typename(value)}' as parameter '{name}' (torch.nn.Parameter or None expected)"
            )
        self.register_parameter(name, None)

    def _assign_module(self, name: str, value: Module) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError("cannot assign module before Module.__init__() call")
        self._forget(name, self._parameters, self._buffers)
        self._modules[name] = _after_hooks(_global_module_registration_hooks, self, name, value)

    def _reassign_module(self, name: str, value: Any) -> None:
        if value is not None:
            raise TypeError(
                f"cannot assign '{typename(value)}' as child module '{name}' (torch.nn.Module or None expected)"
            )
        self._modules[name] = _after_hooks(_global_module_registration_hooks, self, name, None)

    def _assign_buffer(self, name: str, value: Any) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"cannot assign '{typename(value)}' as buffer '{name}' (torch.nn.Buffer, torch.Tensor or None expected)"
            )
        was_persistent = name not in self._non_persistent_buffers_set
        self.register_buffer(name, value, value.persistent if isinstance(value, Buffer) else was_persistent)

    def _forget(self, name: str, *dicts: dict) -> None:
        """Drop what stood under `name`, so that the new part is the only one."""
        for parts in (self.__dict__, *dicts):
            parts.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted(name for name in names if not name[0].isdigit())

    # Walking ------------------------------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for this module (named `prefix`) and all below it, parents first.

        A module that is used twice comes once, under its first name, unless `remove_duplicate` is False.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, _join(prefix, name), remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Yield this module and all below it, parents first."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) for the direct submodules, each module once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """Yield the direct submodules, each once."""
        for _, module in self.named_children():
            yield module

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (name, parameter), of this module and, with `recurse`, of all below it.

        A parameter that is shared comes once, under its first name, unless `remove_duplicate` is False.
        """
        yield from self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters of this module and, with `recurse`, of all below it, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield (name, buffer), of this module and, with `recurse`, of all below it."""
        yield from self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers of this module and, with `recurse`, of all below it, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_members(
        self, get_members_fn: Callable, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for module_name, module in modules:
            for name, member in get_members_fn(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield _join(module_name, name), member

    # One part by its dotted name ----------------------------------------------------------------------------------

    def get_submodule(self, target: str) -> Module:
        """The submodule with this dotted name; '' is the module itself.

        Raises:
            AttributeError: there is no such attribute, or it is no Module.
        """
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Replace the submodule with this dotted name; with `strict=False` also add one that was not there.

        Raises:
            ValueError: `target` is empty, or `module` no Module.
            AttributeError: the way to it, or with `strict` the target itself, does not exist or is no Module.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if hasattr(parent, name):
            if not isinstance(getattr(parent, name), Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        elif strict:
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with this dotted name.

        Raises:
            AttributeError: there is no such attribute, or it is no Parameter.
        """
        _, name, parameter = self._get_member(target)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"`{name}` is not an nn.Parameter")
        return parameter

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with this dotted name.

        Raises:
            AttributeError: there is no such attribute, or it is no buffer.
        """
        module, name, buffer = self._get_member(target)
        if name not in module._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return buffer

    def _get_member(self, target: str) -> tuple[Module, str, Any]:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
        return module, name, getattr(module, name)

    # Changes to the whole tree ------------------------------------------------------------------------------------

    def apply(self, fn: Callable[[Module], None]) -> Module:
        """Call `fn` on every submodule and then on this module; return this module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all below it to training mode, or with False to evaluation mode."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Module:
        """Switch this module and all below it to evaluation mode: dropout off, batch norm by its running statistics."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Say of every parameter whether autograd shall compute its gradient; return this module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradient of every parameter, or with `set_to_none=False` fill it with zeros."""
        zero_gradients(self.parameters(), set_to_none)

    def _apply(self, fn: Callable[[Tensor], Any], recurse: bool = True) -> Module:
        """Replace the data of every parameter, gradient and buffer by `fn` of it. Parameters stay the same objects, unless
        `__future__` has been asked for new ones."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        for name, parameter in self._parameters.items():
            if parameter is not None:
                self._parameters[name] = converted(parameter, fn, f"{self._get_name()}.{name}")
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Module:
        """`to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`, `to(memory_format=...)`: convert parameters and buffers.

        The dtype reaches floating-point tensors only, the memory format those of 4 or 5 dimensions. The one device is the CPU.

        Raises:
            TypeError: a dtype that is not floating point.
        """
        dtype, format, _ = conversion_asked(*args, **kwargs)
        if dtype is not None and not dtype.is_floating_point:
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        return self._apply(
            lambda t: t.to(
                dtype=dtype if t.is_floating_point() else None, memory_format=format if t.dim() in (4, 5) else None
            )
        )

    def to_empty(self, *, device: Any, recurse: bool = True) -> Module:
        """Replace the data of every parameter and buffer by undefined content, on a device: the CPU."""
        return self._apply(lambda t: empty_like(t, device=device), recurse)

    def type(self, dst_type: Any) -> Module:
        """Convert all parameters and buffers, integers too, to this dtype."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> Module:
        """Convert floating-point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self) -> Module:
        """Convert floating-point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> Module:
        """Convert floating-point parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def cpu(self) -> Module:
        """Return the module: it is on the CPU."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: Any = None) -> Module:
        """Raise what a tensor's `cuda()` raises: there is no such device."""
        return self._apply(lambda t: t.cuda(device))

    # The printed form ---------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the parentheses of the printed form: a layer's settings. For subclasses."""
        return ", ".join([f"{name}={getattr(self, name)}" for name in self._extra_repr_names])

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extra_lines = extra.split("\n") if extra else []
        child_lines = [f"({name}): {_indent(repr(module))}" for name, module in self._modules.items()]
        if not child_lines and len(extra_lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(extra_lines + child_lines) + "\n)"

    # Pickling -----------------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _HOOK_DICTS:
            # PyTorch does not add these two, since even its oldest pickles have them.
            if name not in ("_forward_hooks", "_backward_hooks"):
                self.__dict__.setdefault(name, OrderedDict())
        self.__dict__.setdefault("_non_persistent_buffers_set", set())
        self.__dict__.setdefault("_is_full_backward_hook", None)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _indent(text: str) -> str:
    """Indent all lines but the first by two places; leave blank lines empty."""
    first, *rest = text.split("\n")
    return "\n".join([first, *("  " + line if line.strip() else "" for line in rest)])
