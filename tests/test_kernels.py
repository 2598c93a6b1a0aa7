"""The fast kernels, their readable twins and torch give the same numbers, on one table of geometries."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from quick import one_of_each

from minicnn import kernels
from minicnn.kernels.fast import direct, panel, parallel
from minicnn.kernels.fast.tile import lanes

TOLERANCE = {
    np.float32: 3e-5,
    np.float64: 1e-12,
}  # times the largest magnitude; Winograd's sums round more than torch's
KINDS = pytest.mark.parametrize(
    "kind", one_of_each(TOLERANCE, of=lambda kind: "float", name=lambda kind: kind.__name__)
)

# N, C, H, W, O, kernel, stride, padding, dilation, groups
CONVOLUTIONS = {
    "first layer": (1, 3, 17, 19, 4, (7, 7), (2, 2), (3, 3), (1, 1), 1),
    "winograd 3x3": (2, 16, 15, 14, 17, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "winograd 3x3 without padding": (1, 32, 30, 31, 17, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    "winograd 3x3 padding 2": (1, 32, 30, 31, 17, (3, 3), (1, 1), (2, 2), (1, 1), 1),
    "winograd 3x3, wide": (1, 3, 10, 901, 4, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "winograd 5x5, wide": (1, 3, 9, 906, 4, (5, 5), (1, 1), (2, 2), (1, 1), 1),
    "winograd 5x5": (2, 16, 24, 24, 16, (5, 5), (1, 1), (2, 2), (1, 1), 1),
    "odd strides, dilation, groups": (3, 4, 9, 10, 6, (3, 2), (2, 3), (1, 0), (2, 1), 2),
    "depthwise": (2, 8, 8, 8, 8, (3, 3), (1, 1), (1, 1), (1, 1), 8),
    "depthwise 5x5, strided": (2, 7, 15, 14, 7, (5, 5), (2, 2), (2, 2), (1, 1), 7),
    "depthwise 7x7": (1, 3, 14, 15, 3, (7, 7), (1, 1), (3, 3), (1, 1), 3),
    "depthwise, odd strides and dilation": (2, 5, 19, 23, 5, (3, 2), (3, 2), (1, 2), (2, 3), 5),
    "depthwise, stride larger than the kernel": (2, 3, 11, 12, 3, (2, 1), (3, 4), (0, 0), (1, 1), 3),
    "depthwise without padding, in bands": (1, 2, 70, 500, 2, (3, 3), (1, 1), (0, 0), (1, 1), 2),
    "depthwise in bands, strided": (1, 2, 150, 301, 2, (5, 3), (2, 2), (2, 1), (1, 1), 2),
    "depthwise, padding larger than the kernel": (1, 4, 3, 22, 4, (2, 2), (1, 1), (5, 6), (1, 1), 4),
    "depthwise, one column": (2, 3, 9, 1, 3, (3, 1), (1, 1), (1, 0), (1, 1), 3),
    "depthwise, more taps than are added up together": (3, 5, 12, 20, 5, (4, 6), (1, 2), (2, 3), (1, 1), 5),
    "depthwise, no images": (0, 3, 8, 8, 3, (3, 3), (1, 1), (1, 1), (1, 1), 3),
    "two outputs of each map": (2, 4, 8, 9, 8, (3, 3), (1, 1), (1, 1), (1, 1), 4),
    "pointwise": (2, 5, 6, 7, 3, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "pointwise, strided, groups": (2, 6, 6, 7, 4, (1, 1), (2, 2), (0, 0), (1, 1), 2),
    "padding larger than the kernel": (4, 2, 5, 5, 3, (3, 3), (3, 3), (4, 4), (1, 1), 1),
    "padding much larger than the kernel": (1, 9, 3, 22, 9, (2, 2), (1, 1), (5, 6), (1, 1), 3),
    "many small maps": (16, 40, 3, 3, 72, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "many small maps, strided, groups": (26, 12, 5, 4, 84, (3, 3), (2, 2), (1, 1), (1, 1), 2),
    "many small maps, pointwise": (30, 100, 2, 2, 24, (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "many small maps, odd strides and dilation": (14, 17, 7, 6, 67, (3, 2), (2, 1), (1, 0), (1, 2), 1),
    "no images": (0, 3, 8, 8, 4, (3, 3), (1, 1), (1, 1), (1, 1), 1),
}
# Unpadded maps about as large as a tile: what it reads must end where the array does.
SMALL_MAPS = {
    f"{H}x{W}, {K}x{K}": (2, 3, H, W, 5, (K, K), (1, 1), (0, 0), (1, 1), 1)
    for H, W, K in [
        (7, 7, 1),
        (4, 12, 1),
        (6, 8, 1),
        (6, 8, 3),
        (5, 11, 3),
        (7, 9, 3),
        (8, 8, 5),
        (9, 10, 5),
        (12, 4, 3),
    ]
}
ALGORITHMS = ("direct", "winograd", "im2col")  # what an algorithm cannot compute, "direct" does
SMALL = 60_000  # multiplications up to which the loops run here too


def close(ours: np.ndarray, theirs: torch.Tensor, kind: type) -> None:
    expected = theirs.detach().numpy()
    assert ours.shape == expected.shape
    assert ours.dtype == expected.dtype
    np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCE[kind] * np.abs(expected).max(initial=1))


def leaf(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.copy()).requires_grad_()


@KINDS
@pytest.mark.parametrize("name", [*CONVOLUTIONS, *SMALL_MAPS])
def test_convolution(name, kind):
    N, C, H, W, O, kernel, stride, padding, dilation, groups = {**CONVOLUTIONS, **SMALL_MAPS}[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, C, H, W)).astype(kind)
    weight = (rng.standard_normal((O, C // groups, *kernel)) / np.sqrt(C * kernel[0] * kernel[1])).astype(kind)
    bias = rng.standard_normal(O).astype(kind)
    geometry = stride, padding, dilation, groups
    tx, tw = leaf(x), leaf(weight)
    expected = F.conv2d(tx, tw, torch.from_numpy(bias), *geometry)
    grad = rng.standard_normal(expected.shape).astype(kind)
    expected.backward(torch.from_numpy(grad))
    names = ["fast", *ALGORITHMS]
    if expected.numel() * weight[0].size <= SMALL:
        names.append("reference")
    for one in names:
        with kernels.use(one):
            close(kernels.get("conv2d")(x, weight, bias, *geometry), expected, kind)
            close(kernels.get("conv2d_grad_input")(grad, weight, x.shape, *geometry), tx.grad, kind)
            close(kernels.get("conv2d_grad_weight")(grad, x, weight.shape, *geometry) / 3, tw.grad / 3, kind)


@KINDS
@pytest.mark.parametrize("name", [name for name in CONVOLUTIONS if name.startswith("many small maps")])
def test_panels_of_many_images_have_the_bits_of_single_maps(name, kind, monkeypatch):
    N, C, H, W, O, kernel, *geometry = CONVOLUTIONS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((N, C, H, W)).astype(kind)
    weight = rng.standard_normal((O, C // geometry[-1], *kernel)).astype(kind)

    def results():
        out = kernels.get("conv2d")(x, weight, None, *geometry)
        return out, kernels.get("conv2d_grad_input")(out, weight, x.shape, *geometry)

    assert panel.pays(32, 1, 1, 2, 64, lanes(kind)) and not panel.pays(1, 56, 56, 57, 64, lanes(kind))
    called = []
    direct._blocks.cache_clear()
    with kernels.use("direct"):
        monkeypatch.setattr(panel, "pays", lambda *shapes: True)
        monkeypatch.setattr(direct, "run", lambda kernel, *rest: (called.append(kernel), parallel.run(kernel, *rest)))
        together = results()
        assert panel.multiply in called
        monkeypatch.setattr(panel, "pays", lambda *shapes: False)
        direct._blocks.cache_clear()
        for one, other in zip(together, results(), strict=True):
            np.testing.assert_array_equal(one, other)
    direct._blocks.cache_clear()


# The root mean square of the error, relative to the result, of each algorithm over C K K products: 16 times that of torch
# for Winograd's sums, 3 times for plain ones.
@pytest.mark.parametrize("name, factor", [("direct", 3), ("im2col", 3), ("winograd", 16)])
@pytest.mark.parametrize("channels", [16, 128])
@pytest.mark.parametrize("K", [3, 5])
def test_accuracy_beside_torch(name, factor, channels, K):
    """Against the definition in float64. The loops of the definition take minutes here; torch's float64 is held to them above."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, channels, 24, 23)).astype(np.float32)
    weight = (rng.standard_normal((32, channels, K, K)) / np.sqrt(channels * K * K)).astype(np.float32)
    exact = F.conv2d(torch.from_numpy(x).double(), torch.from_numpy(weight).double(), padding=1).numpy()
    theirs = np.sqrt(np.mean((F.conv2d(torch.from_numpy(x), torch.from_numpy(weight), padding=1).numpy() - exact) ** 2))
    with kernels.use(name):
        assert kernels.explain(x.shape, weight.shape, padding=(1, 1)) == name
        ours = kernels.get("conv2d")(x, weight, None, (1, 1), (1, 1), (1, 1), 1)
    error = np.sqrt(np.mean((ours - exact) ** 2))
    print(f"{name}, {channels} channels, {K}x{K}: error {error:.1e}, torch's {theirs:.1e}")
    assert error <= factor * theirs


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(
    "H, W, rows, pitch", [(2, 2, 4, 4), (5, 5, 7, 6), (3, 40, 5, 41), (17, 16, 19, 18), (1, 1, 1, 1), (9, 9, 4, 4)]
)
def test_a_plane_is_laid_out_within_itself(H, W, rows, pitch, stride):
    """What lies behind it is another thread's."""
    x = np.arange(1, H * W + 1, dtype=np.float32)
    flat = np.full(2 * rows * pitch + 64, 7, np.float32)
    plane = rows * pitch
    direct.lay_out(x, 0, H, W, -1, -1, stride, stride, flat, plane, rows, pitch, np.float32(-5))
    expected = np.full((rows, pitch), -5, np.float32)
    for i, j in np.ndindex(rows, pitch):
        y, z = i * stride - 1, j * stride - 1
        if 0 <= y < H and 0 <= z < W:
            expected[i, j] = x[y * W + z]
    np.testing.assert_array_equal(flat[plane : 2 * plane].reshape(rows, pitch), expected)
    assert (flat[:plane] == 7).all() and (flat[2 * plane :] == 7).all()


