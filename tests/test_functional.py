"""`minicnn.nn.functional`: what it refuses, in torch's words; what it returns unchanged; and rare arguments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from both import assert_same, attempt, known, scenarios

import minicnn
import minicnn.nn.functional as F


def outcome(log, function, *args, **kwargs):
    """Call it and log the result, or the error's type and first line."""
    try:
        log("returned", function(*args, **kwargs))
    except Exception as error:
        log(type(error).__name__, str(error).partition("\n")[0])


def rule_conv2d_refuses(torch, log):
    conv, x, w = torch.nn.functional.conv2d, known(torch, 1, 3, 8, 8), known(torch, 4, 3, 3, 3)
    outcome(log, conv, known(torch, 1, 4, 8, 8), w)
    outcome(log, conv, known(torch, 8, 8), w)
    outcome(log, conv, x[None], w)
    outcome(log, conv, x, w[0])
    outcome(log, conv, x, w, known(torch, 5))
    outcome(log, conv, x, w, known(torch, 4, 1))
    outcome(log, conv, x[..., :2, :2], w)
    outcome(log, conv, x, w, known(torch, 4).double())
    for options in (
        {"stride": 0},
        {"stride": -1},
        {"padding": -1},
        {"dilation": 0},
        {"groups": 0},
        {"groups": 2},
        {"stride": (1, 1, 1)},
        {"padding": "same", "stride": 2},
        {"padding": "other"},
    ):
        outcome(log, conv, x, w, **options)


def rule_conv2d_accepts(torch, log):
    conv, x, w = torch.nn.functional.conv2d, known(torch, 1, 3, 5, 6), known(torch, 4, 3, 3, 3)
    log(conv(x[0], w).shape, conv(x[0], w.requires_grad_()).grad_fn.name())
    log(conv(x, w, stride=(2,)).shape, conv(x, w, padding="same", dilation=2), conv(x, w, padding="valid").shape)


def rule_conv_transpose2d_refuses(torch, log):
    conv, w = torch.nn.functional.conv_transpose2d, known(torch, 3, 2, 3, 3)
    outcome(log, conv, known(torch, 1, 4, 3, 3), w)
    outcome(log, conv, known(torch, 1, 3, 3, 3), w, output_padding=1)
    outcome(log, conv, known(torch, 1, 3, 3, 3), w, known(torch, 3))
    outcome(log, conv, known(torch, 3, 3), w)
    log(conv(known(torch, 3, 2, 2), w))


def rule_conv_transpose2d_output_size(torch, log):
    layer = torch.nn.ConvTranspose2d(1, 1, 3, stride=2)
    for size in ((7, 8), (1, 1, 8, 7), (9, 9), (7,)):
        outcome(log, lambda: layer(known(torch, 1, 1, 3, 3), size).shape)  # noqa: B023


def rule_linear_refuses(torch, log):
    linear, w = torch.nn.functional.linear, known(torch, 3, 4)
    for x in (known(torch, 2, 5), known(torch, 5), known(torch, 2, 2, 5), torch.tensor(1.0)):
        outcome(log, linear, x, w)
    outcome(log, torch.nn.Linear(4, 3), known(torch, 2, 4).double())


def rule_pooling_refuses(torch, log):
    x = known(torch, 1, 3, 8, 8)
    for pool in (torch.nn.functional.max_pool2d, torch.nn.functional.avg_pool2d):
        outcome(log, pool, x, 2, padding=2)
        outcome(log, pool, x[..., :1, :1], 2)
        outcome(log, pool, x, 2, 0)
        outcome(log, pool, x, (2, 2, 2))
        outcome(log, pool, x, 2, (2, 2, 2))
        outcome(log, pool, x, 2, padding=-1)
    outcome(log, torch.nn.functional.max_pool2d, x[0, 0], 2)
    outcome(log, torch.nn.functional.max_pool2d, x, 2, dilation=0)
    outcome(log, torch.nn.functional.max_pool2d, x[:, :0], 2)
    outcome(log, torch.nn.functional.avg_pool2d, x, 2, divisor_override=0)
    outcome(log, torch.nn.functional.adaptive_avg_pool2d, x, (1, 3, 3))
    outcome(log, torch.nn.functional.adaptive_avg_pool2d, x[0, 0], 2)
    outcome(log, torch.nn.functional.adaptive_avg_pool2d, x, -1)
    outcome(log, torch.nn.functional.adaptive_max_pool2d, x[0, 0], 2)
    outcome(log, torch.nn.functional.adaptive_max_pool2d, x, (2, 2, 2))
    outcome(log, torch.nn.functional.adaptive_max_pool2d, x[:, :, :0], 1)


