#!/usr/bin/env bash
# SciPy 1.17.1: for a kernel of even size, signal.correlate2d(mode="same") and signal.correlate(mode="same") (and
# ndimage.correlate) put the result one pixel apart, in both directions. With odd kernels all three agree, so a check
# with 3 x 3 does not show it. It hurts whoever takes one of them as the reference for a 2 x 2 or 4 x 4 convolution with
# padding. Seen: the answers to one bright pixel at (3, 3) begin at (2, 2) and at (3, 3).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet scipy==1.17.1 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
from scipy import ndimage, signal

image = np.zeros((6, 6))
image[3, 3] = 1
places = {}
for side in (2, 3):
    kernel = np.arange(1.0, side * side + 1).reshape(side, side)
    for name, answer in (
        ("correlate2d", signal.correlate2d(image, kernel, "same")),
        ("correlate", signal.correlate(image, kernel, "same")),
        ("ndimage", ndimage.correlate(image, kernel, mode="constant")),
    ):
        places[side, name] = tuple(np.argwhere(answer.round(6))[0].tolist())
print(places)
assert places[2, "correlate2d"] == (2, 2)
assert places[2, "correlate"] == places[2, "ndimage"] == (3, 3)
assert places[3, "correlate2d"] == places[3, "correlate"] == places[3, "ndimage"]
PYTHON
