"""One library in a process of its own: `python -m tests.benchmarks.worker minicnn`. Reads a row's number and how long to
run it from stdin, a line of JSON each, and answers with the seconds that each run took.

`python -m tests.benchmarks.worker minicnn NUMBER` runs one row three times and prints the peak memory of the process.
"""

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = 200_000  # numbers of each result that are compared


def load(name: str) -> Any:
    lib = importlib.import_module(name)
    if name == "torch":
        lib.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    return lib


def serve(lib: Any) -> None:
    from tests.benchmarks.rows import ROWS

    current, work = None, None
    for line in sys.stdin:
        order = json.loads(line)
        if order["row"] != current:
            work = None  # give its memory back before the next row asks for more
            current, work = order["row"], ROWS[order["row"]].make(lib)
            result = work()  # to warm up; the second run would see a parameter that has moved
            if order.get("results"):
                np.save(order["results"], np.concatenate([sample(array) for array in result]))
            work()
        taken: list[float] = []
        while sum(taken) < order["seconds"]:
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
        print(json.dumps(taken), flush=True)


def sample(array: np.ndarray) -> np.ndarray:
    """Some of the numbers, divided by the root of their mean square."""
    flat = array.ravel()[:: max(1, array.size // SAMPLES)]
    return flat / max(1e-30, float(np.sqrt(np.mean(flat.astype(np.float64) ** 2))))


def peak_memory() -> int:
    """The most memory that this process has had, in bytes. (`ru_maxrss` would count what the parent had before.)"""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    library = load(sys.argv[1])
    if len(sys.argv) == 2:
        serve(library)
    else:
        from tests.benchmarks.rows import ROWS

        step = ROWS[int(sys.argv[2])].make(library)
        for _ in range(3):
            step()
        print(peak_memory())
