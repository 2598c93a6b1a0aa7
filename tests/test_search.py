"""A search of many photographs: equal however they were cut, read where they lie, and continued where it was."""

import io
import json
import os
import sys
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from quick import one_of_each

import minicnn
from minicnn import nn, viz
from minicnn.cluster import in_chunks
from minicnn.cluster.faults import is_machines_fault
from minicnn.viz import checkpoint, ranking, sources
from minicnn.viz.ranking import Chunk, Found, look
from minicnn.viz.running_histogram import Histograms

top_patches = sys.modules["minicnn.viz.top_patches"]  # viz.top_patches is the function in it
rng = np.random.default_rng(0)


def network() -> nn.Module:
    minicnn.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(5, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 3)
    )  # fmt: skip


def photographs(count: int) -> list[np.ndarray]:
    """Some of them are equal, so that there are ties."""
    made = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(count)]
    return [made[i if i % 5 else 0] for i in range(count)]


def search_of(images, **settings):
    return viz.top_patches(network(), ["0", "3", "6"], images, k=4, size=16, batch=3, progress=False, **settings)


def same(a: viz.TopPatches, b: viz.TopPatches) -> None:
    assert (a.images, a.skipped, a.skipped_count) == (b.images, b.skipped, b.skipped_count)
    assert len(a.units) == len(b.units) == 14
    for one, two in zip(a.units, b.units, strict=True):
        for p, q in zip(one.patches, two.patches, strict=True):
            assert (p.image, p.number, p.value, p.position, p.box) == (q.image, q.number, q.value, q.position, q.box)
            np.testing.assert_array_equal(p.pixels, q.pixels)
        for name in ("counts", "edges", "count", "mean", "minimum", "maximum", "active"):
            np.testing.assert_array_equal(getattr(one.histogram, name), getattr(two.histogram, name))


@pytest.fixture
def folder(tmp_path):
    """29 photographs of which two are damaged."""
    there = tmp_path / "photographs"
    (there / "b").mkdir(parents=True)
    for i, picture in enumerate(photographs(29)):
        Image.fromarray(picture).save(there / ("b" if i % 2 else ".") / f"{i:02}.png")
    (there / "07.png").write_text("no picture")
    (there / "b" / "11.png").write_bytes((there / "b" / "11.png").read_bytes()[:60])
    return there


# ---- a merge without an order


@pytest.mark.parametrize("batches", one_of_each([2, 1, 3, 100], of=lambda batches: "some"))
def test_the_result_is_the_same_however_the_folder_was_cut(folder, monkeypatch, batches):
    whole = search_of(folder)
    monkeypatch.setattr(top_patches, "CHUNK", batches)
    same(search_of(folder), whole)
    assert whole.images == 28 and whole.skipped_count == 2  # 07.png is written beside the 29


@pytest.mark.parametrize("seed", one_of_each(range(5), of=lambda seed: "some"))
def test_parts_are_merged_in_any_order_and_in_any_groups(folder, seed):
    draw = np.random.default_rng(seed)
    search = caught(folder)
    every = list(ranking.chunks(sources.sources(folder), 3))
    alone = [look(search, chunk, {}) for chunk in every]
    found, groups = Found(search), [Found(search) for _ in range(3)]
    for i in draw.permutation(len(alone)):
        groups[draw.integers(3)].merge(alone[i])
    for i in draw.permutation(3):
        found.merge(groups[i])
    same(result_of(search, found), search_of(folder))


def caught(folder) -> ranking.Search:
    """The search of `search_of`."""
    kept = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_patches, "_search", lambda search, *rest: kept.append(search) or Found(search))
        with pytest.raises(ValueError, match="no picture among the images"):
            search_of(folder)
    return kept[0]


def result_of(search, found) -> viz.TopPatches:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(top_patches, "_search", lambda *rest: found)
        return search_of([])


def test_ties_go_to_the_earlier_picture():
    picture = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    numbers = [[patch.number for patch in unit.patches] for unit in search_of([picture] * 9 + [picture * 0]).units]
    assert [0, 1, 2, 3] in numbers
    assert all(found in ([0, 1, 2, 3], [9], [9, 0, 1, 2]) for found in numbers), numbers


def test_histograms_add_exactly():
    values = [
        (rng.standard_normal((2, 40)) * scale).astype(kind)
        for scale in (1e-4, 0, 3, 1e-38, 2e3, 1)
        for kind in ("f4", "f8")
    ]
    values += [np.full((2, 3), -1e-40, np.float32), np.array([[0.0, -0.0, 1, 2]] * 2), np.array([[1e16, 1, -1e16]] * 2)]
    every = np.concatenate([part[0].astype(float) for part in values])
    for cuts in range(1, len(values) + 1):
        parts = []
        for group in np.array_split(np.arange(len(values)), cuts):
            parts.append(Histograms(2, 64))
            for i in group:
                parts[-1].update([values[i]])
        whole = Histograms(2, 64)
        for i in rng.permutation(cuts):
            whole.merge(parts[i])
        found = whole.of(0)
        np.testing.assert_array_equal(found.counts, np.histogram(every, found.edges)[0])
        assert (found.minimum, found.maximum, found.count) == (every.min(), every.max(), every.size)
        if cuts == 1:
            first = found
        assert found.mean == first.mean and found.edges[-1] == first.edges[-1] == 2.0**54


