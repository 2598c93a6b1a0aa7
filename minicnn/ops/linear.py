"""Matrix products. The gradient of a product goes to each factor through the other one, transposed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor
from minicnn._types import short_name
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.ops import arithmetic, shape
from minicnn.ops._common import broadcast_shapes, check_expand, implemented, need_tensor, wrap_dim

__all__ = ["addmm", "baddbmm", "bmm", "dot", "matmul", "mm", "mv", "outer"]


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return kernels.get("matmul", a.dtype)(a, b)


class Mm(Op):
    """(n, k) @ (k, m) -> (n, m)"""

    saved_names = ("self", "mat2")
    slots = 2
    value = staticmethod(_product)

    @staticmethod
    def forward(ctx, a, b):
        _keep_factors(ctx, a, b, *ctx.needs_input_grad)
        return _product(a.array, b.array)

    @classmethod
    def backward(cls, ctx, grad):
        return _to_factors(cls, ctx, grad, *ctx.needs_input_grad)


class Bmm(Mm):
    """(N, n, k) @ (N, k, m) -> (N, n, m)"""


class Mv(Op):
    """(n, k) @ (k,) -> (n,)"""

    saved_names = ("self", "vec")
    slots = 2

    @staticmethod
    def forward(ctx, a, v):
        _keep_factors(ctx, a, v, *ctx.needs_input_grad)
        return _product(a.array, v.array[:, None])[:, 0]

    @staticmethod
    def backward(ctx, grad):
        a, v = ctx.saved or (None, None)  # nothing is saved if the one that requires grad is a view made under no_grad
        to_a = grad.reshape(-1, 1) * v if ctx.needs_input_grad[0] else None
        return to_a, Mv.of(both.t(a), grad) if ctx.needs_input_grad[1] else None


class Dot(Op):
    """(k,) @ (k,) -> ()"""

    saved_names = ("self", "tensor")
    slots = 2

    @staticmethod
    def forward(ctx, a, b):
        _keep_factors(ctx, a, b, *ctx.needs_input_grad)
        return _product(a.array[None], b.array[:, None])[0, 0]

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved or (None, None)
        to_a = grad * b if ctx.needs_input_grad[0] else None
        return to_a, grad * a if ctx.needs_input_grad[1] else None


class Addmm(Op):
    """bias + a @ b: (n, m) or (m,), (n, k), (k, m) -> (n, m)"""

    saved_names = ("mat1", "mat2")
    slots = 3

    @staticmethod
    def forward(ctx, bias, a, b):
        _keep_factors(ctx, a, b, *ctx.needs_input_grad[1:])
        out = _product(a.array, b.array)
        return np.add(out, bias.array, out if out.dtype == bias.array.dtype else None)

    @staticmethod
    def backward(ctx, grad):
        return grad, *_to_factors(Mm, ctx, grad, *ctx.needs_input_grad[1:])


class Baddbmm(Addmm):
    """bias + a @ b for each of a batch"""

    saved_names = ("batch1", "batch2")

    @staticmethod
    def backward(ctx, grad):
        return grad, *_to_factors(Bmm, ctx, grad, *ctx.needs_input_grad[1:])


def _keep_factors(ctx: Any, a: Tensor, b: Tensor, needs_a: bool, needs_b: bool) -> None:
    """Each factor is needed for the gradient of the other one only."""
    ctx.turned = b.array.ndim == 2 and b.array.T.flags.c_contiguous
    if needs_a or needs_b:
        ctx.save_for_backward(a if needs_b else None, b if needs_a else None)


def _to_factors(
    op: type[Op], ctx: Any, grad: both.Both, needs_a: bool, needs_b: bool
) -> tuple[both.Both | None, both.Both | None]:
    """The gradients of a @ b. That to b lies in memory as b does: that of a transposed weight is the weight's, transposed."""
    a, b = ctx.saved or (None, None)  # unpacked in any case, as in PyTorch: a write to one is an error all the same
    to_a = op.of(grad, _turned(b)) if needs_a else None
    if not needs_b:
        return to_a, None
    return to_a, both.t(op.of(both.t(grad), a)) if ctx.turned else op.of(_turned(a), grad)


