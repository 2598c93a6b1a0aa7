"""One-dimensional layers and functions under both libraries: what they refuse and accept. Their values: `table_series.py`."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real_torch
from both import assert_same, known, scenarios
from test_functional import outcome

import minicnn


def rule_conv1d_refuses(torch, log):
    conv, x, w = torch.nn.functional.conv1d, known(torch, 2, 3, 8), known(torch, 4, 3, 3)
    outcome(log, conv, x[0, 0], w)
    outcome(log, conv, x[None], w)
    outcome(log, conv, x, w[0])
    outcome(log, conv, x, w, known(torch, 5))
    outcome(log, conv, x[..., :2], w)
    outcome(log, conv, x[:, :2], w)
    outcome(log, conv, x, w, known(torch, 4).double())
    for options in (
        {"stride": 0},
        {"stride": -1},
        {"padding": -1},
        {"dilation": 0},
        {"groups": 0},
        {"groups": 2},
        {"stride": (1, 1)},
        {"padding": (1, 1)},
        {"padding": "same", "stride": 2},
        {"padding": "other"},
    ):
        outcome(log, conv, x, w, **options)
    log(
        conv(x, w, stride=(2,)).shape,
        conv(x[0], w.requires_grad_()).grad_fn.name(),
        conv(x, w, padding="same", dilation=2),
    )


def rule_conv_transpose1d_refuses(torch, log):
    conv, x, w = torch.nn.functional.conv_transpose1d, known(torch, 2, 3, 8), known(torch, 3, 4, 3)
    outcome(log, conv, x[:, :2], w)
    outcome(log, conv, x, w, known(torch, 3))
    outcome(log, conv, x[0, 0], w)
    for options in (
        {"output_padding": 1},
        {"output_padding": -1},
        {"output_padding": (1, 1)},
        {"groups": 2},
        {"groups": 0},
        {"stride": 0},
        {"padding": -1},
    ):
        outcome(log, conv, x, w, **options)
    log(conv(x[0], w), conv(x, w, stride=2, output_padding=1).shape)
    layer = torch.nn.ConvTranspose1d(3, 3, 3, stride=2)
    for size in ((18,), (2, 3, 18), (20,), (3, 18, 4, 5)):
        outcome(log, lambda: layer(x, size).shape)  # noqa: B023
    outcome(log, torch.nn.ConvTranspose1d, 3, 3, 3, padding_mode="reflect")
    outcome(log, torch.nn.Conv1d, 3, 4, 3, groups=2)
    outcome(log, torch.nn.Conv1d, 3, 3, 3, padding="same", stride=2)


def rule_max_pool1d_refuses(torch, log):
    pool = torch.nn.functional.max_pool1d
    for x in (known(torch, 2, 3, 8), known(torch, 2, 3, 8, requires_grad=True)):
        for args, options in (
            ((2,), {"padding": 2}),
            ((2, 0), {}),
            ((2, -1), {}),
            ((0,), {}),
            (((2, 2),), {}),
            ((2, (2, 2)), {}),
            ((2,), {"padding": (1, 1)}),
            ((2,), {"padding": -1}),
            ((2,), {"dilation": 0}),
            ((2,), {"dilation": (1, 1)}),
            ((9,), {}),
            ((-1,), {}),
        ):
            outcome(log, pool, x, *args, **options)
        for part in (x[0, 0], x[None], x[:, :0], x[:, :, :0], x[..., :1], x[:0]):
            outcome(log, pool, part, 2)
        log(pool(x, (2,), (1,), (0,)), pool(x, [2], []).shape, pool(x[0], 2, return_indices=True))


def rule_avg_pool1d_refuses(torch, log):
    pool, x = torch.nn.functional.avg_pool1d, known(torch, 2, 3, 8)
    for args, options in (
        ((2,), {"padding": 2}),
        ((2, 0), {}),
        ((0,), {}),
        (((2, 2),), {}),
        ((2, (2, 2)), {}),
        ((2,), {"padding": (1, 1)}),
        ((2,), {"padding": -1}),
        ((9,), {}),
    ):
        outcome(log, pool, x, *args, **options)
    for part in (x[0, 0], x[None], x[:, :0], x[:, :, :0], x[..., :1], x[:0]):
        outcome(log, pool, part, 2)
    log(pool(x, (2,), (1,), (0,)), pool(x, [2], []).shape)


def rule_adaptive_pooling_refuses(torch, log):
    for name in ("adaptive_avg_pool1d", "adaptive_max_pool1d"):
        pool, x = getattr(torch.nn.functional, name), known(torch, 2, 3, 8)
        for size in (0, (2,), (2, 2), None, (None,), 2.5):
            outcome(log, pool, x, size)
        for part in (x[0, 0], x[None], x[:0], x[:, :, :0]):
            outcome(log, pool, part, 2)
    outcome(log, torch.nn.functional.adaptive_avg_pool1d, x, -1)
    outcome(log, torch.nn.functional.adaptive_max_pool1d, x[:, :0], 2)


def rule_normalization_refuses(torch, log):
    nn, x = torch.nn, known(torch, 2, 3, 8)
    for part in (x, x[0], x[0, 0], x[None], x[:, :2], x[:, :, :1], x[0, :, :1]):
        outcome(log, nn.InstanceNorm1d(3), part)
    outcome(log, nn.InstanceNorm1d(3, affine=True), x[:, :2])
    outcome(log, nn.BatchNorm1d(3), x[0, 0])
    for part in (x[0, 0], x[None]):
        outcome(log, nn.Dropout1d(), part)
    outcome(log, nn.CircularPad1d(1), x[None])


@pytest.mark.parametrize("shape", [(4, 50, 3), (50, 3)])
def test_dropout1d_drops_whole_channels(shape):
    for lib in (minicnn, real_torch):
        y = lib.nn.Dropout1d(0.5)(lib.ones(shape)).numpy()
        assert set(np.unique(y)) == {0.0, 2.0}
        assert (y == y[..., :1]).all()


def test_a_series_is_an_image_of_one_row():
    """The same kernels, so the same numbers."""
    F, x, w = minicnn.nn.functional, known(minicnn, 2, 3, 40), known(minicnn, 5, 3, 3, step=0.01)
    assert (F.conv1d(x, w, padding=1) == F.conv2d(x[:, :, None], w[:, :, None], padding=(0, 1))[:, :, 0]).all()
    assert (F.max_pool1d(x, 3) == F.max_pool2d(x[:, :, None], (1, 3))[:, :, 0]).all()


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
