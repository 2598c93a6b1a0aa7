"""Comparisons and logic, booleans outside of the graph; and what they choose: the larger, the smaller, by a mask."""

from __future__ import annotations

import operator
from types import new_class
from typing import Any

import numpy as np

from minicnn._mirror import since
from minicnn._tensor import Tensor, need_tensor
from minicnn._types import short_name
from minicnn._warnings import warn_user
from minicnn.autograd import both
from minicnn.autograd.function import Op, RowOp
from minicnn.ops._common import (
    broadcast_shapes,
    fitting,
    implemented,
    number,
    operand,
    operands,
    result_type,
)

__all__ = [
    "allclose", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "equal", "fmax", "fmin", "ge", "gt",
    "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "le", "logical_and", "logical_not",
    "logical_or", "logical_xor", "lt", "masked_fill", "maximum", "minimum", "ne", "signbit", "where",
]  # fmt: skip


class _Choice(Op):
    """One of two, by `choose`; the gradient goes to a where it `wins` over b, half of it to each where they are equal."""

    saved_names = ("self", "other")
    slots = 2
    choose: Any
    wins: Any

    @classmethod
    def forward(cls, ctx, a, b, kind):
        ctx.save_for_backward(a, b)
        return cls.choose(*operands(a, b, kind)).astype(kind, copy=False)

    @classmethod
    def backward(cls, ctx, grad):
        a, b = ctx.saved
        equal, half = a == b, grad / 2
        # Where one is NaN neither loses, and both have the whole gradient, as in PyTorch.
        lost = (
            cls.wins(b, a) if ctx.needs_input_grad[0] else None,
            cls.wins(a, b) if ctx.needs_input_grad[1] else None,
        )
        return tuple([None if l is None else both.masked_fill(both.where(equal, half, grad), l) for l in lost])


class Maximum(_Choice):
    """The larger of both."""

    choose, wins = np.maximum, operator.gt


class Minimum(_Choice):
    """The smaller of both."""

    choose, wins = np.minimum, operator.lt


class _ChoiceOfNumbers(_Choice):
    """Of a number and NaN the number."""

    @classmethod
    def backward(cls, ctx, grad):
        """As of the others; before 2.14 the whole gradient to the one that was chosen, of equals to a."""
        if since(2, 14):
            return super().backward(ctx, grad)
        a, b = ctx.saved
        chosen = (a == b) | cls.wins(a, b) | (b != b)
        to_a = both.masked_fill(grad, ~chosen) if ctx.needs_input_grad[0] else None
        return to_a, both.masked_fill(grad, chosen) if ctx.needs_input_grad[1] else None


class Fmax(_ChoiceOfNumbers):
    """The larger of both, NaN only where both are."""

    choose, wins = np.fmax, operator.gt


class Fmin(_ChoiceOfNumbers):
    """The smaller of both, NaN only where both are."""

    choose, wins = np.fmin, operator.lt


class Compared(Op):
    """A comparison that is written over a: it passes nothing on. Elsewhere comparisons are outside of the graph."""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, compare):
        return compare(a, b).array.astype(a.array.dtype)

    @staticmethod
    def backward(ctx, grad):
        return both.zeros_like(grad), both.zeros_like(grad) if ctx.needs_input_grad[1] else None


COMPARED: dict[str, list[Any]] = {  # by a number, by a tensor
    name: [new_class(name, (Compared,), {"node_name": f"{name.title()}Backward{i}"}) for i in (0, 1)]
    for name in ("eq", "ne", "ge", "gt", "le", "lt")
}


def compared(input: Tensor, name: str, other: Any) -> Tensor:
    """What `input.eq_(other)` and its siblings write: 0 and 1, of input's type, at which gradients end."""
    return COMPARED[name][isinstance(other, Tensor)].apply(input, other, globals()[name])


class Where(Op):
    """a where the condition holds, else b"""

    saved_names = ("condition",)
    slots = 2

    @staticmethod
    def forward(ctx, a, b, condition, kind):
        ctx.save_for_backward(condition)
        x, y = (
            operand(t, kind) if isinstance(t, Tensor) or kind.kind not in "ui" else fitting(t, kind) for t in (a, b)
        )
        broadcast_shapes(condition.array.shape, x.shape, y.shape)
        return np.where(condition.array, x, y)

    @staticmethod
    def backward(ctx, grad):
        (condition,) = ctx.saved
        to_a = both.where(condition, grad, 0.0) if ctx.needs_input_grad[0] else None
        return to_a, both.where(condition, 0.0, grad) if ctx.needs_input_grad[1] else None


