#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2: pooling with auto_pad SAME_UPPER and a stride above the window (2 by 4 over 7 numbers) has three
# answers for one rule. The runtime's MaxPool refuses to run; its AveragePool starts at the first number, as its Conv does; the
# reference of the standard computes a negative padding: its MaxPool starts at the third number, its AveragePool fails. The
# checker accepts the model. It hurts who downsamples by strided pooling in Keras or TensorFlow, which allow it, and exports.
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
from onnx.reference import ReferenceEvaluator

onnxruntime.set_default_logger_severity(4)
numbers = np.arange(1, 8, dtype=np.float32).reshape(1, 1, 7)

def answers(operator, weights=()):
    node = helper.make_node(operator, ["x", *weights], ["y"], kernel_shape=[2], strides=[4], auto_pad="SAME_UPPER")
    graph = helper.make_graph(
        [node],
        "pooling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, numbers.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 3)],
        [helper.make_tensor(name, TensorProto.FLOAT, [1, 1, 2], [0.5, 0.5]) for name in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    found = []
    for run in (onnxruntime.InferenceSession(model.SerializeToString()), ReferenceEvaluator(model)):
        try:
            found.append(run.run(None, {"x": numbers})[0].ravel().tolist())
        except Exception as error:
            found.append(type(error).__name__)
    print(f"{operator}: runtime {found[0]}, reference {found[1]}")
    return found

assert answers("Conv", ["w"]) == [[1.5, 5.5], [1.5, 5.5]]
assert answers("AveragePool") == [[1.5, 5.5], "ValueError"]
assert answers("MaxPool") == ["RuntimeException", [3.0, 7.0]]
PYTHON
