"""Which tests are quick: one rule for the tables and all other long parametrisations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import pytest


def operation(case: Any) -> str:
    """What a row of a table is about, the first word of its name: "conv2d" of "conv2d {'stride': 3} (1, 2, 7, 7)"."""
    return re.split(r"\W", getattr(case, "name", case))[0]


def one_of_each(
    values: Iterable[Any],
    of: Callable[..., Hashable] = operation,
    name: Callable[..., str] | None = None,
    first: int = 1,
) -> list[Any]:
    """pytest parameters: of the values with one `of(value)` the `first` are quick; the others, which repeat its rule, are slow.
    A value that is a tuple stands for several arguments, of the test, of `of`, and of `name`, which makes the test's name."""
    met: Counter[Hashable] = Counter()
    made = []
    for value in values:
        arguments = value if isinstance(value, tuple) else (value,)
        marks = [pytest.mark.slow] * (met[of(*arguments)] >= first)
        met[of(*arguments)] += 1
        made.append(pytest.param(*arguments, marks=marks, id=name and name(*arguments)))
    return made
