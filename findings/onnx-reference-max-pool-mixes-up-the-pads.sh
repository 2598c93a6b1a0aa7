#!/usr/bin/env bash
# onnx 1.23.2: pads are (top, left, bottom, right) in ONNX. The ReferenceEvaluator's MaxPool reads them as (top, bottom, left, right) where
# the stride is 1, so an image of 7x9 padded by [0, 1, 2, 1] gives 6x10 and not 7x9; with ceil_mode it adds rows of windows besides. Its
# AveragePool and ONNX Runtime 1.32.0 agree on the right shape. It hurts who tests a runtime or an exporter against it:
# with equal pads on all sides and without ceil_mode, which is what most tests have, it is right.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator

x = np.random.default_rng(0).standard_normal((1, 1, 7, 9)).astype(np.float32)

def shapes(op, pads, **settings):
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x.shape), ("y", list("nchw")))]
    node = helper.make_node(op, ["x"], ["y"], kernel_shape=[3, 3], pads=pads, **settings)
    graph = helper.make_graph([node], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return ReferenceEvaluator(model).run(None, {"x": x})[0].shape[2:], session.run(None, {"x": x})[0].shape[2:]

for op, pads, settings, evaluated, computed in (
    ("MaxPool", [1, 1, 1, 1], {}, (7, 9), (7, 9)),
    ("MaxPool", [0, 1, 2, 1], {}, (6, 10), (7, 9)),
    ("AveragePool", [0, 1, 2, 1], {}, (7, 9), (7, 9)),
    ("MaxPool", [1, 1, 1, 1], {"ceil_mode": 1}, (9, 11), (7, 9)),
    ("MaxPool", [0, 1, 2, 1], {"strides": [2, 2]}, (4, 5), (4, 5)),
):
    found = shapes(op, pads, **settings)
    print(f"{op} 3x3 of 7x9, pads {pads} {settings or ''}: evaluator {found[0]}, runtime {found[1]}")
    assert found == (evaluated, computed), found
PYTHON
