#!/usr/bin/env bash
# onnxruntime 1.32.0: a Resize by 1.3 of 3 x 3 pixels gives 3 x 3 pixels (floor of 3.9), and where no length changes the runtime
# hands its input on as it is, up to 29 away from what the scale asks for. As soon as another axis changes its length, the same axis
# is interpolated as the standard says (onnx 1.23.2's reference, equal to 1e-5). So a row's value depends on the width that was
# asked for. It hurts who compares an exporter with the runtime at small sizes, and detectors that scale by a float.
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

def resize(pixels, scales):
    """By the runtime, and by the reference of the standard."""
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="linear", coordinate_transformation_mode="half_pixel")
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, pixels.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None] * 4)],
        [helper.make_tensor("scales", TensorProto.FLOAT, [4], scales)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": pixels})[0], ReferenceEvaluator(model).run(None, {"x": pixels})[0]

pixels = np.arange(9, dtype=np.float32).reshape(1, 1, 3, 3) ** 2
for scales in ([1, 1, 1.3, 1.3], [1, 1, 1.3, 2]):
    ours, standard = resize(pixels, scales)
    away = np.abs(ours - standard).max()
    copied = ours.shape == pixels.shape and bool((ours == pixels).all())
    print(f"scales {scales}: shape {ours.shape}, copied: {copied}, away from the standard: {away:.5f}")
    assert ours.shape == standard.shape
    assert copied == (away > 20) == (scales[3] == 1.3)
    assert copied or away < 1e-4
PYTHON
