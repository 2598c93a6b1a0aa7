"""Where the kernels are exact: zeros, infinity, windows without a pixel, nothing in the batch; and what they keep between calls."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from quick import one_of_each

import minicnn
from minicnn import kernels, viz
from minicnn.kernels.fast import weight_gradient, winograd

SAME = (1, 1), (1, 1), (1, 1), 1  # stride, padding, dilation, groups


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


# --- what Winograd's algorithm mixes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["forward", "grad_input"])
def test_one_large_pixel_stays_in_its_field(operation):
    x, weight = normal(1, 64, 40, 40), normal(64, 64, 3, 3, seed=1)
    assert kernels.explain(x.shape, weight.shape, padding=(1, 1), operation=operation) == "winograd"

    def compute(array):
        if operation == "forward":
            return kernels.get("conv2d")(array, weight, None, *SAME)
        return kernels.get("conv2d_grad_input")(array, weight, array.shape, *SAME)

    with kernels.use("direct"):
        expected = compute(x)
    for size in (1e6, 1e30):
        x[0, 5, 10, 10] = size
        out = compute(x)
        out[0, :, 9:12, 9:12] = expected[0, :, 9:12, 9:12]  # what sees the pixel
        np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_gradient_of_one_unit_is_zero_outside_of_its_field():
    conv = minicnn.nn.Conv2d(64, 64, 3, padding=1)
    x = minicnn.from_numpy(normal(1, 64, 40, 40)).requires_grad_()
    conv(x)[0, 3, 10, 10].backward()
    outside = x.grad.numpy().copy()
    outside[:, :, 9:12, 9:12] = 0
    assert not outside.any()


@pytest.mark.parametrize("depth", [2, 3])
def test_exact_leaves_winograd_out(depth):
    """Behind the first layer the gradient is spread too evenly to be noticed."""
    net = minicnn.nn.Sequential(*(minicnn.nn.Conv2d(128, 128, 3, padding=1) for _ in range(depth)))
    found = {}
    for name, context in (("fast", contextlib.nullcontext), ("exact", kernels.exact)):
        x = minicnn.from_numpy(normal(1, 128, 28, 28)).requires_grad_()
        with context():
            net(x)[0, :, 12, 12].sum().backward()
        outside = x.grad.numpy().copy()
        outside[:, :, 12 - depth : 13 + depth, 12 - depth : 13 + depth] = 0
        found[name] = np.abs(outside).max()
    assert found["exact"] == 0 < found["fast"]


def test_exact_keeps_what_is_exact():
    for name, inside in (
        ("fast", "direct"),
        ("winograd", "direct"),
        ("im2col", "im2col"),
        ("reference", "reference"),
    ):
        with kernels.use(name):
            with kernels.exact():
                assert kernels.current() == inside
            assert kernels.current() == name


@pytest.mark.parametrize("k", [3, 5])
def test_the_bound_on_winograds_error(k):
    """|error| <= ERROR max|x| sum|w|, a sixteenth of it for kernels of many weights, whatever the magnitudes; and
    max|x| <= EVEN mean|x|, or it is not used at all."""
    rng = np.random.default_rng(0)
    usual = winograd.ERROR / 16
    for scale in (0, 1, 2, 6):
        x = (normal(2, 32, 20, 20) * 10 ** rng.uniform(-scale, scale, (2, 32, 20, 20))).astype(np.float32)
        weight = (normal(32, 32, k, k) * 10 ** rng.uniform(-scale, scale, (32, 32, k, k))).astype(np.float32)
        exact = kernels.get("conv2d")(x.astype(np.float64), weight.astype(np.float64), None, *SAME)
        total = np.abs(weight.astype(np.float64)).sum((1, 2, 3))[:, None, None]
        raw = winograd.convolve(x, weight, (1, 1), None)
        assert raw is not None
        assert (np.abs(raw - exact) <= usual * np.abs(x).max((1, 2, 3), keepdims=True) * total).all()
        with kernels.use("winograd"):
            used = kernels.get("conv2d")(x, weight, None, *SAME)
        mean = np.abs(x).mean((1, 2, 3), keepdims=True)
        assert (np.abs(used - exact) <= usual * winograd.EVEN * mean * total).all()
    largest = 0
    for place in np.ndindex(k, k):
        x = rng.choice((-1, 1), (1, 1, 26, 26)) * rng.uniform(0.99, 1, (1, 1, 26, 26)).astype(np.float32)
        weight = np.zeros((1, 1, k, k), np.float32)
        weight[0, 0][place] = rng.uniform(1, 2)
        exact = kernels.get("conv2d")(x.astype(np.float64), weight.astype(np.float64), None, *SAME)
        raw = winograd.convolve(x.astype(np.float32), weight, (1, 1), None)
        largest = max(largest, np.abs(raw - exact).max() / np.abs(x).max() / weight.sum())
    assert usual < largest < winograd.ERROR  # a single weight


def test_what_is_even():
    x = np.ones((3, 4, 30, 30), np.float32)
    assert (
        winograd.is_even(x)
        and winograd.is_even(np.zeros_like(x))
        and winograd.is_even(x * np.float32([[[[1e6]]], [[[1]]], [[[1e-6]]]]))
    )
    assert not winograd.is_even(x * np.float32(1e-40))
    for value in (1e6, -1e6, np.inf, np.nan):
        x[1, 2, 3, 4] = value
        assert not winograd.is_even(x)


def test_occlusion_far_from_a_unit_changes_nothing():
    net = minicnn.nn.Sequential(minicnn.nn.Conv2d(3, 64, 3, padding=1), minicnn.nn.Conv2d(64, 64, 3, padding=1))

    class Corner(minicnn.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net(x)[:, :, 0, 0]

    found = viz.occlusion(Corner(), minicnn.from_numpy(normal(1, 3, 24, 24)), 5, window=4, stride=4)[0]
    assert found[0, 0] != 0 and not found[4:].any() and not found[:, 4:].any()


# --- NaN and infinity ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["reference", "fast", "direct", "winograd", "im2col"])
@pytest.mark.parametrize("geometry", [(1, 1, 1, 1), (2, 1, 1, 1), (1, 2, 2, 1), (2, 1, 2, 2)])
@pytest.mark.parametrize("which", ["x", "weight", "grad"])
@pytest.mark.parametrize("value", one_of_each([np.inf, np.nan], of=lambda value: "not finite"))
def test_infinity_and_nan_are_where_pytorch_has_them(kernel, geometry, which, value):
    """In float64, which PyTorch computes without oneDNN: the padding counts as zeros, and infinity times zero is NaN."""
    stride, padding, dilation, groups = geometry
    arrays = {"x": np.abs(normal(2, 4, 8, 8)), "weight": np.abs(normal(4, 4 // groups, 3, 3)) + 1}
    size = torch.nn.functional.conv2d(*map(torch.from_numpy, arrays.values()), None, *geometry).shape
    arrays["grad"] = np.abs(normal(*size)) + 1
    arrays[which][0, 0, 0, 0] = value
    results = []
    for lib, kind in ((minicnn, np.float32), (torch, np.float64)):
        x, weight, grad = (lib.from_numpy(a.astype(kind)) for a in arrays.values())
        x.requires_grad_(), weight.requires_grad_()
        with kernels.use(kernel):
            y = lib.nn.functional.conv2d(x, weight, None, stride, padding, dilation, groups)
            y.backward(grad)
        results.append([t.numpy() for t in (y.detach(), x.grad, weight.grad)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, equal_nan=True)


def test_resizing_hands_infinity_to_its_own_pixels_only():
    for mode in ("nearest", "bilinear"):
        grads = []
        for lib in (minicnn, torch):
            x = lib.zeros(1, 1, 4, 4).requires_grad_()
            y = lib.nn.functional.interpolate(x, size=(7, 9), mode=mode)
            grad = np.ones(tuple(y.shape), np.float32)
            grad[0, 0, 0, 0] = np.inf
            y.backward(lib.from_numpy(grad))
            grads.append(x.grad.numpy())
        np.testing.assert_allclose(*grads, rtol=1e-5)


# --- windows without a pixel, nothing in the batch ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, kernel, padding, dilation",
    [((1, 1), (2, 2), (2, 2), (3, 3)), ((5, 1), (2, 2), (0, 2), (1, 3)), ((2, 9), (2, 3), (3, 1), (5, 2))],
)
def test_a_window_of_padding_alone(shape, kernel, padding, dilation):
    """Minus infinity, nowhere; and no gradient, in particular not for the first pixel of the next row."""
    x = normal(2, 3, *shape)
    found = []
    for which in ("fast", "reference"):
        with kernels.use(which):
            out, indices = kernels.get("max_pool2d")(x, kernel, (1, 1), padding, dilation, False)
            found.append((out, indices, kernels.get("max_pool2d_grad")(np.ones_like(out), indices, x.shape)))
    for fast, loops in zip(*found, strict=True):
        np.testing.assert_array_equal(fast, loops)
    out, indices, grad = found[0]
    assert np.isneginf(out).any() and np.array_equal(np.isneginf(out), indices == -1)
    assert grad.sum() == np.isfinite(out).sum()


@pytest.mark.parametrize("kernel", ["fast", "reference"])
@pytest.mark.parametrize("name", ["max_pool2d", "adaptive_max_pool2d", "avg_pool2d", "adaptive_avg_pool2d"])
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (0, 3, 5, 2)])
def test_pooling_of_nothing(kernel, name, shape):
    with kernels.use(kernel):
        results = []
        for lib in (minicnn, torch):
            x = lib.zeros(*shape).requires_grad_()
            y = getattr(lib.nn.functional, name)(x, 2)
            y.sum().backward()
            results.append((tuple(y.shape), tuple(x.grad.shape)))
    assert results[0] == results[1]


@pytest.mark.parametrize("kernel", ["fast", "direct", "im2col", "reference"])
@pytest.mark.parametrize(
    "stride, padding, extra, dilation", [(1, 0, 1, 2), (2, 1, 2, 3), (2, 0, 3, 4), (1, 2, 1, 2), (3, 1, 4, 5)]
)
def test_output_padding_of_a_stride_or_more(kernel, stride, padding, extra, dilation):
    results = []
    for lib in (minicnn, torch):
        x, weight, bias = (
            lib.from_numpy(normal(*s).astype(np.float64)).requires_grad_() for s in ((2, 4, 5, 6), (4, 3, 3, 3), (6,))
        )
        with kernels.use(kernel):
            y = lib.nn.functional.conv_transpose2d(x, weight, bias, stride, padding, extra, 2, dilation)
            y.backward(lib.from_numpy(normal(*y.shape, seed=1).astype(np.float64)))
        results.append([t.detach().numpy() for t in (y, x.grad, weight.grad, bias.grad)])
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_conv_transpose2d_refuses_as_pytorch_does():
    for shape, bias, padding in (
        ((1, 1, 1, 1), None, 2),
        ((1, 1, 1, 3), None, 1),
        ((1, 1, 3, 3), (2,), 0),
        ((1, 1, 3, 3), (), 0),
    ):
        texts = []
        for lib in (minicnn, torch):
            arguments = lib.zeros(*shape), lib.zeros(1, 1, 2, 2), None if bias is None else lib.zeros(bias)
            with pytest.raises(RuntimeError) as error:
                lib.nn.functional.conv_transpose2d(*arguments, padding=padding)
            texts.append(str(error.value))
        assert texts[0] == texts[1]
    empty = minicnn.nn.functional.conv_transpose2d(minicnn.zeros(0, 1, 1, 3), minicnn.zeros(1, 1, 2, 2), padding=1)
    assert tuple(empty.shape) == (0, 1, 0, 2)


# --- what is kept between calls, and by whom ----------------------------------------------------------------------------


def test_the_switch_is_a_threads_own():
    seen, inside, go = {}, threading.Event(), threading.Event()

    def work():
        seen["at first"] = kernels.current()
        with kernels.use("im2col"):
            inside.set()
            go.wait(10)
            seen["inside"] = kernels.current(), kernels.explain((1, 3, 8, 8), (4, 3, 3, 3))
        seen["after"] = kernels.current()

    with kernels.use("reference"):
        thread = threading.Thread(target=work)
        thread.start()
        inside.wait(10)
        assert kernels.current() == kernels.explain((1, 3, 8, 8), (4, 3, 3, 3)) == "reference"
        go.set()
        thread.join()
    assert seen == {"at first": "fast", "inside": ("im2col", "im2col"), "after": "fast"}
    assert kernels.current() == "fast"


def test_the_weight_gradients_layouts_are_small():
    weight_gradient._layout.cache_clear()
    for size in range(16, 146):
        x = np.ones((2, 3, size, size), np.float32)
        kernels.get("conv2d_grad_weight")(x[:, :2], x, (2, 3, 3, 3), *SAME)
    kept = weight_gradient._layout.cache_info()
    largest = weight_gradient._layout(64, 3000, 3, 1, 3000, 10**7, 3, 3, 3002, (1, 1), (1, 1))
    assert kept.currsize == kept.maxsize
    assert kept.maxsize * (largest.pixel_taps.nbytes + largest.grad_taps.nbytes) <= 2 * 2**20


@pytest.mark.slow
def test_an_edit_of_a_callees_file_is_noticed(tmp_path):
    """Machine code that is kept on disk holds that of the functions it calls, which may stand in another file."""
    shutil.copytree(
        Path(kernels.__file__).parent, tmp_path / "minicnn" / "kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / "minicnn" / "__init__.py").touch()
    code = (
        "import numpy as np; from minicnn import kernels; kernels.use('im2col')\n"
        "print(kernels.get('conv2d')(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), None, (1, 1), (0, 0), (1, 1), 1).sum())\n"
        "print(sum(kernels.fast.im2col._split.stats.cache_hits.values()))"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")}

    def run():
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert run() == ["4.0", "0"]
    assert run() == ["4.0", "1"]  # from the disk
    callee = tmp_path / "minicnn" / "kernels" / "fast" / "parallel.py"
    before = callee.read_text()
    assert before.count("target[j] = source[j]\n        elif SW == 2") == 1
    callee.write_text(
        before.replace("target[j] = source[j]\n        elif SW == 2", "target[j] = 2 * source[j]\n        elif SW == 2")
    )
    assert run() == ["8.0", "0"]


@pytest.mark.parametrize("name", ["direct", "fast", "im2col"])
def test_an_input_that_is_larger_than_what_its_windows_cover(name):
    """`output_padding` of the stride and more at a kernel of one pixel: the gradient's own memory ends before the output does."""
    rng = np.random.default_rng(0)
    x, weight = (
        rng.standard_normal((1, 9, 7, 7)).astype(np.float32),
        rng.standard_normal((9, 2, 1, 1)).astype(np.float32),
    )
    with kernels.use(name):
        out = minicnn.nn.functional.conv_transpose2d(
            minicnn.from_numpy(x), minicnn.from_numpy(weight), output_padding=(1, 2), dilation=(2, 4)
        )
    exact = torch.nn.functional.conv_transpose2d(
        *map(torch.from_numpy, (x, weight)), output_padding=(1, 2), dilation=(2, 4)
    )
    assert out.shape == (1, 2, 8, 9)
    assert np.allclose(out.numpy(), exact.numpy(), rtol=1e-5, atol=1e-5)
    assert not out.numpy()[:, :, 7:].any() and not out.numpy()[:, :, :, 7:].any()


@pytest.mark.skipif(not kernels.parallel.keep_memory(), reason="the limits are glibc's, or the caller's")
@pytest.mark.parametrize("own", [{}, {"MALLOC_TRIM_THRESHOLD_": "131072"}], ids=["kept", "the caller's limits"])
def test_freed_memory_is_used_again(own):
    """40 arrays of 2 MB are 20480 pages of 4 kB, unless each takes the pages of the one before."""
    code = (
        "import resource, numpy as np, minicnn\n"
        "def work():\n"
        "    for _ in range(20): a, b = np.ones(2**19, np.float32), np.ones(2**19, np.float32); del a, b\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "first = work(); print(work() - first)"
    )
    environment = {**os.environ, **own}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 500 if not own else int(done.stdout) > 5000
