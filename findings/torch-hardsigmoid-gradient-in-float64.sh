#!/usr/bin/env bash
# PyTorch 2.13.0: the gradient of hardsigmoid in float64 is float32's 1/6: 5e-9 above 1/6 at every point between -3 and 3,
# an error of float32, while the value is exact and hardswish's gradient is right to the last digits. gradcheck passes at
# its default bounds. It hurts who takes PyTorch in float64 as the judge of another implementation (MobileNetV3's gates).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import struct

import torch
import torch.nn.functional as F

sixth = struct.unpack("f", struct.pack("f", 1 / 6))[0]  # the float32 next to 1/6
x = torch.linspace(-2.9, 2.9, 59, dtype=torch.float64, requires_grad=True)
gate = F.hardsigmoid(x)
(slope,) = torch.autograd.grad(gate.sum(), x)
(swish,) = torch.autograd.grad(F.hardswish(x).sum(), x)
at = x.detach()
print(f"hardsigmoid: value {(gate.detach() - (at + 3) / 6).abs().max().item():.1e} off, gradient {slope[0].item() - 1 / 6:.2e} off")
print(f"hardswish: gradient {(swish - (2 * at + 3) / 6).abs().max().item():.1e} off")
assert gate.dtype == slope.dtype == torch.float64
assert (gate.detach() - (at + 3) / 6).abs().max() < 1e-15
assert (slope == sixth).all() and sixth - 1 / 6 > 4e-9
assert (swish - (2 * at + 3) / 6).abs().max() < 1e-15
assert torch.autograd.gradcheck(F.hardsigmoid, (x,))
PYTHON
