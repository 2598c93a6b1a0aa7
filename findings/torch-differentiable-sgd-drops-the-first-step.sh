#!/usr/bin/env bash
# PyTorch 2.13.0: SGD(differentiable=True, momentum=0.9) does not differentiate through its first step: the momentum buffer is
# made from a detached gradient. After one step the updated parameter has no derivative by what the gradient was made of, and after
# three steps it has less than half of it; without momentum all of it. Nothing is said. It hurts meta-learning, which
# differentiates through a few steps of an inner optimizer, where the first step is a large part.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

def moved(scale, momentum, steps):
    """Where a parameter stands after some steps along a gradient of this size."""
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True).clone()
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=momentum, differentiable=True)
    for _ in range(steps):
        parameter.grad = scale * torch.ones(1, dtype=torch.float64)
        optimizer.step()
    return parameter.sum()

def derivatives(momentum, steps):
    """By backward, and by the difference of two runs; the result is linear in the scale."""
    scale = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    result = moved(scale, momentum, steps)
    found = torch.autograd.grad(result, scale, allow_unused=True)[0] if result.requires_grad else None
    return 0.0 if found is None else found.item(), (moved(scale.detach() * 2, momentum, steps) - result).item()

for momentum in (0.0, 0.9):
    for steps in (1, 2, 3):
        found, true = derivatives(momentum, steps)
        print(f"momentum {momentum}, {steps} steps: backward {found:.4f}, by difference {true:.4f}")
        assert (abs(found - true) < 1e-12) == (momentum == 0)
assert derivatives(0.9, 1)[0] == 0
found, true = derivatives(0.9, 3)
assert 0 < found / true < 0.6, found / true
PYTHON