def _turned(x: both.Both) -> both.Both:
    """A matrix, or each of a batch, turned over."""
    return both.t(x) if x.ndim == 2 else both.transpose(x, 1, 2)


def _same_dtype(a: Tensor, b: Tensor) -> None:
    batch = a.array.ndim > 2 and b.array.ndim > 2
    if a.array.dtype != b.array.dtype:
        kinds = [short_name(t.dtype) for t in (a, b)]
        if batch:
            raise RuntimeError(f"expected scalar type {kinds[0]} but found {kinds[1]}")
        raise RuntimeError(
            f"expected m1 and m2 to have the same dtype, but got: {kinds[0].lower()} != {kinds[1].lower()}"
        )
    implemented("bmm" if batch else "addmm_impl_cpu_", a.array.dtype, "uifc")


def _check_inner(a: Tensor, b: Tensor) -> None:
    _same_dtype(a, b)
    if a.array.shape[-1] != b.array.shape[-2]:
        (n, k), (j, m) = a.array.shape[-2:], b.array.shape[-2:]
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({n}x{k} and {j}x{m})")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Matrix product of two matrices: (n, k), (k, m) -> (n, m)."""
    if input.array.ndim != 2 or mat2.array.ndim != 2:
        raise RuntimeError("self must be a matrix" if input.array.ndim != 2 else "mat2 must be a matrix")
    _check_inner(input, mat2)
    return Mm.apply(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Matrix products of a batch: (N, n, k), (N, k, m) -> (N, n, m)."""
    if input.array.ndim != 3 or mat2.array.ndim != 3:
        raise RuntimeError("batch1 must be a 3D tensor" if input.array.ndim != 3 else "batch2 must be a 3D tensor")
    _check_batches(input, mat2)
    return Bmm.apply(input, mat2)


def _check_batches(batch1: Tensor, batch2: Tensor) -> None:
    a, b = batch1.array.shape, batch2.array.shape
    if a[0] != b[0] or a[2] != b[1]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{a[0]}, {a[2]}] but got: [{b[0]}, {b[1]}]."
        )
    _same_dtype(batch1, batch2)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The product of vectors, matrices or batches of matrices (leading dimensions broadcast), by their dimensions."""
    a, b = input.array.ndim, other.array.ndim
    if a == 0 or b == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {a}D and {b}D")
    _same_dtype(input, other)
    if a == 1 and b == 1:
        return dot(input, other)
    if a == 2 and b == 1:
        return mv(input, other)
    if a == 1:
        return shape.squeeze(matmul(shape.unsqueeze(input, 0), other), -2)
    if b == 1:
        rows = _rows(input)
        return shape.UnsafeView.apply(mv(rows, other), input.array.shape[:-1])
    _check_inner(input, other)
    if a == 2 and b == 2:
        return Mm.apply(input, other)
    if b == 2:  # every row of the batch meets the same matrix: one large product
        rows = _rows(input)
        return shape.UnsafeView.apply(Mm.apply(rows, other), (*input.array.shape[:-1], other.array.shape[-1]))
    batch = broadcast_shapes(input.array.shape[:-2], other.array.shape[:-2])
    count = int(np.prod(batch))
    stacked = [
        shape.reshape(shape.expand(x, (*batch, *x.array.shape[-2:])), (count, *x.array.shape[-2:]))
        for x in (input, other)
    ]
    return shape.UnsafeView.apply(Bmm.apply(*stacked), (*batch, input.array.shape[-2], other.array.shape[-1]))


def _rows(input: Tensor) -> Tensor:
    """(..., k) -> (product of the others, k), also where k is 0."""
    *leading, k = input.array.shape
    return shape.reshape(input, (math.prod(leading), k))


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector: (n, k), (k,) -> (n,)."""
    if input.array.ndim != 2 or vec.array.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {input.array.ndim}, {vec.array.ndim}")
    (n, k), m = input.array.shape, vec.array.shape[0]
    if k != m:
        raise RuntimeError(f"size mismatch, got input ({n}), mat ({n}x{k}), vec ({m})")
    return Mv.apply(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors: (k,), (k,) -> ()."""
    if input.array.ndim != 1 or tensor.array.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.array.ndim}D and {tensor.array.ndim}D tensors")
    if input.array.shape != tensor.array.shape:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor {list(input.array.shape)} and src {list(tensor.array.shape)} to have "
            f"the same number of elements, but got {input.array.size} and {tensor.array.size} elements respectively"
        )
    if input.array.dtype != tensor.array.dtype:
        kinds = f"{short_name(input.dtype)} and {short_name(tensor.dtype)}"
        raise RuntimeError(f"dot : expected both vectors to have same dtype, but found {kinds}")
    implemented("dot", input.array.dtype, "uifc")
    return Dot.apply(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of two vectors: (n,), (m,) -> (n, m)."""
    for name, vector in (("self", input), ("vec2", vec2)):
        if vector.array.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {vector.array.ndim}-D")
    return arithmetic.mul(shape.unsqueeze(input, 1), vec2)


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (mat1 @ mat2): what broadcasts to (n, m), (n, k), (k, m) -> (n, m)"""
    for name, matrix in (("mat1", mat1), ("mat2", mat2)):
        if matrix.array.ndim != 2:
            raise RuntimeError(f"{name} must be a matrix, got {matrix.array.ndim}-D tensor")
    _check_inner(mat1, mat2)
    _same_dtype(input, mat1)
    out = (mat1.array.shape[0], mat2.array.shape[1])
    if input.array.ndim > 2:
        raise RuntimeError(f"the input of addmm has to broadcast to {list(out)}, got {list(input.array.shape)}")
    check_expand(input.array.shape, out)
    return Addmm.apply(_times(input, beta), _times(mat1, alpha), mat2)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (batch1 @ batch2): what broadcasts to (N, n, m), (N, n, k), (N, k, m) -> (N, n, m)"""
    rows, columns = wrap_dim(1, batch1.array.ndim), wrap_dim(2, batch2.array.ndim)
    check_expand(input.array.shape, (*batch1.array.shape[: rows + 1], batch2.array.shape[columns]))
    _check_batches(batch1, batch2)
    _same_dtype(input, batch1)
    return Baddbmm.apply(_times(input, beta), _times(batch1, alpha), batch2)


def _times(x: Tensor, factor: float) -> Tensor:
    """A term of a sum times its factor. As in PyTorch 0 makes zeros of everything, NaN too."""
    if factor == 0:
        return Tensor.wrap(np.zeros_like(x.array))
    return x if factor == 1 else arithmetic.mul(x, factor)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input weight^T + bias.

    Args:
        input: (..., I).
        weight: (O, I).
        bias: (O,) or None.

    Returns:
        (..., O).

    Raises:
        RuntimeError: the shapes or dtypes do not fit; the message gives both.
    """
    need_tensor(input, "linear")
    given, size = input.array.shape, weight.array.shape
    if not given or not size:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are {len(given)}D and {len(size)}D"
        )
    if len(size) == 2 and given[-1] != size[1]:
        mat1, mat2 = f"{math.prod(given[:-1])}x{given[-1]}", f"{size[1]}x{size[0]}"
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({mat1} and {mat2})")
    turned = shape.t(weight)
    if bias is None:
        return matmul(input, turned)
    if input.array.dtype != weight.array.dtype:
        first, second = (short_name(tensor.dtype) for tensor in (input, weight))
        raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {first} and {second}")
    if len(given) == 2:
        return addmm(bias, input, turned)
    rows = _rows(input)
    return shape.reshape(addmm(bias, rows, turned), (*given[:-1], size[0]))
