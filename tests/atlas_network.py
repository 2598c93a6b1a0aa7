"""A small network for the tests of the atlas and the command, whose names are as hostile as names can be."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

import minicnn
from minicnn import nn
from minicnn.models import ModelMeta

HOSTILE = '<script>document["title"]="broken into"</script>'
CATEGORIES = (
    HOSTILE,
    'a "quoted" & <b>bold</b> class',
    "king penguin, Aptenodytes patagonica",
    "$title ${pages}",
    "plain",
)


class Hostile(nn.Module):
    """Images (N, 3, 32, 32) -> (N, 5) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(2))
        self.add_module(HOSTILE, nn.Conv2d(6, 8, 3, padding=1))
        self.classifier = nn.Linear(8, 5)
        self.meta = ModelMeta("hostile<br>", (0.5,) * 3, (0.25,) * 3, (3, 32, 32), CATEGORIES, None, f"note {HOSTILE}")

    def forward(self, x):
        x = minicnn.relu(self._modules[HOSTILE](self.features(x)))
        return self.classifier(x.mean((2, 3)))


def network() -> Hostile:
    minicnn.manual_seed(0)
    return Hostile().eval()


def folder(path: Path, count: int = 6) -> Path:
    """A folder of photographs, among them files that are none: damaged, huge, not an image, a name that is markup."""
    rng = np.random.default_rng(0)
    (path / "class a").mkdir(parents=True)
    for i in range(count):
        pixels = np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        Image.fromarray(pixels).save(path / "class a" / f"{i}.png")
    Image.fromarray(pixels[::-1]).save(path / "a <img src=x onerror=alert(1)> & 'b'.png")
    whole = (path / "class a" / "0.png").read_bytes()
    (path / "damaged <i>.png").write_bytes(whole[: len(whole) // 2])
    (path / "notes.txt").write_text("not an image")
    (path / "empty.jpg").write_bytes(b"")
    huge = bytearray(whole)
    huge[16:24] = (60_000).to_bytes(4, "big") * 2  # the size in the header: 3.6 billion pixels
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (path / "huge.png").write_bytes(huge)
    return path
