"""minicnn beside PyTorch (eager, channels_last, torch.compile), ONNX Runtime and OpenVINO on the CPU: the same work with the same numbers.

    python -m tests.benchmarks                       # everything: at most 25 minutes
    python -m tests.benchmarks --group a --quick     # one group, fewer rows and turns
    python -m tests.benchmarks --match vgg16         # the rows whose name contains this
    python -m tests.benchmarks --targets             # the rows that the project has targets for, without those of layers

`pip install -e ".[bench]"` brings the peers. One that is missing, or cannot do a row, is skipped with a word.

How it is timed: each library sits in a process of its own, with the same number of threads. They take many short turns, one after the
other, each round beginning with another one. A pause after each turn lets its threads fall asleep, so none is told to spin less
than it does by itself; a line at the end says what processor time each used while it was not its turn. A turn's time is the
mean of its runs without the first, a row's time the lower quartile of its turns: a neighbour who takes the processor for seconds
spoils some turns of all, and a quartile leaves them out, which a mean does not; nor does it trust one lucky turn, as a minimum does.

A ratio is a peer's time divided by minicnn's: above 1 minicnn is faster. Beside it stands the root mean square of the difference between
the two results, relative to their size, with a ! where it is more than rounding explains. "limit" is the part of minicnn's time that the
machine would need for the row's products, or its bytes, at its peak (`limits.py`).

Groups: a convolution layers; b max-pooling and ReLU; c whole networks forward; d gradient ascent; e a training step;
f importing and the first picture in a fresh process; g peak memory of c, d and e; h growth of an ascent step with the image;
i a network of each family, forward and an ascent step, with each family's geometric mean.

`python -m tests.benchmarks.peak` prints what the machine can do at most, `python -m tests.benchmarks.start` where the seconds of the
first picture go.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import targets
from tests.benchmarks.limits import Cost
from tests.benchmarks.peers import NET, ON_FILES, PEERS, REST
from tests.benchmarks.rows import ROWS, Row

FEWEST, LONG = 5, 30.0  # so many turns are enough for a row that has taken so many seconds
TITLES = {
    "a": "convolution layers (ms)", "b": "max-pooling and ReLU (ms)", "c": "networks, forward (ms)", "d": "gradient ascent (ms)",
    "e": "training (ms)", "f": "start (s)", "i": "families (ms)", "g": "peak memory (MB)", "h": "growth of an ascent step (ms)",
}  # fmt: skip


class Worker:
    """A process that has loaded minicnn or a peer and waits for rows to time."""

    def __init__(self, side: str, environment: dict[str, str]) -> None:
        self.side, self.between = side, list[float]()
        command = [sys.executable, "-m", "tests.benchmarks.worker", side]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        self.missing = self.answer().get("error")

    def answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"its process ended ({self.process.wait()})"}

    def ask(self, **order: Any) -> dict[str, Any]:
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the answer says that it ended
        return self.answer()

    def turn(self, seconds: float) -> float:
        found = self.ask(seconds=seconds)
        if "error" in found:
            raise RuntimeError(f"{self.side}: {found['error']}")
        self.between.append(found["between"])
        time.sleep(REST.get(self.side, REST["others"]))
        return found["seconds"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def time_rows(
    chosen: list[int], rounds: int, seconds: float, environment: dict[str, str], peak: dict[str, float]
) -> list[dict[str, Any]]:
    """The rows' entries: minicnn's time, its limit, and each peer's time, ratio and difference."""
    needed = {peer for number in chosen for peer in ROWS[number].peers}
    workers = [Worker(side, environment) for side in ("minicnn", *[peer for peer in PEERS if peer in needed])]
    for worker in workers:
        if worker.missing:
            print(f"{PEERS.get(worker.side, worker.side)}: skipped, {worker.missing}")
    workers = [worker for worker in workers if not worker.missing]
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in chosen:
            row, started = ROWS[number], time.perf_counter()
            if not found or found[-1]["group"] != row.group:
                columns = [
                    peer for peer in PEERS if any(peer in ROWS[i].peers for i in chosen if ROWS[i].group == row.group)
                ]
                head(row.group, columns)
            taking_part = [worker for worker in workers if worker.side in ("minicnn", *row.peers)]
            taking_part, cost, words = make_ready(number, taking_part, folder)
            turns: dict[str, list[float]] = {worker.side: [] for worker in taking_part}
            for i in range(rounds):
                if i >= FEWEST and time.perf_counter() - started > LONG:
                    break
                k = i % len(taking_part)
                for worker in taking_part[k:] + taking_part[:k]:
                    turns[worker.side].append(worker.turn(seconds))
            times = {side: 1000 * targets.quartile(taken) for side, taken in turns.items()}
            limit = 1000 * cost.seconds(**peak) if cost else None
            found.append(entry(row, times, differences(folder, list(times)), limit))
            found[-1]["took"] = time.perf_counter() - started
            show(found[-1], columns)
            for word in words:
                print(f"      {word}")
    print("\nprocessor time that each used between its turns, ms a turn (mean, most): ", end="")
    print(", ".join(f"{w.side} {1000 * np.mean(w.between):.2f} {1000 * max(w.between):.0f}" for w in workers))
    for worker in workers:
        worker.close()
    return found


