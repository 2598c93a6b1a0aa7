"""Photographs where they lie: a folder, a list of paths, tar shards, Parquet files, a URL, or what is in memory.

`sources` lists them without reading a picture. What it gives is small, can be sent to another process, and is read there by a `Reader`.
"""

import os
from collections.abc import Iterator
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from minicnn.viz.image import decoded

MAX_PIXELS = 50_000_000  # of a file; one that has more is skipped
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")


def sample_folder() -> Path:
    """The folder of 58 photographs that come with minicnn, in the public domain or CC0: animals, buildings, things, landscapes.

    The table of their sources is beside it, in `minicnn/photographs/README.md`.
    """
    return Path(__file__).parent.parent / "photographs" / "images"


def sample_labels() -> dict[str, str]:
    """{file name in `sample_folder()`: what it shows}, of those photographs that show one of the bundled networks' 200 classes."""
    return dict(SAMPLE_LABELS)


SAMPLE_LABELS = {
    "bison.jpg": "bison", "bucket.jpg": "bucket", "cat.jpg": "tabby", "cliff_dwellings.jpg": "cliff dwelling", "cow.jpg": "ox",
    "dam.jpg": "dam", "espresso.jpg": "espresso", "frying_pan.jpg": "frying pan", "german_shepherd.jpg": "German shepherd",
    "goldfish.jpg": "goldfish", "koala.jpg": "koala", "kitten.jpg": "tabby", "pig.jpg": "hog", "plate.jpg": "plate",
    "pont_du_gard.jpg": "viaduct", "red_panda.jpg": "lesser panda", "rocky_shore.jpg": "seashore", "snowy_peak.jpg": "alp",
    "triumphal_arch.jpg": "triumphal arch",
}  # fmt: skip


class Member(NamedTuple):
    """A picture inside of a tar file: `size` bytes from `offset` on."""

    file: str
    name: str
    offset: int
    size: int


class Row(NamedTuple):
    """A picture in a Parquet file: the value `at` of a column in one of its groups of rows; `row` counts from its first row."""

    file: str
    column: str
    group: int
    at: int
    row: int


class Item(NamedTuple):
    """A picture of a Hugging Face dataset."""

    dataset: Any
    column: str
    at: int


class Broken(NamedTuple):
    """A file of many pictures that could not be listed, and why."""

    file: str
    reason: str


def sources(images: Any) -> Iterator[Any]:
    """What there is to read, in an order that is always the same.

    images: a folder, which is walked with all folders in it in the order of the names; a file; a text file (.txt) of paths, one a
    line, relative to its own folder; an iterable of paths and arrays; a Hugging Face dataset with a column of images; or a URL of a
    file or folder that the package `fsspec` opens, "s3://...". A .tar file, also one among others, stands for the pictures in it, as
    does a .parquet file, whose first column of images or bytes is taken.

    FileNotFoundError if a folder, file or URL that is named alone is not there. A shard that cannot be listed gives one `Broken`.
    """
    if isinstance(images, str | PathLike):
        yield from _of_path(os.fspath(images))
    elif hasattr(images, "features") and hasattr(images, "__getitem__"):
        column = _image_feature(images.features)
        yield from (Item(images, column, index) for index in range(len(images)))
    else:
        for source in images:
            yield from _inside(os.fspath(source)) if isinstance(source, str | PathLike) else [source]


def name_of(source: Any, number: int) -> str:
    """What a source is called: its path, with what is inside of a file behind it; "image 12" for what has no name."""
    if isinstance(source, Member):
        return f"{source.file}/{source.name}"
    if isinstance(source, Row):
        return f"{source.file}, row {source.row}"
    if isinstance(source, Broken):
        return source.file
    return source if isinstance(source, str) else f"image {number}"


def is_stored(source: Any) -> bool:
    """Whether it lies somewhere, and can be read again; an array or an open picture is in memory only."""
    return isinstance(source, str | Member | Row | Item)


def count_known(images: Any) -> int | None:
    """How many sources there are, where that is known without listing what is inside of files; for the progress bar."""
    if isinstance(images, str | PathLike):
        folder = os.fspath(images)
        if not os.path.isdir(folder):
            return None
        files = [name for _, _, names in os.walk(folder) for name in names]
        return None if any(_is_shard(name) for name in files) else len(files)
    shards = isinstance(images, list | tuple) and any(
        isinstance(i, str | PathLike) and _is_shard(os.fspath(i)) for i in images
    )
    return len(images) if hasattr(images, "__len__") and not shards else None


