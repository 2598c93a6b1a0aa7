"""What the page to play with loses by its small weights: top-1 of a network as it is, and packed into 16 and into 8 bits.

    python weights/evaluate_packed.py DATA
    python weights/evaluate_packed.py DATA --network robust

DATA is the official folder `tiny-imagenet-200`. The packed networks are `minicnn.play.restored`: the weights that the page of
`minicnn play --bits 16` or `--bits 8` has. Prints each top-1 accuracy, on how many photographs the answer is another one, and the
largest difference between two logits and between two probabilities.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

import minicnn
from minicnn.models import tinynet
from minicnn.play import restored
from minicnn.viz import statistics
from minicnn.viz.image import as_input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder tiny-imagenet-200")
    parser.add_argument(
        "--network", default="standard", help="the name of bundled weights, or a file (default: standard)"
    )
    parser.add_argument("--count", type=int, help="only the first COUNT images")
    parser.add_argument("--batch", type=int, default=250)
    args = parser.parse_args()

    model = tinynet(args.network).eval()
    networks = {"float32": model, "16 bits": restored(model, 16), "8 bits": restored(model, 8)}
    label = {wnid: i for i, wnid in enumerate((args.data / "wnids.txt").read_text().split())}
    rows = (args.data / "val" / "val_annotations.txt").read_text().splitlines()[: args.count]
    names, wnids = zip(*(row.split("\t")[:2] for row in rows), strict=True)
    labels = np.array([label[wnid] for wnid in wnids])
    logits: dict[str, list[np.ndarray]] = {name: [] for name in networks}
    for start in tqdm(range(0, len(names), args.batch), desc="three networks"):
        files = [args.data / "val" / "images" / name for name in names[start : start + args.batch]]
        pictures = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        x = as_input(pictures, model, statistics(model))
        with minicnn.no_grad():
            for name, network in networks.items():
                logits[name].append(network(x).numpy())
    answers = {name: np.concatenate(parts).astype(np.float64) for name, parts in logits.items()}
    print(f"{args.network}, {len(labels)} validation images")
    for name, answer in answers.items():
        top1 = (answer.argmax(1) == labels).mean()
        other = (answer.argmax(1) != answers["float32"].argmax(1)).sum()
        logit, probability = (np.abs(f(answer) - f(answers["float32"])).max() for f in (np.asarray, softmax))
        print(
            f"{name:>8}: top-1 {top1:.4f}; {other} other answers; a logit off by up to {logit:.2e}, a probability by {probability:.2e}"
        )


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


if __name__ == "__main__":
    main()
