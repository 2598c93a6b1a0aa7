"""`check`, which the exercises at the end of each lesson ask, and the way from an exercise to its solution.

An exercise is a cell with a gap, `answer = ...` or `return ...`, and a line that begins with `check(`. Its solution is the code cell
of the same number in `lessons/solutions/`, and stands in the place of the statement that has the gap.
"""

import ast
import sys
from html import escape
from pathlib import Path

import numpy as np

COLOURS = {"open": "#b58900", "wrong": "#c62828", "right": "#2e7d32"}
HEADS = {"open": "still open", "wrong": "not yet", "right": "right"}


class Verdict:
    """What a check found. state: "open", "wrong" or "right"; text: why, and a hint. A notebook shows it in colour."""

    def __init__(self, exercise, state, text):
        self.exercise, self.state, self.text = exercise, state, text

    def __repr__(self):
        return f"Exercise {self.exercise}: {HEADS[self.state]}. {self.text}".rstrip()

    def _repr_html_(self):
        colour = COLOURS[self.state]
        style = f"border-left: 6px solid {colour}; padding: 0.3em 0.8em; margin: 0.3em 0"
        head = f'<b style="border-bottom: 2px solid {colour}">Exercise {self.exercise}: {HEADS[self.state]}.</b>'
        return f'<div class="check {self.state}" style="{style}">{head} {escape(self.text)}</div>'


def check(exercise, answer, right, hint, tolerance=1e-6):
    """Compare an answer with what is right, and say what is wrong. Never raises: the lesson goes on.

    exercise: its number. answer, right: numbers, arrays or tensors (equal within `tolerance`, of the right number if that is
    above 1), texts, booleans, or tuples, lists and sets of them. A `...` in the answer means that the gap is open.
    In a script the verdict is printed; in a notebook it is the value of the cell. Returns the `Verdict`.
    """
    if is_open(answer):
        verdict = Verdict(exercise, "open", "Put your answer in the place of the three dots, and run it again.")
    else:
        wrong = difference(plain(answer), plain(right), tolerance)
        verdict = Verdict(exercise, "wrong" if wrong else "right", f"{wrong} Hint: {hint}" if wrong else "")
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(verdict)
    return verdict


def is_open(answer):
    """Whether there is a `...` in it."""
    return answer is ... or (isinstance(answer, (tuple, list, set)) and any(is_open(part) for part in answer))


def plain(value):
    """A tensor of minicnn or of PyTorch as a NumPy array, anything else as it is."""
    return value.detach().numpy() if hasattr(value, "detach") else value


def is_text(value):
    """Whether texts are compared: one, or a collection of them."""
    return isinstance(value, (str, set)) or (
        isinstance(value, (tuple, list)) and any(isinstance(part, str) for part in value)
    )


def difference(answer, right, tolerance):
    """What is wrong with the answer, as a sentence; "" if it is right."""
    if is_text(right):
        return text_difference(answer, right)
    if isinstance(right, (bool, np.bool_)):
        if not isinstance(answer, (bool, np.bool_)):
            return f"True or False is asked for, and this is {answer!r}."
        return "" if bool(answer) == bool(right) else f"It is not {answer}."
    try:
        a = np.asarray(answer)
        a = a.astype(float, casting="unsafe" if a.dtype.kind in "biuf" else "safe")  # None would become a NaN
    except (TypeError, ValueError):
        return f"Numbers are asked for, and this is {answer!r}."
    b = np.asarray(right, float)
    if a.shape != b.shape:
        if a.ndim <= 1 and b.ndim <= 1:
            return f"{b.size} number{'s'[: b.size != 1]} asked for, and here {'are' if a.size != 1 else 'is'} {a.size}."
        return f"The shape should be {b.shape}, and it is {a.shape}."
    off = ~(np.abs(a - b) <= tolerance * np.maximum(1, np.abs(b)))  # so that a NaN is off
    if not off.any():
        return ""
    if a.ndim == 0:
        return f"{answer} is {'no number' if np.isnan(a) else 'too large' if a > b else 'too small'}."
    where = ", ".join(str(int(i)) for i in np.argwhere(off)[0])
    return f"{off.sum()} of {off.size} numbers {'is' if off.sum() == 1 else 'are'} not right, the first at [{where}]."


def text_difference(answer, right):
    """`difference` of a text, or of a collection of texts; capitals and spaces at the ends do not count."""
    tidy = lambda value: value.strip().lower() if isinstance(value, str) else value  # noqa: E731
    if isinstance(right, str):
        if not isinstance(answer, str):
            return f"A text is asked for, in quotation marks, and this is {answer!r}."
        return "" if tidy(answer) == tidy(right) else f"It is not {answer!r}."
    if isinstance(answer, str) or not isinstance(answer, (tuple, list, set)):
        return f"Several texts are asked for, in brackets, and this is {answer!r}."
    mine, wanted = [tidy(part) for part in answer], [tidy(part) for part in right]
    if extra := [part for part in mine if part not in wanted]:
        return f"{extra[0]!r} does not belong here."
    if len(set(mine)) < len(set(wanted)):
        return f"What is there is right, but {len(set(wanted)) - len(set(mine))} of {len(wanted)} are missing."
    return "" if isinstance(right, set) or mine == wanted else "All are there, in another order."


def is_exercise(source):
    """Whether the text of a cell is an exercise."""
    return any(line.startswith("check(") for line in source.splitlines())


def code_cells(path):
    """The code cells of a script in `# %%` cells, in their order."""
    cells, code = [], False
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            code = "[markdown]" not in line
            if code:
                cells.append("")
        elif code:
            cells[-1] += line + "\n"
    return [cell.strip("\n") + "\n" for cell in cells]


def solutions(lesson):
    """The solutions of a lesson's exercises, in their order; none if there is no such file. lesson: its path."""
    path = Path(lesson).parent / "solutions" / Path(lesson).name
    return code_cells(path) if path.exists() else []


def solved(exercise, solution):
    """The cell of an exercise with the solution in the place of the statement that has the gap."""
    tree = ast.parse(exercise)
    gap = next(statement for statement in tree.body if any(map(has_gap, ast.walk(statement))))
    lines = exercise.splitlines()
    return "\n".join([*lines[: gap.lineno - 1], *solution.splitlines(), *lines[gap.end_lineno :]]) + "\n"


def has_gap(node):
    """Whether it is `name = ...` or `return ...`, with the three dots themselves."""
    return (
        isinstance(node, (ast.Assign, ast.Return)) and isinstance(node.value, ast.Constant) and node.value.value is ...
    )
