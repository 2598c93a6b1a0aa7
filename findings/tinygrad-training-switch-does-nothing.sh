#!/usr/bin/env bash
# tinygrad 0.14.0: `Tensor.training = True`, the switch until 0.13.0, is an attribute that nothing reads any more: BatchNorm normalises
# by its untrained running statistics and does not update them, dropout lets everything through, and no word is said, since any class
# takes any attribute. Context(TRAINING=1) is the switch now. It hurts who updates tinygrad under a model that fine-tunes or is
# evaluated only: without tinygrad's own optimizers, which refuse, only the numbers are different.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > switched.py <<'PYTHON'
import sys

import numpy as np
from tinygrad import Tensor, nn
from tinygrad.helpers import Context

def outcome():
    x = Tensor(np.arange(36, dtype=np.float32).reshape(2, 2, 3, 3))
    norm = nn.BatchNorm(2)
    mean = float(norm(x).numpy().mean())
    dropped = int((Tensor.ones(1000).dropout(0.5).numpy() == 0).sum())
    return abs(mean) < 1e-3, norm.running_mean.numpy().tolist() != [0, 0], 400 < dropped < 600

Tensor.training = True
by_attribute = outcome()
print(f"by Tensor.training: normalised by the batch, statistics updated, dropped: {by_attribute}")
assert by_attribute == ((True,) * 3 if sys.argv[1] == "0.13.0" else (False,) * 3), by_attribute
if sys.argv[1] == "0.14.0":
    with Context(TRAINING=1):
        by_context = outcome()
    print(f"by Context(TRAINING=1): {by_context}")
    assert by_context == (True,) * 3
PYTHON
for version in 0.13.0 0.14.0; do
    python3 -m venv "venv$version"
    "venv$version/bin/python" -m pip install --quiet "tinygrad==$version" numpy==2.4.6
    echo "tinygrad $version"
    DEV=PYTHON "venv$version/bin/python" switched.py "$version" || exit 1
done