def make_ready(number: int, workers: list[Worker], folder: str) -> tuple[list[Worker], Cost | None, list[str]]:
    """Let each build the row and leave its results; those that can, what the row costs, and what is to say of the others. PyTorch
    writes the file for those that read one, so it is before them."""
    ready, cost, words = [], None, []
    export = any(worker.side in ON_FILES for worker in workers)
    for worker in workers:
        answer = worker.ask(row=number, folder=folder, export=export and worker.side == "torch")
        if "error" in answer:
            if worker.side == "minicnn":
                raise RuntimeError(f"minicnn cannot do the row {ROWS[number].name!r}: {answer['error']}")
            words.append(f"{PEERS[worker.side]}: skipped, {answer['error']}")
            continue
        ready.append(worker)
        cost = Cost(**answer) if answer else cost
    Path(folder, NET).unlink(missing_ok=True)
    return ready, cost, words


def differences(folder: str, sides: Sequence[str]) -> dict[str, float]:
    """The root mean square of the difference between minicnn's results and each peer's, in units of their size."""
    results = {side: np.load(Path(folder, f"{side}.npy")).astype(np.float64) for side in sides}
    ours = results.pop("minicnn")
    return {peer: float(np.sqrt(np.mean((ours - theirs) ** 2))) for peer, theirs in results.items()}


def start_up(rounds: int, environment: dict[str, str]) -> list[dict[str, Any]]:
    """Seconds until `import` is done, and until the command has written a first picture, with cold and with warm compile caches."""

    def seconds(*command: str, **extra: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *command], env={**environment, **extra}, check=True, capture_output=True)
        return time.perf_counter() - started

    head("f", ["torch"])
    begun = time.perf_counter()
    imports: dict[str, list[float]] = {side: [] for side in installed()}
    for _ in range(rounds + 1):
        for library, times in imports.items():
            times.append(seconds("-c", f"import {library}"))
    found = [
        entry(
            Row("f", "import", None, None), {library: targets.quartile(times[1:]) for library, times in imports.items()}
        )
    ]
    show(found[-1], ["torch"])
    with tempfile.TemporaryDirectory() as folder:
        picture = ("-m", "minicnn", "maximize", "features.8:12", "--output", os.path.join(folder, "picture.png"))
        caches = os.path.join(folder, "caches")
        cold = seconds(*picture, NUMBA_CACHE_DIR=caches)
        warm = targets.quartile([seconds(*picture, NUMBA_CACHE_DIR=caches) for _ in range(rounds)])
    for name, taken in zip(targets.START, (cold, warm), strict=True):
        found.append(entry(Row("f", name, None, None, target=6), {"minicnn": taken}))
        show(found[-1], [])
    found[-1]["took"] = time.perf_counter() - begun
    return found