def rule_pooling_accepts(torch, log):
    f, x = torch.nn.functional, known(torch, 2, 4, 6)
    log(f.max_pool2d(x, 2), f.max_pool2d(x, 2, [], return_indices=True), f.avg_pool2d(x, 2))
    log(
        f.adaptive_avg_pool2d(x, 1),
        f.adaptive_avg_pool2d(x, 2),
        f.adaptive_max_pool2d(x, (None, 2), return_indices=True),
    )
    log(f.max_pool2d(x, (2,), (1,)).shape, f.max_pool2d_with_indices(x[None], 2)[1].shape)
    log(f.max_pool2d(known(torch, 1, 2, 4, 4, requires_grad=True), 2).grad_fn.name())


def rule_normalization_refuses(torch, log):
    nn, f = torch.nn, torch.nn.functional
    outcome(log, nn.BatchNorm2d(3), known(torch, 1, 3, 1, 1))
    outcome(log, nn.BatchNorm2d(3), known(torch, 2, 4, 2, 2))
    outcome(log, nn.BatchNorm2d(3, track_running_stats=False), known(torch, 2, 4, 2, 2))
    outcome(log, f.batch_norm, known(torch, 2, 4, 2, 2), None, None, torch.ones(4), torch.ones(3), True)
    outcome(log, nn.BatchNorm2d(3), known(torch, 3, 2, 2))
    outcome(log, nn.BatchNorm1d(3), known(torch, 3))
    outcome(log, f.batch_norm, known(torch, 2, 4, 2, 2), None, None)
    outcome(log, nn.BatchNorm2d(4), known(torch, 2, 4, 2, 2).double())
    outcome(log, f.batch_norm, known(torch, 2, 4, 2, 2), None, None, training=True, eps=0)
    outcome(log, nn.InstanceNorm2d(3), known(torch, 1, 3, 1, 1))
    outcome(log, nn.InstanceNorm2d(3, affine=True), known(torch, 1, 4, 2, 2))
    outcome(log, nn.InstanceNorm2d(3), known(torch, 2, 2))


def rule_batch_norm_state(torch, log):
    for momentum in (0.1, None):
        norm, x = torch.nn.BatchNorm2d(2, momentum=momentum), known(torch, 2, 2, 2, 2)
        for _ in range(3):
            norm(x * 3)
        log(norm.state_dict(), norm.eval()(x), norm.state_dict())


def rule_instance_norm(torch, log):
    for options in ({}, {"affine": True}, {"track_running_stats": True}):
        norm, x = torch.nn.InstanceNorm2d(2, **options), known(torch, 2, 2, 3, 2)
        log(norm(x * x), norm(x[0]).shape, norm.eval()(x), norm.state_dict())
    log(torch.nn.InstanceNorm2d(3)(known(torch, 1, 2, 2, 2)))


def rule_classification_losses_refuse(torch, log):
    f, x = torch.nn.functional, known(torch, 2, 3)
    for loss in (f.cross_entropy, f.nll_loss):
        outcome(log, loss, x, torch.tensor([0, 1, 2]))
        outcome(log, loss, x, torch.tensor([0, 5]))
        outcome(log, loss, x, torch.tensor([0.0, 1.0]))
        outcome(log, loss, x, torch.tensor([0, 1], dtype=torch.int32))
        outcome(log, loss, x, torch.tensor([[0], [1]]))
        outcome(log, loss, x, torch.tensor([0, 1]), torch.ones(2))
        outcome(log, loss, known(torch, 2, 3, 4, 4), torch.zeros(2, 4, 5).long())
        outcome(log, loss, x, torch.tensor([0, 1]), reduction="other")
        outcome(log, loss, x, torch.tensor([0, 1]), size_average=False)
        outcome(log, loss, x, torch.tensor([0, 1]), reduce=False)
    outcome(log, f.cross_entropy, x, torch.tensor([0, 1]), label_smoothing=2.0)
    outcome(log, f.cross_entropy, x, torch.zeros(2, 3).long())
    outcome(log, f.cross_entropy, x, known(torch, 2, 3), ignore_index=1)
    log(f.cross_entropy(x[0], torch.tensor(1)), f.nll_loss(x[0], torch.tensor(1)))


