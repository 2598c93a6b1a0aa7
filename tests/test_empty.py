"""Nothing in the batch, no channels, one row or column, half precision: forward and backward of layers and functions, as PyTorch.

Warnings of NumPy are errors here. What PyTorch refuses is refused with the same type of error.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from quick import one_of_each

import minicnn

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::UserWarning")

SHAPES = [
    (0, 2, 4, 4),
    (1, 0, 4, 4),
    (1, 2, 0, 4),
    (1, 2, 4, 0),
    (1, 2, 1, 4),
    (1, 2, 4, 1),
    (1, 2, 1, 1),
    (2, 2, 4, 4),
]
FLAT = [(0, 2), (2, 0), (0, 0), (1, 1), (3, 2), (0, 3, 2), (2,), (0,)]
TOLERANCE = {"float16": 8e-3, "float32": 2e-5}

LAYERS = {
    "Conv2d": lambda nn: nn.Conv2d(2, 3, 3, padding=1),
    "Conv2d 1x1": lambda nn: nn.Conv2d(2, 3, 1),
    "Conv2d groups": lambda nn: nn.Conv2d(2, 4, 3, stride=2, groups=2),
    "MaxPool2d": lambda nn: nn.MaxPool2d(2),
    "MaxPool2d padding": lambda nn: nn.MaxPool2d(3, 2, 1),
    "AvgPool2d": lambda nn: nn.AvgPool2d(2),
    "AvgPool2d padding": lambda nn: nn.AvgPool2d(3, 2, 1),
    "AdaptiveAvgPool2d 1": lambda nn: nn.AdaptiveAvgPool2d(1),
    "AdaptiveAvgPool2d": lambda nn: nn.AdaptiveAvgPool2d((2, 3)),
    "AdaptiveAvgPool2d 0": lambda nn: nn.AdaptiveAvgPool2d((0, 3)),
    "AdaptiveMaxPool2d": lambda nn: nn.AdaptiveMaxPool2d((2, 3)),
    "BatchNorm2d": lambda nn: nn.BatchNorm2d(2),
    "BatchNorm2d eval": lambda nn: nn.BatchNorm2d(2).eval(),
    "InstanceNorm2d": lambda nn: nn.InstanceNorm2d(2),
    "Upsample nearest": lambda nn: nn.Upsample(scale_factor=2),
    "Upsample bilinear": lambda nn: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    "ReflectionPad2d": lambda nn: nn.ReflectionPad2d(1),
    "ReplicationPad2d": lambda nn: nn.ReplicationPad2d(1),
    "ZeroPad2d": lambda nn: nn.ZeroPad2d(1),
    "Flatten": lambda nn: nn.Flatten(),
    "PReLU": lambda nn: nn.PReLU(),
    "Softmax": lambda nn: nn.Softmax(1),
    "LogSoftmax": lambda nn: nn.LogSoftmax(1),
} | {
    name: (lambda nn, name=name: getattr(nn, name)())
    for name in [
        "ReLU",
        "GELU",
        "Sigmoid",
        "Tanh",
        "Softplus",
        "Mish",
        "SiLU",
        "ELU",
        "Hardswish",
        "Hardsigmoid",
        "Hardtanh",
        "LeakyReLU",
        "LogSigmoid",
    ]
}
NEED_TWO_CHANNELS = ("BatchNorm2d", "BatchNorm2d eval")  # PyTorch does not look where there is nothing


def given(lib, shape, dtype, seed=0, requires_grad=True):
    values = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return lib.from_numpy(values).requires_grad_(requires_grad)


def outcome(lib, call):
    """The results and the gradients of what `call` returns: (results, tensors)."""
    try:
        results, tensors = call(lib)
        for result in results:
            if result.requires_grad:
                result.sum().backward()
    except Exception as error:
        return type(error).__name__
    return [t if t is None else np.array(t.detach().numpy()) for t in (*results, *(x.grad for x in tensors))]


def check(call, dtype, what):
    ours, theirs = outcome(minicnn, call), outcome(torch, call)
    if isinstance(ours, str) or isinstance(theirs, str):
        assert ours == theirs, what
        return
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None), what
        if a is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype), what
            np.testing.assert_allclose(a, b, TOLERANCE[dtype], TOLERANCE[dtype], err_msg=str(what))


@pytest.mark.parametrize("dtype", one_of_each(["float32", "float16"], of=lambda dtype: "float"))
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, dtype):
    def call(lib, shape):
        layer = LAYERS[name](lib.nn)
        with lib.no_grad():
            for seed, parameter in enumerate(layer.parameters()):
                parameter.copy_(given(lib, tuple(parameter.shape), "float32", seed + 1, False))
        layer, x = layer.to(getattr(lib, dtype)), given(lib, shape, dtype)
        return [layer(x)], [x, *layer.parameters()]

    for shape in SHAPES:
        if not (name in NEED_TWO_CHANNELS and shape[1] == 0):
            check(lambda lib, shape=shape: call(lib, shape), dtype, shape)


FUNCTIONS = {
    "mse_loss": lambda F, x, t: F.mse_loss(x, t),
    "mse_loss none": lambda F, x, t: F.mse_loss(x, t, reduction="none"),
    "l1_loss": lambda F, x, t: F.l1_loss(x, t),
    "smooth_l1_loss": lambda F, x, t: F.smooth_l1_loss(x, t),
    "huber_loss": lambda F, x, t: F.huber_loss(x, t),
    "binary_cross_entropy": lambda F, x, t: F.binary_cross_entropy(x.sigmoid(), t.sigmoid()),
    "kl_div": lambda F, x, t: F.kl_div(x, t.sigmoid(), reduction="batchmean"),
    "binary_cross_entropy_with_logits": lambda F, x, t: F.binary_cross_entropy_with_logits(x, t.sigmoid()),
    "cross_entropy of probabilities": lambda F, x, t: F.cross_entropy(x, t.softmax(1)),
    "softmax": lambda F, x, t: F.softmax(x, -1),
    "log_softmax": lambda F, x, t: F.log_softmax(x, 0),
    "normalize": lambda F, x, t: F.normalize(x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name):
    for shape in FLAT:
        if name == "cross_entropy of probabilities" and len(shape) < 2:
            continue

        def call(lib, shape=shape):
            x, target = given(lib, shape, "float32"), given(lib, shape, "float32", 5, False)
            return [FUNCTIONS[name](lib.nn.functional, x, target)], [x]

        check(call, "float32", shape)


@pytest.mark.parametrize(
    "name",
    [
        "sum",
        "mean",
        "prod",
        "var",
        "std",
        "norm",
        "logsumexp",
        "amax",
        "amin",
        "max",
        "median",
        "cumsum",
        "softmax",
        "argmax",
    ],
)
def test_reduction(name):
    for shape in [(0, 3), (3, 0), (1, 1), (0,)]:
        for dim in (None, 0, -1):
            if dim is None and name in ("logsumexp", "cumsum", "softmax"):
                continue

            def call(lib, shape=shape, dim=dim):
                x = given(lib, shape, "float32")
                result = getattr(lib, name)(x) if dim is None else getattr(lib, name)(x, dim=dim)
                return list(result) if isinstance(result, tuple) else [result], [x]

            check(call, "float32", (shape, dim))


OF_IMAGES = {
    "linear": lambda lib, x: lib.nn.functional.linear(x, lib.ones(3, x.shape[-1]), lib.ones(3)),
    "linear without bias": lambda lib, x: lib.nn.functional.linear(x, lib.ones(3, x.shape[-1])),
    "matmul": lambda lib, x: x @ lib.ones(x.shape[-1], 2),
    "matmul to nothing": lambda lib, x: x @ lib.ones(x.shape[-1], 0),
    "matmul of a vector": lambda lib, x: x @ lib.ones(x.shape[-1]),
    "batch_norm": lambda lib, x: lib.nn.functional.batch_norm(x, None, None, training=True),
    "batch_norm eval": lambda lib, x: lib.nn.functional.batch_norm(x, lib.zeros(x.shape[1]), lib.ones(x.shape[1])),
    "argmax": lambda lib, x: x.argmax(1).float(),
    "norm inf": lambda lib, x: x.norm(float("inf"), 1),
    "norm 0": lambda lib, x: x.norm(0, 1),
    "take_along_dim": lambda lib, x: lib.take_along_dim(x, lib.zeros(x.shape, dtype=lib.int64), 1),
    "index": lambda lib, x: x[:, lib.tensor([], dtype=lib.int64)],
    "repeat": lambda lib, x: x.repeat(0, 1, 2, 1),
    "cat": lambda lib, x: lib.cat([x, x], 1),
    "flatten": lambda lib, x: x.flatten(1),
    "unfold": lambda lib, x: x.unfold(1, 0, 1),
}


@pytest.mark.parametrize("name", OF_IMAGES)
def test_images_of_nothing(name):
    for shape in [*SHAPES, (0, 0, 3, 4), (0, 0, 0, 0), (2, 3, 1, 0)]:

        def call(lib, shape=shape):
            x = given(lib, shape, "float32")
            return [OF_IMAGES[name](lib, x)], [x]

        check(call, "float32", shape)


def test_no_norm_of_nothing():
    for norm in (lambda lib, x: x.norm(float("inf")), lambda lib, x: x.norm(float("-inf"), 0)):
        check(lambda lib, norm=norm: ([norm(lib, given(lib, (0, 3), "float32"))], []), "float32", "norm")
    with pytest.raises(RuntimeError, match="data points"):
        minicnn.fft.rfft2(minicnn.ones(2, 0, 3))


CONVOLUTIONS = {
    "conv2d": lambda F, x, w, b: F.conv2d(x, w, b),
    "conv2d padding": lambda F, x, w, b: F.conv2d(x, w, b, padding=1),
    "conv2d stride": lambda F, x, w, b: F.conv2d(x, w, b, 2, (1, 0)),
    "conv_transpose2d": lambda F, x, w, b: F.conv_transpose2d(x, w.transpose(0, 1), b),
    "conv_transpose2d stride": lambda F, x, w, b: F.conv_transpose2d(x, w.transpose(0, 1), b, 2),
}


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_of_nothing(name, biased):
    """No image, no channels, no rows, no filters, in all combinations. (Without images and without filters PyTorch raises an
    IndexError by accident where minicnn answers.)"""
    for N, C, H, W, O, K in itertools.product((0, 2), (0, 2), (0, 1, 3), (0, 3), (0, 3), (1, 2)):
        if O == 0 and N == 0:
            continue

        def call(lib, N=N, C=C, H=H, W=W, O=O, K=K):
            x, weight = given(lib, (N, C, H, W), "float32"), given(lib, (O, C, K, 1), "float32", 1)
            bias = given(lib, (O,), "float32", 2) if biased else None
            tensors = [x, weight, *([bias] if biased else [])]
            return [CONVOLUTIONS[name](lib.nn.functional, x, weight, bias)], tensors

        check(call, "float32", (N, C, H, W, O, K))


def test_classes_of_nothing():
    for shape, target in [
        ((0, 3), (0,)),
        ((0, 3, 2, 2), (0, 2, 2)),
        ((2, 3, 0, 2), (2, 0, 2)),
        ((3,), ()),
        ((1, 1), (1,)),
    ]:
        for reduction in ("mean", "sum", "none"):

            def call(lib, shape=shape, target=target, reduction=reduction):
                x = given(lib, shape, "float32")
                classes = lib.zeros(target, dtype=lib.int64)
                return [lib.nn.functional.cross_entropy(x, classes, reduction=reduction, label_smoothing=0.1)], [x]

            check(call, "float32", (shape, reduction))


def test_reading_at_places_of_nothing():
    for shape in SHAPES:

        def call(lib, shape=shape):
            x, grid = given(lib, shape, "float32"), given(lib, (shape[0], 2, 3, 2), "float32", 7)
            return [lib.nn.functional.grid_sample(x, grid, align_corners=False)], [x, grid]

        check(call, "float32", shape)
