"""One operand, element by element: exp, log, roots, angles, rounding, cutting off, another type."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from minicnn import _memory
from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn._types import memory_format, preserve_format
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.ops._common import broadcast_shapes, fitting, floating, implemented, number, operand, result_type

__all__ = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "clamp", "clamp_max", "clamp_min", "cos", "cosh", "exp",
    "exp2", "expm1", "floor", "frac", "log", "log10", "log1p", "log2", "logit", "nan_to_num", "reciprocal", "round", "rsqrt",
    "sign", "sin", "sinh", "sqrt", "tan", "trunc",
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
        (a,) = ctx.saved
        return both.where(both.constant(_inside, a, ctx.low, ctx.high), grad, 0.0)


def _inside(x: np.ndarray, low: Any, high: Any) -> np.ndarray:
    """Where the gradient of `Clamp` passes."""
    inside = np.ones(x.shape, bool)
    above, below = (np.greater, np.less) if since(2, 14) else (np.greater_equal, np.less_equal)
    if low is not None:
        inside &= above(x, low)
    if high is not None:
        inside &= below(x, high)
    return inside


class ClampMin(Clamp):
    """max(a, low)"""


class ClampMax(Clamp):
    """min(a, high)"""


class ClampTensor(Op, node_name="ClampBackward0"):
    """min(max(a, low), high) of tensors, or None; a bound that is in force gets the gradient; at equality a does, since
    2.14 each of them half of it"""

    saved_names = ("self", "min", "max")
    slots = 3

    @staticmethod
    def forward(ctx, a, low, high, kind):
        ctx.save_for_backward(a, low, high)
        return _between(operand(a, kind), *(t if t is None else operand(t, kind) for t in (low, high)))

    @staticmethod
    def backward(ctx, grad):
        x, low, high = ctx.saved
        if since(2, 14):
            return tuple([grad * both.cast(share, grad) for share in both.constant(_shares, x, low, high)])
        return tuple([both.where(chosen, grad, 0.0) for chosen in both.constant(_chosen, x, low, high)])


def _chosen(x: np.ndarray, low: Any, high: Any) -> tuple[np.ndarray, ...]:
    """Where x, low and high get the gradient, up to 2.13."""
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return (low <= x) & (x <= high), (x < low) & (low < high), (x > high) | (high < low)


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
    """`function` of an array; the gradient is g times `slope`, a formula of the argument. Each subclass gives these two."""

    saved_names = ("self",)
    function: Any
    slope: Any

    @classmethod
    def forward(cls, ctx, a):
        ctx.save_for_backward(a)
        return cls.function(_float_array(a))

    @classmethod
    def backward(cls, ctx, grad):
        (a,) = ctx.saved
        return grad * cls.slope(a)


class UnaryByDivisor(Unary):
    """The same, with a formula that the gradient is divided by."""

    divisor: Any

    @classmethod
    def backward(cls, ctx, grad):
        (a,) = ctx.saved
        return grad / cls.divisor(a)


class UnaryByResult(Unary):
    """The same, with the slope as a function of the result."""

    saved_names = ("result",)

    @classmethod
    def forward(cls, ctx, a):
        out = Tensor.wrap(cls.function(_float_array(a)))
        ctx.save_for_backward(out)
        return out


def _exp(x: np.ndarray) -> np.ndarray:
    """Of float32 by way of float64: NumPy's own is often off by one in the last place, PyTorch's seldom."""
    return np.exp(x, dtype=np.float64).astype(np.float32) if x.dtype == np.float32 else np.exp(x)


class Exp(UnaryByResult):
    """e^a; the slope is the result"""

    function = staticmethod(_exp)
    slope = staticmethod(lambda out: out)


class Exp2(UnaryByResult):
    """2^a"""

    function = np.exp2
    slope = staticmethod(lambda out: out * math.log(2))


class Expm1(UnaryByResult):
    """e^a - 1"""

    function = np.expm1
    slope = staticmethod(lambda out: out + 1)


class Sqrt(UnaryByResult):
    """sqrt(a); the slope is infinite at 0"""

    function = np.sqrt

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved
        return grad / (2 * out)


class Rsqrt(UnaryByResult):
    """1 / sqrt(a)"""

    function = staticmethod(lambda x: 1 / np.sqrt(x))
    slope = staticmethod(lambda out: -0.5 * out**3)


class Reciprocal(UnaryByResult):
    """1 / a"""

    function = staticmethod(lambda x: 1 / x)
    slope = staticmethod(lambda out: -(out * out))


class Tan(UnaryByResult):
    """tan a"""

    function = np.tan
    slope = staticmethod(lambda out: out**2 + 1)


class Log(UnaryByDivisor):
    """log a"""

    function = np.log
    divisor = staticmethod(lambda x: x)


class Log10(UnaryByDivisor):
    """log a to base 10"""

    function = np.log10
    divisor = staticmethod(lambda x: x * math.log(10))


class Log2(UnaryByDivisor):
    """log a to base 2"""

    function = np.log2
    divisor = staticmethod(lambda x: x * math.log(2))


class Log1P(UnaryByDivisor):
    """log(1 + a)"""

    function = np.log1p
    divisor = staticmethod(lambda x: x + 1)


class Sin(Unary):
    """sin a"""

    function = np.sin
    slope = staticmethod(both.cos)


class Cos(Unary):
    """cos a"""

    function = np.cos
    slope = staticmethod(lambda x: -both.sin(x))


class Atan(UnaryByDivisor):
    """The angle whose tangent is a"""

    function = np.arctan
    divisor = staticmethod(lambda x: x * x + 1)


class Asin(Unary):
    """The angle whose sine is a"""

    function = np.arcsin
    slope = staticmethod(lambda x: (1 - x * x) ** -0.5)


class Acos(Unary):
    """The angle whose cosine is a"""

    function = np.arccos
    slope = staticmethod(lambda x: -((1 - x * x) ** -0.5))


class Sinh(Unary):
    """(e^a - e^-a) / 2"""

    function = np.sinh
    slope = staticmethod(lambda x: (both.exp(x) + both.exp(-x)) / 2)


class Cosh(Unary):
    """(e^a + e^-a) / 2"""

    function = np.cosh
    slope = staticmethod(lambda x: (both.exp(x) - both.exp(-x)) / 2)


class Asinh(Unary):
    """The number whose sinh is a"""

    function = np.arcsinh
    slope = staticmethod(lambda x: (x * x + 1) ** -0.5)


class Acosh(Unary):
    """The number above 0 whose cosh is a"""

    function = np.arccosh
    slope = staticmethod(lambda x: (x + 1) ** -0.5 * (x - 1) ** -0.5 if both.is_complex(x) else (x * x - 1) ** -0.5)


class Atanh(UnaryByDivisor):
    """The number whose tanh is a"""

    function = np.arctanh
    divisor = staticmethod(lambda x: 1 - x * x)


class _WrittenOver(Op):
    """Written over a, which the derivative would need: PyTorch has none of these."""

    function: Any
    name: str

    @classmethod
    def forward(cls, ctx, a):
        return cls.function(_float_array(a))

    @classmethod
    def backward(cls, ctx, grad):
        raise NotImplementedError(f"the derivative for 'inplace version of {cls.name}' is not implemented.")


class AsinhInPlace(_WrittenOver, node_name="AsinhBackward1"):
    """a becomes the number whose sinh is a"""

    function, name = np.arcsinh, "asinh"


class AcoshInPlace(_WrittenOver, node_name="AcoshBackward1"):
    """a becomes the number above 0 whose cosh is a"""

    function, name = np.arccosh, "acosh"


class AtanhInPlace(_WrittenOver, node_name="AtanhBackward1"):
    """a becomes the number whose tanh is a"""

    function, name = np.arctanh, "atanh"


class Logit(Op):
    """log(a / (1 - a)), of a cut off at eps and 1 - eps if that is given; beyond them flat, without them NaN"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, eps):
        x = _float_array(a)
        ctx.eps = eps
        ctx.save_for_backward(a)
        if eps is not None:
            x = np.clip(x, x.dtype.type(eps), x.dtype.type(1 - eps))
        return np.log(x / (1 - x))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved
        low = ctx.eps or 0
        outside = (a < low) | (a > 1 - low)
        return both.where(outside, math.nan if ctx.eps is None else 0.0, grad / (a * (1 - a)))


