"""`python -m tests.libraries [WORD ...]`: the table of libraries, versions, cases and differences. See `tests.libraries`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import numpy as np

import tests.libraries
from tests.torchvision_record import summary

RECORD = Path(__file__).with_name("recorded.json")
ALLOWED = 1e-10  # of float64
EPS = float(np.finfo(np.float32).eps)
FLOAT32 = "float32 error / PyTorch's: median, largest"
HEADER = f"{'library':26} {'version':8} {'cases':>7}  {'largest difference':>18}  {FLOAT32:>42}  seconds"


def numbers(tensors: Iterable[Any]) -> list[np.ndarray]:
    return [np.asarray(tensor.detach().numpy(), dtype=np.float64) for tensor in tensors]


def distance(ours: list[float], theirs: list[float], size: int) -> float:
    """How far apart two summaries of a tensor are, as parts of its root mean square (of its norm, for the projection)."""
    scale = max(theirs[1], np.finfo(float).tiny)
    return max(
        abs(a - b) / (scale * (size**0.5 if k == 0 else 1)) for k, (a, b) in enumerate(zip(ours, theirs, strict=True))
    )


def rounding(case: Callable, exact: list[np.ndarray]) -> list[float]:
    """How far a case in float32 is from itself in float64: the norm of the difference as part of the norm, for each tensor."""
    import torch

    rough = numbers(case(torch.float32))
    if [a.shape for a in rough] != [a.shape for a in exact]:  # a detector may find another number of things
        return [float("inf")]
    return [float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-300)) for a, b in zip(rough, exact, strict=True)]


def found(words: list[str]) -> Iterable[tuple[Any, str, dict[str, Callable]]]:
    """(the file of a library, its installed version, its cases), of those that are installed; a word is part of either's name."""
    for info in pkgutil.iter_modules(tests.libraries.__path__):
        if not info.name.startswith("of_"):
            continue
        module = importlib.import_module(f"tests.libraries.{info.name}")
        cases = module.cases()
        if words:
            all_of_it = any(word in module.DISTRIBUTION for word in words)
            cases = {name: case for name, case in cases.items() if all_of_it or any(word in name for word in words)}
        try:
            installed = version(module.DISTRIBUTION).partition("+")[0]
        except PackageNotFoundError:
            if cases:
                print(f"{module.DISTRIBUTION:26} is not installed")
            continue
        if cases:
            yield module, installed, cases


def record(words: list[str]) -> None:
    import torch

    # PyTorch's gradient of hardsigmoid is 1/6 as float32 has it, for float64 too: off by 3e-8 of itself.
    torch.nn.functional.hardsigmoid = lambda x, inplace=False: torch.nn.functional.relu6(x + 3) / 6
    kept = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    for module, installed, cases in found(words):
        entry = kept.setdefault(module.DISTRIBUTION, {})
        entry |= {"version": installed, "torch": torch.__version__.partition("+")[0]}
        if not words:
            entry["cases"] = {}
        for name, case in cases.items():
            print(module.DISTRIBUTION, name, flush=True)
            exact = numbers(case(torch.float64))
            one = entry.setdefault("cases", {})[name] = {
                "shapes": [a.shape for a in exact],
                "computed": [summary(a) for a in exact],
            }
            if getattr(module, "FLOAT32", True):
                one["float32"] = [float(f"{error:.3g}") for error in rounding(case, exact)]
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        RECORD.write_text(text.replace('"computed"', '\n"computed"') + "\n", encoding="utf-8")


def check(case: Callable, theirs: dict[str, Any], float32: bool) -> tuple[float, list[float]]:
    """(the largest difference in float64; in float32, the error of each tensor as a multiple of PyTorch's)."""
    import torch

    exact = numbers(case(torch.float64))
    shapes = [list(a.shape) for a in exact]
    assert shapes == theirs["shapes"], f"shapes {shapes}, PyTorch's are {theirs['shapes']}"
    difference = max(distance(summary(a), b, a.size) for a, b in zip(exact, theirs["computed"], strict=True))
    if not float32 or "float32" not in theirs:
        return difference, []
    errors = zip(rounding(case, exact), theirs["float32"], strict=True)
    return difference, [ours / max(other, EPS) for ours, other in errors if max(ours, other) > 0]


def rounding_inside(module: Any, name: str, theirs: dict[str, Any]) -> list[float]:
    """By how much a case that works in float32 on the way may be off: PyTorch's own float32 error, and so many of its steps."""
    steps = [(len(begin), many) for begin, many in getattr(module, "ROUNDS", {}).items() if name.startswith(begin)]
    return [max(steps)[1] * EPS, *theirs["float32"]] if steps else [0.0]


def several(ratios: list[float]) -> str:
    """Median and largest."""
    return f"{np.median(ratios):.2f}, {max(ratios):.4g}" if ratios else ""


def run_library(module: Any, installed: str, cases: dict[str, Callable], theirs: dict[str, Any], options: Any) -> int:
    """One row of the table, and a line for each case that fails. How many did."""
    worst, ratios, passed, start = 0.0, [], 0, time.time()
    if theirs["version"] != installed:
        print(f"{module.DISTRIBUTION}: recorded with {theirs['version']}, installed is {installed}")
    for name, case in cases.items():
        try:
            difference, rough = check(case, theirs["cases"][name], not options.no_float32)
        except Exception as error:
            print(f"  {name}: {type(error).__name__}: {error}")
            if options.verbose:
                traceback.print_exc()
            continue
        good = difference <= max(ALLOWED, *rounding_inside(module, name, theirs["cases"][name]))
        worst, ratios, passed = max(worst, difference), ratios + rough, passed + good
        if options.verbose or not good:
            print(f"  {name:35}{'' if good else 'FAILED':8}{difference:18.1e}  {several(rough):>42}", flush=True)
    counted = f"{passed}/{len(cases)}"
    row = f"{module.DISTRIBUTION:26} {installed:8} {counted:>7}  {worst:18.1e}  {several(ratios):>42}"
    print(f"{row}  {time.time() - start:7.0f}", flush=True)
    return len(cases) - passed


def packages() -> list[str]:
    """What pip shall install, as pyproject.toml pins it."""
    lines = [line.partition(";") for line in requires("minicnn") or []]
    return [name.strip() for name, _, condition in lines if re.search("extra == ['\"]libraries['\"]", condition)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.libraries", description=__doc__)
    parser.add_argument("words", nargs="*", help="only libraries or cases with one of these words in their names")
    parser.add_argument(
        "--record", action="store_true", help="write down what PyTorch computes, in an environment with PyTorch"
    )
    parser.add_argument("--packages", action="store_true", help="print what pip shall install")
    parser.add_argument("--no-float32", action="store_true", help="compare in float64 only")
    parser.add_argument("-v", "--verbose", action="store_true", help="each case")
    options = parser.parse_args()
    if options.packages:
        print(*packages())
        return 0
    warnings.simplefilter("ignore")  # the libraries': initialisations that will change, and the like
    if options.record:
        record(options.words)
        return 0
    import minicnn

    minicnn.as_torch()
    recorded, failed = json.loads(RECORD.read_text(encoding="utf-8")), 0
    print(HEADER)
    for module, installed, cases in found(options.words):
        theirs = recorded.get(module.DISTRIBUTION, {"version": "nothing", "cases": {}})
        failed += run_library(module, installed, cases, theirs, options)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
