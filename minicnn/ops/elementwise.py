"""One operand, element by element: exp, log, roots, angles, rounding, cutting off, another type."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn.autograd.function import Op
from minicnn.ops._common import broadcast_shapes, fitting, floating, implemented, number, operand, result_type

__all__ = [
    "abs", "atan", "ceil", "clamp", "clamp_max", "clamp_min", "cos", "exp", "expm1", "floor", "log", "log10", "log1p",
    "log2", "reciprocal", "round", "rsqrt", "sign", "sin", "sqrt", "tan",
]  # fmt: skip


def _float_array(a: Tensor) -> np.ndarray:
    return operand(a, floating(a.array.dtype))


def _between(x: np.ndarray, low: np.ndarray | None, high: np.ndarray | None) -> np.ndarray:
    """min(max(x, low), high); what equals a bound stays as it is, in the sign of a zero too."""
    for bound, beyond in ((low, np.less), (high, np.greater)):
        if bound is not None:
            x = np.where(beyond(x, bound) | (bound != bound), bound, x)
    return x


class Clamp(Op, node_name="ClampBackward1"):
    """min(max(a, low), high); the gradient passes where low <= a <= high, since 2.14 without the bounds"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, low, high, kind):
        ctx.low, ctx.high = low, high
        ctx.save_for_backward(a)
        return _between(operand(a, kind), *(n if n is None else fitting(n, kind) for n in (low, high)))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        inside = np.ones(a.array.shape, bool)
        above, below = (np.greater, np.less) if since(2, 14) else (np.greater_equal, np.less_equal)
        if ctx.low is not None:
            inside &= above(a.array, ctx.low)
        if ctx.high is not None:
            inside &= below(a.array, ctx.high)
        return np.where(inside, grad.array, grad.array.dtype.type(0))


class ClampMin(Clamp):
    """max(a, low)"""


class ClampMax(Clamp):
    """min(a, high)"""


class ClampTensor(Op, node_name="ClampBackward0"):
    """min(max(a, low), high) of tensors, or None; a bound that is in force gets the gradient; at equality a does, since
    2.14 each of them half of it"""

    slots = 3

    @staticmethod
    def forward(ctx, a, low, high, kind):
        ctx.save_for_backward(a, low, high)
        return _between(operand(a, kind), *(t if t is None else operand(t, kind) for t in (low, high)))

    @staticmethod
    def backward(ctx, grad):
        x, low, high = (t if t is None else t.array for t in ctx.saved_tensors)
        g, nothing = grad.array, grad.array.dtype.type(0)
        if since(2, 14):
            return tuple(g * share.astype(g.dtype) for share in _shares(x, low, high))
        low, high = -np.inf if low is None else low, np.inf if high is None else high
        inside = (low <= x) & (x <= high)
        to_low = (x < low) & (low < high)
        to_high = (x > high) | (high < low)
        return tuple(np.where(chosen, g, nothing) for chosen in (inside, to_low, to_high))


def _shares(x: np.ndarray, low: Any, high: Any) -> tuple[np.ndarray, ...]:
    """Which part of the gradient goes to x, low and high, since 2.14. For NaN x has it, and with it a bound that is alone."""
    nan_to_low, nan_to_high = high is None and np.isnan(x), low is None and np.isnan(x)
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    at_low, at_high = (0.5 * ((x == bound) & (low < high)) for bound in (low, high))
    to_low = ((x < low) & (low <= high)) | nan_to_low
    to_high = (x > high) | (high < low) | nan_to_high
    return ~((x < low) | (x > high)) - at_low - at_high, to_low + at_low, to_high + at_high


class ClampMinTensor(ClampTensor, node_name="ClampMinBackward1"):
    """max(a, low) of tensors"""


class ClampMaxTensor(ClampTensor, node_name="ClampMaxBackward1"):
    """min(a, high) of tensors"""


class Unary(Op):
    """`value` of one argument; its gradient is g times `slope`. Each subclass gives these two functions of an array."""

    saved_names = ("self",)
    value: Any
    slope: Any

    @classmethod
    def forward(cls, ctx, a):
        ctx.save_for_backward(a)
        return cls.value(_float_array(a))

    @classmethod
    def backward(cls, ctx, grad):
        (a,) = ctx.saved_tensors
        return (grad.array * cls.slope(a.array)).astype(grad.array.dtype, copy=False)