def test_the_planner_chooses_by_shape():
    assert kernels.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1)) == "winograd"
    assert kernels.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1), dtype=np.float64) == "direct"
    assert kernels.explain((1, 64, 56, 56), (64, 64, 3, 3), (2, 2), (1, 1)) == "direct"
    assert kernels.explain((1, 64, 56, 56), (64, 64, 1, 1)) == "direct"
    assert kernels.explain((1, 3, 64, 64), (64, 3, 7, 7), (2, 2), (3, 3)) == "direct"
    assert kernels.explain((1, 3, 64, 64), (64, 3, 7, 7), (2, 2), (3, 3), operation="grad_input") == "im2col"
    assert kernels.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1), operation="grad_weight") == "direct"
    assert kernels.explain((1, 128, 14, 14), (128, 128, 3, 3), padding=(1, 1)) == "direct"
    assert kernels.explain((1, 64, 16, 16), (128, 64, 5, 5), padding=(2, 2)) == "direct"
    assert kernels.explain((2, 64, 24, 24), (128, 64, 5, 5), padding=(2, 2)) == "winograd"
    assert kernels.explain((1, 128, 24, 24), (128, 128, 5, 5), padding=(2, 2)) == "winograd"
    assert kernels.explain((64, 32, 24, 24), (64, 32, 5, 5), padding=(2, 2)) == "direct"
    assert kernels.explain((8, 256, 14, 14), (256, 256, 3, 3), padding=(1, 1)) == "winograd"
    assert kernels.explain((1, 128, 28, 28), (128, 128, 3, 3), padding=(1, 1)) == "winograd"
    assert kernels.explain((1, 24, 112, 112), (24, 24, 3, 3), padding=(1, 1)) == "direct"
    assert kernels.explain((1, 256, 14, 14), (256, 256, 3, 3), padding=(1, 1)) == "direct"
    for operation in ("forward", "grad_input", "grad_weight"):
        assert (
            kernels.explain((1, 64, 56, 56), (64, 1, 3, 3), padding=(1, 1), groups=64, operation=operation)
            == "depthwise"
        )
    assert kernels.explain((1, 64, 56, 56), (128, 1, 3, 3), padding=(1, 1), groups=64) == "direct"
    assert (
        kernels.explain((1, 128, 56, 56), (128, 4, 3, 3), padding=(1, 1), groups=32, operation="grad_input") == "direct"
    )
    assert kernels.explain((1, 64, 56, 56), (64, 8, 3, 3), padding=(1, 1), groups=8) == "direct"
    with pytest.raises(ValueError, match="'grad_weight'"):
        kernels.explain((1, 64, 56, 56), (64, 64, 3, 3), operation="backward")


