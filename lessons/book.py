"""The lessons as Jupyter notebooks, and as one HTML file that needs nothing else. Used by `python -m lessons`.

Needs the extra "book": jupytext reads a lesson as a notebook, nbconvert executes it and turns its cells into HTML.
"""

import re
from html import escape, unescape
from itertools import groupby
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from lessons import exercises, words
from minicnn import play
from minicnn.models import tinynet

NEXT = re.compile(r'print\("(.*) lessons/(\d\d)_\w+\.py"\)$', re.MULTILINE)
MENTION = re.compile(r"(?<!-m )\blessons? \d+(?:(?:, | and | to )\d+)*")
CELL_SECONDS = 1800


def notebook(path: Path, address: dict[int, str], glossary: str) -> NotebookNode:
    """A lesson as a notebook that has not been executed, with links to other lessons and, from its words, to the glossary.

    address: {number: target}; glossary: the target of an entry, with "{}" for its anchor. Behind each exercise stands a code cell
    with its gap filled in, which has "solution" in its metadata.
    """
    book = jupytext.read(path)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = MENTION.sub(lambda mention: _linked(mention[0], address), cell.source)
    texts = [cell for cell in book.cells if cell.cell_type == "markdown"]
    for cell, text in zip(texts, words.link_words([cell.source for cell in texts], glossary), strict=True):
        cell.source = re.sub(r"\]\(glossary\.md#([^)]+)\)", lambda link: f"]({glossary.format(link[1])})", text)
    following = NEXT.match(book.cells[-1].source)
    if following:
        book.cells[-1] = nbformat.v4.new_markdown_cell(_linked(f"{following[1]} lesson {int(following[2])}.", address))
    solutions = iter(exercises.solutions(path))
    for cell in list(book.cells):
        if cell.cell_type == "code" and exercises.is_exercise(cell.source):
            filled = nbformat.v4.new_code_cell(exercises.solved(cell.source, next(solutions)).strip())
            filled.metadata["solution"] = True
            book.cells.insert(book.cells.index(cell) + 1, filled)
    return book


def _linked(mention: str, address: dict[int, str]) -> str:
    """Numbers of lessons as links, where there is such a lesson."""
    link = lambda number: f"[{number[0]}]({address[int(number[0])]})" if int(number[0]) in address else number[0]  # noqa: E731
    return re.sub(r"\d+", link, mention)


def notebooks(lessons: list[Path], folder: Path) -> int:
    """Write a .ipynb for each lesson, not executed, so that they open quickly and run where they are. Returns 0."""
    folder.mkdir(parents=True, exist_ok=True)
    address = {int(path.stem[:2]): f"{path.stem}.ipynb" for path in lessons}
    for path in lessons:
        book = notebook(path, address, "glossary.md#{}")
        for k, cell in enumerate(book.cells):
            if cell.metadata.get("solution"):  # folded away: who does not open it does not see it, and nothing runs it
                folded = f"<details><summary>Solution</summary>\n\n```python\n{cell.source}\n```\n\n</details>"
                book.cells[k] = nbformat.v4.new_markdown_cell(folded)
        book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(book, folder / f"{path.stem}.ipynb")
    for page in words.PAGES:
        text = (words.HERE / f"{page}.md").read_text(encoding="utf-8")
        (folder / f"{page}.md").write_text(re.sub(r"(\]\(\d\d_\w+)\.py", r"\1.ipynb", text), encoding="utf-8")
    print(f"{len(lessons)} notebooks are in {folder}")
    return 0


class Runner(ExecutePreprocessor):
    """Runs cells up to one that raises SystemExit: there a lesson is passed over, and has said why."""

    passed_over = False

    def preprocess_cell(self, cell: NotebookNode, resources: Any, index: int) -> tuple[NotebookNode, Any]:
        if not self.passed_over:
            cell, resources = super().preprocess_cell(cell, resources, index)
            kept = [output for output in cell.get("outputs", ()) if output.get("ename") != "SystemExit"]
            if len(kept) < len(cell.get("outputs", ())):
                self.passed_over, cell.outputs = True, kept
        return cell, resources


def execute(book: NotebookNode, folder: Path) -> list[str]:
    """Run the cells, in `folder`; what failed, in words. A cell that raises does not stop the others, but for SystemExit."""
    problems = []
    quiet = ["--IPKernelApp.log_level=ERROR"]
    try:
        runner = Runner(timeout=CELL_SECONDS, kernel_name="python3", allow_errors=True, extra_arguments=quiet)
        runner.preprocess(book, {"metadata": {"path": str(folder)}})
    except Exception as error:  # the kernel died, or a cell took too long: what there is, is shown
        problems.append(f"the lesson stopped: {type(error).__name__}: {str(error).strip().splitlines()[-1]}")
    heading = ""
    for cell in book.cells:
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ (.+)$", cell.source, re.MULTILINE) or [heading])[-1]
        for output in cell.get("outputs", ()):
            if output.output_type == "error":
                problems.append(f"a cell failed: {output.ename} {output.evalue}".strip())
            elif "image/png" in output.get("data", {}):
                output.metadata["image/png"] = {"alt": f"figure: {heading}"}  # for those who do not see it
    return problems


