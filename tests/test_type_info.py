"""`finfo`, `iinfo`, and which type two of them make together, against PyTorch."""

from __future__ import annotations

import itertools

import pytest
import torch
from compare import same, same_error

import minicnn

TYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "complex64", "complex128"]
LIMITS = ["bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"]


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64", "complex128"])
def test_floats(name):
    same(lambda lib: [getattr(lib.finfo(getattr(lib, name)), limit) for limit in LIMITS])
    same(lambda lib: repr(lib.finfo(getattr(lib, name))))


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "int32", "int64"])
def test_integers(name):
    same(lambda lib: [getattr(lib.iinfo(getattr(lib, name)), limit) for limit in ("bits", "max", "min", "dtype")])
    same(lambda lib: repr(lib.iinfo(getattr(lib, name))))


def test_the_default_type():
    same(lambda lib: repr(lib.finfo()))


@pytest.mark.parametrize(
    "function, name", [("finfo", "int32"), ("finfo", "bool"), ("iinfo", "float32"), ("iinfo", "bool")]
)
def test_errors(function, name):
    same_error(lambda lib: getattr(lib, function)(getattr(lib, name)))


@pytest.mark.parametrize("first, second", list(itertools.product(TYPES, TYPES)))
def test_two_types(first, second):
    for function in ("promote_types", "can_cast"):
        same(lambda lib, name=function: str(getattr(lib, name)(getattr(lib, first), getattr(lib, second))))
    if first == "float16" and "complex" in second:
        return  # PyTorch's complex numbers of half precision are not there
    same(
        lambda lib: str(
            lib.result_type(lib.ones(2, dtype=getattr(lib, first)), lib.ones((), dtype=getattr(lib, second)))
        )
    )


def test_questions():
    for function in ("is_floating_point", "is_complex"):
        same(lambda lib, name=function: [getattr(lib, name)(lib.ones(1, dtype=getattr(lib, t))) for t in TYPES])
    same(lambda lib: [lib.is_nonzero(lib.tensor(x)) for x in (0.0, 2, True, [0])])
    same_error(lambda lib: lib.is_nonzero(lib.ones(2)))
    assert minicnn.result_type(minicnn.ones(2, dtype=minicnn.int8), 1.5) == minicnn.float32
    assert torch.result_type(torch.ones(2, dtype=torch.int8), 1.5) == torch.float32
