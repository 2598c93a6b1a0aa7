"""The exercises of the lessons: open with the gap, right with the solution, wrong with anything else."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import numpy as np
import pytest

import minicnn
from lessons import exercises

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "lessons").glob("[0-9][0-9]_*.py"))
LONG = ("04_feature_maps",)  # whose exercises need much of the lesson


def parts(path: Path) -> tuple[str, list[str]]:
    """A lesson's code up to its exercises, and the cells of these."""
    cells = exercises.code_cells(path)
    first = next(k for k, cell in enumerate(cells) if exercises.is_exercise(cell))
    return "\n".join(cells[:first]), [cell for cell in cells[first:] if exercises.is_exercise(cell)]


def reads(statement: ast.AST) -> set[str]:
    """The names that a statement reads, without the variables of its loops, comprehensions and functions."""
    nodes, own = list(ast.walk(statement)), set()
    for node in nodes:
        if isinstance(node, (ast.comprehension, ast.For)):
            own |= {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.FunctionDef):
            own |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        elif isinstance(node, ast.arg):
            own.add(node.arg)
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - own


def sets(statement: ast.AST) -> set[str]:
    """The names that a statement of a module sets."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    names = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return names | {(n.asname or n.name).split(".")[0] for n in ast.walk(statement) if isinstance(n, ast.alias)}


def what_is_needed(lesson: str, cells: str) -> ast.Module:
    """The statements of a lesson that make the names which these cells read, and the names which those need, and so on."""
    wanted, kept, own = set(), [], set()
    for statement in ast.parse(cells).body:
        wanted |= reads(statement) - own
        own |= sets(statement)
    for statement in reversed(ast.parse(lesson).body):
        if sets(statement) & wanted:
            kept.insert(0, statement)
            wanted |= reads(statement)
    return ast.Module(kept, [])


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in LONG), id=path.stem) for path in LESSONS]
)
def test_exercises(path, tmp_path, monkeypatch, capsys):
    """In the lesson's own names, made by those of its lines that the exercises need: all of a lesson takes long."""
    monkeypatch.setenv("LESSON_OUT", str(tmp_path))
    for name in ("LESSON_PHOTO", "LESSON_MODEL", "LESSON_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(os.environ, "OPENBLAS_NUM_THREADS", "1")  # lesson 0 sets it: undone at the end
    lesson, cells = parts(path)
    solutions = exercises.solutions(path)
    assert 2 <= len(cells) <= 4
    assert len(solutions) == len(cells)
    names = {"__name__": "lesson", "__file__": str(path)}
    exec(compile(what_is_needed(lesson, "\n".join(cells)), str(path), "exec"), names)
    capsys.readouterr()
    for number, (cell, solution) in enumerate(zip(cells, solutions, strict=True), 1):
        sources = {"still open": cell, "right": exercises.solved(cell, solution)}
        if "answer = ..." in cell:
            sources["not yet"] = exercises.solved(cell, "answer = 'nonsense'")
        for state, source in sources.items():
            exec(compile(source, str(path), "exec"), names)
            assert capsys.readouterr().out.startswith(f"Exercise {number}: {state}.")
    for value in names.values():
        if isinstance(value, np.lib.npyio.NpzFile):
            value.close()


@pytest.mark.parametrize(
    "answer, right, says",
    [
        (3, 4, "3 is too small."),
        (5.0, 4, "5.0 is too large."),
        (float("nan"), 4, "no number"),
        ("four", 4, "Numbers are asked for"),
        ([None], [4], "Numbers are asked for"),
        ((1, 2), (1, 2, 3), "3 numbers asked for, and here are 2."),
        ((1, 2, 4), (1, 2, 3), "1 of 3 numbers is not right, the first at [2]."),
        (np.zeros((2, 3)), np.zeros((3, 2)), "The shape should be (3, 2), and it is (2, 3)."),
        (minicnn.zeros(2, 2), minicnn.ones(2, 2), "4 of 4 numbers are not right, the first at [0, 0]."),
        ("A", "b", "It is not 'A'."),
        (3, "b", "A text is asked for"),
        ("a", {"a", "b"}, "Several texts are asked for"),
        ({"a"}, {"a", "b"}, "1 of 2 are missing."),
        ({"a", "c"}, {"a", "b"}, "'c' does not belong here."),
        (["b", "a"], ["a", "b"], "All are there, in another order."),
        (1, True, "True or False is asked for"),
        (False, True, "It is not False."),
    ],
)
def test_a_wrong_answer_is_told_what_is_wrong_and_gets_the_hint(answer, right, says, capsys):
    verdict = exercises.check(1, answer, right, "think again.")
    assert verdict.state == "wrong"
    assert says in verdict.text
    assert capsys.readouterr().out == f"Exercise 1: not yet. {verdict.text}\n"
    assert verdict.text.endswith("Hint: think again.")


@pytest.mark.parametrize(
    "answer, right",
    [
        (4, 4.0000001),
        ([1, 2], minicnn.tensor([1.0, 2.0])),
        (minicnn.Size((3, 7)), (3, 7)),
        (" Image", "image"),
        (["b", "a"], {"a", "b"}),
        (["a", "b"], ["a", "b"]),
        (np.bool_(True), True),
        (1000.0005, 1000),
    ],
)
def test_a_right_answer(answer, right):
    assert exercises.check(1, answer, right, "").state == "right"


@pytest.mark.parametrize("answer", [..., (1, ...), [...]])
def test_an_open_gap(answer):
    assert exercises.check(1, answer, 4, "").state == "open"


def test_a_notebook_shows_the_verdict_in_colour_and_in_words():
    html = exercises.check(2, "<b>", "a", "no <tags>.")._repr_html_()
    assert 'class="check wrong"' in html and exercises.COLOURS["wrong"] in html
    assert "Exercise 2: not yet." in html and "&lt;tags&gt;" in html and "<b>'" not in html


def test_the_gap_and_nothing_else_is_replaced():
    cell = "a = x[..., 0]\nanswer = ...  # two\n\nb = 1\ncheck(1, answer, b, '')\n"
    assert exercises.solved(cell, "# why\nanswer = 3\n") == (
        "a = x[..., 0]\n# why\nanswer = 3\n\nb = 1\ncheck(1, answer, b, '')\n"
    )