class NanToNum(Op):
    """a, and other numbers for NaN and the infinities, where it is flat"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, nan, posinf, neginf):
        ctx.save_for_backward(a)
        return np.nan_to_num(a.array, nan=nan, posinf=posinf, neginf=neginf)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved
        return grad * both.cast(both.constant(np.isfinite, a), grad)


class Abs(Op):
    """|a|; the slope at 0 is 0"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return np.abs(a.array)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved
        return grad * sgn(a)


def sgn(x: both.Both) -> both.Both:
    """The sign, of complex numbers the direction x / |x|, which changes with x; 0 at 0."""
    if not both.is_complex(x):
        return Sgn.of(x)
    size = operator.abs(x)
    return both.masked_fill(x / size, size == 0)


def sign_array(x: np.ndarray) -> np.ndarray:
    """-1, 0 or 1 in the same type; NaN has the sign 0."""
    return x if x.dtype.kind == "b" else (x > 0).astype(x.dtype) - (x < 0)


class _Step(Op):
    """A `function` of an array that is flat wherever it is smooth: its gradient is 0. Each subclass gives it."""

    function: Any

    @classmethod
    def forward(cls, ctx, a):
        return cls.function(a.array)

    @staticmethod
    def backward(ctx, grad):
        return both.zeros_like(grad)


