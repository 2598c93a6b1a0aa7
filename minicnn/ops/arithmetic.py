"""Two operands, element by element: + - * / **, the larger, the smaller, the chosen.

Each operation broadcasts its arguments; the engine sums a gradient over the axes that were stretched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.autograd.function import Op
from minicnn.autograd.tensor_base import TensorBase
from minicnn.ops._common import Number, broadcast_shapes, floating, operand, pair, result_type


class Add(Op):
    """a + alpha b"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, alpha, kind):
        ctx.alpha = alpha
        x, y = pair(a, b, kind)
        if kind.kind == "b":
            return x | y
        return x + y if alpha == 1 else x + kind.type(alpha) * y

    @staticmethod
    def backward(ctx, grad):
        return grad, (grad if ctx.alpha == 1 else grad.array * grad.array.dtype.type(ctx.alpha))


class Sub(Op):
    """a - alpha b"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, alpha, kind):
        ctx.alpha = alpha
        x, y = pair(a, b, kind)
        return x - y if alpha == 1 else x - kind.type(alpha) * y

    @staticmethod
    def backward(ctx, grad):
        return grad, grad.array * grad.array.dtype.type(-ctx.alpha)


class Rsub(Op, node_name="RsubBackward1"):
    """number - a"""

    @staticmethod
    def forward(ctx, a, number, kind):
        return kind.type(number) - operand(a, kind)

    @staticmethod
    def backward(ctx, grad):
        return -grad.array


class Mul(Op):
    """a b"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        # Each factor is needed for the gradient of the other one only.
        keep_a = a if isinstance(a, TensorBase) and ctx.needs_input_grad[1] else None
        keep_b = b if isinstance(b, TensorBase) and ctx.needs_input_grad[0] else None
        ctx.save_for_backward(keep_a, keep_b)
        ctx.number = None if isinstance(b, TensorBase) else b
        x, y = pair(a, b, kind)
        return x * y

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        g = grad.array
        to_a = to_b = None
        if ctx.needs_input_grad[0]:
            to_a = g * (b.array if b is not None else g.dtype.type(ctx.number))
        if ctx.needs_input_grad[1]:
            to_b = g * a.array
        return to_a, to_b


