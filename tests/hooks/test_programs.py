"""Programs of random modules, hooks and backward passes log the same in both libraries. The long run is a command:
`python -m tests.hooks.programs --programs 10000`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from .programs import Hook, Program, differs, programs


@pytest.mark.slow
@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(programs())
def test_a_random_program_logs_the_same(program):
    assert differs(program) is None


def test_the_comparison_sees_a_difference(monkeypatch):
    """One rule of minicnn broken by hand: a forward hook's result no longer replaces the output."""
    import minicnn

    program = Program(("tanh",), (Hook("forward", 0, "double"),), True, 1, (), False)
    assert differs(program) is None
    module = minicnn.nn.Module
    monkeypatch.setattr(
        module, "__call__", lambda self, *args: (module._call_impl(self, *args), self.forward(*args))[1]
    )
    assert "minicnn ('output'" in differs(program)