class Reader:
    """Reads pictures. Of a Parquet file it keeps the last group of rows, which is decompressed as a whole.

    channels: of the network that is to see them, see `viz.load_image`. max_pixels: a file of more is refused before it is decoded.
    """

    def __init__(self, channels: int = 3, max_pixels: int = MAX_PIXELS) -> None:
        self.channels, self.max_pixels = channels, max_pixels
        self._group: tuple[Any, Any] = (None, None)

    def read(self, source: Any) -> np.ndarray:
        """uint8 (H, W, 3), or (H, W, channels). ValueError and OSError say why it cannot be read; decoders of pictures in
        memory raise of everything."""
        if isinstance(source, Broken):
            raise ValueError(source.reason)
        if isinstance(source, Item):
            source = source.dataset[source.at][source.column]
        elif isinstance(source, Member):
            with _open(source.file) as file:
                file.seek(source.offset)
                source = BytesIO(file.read(source.size))
        elif isinstance(source, Row):
            source = self._cell(source)
        elif isinstance(source, str) and "://" in source:
            with _open(source) as file:
                source = BytesIO(file.read())
        elif isinstance(source, str) and source.lower().endswith(COMPRESSED):
            raise ValueError("a compressed tar file cannot be read in parts: decompress it to .tar")
        return decoded(source, self.max_pixels, self.channels)

    def _cell(self, row: Row) -> Any:
        import pyarrow.parquet as parquet

        if self._group[0] != row[:3]:
            with _open(row.file) as file:
                column = parquet.ParquetFile(file).read_row_group(row.group, columns=[row.column]).column(0)
            self._group = (row[:3], column)
        value = self._group[1][row.at].as_py()
        if isinstance(value, dict):  # as `datasets` stores an image: its bytes, or where it lies
            value = value.get("bytes") or value.get("path")
        if value is None:
            raise ValueError("the row holds no picture")
        return BytesIO(value) if isinstance(value, bytes) else os.path.join(os.path.dirname(row.file), value)


def _of_path(name: str) -> Iterator[Any]:
    if "://" in name:
        yield from _of_url(name)
    elif os.path.isdir(name):
        for folder, folders, files in os.walk(name):
            folders.sort()
            for file in sorted(files):
                yield from _inside(os.path.join(folder, file))
    elif not os.path.exists(name):
        raise FileNotFoundError(f"no such folder: {name}")
    elif name.lower().endswith(".txt"):
        for line in Path(name).read_text(encoding="utf-8").splitlines():
            if line.strip():
                yield from _inside(line if "://" in line else os.path.join(os.path.dirname(name), line.strip()))
    else:
        yield from _inside(name)


def _of_url(url: str) -> Iterator[Any]:
    system, path = _fsspec().core.url_to_fs(url)
    if system.isdir(path):
        for file in sorted(system.find(path)):
            yield from _inside(system.unstrip_protocol(file))
    elif system.exists(path):
        yield from _inside(url)
    else:
        raise FileNotFoundError(f"nothing at {url!r}")


def _is_shard(name: str) -> bool:
    return name.lower().endswith((".tar", ".parquet"))


def _inside(file: str) -> Iterator[Any]:
    if not _is_shard(file):
        yield file
        return
    try:
        yield from _members(file) if file.lower().endswith(".tar") else _rows(file)
    except ImportError:
        raise
    except Exception as error:  # pyarrow has errors of its own
        yield Broken(file, f"cannot be listed: {type(error).__name__}: {error}")


def _members(file: str) -> Iterator[Member]:
    """The pictures of a tar file by their names' endings; beside them a WebDataset has labels, which are none. Only headers are read."""
    import tarfile

    from PIL import Image

    endings = tuple(Image.registered_extensions())
    with _open(file) as opened, tarfile.open(fileobj=opened, mode="r:") as tar:
        for member in tar:
            tar.members = []  # type: ignore[attr-defined]  # which it would keep for as long as it is open
            if member.isreg() and member.name.lower().endswith(endings):
                yield Member(file, member.name, member.offset_data, member.size)


def _rows(file: str) -> Iterator[Row]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ImportError(f"{file}: pip install pyarrow reads Parquet files") from error
    with _open(file) as opened:
        table = parquet.ParquetFile(opened)
        column, row = _image_column(table.schema_arrow), 0
        for group in range(table.num_row_groups):
            for at in range(table.metadata.row_group(group).num_rows):
                yield Row(file, column, group, at, row)
                row += 1


def _image_column(schema: Any) -> str:
    """The first column of pictures as `datasets` stores them, else the first of bytes."""
    kinds = [(field.name, str(field.type)) for field in schema]
    found = [name for name, kind in kinds if kind.startswith("struct<bytes: ")]
    found += [name for name, kind in kinds if kind in ("binary", "large_binary")]
    if not found:
        raise ValueError(
            f"no column of pictures or bytes among {', '.join(f'{name} ({kind})' for name, kind in kinds)}"
        )
    return found[0]


def _image_feature(features: Any) -> str:
    found = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if not found:
        raise ValueError(f"the dataset has no column of images among {', '.join(features)}")
    return found[0]


def _open(file: str) -> BinaryIO:
    return _fsspec().open(file, "rb").open() if "://" in file else open(file, "rb")


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError as error:
        raise ImportError("pip install fsspec reads photographs from URLs") from error
    return fsspec
