"""Files that someone made, or damaged, on purpose: an error, quickly, and nothing executed."""

from __future__ import annotations

import builtins
import collections
import contextlib
import io
import os
import pickle
import random
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

import minicnn
from minicnn.serialization import ForbiddenError, WeightsError, _unpickle, read_metadata


class Bomb:
    """Unpickled by Python's own machine, it would call `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Net(torch.nn.Module):
    """A class of this file, as a user pickles it whole."""


FORMATS = [pytest.param(True, id="zip"), pytest.param(False, id="stream")]
fired: list[str] = []


@pytest.mark.parametrize("new_format", FORMATS)
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (Bomb(os.system, "touch fired"), r"(posix|nt)\.system"),
        (Bomb(eval, "fired.append('eval')"), r"builtins\.eval|__builtin__\.eval"),
        (Bomb(exec, "fired.append('exec')"), r"builtins\.exec|__builtin__\.exec"),
        (Bomb(getattr, [], "append"), r"\.getattr"),
        (Bomb(fired.append, "append"), r"\.getattr"),
        (Bomb(pytest.fail, "unpickled"), r"_pytest\."),
        (collections.deque([1]), r"collections\.deque"),
        (np.arange(3), r"numpy\._core\.multiarray\._reconstruct"),
        (np.float64(3), r"numpy\._core\.multiarray\.scalar"),
        (torch.nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear|module"),
        (Net(), r"test_hostile_files\.Net|module"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("nested", [False, True])
def test_names_outside_of_the_list(tmp_path, monkeypatch, new_format, content, name, nested):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": [content]} if nested else content, "a.pth", _use_new_zipfile_serialization=new_format)
    with pytest.raises(WeightsError, match=name) as caught:
        minicnn.load("a.pth")
    assert "a.pth" in str(caught.value)
    if not isinstance(content, torch.nn.Module) or new_format:  # the older format refers to a module's source first
        assert isinstance(caught.value, pickle.UnpicklingError)
        assert "nothing was executed" in str(caught.value)
        assert "state_dict()" in str(caught.value)
    assert fired == []
    assert os.listdir(tmp_path) == ["a.pth"]


def zipped(path, pickled: bytes, **members: bytes):
    """An archive like torch.save's around a pickle of one's own."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/version", b"3\n")
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return path


def storage(kind: bytes = b"FloatStorage", key: str = "0", count: int = 4) -> bytes:
    """The instructions that put a storage on the stack."""
    text = lambda t: b"X" + struct.pack("<I", len(t)) + t.encode()  # noqa: E731
    size = b"\x8a\x09" + count.to_bytes(9, "little", signed=True)
    return b"(" + text("storage") + b"ctorch\n" + kind + b"\n" + text(key) + text("cpu") + size + b"tQ"


def number(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def tensor(offset=0, size=(4,), stride=(1,), **of) -> bytes:
    """A pickle of one tensor."""
    lengths = b"".join(b"(" + b"".join(map(number, part)) + b"t" for part in (size, stride))
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage(**of) + number(offset) + lengths
        + b"\x89ccollections\nOrderedDict\n)RtR."
    )  # fmt: skip


def refused(path, text: str) -> None:
    """A WeightsError with this text, and on the way less than three seconds of work and 50 MB of memory."""
    with frugal(), pytest.raises(WeightsError, match=text):
        minicnn.load(path)


@contextlib.contextmanager
def frugal():
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 3


