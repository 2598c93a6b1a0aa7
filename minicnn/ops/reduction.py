"""From many numbers to few: sums, means, extremes, norms.

A result over `dim` has input's shape without these dimensions, or with length 1 there for `keepdim`; without `dim` it is 0-d.
"""

from __future__ import annotations

import builtins
import functools
import operator
from typing import Any, NamedTuple

import numpy as np

from minicnn import kernels
from minicnn._tensor import Dims, Tensor
from minicnn._types import short_name
from minicnn.autograd import both
from minicnn.autograd.function import Op, RowOp
from minicnn.ops import comparison, elementwise
from minicnn.ops._common import count, floating, implemented, mean_of, number, product_of, wrap_dim, wrap_dims
from minicnn.ops.indexing import PickBackward

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "logsumexp", "max", "mean", "median", "min", "nanmean", "nansum", "norm",
    "prod", "renorm", "std", "std_mean", "sum", "trapezoid", "var", "var_mean",
]  # fmt: skip


class ValuesIndices(NamedTuple):
    """What max, min, median, sort and topk along a dimension return."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return f"torch.return_types.{type(self).__name__}(\nvalues={self.values!r},\nindices={self.indices!r})"


_RETURN_TYPES = {
    name: type(name, (ValuesIndices,), {}) for name in ("max", "min", "median", "sort", "topk", "kthvalue")
}


def values_indices(name: str, result: tuple[Tensor, Tensor]) -> ValuesIndices:
    """The pair as the return type of the function `name`, under which it prints."""
    return _RETURN_TYPES[name](*result)


def _spread(reduced: both.Both, ctx: Any) -> both.Both:
    """Put the reduced dimensions back, with length 1, so that it broadcasts against the input."""
    return reduced if ctx.keepdim else both.unsqueeze(reduced, ctx.dims)


class Sum(RowOp, node_name="SumBackward1"):
    """Sum over dims: every summand gets the gradient of its sum."""

    @staticmethod
    def forward(ctx, a, dims, keepdim):
        ctx.dims, ctx.keepdim, ctx.shape = dims, keepdim, a.array.shape
        return kernels.add_up(a.array, dims, keepdim)

    @staticmethod
    def backward(ctx, grad):
        return both.expand(_spread(grad, ctx), ctx.shape)


class SumAll(Sum, node_name="SumBackward0"):
    """Sum of all elements."""

    @staticmethod
    def backward(ctx, grad):
        return both.expand(grad, ctx.shape)


class Mean(RowOp, node_name="MeanBackward1"):
    """Sum over dims divided by the number of summands."""

    @staticmethod
    def forward(ctx, a, dims, keepdim):
        ctx.dims, ctx.keepdim, ctx.shape = dims, keepdim, a.array.shape
        ctx.count = count(a.array, dims)
        return mean_of(a.array, dims, keepdim, a.array.dtype)

    @staticmethod
    def backward(ctx, grad):
        return _shares(ctx, grad, ctx.shape, ctx.count)


def _shares(ctx: Any, grad: both.Both, shape: tuple[int, ...], count: int) -> both.Both:
    """The gradient of a mean, for each of its numbers."""
    if isinstance(grad, Tensor):  # in PyTorch's order
        return both.expand(_spread(grad, ctx), shape) / (count or 1)
    return both.expand(_spread((grad / np.float64(count or 1)).astype(grad.dtype, copy=False), ctx), shape)


class MeanAll(Mean, node_name="MeanBackward0"):
    """Mean of all elements."""


class Prod(RowOp, node_name="ProdBackward1"):
    """Product over one dimension, or over all (dims = all): each factor gets the product of the others."""

    saved_names = ("self", "result")

    @staticmethod
    def forward(ctx, a, dims, keepdim):
        ctx.dims, ctx.keepdim = dims, keepdim
        out = Tensor.wrap(product_of(a.array, dims, keepdim))
        ctx.save_for_backward(a, out)  # the result as in PyTorch, though `a` is enough: so a write to it is noticed
        return out

    @staticmethod
    def backward(ctx, grad):
        x, out = ctx.saved
        if both.constant(np.all, x):
            return _spread(grad, ctx) * (_spread(out, ctx) / x)
        if len(ctx.dims) == 1:
            return _spread(grad, ctx) * _product_of_others(x, ctx.dims[0])
        return (grad * _product_of_others(x.reshape(-1), 0)).reshape(x.shape)


def _product_of_others(x: both.Both, dim: int) -> both.Both:
    """For each factor along the dimension the product of those before it and of those behind it."""
    return _running_product(x, dim) * both.flip(_running_product(both.flip(x, dim), dim), dim)


def _running_product(x: both.Both, dim: int) -> both.Both:
    """For each factor the product of those before it: of the last one, the last two, four, eight ..."""
    length, reach = x.shape[dim], 1
    ones = both.constant(np.ones_like, x)
    out = both.cat([_part(ones, dim, 0, 1), _part(x, dim, 0, length - 1)], dim)
    while reach < length:
        earlier = both.cat([_part(ones, dim, 0, reach), _part(out, dim, 0, length - reach)], dim)
        out, reach = out * earlier, 2 * reach
    return out


def _part(x: both.Both, dim: int, first: int, end: int) -> both.Both:
    return x[(slice(None),) * dim + (slice(first, end),)]


class ProdAll(Prod, node_name="ProdBackward0"):
    """Product of all elements."""


class Pick(Op):
    """One element of each line along a dimension, with its index; the gradient goes to that element."""

    choose: Any  # (ctx, array, dim) -> the index of each line's element

    @classmethod
    def forward(cls, ctx, a, dim, keepdim):
        ctx.dim, ctx.keepdim, ctx.shape = dim, keepdim, a.array.shape
        if a.array.ndim == 0:
            values, index = a.array.copy(), np.zeros((), np.int64)
        else:
            index = np.expand_dims(cls.choose(ctx, a.array, dim), dim)
            values = np.take_along_axis(a.array, index, dim)
            if not keepdim:
                values, index = values.squeeze(dim), index.squeeze(dim)
        index = Tensor.wrap(index)
        ctx.save_for_backward(index)
        return values, index

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved
        if ctx.shape and not ctx.keepdim:
            index, grad = (both.unsqueeze(x, (ctx.dim,)) for x in (index, grad))
        return PickBackward.of(grad, index, ctx.shape, ctx.dim)


class Max(Pick):
    """The largest along a dimension, the first of several."""

    saved_names = ("indices",)
    choose = staticmethod(lambda ctx, array, dim: array.argmax(axis=dim))


class Min(Pick):
    """The smallest along a dimension, the first of several."""

    saved_names = ("indices",)
    choose = staticmethod(lambda ctx, array, dim: array.argmin(axis=dim))


def _median_index(array: np.ndarray, dim: int | None) -> np.ndarray:
    """Where the lower median along a dimension is, or of all; where NaN is, if there is one."""
    order = np.argsort(array, axis=dim, kind="stable")
    middle = np.take(order, (order.shape[dim or 0] - 1) // 2, axis=dim or 0)
    nan = np.isnan(array)
    return np.where(nan.any(axis=dim), nan.argmax(axis=dim), middle)


class Median(Pick):
    """The lower median along a dimension; NaN if there is one."""

    choose = staticmethod(lambda ctx, array, dim: _median_index(array, dim))


class Nansum(RowOp):
    """The sum with NaN counted as 0: NaN gets no gradient."""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, dims, keepdim):
        ctx.dims, ctx.keepdim = dims, keepdim
        ctx.save_for_backward(a)
        return kernels.add_up(np.nan_to_num(a.array, nan=0, posinf=np.inf, neginf=-np.inf), dims, keepdim)

    @staticmethod
    def backward(ctx, grad):
        (a,) = ctx.saved
        return _spread(grad, ctx) * both.constant(lambda x: ~np.isnan(x), a)


class _Extreme(RowOp):
    """The extreme values over dims; equal ones share the gradient."""

    saved_names = ("self", "result")
    extreme: Any  # (array, dims, keepdim) -> the values

    @classmethod
    def forward(cls, ctx, a, dims, keepdim):
        ctx.dims, ctx.keepdim = dims, keepdim
        out = Tensor.wrap(cls.extreme(a.array, dims, keepdim))
        ctx.save_for_backward(a, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        a, out = ctx.saved
        chosen, number = both.constant(_equal, a, _spread(out, ctx), ctx.dims)
        return _spread(grad, ctx) / number * chosen


def _equal(x: np.ndarray, best: np.ndarray, dims: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(which elements are the best one, how many of them there are)."""
    chosen = (x == best) | (np.isnan(x) & np.isnan(best))
    return chosen, chosen.sum(axis=dims, keepdims=True, dtype=x.dtype)


