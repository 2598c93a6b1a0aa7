"""Activations, element by element or along a dimension."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn._types import dtype as dtype_type
from minicnn._warnings import warn_user
from minicnn.autograd.function import Op, RowOp
from minicnn.ops._common import computed, fitting, implemented, number, single, unsupported, wrap_dim
from minicnn.ops.elementwise import Unary, UnaryByResult

__all__ = ["erf", "log_softmax", "prelu", "relu", "selu", "sigmoid", "softmax", "tanh", "threshold"]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


class Relu(Op):
    """max(a, 0); the gradient passes where the result is positive, so not at 0"""

    saved_names = ("result",)

    @staticmethod
    def forward(ctx, a, in_place):
        x = a.array
        if x.dtype in (np.float32, np.float64):
            # Otherwise `inplace.assign` copies the result: a fresh array costs more than the arithmetic.
            out = Tensor.wrap(kernels.get("relu", x.dtype)(x, in_place and x.flags.c_contiguous and x.flags.writeable))
        else:
            out = Tensor.wrap(np.maximum(x, x.dtype.type(0)))
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved_tensors
        return kernels.get("relu_grad", grad.array.dtype)(grad.array, out.array)


class Threshold(Op):
    """a where a > threshold, else value"""

    @staticmethod
    def forward(ctx, a, threshold, value):
        ctx.threshold = threshold
        ctx.save_for_backward(a)
        return np.where(a.array > threshold, a.array, a.array.dtype.type(value))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        return np.where(a.array <= ctx.threshold, grad.array.dtype.type(0), grad.array)


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
        (a,) = ctx.saved_tensors
        return np.where(a.array > 0, grad.array, grad.array * ctx.slope)


class PreluKernel(Op):
    """a where a > 0, else weight a, with one learned weight or one for each channel (dimension 1)"""

    slots = 2

    @staticmethod
    def forward(ctx, a, weight):
        ctx.save_for_backward(a, weight)
        return np.where(a.array > 0, a.array, a.array * weight.array)

    @staticmethod
    def backward(ctx, grad):
        a, weight = (t.array for t in ctx.saved_tensors)
        g = grad.array
        return np.where(a > 0, g, g * weight), np.where(a > 0, g.dtype.type(0), g * a)


class Elu(Op):
    """scale a where a > 0, else scale alpha (exp(a) - 1)"""

    @staticmethod
    def forward(ctx, a, alpha, scale):
        ctx.alpha, ctx.scale = alpha, scale
        ctx.save_for_backward(a)
        x = a.array
        return (scale * np.where(x < 0, alpha * np.expm1(np.where(x < 0, x, 0)), x)).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        x = a.array
        slope = ctx.scale * np.where(x <= 0, ctx.alpha * np.exp(np.minimum(x, 0)), 1)
        return (grad.array * slope).astype(x.dtype, copy=False)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


class Sigmoid(UnaryByResult):
    """1 / (1 + exp(-a))"""

    value = staticmethod(_sigmoid)
    slope = staticmethod(lambda out: (1 - out) * out)


class Tanh(UnaryByResult):
    """tanh a"""

    value = np.tanh
    slope = staticmethod(lambda out: 1 - out * out)


class Silu(Unary):
    """a sigmoid(a)"""

    value = staticmethod(lambda x: x * _sigmoid(x))

    @staticmethod
    def slope(x):
        s = _sigmoid(x)
        return s * (1 + x * (1 - s))


class Mish(Unary):
    """a tanh(softplus(a))"""

    value = staticmethod(lambda x: x * np.tanh(np.logaddexp(x, 0)))

    @staticmethod
    def slope(x):
        t = np.tanh(np.logaddexp(x, 0))
        return t + x * (1 - t * t) * _sigmoid(x)


class LogSigmoid(Unary):
    """log(sigmoid(a))"""

    value = staticmethod(lambda x: -np.logaddexp(-x, 0))
    slope = staticmethod(lambda x: _sigmoid(-x))


class Hardsigmoid(Unary):
    """min(max(a + 3, 0), 6) / 6"""

    value = staticmethod(lambda x: np.clip(x + 3, 0, 6) / 6)
    slope = staticmethod(lambda x: ((x > -3) & (x < 3)) / x.dtype.type(6))


class Hardswish(Unary):
    """a min(max(a + 3, 0), 6) / 6"""

    value = staticmethod(lambda x: x * np.clip(x + 3, 0, 6) / 6)

    @staticmethod
    def slope(x):
        return np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1)).astype(x.dtype, copy=False)


_erf = np.frompyfunc(math.erf, 1, 1)


def _erf_array(x: np.ndarray) -> np.ndarray:
    return np.asarray(_erf(x.astype(np.float64)), np.float64).astype(x.dtype)


class Erf(Unary):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to a"""

    value = staticmethod(_erf_array)
    slope = staticmethod(lambda x: x.dtype.type(2 / math.sqrt(math.pi)) * np.exp(-x * x))


