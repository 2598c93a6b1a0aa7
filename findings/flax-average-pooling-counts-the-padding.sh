#!/usr/bin/env bash
# flax 0.12.8, nnx.avg_pool with padding="SAME": the zeros of the padding are counted, so that the mean of ones is 0.44
# in the corner. Keras with the same word divides by the pixels that are inside (1.0), and so does TensorFlow, from
# which "SAME" comes. It hurts whoever ports a network with 3 x 3 "same" average pooling (Inception's pool branch): the
# border fades, and only the border.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet flax==0.12.8 jax==0.10.2 keras==3.15.1 numpy==2.4.6
KERAS_BACKEND=jax venv/bin/python - <<'PYTHON' || exit 1
import jax.numpy as jnp
import keras
import numpy as np
from flax import nnx

x = np.ones((1, 4, 4, 1), np.float32)
in_flax = np.asarray(nnx.avg_pool(jnp.asarray(x), (3, 3), strides=(1, 1), padding="SAME"))[0, :, :, 0]
in_keras = np.asarray(keras.layers.AveragePooling2D(3, strides=1, padding="same")(x))[0, :, :, 0]
print("flax", in_flax[0].round(3).tolist(), "Keras", in_keras[0].tolist())
assert np.allclose(in_flax[0], [4 / 9, 6 / 9, 6 / 9, 4 / 9])
assert np.allclose(in_keras, 1)
PYTHON
