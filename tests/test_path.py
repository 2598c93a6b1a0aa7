"""The path stays short, READING.md is what the code says, and every function on it says why it is there."""

from __future__ import annotations

import pytest

from tests import path

# (lines, files, frames below the caller at the multiply-add or, with the fast kernels, at the deepest)
BOUNDS = {
    "conv": (118, 9, 6),
    "fast": (124, 11, 9),
    "example": (345, 13, 7),
    "network": (350, 15, 9),
    "hook": (86, 10, None),
    "maximize": (1100, 42, None),
}


@pytest.fixture(scope="module")
def walks() -> dict[str, path.Walk]:
    return {name: job() for name, job in path.JOBS.items()}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_path_is_short(walks, name):
    lines, files, frames = BOUNDS[name]
    walked = walks[name]
    assert walked.lines <= lines and len(walked.files) <= files, path.table(walked)
    if frames is not None:
        assert (walked.multiply_add or walked.depth) <= frames, path.table(walked)


def test_the_loops_multiply_and_add_and_the_fast_kernels_do_not(walks):
    assert walks["conv"].multiply_add > 0 and walks["example"].multiply_add > walks["conv"].multiply_add
    assert walks["fast"].multiply_add == 0


def test_a_walk_counts_lines_once_and_in_their_order():
    def twice() -> None:
        for _ in range(2):
            path.minicnn.zeros(1).dim()

    once = path.walk(lambda: path.minicnn.zeros(1).dim())
    again = path.walk(twice)
    assert [step.name for step in again.steps] == [step.name for step in once.steps]
    assert again.lines == once.lines
    assert once.steps[0].name == "zeros" and once.steps[-1].name == "Tensor.dim" and once.steps[-1].lines == 1


@pytest.mark.parametrize("job", path.PARTS, ids=lambda job: job.__name__)
def test_every_function_that_is_read_says_why_it_is_there(walks, job):
    assert not [f"{step.file}: {step.name}" for step in path.read(job, walks[job.__name__]) if not step.why]


def test_reading_is_what_the_code_says():
    assert path.READING.read_text(encoding="utf-8") == path.reading(), "python -m tests.path --write makes it again"
