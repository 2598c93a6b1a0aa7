#!/usr/bin/env bash
# Numba 0.68.1 with NumPy 2.4.6: np.mean and np.var inside @njit add float32 numbers one by one in float32, so long sums
# stop growing. The mean of 2**25 ones is 0.5; with parallel=True, or in NumPy itself, it is 1. The variance of a
# million numbers around 1000 with variance 1 comes out as 93. It hurts batch statistics, image means and losses that
# were moved into a compiled function for speed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet numba==0.68.1 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numba
import numpy as np

mean = numba.njit(lambda x: np.mean(x))
var = numba.njit(lambda x: np.var(x))
ones = np.ones(2**25, np.float32)
numbers = np.random.default_rng(0).normal(1000, 1, 2**20).astype(np.float32)
print("mean of ones:", mean(ones), "NumPy:", ones.mean())
print("variance:", var(numbers), "NumPy:", numbers.var())
assert ones.mean() == 1
assert abs(numbers.var() - 1) < 0.01
assert mean(ones) == 0.5
assert var(numbers) > 50
PYTHON
