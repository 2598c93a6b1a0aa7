#!/usr/bin/env bash
# onnx 1.23.2, onnxruntime 1.32.0: version_converter takes Resize of opset 10 and Upsample of 9 to 11 and later without saying on which
# grid they stood (pixel i at i / scale): the new node has 11's default, half_pixel. A linear picture twice as large is moved by half
# a pixel, a nearest one by a factor of 1.7 shows other pixels; shapes, names and the checker are content. It hurts who lifts an older
# detector or a segmentation network to a newer opset before it is quantized, optimised or loaded elsewhere.
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

x = np.array([0, 4, 8, 12], np.float32).reshape(1, 1, 1, 4)

def file(op, opset, mode, factor):
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x.shape), ("y", (1, 1, 1, int(4 * factor))))]
    scales = helper.make_tensor("scales", TensorProto.FLOAT, (4,), [1, 1, 1, factor])
    graph = helper.make_graph([helper.make_node(op, ["x", "scales"], ["y"], mode=mode)], "g", edges[:1], edges[1:], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    checker.check_model(model, full_check=True)
    return model

def runtime(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0].ravel().tolist()

expected = {
    ("linear", 2): ([0, 2, 4, 6, 8, 10, 12, 12], [0, 1, 3, 5, 7, 9, 11, 12]),
    ("nearest", 1.7): ([0, 0, 4, 4, 8, 8], [0, 0, 4, 8, 8, 12]),
}
for op, opset in (("Upsample", 9), ("Resize", 10)):
    for (mode, factor), values in expected.items():
        model = file(op, opset, mode, factor)
        lifted = version_converter.convert_version(model, 13)
        checker.check_model(lifted, full_check=True)
        before, after = runtime(model), runtime(lifted)
        print(f"{op}-{opset} {mode} by {factor}: {before}, lifted to opset 13: {after}")
        assert (before, after) == values, (before, after)
PYTHON
