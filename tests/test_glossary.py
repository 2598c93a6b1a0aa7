"""The glossary and the questions: every link leads somewhere, and what they say of the library is so."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path

import pytest

import minicnn
from lessons import words
from lessons.exercises import code_cells

LESSONS = Path(__file__).resolve().parent.parent / "lessons"
GLOSSARY, QUESTIONS = (LESSONS / f"{page}.md" for page in words.PAGES)
LINK = re.compile(r"\[[^\]]+\]\(([^)]*)\)")


def anchors(path: Path) -> list[str]:
    """Those of a page of Markdown, or of the texts of a lesson."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        code = "".join(code_cells(path))
        text = "\n".join(line.removeprefix("# ") for line in text.splitlines() if line not in code.splitlines())
    text = re.sub("```.*?```", "", text, flags=re.DOTALL)
    return [words.anchor(heading) for heading in words.HEADING.findall(text)]


@pytest.mark.parametrize("page", [GLOSSARY, QUESTIONS], ids=lambda path: path.stem)
def test_every_link_leads_to_a_heading(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert len(links) > 30
    for link in links:
        file, _, heading = link.partition("#")
        target = LESSONS / file if file else page
        assert target.exists(), link
        assert not heading or anchors(target).count(heading) == 1, link


def test_there_are_forty_questions_and_each_has_its_answer():
    lines = re.findall(
        r"^(\d+)\. .*\?\n    \[[^\]]+\]\([^)]+#[^)]+\)$", QUESTIONS.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [int(number) for number in lines] == list(range(1, 41))


def test_the_glossary_is_in_the_order_of_the_alphabet_and_has_each_word_once():
    entries = anchors(GLOSSARY)[1:]
    assert entries == sorted(set(entries))
    wanted = "relu pooling stride padding channel logit softmax batch-norm-batch-normalisation graph leaf node view accumulategrad "
    wanted += "gram-matrix ssim pca-principal-component-analysis epoch weight-decay receptive-field"
    assert set(wanted.split()) <= set(entries)


def test_words_are_linked_where_they_are_used_first_and_not_in_code():
    texts = [
        "# A ReLU\n`ReLU` and [a ReLU](x)\nTwo ReLUs, a ReLU, max-pooling.",
        "a relu; a principal component analysis, kernels",
    ]
    first, second = words.link_words(texts, "g#{}")
    assert first == "# A ReLU\n`ReLU` and [a ReLU](x)\nTwo [ReLUs](g#relu), a ReLU, max-pooling."
    assert second == (
        "a relu; a [principal component analysis](g#pca-principal-component-analysis), [kernels](g#kernel-and-filter)"
    )


def test_every_word_of_the_glossary_is_linked_from_a_lesson():
    linked = set()
    for path in sorted(LESSONS.glob("[0-9][0-9]_*.py")):
        code = "".join(code_cells(path)).splitlines()
        prose = [line.removeprefix("#").removeprefix(" ") for line in path.read_text(encoding="utf-8").splitlines()]
        text = "\n".join(line for line in prose if line not in code)
        linked |= set(re.findall(r"\]\(@([^)]+)\)", "".join(words.link_words([text], "@{}"))))
    assert linked == set(anchors(GLOSSARY)[1:])


def test_links_inside_the_book():
    text = "[a](01_first.py#heading) [b](02_second.py) [c](#entry) [d](questions.md#x)"
    assert words.inside_the_book(text, "glossary", ["01_first"]) == (
        "[a](#01_first--heading) b [c](#glossary--entry) [d](#questions--x)"
    )


def test_a_strangers_file_runs_when_it_is_unpickled_and_not_when_it_is_loaded(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", GLOSSARY.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert capsys.readouterr().out.startswith("whoever wrote the file has chosen this line")
    with pytest.raises(minicnn.serialization.ForbiddenError, match=r"print.*nothing was executed"):
        minicnn.load(io.BytesIO(pickle.dumps(names["FromAStranger"]())))
    assert capsys.readouterr().out == ""


def test_folding_as_the_glossary_says():
    from minicnn import nn

    minicnn.manual_seed(0)
    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    x = minicnn.randn(8, 3, 6, 6)
    norm.weight.data.uniform_(0.5, 2)
    norm(conv(x))  # in training: collects
    norm.eval()
    with minicnn.no_grad():
        expected, factor = norm(conv(x)), norm.weight / (norm.running_var + norm.eps).sqrt()
        conv.bias.copy_((conv.bias - norm.running_mean) * factor + norm.bias)
        conv.weight *= factor.view(4, 1, 1, 1)
        assert (conv(x) - expected).abs().max() < 1e-5
