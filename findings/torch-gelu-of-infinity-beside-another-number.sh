#!/usr/bin/env bash
# PyTorch 2.13.0 on a processor: gelu(inf) is inf where the tensor has one number, in float64, in float16 and with
# approximate="tanh", and NaN where a float32 or bfloat16 tensor has two or more: those go through oneDNN, whose sum is infinity
# minus infinity; with oneDNN off it is inf again. The left tail differs too: gelu(-5) is -1.19e-6 there for -1.43e-6. It hurts who
# looks for the first NaN of a network: it is one layer too early, and not there when the value is tried alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import warnings

import torch
import torch.nn.functional as F

warnings.simplefilter("ignore")
infinity = float("inf")
print("one number:", F.gelu(torch.tensor([infinity])), " two:", F.gelu(torch.tensor([infinity, 1.0])))
assert F.gelu(torch.tensor([infinity])).item() == infinity
for kind in (torch.float32, torch.bfloat16, torch.float64, torch.float16):
    found = F.gelu(torch.tensor([infinity, 1.0], dtype=kind))
    print(kind, found[0].item())
    assert bool(found[0].isnan()) == (kind in (torch.float32, torch.bfloat16))
assert F.gelu(torch.tensor([infinity, 1.0]), approximate="tanh")[0].item() == infinity

pair, true = torch.tensor([-5.0, -5.0]), F.gelu(torch.tensor(-5.0, dtype=torch.float64)).item()
with_it = F.gelu(pair)[0].item()
with torch.backends.mkldnn.flags(enabled=False):
    without = F.gelu(pair)[0].item()
    assert F.gelu(torch.tensor([infinity, 1.0]))[0].item() == infinity
print(f"gelu(-5): {with_it:.4g} with oneDNN, {without:.4g} without, {true:.4g} in float64")
assert abs(with_it / true - 1) > 0.15 > 0.05 > abs(without / true - 1)
PYTHON