class UnaryByResult(Unary):
    """The same, with the slope as a function of the result."""

    saved_names = ("result",)

    @classmethod
    def forward(cls, ctx, a):
        out = Tensor.wrap(cls.value(_float_array(a)))
        ctx.save_for_backward(out)
        return out


def _exp(x: np.ndarray) -> np.ndarray:
    """Of float32 by way of float64: NumPy's own is often off by one in the last place, PyTorch's seldom."""
    return np.exp(x, dtype=np.float64).astype(np.float32) if x.dtype == np.float32 else np.exp(x)


class Exp(UnaryByResult):
    """e^a; the slope is the result"""

    value = staticmethod(_exp)
    slope = staticmethod(lambda out: out)


class Expm1(UnaryByResult):
    """e^a - 1"""

    value = np.expm1
    slope = staticmethod(lambda out: out + 1)


class Sqrt(UnaryByResult):
    """sqrt(a); the slope is infinite at 0"""

    value = np.sqrt

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return grad.array / (2 * out.array)


class Rsqrt(UnaryByResult):
    """1 / sqrt(a)"""

    value = staticmethod(lambda x: 1 / np.sqrt(x))
    slope = staticmethod(lambda out: out.dtype.type(-0.5) * out**3)


class Reciprocal(UnaryByResult):
    """1 / a"""

    value = staticmethod(lambda x: 1 / x)
    slope = staticmethod(lambda out: -out * out)


class Tan(UnaryByResult):
    """tan a"""

    value = np.tan
    slope = staticmethod(lambda out: 1 + out * out)


class Log(Unary):
    """log a"""

    value = np.log
    slope = staticmethod(lambda x: 1 / x)


class Log10(Unary):
    """log a to base 10"""

    value = np.log10
    slope = staticmethod(lambda x: 1 / (x * x.dtype.type(np.log(10))))


class Log2(Unary):
    """log a to base 2"""

    value = np.log2
    slope = staticmethod(lambda x: 1 / (x * x.dtype.type(np.log(2))))


class Log1P(Unary):
    """log(1 + a)"""

    value = np.log1p
    slope = staticmethod(lambda x: 1 / (1 + x))


class Sin(Unary):
    """sin a"""

    value = np.sin
    slope = np.cos


class Cos(Unary):
    """cos a"""

    value = np.cos
    slope = staticmethod(lambda x: -np.sin(x))


class Atan(Unary):
    """The angle whose tangent is a"""

    value = np.arctan
    slope = staticmethod(lambda x: 1 / (1 + x * x))


class Abs(Op):
    """|a|; the slope at 0 is 0"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return np.abs(a.array)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        return grad.array * sign_array(a.array)


def sign_array(x: np.ndarray) -> np.ndarray:
    """-1, 0 or 1 in the same type; NaN has the sign 0."""
    return x if x.dtype.kind == "b" else (x > 0).astype(x.dtype) - (x < 0)


class _Step(Op):
    """A function that is flat wherever it is smooth: its gradient is 0. Each subclass gives its `value`."""

    value: Any

    @classmethod
    def forward(cls, ctx, a):
        return cls.value(a.array)

    @staticmethod
    def backward(ctx, grad):
        return np.zeros_like(grad.array)


class Sign(_Step):
    """-1, 0 or 1"""

    value = staticmethod(sign_array)


class Round(_Step):
    """The nearest integer, halves to the even one"""

    value = staticmethod(np.round)


class Floor(_Step):
    """The integer below"""

    value = np.floor


class Ceil(_Step):
    """The integer above"""

    value = np.ceil


class ToCopy(Op):
    """The same values in another type; the engine brings the gradient back into the first one."""

    @staticmethod
    def forward(ctx, a, kind):
        return a.array.astype(kind)

    @staticmethod
    def backward(ctx, grad):
        return grad


# --- the functions ----------------------------------------------------------------------------------------------------


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """min(max(input, min), max): values cut off at bounds that are numbers or tensors, of the common shape.

    RuntimeError if both bounds are None, or if the shapes do not broadcast; NotImplementedError if all are booleans.
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    return _clamp(Clamp, ClampTensor, input, min, max)


