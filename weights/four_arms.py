"""Four first layers of one architecture: what is due to the photographs, what to their labels, what to training as such.

    python weights/four_arms.py DATA --out RUN [--bfloat16]

DATA is the folder `tiny-imagenet-200`, as in `train.py`, whose network, images and normalisation are used here. RUN
receives `four_arms.npz` and, for each arm, a checkpoint after every epoch, from which the same command continues.

The arms start from the same weights and see batches of the same indices in the same order. They are trained alike:
5,000 images of 20 classes (every tenth), 48 x 48 pixels, 50 epochs, no augmentation, no weight decay, no label smoothing.

    initial    no training
    true       photographs with their labels
    shuffled   the same photographs, the labels permuted among them: nothing to learn but the list by heart
    noise      Gaussian noise with the photographs' mean and deviation per channel, and random labels

Zhang et al. 2017, "Understanding deep learning requires rethinking generalization" (the last three); Chowers and Weiss
2023, "What do CNNs learn in the first layer and why?" (energy over the principal components of image patches).
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm
from train import TrainingNet, load_images, logits, normalize

CLASSES, PER_CLASS, SIZE, EPOCHS, BATCH, PEAK = 20, 250, 48, 50, 128, 0.05
ARMS = ("shuffled", "true", "noise")  # the hardest first
MOMENTS = 9  # of each training at which the first layer is kept; the first is the start
EVERY = 5  # epochs between two measurements of the accuracy

Data = dict[str, torch.Tensor]


def shrink(images: torch.Tensor) -> torch.Tensor:
    """uint8 (N, 3, 64, 64) -> uint8 (N, 3, SIZE, SIZE)"""
    small = F.interpolate(images.float(), size=(SIZE, SIZE), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)


def photographs(data: Data) -> Data:
    """The images of every tenth class with labels 0 to 19: `train` PER_CLASS of each, `held_out` all for validation."""
    result = {}
    for name, source in (("train", "train"), ("held_out", "val")):
        labels = data[f"{source}_labels"]
        step = 200 // CLASSES
        chosen = [torch.nonzero(labels == c * step)[:PER_CLASS, 0] for c in range(CLASSES)]
        result[name] = shrink(data[source][torch.cat(chosen)])
        result[f"{name}_labels"] = labels[torch.cat(chosen)] // step
    return result


def arm_data(photos: Data, arm: str) -> Data:
    """The images (uint8) and labels of one arm. Held out: what its network has never seen, of the same kind.

    For `shuffled` these are the validation photographs with their true labels (a label drawn for a training image says
    nothing about another image, so that chance is to be expected); for `noise` more noise with random labels.
    """
    generator = torch.Generator().manual_seed(1)
    if arm == "true":
        return photos
    if arm == "shuffled":
        labels = photos["train_labels"]
        return {**photos, "train_labels": labels[torch.randperm(len(labels), generator=generator)]}
    pixels = photos["train"].float()
    mean, std = pixels.mean((0, 2, 3)).view(3, 1, 1), pixels.std((0, 2, 3)).view(3, 1, 1)
    result = {}
    for name in ("train", "held_out"):
        noise = torch.randn(photos[name].shape, generator=generator) * std + mean
        result[name] = noise.round().clamp(0, 255).to(torch.uint8)
        result[f"{name}_labels"] = torch.randint(CLASSES, (len(noise),), generator=generator)
    return result


def new_model() -> TrainingNet:
    torch.manual_seed(0)
    return TrainingNet(CLASSES).to(memory_format=torch.channels_last)


def first_layer(model: TrainingNet) -> np.ndarray:
    return model.features[0].weight.detach().contiguous().numpy().astype(np.float16)


@torch.no_grad()
def accuracy(model: TrainingNet, data: Data, which: str, bfloat16: bool) -> float:
    """Share of right answers in [0, 1] to all images of `which`, in eval mode."""
    model.eval()
    correct = 0
    for x, y in zip(data[which].split(250), data[f"{which}_labels"].split(250), strict=True):
        correct += (logits(model, x.float() / 255, bfloat16).argmax(1) == y).sum().item()
    model.train()
    return correct / len(data[which])


def train_arm(photos: Data, arm: str, out: Path, epochs: int, bfloat16: bool) -> dict[str, list]:
    """Train one arm from the common start; its curves and its first layer at MOMENTS moments."""
    data, model = arm_data(photos, arm), new_model()
    steps = len(data["train"]) // BATCH
    optimizer = torch.optim.SGD(model.parameters(), lr=PEAK, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK, total_steps=steps * epochs, pct_start=0.2, cycle_momentum=False
    )
    moments = set(np.geomspace(10, steps * epochs, MOMENTS - 1).round().astype(int))
    order = torch.Generator().manual_seed(2)
    names = ("filter_step", "filters", "loss", "top1_epoch", "train_top1", "held_out_top1")
    curves: dict[str, list] = {name: [] for name in names}
    curves["filter_step"].append(0)
    curves["filters"].append(first_layer(model))
    done, spent, checkpoint = 0, 0.0, out / f"{arm}.pth"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        for part, name in ((model, "model"), (optimizer, "optimizer"), (schedule, "schedule")):
            part.load_state_dict(state[name])
        order.set_state(state["order"])
        done, curves, spent = state["epoch"], state["curves"], state["seconds"]
        print(f"{arm}: continuing after epoch {done}")
    for epoch in range(done, epochs):
        started, losses = time.time(), []
        batches = torch.randperm(len(data["train"]), generator=order)[: steps * BATCH].split(BATCH)
        for i, chosen in enumerate(tqdm(batches, desc=f"{arm}, epoch {epoch + 1}/{epochs}", mininterval=10)):
            x = data["train"][chosen].float() / 255
            loss = F.cross_entropy(logits(model, x, bfloat16), data["train_labels"][chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            if epoch * steps + i + 1 in moments:
                curves["filter_step"].append(epoch * steps + i + 1)
                curves["filters"].append(first_layer(model))
        curves["loss"].append(float(np.mean(losses)))
        if (epoch + 1) % EVERY == 0 or epoch + 1 == epochs:
            curves["top1_epoch"].append(epoch + 1)
            for which in ("train", "held_out"):
                curves[f"{which}_top1"].append(accuracy(model, data, which, bfloat16))
        spent += time.time() - started
        last = {name: curves[f"{name}_top1"][-1:] for name in ("train", "held_out")}
        print(f"{arm}, epoch {epoch + 1}: loss {curves['loss'][-1]:.3f}, top-1 {last}, {spent:.0f} s", flush=True)
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(),
             "order": order.get_state(), "epoch": epoch + 1, "curves": curves, "seconds": spent}, checkpoint)  # fmt: skip
    return curves


def principal_components(photos: Data, patches: int = 100_000) -> dict[str, np.ndarray]:
    """PCA of the 7 x 7 patches that a filter meets, as the network gets them (normalised), from the training photographs.

    `pca_components` (147, 147): row i is component i in the order of a filter (colour, row, column), the largest variance
    first; `pca_variance` (147,); `pca_mean` (147,). The mean of the patches is taken off before, as PCA does.
    """
    generator = torch.Generator().manual_seed(3)
    x = normalize(photos["train"].float() / 255)
    image = torch.randint(len(x), (patches,), generator=generator)
    top, left = torch.randint(SIZE - 6, (2, patches), generator=generator)
    rows, columns = top[:, None] + torch.arange(7), left[:, None] + torch.arange(7)
    cut = x.permute(0, 2, 3, 1)[image[:, None, None], rows[:, :, None], columns[:, None, :]]  # (patches, 7, 7, 3)
    flat = cut.permute(0, 3, 1, 2).reshape(patches, -1).double()
    variance, components = torch.linalg.eigh(torch.cov(flat.T))
    return {
        "pca_components": components.T.flip(0).numpy().astype(np.float32),
        "pca_variance": variance.flip(0).numpy().astype(np.float32),
        "pca_mean": flat.mean(0).numpy().astype(np.float32),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument("--out", type=Path, required=True, help="the folder of this run")
    parser.add_argument("--cache", type=Path, help="the decoded images (default: OUT/../images.npz)")
    parser.add_argument("--bfloat16", action="store_true", help="convolve in bfloat16")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    photos = photographs(load_images(args.data, args.cache or args.out.parent / "images.npz"))
    result: dict[str, np.ndarray] = principal_components(photos)
    model = new_model()
    result["initial_filters"] = first_layer(model)[None]
    for which in ("train", "held_out"):
        result[f"initial_{which}_top1"] = np.array([accuracy(model, photos, which, args.bfloat16)])
    for arm in ARMS:
        for name, values in train_arm(photos, arm, args.out, args.epochs, args.bfloat16).items():
            result[f"{arm}_{name}"] = np.array(values)
        np.savez_compressed(args.out / "four_arms.npz", **result)  # after each arm: what there is, is whole
    size = (args.out / "four_arms.npz").stat().st_size
    print(f"saved {args.out / 'four_arms.npz'}, {size / 1024:.0f} KB")
    for arm in ("initial", *ARMS):
        print(
            f"{arm}: training {result[f'{arm}_train_top1'][-1]:.4f}, held out {result[f'{arm}_held_out_top1'][-1]:.4f}"
        )


if __name__ == "__main__":
    main()
