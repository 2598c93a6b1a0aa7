#!/usr/bin/env bash
# PyTorch 2.13.0: group_norm with a bias and without a weight goes forward, and its backward fails with "tensor does not have a
# device"; layer_norm, batch_norm and instance_norm allow the same. With a weight and no bias it works. The message names neither the
# function nor the argument. It hurts who turns the scale off (GroupNorm's weight set to None), since only training finds it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch
import torch.nn.functional as F

def outcome(normalise, channels_only=True):
    found = []
    for weighted, biased in ((True, True), (True, False), (False, True), (False, False)):
        x = torch.randn(2, 4, 3, 3, requires_grad=True)
        size = (4,) if channels_only else (3, 3)
        weight = torch.ones(size, requires_grad=True) if weighted else None
        bias = torch.zeros(size, requires_grad=True) if biased else None
        y = normalise(x, weight, bias)
        try:
            y.square().sum().backward()
            found.append("works")
        except RuntimeError as error:
            found.append(str(error))
    return found

rows = {
    "group_norm": outcome(lambda x, w, b: F.group_norm(x, 2, w, b)),
    "layer_norm": outcome(lambda x, w, b: F.layer_norm(x, (3, 3), w, b), channels_only=False),
    "batch_norm": outcome(lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True)),
    "instance_norm": outcome(lambda x, w, b: F.instance_norm(x, weight=w, bias=b)),
}
for name, found in rows.items():
    print(f"{name}: both {found[0]}; weight {found[1]}; bias {found[2]}; neither {found[3]}")
    expected = "tensor does not have a device" if name == "group_norm" else "works"
    assert found == ["works", "works", expected, "works"], found
PYTHON
