"""Random geometries of every layer, forward and backward, in every algorithm: odd layouts in memory, NaN, infinity, denormals,
numbers of mixed magnitude, nothing in the batch.

PyTorch computes the same numbers in float64: without oneDNN, whose kernels skip the padding or not as the sizes have it, and
exactly enough to say how far a float32 is off. NaN and infinity must be at the same places.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import minicnn
from minicnn import kernels
from minicnn.kernels.fast import winograd
from minicnn.kernels.fast.convolution import ALGORITHMS
from minicnn.kernels.shapes import output_size, pooling_windows

CI_CASES = 400
KERNELS = ("fast", *ALGORITHMS, "reference")
MOST_LOOPS = 6000  # products that the loops of "reference" are asked for

Arrays = list[np.ndarray | None]


class Case(NamedTuple):
    """call(lib, *tensors) is compared, forward and backward; `linear`: a sum of products, whose error its terms bound, each
    its own. `output_axis` of the weights: that of the output's channels, if Winograd's algorithm may compute the convolution,
    which mixes neighbours in the result and in the gradient of the first tensor."""

    text: str
    call: Callable[..., Any]
    arrays: Arrays
    linear: bool = False
    output_axis: int | None = None
    asks_torch: bool = True
    wide: bool = True  # PyTorch computes in float64
    finite: bool = False  # no NaN, no infinity


def run(cases: int, seed: int) -> list[str]:
    differences = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(cases):
            rng = np.random.default_rng([seed, number])
            try:
                difference = check(rng)
            except Exception as error:  # of neither library: what it was must be told
                difference = f"{type(error).__name__}: {error}"
            if difference:
                differences.append(f"case {number} of seed {seed}: {difference}")
    return differences


# --- the comparison -----------------------------------------------------------------------------------------------------


def check(rng: np.random.Generator) -> str | None:
    case = LAYERS[rng.integers(len(LAYERS))](rng)
    dtype = np.float32 if rng.random() < 0.7 else np.float64
    values = [None if a is None else _numbers(rng, a, dtype) for a in case.arrays]
    if case.finite:
        values = [None if a is None else np.nan_to_num(a, nan=1, posinf=2, neginf=-2) for a in values]
    views = [None if a is None else _odd_layout(rng, a) for a in values]
    work = max([a.size for a in values if a is not None], default=0)
    kernel = str(rng.choice(KERNELS if work * 9 < MOST_LOOPS else KERNELS[:-1]))
    where = f"{case.text}, {np.dtype(dtype).name}, kernels {kernel!r}, shapes {[None if a is None else a.shape for a in values]}"
    grad_seed = int(rng.integers(2**32))
    special = rng.random() < 0.1 and not case.finite
    with kernels.use(kernel):
        ours = _outcome(minicnn, case.call, views, grad_seed, special)
    if not case.asks_torch:
        with kernels.use("reference"):
            return _differ(where, ours, _outcome(minicnn, case.call, values, grad_seed, special), None, None, dtype)
    wide = [None if a is None else np.array(a, np.float64 if case.wide else dtype, order="C") for a in values]
    exact = _outcome(torch, case.call, wide, grad_seed, special)
    # A factor that is too small for a float32 is 0, and makes NaN of infinity; one that is left of a difference has the sign of
    # its rounding. So what is not finite may also be what PyTorch makes of this type.
    own = None if case.linear else _outcome(torch, case.call, [a.astype(dtype) for a in wide], grad_seed, special)
    return _differ(where, ours, exact, own, _bounds(case, wide, grad_seed, special, kernel, dtype), dtype)


def _outcome(lib: Any, call: Callable, arrays: Arrays, grad_seed: int, special: bool, absolute: bool = False) -> Any:
    """(what it returned, the gradients), as arrays; or the error."""
    tensors = [None if a is None else (lib.from_numpy(a).requires_grad_()) for a in arrays]
    try:
        out = call(lib, *tensors)
        grad = np.random.default_rng(grad_seed).standard_normal(tuple(out.shape)) if out.ndim else np.ones(())
        if special and grad.size:
            grad.reshape(-1)[grad.size // 2] = np.inf
        grad = np.abs(grad) if absolute else grad
        grad = grad.astype(np.float32).astype(out.detach().numpy().dtype)
        out.backward(lib.from_numpy(np.asarray(grad)))
    except Exception as error:
        return error
    grads = [
        np.zeros(a.shape) if t.grad is None else t.grad.numpy()
        for a, t in zip(arrays, tensors, strict=True)
        if t is not None
    ]
    return [out.detach().numpy(), *grads]


def _bounds(case: Case, wide: Arrays, grad_seed: int, special: bool, kernel: str, dtype: type) -> Any:
    """What the error of each result and gradient is measured by. For a sum of products what its terms add up to in magnitude;
    else its own magnitude, and how far PyTorch's float32 is off: terms may cancel."""
    if not case.linear:
        exact, single = (
            _outcome(torch, case.call, [a.astype(d) for a in wide], grad_seed, special)
            for d in (np.float64, np.float32)
        )
        if isinstance(exact, Exception) or isinstance(single, Exception):
            return None
        size = [np.nan_to_num(np.abs(a), nan=0, posinf=0).max(initial=0) for a in exact]
        spread = [
            np.nan_to_num(np.abs(a - b), nan=0, posinf=0).max(initial=0) for a, b in zip(exact, single, strict=True)
        ]
        return [a + b / np.finfo(np.float32).eps + size[0] for a, b in zip(size, spread, strict=True)]
    sizes = [None if a is None else np.nan_to_num(np.abs(a), nan=0, posinf=0) for a in wide]
    found = _outcome(torch, case.call, sizes, grad_seed, False, absolute=True)
    if isinstance(found, Exception):
        return None
    if case.output_axis is not None and dtype == np.float32 and kernel in ("fast", "winograd") and sizes[0].size:
        grad = np.random.default_rng(grad_seed).standard_normal(found[0].shape)
        weights = np.nan_to_num(wide[1], nan=0, posinf=0, neginf=0)
        for i, pixels in enumerate((sizes[0], grad)):
            found[i] = (_leak(pixels, weights, abs(case.output_axis - i)) + found[i]) / 8
    return found


