"""The definitions of activations, one number at a time; `fast/smooth.py` has their fast twins."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np


def _each(function: Callable[..., float]) -> Callable[..., np.ndarray]:
    """The function of arrays of one shape, and numbers behind them, that computes this one for each element, into `out` if given."""

    @functools.wraps(function)
    def of_arrays(*given: Any, out: np.ndarray | None = None) -> np.ndarray:
        arrays = [value for value in given if isinstance(value, np.ndarray)]
        numbers, out = given[len(arrays) :], np.empty_like(arrays[0]) if out is None else out
        for place in np.ndindex(out.shape):
            out[place] = function(*(float(array[place]) for array in arrays), *numbers)
        return out

    return of_arrays


@_each
def erf(x: float) -> float:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return math.erf(x)


@_each
def silu(x: float) -> float:
    """x / (1 + exp(-x))"""
    return x / (1 + _exp(-x))


@_each
def silu_grad(grad: float, x: float) -> float:
    """grad times silu's slope at x."""
    s = 1 / (1 + _exp(-x))
    return grad * s * (1 + x * (1 - s))


@_each
def gelu(x: float) -> float:
    """x times the normal distribution function of x."""
    return x * math.erfc(-x / math.sqrt(2)) / 2


@_each
def gelu_grad(grad: float, x: float) -> float:
    """grad times gelu's slope at x."""
    return grad * (math.erfc(-x / math.sqrt(2)) / 2 + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi))


@_each
def hardswish(x: float) -> float:
    """x min(max(x + 3, 0), 6) / 6"""
    return x * hardtanh_of(x + 3, 0, 6) / 6


@_each
def hardswish_grad(grad: float, x: float) -> float:
    """grad times hardswish's slope at x."""
    return grad * (0.0 if x <= -3 else (x / 3 + 0.5 if x < 3 else 1.0))


def hardtanh_of(x: float, low: float, high: float) -> float:
    """x cut off at low and high; NaN stays."""
    return low if x < low else (high if x > high else x)


hardtanh = _each(hardtanh_of)


@_each
def hardtanh_grad(grad: float, x: float, low: float, high: float) -> float:
    """grad where x is between low and high."""
    return 0.0 if x <= low or x >= high else grad


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf
