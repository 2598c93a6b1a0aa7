#!/usr/bin/env bash
# JAX 0.10.2 and PyTorch 2.13.0 at the points where a function has no derivative: |x| at 0 has the gradient 1 in JAX and
# 0 in PyTorch, clip at a bound 0.5 and 1, leaky_relu at 0 the slope 1 and 0.01, hard_tanh at 1 the slope 1 and 0. relu,
# relu6 and maximum agree. It hurts tests that compare gradients of the two at zeros, ones and integers, and ascent from
# a black or saturated image, which starts at a bound.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet jax==0.10.2 torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import jax
import jax.numpy as jnp
import torch

def in_torch(function, at):
    x = torch.tensor(at, requires_grad=True)
    function(x).backward()
    return round(x.grad.item(), 4)

F = torch.nn.functional
table = {
    "abs at 0": (jax.grad(jnp.abs)(0.0), in_torch(torch.abs, 0.0)),
    "clip at 0": (jax.grad(lambda x: jnp.clip(x, 0.0, 1.0))(0.0), in_torch(lambda x: x.clamp(0, 1), 0.0)),
    "leaky_relu at 0": (jax.grad(jax.nn.leaky_relu)(0.0), in_torch(F.leaky_relu, 0.0)),
    "hard_tanh at 1": (jax.grad(jax.nn.hard_tanh)(1.0), in_torch(F.hardtanh, 1.0)),
    "relu at 0": (jax.grad(jax.nn.relu)(0.0), in_torch(F.relu, 0.0)),
    "relu6 at 6": (jax.grad(jax.nn.relu6)(6.0), in_torch(F.relu6, 6.0)),
    "maximum at a tie": (jax.grad(lambda x: jnp.maximum(x, 0.0))(0.0), in_torch(lambda x: torch.maximum(x, torch.tensor(0.0)), 0.0)),
}
table = {name: (float(a), b) for name, (a, b) in table.items()}
print(table)
assert table == {
    "abs at 0": (1, 0), "clip at 0": (0.5, 1), "leaky_relu at 0": (1, 0.01), "hard_tanh at 1": (1, 0),
    "relu at 0": (0, 0), "relu6 at 6": (0, 0), "maximum at a tie": (0.5, 0.5),
}
PYTHON
