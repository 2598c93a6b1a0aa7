"""The recorded versions of PyTorch: their logs are the judge's own, every change is told, `mirror` follows."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from both import run

import minicnn
from minicnn._mirror import since
from minicnn.utils.hooks import mirror

from . import api, history, recorded
from .__main__ import main
from .catalogue import everything
from .changes import CHANGES, KINDS, covers, minor

VERSIONS = recorded.versions()
JUDGE = torch.__version__.partition("+")[0]


@functools.cache
def log(scenario, version):
    return recorded.log(scenario, version)


@functools.cache
def mirrored(version):
    """What minicnn logs as this version, for every rule that was recorded under it."""
    with mirror(version):
        return {s: run(s.function, minicnn) for s in everything() if log(s, version) is not None}


@pytest.mark.slow
@pytest.mark.skipif(JUDGE not in VERSIONS, reason="the judge is not recorded")
def test_the_recorded_logs_are_those_of_the_judge():
    differ = [str(s) for s in everything() if log(s, JUDGE) is not None and log(s, JUDGE) != run(s.function, torch)]
    assert differ == [], "record them again: CONTRIBUTING.md"


@pytest.mark.slow  # each replays all rules
@pytest.mark.parametrize("version", VERSIONS)
def test_mirror_differs_from_the_recorded_logs_only_as_listed(version):
    different = [s for s, ours in mirrored(version).items() if ours != log(s, version)]
    listed = [change for change in CHANGES if change.parts_from(version)]
    assert [str(s) for s in different if not any(change.concerns(s) for change in listed)] == []


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.since} {change.text[:40]}")
def test_a_change_is_seen_in_the_logs(change):
    """Between the two recorded versions around it, in each of its rules; and `mirror` switches it, or does not."""
    assert change.kind in KINDS
    older, newer = next(pair for pair in pairwise(VERSIONS) if change.between(*pair))
    shown = [s for s in everything() if change.concerns(s) and None not in (log(s, older), log(s, newer))]
    shown = [s for s in shown if log(s, older) != log(s, newer)]
    assert [rule for rule in change.rules if not any(covers(rule, s) for s in shown)] == []
    far = older if change.ahead or minor(change.since) <= minor(recorded.BASE) else newer
    follows = [s for s in shown if mirrored(far)[s] == log(s, far)]
    assert follows if change.mirrored else len(follows) < len(shown)


def test_every_change_of_a_log_is_told():
    untold = [
        f"{older} - {newer}: {s}"
        for older, newer in pairwise(VERSIONS)
        for s in everything()
        if None not in (log(s, older), log(s, newer)) and log(s, older) != log(s, newer)
        if not any(change.concerns(s) and change.between(older, newer) for change in CHANGES)
    ]
    assert untold == []


def test_a_changed_rule_forgets_its_logs():
    entry = recorded._with_log(None, "first form", "2.6.0", [("a",)])
    entry = recorded._with_log(entry, "first form", "2.8.0", [("a",)])
    entry = recorded._with_log(entry, "first form", "2.10.0", [("b",)])
    assert entry == {"source": "first form", "logs": [[("a",)], [("b",)]], "of": {"2.6.0": 0, "2.8.0": 0, "2.10.0": 1}}
    assert recorded._with_log(entry, "other form", "2.8.0", [("c",)])["of"] == {"2.8.0": 0}
    assert recorded._with_log(entry, "first form", "2.8.0", [("c",)])["of"] == {"2.8.0": 0}  # what it calls has changed


@pytest.mark.slow
def test_the_command_records_without_minicnn(tmp_path):
    shutil.copy(recorded.FILE, tmp_path / "recorded")
    code = (
        "import sys, pathlib; from tests.hooks import recorded; recorded.FILE = pathlib.Path(sys.argv[1]);"
        "print(recorded.record()); print('numba' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "recorded")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [
        f"PyTorch {JUDGE}: {len(everything())} rules recorded, {differing(JUDGE)} of them not as in 2.13.0",
        "False",
    ]


def differing(version):
    return sum(log(s, version) != log(s, recorded.BASE) for s in everything())


@pytest.mark.skipif(JUDGE not in VERSIONS, reason="the judge is not recorded")
def test_the_recorded_names_are_those_of_the_judge():
    names, found = recorded.names(JUDGE), api.surface(torch)
    assert {name: (names.get(name), found.get(name)) for name in names.keys() ^ found.keys()} == {}
    assert {name: (names[name], what) for name, what in found.items() if names[name] != what} == {}


def test_names_of_another_version_are_kept_apart():
    kept = recorded._with_names("2.6.0", {"nn.f": "(x)"})
    assert kept["nn.f"] == {"(x)": ["2.6.0"]}
    judge = recorded._with_names(JUDGE, {"nn.f": "(x)"})
    assert not any(JUDGE in of for name, forms in judge.items() for of in forms.values() if name != "nn.f")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (None, "(x)", "`nn.f`"),
        ("(x)", None, "`nn.f`"),
        ("(x, y=1)", "(x, y=2, *, z)", "`nn.f`: + y=2; + z; - y=1"),
        ("(x, y)", "(y, x)", "`nn.f`: (x, y), now (y, x)"),
        ("(x)", "built in", "`nn.f`: (x), now built in"),
    ],
)
def test_differences_of_names_in_words(old, new, text):
    (found,) = api.differences(*({} if what is None else {"nn.f": what} for what in (old, new)))
    assert found.text == text


def test_names_between_two_versions(capsys):
    assert main(["--names", "2.13", "2.14"]) == 0
    shown = capsys.readouterr().out
    assert "new, which minicnn has:\n  `autograd.function.FunctionCtx.set_output_grad_dtype`" in shown
    assert "`optim.LBFGS.__init__`: + maximize=False" in shown
    assert main(["LBFGS", "--names", "2.13", "2.14"]) == 0
    assert "1 public names around hooks differ with these words" in capsys.readouterr().out


def test_the_file_is_small():
    assert recorded.FILE.stat().st_size < 300_000


def test_a_recorded_version_beside_minicnn(capsys):
    name = "backward_silent.the_warning_without_an_input_gradient"
    assert main([name, "--version", "2.6"]) == 0
    shown = capsys.readouterr().out
    assert "PyTorch 2.6.0 (recorded)" in shown
    assert 'mirror("2.6.0"): equal' in shown
    assert "Since 2.8: A full backward hook" in shown
    assert main([name, "--version", "2.13"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("equal")
    with pytest.raises(SystemExit):
        main([name, "--version", "1.13"])
    assert "PyTorch 1.13 is not recorded; recorded are 2.0.1, " in capsys.readouterr().err


def test_changes_between_two_versions(capsys):
    assert main(["post_accumulate", "--changes", "2.13", "2.0"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("From PyTorch 2.0.1 to 2.13.0: ")
    assert "2.1: `Tensor.register_post_accumulate_grad_hook`." in shown
    assert "| PyTorch 2.13.0" in shown


def test_the_table_of_versions(capsys):
    assert main(["--versions"]) == 0
    shown = capsys.readouterr().out
    assert all(version in shown for version in VERSIONS)
    assert "backward_silent.only_a_pre_hook_warns_too" in shown


@pytest.mark.parametrize("version", ["1.13", "2.15", "3.0", "two", ""])
def test_mirror_refuses_what_it_does_not_know(version):
    with pytest.raises(ValueError, match=r"from 2\.0 to 2\.14, such as '2\.6', not"):
        mirror(version)


def test_mirror_is_undone_and_belongs_to_its_thread():
    with mirror("2.13"):
        with mirror("2.6.1+cu124"):
            assert not since(2, 8)
            seen = []
            thread = threading.Thread(target=lambda: seen.append(since(2, 8)))
            thread.start()
            thread.join()
            assert seen == [True]
            with mirror("2.14"):
                assert since(2, 14)
            assert not since(2, 8)
        assert since(2, 13) and not since(2, 14)


@pytest.mark.parametrize("kind", history.KINDS, ids=lambda kind: kind.name)
def test_a_kind_of_hook_is_there_since_the_version_that_is_told(kind):
    (scenario,) = (s for s in everything() if str(s) == kind.rule)
    missing = {}
    for version in VERSIONS:
        texts = [str(line) for line in log(scenario, version) if line[0] in ("AttributeError", "TypeError")]
        missing[version] = any("has no attribute" in text or "unexpected keyword" in text for text in texts)
    assert missing == {version: minor(version) < minor(kind.since) for version in VERSIONS}


def test_the_page_is_made_from_the_table():
    page = history.page
    assert Path("HOOKS.md").read_text(encoding="utf-8") == page(), "python -m tests.hooks --page > HOOKS.md"
