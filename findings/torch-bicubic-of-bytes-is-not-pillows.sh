#!/usr/bin/env bash
# PyTorch 2.13.0 and Pillow 13.0.0: antialiased bicubic resizing of a uint8 tensor is said to follow Pillow, and in
# float it does to one level. On uint8 it differs by up to 18 of 255 levels on noise, because Pillow clips to 0..255
# between its two passes and PyTorch's uint8 path does not, nor does its float path, which lands within one level of
# Pillow only where nothing is clipped. It hurts whoever trains with one and deploys with the other: preprocessing
# differs although both say bicubic with antialias.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6 pillow==13.0.0
venv/bin/python - <<'PYTHON'
import numpy as np
import torch
from PIL import Image

def largest_difference(pixels):
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    ours = torch.nn.functional.interpolate(x, (40, 40), mode="bicubic", antialias=True)[0].permute(1, 2, 0).numpy()
    pillow = np.asarray(Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC))
    return int(np.abs(ours.astype(int) - pillow).max())

noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
mild = (noise // 4 + 96).astype(np.uint8)  # nothing comes near 0 or 255
print("noise over all levels:", largest_difference(noise), "noise from 96 to 159:", largest_difference(mild))
assert largest_difference(mild) <= 1
assert largest_difference(noise) > 10
PYTHON