class Softplus(Op):
    """log(1 + exp(beta a)) / beta, and a itself above the threshold"""

    @staticmethod
    def forward(ctx, a, beta, threshold):
        ctx.beta, ctx.threshold = beta, threshold
        ctx.save_for_backward(a)
        scaled = a.array * a.array.dtype.type(beta)
        return np.where(scaled > threshold, a.array, np.logaddexp(scaled, 0) / a.array.dtype.type(beta))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        scaled = a.array * a.array.dtype.type(ctx.beta)
        return np.where(scaled > ctx.threshold, grad.array, grad.array * _sigmoid(scaled))


class Hardtanh(Op):
    """a cut off at low and high; no gradient at the bounds themselves"""

    @staticmethod
    def forward(ctx, a, low, high):
        ctx.low, ctx.high = low, high
        ctx.save_for_backward(a)
        return np.clip(a.array, a.array.dtype.type(low), a.array.dtype.type(high))

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        return np.where((a.array <= ctx.low) | (a.array >= ctx.high), grad.array.dtype.type(0), grad.array)


class Gelu(Op):
    """a Phi(a), Phi the normal distribution function; "tanh": its usual approximation (Hendrycks & Gimpel 2016)"""

    @staticmethod
    def forward(ctx, a, approximate):
        ctx.approximate = approximate
        ctx.save_for_backward(a)
        x = a.array
        if approximate == "tanh":
            return x * (1 + np.tanh(Gelu.inner(x))) / 2
        return x * (1 + _erf_array(x / x.dtype.type(math.sqrt(2)))) / 2

    @staticmethod
    def inner(x: np.ndarray) -> np.ndarray:
        return x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x**3)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved_tensors
        x = a.array
        if ctx.approximate == "tanh":
            t = np.tanh(Gelu.inner(x))
            bend = x.dtype.type(math.sqrt(2 / math.pi)) * (1 + x.dtype.type(3 * 0.044715) * x * x)
            return grad.array * ((1 + t) / 2 + x * (1 - t * t) * bend / 2)
        below = (1 + _erf_array(x / x.dtype.type(math.sqrt(2)))) / 2
        density = np.exp(-x * x / 2) * x.dtype.type(1 / math.sqrt(2 * math.pi))
        return grad.array * (below + x * density)


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
        (out,) = ctx.saved_tensors
        y = single(out.array)
        weighted = single(grad.array) * y
        return (weighted - y * kernels.add_up(weighted, ctx.dim, True)).astype(out.array.dtype, copy=False)


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
        (out,) = ctx.saved_tensors
        g = single(grad.array)
        return (g - np.exp(single(out.array)) * kernels.add_up(g, ctx.dim, True)).astype(out.array.dtype, copy=False)


# Element by element ---------------------------------------------------------------------------------------------------


def _apply(name: str, op: type[Op], inplace: bool, input: Tensor, **numbers: Any) -> Tensor:
    """The operation's result; or `input` itself with the result written into it, with `Tensor.relu_`'s errors.

    The numbers are the arguments of `name` behind the input. RuntimeError if the input's type does not hold one.
    """
    kind, name = computed(input.array.dtype), f"{name}_" if inplace else name
    args = [fitting(number(n, name, key, i), kind).item() for i, (key, n) in enumerate(numbers.items(), 2)]
    return input._inplace(op.apply, *args) if inplace else op.apply(input, *args)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0). RuntimeError for booleans."""
    if input.array.dtype.kind == "b":
        raise unsupported("Boolean inputs not supported for relu")
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
    implemented("leaky_relu_cpu", input.array.dtype)
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
    implemented("elu_cpu", input.array.dtype)
    return _apply("elu", Elu, inplace, input, alpha=alpha, scale=1.0)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """A scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017, with their two constants)."""
    implemented("elu_cpu", input.array.dtype)
    return _apply("selu", Elu, inplace, input, alpha=SELU_ALPHA, scale=SELU_SCALE)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + exp(-x)); of integers in float32."""
    return Sigmoid.apply(input)


def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x))."""
    implemented("log_sigmoid_cpu", input.array.dtype)
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
    return _apply("silu", Silu, inplace, input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x))."""
    implemented("mish_cpu", input.array.dtype)
    return _apply("mish", Mish, inplace, input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold."""
    implemented("softplus_cpu", input.array.dtype)
    return _apply("softplus", Softplus, False, input, beta=beta, threshold=threshold)


def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (input.abs() + 1)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x clipped to [min_val, max_val]. ValueError if there is nothing between them."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input.array.dtype.kind == "b":
        raise unsupported("Bool inputs not supported for hardtanh")
    if input.array.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    return _apply("hardtanh", Hardtanh, inplace, input, min_val=min_val, max_val=max_val)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """(x + 3) / 6 clipped to [0, 1]."""
    implemented("hardsigmoid_cpu", input.array.dtype)
    return _apply("hardsigmoid", Hardsigmoid, inplace, input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x)."""
    implemented("hardswish_cpu", input.array.dtype)
    return _apply("hardswish", Hardswish, inplace, input)


def erf(input: Tensor) -> Tensor:
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x; of integers in float32."""
    return Erf.apply(input)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x times the normal distribution function at x; `approximate='tanh'` takes the usual formula for it."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    implemented("GeluKernelImpl", input.array.dtype)
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
    implemented(f"{function}_lastdim_kernel_impl", input.array.dtype)
    dim = wrap_dim(dim, ndim)
    return op.apply(input, dim if ndim else ())
