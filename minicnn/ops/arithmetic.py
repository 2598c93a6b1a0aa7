"""Two operands, element by element: + - * / **, and what is made of these.

Each operation broadcasts its arguments; the engine sums a gradient over the axes that were stretched.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn.autograd import both
from minicnn.autograd.function import Op, not_implemented
from minicnn.ops._common import (
    computed,
    fitting,
    floating,
    implemented,
    number,
    operand,
    operands,
    result_type,
    single,
    unsupported,
)
from minicnn.ops.elementwise import reciprocal

__all__ = [
    "add", "addcdiv", "addcmul", "atan2", "div", "floor_divide", "fmod", "hypot", "lerp", "logaddexp", "mul", "neg", "pow", "remainder",
    "rsub", "square", "sub", "xlogy",
]  # fmt: skip


class Add(Op):
    """a + alpha b"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, alpha, kind):
        ctx.alpha = alpha
        x, y = operands(a, b, kind)
        if alpha == 1:
            out = x + y
        else:
            out = x - y if alpha == -1 else x + operand(alpha, x.dtype) * y
        return out.astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        if not ctx.needs_input_grad[1]:
            return grad
        if ctx.alpha == -1:
            return grad, -grad
        return grad, (grad if ctx.alpha == 1 else grad * ctx.alpha)


class Sub(Add):
    """a - alpha b, given -alpha"""


class Rsub(Op, node_name="RsubBackward1"):
    """number - a"""

    @staticmethod
    def forward(ctx, a, number, kind):
        x, y = operands(number, a, kind)
        return (x - y).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        return -grad


