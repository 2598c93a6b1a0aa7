"""Every layer and function prints, stores and is called as in torch."""

from __future__ import annotations

import inspect

import pytest
import torch as real_torch
from both import assert_same

import minicnn

LAYERS = [
    "Conv2d(3, 8, 3)",
    "Conv2d(4, 8, (3, 5), stride=2, padding=(1, 2), dilation=2, groups=2, bias=False)",
    "Conv2d(3, 3, 3, padding='same', padding_mode='reflect')",
    "Conv2d(3, 3, 3, padding='valid')",
    "ConvTranspose2d(3, 6, 3, stride=2, output_padding=1)",
    "Conv1d(4, 8, (3,), stride=2, padding=1, dilation=2, groups=2, bias=False)",
    "Conv1d(3, 3, 3, padding='same', padding_mode='reflect')",
    "ConvTranspose1d(3, 6, 3, stride=2, output_padding=1)",
    "MaxPool1d(2)",
    "MaxPool1d(2, 1, 1, 2, True, True)",
    "AvgPool1d(2, padding=1)",
    "AvgPool1d((2,), (1,), (1,))",
    "AdaptiveAvgPool1d(3)",
    "AdaptiveMaxPool1d(5)",
    "InstanceNorm1d(4, affine=True)",
    "Dropout1d()",
    "ZeroPad1d(1)",
    "ConstantPad1d((1, 2), 0.5)",
    "ReflectionPad1d(2)",
    "ReplicationPad1d(2)",
    "CircularPad1d(2)",
    "MaxPool2d(2)",
    "MaxPool2d((2, 3), 1, 1, 2, True, True)",
    "AvgPool2d(2, padding=1)",
    "LPPool2d(2, 3)",
    "AdaptiveAvgPool2d((None, 3))",
    "AdaptiveMaxPool2d(5)",
    "Linear(3, 4, bias=False)",
    "Identity(1, two=3)",
    "CELU(1.5, True)",
    "GLU()",
    "Hardshrink()",
    "Softshrink(0.3)",
    "LPPool1d(2, 3, ceil_mode=True)",
    "MaxUnpool1d(2, padding=1)",
    "RMSNorm((3, 4), elementwise_affine=False)",
    "Embedding(5, 3)",
    "Embedding(5, 3, padding_idx=-2, max_norm=1.5, scale_grad_by_freq=True)",
    "MultiheadAttention(6, 2)",
    "MultiheadAttention(6, 2, 0.1, False, True, True, 4, 5, True)",
    "BatchNorm2d(4, momentum=None)",
    "BatchNorm1d(4, affine=False, track_running_stats=False)",
    "InstanceNorm2d(4, affine=True)",
    "GroupNorm(2, 4)",
    "GroupNorm(2, 4, 0.1, False)",
    "MaxUnpool2d((2, 3), padding=1)",
    "LayerNorm(4, bias=False)",
    "LocalResponseNorm(3, beta=0.5)",
    "LayerNorm((2, 4), eps=0.1, elementwise_affine=False)",
    "Dropout(0.2, True)",
    "Dropout2d()",
    "Flatten()",
    "Unflatten(1, (2, 3))",
    "PixelShuffle(2)",
    "PixelUnshuffle(downscale_factor=3)",
    "ChannelShuffle(2)",
    "Unfold(2, padding=1)",
    "Fold((4, 5), 2, stride=(1, 2))",
    "Upsample(scale_factor=2, mode='bilinear')",
    "Upsample(size=(4, 5))",
    "UpsamplingNearest2d(scale_factor=2)",
    "UpsamplingBilinear2d(size=4)",
    "ZeroPad2d(1)",
    "ConstantPad2d((1, 2, 3, 4), 0.5)",
    "ReflectionPad2d(2)",
    "ReplicationPad2d(2)",
    "CircularPad2d(2)",
    "ReLU(inplace=True)",
    "ReLU6()",
    "LeakyReLU(0.2, inplace=True)",
    "PReLU(3)",
    "ELU(2.0)",
    "SELU()",
    "GELU('tanh')",
    "SiLU(True)",
    "Mish()",
    "Hardsigmoid(True)",
    "Hardswish()",
    "Hardtanh(-2, 2, True)",
    "Sigmoid()",
    "LogSigmoid()",
    "Tanh()",
    "Tanhshrink()",
    "Softsign()",
    "Softplus(2)",
    "Threshold(0.1, 20)",
    "Softmax(1)",
    "Softmin(1)",
    "Softmax2d()",
    "LogSoftmax(-1)",
    "CrossEntropyLoss(label_smoothing=0.1)",
    "NLLLoss()",
    "MSELoss(reduction='sum')",
    "L1Loss()",
    "SmoothL1Loss()",
    "HuberLoss()",
    "BCELoss()",
    "BCEWithLogitsLoss()",
    "KLDivLoss(log_target=True)",
    "CosineSimilarity()",
    "PairwiseDistance()",
    "Sequential()",
    "Sequential(nn.ReLU(), nn.Sequential(nn.Linear(1, 2), nn.Tanh()))",
    "ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(1, 2)])",
    "ModuleDict({'a': nn.ReLU(), 'b': nn.ModuleList()})",
]


