"""What `module.double()`, `module.to(...)` and the like make of one parameter: `__future__` says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minicnn import __future__
from minicnn._tensor import Tensor
from minicnn.autograd.grad_mode import no_grad
from minicnn.nn.parameter import Parameter
from minicnn.utils import swap_tensors


def converted(parameter: Any, fn: Callable[[Tensor], Any], name: str) -> Any:
    """The parameter with `fn` of its data and of its gradient: the same object, unless new ones are to be made."""
    grad = parameter.grad
    with no_grad():
        data, new_grad = fn(parameter), None if grad is None else fn(grad)
    if __future__.get_swap_module_params_on_conversion():
        return _swapped(parameter, data, new_grad, name)
    if __future__.get_overwrite_module_params_on_conversion():
        parameter = Parameter(data, parameter.requires_grad)
        parameter.grad = new_grad
    else:
        parameter.data = data
        if grad is not None:
            grad.data = new_grad
    return parameter


def _swapped(parameter: Any, data: Any, new_grad: Any, name: str) -> Any:
    grad, parameter.grad = parameter.grad, None
    try:
        swap_tensors(parameter, Parameter(data, parameter.requires_grad))
    except Exception as error:
        parameter.grad = grad
        raise RuntimeError(f"_apply(): Couldn't swap {name}") from error
    if grad is not None:
        try:
            swap_tensors(grad, new_grad.requires_grad_(grad.requires_grad))
        except Exception as error:
            raise RuntimeError(f"_apply(): Couldn't swap {name}.grad") from error
        parameter.grad = grad
    return parameter