class MaskedFill(RowOp):
    """a, and the number where the mask is true"""

    saved_names = ("mask",)

    @staticmethod
    def forward(ctx, a, number, mask):
        ctx.save_for_backward(mask)
        return np.where(mask.array, fitting(number, a.array.dtype), a.array)

    @staticmethod
    def backward(ctx, grad):
        (mask,) = ctx.saved
        to_a = MaskedFill.of(grad, 0, mask) if ctx.needs_input_grad[0] else None
        return to_a, both.where(mask, grad, 0.0) if ctx.needs_input_grad[1] else None


class MaskedFillTensor(MaskedFill, node_name="MaskedFillBackward1"):
    """The number is a 0-d tensor, which gets what arrives at its places."""

    slots = 2


# --- the functions ----------------------------------------------------------------------------------------------------


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of both, element by element, of their common shape. TypeError unless both are tensors."""
    return _chosen(Maximum, "maximum", input, other)


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of both, element by element, of their common shape. TypeError unless both are tensors."""
    return _chosen(Minimum, "minimum", input, other)


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of both, and of a number and NaN the number; as `maximum` otherwise."""
    return _chosen(Fmax, "fmax", input, other)


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of both, and of a number and NaN the number; as `minimum` otherwise."""
    return _chosen(Fmin, "fmin", input, other)


def _chosen(choice: type[_Choice], name: str, input: Tensor, other: Tensor) -> Tensor:
    need_tensor(input, name)
    need_tensor(other, name, "other", 2)
    kind = result_type(input, other)
    if kind.kind == "c":
        raise RuntimeError(f"{name} not implemented for complex tensors.")
    return choice.apply(input, other, kind)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; with the condition alone, the indices where it holds."""
    if input is None and other is None:
        return tuple(Tensor.wrap(index) for index in np.nonzero(condition.array))
    if condition.array.dtype == np.uint8:
        warn_user(
            "where received a uint8 condition tensor. This behavior is deprecated and will be removed in a future version "
            "of PyTorch. Use a boolean condition instead."
        )
        condition = condition.bool()
    if condition.array.dtype.kind != "b":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype.tensor_type}"
        )
    return Where.apply(input, other, condition, result_type(input, other))


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """input, and the number `value`, or that of a 0-d tensor, where the mask is true. RuntimeError for another mask or tensor."""
    if mask.array.dtype.kind != "b":
        raise RuntimeError(f"masked_fill only supports boolean masks, but got mask with dtype {mask.dtype}")
    if not isinstance(value, Tensor):
        return MaskedFill.apply(input, value, mask)
    if value.array.ndim:
        raise RuntimeError(
            f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.array.ndim} dimension(s)."
        )
    return MaskedFillTensor.apply(input, value, mask)


def _compare(name: str, compare: np.ufunc, a: Any, b: Any) -> Tensor:
    need_tensor(a, name)
    kind = result_type(a, b)
    implemented(f"{name}_cpu", kind, "buifc" if name in ("eq", "ne") else "buif")
    return Tensor.wrap(compare(*operands(a, b, kind)))


def eq(input: Any, other: Any) -> Tensor:
    """input == other: booleans of their common shape. RuntimeError if the shapes do not broadcast."""
    return _compare("eq", np.equal, input, other)


def ne(input: Any, other: Any) -> Tensor:
    """input != other: booleans of their common shape. RuntimeError if the shapes do not broadcast."""
    return _compare("ne", np.not_equal, input, other)


def lt(input: Any, other: Any) -> Tensor:
    """input < other: booleans of their common shape. NotImplementedError for complex numbers."""
    return _compare("lt", np.less, input, other)


def le(input: Any, other: Any) -> Tensor:
    """input <= other: booleans of their common shape. NotImplementedError for complex numbers."""
    return _compare("le", np.less_equal, input, other)


def gt(input: Any, other: Any) -> Tensor:
    """input > other: booleans of their common shape. NotImplementedError for complex numbers."""
    return _compare("gt", np.greater, input, other)


def ge(input: Any, other: Any) -> Tensor:
    """input >= other: booleans of their common shape. NotImplementedError for complex numbers."""
    return _compare("ge", np.greater_equal, input, other)


def isnan(input: Tensor) -> Tensor:
    """Which elements are NaN: booleans of input's shape."""
    return Tensor.wrap(np.isnan(input.array))