class Amax(_Extreme):
    """The largest over dims."""

    extreme = staticmethod(lambda array, dims, keepdim: array.max(axis=dims, keepdims=keepdim))


class Amin(_Extreme):
    """The smallest over dims."""

    extreme = staticmethod(lambda array, dims, keepdim: array.min(axis=dims, keepdims=keepdim))


def _to_equal_ones(ctx: Any, grad: both.Both) -> both.Both:
    """The gradient of the one extreme of all."""
    a, out = ctx.saved
    chosen, number = both.constant(_equal, a, out, ctx.dims)
    return comparison.MaskedFillTensor.of(both.zeros_like(a), grad / number.reshape(()), chosen)


class MaxAll(Amax, node_name="MaxBackward1"):
    """The largest of all elements; equal ones share the gradient."""

    backward = staticmethod(_to_equal_ones)


class MedianAll(_Extreme, node_name="MedianBackward0"):
    """The lower median of all elements, NaN if there is one; equal ones share the gradient."""

    backward = staticmethod(_to_equal_ones)
    extreme = staticmethod(
        lambda array, dims, keepdim: np.asarray(
            array.flat[_median_index(array, None)] if array.size else np.nan, array.dtype
        )
    )


class MinAll(Amin, node_name="MinBackward1"):
    """The smallest of all elements; equal ones share the gradient."""

    backward = staticmethod(_to_equal_ones)


