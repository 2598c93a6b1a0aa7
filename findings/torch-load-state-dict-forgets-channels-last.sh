#!/usr/bin/env bash
# PyTorch 2.13.0: torch.save keeps the memory order of a channels_last weight, torch.load gives it back, and
# load_state_dict then copies the numbers into the ordinary order of the module that it loads into, silently; only
# assign=True keeps it. It hurts whoever saved a network converted to channels_last for speed: after loading it is in
# the other layout, and slower, until it is converted once more.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

conv = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
torch.save(conv.state_dict(), "conv.pth")
state = torch.load("conv.pth")
copied, assigned = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 3)
copied.load_state_dict(state)
assigned.load_state_dict(state, assign=True)
strides = [w.stride() for w in (conv.weight, state["weight"], copied.weight, assigned.weight)]
print("saved, loaded, copied, assigned:", strides)
assert strides == [(27, 1, 9, 3), (27, 1, 9, 3), (27, 9, 3, 1), (27, 1, 9, 3)]
PYTHON
