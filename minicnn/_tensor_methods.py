"""The methods of a tensor that call the function of the same name in `ops`, where they are described."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn import _random, ops
from minicnn._types import dtype
from minicnn.ops import reduction

if TYPE_CHECKING:
    from minicnn._tensor import Tensor


def _numbers(args: tuple) -> tuple:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args


class FunctionMethods:
    """Mixed into `Tensor`."""

    def add(self, other: Any, *, alpha: Any = 1) -> Tensor:
        return ops.add(self, other, alpha=alpha)

    def sub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        return ops.sub(self, other, alpha=alpha)

    def mul(self, other: Any) -> Tensor:
        return ops.mul(self, other)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        return ops.div(self, other, rounding_mode=rounding_mode)

    def floor_divide(self, other: Any) -> Tensor:
        return ops.floor_divide(self, other)

    def remainder(self, other: Any) -> Tensor:
        return ops.remainder(self, other)

    def reciprocal(self) -> Tensor:
        return ops.reciprocal(self)

    def neg(self) -> Tensor:
        return ops.neg(self)

    def pow(self, exponent: Any) -> Tensor:
        return ops.pow(self, exponent)

    def square(self) -> Tensor:
        return ops.square(self)

    def maximum(self, other: Tensor) -> Tensor:
        return ops.maximum(self, other)

    def minimum(self, other: Tensor) -> Tensor:
        return ops.minimum(self, other)

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        return ops.masked_fill(self, mask, value)

    def lerp(self, end: Tensor, weight: float) -> Tensor:
        return ops.lerp(self, end, weight)

    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        return ops.addcmul(self, tensor1, tensor2, value=value)

    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
        return ops.addcdiv(self, tensor1, tensor2, value=value)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        return ops.clamp(self, min, max)

    def clamp_min(self, min: Any) -> Tensor:
        return ops.clamp_min(self, min)

    def clamp_max(self, max: Any) -> Tensor:
        return ops.clamp_max(self, max)

    def exp(self) -> Tensor:
        return ops.exp(self)

    def log(self) -> Tensor:
        return ops.log(self)

    def log2(self) -> Tensor:
        return ops.log2(self)

    def log1p(self) -> Tensor:
        return ops.log1p(self)

    def sqrt(self) -> Tensor:
        return ops.sqrt(self)

    def rsqrt(self) -> Tensor:
        return ops.rsqrt(self)

    def sin(self) -> Tensor:
        return ops.sin(self)

    def cos(self) -> Tensor:
        return ops.cos(self)

    def tan(self) -> Tensor:
        return ops.tan(self)

    def abs(self) -> Tensor:
        return ops.abs(self)

    def sign(self) -> Tensor:
        return ops.sign(self)

    def round(self) -> Tensor:
        return ops.round(self)

    def floor(self) -> Tensor:
        return ops.floor(self)

    def ceil(self) -> Tensor:
        return ops.ceil(self)

    def eq(self, other: Any) -> Tensor:
        return ops.eq(self, other)

    def ne(self, other: Any) -> Tensor:
        return ops.ne(self, other)

    def lt(self, other: Any) -> Tensor:
        return ops.lt(self, other)

    def le(self, other: Any) -> Tensor:
        return ops.le(self, other)

    def gt(self, other: Any) -> Tensor:
        return ops.gt(self, other)

    def ge(self, other: Any) -> Tensor:
        return ops.ge(self, other)

    def isnan(self) -> Tensor:
        return ops.isnan(self)

    def isinf(self) -> Tensor:
        return ops.isinf(self)

    def isfinite(self) -> Tensor:
        return ops.isfinite(self)

    def equal(self, other: Tensor) -> bool:
        return ops.equal(self, other)

    def allclose(self, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
        return ops.allclose(self, other, rtol, atol, equal_nan)

    def isclose(self, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
        return ops.isclose(self, other, rtol, atol, equal_nan)

    def logical_and(self, other: Tensor) -> Tensor:
        return ops.logical_and(self, other)

    def logical_or(self, other: Tensor) -> Tensor:
        return ops.logical_or(self, other)

    def logical_not(self) -> Tensor:
        return ops.logical_not(self)

    def sum(self, dim: reduction.Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.sum(self, dim, keepdim, dtype=dtype)

    def nansum(self, dim: reduction.Dims = None, keepdim: bool = False) -> Tensor:
        return ops.nansum(self, dim, keepdim)

    def mean(self, dim: reduction.Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
        return ops.mean(self, dim, keepdim, dtype=dtype)

    def prod(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.prod(self, dim, keepdim)

    def max(self, dim: Any = None, keepdim: bool = False) -> Tensor | reduction.ValuesIndices:
        return ops.max(self, dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Tensor | reduction.ValuesIndices:
        return ops.min(self, dim, keepdim)

    def median(self, dim: int | None = None, keepdim: bool = False) -> Tensor | reduction.ValuesIndices:
        return ops.median(self, dim, keepdim)

    def amax(self, dim: reduction.Dims = (), keepdim: bool = False) -> Tensor:
        return ops.amax(self, dim, keepdim)

    def amin(self, dim: reduction.Dims = (), keepdim: bool = False) -> Tensor:
        return ops.amin(self, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.argmax(self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return ops.argmin(self, dim, keepdim)

    def var(
        self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
    ) -> Tensor:
        return ops.var(self, dim, unbiased, keepdim, correction=correction)

    def std(
        self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
    ) -> Tensor:
        return ops.std(self, dim, unbiased, keepdim, correction=correction)

    def norm(
        self, p: float | str | None = "fro", dim: reduction.Dims = None, keepdim: bool = False, dtype: Any = None
    ) -> Tensor:
        return ops.norm(self, p, dim, keepdim, dtype)

    def logsumexp(self, dim: reduction.Dims, keepdim: bool = False) -> Tensor:
        return ops.logsumexp(self, dim, keepdim)

    def cumsum(self, dim: int) -> Tensor:
        return ops.cumsum(self, dim)

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> reduction.ValuesIndices:
        return ops.sort(self, dim, descending, stable)

    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
        return ops.argsort(self, dim, descending, stable)

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> reduction.ValuesIndices:
        return ops.topk(self, k, dim, largest, sorted)

    def any(self, dim: reduction.Dims = None, keepdim: bool = False) -> Tensor:
        return ops.any(self, dim, keepdim)

    def all(self, dim: reduction.Dims = None, keepdim: bool = False) -> Tensor:
        return ops.all(self, dim, keepdim)

    def count_nonzero(self, dim: reduction.Dims = None) -> Tensor:
        return ops.count_nonzero(self, dim)

    def unique(self) -> Tensor:
        return ops.unique(self)

    def bincount(self, minlength: int = 0) -> Tensor:
        return ops.bincount(self, minlength)

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
        return ops.histc(self, bins, min, max)

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return ops.flatten(self, start_dim, end_dim)

    def unflatten(self, dim: int, sizes: Sequence[int]) -> Tensor:
        return ops.unflatten(self, dim, sizes)

    def movedim(self, source: int, destination: int) -> Tensor:
        return ops.movedim(self, source, destination)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return ops.transpose(self, dim0, dim1)

    swapaxes = swapdims = transpose

    def t(self) -> Tensor:
        return ops.t(self)

    def squeeze(self, dim: int | Sequence[int] | None = None) -> Tensor:
        return ops.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return ops.unsqueeze(self, dim)

    def select(self, dim: int, index: int) -> Tensor:
        return ops.select(self, dim, index)

    def narrow(self, dim: int, start: int, length: int) -> Tensor:
        return ops.narrow(self, dim, start, length)

    def split(self, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        return ops.split(self, split_size_or_sections, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.chunk(self, chunks, dim)

    def unbind(self, dim: int = 0) -> tuple[Tensor, ...]:
        return ops.unbind(self, dim)

    def unfold(self, dimension: int, size: int, step: int) -> Tensor:
        return ops.unfold(self, dimension, size, step)

    def roll(self, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
        return ops.roll(self, shifts, dims)

    def rot90(self, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
        return ops.rot90(self, k, dims)

    def tril(self, diagonal: int = 0) -> Tensor:
        return ops.tril(self, diagonal)

    def triu(self, diagonal: int = 0) -> Tensor:
        return ops.triu(self, diagonal)

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        return ops.index_select(self, dim, index)

    def gather(self, dim: int, index: Tensor) -> Tensor:
        return ops.gather(self, dim, index)

    def mm(self, mat2: Tensor) -> Tensor:
        return ops.mm(self, mat2)

    def bmm(self, mat2: Tensor) -> Tensor:
        return ops.bmm(self, mat2)

    def matmul(self, other: Tensor) -> Tensor:
        return ops.matmul(self, other)

    def relu(self) -> Tensor:
        return ops.relu(self)

    def prelu(self, weight: Tensor) -> Tensor:
        return ops.prelu(self, weight)

    def sigmoid(self) -> Tensor:
        return ops.sigmoid(self)

    def tanh(self) -> Tensor:
        return ops.tanh(self)

    def erf(self) -> Tensor:
        return ops.erf(self)

    def atan(self) -> Tensor:
        return ops.atan(self)

    def absolute(self) -> Tensor:
        return ops.abs(self)

    # --- methods with a signature of their own --------------------------------------------------------------------------

    def view(self, *shape: Any) -> Tensor:
        """The same memory in another shape."""
        return ops.view(self, _numbers(shape))

    def reshape(self, *shape: int) -> Tensor:
        """Another shape: a view where that is possible, else a copy."""
        return ops.reshape(self, _numbers(shape))

    def view_as(self, other: Tensor) -> Tensor:
        return ops.view(self, other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        return ops.reshape(self, other.shape)

    def permute(self, *dims: int) -> Tensor:
        return ops.permute(self, _numbers(dims))

    def expand(self, *shape: int) -> Tensor:
        return ops.expand(self, _numbers(shape))

    def expand_as(self, other: Tensor) -> Tensor:
        return ops.expand(self, other.shape)

    def repeat(self, *repeats: int) -> Tensor:
        return ops.repeat(self, _numbers(repeats))

    def flip(self, *dims: int) -> Tensor:
        return ops.flip(self, _numbers(dims))

    def contiguous(self, memory_format: Any = None) -> Tensor:
        """The tensor itself if its elements lie one after the other, else such a copy."""
        return ops.contiguous(self)

    def clone(self, *, memory_format: Any = None) -> Tensor:
        """A copy that is part of the graph."""
        return ops.clone(self)

    def where(self, condition: Tensor, other: Any) -> Tensor:
        return ops.where(condition, self, other)

    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """The indices of the elements that are not 0: (count, ndim), or one tensor for each dimension."""
        return ops.nonzero(self, as_tuple=as_tuple)

    def masked_select(self, mask: Tensor) -> Tensor:
        return ops.masked_select(self, mask)

    def scatter(self, dim: int, index: Tensor, src: Any) -> Tensor:
        return ops.scatter(self, dim, index, src)

    def mv(self, vec: Tensor) -> Tensor:
        return ops.mv(self, vec)

    def dot(self, other: Tensor) -> Tensor:
        return ops.dot(self, other)

    def outer(self, vec2: Tensor) -> Tensor:
        return ops.outer(self, vec2)

    def log10(self) -> Tensor:
        return ops.log10(self)

    def expm1(self) -> Tensor:
        return ops.expm1(self)

    def tile(self, *dims: int) -> Tensor:
        return ops.tile(self, _numbers(dims))

    def broadcast_to(self, shape: Sequence[int]) -> Tensor:
        return ops.broadcast_to(self, shape)

    def softmax(self, dim: int, dtype: dtype | None = None) -> Tensor:
        return ops.softmax(self if dtype is None else self.to(dtype), dim)

    def log_softmax(self, dim: int, dtype: dtype | None = None) -> Tensor:
        return ops.log_softmax(self if dtype is None else self.to(dtype), dim)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return ops.clamp(self, min, max)

    def multinomial(self, num_samples: int, replacement: bool = False) -> Tensor:
        """Indices drawn with probabilities proportional to this vector."""
        p = self.array.astype(np.float64)
        return self.wrap(_random.generator().choice(len(p), num_samples, replacement, p / p.sum()))

    def bernoulli(self) -> Tensor:
        """1 with the probability that each element gives, else 0."""
        drawn = _random.generator().random(self.array.shape) < self.array
        return self.wrap(drawn.astype(self.array.dtype))
