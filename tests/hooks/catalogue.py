"""All rules: a function `rule_NAME(torch, log)` in one of the files of `GROUPS` is one; its docstring states it.

A rule with `@cases({...})` takes a third argument and is one scenario for each entry: `NAME[entry]`.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

GROUPS = (
    "forward_pre",
    "forward",
    "dispatch",
    "always_call",
    "backward",
    "backward_returns",
    "backward_silent",
    "inplace",
    "legacy",
    "tensor",
    "leaf",
    "node",
    "creating",
    "function",
    "special_points",
    "engine",
    "capture",
    "saved",
    "multi_grad",
    "state_dict",
    "load_state_dict",
    "registration",
    "handles",
    "copying",
    "converting",
    "files",
    "names",
)
OTHER_TESTS = (
    "test_edges",
    "test_functional",
    "test_init",
    "test_lbfgs",
    "test_memory_format",
    "test_module",
    "test_optim_settings",
    "test_schedulers",
    "test_state_dict",
)


def cases(values: Mapping[str, Any]) -> Callable:
    """Marks a rule that is tried with several values."""

    def mark(rule: Callable) -> Callable:
        rule.cases = values
        return rule

    return mark


@dataclass(frozen=True)
class Scenario:
    group: str
    name: str
    function: Callable  # of (library, log)
    rule: Callable  # what the file defines

    @property
    def statement(self) -> str:
        return inspect.getdoc(self.rule) or ""

    @property
    def source(self) -> str:
        return inspect.getsource(self.rule)

    def __str__(self) -> str:
        return f"{self.group}.{self.name}"


@functools.cache
def scenarios() -> tuple[Scenario, ...]:
    """The rules of hooks: all in this folder."""
    return tuple(s for group in GROUPS for s in _rules_in(f"{__package__}.{group}", group))


@functools.cache
def everything() -> tuple[Scenario, ...]:
    """The rules of hooks, and those that other tests of modules, optimizers and state_dicts state in the same way."""
    return (*scenarios(), *(s for name in OTHER_TESTS for s in _rules_in(name, name)))


def _rules_in(path: str, group: str) -> Iterator[Scenario]:
    module = importlib.import_module(path)
    for name, rule in vars(module).items():
        if not name.startswith("rule_") or rule.__module__ != module.__name__:
            continue
        for case, value in getattr(rule, "cases", {None: None}).items():
            given = {} if case is None else {"case": value}
            label = name[5:] + ("" if case is None else f"[{case}]")
            yield Scenario(group, label, functools.partial(_call, rule, given), rule)


def _call(rule: Callable, given: dict[str, Any], torch: Any, log: Any) -> None:
    rule(torch, log, **given)


def group_statement(group: str) -> str:
    """The first line of a group's file."""
    return inspect.getdoc(importlib.import_module(f"{__package__}.{group}")).splitlines()[0]
