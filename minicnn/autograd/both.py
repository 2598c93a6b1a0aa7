"""Functions of arrays and of tensors alike, for what operators cannot say.

The formula of a `backward` is written once, in operators and in these. In an ordinary pass it is given arrays, and these are
NumPy's functions; in a pass that is recorded (`create_graph=True`) it is given tensors, and these are the library's
operations, which leave a graph behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn import _tensor, kernels
from minicnn._tensor import Tensor

Both = Any  # an array or a tensor


def exp(x: Both) -> Both:
    """e^x"""
    return x.exp() if isinstance(x, Tensor) else np.exp(x)


def log(x: Both) -> Both:
    """The natural logarithm."""
    return x.log() if isinstance(x, Tensor) else np.log(x)


def sin(x: Both) -> Both:
    """The sine."""
    return x.sin() if isinstance(x, Tensor) else np.sin(x)


def cos(x: Both) -> Both:
    """The cosine."""
    return x.cos() if isinstance(x, Tensor) else np.cos(x)


def where(mask: Both, x: Any, y: Any) -> Both:
    """x where the mask is true, y elsewhere; one of them may be a number."""
    return _tensor.ops.where(mask, x, y) if isinstance(mask, Tensor) else np.where(mask, x, y)


def masked_fill(x: Both, mask: Both) -> Both:
    """x, and 0 where the mask is true."""
    return x.masked_fill(mask, 0) if isinstance(x, Tensor) else np.where(mask, 0.0, x)


def zeros_like(x: Both, shape: Sequence[int] | None = None) -> Both:
    """Zeros of its type, and of its shape or another one."""
    if isinstance(x, Tensor):
        return Tensor.wrap(zeros_like(x.array, shape))
    return np.zeros(x.shape if shape is None else shape, x.dtype)


def laid_in(memory: np.ndarray, x: Both) -> Both:
    """A copy in this memory, of its shape."""
    if isinstance(x, Tensor):
        return Tensor.wrap(memory).copy_(x)
    np.copyto(memory, x)
    return memory


def tanh(x: Both) -> Both:
    """The hyperbolic tangent."""
    return x.tanh() if isinstance(x, Tensor) else np.tanh(x)


def is_complex(x: Both) -> bool:
    """Whether these are complex numbers."""
    return (x.array if isinstance(x, Tensor) else x).dtype.kind == "c"


def conj(x: Both) -> Both:
    """The conjugate of complex numbers; others, and None, as they are."""
    return x if x is None else _tensor.ops.conj(x) if isinstance(x, Tensor) else x.conj()


def real(x: Both) -> Both:
    """The real part of complex numbers; others as they are."""
    if not is_complex(x):
        return x
    return _tensor.ops.view_as_real(x)[..., 0] if isinstance(x, Tensor) else x.real


def cast(x: Both, like: Both) -> Both:
    """The same numbers in the type of another."""
    if isinstance(x, Tensor):
        return _tensor.ops.to_dtype(x, like.array.dtype)
    return x.astype(like.dtype, copy=False)


def constant(function: Any, *arguments: Both) -> Both:
    """What a function of arrays makes of these, as a constant of the formula: masks, counts, and what has no slope."""
    if not any(isinstance(value, Tensor) for value in arguments):
        return function(*arguments)
    result = function(*[value.array if isinstance(value, Tensor) else value for value in arguments])
    return tuple([Tensor.wrap(array) for array in result]) if isinstance(result, tuple) else Tensor.wrap(result)


def sum(x: Both, dims: tuple[int, ...], keepdim: bool = False) -> Both:
    """The sum over these dimensions."""
    return x.sum(dims, keepdim) if isinstance(x, Tensor) else kernels.add_up(x, dims, keepdim)


def permute(x: Both, dims: Sequence[int]) -> Both:
    """The dimensions in another order, without a copy."""
    return x.permute(dims) if isinstance(x, Tensor) else x.transpose(dims)


def transpose(x: Both, dim0: int, dim1: int) -> Both:
    """Two dimensions exchanged, without a copy."""
    return x.transpose(dim0, dim1) if isinstance(x, Tensor) else x.swapaxes(dim0, dim1)


def t(x: Both) -> Both:
    """A matrix turned over, without a copy; a vector as it is."""
    return x.t() if isinstance(x, Tensor) else x.T


def flip(x: Both, dim: int) -> Both:
    """The other way round along a dimension."""
    return x.flip(dim) if isinstance(x, Tensor) else np.flip(x, dim)


def cat(pieces: Sequence[Both], dim: int) -> Both:
    """Joined along an existing dimension."""
    return _tensor.ops.cat(pieces, dim) if isinstance(pieces[0], Tensor) else np.concatenate(pieces, axis=dim)


def stack(pieces: Sequence[Both], dim: int) -> Both:
    """Joined along a new dimension."""
    return _tensor.ops.stack(pieces, dim) if isinstance(pieces[0], Tensor) else np.stack(pieces, axis=dim)


def expand(x: Both, shape: Sequence[int]) -> Both:
    """Dimensions of length 1 repeated to this shape, without a copy."""
    return x.expand(shape) if isinstance(x, Tensor) else np.broadcast_to(x, shape)


def unsqueeze(x: Both, dims: tuple[int, ...]) -> Both:
    """With dimensions of length 1 put in, at these places of the result."""
    if not isinstance(x, Tensor):
        return np.expand_dims(x, dims) if dims else x
    for dim in sorted(dims):
        x = x.unsqueeze(dim)
    return x


def gather(x: Both, dim: int, index: Both) -> Both:
    """What stands at these indices along a dimension."""
    return x.gather(dim, index) if isinstance(x, Tensor) else np.take_along_axis(x, index, dim)


def sum_to(x: Both, shape: tuple[int, ...]) -> Both:
    """Undo broadcasting: sum over the dimensions along which `shape` was stretched. ValueError if it was not."""
    if x.shape == shape:
        return x
    extra = x.ndim - len(shape)
    if extra < 0 or any(n not in (1, m) for n, m in zip(shape, x.shape[extra:], strict=True)):
        raise ValueError(f"{tuple(x.shape)} was not broadcast from {shape}")
    dims = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1 and x.shape[extra + i] != 1)
    if not isinstance(x, Tensor):
        return kernels.add_up(x, dims, dtype=x.dtype).reshape(shape)
    if not shape:
        return x.sum()
    summed = x.sum(dims, True)
    return summed.view(shape) if extra else summed
