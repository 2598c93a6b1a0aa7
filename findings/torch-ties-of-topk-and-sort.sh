#!/usr/bin/env bash
# PyTorch 2.13.0 on the CPU: of four equal numbers max(dim), argmax and sort name the first, topk(1) the third. And
# max() shares the gradient among the equal numbers while max(dim) gives it all to the first. It hurts whoever picks
# "the strongest channel" with topk in one place and argmax in another: on dead maps, where all is 0, the two pictures
# are of different channels.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

x = torch.zeros(4)
first = {"max": x.max(0).indices.item(), "argmax": x.argmax().item(), "sort": x.sort(descending=True).indices[0].item(), "topk": x.topk(1).indices.item()}
print(first)
assert first == {"max": 0, "argmax": 0, "sort": 0, "topk": 2}
shared, given = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
shared.max().backward()
given.max(0).values.backward()
print("max()", shared.grad.tolist(), "max(0)", given.grad.tolist())
assert shared.grad.tolist() == [0.5, 0.5] and given.grad.tolist() == [1, 0]
PYTHON
