"""What README.md shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_the_example_prints_what_is_shown_in_both_libraries():
    code, shown = re.search(
        r"```python\n(import minicnn as torch.*?)```\n.*?```text\n(.*?)```", README, re.DOTALL
    ).groups()
    ours = output_of(code)
    assert ours == shown
    theirs = code.replace("import minicnn as torch", "import torch").replace(
        "import minicnn.nn as nn", "import torch.nn as nn"
    )
    assert output_of(theirs) == shown


def test_the_files_that_are_named_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    for lesson in (ROOT / "lessons").glob("[0-9][0-9]_*.py"):
        assert lesson.name in README


def test_files_with_slow_tests_are_named_with_what_they_are_about():
    """In CONTRIBUTING.md's table of what to run whole."""
    table = re.findall(r"^\| .* \| (`.*`) \|$", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {name for row in table for name in re.findall(r"`([^`]+)`", row)}
    folder = ROOT / "tests"
    assert [name for name in named if not [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/test_*.py")]] == []
    slow = {
        path.relative_to(folder).with_suffix("")
        for path in folder.rglob("test_*.py")
        if re.search(r"mark\.slow|one_of_each|from browser", path.read_text(encoding="utf-8"))
    }
    assert len(slow) > 40
    assert [str(path) for path in sorted(slow) if not any(fnmatch(path.parts[0], name) for name in named)] == []


@pytest.mark.slow
@pytest.mark.parametrize("file", ["README.md", "lessons/03_convolution_by_hand.py"])
def test_the_breakpoint_at_one_multiply_add_stops_there(file, tmp_path):
    """What README and lesson 3 tell a debugger: the line is the multiply-add, and the condition stops at its products."""
    (command,) = re.findall(
        r"\(Pdb\) (break minicnn/kernels/reference\.py:\d+, .*)", (ROOT / file).read_text(encoding="utf-8")
    )
    script = tmp_path / "script.py"
    script.write_text(
        "import minicnn as torch\nfrom minicnn import kernels\n"
        "conv = torch.nn.Conv2d(1, 4, 2)\nx = torch.zeros(2, 1, 12, 14)\n"
        "with kernels.use('reference'):\n    breakpoint()\n    conv(x)\n"
    )
    told = f"{command}\ncontinue\np (n, o, oh, ow), (c, kh, kw)\ncontinue\np (n, o, oh, ow), (c, kh, kw)\nquit\n"
    path = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, script], input=told, cwd=tmp_path, env=path, capture_output=True, text=True, check=False
    )
    assert done.stdout.count("-> total += weight[o, c, kh, kw] * x[n, channel, h, w]") == 2, done.stdout + done.stderr
    pixel = command.partition("== ")[2]
    assert f"({pixel}, (0, 0, 0))" in done.stdout and f"({pixel}, (0, 0, 1))" in done.stdout
