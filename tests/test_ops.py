"""The table: every op against torch, value, gradients, dtype and graph; the rules of errors and of randomness."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import table_arithmetic
import table_attention
import table_elementwise
import table_images
import table_losses
import table_networks
import table_places
import table_reduction
import table_series
import table_shape
import torch
from compare import (
    TOLERANCE,
    Input,
    Outcome,
    assert_close,
    cases,
    check,
    compare,
    flatten,
    is_tensor,
    normal,
    numbers,
    run,
    same,
    same_error,
)
from quick import one_of_each

import minicnn
from minicnn import kernels
from minicnn.autograd.node import AccumulateGrad

TABLE = (
    table_arithmetic.ROWS
    + table_reduction.ROWS
    + table_shape.ROWS
    + table_images.ROWS
    + table_losses.ROWS
    + table_series.ROWS
    + table_networks.ROWS
    + table_attention.ROWS
    + table_elementwise.ROWS
    + table_places.ROWS
)


@pytest.mark.parametrize("row, dtype", cases(TABLE))
@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")  # NumPy's warnings are not the user's
def test_row(row, dtype):
    check(row, dtype)


@pytest.mark.parametrize("row", one_of_each(row for row in TABLE if "float32" in row.dtypes), ids=lambda row: row.name)
@pytest.mark.filterwarnings("ignore")
def test_no_array_is_kept_beside_the_saved_tensors(row):
    """A write to what a node keeps is noticed only if it is a saved tensor."""
    rng = np.random.default_rng(0)
    given = [entry if isinstance(entry, Input) else normal(*entry) for entry in row.inputs]
    leaves = [minicnn.from_numpy(entry.array(rng, "float32")) for entry in given]
    wanted = [entry.requires_grad and leaf.is_floating_point() for entry, leaf in zip(given, leaves, strict=True)]
    leaves = [leaf.requires_grad_() if wants else leaf for wants, leaf in zip(wanted, leaves, strict=True)]
    nodes = [out.grad_fn for out in flatten(row.function(minicnn, *leaves)) if is_tensor(out)]
    while nodes:
        node = nodes.pop()
        if node is None or isinstance(node, AccumulateGrad):
            continue
        nodes += [following for following, _ in node.next_functions]
        for name, value in vars(node).items():
            kept = value if isinstance(value, (tuple, list)) else (value,)
            assert not any(isinstance(entry, (np.ndarray, minicnn.Tensor)) for entry in kept), (node, name)


IMAGES = list(table_images.CONVOLUTION + table_images.POOLING + table_images.RESIZING + table_series.ROWS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")  # as above
@pytest.mark.parametrize("row, dtype", [p for p in cases(IMAGES) if p.values[1] == "float64"])
def test_row_with_the_reference_kernels(row, dtype):
    with kernels.use("reference"):
        check(row, dtype)


# --- what must fail, and with which words --------------------------------------------------------------------------------


def conv(lib, x, w, b=None, **options):
    bias = None if b is None else lib.ones(b)
    return lib.nn.functional.conv2d(lib.ones(*x), lib.ones(*w), bias, **options)


ERRORS = {
    "broadcast": lambda lib: lib.ones(2, 3) + lib.ones(2, 4),
    "broadcast of three dims": lambda lib: lib.ones(2, 3, 4) * lib.ones(3, 1, 4),
    "in place does not broadcast": lambda lib: lib.ones(3).add_(lib.ones(2, 3)),
    "in place does not promote": lambda lib: lib.ones(3, dtype=lib.int64).add_(1.5),
    "in place does not promote tensors": lambda lib: lib.ones(3, dtype=lib.int64).mul_(lib.ones(3)),
    "matmul of shapes": lambda lib: lib.ones(2, 3) @ lib.ones(4, 5),
    "mm of a vector": lambda lib: lib.mm(lib.ones(3), lib.ones(3, 2)),
    "bmm of shapes": lambda lib: lib.bmm(lib.ones(2, 3, 4), lib.ones(2, 5, 6)),
    "matmul of dtypes": lambda lib: lib.ones(2, 3) @ lib.ones(3, 2, dtype=lib.float64),
    "matmul of 0-d": lambda lib: lib.matmul(lib.tensor(1.0), lib.ones(2)),
    "linear of shapes": lambda lib: lib.nn.functional.linear(lib.ones(2, 3), lib.ones(4, 5)),
    "view of the wrong size": lambda lib: lib.ones(2, 3).view(5),
    "view with two unknowns": lambda lib: lib.ones(2, 3).view(-1, -1),
    "view that does not divide": lambda lib: lib.ones(2, 3).view(4, -1),
    "view of a transposed tensor": lambda lib: lib.ones(2, 3).t().view(6),
    "dim out of range": lambda lib: lib.ones(2, 3).sum(2),
    "dim twice": lambda lib: lib.ones(2, 3).sum((0, -2)),
    "softmax dim": lambda lib: lib.softmax(lib.ones(2, 3), 5),
    "transpose dim": lambda lib: lib.ones(2, 3).transpose(0, 2),
    "permute too few": lambda lib: lib.ones(2, 3, 4).permute(0, 1),
    "permute repeated": lambda lib: lib.ones(2, 3).permute(0, 0),
    "t of three dims": lambda lib: lib.ones(2, 3, 4).t(),
    "unsqueeze dim": lambda lib: lib.ones(2, 3).unsqueeze(4),
    "expand of a dim that is not 1": lambda lib: lib.ones(2, 3).expand(2, 4),
    "expand to fewer dims": lambda lib: lib.ones(2, 3).expand(3),
    "repeat to fewer dims": lambda lib: lib.ones(2, 3).repeat(2),
    "cat of shapes": lambda lib: lib.cat([lib.ones(2, 3), lib.ones(2, 4)]),
    "cat of dims": lambda lib: lib.cat([lib.ones(2, 3), lib.ones(3)]),
    "cat of nothing": lambda lib: lib.cat([]),
    "stack of shapes": lambda lib: lib.stack([lib.ones(2), lib.ones(3)]),
    "stack of nothing": lambda lib: lib.stack([]),
    "split sizes": lambda lib: lib.ones(5).split([2, 2]),
    "index out of range": lambda lib: lib.ones(3)[3],
    "negative index out of range": lambda lib: lib.ones(2, 3)[0, -4],
    "too many indices": lambda lib: lib.ones(3)[0, 0],
    "index of 0-d": lambda lib: lib.tensor(1.0)[0],
    "index tensor out of range": lambda lib: lib.ones(3)[lib.tensor([0, 5])],
    "negative step": lambda lib: lib.ones(3)[::-1],
    "float index": lambda lib: lib.ones(3)[lib.tensor([0.5])],
    "mask of the wrong shape": lambda lib: lib.ones(2, 3)[lib.tensor([True, False, True])],
    "masked_select by numbers": lambda lib: lib.masked_select(lib.ones(2), lib.tensor([1, 0])),
    "select out of range": lambda lib: lib.ones(3).select(0, 4),
    "narrow out of range": lambda lib: lib.ones(3).narrow(0, 2, 2),
    "gather out of range": lambda lib: lib.ones(2, 3).gather(1, lib.tensor([[3], [0]])),
    "gather by floats": lambda lib: lib.ones(2, 3).gather(1, lib.ones(2, 1)),
    "set of the wrong shape": lambda lib: lib.ones(2, 3).__setitem__(0, lib.ones(2)),
    "set of more dimensions": lambda lib: lib.ones(2, 3).__setitem__(0, lib.ones(2, 1, 3)),
    "set of a transposed shape": lambda lib: lib.ones(2, 3).__setitem__(slice(None), lib.ones(3, 2)),
    "set of nothing": lambda lib: lib.ones(3).__setitem__(lib.tensor(True), lib.ones(3, dtype=lib.int64)),
    "set of a NumPy scalar": lambda lib: lib.ones(3).__setitem__(0, np.float32(2)),
    "set of a list": lambda lib: lib.ones(3, dtype=lib.int64).__setitem__(slice(None), [1, 2, 3]),
    "index of a NumPy scalar": lambda lib: lib.ones(3)[np.float32(1)],
    "index of a float in a list": lambda lib: lib.ones(3)[[float("nan")]],
    "index of text": lambda lib: lib.ones(3)["a"],
    "slice of floats": lambda lib: lib.ones(3)[0.5:2],
    "index_put_ of a number": lambda lib: lib.ones(3).index_put_((lib.tensor([0]),), 1.0),
    "max of nothing": lambda lib: lib.ones(0).max(),
    "max along nothing": lambda lib: lib.ones(2, 0).max(1),
    "argmax of nothing": lambda lib: lib.ones(0).argmax(),
    "topk too many": lambda lib: lib.ones(3).topk(4),
    "mean of integers": lambda lib: lib.ones(3, dtype=lib.int64).mean(),
    "std of integers": lambda lib: lib.ones(3, dtype=lib.int64).std(),
    "clamp without bounds": lambda lib: lib.clamp(lib.ones(3)),
    "int ** -1": lambda lib: lib.tensor([2]) ** -1,
    "bool - bool": lambda lib: lib.tensor([True]) - lib.tensor([True]),
    "- of bool": lambda lib: -lib.tensor([True]),
    "~ of float": lambda lib: ~lib.ones(2),
    "bool of several": lambda lib: bool(lib.ones(2)),
    "bool of nothing": lambda lib: bool(lib.ones(0)),
    "int of several": lambda lib: int(lib.ones(2)),
    "item of several": lambda lib: lib.ones(2).item(),
    "len of 0-d": lambda lib: len(lib.tensor(1.0)),
    "iteration over 0-d": lambda lib: list(lib.tensor(1.0)),
    "tensor of ragged lists": lambda lib: lib.tensor([[1, 2], [3]]),
    "from_numpy of negative strides": lambda lib: lib.from_numpy(np.arange(3.0)[::-1]),
    "from_numpy of a list": lambda lib: lib.from_numpy([1.0]),
    "tensor of strings": lambda lib: lib.tensor("a"),
    "requires_grad of integers": lambda lib: lib.tensor([1], requires_grad=True),
    "requires_grad_ of integers": lambda lib: lib.tensor([1]).requires_grad_(),
    "numpy of requires_grad": lambda lib: lib.ones(2, requires_grad=True).numpy(),
    "requires_grad of a result": lambda lib: (lib.ones(2, requires_grad=True) * 2).requires_grad_(False),
    "arange of a zero step": lambda lib: lib.arange(0, 3, 0),
    "arange of the wrong sign": lambda lib: lib.arange(3, 0, 1),
    "negative shape": lambda lib: lib.zeros(-1, 2),
    "add of a string": lambda lib: lib.ones(2) + "a",
    "matmul of a number": lambda lib: lib.ones(2) @ 3,
    "conv2d channels": lambda lib: conv(lib, (1, 3, 5, 5), (4, 2, 3, 3)),
    "conv2d groups": lambda lib: conv(lib, (1, 4, 5, 5), (3, 2, 3, 3), groups=2),
    "conv2d bias": lambda lib: conv(lib, (1, 3, 5, 5), (4, 3, 3, 3), 3),
    "conv2d kernel larger than the image": lambda lib: conv(lib, (1, 3, 2, 5), (4, 3, 3, 3)),
    "conv2d of two dims": lambda lib: conv(lib, (5, 5), (4, 3, 3, 3)),
    "conv2d same with stride": lambda lib: conv(lib, (1, 3, 5, 5), (4, 3, 3, 3), padding="same", stride=2),
    "conv2d unknown padding": lambda lib: conv(lib, (1, 3, 5, 5), (4, 3, 3, 3), padding="full"),
    "conv2d negative padding": lambda lib: conv(lib, (1, 3, 5, 5), (4, 3, 3, 3), padding=-1),
    "conv2d zero stride": lambda lib: conv(lib, (1, 3, 5, 5), (4, 3, 3, 3), stride=0),
    "conv2d of dtypes": lambda lib: lib.nn.functional.conv2d(
        lib.ones(1, 1, 3, 3, dtype=lib.float64), lib.ones(1, 1, 1, 1), lib.ones(1)
    ),
    "max_pool2d padding": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 1, 4, 4), 2, padding=2),
    "max_pool2d of a small image": lambda lib: lib.nn.functional.max_pool2d(lib.ones(1, 1, 2, 2), 3),
    "max_pool2d of two dims": lambda lib: lib.nn.functional.max_pool2d(lib.ones(4, 4), 2),
    "avg_pool2d padding": lambda lib: lib.nn.functional.avg_pool2d(lib.ones(1, 1, 4, 4), 2, padding=2),
    "avg_pool2d divisor": lambda lib: lib.nn.functional.avg_pool2d(lib.ones(1, 1, 4, 4), 2, divisor_override=0),
    "interpolate without size": lambda lib: lib.nn.functional.interpolate(lib.ones(1, 1, 4, 4)),
    "interpolate with size and scale": lambda lib: lib.nn.functional.interpolate(
        lib.ones(1, 1, 4, 4), size=2, scale_factor=2
    ),
    "interpolate nearest align_corners": lambda lib: lib.nn.functional.interpolate(
        lib.ones(1, 1, 4, 4), 2, align_corners=True
    ),
    "interpolate to nothing": lambda lib: lib.nn.functional.interpolate(lib.ones(1, 1, 4, 4), size=0),
    "reflect padding too large": lambda lib: lib.nn.functional.pad(lib.ones(1, 1, 3, 3), (3, 0, 0, 0), "reflect"),
    "circular padding too large": lambda lib: lib.nn.functional.pad(lib.ones(1, 1, 3, 3), (4, 0, 0, 0), "circular"),
    "padding of odd length": lambda lib: lib.nn.functional.pad(lib.ones(2, 3), (1, 2, 3)),
    "padding of too many dims": lambda lib: lib.nn.functional.pad(lib.ones(3), (1, 1, 1, 1)),
    "batch_norm of one value": lambda lib: lib.nn.functional.batch_norm(lib.ones(1, 3), None, None, training=True),
    "batch_norm statistics": lambda lib: lib.nn.functional.batch_norm(lib.ones(2, 3), lib.ones(4), lib.ones(4)),
    "dropout p": lambda lib: lib.nn.functional.dropout(lib.ones(2), 1.5),
    "cross_entropy batch sizes": lambda lib: lib.nn.functional.cross_entropy(lib.ones(2, 3), lib.tensor([1])),
    "cross_entropy target out of range": lambda lib: lib.nn.functional.cross_entropy(lib.ones(1, 3), lib.tensor([3])),
    "cross_entropy float targets": lambda lib: lib.nn.functional.cross_entropy(lib.ones(2, 3), lib.ones(2)),
    "cross_entropy weights": lambda lib: lib.nn.functional.cross_entropy(
        lib.ones(2, 3), lib.tensor([0, 1]), lib.ones(2)
    ),
    "unknown reduction": lambda lib: lib.nn.functional.mse_loss(lib.ones(2), lib.ones(2), reduction="avg"),
    "mse_loss of shapes": lambda lib: lib.nn.functional.mse_loss(lib.ones(2, 3), lib.ones(2, 4)),
    "one_hot too few classes": lambda lib: lib.nn.functional.one_hot(lib.tensor([0, 3]), 2),
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")  # NumPy's warnings are not the user's
def test_error(call):
    same_error(call)


# --- making tensors -------------------------------------------------------------------------------------------------------

CREATED = {
    "tensor of a float": lambda lib: lib.tensor(2.5),
    "tensor of an int": lambda lib: lib.tensor(2),
    "tensor of a bool": lambda lib: lib.tensor(True),
    "tensor of floats": lambda lib: lib.tensor([[1.0, 2.0], [3.0, 4.0]]),
    "tensor of mixed numbers": lambda lib: lib.tensor([1, 2.5]),
    "tensor of nothing": lambda lib: lib.tensor([]),
    "tensor of a float64 array": lambda lib: lib.tensor(np.ones((2, 2))),
    "tensor of a NumPy scalar": lambda lib: lib.tensor(np.float64(1.5)),
    "tensor with a dtype": lambda lib: lib.tensor([1, 2], dtype=lib.float64),
    "eye on a device": lambda lib: lib.eye(2, 3, device="cpu"),
    "logspace on a device": lambda lib: lib.logspace(0, 1, 3, device="cpu", requires_grad=True),
    "tensor in double precision": lambda lib: lib.tensor([0.1, 1 / 3], dtype=lib.float64),
    "tensor of one number in double precision": lambda lib: lib.tensor(0.1, dtype=lib.float64),
    "tensor of complex numbers in double precision": lambda lib: lib.tensor([0.1 + 0.3j], dtype=lib.complex128),
    "tensor of a large float as an integer": lambda lib: lib.tensor([16777217.0], dtype=lib.int64),
    "as_tensor in double precision": lambda lib: lib.as_tensor([[0.1]], dtype=lib.float64),
    "new_tensor in double precision": lambda lib: lib.ones(1, dtype=lib.float64).new_tensor([0.1]),
    "DoubleTensor": lambda lib: lib.DoubleTensor([0.1]),
    "tensor of tensors": lambda lib: lib.tensor([lib.tensor(1.0), lib.tensor(2.0)]),
    "as_tensor of a list": lambda lib: lib.as_tensor([1, 2]),
    "as_tensor of an array": lambda lib: lib.as_tensor(np.arange(3, dtype=np.float32)),
    "FloatTensor": lambda lib: lib.FloatTensor([1, 2]),
    "zeros": lambda lib: lib.zeros(2, 3),
    "zeros of a tuple": lambda lib: lib.zeros((2, 3), dtype=lib.int64),
    "zeros of 0-d": lambda lib: lib.zeros(()),
    "ones": lambda lib: lib.ones(2, 3, dtype=lib.bool),
    "full": lambda lib: lib.full((2, 3), 2.5),
    "full of ints": lambda lib: lib.full((2,), 7),
    "full of bools": lambda lib: lib.full((2,), True),
    "eye": lambda lib: lib.eye(3),
    "eye 2 x 3": lambda lib: lib.eye(2, 3),
    "arange": lambda lib: lib.arange(5),
    "arange from, to": lambda lib: lib.arange(2, 8, 3),
    "arange of floats": lambda lib: lib.arange(0, 1, 0.25),
    "arange downwards": lambda lib: lib.arange(3, 0, -1),
    "arange with a dtype": lambda lib: lib.arange(3, dtype=lib.float32),
    "linspace": lambda lib: lib.linspace(-1, 1, 5),
    "linspace of one": lambda lib: lib.linspace(2, 3, 1),
    "zeros_like": lambda lib: lib.zeros_like(lib.ones(2, 3, dtype=lib.float64)),
    "ones_like with a dtype": lambda lib: lib.ones_like(lib.ones(2, 3), dtype=lib.int64),
    "full_like": lambda lib: lib.full_like(lib.ones(2), 3),
    "full_like of a number": lambda lib: lib.full_like(lib.ones(2, dtype=lib.int64), 3),
    "logspace": lambda lib: lib.logspace(-1, 2, 4),
    "complex": lambda lib: lib.complex(lib.tensor([1.0, 2.0]), lib.tensor([3.0, -4.0])),
    "LongTensor": lambda lib: lib.LongTensor([1, 2]),
    "ByteTensor": lambda lib: lib.ByteTensor([1, 2]),
    "new_full": lambda lib: lib.ones(2, dtype=lib.float64).new_full((2, 2), 3),
    "new_ones": lambda lib: lib.ones(2, dtype=lib.int64).new_ones(2),
    "new_zeros": lambda lib: lib.ones(2, dtype=lib.float64).new_zeros(3),
    "new_tensor": lambda lib: lib.ones(2, dtype=lib.float64).new_tensor([1, 2]),
}


@pytest.mark.parametrize("make", CREATED.values(), ids=CREATED.keys())
@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")  # NumPy's warnings are not the user's
def test_creation(make):
    ours, theirs = make(minicnn), make(torch)
    assert str(ours.dtype) == str(theirs.dtype)
    assert_close(numbers(ours), numbers(theirs), "numbers")
    assert (ours.requires_grad, ours.is_leaf) == (theirs.requires_grad, True)


SIGNED = {
    **{name: lambda x, name=name: getattr(x, name)() for name in ("relu", "relu_", "round", "neg", "floor", "ceil", "sqrt", "sin")},
    **{name: lambda x, name=name: getattr(x, name)(0) for name in ("cumsum", "cumsum_", "sum", "mean", "prod", "amax")},
    "clamp": lambda x: x.clamp(0.0, 1.0),
    "clamp_ to zero": lambda x: x.clamp_(-1.0, 0.0),
    "clamp_min": lambda x: x.clamp_min(0.0),
    "clamp_max of -0": lambda x: x.clamp_max(-0.0),
    "clamp by tensors": lambda x: x.clamp(x * 0, x * 0 + 1),
    "remainder": lambda x: x % 1,
    "remainder of -1": lambda x: x % -1,
    "floor_divide": lambda x: x // 1,
}  # fmt: skip
ACTIVATIONS = ("elu", "selu", "leaky_relu", "hardtanh", "relu6", "silu", "gelu", "hardswish", "softsign")


@pytest.mark.parametrize("kernel", ["fast", "reference"])
@pytest.mark.parametrize("operation", [*SIGNED, *ACTIVATIONS])
def test_the_sign_of_zero(operation, kernel):
    """What is divided by it later is infinite, on one side or the other."""

    def reciprocal(lib):
        x = lib.tensor([[-0.0, -0.0], [0.0, -0.0], [-0.0, 1.0]], dtype=lib.float64)
        call = SIGNED[operation] if operation in SIGNED else getattr(lib.nn.functional, operation)
        return (1 / call(x)).tolist()

    with kernels.use(kernel):
        same(reciprocal)


def test_tensor_copies_and_from_numpy_does_not():
    array = np.zeros(3, dtype=np.float32)
    copied, shared, kept = minicnn.tensor(array), minicnn.from_numpy(array), minicnn.as_tensor(array)
    array[0] = 5
    assert copied.tolist() == [0, 0, 0]
    assert shared.tolist() == kept.tolist() == [5, 0, 0]
    shared[1] = 6
    assert array.tolist() == [5, 6, 0]


# --- random numbers: their own, not torch's, but of the same distributions ------------------------------------------------


def test_manual_seed_repeats_and_streams_differ():
    minicnn.manual_seed(3)
    first = minicnn.randn(5), minicnn.rand(5), minicnn.randint(0, 100, (5,)), minicnn.randperm(9)
    minicnn.manual_seed(3)
    again = minicnn.randn(5), minicnn.rand(5), minicnn.randint(0, 100, (5,)), minicnn.randperm(9)
    for a, b in zip(first, again, strict=False):
        assert a.tolist() == b.tolist()
    assert minicnn.randn(5).tolist() != first[0].tolist()
    minicnn.manual_seed(4)
    assert minicnn.randn(5).tolist() != first[0].tolist()


def test_distributions():
    minicnn.manual_seed(0)
    n = 40_000
    normal, uniform, integers = minicnn.randn(n), minicnn.rand(n), minicnn.randint(-2, 3, (n,))
    assert (normal.dtype, uniform.dtype, integers.dtype) == (minicnn.float32, minicnn.float32, minicnn.int64)
    # five standard errors of each statistic
    assert abs(normal.mean().item()) < 5 / n**0.5
    assert abs(normal.var().item() - 1) < 5 * (2 / n) ** 0.5
    assert abs(uniform.mean().item() - 0.5) < 5 * (1 / 12 / n) ** 0.5
    assert uniform.min().item() >= 0
    assert uniform.max().item() < 1
    assert integers.unique().tolist() == [-2, -1, 0, 1, 2]
    assert sorted(minicnn.randperm(50).tolist()) == list(range(50))
    like = minicnn.randn_like(minicnn.zeros(2, 3, dtype=minicnn.float64))
    assert (like.shape, like.dtype) == ((2, 3), minicnn.float64)


def test_dropout_statistics_and_gradient():
    minicnn.manual_seed(0)
    n, p = 40_000, 0.3
    x = minicnn.ones(n, requires_grad=True)
    y = minicnn.nn.functional.dropout(x, p)
    kept = y != 0
    assert abs(kept.float().mean().item() - (1 - p)) < 5 * (p * (1 - p) / n) ** 0.5
    assert_close(numbers(y[kept]), np.full(int(kept.sum()), 1 / (1 - p), np.float32), "what is kept is scaled up")
    y.backward(minicnn.full((n,), 2.0))
    assert_close(numbers(x.grad), 2 * numbers(y), "the gradient has the same mask and scale")


def test_dropout_of_evaluation_and_of_extremes():
    x = minicnn.randn(7, requires_grad=True)
    dropout = minicnn.nn.functional.dropout
    assert dropout(x, 0.5, training=False).tolist() == x.tolist()
    assert dropout(x, 0.0).tolist() == x.tolist()
    assert dropout(x, 1.0).tolist() == [0] * 7


def test_dropout2d_drops_whole_channels():
    minicnn.manual_seed(0)
    y = minicnn.nn.functional.dropout2d(minicnn.ones(8, 16, 3, 3), 0.5)
    per_channel = numbers(y).reshape(128, 9)
    assert (per_channel == per_channel[:, :1]).all()
    assert {0.0, 2.0} == set(per_channel[:, 0].tolist())


# --- nothing is left out --------------------------------------------------------------------------------------------------

ELSEWHERE = {
    "default_dtype, result_type, to_dtype": "rules of types, seen in the rows of promotion and of x.to()",
    "get_default_dtype, set_default_dtype, set_default_tensor_type, get_default_device, set_default_device, "
    "get_num_threads, set_num_threads": "no tensor comes out: test_defaults.py",
    "is_warn_always_enabled, set_warn_always": "no tensor comes out: test_second_passes.py",
    "bernoulli, multinomial, rand_like": "random: no numbers to compare, see the tests of distributions",
    "empty_like, empty": "undefined content",
    "can_cast, promote_types, is_complex, is_nonzero": "no tensor comes out: test_type_info.py",
    "multi_head_attention_forward": "test_attention.py",
    "is_tensor, numel, is_grad_enabled, is_inference_mode_enabled": "no tensor comes out: test_tensor.py, test_autograd.py",
    "save, load": "test_serialization.py",
    "concatenate, absolute, arctan, multiply, subtract, true_divide, swapaxes, greater, greater_equal, less, less_equal, "
    "row_stack": "second names, see below",
    "Module, ModuleList, ModuleDict, ParameterList, ParameterDict": "containers: test_module.py",
}


def test_every_op_and_layer_has_a_row():
    here = Path(__file__).parent
    tables = [*here.glob("table_*.py"), here / "test_layer_table.py", here / "test_ops.py"]
    named = set(re.findall(r"\w+", " ".join(path.read_text(encoding="utf-8") for path in tables)))
    functions = [
        name
        for module in (minicnn, minicnn.ops, minicnn.nn.functional)
        for name, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and name[0] != "_"
    ]
    layers = [n for n, v in vars(minicnn.nn).items() if isinstance(v, type) and issubclass(v, minicnn.nn.Module)]
    assert len(functions) > 150
    assert len(layers) > 50
    assert sorted({*functions, *layers} - named) == []


@pytest.mark.parametrize(
    "second, first",
    [
        ("concatenate", "cat"),
        ("absolute", "abs"),
        ("arctan", "atan"),
        ("multiply", "mul"),
        ("subtract", "sub"),
        ("true_divide", "div"),
        ("swapaxes", "transpose"),
        ("greater", "gt"),
        ("greater_equal", "ge"),
        ("less", "lt"),
        ("less_equal", "le"),
        ("row_stack", "vstack"),
    ],
)
def test_second_names(second, first):
    assert getattr(minicnn, second) is getattr(minicnn, first)
    assert hasattr(torch, second)


# --- the judge itself -----------------------------------------------------------------------------------------------------


def test_the_comparison_notices_each_kind_of_difference():
    """A table that compares nothing would pass as well."""
    row = table_arithmetic.ARITHMETIC[4]
    good = run(row, torch, "float64")
    compare(good, good)
    slightly = {what: array * (1 + 10 * TOLERANCE["float64"]) for what, array in good.arrays.items()}
    for arrays, facts in [
        (slightly, good.facts),
        ({what: array[:1] for what, array in good.arrays.items()}, good.facts),
        ({"output 0": good.arrays["output 0"]}, good.facts),
        (good.arrays, {**good.facts, "graph of output 0": "AddBackward0(AccumulateGrad)"}),
        (good.arrays, {**good.facts, "dtype of gradient 1": "torch.float32"}),
    ]:
        with pytest.raises(AssertionError):
            compare(Outcome(arrays, facts), good)
