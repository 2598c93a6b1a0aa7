"""minicnn beside PyTorch on the CPU: the same work in both, in separate processes that run in turn.

    python -m tests.benchmarks                       # everything: about a quarter of an hour
    python -m tests.benchmarks --group a --quick     # one group, fewer rows and rounds
    python -m tests.benchmarks --match vgg16         # the rows whose name contains this

A ratio is PyTorch's time divided by minicnn's, of the fastest runs: above 1 minicnn is faster. The last column is the root
mean square of the difference between the two results, relative to PyTorch's.

Groups: a convolution layers; b max-pooling and ReLU; c whole networks forward; d gradient ascent; e a training step;
f importing and the first picture in a fresh process; g peak memory of c and d; h growth of an ascent step with the image;
i a network of each family, forward and an ascent step, with each family's geometric mean.

`python -m tests.benchmarks.peak` prints what the machine can do at most.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.rows import ROWS

LIBRARIES = ("minicnn", "torch")
TITLES = {
    "a": "convolution layers (ms)", "b": "max-pooling and ReLU (ms)", "c": "networks, forward (ms)", "d": "gradient ascent (ms)",
    "e": "training (ms)", "f": "start (s)", "i": "families (ms)", "g": "peak memory (MB)", "h": "growth of an ascent step (ms)",
}  # fmt: skip
FIRST_PICTURE = (
    "import minicnn; from minicnn import viz; from minicnn.models import tinynet\n"
    "viz.maximize(tinynet('standard'), 'features.8:12', steps=1, progress=False)"
)


class Worker:
    """A process that has imported one library and waits for rows to time."""

    def __init__(self, library: str, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.worker", library]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)

    def run(self, row: int, seconds: float, results: str) -> list[float]:
        self.process.stdin.write(json.dumps({"row": row, "seconds": seconds, "results": results}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def time_rows(chosen: list[int], rounds: int, seconds: float, environment: dict[str, str]) -> list[dict[str, Any]]:
    """The fastest run of each row in each library; they take turns of `seconds`, `rounds` times."""
    workers = [Worker(library, environment) for library in LIBRARIES]
    found, group = [], None
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, f"{library}.npy") for library in LIBRARIES]
        for number in chosen:
            row = ROWS[number]
            taken: list[list[float]] = [[], []]
            for _ in range(rounds):
                for worker, file, times in zip(workers, files, taken, strict=True):
                    times += worker.run(number, seconds, file)
            ours, theirs = (min(times) * 1000 for times in taken)
            results = [np.load(file) for file in files]
            error = float(np.sqrt(np.mean((results[0] - results[1]).astype(np.float64) ** 2)))
            if row.group != group:
                head(row.group)
                group = row.group
            found.append(entry(row.group, row.name, ours, theirs, error=error))
    for worker in workers:
        worker.close()
    return found


def start_up(rounds: int, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Seconds until `import` is done, and until a first picture is, with cold and with warm compile caches."""

    def seconds(code: str, **extra: str) -> float:
        started = time.perf_counter()
        command = [sys.executable, "-c", code]
        subprocess.run(command, env={**environment, **extra}, check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - started

    head("f")
    imports: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        for library, times in zip(LIBRARIES, imports, strict=True):
            times.append(seconds(f"import {library}"))
    found = [entry("f", "import", *(min(times[1:]) for times in imports))]
    with tempfile.TemporaryDirectory() as folder:
        cold = seconds(FIRST_PICTURE, NUMBA_CACHE_DIR=folder)
        warm = min(seconds(FIRST_PICTURE, NUMBA_CACHE_DIR=folder) for _ in range(rounds))
    found.append(entry("f", "first picture, cold compile cache", cold, None))
    found.append(entry("f", "first picture, warm compile cache", warm, None))
    return found


def peaks(chosen: list[int], environment: dict[str, str]) -> list[dict[str, Any]]:
    """The peak memory of rows, each three times in a fresh process. The ratio is PyTorch's divided by minicnn's."""
    head("g")
    found = []
    for number in chosen:
        command = [sys.executable, "-m", "tests.benchmarks.worker"]
        used = [
            int(
                subprocess.run(
                    [*command, library, str(number)], env=environment, capture_output=True, check=True
                ).stdout
            )
            for library in LIBRARIES
        ]
        found.append(entry("g", ROWS[number].name, *(value / 1e6 for value in used)))
    return found


def head(group: str) -> None:
    print(f"\n{group}: {TITLES[group]:62}{'minicnn':>10}{'torch':>10}{'ratio':>8}{'difference':>13}", flush=True)


def entry(group: str, name: str, ours: float, theirs: float | None, error: float | None = None) -> dict[str, Any]:
    ratio = None if theirs is None else theirs / ours
    text = f"{ours:10.2f}" + ("" if theirs is None else f"{theirs:10.2f}{ratio:8.2f}")
    print(f"   {name:62}{text}" + ("" if error is None else f"{error:13.1e}"), flush=True)
    return {"group": group, "name": name, "minicnn": ours, "torch": theirs, "ratio": ratio, "difference": error}


def summarise(found: list[dict[str, Any]]) -> dict[str, Any]:
    summary = {}
    print(f"\n{'group':36}{'geometric mean':>16}{'worst':>8}   the worst row; rows under 0.7")
    for group, title in TITLES.items():
        ratios = {row["name"]: row["ratio"] for row in found if row["group"] == group and row["ratio"] is not None}
        if not ratios:
            continue
        mean, worst = float(np.exp(np.mean(np.log(list(ratios.values()))))), min(ratios, key=ratios.get)
        slow = sum(ratio < 0.7 for ratio in ratios.values())
        print(f"{group}: {title:33}{mean:16.2f}{ratios[worst]:8.2f}   {worst}; {slow} of {len(ratios)}")
        summary[group] = {"geometric mean": mean, "worst": ratios[worst], "worst row": worst, "under 0.7": slow}
    return summary


def families(found: list[dict[str, Any]]) -> dict[str, float]:
    """The geometric mean of each family's rows, the slowest family first."""
    ratios: dict[str, list[float]] = {}
    for row in found:
        if row["group"] == "i":
            ratios.setdefault(row["name"].partition(":")[0], []).append(row["ratio"])
    means = {name: float(np.exp(np.mean(np.log(values)))) for name, values in ratios.items()}
    for name, mean in sorted(means.items(), key=lambda item: item[1]):
        print(f"   {name:33}{mean:16.2f}")
    return means


def plot_growth(found: list[dict[str, Any]], path: Path) -> None:
    """Time of an ascent step over the number of pixels, and the line of equal time a pixel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    marks = {"minicnn": ("o-", "#0072B2"), "torch": ("s--", "#D55E00")}
    for batch in (1, 16):
        rows = [row for row in found if row["group"] == "h" and row["name"].endswith(f"batch {batch}")]
        pixels = [batch * int(row["name"].split()[0]) ** 2 for row in rows]
        for library, (style, colour) in marks.items():
            label = f"{library}, batch {batch}"
            axes.loglog(
                pixels, [row[library] for row in rows], style, color=colour, alpha=1 if batch == 1 else 0.5, label=label
            )
        if batch == 16 and rows:
            slope = rows[-1]["minicnn"] / pixels[-1]
            axes.loglog(
                [64**2, pixels[-1]], [slope * 64**2, slope * pixels[-1]], ":", color="black", label="equal time a pixel"
            )
    axes.set(
        xlabel="pixels in the batch (64 x 64 to 448 x 448)", ylabel="ms", title="One ascent step, tinynet features.10"
    )
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", default="abcdefghi", help="letters of the groups to run")
    parser.add_argument("--match", default="", help="only rows whose name contains this")
    parser.add_argument("--quick", action="store_true", help="every third row of a, two rounds")
    parser.add_argument("--rounds", type=int, default=None, help="turns of each library, 5 by default")
    parser.add_argument(
        "--seconds", type=float, default=None, help="length of a turn, at least one run; 0.15 by default"
    )
    parser.add_argument("--threads", type=int, default=2, help="of both libraries")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--plot", type=Path, help="draw group h into this file (.png)")
    options = parser.parse_args()
    threads = str(options.threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, threads)}
    rounds = options.rounds or (2 if options.quick else 5)
    seconds = options.seconds or (0.05 if options.quick else 0.15)
    chosen = [i for i, row in enumerate(ROWS) if row.group in options.group and options.match in row.name]
    if options.quick:
        chosen = [number for i, number in enumerate(chosen) if ROWS[number].group != "a" or i % 3 == 0]
    found = time_rows(chosen, rounds, seconds, environment) if chosen else []
    if "f" in options.group and not options.match:
        found += start_up(rounds, environment)
    if "g" in options.group:
        heavy = [i for i, row in enumerate(ROWS) if row.group in "cd" and options.match in row.name]
        found += peaks(heavy, environment)
    summary = summarise(found)
    summary["families"] = families(found)
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "rows": found, "summary": summary}, indent=1))
    if options.plot:
        plot_growth(found, options.plot)


if __name__ == "__main__":
    main()
