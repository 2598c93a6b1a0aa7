"""Activations, element by element or along a dimension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import _memory, kernels
from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn._types import dtype as dtype_type
from minicnn._types import short_name
from minicnn._warnings import warn_user
from minicnn.autograd import both
from minicnn.autograd.function import Op, RowOp, not_implemented
from minicnn.ops._common import computed, fitting, floating, implemented, number, operand, single, unordered, wrap_dim
from minicnn.ops.elementwise import Unary, UnaryByResult

__all__ = ["erf", "erfc", "erfinv", "log_softmax", "prelu", "relu", "selu", "sigmoid", "softmax", "tanh", "threshold"]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


class Relu(Op):
    """max(a, 0); the gradient passes where the result is positive, so not at 0"""

    saved_names = ("result",)

    @staticmethod
    def forward(ctx, a, in_place):
        x = a.array
        if x.dtype in (np.float32, np.float64) and x.flags.c_contiguous:
            # Otherwise `inplace.assign` copies the result: a fresh array costs more than the arithmetic.
            out = Tensor.wrap(kernels.get("relu", x.dtype)(x, in_place and x.flags.writeable))
        elif x.dtype in (np.float32, np.float64):
            out = Tensor.wrap(_memory.copy(x))  # in the order of x
            kernels.get("relu", x.dtype)(out.array.ravel("K"), True)
        else:
            out = Tensor.wrap(np.maximum(x, x.dtype.type(0)))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved
        return ThresholdBackward.of(grad, out, 0)


class _OfStraightPieces(Op):
    """The gradient of a function whose pieces are straight lines: `value(g, x, ...)` is linear in g and flat in x."""

    slots, saves = 2, (1,)

    @classmethod
    def backward(cls, ctx, grad):
        (x,) = ctx.saved
        return cls.of(grad, x, *ctx.options), both.zeros_like(grad)


class ThresholdBackward(_OfStraightPieces):
    """g where x > threshold; of a ReLU x is the result"""

    @staticmethod
    def value(grad, x, threshold):
        if threshold == 0:
            return kernels.get("relu_grad", grad.dtype)(grad, x)
        return np.where(x <= threshold, grad.dtype.type(0), grad)


class HardshrinkBackward(_OfStraightPieces):
    """g where |x| > lambd"""

    @staticmethod
    def value(grad, x, lambd):
        return np.where(np.abs(x) <= lambd, grad.dtype.type(0), grad)


class SoftshrinkBackward(HardshrinkBackward):
    """The same"""


class Hardshrink(Op):
    """a where |a| > lambd, else 0"""

    saved_names = ("self",)
    slope: type[Op] = HardshrinkBackward

    @staticmethod
    def value(x, lambd):
        return np.where(np.abs(x) <= lambd, x.dtype.type(0), x)

    @classmethod
    def backward(cls, ctx, grad):
        return cls.slope.of(grad, *ctx.saved, *ctx.options)


class Softshrink(Hardshrink):
    """a less lambd times its sign where |a| > lambd, else 0"""

    slope = SoftshrinkBackward

    @staticmethod
    def value(x, lambd):
        return np.where(np.abs(x) <= lambd, x.dtype.type(0), x - np.sign(x) * x.dtype.type(lambd))


class Threshold(Op):
    """a where a > threshold, else value"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, threshold, value):
        ctx.threshold = threshold
        ctx.save_for_backward(a)
        return np.where(a.array > threshold, a.array, a.array.dtype.type(value))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved
        return ThresholdBackward.of(grad, a, ctx.threshold)


class LeakyRelu(Op):
    """a where a > 0, else slope a"""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, slope):
        ctx.slope = a.array.dtype.type(slope)
        ctx.save_for_backward(a)
        return np.where(a.array > 0, a.array, a.array * ctx.slope)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved
        return LeakyReluBackward.of(grad, a, ctx.slope)


class LeakyReluBackward(_OfStraightPieces):
    """g where x > 0, else slope g"""

    value = staticmethod(lambda grad, x, slope: np.where(x > 0, grad, grad * slope))


class PreluKernel(Op):
    """a where a > 0, else weight a, with one learned weight or one for each channel (dimension 1)"""

    saved_names = ("self", "weight")
    slots = 2

    @staticmethod
    def value(a, weight):
        return np.where(a > 0, a, a * weight)

    @staticmethod
    def backward(ctx, grad):
        return PreluKernelBackward.of(grad, *ctx.saved)