@pytest.mark.parametrize("text", LAYERS)
def test_layer_prints_and_stores_as_in_torch(text):
    def rule(torch, log):
        layer = eval("nn." + text, {"nn": torch.nn})
        log(repr(layer), {k: v for k, v in vars(layer).items() if k[0] != "_"})
        log([(n, list(p.shape)) for n, p in layer.named_parameters()], list(layer.state_dict()))

    assert_same(rule)


def test_every_layer_is_in_the_list():
    def is_layer(value):
        return isinstance(value, type) and issubclass(value, minicnn.nn.Module)

    layers = {name for name, value in vars(minicnn.nn).items() if is_layer(value)} - {"Module"}
    assert layers - {"ParameterList", "ParameterDict"} == {text.partition("(")[0] for text in LAYERS}


def parameters_of(function):
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(
    "name", sorted(set(minicnn.nn.__all__) - {"functional", "init", "modules", "parameter", "utils"})
)
def test_class_has_torchs_signature(name):
    assert parameters_of(getattr(minicnn.nn, name)) == parameters_of(getattr(real_torch.nn, name))


@pytest.mark.parametrize("name", [n for n, value in vars(minicnn.nn.functional).items() if inspect.isfunction(value)])
def test_function_has_torchs_signature(name):
    theirs = getattr(real_torch.nn.functional, name)
    try:
        expected = parameters_of(theirs)
    except ValueError:
        pytest.skip("a builtin of torch without a signature")
    if name in ("max_pool2d", "max_pool2d_with_indices", "adaptive_max_pool2d"):
        expected = expected[: len(parameters_of(getattr(minicnn.nn.functional, name)))]
    if expected[0][0] not in ("args", "_"):
        assert parameters_of(getattr(minicnn.nn.functional, name)) == expected


@pytest.mark.parametrize(
    "call",
    [
        "conv2d(zeros(1, 4, 5, 5), zeros(1, 2, 3, 3), groups=2)",
        "conv2d(zeros(1, 4, 5, 5), zeros(0, 4, 3, 3))",
        "conv2d(zeros(1, 4, 5, 5), zeros(1, 4, 0, 3))",
        "conv2d(zeros(4, 5, 5), zeros(1, 3, 3, 3))",
        "conv2d(zeros(4, 5, 5), zeros(1, 4, 3))",
        "conv_transpose2d(zeros(1, 3, 5, 5), zeros(3, 2, 3, 3), groups=2)",
        "conv_transpose2d(zeros(1, 4, 5, 5), zeros(3, 4, 3, 3), zeros(3))",
        "conv_transpose2d(zeros(1, 4, 5, 5), zeros(4, 4, 3, 3), output_padding=-1)",
        "conv_transpose2d(zeros(1, 4, 5, 5), [1])",
    ],
)
def test_a_convolution_that_does_not_fit(call):
    def message(lib):
        with pytest.raises((RuntimeError, TypeError)) as error:
            eval(f"F.{call}", {"F": lib.nn.functional, "zeros": lib.zeros})
        return type(error.value).__name__, str(error.value)

    assert message(minicnn) == message(real_torch)


def test_softmax_takes_its_dtype_in_both_places():
    """`torch.softmax` has it third, `torch.nn.functional.softmax` by its name only."""
    for lib in (minicnn, real_torch):
        x = lib.arange(6.0).reshape(2, 3)
        for function in (lib.softmax, lib.log_softmax):
            assert function(x, 1, lib.float64).dtype is lib.float64
        assert lib.nn.functional.softmax(x, 1, 3, lib.float64).dtype is lib.float64


def test_a_convolution_of_ones_own():
    """A subclass of Conv2d may have a `_conv_forward` of its own, as in torch."""
    for lib in (minicnn, real_torch):

        class Halved(lib.nn.Conv2d):
            def _conv_forward(self, input, weight, bias):
                return super()._conv_forward(input, weight / 2, bias)

        layer, x = Halved(1, 2, 3, bias=False), lib.ones(1, 1, 4, 4)
        assert lib.equal(layer(x) * 2, lib.nn.functional.conv2d(x, layer.weight))
