"""Activations, norms, pooling and resizing: the fast kernels, their readable twins and torch give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_kernels import KINDS, close, leaf

from minicnn import kernels


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


@pytest.mark.parametrize("which", ["fast", "reference"])
def test_in_evaluation_the_gradient_of_a_batch_norm_does_not_look_at_its_input(which):
    x = np.array([np.inf, np.nan, 1.0], np.float32).reshape(1, 1, 3)
    grad, one = np.ones_like(x), np.ones(1, np.float32)
    with kernels.use(which):
        to_x, to_weight, to_bias = kernels.get("batch_norm_grad")(grad, x, one * 2, one, one * 2, False)
    np.testing.assert_array_equal(to_x, grad * 2)
    assert np.isnan(to_weight).all() and to_bias == 3


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