def _leak(pixels: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """What Winograd's algorithm rounds to make (N, O, ...): the terms of its sums, in magnitude, for an image that is everywhere
    as large as its largest pixel."""
    K, tiny = weights.shape[-1], np.finfo(np.float32).tiny  # below it the steps of the numbers are all the same
    kernel_values, outputs = {
        3: (winograd._kernel_values_3, winograd._outputs_4),
        5: (winograd._kernel_values_5, winograd._outputs_2),
    }[K]
    G, B, A = (
        np.array(f.py_func(*np.eye(n))) for f, n in ((kernel_values, K), (winograd._input_values, 6), (outputs, 6))
    )
    if axis == 1:  # the gradient's convolution has the kernel turned
        weights = weights.swapaxes(0, 1)[:, :, ::-1, ::-1]
    tile = np.abs(B).sum(1)
    terms = np.maximum(np.abs(G @ weights @ G.T), tiny).sum(1) * tile[:, None] * tile
    largest = np.maximum(np.abs(pixels), tiny).max(axis=(1, 2, 3), keepdims=True, initial=tiny)
    return largest * (np.abs(A) @ terms @ np.abs(A.T)).max(axis=(1, 2))[:, None, None]


def _differ(where: str, ours: Any, theirs: Any, own: Any, bounds: Any, dtype: type) -> str | None:
    """What is wrong with ours, if anything. `own`: what PyTorch makes of this type, for NaN and infinity."""
    if isinstance(ours, Exception) or isinstance(theirs, Exception):
        if type(ours) is type(theirs):
            return None
        return f"{where}\nours: {_short(ours)}\nPyTorch: {_short(theirs)}"
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        what = "result" if i == 0 else f"gradient of input {i - 1}"
        if a.shape != b.shape:
            return f"{where}\n{what}: shape {a.shape}, PyTorch {b.shape}"
        with np.errstate(all="ignore"):
            b = b.astype(dtype)
            strange = ~np.isfinite(a) | ~np.isfinite(b)
            wrong = strange & ~_same(a, b) & ~(_same(a, own[i]) if own else False)
            if wrong.any():
                place = tuple(np.argwhere(wrong)[0].tolist())
                return f"{where}\n{what} at {place}: {a[place]}, PyTorch {b[place]}"
            size = np.abs(b).max(where=~strange, initial=0) if bounds is None else np.asarray(bounds[i])
            room = 16 * np.finfo(dtype).eps * size + 200 * np.finfo(dtype).smallest_subnormal
            error = np.where(strange, 0, np.abs(a - b))
        if (error > room).any():
            place = np.unravel_index((error - room).argmax(), error.shape)
            return f"{where}\n{what} at {tuple(map(int, place))}: {a[place]}, PyTorch {b[place]}, off by {error[place]:.3g}"
    return None


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _short(outcome: Any) -> str:
    return (
        f"{type(outcome).__name__}: {outcome}"[:300]
        if isinstance(outcome, Exception)
        else f"an answer {outcome[0].shape}"
    )


# --- numbers and their places in memory ---------------------------------------------------------------------------------


def _numbers(rng: np.random.Generator, values: np.ndarray, dtype: type) -> np.ndarray:
    kind = rng.choice(["normal", "strange", "denormal", "mixed", "ties", "zeros"], p=[0.5, 0.15, 0.1, 0.1, 0.1, 0.05])
    if kind == "denormal":
        values = values * (1e-40 if dtype == np.float32 else 1e-310)
    elif kind == "mixed":
        values = values * 10.0 ** rng.uniform(-6, 6, values.shape)
    elif kind == "ties":
        values = np.round(values)
    elif kind == "zeros":
        values = values * (rng.random(values.shape) < 0.1)
    values = values.astype(dtype)
    if kind == "strange" and values.size:
        places = rng.integers(values.size, size=rng.integers(1, 4))
        values.reshape(-1)[places] = rng.choice([np.nan, np.inf, -np.inf, -0.0], len(places))
    return values


def _odd_layout(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """The same numbers, elsewhere in memory: transposed, with holes, a part of something larger."""
    how = rng.choice(["plain", "order", "holes", "part"])
    if how == "order" and values.ndim:
        order = rng.permutation(values.ndim)
        return np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order))
    if how in ("holes", "part") and values.ndim:
        large = np.full([2 * n + 1 for n in values.shape], np.nan, values.dtype)
        part = tuple(slice(0, 2 * n, 2) if how == "holes" else slice(1, n + 1) for n in values.shape)
        large[part] = values
        return large[part]
    return values


