"""Matrix products. The gradient of a product goes to each factor through the other one, transposed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn import kernels
from minicnn._tensor import Tensor, need_tensor
from minicnn._types import short_name
from minicnn.autograd import both
from minicnn.autograd.function import Op
from minicnn.ops import arithmetic, copying, shape
from minicnn.ops._common import broadcast_shapes, check_expand, implemented, wrap_dim

__all__ = [
    "addmm", "addmv", "baddbmm", "bmm", "cdist", "cross", "dot", "inner", "inverse", "kron", "matmul", "mm", "mv", "outer", "tensordot",
]  # fmt: skip


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


class LinalgInvEx(Op):
    """The inverse of a matrix, or of each of a batch; -a^-T g a^-T"""

    saved_names = ("inverse",)

    @staticmethod
    def forward(ctx, a):
        try:
            out = Tensor.wrap(np.linalg.inv(a.array))
        except np.linalg.LinAlgError:
            raise RuntimeError(
                "linalg.inv: the inversion could not be completed because the input matrix is singular."
            ) from None
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, grad):
        (out,) = ctx.saved
        turned = both.transpose(both.conj(out), -2, -1)
        return -(turned @ grad @ turned)


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


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta input + alpha (mat @ vec): what broadcasts to (n,), (n, k), (k,) -> (n,)"""
    if mat.array.ndim == 2 and vec.array.ndim == 1 and mat.array.shape[1] == vec.array.size:
        n, (rows, k) = input.array.size, mat.array.shape
        if input.array.ndim == 1 and n not in (1, rows):
            raise RuntimeError(f"size mismatch, got input ({n}), mat ({rows}x{k}), vec ({k})")
    product = mv(mat, vec)
    check_expand(input.array.shape, product.array.shape)
    return arithmetic.add(_times(input, beta), _times(product, alpha))


def inner(input: Tensor, other: Tensor) -> Tensor:
    """Products summed over the last dimensions, which are equally long: (..., k), (___, k) -> (..., ___); with a number its multiple."""
    if not input.array.ndim or not other.array.ndim:
        return arithmetic.mul(input, other)
    if input.array.shape[-1] != other.array.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.array.shape)} and {list(other.array.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Products summed over dimensions of both: the last ones of a and the first of b, as many as `dims` says, or those of two lists."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.array.ndim, b.array.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        dims = (list(range(a.array.ndim - dims, a.array.ndim)), list(range(dims)))
    own, other = ([wrap_dim(d, x.array.ndim) for d in given] for x, given in zip((a, b), dims, strict=True))
    if len(own) != len(other):
        raise RuntimeError("both dimension lists should have same length")
    for first, second in zip(own, other, strict=True):
        n, m = a.array.shape[first], b.array.shape[second]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {first} and second has size {m} in dim "
                f"{second}"
            )
        if n != m:  # of one that is stretched the sum is formed first
            a, b = (a.sum(first, True), b) if m == 1 else (a, b.sum(second, True))
    rest = [[d for d in range(x.array.ndim) if d not in gone] for x, gone in ((a, own), (b, other))]
    sizes = [x.array.shape[d] for x, kept in zip((a, b), rest, strict=True) for d in kept]
    summed = math.prod([a.array.shape[d] for d in own])
    rows = shape.reshape(
        shape.permute(a, [*rest[0], *own]), (-1 if summed else math.prod(sizes[: len(rest[0])]), summed)
    )
    columns = shape.reshape(shape.permute(b, [*other, *rest[1]]), (summed, math.prod(sizes[len(rest[0]) :])))
    return shape.reshape(mm(rows, columns), sizes)


def inverse(input: Tensor) -> Tensor:
    """The inverse of a matrix (n, n), or of each of a batch (..., n, n). RuntimeError for one that has none, or is not square."""
    size = input.array.shape
    if len(size) < 2:
        raise RuntimeError("linalg.inv: The input tensor A must have at least 2 dimensions.")
    if size[-1] != size[-2]:
        raise RuntimeError(
            f"linalg.inv: A must be batches of square matrices, but they are {size[-2]} by {size[-1]} matrices"
        )
    implemented("linalg_inv", input.array.dtype)
    return LinalgInvEx.apply(input)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Each number of input times all of other, side by side: the sizes are multiplied, dimension by dimension."""
    ndim = max(input.array.ndim, other.array.ndim)
    own, others = ((1,) * (ndim - x.array.ndim) + x.array.shape for x in (input, other))
    apart = shape.reshape(input, [n for m in own for n in (m, 1)])
    together = shape.reshape(other, [n for m in others for n in (1, m)])
    return shape.reshape(arithmetic.mul(apart, together), [n * m for n, m in zip(own, others, strict=True)])


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three numbers along `dim`, by default the first dimension of length 3.

    RuntimeError if there is none, or if the dimension has another length.
    """
    if input.array.ndim != other.array.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    if dim is None:
        if 3 not in input.array.shape:
            raise RuntimeError("no dimension of size 3 in input")
        dim = input.array.shape.index(3)
    dim = wrap_dim(dim, input.array.ndim)
    if input.array.shape[dim] != 3 or other.array.shape[dim] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.array.shape[dim]} and {other.array.shape[dim]}"
        )
    broadcast_shapes(input.array.shape, other.array.shape)
    (a, b), (c, d) = ((copying.roll(x, -1, dim), copying.roll(x, -2, dim)) for x in (input, other))
    return arithmetic.sub(arithmetic.mul(a, d), arithmetic.mul(b, c))


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The p-norm of the difference of each vector of x1 to each of x2: (..., n, k), (..., m, k) -> (..., n, m).

    `compute_mode` is PyTorch's; here the differences are formed in any case. RuntimeError for vectors of different lengths.
    """
    if min(x1.array.ndim, x2.array.ndim) < 2:
        raise RuntimeError(
            f"cdist only supports at least 2D tensors, X{1 if x1.array.ndim < 2 else 2} got: "
            f"{x1.array.ndim if x1.array.ndim < 2 else x2.array.ndim}D"
        )
    if x1.array.shape[-1] != x2.array.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.array.shape[-1]} X2: {x2.array.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    return arithmetic.sub(shape.unsqueeze(x1, -2), shape.unsqueeze(x2, -3)).norm(p, -1)


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
