#!/usr/bin/env bash
# PyTorch 2.13.0 and 2.14.1: with scale_grad_by_freq=True the gradient of an embedding is divided by how often a row was looked up, but
# the derivative of this gradient is not: differentiated once more, each look-up of a row that stood three times in the batch counts
# three times too much. No word is said, and gradcheck refuses the option from the start, since its first gradient is no derivative. It
# hurts gradient penalties, influence functions and Hessian products on models with frequency-scaled embeddings.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > twice.py <<'PYTHON'
import torch
import torch.nn.functional as F

rows = torch.tensor([0, 0, 0, 1])
weight = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)

def gradient(came_in):
    looked_up = F.embedding(rows, weight, scale_grad_by_freq=True)
    return torch.autograd.grad(looked_up, weight, came_in, create_graph=True)[0]

came_in = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
first = gradient(came_in)
(derivative,) = torch.autograd.grad(first.sum(), came_in)
# The gradient is linear in what came in, so a difference over any step is exact.
step = torch.eye(4, dtype=torch.float64)[:, :, None] * torch.tensor([1.0, 0.0])
measured = torch.stack([(gradient(came_in.detach() + one) - first).sum().detach() for one in step])
print("torch", torch.__version__)
print("  first gradient of the rows:", first[:, 0].tolist())
print("  its derivative by autograd:", derivative[:, 0].tolist())
print("  its derivative, measured:  ", [round(value, 6) for value in measured.tolist()])
assert first[:, 0].tolist() == [1, 1, 0]
assert derivative[:, 0].tolist() == [1, 1, 1, 1]
assert torch.allclose(measured, torch.tensor([1 / 3, 1 / 3, 1 / 3, 1], dtype=torch.float64))
PYTHON
for version in 2.13.0 2.14.1; do
    python3 -m venv "venv$version"
    "venv$version/bin/python" -m pip install --quiet "torch==$version" numpy==2.4.6
    "venv$version/bin/python" twice.py || exit 1
    rm -rf "venv$version"
done