def peaks(chosen: list[int], environment: dict[str, str]) -> list[dict[str, Any]]:
    """The peak memory of rows, each three times in a fresh process. The ratio is PyTorch's divided by minicnn's."""
    head("g", ["torch"])
    found = []
    for number in chosen:
        started, row, command = time.perf_counter(), ROWS[number], [sys.executable, "-m", "tests.benchmarks.worker"]
        used = {
            side: int(
                subprocess.run([*command, side, str(number)], env=environment, capture_output=True, check=True).stdout
            )
            / 1e6
            for side in installed()
        }
        found.append(entry(row._replace(group="g", target=4 if row.target in (2, 3) else 0), used))
        found[-1]["took"] = time.perf_counter() - started
        show(found[-1], ["torch"])
    return found


def installed() -> list[str]:
    return ["minicnn", *(["torch"] if importlib.util.find_spec("torch") else [])]


def head(group: str, columns: Sequence[str]) -> None:
    names = "".join(f"{PEERS[peer]:>17}" for peer in columns)
    print(f"\n{group}: {TITLES[group]:60}{'minicnn':>9}{'limit':>7}{names}", flush=True)


def entry(
    row: Row, times: dict[str, float], errors: dict[str, float] | None = None, limit: float | None = None
) -> dict[str, Any]:
    peers: dict[str, Any] = {}
    for peer, theirs in times.items():
        if peer != "minicnn":
            error = None if errors is None else errors[peer]
            peers[peer] = {
                "time": theirs, "ratio": theirs / times["minicnn"], "difference": error,
                "wrong": error is not None and not error <= row.tolerance,
            }  # fmt: skip
    found = {
        "group": row.group,
        "name": row.name,
        "target": row.target,
        "minicnn": times["minicnn"],
        "limit": limit,
        "took": 0.0,
    }
    return {**found, "peers": peers}


def show(found: dict[str, Any], columns: Sequence[str]) -> None:
    reached = "" if found["limit"] is None else f"{found['limit'] / found['minicnn']:.0%}"
    text = f"   {found['name']:60}{found['minicnn']:9.2f}{reached:>7}"
    for peer in columns:
        if peer not in found["peers"]:
            text += f"{'-':>17}"
            continue
        theirs = found["peers"][peer]
        error = "" if theirs["difference"] is None else f"{theirs['difference']:.1e}" + " !"[theirs["wrong"]]
        text += f"{theirs['ratio']:8.2f}{error:>9}"
    print(text, flush=True)


