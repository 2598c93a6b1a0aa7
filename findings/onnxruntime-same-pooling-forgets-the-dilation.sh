#!/usr/bin/env bash
# onnxruntime 1.32.0: MaxPool and AveragePool with auto_pad SAME and dilations pad for the kernel as if it were not dilated, so the result
# is not the same size: a 3x3 window with dilation 2 and stride 1 makes 5x7 of 7x9. ONNX's shape inference in the same file says 7x9, the
# evaluator of onnx 1.23.2 and OpenVINO 2026.4.1 compute that; ONNX Runtime's convolution refuses the combination. It hurts who brings
# atrous pooling from TensorFlow, whose SAME counts the dilation: the maps no longer fit what they are added to.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 openvino==2026.4.1
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, checker, helper, shape_inference
from onnx.reference import ReferenceEvaluator

x = np.random.default_rng(0).standard_normal((1, 1, 7, 9)).astype(np.float32)
onnxruntime.set_default_logger_severity(3)

def shapes(op, **settings):
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x.shape), ("y", list("nchw")))]
    node = helper.make_node(op, ["x"], ["y"], kernel_shape=[3, 3], auto_pad="SAME_UPPER", **settings)
    graph = helper.make_graph([node], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    blank = helper.make_model(graph, opset_imports=model.opset_import, ir_version=10)
    inferred = shape_inference.infer_shapes(blank).graph.output[0].type.tensor_type.shape.dim
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    compiled = openvino.compile_model(openvino.Core().read_model(model.SerializeToString()), "CPU")
    return (
        session.run(None, {"x": x})[0].shape[2:], tuple(d.dim_value for d in inferred)[2:],
        ReferenceEvaluator(model).run(None, {"x": x})[0].shape[2:], tuple(compiled([x])[0].shape[2:]),
    )

for op in ("MaxPool", "AveragePool"):
    for dilation, computed in ((1, (7, 9)), (2, (5, 7))):
        found = shapes(op, dilations=[dilation, dilation])
        print(f"{op} 3x3 SAME_UPPER of 7x9, dilation {dilation}: runtime {found[0]}, inferred {found[1]}, evaluator {found[2]}, OpenVINO {found[3]}")
        assert found == (computed, (7, 9), (7, 9), (7, 9)), found
PYTHON
