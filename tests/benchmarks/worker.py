"""minicnn or a peer in a process of its own: `python -m tests.benchmarks.worker torch`. Reads orders from stdin and answers each,
a line of JSON: {"row": NUMBER, "folder": ..., "export": true} makes a row ready and leaves its results in the folder;
{"seconds": 0.05} takes a turn of it. An answer {"error": ...} says what went wrong.

`python -m tests.benchmarks.worker minicnn NUMBER` runs one row three times and prints the peak memory of the process.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import peers

SAMPLES = 200_000  # numbers of each result that are compared


class Side:
    """The rows as one library runs them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lib = peers.load(name, int(os.environ["OMP_NUM_THREADS"]))
        self.work: Callable[[], list[np.ndarray]] = list
        self.used = 0.0  # seconds of processor when the last turn ended

    def ready(self, row: int, folder: str, export: bool) -> dict[str, Any]:
        from tests.benchmarks.rows import ROWS

        self.work, found = list, {}  # gives the memory back before the next row asks for more
        if self.name in peers.ON_FILES:
            self.work = peers.session(self.name, self.lib, Path(folder))
        else:
            model, x = ROWS[row].build(self.lib)
            if export:
                peers.export(self.lib, model, x, Path(folder))
            fitted = peers.fit(self.name, self.lib, model, x)
            self.work = ROWS[row].step(self.lib, *fitted)
        result = self.work()  # to warm up; the second run would see an image that has moved
        np.save(Path(folder) / f"{self.name}.npy", np.concatenate([sample(array) for array in result]))
        if self.name == "torch":
            from tests.benchmarks.limits import cost

            found = cost(self.lib, model, x, self.work)._asdict()
        self.used = time.process_time()
        return found

    def turn(self, seconds: float) -> dict[str, float]:
        """The mean of the runs of so many seconds, without the first: it finds other numbers in the caches, and sleeping threads.
        "between": seconds of processor since the turn before."""
        between, taken = time.process_time() - self.used, []
        while len(taken) < 2 or sum(taken[1:]) < seconds:
            started = time.perf_counter()
            self.work()
            taken.append(time.perf_counter() - started)
            if taken[0] > seconds:  # a long run warms itself up
                break
        self.used = time.process_time()
        return {"seconds": float(np.mean(taken[1:] or taken)), "between": between}


def serve(name: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not an answer

    def answer(work: Callable[..., Any], **order: Any) -> Any:
        found = None
        try:
            found = work(**order)
            reply = found if isinstance(found, dict) else {}
        except Exception as error:  # whatever a peer may lack
            reply = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:120]}
        print(json.dumps(reply), file=answers, flush=True)
        return found

    side = answer(lambda: Side(name))
    for line in sys.stdin if side else ():
        order = json.loads(line)
        answer(side.turn if "seconds" in order else side.ready, **order)


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
    if len(sys.argv) == 2:
        serve(sys.argv[1])
    else:
        from tests.benchmarks.rows import ROWS

        library, wanted = peers.load(sys.argv[1], int(os.environ["OMP_NUM_THREADS"])), ROWS[int(sys.argv[2])]
        step = wanted.step(library, *wanted.build(library))
        for _ in range(3):
            step()
        print(peak_memory())
