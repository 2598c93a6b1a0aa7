"""Arithmetic, element by element and over dimensions; types of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from minicnn import ops
from minicnn._tensor import Tensor
from minicnn._types import dtype
from minicnn.autograd.function import Function
from minicnn.onnx._file import held, held_type, stored_type
from minicnn.onnx._node import Builder, Compute, Node, check_size, ints, number, wrapped

FLOAT, UINT8 = 1, 2  # the standard's numbers for these types


# --- element by element ---------------------------------------------------------------------------------------------------------


def function(compute: Compute) -> Builder:
    """A function of the inputs, whatever the attributes."""
    return lambda node: compute


def both(compute: Compute) -> Builder:
    """A function of two tensors, which are broadcast."""

    def checked(x: Tensor, y: Tensor) -> Tensor:
        if x.shape != y.shape:
            check_size(np.broadcast_shapes(x.shape, y.shape))
        return compute(x, y)

    return lambda node: checked


def of_arrays(compute: Callable[..., Any]) -> Builder:
    """A NumPy function, of whole numbers or of what has no gradient."""
    return lambda node: lambda *inputs: wrapped(compute(*(x.array for x in inputs)))


def every(compute: Compute) -> Builder:
    """A function of two tensors, of any number of them one after the other."""
    pairwise = both(compute)
    return lambda node: lambda *inputs: reduce(pairwise(node), inputs)


def mean(node: Node) -> Compute:
    """Mean: of any number of tensors."""
    total = every(ops.add)(node)
    return lambda *inputs: total(*inputs) / len(inputs)


def divide(x: Tensor, y: Tensor) -> Tensor:
    """Div: of whole numbers towards zero."""
    if x.dtype.is_floating_point:
        return x / y
    return ops.div(x, y, rounding_mode="trunc")


def power(x: Tensor, y: Tensor) -> Tensor:
    """Pow: in the type of the base."""
    if x.dtype.is_floating_point:
        return ops.pow(x, y.to(x.dtype) if y.dim() else number(y))
    with np.errstate(all="ignore"):
        return wrapped(np.power(x.array, y.array).astype(x.array.dtype))


def modulo(node: Node) -> Compute:
    """Mod: with the sign of the second, or, if fmod, of the first."""
    compute = np.fmod if node.attr("fmod", 0) else np.mod
    return lambda x, y: wrapped(compute(x.array, y.array))


def bit_shift(node: Node) -> Compute:
    """BitShift: of unsigned numbers."""
    compute = np.left_shift if node.attr("direction") == "LEFT" else np.right_shift
    return lambda x, y: wrapped(compute(x.array, y.array))


def is_inf(node: Node) -> Compute:
    """IsInf: of the signs that are asked for."""
    up, down = node.attr("detect_positive", 1), node.attr("detect_negative", 1)
    return lambda x: wrapped((np.isposinf(x.array) & bool(up)) | (np.isneginf(x.array) & bool(down)))


def where(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Where: x or y."""
    check_size(np.broadcast_shapes(condition.shape, x.shape, y.shape))
    return ops.where(condition, x, y)


def cast(node: Node) -> Compute:
    """Cast, CastLike: in a type that NumPy does not have the numbers are rounded as if it had."""
    to, limited = node.attr("to") or node.kind(1), bool(node.attr("saturate", 1))
    stored = stored_type(to or FLOAT)
    if "e8m0" in stored.name:
        raise node.error("rounding to float8e8m0 is not read")
    kind = held_type(stored)
    if stored != kind:
        return lambda x, *like: rounded(x, stored, limited)
    return lambda x, *like: to_type(x, like[0].array.dtype if like and like[0] is not None else kind)


def to_type(x: Tensor, kind: np.dtype) -> Tensor:
    """In another type; what does not fit into it is left to NumPy."""
    if x.dtype.is_floating_point and kind.kind == "f":
        return x.to(dtype.of(kind))
    with np.errstate(all="ignore"):
        return wrapped(x.array.astype(kind))


def rounded(x: Tensor, stored: np.dtype, limited: bool = True) -> Tensor:
    """The nearest numbers of a type of ml_dtypes, in the wider type that holds it; larger ones become the largest if `limited`."""
    import ml_dtypes

    array = x.array.astype(np.float32) if x.array.dtype == np.float16 else x.array
    with np.errstate(all="ignore"):
        near = array.astype(stored)
        if ("float8" in stored.name and limited) or "float4" in stored.name:
            most = np.float32(ml_dtypes.finfo(stored).max)
            near = np.where(np.isnan(array), near, np.clip(array, -most, most).astype(stored))
    return held(near)