def test_the_builder_of_hostile_files_builds_a_good_one(tmp_path):
    path = zipped(tmp_path / "a.pth", tensor(), archive__data__0=np.arange(4, dtype="f4").tobytes())
    assert minicnn.load(path).tolist() == torch.load(path).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"offset": 1}, r"shape \[4\] with strides \[1\] from number 1 on does not fit in its storage of 4 numbers"),
        ({"offset": -1}, "offset -1"),
        ({"offset": 2**62}, "offset"),
        ({"stride": (2,)}, "does not fit"),
        ({"stride": (-1,)}, "strides"),
        ({"size": (2, 3), "stride": (3, 1)}, "does not fit"),
        ({"size": (2**40,), "stride": (0,)}, "in a storage of only 4 numbers"),
        ({"size": (2**31, 2**31), "stride": (0, 0)}, "in a storage of only 4 numbers"),
        ({"size": (2**61, 2**61), "stride": (1, 1)}, "does not fit"),
        ({"size": (4, 4)}, r"shape \(4, 4\) with strides \(1,\)"),
        ({"size": (1,) * 70, "stride": (1,) * 70}, "a tensor of 70 dimensions: NumPy has at most 64"),
        ({"count": 5}, "has 16 bytes, and shall have 5 numbers"),
        ({"count": 2**60}, "has 16 bytes, and shall have"),
        ({"count": -4}, "has 16 bytes, and shall have -4 numbers"),
        ({"kind": b"DoubleStorage"}, "has 16 bytes, and shall have 4 numbers"),
        ({"kind": b"QInt8Storage"}, r"torch\.QInt8Storage"),
        ({"key": "1"}, "no member archive/data/'1'"),
        ({"key": "../../etc/passwd"}, "no member"),
        ({"key": ""}, "no member"),
    ],
    ids=str,
)
def test_offsets_sizes_and_paths(tmp_path, changed, text):
    data = np.arange(4, dtype="f4").tobytes()
    refused(zipped(tmp_path / "a.pth", tensor(**changed), archive__data__0=data), text)


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "archive/../../evil", "archive\\..\\evil"])
def test_paths_that_leave_the_archive(tmp_path, name):
    zipped(tmp_path / "a.pth", tensor(), archive__data__0=bytes(16))
    with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive:
        archive.writestr(name, b"x")
    refused(tmp_path / "a.pth", "leaves the archive")


