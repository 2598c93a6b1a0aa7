"""Writing in place against torch: the version of a saved tensor, and the error when it was written since."""

from __future__ import annotations

import pytest
from compare import same, same_error

import minicnn


def leaf_of(lib, *shape):
    return lib.ones(*shape, requires_grad=True)


def leaf(lib, values=(1.0, 2.0, 3.0)):
    return lib.tensor(list(values), dtype=lib.float64, requires_grad=True)


WRITTEN = {
    "exp saves its output": lambda lib, x: (lambda y: (y, y.mul_(2), y.sum())[2])(x.exp()),
    "mul saves its inputs": lambda lib, x: (lambda y: (z := y * y, y.add_(1), z.sum())[2])(x * 1),
    "mul by a constant": lambda lib, x: (lambda c: (z := x * c, c.add_(1), z.sum())[2])(lib.ones(3, dtype=lib.float64)),
    "twice": lambda lib, x: (lambda y: (z := y.sin(), y.add_(1), y.add_(1), z.sum())[3])(x * 1),
    "through a view": lambda lib, x: (lambda y: (z := y * y, y[0].zero_(), z.sum())[2])(x * 1),
    "through set item": lambda lib, x: (lambda y: (z := y.exp(), z.__setitem__(0, 1.0), z.sum())[2])(x * 1),
    "the base of a saved view": lambda lib, x: (lambda y: (z := y[1:].cos(), y.zero_(), z.sum())[2])(x * 1),
    "sigmoid": lambda lib, x: (lambda y: (y, y.add_(1), y.sum())[2])(x.sigmoid()),
    "relu, then in place": lambda lib, x: (lambda y: (y, y.add_(1), y.sum())[2])(x.relu()),
    "softmax": lambda lib, x: (lambda y: (y, y.add_(1), y.sum())[2])(x.softmax(0)),
    "weight of a matmul": lambda lib, x: (lambda w: (z := x @ w, w.fill_(0), z)[2])(lib.ones(3, dtype=lib.float64)),
    "weight of a convolution": lambda lib, x: written_weight(lib),
    "max": lambda lib, x: (lambda y: (z := y.max(), y.add_(1), z)[2])(x * 1),
    "std": lambda lib, x: (lambda y: (z := y.std(), y.add_(1), z)[2])(x * 1),
}


def written_weight(lib):
    image, weight = leaf_of(lib, 1, 1, 3, 3), leaf_of(lib, 1, 1, 2, 2)
    y = lib.nn.functional.conv2d(image, weight)
    with lib.no_grad():
        weight.add_(1)
    return y.sum()


@pytest.mark.parametrize("build", WRITTEN.values(), ids=WRITTEN.keys())
def test_writing_a_saved_tensor(build):
    same_error(lambda lib: build(lib, leaf(lib)).backward())


def test_writes_that_do_no_harm():
    def grads(lib):
        x = leaf(lib)
        y = x * 2
        z = y + 1
        y.mul_(5)  # an addition saves nothing
        kept = x.exp()
        kept.data.mul_(1)  # data has a version of its own
        relu = x.relu()
        (z + y + kept + relu).sum().backward()
        return [round(v, 9) for v in x.grad.tolist()]

    same(grads)


def test_saved_tensors_are_visible():
    class Product(minicnn.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save_for_backward(a, b)
            return a * b

        @staticmethod
        def backward(ctx, grad):
            a, b = ctx.saved_tensors
            return grad * b, grad * a

    x, w = leaf(minicnn), leaf(minicnn)
    y = Product.apply(x, w)
    saved = y.grad_fn.saved_tensors
    assert saved[0] is x
    assert saved[1] is w
    built_in = x.exp()
    assert built_in.grad_fn.saved_tensors[0].tolist() == built_in.tolist()
    y.sum().backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        _ = y.grad_fn.saved_tensors


PARTS = {
    "all": lambda y: y,
    "rows": lambda y: y[1:],
    "columns": lambda y: y[:, 1:],
    "transposed": lambda y: y.t(),
    "one element": lambda y: y[0, 0],
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_relu_in_the_memory_of_its_tensor(part):
    def observed(lib):
        x = lib.tensor([[-1.0, 2.0, 0.0], [3.0, -4.0, float("nan")]], requires_grad=True)
        y = x * 2
        place = y.data_ptr()
        part(y).relu_()
        y.sum().backward()
        return str(y.tolist()), y.data_ptr() == place, y._version, type(y.grad_fn).__name__, str(x.grad.tolist())

    assert same(observed)[1]


def test_relu_of_shared_memory_is_refused_and_writes_nothing():
    def call(lib, x):
        try:
            x.expand(2, 3).relu_()
        finally:
            assert x.tolist() == [-1, 2, -3]

    same_error(lambda lib: call(lib, lib.tensor([-1.0, 2.0, -3.0])))
