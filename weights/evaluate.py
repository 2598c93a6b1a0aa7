"""Judge a bundled network with PyTorch: the same weights, the same 10,000 photographs, both libraries.

    python weights/evaluate.py DATA weights/tinynet_standard.safetensors
    python weights/evaluate.py DATA weights/tinynet_standard.safetensors --trained RUN/last.pth

DATA is the official folder `tiny-imagenet-200`. The first form runs the file's weights in minicnn and in the same
architecture built from PyTorch's layers. With `--trained` PyTorch runs the network as it was trained instead, batch
norm and all, so that the export is judged too. Prints both top-1 accuracies, their difference in points, and the
largest difference between two logits; ends with an error if the accuracies are more than 0.05 points apart or a logit
more than 1e-4.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from tqdm import tqdm
from train import TrainingNet

import minicnn
from minicnn.models import ModelMeta, tinynet

POINTS, LOGIT = 0.05, 1e-4  # what the two libraries may differ by


class TorchTinyNet(torch.nn.Module):
    """minicnn.models.TinyNet, built from PyTorch's layers: (N, 3, H, W) -> (N, num_classes)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()

        def block(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[torch.nn.Module]:
            return [torch.nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2), torch.nn.ReLU()]

        self.features = torch.nn.Sequential(
            *block(3, 64, 7, stride=2),
            torch.nn.MaxPool2d(3, 2, padding=1),
            *block(64, 128, 5),
            torch.nn.MaxPool2d(3, 2, padding=1),
            *block(128, 256, 3),
            *block(256, 256, 3),
            *block(256, 256, 3),
        )
        self.classifier = torch.nn.Linear(256, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


def validation_images(data: Path, count: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` (default: all) validation images, uint8 (N, 3, 64, 64), and their labels (N,)."""
    label = {wnid: i for i, wnid in enumerate((data / "wnids.txt").read_text().split())}
    rows = [line.split("\t")[:2] for line in (data / "val" / "val_annotations.txt").read_text().splitlines()][:count]
    images = [Image.open(data / "val" / "images" / name).convert("RGB") for name, _ in tqdm(rows, desc="decoding")]
    return np.stack([np.asarray(image).transpose(2, 0, 1) for image in images]), np.array([label[w] for _, w in rows])


def normalized(images: np.ndarray, meta: ModelMeta) -> np.ndarray:
    """uint8 (N, 3, H, W) -> float32: (x / 255 - mean) / std, channel by channel."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (meta.mean, meta.std))
    return (images.astype(np.float32) / 255 - mean) / std


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("weights", type=Path, help="the .safetensors file of a TinyNet")
    parser.add_argument("--trained", type=Path, metavar="LAST_PTH", help="judge by the network as it was trained")
    parser.add_argument("--count", type=int, help="only the first COUNT images")
    parser.add_argument("--batch", type=int, default=250)
    args = parser.parse_args()

    ours = tinynet(args.weights).eval()
    if args.trained:
        theirs = TrainingNet(len(ours.meta.categories))
        theirs.load_state_dict(torch.load(args.trained))
    else:
        theirs = TorchTinyNet(len(ours.meta.categories))
        theirs.load_state_dict(load_file(args.weights))
    theirs.eval()

    images, labels = validation_images(args.data, args.count)
    right, worst = np.zeros(2, int), 0.0
    for start in tqdm(range(0, len(images), args.batch), desc="both libraries"):
        batch = slice(start, start + args.batch)
        x = normalized(images[batch], ours.meta)
        with minicnn.no_grad(), torch.no_grad():
            logits = ours(minicnn.from_numpy(x)).numpy(), theirs(torch.from_numpy(x)).numpy()
        worst = max(worst, float(np.abs(logits[0] - logits[1]).max()))
        right += [(each.argmax(1) == labels[batch]).sum() for each in logits]
    top1 = right / len(labels)
    difference = 100 * abs(top1[0] - top1[1])
    print(f"top-1 on {len(labels)} validation images: minicnn {top1[0]:.4f}, PyTorch {top1[1]:.4f}")
    print(f"difference: {difference:.3f} points; largest difference between two logits: {worst:.2e}")
    if difference > POINTS or worst > LOGIT:
        raise SystemExit(f"allowed are {POINTS} points and {LOGIT:.0e}")


if __name__ == "__main__":
    main()
