"""How a tensor prints: PyTorch's layout, four decimals, long tensors summarised."""

from __future__ import annotations

import math

import numpy as np

from minicnn._types import get_default_dtype

PRECISION, THRESHOLD, EDGE, WIDTH = 4, 1000, 3, 80


class _Formatter:
    """Decides on one notation for all numbers of a tensor: integers as `1.`, fixed, or scientific."""

    def __init__(self, array: np.ndarray) -> None:
        self.kind = array.dtype.kind
        self.integers, self.scientific = True, False
        self.width = 1
        values = array.reshape(-1)
        if self.kind in "biu":
            self.width = max((len(str(value)) for value in values.tolist()), default=1)
            return
        finite = values[np.isfinite(values) & (values != 0)].astype(np.float64)
        if finite.size:
            sizes = np.abs(finite)
            ratio = sizes.max() / sizes.min()
            self.integers = bool((finite == np.ceil(finite)).all())
            if self.integers:
                self.scientific = ratio > 1000.0 or sizes.max() > 1.0e8
            else:
                self.scientific = ratio > 1000.0 or sizes.max() > 1.0e8 or sizes.min() < 1.0e-4
            self.width = max(len(self._number(value)) for value in finite)

    def _number(self, value: float) -> str:
        if self.kind in "biu":
            return str(value)
        if self.scientific:
            return f"{value:.{PRECISION}e}"
        if self.integers:
            return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"
        return f"{value:.{PRECISION}f}"

    def __call__(self, value: float) -> str:
        return self._number(value).rjust(self.width)


def _vector(array: np.ndarray, indent: int, summarize: bool, number) -> str:
    per_line = max(1, int((WIDTH - indent) // (number.width + 2)))
    if summarize and len(array) > 2 * EDGE:
        parts = [number(v) for v in array[:EDGE].tolist()] + [" ..."] + [number(v) for v in array[-EDGE:].tolist()]
    else:
        parts = [number(v) for v in array.tolist()]
    lines = [", ".join(parts[i : i + per_line]) for i in range(0, len(parts), per_line)]
    return "[" + ("," + "\n" + " " * (indent + 1)).join(lines) + "]"


def _body(array: np.ndarray, indent: int, summarize: bool, number) -> str:
    if array.ndim == 0:
        return number(array.item())
    if array.ndim == 1:
        return _vector(array, indent, summarize, number)
    if summarize and len(array) > 2 * EDGE:
        rows = [_body(row, indent + 1, summarize, number) for row in array[:EDGE]]
        rows += ["..."] + [_body(row, indent + 1, summarize, number) for row in array[-EDGE:]]
    else:
        rows = [_body(row, indent + 1, summarize, number) for row in array]
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(rows) + "]"


def _summary(array: np.ndarray) -> np.ndarray:
    """The elements that are printed of a long tensor: they alone decide on the notation."""
    for axis, n in enumerate(array.shape):
        if n > 2 * EDGE:
            array = np.take(array, [*range(EDGE), *range(n - EDGE, n)], axis=axis)
    return array


def tensor_repr(tensor, prefix: str = "tensor(") -> str:
    """`tensor([1., 2.], requires_grad=True)`"""
    array, indent = tensor.array, len(prefix)
    suffixes = []
    if array.size == 0:
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        if tensor.dtype is not get_default_dtype():
            suffixes.append(f"dtype={tensor.dtype}")
        body = "[]"
    else:
        default = get_default_dtype()
        usual = (default.numpy, np.result_type(default.numpy, np.complex64), np.int64, np.bool_)
        if array.dtype not in usual:
            suffixes.append(f"dtype={tensor.dtype}")
        summarize = array.size > THRESHOLD
        shown = _summary(array) if summarize else array
        body = _body(array, indent, summarize, _Complex(shown) if array.dtype.kind == "c" else _Formatter(shown))
    try:
        node = tensor.grad_fn and tensor.grad_fn.name().rpartition("::")[2]
    except RuntimeError:  # a view made without gradients whose base was written: it may not be used, but looked at
        node = "Invalid"
    if node is not None:
        suffixes.append(f"grad_fn=<{node}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return _join(prefix + body, suffixes, indent)


class _Complex:
    def __init__(self, array: np.ndarray) -> None:
        self._real, self._imag = _Formatter(array.real), _Formatter(np.abs(array.imag))
        self.width = self._real.width + self._imag.width + 2

    def __call__(self, value: complex) -> str:
        return f"{self._real(value.real)}{'-' if value.imag < 0 else '+'}{self._imag(abs(value.imag)).strip()}j"


def _join(text: str, suffixes: list[str], indent: int) -> str:
    length = len(text) - text.rfind("\n") + 1
    for suffix in suffixes:
        if length + len(suffix) + 2 > WIDTH:
            text += ",\n" + " " * indent + suffix
            length = indent + len(suffix)
        else:
            text += ", " + suffix
            length += len(suffix) + 2
    return text + ")"
