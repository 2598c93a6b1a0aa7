"""`Optimizer`, the base of all: parameter groups, state, and what a step is apart from its formula."""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import chain
from typing import Any

import numpy as np

from minicnn._tensor import Tensor, typename
from minicnn._types import float64, get_default_dtype
from minicnn._warnings import warn_user
from minicnn.autograd.grad_mode import enable_grad, need_writable, no_grad
from minicnn.autograd.handles import Hooks, RemovableHandle, add_hook
from minicnn.nn.parameter import zero_gradients

Both = Any  # an array; or a tensor, in a step that is recorded

_HOOK_DICTS = [
    f"_optimizer_{what}_{when}_hooks" for what in ("step", "state_dict", "load_state_dict") for when in ("pre", "post")
]


def _hooked(step: Callable) -> Callable:
    """The step with its hooks around it. They see the arguments as they were given, the optimizer first."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        args = (self, *args)
        for hook in tuple(self._optimizer_step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                args, kwargs = changed
        result = step(*args, **kwargs)
        for hook in tuple(self._optimizer_step_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    return wrapper


class Optimizer:
    """Changes parameters by their gradients. A subclass defines `_update`, the formula for one parameter.

    Args:
        params: the parameters; or (name, parameter) pairs; or groups: dictionaries with 'params' and settings of their
            own. An iterable.
        defaults: the settings of groups that do not give them.

    Attributes:
        param_groups: a list of dictionaries with 'params' and the settings. Change a setting here while training.
        state: for each parameter, a dictionary with what the formula remembers.
    """

    _opt_called: bool  # set by the learning-rate schedulers, which must come after a step
    _scalars: tuple[str, ...] = ()  # what a formula remembers as a 0-d tensor: files from before 1.12 hold numbers
    _optimizer_step_pre_hooks: Hooks
    _optimizer_step_post_hooks: Hooks
    _optimizer_state_dict_pre_hooks: Hooks
    _optimizer_state_dict_post_hooks: Hooks
    _optimizer_load_state_dict_pre_hooks: Hooks
    _optimizer_load_state_dict_post_hooks: Hooks

    def __init__(self, params: Iterable, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        for name in _HOOK_DICTS:
            setattr(self, name, OrderedDict())
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                + typename(params)
            )
        self.state: defaultdict[Tensor, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # The step -----------------------------------------------------------------------------------------------------

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _hooked(cls.step)  # type: ignore[method-assign]

    @_hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient.

        Args:
            closure: computes the loss anew, with its gradients, and returns it. Called first.

        Returns:
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        recorded = bool(self.defaults.get("differentiable"))
        with enable_grad() if recorded else no_grad():
            for group in self.param_groups:
                for param in group["params"]:
                    if param.grad is not None:
                        self._step_one(param, param.grad, group, recorded)
        return loss

    def _step_one(self, param: Tensor, grad: Tensor, group: dict[str, Any], recorded: bool) -> None:
        need_writable(param)
        state = self.state.get(param, {})
        try:
            if recorded:
                self._update(param, -grad if group["maximize"] else grad, state, group)
            else:
                self._update(param.array, -grad.array if group["maximize"] else grad.array, state, group)
                param._version_counter.value += 1
        finally:
            if state:  # a formula that remembers nothing leaves no entry
                self.state[param] = state

    def _update(self, param: Both, grad: Both, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change `param` in place by `grad`, which must stay as it is. `state` is empty before the first step.

        Both are arrays; or tensors, if the step is to be recorded (`differentiable=True`).
        """
        raise NotImplementedError

    def _params(self) -> Iterator[Tensor]:
        return chain.from_iterable(group["params"] for group in self.param_groups)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or with `set_to_none=False` fill them with zeros."""
        zero_gradients(self._params(), set_to_none)

    # Groups -------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with settings of their own.

        Raises:
            TypeError: the group is no dictionary, or its parameters no tensors, or a set.
            ValueError: a parameter is the result of an operation, or in another group already.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        if any(isinstance(param, tuple) for param in params):
            if not all(isinstance(param, tuple) for param in params):
                raise ValueError("all optimizer params should be with/without names. Some param names are missing")
            param_group["param_names"], params = [name for name, _ in params], [param for _, param in params]
        param_group["params"] = params
        self._check_params(params)
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        if self.param_groups:
            self._check_against_groups(param_group)
        self.param_groups.append(param_group)

    def _check_params(self, params: list[Any]) -> None:
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is " + typename(param))
            if not (self.defaults.get("differentiable") or param.is_leaf or param.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        if len(params) != len(set(params)):
            warn_user(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information"
            )

    def _check_against_groups(self, param_group: dict[str, Any]) -> None:
        named = "param_names" in param_group
        for group in self.param_groups:
            if ("param_names" in group) != named:
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with names' if named else 'without names'} to the optimizer"
                )
        if not set(self._params()).isdisjoint(param_group["params"]):
            raise ValueError("some parameters appear in more than one parameter group")

    # Saving -------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{'state': what is remembered, by parameter number; 'param_groups': the settings, with parameter numbers}."""
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        numbers: dict[int, int] = {}
        for param in self._params():
            numbers.setdefault(id(param), len(numbers))
        saved = {
            "state": {numbers[id(k)] if isinstance(k, Tensor) else k: value for k, value in self.state.items()},
            "param_groups": [
                {
                    **{name: value for name, value in group.items() if name != "params"},
                    "params": [numbers[id(param)] for param in group["params"]],
                }
                for group in self.param_groups
            ],
        }
        for hook in self._optimizer_state_dict_post_hooks.values():
            replacement = hook(self, saved)
            if replacement is not None:
                saved = replacement
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what `state_dict` returned. Settings become the saved ones; parameters are matched by number.

        Raises:
            ValueError: the groups, or the numbers of parameters in them, differ.
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            replacement = hook(self, state_dict)
            if replacement is not None:
                state_dict = replacement
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(saved_groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        pairs = list(zip(self.param_groups, saved_groups, strict=True))
        if any(len(group["params"]) != len(saved["params"]) for group, saved in pairs):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        by_number = {
            number: param
            for group, saved in pairs
            for number, param in zip(saved["params"], group["params"], strict=True)
        }
        state: defaultdict[Tensor, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_number:
                state[by_number[key]] = _converted(value, by_number[key])
            else:
                state[key] = value
        for group, saved in pairs:
            saved["params"] = group["params"]
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": saved_groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _HOOK_DICTS:
            self.__dict__.setdefault(name, OrderedDict())
        for group in self.param_groups:  # settings that did not exist when the state was saved
            for name, default in self.defaults.items():
                group.setdefault(name, default)
            for param in group["params"]:
                remembered = self.state.get(param, {})
                for name in self._scalars if remembered else ():
                    if not isinstance(remembered[name], Tensor):
                        remembered[name] = scalar(float(remembered[name]))

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(f"    {name}: {group[name]}\n" for name in sorted(group) if name != "params")
        return text + ")"

    # Hooks --------------------------------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` before each step; it may return new (args, kwargs)."""
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call `hook(optimizer, args, kwargs)` after each step."""
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` before `state_dict` collects the state."""
        return add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend=prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` at the end of `state_dict`; a returned dictionary replaces it."""
        return add_hook(self._optimizer_state_dict_post_hooks, hook, prepend=prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer, state_dict)` before `load_state_dict`; a returned dictionary replaces it."""
        return add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend=prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call `hook(optimizer)` after `load_state_dict`."""
        return add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend=prepend)


def _converted(value: Any, param: Tensor, name: str | None = None) -> Any:
    """Saved state in the dtype of its parameter; the count of steps stays as it is."""
    if isinstance(value, dict):
        return {key: _converted(entry, param, key) for key, entry in value.items()}
    if isinstance(value, Tensor):
        return value if name == "step" or not param.is_floating_point() else value.to(dtype=param.dtype)
    if isinstance(value, (list, tuple)):
        return type(value)(_converted(entry, param) for entry in value)
    return value


# Checks and state that several formulas share -------------------------------------------------------------------------


_AT_LEAST_ZERO = {
    "lr": "learning rate", "eps": "epsilon value", "momentum": "momentum value", "weight_decay": "weight_decay value",
    "momentum_decay": "momentum_decay value", "alpha": "alpha value",
}  # fmt: skip


def given(arguments: dict[str, Any]) -> dict[str, Any]:
    """The settings among the arguments of a formula's `__init__`: its `locals()`, when they are all that it has."""
    return {name: value for name, value in arguments.items() if name not in ("self", "__class__", "params")}


def checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same; ValueError if one is out of its range."""
    settings = given(arguments)
    if isinstance(settings["lr"], Tensor) and settings["lr"].numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    for name, text in _AT_LEAST_ZERO.items():
        if not settings.get(name, 0.0) >= 0.0:
            raise ValueError(f"Invalid {text}: {settings[name]}")
    if "betas" in settings:
        settings["betas"] = tuple(settings["betas"])
        for i, beta in enumerate(settings["betas"]):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
    return settings


def number(value: Any, param: Both) -> Any:
    """A setting as a number; a tensor that a gradient goes to stays one if the step is recorded."""
    if not isinstance(value, Tensor) or (isinstance(param, Tensor) and value.requires_grad):
        return value
    return value.item()


def held(state: dict[str, Any], name: str, param: Both) -> Both:
    """What a formula remembers: an array as `param` is one, or the tensor."""
    return state[name] if isinstance(param, Tensor) else state[name].array


def fixed(value: Both) -> Both:
    """What a formula computes with and will write to in the next step: a copy, if the step is recorded."""
    return value.clone() if isinstance(value, Tensor) else value


def with_decay(param: Both, grad: Both, group: dict[str, Any]) -> Both:
    """The gradient of a loss that also draws `param` to zero; or, decoupled, the gradient itself, and `param` drawn at once."""
    decay = number(group["weight_decay"], param)
    if not isinstance(decay, Tensor) and decay == 0:
        return grad
    if group.get("decoupled_weight_decay"):
        param *= 1 - number(group["lr"], param) * decay
        return grad
    return grad + decay * fixed(param)


def moments(param: Both, grad: Both, state: dict[str, Any], beta1: Any, beta2: Any) -> tuple[Both, Both]:
    """Let the means of the gradient and of its square follow `grad`, by the two betas; they are in the state."""
    mean, square = held(state, "exp_avg", param), held(state, "exp_avg_sq", param)
    mean += (1 - beta1) * (grad - mean)
    square *= beta2
    square += (1 - beta2) * (grad * grad)
    return mean, square


def root_of(square: Both, scale: Any, eps: float) -> Both:
    """sqrt(square) / scale + eps"""
    if isinstance(square, Tensor):
        return square.sqrt() / scale + eps
    root = np.sqrt(square)
    root /= scale
    root += eps
    return root


def zeros_like(param: Both) -> Tensor:
    """Room for what a formula remembers about each number of a parameter."""
    return Tensor.wrap(np.zeros_like(param.array if isinstance(param, Tensor) else param))


def scalar(value: float) -> Tensor:
    """A number that a formula remembers: a 0-d tensor of float32, or of float64 if that is the default type."""
    return Tensor.wrap(np.array(value, np.float64 if get_default_dtype() is float64 else np.float32))


def count_step(state: dict[str, Any]) -> float:
    """Add one to the count of steps, and return it."""
    state["step"].array += 1
    return float(state["step"].array)