class Var(RowOp):
    """Mean squared distance from the mean, with n - correction in the denominator."""

    saved_names = ("self",)

    @staticmethod
    def forward(ctx, a, dims, correction, keepdim):
        ctx.dims, ctx.keepdim, ctx.correction = dims, keepdim, correction
        ctx.save_for_backward(a)
        return _variance(a.array, dims, correction, keepdim).astype(a.array.real.dtype)

    @staticmethod
    def backward(ctx, grad):
        return _to_variance(ctx, grad)


def _to_variance(ctx: Any, grad: both.Both) -> both.Both:
    """The gradient of a variance: 2 / (n - correction) (a - mean)."""
    x = ctx.saved[0]
    scale = np.float64(2) / (count(x, ctx.dims) - ctx.correction)
    mean = x.mean(ctx.dims, True) if isinstance(x, Tensor) else mean_of(x, ctx.dims, True)
    return _spread(grad, ctx) * scale.item() * (x - mean)


class Std(RowOp):
    """Square root of the variance; no gradient where it is 0."""

    saved_names = ("self", "result")

    @staticmethod
    def forward(ctx, a, dims, correction, keepdim):
        ctx.dims, ctx.keepdim, ctx.correction = dims, keepdim, correction
        out = Tensor.wrap(np.sqrt(_variance(a.array, dims, correction, keepdim)).astype(a.array.real.dtype))
        ctx.save_for_backward(a, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        _, out = ctx.saved
        return _to_variance(ctx, both.masked_fill(grad / (2 * out), out == 0))


def _variance(array: np.ndarray, dims: tuple[int, ...], correction: float, keepdim: bool) -> np.ndarray:
    """The variance over dims in float64."""
    total = kernels.add_up(np.square(np.abs(array - mean_of(array, dims, True))), dims, keepdim)
    return total / np.float64(builtins.max(count(array, dims) - correction, 0))


class VarMean(RowOp):
    """The variance and the mean beside it."""

    holomorphic = False
    saved_names: tuple[str, ...] = ("self",)
    first: type[Op] = Var

    @classmethod
    def forward(cls, ctx, a, dims, correction, keepdim):
        first = cls.first.forward(ctx, a, dims, correction, keepdim)
        ctx.set_materialize_grads(False)
        return first, mean_of(a.array, dims, keepdim, a.array.dtype)

    @classmethod
    def backward(cls, ctx, grad, of_mean):
        parts = [] if grad is None else [cls.first.backward(ctx, grad)]
        if of_mean is not None:
            x = ctx.saved[0]
            parts.append(_shares(ctx, of_mean, x.shape, count(x, ctx.dims)))
        return functools.reduce(operator.add, parts)


class StdMean(VarMean):
    """The square root of the variance and the mean beside it."""

    saved_names = ("self", "result0")
    first = Std


class LinalgVectorNorm(RowOp):
    """(sum |a|^p)^(1/p); p = inf: the largest |a|. No gradient where the norm is 0."""

    saved_names = ("self", "result")

    @staticmethod
    def forward(ctx, a, p, dims, keepdim):
        ctx.p, ctx.dims, ctx.keepdim = p, dims, keepdim
        x = np.abs(a.array)
        if p == 2:
            out = np.sqrt(kernels.add_up(np.square(x, dtype=np.float64), dims, keepdim))
        elif p == np.inf:
            out = x.max(axis=dims, keepdims=keepdim)
        elif p == -np.inf:
            out = x.min(axis=dims, keepdims=keepdim)
        elif p == 0:
            out = (x != 0).sum(axis=dims, keepdims=keepdim).astype(x.dtype)
        else:
            out = kernels.add_up(np.power(x, p, dtype=np.float64), dims, keepdim) ** (1 / p)
        out = Tensor.wrap(np.asarray(out, x.dtype))
        ctx.save_for_backward(a, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        a, out = ctx.saved
        g, norm, p = _spread(grad, ctx), _spread(out, ctx), ctx.p
        if p == 0:
            return None
        if p == 2:
            return g * both.masked_fill(a / norm, norm == 0)
        sign = elementwise.sgn(a)
        if p == 1:
            return g * sign
        if abs(p) == np.inf:
            chosen, number = both.constant(_equal, abs(a), norm, ctx.dims)
            return g / number * chosen * sign
        return g * both.masked_fill(sign * (abs(a) / norm) ** (p - 1), (norm == 0) | (a == 0))


class Logsumexp(RowOp):
    """log of the sum of exp(a), without overflow; the gradient is the softmax."""

    saved_names = ("self", "result")

    @staticmethod
    def forward(ctx, a, dims, keepdim):
        ctx.dims, ctx.keepdim = dims, keepdim
        top = a.array.max(axis=dims, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, 0).astype(a.array.dtype)
        total = np.log(kernels.add_up(np.exp(a.array - top), dims, True)) + top
        out = Tensor.wrap(total if keepdim else total.squeeze(dims))
        ctx.save_for_backward(a, out)
        return out

    @staticmethod
    def backward(ctx, grad):
        a, out = ctx.saved
        return _spread(grad, ctx) * both.exp(a - _spread(out, ctx))


# --- the functions ----------------------------------------------------------------------------------------------------


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over the dimensions `dim`, or over all: input's shape without them, or with 1 for `keepdim`. Integers: in int64."""
    if dtype is not None:
        input = elementwise.to_dtype(input, dtype.numpy)
    if dim is None and not keepdim:
        return SumAll.apply(input, None, False)
    return Sum.apply(input, wrap_dims(dim, input.array.ndim), keepdim)


def nansum(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Sum over the dimensions `dim`, or over all, with NaN counted as 0."""
    return Nansum.apply(input, wrap_dims(dim, input.array.ndim), keepdim)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over the dimensions `dim`, or over all: input's shape without them, or with 1 for `keepdim`.

    RuntimeError for integers, unless `dtype` is given.
    """
    if dtype is not None:
        input = elementwise.to_dtype(input, dtype.numpy)
    if input.array.dtype.kind not in "fc":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: "
            f"{short_name(input.dtype)}"
        )
    return (MeanAll if dim is None else Mean).apply(input, wrap_dims(dim, input.array.ndim), keepdim)


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Product over the dimension `dim`, or over all: () or input's shape without `dim`. Integers multiply in int64."""
    dims = wrap_dims(dim, input.array.ndim)
    return (ProdAll if dim is None else Prod).apply(input, dims, keepdim)


def _pick(
    name: str, one: type[Op], everything: type[Op], input: Tensor, dim: int | None, keepdim: bool
) -> Tensor | ValuesIndices:
    dims = _reduced(name, input, dim)
    if dim is None:
        return everything.apply(input, dims, False)
    return values_indices(name, one.apply(input, wrap_dim(dim, input.array.ndim), keepdim))


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor | ValuesIndices:
    """The largest element: (); with `dim`, (values, indices) along it; with a second tensor, `maximum` of both."""
    if isinstance(dim, Tensor):
        return comparison.maximum(input, dim)
    return _pick("max", Max, MaxAll, input, dim, keepdim)


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor | ValuesIndices:
    """The smallest element: (); with `dim`, (values, indices) along it; with a second tensor, `minimum` of both."""
    if isinstance(dim, Tensor):
        return comparison.minimum(input, dim)
    return _pick("min", Min, MinAll, input, dim, keepdim)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesIndices:
    """The lower median of all elements: (); with `dim`, (values, indices) along it."""
    implemented("median_cpu", input.array.dtype, "uif")
    if dim is None and input.array.size == 0 and input.array.dtype.kind == "f":
        return MedianAll.apply(input, tuple(range(input.array.ndim)), False)
    return _pick("median", Median, MedianAll, input, dim, keepdim)


def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The largest over the dimensions `dim`, or over all; equal ones share the gradient. IndexError if there is none."""
    return Amax.apply(input, _reduced("amax", input, dim), keepdim)


def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """The smallest over the dimensions `dim`, or over all; equal ones share the gradient. IndexError if there is none."""
    return Amin.apply(input, _reduced("amin", input, dim), keepdim)


class AMinMax(NamedTuple):
    """What `aminmax` returns."""

    min: Tensor
    max: Tensor

    def __repr__(self) -> str:
        return f"torch.return_types.aminmax(\nmin={self.min!r},\nmax={self.max!r})"


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> AMinMax:
    """(min, max) of all elements, or along `dim`; equal ones share the gradient."""
    dims: Dims = () if dim is None else dim
    return AMinMax(amin(input, dims, keepdim), amax(input, dims, keepdim))


def nanmean(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Mean of the numbers that are not NaN over the dimensions `dim`, or over all."""
    there = Tensor.wrap((~np.isnan(input.array)).astype(input.array.dtype))
    return nansum(input, dim, keepdim) / sum(there, dim, keepdim)


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float = 1, dim: int = -1) -> Tensor:
    """The integral along `dim` by the trapezoidal rule: of values y at the places x, or with the distance dx between them."""
    dim = wrap_dim(dim, y.array.ndim)
    n = y.array.shape[dim]
    if n == 0:
        return sum(y, dim) * 0
    middles = (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) / 2
    if x is None:
        return sum(middles, dim) * dx
    if x.array.ndim == 1:
        if x.array.size != n:
            raise RuntimeError("trapezoid: There must be one `x` value for each sample point")
        steps = x.diff().reshape([-1 if d == dim else 1 for d in range(y.array.ndim)])
    else:
        steps = x.diff(dim=dim - y.array.ndim)
    return sum(middles * steps, dim)


def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """A copy in which the slices of `dim` that have a larger p-norm than `maxnorm` are made as short. RuntimeError for p <= 0."""
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if input.array.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.array.ndim} dimensions")
    dim = wrap_dim(dim, input.array.ndim)
    length = norm(input, p, [d for d in range(input.array.ndim) if d != dim], True)
    factor = maxnorm / (length + 1e-7)
    return input * comparison.where(length > maxnorm, factor, 1.0)


