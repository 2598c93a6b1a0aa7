#!/usr/bin/env bash
# timm 1.0.31: the network that features_only=True returns has the keys of the whole network for some architectures (resnet18,
# efficientnet_b0), and not one of them for others (vgg11, densenet121, convnext_atto: "features.0.weight" is "features_0.weight"), since
# those are unpacked by one level. A checkpoint of one's own whole network, loaded with strict=False because the classifier is missing,
# loads nothing there, and the features are those of random weights. It hurts who takes a trained network apart with timm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet torch==2.14.1 torchvision==0.29.1 timm==1.0.31
venv/bin/python - <<'PYTHON' || exit 1
import torch
import timm

x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
for name, same in {"resnet18": True, "efficientnet_b0": True, "vgg11": False, "densenet121": False, "convnext_atto": False}.items():
    whole = timm.create_model(name, pretrained=False).eval()
    features = timm.create_model(name, pretrained=False, features_only=True).eval()
    features.load_state_dict(whole.state_dict(), strict=False)
    loaded = len(features.state_dict().keys() & whole.state_dict().keys())
    with torch.no_grad():
        difference = (features(x)[-1] - whole.forward_intermediates(x, intermediates_only=True)[-1]).abs().max().item()
    print(f"{name}: {loaded} of {len(features.state_dict())} tensors loaded, features differ by {difference:.3g}")
    assert loaded == (len(features.state_dict()) if same else 0)
    assert (difference == 0) == same
PYTHON
