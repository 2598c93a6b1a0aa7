"""The table of layers: each module against torch, with the same parameters: output, every gradient, buffers, graph,
`repr`, and the keys of the state dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from compare import (
    FLOATS,
    Input,
    Outcome,
    between,
    compare,
    constant,
    data,
    exactly,
    flatten,
    graph_of,
    normal,
    numbers,
    same,
    same_error,
    seed_of,
)

import minicnn


@dataclass(frozen=True)
class Layer:
    """`build(lib)` makes the module; `calls` is how often it sees its input (batch norm changes with every call)."""

    name: str
    build: Callable[[Any], Any]
    inputs: Sequence[Input | tuple[int, ...]]
    calls: int = 1
    evaluate: bool = False
    graph: str = "whole"
    loose: Mapping[str, float] = field(default_factory=dict)


def layer(text: str, *inputs: Input | tuple[int, ...], **options: Any) -> Layer:
    """A layer by the text that makes it, such as `Conv2d(3, 4, 3)`."""
    return Layer(text, lambda lib: eval(text, {**vars(lib.nn)}), inputs, **options)


IMAGE = (2, 3, 8, 7)
SERIES = (2, 3, 7)
LABELS = data([2, 0, 1, 2])

LAYERS = [
    layer("Conv2d(3, 4, 3)", IMAGE),
    layer("Conv2d(3, 4, kernel_size=3, padding=1)", IMAGE),
    layer("Conv2d(3, 4, 3, padding=1)", (3, 8, 7)),
    layer("Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False)", IMAGE),
    layer("Conv2d(3, 6, 3, dilation=2, groups=3)", IMAGE),
    layer("Conv2d(3, 4, 3, padding='same')", IMAGE),
    layer("Conv2d(3, 4, 4, padding='same', dilation=2)", IMAGE),
    layer("Conv2d(3, 4, 3, padding='valid')", IMAGE),
    layer("ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1)", IMAGE),
    layer("Conv1d(3, 4, 3)", SERIES),
    layer("Conv1d(4, 8, (3,), stride=2, padding=1, dilation=2, groups=2, bias=False)", (2, 4, 9)),
    layer("Conv1d(3, 4, 4, padding='same')", SERIES),
    layer("Conv1d(3, 4, 3, padding=2, padding_mode='circular')", SERIES, graph="none"),
    layer("Conv1d(3, 4, 3)", (3, 7)),
    layer("ConvTranspose1d(3, 4, 3, stride=2, padding=1, output_padding=1)", SERIES),
    layer("MaxPool1d(3, stride=2, padding=1, ceil_mode=True)", SERIES),
    layer("MaxPool1d(2, return_indices=True)", SERIES),
    layer("AvgPool1d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)", SERIES),
    layer("AdaptiveAvgPool1d(3)", SERIES),
    layer("AdaptiveMaxPool1d(3)", SERIES),
    layer("BatchNorm1d(3)", SERIES, calls=2),
    layer("InstanceNorm1d(3)", SERIES, graph="last"),
    layer("InstanceNorm1d(3, affine=True, track_running_stats=True)", SERIES, graph="last", calls=2),
    layer("InstanceNorm1d(3, affine=True)", (3, 7), graph="last"),
    layer("Dropout1d(0.4)", SERIES, evaluate=True),
    layer("ZeroPad1d(1)", SERIES),
    layer("ConstantPad1d((1, 2), 3.5)", SERIES),
    layer("ReflectionPad1d((1, 2))", SERIES),
    layer("ReplicationPad1d(2)", SERIES),
    layer("CircularPad1d(2)", SERIES, graph="none"),
    layer("MultiheadAttention(6, 2)", (4, 2, 6), (5, 2, 6), (5, 2, 6), graph="none"),
    layer("MultiheadAttention(6, 3, kdim=4, vdim=5, batch_first=True)", (2, 4, 6), (2, 5, 4), (2, 5, 5), graph="none"),
    layer("CELU(1.5)", IMAGE),
    layer("GLU(1)", (2, 4, 3), graph="none"),
    layer("Hardshrink(0.3)", IMAGE),
    layer("Softshrink(0.3)", IMAGE),
    layer("LPPool1d(2, 3, 2)", SERIES),
    layer("LPPool1d(float('inf'), 2, ceil_mode=True)", SERIES),
    layer("MaxUnpool1d(2)", (1, 2, 3), data([[[0, 3, 4], [1, 2, 5]]])),
    layer("RMSNorm(7)", SERIES, graph="none"),
    layer("RMSNorm((3, 7), eps=0.1, elementwise_affine=False)", SERIES, graph="none"),
    layer("Embedding(5, 3)", data([[1, 4, 1], [0, 2, 2]])),
    layer("Embedding(5, 3, padding_idx=-1, max_norm=1.0)", data([[1, 4, 1], [0, 2, 2]]), graph="last"),
    layer("Linear(7, 5)", (2, 7)),
    layer("Linear(7, 5, bias=False)", (2, 7)),
    layer("Linear(7, 5)", IMAGE, graph="last"),
    layer("MaxPool2d(2)", IMAGE),
    layer("MaxPool2d(2, 2)", IMAGE),
    layer("MaxPool2d(3, stride=2, padding=1, dilation=2, ceil_mode=True)", IMAGE),
    layer("MaxPool2d((3, 2), return_indices=True)", IMAGE),
    layer("AvgPool2d(2)", IMAGE),
    layer("AvgPool2d(3, 2, padding=1, ceil_mode=True, count_include_pad=False)", IMAGE),
    layer("LPPool2d(2, 2)", IMAGE),
    layer("LPPool2d(3, (3, 2), 2, ceil_mode=True)", IMAGE),
    layer("LPPool2d(float('inf'), 2)", IMAGE),
    layer("LPPool2d(-float('inf'), 3, 1)", IMAGE),
    layer("AdaptiveAvgPool2d(1)", IMAGE),
    layer("AdaptiveAvgPool2d((3, None))", IMAGE),
    layer("AdaptiveMaxPool2d((3, 2))", IMAGE),
    layer("Upsample(scale_factor=2)", IMAGE),
    layer("Upsample(size=(5, 9), mode='bilinear', align_corners=True)", IMAGE),
    layer("Upsample(scale_factor=1.5, mode='bilinear')", IMAGE),
    layer("ZeroPad2d(1)", IMAGE),
    layer("ReflectionPad2d((1, 2, 0, 3))", IMAGE),
    layer("ReplicationPad2d(2)", IMAGE),
    layer("BatchNorm2d(3)", IMAGE, calls=2),
    layer("BatchNorm2d(3, eps=0.1, momentum=0.4)", IMAGE, calls=2),
    layer("BatchNorm2d(3, momentum=None)", IMAGE, calls=3),
    layer("BatchNorm2d(3, affine=False)", IMAGE),
    layer("BatchNorm2d(3, track_running_stats=False)", IMAGE),
    layer("BatchNorm2d(3)", IMAGE, evaluate=True),
    layer("BatchNorm2d(3, track_running_stats=False)", IMAGE, evaluate=True),
    layer("BatchNorm1d(7)", (5, 7), calls=2),
    layer("Dropout(0.4)", IMAGE, evaluate=True),
    layer("Dropout2d(0.4)", IMAGE, evaluate=True),
    layer("Dropout(0.0)", IMAGE),
    layer("ReLU()", IMAGE),
    layer("ReLU6()", IMAGE),
    layer("LeakyReLU(0.2)", IMAGE),
    layer("PReLU()", IMAGE),
    layer("PReLU(3)", IMAGE),
    layer("ELU(0.7)", IMAGE),
    layer("SELU()", IMAGE),
    layer("GELU()", IMAGE),
    layer("GELU(approximate='tanh')", IMAGE),
    layer("SiLU()", IMAGE),
    layer("Mish()", IMAGE),
    layer("Softplus(2)", IMAGE),
    layer("Softsign()", IMAGE),
    layer("Hardtanh(-0.5, 0.5)", IMAGE),
    # Hardsigmoid: in the table of operations, where its row says why float64 differs from torch in the 8th digit
    layer("Hardswish()", IMAGE),
    layer("Sigmoid()", IMAGE),
    layer("LogSigmoid()", IMAGE),
    layer("Tanh()", IMAGE),
    layer("Softmax(dim=1)", IMAGE),
    layer("LogSoftmax(dim=1)", IMAGE),
    layer("Flatten()", IMAGE),
    layer("Flatten(0, 1)", IMAGE),
    layer("Unflatten(1, (2, 3))", (2, 6)),
    layer("PixelShuffle(2)", (2, 8, 3, 4)),
    layer("PixelUnshuffle(2)", (2, 3, 4, 6)),
    layer("ChannelShuffle(2)", (2, 6, 3, 4)),
    layer("Unfold(2, padding=1)", (2, 3, 4, 5)),
    layer("Fold((4, 5), 2)", (2, 12, 12)),
    layer("Identity()", IMAGE),
    layer("ConstantPad2d((1, 0, 2, 1), 3.5)", IMAGE),
    layer("CircularPad2d(2)", IMAGE, graph="none"),
    layer("UpsamplingNearest2d(scale_factor=2)", IMAGE),
    layer("UpsamplingBilinear2d(size=(5, 9))", IMAGE),
    layer("InstanceNorm2d(3)", IMAGE, graph="last"),
    layer("InstanceNorm2d(3, affine=True, track_running_stats=True)", IMAGE, graph="last", calls=2),
    layer("GroupNorm(2, 4)", (2, 4, 5, 3)),
    layer("GroupNorm(2, 4, eps=0.1, bias=False)", (3, 4)),
    layer("GroupNorm(1, 4, affine=False)", (2, 4, 3)),
    layer("LayerNorm(7)", (2, 3, 7)),
    layer("LayerNorm((3, 7), eps=0.1, bias=False)", (2, 3, 7)),
    layer("LayerNorm(7, elementwise_affine=False)", (2, 3, 7)),
    layer("LocalResponseNorm(3, alpha=0.5)", (2, 5, 3, 4), graph="last"),
    layer("LocalResponseNorm(4, 0.7, 0.6, 2.0)", (2, 5, 7), graph="last"),
    layer("Softmax2d()", IMAGE),
    layer("Softmin(dim=1)", IMAGE),
    layer("Tanhshrink()", IMAGE),
    layer("Threshold(0.1, 2.0)", IMAGE),
    layer("CosineSimilarity(dim=1)", (4, 3), (4, 3), graph="last"),
    layer("PairwiseDistance()", (4, 3), (4, 3), graph="none"),
    layer("HuberLoss(delta=0.5)", (4, 3), (4, 3)),
    layer("CrossEntropyLoss()", (4, 3), LABELS),
    layer("CrossEntropyLoss(label_smoothing=0.1, reduction='sum', ignore_index=2)", (4, 3), LABELS),
    layer("NLLLoss()", (4, 3), LABELS),
    layer("MSELoss()", (4, 3), (4, 3)),
    layer("MSELoss(reduction='none')", (4, 3), (4, 3)),
    layer("L1Loss()", (4, 3), (4, 3)),
    layer("SmoothL1Loss(beta=0.5)", (4, 3), (4, 3)),
    layer("BCELoss()", between(0.1, 0.9, 4, 3), constant(between(0, 1, 4, 3))),
    layer("KLDivLoss(reduction='batchmean', log_target=True)", (4, 3), (4, 3)),
    layer("BCEWithLogitsLoss()", (4, 3), constant(between(0, 1, 4, 3))),
    layer("Sequential(Conv2d(3, 4, 3, padding=1), ReLU(inplace=True), MaxPool2d(2), Flatten(), Linear(48, 5))", IMAGE),
    layer(
        "Sequential(Conv2d(3, 4, 3, bias=False), BatchNorm2d(4), ReLU(), Conv2d(4, 4, 3, padding=1), AdaptiveAvgPool2d(1))",
        IMAGE,
    ),
    layer("ReLU(inplace=True)", exactly([[1.0, -1.0, 0.0]]), evaluate=True),
]


def built(case: Layer, lib: Any, dtype: str, rng: np.random.Generator) -> Any:
    """The module with random parameters and buffers."""
    module = case.build(lib).to(getattr(lib, dtype))
    with lib.no_grad():
        for parameter in module.parameters():
            parameter.copy_(lib.from_numpy(rng.standard_normal(tuple(parameter.shape)) / 2))
        for buffer in module.buffers():
            if buffer.dim():
                start = rng.uniform(0.5, 1.5, tuple(buffer.shape))
                buffer.copy_(lib.from_numpy(start))
    return module.eval() if case.evaluate else module


def run(case: Layer, lib: Any, dtype: str) -> Outcome:
    rng = np.random.default_rng(seed_of(case.name))
    module = built(case, lib, dtype, rng)
    arrays: dict[str, Any] = {}
    facts: dict[str, Any] = {"repr": repr(module), "training": module.training}
    for call in range(case.calls):
        leaves = []
        for given in case.inputs:
            given = given if isinstance(given, Input) else normal(*given)
            leaf = lib.from_numpy(given.array(rng, dtype))
            leaves.append(leaf.requires_grad_() if given.requires_grad and "float" in str(leaf.dtype) else leaf)
        # A leaf must not be written in place: layers get a result, and the leaf's gradient goes through its node.
        outputs = flatten(module(*[leaf * 1 if leaf.requires_grad else leaf for leaf in leaves]))
        for k, out in enumerate(outputs):
            arrays[f"call {call} output {k}"] = numbers(out)
            facts[f"call {call} graph {k}"] = graph_of(out.grad_fn, case.graph)
        wanted = [out for out in outputs if out.requires_grad]
        upstream = [rng.standard_normal(tuple(out.shape)).astype(dtype) for out in wanted]
        lib.autograd.backward(wanted, [lib.from_numpy(np.asarray(g)) for g in upstream])
        for k, leaf in enumerate(leaves):
            if leaf.grad is not None:
                arrays[f"call {call} gradient {k}"] = numbers(leaf.grad)
    for name, parameter in module.named_parameters():
        arrays[f"gradient of {name}"] = numbers(parameter.grad)
        facts[f"gradient of {name}"] = str(parameter.grad.dtype)
    for key, value in module.state_dict().items():
        arrays[f"state {key}"] = numbers(value)
        facts[f"state {key}"] = str(value.dtype)
    return Outcome(arrays, facts)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "case", LAYERS, ids=[f"{c.name}{' eval' if c.evaluate else ''} {c.inputs[0]}"[:90] for c in LAYERS]
)
@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")  # NumPy's warnings are not the user's
def test_layer(case, dtype):
    compare(run(case, minicnn, dtype), run(case, torch, dtype), case.loose.get(dtype, 1))


# --- what a layer refuses -------------------------------------------------------------------------------------------------

ERRORS = {
    "groups do not divide the channels": lambda lib: lib.nn.Conv2d(3, 4, 3, groups=2),
    "groups do not divide the outputs": lambda lib: lib.nn.Conv2d(4, 3, 3, groups=2),
    "same padding with a stride": lambda lib: lib.nn.Conv2d(3, 4, 3, padding="same", stride=2),
    "groups of 0": lambda lib: lib.nn.Conv2d(3, 4, 3, groups=0),
    "wrong channels": lambda lib: lib.nn.Conv2d(3, 4, 3)(lib.zeros(1, 5, 8, 8)),
    "wrong features": lambda lib: lib.nn.Linear(3, 4)(lib.zeros(2, 5)),
    "dropout above 1": lambda lib: lib.nn.Dropout(1.1),
    "batch norm of the wrong rank": lambda lib: lib.nn.BatchNorm2d(3)(lib.zeros(2, 3)),
    "batch norm of the wrong channels": lambda lib: lib.nn.BatchNorm2d(3)(lib.zeros(2, 4, 2, 2)),
    "batch norm of one value": lambda lib: lib.nn.BatchNorm2d(3)(lib.zeros(1, 3, 1, 1)),
    "local response norm of a matrix": lambda lib: lib.nn.LocalResponseNorm(3)(lib.zeros(2, 3)),
    "group norm that does not divide": lambda lib: lib.nn.GroupNorm(2, 5),
    "group norm of other channels": lambda lib: lib.nn.GroupNorm(2, 4)(lib.zeros(2, 6, 3)),
    "group norm of odd channels": lambda lib: lib.nn.functional.group_norm(lib.zeros(2, 5, 3), 2),
    "group norm of a vector": lambda lib: lib.nn.functional.group_norm(lib.zeros(2), 2),
    "group norm of one number": lambda lib: lib.nn.functional.group_norm(lib.zeros(1, 2, 1), 2),
    "group norm of another type": lambda lib: lib.nn.GroupNorm(2, 4)(lib.zeros(2, 4, 3).double()),
    "group norm of integers": lambda lib: lib.nn.functional.group_norm(lib.zeros(2, 4, 3).long(), 2),
    "group norm with another bias": lambda lib: lib.nn.functional.group_norm(
        lib.zeros(2, 4, 3), 2, lib.ones(4), lib.ones(3)
    ),
    "layer norm of other dimensions": lambda lib: lib.nn.LayerNorm((3, 4))(lib.zeros(2, 3)),
    "layer norm of no dimensions": lambda lib: lib.nn.functional.layer_norm(lib.zeros(2, 3), ()),
    "layer norm of another type": lambda lib: lib.nn.LayerNorm(3)(lib.zeros(2, 3).double()),
    "layer norm of integers": lambda lib: lib.nn.functional.layer_norm(lib.tensor([1, 2]), (2,)),
    "layer norm with another weight": lambda lib: lib.nn.functional.layer_norm(lib.zeros(2, 3), (3,), lib.zeros(2)),
    "label smoothing above 1": lambda lib: lib.nn.CrossEntropyLoss(label_smoothing=1.5)(
        lib.zeros(1, 3), lib.tensor([0])
    ),
    "max unpooling is no dilation": lambda lib: lib.nn.MaxPool2d(2, padding=3)(lib.zeros(1, 1, 4, 4)),
}


@pytest.mark.parametrize("call", ERRORS.values(), ids=ERRORS.keys())
def test_error(call):
    same_error(call)


def test_unknown_padding():
    """torch prints a set here, in an order that changes from run to run."""
    for lib in (minicnn, torch):
        with pytest.raises(ValueError, match=r"Invalid padding string 'full', should be one of \{'(same|valid)'"):
            lib.nn.Conv2d(3, 4, 3, padding="full")


# --- initial values: not torch's numbers, but its distributions -----------------------------------------------------------


@pytest.mark.parametrize("text", ["Conv2d(8, 64, 5)", "Conv2d(8, 64, 3, groups=2)", "Linear(300, 100)"])
def test_initial_values_have_torch_bounds(text):
    def bounds(lib):
        lib.manual_seed(0)
        module = eval(text, {**vars(lib.nn)})
        return {name: (numbers(p).min(), numbers(p).max(), numbers(p).std()) for name, p in module.named_parameters()}

    ours, theirs = bounds(minicnn), bounds(torch)
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose(ours["weight"], theirs["weight"], rtol=0.02)
    np.testing.assert_allclose(ours["bias"], theirs["bias"], rtol=0.3)


INITIALISERS = {
    "zeros_": {},
    "ones_": {},
    "constant_": {"val": 0.3},
    "normal_": {"mean": 0.5, "std": 0.2},
    "uniform_": {"a": -0.3, "b": 0.7},
    "kaiming_uniform_": {"a": 5**0.5},
    "kaiming_normal_": {"mode": "fan_out", "nonlinearity": "relu"},
    "xavier_uniform_": {"gain": 2.0},
    "xavier_normal_": {},
}


@pytest.mark.parametrize("name", INITIALISERS)
def test_init(name):
    def statistics(lib):
        weight = lib.empty(64, 32, 3, 3)
        assert getattr(lib.nn.init, name)(weight, **INITIALISERS[name]) is weight
        values = numbers(weight)
        return values.mean(), values.std()

    ours, theirs = statistics(minicnn), statistics(torch)
    n = 64 * 32 * 9
    assert abs(ours[0] - theirs[0]) <= 8 * max(theirs[1], 1e-12) / n**0.5
    assert abs(ours[1] - theirs[1]) <= 8 * theirs[1] / (2 * n) ** 0.5


@pytest.mark.parametrize(
    "arguments",
    [("relu",), ("leaky_relu", 0.1), ("leaky_relu",), ("tanh",), ("sigmoid",), ("linear",), ("conv2d",), ("selu",)],
)
def test_calculate_gain(arguments):
    same(lambda lib: lib.nn.init.calculate_gain(*arguments))