def rule_distance_losses(torch, log):
    f, x, y = torch.nn.functional, known(torch, 2, 3), known(torch, 2, 3, step=0.3)
    for loss in (f.mse_loss, f.l1_loss, f.smooth_l1_loss, f.huber_loss):
        log(loss(x, y), loss(x, y, reduction="sum"), loss(x, y, reduction="none"), loss(x, y[0]))
        outcome(log, loss, x, known(torch, 2))
        outcome(log, loss, x, y, reduction="other")
    for loss in (f.mse_loss, f.l1_loss):
        log([loss(x, y, weight=y * y, reduction=name) for name in ("mean", "sum", "none")])
        outcome(log, loss, x, y, weight=torch.ones(2))
    outcome(log, f.smooth_l1_loss, x, y, beta=-1.0)
    outcome(log, f.huber_loss, x, y, delta=-1.0)
    outcome(log, f.binary_cross_entropy_with_logits, x, known(torch, 2))
    log(f.binary_cross_entropy_with_logits(x, y * y, torch.ones(3) * 2, pos_weight=torch.tensor([1.0, 2.0, 3.0])))


def rule_losses_of_mixed_types(torch, log):
    f = torch.nn.functional
    types = (torch.float16, torch.float32, torch.float64, torch.int64, torch.bool, torch.complex64)
    for loss in (f.mse_loss, f.l1_loss, f.smooth_l1_loss, f.huber_loss, f.binary_cross_entropy, f.kl_div):
        for a, b in itertools.product(types, types):
            if loss is not f.l1_loss or torch.bool not in (a, b) or a is not b:
                outcome(log, loss, torch.tensor([1, 0]).to(a), torch.tensor([1, 1]).to(b), reduction="sum")
    x, t = torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0])
    for a, b in itertools.product(types[:4], types[:4]):
        outcome(log, f.binary_cross_entropy_with_logits, x.to(a), t.to(b))
        outcome(log, f.nll_loss, x.to(a), torch.tensor(1), t.to(b))
    leaf = known(torch, 2, requires_grad=True)
    f.mse_loss(leaf, t.double()).backward()
    log(leaf.grad)


def rule_probability_losses_refuse(torch, log):
    f, x, t = torch.nn.functional, torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0])
    weight = torch.ones(2, requires_grad=True)
    for wrong in (torch.tensor([1.5, 0.5]), torch.tensor([float("nan"), 0.5]), torch.tensor([-0.1, 0.5])):
        outcome(log, f.binary_cross_entropy, wrong, t)
        outcome(log, f.binary_cross_entropy, x, wrong)
    for loss in (f.binary_cross_entropy, f.binary_cross_entropy_with_logits):
        outcome(log, loss, x, t[:1])
        outcome(log, loss, x, t, weight=weight)
        outcome(log, loss, x, t, reduction="other")
        outcome(log, loss, x, t, weight=torch.ones(2).int())
    for shape in ((3,), (4, 2)):
        outcome(log, f.binary_cross_entropy_with_logits, x, t, weight=torch.ones(shape))
        outcome(log, f.binary_cross_entropy_with_logits, x, t, pos_weight=torch.ones(shape))
    outcome(log, f.binary_cross_entropy_with_logits, x, t, pos_weight=weight)
    outcome(log, f.nll_loss, x, torch.tensor(1), weight)
    outcome(log, f.nll_loss, known(torch, 1, 2, 1, 1), torch.zeros(1, 1, 1).long(), weight)
    outcome(log, f.cross_entropy, x, torch.tensor(1), weight)
    outcome(log, f.huber_loss, x, t, weight=torch.ones(3))
    outcome(log, f.huber_loss, x, t, weight=t, reduction="other")
    with torch.no_grad():
        log(f.nll_loss(x, torch.tensor(1), weight))