class PreluKernelBackward(Op):
    """The gradients of input and weight."""

    slots = 3

    @staticmethod
    def value(grad, a, weight):
        return np.where(a > 0, grad, grad * weight), np.where(a > 0, grad.dtype.type(0), grad * a)

    @staticmethod
    def backward(ctx, of_a, of_weight):
        grad, a, weight = ctx.saved
        positive = a >= 0
        to_grad = both.where(positive, of_a, of_a * weight + of_weight * a)
        return to_grad, both.where(positive, 0.0, grad * of_weight), both.where(positive, 0.0, grad * of_a)


class Elu(Op):
    """scale a where a > 0, else scale alpha (exp(a) - 1)"""

    saved_names = ("self",)

    @staticmethod
    def value(x, alpha, scale):
        return (scale * np.where(x < 0, alpha * np.expm1(np.where(x < 0, x, 0)), x)).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad):
        return EluBackward.of(grad, *ctx.saved, *ctx.options, 1)


class Celu(Op):
    """a where a > 0, else alpha (exp(a / alpha) - 1)"""

    saved_names = ("self",)

    @staticmethod
    def value(x, alpha):
        low = alpha * np.expm1(np.where(x < 0, x, 0) * (1 / alpha))
        return np.where(x < 0, low, x).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad):
        (alpha,) = ctx.options
        return EluBackward.of(grad, *ctx.saved, alpha, 1, 1 / alpha)


class EluBackward(Op):
    """scale g where x > 0, else scale alpha steepness exp(steepness x) g"""

    slots = 2

    @staticmethod
    def value(grad, x, alpha, scale, steepness):
        slope = scale * np.where(x <= 0, alpha * steepness * np.exp(np.minimum(x, 0) * steepness), 1)
        return (grad * slope).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad):
        g, x = ctx.saved
        to_x = EluBackward.of(grad * g * (x < 0), x, *ctx.options)
        return EluBackward.of(grad, x, *ctx.options), to_x * ctx.options[2]


def _sigmoid(x: both.Both) -> both.Both:
    """1 / (1 + exp(-x)), without overflow."""
    if isinstance(x, Tensor):
        return Sigmoid.apply(x)
    if x.dtype.kind == "c":
        return 1 / (1 + np.exp(-x))
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


class Sigmoid(Op):
    """1 / (1 + exp(-a))"""

    saved_names = ("result",)

    @staticmethod
    def forward(ctx, a):
        out = Tensor.wrap(_sigmoid(operand(a, floating(a.array.dtype))))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        return SigmoidBackward.of(grad, *ctx.saved)


class SigmoidBackward(Op):
    """The gradient of a sigmoid, from its result."""

    slots = 2
    value = staticmethod(lambda grad, out: grad * ((1 - out) * out))

    @staticmethod
    def backward(ctx, grad):
        g, out = ctx.saved
        return SigmoidBackward.of(grad, out), grad * g * (-2 * out + 1)


class Tanh(UnaryByResult):
    """tanh a"""

    function = np.tanh

    @staticmethod
    def backward(ctx, grad):
        return TanhBackward.of(grad, *ctx.saved)


class TanhBackward(Op):
    """The gradient of tanh, from its result."""

    slots = 2
    value = staticmethod(lambda grad, out: grad * (1 - out * out))

    @staticmethod
    def backward(ctx, grad):
        g, out = ctx.saved
        return TanhBackward.of(grad, out), grad * (-2 * out * g)


def _each(name: str, x: np.ndarray, *rest: Any, in_place: bool = False) -> np.ndarray:
    """A kernel for each element, of x or of a gradient and x; the result lies as its last array does, or is x itself."""
    arrays = [x, *(value for value in rest if isinstance(value, np.ndarray))]
    numbers, kernel = rest[len(arrays) - 1 :], kernels.get(name, x.dtype)
    if all(array.flags.c_contiguous for array in arrays):
        if in_place and x.flags.writeable and x.dtype.char in "fd":
            return kernel(*arrays, *numbers, out=x)
        return kernel(*arrays, *numbers)
    like = _memory.empty_like(arrays[-1])
    order = np.argsort([-stride for stride in like.strides], kind="stable")  # in which its elements follow each other
    out = kernel(*(np.ascontiguousarray(array.transpose(order)) for array in arrays), *numbers)
    return out.transpose(np.argsort(order))


