#!/usr/bin/env bash
# Keras 3.15.1: ops.image.resize(interpolation="bicubic") that enlarges uses the cubic with a = -0.75 on the PyTorch
# backend and a = -0.5 on JAX. On PyTorch antialias=True changes it to -0.5, although there is nothing to smooth when an
# image grows. It hurts whoever compares feature maps or super-resolution scores between backends: the same call gives
# visibly sharper edges on one of them. Seen: one bright pixel enlarged twice has the largest value .7725, .7520 (JAX),
# and .7520 (PyTorch with antialias).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet keras==3.15.1 jax==0.10.2 torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import os
import subprocess
import sys

code = '''
import sys, numpy as np, keras
x = np.zeros((1, 4, 4, 1), np.float32)
x[0, 1, 1, 0] = 1
y = keras.ops.image.resize(x, (8, 8), interpolation="bicubic", antialias=sys.argv[1] == "True")
print(keras.ops.convert_to_numpy(y)[0, :, 3, 0].max())
'''
answers = {}
for backend, antialias in (("torch", False), ("torch", True), ("jax", False), ("jax", True)):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", code, str(antialias)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answers[backend, antialias] = round(float(done.stdout), 3)
print(answers)
assert answers["torch", False] == 0.772
assert answers["torch", True] == answers["jax", False] == answers["jax", True] == 0.752
PYTHON