def rule_old_names_of_reductions(torch, log):
    f, x, t = torch.nn.functional, torch.tensor([0.5, 0.25]), torch.tensor([1.0, 0.0])
    for loss in (
        f.mse_loss, f.l1_loss, f.smooth_l1_loss, f.binary_cross_entropy, f.binary_cross_entropy_with_logits, f.kl_div,
    ):  # fmt: skip
        for options in (
            {"size_average": True}, {"size_average": False}, {"reduce": False}, {"reduce": True},
            {"size_average": False, "reduce": False}, {"reduction": "elementwise_mean"},
        ):  # fmt: skip
            outcome(log, loss, x, t, **options)
    for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "BCELoss", "BCEWithLogitsLoss", "KLDivLoss", "NLLLoss"):
        log(getattr(torch.nn, name)(size_average=False).reduction, getattr(torch.nn, name)(reduce=False).reduction)


def rule_kl_div_says_what_its_mean_is(torch, log):
    x, t = known(torch, 2, 3, requires_grad=True), known(torch, 2, 3, start=0.1, requires_grad=True)
    torch.nn.functional.kl_div(x, t).backward()
    log(x.grad, t.grad)
    torch.nn.KLDivLoss()(x, t).backward()
    log(x.grad, torch.nn.functional.kl_div(x, t, reduction="batchmean"))
    log(torch.nn.functional.kl_div(x[0, 0], t[0, 0], reduction="batchmean"))
    outcome(log, torch.nn.functional.kl_div, x, t[:, :2])
    outcome(log, torch.nn.functional.kl_div, x, t, reduction="other")


def rule_pad(torch, log):
    pad, x = torch.nn.functional.pad, known(torch, 1, 1, 3, 3)
    for arguments in (
        ((1,),),
        ((1,) * 10,),
        ((3, 3, 0, 0), "reflect"),
        ((1, 1), "reflect"),
        ((4, 4, 0, 0), "circular"),
        ((1, 1, 1, 1), "reflect", 1.0),
        ((1, 1, 1, 1), "other"),
        ((-1, -1),),
        ((1, 0, 2, 1), "constant", 7),
        ((1, 2, 2, 1), "reflect"),
        ((1, 2, 2, 1), "replicate"),
        ((1, 2, 2, 1), "circular"),
    ):
        outcome(log, pad, x, *arguments)
    log(pad(x[0, 0], (1, 1), "reflect"), pad(x[0], (1, 1, 0, 0), "circular"))


def rule_interpolate_refuses(torch, log):
    f, x = torch.nn.functional.interpolate, known(torch, 1, 1, 3, 3)
    for options in (
        {},
        {"size": 5, "scale_factor": 2},
        {"size": 5, "align_corners": True},
        {"size": (5,)},
        {"scale_factor": (2.0,)},
        {"size": (5.5, 5)},
        {"size": 5, "recompute_scale_factor": True},
        {"size": 5, "antialias": True},
        {"size": 5, "mode": "linear"},
        {"size": 5, "mode": "trilinear"},
        {"size": 0},
        {"scale_factor": 0.1},
        {"size": 5, "mode": "other"},
    ):
        attempt(log, f, x, **options) if options != {"size": 5, "mode": "other"} else None
    for dims in (x[0, 0], x[0]):
        attempt(log, f, dims, size=5, mode="bilinear")


def rule_interpolate_accepts(torch, log):
    f, x = torch.nn.functional.interpolate, known(torch, 1, 1, 3, 4)
    log(f(x, 2, mode="area"), f(x, scale_factor=(1.5, 2)), f(x, scale_factor=1.7, mode="bilinear"))
    log(f(x, scale_factor=1.7, mode="bilinear", recompute_scale_factor=True), f(x, scale_factor=0.5, mode="area"))
    log(torch.nn.functional.upsample(x, scale_factor=2))