def write(lessons: list[Path], target: Path) -> int:
    """Execute the lessons and join them into one self-contained HTML file. Returns 1 if a cell failed, else 0.

    Beside it lies the page to play with, play.html: each leads to the other.
    """
    play.build(tinynet(), target.with_name("play.html"), links={"The lessons": target.name})
    address = {int(path.stem[:2]): f"#{path.stem}" for path in lessons}
    exporter = HTMLExporter(template_name="basic", exclude_anchor_links=True, embed_images=True)
    titles, bodies, failed = {}, [], 0
    for i, path in enumerate(lessons, 1):
        print(f"[{i}/{len(lessons)}] {path.stem}", flush=True)
        book = notebook(path, address, "#glossary--{}")
        titles[path.stem] = re.search(r"^# (.+)$", book.cells[0].source, re.MULTILINE)[1]
        problems = execute(book, path.parent)
        failed += bool(problems)
        for problem in problems:
            print(f"    FAILED: {problem}", flush=True)
        body = _anchored(_body(book, exporter), path.stem)
        notes = "".join(f'<p class="failed">{escape(problem)}</p>' for problem in problems)
        bodies.append(f'<section id="{path.stem}">{notes}{body}{_neighbours(lessons, i - 1)}</section>')
    for page in words.PAGES:
        text = (words.HERE / f"{page}.md").read_text(encoding="utf-8")
        titles[page] = words.HEADING.search(text)[1]
        cell = nbformat.v4.new_markdown_cell(words.inside_the_book(text, page, [path.stem for path in lessons]))
        body, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
        bodies.append(
            f'<section id="{page}">{_anchored(body, page)}<nav><a href="#contents">contents</a></nav></section>'
        )
    target.write_text(_linked_pages(_page(titles, bodies), target), encoding="utf-8")
    print(
        f"the book is {target}, with the page to play with beside it"
        + (f"; {failed} of {len(lessons)} lessons have cells that failed" if failed else "")
    )
    return int(failed > 0)


def _body(book: NotebookNode, exporter: HTMLExporter) -> str:
    """An executed notebook as HTML, its solutions, with what they print, folded away."""
    parts = []
    for is_solution, cells in groupby(book.cells, key=lambda cell: bool(cell.metadata.get("solution"))):
        html, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=list(cells), metadata=book.metadata))
        parts.append(f"<details><summary>Solution</summary>{html}</details>" if is_solution else html)
    return "".join(parts)


def _anchored(body: str, section: str) -> str:
    """The headings with anchors that no other section has: SECTION--ANCHOR."""
    plain = lambda html: unescape(re.sub("<.*?>", "", html))  # noqa: E731
    mark = lambda h: f'<h{h[1]} id="{section}--{words.anchor(plain(h[2]))}">{h[2]}</h{h[1]}>'  # noqa: E731
    return re.sub(r"<h([1-6])>(.*?)</h\1>", mark, body, flags=re.DOTALL)


def _linked_pages(book: str, target: Path) -> str:
    """The book with links where it speaks of the page to play with, and of the atlas that a lesson has left beside it."""
    for said, file in (("minicnn play --open", "play.html"), ("lessons/out/17_an_atlas.html", "17_an_atlas.html")):
        if target.with_name(file).exists():
            book = book.replace(f"<code>{said}</code>", f'<a href="{file}"><code>{said}</code></a>')
    return book


def _neighbours(lessons: list[Path], i: int) -> str:
    links = [(lessons[k].stem, words) for k, words in ((i - 1, "previous"), (i + 1, "next")) if 0 <= k < len(lessons)]
    links.insert(1 if i else 0, ("contents", "contents"))
    return "<nav>" + " ".join(f'<a href="#{target}">{words}</a>' for target, words in links) + "</nav>"


def _page(titles: dict[str, str], bodies: list[str]) -> str:
    contents = "".join(f'<li><a href="#{target}">{escape(title)}</a></li>' for target, title in titles.items())
    style = (Path(__file__).parent / "book.css").read_text(encoding="utf-8")
    light, dark = (HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "github-dark"))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>minicnn: the lessons</title>
<style>
{light}
@media (prefers-color-scheme: dark) {{
{dark}
}}
{style}</style>
</head>
<body>
<header id="contents"><h1>minicnn: the lessons</h1>
<p>Read them in their order. Beside this book lies <a href="play.html">a page to play with</a>: the network of the lessons runs in it.</p>
<ul>{contents}</ul></header>
<main>
{"".join(bodies)}
</main>
</body>
</html>
"""
