#!/usr/bin/env bash
# onnx 1.23.2, ONNX Runtime 1.32.0: the same MaxPool node with ceil_mode has another inferred shape before and after
# opset 22: 4 and 3 rows here. ONNX Runtime computes 3 in both, and for the older opset only warns that the model's own
# shape is wrong. It hurts whoever reads shapes from an old file, to allocate buffers or to draw the network: files of
# opset 11 to 21 announce a row that never comes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(3)
inferred, computed = {}, {}
for opset in (11, 21, 22):
    pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[3, 3], pads=[1] * 4, ceil_mode=1)
    x_info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 7, 7])
    y_info = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([pool], "pool", [x_info], [y_info])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    inferred[opset] = onnx.shape_inference.infer_shapes(model).graph.output[0].type.tensor_type.shape.dim[2].dim_value
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    computed[opset] = session.run(None, {"x": np.zeros((1, 1, 7, 7), np.float32)})[0].shape[2]
print("inferred", inferred, "computed", computed)
assert inferred == {11: 4, 21: 4, 22: 3}
assert computed == {11: 3, 21: 3, 22: 3}
PYTHON