def rule_one_hot(torch, log):
    f = torch.nn.functional.one_hot
    log(f(torch.tensor([0, 2])), f(torch.tensor([[1], [0]]), 4))
    for arguments in (
        (torch.tensor([0, 3]), 2),
        (torch.tensor([0, -3]),),
        (torch.tensor([0.0]),),
        (torch.tensor([0]), 0),
    ):
        outcome(log, f, *arguments)
    outcome(log, f, torch.tensor([], dtype=torch.int64))


def rule_softmax_dimension(torch, log):
    f = torch.nn.functional
    for shape in ((3,), (2, 3), (2, 2, 2)):
        log(f.softmax(known(torch, *shape)), f.log_softmax(known(torch, *shape)), f.softmin(known(torch, *shape)))
    log(f.softmax(known(torch, 3), 0, dtype=torch.float64))
    outcome(log, f.softmax, known(torch, 2), 5)
    outcome(log, torch.nn.Softmax2d(), known(torch, 2))


def rule_sampling(torch, log):
    f, x = torch.nn.functional, known(torch, 1, 2, 3, 4)
    theta = known(torch, 1, 2, 3, step=0.3, requires_grad=True)
    for corners in (True, False, None):
        grid = f.affine_grid(theta, (1, 2, 3, 2), align_corners=corners)
        log(grid, f.grid_sample(x, grid, align_corners=corners))
        grid.sum().backward()
    log(theta.grad)
    outcome(log, f.grid_sample, x, known(torch, 2, 2, 2, 2), align_corners=False)
    outcome(log, f.grid_sample, x, known(torch, 1, 2, 2, 3), align_corners=False)
    outcome(log, f.grid_sample, x, known(torch, 1, 2, 2, 2), mode="other")
    outcome(log, f.grid_sample, x, known(torch, 1, 2, 2, 2), padding_mode="other")
    outcome(log, f.affine_grid, known(torch, 1, 3, 3), (1, 1, 2, 2), align_corners=False)
    outcome(log, f.affine_grid, theta, (1, 1, 0, 2), align_corners=False)
    outcome(log, f.affine_grid, torch.ones(1, 2, 3).long(), (1, 1, 2, 2), align_corners=False)


def rule_windows(torch, log):
    f, x = torch.nn.functional, known(torch, 2, 3, 4, 5)
    columns = f.unfold(x, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2))
    log(columns, f.fold(columns, (4, 5), (2, 3), dilation=(2, 1), padding=1, stride=(1, 2)), f.unfold(x[0], 2).shape)
    outcome(log, f.unfold, x, 7)
    outcome(log, f.fold, columns, (9, 9), (2, 3))
    outcome(log, f.fold, columns, (4, 5), 4)


def rule_vectors(torch, log):
    f, x = torch.nn.functional, known(torch, 2, 3, requires_grad=True)
    y = known(torch, 2, 3, start=0.2, step=-0.3, requires_grad=True)
    for result in (f.normalize(x), f.normalize(x, 1, 0), f.cosine_similarity(x, y)):
        log(result, result.grad_fn.name())
        result.sum().backward()
    f.pairwise_distance(x, y, keepdim=True).sum().backward()
    log(x.grad, y.grad, f.cosine_similarity(torch.zeros(1, 2), torch.ones(1, 2)), f.normalize(torch.zeros(1, 2)))
    outcome(log, f.normalize, torch.ones(3))


def rule_activations_in_place(torch, log):
    f = torch.nn.functional
    for name in ["relu", "relu6", "elu", "selu", "leaky_relu", "hardtanh", "silu", "mish", "hardsigmoid", "hardswish"]:
        x = known(torch, 4, step=0.4) * 2
        leaf = known(torch, 4, step=0.4, requires_grad=True)
        y = leaf * 2
        log(name, getattr(f, name)(x, inplace=True) is x, x, x._version, getattr(f, name)(y, inplace=True) is y)
        y.sum().backward()
        log(leaf.grad)
        outcome(log, getattr(f, name), leaf, inplace=True)
    x = known(torch, 4)
    log(f.threshold(x, 0.1, 9, inplace=True), x, f.softsign(x), f.tanhshrink(x))
    outcome(log, f.gelu, x, approximate="other")
    outcome(log, f.hardtanh, x, 2, 1)
    outcome(log, torch.nn.Hardtanh, 2, 1)
    outcome(log, f.prelu, known(torch, 2, 3), torch.ones(2))


