#!/usr/bin/env bash
# OpenVINO 2026.4.1: its reader of ONNX files passes over three settings of Resize without a word: antialias (a photograph made smaller
# aliases), exclude_outside (the border of a cubic picture) and keep_aspect_ratio_policy (the picture gets the size that was only to be
# its bound, and is distorted). onnxruntime 1.32.0 and onnx 1.23.2's evaluator agree with each other on all three. It hurts networks
# that carry their preprocessing in the file: PyTorch's exporter writes antialias=1 for interpolate(antialias=True).
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
from onnx import TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

x = np.random.default_rng(0).random((1, 1, 12, 18)).astype(np.float32)

def run(inputs, constants, **settings):
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x.shape), ("y", list("nchw")))]
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph([helper.make_node("Resize", inputs, ["y"], **settings)], "g", edges[:1], edges[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0], compiled([x])[0]
    assert results[0].shape == results[1].shape and np.allclose(results[0], results[1], atol=1e-4)
    return results[0], results[2]

factors = {"scales": np.array([1, 1, 0.25, 0.25], np.float32)}
sizes = {"sizes": np.array([6, 6], np.int64)}
by_factor, by_size = ["x", "", "scales"], ["x", "", "", "sizes"]
plain, _ = run(by_factor, factors, mode="linear")
smooth, unsmooth = run(by_factor, factors, mode="linear", antialias=1)
print(f"antialias: the runtime changes by {np.abs(smooth - plain).max():.2f}, OpenVINO's answer is the plain one to {np.abs(unsmooth - plain).max():.0e}")
assert np.abs(smooth - plain).max() > 0.1 and np.allclose(unsmooth, plain, atol=1e-5)
twice = {"scales": np.array([1, 1, 2, 2], np.float32)}
plain, _ = run(by_factor, twice, mode="cubic")
inside, ignored = run(by_factor, twice, mode="cubic", exclude_outside=1)
print(f"exclude_outside: {np.abs(inside - plain).max():.2f} and {np.abs(ignored - plain).max():.0e}")
assert np.abs(inside - plain).max() > 0.01 and np.allclose(ignored, plain, atol=1e-5)
kept, distorted = run(by_size, sizes, mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger")
print(f"keep_aspect_ratio_policy: the runtime makes {kept.shape[2:]}, OpenVINO {distorted.shape[2:]}")
assert kept.shape[2:] == (4, 6) and distorted.shape[2:] == (6, 6)
PYTHON
