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

    called = []
    direct._blocks.cache_clear()
    with kernels.use("direct"):
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
    assert kernels.explain((1, 64, 24, 24), (128, 64, 5, 5), padding=(2, 2)) == "direct"
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


@pytest.mark.parametrize("which", ["fast", "reference"])
@KINDS
def test_relu(kind, which):
    x = np.random.default_rng(0).standard_normal((2, 3, 5)).astype(kind)
    x[0, 0] = [0, -0.0, np.nan, np.inf, -np.inf]
    grad = np.full(x.shape, 2, kind)
    grad[0, 1] = [np.nan, np.inf, -np.inf, 0, 1]
    tx = leaf(x)
    expected = F.relu(tx)
    expected.backward(torch.from_numpy(grad))
    with kernels.use(which):
        out = kernels.get("relu")(x)
        np.testing.assert_array_equal(out, expected.detach().numpy())
        np.testing.assert_array_equal(kernels.get("relu_grad")(grad, out), tx.grad.numpy())
        assert kernels.get("relu")(x, in_place=True) is x
        np.testing.assert_array_equal(x, out)


@pytest.mark.parametrize("which", ["fast", "reference"])
@KINDS
@pytest.mark.parametrize("shape", [(2, 3), (3, 5, 7), (2, 4, 33, 2), (0, 3, 2, 2), (2, 3, 0, 4)], ids=str)
def test_scale_channels(shape, kind, which):
    rng = np.random.default_rng(0)
    x, mean, shift = (rng.standard_normal(n).astype(kind) for n in (shape, shape[1], shape[1]))
    var = np.arange(1, shape[1] + 1).astype(kind)
    expected = F.batch_norm(*map(torch.from_numpy, (x, mean, var)), None, torch.from_numpy(shift), eps=0)
    scale = 1 / np.sqrt(var)
    with kernels.use(which):
        close(kernels.get("scale_channels")(x, scale, shift - mean * scale), expected, kind)
        turned = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        close(kernels.get("scale_channels")(np.moveaxis(turned, -1, 1), scale, shift - mean * scale), expected, kind)


SMOOTH = {
    "erf": (torch.erf, None),
    "gelu": (F.gelu, lambda g, x: torch.ops.aten.gelu_backward(g, x)),
    "hardswish": (F.hardswish, torch.ops.aten.hardswish_backward),
    "hardtanh": (lambda x: F.hardtanh(x, -0.5, 2.0), lambda g, x: torch.ops.aten.hardtanh_backward(g, x, -0.5, 2.0)),
    "silu": (F.silu, torch.ops.aten.silu_backward),
}


@pytest.mark.parametrize("which", ["fast", "reference"])
@KINDS
@pytest.mark.parametrize("name", SMOOTH)
def test_activations(name, kind, which):
    """Against torch in float64, each number by itself: to 4 units in the last place of what it is made of."""
    function, slope = SMOOTH[name]
    numbers = (-0.5, 2.0) if name == "hardtanh" else ()
    x = np.concatenate([np.linspace(-12, 12, 2001), [0.0, -0.0, 88.5, -88.5, 100, -100, 1e30, -1e30]]).astype(kind)
    grad = np.cos(np.arange(len(x))).astype(kind)
    exact, g = torch.from_numpy(x).double(), torch.from_numpy(grad).double()
    ulp = 4 * np.finfo(kind).eps
    with kernels.use(which):
        expected = function(exact).numpy()
        np.testing.assert_allclose(kernels.get(name)(x, *numbers), expected, rtol=ulp, atol=ulp)
        if slope is not None:
            expected = slope(g, exact).numpy()
            ours = kernels.get(f"{name}_grad")(grad, x, *numbers)
            np.testing.assert_allclose(
                ours, expected, rtol=ulp, atol=ulp * 4
            )  # x times a small slope: up to 4 times as large
        strange = np.array([np.nan, np.inf, -np.inf], kind)
        theirs = function(torch.from_numpy(strange).double()).numpy()
        np.testing.assert_array_equal(kernels.get(name)(strange, *numbers), theirs)


