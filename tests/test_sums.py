"""Long sums keep their small terms: against float64, no error is above PyTorch's (or the last digit of the result)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn
from minicnn import kernels

pytestmark = pytest.mark.slow  # sums of millions of terms

N = 2_000_000

REDUCTIONS = {
    "sum": lambda lib, x, dim: x.sum(dim),
    "nansum": lambda lib, x, dim: lib.nansum(x, dim),
    "mean": lambda lib, x, dim: x.mean(dim),
    "var": lambda lib, x, dim: x.var(dim),
    "std": lambda lib, x, dim: x.std(dim),
    "norm": lambda lib, x, dim: x.norm(2, dim),
    "norm 1": lambda lib, x, dim: x.norm(1, dim),
    "norm 3": lambda lib, x, dim: x.norm(3, dim),
    "logsumexp": lambda lib, x, dim: x.logsumexp(dim),
    "log_softmax": lambda lib, x, dim: x.log_softmax(dim),
    "softmax": lambda lib, x, dim: x.softmax(dim),
    "cumsum": lambda lib, x, dim: x.cumsum(dim),
    "prod": lambda lib, x, dim: (0.9999999 + x * 2e-7).prod(dim),
    "count": lambda lib, x, dim: (x > 0.5).sum(dim),
}


def no_worse(ours, theirs, exact, name=""):
    """The largest error is not above PyTorch's, or half of what the last digit is worth (a little more: it is rounded twice)."""
    ours, theirs = (np.asarray(t.detach().numpy(), np.float64) for t in (ours, theirs))
    last_digit = np.abs(np.spacing(np.asarray(exact, np.float32)).astype(np.float64)).max()
    mine, other = np.abs(ours - exact).max(), np.abs(theirs - exact).max()
    assert mine <= max(other, last_digit), (
        f"{name}: error {mine:.3g}, PyTorch's {other:.3g}, the last digit {last_digit:.3g}"
    )


def positive(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.mark.parametrize("layout", ["leading", "trailing", "strided"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in ("sum", "var"))) for name in REDUCTIONS]
)
def test_reductions(name, layout):
    array = positive(N, 3) if layout != "trailing" else positive(3, N)
    dim = 0 if layout != "trailing" else 1
    a, b = minicnn.tensor(array), torch.from_numpy(array)
    if layout == "strided":  # a view with holes
        a, b = a[:, ::2], b[:, ::2]
    reduce = REDUCTIONS[name]
    exact = reduce(torch, b.double(), dim).numpy()
    no_worse(reduce(minicnn, a, dim), reduce(torch, b, dim), exact, name)


@pytest.mark.parametrize("dims", [(0, 1, 2), (0, 2), (0, 3), (1, 2, 3), (0, 1, 2, 3), (2,)])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 2, 1, 0)])
def test_several_axes_in_any_memory_order(dims, order):
    array = positive(300, 50, 40, 3).transpose(order)
    exact = array.astype(np.float64).sum(dims)
    no_worse(minicnn.from_numpy(array).sum(dims), torch.from_numpy(array).sum(dims), exact)


@pytest.mark.slow
def test_the_sums_of_twenty_million_terms():
    ones = minicnn.ones(20_000_000, 2)
    assert ones.sum(0).tolist() == [2e7, 2e7]
    assert ones.mean(0).tolist() == [1, 1]
    assert ones[:, 0].cumsum(0)[-1].item() == 2e7
    assert ones.expand(3, *ones.shape).sum((0, 1)).tolist() == [6e7, 6e7]


def test_half_precision_is_added_up_in_single():
    ones, theirs = minicnn.ones(70000, dtype=minicnn.float16), torch.ones(70000, dtype=torch.float16)
    assert ones.mean().item() == theirs.mean().item() == 1
    assert ones.sum().item() == theirs.sum().item() == np.inf  # no float16 is that large
    assert ones[:40000].cumsum(0)[-1].item() == 40000
    x = minicnn.full((70000,), 300.0, dtype=minicnn.float16)  # whose squares are too large
    y = torch.full((70000,), 300.0, dtype=torch.float16)
    x[::2], y[::2] = 100, 100
    for name in ("std", "var", "norm"):
        assert getattr(x, name)().item() == pytest.approx(getattr(y, name)().item(), rel=1e-3)
    x.requires_grad_(), y.requires_grad_()
    for reduce in (lambda t: t.mean(), lambda t: t.std()):
        for t in (x, y):
            t.grad = None
            (reduce(t) * 1000).backward()
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=2e-3, atol=1e-6)