def _clamp(numbers: type[Op], tensors: type[Op], input: Tensor, low: Any, high: Any) -> Tensor:
    bounds = [bound for bound in (low, high) if bound is not None]
    of_numbers = not all(isinstance(bound, Tensor) for bound in bounds)
    if of_numbers:  # beside a number a tensor counts as one
        low, high = (n if n is None else number(n, "clamp", name) for name, n in (("min", low), ("max", high)))
        bounds = [bound for bound in (low, high) if bound is not None]
    kind = result_type(input, *bounds)
    if of_numbers or len(bounds) == 2:  # one tensor as a bound is the maximum or minimum of two, which booleans have
        implemented("clamp_cpu", kind, "uif")
    if of_numbers:
        return numbers.apply(input, low, high, kind)
    broadcast_shapes(input.array.shape, *(bound.array.shape for bound in bounds))
    return tensors.apply(input, low, high, kind)


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """The larger of input and `min`, a number or a tensor, of their common shape."""
    min = min if isinstance(min, Tensor) else number(min, "clamp_min", "min", 2)
    return _clamp(ClampMin, ClampMinTensor, input, min, None)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """The smaller of input and `max`, a number or a tensor, of their common shape."""
    max = max if isinstance(max, Tensor) else number(max, "clamp_max", "max", 2)
    return _clamp(ClampMax, ClampMaxTensor, input, None, max)


def exp(input: Tensor) -> Tensor:
    """e to the power of each element, of input's shape; floating-point, as all of its like here."""
    return Exp.apply(input)


def expm1(input: Tensor) -> Tensor:
    """exp(input) - 1, exact near 0, of input's shape."""
    return Expm1.apply(input)


def log(input: Tensor) -> Tensor:
    """The natural logarithm of each element, of input's shape: -inf of 0, NaN of a negative number."""
    return Log.apply(input)


def log10(input: Tensor) -> Tensor:
    """The logarithm to base 10 of each element, of input's shape."""
    return Log10.apply(input)


def log2(input: Tensor) -> Tensor:
    """The logarithm to base 2 of each element, of input's shape."""
    return Log2.apply(input)


def log1p(input: Tensor) -> Tensor:
    """log(1 + input), exact near 0, of input's shape."""
    return Log1P.apply(input)


def sqrt(input: Tensor) -> Tensor:
    """The square root of each element, of input's shape: NaN of a negative number."""
    return Sqrt.apply(input)


def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(input), of input's shape."""
    return Rsqrt.apply(input)


def reciprocal(input: Tensor) -> Tensor:
    """1 / input, of input's shape."""
    return Reciprocal.apply(input)


def sin(input: Tensor) -> Tensor:
    """The sine of each element, in radians, of input's shape."""
    return Sin.apply(input)


def cos(input: Tensor) -> Tensor:
    """The cosine of each element, in radians, of input's shape."""
    return Cos.apply(input)


def tan(input: Tensor) -> Tensor:
    """The tangent of each element, in radians, of input's shape."""
    return Tan.apply(input)


def atan(input: Tensor) -> Tensor:
    """The angle between -pi / 2 and pi / 2 with this tangent, of input's shape."""
    return Atan.apply(input)


def abs(input: Tensor) -> Tensor:
    """The size of each element without its sign, of input's shape. NotImplementedError for booleans."""
    implemented("abs_cpu", input.array.dtype, "uifc")
    return Abs.apply(input)


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1, of input's shape and type; 0 for NaN."""
    return Sign.apply(input)


def round(input: Tensor) -> Tensor:
    """The nearest integer, halves to the even one, of input's shape and type. NotImplementedError for booleans."""
    implemented("round_vml_cpu", input.array.dtype, "uif")
    return Round.apply(input)


def floor(input: Tensor) -> Tensor:
    """The integer below, of input's shape and type. NotImplementedError for booleans."""
    implemented("floor_vml_cpu", input.array.dtype, "uif")
    return Floor.apply(input)


def ceil(input: Tensor) -> Tensor:
    """The integer above, of input's shape and type. NotImplementedError for booleans."""
    implemented("ceil_vml_cpu", input.array.dtype, "uif")
    return Ceil.apply(input)


def to_dtype(input: Tensor, kind: np.dtype) -> Tensor:
    """The same numbers in another type, of input's shape; the tensor itself if it has this type already."""
    return input if input.array.dtype == kind else ToCopy.apply(input, kind)