@pytest.mark.parametrize("which", ["fast", "reference"])
@KINDS
@pytest.mark.parametrize("shape", [(6, 1), (5, 37), (0, 4)], ids=str)
def test_layer_norm(shape, kind, which):
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal(shape).astype(kind) + mean for mean in (10, 0))
    weight, bias = (rng.standard_normal(shape[1]).astype(kind) for _ in range(2))
    tx = leaf(x)
    expected = F.layer_norm(tx.double(), shape[1:], *(torch.from_numpy(row).double() for row in (weight, bias)))
    expected.backward(torch.from_numpy(grad).double())
    with kernels.use(which):
        out, mean, inverse_std = kernels.get("layer_norm")(x, weight, bias, 1e-5)
        assert (mean.shape, inverse_std.shape) == ((shape[0],), (shape[0],))
        close(out, expected.to(tx.dtype), kind)
        close(kernels.get("layer_norm_grad")(grad, x, weight, mean, inverse_std), tx.grad, kind)


@pytest.mark.parametrize("which", ["fast", "reference"])
@pytest.mark.parametrize("training", [True, False])
@KINDS
@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (6, 3), (1, 5, 300), (2, 3, 2, 3, 4)], ids=str)
def test_batch_norm(shape, kind, training, which):
    rng = np.random.default_rng(0)
    x, grad = (rng.standard_normal(shape).astype(kind) + kind(mean) for mean in (10, 0))
    weight = rng.standard_normal(shape[1]).astype(kind)
    tx, tw, tb = (leaf(array.astype(np.float64)) for array in (x, weight, weight))
    tmean, tvar = (leaf(array).detach() for array in (np.full(shape[1], 9.5), np.full(shape[1], 1.25)))
    F.batch_norm(tx, tmean.clone(), tvar.clone(), tw, tb, training, eps=0.01).backward(
        torch.from_numpy(grad.astype(np.float64))
    )
    with kernels.use(which):
        mean, var = kernels.get("channel_moments")(x) if training else (tmean.numpy(), tvar.numpy())
        if training:
            channels = torch.from_numpy(x).double().transpose(0, 1).flatten(1)
            np.testing.assert_allclose(mean, channels.mean(1).numpy(), rtol=1e-13)
            np.testing.assert_allclose(var, channels.var(1, correction=0).numpy(), rtol=1e-10)
        mean, inverse_std = mean.astype(kind), (1 / np.sqrt(var + 0.01)).astype(kind)
        ours = kernels.get("batch_norm_grad")(grad, x, inverse_std * weight, mean, inverse_std, training)
    for one, theirs in zip(ours, (tx, tw, tb), strict=True):
        close(one, theirs.grad.to(torch.from_numpy(x).dtype), kind)


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


POOLINGS = [
    # kernel, stride, padding, dilation, ceil_mode
    ((3, 3), (2, 2), (1, 1), (1, 1), False),
    ((2, 2), (2, 2), (0, 0), (1, 1), False),
    ((3, 3), (2, 2), (0, 0), (1, 1), True),
    ((3, 2), (2, 1), (1, 1), (2, 1), True),
    ((2, 3), (3, 2), (1, 0), (1, 2), True),
]


@pytest.mark.parametrize("which", ["fast", "reference"])
@KINDS
@pytest.mark.parametrize("geometry", POOLINGS, ids=str)
def test_max_pooling_with_ties_and_nan(geometry, kind, which):
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal((2, 3, 11, 10)) * 2).astype(kind)  # rounded: many ties
    tx = leaf(x)
    values, indices = F.max_pool2d(tx, *geometry, return_indices=True)
    grad = rng.standard_normal(values.shape).astype(kind)
    values.backward(torch.from_numpy(grad))
    with kernels.use(which):
        ours, where = kernels.get("max_pool2d")(x, *geometry)
        np.testing.assert_array_equal(ours, values.detach().numpy())
        np.testing.assert_array_equal(where, indices.numpy())
        close(kernels.get("max_pool2d_grad")(grad, where, x.shape), tx.grad, kind)
        x[0, 0, 3, 3] = np.nan
        values, indices = F.max_pool2d(torch.from_numpy(x), *geometry, return_indices=True)
        ours, where = kernels.get("max_pool2d")(x, *geometry)
        np.testing.assert_array_equal(ours, values.numpy())
        np.testing.assert_array_equal(where, indices.numpy())


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3), (3, 4)], ids=str)
@pytest.mark.parametrize("size", [(6, 5), (70, 6), (9, 67), (64, 64)], ids=str)  # widths below and above a vector's
@pytest.mark.parametrize(
    "kernel, padding, dilation", [((3, 3), (1, 1), (1, 1)), ((2, 2), (1, 0), (1, 2)), ((1, 4), (0, 2), (1, 1))], ids=str
)
def test_max_pooling_of_many_sizes(size, kernel, stride, padding, dilation, kind):
    x = np.round(np.random.default_rng(0).standard_normal((1, 3, *size)) * 2).astype(kind)
    x[0, 1, ::3, ::2] = np.nan
    x[0, 2, :4] = -np.inf  # whole windows of it, beside the padding and not
    for ceil_mode in (False, True):
        values, indices = F.max_pool2d(
            torch.from_numpy(x), kernel, stride, padding, dilation, ceil_mode, return_indices=True
        )
        ours, where = kernels.get("max_pool2d")(x, kernel, stride, padding, dilation, ceil_mode)
        np.testing.assert_array_equal(ours, values.numpy())
        np.testing.assert_array_equal(where, indices.numpy())