def _reduced(name: str, input: Tensor, dim: Dims) -> tuple[int, ...]:
    """The dimensions that are reduced. An error if there is nothing along one of them."""
    dims = wrap_dims(dim, input.array.ndim)
    if input.array.size == 0:
        if len(dims) == input.array.ndim and dim in (None, ()):
            raise RuntimeError(
                f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
                "'dim' argument."
            )
        for d in dims:
            if input.array.shape[d] == 0:
                raise IndexError(f"{name}(): Expected reduction dim {d} to have non-zero size.")
    return dims


def _arg(name: str, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if input.array.dtype.kind == "b":
        raise RuntimeError(f"{name}(): does not support bool input")
    if input.array.size == 0 and dim is None:
        raise IndexError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
    if dim is not None:
        dim = wrap_dim(dim, input.array.ndim)
        _reduced(name, input, dim)
        if input.array.ndim == 0:
            return Tensor.wrap(np.zeros((), np.int64))
    return Tensor.wrap(np.asarray(getattr(np, name)(input.array, axis=dim, keepdims=keepdim), np.int64))


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest along `dim`, the first of several, int64; without `dim` in the flattened tensor: ()."""
    return _arg("argmax", input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest along `dim`, the first of several, int64; without `dim` in the flattened tensor: ()."""
    return _arg("argmin", input, dim, keepdim)


def var(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Variance over `dim`, or over all; the denominator is n - 1, or n - correction. RuntimeError for integers."""
    return _deviation(Var, input, dim, unbiased, keepdim, correction)


def std(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Square root of the variance over `dim`, or over all. RuntimeError for integers."""
    return _deviation(Std, input, dim, unbiased, keepdim, correction)


def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """(variance, mean) over `dim`, or over all: what `var` and `mean` give. RuntimeError for integers."""
    return _deviation(VarMean, input, dim, unbiased, keepdim, correction, "var_mean")


def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """(standard deviation, mean) over `dim`, or over all: what `std` and `mean` give. RuntimeError for integers."""
    return _deviation(StdMean, input, dim, unbiased, keepdim, correction, "std_mean")


def _deviation(
    op: type[Op],
    input: Tensor,
    dim: Any,
    unbiased: bool,
    keepdim: bool,
    correction: float | None,
    name: str = "std and var",
) -> Any:
    if isinstance(dim, bool):  # var(False): the first argument is `unbiased`
        dim, unbiased = None, dim
    if input.array.dtype.kind not in "fc":
        raise RuntimeError(f"{name} only support floating point and complex dtypes")
    correction = float(unbiased) if correction is None else number(correction, "var", "correction")
    return op.apply(input, wrap_dims(dim, input.array.ndim), correction, keepdim)


def norm(
    input: Tensor, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False, dtype: Any = None
) -> Tensor:
    """(sum |input|^p)^(1/p) over all elements, or over `dim`; "fro" and None are p = 2. RuntimeError for integers."""
    if dtype is not None:
        input = elementwise.to_dtype(input, dtype.numpy)
    if input.array.dtype.kind not in "fc":
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {short_name(input.dtype)}"
        )
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    power = 2.0 if p in (None, "fro") else float(number(p, "linalg_vector_norm", "ord", 2))
    dims = wrap_dims(dim, input.array.ndim)
    if abs(power) == np.inf and count(input.array, dims) == 0:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {power:g} norm over {list(dims)} of {list(input.shape)}: of nothing there is none"
        )
    return LinalgVectorNorm.apply(input, power, dims, keepdim)


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    """log(sum of exp(input)) over `dim`, without overflow."""
    input = elementwise.to_dtype(input, floating(input.array.dtype))
    return Logsumexp.apply(input, wrap_dims(dim, input.array.ndim), keepdim)


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether one element, or one over `dim`, is not 0: booleans, of uint8 uint8 as in PyTorch."""
    return _truth(input.array, np.any(input.array, axis=wrap_dims(dim, input.array.ndim), keepdims=keepdim))


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Whether no element, or none over `dim`, is 0: booleans, of uint8 uint8 as in PyTorch."""
    return _truth(input.array, np.all(input.array, axis=wrap_dims(dim, input.array.ndim), keepdims=keepdim))


def _truth(array: np.ndarray, result: Any) -> Tensor:
    return Tensor.wrap(np.asarray(result, np.uint8 if array.dtype == np.uint8 else np.bool_, order="C"))
