"""Every lesson runs as it stands, in a process of its own, and leaves figures that are not blank."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py"))


def test_there_are_lessons_and_each_names_the_next():
    assert len(LESSONS) >= 5
    for path, following in zip(LESSONS, LESSONS[1:], strict=False):
        last = path.read_text().rstrip().splitlines()[-1]
        assert following.name in last


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson(path):
    before = {figure: figure.stat().st_mtime_ns for figure in (ROOT / "lessons" / "out").glob(f"{path.stem}*.png")}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, str(path)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    figures = [
        figure
        for figure in (ROOT / "lessons" / "out").glob(f"{path.stem}*.png")
        if figure.stat().st_mtime_ns != before.get(figure)
    ]
    assert figures
    for figure in figures:
        pixels = np.asarray(Image.open(figure).convert("L"))
        assert pixels.std() > 5, f"{figure.name} is blank"


def test_the_runner_refuses_an_unknown_lesson():
    done = subprocess.run(
        [sys.executable, "-m", "lessons", "nonsense"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "no lesson matches 'nonsense'" in done.stderr
