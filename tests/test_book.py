"""The lessons as notebooks and as a book: whole, offline, and with what failed shown as failed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="needs the extra 'book'")
pytest.importorskip("nbconvert", reason="needs the extra 'book'")
pytest.importorskip("ipykernel", reason="needs the extra 'book'")

import nbformat

from lessons import book
from lessons.exercises import solutions

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py"))

FIRST = """# %% [markdown]
# # 1. Draws & fails
#
# See lessons 2 and 7; `python -m lessons 2` runs it.

# %%
from matplotlib.figure import Figure
{show}
figure = Figure(figsize=(2, 1))
figure.subplots().plot([1, 2])
figure

# %%
assert 1 + 1 == 3, "arithmetic <fails>"

# %%
print("the rest is " + "kept")

# %%
print("Next lesson: lessons/02_second.py")
"""
SECOND = """# %% [markdown]
# # 2. The second
#
# A [corner](glossary.md#relu) has no slope.
#
# `minicnn play --open` opens it; the atlas is `lessons/out/17_an_atlas.html`.

# %%
print("Next lesson: lessons/03_not_chosen.py")
"""


@pytest.fixture
def pair(tmp_path, monkeypatch) -> list[Path]:
    """Two lessons with the lines that make figures appear, taken from a real lesson."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    show = re.search(r'if "get_ipython".*\n.*\n', LESSONS[-1].read_text(encoding="utf-8"))[0]
    paths = [tmp_path / "01_first.py", tmp_path / "02_second.py"]
    for path, text in zip(paths, (FIRST.replace("{show}", show), SECOND), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_the_book_shows_what_failed_and_keeps_the_rest(pair, tmp_path, capsys):
    assert book.write(pair, tmp_path / "book.html") == 1
    assert "1 of 2 lessons have cells that failed" in capsys.readouterr().out
    page = (tmp_path / "book.html").read_text(encoding="utf-8")
    assert page.count('<p class="failed">a cell failed: AssertionError arithmetic &lt;fails&gt;</p>') == 1
    assert "the rest is kept" in page
    assert page.count('<img alt="figure: 1. Draws &amp; fails"') == 1 and "data:image/png;base64," in page
    assert '<li><a href="#01_first">1. Draws &amp; fails</a></li>' in page
    assert 'lessons <a href="#02_second">2</a> and 7; <code>python -m lessons 2</code>' in page
    assert 'Next lesson: lesson <a href="#02_second">2</a>.' in page and "Next lesson: lesson 3." in page
    assert '<a href="play.html"><code>minicnn play --open</code></a> opens it' in page
    assert 'A <a href="#glossary--relu">corner</a> has no slope.' in page
    assert "the atlas is <code>lessons/out/17_an_atlas.html</code>" in page, "which no lesson has made here"
    assert "<script" not in page and not re.search("https?:", page)
    assert '<a href="play.html">a page to play with</a>' in page
    assert '<a href="book.html">The lessons</a>' in (tmp_path / "play.html").read_text(encoding="utf-8")
    targets = re.findall(r'href="#([^"]*)"', page)
    assert all(f'id="{target}"' in page for target in targets)


def test_a_lesson_that_kills_its_kernel_does_not_take_the_book_with_it(pair, tmp_path):
    pair[0].write_text("# %% [markdown]\n# # 1. Dies\n\n# %%\nimport os\nos._exit(3)\n", encoding="utf-8")
    assert book.write(pair, tmp_path / "book.html") == 1
    page = (tmp_path / "book.html").read_text(encoding="utf-8")
    assert "the lesson stopped: DeadKernelError" in page and "2. The second" in page


def test_a_lesson_that_is_passed_over_says_why_and_nothing_of_it_fails(pair, tmp_path):
    leaves = "print('passed over: ' + 'no weights')\nraise SystemExit from None"
    pair[0].write_text(f"# %% [markdown]\n# # 1. Leaves\n\n# %%\n{leaves}\n\n# %%\nnothing\n", encoding="utf-8")
    assert book.write(pair, tmp_path / "book.html") == 0
    page = (tmp_path / "book.html").read_text(encoding="utf-8")
    assert "passed over: no weights" in page
    assert "NameError" not in page and "output_error" not in page.partition("<body>")[2]


def test_notebooks_of_all_lessons(tmp_path):
    environment = {**os.environ, "LESSON_OUT": str(tmp_path)}
    command = [sys.executable, "-m", "lessons", "--notebooks"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    written = sorted((tmp_path / "notebooks").glob("*.ipynb"))
    assert [path.name for path in written] == [f"{path.stem}.ipynb" for path in LESSONS]
    for path, following in zip(written, written[1:], strict=False):
        cells = nbformat.read(path, 4).cells
        nbformat.validate(nbformat.read(path, 4))
        assert f"]({following.name})" in cells[-1].source
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert (
            2
            <= sum("<details><summary>Solution</summary>" in text for text in texts)
            == len(solutions(ROOT / "lessons" / f"{path.stem}.py"))
        )
        for target in re.findall(r"\]\(([\w.]+)#", "\n".join(texts)):
            assert target == "glossary.md" and (tmp_path / "notebooks" / target).exists()
        assert "run_line_magic" in next(cell.source for cell in cells if cell.cell_type == "code")


def test_lessons_whose_claims_depend_on_where_they_run(tmp_path, monkeypatch):
    """Frames, in lesson 6, are others in a notebook."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("LESSON_OUT", str(tmp_path))
    assert book.write([path for path in LESSONS if path.stem.startswith("06")], tmp_path / "book.html") == 0
    page = (tmp_path / "book.html").read_text(encoding="utf-8")
    assert page.count('class="check open"') == page.count('class="check right"') == page.count("<details>") == 3
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert {"glossary--relu", "questions", "06_hooks_in_order--four-rules-that-surprise"} <= set(ids)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)
    assert '<a href="#06_hooks_in_order--four-rules-that-surprise">Lesson 6: Four rules that surprise</a>' in page
