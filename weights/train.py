"""Train the bundled network, or its robust twin, on Tiny ImageNet-200 with PyTorch.

    python weights/train.py DATA --out RUN                          # the standard network
    python weights/train.py DATA --out RUN2 --robust RUN/last.pth   # the robust twin

DATA is the official folder `tiny-imagenet-200` (train/<wnid>/images/*.JPEG, val/val_annotations.txt, wnids.txt,
words.txt). RUN receives `last.pth` (a PyTorch state_dict), `history.npz` (the first layer's weights at about 40
moments, and the curves) and, while training, `checkpoint.pth`: the same command again continues from it.

The images grow while the network trains (48 to 64 pixels: the first epochs cost half as much), the last epochs
have full size. Progressive resizing: Howard 2018, "Training Imagenet in 3 hours". `--bfloat16` computes the
convolutions in bfloat16, twice as fast on a processor with avx512_bf16 or AMX.
The robust twin: one-step adversarial training, Wong, Rice and Kolter 2020, "Fast is better than free".
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels / 255, per channel R G B
# For each way to train: the image size of each epoch, the images of an epoch, the peak learning rate.
SCHEDULES = {
    "standard": ((48, 48, 48, 56, 56, 64, 64, 64, 64, 64, 64), 100_000, 0.1),
    "robust": ((56, 56, 64), 50_000, 0.03),
}
EPSILON = 4 / 255  # half side of the box that an adversary may move a pixel in, pixels in [0, 1]


class TrainingNet(nn.Module):
    """The bundled architecture with batch norm: (N, 3, H, W) normalised pixels -> (N, 200) logits."""

    def __init__(self, num_classes: int = 200) -> None:
        super().__init__()

        def block(c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
            conv = nn.Conv2d(c_in, c_out, kernel, stride, padding=kernel // 2, bias=False)
            return [conv, nn.BatchNorm2d(c_out), nn.ReLU()]

        self.features = nn.Sequential(
            *block(3, 64, 7, stride=2),
            nn.MaxPool2d(3, 2, padding=1),
            *block(64, 128, 5),
            nn.MaxPool2d(3, 2, padding=1),
            *block(128, 256, 3),
            *block(256, 256, 3),
            *block(256, 256, 3),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(256, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def load_images(root: Path, cache: Path) -> dict[str, torch.Tensor]:
    """The photographs as uint8 (N, 3, 64, 64) with int64 labels; decoded once, then read from `cache`."""
    if not cache.exists():
        wnids = (root / "wnids.txt").read_text().split()
        label = {wnid: i for i, wnid in enumerate(wnids)}
        train = [(path, label[wnid]) for wnid in wnids for path in sorted((root / "train" / wnid / "images").iterdir())]
        rows = [line.split("\t") for line in (root / "val" / "val_annotations.txt").read_text().splitlines()]
        val = [(root / "val" / "images" / row[0], label[row[1]]) for row in rows]
        arrays = {}
        for name, items in (("train", train), ("val", val)):
            images = np.empty((len(items), 3, 64, 64), np.uint8)
            for i, (path, _) in enumerate(tqdm(items, desc=f"decoding {name}", mininterval=5)):
                images[i] = np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1)
            arrays[name], arrays[f"{name}_labels"] = images, np.array([y for _, y in items])
        np.savez(cache, **arrays)
    with np.load(cache) as data:
        return {name: torch.from_numpy(data[name]) for name in data.files}


def augment(images: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 (N, 3, 64, 64) -> float (N, 3, size, size) in [0, 1]: flipped half of the time, shifted by +-6 pixels of 64."""
    n = len(images)
    flip = torch.rand(n) < 0.5
    images = torch.where(flip[:, None, None, None], images.flip(3), images)
    padded = F.pad(images.float() / 255, (6, 6, 6, 6), mode="reflect")
    dy, dx = torch.randint(0, 13, (2, n))
    rows = dy[:, None] + torch.arange(64)
    columns = dx[:, None] + torch.arange(64)
    batch = torch.arange(n)[:, None, None]
    x = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    return x if size == 64 else F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)


