#!/usr/bin/env bash
# PyTorch 2.13.0: a parameter that has a hook and is converted with torch.__future__.set_swap_module_params_on_conversion(True)
# runs no hooks any more: not the old one, which still stands in its dictionary, and none that is registered later, without a
# word. Without swapping both run. torch.utils.swap_tensors does the same to any tensor that had a hook. It hurts whoever logs
# or clips gradients by hooks on parameters and lets a newer way of converting modules be switched on.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

def ran(swap):
    """The hooks that ran after a conversion to float64, of one registered before it and one after it."""
    torch.__future__.set_swap_module_params_on_conversion(swap)
    layer, seen = torch.nn.Linear(2, 1), []
    layer.weight.register_hook(lambda grad: seen.append("before"))
    layer.double()
    layer.weight.register_hook(lambda grad: seen.append("after"))
    layer(torch.ones(1, 2, dtype=torch.float64)).sum().backward()
    print("swap" if swap else "no swap", "hooks in the dictionary", len(layer.weight._backward_hooks), "ran", seen)
    assert layer.weight.grad is not None
    return seen

assert ran(False) == ["before", "after"]
assert ran(True) == []

a, b, seen = torch.zeros(2, requires_grad=True), torch.ones(2, requires_grad=True), []
a.register_hook(lambda grad: seen.append("a, before"))
torch.utils.swap_tensors(a, b)
a.register_hook(lambda grad: seen.append("a, after"))
b.register_hook(lambda grad: seen.append("b, after"))
(a * 2 + b * 2).sum().backward()
print("swap_tensors", seen)
assert seen == ["b, after"]
PYTHON
