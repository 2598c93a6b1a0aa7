"""`out=`: the same functions take it as in PyTorch, and follow the same rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from compare import assert_close, same, same_error

import minicnn
from minicnn import _out

X, Y = np.array([[0.3, 0.5, 0.7], [0.2, 0.9, 0.4]]), np.array([[0.6, 0.8, 0.1], [0.5, 0.3, 0.2]])
SQUARE, PLACES = np.arange(9.0).reshape(3, 3), np.array([[0, 2], [1, 0]])
# Functions of other arguments than one tensor, or two of one shape: {name: a call (library, its own out)}.
OTHERS: dict[str, Any] = {
    "addcdiv": lambda f, x, y, s, i, **o: f(x, y, x, **o),
    "addcmul": lambda f, x, y, s, i, **o: f(x, y, x, **o),
    "addmm": lambda f, x, y, s, i, **o: f(y, x, s, **o),
    "addmv": lambda f, x, y, s, i, **o: f(x[:, 0], y, s[0], **o),
    "amax": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "amin": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "baddbmm": lambda f, x, y, s, i, **o: f(x[None], y[None], s[None], **o),
    "bmm": lambda f, x, y, s, i, **o: f(x[None], s[None], **o),
    "bucketize": lambda f, x, y, s, i, **o: f(x, s[0], **o),
    "cat": lambda f, x, y, s, i, **o: f([x, y], 1, **o),
    "clamp": lambda f, x, y, s, i, **o: f(x, 0.3, 0.6, **o),
    "clamp_max": lambda f, x, y, s, i, **o: f(x, 0.6, **o),
    "clamp_min": lambda f, x, y, s, i, **o: f(x, 0.6, **o),
    "column_stack": lambda f, x, y, s, i, **o: f([x, y], **o),
    "cumsum": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "diff": lambda f, x, y, s, i, **o: f(x, **o),
    "dot": lambda f, x, y, s, i, **o: f(x[0], y[0], **o),
    "dstack": lambda f, x, y, s, i, **o: f([x, y], **o),
    "gather": lambda f, x, y, s, i, **o: f(x, 1, i, **o),
    "hstack": lambda f, x, y, s, i, **o: f([x, y], **o),
    "index_add": lambda f, x, y, s, i, **o: f(x, 1, i[0], y[:, :2], **o),
    "index_copy": lambda f, x, y, s, i, **o: f(x, 1, i[0], y[:, :2], **o),
    "index_select": lambda f, x, y, s, i, **o: f(x, 1, i[0], **o),
    "kthvalue": lambda f, x, y, s, i, **o: f(x, 2, **o),
    "lerp": lambda f, x, y, s, i, **o: f(x, y, 0.3, **o),
    "logsumexp": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "masked_select": lambda f, x, y, s, i, **o: f(x, y > 0.25, **o),
    "matmul": lambda f, x, y, s, i, **o: f(x, s, **o),
    "max": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "mean": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "min": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "mm": lambda f, x, y, s, i, **o: f(x, s, **o),
    "mv": lambda f, x, y, s, i, **o: f(x, s[0], **o),
    "norm": lambda f, x, y, s, i, **o: f(x, 2, 1, **o),
    "outer": lambda f, x, y, s, i, **o: f(x[0], y[0], **o),
    "prod": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "renorm": lambda f, x, y, s, i, **o: f(x, 2, 0, 0.5, **o),
    "scatter": lambda f, x, y, s, i, **o: f(x, 1, i, y[:, :2], **o),
    "scatter_add": lambda f, x, y, s, i, **o: f(x, 1, i, y[:, :2], **o),
    "searchsorted": lambda f, x, y, s, i, **o: f(s[0], x, **o),
    "sort": lambda f, x, y, s, i, **o: f(x, **o),
    "stack": lambda f, x, y, s, i, **o: f([x, y], 1, **o),
    "std": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "sum": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "take": lambda f, x, y, s, i, **o: f(x, i, **o),
    "take_along_dim": lambda f, x, y, s, i, **o: f(x, i, 1, **o),
    "tensordot": lambda f, x, y, s, i, **o: f(x, s, 1, **o),
    "topk": lambda f, x, y, s, i, **o: f(x, 2, **o),
    "var": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "vstack": lambda f, x, y, s, i, **o: f([x, y], **o),
    "where": lambda f, x, y, s, i, **o: f(x > y, x, y, **o),
    "bitwise_and": lambda f, x, y, s, i, **o: f(i, i + 1, **o),
    "bitwise_or": lambda f, x, y, s, i, **o: f(i, i + 1, **o),
    "bitwise_xor": lambda f, x, y, s, i, **o: f(i, i + 1, **o),
    "bitwise_not": lambda f, x, y, s, i, **o: f(i, **o),
    "cross": lambda f, x, y, s, i, **o: f(x, y, dim=1, **o),
    "inner": lambda f, x, y, s, i, **o: f(x, y, **o),
    "all": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "any": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "argmax": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "argmin": lambda f, x, y, s, i, **o: f(x, 1, **o),
    "diag": lambda f, x, y, s, i, **o: f(s, **o),
    "tril": lambda f, x, y, s, i, **o: f(s, **o),
    "triu": lambda f, x, y, s, i, **o: f(s, **o),
    "acosh": lambda f, x, y, s, i, **o: f(s + 1, **o),
    "nanmean": lambda f, x, y, s, i, **o: f(x, 1, **o),
}
TWO = [
    "add",
    "atan2",
    "div",
    "eq",
    "floor_divide",
    "fmax",
    "fmin",
    "fmod",
    "ge",
    "gt",
    "hypot",
    "isin",
    "kron",
    "le",
    "logaddexp",
    "logical_and",
    "logical_or",
    "logical_xor",
    "lt",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "pow",
    "remainder",
    "sub",
    "xlogy",
]


def computed(lib: Any, name: str, out: Any = None) -> Any:
    x, y, s, i = (lib.from_numpy(array.copy()) for array in (X, Y, SQUARE, PLACES))
    given = {} if out is None else {"out": out}
    function = getattr(lib, name)
    if name in OTHERS:
        return OTHERS[name](function, x, y, s, i, **given)
    return function(x, y, **given) if name in TWO else function(x, **given)


@pytest.mark.parametrize("name", _out.FUNCTIONS)
def test_every_function(name):
    """Into an empty tensor, and into one of the right size."""
    for full in (False, True):
        results = []
        for lib in (minicnn, torch):
            plain = computed(lib, name)
            parts = plain if isinstance(plain, tuple) else (plain,)
            targets = [lib.zeros(part.shape if full else (0,), dtype=part.dtype) for part in parts]
            out = tuple(targets) if isinstance(plain, tuple) else targets[0]
            result = computed(lib, name, out)
            assert (
                all(a is b for a, b in zip(result, targets, strict=True)) if isinstance(plain, tuple) else result is out
            )
            results.append([target.numpy() for target in targets])
            for target, part in zip(targets, parts, strict=True):
                assert np.array_equal(target.numpy(), part.numpy())
        for ours, theirs in zip(*results, strict=True):
            assert ours.dtype == theirs.dtype
            assert_close(ours, theirs, name)


def test_a_view_is_written_into_and_the_version_counts():
    def facts(lib):
        whole = lib.zeros(3, 2)
        part = whole[1:]
        lib.mul(lib.ones(2, 2), 3.0, out=part)
        return whole.tolist(), whole._version, part._version

    same(facts)


def test_another_type():
    def facts(lib):
        out = lib.zeros(2, dtype=lib.float64)
        lib.add(lib.ones(2), 1, out=out)
        return out.tolist(), str(out.dtype)

    same(facts)


def test_another_size_warns():
    for lib in (minicnn, torch):
        out = lib.zeros(3)
        with pytest.warns(UserWarning, match="output with one or more elements was resized since it had shape"):
            lib.add(lib.ones(2, 2), 1, out=out)
        assert out.shape == (2, 2)


ERRORS = {
    "a gradient is asked for": lambda lib: lib.add(lib.ones(2, requires_grad=True), 1, out=lib.zeros(2)),
    "out requires grad": lambda lib: lib.mul(lib.ones(2), 1, out=lib.zeros(2, requires_grad=True)),
    "one of a list": lambda lib: lib.cat([lib.ones(2), lib.ones(2, requires_grad=True)], out=lib.zeros(4)),
    "a float into integers": lambda lib: lib.add(lib.ones(2), 1, out=lib.zeros(2, dtype=lib.int64)),
    "an integer into booleans": lambda lib: lib.mul(lib.tensor([2]), 2, out=lib.zeros(1, dtype=lib.bool)),
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS.keys())
def test_errors(call):
    same_error(call)


def test_no_grad():
    def facts(lib):
        with lib.no_grad():
            return lib.add(lib.ones(2, requires_grad=True), 1, out=lib.zeros(2)).tolist()

    same(facts)


def test_what_is_no_tensor():
    with pytest.raises(TypeError, match=r"add\(\): argument 'out' must be Tensor, not list|ndarray"):
        minicnn.add(minicnn.ones(2), 1, out=np.zeros(2))
