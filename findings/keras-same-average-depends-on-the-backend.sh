#!/usr/bin/env bash
# Keras 3.15.1: AveragePooling2D(3, strides=2, padding="same") on an even size. The PyTorch backend repeats the edge
# pixels into the window, the JAX backend divides by the pixels that are inside: the last column differs (6.667 and 6.5
# here), with the same layer and the same weights file. It hurts whoever trains on one backend and deploys on the other:
# an error without a message, at the border only.
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
import numpy as np, keras
x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
y = keras.layers.AveragePooling2D(3, strides=2, padding="same")(x)
print(*(round(v, 3) for v in keras.ops.convert_to_numpy(y).ravel().tolist()))
'''
answers = {}
for backend in ("torch", "jax"):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    answers[backend] = [float(word) for word in done.stdout.split()]
print(answers)
assert answers["jax"] == [5.0, 6.5, 11.0, 12.5]
assert answers["torch"] == [5.0, 6.667, 11.667, 13.333]
PYTHON