def test_float64_is_never_lossy():
    with kernels.use("winograd"):
        assert kernels.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1)) == "winograd"
        assert kernels.explain((1, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1), dtype=np.float64) == "direct"


@pytest.mark.parametrize("name, stride", [("direct", 1), ("direct", 2), ("winograd", 1), ("im2col", 1)])
def test_the_number_of_threads_changes_nothing_but_rounding(name, stride, monkeypatch):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((3, 64, 20, 19)).astype(np.float32)
    weight = rng.standard_normal((70, 64, 3, 3)).astype(np.float32)
    grad = rng.standard_normal((3, 70, 20 // stride, -(-19 // stride))).astype(np.float32)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(kernels.fast.parallel, "THREADS", threads)
        with kernels.use(name):
            geometry = (stride, stride), (1, 1), (1, 1), 1
            results.append(kernels.get("conv2d")(x, weight, None, *geometry))
            results.append(kernels.get("conv2d_grad_input")(grad, weight, x.shape, *geometry))
    for one, two in zip(results[:2] * 2, results[2:], strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5 * np.abs(one).max())


def test_views_with_other_strides():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 9, 8, 3)).astype(np.float32).transpose(0, 3, 1, 2)
    weight = rng.standard_normal((3, 3, 5, 4)).astype(np.float32).transpose(3, 0, 1, 2)[:, :, :3, :3]
    close(
        kernels.get("conv2d")(x, weight, None, (1, 1), (1, 1), (1, 1), 1),
        F.conv2d(torch.from_numpy(x.copy()), torch.from_numpy(weight.copy()), padding=1),
        np.float32,
    )


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_strange_pixel_reaches_only_the_outputs_that_see_it(value, name):
    x = np.random.default_rng(2).standard_normal((1, 16, 24, 24)).astype(np.float32)
    x[0, 3, 10, 10] = value
    weight = np.random.default_rng(3).standard_normal((16, 16, 3, 3)).astype(np.float32)
    tx = torch.from_numpy(x)
    tw = torch.from_numpy(weight)
    with kernels.use(name):
        out = kernels.get("conv2d")(x, weight, None, (1, 1), (1, 1), (1, 1), 1)
        back = kernels.get("conv2d_grad_input")(x, weight, x.shape, (1, 1), (1, 1), (1, 1), 1)
    expected = F.conv2d(tx, tw, padding=1)
    for ours, theirs in ((out, expected), (back, F.conv_transpose2d(tx, tw, padding=1))):
        for kind in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(kind(ours), kind(theirs.numpy()))


