#!/usr/bin/env bash
# torch.export.save of PyTorch 2.13.0: a parameter that is a slice of a larger tensor brings the whole of it into the
# .pt2 file, as bare bytes of the storage; size, strides and offset stand in a JSON file beside it. A channels_last
# weight lies there in the order of its memory, so bytes plus shape give wrong numbers. It hurts whoever reads the
# archive (a zip) with NumPy, and whoever ships it: the part of the tensor that was cut off goes along. Seen: 4000 bytes
# for a parameter of 3 floats.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import json
import warnings
import zipfile

import numpy as np
import torch

warnings.simplefilter("ignore")

class Scale(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(1000.0)[:3])

    def forward(self, x):
        return x * self.weight

torch.export.save(torch.export.export(Scale(), (torch.ones(3),)), "scale.pt2")
with zipfile.ZipFile("scale.pt2") as archive:
    size = next(i.file_size for i in archive.infolist() if i.filename.endswith("weight_0"))
conv = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
torch.export.save(torch.export.export(conv, (torch.ones(1, 3, 8, 8),)), "conv.pt2")
with zipfile.ZipFile("conv.pt2") as archive:
    name = next(n for n in archive.namelist() if n.endswith("model_weights_config.json"))
    entry = json.loads(archive.read(name))["config"]["weight"]
    raw = archive.read(next(n for n in archive.namelist() if n.endswith("/" + entry["path_name"])))
shape = [s["as_int"] for s in entry["tensor_meta"]["sizes"]]
plain = np.frombuffer(raw, np.float32).reshape(shape)
print("bytes for three floats:", size, "; shape", shape, "strides", [s["as_int"] for s in entry["tensor_meta"]["strides"]])
assert size == 4000
assert not np.array_equal(plain, conv.weight.detach().numpy())
right = np.lib.stride_tricks.as_strided(np.frombuffer(raw, np.float32), shape, [s["as_int"] * 4 for s in entry["tensor_meta"]["strides"]])
assert np.array_equal(right, conv.weight.detach().numpy())
PYTHON
