"""Second derivatives of random geometries of every layer, in float64, in every algorithm: those of `geometry`, finite numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import minicnn
from minicnn import kernels

from .geometry import KERNELS, LAYERS, MOST_LOOPS, Case

CI_CASES = 200


def run(cases: int, seed: int) -> list[str]:
    differences = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for number in range(cases):
            difference = check(np.random.default_rng([seed, number]))
            if difference:
                differences.append(f"case {number} of seed {seed}: {difference}")
    return differences


def check(rng: np.random.Generator) -> str | None:
    case = LAYERS[rng.integers(len(LAYERS))](rng)
    arrays = [
        None if a is None else np.nan_to_num(np.asarray(a, np.float64), nan=1, posinf=2, neginf=-2) for a in case.arrays
    ]
    if not case.asks_torch:
        return None
    work = max([a.size for a in arrays if a is not None], default=0)
    kernel, numbers = str(rng.choice(KERNELS if work * 9 < MOST_LOOPS else KERNELS[:-1])), int(rng.integers(2**32))
    with kernels.use(kernel):
        ours = _outcome(minicnn, case, arrays, numbers)
    theirs = _outcome(torch, case, arrays, numbers)
    where = f"{case.text}, kernels {kernel!r}, shapes {[None if a is None else a.shape for a in arrays]}"
    if isinstance(ours, Exception) or isinstance(theirs, Exception):
        return None if isinstance(ours, type(theirs)) else f"{where}: {ours!r} in minicnn, {theirs!r} in PyTorch"
    for k, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        size = np.abs(other[np.isfinite(other)]).max(initial=1)
        if mine.shape != other.shape or not np.allclose(mine, other, rtol=1e-8, atol=1e-10 * size, equal_nan=True):
            return f"{where}: result {k} is {mine.tolist()} in minicnn, {other.tolist()} in PyTorch"
    return None


def _outcome(lib: Any, case: Case, arrays: list, seed: int) -> list[np.ndarray] | Exception:
    """The first derivatives, then those of a number made of them; or the error."""
    rng = np.random.default_rng(seed)
    tensors = [None if a is None else lib.from_numpy(a.copy()).requires_grad_() for a in arrays]
    wanted = [t for t in tensors if t is not None]

    def random(tensor: Any) -> Any:
        return lib.from_numpy(np.asarray(rng.standard_normal(tuple(tensor.shape))))

    try:
        out = case.call(lib, *tensors)
        upstream = random(out).requires_grad_()
        first = lib.autograd.grad(out, wanted, upstream, create_graph=True, allow_unused=True)
        made = [(g * random(g)).sum() for g in first if g is not None and g.requires_grad]
        second = lib.autograd.grad(made, [*wanted, upstream], allow_unused=True) if made else []
    except Exception as error:
        return error
    none, asked = lib.zeros((), dtype=lib.float64), [*wanted, *wanted, upstream]
    found = [*first, *second]
    return [
        np.zeros(tuple(x.shape)) if g is None else (g.detach() + none).numpy()
        for x, g in zip(asked, found, strict=False)
    ]
