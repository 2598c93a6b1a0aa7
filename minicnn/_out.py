"""`out=`: the result goes into a tensor that is there already. One rule for all functions of the front door that take it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from minicnn import ops
from minicnn._tensor import Tensor
from minicnn._types import CATEGORY, short_name
from minicnn._warnings import warn_user
from minicnn.autograd import grad_mode

# What computes numbers of tensors, as `out=` is a keyword of PyTorch's functions of these names.
FUNCTIONS = (
    "abs", "acos", "acosh", "add", "addcdiv", "addcmul", "addmm", "addmv", "all", "amax", "amin", "any", "argmax", "argmin", "asin",
    "asinh", "atan", "atan2", "atanh", "baddbmm", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "bmm", "bucketize", "cat",
    "ceil", "clamp", "clamp_max", "clamp_min", "column_stack", "cos", "cosh", "cross", "cumsum", "diag", "diff", "div", "dot", "dstack",
    "eq", "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "floor", "floor_divide", "fmax", "fmin", "fmod", "frac", "gather", "ge", "gt",
    "hstack", "hypot", "index_add", "index_copy", "index_select", "inner", "isin", "isneginf", "isposinf", "kron", "kthvalue", "le",
    "lerp", "log", "log10", "log1p", "log2", "logaddexp", "logical_and", "logical_not", "logical_or", "logical_xor", "logit",
    "logsumexp", "lt", "masked_select", "matmul", "max", "maximum", "mean", "min", "minimum", "mm", "mul", "mv", "nan_to_num", "nanmean",
    "ne", "neg", "norm", "outer", "pow", "prod", "reciprocal", "remainder", "renorm", "round", "rsqrt", "scatter", "scatter_add",
    "searchsorted", "sigmoid", "sign", "signbit", "sin", "sinh", "sort", "sqrt", "square", "stack", "std", "sub", "sum", "take",
    "take_along_dim", "tan", "tanh", "tensordot", "topk", "tril", "triu", "trunc", "var", "vstack", "where", "xlogy",
)  # fmt: skip


def taking_out(function: Callable) -> Callable:
    """The function with a keyword `out`: a tensor, or for several results a tuple of them, into which they are written.

    It gets the result's shape, with a warning if it had another one and was not empty, and keeps its type.
    RuntimeError if a gradient is asked for, or if the type cannot hold the result (a float in integers).
    """
    name = function.__name__

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        targets = out if isinstance(out, (tuple, list)) else (out,)
        for target in targets:
            if not isinstance(target, Tensor):
                raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(target).__name__}")
        if grad_mode.is_grad_enabled() and any(_requires_grad(arg) for arg in (*args, *kwargs.values(), *targets)):
            raise RuntimeError(
                f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
                "requires grad."
            )
        with grad_mode.no_grad():
            result = function(*args, **kwargs)
            for target, value in zip(targets, result if isinstance(result, tuple) else (result,), strict=True):
                _write(target, value)
        return type(result)(*targets) if isinstance(result, tuple) else out

    signature = inspect.signature(function)
    parameter = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Any")
    call.__signature__ = signature.replace(parameters=[*signature.parameters.values(), parameter])  # type: ignore[attr-defined]
    return call


def _requires_grad(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(_requires_grad(part) for part in value)
    return isinstance(value, Tensor) and value.requires_grad


def _write(target: Tensor, result: Tensor) -> None:
    if CATEGORY[result.array.dtype.kind] > CATEGORY[target.array.dtype.kind]:
        raise RuntimeError(
            f"result type {short_name(result.dtype)} can't be cast to the desired output type {short_name(target.dtype)}"
        )
    if target.array.shape != result.array.shape:
        if target.array.size:
            warn_user(
                f"An output with one or more elements was resized since it had shape {list(target.array.shape)}, which does not "
                f"match the required output shape {list(result.array.shape)}. This behavior is deprecated, and in a future "
                "PyTorch release outputs will not be resized unless they have zero elements. You can explicitly reuse an out "
                "tensor t by resizing it, inplace, to zero elements with t.resize_(0)."
            )
        target.array = result.array.astype(target.array.dtype)
        target._version_counter.value += 1
        return
    target.copy_(result)


def functions() -> dict[str, Callable]:
    """All of them, by their names."""
    return {name: taking_out(getattr(ops, name)) for name in FUNCTIONS}