class Sign(_Step):
    """-1, 0 or 1"""

    function = staticmethod(sign_array)


class Sgn(Sign):
    """The same, in formulas."""


class Round(_Step):
    """The nearest integer, halves to the even one"""

    function = staticmethod(np.round)


class Floor(_Step):
    """The integer below"""

    function = np.floor


class Ceil(_Step):
    """The integer above"""

    function = np.ceil


class Trunc(_Step):
    """The integer towards zero"""

    function = np.trunc


class Frac(Op):
    """What is left of a number without its integer part"""

    @staticmethod
    def forward(ctx, a):
        return a.array - np.trunc(a.array)

    @staticmethod
    def backward(ctx, grad):
        return grad


class ToCopy(Op):
    """The same values in another type or order; the engine brings the gradient back into the first type."""

    @staticmethod
    def forward(ctx, a, kind, format=None):
        return _memory.copy(a.array, format, kind)

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


def exp2(input: Tensor) -> Tensor:
    """2 to the power of each element, of input's shape."""
    return Exp2.apply(input)


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


def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of input's shape: the inverse of the sigmoid. With `eps` of numbers cut off at eps and 1 - eps,
    without it NaN of those outside of [0, 1]."""
    return Logit.apply(input, None if eps is None else number(eps, "logit", "eps", 2, "float"))


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """input, with 0 or `nan` for NaN, and the type's largest and smallest number, or these, for the infinities."""
    return NanToNum.apply(input, 0.0 if nan is None else nan, posinf, neginf)


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


def asin(input: Tensor) -> Tensor:
    """The angle between -pi / 2 and pi / 2 with this sine, of input's shape; NaN beyond 1."""
    return Asin.apply(input)


def acos(input: Tensor) -> Tensor:
    """The angle between 0 and pi with this cosine, of input's shape; NaN beyond 1."""
    return Acos.apply(input)


def sinh(input: Tensor) -> Tensor:
    """The hyperbolic sine, of input's shape."""
    return Sinh.apply(input)


def cosh(input: Tensor) -> Tensor:
    """The hyperbolic cosine, of input's shape."""
    return Cosh.apply(input)


def asinh(input: Tensor) -> Tensor:
    """The number with this hyperbolic sine, of input's shape."""
    return Asinh.apply(input)


def acosh(input: Tensor) -> Tensor:
    """The number from 0 on with this hyperbolic cosine, of input's shape; NaN below 1."""
    return Acosh.apply(input)


def atanh(input: Tensor) -> Tensor:
    """The number with this hyperbolic tangent, of input's shape; NaN beyond 1."""
    return Atanh.apply(input)


def abs(input: Tensor) -> Tensor:
    """The size of each element without its sign, of input's shape. NotImplementedError for booleans."""
    implemented("abs_cpu", input.array.dtype, "uifc")
    return Abs.apply(input)


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1, of input's shape and type; 0 for NaN."""
    if input.is_complex():
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
        )
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


def trunc(input: Tensor) -> Tensor:
    """The integer towards zero, of input's shape and type. NotImplementedError for booleans and complex numbers."""
    if input.array.dtype.kind == "c":
        raise NotImplementedError("trunc is not supported for complex inputs")
    implemented("trunc_vml_cpu", input.array.dtype, "uif")
    return Trunc.apply(input)


def frac(input: Tensor) -> Tensor:
    """What is left without the integer part, with the sign of the element, of input's shape. NotImplementedError for integers."""
    implemented("frac_cpu", input.array.dtype, "f")
    return Frac.apply(input)


def to_dtype(input: Tensor, kind: np.dtype, format: memory_format | None = None, copy: bool = False) -> Tensor:
    """The same numbers in another type and order in memory (the same one if None), of input's shape.

    The tensor itself if it has both already, unless a `copy` is asked for.
    """
    as_it_is = format is None or format is preserve_format or format is _memory.suggested(input.array)
    if as_it_is and input.array.dtype == kind and not copy:
        return input
    return ToCopy.apply(input, kind, format)