def test_the_switch():
    assert kernels.current() == "fast"
    with kernels.use("reference"):
        assert kernels.current() == "reference"
    assert kernels.current() == "fast"
    with pytest.raises(ValueError, match="'fast', 'reference', 'winograd', 'direct' or 'im2col'"):
        kernels.use("slow")


def test_integers_are_refused():
    x = np.ones((1, 1, 3, 3), np.int64)
    with pytest.raises(TypeError, match="float32 or float64"):
        kernels.get("conv2d", x.dtype)(x, x, None, (1, 1), (0, 0), (1, 1), 1)


def test_two_threads_at_once():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 32, 40, 40)).astype(np.float32)
    weight = rng.standard_normal((32, 32, 3, 3)).astype(np.float32)
    geometry = (1, 1), (1, 1), (1, 1), 1
    expected = kernels.get("conv2d")(x, weight, None, *geometry)
    wrong = []

    def work():
        for _ in range(10):
            out = kernels.get("conv2d")(x, weight, None, *geometry)
            pooled, _ = kernels.get("max_pool2d")(out, (2, 2), (2, 2), (0, 0), (1, 1), False)
            if not np.array_equal(out, expected) or pooled.shape != (4, 32, 20, 20):
                wrong.append(out)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.slow
def test_everything_runs_without_the_compiler():
    """Every algorithm, forward and backward, on geometries of each kind. Here a tile that read outside of its arrays would
    raise IndexError, where compiled code would read on."""
    code = (
        "import numpy as np; from minicnn import kernels as K; from tests.test_kernels import CONVOLUTIONS, SMALL_MAPS\n"
        "for name, (N, C, H, W, O, k, *g) in {**CONVOLUTIONS, **SMALL_MAPS}.items():\n"
        "    if name.startswith('winograd') and name != 'winograd 5x5': N, C, H, W, O = 1, 3, 9, 8, 2\n"
        "    if not name.startswith('many'): N, C, O = min(N, 2), min(C, 8 if g[3] == 1 else C), min(O, 9)\n"
        "    x, w = np.ones((N, C, H, W), np.float32), np.ones((O, C // g[3], *k), np.float32)\n"
        "    for algorithm in ('direct', 'winograd', 'im2col'):\n"
        "        with K.use(algorithm):\n"
        "            y = K.get('conv2d')(x, w, None, *g)\n"
        "            to_x = K.get('conv2d_grad_input')(y, w, x.shape, *g)\n"
        "            assert np.isclose((to_x * x).sum(), (y * y).sum(), rtol=1e-4), (name, algorithm)\n"
        "x = np.ones((1, 2, 5, 5), np.float32)\n"
        "print(K.get('max_pool2d')(x, (2, 2), (2, 2), (0, 0), (1, 1), False)[0].shape, K.get('relu')(x).sum())"
    )
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["(1,", "2,", "2,", "2)", "50.0"], done.stderr


def test_the_collector_rests_only_while_kernels_are_compiled():
    def told(function):
        return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=function)})

    listener, ours = parallel._Compiling(), told(parallel.run)
    listener.on_start(told(np.sum))
    assert gc.isenabled()
    listener.on_end(told(np.sum))
    listener.on_start(ours)
    listener.on_start(told(np.sum))  # what a kernel calls
    listener.on_end(told(np.sum))
    assert not gc.isenabled()
    listener.on_end(ours)
    assert gc.isenabled()
    gc.disable()
    try:
        listener.on_start(ours)
        listener.on_end(ours)
        assert not gc.isenabled()
    finally:
        gc.enable()
