"""The pages of Markdown that belong to the lessons, the glossary and the questions: their anchors, and the links to them."""

import re
from pathlib import Path

from minicnn.atlas.words import anchor

HERE = Path(__file__).parent
PAGES = ("glossary", "questions")  # of Markdown, after the lessons
KEPT = re.compile(r"(```.*?```|`[^`\n]*`|\[[^\]]*\]\([^)]*\)|^#.*?$)", re.DOTALL | re.MULTILINE)  # no links in here
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def words() -> dict[str, str]:
    """{word, in small letters: anchor of its entry in the glossary}. "PCA (principal component analysis)" are two words."""
    found = {}
    for heading in HEADING.findall((HERE / "glossary.md").read_text(encoding="utf-8"))[1:]:
        found |= {word.lower(): anchor(heading) for word in re.split(r" \(|\)| and ", heading) if word}
    return found


def link_words(texts: list[str], target: str) -> list[str]:
    """Texts with each word of the glossary linked where they use it first, but not in code, headings and other links.

    target: the address of an entry, with "{}" for its anchor.
    """
    entries, met = words(), set()
    any_word = re.compile(
        rf"(?<![\w-])({'|'.join(sorted(entries, key=len, reverse=True))})(?:e?s)?(?![\w-])", re.IGNORECASE
    )

    def link(found: re.Match) -> str:
        entry = entries[found[1].lower()]
        if entry in met:
            return found[0]
        met.add(entry)
        return f"[{found[0]}]({target.format(entry)})"

    linked = []
    for text in texts:
        parts = KEPT.split(text)
        parts[::2] = [any_word.sub(link, part) for part in parts[::2]]
        linked.append("".join(parts))
    return linked


def inside_the_book(text: str, page: str, lessons: list[str]) -> str:
    """The links of a page of Markdown as links inside the book; what leads to a lesson that is not in the book becomes text."""

    def inside(link: re.Match) -> str:
        words, file, heading = link[1], Path(link[2] or f"{page}.md").stem, link[3]
        if file not in (*PAGES, *lessons):
            return words
        return f"[{words}](#{file}--{heading})" if heading else f"[{words}](#{file})"

    return re.sub(r"\[([^\]]+)\]\(([\w.]*)(?:#([^)]+))?\)", inside, text)
