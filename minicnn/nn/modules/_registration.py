"""How a module notices its parts: parameters, buffers and submodules, by attribute assignment or by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minicnn._tensor import Tensor
from minicnn.nn.parameter import Buffer, Parameter
from minicnn.utils.hooks import RemovableHandle

Hooks = OrderedDict[int, Callable]

# Hooks for all modules, called when a part is registered, before it is stored; what they return replaces the part.
_global_buffer_registration_hooks: Hooks = OrderedDict()
_global_module_registration_hooks: Hooks = OrderedDict()
_global_parameter_registration_hooks: Hooks = OrderedDict()


def register_module_buffer_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, buffer)` whenever any module registers a buffer, None included.

    A return value other than None is stored in the buffer's place, unchecked, and passed to the next hook.
    """
    return _add_hook(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, submodule)` whenever any module registers a submodule, None included.

    A return value other than None is stored in the submodule's place, unchecked, and passed to the next hook.
    """
    return _add_hook(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Callable) -> RemovableHandle:
    """Call `hook(module, name, parameter)` whenever any module registers a parameter; not for None.

    A return value other than None is stored in the parameter's place, unchecked, and passed to the next hook.
    """
    return _add_hook(_global_parameter_registration_hooks, hook)


def _add_hook(
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


def _after_hooks(hooks: Hooks, module: Any, name: str, part: Any) -> Any:
    for hook in hooks.values():
        replacement = hook(module, name, part)
        if replacement is not None:
            part = replacement
    return part


def typename(obj: Any) -> str:
    """The name of an object's type as error messages give it: 'torch.FloatTensor', 'int', 'package.module.Class'."""
    if isinstance(obj, Tensor):
        return str(obj.type())
    module, name = type(obj).__module__, type(obj).__qualname__
    if hasattr(obj, "__qualname__"):
        module, name = getattr(obj, "__module__", ""), obj.__qualname__
    return name if module in (None, "", "builtins") else f"{module}.{name}"


class Registration:
    """The part of `Module` that keeps parameters, buffers and submodules in three dictionaries.

    They look like attributes, but they do not live in the instance's `__dict__`: `__getattr__` finds them there, and
    `__setattr__` sorts each new attribute by its type.
    """

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]

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
        if not isinstance(module, Registration) and module is not None:
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
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in state.get(kind, ()):
                return state[kind][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        parts = self.__dict__
        if isinstance(value, Parameter):
            self._assign_parameter(name, value)
        elif name in parts.get("_parameters", ()):
            self._reassign_parameter(name, value)
        elif isinstance(value, Registration):
            self._assign_module(name, value)
        elif name in parts.get("_modules", ()):
            self._reassign_module(name, value)
        elif isinstance(value, Buffer) or name in parts.get("_buffers", ()):
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

    def _assign_module(self, name: str, value: Registration) -> None:
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
