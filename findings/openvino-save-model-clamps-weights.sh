#!/usr/bin/env bash
# OpenVINO 2026.4.1: save_model writes weights as float16 unless told otherwise, and a single weight beyond 65504
# becomes 65504 without a warning. A network that was right in memory computes other numbers after it was saved and read
# again. It hurts networks with a folded batch norm of tiny variance, or with a scale for raw 16-bit pixels.
# compress_to_fp16=False keeps the numbers. Seen: 100000 comes back as 65504.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet openvino==2026.4.1 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import openvino
from openvino import opset13 as ops

def saved_and_read(**settings):
    x = ops.parameter([1, 4], np.float32)
    weight = ops.constant(np.array([[1, 2, 3, 100000]], np.float32))
    openvino.save_model(openvino.Model([ops.multiply(x, weight)], [x]), "net.xml", **settings)
    return openvino.Core().compile_model("net.xml", "CPU")([np.ones((1, 4), np.float32)])[0][0, 3]

by_default, kept = saved_and_read(), saved_and_read(compress_to_fp16=False)
print("by default", by_default, "with compress_to_fp16=False", kept)
assert kept == 100000
assert by_default == 65504
PYTHON