class StraightThrough(Function):
    """round(x / scale) + zero, kept within bounds: whole numbers, held as floats, so that gradients pass where the bounds let them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Any, low: float, high: float) -> Tensor:
        places = np.rint(x.array / scale.array) + zero
        ctx.inside, ctx.scale = (places >= low) & (places <= high), scale.array
        return Tensor.wrap(np.clip(places, low, high).astype(x.array.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple:
        return Tensor.wrap((grad.array * ctx.inside / ctx.scale).astype(grad.array.dtype)), None, None, None, None


def quantize(node: Node) -> Compute:
    """QuantizeLinear: the result is held in floats, with the numbers that the type would have."""
    axis, block, limited = node.attr("axis", 1), node.attr("block_size", 0), bool(node.attr("saturate", 1))
    wanted = node.attr("output_dtype", 0)
    stored = stored_type(wanted or node.kind(2) or UINT8)

    def compute(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        scale, zero = (None if t is None else _along(t, x, axis, block) for t in (scale, zero))  # type: ignore[assignment]
        if "float" in stored.name:
            return rounded(x / scale.to(x.dtype), stored, limited).to(x.dtype)
        low, high = _bounds(stored)
        start = 0 if zero is None else zero.array.astype(x.array.dtype)
        return StraightThrough.apply(x, scale.to(x.dtype), start, low, high)

    return compute


def dequantize(node: Node) -> Compute:
    """DequantizeLinear: (x - zero) scale."""
    axis, block = node.attr("axis", 1), node.attr("block_size", 0)

    def compute(x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
        scale, zero = (None if t is None else _along(t, x, axis, block) for t in (scale, zero))  # type: ignore[assignment]
        x = x.to(scale.dtype)
        return (x if zero is None else x - zero.to(scale.dtype)) * scale

    return compute


def _bounds(stored: np.dtype) -> tuple[int, int]:
    if stored.kind in "iu":
        return int(np.iinfo(stored).min), int(np.iinfo(stored).max)
    import ml_dtypes

    return int(ml_dtypes.iinfo(stored).min), int(ml_dtypes.iinfo(stored).max)


def _along(t: Tensor, x: Tensor, axis: int, block: int) -> Tensor:
    """One number for all of x, or one for each place along its axis, or for each block of places."""
    if t.numel() == 1:
        return t.reshape([])
    if block:
        check_size([*t.shape, block])
        repeated = np.repeat(t.array, block, axis)
        return wrapped(repeated[tuple(slice(n) for n in x.shape)])
    shape = [1] * x.dim()
    shape[axis] = t.numel()
    return t.reshape(shape)


# --- reductions -----------------------------------------------------------------------------------------------------------------


def reduction(compute: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Builder:
    """A function of a tensor, the dimensions that go, and whether they stay with the length 1."""

    def build(node: Node) -> Compute:
        keep, idle, stated = bool(node.attr("keepdims", 1)), node.attr("noop_with_empty_axes", 0), node.attr("axes")

        def reduced(x: Tensor, axes: Tensor | None = None) -> Tensor:
            dims = stated if axes is None else ints(axes)
            if not dims and not idle:
                dims = list(range(x.dim()))
            return compute(x, tuple(d % x.dim() for d in dims or ()), keep)

        return reduced

    return build


def total(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    """ReduceSum."""
    return ops.sum(x, dims, keep).to(x.dtype) if dims else x


def average(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    """ReduceMean."""
    return ops.mean(x, dims, keep) if dims else x


def product(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    """ReduceProd."""
    for d in sorted(dims, reverse=True):
        x = ops.prod(x, d, keep).to(x.dtype)
    return x


def extreme(most: bool) -> Builder:
    """ReduceMax, ReduceMin: of nothing the least number that there is, or the largest."""

    def compute(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
        if x.numel() and x.array.dtype.kind != "b":
            return (ops.amax if most else ops.amin)(x, dims, keep) if dims else x
        start = (lowest if most else highest)(x.array.dtype)
        return wrapped((np.max if most else np.min)(x.array, axis=dims, keepdims=keep, initial=start))

    return reduction(compute)


def lowest(kind: np.dtype) -> Any:
    """The least number of a type."""
    return -math.inf if kind.kind == "f" else False if kind.kind == "b" else int(np.iinfo(kind).min)  # type: ignore[type-var]


def highest(kind: np.dtype) -> Any:
    """The largest number of a type."""
    return math.inf if kind.kind == "f" else True if kind.kind == "b" else int(np.iinfo(kind).max)  # type: ignore[type-var]


def log_sum_exp(x: Tensor, dims: tuple[int, ...], keep: bool) -> Tensor:
    """ReduceLogSumExp."""
    if not x.numel():
        return total(x.exp(), dims, keep).log()
    return ops.logsumexp(x, dims, keep) if dims else x


def arg(node: Node) -> Compute:
    """ArgMax, ArgMin: the first place of the extreme, or the last."""
    axis, keep, last = node.attr("axis", 0), bool(node.attr("keepdims", 1)), node.attr("select_last_index", 0)
    choose = np.argmax if node.op == "ArgMax" else np.argmin

    def compute(x: Tensor) -> Tensor:
        array = np.flip(x.array, axis) if last else x.array
        places = choose(array, axis, keepdims=keep)
        return wrapped(x.shape[axis] - 1 - places if last else places, np.int64)

    return compute


def cumsum(node: Node) -> Compute:
    """CumSum: with or without the number itself, from either end."""
    without, backwards = node.attr("exclusive", 0), node.attr("reverse", 0)

    def compute(x: Tensor, axis: Tensor) -> Tensor:
        d = number(axis) % x.dim()
        x_ = ops.flip(x, [d]) if backwards else x
        y = ops.cumsum(x_, d).to(x.dtype)
        y = y - x_ if without else y
        return ops.flip(y, [d]) if backwards else y

    return compute


def top_k(node: Node) -> Compute:
    """TopK: the k largest or smallest along an axis, and their places."""
    axis, large, stated = node.attr("axis", -1), node.attr("largest", 1), node.attr("k")

    def compute(x: Tensor, count: Tensor | None = None) -> tuple[Tensor, Tensor]:
        k = stated if count is None else number(count)
        keys = x.array if not large else np.flip(x.array, axis)  # of equals the first place wins
        order = np.argsort(keys, axis, kind="stable")
        order = np.flip(x.shape[axis] - 1 - order, axis) if large else order
        places = wrapped(np.take(order, np.arange(min(k, x.shape[axis])), axis), np.int64)
        return x.gather(axis, places), places

    return compute