def test_zip_bombs(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", tensor(count=2**24))
        with archive.open("archive/data/0", "w") as member:
            for _ in range(64):
                member.write(bytes(1 << 20))
    assert (tmp_path / "a.pth").stat().st_size < 1 << 20
    refused(tmp_path / "a.pth", "is compressed")


def test_members_that_lie_over_each_other(tmp_path):
    """A thousand storages of one megabyte each in a file of one: the directory names the same place again and again."""
    names = [f"archive/data/{k}" for k in range(1000)]
    parts = b"".join(tensor(size=(2**18,), count=2**18, key=str(k))[2:-1] for k in range(1000))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02(" + parts + b"t.")
        archive.writestr(names[0], bytes(2**20))
        first = archive.getinfo(names[0])
        for name in names[1:]:
            info = zipfile.ZipInfo(name)
            info.file_size = info.compress_size = first.file_size
            info.CRC, info.header_offset = first.CRC, first.header_offset
            archive.filelist.append(info)
            archive.NameToInfo[name] = info
        archive._didModify = True
    (tmp_path / "a.pth").write_bytes(data.getvalue())
    refused(tmp_path / "a.pth", "the file is too small")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        # Python's own machine makes room for 2**32 entries
        (b"\x80\x02]r" + struct.pack("<I", 2**32 - 1) + b".", "object 4294967295 of the memo after 0 others"),
        (b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"x.", "damaged"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", "damaged"),
        (b"\x80\x02X" + struct.pack("<I", 2**32 - 1) + b"x.", "damaged"),
        (b"\x80\x02" + b"(" * 10_000 + b"t" * 10_000 + b".", None),  # tuples in tuples
        (b"\x80\x02I" + b"9" * 100_000 + b"\n.", "damaged"),
        (b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"x.", "damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02", "damaged"),
        (b"", "damaged|no end"),
        (b"\x80\x02}(]K\x01u.", "a list as the key of a dictionary"),
        (b"\x80\x02}(K\x01u.", "a key without a value"),
        (b"\x80\x02]K\x01K\x02R.", "calls int"),
        (b"\x80\x02ccollections\nOrderedDict\nK\x01R.", "calls function"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "calls StorageType"),
        (b"\x80\x02]}b.", "sets the state of list"),
        (b"\x80\x02K\x01Q.", "refers to 1"),
        (b"\x80\x02\x95" + struct.pack("<Q", 2**60) + b".", "damaged"),
        (b"\x80\x02(iposix\nsystem\n.", "the instruction INST"),
        (b"\x80\x02\x82\x01.", "the instruction EXT1"),
        (b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", r"os\.system"),
        (b"\x80\x02c__builtin__\neval\n.", r"__builtin__\.eval"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", r"os\.system"),
        (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", r"builtins\.eval"),
    ],
    ids=lambda value: value[:12].hex() if isinstance(value, bytes) else None,
)
def test_pickles_that_nobody_should_run(tmp_path, code, text):
    path = zipped(tmp_path / "a.pth", code)
    if text is not None:
        refused(path, text)
        return
    with frugal():
        minicnn.load(path)


LAUGHS = b")" + b"".join(bytes((0x71, k, 0x68, k, 0x86)) for k in range(60))  # 2**60 empty tuples, in 61 objects
PAIRS = b"]q\x00(" + b"K\x01K\x02\x86" * 5_000 + b"e"
TEXT = b"X" + struct.pack("<I", 10**6) + b"x" * 10**6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "text"),
    [
        (LAUGHS + b"Q.", "refers to"),
        (b"(X\x07\x00\x00\x00storage" + LAUGHS + b"K\x00K\x00K\x00tQ.", "refers to the storage"),
        (b"}(" + LAUGHS + b"K\x01u.", "a tuple as the key of a dictionary"),
        (b"ctorch\ndevice\n" + LAUGHS + b"\x85R.", "a device that is no name"),
        (LAUGHS + b"\x8c\x01x\x93.", "a name that is no text"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage() + LAUGHS + b"))\x89}tR.", "offset"),
        (PAIRS + b"ccollections\nOrderedDict\nq\x01" + b"h\x01h\x00\x85R" * 1000 + b".", "again and again"),
        (
            TEXT + b"q\x00c_codecs\nencode\nq\x01" + b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R" * 1000 + b".",
            "again and again",
        ),
        (b"\x8b" + struct.pack("<i", 10**6) + b"x" * 10**6 + b".", "a number of 1000000 bytes"),
    ],
    ids=["reference", "storage", "key", "device", "name", "offset", "copies of pairs", "copies of text", "number"],
)
def test_small_files_that_would_grow(tmp_path, code, text):
    data = np.arange(4, dtype="f4").tobytes()
    refused(zipped(tmp_path / "a.pth", b"\x80\x02" + code, archive__data__0=data), text)


def test_a_pickle_may_have_so_many_instructions(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.pth", b"\x80\x02" + b"N" * 20_000 + b".")
    assert minicnn.load(path) is None
    monkeypatch.setattr(_unpickle, "MAX_OPCODES", 10_000)
    refused(path, "more than 10,000 instructions")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_torchscript_and_other_archives(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    refused(tmp_path / "script.pt", "TorchScript archive")
    with zipfile.ZipFile(tmp_path / "deep.pth", "w") as archive:
        archive.writestr("a/b/data.pkl", b"x")
    refused(tmp_path / "deep.pth", r"zip archive without data\.pkl")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"a": 1}))
    refused(tmp_path / "plain.pth", "torch.save did not write it")


def test_a_stream_that_promises_too_much(tmp_path):
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}))
    for count, text in ((2**50, "the file is too small"), (4, "the list of its storages")):
        (tmp_path / "a.pth").write_bytes(head + tensor(count=count) + b"\x80\x02]." + bytes(100))
        refused(tmp_path / "a.pth", text)
    for code in (b"X", b"B", b"T"):  # a text or bytes of 64 MB, for which a file would make room
        (tmp_path / "a.pth").write_bytes(head + b"\x80\x02" + code + struct.pack("<I", 2**26 - 1) + b"x.")
        refused(tmp_path / "a.pth", "cut short")
    whole = head + tensor() + b"\x80\x02]X\x01\x00\x00\x000a."
    (tmp_path / "a.pth").write_bytes(whole + struct.pack("<q", 4) + np.arange(4, dtype="f4").tobytes())
    assert minicnn.load(tmp_path / "a.pth").tolist() == [0, 1, 2, 3]
    for end, text in (
        (struct.pack("<q", 5), "has 5 numbers, and shall have 4"),
        (struct.pack("<q", 4) + b"x", "cut short"),
    ):
        (tmp_path / "a.pth").write_bytes(whole + end)
        refused(tmp_path / "a.pth", text)


