#!/usr/bin/env bash
# PyTorch 2.13.0 on the CPU: F.avg_pool2d adds the pixels of a window one by one in float32. The mean of 5000 x 5000
# ones is 0.671; adaptive_avg_pool2d and mean say 1.0 for the same numbers. It hurts global pooling that is written as
# avg_pool2d(x, x.shape[2:]) on large images (satellite pictures, slides in pathology): the features shrink without a
# word.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

x = torch.ones(1, 1, 5000, 5000)
pooled = torch.nn.functional.avg_pool2d(x, 5000).item()
adaptive = torch.nn.functional.adaptive_avg_pool2d(x, 1).item()
print("avg_pool2d", pooled, "adaptive_avg_pool2d", adaptive, "mean", x.mean().item())
assert adaptive == x.mean().item() == 1
assert abs(pooled - 0.671) < 0.001
PYTHON
