"""What an operation keeps for its backward pass and somebody writes meanwhile: an error as in PyTorch, or the right
gradient; never a wrong one. Integers, masks, targets and running statistics are kept as numbers are."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from both import assert_same, attempt, scenarios
from quick import one_of_each, operation

import minicnn


def leaf(lib: ModuleType, *shape: int) -> Any:
    """Different numbers in no order, the same in both libraries."""
    count = 1
    for n in shape:
        count *= n
    return (((lib.arange(count) * 7 + 3) % 11).to(lib.float32).reshape(shape) / 4 - 1).requires_grad_()


def whole(lib: ModuleType, values: list) -> Any:
    return lib.tensor(values, dtype=lib.int64)


def mask(lib: ModuleType, values: list) -> Any:
    return lib.tensor(values) > 0


def pair(result: Any) -> tuple[Any, list[Any]]:
    """The values, and the values and indices as what may be written."""
    values, indices = result
    return values, [indices]


def batch_norm(training: bool) -> Callable:
    def run(lib: ModuleType, x: Any) -> tuple[Any, list[Any]]:
        mean, var = lib.ones(3), lib.ones(3) * 2
        weight = lib.ones(3, requires_grad=True) * 1
        out = lib.nn.functional.batch_norm(x, mean, var, weight, lib.zeros(3), training)
        return out, [mean, var, weight]

    return run


def function(name: str, *args: Any, **kwargs: Any) -> Callable:
    """`nn.functional.name(x, *args)` of which nothing but values and indices can be written."""
    return lambda lib, x: pair(getattr(lib.nn.functional, name)(x, *args, **kwargs))


def alone(call: Callable) -> Callable:
    """An operation with nothing else than x and the result."""
    return lambda lib, x: (call(lib, x), [])


def with_operands(make: Callable, call: Callable) -> Callable:
    """`call(lib, x, *operands)`, each operand of which may be written; `make(lib)` gives them."""

    def run(lib: ModuleType, x: Any) -> tuple[Any, list[Any]]:
        operands = make(lib)
        return call(lib, x, *operands), operands

    return run


def index_by(*keys: Callable) -> Callable:
    return with_operands(lambda lib: [key(lib) for key in keys], lambda lib, x, *key: x[key] * 2)


def set_item(*keys: Callable) -> Callable:
    def call(lib, x, values, *key):
        y = x * 1
        y[key] = values
        return y * y.detach()

    return with_operands(lambda lib: [lib.ones(1), *(key(lib) for key in keys)], call)


def rows(lib):
    return whole(lib, [2, 0])


def columns(lib):
    return whole(lib, [1, 1])


def square_mask(lib):
    return mask(lib, [[1, 0, 1], [0, 0, 1], [1, 1, 0]])


def row_mask(lib):
    return mask(lib, [1, 0, 1])


def loss(name: str, target: Callable, weight: bool = False, **kwargs: Any) -> Callable:
    def call(lib, x, given, weights=None):
        extra = {} if weights is None else {"weight": weights}
        x = x.sigmoid() if name == "binary_cross_entropy" else x
        return getattr(lib.nn.functional, name)(x, given, **extra, **kwargs)

    return with_operands(lambda lib: [target(lib), *([lib.arange(3) + 1.0] if weight else [])], call)


def labels(lib):
    return whole(lib, [2, 0, 1])


def probabilities(lib):
    return lib.ones(3, 3) / 3


ALONE = {
    name: lambda lib, x, name=name: getattr(x, name)()
    for name in (
        "abs", "amax", "atan", "cos", "erf", "exp", "expm1", "flatten", "max", "mean", "median", "min", "neg", "norm",
        "nansum", "prod", "reciprocal", "relu", "round", "sigmoid", "sign", "sin", "std", "square", "sum", "t", "tan",
        "tanh", "var",
    )
} | {
    name: lambda lib, x, name=name: getattr(lib.nn.functional, name)(x)
    for name in (
        "celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "logsigmoid", "mish", "relu6",
        "selu", "silu", "softplus", "softsign", "tanhshrink",
    )
    if hasattr(minicnn.nn.functional, name)
} | {
    "log": lambda lib, x: (x + 2).log(),
    "sqrt": lambda lib, x: (x + 2).sqrt(),
    "pow 3": lambda lib, x: x**3,
    "2 pow": lambda lib, x: 2**x,
    "clamp": lambda lib, x: x.clamp(-0.4, 0.6),
    "cumsum": lambda lib, x: x.cumsum(0),
    "softmax": lambda lib, x: x.softmax(1),
    "log_softmax": lambda lib, x: x.log_softmax(1),
    "logsumexp": lambda lib, x: x.logsumexp(1),
    "mul": lambda lib, x: x * x,
    "matmul": lambda lib, x: x @ x,
    "double": lambda lib, x: x.double(),
}  # fmt: skip
SQUARE, IMAGE = (3, 3), (2, 3, 4, 4)
TABLE: dict[str, tuple[tuple[int, ...], Callable]] = {
    "max_pool2d": (IMAGE, function("max_pool2d", 2, return_indices=True)),
    "adaptive_max_pool2d": (IMAGE, function("adaptive_max_pool2d", 2, return_indices=True)),
    "max": (SQUARE, lambda lib, x: pair(x.max(1))),
    "max keepdim": (SQUARE, lambda lib, x: pair(x.max(0, keepdim=True))),
    "min": (SQUARE, lambda lib, x: pair(x.min(1))),
    "median": (SQUARE, lambda lib, x: pair(x.median(1))),
    "max of a number": ((), lambda lib, x: pair(x.max(0))),
    "sort": (SQUARE, lambda lib, x: pair(x.sort(1))),
    "topk": (SQUARE, lambda lib, x: pair(x.topk(2, 1))),
    "gather": (SQUARE, with_operands(lambda lib: [square_mask(lib).long()], lambda lib, x, i: x.gather(1, i))),
    "take_along_dim": (
        SQUARE,
        with_operands(lambda lib: [square_mask(lib).long()], lambda lib, x, i: lib.take_along_dim(x, i, 0)),
    ),
    "index_select": (SQUARE, with_operands(lambda lib: [rows(lib)], lambda lib, x, i: x.index_select(1, i))),
    "masked_select": (SQUARE, with_operands(lambda lib: [square_mask(lib)], lambda lib, x, m: x.masked_select(m))),
    "masked_fill": (SQUARE, with_operands(lambda lib: [square_mask(lib)], lambda lib, x, m: x.masked_fill(m, 2.0))),
    "masked_fill broadcast": (
        SQUARE,
        with_operands(lambda lib: [row_mask(lib)], lambda lib, x, m: x.masked_fill(m, 2.0)),
    ),
    "masked_fill_": (
        SQUARE,
        with_operands(lambda lib: [square_mask(lib)], lambda lib, x, m: (x * 1).masked_fill_(m, 2.0)),
    ),
    "where": (SQUARE, with_operands(lambda lib: [square_mask(lib)], lambda lib, x, m: lib.where(m, x, x * 2))),
    "where with a number": (SQUARE, with_operands(lambda lib: [row_mask(lib)], lambda lib, x, m: lib.where(m, x, 0.0))),
    "scatter": (
        SQUARE,
        with_operands(
            lambda lib: [square_mask(lib).long(), lib.ones(3, 3)], lambda lib, x, i, src: x.scatter(1, i, src)
        ),
    ),
    "scatter of x": (
        SQUARE,
        with_operands(lambda lib: [square_mask(lib).long()], lambda lib, x, i: (x * 2).scatter(0, i, x)),
    ),
    "scatter a number": (
        SQUARE,
        with_operands(lambda lib: [square_mask(lib).long()], lambda lib, x, i: x.scatter(1, i, 2.0)),
    ),
    "scatter_": (
        SQUARE,
        with_operands(lambda lib: [square_mask(lib).long()], lambda lib, x, i: (x * 1).scatter_(1, i, 2.0)),
    ),
    "index": (SQUARE, index_by(rows)),
    "index twice": (SQUARE, index_by(rows, columns)),
    "index after a slice": (SQUARE, with_operands(lambda lib: [rows(lib)], lambda lib, x, i: x[1:, i] * 2)),
    "index by a mask": (SQUARE, index_by(square_mask)),
    "index by a row mask": (SQUARE, index_by(row_mask, rows)),
    "index by a 0-d index": (SQUARE, index_by(lambda lib: whole(lib, 1))),
    "set item": (SQUARE, set_item(rows)),
    "set item twice": (SQUARE, set_item(rows, columns)),
    "set item by a mask": (SQUARE, set_item(square_mask)),
    "set item to x": (
        SQUARE,
        with_operands(lambda lib: [rows(lib)], lambda lib, x, i: lib.zeros(3, 3).index_put_((i,), x[:2])),
    ),
    "index_put_ accumulate": (
        SQUARE,
        with_operands(lambda lib: [rows(lib)], lambda lib, x, i: (x * 1).index_put_((i,), x[:2] * 3, accumulate=True)),
    ),
    "cross_entropy": (SQUARE, loss("cross_entropy", labels)),
    "cross_entropy weighted": (SQUARE, loss("cross_entropy", labels, weight=True)),
    "cross_entropy sum, ignored": (SQUARE, loss("cross_entropy", labels, reduction="sum", ignore_index=0)),
    "cross_entropy of an image": (
        IMAGE,
        loss("cross_entropy", lambda lib: (lib.arange(32) % 3).reshape(2, 4, 4), reduction="none"),
    ),
    "cross_entropy smoothed": (SQUARE, loss("cross_entropy", labels, label_smoothing=0.2)),
    "cross_entropy of probabilities": (SQUARE, loss("cross_entropy", probabilities)),
    "cross_entropy of probabilities, weighted": (SQUARE, loss("cross_entropy", probabilities, weight=True)),
    "nll_loss": (SQUARE, loss("nll_loss", labels)),
    "nll_loss weighted": (SQUARE, loss("nll_loss", labels, weight=True)),
    "mse_loss": (SQUARE, loss("mse_loss", probabilities)),
    "l1_loss": (SQUARE, loss("l1_loss", probabilities)),
    "smooth_l1_loss": (SQUARE, loss("smooth_l1_loss", probabilities)),
    "huber_loss": (SQUARE, loss("huber_loss", probabilities)),
    "binary_cross_entropy": (SQUARE, loss("binary_cross_entropy", probabilities)),
    "binary_cross_entropy weighted": (SQUARE, loss("binary_cross_entropy", probabilities, weight=True)),
    "kl_div": (SQUARE, loss("kl_div", probabilities, reduction="batchmean")),
    "binary_cross_entropy_with_logits": (SQUARE, loss("binary_cross_entropy_with_logits", probabilities)),
    "binary_cross_entropy_with_logits weighted": (
        SQUARE,
        loss("binary_cross_entropy_with_logits", probabilities, weight=True),
    ),
    "binary_cross_entropy_with_logits pos_weight": (
        SQUARE,
        with_operands(
            lambda lib: [probabilities(lib), lib.ones(3) * 2],
            lambda lib, x, t, p: lib.nn.functional.binary_cross_entropy_with_logits(x, t, pos_weight=p),
        ),
    ),
    "batch_norm in evaluation": (IMAGE, batch_norm(False)),
    "batch_norm in training": (IMAGE, batch_norm(True)),
    "prelu": (IMAGE, with_operands(lambda lib: [lib.ones(3) / 4], lambda lib, x, w: lib.nn.functional.prelu(x, w))),
    "remainder": (SQUARE, with_operands(lambda lib: [lib.ones(3) * 2], lambda lib, x, y: x % y)),
    "mul by integers": (SQUARE, with_operands(lambda lib: [labels(lib)], lambda lib, x, y: x * y)),
    "mul by a mask": (SQUARE, with_operands(lambda lib: [square_mask(lib)], lambda lib, x, y: x * y)),
    "div by integers": (SQUARE, with_operands(lambda lib: [labels(lib) + 1], lambda lib, x, y: x / y)),
    "pow": (SQUARE, with_operands(lambda lib: [labels(lib) + 1], lambda lib, x, y: (x + 3) ** y)),
    "addcmul": (
        SQUARE,
        with_operands(lambda lib: [lib.ones(3), lib.ones(3) * 2], lambda lib, x, a, b: x.addcmul(a, b)),
    ),
    "lerp": (SQUARE, with_operands(lambda lib: [lib.ones(3, 3)], lambda lib, x, y: x.lerp(y, 0.3))),
    "clamp by tensors": (
        SQUARE,
        with_operands(lambda lib: [lib.zeros(3) + 0.1, lib.ones(3) - 0.1], lambda lib, x, a, b: x.clamp(a, b)),
    ),
    "maximum": (SQUARE, with_operands(lambda lib: [lib.zeros(3)], lambda lib, x, y: lib.maximum(x, y))),
    "grid_sample": (
        IMAGE,
        with_operands(
            lambda lib: [lib.ones(2, 2, 2, 2) / 3],
            lambda lib, x, g: lib.nn.functional.grid_sample(x, g, align_corners=False),
        ),
    ),
    "conv2d": (
        IMAGE,
        with_operands(
            lambda lib: [lib.ones(2, 3, 2, 2) / 3, lib.ones(2)], lambda lib, x, w, b: lib.nn.functional.conv2d(x, w, b)
        ),
    ),
    "linear": (
        SQUARE,
        with_operands(
            lambda lib: [lib.ones(2, 3) / 3, lib.ones(2)], lambda lib, x, w, b: lib.nn.functional.linear(x, w, b)
        ),
    ),
    "mm": (SQUARE, with_operands(lambda lib: [lib.ones(3, 2)], lambda lib, x, y: x @ y)),
    "mm of x": (SQUARE, with_operands(lambda lib: [lib.ones(2, 3)], lambda lib, x, y: y @ x)),
    "mv": (SQUARE, with_operands(lambda lib: [lib.ones(3)], lambda lib, x, y: x @ y)),
    "mv of x": (SQUARE, with_operands(lambda lib: [lib.ones(2, 3)], lambda lib, x, y: y @ x[0])),
    "dot": (SQUARE, with_operands(lambda lib: [lib.ones(3)], lambda lib, x, y: x[1] @ y)),
    "bmm": (SQUARE, with_operands(lambda lib: [lib.ones(1, 3, 2)], lambda lib, x, y: x[None] @ y)),
    "addcmul of x": (SQUARE, with_operands(lambda lib: [lib.ones(3)], lambda lib, x, a: a.addcmul(x, a))),
    "addcdiv": (
        SQUARE,
        with_operands(lambda lib: [lib.ones(3), lib.ones(3) * 2], lambda lib, x, a, b: x.addcdiv(a, b)),
    ),
    "addcdiv by x": (SQUARE, with_operands(lambda lib: [lib.ones(3)], lambda lib, x, a: a.addcdiv(a, x + 3))),
    "remainder by x": (SQUARE, with_operands(lambda lib: [lib.ones(3)], lambda lib, x, a: a % (x + 3))),
    **{name: (SQUARE, alone(call)) for name, call in ALONE.items()},
}


def written(build: Callable, shape: tuple[int, ...], which: Any) -> Callable:
    def scenario(lib, log):
        x = leaf(lib, *shape)
        out, operands = build(lib, x)
        with lib.no_grad():
            if which == "input":
                x.zero_()
            elif which == "result":
                out.zero_()
            elif which != "nothing":
                operands[which].zero_()
        (out * (lib.arange(out.numel()).reshape(out.shape) - 2.0)).sum().backward()
        log(x.grad)

    return scenario


def cases() -> list[tuple[str, Any]]:
    found = []
    for name, (shape, build) in TABLE.items():
        _, operands = build(torch, leaf(torch, *shape))
        whiches = ["nothing", "input", "result", *range(len(operands))]
        if name == "take_along_dim":
            whiches.remove("input")  # PyTorch names an expanded view of it
        found += [(name, which) for which in whiches]
    return found


@pytest.mark.parametrize(("name", "which"), one_of_each(cases(), of=lambda name, which: (operation(name), which)))
def test_written_between_forward_and_backward(name, which):
    shape, build = TABLE[name]
    assert_same(written(build, shape, which))


OF_TWO = {
    "mul": lambda lib, a, b: a * b,
    "div": lambda lib, a, b: a / b,
    "mm": lambda lib, a, b: a @ b,
    "bmm": lambda lib, a, b: a[None] @ b[None],
    "mv": lambda lib, a, b: a.mv(b[0]),
    "dot": lambda lib, a, b: a[0].dot(b[0]),
    "addmm": lambda lib, a, b: lib.addmm(lib.ones(2, 2), a, b),
    "addcmul": lambda lib, a, b: lib.addcmul(lib.ones(2, 2), a, b),
    "addcdiv": lambda lib, a, b: lib.addcdiv(lib.ones(2, 2), a, b),
    "pow": lambda lib, a, b: a**b,
    "maximum": lambda lib, a, b: lib.maximum(a, b),
    "clamp": lambda lib, a, b: a.clamp(b),
    "remainder": lambda lib, a, b: a % b,
    "outer": lambda lib, a, b: lib.outer(a[0], b[0]),
    "prelu": lambda lib, a, b: lib.nn.functional.prelu(a, b[0]),
    "conv2d": lambda lib, a, b: lib.nn.functional.conv2d(a[None, None], b[None, None]),
    "grid_sample": lambda lib, a, b: lib.nn.functional.grid_sample(a[None, None], b[None, None], align_corners=False),
    **{
        name: lambda lib, a, b, name=name: getattr(lib.nn.functional, name)(a, b)
        for name in ("linear", "mse_loss", "smooth_l1_loss", "huber_loss", "kl_div", "binary_cross_entropy_with_logits")
    },
}


RESULTS = {
    "norm": lambda lib, a: a.norm(),
    "std": lambda lib, a: a.std(),
    "amax": lambda lib, a: a.amax(0),
    "prod": lambda lib, a: a.prod(0),
    "logsumexp": lambda lib, a: a.logsumexp(0),
    "pow": lambda lib, a: a**a,
    "max_pool2d": lambda lib, a: lib.nn.functional.max_pool2d(a[None, None], 2),
}


@pytest.mark.parametrize("name", RESULTS)
def test_of_an_operand_and_a_result_that_were_written_it_is_the_operand(name):
    def scenario(lib, log):
        a = (leaf(lib, 2, 2) + 2) * 1
        out = RESULTS[name](lib, a)
        with lib.no_grad():
            a.mul_(2)
            a.mul_(2)
            out.mul_(2)
        try:
            out.sum().backward()
        except RuntimeError as error:
            log(str(error).partition("is at version")[2][:25])

    assert_same(scenario)


@pytest.mark.parametrize("other_way", [False, True])
@pytest.mark.parametrize("name", OF_TWO)
def test_of_two_that_were_written_the_same_is_complained_about(name, other_way):
    def scenario(lib, log):
        whole_tensor = (leaf(lib, 2, 2) + 2) * 1
        view, plain = whole_tensor.split(2)[0], (leaf(lib, 2, 2) + 2) * 1  # of the first the error says more
        out = OF_TWO[name](lib, *((plain, view) if other_way else (view, plain)))
        with lib.no_grad():
            whole_tensor.mul_(2)
            plain.mul_(2)
        try:
            out.sum().backward()
        except RuntimeError as error:
            log("multiple views" in str(error))

    assert_same(scenario)


# --- with pack hooks --------------------------------------------------------------------------------------------------


def rule_an_output_is_packed_when_it_is_in_place(torch, log):
    """The pack hook gets the written tensor itself, or a view of it; what is written later changes what was packed."""
    for write in ("relu_", "exp_", "sigmoid_", "tanh_", "sqrt_", "reciprocal_", "rsqrt_", "mul_"):
        for part in (False, True):
            packed, x = [], (torch.arange(4.0) + 0.5).requires_grad_()
            whole = x * 1
            y = whole[1:] if part else whole
            with torch.autograd.graph.saved_tensors_hooks(lambda t, packed=packed: packed.append(t) or t, lambda t: t):
                getattr(y, write)(*([y.detach().clone()] if write == "mul_" else []))
            names = [(t is y, t.grad_fn and t.grad_fn.name(), t._version, t.data_ptr() == y.data_ptr()) for t in packed]
            log(write, part, names)
            whole.add_(1)
            log(packed)
            attempt(log, whole.sum().backward)
            log(x.grad)


def rule_a_pack_hook_that_raises_in_place(torch, log):
    """By then the tensor has been written, and is in the graph, if it is the result that is packed."""

    def fail(tensor):
        raise KeyError("pack")

    for write in ("relu_", "exp_", "sin_"):
        x = (torch.arange(4.0) - 1.5).requires_grad_()
        y = x * 1
        with torch.autograd.graph.saved_tensors_hooks(fail, lambda packed: packed):
            attempt(log, getattr(y, write))
        log(write, y, y.grad_fn.name(), y._version)


def rule_a_view_without_a_place_in_the_graph(torch, log):
    """A view that was made under `no_grad` of a leaf requires grad as the leaf does, also where hooks packed it."""
    for pack in (lambda t: t, lambda t: t.detach(), lambda t: t.clone()):
        x = (torch.arange(6.0) - 1.5).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed), torch.no_grad():
            views = [x.view(2, 3), x.view(2, 3).view(6), x.detach(), x * 2]
        for view in views:
            with torch.autograd.graph.saved_tensors_hooks(pack, lambda packed: packed):
                y = x * view.view(6)
            (grad,) = torch.autograd.grad(y.sum(), x, create_graph=True)
            log(grad, grad.requires_grad, grad.grad_fn and grad.grad_fn.name())


@pytest.mark.parametrize("rule", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(rule):
    assert_same(rule)
