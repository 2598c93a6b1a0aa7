#!/usr/bin/env bash
# torch.ao.quantization.fuse_modules of PyTorch 2.13.0 on [Conv2d, BatchNorm2d, ReLU] with a forward hook on each: the
# convolution's hook stays and now sees the values after the batch norm, the ReLU's hook moves to the fused module, and
# the batch norm's hook is gone: no warning. It hurts whoever captures activations by layer and then quantises: one list
# entry stays empty, another changes its meaning.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import warnings

import torch
from torch.ao.quantization import fuse_modules

warnings.simplefilter("ignore")
net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1), torch.nn.ReLU()).eval()
net[1].running_mean.fill_(5)
x = torch.ones(1, 1, 1, 1)
log = []
for i in range(3):
    net[i].register_forward_hook(lambda module, args, output, i=i: log.append((i, type(module).__name__, round(output.item(), 3))))
net(x)
before = list(log)
log.clear()
fuse_modules(net, ["0", "1", "2"], inplace=True)(x)
print("before", before, "after", log)
assert [(i, kind) for i, kind, _ in before] == [(0, "Conv2d"), (1, "BatchNorm2d"), (2, "ReLU")]
assert [(i, kind) for i, kind, _ in log] == [(0, "Conv2d"), (2, "ConvReLU2d")]
assert abs(log[0][2] - before[1][2]) < 1e-3, "the convolution's hook does not see the batch norm's output"
PYTHON
