"""What nodes keep, under PyTorch's names: `grad_fn._saved_self`, `_saved_stride` ..., for every operation of the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from compare import OVERLOADS, Input, flatten, is_tensor, normal, numbers, seed_of
from quick import one_of_each
from test_ops import TABLE

import minicnn

# What PyTorch tells and minicnn does not: it is kept in another form, or was worked out before.
NOT_TOLD = {
    "AddmmBackward0": "mat1_sym_sizes mat1_sym_strides mat2_sym_sizes mat2_sym_strides",
    "AffineGridGeneratorBackward0": "align_corners size",
    "ConstantPadNdBackward0": "pad",
    "ErfinvBackward0": "self",
    "IndexAddBackward0": "source source_dim",
    "IndexCopyBackward0": "source source_dim",
    "KthvalueBackward0": "dim indices keepdim self_sym_sizes",
    "FftC2RBackward0": "dim normalization",
    "FftR2CBackward0": "dim normalization onesided self",
    "Im2ColBackward0": "self_sym_argsize_minus_1 self_sym_argsize_minus_2",
    "IndexBackward0": "indices",
    "IndexPutBackward0": "indices",
    "LogSigmoidBackward0": "buffer",
    "MmBackward0": "mat2_sym_sizes mat2_sym_strides self_sym_sizes self_sym_strides",
    "MaskedSelectBackward0": "mask",
    "NansumBackward0": "dim",
    "NativeGroupNormBackward0": "C HxW N result1 result2 eps group",
    "NativeLayerNormBackward0": "normalized_shape result1 result2",
    "NllLoss2DBackward0": "ignore_index reduction total_weight",
    "NllLossBackward0": "ignore_index reduction total_weight",
    "SplitBackward0": "split_size",
    "SplitWithSizesBackward0": "split_sizes",
    "StdBackward0": "correction dim",
    "StdMeanBackward0": "correction dim",
    "UpsampleBilinear2DBackward0": "scales_h scales_w",
    "UpsampleNearest2DBackward0": "scales_h scales_w",
    "VarBackward0": "correction dim",
    "VarMeanBackward0": "correction dim",
}
# What stands for several overloads tells what one of them keeps.
ALSO_TOLD = {
    "ErfinvBackward0": {"result"},
    "FmodBackward0": {"self", "other"},
    "RemainderBackward0": {"self", "other"},
}
# Values that the user did not give, or gave as a negative number, which PyTorch keeps as they were given.
AS_GIVEN = {
    "dim",
    "dims",
    "dim0",
    "dim1",
    "dimension",
    "index",
    "k",
    "shifts",
    "stride",
    "diagonal",
    "offset",
    "start",
    "end",
}
IN_A_LINE = {"kernel_size", "stride", "padding", "dilation", "output_padding"}  # of one dimension, which are two here


def nodes_of(row, lib) -> list[Any]:
    """All nodes behind the result, in the order in which they are met."""
    rng = np.random.default_rng(seed_of(row.name))
    given = [entry if isinstance(entry, Input) else normal(*entry) for entry in row.inputs]
    leaves = [lib.from_numpy(entry.array(rng, row.dtypes[0])) for entry in given]
    leaves = [
        leaf.requires_grad_() if entry.requires_grad and leaf.is_floating_point() else leaf
        for leaf, entry in zip(leaves, given, strict=True)
    ]
    waiting = [out.grad_fn for out in flatten(row.function(lib, *leaves)) if is_tensor(out)]
    found: list[Any] = []
    while waiting:
        node = waiting.pop(0)
        if node is not None and not any(node is other for other in found):
            found.append(node)
            waiting += [behind for behind, _ in node.next_functions]
    return found


def told(node) -> dict[str, Any]:
    names = [name for name in dir(node) if name.startswith("_saved_") and name != "_saved_tensors"]
    return {name.removeprefix("_saved_"): getattr(node, name) for name in names}


def same(ours: Any, theirs: Any, name: str) -> bool:
    if is_tensor(theirs) and is_tensor(ours):
        a, b = numbers(ours), numbers(theirs)
        if name in ("result1", "result2") and not b.size:
            return True  # the statistics of a batch norm that is not training: minicnn keeps those that it uses
        return a.dtype == b.dtype and a.shape == b.shape and np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
    if is_tensor(theirs) or is_tensor(ours):
        return theirs is None  # kept although it is not needed
    if isinstance(theirs, tuple) and isinstance(ours, tuple):
        if name in IN_A_LINE and len(theirs) == 1:
            return ours[-1:] == theirs
        given = name in AS_GIVEN and (theirs == () or any(part >= 2**63 for part in theirs))
        return given or ours == theirs
    if name in AS_GIVEN and isinstance(theirs, int) and theirs >= 2**63:
        return True
    if name in AS_GIVEN and (ours is None or theirs is None or (name == "end" and theirs >= ours)):
        return True
    if isinstance(theirs, float) and isinstance(ours, (int, float)):
        return bool(np.isclose(ours, theirs, rtol=1e-6))
    return bool(ours == theirs)


@pytest.mark.parametrize("row", one_of_each(TABLE), ids=lambda row: row.name)
@pytest.mark.filterwarnings("ignore")
def test_what_a_node_tells(row):
    pairs = list(zip(nodes_of(row, minicnn), nodes_of(row, torch), strict=False))
    for ours, theirs in pairs:
        name = type(theirs).__name__
        if type(ours).__name__ != name:
            assert OVERLOADS.get(name, name) == type(ours).__name__ or row.graph != "whole"
            if row.graph != "whole":
                return
            continue
        expected, found = told(theirs), told(ours)
        assert expected.keys() - found.keys() <= set(NOT_TOLD.get(name, "").split()), name
        assert found.keys() - expected.keys() <= ALSO_TOLD.get(name, set()), name
        different = {
            key: (found[key], expected[key])
            for key in found.keys() & expected
            if not same(found[key], expected[key], key)
        }
        if row.graph != "whole" and different:  # another way to the same result: its nodes keep other shapes
            return
        assert different == {}, name


def test_the_number_of_a_product():
    """A Python number is told as a tensor, as PyTorch saves it."""
    x = minicnn.ones(2, requires_grad=True)
    for number in (3, 2.5):
        ours = (x * number).grad_fn._saved_other
        theirs = (torch.ones(2, requires_grad=True) * number).grad_fn._saved_other
        assert (repr(ours), ours.dtype.name) == (repr(theirs), str(theirs.dtype)[6:])
    assert (x * x.detach()).grad_fn._saved_self is None


@pytest.mark.filterwarnings("ignore")
def test_names_that_are_not_told_are_listed_for_what_there_is():
    told_of = {type(node).__name__ for row in TABLE for node in nodes_of(row, torch)}
    assert NOT_TOLD.keys() <= told_of
