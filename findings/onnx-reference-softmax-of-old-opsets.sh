#!/usr/bin/env bash
# onnx 1.23.2, onnxruntime 1.32.0: up to opset 12 Softmax, LogSoftmax and Hardmax work on all dimensions from `axis` on, flattened; since
# 13 on `axis` alone. onnx's own ReferenceEvaluator computes files of opset 11 by the rule of 13, and without `axis` along the last one
# instead of from 1 on. Its version_converter knows the rule for Softmax and LogSoftmax and forgets Hardmax, so that a converted file
# answers differently. It hurts who takes the evaluator as the judge of an older segmentation or attention file.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, version_converter
from onnx.reference import ReferenceEvaluator

x = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)

def file(op, **settings):
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **settings)], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    checker.check_model(model, full_check=True)
    return model

def runtime(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]

def by_rule(op, flat):
    e = np.exp(x.reshape(1, -1) if flat else x)
    if op == "Hardmax":
        return (e == e.max(1, keepdims=True)).astype(np.float32).reshape(x.shape)
    soft = (e / e.sum(1, keepdims=True)).reshape(x.shape)
    return np.log(soft) if op == "LogSoftmax" else soft

same = lambda a, b: bool(np.allclose(a, b, atol=1e-5))
for op in ("Softmax", "LogSoftmax", "Hardmax"):
    model = file(op, axis=1)
    (evaluated,) = ReferenceEvaluator(model).run(None, {"x": x})
    converted = runtime(version_converter.convert_version(model, 13))
    found = (
        same(runtime(model), by_rule(op, flat=True)), same(evaluated, by_rule(op, flat=True)),
        same(evaluated, by_rule(op, flat=False)), same(converted, by_rule(op, flat=True)),
    )
    print(f"{op} of opset 11: runtime by its rule {found[0]}, evaluator {found[1]}, by that of 13 {found[2]}; converted: {found[3]}")
    assert found == (True, False, True, op != "Hardmax"), found
(unsaid,) = ReferenceEvaluator(file("Softmax")).run(None, {"x": x})
print("Softmax without axis: the evaluator's last dimension adds up to 1:", same(unsaid.sum(-1), 1))
assert same(unsaid.sum(-1), 1) and same(runtime(file("Softmax")).sum(), 1)
PYTHON
