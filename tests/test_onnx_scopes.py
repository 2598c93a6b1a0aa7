"""The exporter's scopes in networks that are read from `.onnx` files."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")

from onnx_made import loaded, node, weights

import minicnn
from minicnn import viz


def test_a_scope_of_one_value_is_called_with_it(tmp_path):
    """So `layer1` means what it does in the network that was exported; what a hook gives back goes on from there."""
    nodes = [
        node("Relu", "x", "a", "/layer1/0/relu/Relu"), node("Neg", "a", "b", "/layer1/1/neg/Neg"),
        node("Abs", "b", "c", "/both/abs/Abs"), node("Exp", "c", "d", "/both/exp/Exp"),
        node("Add", "c d", "y", "/add/Add"),
    ]  # fmt: skip
    model, x = loaded(tmp_path, nodes, {}), minicnn.tensor(weights(1, 3, 4, 4, seed=1))
    order = []
    for name, module in model.named_modules():
        module.register_forward_hook(lambda module, args, output, name=name: order.append(name))
    with viz.capture(model, "**") as called:
        answer = model(x)
    assert order == [
        "layer1.0.relu", "layer1.0", "layer1.1.neg", "layer1.1", "layer1", "both.abs", "both.exp", "add", "",
    ]  # fmt: skip
    np.testing.assert_array_equal(called["layer1"].numpy(), -np.maximum(x.numpy(), 0))
    with model.layer1.register_forward_hook(lambda module, args, output: output * 0):
        np.testing.assert_array_equal(model(x).numpy(), np.ones((1, 3, 4, 4)))
    assert not np.array_equal(answer.numpy(), np.ones((1, 3, 4, 4)))
