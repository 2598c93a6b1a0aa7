#!/usr/bin/env bash
# PyTorch 2.14.1 with grad-cam 1.5.7, torchcam 0.5.0 and captum 0.9.0: Grad-CAM of a convolution that a
# ReLU(inplace=True) follows. The same weights with an ordinary ReLU give one map in all three. With the in-place one
# captum's map stays, grad-cam's and torchcam's change by more than half of the scale, without a warning: they kept the
# tensor that the ReLU then wrote over. It hurts nearly everybody: VGG, ResNet and AlexNet of torchvision have in-place
# ReLUs, and a convolution's name is what one types first.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.14.1 torchvision==0.29.1 grad-cam==1.5.7 torchcam==0.5.0 captum==0.9.0
venv/bin/python - <<'PYTHON' || exit 1
import warnings

import torch

warnings.simplefilter("ignore")
from captum.attr import LayerGradCam
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torchcam.methods import GradCAM as TorchcamGradCAM

class Net(torch.nn.Module):
    def __init__(self, inplace):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.relu = torch.nn.ReLU(inplace=inplace)
        self.pool = torch.nn.AdaptiveAvgPool2d(2)
        self.head = torch.nn.Linear(32, 5)

    def forward(self, x):
        return self.head(self.pool(self.relu(self.conv(x))).flatten(1))

def scaled(cam):
    cam = torch.as_tensor(cam).detach().clamp(min=0)
    return cam / cam.max()

x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
maps = {}
for inplace in (False, True):
    net = Net(inplace).eval()
    maps["captum", inplace] = scaled(LayerGradCam(net, net.conv).attribute(x, target=1)[0, 0])
    with GradCAM(net, [net.conv]) as cam:
        maps["grad-cam", inplace] = scaled(cam(x, [ClassifierOutputTarget(1)])[0])
    net = Net(inplace).eval()
    extractor = TorchcamGradCAM(net, "conv")
    maps["torchcam", inplace] = scaled(extractor(1, net(x))[0][0])
change = {name: (maps[name, True] - maps[name, False]).abs().max().item() for name in ("captum", "grad-cam", "torchcam")}
print("largest change of the map by inplace=True:", {name: round(value, 3) for name, value in change.items()})
assert max((maps["captum", False] - maps[name, False]).abs().max() for name in ("grad-cam", "torchcam")) < 1e-5
assert change["captum"] < 1e-5
assert change["grad-cam"] > 0.5 and change["torchcam"] > 0.5
PYTHON
