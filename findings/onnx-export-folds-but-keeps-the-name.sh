#!/usr/bin/env bash
# torch.onnx.export of PyTorch 2.13.0 (the default, dynamo=True): batch norm is folded into the convolution, and the
# folded weight keeps the name that the unfolded one has in the state_dict, "0.weight". The older exporter
# (dynamo=False) gave folded weights names of their own. It hurts whoever copies weights from an .onnx file back by
# name: every name fits, every shape fits, and the batch norm is applied twice. Seen: initializer "0.weight" is the
# module's weight times 1.5, for a batch norm with weight 3 and variance 4.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import numpy as np
import onnx
import torch

conv, norm = torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4, eps=0)
norm.weight.data.fill_(3)
norm.running_var.fill_(4)
net = torch.nn.Sequential(conv, norm).eval()
torch.onnx.export(net, (torch.zeros(1, 3, 8, 8),), "net.onnx", verbose=False)
arrays = {i.name: onnx.numpy_helper.to_array(i, base_dir=".") for i in onnx.load("net.onnx").graph.initializer}
print({name: array.shape for name, array in arrays.items()})
assert "0.weight" in net.state_dict() and "0.weight" in arrays
assert np.allclose(arrays["0.weight"], 1.5 * net.state_dict()["0.weight"].numpy(), rtol=1e-4)
PYTHON
