"""The forms of an atlas on disk hold the same pages, and replace each other as a whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from pathlib import Path

import pytest
from atlas_network import network
from large_atlas import contents

from minicnn import atlas
from minicnn.atlas import writing
from minicnn.atlas.writing import FORMS, LARGE, PART, advice, cut, write

pytestmark = pytest.mark.slow
LAYERS, WIDTH = 4, 30


@pytest.fixture(scope="module")
def made():
    return contents(LAYERS, WIDTH, 96, photographs=2)


@pytest.fixture(scope="module")
def written(made, tmp_path_factory):
    """{form: its document}."""
    path = tmp_path_factory.mktemp("forms")
    sizes = {form: write(made, path / f"{form}.html", form) for form in FORMS}
    assert sizes["all"] == (path / "all.html").stat().st_size
    files = [path / "folder.html", *folder_of(path / "folder.html").iterdir()]
    assert sizes["folder"] == sum(file.stat().st_size for file in files)
    return {form: path / f"{form}.html" for form in FORMS}


def folder_of(document: Path) -> Path:
    """The folder that a document names."""
    (address,) = re.findall('<meta name="minicnn-pages" content="([^"]+)">', document.read_text(encoding="utf-8"))
    return document.parent / address


def parts(document: Path) -> dict:
    """{name: content} of the parts that a document has in it, or beside it."""
    text = document.read_text(encoding="utf-8")
    found = re.findall('<script type="application/json" id="([^"]+)">(.*?)</script>', text)
    if '<meta name="minicnn-pages"' in text:
        files = {file.stem: file.read_text(encoding="utf-8") for file in folder_of(document).iterdir()}
        found = [re.fullmatch(r'part\("([^"]+)",(.*)\)', file).groups() for file in files.values()]
        assert [name for name, _ in found] == list(files)
    return {name: json.loads(content) for name, content in found}


def state(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- the same in each form ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["parts", "folder"])
def test_each_form_has_the_same_pages_pictures_and_index(form, written):
    whole, found = written["all"].read_text(encoding="utf-8"), parts(written[form])
    index, expected = found.pop("index"), parts(written["all"])["index"]
    starts = {kind: index.pop(kind) for kind in ("pages", "styles")}
    assert index == expected
    ids = index["id"].split("\n")
    assert len(ids) == 1 + LAYERS * (1 + WIDTH) + 2  # the overview, layers and units, folder and words
    assert {len(column.split("\n")) for column in index.values()} == {len(ids)}
    for kind, first in (("pages", 1), ("styles", 0)):
        cuts = [found.pop(f"{kind}{number}") for number in range(len(starts[kind]) - 1)]
        assert len(cuts) > 1
        assert starts[kind] == [first + sum(map(len, cuts[:number])) for number in range(len(cuts) + 1)]
        items = [item for some in cuts for item in some]
        assert all(item in whole for item in items)
        if kind == "pages":
            assert [re.match(r'<\w+ id="([^"]+)" class="page"', page)[1] for page in items] == ids[1:]
        else:
            assert all(rule.startswith(f".i{number}{{background-image:url(data:") for number, rule in enumerate(items))
    assert not found
    shown = [int(number) for number in index["picture"].split("\n") if number]
    assert shown == list(range(2, 2 + LAYERS * WIDTH)), "after those of the two photographs"


def test_a_document_without_the_pages_has_the_overview_and_a_sentence_for_those_without_scripts(written):
    for form, document in written.items():
        text = document.read_text(encoding="utf-8")
        plain = re.sub('<script type="application/json".*?</script>', "", text)
        assert plain.count('class="page"') == (1 + LAYERS * (1 + WIDTH) + 2 if form == "all" else 1)
        assert ("<noscript>" in plain) == (form != "all")
        (policy,) = re.findall('Content-Security-Policy" content="([^"]+)"', text)
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        digest = re.fullmatch(r"'sha256-[\w+/]+='( 'strict-dynamic')?", rules.pop("script-src"))
        assert digest and bool(digest[1]) == (form == "folder"), (
            "only the script may bring scripts, and only where it must"
        )
        assert rules == {"default-src": "'none'", "img-src": "data:", "style-src": "'unsafe-inline'", "base-uri": "'none'",
                         "form-action": "'none'"}  # fmt: skip


def test_parts_are_filled():
    items = ["x" * size for size in (60_000, 39_999, 1, 5, 250_000, 7)]
    assert [[len(item) for item in part] for part in cut(items)] == [[60_000, 39_999, 1], [5, 250_000], [7]]
    assert PART == 100_000 and list(cut([])) == []


def test_what_a_part_says_does_not_end_it():
    hostile = ["</script><!-- <SCRIPT> ]]>", "</style> & <b>"]
    written = writing._inert("pages0", hostile)
    (content,) = re.fullmatch('<script type="application/json" id="pages0">(.*)</script>', written).groups()
    assert not re.search("</|<!|<script", content, re.IGNORECASE)
    assert json.loads(content) == hostile


def test_a_large_atlas_is_advised_to_lie_in_parts():
    assert "--pages folder" in advice("all", LARGE + 1)
    assert advice("all", LARGE) is None is advice("folder", 50_000)


# --- written as a whole, or not at all ----------------------------------------------------------------------------------


@pytest.fixture
def other(made):
    """The same pages under another title, which is in the overview and in the index."""
    return type(made)(made.plan, "Another title", made.units)


def test_a_new_atlas_takes_the_old_one_s_place(made, other, tmp_path):
    output, pages = tmp_path / "a b#.html", tmp_path / "a b#.html.pages"
    write(made, output, "folder")
    (tmp_path / "mine.txt").write_text("mine")
    first = [path for path in pages.iterdir() if path.is_dir()]
    write(made, output, "folder")
    assert [path for path in pages.iterdir() if path.is_dir()] == first, "the same pages have the same name"
    write(other, output, "folder")
    (new,) = (path for path in pages.iterdir() if path.is_dir())
    assert new not in first and f"a%20b%23.html.pages/{new.name}" in output.read_text(encoding="utf-8")
    write(other, output, "parts")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a b#.html", "mine.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=repr)
@pytest.mark.parametrize("where", ["part", "document"])
@pytest.mark.parametrize("earlier", ["folder", "all", None])
def test_an_interrupted_one_leaves_the_old_one_whole(error, where, earlier, made, other, tmp_path, monkeypatch):
    output = tmp_path / "a.html"
    if earlier:
        write(made, output, earlier)
    before = state(tmp_path)
    real = Path.write_bytes

    def part(path, content):
        if path.name == "styles0.js":
            real(path, content[:100])
            raise error
        return real(path, content)

    def document(path, text):
        raise error

    if where == "part":
        monkeypatch.setattr(Path, "write_bytes", part)
    else:
        real_write = writing._write
        monkeypatch.setattr(
            writing, "_write", lambda path, text: (document if path == output else real_write)(path, text)
        )
    with pytest.raises(type(error)) as raised:
        write(other, output, "folder")
    if where == "part" and isinstance(error, OSError):
        assert str(raised.value.filename).endswith("styles0.js")
    assert state(tmp_path) == before
    monkeypatch.undo()
    write(other, output, "folder")
    assert "Another title" in output.read_text(encoding="utf-8") and len(parts(output)) > 5


def test_parts_that_somebody_removed_are_there_again(made, tmp_path):
    output = tmp_path / "a.html"
    write(made, output, "folder")
    whole = state(tmp_path)
    (folder_of(output) / "pages0.js").unlink()
    write(made, output, "folder")
    assert state(tmp_path) == whole


def test_what_a_killed_run_left_is_removed_after_a_day(made, tmp_path):
    output = tmp_path / "a.html"
    write(made, output, "folder")
    left = [folder_of(output).parent / name for name in (f".{'a' * 32}.partial", "b" * 16, "mine")]
    for folder in left:
        folder.mkdir()
        (folder / "pages0.js").write_text("part(")
    write(made, output, "folder")
    assert all(folder.is_dir() for folder in left), "another run may be writing them"
    for folder in left:
        os.utime(folder, (time.time() - 2 * writing.DAY,) * 2)
    write(made, output, "folder")
    assert [folder.is_dir() for folder in left] == [False, False, True]
    assert folder_of(output).is_dir()


def test_a_folder_of_somebody_else_is_left_alone(made, tmp_path):
    output, pages = tmp_path / "a.html", tmp_path / "a.html.pages"
    settings = dict(
        pages="folder", units=1, steps=1, progress=False, say=lambda line: pytest.fail("the work had begun")
    )
    pages.mkdir()
    (pages / "README.txt").write_text("my photographs")
    with pytest.raises(FileExistsError, match=r"a\.html\.pages is not a folder of an atlas' pages"):
        atlas.build(network(), output, **settings)
    with pytest.raises(FileExistsError):
        write(made, output, "folder")
    assert state(tmp_path) == {"a.html.pages/README.txt": b"my photographs"}
    write(made, output, "all")
    assert state(pages) == {"README.txt": b"my photographs"}
    (pages / "README.txt").unlink()
    write(made, output, "folder")
    mine = folder_of(output) / "mine.txt"
    mine.write_text("mine")
    write(made, output, "all")
    assert mine.read_text() == "mine" and state(pages).keys() == {"README.txt", f"{mine.parent.name}/mine.txt"}


def test_wrong_forms_are_refused_before_the_work(tmp_path):
    settings = dict(units=1, steps=1, progress=False, say=lambda line: pytest.fail("the work had begun"))
    with pytest.raises(ValueError, match="pages='book': the pages of an atlas are all, parts, folder"):
        atlas.build(network(), tmp_path / "a.html", pages="book", **settings)
    (tmp_path / "a.html.pages").write_text("a file")
    with pytest.raises(NotADirectoryError, match=r"a\.html\.pages is a file"):
        atlas.build(network(), tmp_path / "a.html", pages="folder", **settings)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is not a file"):
        atlas.build(network(), tmp_path / "pipe", pages="folder", **settings)