def test_numbers_whose_squares_leave_the_range():
    for scale in (1e25, 1e-25):
        x = positive(1000, 3) * np.float32(scale)
        for name in ("std", "norm"):
            ours, theirs = (getattr(t, name)(dim=0).numpy() for t in (minicnn.tensor(x), torch.from_numpy(x)))
            exact = getattr(torch.from_numpy(x).double(), name)(dim=0).numpy()
            np.testing.assert_allclose(ours, exact, rtol=1e-6)
            assert name == "norm" or np.allclose(theirs, exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize("kind", ["batch", "instance"])
def test_running_statistics(kind):
    array = positive(262144, 8) + 100
    names = {"batch": "BatchNorm1d", "instance": "InstanceNorm2d"}
    if kind == "instance":
        array = np.ascontiguousarray(array.T).reshape(1, 8, 512, 512)
    results = []
    for lib, x in ((minicnn, minicnn.tensor(array)), (torch, torch.from_numpy(array))):
        layer = getattr(lib.nn, names[kind])(8, track_running_stats=True)
        layer(x)
        results.append((layer.running_mean, layer.running_var))
    wide, axis = array.astype(np.float64), 0 if kind == "batch" else (0, 2, 3)
    no_worse(results[0][0], results[1][0], 0.1 * wide.mean(axis), "running mean")
    no_worse(results[0][1], results[1][1], 0.9 + 0.1 * wide.var(axis, ddof=1), "running variance")


@pytest.mark.parametrize(
    "shape, k", [((16, 1, 224, 224), 1), ((2, 1, 512, 2048), 3), ((1, 1, 3, 60000), 3), ((3000, 2, 7, 7), 3)]
)
@pytest.mark.parametrize("kernel", ["fast", "im2col"])
def test_gradients_of_weight_and_bias(shape, k, kernel):
    x, g, p = positive(*shape), positive(*shape, seed=1), k // 2
    weight = np.zeros((shape[1], shape[1], k, k), np.float32)
    results = []
    for lib in (minicnn, torch):
        tensors = [lib.tensor(a).requires_grad_() for a in (x, weight, weight[:, 0, 0, 0])]
        with kernels.use(kernel):
            lib.nn.functional.conv2d(*tensors, padding=p).backward(lib.tensor(g))
        results.append([t.grad for t in tensors[1:]])
    padded, wide = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))).astype(np.float64), g.astype(np.float64)
    exact = np.zeros(weight.shape)
    for i in range(k):
        for j in range(k):
            exact[:, :, i, j] = np.einsum("nohw,nchw->oc", wide, padded[:, :, i : i + shape[2], j : j + shape[3]])
    for ours, theirs, want in zip(*results, (exact, wide.sum((0, 2, 3))), strict=True):
        error, other = (np.abs(t.numpy() / want - 1).max() for t in (ours, theirs))
        assert error <= max(other, 3e-7)


def test_gradients_of_linear_layers_and_of_broadcasting():
    x, g = positive(N, 3), positive(N, 2, seed=1)
    results = []
    for lib in (minicnn, torch):
        layer = lib.nn.Linear(3, 2)
        (layer(lib.tensor(x)) * lib.tensor(g)).sum().backward()
        row = lib.zeros(2).requires_grad_()
        (row * lib.tensor(g)).sum().backward()
        results.append([layer.weight.grad, layer.bias.grad, row.grad])
    wide = g.astype(np.float64)
    for ours, theirs, exact in zip(*results, (wide.T @ x.astype(np.float64), wide.sum(0), wide.sum(0)), strict=True):
        no_worse(ours, theirs, exact)


@pytest.mark.parametrize("m, n", [(1, 1), (1, 40), (3, 2), (20, 3), (20, 70)])
def test_products_of_many_terms(m, n):
    a, b = positive(m, 200_000), positive(200_000, n, seed=1)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    error = np.abs(kernels.get("matmul")(a, b) / exact - 1).max()
    assert error <= max(np.abs((torch.from_numpy(a) @ torch.from_numpy(b)).numpy() / exact - 1).max(), 3e-7)


@pytest.mark.parametrize(
    "name",
    [
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "nll_loss",
    ],
)
@pytest.mark.parametrize("how", ["mean", "sum"])
def test_losses(name, how):
    a, b = positive(N, 1), positive(N, 1, seed=1)
    results = []
    for lib in (minicnn, torch):
        x, y = lib.tensor(a), lib.tensor(b)
        if name == "nll_loss":
            y = lib.zeros(N, dtype=lib.int64)
        results.append(getattr(lib.nn.functional, name)(x, y, reduction=how))
    wide = torch.from_numpy(a).double()
    target = torch.zeros(N, dtype=torch.int64) if name == "nll_loss" else torch.from_numpy(b).double()
    no_worse(*results, getattr(torch.nn.functional, name)(wide, target, reduction=how).numpy())


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # of float16, on the side of the test
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8, np.bool_, np.complex64])
def test_add_up_takes_every_layout(dtype):
    """Against sums of Python's, on shapes around the kernel's block sizes."""
    rng = np.random.default_rng(0)
    shapes = [
        (),
        (0,),
        (3, 0),
        (5,),
        (4097,),
        (300, 17),
        (17, 300),
        (2, 3, 1000),
        (1000, 3, 2),
        (9, 1, 7, 1, 90),
        (70, 1, 70),
    ]
    for shape in shapes:
        x = np.asarray(rng.random(shape) * 9).astype(dtype)
        views = [x, x.T, np.broadcast_to(x, (3, *shape)), *([x[::-1], x[..., ::2]] if shape else [])]
        for view in views:
            for axes in {(), tuple(range(view.ndim)), tuple(range(view.ndim))[:1], tuple(range(view.ndim))[::2]}:
                for keepdims in (False, True):
                    got = kernels.add_up(view, axes, keepdims)
                    wide = view.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
                    want = wide.sum(axis=axes, keepdims=keepdims).astype(np.int64 if x.dtype.kind in "biu" else dtype)
                    assert got.shape == want.shape and got.dtype == want.dtype
                    np.testing.assert_allclose(got, want, rtol=1e-6 if x.dtype != np.float64 else 1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_fast_sum_is_the_loops_sum(dtype):
    x = np.random.default_rng(0).standard_normal((3, 70, 5, 9)).astype(dtype)
    for axes in [(0,), (1, 3), (0, 2), (0, 1, 2, 3)]:
        fast = kernels.add_up(x, axes, dtype=np.float64)
        with kernels.use("reference"):
            np.testing.assert_allclose(fast, kernels.add_up(x, axes, dtype=np.float64), rtol=1e-12, atol=1e-12)
