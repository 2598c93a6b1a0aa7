"""What the lessons say of each other: their order, their numbers, their names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py"))
NAMES = [path.stem for path in LESSONS]


def title(path: Path) -> str:
    """The heading of a lesson, "3. Convolution by hand"."""
    return re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)[1]


def mentioned(text: str) -> list[int]:
    """The numbers of the lessons that a text names, "lessons 1 to 3" and "lessons 4, 5 and 14" too."""
    found: list[int] = []
    for numbers in re.findall(r"\b[Ll]essons? (\d+(?:(?:, | and | to )\d+)*)", text):
        for first, last in re.findall(r"(\d+)(?: to (\d+))?", numbers):
            found += range(int(first), int(last or first) + 1)
    return found


def test_the_convolution_by_hand_comes_before_the_feature_maps():
    assert NAMES.index("03_convolution_by_hand") < NAMES.index("04_feature_maps")
    assert [int(name[:2]) for name in NAMES] == list(range(len(NAMES)))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_its_number_and_needs_only_lessons_before_it(path):
    number, text = int(path.stem[:2]), path.read_text(encoding="utf-8")
    assert title(path).startswith(f"{number}. ")
    needs = re.search(r"^# \*\*You need:\*\*(.*?)^#$", text, re.MULTILINE | re.DOTALL)[1]
    assert all(other < number for other in mentioned(needs)), needs
    assert all(other < len(LESSONS) for other in mentioned(text))
    own = set(re.findall(r"\b(?:out|solutions|pdb lessons)/(\d\d_[a-z_]+?)(?:_\*|\.py)", text))
    assert own == {path.stem}, "its figures and its solutions have its name"
    solved = (ROOT / "lessons" / "solutions" / path.name).read_text(encoding="utf-8")
    assert title(ROOT / "lessons" / "solutions" / path.name) == f"Solutions to lesson {title(path)}", solved[:80]


def test_readme_lists_the_lessons_in_their_order():
    listed = re.findall(
        r"^(\d+)\. \[(\w+)\.py\]\(lessons/(\w+)\.py\): .", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert [(int(number), name, name) for number, name, _ in listed] == [(i, n, n) for i, n in enumerate(NAMES)]
    assert all(name == file for _, name, file in listed)


@pytest.mark.parametrize("page", ["glossary", "questions"])
def test_links_to_lessons_say_the_number_that_the_lesson_has(page):
    text = (ROOT / "lessons" / f"{page}.md").read_text(encoding="utf-8")
    links = re.findall(r"\[lesson (\d+)[^\]]*\]\((\d\d)_\w+\.py", text, re.IGNORECASE)
    assert len(links) > 4 and all(int(said) == int(number) for said, number in links)
