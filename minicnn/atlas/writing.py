"""An atlas on disk, in one of three forms that look and search alike.

"all": every page stands in the document, so it works without scripts too. "parts": one file as well, in which the pages and pictures lie
as inert text; the script takes out what is shown. "folder": they lie in a folder beside the file, and `<script src>` brings them in, since
a page that was opened from a disk may fetch nothing.
"""

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import quote

from minicnn.atlas.cache import beside
from minicnn.atlas.contents import Contents, Page
from minicnn.atlas.markup import Markup, el
from minicnn.atlas.page import document, pages
from minicnn.inspect.names import printable
from minicnn.serialization import atomic_write

FORMS = ("all", "parts", "folder")
LARGE = 1000  # units from which on a browser takes its time over all pages, see `python -m tests.large_atlas`
PART = 100_000  # characters of a part, about
DAY = 86_400  # seconds after which a folder that no atlas names was left behind by a run that was killed

README = "README.txt"
ABOUT = """Pages of an atlas, made by minicnn. The HTML file beside this folder shows them: move and send both together.
The next atlas of the same name replaces them.
"""


class Index:
    """What search knows of each page: five columns, a line for each page."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = []

    def add(self, page: Page) -> Markup:
        """Take a page down; its markup."""
        picture = "" if page.picture is None else str(page.picture)
        row = (page.id, page.name, page.find, page.about, picture)
        self._rows.append([printable(" ".join(text.splitlines())) for text in row])
        return page.markup

    def columns(self) -> dict[str, Any]:
        """By name."""
        names = ("id", "name", "find", "about", "picture")
        return {name: "\n".join(column) for name, column in zip(names, zip(*self._rows, strict=True), strict=True)}


def check_form(form: str, output: Path) -> None:
    """Before the work. Raises ValueError for no form, or a folder that would lie beside no file; OSError for one that is not ours."""
    if form not in FORMS:
        raise ValueError(f"pages={form!r}: the pages of an atlas are {', '.join(FORMS)}")
    if form == "folder" and output.exists() and not output.is_file():
        raise ValueError(f"{output} is not a file, beside which a folder of pages can lie")
    if form == "folder":
        _check_folder(beside(output, ".pages"))


def advice(form: str, units: int) -> str | None:
    """A sentence for those who let a large atlas stand in one document."""
    if form != "all" or units <= LARGE:
        return None
    return f"a browser opens {units:,} units sooner with pages that are read when they are shown: --pages folder, or parts for one file"


def write(contents: Contents, output: Path, form: str = "all") -> int:
    """Write an atlas; the number of its bytes. What was there before stays whole until all of the new one is there."""
    folder, before = beside(output, ".pages"), _named(output)
    if form == "folder":
        size, new = _write_folder(contents, output, folder, before)
    else:
        size, new = _write(output, _one_file(contents, form)), None
    for old in _generations(folder):
        if old.name != new and (old.name == before or old.stat().st_mtime < time.time() - DAY):
            _remove(old)
    _close(folder)
    return size


def _one_file(contents: Contents, form: str) -> str:
    index, found = Index(), pages(contents)
    shown = [index.add(next(found))]
    if form == "parts":
        inert = [_inert(name, content) for name, content in _parts(contents, found, index)]
        return document(contents, [_no_script(form), *shown], inert=inert)
    shown += map(index.add, found)
    return document(contents, shown, contents.pictures.rules, [_inert("index", index.columns())])


def _write_folder(contents: Contents, output: Path, folder: Path, before: str | None) -> tuple[int, str]:
    """The parts go into a folder in the folder, whose name is a hash of them; then the document that names it replaces the old one."""
    _check_folder(folder)
    folder.mkdir(exist_ok=True)
    _write(folder / README, ABOUT)
    index, found, digest, size = Index(), pages(contents), hashlib.sha256(), 0
    overview = index.add(next(found))
    new = partial = folder / f".{uuid.uuid4().hex}.partial"
    try:
        partial.mkdir()
        for name, content in _parts(contents, found, index):
            text = f"part({json.dumps(name)},{json.dumps(content, ensure_ascii=False)})"
            digest.update(text.encode())
            size += _write_part(partial / f"{name}.js", text)
        if hasattr(os, "sync"):  # once for thousands of files, before anything names them
            os.sync()
        new = _moved(partial, folder / digest.hexdigest()[:16])
        address = f"{quote(os.fsencode(folder.name))}/{new.name}"
        size += _write(output, document(contents, [_no_script("folder"), overview], folder=address))
    except BaseException:
        if new.name != before:
            _remove(new)
        raise
    finally:
        _remove(partial)
        _close(folder)
    return size, new.name


def _parts(contents: Contents, found: Iterable[Page], index: Index) -> Iterator[tuple[str, Any]]:
    """(name, content): the pages after the first, the pictures' rules of style, the index, which says where each of them begins."""
    starts = {}
    for kind, first, items in (("pages", 1, map(index.add, found)), ("styles", 0, contents.pictures.rules)):
        lengths = [first]
        for number, part in enumerate(cut(items)):
            lengths.append(len(part))
            yield f"{kind}{number}", part
        starts[kind] = list(accumulate(lengths))
    yield "index", index.columns() | starts


