"""The photographs that come with minicnn: free, few bytes, each with its source."""

from __future__ import annotations

import json
import re

import numpy as np
from PIL import Image

from minicnn import viz
from minicnn.cli import main

FOLDER = viz.sample_folder()
TABLE = (FOLDER.parent / "README.md").read_text(encoding="utf-8")


def test_every_photograph_has_a_source_and_a_free_licence():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TABLE.splitlines() if ".jpg |" in line]
    assert [row[0] for row in rows] == sorted(path.name for path in FOLDER.iterdir())
    assert all(len(row) == 5 and all(row) for row in rows)
    assert {licence for _, _, licence, _, _ in rows} == {"public domain", "CC0"}


def test_they_are_58_photographs_below_3_megabytes():
    paths = list(FOLDER.iterdir())
    assert len(paths) == 58 and re.findall(r"\d+", TABLE)[0] == "58"
    assert sum(path.stat().st_size for path in paths) < 3e6
    for path in paths:
        picture = Image.open(path)
        assert picture.mode == "RGB" and min(picture.size) >= 198, path.name
        assert np.asarray(picture).std() > 10, path.name


def test_the_atlas_looks_through_them_if_no_folder_is_given(tmp_path, capsys):
    command = ["atlas", "--layers", "features.0", "--units", "1", "--steps", "1", "--estimate", "--json"]
    command += ["-o", str(tmp_path / "atlas.html")]
    for extra, photographs in ([], 58), (["--no-images"], 0):
        assert main([*command, *extra]) == 0
        assert json.loads(capsys.readouterr().out)["photographs"] == photographs
