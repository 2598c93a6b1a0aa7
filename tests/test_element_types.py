"""Every operation with every element type, edge values, Python's numbers and bad indices: PyTorch's values, type and kind of error.

Each test goes through all types (or pairs of types, or keys) of one operation and lists what differs. Left out is where PyTorch
has no rule to follow: the smallest integer by -1, a uint8 mask in `x[mask] = number`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import minicnn
from minicnn._mirror import since

pytestmark = pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")  # NumPy's warnings are not the user's

INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
FLOATS = ("float16", "float32", "float64")
TYPES = ("bool", *INTEGERS, *FLOATS)
NUMBERS = (
    True,
    False,
    0,
    3,
    -1,
    300,
    -300,
    2**40,
    2.5,
    -0.5,
    0.0,
    float("nan"),
    float("inf"),
    np.float64(2.5),
    np.int64(3),
)
NO_NUMBERS = (None, "a", [1], 10**20)
NUMPY = (np.float32(2), np.float16(2), np.bool_(True), np.uint8(3), np.int8(-1), np.complex64(1), np.array(2.0))
TOLERANCE = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-11}
nan, inf = float("nan"), float("inf")


def words(text: str) -> list[str]:
    return text.split()


def numbers(kind: str, which: int = 0) -> np.ndarray:
    """Six numbers of a type: 0, small ones, the ends of its range."""
    if kind == "bool":
        return np.array([True, False, True, True, False, False])
    if kind in FLOATS:
        return np.array([[0.0, 1, -2.5, 3, nan, inf], [-0.0, 2, 0.5, -3, -inf, 7]][which]).astype(kind)
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    return np.array([[0, 1, 3, high, low + (low < 0), 7], [2, 0, high, 5, 3, 1]][which]).astype(kind)


def given(lib: ModuleType, kind: str, which: int = 0) -> Any:
    return lib.from_numpy(numbers(kind, which).copy())


def outcome(lib: ModuleType, call: Callable[[ModuleType], Any]) -> Any:
    """Types and arrays of what comes out, or the name of the error."""
    try:
        result = call(lib)
    except Exception as error:
        return type(error).__name__
    results = result if isinstance(result, (tuple, list)) else (result,)
    return [
        (str(r.dtype), np.array(r.detach().numpy())) if isinstance(r, lib.Tensor) else (type(r).__name__, np.asarray(r))
        for r in results
    ]


def agree(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, str) or isinstance(theirs, str):
        return isinstance(ours, str) and ours == theirs
    return len(ours) == len(theirs) and all(
        kind == other
        and x.shape == y.shape
        and np.allclose(x, y, *(TOLERANCE.get(x.dtype.name, 0),) * 2, equal_nan=True)
        for (kind, x), (other, y) in zip(ours, theirs, strict=True)
    )


def check(cases: Iterable[tuple[Any, Callable[[ModuleType], Any]]]) -> None:
    """`(what, call)` pairs: the call has to come out alike in both libraries."""
    different, count = [], 0
    for what, call in cases:
        ours, theirs = outcome(minicnn, call), outcome(torch, call)
        count += 1
        if not agree(ours, theirs):
            different.append(f"{what}: minicnn {ours}, torch {theirs}")
    assert count > 0
    assert not different, f"{len(different)} of {count} differ\n" + "\n".join(different[:20])


# --- one operand -----------------------------------------------------------------------------------------------------------

ELEMENTWISE = words(
    "abs neg sign round floor ceil trunc exp log log2 log10 log1p expm1 sqrt rsqrt sin cos tan atan tanh sigmoid erf erfinv "
    "relu reciprocal square isnan isinf isfinite logical_not clone flatten nonzero unique bincount histc sort "
    "argsort "
)
REDUCTIONS = words(
    "sum mean prod max min argmax argmin amax amin any all median std var norm nansum count_nonzero cumsum "
    "sort argsort logsumexp softmax log_softmax "
)
ACTIVATIONS = words(
    "relu relu6 leaky_relu elu selu silu mish softplus softsign hardtanh hardswish hardsigmoid logsigmoid tanhshrink "
)
IN_PLACE = words(
    "exp_ log_ sqrt_ abs_ neg_ sign_ sin_ reciprocal_ round_ floor_ ceil_ trunc_ square_ relu_ sigmoid_ tanh_ zero_ erfinv_ "
)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_one_operand(name):
    # PyTorch 2.14 looks for histc's range before it refuses the type, and the ends of int64 are too much for that.
    kinds = [kind for kind in TYPES if not (since(2, 14) and (name, kind) == ("histc", "int64"))]
    check((kind, lambda lib, kind=kind: getattr(lib, name)(given(lib, kind))) for kind in kinds)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction(name):
    def call(lib, kind, which, dim):
        x = given(lib, kind, which).reshape(2, 3)
        return getattr(lib, name)(x, dim) if dim is not None else getattr(lib, name)(x)

    dims = (0, 1) if name in ("cumsum", "logsumexp", "softmax", "log_softmax", "norm") else (0, 1, None)
    if name == "norm":  # its second argument is the power
        dims = (None,)
    check(
        ((kind, which, dim), lambda lib, kind=kind, which=which, dim=dim: call(lib, kind, which, dim))
        for kind, which, dim in itertools.product(TYPES, (0, 1), dims)
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name):
    check((kind, lambda lib, kind=kind: getattr(lib.nn.functional, name)(given(lib, kind))) for kind in TYPES)


def test_gelu_topk_tril_of_each_type():
    check((kind, lambda lib, kind=kind: lib.nn.functional.gelu(given(lib, kind)[:4])) for kind in INTEGERS)
    check((kind, lambda lib, kind=kind: lib.topk(given(lib, kind, 1), 3)) for kind in TYPES)
    check((kind, lambda lib, kind=kind: lib.tril(given(lib, kind))) for kind in TYPES)


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    check((kind, lambda lib, kind=kind: getattr(given(lib, kind), name)()) for kind in TYPES)


BOUNDS = [(0, 2), (1.5, None), (None, 2.5), (-1, 300), (True, None), (nan, 1), (1, nan), (2, 1), (-300, 300), (0, 1e10)]


@pytest.mark.parametrize("name", ["clamp", "clamp_"])
def test_clamp(name):
    check(
        ((kind, low, high), lambda lib, kind=kind, low=low, high=high: getattr(given(lib, kind), name)(low, high))
        for kind, (low, high) in itertools.product(TYPES, BOUNDS)
    )


def test_clamp_by_tensors():
    pairs = list(itertools.product(TYPES, TYPES))
    check(((a, b), lambda lib, a=a, b=b: lib.clamp(given(lib, a), given(lib, b, 1))) for a, b in pairs)
    check(((a, b), lambda lib, a=a, b=b: lib.clamp(given(lib, a), given(lib, b, 1), given(lib, b))) for a, b in pairs)


# --- two operands ----------------------------------------------------------------------------------------------------------

BINARY = words(
    "add sub mul div floor_divide remainder pow maximum minimum eq ne lt le gt ge bitwise_and bitwise_or "
    "bitwise_xor logical_and logical_or rsub "
)
MORE = {
    "div trunc": lambda lib, x, y: lib.div(x, y, rounding_mode="trunc"),
    "div floor": lambda lib, x, y: lib.div(x, y, rounding_mode="floor"),
    "add alpha 2": lambda lib, x, y: lib.add(x, y, alpha=2),
    "add alpha .5": lambda lib, x, y: lib.add(x, y, alpha=0.5),
    "add alpha True": lambda lib, x, y: lib.add(x, y, alpha=True),
    "sub alpha -1": lambda lib, x, y: lib.sub(x, y, alpha=-1),
    "sub alpha .5": lambda lib, x, y: lib.sub(x, y, alpha=0.5),
    "add_": lambda lib, x, y: x.add_(y),
    "sub_": lambda lib, x, y: x.sub_(y),
    "mul_": lambda lib, x, y: x.mul_(y),
    "div_": lambda lib, x, y: x.div_(y),
    "lerp": lambda lib, x, y: lib.lerp(x, y, 0.5),
    "where": lambda lib, x, y: lib.where(lib.tensor([True, False, True, False, True, False]), x, y),
    "where condition": lambda lib, x, y: lib.where(x, y, y.flip(0)),
    "masked_fill": lambda lib, x, y: lib.masked_fill(x, lib.tensor([True, False, True, False, True, False]), y[1]),
    "masked_fill mask": lambda lib, x, y: lib.masked_fill(x, y, 1),
    "masked_select": lambda lib, x, y: lib.masked_select(x, y),
    "addcmul": lambda lib, x, y: lib.addcmul(x, y, x.flip(0), value=2),
    "addcdiv": lambda lib, x, y: lib.addcdiv(x, y, y.flip(0), value=0.5),
    "cat": lambda lib, x, y: lib.cat([x, y]),
    "stack": lambda lib, x, y: lib.stack([x, y]),
    "isclose": lambda lib, x, y: lib.isclose(x, y),
    "allclose": lambda lib, x, y: lib.allclose(x, y),
    "equal": lambda lib, x, y: lib.equal(x, y),
    "dot": lambda lib, x, y: lib.dot(x[:3], y[:3]),
    "outer": lambda lib, x, y: lib.outer(x[:3], y[:3]),
    "mm": lambda lib, x, y: lib.mm(x[:4].reshape(2, 2), y[:4].reshape(2, 2)),
    "scatter": lambda lib, x, y: lib.scatter(x, 0, lib.tensor([0, 1]), y),
}
PAIRS = [  # a large integer that becomes half precision is infinite here and NaN there, by PyTorch's own two ways
    (a, b)
    for a, b in itertools.product(TYPES, TYPES)
    if "float16" not in (a, b) or not {a, b} & {"int16", "int32", "int64"}
]


@pytest.mark.parametrize("name", [*BINARY, *MORE])
def test_two_tensors(name):
    def call(lib, x, y):
        return MORE[name](lib, x, y) if name in MORE else getattr(lib, name)(x, y)

    check(((a, b), lambda lib, a=a, b=b: call(lib, given(lib, a), given(lib, b, 1))) for a, b in PAIRS)
    if name not in ("dot", "outer", "mm", "cat", "stack", "masked_select", "scatter", "isclose", "allclose"):
        check(((a, b, "0-d"), lambda lib, a=a, b=b: call(lib, given(lib, a), given(lib, b, 1)[2])) for a, b in PAIRS)


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}


def with_numbers(call: Callable, kinds: Iterable[str] = TYPES, values: Iterable[Any] = NUMBERS + NO_NUMBERS) -> None:
    check(
        ((kind, value), lambda lib, kind=kind, value=value: call(lib, given(lib, kind), value))
        for kind, value in itertools.product(kinds, values)
        if (kind, type(value), value)
        not in (("float16", int, 2**40), ("bool", int, 10**20))  # out of range; two errors
    )


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_with_a_number(name):
    with_numbers(lambda lib, x, value: OPERATORS[name](x, value))
    in_order = [value for value in NUMBERS + NO_NUMBERS if not isinstance(value, np.generic)]  # NumPy takes over
    if name in ("//", "%"):  # 10**20 by a zero: two errors at once; "a" % x is text
        in_order = in_order[:-3]
    with_numbers(lambda lib, x, value: OPERATORS[name](value, x), values=in_order)


ONE_NUMBER = {
    "add_": lambda lib, x, value: x.add_(value),
    "mul_": lambda lib, x, value: x.mul_(value),
    "pow_": lambda lib, x, value: x.pow_(value),
    "fill_": lambda lib, x, value: x.fill_(value),
    "div trunc": lambda lib, x, value: lib.div(x, value, rounding_mode="trunc"),
    "masked_fill": lambda lib, x, value: lib.masked_fill(x, lib.tensor([True, False, True, False, True, False]), value),
    "where": lambda lib, x, value: lib.where(lib.tensor([True, False, True, False, True, False]), x, value),
    "full_like": lambda lib, x, value: lib.full_like(x, value),
    "new_full": lambda lib, x, value: x.new_full((2,), value),
    "full": lambda lib, x, value: lib.full((2,), value, dtype=x.dtype),
    "maximum": lambda lib, x, value: lib.maximum(x, value),
    "logical_and": lambda lib, x, value: lib.logical_and(x, value),
    "lt of a number": lambda lib, x, value: lib.lt(value, x),
    "scatter": lambda lib, x, value: lib.scatter(x, 0, lib.tensor([0, 1]), value),
    "pad": lambda lib, x, value: lib.nn.functional.pad(x, (1, 1), value=value),
}


@pytest.mark.parametrize("name", ONE_NUMBER)
def test_a_number_as_argument(name):
    python = [value for value in NUMBERS if not isinstance(value, np.generic)]
    with_numbers(ONE_NUMBER[name], values=python)


def test_set_an_item_to_a_number():
    def call(lib, x, value, key):
        x[lib.tensor(key) if isinstance(key, list) else key] = value
        return x

    for key in (1, slice(1, 3), [True, False, True, False, False, False], [1, 2]):
        with_numbers(lambda lib, x, value, key=key: call(lib, x, value, key), values=(*NUMBERS, *NUMPY, *NO_NUMBERS))


# --- indices ---------------------------------------------------------------------------------------------------------------

INDICES = {
    "three": [0, 1, 1],
    "of two dims": [[0, 1], [1, 0]],
    "0-d": 1,
    "negative": [-1, 0, 0],
    "too large": [3, 0, 0],
    "four": [1, 0, 1, 1],
    "none": [],
}


def ramp(lib: ModuleType, *shape: int) -> Any:
    return lib.arange(float(np.prod(shape))).reshape(shape)


def index_cases(call: Callable) -> Iterable:
    for (name, values), kind in itertools.product(INDICES.items(), TYPES):
        if not (name == "negative" and kind == "uint8"):
            array = np.array(values, dtype=kind)
            yield (name, kind), lambda lib, array=array: call(lib, lib.from_numpy(array.copy()))


READ = {
    "x[i] of a vector": lambda lib, i: ramp(lib, 3)[i],
    "x[i] of a matrix": lambda lib, i: ramp(lib, 3, 4)[i],
    "x[:, i]": lambda lib, i: ramp(lib, 3, 4)[:, i],
    "x[i] of integers": lambda lib, i: lib.arange(3)[i],
    "gather dim 0": lambda lib, i: ramp(lib, 3, 4).gather(0, i),
    "gather dim 1": lambda lib, i: ramp(lib, 3, 4).gather(1, i),
    "gather of a vector": lambda lib, i: ramp(lib, 3).gather(0, i),
    "gather of 0-d": lambda lib, i: lib.tensor(2.0).gather(0, i),
    "gather dim 2": lambda lib, i: ramp(lib, 3, 4).gather(2, i),
    "index_select of a vector": lambda lib, i: lib.index_select(ramp(lib, 3), 0, i),
    "index_select dim 0": lambda lib, i: lib.index_select(ramp(lib, 3, 4), 0, i),
    "index_select of 0-d": lambda lib, i: lib.index_select(lib.tensor(2.0), 0, i),
    "scatter a number, dim 0": lambda lib, i: lib.scatter(ramp(lib, 3, 4), 0, i, 2.0),
    "scatter a number, dim 1": lambda lib, i: lib.scatter(ramp(lib, 3, 4), 1, i, 2.0),
    "scatter to a vector": lambda lib, i: lib.scatter(ramp(lib, 3), 0, i, ramp(lib, 3)),
    "take_along_dim": lambda lib, i: lib.take_along_dim(ramp(lib, 3, 4), i, 1),
    "take_along_dim of all": lambda lib, i: lib.take_along_dim(ramp(lib, 3, 4), i),
}


@pytest.mark.parametrize("name", READ)
def test_index_of_each_type(name):
    check(index_cases(lambda lib, i: READ[name](lib, i)))


def test_write_by_an_index_of_each_type():
    def write(lib, i):
        x = ramp(lib, 3)
        x[i] = lib.ones(3)
        return x

    check(index_cases(write))
    pairs = list(itertools.product(TYPES, TYPES))

    def put(lib, a, b, accumulate):
        return given(lib, a).index_put_((lib.tensor([1, 2]),), given(lib, b, 1)[1:3], accumulate=accumulate)

    for accumulate in (False, True):
        check((p, lambda lib, p=p, accumulate=accumulate: put(lib, *p, accumulate)) for p in pairs)


SHAPES = (
    [[0, 1, 2]],
    [[0], [1], [2]],
    [[0, 1], [2, 0]],
    [[0, 0, 0, 0]],
    [[0, 1, 2, 3, 4]],
    [[0], [1], [2], [0]],
    [[[0]]],
    [[-1]],
    [[]],
)


def test_gather_and_scatter_of_each_shape():
    def scatter(lib, index, dim, source):
        return lib.scatter(ramp(lib, 3, 4), dim, lib.from_numpy(index.copy()), ramp(lib, *source))

    for values, dim in itertools.product(SHAPES, (0, 1)):
        index = np.array(values, dtype=np.int64)
        check([((values, dim), lambda lib, i=index, d=dim: lib.gather(ramp(lib, 3, 4), d, lib.from_numpy(i.copy())))])
        sources = ((3, 4), (1, 3), (2, 2), (4, 5))
        check(((values, dim, s), lambda lib, i=index, d=dim, s=s: scatter(lib, i, d, s)) for s in sources)


KEYS = [
    [0, 1], [-1], True, False, [True, False, True], (0, [1, 2]), (None, 1), "a", b"a", 1.5, 1j, {1}, {}, [[0, 1], [1, 0]],
    np.array([0, 2]), np.array([True, False, True]), np.array([1, 0, 1], np.uint8), np.array(1), np.int32(1),
    slice(0.0, 2), slice(None, None, -1), slice(0, 2, 0), slice(-100, 100), (Ellipsis, Ellipsis), range(2), [], (), 5,
    [0, slice(None)], ([0, 1], [1, 2]), ([0, 1], [1, 2, 3]), ([True, False, True], [0, 1]), [[0], [1, 2]], (None, None),
    [None, 0], [Ellipsis, 0], (slice(None), [0, 1]), ([0, 1], slice(None), [0, 1]), (0, slice(1, 3), None), (0, 0, 0, 0),
    [0.5, 1], [[0.0, 1.0]], (0, [1.9]), [nan], [1e30], [2**70], [1j], ["a"], [{}], [True, 2], np.array(1.0), np.array([1.5]),
    np.array([1, 0], np.uint16), np.bool_(True), np.float32(1), np.uint8(1), slice("a", 2), slice(np.int8(1), None),
]  # fmt: skip


@pytest.mark.parametrize("shape", [(3, 4), (3,), (3, 4, 2)])
def test_keys(shape):
    check((key, lambda lib, key=key: ramp(lib, *shape)[key]) for key in KEYS)

    def write(lib, key):
        x = ramp(lib, *shape)
        x[key] = 9.0
        return x

    check(
        (key, lambda lib, key=key: write(lib, key))
        for key in KEYS
        if not isinstance(key, np.ndarray) or key.dtype != np.uint8
    )


# --- arguments out of range ------------------------------------------------------------------------------------------------

ARGUMENTS = {
    "sum": [(3,), (-3,), ((0, 0),), ("a",), (1.5,)],
    "max": [(3,)], "argmax": [(3,)], "cumsum": [(3,), (-3,)], "sort": [(3,)], "topk": [(9,), (-1,), (2, 5), (2, 0)],
    "unbind": [(3,)], "flip": [((0, 0),), ((3,),), ((),)], "roll": [(1, 3), ((1, 2), 0), (1, (0, 1)), ((1, 2),), (1, 0)],
    "squeeze": [(3,), ((0, 0),), ((),)], "unsqueeze": [(4,), (-4,)], "transpose": [(0, 3)], "select": [(0, 3), (0, -4), (3, 0)],
    "narrow": [(0, 1, 3), (0, -1, 1), (0, 0, -1), (0, 4, 0), (0, 3, 0), (3, 0, 1)],
    "split": [(0,), (-1,), ([1, 1],), ([4, -1],), (2, 3), (2, 1), (2,)], "chunk": [(0,), (-1,), (5,), (2, 3)],
    "movedim": [(0, 3)], "unflatten": [(0, (2, 2)), (0, (3, -1)), (0, ())], "flatten": [(1, 0), (0, 5)],
    "tile": [((2,),), ((2, 2, 2),)], "rot90": [(1, (0, 0)), (1, (0,)), (1, (0, 3)), (1, (0, 1))],
    "broadcast_to": [((2, 3, 4),), ((3, 5),)], "permute": [((0, 0),), ((0,),), ((0, 5),)], "tril": [(9,)], "triu": [(1,)],
    "median": [(3,), (1,), (0,), ()], "histc": [(0,), (-1,), (4, 2, 1), (4, 0, 0), (3, 5, 5)], "any": [(3,)],
    "Tensor.unfold": [(0, 2, 1), (0, 4, 1), (0, 2, 0), (0, -1, 1), (0, 0, 1), (2, 1, 1), (1, 4, 2), (0, 3, 5), (0, 2, -1)],
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_out_of_range(name):
    def call(lib, x, arguments):
        function = lib.Tensor.unfold if name == "Tensor.unfold" else getattr(lib, name)
        return function(x, *arguments)

    inputs = {
        "a matrix": lambda lib: ramp(lib, 3, 4),
        "0-d": lambda lib: lib.tensor(2.0),
        "nothing": lambda lib: lib.ones(0, 4),
    }
    check(
        ((of, arguments), lambda lib, of=of, arguments=arguments: call(lib, inputs[of](lib), arguments))
        for of, arguments in itertools.product(inputs, ARGUMENTS[name])
    )


LEFT = [(2, 3), (3,), (2, 2, 3), (0, 3), (3, 2, 2, 3)]
RIGHT = [(3, 2), (3,), (2, 3, 2), (4, 2), (5, 3, 2), (3, 0), (2,), (1, 3, 2), (4, 2, 3, 2), ()]


@pytest.mark.parametrize("name", ["matmul", "mm", "bmm", "mv", "dot", "outer", "nn.functional.linear"])
def test_products_of_shapes(name):
    function = (lambda lib: lib.nn.functional.linear) if "linear" in name else (lambda lib: getattr(lib, name))
    pairs = itertools.product(LEFT, RIGHT)
    check(
        ((a, b), lambda lib, a=a, b=b: function(lib)(ramp(lib, *a), ramp(lib, *b) if b else lib.tensor(1.0)))
        for a, b in pairs
    )


@pytest.mark.parametrize("bias", [(2,), (3,), (2, 2), (1, 1, 1)])
def test_addmm_of_shapes(bias):
    pairs = itertools.product(LEFT, RIGHT[:-1])
    check(((a, b), lambda lib, a=a, b=b: lib.addmm(ramp(lib, *bias), ramp(lib, *a), ramp(lib, *b))) for a, b in pairs)


WIDTHS = [(1, 1), (-1, 0), (0, -1), (-1, -1), (-2, 1), (1, -2), (3, 0), (4, 0), (-4, 0), (-5, 0), (0, 0), (1, 1, 1, 1),
          (-1, 0, 0, -1), (0, 0, 3, 3), (1,)]  # fmt: skip


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_padding_of_each_width(mode):
    def call(lib, shape, widths):
        x = ramp(lib, *shape).requires_grad_()
        y = lib.nn.functional.pad(x, widths, mode)
        (y * ramp(lib, *y.shape)).sum().backward()
        return y, x.grad

    shapes = [(2, 3), (1, 2, 3), (1, 2, 3, 4), (0, 2, 3, 4), (1, 0, 3, 4), (1, 2, 0, 4), (3,), (1, 1, 1, 1)]
    check(
        ((shape, widths), lambda lib, shape=shape, widths=widths: call(lib, shape, widths))
        for shape, widths in itertools.product(shapes, WIDTHS)
    )


def test_windows_of_each_geometry():
    kernels = [1, 2, (2, 2), (5, 1), 0, -1, (2, 2, 2)]
    options = [{}, {"padding": 1}, {"padding": -1}, {"stride": 0}, {"dilation": 2}, {"dilation": 0}, {"stride": 2}]
    shapes = [(1, 2, 4, 4), (2, 4, 4), (0, 2, 4, 4), (1, 0, 4, 4), (1, 2, 0, 4), (1, 1, 1, 1)]
    for kernel, option, shape in itertools.product(kernels, options, shapes):

        def there_and_back(lib, kernel=kernel, option=option, shape=shape):
            columns = lib.nn.functional.unfold(ramp(lib, *shape), kernel, **option)
            return columns, lib.nn.functional.fold(columns, shape[-2:], kernel, **option)

        check([((kernel, option, shape), there_and_back)])