def _factors(a: Tensor, b: Any, kind: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """A tensor and a number as `operands`; but half precision times a number beyond its range is computed in float32, as in PyTorch."""
    if kind == np.float16:
        return single(operand(a, kind)), operand(b, np.dtype(np.float32))
    return operands(a, b, kind)


class Mul(Op):
    """a b"""

    saved_names = ("self", "other")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        # Each factor is needed for the gradient of the other one only.
        keep_a = a if isinstance(a, Tensor) and ctx.needs_input_grad[1] else None
        keep_b = b if isinstance(b, Tensor) and ctx.needs_input_grad[0] else None
        if True in ctx.needs_input_grad[:2]:
            ctx.save_for_backward(keep_a, keep_b)
        ctx.number = None if isinstance(b, Tensor) else _plain(b)
        x, y = operands(a, b, kind) if isinstance(b, Tensor) else _factors(a, b, kind)
        return (x * y).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved or (None, None)
        to_a = to_b = None
        if ctx.needs_input_grad[0]:
            to_a = grad * (ctx.number if b is None else b)
        if ctx.needs_input_grad[1]:
            to_b = grad * a
        return to_a, to_b


class Div(Op):
    """a / b; (g / b, -g a / b^2)"""

    saved_names = ("self", "other")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        ctx.save_for_backward(a if ctx.needs_input_grad[1] else None, b if isinstance(b, Tensor) else None)
        ctx.number = None if isinstance(b, Tensor) else _plain(b)
        x, y = operands(a, b, kind) if isinstance(b, Tensor) else _factors(a, b, kind)
        return (x / y).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        divisor = ctx.number if b is None else b
        to_a = grad / divisor if ctx.needs_input_grad[0] else None
        to_b = -grad * (a / divisor / divisor) if ctx.needs_input_grad[1] else None
        return to_a, to_b


class Neg(Op):
    """-a"""

    @staticmethod
    def forward(ctx, a):
        return -a.array

    @staticmethod
    def backward(ctx, grad):
        return -grad


class Pow(Op):
    """a ** number; g n a^(n-1), and 0 for n = 0 even at a = 0"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, exponent, kind):
        ctx.exponent = _plain(exponent)
        ctx.save_for_backward(a)
        return _power(operand(a, kind), fitting(exponent, kind))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved
        n = ctx.exponent
        return both.zeros_like(grad) if n == 0 else grad * (a ** (n - 1) * n)


class PowTensor(Op, node_name="PowBackward1"):
    """a ** b; (g b a^(b-1), g a^b log a), each 0 where its factor is 0 by definition"""

    saved_names = ("self", "exponent", "result")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        out = Tensor.wrap(_power(*operands(a, b, kind)).astype(kind, copy=False))
        ctx.save_for_backward(a, b, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        a, b, out = ctx.saved
        to_a = to_b = None
        if ctx.needs_input_grad[0]:
            to_a = both.where(b == 0, 0.0, grad * (b * a ** (b - 1)))
        if ctx.needs_input_grad[1]:
            flat = both.constant(lambda x, y: (x == 0) & (y.real >= 0) & (y.imag == 0), a, b)
            to_b = grad * both.where(flat, 0.0, out * both.log(a))
        return to_a, to_b


class PowOfNumber(Op, node_name="PowBackward2"):
    """number ** b; g number^b log(number)"""

    saved_names = ("exponent", "result")
    slots = 1

    @staticmethod
    def forward(ctx, b, number, kind):
        ctx.number = _plain(number)
        out = Tensor.wrap(_power(*operands(number, b, kind)).astype(kind, copy=False))
        ctx.save_for_backward(b, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        b, out = ctx.saved
        slope = out * _log(ctx.number)
        return grad * (both.where(b >= 0, 0.0, slope) if ctx.number == 0 else slope)


def _plain(number: Any) -> Any:
    """A number of Python's, which takes the type of the array or tensor that it meets."""
    return number.item() if isinstance(number, (np.generic, np.ndarray, Tensor)) else number


def _log(number: Any) -> Any:
    """The logarithm of a number, as NumPy has it: -inf of 0, NaN of a negative one."""
    return np.log(number).item()


def _power(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x ** y. Of integers with a negative y the integer part: 0, unless x is 1 or -1."""
    if x.dtype.kind == "b":
        return x | ~y
    if x.dtype.kind != "i":
        return x**y
    small = np.where(np.abs(x) == 1, np.where(y % 2, x, 1), 0)
    return np.where(y < 0, small, x ** np.maximum(y, 0)).astype(x.dtype)


class Lerp(Op):
    """a + weight (b - a), from the nearer end"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, weight):
        kind = a.array.dtype
        ctx.weight = _plain(weight)
        x, y = operands(a, b, kind)
        w = x.dtype.type(weight)
        return (x + w * (y - x) if abs(w) < 0.5 else y - (y - x) * (1 - w)).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        return grad * (1 - ctx.weight), grad * ctx.weight


class Addcmul(Op):
    """a + value b c"""

    saved_names = ("", "tensor1", "tensor2")
    slots = 3

    @staticmethod
    def forward(ctx, a, b, c, value, kind):
        if True in ctx.needs_input_grad[1:]:
            ctx.save_for_backward(None, b if ctx.needs_input_grad[2] else None, c if ctx.needs_input_grad[1] else None)
        ctx.factor = _plain(value)
        x, (y, z) = single(operand(a, kind)), operands(b, c, kind)
        return (x + operand(value, x.dtype) * y * z).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        _, b, c = ctx.saved or (None, None, None)
        to_b = None if c is None else grad * (c * ctx.factor)
        to_c = None if b is None else grad * (b * ctx.factor)
        return grad, to_b, to_c


class Addcdiv(Op):
    """a + value b / c"""

    saved_names = ("", "tensor1", "tensor2")
    slots = 3

    @staticmethod
    def forward(ctx, a, b, c, value, kind):
        ctx.save_for_backward(None, b if ctx.needs_input_grad[2] else None, c)
        ctx.factor = _plain(value)
        x, (y, z) = single(operand(a, kind)), operands(b, c, kind)
        return (x + operand(value, x.dtype) * y / z).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        _, b, c = ctx.saved
        to_b = grad * (ctx.factor / c) if ctx.needs_input_grad[1] else None
        to_c = None if b is None else -grad * (b * ctx.factor / (c * c))
        return grad, to_b, to_c


class Xlogy(Op):
    """a log b, and 0 for a = 0 unless b is NaN; (g log b, g a / b)"""

    saved_names = ("self", "other")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        ctx.kind = kind
        ctx.save_for_backward(*(t if isinstance(t, Tensor) else Tensor.wrap(operand(t, kind)) for t in (a, b)))
        return _xlogy(*operands(a, b, kind)).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        return both.masked_fill(Xlogy.of(grad, b, ctx.kind), (a == 0) & (b <= 0)), grad * a / b


def _xlogy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.where((x == 0) & ~np.isnan(y), x.dtype.type(0), x * np.log(y))


class DivRounded(Op, node_name="DivBackward2"):
    """a / b, rounded towards zero ("trunc") or down ("floor"): flat wherever it is smooth"""

    slots = 2

    @staticmethod
    def forward(ctx, a, b, rounding_mode, kind):
        ctx.shapes = [t.array.shape if isinstance(t, Tensor) else () for t in (a, b)]
        x, y = operands(a, b, kind)
        if kind.kind == "f" and rounding_mode == "trunc":
            return np.trunc(x / y).astype(kind, copy=False)
        quotient = np.floor_divide(x, y)
        if rounding_mode == "trunc":
            quotient += (quotient * y != x) & ((x < 0) != (y < 0))
        return quotient.astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        return tuple([both.zeros_like(grad, shape) for shape in ctx.shapes])


class Remainder(Op):
    """a modulo b, with the sign of b: a - b floor(a / b)"""

    saved_names = ("self", "other")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        x, y = operands(a, b, kind)
        if ctx.needs_input_grad[1]:
            ctx.save_for_backward(a if isinstance(a, Tensor) else Tensor.wrap(operand(a, kind)), b)
            ctx.kind = kind
        out = np.remainder(x, y)
        if kind.kind == "f":  # a zero keeps the sign of a
            out = np.where(out == 0, np.copysign(out, x), out)
        return out.astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        if not ctx.needs_input_grad[1]:
            return grad
        a, b = ctx.saved
        return grad, -grad * DivRounded.of(a, b, "floor", ctx.kind)


class Fmod(Op, node_name="FmodBackward1"):
    """a modulo b, with the sign of a: a - b trunc(a / b)"""

    saved_names = ("self", "other")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        if ctx.needs_input_grad[1]:
            ctx.save_for_backward(a, b)
            ctx.kind = kind
        return np.fmod(*operands(a, b, kind)).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        if not ctx.needs_input_grad[1]:
            return grad
        a, b = ctx.saved
        return grad, -grad * DivRounded.of(a, b, "trunc", ctx.kind)


class FmodOfNumber(Fmod, node_name="FmodBackward0"):
    """The same by a number"""

    slots = 1


class FloorDivideInPlace(Op, node_name="NotImplemented"):
    """a / b rounded down, written over a. PyTorch has no derivative of this."""

    name_prefix = "torch::autograd::"
    slots = 2
    forward = staticmethod(lambda ctx, a, b: floor_divide(a.detach(), b.detach() if isinstance(b, Tensor) else b).array)
    backward = not_implemented("floor_divide_")


class Atan2(Op):
    """The angle of the point (b, a)"""

    saved_names = ("self", "other")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        ctx.save_for_backward(a, b)
        return np.arctan2(*operands(a, b, kind)).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        square = a * a + b * b
        return grad * (b / square), grad * (-a / square)


class Hypot(Op):
    """sqrt(a^2 + b^2)"""

    saved_names = ("self", "other", "result")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        out = Tensor.wrap(np.hypot(*operands(a, b, kind)).astype(kind, copy=False))
        ctx.save_for_backward(a, b, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        a, b, out = ctx.saved
        return grad * a / out, grad * b / out


class Logaddexp(Op):
    """log(e^a + e^b)"""

    saved_names = ("self", "other")
    slots = 2

    @staticmethod
    def forward(ctx, a, b, kind):
        ctx.save_for_backward(a, b)
        return np.logaddexp(*operands(a, b, kind)).astype(kind, copy=False)

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved
        return grad / (1 + both.exp(b - a)), grad / (1 + both.exp(a - b))


# --- the functions ----------------------------------------------------------------------------------------------------


def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input + alpha * other, of their common shape. RuntimeError if the shapes do not broadcast, or for an alpha of a higher type."""
    kind = result_type(input, other)
    return Add.apply(input, other, _alpha("add", alpha, kind), kind)


def _alpha(name: str, alpha: Any, kind: np.dtype) -> Any:
    """The factor of `other` as a number. RuntimeError if it is of a higher type than the result, or out of its range."""
    if type(alpha) is int and alpha == 1:
        return alpha
    alpha = number(alpha, name, "alpha")
    if isinstance(alpha, bool) and kind.kind != "b":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, (float, complex)) and kind.kind in "biu":
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if isinstance(alpha, complex) and kind.kind != "c":
        raise RuntimeError("For non-complex input tensors, argument alpha must not be a complex number.")
    fitting(-alpha if name == "sub" else alpha, kind)
    return alpha


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """input - alpha * other, of their common shape. RuntimeError for booleans, or if the shapes do not broadcast."""
    kind = _difference_type(input, other)
    return Sub.apply(input, other, -_alpha("sub", alpha, kind), kind)


def _difference_type(input: Any, other: Any) -> np.dtype:
    kinds = [result_type(x).kind for x in (input, other)]
    if "b" not in kinds:
        return result_type(input, other)
    if kinds == ["b", "b"]:
        raise unsupported(
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
            "operator instead."
        )
    raise unsupported(
        "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, use "
        "the `~` or `logical_not()` operator instead."
    )


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input, of their common shape. RuntimeError for booleans, or if the shapes do not broadcast."""
    if alpha == 1 and not isinstance(other, Tensor):
        return Rsub.apply(input, other, _difference_type(input, other))
    return sub(other, input, alpha=alpha)


def mul(input: Any, other: Any) -> Tensor:
    """input * other, of their common shape. RuntimeError if the shapes do not broadcast."""
    if not isinstance(input, Tensor):
        input, other = other, input
    return Mul.apply(input, other, result_type(input, other))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """input / other, of their common shape: a true division, also for integers, or rounded: "trunc", "floor".

    RuntimeError if the shapes do not broadcast, for another rounding_mode, and for a rounded division of an integer by 0.
    """
    if rounding_mode is not None:
        if rounding_mode not in ("trunc", "floor"):
            raise RuntimeError(
                f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
            )
        kind = _quotient_type(f"div_{rounding_mode}_cpu", input, other)
        return DivRounded.apply(input, other, rounding_mode, kind)
    kind = floating(result_type(input, other))
    if not isinstance(input, Tensor):
        return mul(reciprocal(other), input)
    return Div.apply(input, other, kind)


def _quotient_type(name: str, input: Any, other: Any) -> np.dtype:
    """The type of a rounded quotient or a remainder. RuntimeError for an integer by 0, NotImplementedError for booleans."""
    kind = result_type(input, other)
    implemented(name, kind, "uif")
    if kind.kind in "ui" and not operand(other, kind).all():
        raise RuntimeError("ZeroDivisionError")
    return kind


def floor_divide(input: Any, other: Any) -> Tensor:
    """input / other rounded down, of their common shape. RuntimeError for an integer divided by 0."""
    return div(input, other, rounding_mode="floor")


def remainder(input: Any, other: Any) -> Tensor:
    """input modulo other, with the sign of other, of their common shape. RuntimeError for an integer and 0."""
    return Remainder.apply(input, other, _quotient_type("remainder_cpu", input, other))


def fmod(input: Tensor, other: Any) -> Tensor:
    """input modulo other, with the sign of input, of their common shape. RuntimeError for an integer and 0."""
    op = Fmod if isinstance(other, Tensor) else FmodOfNumber
    return op.apply(input, other, _quotient_type("fmod_cpu", input, other))


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle between -pi and pi of the point (other, input), of their common shape."""
    return Atan2.apply(input, other, floating(result_type(input, other)))


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """sqrt(input^2 + other^2), of their common shape. NotImplementedError for integers."""
    kind = result_type(input, other)
    implemented("hypot_cpu", kind, "f")
    return Hypot.apply(input, other, kind)


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(input) + exp(other)) without overflow, of their common shape. NotImplementedError for integers."""
    kind = result_type(input, other)
    implemented("logaddexp_cpu", kind, "f")
    return Logaddexp.apply(input, other, kind)


def neg(input: Tensor) -> Tensor:
    """-input, of its shape and type. RuntimeError for booleans."""
    if input.array.dtype.kind == "b":
        raise unsupported(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the `~` "
            "or `logical_not()` operator instead."
        )
    return Neg.apply(input)


def pow(input: Any, exponent: Any) -> Tensor:
    """input ** exponent, of their common shape. RuntimeError for integers and a negative number as the exponent."""
    kind = result_type(input, exponent)
    if isinstance(exponent, Tensor):
        implemented("pow", kind, "uifc")
        return (
            PowTensor.apply(input, exponent, kind)
            if isinstance(input, Tensor)
            else PowOfNumber.apply(exponent, input, kind)
        )
    if kind.kind in "iu" and exponent < 0:
        raise RuntimeError("Integers to negative integer powers are not allowed.")
    return Pow.apply(input, exponent, kind)


def square(input: Tensor) -> Tensor:
    """input * input, of its shape."""
    return pow(input, 2)


def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other), of their common shape; 0 where input is 0, unless other is NaN."""
    return Xlogy.apply(input, other, floating(result_type(input, other)))


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input), of the common shape; `weight` a number or a tensor. RuntimeError if the types differ."""
    if input.array.dtype != end.array.dtype:
        raise RuntimeError(f"expected dtype {input.dtype} for `end` but got dtype {end.dtype}")
    if isinstance(weight, Tensor):
        if weight.array.ndim and weight.array.dtype != input.array.dtype:
            raise RuntimeError(f"expected dtype {input.dtype} for `weight` but got dtype {weight.dtype}")
        return add(input, mul(weight, sub(end, input)))
    implemented("lerp_kernel_scalar", input.array.dtype)
    weight = fitting(number(weight, "lerp", "weight", 3), computed(input.array.dtype))
    return Lerp.apply(input, end, weight)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 * tensor2, of the common shape. NotImplementedError for booleans."""
    kind = result_type(input, tensor1, tensor2)
    implemented("addcmul_cpu_out", kind, "uifc")
    value = fitting(number(value, "addcmul", "value"), computed(kind)).item()
    return Addcmul.apply(input, tensor1, tensor2, value, kind)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """input + value * tensor1 / tensor2, of the common shape. RuntimeError for integers."""
    if result_type(tensor1, tensor2).kind in "biu":
        raise RuntimeError("Integer division with addcdiv is not supported: make one of the tensors floating-point")
    kind = result_type(input, tensor1, tensor2)
    value = fitting(number(value, "addcdiv", "value"), computed(kind)).item()
    return Addcdiv.apply(input, tensor1, tensor2, value, kind)
