#!/usr/bin/env bash
# OpenVINO 2026.4.1, PyTorch 2.13.0, ONNX Runtime 1.32.0: max-pooling with ceil_mode whose last window lies wholly in
# the padding. PyTorch and ONNX Runtime drop that window; OpenVINO keeps it and fills it with -3.4e38, so the output is
# larger by one row and column and holds numbers that swallow everything after it. It hurts whoever exports GoogLeNet-
# like networks with ceil_mode at a size that was not tried. Seen for 7 x 7, kernel 2, stride 3, padding 1: 3 x 3, 3 x
# 3, and 4 x 4 with a minimum of -3.4e38.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet openvino==2026.4.1 onnx==1.23.2 onnxruntime==1.32.0 torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import onnx
import onnxruntime
import openvino
import torch
from onnx import TensorProto, helper

pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[3, 3], pads=[1] * 4, ceil_mode=1)
x_info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 7, 7])
y_info = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
graph = helper.make_graph([pool], "pool", [x_info], [y_info])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=8), "pool.onnx")
x = np.arange(49, dtype=np.float32).reshape(1, 1, 7, 7)
in_torch = torch.nn.functional.max_pool2d(torch.from_numpy(x), 2, 3, 1, ceil_mode=True).numpy()
in_ort = onnxruntime.InferenceSession("pool.onnx", providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
in_openvino = openvino.Core().compile_model("pool.onnx", "CPU")([x])[0]
print("PyTorch", in_torch.shape, "ONNX Runtime", in_ort.shape, "OpenVINO", in_openvino.shape, in_openvino.min())
assert np.array_equal(in_torch, in_ort) and in_torch.shape[2:] == (3, 3)
assert in_openvino.shape[2:] == (4, 4) and in_openvino.min() < -3e38
PYTHON