@pytest.mark.parametrize("which", ["fast", "reference"])
@pytest.mark.parametrize("count_include_pad, divisor", [(True, None), (False, None), (True, 3)])
@pytest.mark.parametrize("geometry", [g for g in POOLINGS if g[3] == (1, 1)], ids=str)
def test_average_pooling(geometry, count_include_pad, divisor, which):
    kernel, stride, padding, _, ceil_mode = geometry
    options = kernel, stride, padding, ceil_mode, count_include_pad, divisor
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 11, 10)).astype(np.float32)
    tx = leaf(x)
    expected = F.avg_pool2d(tx, *options)
    grad = rng.standard_normal(expected.shape).astype(np.float32)
    expected.backward(torch.from_numpy(grad))
    with kernels.use(which):
        windows = kernels.average_windows(x.shape, *options)
        close(kernels.get("avg_pool2d")(x, *windows), expected, np.float32)
        close(kernels.get("avg_pool2d_grad")(grad, x.shape, *windows), tx.grad, np.float32)


@pytest.mark.parametrize("which", ["fast", "reference"])
@pytest.mark.parametrize("size", [(3, 4), (10, 2), (7, 9)], ids=str)
def test_adaptive_pooling_and_resizing(size, which):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 7, 9)).astype(np.float32)
    grad = rng.standard_normal((2, 3, *size)).astype(np.float32)

    def backward(function):
        tx = leaf(x)
        out = function(tx)
        out.backward(torch.from_numpy(grad))
        return out, tx.grad

    with kernels.use(which):
        out, to_x = backward(lambda t: F.adaptive_avg_pool2d(t, size))
        windows = kernels.adaptive_average_windows(x.shape, size)
        close(kernels.get("avg_pool2d")(x, *windows), out, np.float32)
        close(kernels.get("avg_pool2d_grad")(grad, x.shape, *windows), to_x, np.float32)
        values, indices = F.adaptive_max_pool2d(torch.from_numpy(x), size, return_indices=True)
        ours, where = kernels.get("adaptive_max_pool2d")(x, size)
        close(ours, values, np.float32)
        np.testing.assert_array_equal(where, indices.numpy())
        out, to_x = backward(lambda t: F.interpolate(t, size))
        close(kernels.get("upsample_nearest2d")(x, size), out, np.float32)
        close(kernels.get("upsample_nearest2d_grad")(grad, x.shape, size), to_x, np.float32)
        for align in (True, False):
            out, to_x = backward(lambda t, align=align: F.interpolate(t, size, mode="bilinear", align_corners=align))
            close(kernels.get("upsample_bilinear2d")(x, size, align), out, np.float32)
            close(kernels.get("upsample_bilinear2d_grad")(grad, x.shape, size, align), to_x, np.float32)


@pytest.mark.parametrize("which", ["fast", "reference"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [True, False])
def test_grid_sample(mode, padding_mode, align, which):
    rng = np.random.default_rng(0)
    x, grid = rng.standard_normal((2, 3, 7, 9)), rng.uniform(-1.6, 1.6, (2, 5, 6, 2))
    tx, tg = leaf(x), leaf(grid)
    expected = F.grid_sample(tx, tg, mode, padding_mode, align)
    grad = rng.standard_normal(expected.shape)
    expected.backward(torch.from_numpy(grad))
    with kernels.use(which):
        close(kernels.get("grid_sample")(x, grid, mode, padding_mode, align), expected, np.float64)
        to_x, to_grid = kernels.get("grid_sample_grad")(grad, x, grid, mode, padding_mode, align, True)
        close(to_x, tx.grad, np.float64)
        close(to_grid / 10, tg.grad / 10, np.float64)


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
