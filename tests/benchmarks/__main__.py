"""Times the bundled network in minicnn and in PyTorch, in turn, and prints the ratio of the fastest runs.

    python -m tests.benchmarks            # all rows; --repeat 20 for more runs of each

Both libraries use the threads that they use by default. A ratio above 1 means that minicnn takes longer.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

import minicnn
from minicnn.models import tinynet


def build_torch(state: dict[str, np.ndarray]) -> torch.nn.Module:
    """The same architecture from PyTorch's layers, with the same weights."""
    nn = torch.nn
    features = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(64, 128, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(128, 256, 3, 1, 1), nn.ReLU(), nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(),
    )  # fmt: skip
    model = nn.Sequential()
    model.features, model.avgpool, model.flatten = features, nn.AdaptiveAvgPool2d(1), nn.Flatten()
    model.classifier = nn.Linear(256, 200)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    return model.eval()


def forward(lib, model, batch: int, size: int) -> Callable[[], None]:
    x = lib.from_numpy(np.random.default_rng(0).standard_normal((batch, 3, size, size)).astype(np.float32))

    def step() -> None:
        with lib.no_grad():
            model(x)

    return step


def ascent(lib, model, batch: int, size: int) -> Callable[[], None]:
    """One step of gradient ascent on the last convolution: forward, and the gradient to the image alone."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    x = lib.from_numpy(np.random.default_rng(0).standard_normal((batch, 3, size, size)).astype(np.float32))
    x.requires_grad_()
    optimizer = lib.optim.Adam([x], lr=0.05)

    def step() -> None:
        optimizer.zero_grad()
        (-model.features(x)[:, 12].mean()).backward()
        optimizer.step()

    return step


def training(lib, model, batch: int, size: int) -> Callable[[], None]:
    """One training step: forward, all gradients, SGD."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    x = lib.from_numpy(np.random.default_rng(0).standard_normal((batch, 3, size, size)).astype(np.float32))
    labels = lib.from_numpy(np.arange(batch) % 200)
    optimizer = lib.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        lib.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return step


ROWS = [
    ("forward, batch 1, 64 px", forward, 1, 64),
    ("forward, batch 64, 64 px", forward, 64, 64),
    ("forward, batch 1, 224 px", forward, 1, 224),
    ("ascent step, batch 8, 96 px", ascent, 8, 96),
    ("ascent step, batch 1, 64 px", ascent, 1, 64),
    ("training step, batch 64, 64 px", training, 64, 64),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=10, help="runs of each, after two to warm up")
    repeat = parser.parse_args().repeat
    ours = tinynet("standard").eval()
    theirs = build_torch({name: tensor.numpy().copy() for name, tensor in ours.state_dict().items()})
    print(f"{'':34}{'minicnn':>10}{'torch':>10}{'ratio':>8}   (fastest of {repeat}, milliseconds)")
    ratios = []
    for name, make, batch, size in ROWS:
        steps = make(minicnn, ours, batch, size), make(torch, theirs, batch, size)
        times: tuple[list[float], list[float]] = ([], [])
        for i in range(repeat + 2):
            for step, taken in zip(steps, times, strict=True):
                started = time.perf_counter()
                step()
                if i >= 2:
                    taken.append(time.perf_counter() - started)
        a, b = (min(taken) * 1000 for taken in times)
        ratios.append(a / b)
        print(f"{name:34}{a:10.1f}{b:10.1f}{a / b:8.2f}", flush=True)
    print(f"{'geometric mean':54}{np.exp(np.mean(np.log(ratios))):8.2f}")


if __name__ == "__main__":
    main()
