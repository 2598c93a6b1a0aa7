"""One operand, element by element: exp, log, roots, angles, rounding, cutting off, another type."""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd.function import Op
from minicnn.autograd.tensor_base import TensorBase
from minicnn.ops._common import floating, operand, result_type
from minicnn.ops.arithmetic import maximum, minimum


def _float_array(a: TensorBase) -> np.ndarray:
    return operand(a, floating(a.array.dtype))


class Clamp(Op, node_name="ClampBackward1"):
    """max(low, min(a, high)); the gradient passes where low <= a <= high, the bounds included"""

    @staticmethod
    def forward(ctx, a, low, high):
        ctx.low, ctx.high = low, high
        ctx.save_for_backward(a)
        kind = result_type(a, *(n for n in (low, high) if n is not None))
        x = operand(a, kind)
        if low is not None:
            x = np.maximum(x, kind.type(low))
        return x if high is None else np.minimum(x, kind.type(high))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        inside = np.ones(a.array.shape, bool)
        if ctx.low is not None:
            inside &= a.array >= ctx.low
        if ctx.high is not None:
            inside &= a.array <= ctx.high
        return np.where(inside, grad.array, grad.array.dtype.type(0))


class ClampMin(Clamp):
    """max(a, low)"""


class ClampMax(Clamp):
    """min(a, high)"""


class Exp(Op):
    @staticmethod
    def forward(ctx, a):
        out = TensorBase.wrap(np.exp(_float_array(a)))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return grad.array * out.array


class Sqrt(Op):
    """g / (2 sqrt a): infinite at 0"""

    @staticmethod
    def forward(ctx, a):
        out = TensorBase.wrap(np.sqrt(_float_array(a)))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return grad.array / (2 * out.array)


class Rsqrt(Op):
    @staticmethod
    def forward(ctx, a):
        out = TensorBase.wrap(1 / np.sqrt(_float_array(a)))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return grad.array.dtype.type(-0.5) * grad.array * out.array**3


class _Unary(Op):
    """An operation of one argument whose gradient is g times `slope(a)`."""

    @staticmethod
    def value(x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    @staticmethod
    def slope(x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    @classmethod
    def forward(cls, ctx, a):
        ctx.save_for_backward(a)
        return cls.value(_float_array(a))

    @classmethod
    def backward(cls, ctx, grad):
        (a,) = ctx.saved_tensors
        return (grad.array * cls.slope(a.array)).astype(grad.array.dtype, copy=False)


class _UnaryByResult(_Unary):
    """The same, with the slope as a function of the result."""

    @classmethod
    def forward(cls, ctx, a):
        out = TensorBase.wrap(cls.value(_float_array(a)))
        ctx.save_for_backward(out)
        return out


class Expm1(_UnaryByResult):
    value = staticmethod(np.expm1)
    slope = staticmethod(lambda out: out + 1)


class Tan(_UnaryByResult):
    value = staticmethod(np.tan)
    slope = staticmethod(lambda out: 1 + out * out)


class Log(_Unary):
    value = staticmethod(np.log)
    slope = staticmethod(lambda x: 1 / x)


class Log10(_Unary):
    value = staticmethod(np.log10)
    slope = staticmethod(lambda x: 1 / (x * x.dtype.type(np.log(10))))


class Log2(_Unary):
    value = staticmethod(np.log2)
    slope = staticmethod(lambda x: 1 / (x * x.dtype.type(np.log(2))))


class Log1P(_Unary):
    value = staticmethod(np.log1p)
    slope = staticmethod(lambda x: 1 / (1 + x))


class Sin(_Unary):
    value = staticmethod(np.sin)
    slope = staticmethod(np.cos)


class Cos(_Unary):
    value = staticmethod(np.cos)
    slope = staticmethod(lambda x: -np.sin(x))


class Atan(_Unary):
    value = staticmethod(np.arctan)
    slope = staticmethod(lambda x: 1 / (1 + x * x))


class Abs(Op):
    """|a|; the slope at 0 is 0"""

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return np.abs(a.array)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        return grad.array * np.sign(a.array)


class _Step(Op):
    """A function that is flat wherever it is smooth: its gradient is 0."""

    @staticmethod
    def backward(ctx, grad):
        return np.zeros_like(grad.array)


class Sign(_Step):
    @staticmethod
    def forward(ctx, a):
        return np.sign(a.array)


class Round(_Step):
    @staticmethod
    def forward(ctx, a):
        return np.round(a.array)


class Floor(_Step):
    @staticmethod
    def forward(ctx, a):
        return np.floor(a.array)


class Ceil(_Step):
    @staticmethod
    def forward(ctx, a):
        return np.ceil(a.array)


class ToCopy(Op):
    """The same values in another type; the engine brings the gradient back into the first one."""

    @staticmethod
    def forward(ctx, a, kind):
        return a.array.astype(kind)

    @staticmethod
    def backward(ctx, grad):
        return grad


# --- the functions ----------------------------------------------------------------------------------------------------


def clamp(input: TensorBase, min: Any = None, max: Any = None) -> TensorBase:
    """Values cut off at `min` and `max`, numbers or tensors. RuntimeError if both are None."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, TensorBase) or isinstance(max, TensorBase):
        low = input if min is None else maximum(input, min)
        return low if max is None else minimum(low, max)
    return Clamp.apply(input, min, max)


def clamp_min(input: TensorBase, min: Any) -> TensorBase:
    return ClampMin.apply(input, min, None)


def clamp_max(input: TensorBase, max: Any) -> TensorBase:
    return ClampMax.apply(input, None, max)


def exp(input: TensorBase) -> TensorBase:
    return Exp.apply(input)


def log(input: TensorBase) -> TensorBase:
    return Log.apply(input)


def log10(input: TensorBase) -> TensorBase:
    return Log10.apply(input)


def expm1(input: TensorBase) -> TensorBase:
    """exp(input) - 1, exact near 0."""
    return Expm1.apply(input)


def log2(input: TensorBase) -> TensorBase:
    return Log2.apply(input)


def log1p(input: TensorBase) -> TensorBase:
    return Log1P.apply(input)


def sqrt(input: TensorBase) -> TensorBase:
    return Sqrt.apply(input)


def rsqrt(input: TensorBase) -> TensorBase:
    return Rsqrt.apply(input)


def sin(input: TensorBase) -> TensorBase:
    return Sin.apply(input)


def cos(input: TensorBase) -> TensorBase:
    return Cos.apply(input)


def tan(input: TensorBase) -> TensorBase:
    return Tan.apply(input)


def atan(input: TensorBase) -> TensorBase:
    return Atan.apply(input)


def abs(input: TensorBase) -> TensorBase:
    return Abs.apply(input)


def sign(input: TensorBase) -> TensorBase:
    return Sign.apply(input)


def round(input: TensorBase) -> TensorBase:
    """Rounded to the nearest integer, halves to the even one."""
    return Round.apply(input)


def floor(input: TensorBase) -> TensorBase:
    return Floor.apply(input)


def ceil(input: TensorBase) -> TensorBase:
    return Ceil.apply(input)


def to_dtype(input: TensorBase, kind: np.dtype) -> TensorBase:
    """The tensor itself if it has this type already."""
    return input if input.array.dtype == kind else ToCopy.apply(input, kind)