def rule_dropout_arguments(torch, log):
    f, x = torch.nn.functional, known(torch, 2, 3, requires_grad=True)
    log(f.dropout(x, training=False) is x, f.dropout(x, 0.0) is x, f.dropout2d(x[None], 0.0).shape)
    log(f.dropout(x, 1.0), f.dropout(x).grad_fn.name(), f.dropout(x, 1.0, training=True).grad_fn.name())
    outcome(log, f.dropout, x, 2)
    outcome(log, torch.nn.Dropout, -1)
    log(f.dropout2d(x, 1.0), f.dropout2d(x[None], 1.0))


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)


def test_dropout_keeps_the_mean():
    minicnn.manual_seed(0)
    x = minicnn.ones(200, 300)
    y = F.dropout(x, 0.3)
    assert set(np.unique(y.numpy())) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs(y.mean().item() - 1) < 0.02
    channels = F.dropout2d(minicnn.ones(20, 30, 4, 4), 0.5).numpy()
    assert {channel.std() for channel in channels.reshape(600, 16)} == {0.0}


def test_what_minicnn_does_not_have_says_so():
    with pytest.raises(NotImplementedError, match="minicnn resizes 3D inputs by the modes nearest"):
        F.interpolate(minicnn.ones(1, 1, 3, 3, 3), 5, mode="trilinear")
    assert not hasattr(F, "conv3d")


STAYING = [
    ((1, 1, 7), {"mode": "nearest"}, "gradient"),
    ((1, 1, 7), {"mode": "linear"}, "both"),
    ((1, 1, 7), {"mode": "nearest-exact"}, "both"),
    ((1, 1, 6, 5), {"mode": "bicubic"}, "gradient"),
    ((1, 1, 6, 5), {"mode": "nearest-exact"}, "both"),
    ((1, 1, 6, 5), {"mode": "bilinear", "antialias": True}, "result"),
    ((1, 1, 6, 5), {"mode": "bicubic", "antialias": True}, "result"),
]


@pytest.mark.parametrize("shape, mode, in_torch", STAYING, ids=str)
def test_a_factor_that_leaves_the_size_copies(shape, mode, in_torch):
    """Result and gradient alike; in PyTorch that holds for both, or for one of them."""
    x = np.random.default_rng(0).standard_normal(shape)
    copied = {}
    for lib in (minicnn, torch):
        given = lib.tensor(x, requires_grad=True)
        result = lib.nn.functional.interpolate(given, scale_factor=1.03, **mode)
        result.backward(lib.from_numpy(x[..., ::-1].copy()))
        same = [np.array_equal(result.detach().numpy(), x), np.array_equal(given.grad.numpy(), x[..., ::-1])]
        copied[lib] = {"result": same[0], "gradient": same[1]}
    assert all(copied[minicnn].values())
    assert copied[torch] == {key: in_torch in ("both", key) for key in ("result", "gradient")}


def test_nearest_has_one_rule_where_pytorch_has_two():
    """Above 128 rows and columns PyTorch's forward pass drops the rule that its gradient keeps: a size that stays is copied."""
    x = np.random.default_rng(0).standard_normal((1, 1, 22, 168)).astype(np.float32)
    ours, theirs = minicnn.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = (lib.nn.functional.interpolate(t, scale_factor=1.03) for lib, t in [(minicnn, ours), (torch, theirs)])
    assert y.shape == (1, 1, 22, 173)
    assert y[0, 0, :, 0].tolist() == x[0, 0, :, 0].tolist()
    assert z[0, 0, :, 0].tolist() != x[0, 0, :, 0].tolist()
    y.sum().backward()
    z.sum().backward()
    assert ours.grad.tolist() == theirs.grad.tolist()
