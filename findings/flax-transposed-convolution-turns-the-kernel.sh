#!/usr/bin/env bash
# flax 0.12.8 (nnx.ConvTranspose and linen) against PyTorch 2.13.0: flax does not turn the kernel, so that its
# transposed convolution with kernel (1, 2, 3) answers an impulse with (3, 2, 1); PyTorch and Keras answer (1, 2, 3).
# Kernels that are carried over by transposing axes alone run without an error and give a blurred or mirrored picture.
# transpose_kernel=True is the other convention. It hurts whoever converts a decoder, a U-Net or a GAN.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet flax==0.12.8 jax==0.10.2 torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import jax.numpy as jnp
import torch
from flax import nnx

layer = nnx.ConvTranspose(1, 1, (3,), strides=(1,), padding="SAME", use_bias=False, rngs=nnx.Rngs(0))
layer.kernel[...] = jnp.array([1.0, 2.0, 3.0]).reshape(3, 1, 1)
in_flax = layer(jnp.array([0.0, 0, 1, 0, 0]).reshape(1, 5, 1)).ravel().tolist()
other = torch.nn.ConvTranspose1d(1, 1, 3, padding=1, bias=False)
other.weight.data = torch.tensor([[[1.0, 2.0, 3.0]]])
in_torch = other(torch.tensor([[[0.0, 0, 1, 0, 0]]])).detach().ravel().tolist()
print("flax", in_flax, "PyTorch", in_torch)
assert in_flax == [0, 3, 2, 1, 0]
assert in_torch == [0, 1, 2, 3, 0]
PYTHON
