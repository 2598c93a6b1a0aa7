"""Every rule holds in minicnn as in PyTorch, and every rule says what it is."""

from __future__ import annotations

import pytest
import torch
from both import assert_same

from .__main__ import main
from .catalogue import GROUPS, scenarios
from .changes import CHANGES


@pytest.mark.parametrize("scenario", scenarios(), ids=str)
def test_rule(scenario):
    """But for what `changes.py` lists as not followed under this judge, which has to differ."""
    if any(change.concerns(scenario) and change.parts_from(torch.__version__) for change in CHANGES):
        with pytest.raises(AssertionError):
            assert_same(scenario.function)
    else:
        assert_same(scenario.function)


def test_there_are_many_and_each_states_its_rule():
    assert len(scenarios()) >= 150
    assert len({str(scenario) for scenario in scenarios()}) == len(scenarios())
    assert [str(scenario) for scenario in scenarios() if len(scenario.statement) < 20] == []
    assert {scenario.group for scenario in scenarios()} == set(GROUPS)


def test_the_command_shows_both_logs(capsys):
    assert main(["dispatch.removed_in_its_own_phase_still_runs"]) == 0
    shown = capsys.readouterr().out
    assert "| PyTorch" in shown
    assert shown.rstrip().endswith("equal")
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n{group}: " in listed for group in GROUPS)