def isinf(input: Tensor) -> Tensor:
    """Which elements are infinite: booleans of input's shape."""
    return Tensor.wrap(np.isinf(input.array))


def isfinite(input: Tensor) -> Tensor:
    """Which elements are neither infinite nor NaN: booleans of input's shape."""
    return Tensor.wrap(np.isfinite(input.array))


def isposinf(input: Tensor) -> Tensor:
    """Which elements are plus infinity: booleans of input's shape."""
    return Tensor.wrap(input.array == np.inf)


def isneginf(input: Tensor) -> Tensor:
    """Which elements are minus infinity: booleans of input's shape."""
    return Tensor.wrap(input.array == -np.inf)


def isreal(input: Tensor) -> Tensor:
    """Which elements have no imaginary part: booleans of input's shape."""
    return Tensor.wrap(np.isreal(input.array))


def signbit(input: Tensor) -> Tensor:
    """Which elements have a minus, -0 among them: booleans of input's shape."""
    x = input.array
    return Tensor.wrap(np.signbit(x) if x.dtype.kind == "f" else x < 0)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Which elements are among the others: booleans of their shape; those that are not with `invert`. One may be a number."""
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError("isin(): one of the arguments must be a Tensor")
    kind = result_type(elements, test_elements)
    x, others = operand(elements, kind), operand(test_elements, kind)
    return Tensor.wrap(np.asarray(np.isin(x, others, invert=invert)))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape and values."""
    return bool(np.array_equal(input.array, other.array))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all are as near as `isclose` asks, as one boolean. RuntimeError if the types differ."""
    rtol, atol = (number(n, "allclose", name, kind="float") for name, n in (("rtol", rtol), ("atol", atol)))
    return isclose(input, other, rtol, atol, equal_nan).array.all().item()


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """|input - other| <= atol + rtol |other|: booleans of their common shape. RuntimeError if the types differ."""
    rtol, atol = (number(n, "isclose", name, kind="float") for name, n in (("rtol", rtol), ("atol", atol)))
    if input.array.dtype != other.array.dtype:
        raise RuntimeError(f"{short_name(input.dtype)} did not match {short_name(other.dtype)}")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {tolerance:g}")
    with np.errstate(all="ignore"):
        return Tensor.wrap(np.isclose(input.array, other.array, rtol, atol, equal_nan))


def _bitwise(name: str, a: Any, b: Any) -> Tensor:
    kind = result_type(a, b)
    implemented(f"{name}_cpu", kind, "bui")
    return Tensor.wrap(getattr(np, name)(*operands(a, b, kind)))


def bitwise_and(input: Any, other: Any) -> Tensor:
    """input & other, bit by bit, of their common shape. NotImplementedError for floating-point numbers."""
    return _bitwise("bitwise_and", input, other)


def bitwise_or(input: Any, other: Any) -> Tensor:
    """input | other, bit by bit, of their common shape. NotImplementedError for floating-point numbers."""
    return _bitwise("bitwise_or", input, other)


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """input ^ other, bit by bit, of their common shape. NotImplementedError for floating-point numbers."""
    return _bitwise("bitwise_xor", input, other)


def bitwise_not(input: Tensor) -> Tensor:
    """~input, bit by bit, of booleans which are false, of input's shape. NotImplementedError for floating-point numbers."""
    implemented("bitwise_not_cpu", input.array.dtype, "bui")
    return Tensor.wrap(~input.array)


def _logical(name: str, a: Tensor, b: Tensor) -> Tensor:
    need_tensor(a, name)
    need_tensor(b, name, "other", 2)
    return Tensor.wrap(getattr(np, name)(a.array, b.array))


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    """Where both are not 0: booleans of their common shape. TypeError unless both are tensors."""
    return _logical("logical_and", input, other)


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    """Where one of both is not 0: booleans of their common shape. TypeError unless both are tensors."""
    return _logical("logical_or", input, other)


def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    """Where one of both is not 0, and the other one is: booleans of their common shape. TypeError unless both are tensors."""
    return _logical("logical_xor", input, other)


def logical_not(input: Tensor) -> Tensor:
    """Which elements are 0: booleans of input's shape."""
    return Tensor.wrap(np.logical_not(input.array))
