"""Small .onnx files, made as the tests need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from minicnn.onnx._network import Network


def node(op: str, inputs: str, output: str, name: str = "", **attributes: Any) -> Any:
    """A node; inputs are names between spaces, "-" for one that is left out."""
    names = ["" if part == "-" else part for part in inputs.split()]
    return helper.make_node(op, names, output.split(), name=name, **attributes)


def model_of(
    nodes: list[Any],
    constants: dict[str, Any] | None = None,
    shape: Any = (1, 3, 16, 16),
    opset: int = 17,
    outputs: str = "y",
    kind: int = TensorProto.FLOAT,
    **more: Any,
) -> Any:
    """A ModelProto of one input x."""
    tensors = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.split()],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **more)


def saved(folder: Path, *args: Any, file: str = "net.onnx", **settings: Any) -> Path:
    """The file of `model_of` with these arguments."""
    path = folder / file
    path.write_bytes(model_of(*args, **settings).SerializeToString())
    return path


def loaded(folder: Path, *args: Any, **settings: Any) -> Network:
    """The network of `saved`."""
    import minicnn

    return minicnn.onnx.load(saved(folder, *args, **settings))


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def classifier() -> tuple[list[Any], dict[str, Any]]:
    """Nodes and constants of a small network with torch's names: two convolutions, a batch norm, a linear layer."""
    nodes = [
        node("Conv", "x features.0.weight features.0.bias", "a", "/features/features.0/Conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "a scale shift mean var", "b", "/features/features.1/BatchNormalization"),
        node("Relu", "b", "c", "/features/features.2/Relu"),
        node("MaxPool", "c", "d", "/features/features.3/MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "d onnx::Conv_7", "e", "/features/features.4/conv/Conv", strides=[2, 2]),
        node("Relu", "e", "f", "/features/features.4/relu/Relu"),
        node("GlobalAveragePool", "f", "g", "/pool/GlobalAveragePool"),
        node("Flatten", "g", "h", "/Flatten"),
        node("Gemm", "h fc.weight fc.bias", "y", "/fc/Gemm", transB=1),
    ]
    constants = {
        "features.0.weight": weights(6, 3, 3, 3), "features.0.bias": weights(6), "scale": weights(6) + 2, "shift": weights(6),
        "mean": weights(6), "var": weights(6) ** 2 + 1, "onnx::Conv_7": weights(8, 6, 3, 3), "fc.weight": weights(5, 8),
        "fc.bias": weights(5),
    }  # fmt: skip
    return nodes, constants
