#!/usr/bin/env bash
# Keras 3.15.1, save_weights to .weights.h5: a layer called "stem" is stored under layers/conv2d, the next convolution,
# "head", under layers/conv2d_1: the class's name, counted, and the weights as vars/0, vars/1. The name that the user
# gave is only an attribute of the group "vars". It hurts whoever reads the file without Keras by layer name: nothing of
# that name is there, and adding a layer in the middle renames all after it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet keras==3.15.1 jax==0.10.2 h5py==3.16.0 numpy==2.4.6
KERAS_BACKEND=jax venv/bin/python - <<'PYTHON' || exit 1
import h5py
import keras

net = keras.Sequential(
    [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name="stem"), keras.layers.BatchNormalization(name="norm"), keras.layers.Conv2D(5, 3, name="head")]
)
net.save_weights("net.weights.h5")
names, arrays = {}, {}
with h5py.File("net.weights.h5") as file:
    def note(path, item):
        if "name" in item.attrs:
            names[path] = item.attrs["name"]
        if isinstance(item, h5py.Dataset):
            arrays[path] = item.shape
    file.visititems(note)
print(names, arrays)
assert names["layers/conv2d/vars"] == "stem" and names["layers/conv2d_1/vars"] == "head"
assert arrays["layers/conv2d_1/vars/0"] == (3, 3, 4, 5)
assert not any("stem" in path or "head" in path for path in arrays)
PYTHON
