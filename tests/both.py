"""Run one scenario under minicnn and under torch, and compare what it logged.

A scenario is a function of `(torch, log)`: the library, and a list-like `Log` to which it appends whatever a user could
see. Warnings and the error that ends it are logged too. The two logs must be equal.
"""

from __future__ import annotations

import gc
import json
import re
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch

import minicnn

gc.freeze()  # two libraries are much to look through: a scenario that collects shall look at its own objects only


class Log(list):
    """What a scenario saw. Call it with any values: tensors are copied."""

    def __call__(self, *values: Any) -> None:
        self.append(tuple(_plain(value) for value in values))


class Numbers:
    """What is compared of a tensor: type, shape, and numbers up to rounding."""

    def __init__(self, tensor: Any) -> None:
        self.kind = f"{tensor.dtype} {list(tensor.shape)}"
        self.array = np.array(tensor.detach().numpy())

    @classmethod
    def recorded(cls, kind: str, numbers: list) -> Numbers:
        """As `hooks/recorded.py` stores it: the numbers in one row."""
        self = cls.__new__(cls)
        self.kind, self.array = kind, np.array(numbers).reshape(json.loads(kind[kind.index("[") :]))
        return self

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Numbers)
            and self.kind == other.kind
            and np.allclose(self.array, other.array, rtol=1e-4, atol=1e-5, equal_nan=True)
        )

    __hash__ = None

    def __repr__(self) -> str:
        return f"{self.kind} {self.array.tolist()}"


def _plain(value: Any) -> Any:
    if isinstance(value, (minicnn.Tensor, torch.Tensor)):
        return Numbers(value)
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(_plain(entry) for entry in value)]
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (minicnn.nn.Module, torch.nn.Module)):
        return value._get_name()
    return value if isinstance(value, (int, float, bool, type(None))) else _text(str(value))


def _text(text: str) -> str:
    """A message without what must differ: addresses, places in C++ files, and the name of the library."""
    text = re.sub(r" \(Triggered internally at [^)]*\)", "", re.sub(r"0x[0-9a-f]+", "0x", text))
    return text.replace("minicnn.", "torch.").replace("tests.hooks.", "hooks.")  # pytest leaves out the folder above


def run(scenario: Callable, library: ModuleType) -> Log:
    log = Log()
    library.set_warn_always(True)  # else one scenario's warning would be missing in the next
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, *rest: log.append((category.__name__, _text(str(message))))
        try:
            scenario(library, log)
        except NameError:  # a slip in the scenario, which would be the same in both libraries
            raise
        except Exception as error:
            log.append((type(error).__name__, _text(str(error))))
        finally:
            library.set_warn_always(False)
    return log


def assert_same(scenario: Callable) -> None:
    """Raises AssertionError with the first difference, unless both logs are equal and not empty."""
    ours, theirs = run(scenario, minicnn), run(scenario, torch)
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        assert mine == other, f"entry {i}: minicnn {mine}, torch {other}"
    assert len(ours) == len(theirs), f"minicnn also {ours[len(theirs) :]}, torch also {theirs[len(ours) :]}"
    assert ours, "the scenario logged nothing"


def scenarios(namespace: dict[str, Any]) -> list[Callable]:
    """The functions of a test module that take `(torch, log)`: their names begin with `rule_`."""
    return [function for name, function in namespace.items() if name.startswith("rule_")]


def known(torch: ModuleType, *shape: int, start: float = -0.5, step: float = 0.1, requires_grad: bool = False) -> Any:
    """A tensor with numbers in steps, the same in both libraries."""
    count = 1
    for size in shape:
        count *= size
    tensor = (torch.arange(count, dtype=torch.float32) * step + start).reshape(shape)
    return tensor.detach().requires_grad_(requires_grad)


def filled(torch: ModuleType, module: Any) -> Any:
    """The module with known numbers in all its parameters."""
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.copy_(known(torch, *parameter.shape, start=-0.3 + 0.1 * i, step=0.07))
    return module


def linear(torch: ModuleType) -> Any:
    """Linear(3, 2) with known numbers."""
    return filled(torch, torch.nn.Linear(3, 2))


def noting(log: Log, name: str, result: Any = None) -> Callable:
    """A hook that logs its arguments and returns `result`."""

    def hook(*args):
        log(name, *args)
        return result

    return hook


def attempt(log: Log, function: Callable, *args: Any, **kwargs: Any) -> None:
    """Call it and log the result or the error."""
    try:
        log("returned", function(*args, **kwargs))
    except NameError:
        raise
    except Exception as error:
        log(type(error).__name__, str(error))