def cut(items: Iterable[str], most: int = PART) -> Iterator[list[str]]:
    """The items in their order, as many together as make a part: the last one fills it."""
    part: list[str] = []
    size = 0
    for item in items:
        part.append(item)
        size += len(item)
        if size >= most:
            yield part
            part, size = [], 0
    if part:
        yield part


def _inert(name: str, content: Any) -> str:
    """A part inside of the document, without anything that would end it."""
    text = json.dumps(content, ensure_ascii=False).replace("</", "<\\/")
    text = re.sub(r"<(?=!|script)", r"\\u003c", text, flags=re.IGNORECASE)
    return f'<script type="application/json" id="{name}">{text}</script>'


def _no_script(form: str) -> Markup:
    where = "in a folder beside this file" if form == "folder" else "in this file as text"
    text = f"The other pages lie {where}, and a script takes them out; here scripts are switched off. An atlas that needs none is made by "
    return el("noscript", el("p", text, el("code", "minicnn atlas --pages all"), ".", class_="warn"))


def _write(path: Path, text: str) -> int:
    with atomic_write(path) as file:
        return file.write(text.encode())


def _write_part(path: Path, text: str) -> int:
    try:
        return path.write_bytes(text.encode())
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk says none
        raise


def _check_folder(folder: Path) -> None:
    """Raises OSError if it is there and is not a folder of pages."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file: the folder of the atlas' pages would have this name")
    with suppress(OSError):
        if not any(folder.iterdir()) or (folder / README).read_bytes() == ABOUT.encode():
            return
    raise FileExistsError(
        f"{folder} is not a folder of an atlas' pages, and is left alone: move it, or name another output"
    )


def _named(output: Path) -> str | None:
    """The folder of parts that the atlas names which lies here now."""
    if not output.is_file():
        return None
    with output.open("rb") as file:
        found = re.search(rb'<meta name="minicnn-pages" content="[^"]*/([0-9a-f]{16})">', file.read(4096))
    return found and found[1].decode()


def _generations(folder: Path) -> list[Path]:
    """What `_write_folder` made in a folder that is ours, whether it came to an end or not."""
    names = re.compile(r"[0-9a-f]{16}|\.[0-9a-f]{32}\.partial")
    ours = (folder / README).is_file()
    return [path for path in folder.iterdir() if names.fullmatch(path.name) and not path.is_symlink()] if ours else []


def _moved(partial: Path, target: Path) -> Path:
    """A finished folder under its name. One that is there already has the same parts, unless somebody removed some."""
    try:
        partial.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        for part in partial.iterdir():
            part.replace(target / part.name)
        os.utime(target)
    return target


def _remove(generation: Path) -> None:
    """What is not a part is not ours, and stays, and with it the folder."""
    with suppress(OSError):
        for path in generation.iterdir():
            if re.fullmatch(r"(pages|styles)\d+\.js|index\.js|\.[0-9a-f]{32}\.partial", path.name):
                path.unlink()
        generation.rmdir()


def _close(folder: Path) -> None:
    """Remove the folder when nothing but its README is left."""
    with suppress(OSError):
        if [path.name for path in folder.iterdir()] == [README]:
            _check_folder(folder)
            (folder / README).unlink()
            folder.rmdir()
