"""The page of words: the glossary of the lessons, which the other pages link to where they use one of its words."""

import re
from pathlib import Path

from minicnn.atlas.contents import Page
from minicnn.atlas.markup import Markup, el, html

PIECES = re.compile(r"(`[^`]+`|\*\*.+?\*\*|\*[^*`]+\*|\[[^\]]+\]\([^)]+\))")  # code, bold, italic, links
PACKAGE = Path(__file__).resolve().parent.parent


def word(entry: str, text: str) -> Markup:
    """A link from a word in a text to its entry in the glossary, by the anchor of this."""
    return el("a", text, href=f"#word-{entry}", class_="word")


def words_page() -> Page:
    """The glossary as a page. In a wheel it lies inside the package, in a clone in `lessons/` beside it."""
    path = PACKAGE / "lessons" / "glossary.md"
    path = path if path.is_file() else PACKAGE.parent / "lessons" / "glossary.md"
    _, *entries = path.read_text(encoding="utf-8").split("\n## ")
    names = [entry.partition("\n")[0] for entry in entries]
    markup = el(
        "section",
        el("h2", "Words"),
        [_entry(name, entry.partition("\n")[2].strip()) for name, entry in zip(names, entries, strict=True)],
        id="words",
        class_="page",
    )
    return Page("words", "Words", markup, "glossary words " + " ".join(names))


def _entry(name: str, text: str) -> Markup:
    """Its paragraphs, and its code as it stands."""
    parts = re.split(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    paragraphs = [
        el("pre", part.rstrip(), tabindex="0")
        if i % 2
        else [el("p", _line(" ".join(p.split()))) for p in part.strip().split("\n\n") if p]
        for i, part in enumerate(parts)
    ]
    return el("section", el("h3", name), paragraphs, id=f"word-{anchor(name)}")


def anchor(name: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def _line(text: str) -> Markup:
    """A paragraph of Markdown. A link to a lesson becomes text: the page does not know where the lessons are."""
    return html([_piece(piece) for piece in PIECES.split(text)])


def _piece(piece: str) -> Markup:
    if link := re.fullmatch(r"\[([^\]]+)\]\(([^)]+)\)", piece):
        return word(link[2].removeprefix("#"), link[1]) if link[2].startswith("#") else html(link[1])
    for mark, name in (("`", "code"), ("**", "b"), ("*", "i")):
        if piece.startswith(mark) and piece.endswith(mark) and len(piece) > 2 * len(mark):
            inner = piece[len(mark) : -len(mark)]
            return el(name, inner if name == "code" else _line(inner))
    return html(piece)
