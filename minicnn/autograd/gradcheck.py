"""Is a backward right? `gradcheck` compares it with finite differences along one random direction.

PyTorch compares the whole Jacobian, one column at a time. One random direction costs two evaluations for each input,
whatever its size, and a wrong backward agrees with it only by a coincidence of probability zero (the check of HIPS
autograd, and PyTorch's own with `fast_mode=True`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn.autograd import inplace
from minicnn.autograd.engine import grad

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """A backward that disagrees with the finite differences."""


def gradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the gradients of `func(*inputs)` agree with central differences of step `eps`.

    For each output y and each input x that requires grad, with random directions v and u of length 1, the two numbers
    v . J u must satisfy |analytical - numerical| <= atol + rtol |numerical|. Inputs should be float64; they are moved
    along u in place and put back. The directions are the same in every run.

    Returns True, or raises GradcheckError (returns False with `raise_exception=False`). ValueError if no input requires
    grad. Fails where `func` is not differentiable, and where it draws random numbers.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = _inputs_to_check(inputs)
    try:
        _check(func, inputs, checked, eps, atol, rtol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Tensor | Sequence[Tensor]],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the second derivatives of `func(*inputs)` agree with central differences: `gradcheck` of its gradients.

    They are checked as a function of the inputs and of `grad_outputs`, one for each output that requires grad; random
    numbers between -1 and 1 if they are not given. Returns and raises what `gradcheck` does.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if grad_outputs is None:
        rng = np.random.default_rng(1)
        outputs = [y for y in _differentiable(func(*inputs)) if y is not None]
        grad_outputs = [
            Tensor.wrap(np.asarray(rng.uniform(-1, 1, y.array.shape), y.array.dtype)).requires_grad_() for y in outputs
        ]
    grad_outputs = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    n = len(grad_outputs)

    def gradients(*args: Any) -> tuple[Tensor, ...]:
        outputs = [y for y in _differentiable(func(*args[:-n])) if y is not None]
        wanted = [x for x in args[:-n] if isinstance(x, Tensor) and x.requires_grad]
        grads: Any = grad(outputs, wanted, args[-n:], create_graph=True, allow_unused=True)
        return tuple([g for g in grads if g is not None])

    return gradcheck(
        gradients, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception
    )


def _inputs_to_check(inputs: tuple) -> list[int]:
    """The positions of the tensors that require grad."""
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    for i in checked:
        array = inputs[i].array
        if array.dtype not in (np.float64, np.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This check will "
                "likely fail if all the inputs are not of double precision floating point or complex. ",
                stacklevel=3,
            )
        if array.size and any(
            step == 0 and length > 1 for step, length in zip(array.strides, array.shape, strict=True)
        ):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping "
                "to be able to compute the numerical gradients correctly. You should call .contiguous on the input before "
                "passing it to gradcheck."
            )
    if not checked:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    return checked


def _check(func: Callable, inputs: tuple, checked: list[int], eps: float, atol: float, rtol: float) -> None:
    rng = np.random.default_rng(0)
    tensors = [inputs[i] for i in checked]
    numerical = []  # for each input: the direction, and the change of each output along it
    for x in tensors:
        u = _unit(rng, x.array)
        numerical.append((u, _change_along(func, inputs, x, u, eps)))
    for i, y in enumerate(_differentiable(func(*inputs))):
        if y is None:
            if any(np.any(changes[i]) for _, changes in numerical):
                raise GradcheckError("Numerical gradient for function expected to be zero")
            continue
        v = _unit(rng, y.array)
        seed = Tensor.wrap(v.astype(y.array.dtype))
        grads: Any = grad(y, tensors, seed, retain_graph=True, allow_unused=True)
        for j, (u, changes), g in zip(checked, numerical, grads, strict=True):
            # Of complex numbers: how much the real part of conj(v) y grows.
            measured = float(np.sum(np.conj(v) * changes[i]).real)
            computed = 0.0 if g is None else float(np.sum(np.conj(g.array) * u).real)
            if not abs(computed - measured) <= atol + rtol * abs(measured):  # `not <=` rather than `>`: NaN must fail
                raise GradcheckError(
                    f"Jacobian mismatch for output {i} with respect to input {j},\n"
                    f"numerical:{measured}\nanalytical:{computed}\n(both along one random direction)"
                )


def _differentiable(result: Any) -> list[Tensor | None]:
    """One entry for each output of the function: None for a tensor without gradient, nothing for what is no tensor."""
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    return [y if y.requires_grad else None for y in outputs if isinstance(y, Tensor)]


def _change_along(func: Callable, inputs: tuple, x: Tensor, u: np.ndarray, eps: float) -> list[np.ndarray]:
    """(f(x + eps u) - f(x - eps u)) / (2 eps) for each output."""
    before = x.array.copy()

    def at(step: float) -> list[np.ndarray]:
        x.array[...] = before + step * u
        inplace.written(x, None)  # whatever is remembered about the old numbers does not hold any more
        result = func(*inputs)
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        return [y.array.astype(np.result_type(y.array, np.float64)) for y in outputs if isinstance(y, Tensor)]

    try:
        ahead, behind = at(eps), at(-eps)
    finally:
        x.array[...] = before
        inplace.written(x, None)
    with np.errstate(invalid="ignore"):  # infinite values: the difference is NaN, which agrees with nothing
        return [(a - b) / (2 * eps) for a, b in zip(ahead, behind, strict=True)]


def _unit(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    """A random direction: an array of this shape and of length 1, complex if this one is."""
    direction = np.asarray(rng.standard_normal(like.shape))
    if like.dtype.kind == "c":
        direction = direction + 1j * rng.standard_normal(like.shape)
    return direction / max(np.linalg.norm(direction), np.finfo(np.float64).tiny)
