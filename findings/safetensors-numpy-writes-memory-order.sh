#!/usr/bin/env bash
# safetensors 0.8.0, safetensors.numpy.save: an array that is transposed (or in Fortran order) is written with its shape
# and with the numbers in the order of its memory. No error; what is loaded has the right shape and other values. 0.7.0
# wrote the same array right. It hurts whoever carries weights between layouts, where every kernel is transposed once:
# Keras or flax to PyTorch. Seen: [[0, 3], [1, 4], [2, 5]] comes back as [[0, 1], [2, 3], [4, 5]].
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet safetensors==0.8.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
from safetensors.numpy import load, save

weight = np.arange(6, dtype=np.float32).reshape(2, 3).T
back = load(save({"weight": weight}))["weight"]
print("saved", weight.tolist(), "loaded", back.tolist())
assert back.shape == weight.shape
assert back.tolist() == [[0, 1], [2, 3], [4, 5]], "the values are other ones than seen"
assert np.array_equal(load(save({"weight": np.ascontiguousarray(weight)}))["weight"], weight)
PYTHON