class _OnePass(Op):
    """An activation whose kernel is called `name`. Without a gradient it can be computed in place, which saves a copy."""

    saved_names = ("self",)
    kernel: str

    @classmethod
    def forward(cls, ctx, a, in_place, *numbers):
        ctx.save_for_backward(a)
        ctx.options = numbers
        return cls.value(a.array, in_place and not ctx.needs_input_grad[0], *numbers)

    @classmethod
    def value(cls, x, in_place, *numbers):
        return _each(cls.kernel, x, *numbers, in_place=in_place)


class Silu(_OnePass):
    """a sigmoid(a)"""

    kernel = "silu"

    @classmethod
    def value(cls, x, in_place):
        return x * _sigmoid(x) if x.dtype.kind == "c" else super().value(x, in_place)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved
        if not (isinstance(grad, Tensor) or both.is_complex(x)):
            return _each("silu_grad", grad, x)
        s = _sigmoid(x)
        return grad * s * (1 + x * (1 - s))


class Mish(Unary):
    """a tanh(softplus(a))"""

    function = staticmethod(lambda x: x * np.tanh(np.logaddexp(x, 0)))

    @staticmethod
    def slope(x):
        t = both.tanh(Softplus.of(x, 1.0, math.inf))
        return t + x * _sigmoid(x) * (1 - t * t)


class LogSigmoid(Unary, RowOp):
    """log(sigmoid(a))"""

    function = staticmethod(lambda x: -np.logaddexp(-x, 0))

    @staticmethod
    def backward(ctx, grad):
        return LogSigmoidBackward.of(grad, *ctx.saved)


class LogSigmoidBackward(Op):
    """The gradient of log(sigmoid(a))."""

    slots = 2
    value = staticmethod(lambda grad, x: grad * _sigmoid(-x))

    @staticmethod
    def backward(ctx, grad):
        g, x = ctx.saved
        s = _sigmoid(x)
        return LogSigmoidBackward.of(grad, x), grad * g * ((s - 1) * s)


class Hardsigmoid(Unary):
    """min(max(a + 3, 0), 6) / 6"""

    function = staticmethod(lambda x: np.clip(x + 3, 0, 6) / 6)

    @staticmethod
    def backward(ctx, grad):
        return HardsigmoidBackward.of(grad, *ctx.saved)


class HardsigmoidBackward(Op, node_name="NotImplemented"):
    """The gradient of hardsigmoid. PyTorch has no second one."""

    name_prefix = "torch::autograd::"
    slots = 2
    value = staticmethod(lambda grad, x: grad * (((x > -3) & (x < 3)) / x.dtype.type(6)))
    backward = not_implemented("hardsigmoid_backward")


class Hardswish(_OnePass):
    """a min(max(a + 3, 0), 6) / 6"""

    kernel = "hardswish"

    @staticmethod
    def backward(ctx, grad):
        return HardswishBackward.of(grad, *ctx.saved)


class HardswishBackward(Op):
    """The gradient of hardswish."""

    slots = 2

    @staticmethod
    def value(grad, x):
        gradient = _each("hardswish_grad", grad, x)
        if since(2, 8):
            return gradient
        return np.where(np.abs(x) == 3, grad * (x / 3 + 0.5), gradient)  # at the bounds that of the curve between them

    @staticmethod
    def backward(ctx, grad):
        g, x = ctx.saved
        return HardswishBackward.of(grad, x), both.where((x > -3) & (x < 3), grad * g / 3, 0.0)


