"""Times a full default `maximize` of 16 units beside the same recipe in PyTorch (`recipe.py`), in separate processes in turn.

    python -m tests.benchmarks.maximize                           # a few minutes
    python -m tests.benchmarks.maximize --steps 32 --rounds 3     # a shorter one

Prints the seconds of each run, the ratio minicnn / PyTorch of the fastest, and how far the activations at the end differ: both start
from the same noise and draw the same random changes. Compiling and importing are not counted: a first run of two steps comes
before. On a busy machine the ratio of the CPU times with --threads 1 says more.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

LAYER, UNITS, STEPS = 10, 16, 256


def run(library: str, units: int, steps: int) -> dict[str, object]:
    """One run in this process: seconds, and the activations of the clean images at the end."""
    import importlib

    from tests.benchmarks.networks import network

    lib = importlib.import_module(library)
    model, channels = network(lib, "tinynet"), list(range(units))
    if library == "torch":
        from tests.benchmarks.recipe import maximize_with_torch

        lib.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))

        def work(steps: int) -> np.ndarray:
            return maximize_with_torch(model, LAYER, channels, steps=steps)
    else:
        from minicnn.viz import maximize

        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        targets = [f"features.{LAYER}:{channel}" for channel in channels]

        def work(steps: int) -> np.ndarray:
            return maximize(model, targets, steps=steps, mean=mean, std=std, progress=False).activation_end

    work(2)
    started, used = time.perf_counter(), time.process_time()
    end = work(steps)
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used, "end": end.tolist()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, default=UNITS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rounds", type=int, default=2, help="runs of each library")
    parser.add_argument("--threads", type=int, default=2, help="of both libraries")
    parser.add_argument("--library", choices=("minicnn", "torch"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.library:
        print(json.dumps(run(options.library, options.units, options.steps)))
        return
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(options.threads)), "PYTHONWARNINGS": "ignore"}
    found: dict[str, list[dict]] = {"minicnn": [], "torch": []}
    print(f"{options.units} units of features.{LAYER} of the bundled network, {options.steps} steps at 96 x 96 pixels")
    for _ in range(options.rounds):
        for library, results in found.items():
            command = [sys.executable, "-m", "tests.benchmarks.maximize", "--library", library]
            command += ["--units", str(options.units), "--steps", str(options.steps)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            results.append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{library:>8}: {results[-1]['seconds']:8.2f} s, {results[-1]['cpu']:8.2f} s of CPU", flush=True)
    ours, theirs = (min(result["seconds"] for result in results) for results in found.values())
    ours_cpu, theirs_cpu = (min(result["cpu"] for result in results) for results in found.values())
    a, b = (np.array(results[0]["end"]) for results in found.values())
    print(f"minicnn / PyTorch: {ours / theirs:.2f} (fastest of {options.rounds}); wanted: at most 1.5")
    print(f"of their CPU times: {ours_cpu / theirs_cpu:.2f}")
    print(
        f"activations at the end: mean {a.mean():.3f} and {b.mean():.3f}, largest difference {np.abs(a - b).max():.3f}"
    )


if __name__ == "__main__":
    main()