def test_bins_are_a_power_of_two():
    with pytest.raises(ValueError, match="bins a power of two from 4 on; got 4, 3 and 12"):
        search_of([], bins=12)


# ---- where photographs lie


@pytest.fixture
def tar(folder, tmp_path):
    """The folder as a WebDataset has it: each photograph with its label."""
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as file:
        for name in sources.sources(folder):
            file.add(name, os.path.relpath(name, folder))
            label = tarfile.TarInfo(os.path.relpath(name, folder)[:-4] + ".cls")
            label.size = 1
            file.addfile(label, io.BytesIO(b"7"))
    return path


def without_names(result: viz.TopPatches) -> list:
    return [[(p.number, p.value, p.box, p.pixels.tobytes()) for p in unit.patches] for unit in result.units]


def test_a_tar_file_is_read_in_parts(folder, tar):
    found, expected = search_of(tar), search_of(folder)
    assert without_names(found) == without_names(expected)
    assert [(s.name.removeprefix(f"{tar}/"), s.reason) for s in found.skipped] == [
        (os.path.relpath(s.name, folder), s.reason) for s in expected.skipped
    ]
    patch = found.units[0].patches[0]
    assert patch.image.startswith(f"{tar}/")
    np.testing.assert_array_equal(
        found.photograph(patch.number), viz.load_image(folder / patch.image.removeprefix(f"{tar}/"))
    )
    with pytest.raises(KeyError):
        found.photograph(999)


