"""What this machine can do at most, to read the other benchmarks by.

    python -m tests.benchmarks.peak [--threads 2]

Prints the speed of the register tile on numbers that lie in the first cache, that is the speed of the multipliers, beside
PyTorch's matrix product; and how fast numbers come from memory. With --json FILE it leaves the faster of the two
and the last there, from which `limits.py` says what a row takes at least.
"""

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

TERMS, TILES = 256, 2000  # of a sum; so often a tile is computed
SIZE = 2**26  # numbers that are read from memory


def fastest(work: Callable[[], object], rounds: int = 7) -> float:
    """Seconds of the fastest of `rounds` runs."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def torch_product(threads: int) -> float:
    """Multiplications and additions a second of a product of matrices."""
    import torch

    torch.set_num_threads(threads)
    a = torch.ones(2048, 2048)
    return 2 * 2048**3 / fastest(lambda: a @ a)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="also write the speeds of multipliers and memory to this file")
    options = parser.parse_args()
    threads = options.threads
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(threads)

    from minicnn.kernels.fast.parallel import jit, jit_sums, run
    from minicnn.kernels.fast.tile import ROWS, VECTORS, lanes, tile

    width = VECTORS * lanes(np.float32)

    @jit
    def tiles(weight, pixels, taps, places, start, stop):
        target = np.empty((ROWS, width), np.float32)
        for _ in range(start, stop):
            tile(width, weight, 0, 1, ROWS - 1, taps, pixels, 0, places, target, False)

    @jit_sums
    def read(numbers, found, start, stop):
        part, total = numbers[start:stop], np.float32(0)
        for i in range(len(part)):
            total += part[i]
        found[start * len(found) // len(numbers)] = total

    weight, pixels = np.ones(TERMS * ROWS, np.float32), np.ones(TERMS * width // 8 + width, np.float32)
    taps, places = np.arange(TERMS) * ROWS, np.arange(TERMS) % 32 * width
    seconds = fastest(lambda: run(tiles, TILES * threads, 10**9, weight, pixels, taps, places))
    operations = 2 * TILES * threads * TERMS * ROWS * width / seconds
    print(f"register tile:             {operations / 1e9:8.0f} GFLOP/s, {threads} threads")
    if importlib.util.find_spec("torch"):
        product = torch_product(threads)
        print(f"PyTorch's matrix product:  {product / 1e9:8.0f} GFLOP/s, 2048 x 2048")
        operations = max(operations, product)
    numbers, found = np.ones(SIZE, np.float32), np.zeros(threads, np.float32)
    seconds = fastest(lambda: run(read, SIZE, SIZE, numbers, found))
    print(f"reading from memory:       {4 * SIZE / seconds / 1e9:8.1f} GB/s, {4 * SIZE / 1e6:.0f} MB", flush=True)
    if options.json:
        options.json.write_text(
            json.dumps({"operations_per_second": operations, "bytes_per_second": 4 * SIZE / seconds})
        )


if __name__ == "__main__":
    main()
