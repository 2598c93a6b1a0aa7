#!/usr/bin/env bash
# torchvision 0.29.1, create_feature_extractor(resnet18, ...): the node "bn1" is the batch norm's output if it is asked
# for alone, and the output of the ReLU after it if a later node is asked for as well, because that ReLU writes in place
# and is cut away in the first case. No warning; the same name, the same shape. It hurts whoever adds a layer to the
# list and compares with features stored before. Seen: the smallest value of "bn1" is below -1 alone, and 0 in company.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.14.1 torchvision==0.29.1
venv/bin/python - <<'PYTHON' || exit 1
import torch
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

torch.manual_seed(0)
net = resnet18().eval()
x = torch.randn(1, 3, 64, 64)
alone = create_feature_extractor(net, ["bn1"])(x)["bn1"]
in_company = create_feature_extractor(net, ["bn1", "layer1"])(x)["bn1"]
print("smallest value alone", alone.min().item(), "in company", in_company.min().item())
assert alone.min() < -1
assert in_company.min() == 0
assert torch.equal(alone.clamp(min=0), in_company)
PYTHON
