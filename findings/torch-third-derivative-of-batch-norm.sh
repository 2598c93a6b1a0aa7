#!/usr/bin/env bash
# PyTorch 2.13.0: the third derivative of batch_norm in training is wrong, without a word: its second derivative takes the
# batch's deviation for a constant. The same function in plain operations is right, as differences of its second derivatives
# show; 2.14 refuses ("batch_norm does not support 3rd+ order derivatives"). And the third derivative of conv_transpose2d with
# output_padding is an error about another argument. It hurts whoever differentiates through a step that uses second
# derivatives, such as meta-learning with a gradient penalty, on a network with batch norm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

torch.manual_seed(0)
x = torch.randn(4, 3, dtype=torch.float64)
weights = [torch.randn(4, 3, dtype=torch.float64) for _ in range(3)]

def native(x):
    return torch.nn.functional.batch_norm(x, None, None, training=True)

def composed(x):
    distance = x - x.mean(0)
    return distance * ((distance**2).mean(0) + 1e-5) ** -0.5

def number(norm, x, order):
    """A number made of the derivatives of this order."""
    found = norm(x)
    for weight in weights[:order]:
        (found,) = torch.autograd.grad((found**2 * weight).sum(), x, create_graph=True)
    return (found**2 * weights[order]).sum()

def gradient(norm, order):
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(number(norm, leaf, order), leaf)[0]

for order in range(3):
    a, b = gradient(native, order), gradient(composed, order)
    print("derivative", order + 1, "is off by", ((a - b).abs().max() / b.abs().max()).item())
    assert torch.allclose(a, b) == (order < 2)

step = 1e-6 * torch.eye(12, dtype=torch.float64)[0].reshape(4, 3)
ends = [number(composed, (x + s).requires_grad_(), 2).item() for s in (step, -step)]
differences = (ends[0] - ends[1]) / 2e-6
print("by differences", differences, "native", gradient(native, 2)[0, 0].item(), "composed", gradient(composed, 2)[0, 0].item())
assert abs(gradient(composed, 2)[0, 0].item() - differences) < 1e-4 * abs(differences)

image, weight = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in [(1, 2, 3, 3), (2, 2, 3, 3)])
found = [torch.nn.functional.conv_transpose2d(image, weight, stride=2, output_padding=1)]
for order in range(3):
    try:
        found = torch.autograd.grad(sum((g**2).sum() for g in found), [image, weight], create_graph=True)
        print("conv_transpose2d", order + 1, "is there")
    except RuntimeError as error:
        print("conv_transpose2d", order + 1, error)
        assert order == 2 and "output_padding is not supported for non-transposed convolutions" in str(error)
        break
else:
    raise AssertionError("its third derivative is there")
PYTHON