def _array(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


# --- the layers ---------------------------------------------------------------------------------------------------------


def _batch(rng: np.random.Generator) -> int:
    return int(rng.choice([0, 1, 2, 3], p=[0.07, 0.5, 0.33, 0.1]))


def _pair(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    a, b = (int(n) for n in rng.integers(low, high + 1, 2))
    return (a, a) if rng.random() < 0.5 else (a, b)


def _may_mix(kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int) -> bool:
    """Whether Winograd's algorithm may compute a convolution of single precision."""
    return kernel in ((3, 3), (5, 5)) and stride == dilation == (1, 1) and groups == 1 and max(padding) < kernel[0]


def _convolution(rng: np.random.Generator) -> Case:
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    C, O = (int(n) for n in rng.choice([1, 2, 3, 5, 8, 17], 2))
    size, kernel = _pair(rng, 1, 14), _pair(rng, 1, 5)
    stride, dilation, padding = _pair(rng, 1, 3), _pair(rng, 1, 3), _pair(rng, 0, 4)
    if rng.random() < 0.5:  # what Winograd's algorithm may compute
        groups, kernel, stride, dilation = 1, (3, 3) if rng.random() < 0.7 else (5, 5), (1, 1), (1, 1)
    arrays = [_array(rng, _batch(rng), C * groups, *size), _array(rng, O * groups, C, *kernel)]
    arrays.append(_array(rng, O * groups) if rng.random() < 0.5 else None)
    return Case(
        f"conv2d stride {stride} padding {padding} dilation {dilation} groups {groups}",
        lambda lib, *t: lib.nn.functional.conv2d(*t, stride, padding, dilation, groups), arrays, True,
        0 if _may_mix(kernel, stride, padding, dilation, groups) else None,
    )  # fmt: skip


def _transposed(rng: np.random.Generator) -> Case:
    groups = int(rng.choice([1, 1, 2]))
    C, O = (int(n) for n in rng.choice([1, 2, 3, 9], 2))
    size, kernel = _pair(rng, 1, 8), _pair(rng, 1, 4)
    stride, dilation, padding, extra = _pair(rng, 1, 3), _pair(rng, 1, 4), _pair(rng, 0, 3), _pair(rng, 0, 3)
    extra = tuple(min(e, max(s, d) - 1) for e, s, d in zip(extra, stride, dilation, strict=True))
    arrays = [_array(rng, _batch(rng), C * groups, *size), _array(rng, C * groups, O, *kernel)]
    arrays.append(_array(rng, O * groups) if rng.random() < 0.5 else None)
    return Case(
        f"conv_transpose2d stride {stride} padding {padding} output_padding {extra} groups {groups} dilation {dilation}",
        lambda lib, *t: lib.nn.functional.conv_transpose2d(*t, stride, padding, extra, groups, dilation), arrays, True,
        1 if _may_mix(kernel, stride, padding, dilation, groups) else None,
    )  # fmt: skip


def _window(rng: np.random.Generator) -> tuple:
    kernel = _pair(rng, 1, 4)
    padding = tuple(int(rng.integers(k // 2 + 1)) for k in kernel)
    return kernel, _pair(rng, 1, 4), padding, bool(rng.integers(2))


def _max_pool(rng: np.random.Generator) -> Case:
    (kernel, stride, padding, ceil), dilation = _window(rng), _pair(rng, 1, 3)
    x = _array(rng, _batch(rng), int(rng.integers(1, 4)), *_pair(rng, 1, 12))
    axes = list(zip(x.shape[2:], kernel, stride, padding, dilation, strict=True))
    full = True  # PyTorch is asked only where every window holds a pixel: else its backward writes anywhere
    for axis in axes:
        if output_size(*axis, ceil) > 0:
            first, end = pooling_windows(*axis, ceil)
            full = full and bool((first < end).all())
    return Case(
        f"max_pool2d {kernel} stride {stride} padding {padding} dilation {dilation} ceil_mode {ceil}",
        lambda lib, t: lib.nn.functional.max_pool2d(t, kernel, stride, padding, dilation, ceil), [x], asks_torch=full,
    )  # fmt: skip


def _average_pool(rng: np.random.Generator) -> Case:
    kernel, stride, padding, ceil = _window(rng)
    include, divisor = bool(rng.integers(2)), [None, None, 3][rng.integers(3)]
    x = _array(rng, _batch(rng), int(rng.integers(1, 4)), *_pair(rng, 1, 12))
    return Case(
        f"avg_pool2d {kernel} stride {stride} padding {padding} ceil_mode {ceil} include {include} divisor {divisor}",
        lambda lib, t: lib.nn.functional.avg_pool2d(t, kernel, stride, padding, ceil, include, divisor), [x], True,
    )  # fmt: skip


def _adaptive(rng: np.random.Generator) -> Case:
    name, size = str(rng.choice(["adaptive_avg_pool2d", "adaptive_max_pool2d"])), _pair(rng, 1, 9)
    x = _array(rng, _batch(rng), int(rng.integers(1, 4)), *_pair(rng, 1, 12))
    return Case(f"{name} {size}", lambda lib, t: getattr(lib.nn.functional, name)(t, size), [x], name[9] == "a")


def _interpolate(rng: np.random.Generator) -> Case:
    mode = str(rng.choice(["nearest", "bilinear"]))
    options: dict[str, Any] = {"mode": mode}
    if mode == "bilinear":
        options["align_corners"] = bool(rng.integers(2))
    if rng.random() < 0.5:
        options["size"] = _pair(rng, 1, 15)
    else:
        options["scale_factor"] = round(float(rng.uniform(0.4, 3)), 2)
    # A weight that PyTorch's multiply-add rounds to 1e-8, and two roundings to 0, times infinity is another thing: only finite ones.
    x = _array(rng, _batch(rng), int(rng.integers(1, 4)), *_pair(rng, 2, 9))
    return Case(
        f"interpolate {options}",
        lambda lib, t: lib.nn.functional.interpolate(t, **options),
        [x],
        wide=False,
        finite=mode == "bilinear",
    )


def _normalization(rng: np.random.Generator) -> Case:
    N, C, size = _batch(rng), int(rng.integers(1, 5)), _pair(rng, 1, 6)
    training, eps = bool(rng.integers(2)), float(rng.choice([1e-5, 1e-2]))
    mean, var = rng.standard_normal(C), rng.random(C) + 0.5

    def call(lib: Any, x: Any, weight: Any, bias: Any) -> Any:
        running = (lib.from_numpy(a.astype(x.detach().numpy().dtype)) for a in (mean, var))
        return lib.nn.functional.batch_norm(x, *running, weight, bias, training, 0.1, eps)

    arrays = [_array(rng, N, C, *size), _array(rng, C), _array(rng, C)]
    return Case(f"batch_norm training {training} eps {eps}", call, arrays)


def _linear(rng: np.random.Generator) -> Case:
    M, K, N = (int(n) for n in rng.choice([1, 2, 7, 20, 60], 3))
    arrays = [_array(rng, *([_batch(rng), M] if rng.random() < 0.5 else [M]), K), _array(rng, N, K)]
    arrays.append(_array(rng, N) if rng.random() < 0.5 else None)
    return Case("linear", lambda lib, *t: lib.nn.functional.linear(*t), arrays, True)


def _unfold(rng: np.random.Generator) -> Case:
    kernel, options = _pair(rng, 1, 3), (_pair(rng, 1, 2), _pair(rng, 0, 2), _pair(rng, 1, 3))
    x = _array(rng, _batch(rng), int(rng.integers(1, 4)), *_pair(rng, 1, 9))
    return Case(
        f"unfold {kernel} dilation, padding, stride {options}",
        lambda lib, t: lib.nn.functional.unfold(t, kernel, *options), [x], True,
    )  # fmt: skip


def _activation(rng: np.random.Generator) -> Case:
    name = str(rng.choice(["relu", "softmax", "log_softmax"]))
    x = _array(rng, _batch(rng), int(rng.integers(1, 9)), *_pair(rng, 1, 30))
    options = () if name == "relu" else (int(rng.integers(4)),)
    return Case(f"{name} {options}", lambda lib, t: getattr(lib.nn.functional, name)(t, *options), [x])


def _reduction(rng: np.random.Generator) -> Case:
    name = str(rng.choice(["sum", "mean", "nansum"]))
    shape = [
        int(n) for n in rng.choice([0, 1, 2, 3, 70, 300], int(rng.integers(1, 4)), p=[0.04, 0.16, 0.2, 0.3, 0.2, 0.1])
    ]
    if rng.random() < 0.3:
        shape = [*shape[:1], 5000]
    dims = tuple(int(d) for d in rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)])
    return Case(f"{name} {dims}", lambda lib, t: getattr(lib, name)(t, dims), [_array(rng, *shape)], True)


LAYERS = (
    _convolution, _convolution, _convolution, _transposed, _transposed, _max_pool, _max_pool, _average_pool, _adaptive,
    _interpolate, _normalization, _linear, _unfold, _activation, _reduction,
)  # fmt: skip
