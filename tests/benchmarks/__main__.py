"""Time the bundled network's convolutions and pooling in minicnn's kernels and in torch, in turn.

    python -m tests.benchmarks [--sizes 64 224] [--batches 1 16] [--repeats 10] [--threads 2] [--cpu]

One row for each layer, image size and batch: milliseconds of forward, and of forward plus the gradient with respect to the
input, for both libraries, with their ratio (below 1: minicnn is faster). Each number is the smallest of the repeats, and the
two libraries take turns, so that a busy machine hurts both alike. `--cpu` runs both in one thread and counts the processor
time of that thread, which other programs disturb least. Before the table: the seconds that the first calls of all kernels
take, which is what compiling costs if Numba's cache is empty (set NUMBA_CACHE_DIR to an empty directory to see that).
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

LAYERS = (  # name, input channels, output channels, kernel, stride, padding, input size / image size
    ("conv 7x7/2", 3, 64, 7, 2, 3, 1),
    ("max 3/2", 64, 64, 3, 2, 1, 1 / 2),
    ("conv 5x5", 64, 128, 5, 1, 2, 1 / 4),
    ("max 3/2", 128, 128, 3, 2, 1, 1 / 4),
    ("conv 3x3", 128, 256, 3, 1, 1, 1 / 8),
    ("conv 3x3", 256, 256, 3, 1, 1, 1 / 8),
)
Step = Callable[[], Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224], help="image heights and widths")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2, help="of both libraries")
    parser.add_argument("--cpu", action="store_true", help="one thread, processor time")
    return parser.parse_args()


def limit_threads(threads: int) -> None:
    """The libraries read these when they are imported, so they are set before, and only in this process."""
    if "numpy" in sys.modules:
        raise RuntimeError("numpy was imported before the number of threads was set")
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)


def steps(layer: tuple, size: int, batch: int) -> tuple[Step, Step, Step, Step]:
    """(ours forward, torch forward, ours forward + gradient, torch forward + gradient) on the same numbers."""
    import numpy as np
    import torch

    from minicnn import kernels

    name, C, O, K, S, P, share = layer
    side = int(size * share)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, C, side, side), dtype=np.float32)
    weight = rng.standard_normal((O, C, K, K), dtype=np.float32) / np.float32((C * K * K) ** 0.5)
    bias = rng.standard_normal(O, dtype=np.float32)
    x_torch, weight_torch, bias_torch = map(torch.from_numpy, (x, weight, bias))
    x_leaf = torch.from_numpy(x).requires_grad_()

    def theirs(leaf: torch.Tensor) -> torch.Tensor:
        if name.startswith("max"):
            return torch.nn.functional.max_pool2d(leaf, K, S, P)
        return torch.nn.functional.conv2d(leaf, weight_torch, bias_torch, S, P)

    grad_torch = torch.from_numpy(rng.standard_normal(theirs(x_torch).shape, dtype=np.float32))
    grad = grad_torch.numpy()
    stride, padding, ones = (S, S), (P, P), (1, 1)

    def ours() -> Any:
        if name.startswith("max"):
            return kernels.max_pool2d(x, (K, K), stride, padding, ones, False)
        return kernels.conv2d(x, weight, bias, stride, padding, ones, 1)

    def ours_with_gradient() -> Any:
        result = ours()
        if name.startswith("max"):
            return kernels.max_pool2d_grad(grad, result[1], x.shape)
        return kernels.conv2d_grad_input(grad, weight, x.shape, stride, padding, ones, 1)

    def theirs_forward() -> Any:
        with torch.no_grad():
            return theirs(x_torch)

    return ours, theirs_forward, ours_with_gradient, lambda: torch.autograd.grad(theirs(x_leaf), x_leaf, grad_torch)


def best_in_turn(pair: tuple[Step, Step], repeats: int, clock: Callable[[], float]) -> list[float]:
    """The smallest time of each of two steps, in seconds, taken alternately after one untimed call."""
    best = [float("inf"), float("inf")]
    for step in pair:
        step()
    for _ in range(repeats):
        for i, step in enumerate(pair):
            started = clock()
            step()
            best[i] = min(best[i], clock() - started)
    return best


def first_calls() -> float:
    """Seconds for the first forward and gradient of every layer, compiling included."""
    started = time.perf_counter()
    for layer in LAYERS:
        for batch in (1, 16):  # small maps take another algorithm in a batch
            steps(layer, 64, batch)[2]()
    return time.perf_counter() - started


def main() -> None:
    options = arguments()
    threads = 1 if options.cpu else options.threads
    limit_threads(threads)
    import torch

    torch.set_num_threads(threads)
    clock = time.thread_time if options.cpu else time.perf_counter
    print(f"first calls of all kernels: {first_calls():.1f} s")
    print(f"threads: {threads}; {'processor' if options.cpu else 'wall'} time, smallest of {options.repeats}\n")
    print("image batch  layer        in  out |  forward ms: ours  torch  ratio |  + gradient ms: ours  torch  ratio")
    for size in options.sizes:
        for batch in options.batches:
            total = [0.0] * 4
            for layer in LAYERS:
                pairs = steps(layer, size, batch)
                times = [t * 1e3 for pair in (pairs[:2], pairs[2:]) for t in best_in_turn(pair, options.repeats, clock)]
                total = [a + b for a, b in zip(total, times, strict=True)]
                print(row(size, batch, layer[0], str(layer[1]), str(layer[2]), times), flush=True)
            print(row(size, batch, "all", "", "", total), "\n", flush=True)


def row(size: int, batch: int, name: str, C: str, O: str, t: list[float]) -> str:
    return (
        f"{size:5} {batch:5}  {name:11} {C:>3} {O:>4} | {t[0]:17.2f} {t[1]:6.2f} {t[0] / t[1]:6.2f} |"
        f" {t[2]:20.2f} {t[3]:6.2f} {t[2] / t[3]:6.2f}"
    )


if __name__ == "__main__":
    main()
