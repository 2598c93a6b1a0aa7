"""The first cases of every part of the fuzz command."""

from __future__ import annotations

import importlib

import pytest

from . import PARTS


@pytest.mark.parametrize("name", PARTS)
def test_part(name):
    part = importlib.import_module(f".{name}", __package__)
    differences = part.run(part.CI_CASES, 0)
    assert not differences, f"{len(differences)} differences; the first:\n{differences[0]}"
