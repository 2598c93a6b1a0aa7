"""Where the seconds of the first picture go, with an empty and with a filled cache of compiled kernels.

    python -m tests.benchmarks.start                                  # `minicnn maximize features.8:12`
    python -m tests.benchmarks.start --kernels                        # and each function that is compiled
    python -m tests.benchmarks.start -- maximize logit:lighthouse     # another command
    python -m tests.benchmarks.start --threads 2                      # for the clock, on two quiet cores

Seconds of the processor, which on a busy machine say much the same, and of the clock, which do not. With several threads those count
that wait for one another, too. Each run is a process of its own. The bytecode of Python's files is kept in both, as it is where
minicnn is installed.
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

COMMAND = ["maximize", "features.8:12"]
IMPORTS = (
    "import matplotlib.figure, matplotlib.backends.backend_agg, minicnn.cli; from minicnn import viz; viz.maximize"
)
PARTS = (
    "imports",
    "compiling kernels",
    "loading compiled kernels",
    "matplotlib and the figure",
    "the rest: images, network, ascent",
)


def measure(arguments: list[str]) -> None:
    """Run the command in this process, and print as JSON what its parts took."""
    spent = dict.fromkeys(PARTS, 0.0)
    functions: list[tuple[str, float]] = []
    used, began = time.process_time, time.perf_counter()
    from numba.core import caching, event

    from minicnn import cli, viz

    viz.maximize  # noqa: B018  (its room is imported when it is asked for)
    spent["imports"] = used()

    class Compiling(event.Listener):
        """The time of each function, without that of the functions that are compiled meanwhile."""

        def __init__(self) -> None:
            self.begun: list[list[float]] = []

        def on_start(self, event: Any) -> None:
            self.begun.append([used(), 0.0])

        def on_end(self, event: Any) -> None:
            start, others = self.begun.pop()
            whole = used() - start
            if self.begun:
                self.begun[-1][1] += whole
            else:
                spent["compiling kernels"] += whole
            function = event.data["dispatcher"].py_func
            functions.append((f"{function.__module__}.{function.__qualname__}", whole - others))

    event.register("numba:compile", Compiling())
    inside: list[str] = []

    def timed(part: str, function: Any) -> Any:
        def run(*given: Any, **named: Any) -> Any:
            before, compiled = used(), spent["compiling kernels"]
            inside.append(part)
            try:
                return function(*given, **named)
            finally:
                inside.pop()
                if not inside:
                    spent[part] += used() - before - (spent["compiling kernels"] - compiled)

        return run

    caching.Cache.load_overload = timed("loading compiled kernels", caching.Cache.load_overload)
    for part in ("_check_output", "_save"):  # the first looks whether matplotlib can write such a file
        setattr(cli, part, timed("matplotlib and the figure", getattr(cli, part)))
    status = cli.main(arguments)
    whole = used()
    spent[PARTS[-1]] = whole - sum(spent.values())
    clock = time.perf_counter() - began
    print(json.dumps({"spent": spent, "whole": whole, "clock": clock, "functions": functions, "status": status}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", action="store_true", help="also each function that is compiled")
    parser.add_argument("--threads", type=int, default=1, help="of the kernels")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", default=COMMAND, help="of minicnn; it is given a file for its picture")
    options = parser.parse_args()
    if options.inside:
        measure(options.command)
        return
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            **dict.fromkeys(names, str(options.threads)),
            "NUMBA_CACHE_DIR": f"{folder}/kernels",
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = f"{folder}/bytecode"
        subprocess.run([sys.executable, "-c", IMPORTS], env=environment, check=True)  # for the bytecode
        runs: list[dict[str, Any]] = []
        for _ in range(2):
            inside = [sys.executable, "-m", "tests.benchmarks.start", "--inside", "--", *options.command]
            inside += ["--output", str(Path(folder, "picture.png"))]
            done = subprocess.run(inside, env=environment, capture_output=True, text=True, check=False)
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"status": 1}
            if found["status"]:
                sys.exit(done.stderr)
            runs.append(found)
    print(f"{'minicnn ' + ' '.join(options.command):45}{'cold':>8}{'warm':>8}   seconds of the processor")
    for part in PARTS:
        print(f"   {part:42}{runs[0]['spent'][part]:8.2f}{runs[1]['spent'][part]:8.2f}")
    print(f"   {'all':42}{runs[0]['whole']:8.2f}{runs[1]['whole']:8.2f}")
    print(f"   {'by the clock':42}{runs[0]['clock']:8.2f}{runs[1]['clock']:8.2f}")
    print(f"   {'functions compiled':42}{len(runs[0]['functions']):8}{len(runs[1]['functions']):8}")
    if options.kernels:
        for name, seconds in sorted(runs[0]["functions"], key=lambda function: -function[1]):
            print(f"{seconds:8.2f} {name}")


if __name__ == "__main__":
    main()