def summarise(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The groups beside PyTorch; the families; the targets; wrong results."""
    summary: dict[str, Any] = {"groups": {}, "families": families(found)}
    print(
        f"\n{'group, beside PyTorch':36}{'geometric mean':>16}{'worst':>8}   the worst row; rows under 0.7; seconds taken"
    )
    for group, title in TITLES.items():
        ratios = {
            row["name"]: value for row in found if row["group"] == group and (value := targets.ratio(row, ["torch"]))
        }
        if not ratios:
            continue
        mean, worst = targets.geometric_mean(ratios.values()), min(ratios, key=lambda name: ratios[name])
        slow = sum(value < 0.7 for value in ratios.values())
        took = sum(row["took"] for row in found if row["group"] == group)
        print(f"{group}: {title:33}{mean:16.2f}{ratios[worst]:8.2f}   {worst}; {slow} of {len(ratios)}; {took:.0f}")
        summary["groups"][group] = {"mean": mean, "worst": ratios[worst], "worst row": worst, "under 0.7": slow}
    for name, mean in sorted(summary["families"].items(), key=lambda item: item[1]):
        print(f"   {name:33}{mean:16.2f}")
    summary["targets"] = [judged for target in targets.TARGETS if (judged := targets.judge(target, found))]
    summary["start"] = targets.judge_start(found)
    print_targets(summary["targets"], summary["start"])
    summary["wrong"] = targets.wrong(found)
    print(f"\nresults that differ by more than rounding: {'; '.join(summary['wrong']) or 'none'}")
    return summary


def families(found: list[dict[str, Any]]) -> dict[str, float]:
    """The geometric mean of each family's rows, beside PyTorch."""
    ratios: dict[str, list[float]] = {}
    for row in found:
        if row["group"] == "i" and (value := targets.ratio(row, ["torch"])):
            ratios.setdefault(row["name"].partition(",")[0], []).append(value)
    return {name: targets.geometric_mean(values) for name, values in ratios.items()}


def print_targets(judged: list[dict[str, Any]], start: list[dict[str, Any]]) -> None:
    print(f"\n{'target':26}{'against':46}{'rows':>8}{'mean':>7}{'wanted':>8}{'worst':>7}{'wanted':>8}   the worst row")
    words = {True: "held", False: "MISSED", None: ""}
    for row in judged:
        wanted = ["" if row[f"wanted {what}"] is None else f"{row[f'wanted {what}']:.2f}" for what in ("mean", "worst")]
        numbers = f"{row['mean']:7.2f}{wanted[0]:>8}{row['worst']:7.2f}{wanted[1]:>8}"
        without = f", without {' and '.join(row['without'])}" if row["without"] else ""
        count = f"{row['rows']}/{row['of']}"
        text = f"{row['number']} {row['what']:24}{row['against']:46}{count:>8}{numbers}   {row['worst row']}{without}"
        print(f"{text} {words[row['held']]}".rstrip())
    for row in start:
        print(f"6 {row['what']}: {row['seconds']:.1f} s, wanted at most {row['wanted']:.0f} {words[row['held']]}")


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
            taken = [row["minicnn"] if library == "minicnn" else row["peers"][library]["time"] for row in rows]
            axes.loglog(pixels, taken, style, color=colour, alpha=1 if batch == 1 else 0.5, label=label)
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


def machine(threads: str, environment: dict[str, str]) -> dict[str, float]:
    """The machine's peaks, from `tests.benchmarks.peak` in a process of its own, which prints them too."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "peak.json")
        command = [sys.executable, "-m", "tests.benchmarks.peak", "--threads", threads, "--json", str(file)]
        subprocess.run(command, env=environment, check=True)
        return json.loads(file.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group", default="abcdefghi", help="letters of the groups to run")
    parser.add_argument("--match", default="", help="only rows whose name contains this")
    parser.add_argument(
        "--targets", action="store_true", help="only the rows of targets 1 to 4 and 6: c to g and some of i"
    )
    parser.add_argument("--quick", action="store_true", help="every third row of a, two rounds")
    parser.add_argument(
        "--rounds",
        type=int,
        default=None,
        help="turns of each library, 10 by default (5 for a row that takes half a minute)",
    )
    parser.add_argument("--seconds", type=float, default=None, help="length of a turn; 0.03 by default")
    parser.add_argument("--threads", type=int, default=2, help="of every library")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--plot", type=Path, help="draw group h into this file (.png)")
    options = parser.parse_args()
    started, threads = time.perf_counter(), str(options.threads)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, threads)}
    rounds = options.rounds or (2 if options.quick else 10)
    seconds = options.seconds or (0.02 if options.quick else 0.03)

    def wanted(row: Row) -> bool:
        return options.match in row.name and (not options.targets or 0 < row.target < 5)

    chosen = [i for i, row in enumerate(ROWS) if row.group in options.group and wanted(row)]
    if options.quick:
        chosen = [number for i, number in enumerate(chosen) if ROWS[number].group != "a" or i % 3 == 0]
    found = time_rows(chosen, rounds, seconds, environment, machine(threads, environment)) if chosen else []
    if "f" in options.group and not options.match:
        found += start_up(min(rounds, 5), environment)
    if "g" in options.group:
        measured = [i for i, row in enumerate(ROWS) if (row.group in "cde" or row.target == 2) and wanted(row)]
        if options.targets:
            measured = [i for i in measured if ROWS[i].target in (2, 3)]
        found += peaks(measured, environment) if measured else []
    summary = summarise(found)
    taken = time.perf_counter() - started
    print(f"\n{taken / 60:.1f} minutes")
    if options.json:
        numbers = {"threads": options.threads, "seconds": taken, "rows": found, "summary": summary}
        options.json.write_text(json.dumps(numbers, indent=1))
    if options.plot:
        plot_growth(found, options.plot)


if __name__ == "__main__":
    main()
