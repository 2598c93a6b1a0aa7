#!/usr/bin/env bash
# PyTorch 2.13.0: a module with a full backward hook, even one that does nothing, cannot go through torch.func.grad,
# jacrev or vmap of grad: RuntimeError about autograd.Function and setup_context, which names neither the hook nor the
# module. Forward hooks and tensor hooks are no trouble. It hurts whoever mixes a hook-based explainer (which leaves its
# hook set) with per-sample gradients.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch
from torch.func import functional_call, grad

net = torch.nn.Linear(2, 1)
weights = {name: value.detach() for name, value in net.named_parameters()}
loss = lambda weights: functional_call(net, weights, (torch.ones(1, 2),)).sum()
net.register_forward_hook(lambda module, args, output: None)
print("with a forward hook:", grad(loss)(weights)["weight"].tolist())
handle = net.register_full_backward_hook(lambda module, grad_input, grad_output: None)
try:
    grad(loss)(weights)
except RuntimeError as error:
    print("with a full backward hook:", str(error)[:100])
    assert "setup_context" in str(error) and "hook" not in str(error)
else:
    raise SystemExit("it went through")
handle.remove()
grad(loss)(weights)
PYTHON