# --- damage -----------------------------------------------------------------------------------------------------------


def small_checkpoint(new_format: bool) -> bytes:
    buffer = io.BytesIO()
    state = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).state_dict()
    torch.save({"state_dict": state, "epoch": 3}, buffer, _use_new_zipfile_serialization=new_format)
    return buffer.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("new_format", FORMATS)
def test_thousands_of_damaged_checkpoints(new_format):
    """Flipped, overwritten, cut out, doubled: a WeightsError, or what is there; never another error, never a crash."""
    whole, rng = small_checkpoint(new_format), random.Random(0)
    outcomes = collections.Counter()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("eval", "exec", "__import__"):
            patch.setattr(builtins, name, _watched(getattr(builtins, name), outcomes))
        for round_ in range(2500):
            damaged = bytearray(whole)
            for _ in range(rng.choice((1, 1, 1, 2, 8))):
                place = rng.randrange(len(damaged))
                kind = round_ % 4
                if kind == 0:
                    damaged[place] ^= 1 << rng.randrange(8)
                elif kind == 1:
                    damaged[place] = rng.randrange(256)
                elif kind == 2:
                    del damaged[place : place + rng.choice((1, 8, 100))]
                else:
                    damaged[place:place] = damaged[place : place + rng.choice((1, 8, 100))]
            try:
                minicnn.load(io.BytesIO(bytes(damaged)))
                outcomes["read"] += 1
            except WeightsError:
                outcomes["refused"] += 1
    assert outcomes["eval"] == outcomes["exec"] == 0
    assert outcomes["read"] + outcomes["refused"] == 2500
    assert outcomes["refused"] > (1000 if new_format else 300)  # the stream has no checksums for its numbers


def _watched(function, outcomes):
    def watched(*args, **kwargs):
        outcomes[function.__name__] += 1
        return function(*args, **kwargs)

    return watched


@pytest.mark.parametrize("new_format", FORMATS)
def test_every_truncation(tmp_path, new_format):
    whole, path = small_checkpoint(new_format), tmp_path / "a.pth"
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError):
            minicnn.load(path)
        with contextlib.suppress(WeightsError):
            read_metadata(path)


def test_a_flipped_bit_of_the_numbers_is_seen():
    """The zip format carries checksums; torch.load does not look at them."""
    whole = small_checkpoint(True)
    weight = minicnn.load(io.BytesIO(whole))["state_dict"]["0.weight"]
    place = whole.index(weight.numpy().tobytes())
    damaged = bytearray(whole)
    damaged[place] ^= 1
    with pytest.raises(WeightsError, match=r"data/0' is damaged: the checksum is another"):
        minicnn.load(io.BytesIO(bytes(damaged)))
    torch.load(io.BytesIO(bytes(damaged)))


def test_the_error_is_both():
    assert issubclass(ForbiddenError, WeightsError)
    assert issubclass(ForbiddenError, pickle.UnpicklingError)
