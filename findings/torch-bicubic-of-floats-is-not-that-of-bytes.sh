#!/usr/bin/env bash
# PyTorch 2.13.0 and Pillow 13.0.0, antialiased bicubic that enlarges noise of 8 bits: on a uint8 tensor PyTorch is
# within one level of Pillow; on the same numbers as float, rounded and clipped at the end, it differs by up to 18
# levels. Pillow, and the uint8 path with it, cut to 0..255 between the two passes, where the cubic overshoots; floats
# are not cut. It hurts whoever moves the resize behind the conversion to float, for "more precision", and then compares
# with a network's reference preprocessing. Where nothing overshoots they agree.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6 pillow==13.0.0
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import torch
from PIL import Image

def differences(pixels):
    pillow = np.asarray(Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC)).astype(int)
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    found = []
    for tensor in (x, x.float()):
        y = torch.nn.functional.interpolate(tensor, (40, 40), mode="bicubic", antialias=True)[0].permute(1, 2, 0)
        y = y.round().clamp(0, 255) if y.is_floating_point() else y
        found.append(int(np.abs(y.numpy().astype(int) - pillow).max()))
    return found

noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
mild = noise // 4 + np.uint8(96)  # nothing overshoots
print("largest difference from Pillow as [bytes, floats]; noise:", differences(noise), "mild noise:", differences(mild))
assert differences(mild)[0] <= 1 and differences(mild)[1] <= 1
assert differences(noise)[0] <= 1
assert differences(noise)[1] >= 10
PYTHON