class Div(Op):
    """a / b; (g / b, -g a / b^2)"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        keep_a = a if ctx.needs_input_grad[1] else None
        keep_b = b if isinstance(b, TensorBase) and any(ctx.needs_input_grad[:2]) else None
        ctx.save_for_backward(keep_a, keep_b)
        ctx.number = None if isinstance(b, TensorBase) else b
        x, y = pair(a, b, kind)
        return x / y

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        g = grad.array
        divisor = b.array if b is not None else g.dtype.type(ctx.number)
        to_a = g / divisor
        to_b = -to_a * (a.array / divisor) if ctx.needs_input_grad[1] else None
        return to_a, to_b


class Reciprocal(Op):
    @staticmethod
    def forward(ctx, a):
        out = TensorBase.wrap(1 / operand(a, floating(a.array.dtype)))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return -grad.array * out.array * out.array


class Neg(Op):
    @staticmethod
    def forward(ctx, a):
        return -a.array

    @staticmethod
    def backward(ctx, grad):
        return -grad.array


class Pow(Op):
    """a ** number; g n a^(n-1), and 0 for n = 0 even at a = 0"""

    @staticmethod
    def forward(ctx, a, exponent, kind):
        ctx.exponent = exponent
        ctx.save_for_backward(a)
        return operand(a, kind) ** kind.type(exponent)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        n = ctx.exponent
        if n == 0:
            return np.zeros_like(grad.array)
        return grad.array * (a.array.dtype.type(n) * a.array ** a.array.dtype.type(n - 1))


class PowTensor(Op, node_name="PowBackward1"):
    """a ** b; (g b a^(b-1), g a^b log a), each 0 where its factor is 0 by definition"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        x, y = pair(a, b, kind)
        out = TensorBase.wrap(x**y)
        ctx.save_for_backward(a, b, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        a, b, out = (t.array for t in ctx.saved_tensors)
        g = grad.array
        to_a = np.where(b == 0, 0, g * (b * a ** (b - 1))).astype(g.dtype, copy=False)
        to_b = np.where((a == 0) & (b >= 0), 0, g * (out * np.log(a))).astype(g.dtype, copy=False)
        return to_a, to_b


class PowOfNumber(Op, node_name="PowBackward2"):
    """number ** b; g number^b log(number)"""

    slots = 1

    @staticmethod
    def forward(ctx, b, number, kind):
        ctx.number = number
        out = TensorBase.wrap(kind.type(number) ** operand(b, kind))
        ctx.save_for_backward(b, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        b, out = (t.array for t in ctx.saved_tensors)
        slope = grad.array * (out * np.log(out.dtype.type(ctx.number)))
        return np.where(b >= 0, 0, slope).astype(out.dtype) if ctx.number == 0 else slope


class Maximum(Op):
    """The larger of both; a tie gives half of the gradient to each."""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        ctx.save_for_backward(a, b)
        return np.maximum(*pair(a, b, kind))

    @staticmethod
    def backward(ctx, grad):
        a, b = (t.array for t in ctx.saved_tensors)
        return _share(grad.array, a > b, a == b)


class Minimum(Op):
    """The smaller of both; a tie gives half of the gradient to each."""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        ctx.save_for_backward(a, b)
        return np.minimum(*pair(a, b, kind))

    @staticmethod
    def backward(ctx, grad):
        a, b = (t.array for t in ctx.saved_tensors)
        return _share(grad.array, a < b, a == b)


def _share(g: np.ndarray, first: np.ndarray, tie: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = g / 2
    to_a = np.where(tie, half, np.where(first, g, 0))
    to_b = np.where(tie, half, np.where(first, 0, g))
    return to_a.astype(g.dtype, copy=False), to_b.astype(g.dtype, copy=False)


class Where(Op):
    """a where the condition holds, else b"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, condition, kind):
        ctx.save_for_backward(condition)
        x, y = operand(a, kind), operand(b, kind)
        broadcast_shapes(condition.array.shape, x.shape, y.shape)
        return np.where(condition.array, x, y)

    @staticmethod
    def backward(ctx, grad):
        (condition,) = ctx.saved_tensors
        g, zero = grad.array, grad.array.dtype.type(0)
        return np.where(condition.array, g, zero), np.where(condition.array, zero, g)


class MaskedFill(Op):
    """a, and the number where the mask is true"""

    @staticmethod
    def forward(ctx, a, mask, number):
        ctx.save_for_backward(mask)
        return np.where(mask.array, a.array.dtype.type(number), a.array)

    @staticmethod
    def backward(ctx, grad):
        (mask,) = ctx.saved_tensors
        return np.where(mask.array, grad.array.dtype.type(0), grad.array)


class Lerp(Op):
    """a + weight (b - a)"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, weight):
        ctx.weight = a.array.dtype.type(weight)
        return a.array + ctx.weight * (b.array - a.array)

    @staticmethod
    def backward(ctx, grad):
        return grad.array * (1 - ctx.weight), grad.array * ctx.weight


class Addcmul(Op):
    """a + value b c"""

    slots = 3

    @staticmethod
    def forward(ctx, a, b, c, value):
        ctx.save_for_backward(b if ctx.needs_input_grad[2] else None, c if ctx.needs_input_grad[1] else None)
        ctx.value = value
        return a.array + a.array.dtype.type(value) * b.array * c.array

    @staticmethod
    def backward(ctx, grad):
        b, c = ctx.saved_tensors
        scaled = grad.array * grad.array.dtype.type(ctx.value)
        return grad, None if c is None else scaled * c.array, None if b is None else scaled * b.array


class Addcdiv(Op):
    """a + value b / c"""

    slots = 3

    @staticmethod
    def forward(ctx, a, b, c, value):
        ctx.save_for_backward(b if ctx.needs_input_grad[2] else None, c)
        ctx.value = value
        return a.array + a.array.dtype.type(value) * b.array / c.array

    @staticmethod
    def backward(ctx, grad):
        b, c = ctx.saved_tensors
        to_b = grad.array * grad.array.dtype.type(ctx.value) / c.array
        return grad, to_b, None if b is None else -to_b * b.array / c.array


class Remainder(Op):
    """a modulo b, with the sign of b: a - b floor(a / b)"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        x, y = pair(a, b, kind)
        if ctx.needs_input_grad[1]:
            operands = (t for t in (a, b) if isinstance(t, TensorBase))
            ctx.save_for_backward(*operands, TensorBase.wrap(np.floor_divide(x, y)))
        return np.remainder(x, y)

    @staticmethod
    def backward(ctx, grad):
        saved = ctx.saved_tensors
        return grad, -grad.array * saved[-1].array if saved else None


# --- the functions ----------------------------------------------------------------------------------------------------


def add(input: Any, other: Any, *, alpha: Any = 1) -> TensorBase:
    """input + alpha * other, with broadcasting."""
    return Add.apply(input, other, alpha, result_type(input, other, *(() if alpha == 1 else (alpha,))))


def sub(input: Any, other: Any, *, alpha: Any = 1) -> TensorBase:
    """input - alpha * other, with broadcasting. RuntimeError for booleans."""
    kind = result_type(input, other)
    if kind.kind == "b":
        raise RuntimeError(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    return Sub.apply(input, other, alpha, kind)


def rsub(input: TensorBase, other: Any, *, alpha: Any = 1) -> TensorBase:
    """other - alpha * input"""
    if alpha == 1 and isinstance(other, Number):
        return Rsub.apply(input, other, result_type(input, other))
    return sub(other, input, alpha=alpha)


def mul(input: Any, other: Any) -> TensorBase:
    """input * other, with broadcasting."""
    if isinstance(input, Number):
        input, other = other, input
    return Mul.apply(input, other, result_type(input, other))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> TensorBase:
    """input / other, with broadcasting: a true division, also for integers; or rounded: "trunc", "floor"."""
    if rounding_mode is not None:
        kind = result_type(input, other)
        quotient = np.floor_divide(operand(input, kind), operand(other, kind))
        if rounding_mode == "trunc":
            quotient = np.trunc(operand(input, kind) / operand(other, kind)).astype(kind)
        return TensorBase.wrap(quotient)
    kind = floating(result_type(input, other))
    if isinstance(input, Number):
        return mul(reciprocal(other), input)
    return Div.apply(input, other, kind)


def floor_divide(input: Any, other: Any) -> TensorBase:
    return div(input, other, rounding_mode="floor")


def remainder(input: Any, other: Any) -> TensorBase:
    """input modulo other, with the sign of other."""
    return Remainder.apply(input, other, result_type(input, other))


def reciprocal(input: TensorBase) -> TensorBase:
    return Reciprocal.apply(input)


def neg(input: TensorBase) -> TensorBase:
    if input.array.dtype.kind == "b":
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` "
            "or `logical_not()` operator instead."
        )
    return Neg.apply(input)


def pow(input: Any, exponent: Any) -> TensorBase:
    """input ** exponent, with broadcasting."""
    kind = result_type(input, exponent)
    if isinstance(input, Number):
        return PowOfNumber.apply(exponent, input, kind)
    if isinstance(exponent, Number):
        if kind.kind in "iu" and exponent < 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        return Pow.apply(input, exponent, kind)
    return PowTensor.apply(input, exponent, kind)


def square(input: TensorBase) -> TensorBase:
    return pow(input, 2)


def maximum(input: TensorBase, other: TensorBase) -> TensorBase:
    return Maximum.apply(input, other, result_type(input, other))


def minimum(input: TensorBase, other: TensorBase) -> TensorBase:
    return Minimum.apply(input, other, result_type(input, other))


def where(condition: TensorBase, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, else other; with the condition alone, the indices where it holds."""
    if input is None and other is None:
        return tuple(TensorBase.wrap(index) for index in np.nonzero(condition.array))
    if condition.array.dtype.kind != "b":
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype.tensor_type}"
        )
    return Where.apply(input, other, condition, result_type(input, other))


def masked_fill(input: TensorBase, mask: TensorBase, value: Any) -> TensorBase:
    return MaskedFill.apply(input, mask, value.array.item() if isinstance(value, TensorBase) else value)


def lerp(input: TensorBase, end: TensorBase, weight: float) -> TensorBase:
    return Lerp.apply(input, end, weight)


def addcmul(input: TensorBase, tensor1: TensorBase, tensor2: TensorBase, *, value: float = 1) -> TensorBase:
    return Addcmul.apply(input, tensor1, tensor2, value)


def addcdiv(input: TensorBase, tensor1: TensorBase, tensor2: TensorBase, *, value: float = 1) -> TensorBase:
    """input + value * tensor1 / tensor2"""
    return Addcdiv.apply(input, tensor1, tensor2, value)
