"""Tensors from numbers and tensors, and numbers from tensors: bits, warnings and errors as in PyTorch."""

from __future__ import annotations

import pytest
import torch

import minicnn


@pytest.mark.parametrize("make", ["tensor", "new_tensor"])
def test_a_tensor_of_a_tensor_warns_as_in_pytorch(make):
    said = []
    for lib in (minicnn, torch):
        x = lib.ones(2)
        with pytest.warns(UserWarning, match="To copy construct") as found:
            made = lib.tensor(x) if make == "tensor" else x.new_tensor(x)
        assert made.tolist() == [1, 1]
        said.append([str(one.message) for one in found])
    assert said[0] == said[1]


@pytest.mark.parametrize("number", [3 + 0j, 3 + 2j, -2.5 + 0j])
@pytest.mark.parametrize("to", [int, float, complex])
def test_a_complex_number_is_a_real_one_if_it_has_no_imaginary_part(number, to):
    answers = []
    for lib in (minicnn, torch):
        try:
            answers.append(to(lib.tensor([number])))
        except RuntimeError as error:
            answers.append(str(error))
    assert answers[0] == answers[1] and type(answers[0]) is type(answers[1])


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "int64", "uint8"])
def test_linspace_gives_pytorchs_bits(kind):
    for steps in (0, 1, 2, 7, 28, 36, 42, 101):
        for start, end in ((0, 1), (2, 100), (0.1, 7.3), (50, 3)):
            ours, theirs = (lib.linspace(start, end, steps, dtype=getattr(lib, kind)) for lib in (minicnn, torch))
            assert ours.numpy().tobytes() == theirs.numpy().tobytes(), (start, end, steps)
