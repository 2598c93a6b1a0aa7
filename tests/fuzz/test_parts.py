"""The first cases of every part of the fuzz command."""

from __future__ import annotations

import importlib

import pytest
import torch

import minicnn

from . import PARTS, inplace


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_part(name):
    part = importlib.import_module(f".{name}", __package__)
    differences = part.run(part.CI_CASES, 0)
    assert not differences, f"{len(differences)} differences; the first:\n{differences[0]}"


def test_an_index_may_differ_where_rounding_made_the_tie():
    """And nowhere else: a tie of equal numbers has a rule."""
    statement = "v2 = v1.max(0)[1]"
    for values, expected in (([1.0, 1.0], 0), ([1.0, 1.0 + 1e-15], 1), ([1.0, 1.1], 0)):
        ours, theirs = (inplace.World(lib) for lib in (minicnn, torch))
        for world, lib in ((ours, minicnn), (theirs, torch)):
            world.names |= {"v1": lib.tensor(values, dtype=lib.float64), "v2": lib.tensor(int(world is theirs))}
        inplace.settle_ties(statement, ours, theirs)
        assert ours.names["v2"].item() == expected