def test_a_tar_file_among_others_and_one_that_is_cut_off(folder, tar):
    whole = tar.read_bytes()
    (folder / "z.tar").write_bytes(whole[: len(whole) // 2])
    (folder / "zz.tar").write_bytes(b"no tar" * 300)
    (folder / "zzz.tar.gz").write_bytes(b"compressed")
    found = search_of(folder)
    names = {s.name.rsplit("/", 1)[1]: s.reason for s in found.skipped}
    assert found.images > 28 + 10
    assert names["z.tar"].startswith("cannot be listed: ReadError")
    assert names["zz.tar"].startswith("cannot be listed: ReadError")
    assert names["zzz.tar.gz"] == "a compressed tar file cannot be read in parts: decompress it to .tar"
    assert sources.count_known(folder) is None and sources.count_known([tar]) is None


def test_a_list_of_paths(folder, tmp_path):
    names = [os.path.relpath(name, tmp_path) for name in sources.sources(folder)]
    (tmp_path / "list.txt").write_text("\n".join([*names, "", "nowhere.png"]))
    found = search_of(tmp_path / "list.txt")
    assert without_names(found) == without_names(search_of(folder))
    assert found.skipped[-1].name == str(tmp_path / "nowhere.png") and "No such file" in found.skipped[-1].reason


def test_a_hugging_face_dataset(folder):
    class Dataset(list):
        features = {"label": "int", "picture": type("Image", (), {})()}

    rows = [{"label": 1, "picture": Image.fromarray(picture)} for picture in photographs(7)]
    found = search_of(Dataset(rows))
    assert found.images == 7
    patch = found.units[0].patches[0]
    np.testing.assert_array_equal(found.photograph(patch.number), np.asarray(rows[patch.number]["picture"]))
    Dataset.features = {"label": "int"}
    with pytest.raises(ValueError, match="no column of images among label"):
        search_of(Dataset(rows))


def test_parquet_files(folder, tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    names = list(sources.sources(folder))
    cells = [{"bytes": Path(name).read_bytes(), "path": None} for name in names]
    cells[3] = {"bytes": None, "path": os.path.relpath(names[3], tmp_path)}
    table = pa.table({"label": list(range(len(names))), "image": cells})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=4)
    found = search_of(tmp_path / "a.parquet")
    assert without_names(found) == without_names(search_of(folder))
    assert found.skipped[0].name == f"{tmp_path / 'a.parquet'}, row {names.index(str(folder / '07.png'))}"
    parquet.write_table(pa.table({"label": [1, 2]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"no picture among.*no column of pictures or bytes among label \(int64\)"):
        search_of(tmp_path / "b.parquet")


def test_urls(folder, tar):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.put(str(folder), "/photographs", recursive=True)
    store.put(str(tar), "/shards/shard.tar")
    found = search_of("memory://photographs")
    assert (found.images, found.skipped_count) == (28, 2)
    patch = found.units[0].patches[0]
    assert patch.image.startswith("memory://") and found.photograph(patch.number).shape == (16, 16, 3)
    assert without_names(search_of("memory://shards/shard.tar")) == without_names(search_of(folder))
    with pytest.raises(FileNotFoundError, match="nothing at 'memory://elsewhere'"):
        search_of("memory://elsewhere")


@pytest.mark.parametrize("module, images, message", [
    ("fsspec", "s3://bucket/photographs", "pip install fsspec"), ("pyarrow", "a.parquet", "pip install pyarrow"),
])  # fmt: skip
def test_what_a_reader_needs_is_said(monkeypatch, tmp_path, module, images, message):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(ImportError, match=message):
        search_of(images)


def test_an_array_can_not_be_read_again():
    found = search_of(photographs(3))
    with pytest.raises(ValueError, match="image 0 was given as an array"):
        found.photograph(0)


def test_a_fault_of_the_machine_is_not_taken_for_a_damaged_picture(folder, monkeypatch):
    def full(self, source):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sources.Reader, "read", full)
    with pytest.raises(OSError, match="No space left"):
        search_of(folder)
    assert is_machines_fault(TimeoutError()) and not is_machines_fault(FileNotFoundError(2, "no such file"))


# ---- an interrupted search


def interrupted(folder, path, after: int, monkeypatch) -> None:
    """A search that ends with Ctrl-C when it has read so many sources."""
    read, count = sources.Reader.read, iter(range(10**6))

    def reads(self, source):
        if next(count) == after:
            raise KeyboardInterrupt
        return read(self, source)

    with monkeypatch.context() as patch:
        patch.setattr(sources.Reader, "read", reads)
        with pytest.raises(KeyboardInterrupt):
            search_of(folder, checkpoint=path)


@pytest.mark.parametrize("after", one_of_each([13, 0, 5, 29], of=lambda after: "some"))
def test_an_interrupted_search_goes_on_where_it_was(folder, tmp_path, monkeypatch, after):
    monkeypatch.setattr(top_patches, "CHUNK", 2)
    path, whole = tmp_path / "search.npz", search_of(folder)
    interrupted(folder, path, after, monkeypatch)
    seen, read = [], sources.Reader.read
    monkeypatch.setattr(sources.Reader, "read", lambda self, source: seen.append(source) or read(self, source))
    same(search_of(folder, checkpoint=path), whole)
    assert len(seen) == 30 - after // 6 * 6
    seen.clear()
    again = search_of(folder, checkpoint=path)
    same(again, whole)
    assert seen == [] and again.photograph(again.units[0].patches[0].number).shape == (16, 16, 3)


def test_an_end_in_the_middle_of_a_merge_is_not_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(top_patches, "CHUNK", 2)
    path, whole = tmp_path / "search.npz", search_of(folder)
    merge, count = ranking.Ranking.merge, iter(range(100))

    def merges(self, other):
        if next(count) == 7:  # of 3 layers: in the third chunk
            raise KeyboardInterrupt
        merge(self, other)

    monkeypatch.setattr(checkpoint, "SECONDS", -1)
    with monkeypatch.context() as patch:
        patch.setattr(ranking.Ranking, "merge", merges)
        with pytest.raises(KeyboardInterrupt):
            search_of(folder, checkpoint=path)
    with np.load(path) as file:
        assert json.loads(file["rest"].tobytes())["images"] == 11  # of 12 files
    same(search_of(folder, checkpoint=path), whole)


def test_the_checkpoint_of_something_else_is_refused(folder, tmp_path):
    path = tmp_path / "search.npz"
    search_of(folder, checkpoint=path)
    with pytest.raises(checkpoint.CheckpointError, match="of another search"):
        search_of(folder, checkpoint=path, crop_size=5)
    (folder / "00.png").rename(folder / "0.png")
    with pytest.raises(checkpoint.CheckpointError, match=r"the images have changed since, between .*0\.png and"):
        search_of(folder, checkpoint=path)
    for damaged in (b"", b"PK", path.read_bytes()[:-100], b'{"a": 1}'):
        path.write_bytes(damaged)
        with pytest.raises(checkpoint.CheckpointError, match="checkpoint"):
            search_of(folder, checkpoint=path)
        assert path.read_bytes() == damaged
    with pytest.raises(OSError, match="nowhere"):
        search_of(folder, checkpoint=tmp_path / "nowhere" / "search.npz")


# ---- chunks


def test_chunks_in_this_process_are_read_one_by_one():
    log = []

    def numbers():
        for i in range(3):
            log.append(f"read {i}")
            yield i

    for chunk, result in in_chunks(
        lambda shared, chunk, latest: (shared, chunk, latest), "s", numbers(), lambda: len(log)
    ):
        log.append(f"done {chunk}")
        assert result == ("s", chunk, len(log) - 1)
    assert log == ["read 0", "done 0", "read 1", "done 1", "read 2", "done 2"]


def test_workers_without_dask_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"minicnn\[cluster\]"):
        search_of(photographs(2), workers=2)


def test_chunk_is_what_it_says():
    assert list(ranking.chunks("abcde", 2)) == [Chunk(0, ["a", "b"]), Chunk(2, ["c", "d"]), Chunk(4, ["e"])]
    assert isinstance(sources.sources([]), types.GeneratorType)
