"""Zip archives, which `.npz` and PyTorch's format are: `zipfile`, with a look at all sizes before anything is read."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from minicnn.serialization._errors import WeightsError

MAX_DIRECTORY = 8 << 20  # bytes of the table of contents: some 100,000 members


class Archive:
    """An open zip file: `members` by their names, all of them plain files inside of the archive and of the file."""

    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile, size: int) -> None:
        self.file, self.zip, self.size = file, archive, size
        self.literals = 0  # of NumPy's headers; see `_npz.py`
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename
            if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name in self.members:
                raise WeightsError(f"its member {name!r:.80} leaves the archive, or is there twice")
            if info.flag_bits & 1:
                raise WeightsError(f"its member {name!r:.80} is encrypted")
            if info.header_offset + info.compress_size > size:
                raise WeightsError(f"its member {name!r:.80} shall end behind the end of the file: it is cut short")
            self.members[name] = info

    def seek(self, info: zipfile.ZipInfo) -> None:
        """To the first byte of a member that is stored as it is: behind its local header, whose length the table does not know."""
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise WeightsError(f"its member {info.filename!r:.80} is compressed, which torch.save never does")
        self.file.seek(info.header_offset)
        header = self.file.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise WeightsError(f"the header of its member {info.filename!r:.80} is damaged")
        lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        self.file.seek(lengths, 1)

    def read(self, info: zipfile.ZipInfo, limit: int) -> bytes:
        """The bytes of such a member, `limit` of them at most."""
        if info.file_size > limit:
            raise WeightsError(f"its member {info.filename!r:.80} has more than {limit:,} bytes")
        self.seek(info)
        data = self.file.read(info.file_size)
        self.compare(info, zlib.crc32(data))
        return data

    @staticmethod
    def compare(info: zipfile.ZipInfo, checksum: int) -> None:
        """WeightsError unless the CRC-32 of a member is the one in the table of contents."""
        if info.CRC not in (0, checksum):  # 0: torch.serialization.set_crc32_options(False)
            raise WeightsError(f"its member {info.filename!r:.80} is damaged: the checksum is another")


@contextmanager
def opened_zip(file: BinaryIO, size: int) -> Iterator[Archive]:
    """The archive in a file of `size` bytes."""
    with zipfile.ZipFile(_Limited(file)) as archive:
        yield Archive(file, archive, size)


class _Limited:
    """A file for `zipfile`, which reads the table of contents in one piece and makes an object of each 46 bytes of it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.seek, self.tell, self.seekable = file, file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if count > MAX_DIRECTORY:
            raise WeightsError(f"its table of contents has {count:,} bytes: {MAX_DIRECTORY:,} are read")
        return self.file.read(count)
