"""What README.md shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def output_of(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


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