def normalize(x: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return ((x - mean) / std).contiguous(memory_format=torch.channels_last)


def logits(model: nn.Module, x: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """Pixels (N, 3, H, W) in [0, 1] -> float32 logits (N, 200)."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        return model(normalize(x)).float()


def adversarial(model: nn.Module, x: torch.Tensor, y: torch.Tensor, bfloat16: bool) -> torch.Tensor:
    """One signed gradient step of 1.25 epsilon from a random point of the box around x (N, 3, H, W) in [0, 1]."""
    delta = torch.empty_like(x).uniform_(-EPSILON, EPSILON).requires_grad_()
    (grad,) = torch.autograd.grad(F.cross_entropy(logits(model, x + delta, bfloat16), y), delta)
    delta = (delta.detach() + 1.25 * EPSILON * grad.sign()).clamp(-EPSILON, EPSILON)
    return (x + delta).clamp(0, 1)


@torch.no_grad()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int) -> float:
    """Top-1 accuracy in [0, 1] of uint8 images (N, 3, 64, 64), scaled to `size`."""
    model.eval()
    correct = 0
    for x, y in zip(images.split(250), labels.split(250), strict=True):
        x = x.float() / 255
        if size != 64:
            x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
        correct += (model(normalize(x)).argmax(1) == y).sum().item()
    model.train()
    return correct / len(labels)


def train(
    data: dict[str, torch.Tensor], out: Path, way: str, parent: Path | None, seed: int, batch: int, bfloat16: bool
) -> None:
    torch.manual_seed(seed)
    sizes, per_epoch, peak = SCHEDULES[way]
    model = TrainingNet().to(memory_format=torch.channels_last)
    if parent is not None:
        model.load_state_dict(torch.load(parent))
    steps = per_epoch // batch
    total = steps * len(sizes)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, total_steps=total, pct_start=0.2, cycle_momentum=False
    )
    moments = set(np.unique(np.geomspace(1, total, 42).round().astype(int)))

    def first_layer() -> np.ndarray:
        return model.features[0].weight.detach().contiguous().numpy().astype(np.float16)

    history = {
        "filter_step": [0],
        "filters": [first_layer()],
        "loss_step": [],
        "loss": [],
        "val_step": [],
        "val_size": [],
        "val_top1": [],
    }
    first_epoch, spent = 0, 0.0
    checkpoint = out / "checkpoint.pth"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"])
        first_epoch, history, spent = state["epoch"], state["history"], state["seconds"]
        print(f"continuing after epoch {first_epoch}")

    for epoch in range(first_epoch, len(sizes)):
        started, size, running = time.time(), sizes[epoch], []
        order = torch.randperm(len(data["train"]))[: steps * batch].split(batch)
        for i, chosen in enumerate(tqdm(order, desc=f"epoch {epoch + 1}/{len(sizes)} at {size} px", mininterval=10)):
            x, y = augment(data["train"][chosen], size), data["train_labels"][chosen]
            if way == "robust":
                x = adversarial(model, x, y, bfloat16)
            loss = F.cross_entropy(logits(model, x, bfloat16), y, label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            running.append(loss.item())
            step = epoch * steps + i + 1
            if step in moments:
                history["filter_step"].append(step)
                history["filters"].append(first_layer())
            if step % 50 == 0:
                history["loss_step"].append(step)
                history["loss"].append(float(np.mean(running[-50:])))
        last = epoch == len(sizes) - 1
        held_out = slice(None) if last else slice(0, 2000)  # all 10,000 images only at the end
        top1 = accuracy(model, data["val"][held_out], data["val_labels"][held_out], size)
        for name, value in (("val_step", step), ("val_size", size), ("val_top1", top1)):
            history[name].append(value)
        spent += time.time() - started
        print(
            f"epoch {epoch + 1}: {size} px, loss {np.mean(running):.3f}, validation top-1 {top1:.4f}, {spent:.0f} s",
            flush=True,
        )
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
             "rng": torch.get_rng_state(), "epoch": epoch + 1, "history": history, "seconds": spent}, checkpoint)  # fmt: skip
        np.savez_compressed(out / "history.npz", **{name: np.array(value) for name, value in history.items()})
    torch.save(model.state_dict(), out / "last.pth")
    print(
        f"saved {out / 'last.pth'}: validation top-1 {top1:.4f} on {len(data['val_labels'][held_out])} images, {spent:.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--out", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--robust", type=Path, metavar="LAST_PTH", help="train the robust twin of these weights")
    parser.add_argument("--cache", type=Path, help="the decoded images (default: OUT/../images.npz)")
    parser.add_argument("--bfloat16", action="store_true", help="convolve in bfloat16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    data = load_images(args.data, args.cache or args.out.parent / "images.npz")
    way = "robust" if args.robust else "standard"
    train(data, args.out, way, args.robust, args.seed, args.batch, args.bfloat16)


if __name__ == "__main__":
    main()
