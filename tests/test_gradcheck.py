"""`gradcheck` accepts right gradients, refuses wrong ones, and puts its inputs back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from compare import error_of

import minicnn
from minicnn.autograd import gradcheck
from minicnn.autograd.gradcheck import GradcheckError
from minicnn.nn import functional as F


def leaf(*shape, seed=0):
    return minicnn.from_numpy(np.random.default_rng(seed).standard_normal(shape)).requires_grad_()


class WrongSquare(minicnn.autograd.Function):
    """x squared, with a gradient that is `factor` times the right one."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return ctx.factor * 2 * x * grad, None


CHECKED = {
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1, dilation=2, groups=2),
        [(2, 4, 7, 8), (6, 2, 3, 3), (6,)],
    ),
    "conv2d 3x3": (lambda x, w: F.conv2d(x, w, padding=1), [(2, 8, 12, 12), (8, 8, 3, 3)]),
    "conv2d 5x5": (lambda x, w: F.conv2d(x, w, padding=2), [(2, 3, 12, 12), (4, 3, 5, 5)]),
    "conv_transpose2d": (lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1), [(2, 4, 5, 4), (4, 3, 4, 3)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 3, 2, padding=1), [(2, 3, 7, 8)]),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, padding=1, ceil_mode=True), [(2, 3, 7, 8)]),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), [(2, 3, 7, 8)]),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"), [(2, 3, 5, 4)]),
    "grid_sample": (lambda x, g: F.grid_sample(x, g.tanh(), align_corners=False), [(2, 3, 5, 4), (2, 3, 3, 2)]),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), [(4, 3, 5, 4), (3,), (3,)]),
    "cross_entropy": (lambda x: F.cross_entropy(x, minicnn.tensor([0, 2, 1])), [(3, 4)]),
    "softmax": (lambda x: F.softmax(x, 1), [(3, 4)]),
    "linear": (F.linear, [(3, 4), (5, 4), (5,)]),
    "matmul": (lambda x, y: x @ y, [(2, 3, 4), (4, 5)]),
    "broadcasting": (lambda x, y: x * y / (1 + y * y), [(3, 1), (1, 4)]),
    "two outputs": (lambda x: (x.exp(), x.sin().sum()), [(3, 4)]),
    "in place on a view": (lambda x: _in_place_on_a_view(x), [(3, 4)]),
    "std": (lambda x: x.std(1), [(3, 4)]),
    "norm": (lambda x: x.norm(dim=0), [(3, 4)]),
    "prod": (lambda x: x.prod(1), [(3, 4)]),
    "logsumexp": (lambda x: x.logsumexp(1), [(3, 4)]),
}


def _in_place_on_a_view(x):
    y = x * 1
    y[1:].mul_(x[0])
    return y


@pytest.mark.slow
@pytest.mark.parametrize("case", CHECKED.values(), ids=CHECKED.keys())
def test_right_gradients(case):
    function, shapes = case
    assert gradcheck(function, [leaf(*shape, seed=i) for i, shape in enumerate(shapes)])


@pytest.mark.parametrize("factor", [-1, 0, 0.99, 1.01, 2])
def test_wrong_gradients(factor):
    x = leaf(3, 4)
    with pytest.raises(GradcheckError, match="Jacobian mismatch for output 0 with respect to input 0,\nnumerical:"):
        gradcheck(WrongSquare.apply, (x, factor))
    assert gradcheck(WrongSquare.apply, (x, factor), raise_exception=False) is False
    assert gradcheck(WrongSquare.apply, (x, 1)) is True


def test_the_pair_that_is_wrong_is_named():
    with pytest.raises(GradcheckError, match="for output 1 with respect to input 2"):
        gradcheck(lambda x, n, y: (x * y, WrongSquare.apply(y, 3) + x), (leaf(3), 5, leaf(3, seed=1)))


def test_missing_gradient_is_wrong():
    x, y = leaf(3), leaf(3, seed=1)
    with pytest.raises(GradcheckError, match="with respect to input 1"):
        gradcheck(lambda x, y: x * y.detach(), (x, y))
    with pytest.raises(GradcheckError, match="Numerical gradient for function expected to be zero"):
        gradcheck(lambda x: x.detach() * 2, x)
    assert gradcheck(lambda x: (x * 2, (x > 0).long()), x)


def test_nan_is_wrong():
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: WrongSquare.apply(x, float("nan")), leaf(3))


def test_inputs_come_back_and_keep_their_gradients():
    x = leaf(3, 4)
    before = x.tolist()
    gradcheck(lambda x: x.exp(), x)
    assert x.tolist() == before
    assert x.grad is None

    def fails(x):
        if (x.detach().numpy() != np.array(before)).any():
            raise KeyError("away from the start")
        return x

    with pytest.raises(KeyError):
        gradcheck(fails, x)
    assert x.tolist() == before


def test_parameters_of_a_module():
    module = minicnn.nn.Conv2d(2, 3, 3, padding=1).double()
    image = leaf(1, 2, 5, 5)
    assert gradcheck(lambda *_: module(image), tuple(module.parameters()))


def test_float32_warns_and_no_gradient_is_an_error():
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        gradcheck(lambda x: x * 2, minicnn.ones(2, requires_grad=True), raise_exception=False)
    ours = error_of(gradcheck, lambda x: x, minicnn.ones(2))
    assert ours == error_of(torch.autograd.gradcheck, lambda x: x, torch.ones(2))
    expanded = (minicnn.from_numpy(np.ones(1)).expand(3)).requires_grad_()
    theirs = torch.ones(1, dtype=torch.float64).expand(3).requires_grad_()
    assert error_of(gradcheck, lambda x: x * 2, expanded) == error_of(torch.autograd.gradcheck, lambda x: x * 2, theirs)
