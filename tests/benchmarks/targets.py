"""What is wanted of the benchmarks' rows, and the arithmetic of their summary. A ratio is a peer's time (or memory) divided by
minicnn's: above 1 minicnn is ahead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Target(NamedTuple):
    number: int
    what: str  # the rows are
    of: int  # how many there are
    against: str
    peers: tuple[str, ...]  # the best of these counts
    mean: float | None = None  # the geometric mean that is wanted
    worst: float | None = None  # what no row may be below


LAYOUTS = ("torch", "channels_last")
TARGETS = [
    Target(1, "forward", 12, "ONNX Runtime", ("onnxruntime",), 1.0, 0.75),
    Target(1, "forward", 12, "OpenVINO", ("openvino",)),
    Target(1, "forward", 12, "better of PyTorch's two layouts", LAYOUTS, 1.3, 1.0),
    Target(2, "ascent step", 7, "best of eager, channels_last, torch.compile", (*LAYOUTS, "compile"), 1.5, 1.0),
    Target(3, "training step", 3, "PyTorch", ("torch",), None, 1.2),
    Target(3, "training step", 3, "better of PyTorch's two layouts", LAYOUTS),
    Target(4, "peak memory of 2 and 3", 10, "PyTorch; 1.43 is 1 / 0.7", ("torch",), None, 1 / 0.7),
    Target(5, "layers", 250, "PyTorch", ("torch",), None, 0.8),
]
START = {
    "first picture, cold compile cache": 6.0,
    "first picture, warm compile cache": 3.0,
}  # seconds at most; target 6


def quartile(turns: Sequence[float]) -> float:
    """The lower quartile: what a turn takes that nobody disturbed, without trusting a single lucky one."""
    return float(np.quantile(turns, 0.25))


def geometric_mean(ratios: Iterable[float]) -> float:
    return float(np.exp(np.mean(np.log(list(ratios)))))


def ratio(row: dict[str, Any], peers: Sequence[str]) -> float | None:
    """The ratio to the fastest of these peers, None where none of them ran."""
    found = [row["peers"][peer]["ratio"] for peer in peers if peer in row["peers"]]
    return min(found) if found else None


def judge(target: Target, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Geometric mean and worst row of a target among the rows that ran, and whether both are what is wanted. It is judged only if
    all of its rows ran, beside all of its peers: `held` is None otherwise, and the whole is None where nothing ran."""
    mine = [row for row in rows if row["target"] == target.number]
    ratios = {row["name"]: found for row in mine if (found := ratio(row, target.peers)) is not None}
    if not ratios:
        return None
    worst = min(ratios, key=lambda name: ratios[name])
    missing = sorted({peer for row in mine for peer in target.peers if peer not in row["peers"]})
    found = {"mean": geometric_mean(ratios.values()), "worst": ratios[worst], "worst row": worst, "rows": len(ratios)}
    wanted = [(found["mean"], target.mean), (found["worst"], target.worst)]
    whole = len(ratios) == target.of and not missing and any(limit is not None for _, limit in wanted)
    held = all(limit is None or value >= limit for value, limit in wanted) if whole else None
    return {
        **target._asdict(),
        "wanted mean": target.mean,
        "wanted worst": target.worst,
        **found,
        "without": missing,
        "held": held,
    }


def judge_start(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"number": 6, "what": row["name"], "seconds": row["minicnn"], "wanted": START[row["name"]],
         "held": row["minicnn"] <= START[row["name"]]}
        for row in rows if row["name"] in START
    ]  # fmt: skip


def wrong(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The results that are not those of minicnn, in words. NaN is wrong too."""
    return [
        f"{row['name']}: {peer}, difference {found['difference']:.1e}"
        for row in rows
        for peer, found in row["peers"].items()
        if found["wrong"]
    ]
