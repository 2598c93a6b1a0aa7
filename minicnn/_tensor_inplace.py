"""The methods that end in `_`: they write into their tensor, and autograd follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn import _random, ops
from minicnn.autograd import grad_mode, inplace
from minicnn.ops.copying import Copy, Fill, Zero


class InplaceMethods:
    """Mixed into `Tensor`. Each method computes its operation and assigns the result, which counts as one write.

    RuntimeError for a leaf that requires grad, for a view that must not be written, and for a result of another shape or
    of a type that does not fit.
    """

    def _inplace(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        inplace.check(self)
        return inplace.assign(self, function(self, *args, **kwargs))

    def _reseat(self, function: Callable, *args: Any) -> Any:
        """Another shape for this very tensor: `unsqueeze_`, `squeeze_`, `t_` ..."""
        inplace.check(self)
        return inplace.reseat(self, function(self, *args))

    def exp_(self) -> Any:
        return self._inplace(ops.exp)

    def log_(self) -> Any:
        return self._inplace(ops.log)

    def sqrt_(self) -> Any:
        return self._inplace(ops.sqrt)

    def rsqrt_(self) -> Any:
        return self._inplace(ops.rsqrt)

    def abs_(self) -> Any:
        return self._inplace(ops.abs)

    def neg_(self) -> Any:
        return self._inplace(ops.neg)

    def sign_(self) -> Any:
        return self._inplace(ops.sign)

    def sin_(self) -> Any:
        return self._inplace(ops.sin)

    def cos_(self) -> Any:
        return self._inplace(ops.cos)

    def tan_(self) -> Any:
        return self._inplace(ops.tan)

    def atan_(self) -> Any:
        return self._inplace(ops.atan)

    def reciprocal_(self) -> Any:
        return self._inplace(ops.reciprocal)

    def round_(self) -> Any:
        return self._inplace(ops.round)

    def floor_(self) -> Any:
        return self._inplace(ops.floor)

    def ceil_(self) -> Any:
        return self._inplace(ops.ceil)

    def square_(self) -> Any:
        return self._inplace(ops.square)

    def relu_(self) -> Any:
        return self._inplace(ops.relu, in_place=True)

    def sigmoid_(self) -> Any:
        return self._inplace(ops.sigmoid)

    def tanh_(self) -> Any:
        return self._inplace(ops.tanh)

    def add_(self, other: Any, *, alpha: Any = 1) -> Any:
        return self._inplace(ops.add, other, alpha=alpha)

    def sub_(self, other: Any, *, alpha: Any = 1) -> Any:
        return self._inplace(ops.sub, other, alpha=alpha)

    def mul_(self, other: Any) -> Any:
        return self._inplace(ops.mul, other)

    def div_(self, other: Any) -> Any:
        return self._inplace(ops.div, other)

    def pow_(self, exponent: Any) -> Any:
        return self._inplace(ops.pow, exponent)

    def clamp_(self, min: Any = None, max: Any = None) -> Any:
        return self._inplace(ops.clamp, min, max)

    def clamp_min_(self, min: Any) -> Any:
        return self._inplace(ops.clamp_min, min)

    def clamp_max_(self, max: Any) -> Any:
        return self._inplace(ops.clamp_max, max)

    def masked_fill_(self, mask: Any, value: Any) -> Any:
        return self._inplace(ops.masked_fill, mask, value)

    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        return self._inplace(ops.addcmul, tensor1, tensor2, value=value)

    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        return self._inplace(ops.addcdiv, tensor1, tensor2, value=value)

    def lerp_(self, end: Any, weight: float) -> Any:
        return self._inplace(ops.lerp, end, weight)

    def cumsum_(self, dim: int) -> Any:
        return self._inplace(ops.cumsum, dim)

    def __iadd__(self, other: Any) -> Any:
        return self.add_(other)

    def __isub__(self, other: Any) -> Any:
        return self.sub_(other)

    def __imul__(self, other: Any) -> Any:
        return self.mul_(other)

    def __itruediv__(self, other: Any) -> Any:
        return self.div_(other)

    def __ipow__(self, other: Any) -> Any:
        return self.pow_(other)

    def copy_(self, src: Any, non_blocking: bool = False) -> Any:
        """The values of `src`, broadcast and converted to this tensor's shape and type."""
        return self._inplace(Copy.apply, src)

    def fill_(self, value: Any) -> Any:
        """One number everywhere, or that of a 0-d tensor."""
        if isinstance(value, type(self)) and value.array.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.array.ndim} dimensions."
            )
        inplace.check(self)
        return inplace.assign(self, Fill.apply(self, value), constant=True)

    def zero_(self) -> Any:
        inplace.check(self)
        return inplace.assign(self, Zero.apply(self, 0), constant=True)

    def index_put_(self, indices: tuple, values: Any, accumulate: bool = False) -> Any:
        """self[indices] = values, or +=; None stands for all of a dimension."""
        key = tuple(slice(None) if index is None else index for index in indices)
        return ops.index_put_(self, key, values, accumulate)

    def scatter_(self, dim: int, index: Any, src: Any) -> Any:
        """self[index[i][j]][j] = src[i][j] for dim 0, and so on; `src` a tensor of index's shape or a number."""
        return self._inplace(ops.scatter, dim, index, src)

    def normal_(self, mean: float = 0, std: float = 1, *, generator: Any = None) -> Any:
        rng = _random.generator(generator)
        return self._random(rng.standard_normal(self.array.shape, _drawn(self.array.dtype)) * std + mean)

    def uniform_(self, a: float = 0, b: float = 1, *, generator: Any = None) -> Any:
        rng = _random.generator(generator)
        return self._random(rng.random(self.array.shape, _drawn(self.array.dtype)) * (b - a) + a)

    def bernoulli_(self, p: float = 0.5, *, generator: Any = None) -> Any:
        return self._random(_random.generator(generator).random(self.array.shape) < p)

    def random_(self, low: int = 0, high: int | None = None, *, generator: Any = None) -> Any:
        if high is None:
            low, high = 0, low or 2**24
        return self._random(_random.generator(generator).integers(low, high, self.array.shape))

    def _random(self, values: np.ndarray) -> Any:
        inplace.check(self)
        with grad_mode.no_grad():
            return self._inplace(Copy.apply, self.wrap(np.asarray(values)))

    def unsqueeze_(self, dim: int) -> Any:
        return self._reseat(ops.unsqueeze, dim)

    def squeeze_(self, dim: Any = None) -> Any:
        return self._reseat(ops.squeeze, dim)

    def transpose_(self, dim0: int, dim1: int) -> Any:
        return self._reseat(ops.transpose, dim0, dim1)

    swapaxes_ = swapdims_ = transpose_

    def t_(self) -> Any:
        return self._reseat(ops.t)


def _drawn(kind: np.dtype) -> Any:
    return np.float64 if kind == np.float64 else np.float32
