"""What the lessons say of each other: their order, their numbers, their names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lessons import words
from lessons.exercises import code_cells

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


TERMS = {  # word: (how it appears in a text, what the text that uses it first says of it)
    "ReLU": ("ReLU", "keeps what is positive"),
    "pooling": ("pooling", "largest"),
    "stride": ("stride", "pixels at a time"),
    "padding": ("padding", "border of zeros"),
    "channel": ("channel", "planes?"),
    "logit": ("logit", "score"),
    "softmax": ("softmax", "`exp` of each, divided by the sum of all"),
    "batch norm": ("batch norm", "shifts and scales each map"),
    "folding": (r"\*\*folded", "multiplied into its weights"),
    "graph": ("graph", "Tensors and their links|record of how a tensor was computed|record"),
    "leaf": ("leaf", "no operation made it"),
    "node": ("nodes?", "one for each operation"),
    "view": ("view", "looks at the memory"),
    "AccumulateGrad": ("AccumulateGrad", "adds the gradient that arrives"),
    "Gram matrix": ("Gram matri", "for each pair of channels"),
    "SSIM": ("SSIM", "window by window"),
    "PCA": ("PCA|principal component", "directions along which data differ most"),
    "epoch": ("epoch", "one pass over all training images"),
    "weight decay": ("weight decay", "a little smaller"),
    "receptive field": ("receptive field", "pixels that can change a unit's number"),
    "kernel": ("kernel", "grids? of weights"),
    "filter": ("filter", "all that makes one output channel|all kernels that make one"),
    "feature map": ("feature map", "each is called|one filter answers"),
    "gradient": ("gradient", r"rises by a little|if the pixel rises a little"),
    "hook": (r"hook", "a function"),
    "adversarial": (r"adversar", "changed (a little, )?against"),
    "rank correlation": ("rank correlation", "how well the two orders agree"),
    "dilation": ("dilation", "how far apart"),
    "pickle": ("pickle", "runs what the stranger wrote"),
}


def sections(path: Path) -> list[str]:
    """The texts of a lesson from heading to heading as a reader meets them, without the introduction and the headings."""
    cells, text = [], True
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            text = "[markdown]" in line
        elif text and line.startswith(("# ## ", "# # ")):
            cells.append("")
        elif text and cells:
            cells[-1] += " " + line.removeprefix("#").strip()
    return [re.sub(" +", " ", cell) for cell in cells[1:]]


@pytest.mark.parametrize("word", TERMS)
@pytest.mark.parametrize("begin", [0, 1], ids=["from lesson 0", "from lesson 1"])
def test_a_term_is_explained_where_it_first_appears(word, begin):
    """In the section that uses it first, whether the reader begins with the summary or with lesson 1."""
    appears, says = TERMS[word]
    first = [
        (path.stem, text)
        for path in LESSONS[begin:]
        for text in sections(path)
        if re.search(rf"(?<![\w-]){appears}", text.replace("`", "").replace("max-", ""), re.IGNORECASE)
    ]
    assert first or begin == 1, "only lesson 0 has it, or none"
    if first:
        lesson, text = first[0]
        assert re.search(says, text), f"lesson {lesson} uses {word!r} first, and does not say what it is: {text}"


ANSWERS = {  # question: what the passage that it links to says
    1: "`N` images with `C` channels of `H` x `W` numbers",
    2: r"\(64 \+ 6 - 7\) // 2 \+ 1`, which is 32",
    3: "divided by 255, the mean of the training images is subtracted",
    4: "`exp` of each|makes probabilities of the logits",
    5: "makes probabilities whose sum is 1 of any 200 logits",
    6: "those that training has not seen",
    7: "makes the rest 0.*set to 0",
    8: "whole gradient goes to the winner. Of equal pixels the first one wins",
    9: "for one input .*all that makes one output",
    10: "Multiply each weight by the pixel under it, and add the products up.*all channels are added up. A bias",
    11: r"which\* pixels meet the kernel, and nothing else",
    12: r"weight.shape\[1\] \* groups == input channels",
    13: "fixed numbers, which training has collected.*one multiplication and one addition",
    14: "`grad \\* pixel` to its weight, and `grad \\* weight` to its pixel",
    15: "a little above and a little below",
    16: "sums are independent.*reuse.*tuned BLAS",
    17: "a quarter of the products.*each costs more",
    18: "the tensors it was computed from, and a function that sends a gradient back",
    19: "a tensor that no operation made.*adds the .gradient.*`.grad`",
    20: "runs when the layer has computed.*may change it",
    21: "pre-hooks, the layer's own `forward`, forward hooks.*full backward pre-hooks",
    22: "with None for `grad_input`",
    23: "To write to this view in place is an error.*two ways out.*inplace=False.*clone",
    24: "cuts the stored tensor off the graph.*copies.*takes the hook off",
    25: "Two of the five are rewritten: raw and detach",
    26: "activations of \\*all\\* the layers so far",
    27: "To unpickle a file is to run it",
    28: "could be drawn as a picture, because its three kernels stand for red, green and blue.*no colours",
    29: "weights are held fixed, and the image is optimised",
    30: "moved, turned and zoomed.*sum of waves.*natural colours",
    31: "A constraint takes images away",
    32: "early maps keep \\*where\\* something is, deep maps keep \\*what\\* it is",
    33: "adds `k - 1` steps of the stride so far.*`s` times as long",
    34: "extremes: hardly any of the unit's answers is as strong",
    35: "give random weights.*must become another map",
    36: "First side.*Second side.*Third side",
    37: "An R² means nothing without the R² of noise",
    38: "the first layer does not show it",
    39: "not to rely on anything that such a change can take away. That costs accuracy",
    40: "A ReLU is made of two straight lines.*derivative is zero",
}


def passage(link: str) -> str:
    """The text under a heading of a lesson or of the glossary, in one line."""
    file, _, heading = link.partition("#")
    lines = (ROOT / "lessons" / file).read_text(encoding="utf-8").splitlines()
    if file.endswith(".py"):
        code = set("".join(code_cells(ROOT / "lessons" / file)).splitlines())
        lines = [line.removeprefix("#").removeprefix(" ") for line in lines if line not in code]
    parts = re.split(r"^#+ (.+)$", "\n".join(lines), flags=re.MULTILINE)
    return " ".join(
        next(text for name, text in zip(parts[1::2], parts[2::2], strict=True) if words.anchor(name) == heading).split()
    )


@pytest.mark.parametrize("number", ANSWERS)
def test_the_passage_that_a_question_links_to_answers_it(number):
    text = (ROOT / "lessons" / "questions.md").read_text(encoding="utf-8")
    link = re.search(rf"^{number}\. .*\n.*\]\((.+)\)$", text, re.MULTILINE)[1]
    assert re.search(ANSWERS[number], passage(link)), passage(link)


def test_what_any_network_needs_is_in_one_place():
    """Those lessons that take another network read as if there were one; the runner and README name them."""
    takes = [path for path in LESSONS if "Subject()" in path.read_text(encoding="utf-8")]
    numbers = [int(path.stem[:2]) for path in takes]
    assert numbers == [1, 2, 4, 5]
    for path in takes:
        code = "".join(code_cells(path))
        for word in (
            "if bundled",
            "not bundled",
            ".bundled",
            "LESSON_MODEL",
            "LESSON_PHOTO",
            "from_spec",
            "named_children",
            "isinstance(",
        ):
            assert not re.search(rf"^[^#\n]*{re.escape(word)}", code, re.MULTILINE), f"{path.stem}: {word}"
    for page in ("README.md", "lessons/__main__.py"):
        assert "lessons 1, 2, 4 and 5" in (ROOT / page).read_text(encoding="utf-8")