class Erf(Unary):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to a"""

    function = staticmethod(lambda x: _each("erf", x))
    slope = staticmethod(lambda x: 2 / math.sqrt(math.pi) * both.exp(-(x**2)))


class Erfc(Unary):
    """1 - erf(a)"""

    function = staticmethod(lambda x: np.asarray(np.vectorize(math.erfc, otypes=[float])(x), x.dtype))
    slope = staticmethod(lambda x: -2 / math.sqrt(math.pi) * both.exp(-(x**2)))


def _erfinv_array(x: np.ndarray) -> np.ndarray:
    """A quotient of polynomials near the answer (PyTorch's), then two steps of Newton's."""
    y = _memory.copy(x, kind=np.float64)
    size = np.abs(y)
    square, tail = y * y, np.sqrt(-np.log(np.where(size < 1, (1 - size) / 2, 0.25)))
    centre = y * np.polyval([-0.140543331, 0.914624893, -1.645349621, 0.886226899], square)
    centre /= np.polyval([0.012229801, -0.329097515, 1.442710462, -2.118377725, 1], square)
    ends = np.polyval([1.641345311, 3.429567803, -1.624906493, -1.970840454], tail) / np.polyval(
        [1.6370678, 3.5438892, 1], tail
    )
    found = np.where(size <= 0.7, centre, np.copysign(ends, y))
    for _ in range(2):
        found -= (_each("erf", found) - y) / (2 / math.sqrt(math.pi) * np.exp(-found * found))
    found = np.where(size < 1, found, np.where(size == 1, np.copysign(np.inf, y), np.nan))
    return found.astype(x.dtype)


class Erfinv(UnaryByResult):
    """The number whose erf is a"""

    function = staticmethod(_erfinv_array)
    slope = staticmethod(lambda out: math.sqrt(math.pi) / 2 * both.exp(out**2))


class Softplus(Op):
    """log(1 + exp(beta a)) / beta, and a itself above the threshold"""

    saved_names = ("self",)

    @staticmethod
    def value(x, beta, threshold):
        scaled = x * x.dtype.type(beta)
        return np.where(scaled > threshold, x, np.logaddexp(scaled, 0) / x.dtype.type(beta))

    @staticmethod
    def backward(ctx, grad):
        return SoftplusBackward.of(grad, *ctx.saved, *ctx.options)


class SoftplusBackward(Op):
    """g sigmoid(beta x), and g itself above the threshold"""

    slots = 2

    @staticmethod
    def value(grad, x, beta, threshold):
        scaled = x * x.dtype.type(beta)
        return np.where(scaled > threshold, grad, grad * _sigmoid(scaled))

    @staticmethod
    def backward(ctx, grad):
        g, x = ctx.saved
        beta, threshold = ctx.options
        bend = SigmoidBackward.of(grad * g, _sigmoid(x * beta)) * (x * beta < threshold) * beta
        return SoftplusBackward.of(grad, x, beta, threshold), bend


class Hardtanh(_OnePass):
    """a cut off at low and high; no gradient at the bounds themselves"""

    kernel = "hardtanh"

    @classmethod
    def value(cls, x, in_place, low, high):
        if x.dtype.kind == "f":
            return super().value(x, in_place, low, high)
        return np.clip(x, x.dtype.type(low), x.dtype.type(high))

    @staticmethod
    def backward(ctx, grad):
        return HardtanhBackward.of(grad, *ctx.saved, *ctx.options)


class HardtanhBackward(_OfStraightPieces):
    """g where low < x < high"""

    @staticmethod
    def value(grad, x, low, high):
        return _each("hardtanh_grad", grad, x, low, high)


class Gelu(Op):
    """a Phi(a), Phi the normal distribution function; "tanh": its usual approximation (Hendrycks & Gimpel 2016)"""

    saved_names = ("self",)

    @staticmethod
    def value(x, approximate):
        if approximate == "tanh":
            return x * (1 + np.tanh(_gelu_inner(x))) / 2
        return _each("gelu", x)

    @staticmethod
    def backward(ctx, grad):
        return GeluBackward.of(grad, *ctx.saved, *ctx.options)


class GeluBackward(Op):
    """The gradient of gelu: g (Phi(x) + x phi(x)), phi the normal density."""

    slots = 2

    @staticmethod
    def value(grad, x, approximate):
        if approximate == "tanh":
            t = np.tanh(_gelu_inner(x))
            return grad * ((1 + t) / 2 + x * (1 - t * t) * _gelu_slope(x) / 2)
        return _each("gelu_grad", grad, x)

    @staticmethod
    def backward(ctx, grad):
        g, x = ctx.saved
        (approximate,) = ctx.options
        if approximate == "tanh":
            t, slope = both.tanh(_gelu_inner(x)), _gelu_slope(x)
            bend = (1 - t * t) * (slope + x * (math.sqrt(2 / math.pi) * 3 * 0.044715 * x - t * slope * slope))
        else:
            bend = _normal_density(x) * (2 - x * x)
        return GeluBackward.of(grad, x, approximate), grad * g * bend


def _gelu_inner(x: both.Both) -> both.Both:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def _gelu_slope(x: both.Both) -> both.Both:
    return math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)


def _normal_density(x: both.Both) -> both.Both:
    return both.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi))


class Softmax(RowOp):
    """exp(a) / sum of exp(a) along a dimension"""

    saved_names = ("result",)

    @staticmethod
    def forward(ctx, a, dim):
        ctx.dim = dim
        x = single(a.array)
        e = np.exp(x - x.max(axis=dim, keepdims=True)) if x.size else x
        out = Tensor.wrap((e / kernels.add_up(e, dim, True)).astype(a.array.dtype, copy=False))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        return SoftmaxBackwardData.of(grad, *ctx.saved, ctx.dim)


class SoftmaxBackwardData(RowOp):
    """y (g - sum of g y), y the result"""

    slots = 2

    @staticmethod
    def value(grad, out, dim):
        y = single(out)
        weighted = single(grad) * y
        return (weighted - y * kernels.add_up(weighted, dim, True)).astype(out.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad):
        g, y = ctx.saved
        (dim,) = ctx.options
        to_y = g * grad - both.sum(y * g, dim, True) * grad - g * both.sum(y * grad, dim, True)
        return SoftmaxBackwardData.of(grad, y, dim), to_y


class LogSoftmax(RowOp):
    """a - log of the sum of exp(a) along a dimension"""

    saved_names = ("result",)

    @staticmethod
    def forward(ctx, a, dim):
        ctx.dim = dim
        x = single(a.array)
        shifted = x - x.max(axis=dim, keepdims=True) if x.size else x
        total = kernels.add_up(np.exp(shifted), dim, True)
        out = Tensor.wrap((shifted - np.log(total)).astype(a.array.dtype, copy=False))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        return LogSoftmaxBackwardData.of(grad, *ctx.saved, ctx.dim)


class LogSoftmaxBackwardData(RowOp):
    """g - exp(y) sum of g, y the result"""

    slots = 2

    @staticmethod
    def value(grad, out, dim):
        g = single(grad)
        return (g - np.exp(single(out)) * kernels.add_up(g, dim, True)).astype(out.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad):
        g, y = ctx.saved
        (dim,) = ctx.options
        e = both.exp(y)
        return grad - both.sum(grad * e, dim, True), -both.sum(g, dim, True) * e * grad


# Element by element ---------------------------------------------------------------------------------------------------


def _apply(name: str, op: type[Op], inplace: bool, input: Tensor, *flags: bool, **numbers: Any) -> Tensor:
    """The operation's result; or `input` itself with the result written into it, with `Tensor.relu_`'s errors.

    The operation gets the flags, then the numbers. These are the arguments of `name` behind the input; RuntimeError if the
    input's type does not hold one.
    """
    kind, name = computed(input.array.dtype), f"{name}_" if inplace else name
    args = [fitting(number(n, name, key, i), kind).item() for i, (key, n) in enumerate(numbers.items(), 2)]
    return input._inplace(op.apply, *flags, *args) if inplace else op.apply(input, *flags, *args)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0). RuntimeError for booleans."""
    if input.array.dtype.kind in "bc":
        raise unordered("Boolean inputs not supported for relu", input)
    return input._inplace(Relu.apply, True) if inplace else Relu.apply(input, False)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6)."""
    return hardtanh(input, 0.0, 6.0, inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, `value` elsewhere."""
    implemented("threshold_cpu", input.array.dtype, "uif")
    return _apply("threshold", Threshold, inplace, input, threshold=threshold, value=value)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where positive, negative_slope x elsewhere."""
    implemented("leaky_relu_cpu", input.array.dtype, "f")
    return _apply("leaky_relu", LeakyRelu, inplace, input, negative_slope=negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where positive, weight x elsewhere.

    RuntimeError unless `weight` has one number in all, or one for each channel (dimension 1 of input).
    """
    n = weight.array.size
    channels = input.array.shape[1] if input.array.ndim > 1 else 1
    if n not in (1, channels):
        raise RuntimeError(
            f"Mismatch of parameter numbers and input channel size. Found parameter numbers = {n} and channel size = "
            f"{channels}."
        )
    if weight.array.ndim != 0 and input.array.ndim != 1:
        weight = weight.view(*(-1 if i == 1 else 1 for i in range(input.array.ndim)))
    return PreluKernel.apply(input, weight)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha (exp(x) - 1) elsewhere."""
    implemented("elu_cpu", input.array.dtype, "f")
    return _apply("elu", Elu, inplace, input, alpha=alpha, scale=1.0)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where positive, alpha (exp(x / alpha) - 1) elsewhere: smooth for every alpha. RuntimeError for the alpha 0."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _apply("celu", Celu, inplace, input, alpha=alpha)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second one. RuntimeError for an odd length, or without dimensions."""
    if not input.array.ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    where = wrap_dim(dim, input.array.ndim)
    if input.array.shape[where] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {where} is size {input.array.shape[where]}")
    value, gate = input.chunk(2, where)
    return value * gate.sigmoid()


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x, and 0 where |x| <= lambd."""
    implemented("hardshrink_cpu", input.array.dtype, "f")
    return Hardshrink.apply(input, number(lambd, "hardshrink", "lambd", 2))


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x drawn towards 0 by lambd, and 0 where it is not farther from it. RuntimeError for a negative lambd."""
    if lambd < 0:
        raise RuntimeError(
            f"lambda must be in range [0, {np.finfo(input.array.dtype).max:g}] for input dtype {short_name(input.dtype)}, but found "
            f"{lambd:g}"
        )
    implemented("softshrink_cpu", input.array.dtype, "f")
    return Softshrink.apply(input, number(lambd, "softshrink", "lambd", 2))


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """A scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017, with their two constants)."""
    implemented("elu_cpu", input.array.dtype, "f")
    return _apply("selu", Elu, inplace, input, alpha=SELU_ALPHA, scale=SELU_SCALE)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)); of integers in float32."""
    return Sigmoid.apply(input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x))."""
    implemented("log_sigmoid_cpu", input.array.dtype, "f")
    return LogSigmoid.apply(input)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent; of integers in float32."""
    return Tanh.apply(input)


def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)."""
    return input - input.tanh()


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish."""
    implemented("silu_cpu", input.array.dtype)
    return _apply("silu", Silu, inplace, input, inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x))."""
    implemented("mish_cpu", input.array.dtype, "f")
    return _apply("mish", Mish, inplace, input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""
    implemented("softplus_cpu", input.array.dtype, "f")
    return _apply("softplus", Softplus, False, input, beta=beta, threshold=threshold)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x clipped to [min_val, max_val]. ValueError if there is nothing between them."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input.array.dtype.kind in "bc":
        raise unordered("Bool inputs not supported for hardtanh", input)
    if input.array.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _apply("hardtanh", Hardtanh, inplace, input, inplace, min_val=min_val, max_val=max_val)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """(x + 3) / 6 clipped to [0, 1]."""
    implemented("hardsigmoid_cpu", input.array.dtype, "f")
    return _apply("hardsigmoid", Hardsigmoid, inplace, input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x)."""
    implemented("hardswish_cpu", input.array.dtype, "f")
    return _apply("hardswish", Hardswish, inplace, input, inplace)


def erf(input: Tensor) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; of integers in float32."""
    return Erf.apply(input)


def erfc(input: Tensor) -> Tensor:
    """1 - erf(input), exact where erf is nearly 1; of integers in float32."""
    return Erfc.apply(input)


def erfinv(input: Tensor) -> Tensor:
    """The number whose `erf` is x: infinite at -1 and 1, NaN beyond; of integers in float32."""
    return Erfinv.apply(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function at x; `approximate='tanh'` takes the usual formula for it."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    implemented("GeluKernelImpl", input.array.dtype, "f")
    return Gelu.apply(input, approximate)


# Along a dimension ----------------------------------------------------------------------------------------------------


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int | dtype_type = 3, dtype: dtype_type | None = None
) -> Tensor:
    """exp(x) / sum exp(x) along `dim`: positive numbers that sum to 1. With `dtype`, computed in that type."""
    return _along(Softmax, "softmax", input, dim, _stacklevel, dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int | dtype_type = 3, dtype: dtype_type | None = None
) -> Tensor:
    """softmax(-x)."""
    return _along(Softmax, "softmin", -input, dim, _stacklevel, dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int | dtype_type = 3, dtype: dtype_type | None = None
) -> Tensor:
    """log(softmax(x)), computed so that it does not overflow."""
    return _along(LogSoftmax, "log_softmax", input, dim, _stacklevel, dtype)


def _along(
    op: type[Op], name: str, input: Tensor, dim: int | None, third: int | dtype_type, dtype: dtype_type | None
) -> Tensor:
    """`torch.softmax` has the dtype in the third place, `torch.nn.functional.softmax` a number without a meaning here."""
    dtype = third if isinstance(third, dtype_type) else dtype
    ndim = input.array.ndim
    if dim is None:
        warn_user(
            f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument."
        )
        dim = 0 if ndim in (0, 1, 3) else 1
    input = input if dtype is None else input.to(dtype)
    function = "log_softmax" if op is LogSoftmax else "softmax"
    implemented(f"{function}_lastdim_kernel_impl", input.array.dtype, "f")
    dim = wrap_dim(dim, ndim)
    return op.apply(input, dim if ndim else ())
