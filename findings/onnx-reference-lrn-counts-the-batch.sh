#!/usr/bin/env bash
# onnx 1.23.2: the ReferenceEvaluator's LRN normalises as many channels as there are images in the batch, and passes the others on
# divided by a power of the bias alone: of one image only channel 0 is right. With more images than channels it raises an IndexError. Its
# LpNormalization with p = 1 adds up the numbers with their signs. ONNX Runtime 1.32.0 follows the standard in both. It hurts who
# checks an exported AlexNet or GoogLeNet, or another runtime's LRN, against the standard's own evaluator.
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

def both(op, x, **settings):
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **settings)], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return ReferenceEvaluator(model).run(None, {"x": x})[0], session.run(None, {"x": x})[0]

def lrn(x, size, alpha, beta, bias):
    squares = np.pad(x**2, ((0, 0), (size // 2, size // 2), (0, 0), (0, 0)))
    total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    return x / (bias + alpha / size * total) ** beta

rng = np.random.default_rng(0)
settings = {"size": 3, "alpha": 0.5, "beta": 0.75, "bias": 2.0}
for images in (1, 3, 5):
    x = rng.standard_normal((images, 5, 2, 2)).astype(np.float32)
    evaluated, computed = both("LRN", x, **settings)
    right = [bool(np.allclose(evaluated[:, c], lrn(x, **settings)[:, c], atol=1e-5)) for c in range(5)]
    print(f"LRN of 5 channels, {images} images: channels that the evaluator has right: {right}")
    assert np.allclose(computed, lrn(x, **settings), atol=1e-5) and right == [c < images for c in range(5)]
    assert np.allclose(evaluated[:, images:], x[:, images:] / 2**0.75, atol=1e-5)
try:
    both("LRN", rng.standard_normal((6, 5, 2, 2)).astype(np.float32), **settings)
    raise SystemExit("6 images of 5 channels were computed")
except IndexError as error:
    print("LRN of 5 channels, 6 images: IndexError:", error)
x = np.array([[3, -1, 2]], np.float32)
evaluated, computed = both("LpNormalization", x, p=1, axis=1)
print("LpNormalization of 3, -1, 2 with p = 1: evaluator", evaluated.tolist(), "runtime", computed.tolist())
assert np.allclose(evaluated, x / 4) and np.allclose(computed, x / 6)
PYTHON
