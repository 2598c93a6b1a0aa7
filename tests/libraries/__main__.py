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
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import numpy as np

import tests.libraries
from tests.torchvision_record import summary

RECORD = Path(__file__).with_name("recorded.json")
ALLOWED = 1e-10  # of float64
EPS = float(np.finfo(np.float32).eps)
# The columns of float32 are multiples of PyTorch's own error by it: inside the library, and of the whole case.
HEADER = f"{'library':26} {'version':8} {'cases':>7}  {'largest difference':>18}  float32 inside  float32: median, largest  seconds"


def numbers(tensors: Iterable[Any]) -> list[np.ndarray]:
    return [np.asarray(tensor.detach().numpy(), dtype=np.float64) for tensor in tensors]


def distance(ours: list[float], theirs: list[float], size: int) -> float:
    """How far apart two summaries of a tensor are, as parts of its root mean square (of its norm, for the projection)."""
    scale = max(theirs[1], np.finfo(float).tiny)
    parts = [scale * size**0.5, *[scale] * (len(theirs) - 1)]
    return float(np.max(np.abs(np.subtract(ours, theirs)) / parts))  # NumPy's max does not overlook NaN


def exactly(module: Any, name: str, case: Callable) -> list[np.ndarray]:
    """What a case gives in float64, also where its library writes float32."""
    import torch

    with module.exact() if name in getattr(module, "FLOAT32_INSIDE", ()) else nullcontext():
        return numbers(case(torch.float64))


def rounding_inside(case: Callable, exact: list[np.ndarray]) -> list[float]:
    """How far a float64 case is from itself without the library's float32: of each tensor the largest difference, as `distance` counts."""
    import torch

    pairs = zip(numbers(case(torch.float64)), exact, strict=True)
    return [float(np.abs(a - b).max() / max(np.sqrt((b**2).mean()), np.finfo(float).tiny)) for a, b in pairs]


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
            exact = exactly(module, name, case)
            one = entry.setdefault("cases", {})[name] = {
                "shapes": [a.shape for a in exact],
                "computed": [summary(a) for a in exact],
            }
            if name in getattr(module, "FLOAT32_INSIDE", ()):
                one["as installed"] = [summary(a) for a in numbers(case(torch.float64))]
                one["rounding inside"] = [float(f"{error:.3g}") for error in rounding_inside(case, exact)]
            if getattr(module, "FLOAT32", True):
                one["float32"] = [float(f"{error:.3g}") for error in rounding(case, exact)]
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        RECORD.write_text(text.replace('"computed"', '\n"computed"') + "\n", encoding="utf-8")


def difference(ours: list[np.ndarray], theirs: list[list[float]]) -> list[float]:
    """How far each tensor is from what is recorded of it."""
    return [distance(summary(a), b, a.size) for a, b in zip(ours, theirs, strict=True)]


def check(
    module: Any, name: str, case: Callable, theirs: dict[str, Any], float32: bool
) -> tuple[float, list[float], list[float]]:
    """(the largest difference in float64; with float32 inside the library, each tensor's as a multiple of PyTorch's own error by
    that; in float32, the error of each tensor as a multiple of PyTorch's). float32: whether to compute the last two.
    """
    import torch

    exact = exactly(module, name, case)
    shapes = [list(a.shape) for a in exact]
    assert shapes == theirs["shapes"], f"shapes {shapes}, PyTorch's are {theirs['shapes']}"
    inside, rough = [], []
    if float32 and "as installed" in theirs:
        differences = difference(numbers(case(torch.float64)), theirs["as installed"])
        inside = [ours / other for ours, other in zip(differences, theirs["rounding inside"], strict=True)]
    if float32 and "float32" in theirs:
        errors = zip(rounding(case, exact), theirs["float32"], strict=True)
        rough = [ours / max(other, EPS) for ours, other in errors if max(ours, other) > 0]
    return float(np.max(difference(exact, theirs["computed"]))), inside, rough


def columns(difference: float, inside: list[float], ratios: list[float]) -> str:
    """The largest difference in float64, the largest multiple inside, and median and largest of those in float32."""
    several = f"{np.median(ratios):.2f}, {max(ratios):.4g}" if ratios else ""
    return f"{difference:18.1e}  {f'{max(inside):.2f}' if inside else '':>14}  {several:>24}"


def run_library(module: Any, installed: str, cases: dict[str, Callable], theirs: dict[str, Any], options: Any) -> int:
    """One row of the table, and a line for each case that fails. How many did."""
    worst, insides, ratios, passed, start = 0.0, [], [], 0, time.time()
    if theirs["version"] != installed:
        print(f"{module.DISTRIBUTION}: recorded with {theirs['version']}, installed is {installed}")
    for name, case in cases.items():
        try:
            found, inside, rough = check(module, name, case, theirs["cases"][name], not options.no_float32)
        except Exception as error:
            print(f"  {name}: {type(error).__name__}: {error}")
            if options.verbose:
                traceback.print_exc()
            continue
        good = found <= ALLOWED and all(one <= 1 for one in inside)
        worst, insides, ratios, passed = (
            float(np.maximum(worst, found)),
            insides + inside,
            ratios + rough,
            passed + good,
        )
        if options.verbose or not good:
            print(f"  {name:35}{'' if good else 'FAILED':8}{columns(found, inside, rough)}", flush=True)
    counted = f"{passed}/{len(cases)}"
    row = f"{module.DISTRIBUTION:26} {installed:8} {counted:>7}  {columns(worst, insides, ratios)}"
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
    parser.add_argument(
        "--no-float32", action="store_true", help="compare in float64 only, in which the processor matters least"
    )
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
