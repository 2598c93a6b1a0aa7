#!/usr/bin/env bash
# PyTorch 2.13.0: an in-place operation on an inference tensor outside of inference mode raises "Inplace update to inference
# tensor outside InferenceMode is not allowed", and the numbers have been changed all the same: who catches the error and goes on
# with a copy works on other numbers. Through detach() the same write is allowed. And a product of two parameters that were made
# in inference mode is silently not recorded. It hurts whoever caches activations or weights that were made in inference mode.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PYTHON' || exit 1
import torch

with torch.inference_mode():
    features, weight = torch.zeros(3), torch.nn.Parameter(torch.ones(2))
try:
    features.add_(1)
    raise AssertionError("it was allowed")
except RuntimeError as error:
    print(str(error).split(".")[0])
    assert "Inplace update to inference tensor outside InferenceMode is not allowed" in str(error)
print("after the refusal", features.tolist())
assert features.tolist() == [1, 1, 1]

features.detach().add_(1)
print("through detach", features.tolist())
assert features.tolist() == [2, 2, 2]

product = weight * weight
print("requires_grad", weight.requires_grad, product.requires_grad)
assert weight.requires_grad and not product.requires_grad
PYTHON
