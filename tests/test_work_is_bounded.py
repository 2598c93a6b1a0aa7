"""Small files that ask for much: a WeightsError that says what, with a limit on the work. The limits are lowered here; what
they are, and that many small tensors pass them, stands below."""

from __future__ import annotations

import io
import json
import pickle
import struct
import tarfile
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
import safetensors.torch
import torch

import minicnn
from minicnn.serialization import WeightsError, _npz, _rebuild, _safetensors, _torch_tar, _unpickle, _zip, read_metadata


@contextmanager
def refused(text: str):
    with pytest.raises(WeightsError, match=text) as caught:
        yield
    assert len(str(caught.value)) < 1000


def pickled(body: bytes) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("a/version", b"3\n")
    buffer.seek(0)
    return buffer


def number(value: int) -> bytes:
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


# --- pickles ----------------------------------------------------------------------------------------------------------

SAME = 2**61 - 1  # Python looks for all multiples of it at one place


@pytest.mark.parametrize(
    "keys",
    [
        [number(SAME * k) for k in range(1, 21)],
        [number(-5 - k) for k in range(20)],
        [number(2**40 * k) for k in range(1, 21)],
        [b"G" + struct.pack(">d", k + 0.5) for k in range(20)],
        [number(SAME * k) + b"\x85" for k in range(1, 21)],
        [b"K\x01" + number(SAME * k) + b"\x86" for k in range(1, 11)],
    ],
)
@pytest.mark.parametrize("into", ["dictionary", "set", "pairs", "several"])
def test_keys_that_are_chosen(monkeypatch, keys, into):
    """So that a dictionary would compare each with all before it."""
    monkeypatch.setattr(_rebuild, "MAX_ODD_KEYS", 19)
    if into == "set":
        body = b"\x8f(" + b"".join(keys) + b"\x90"
    elif into == "pairs":
        body = b"ccollections\nOrderedDict\n](" + b"".join(key + b"N\x86" for key in keys) + b"e\x85R"
    elif into == "several":
        body = b"(" + b"".join(b"}" + key + b"Ns" for key in keys) + b"t"
    else:
        body = b"}(" + b"".join(key + b"N" for key in keys) + b"u"
    with refused("its dictionaries have more than 19 keys that are neither text nor a count"):
        minicnn.load(pickled(body))
    monkeypatch.setattr(_rebuild, "MAX_ODD_KEYS", 20)
    minicnn.load(pickled(body))


def test_keys_that_count_are_free(monkeypatch):
    monkeypatch.setattr(_rebuild, "MAX_ODD_KEYS", 0)
    for content in (
        dict.fromkeys(range(5000), 0),
        dict.fromkeys(reversed(range(1000)), 0),
        {f"{2**61 * k}": 0 for k in range(9)},
    ):
        buffer = io.BytesIO()
        torch.save(content, buffer)
        buffer.seek(0)
        assert minicnn.load(buffer) == content


@pytest.mark.parametrize("put", [b"r" + struct.pack("<I", 2**31), b"p2305843009213693951\n", b"p-1\n"])
def test_numbers_of_the_memo(put):
    with refused("of the memo after 0 others"):
        minicnn.load(pickled(b"]" + put))


@pytest.mark.parametrize(
    "body",
    [b"I" + b"9" * 3000 + b"\n", b"L" + b"9" * 3000 + b"L\n", b"p" + b"9" * 3000 + b"\n", b"g" + b"9" * 3000 + b"\n"],
)
def test_texts_of_digits(body):
    with refused("a number of 300[01] digits"):
        minicnn.load(pickled(b"]" + body))


@pytest.mark.parametrize(
    "body",
    [b"}" * 30, b"]" * 30, b"\x8f" * 30, b"(" * 30 + b"l" * 30, b"ccollections\nOrderedDict\nq\x00" + b"h\x00)R" * 30],
)
def test_objects_are_counted(monkeypatch, body):  # fmt: skip
    monkeypatch.setattr(_unpickle, "MAX_OBJECTS", 29)
    with refused("its pickle makes more than 29 objects"):
        minicnn.load(pickled(body))
    monkeypatch.setattr(_unpickle, "MAX_OBJECTS", 30)
    minicnn.load(pickled(body))


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ([1] * 70, "70 dimensions: NumPy has at most 64"),
        ([2**31, 2**31, 4], "does not fit in its storage of 4 numbers|in a storage of only 4"),
        ([2**61, 8], "does not fit|in a storage of only"),
        ([2**40, 2**40, 0], "damaged"),
        ([2**62], "shape"),
    ],
)
def test_shapes(shape, text):
    """With strides of 1 and 0, for which a product that overflows would fit into the storage."""
    for stride in (0, 1):
        size = b"(" + b"".join(map(number, shape)) + b"t" + b"(" + number(stride) * len(shape) + b"t"
        storage = b"(\x8c\x07storagectorch\nFloatStorage\n\x8c\x010\x8c\x03cpuK\x04tQ"
        tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00"
        buffer = pickled(tensor + size + b"\x89}tR")
        with zipfile.ZipFile(buffer, "a") as archive:
            archive.writestr("a/data/0", bytes(16))
        with refused(text):
            minicnn.load(buffer)


# --- zip and npz ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_table_of_contents_has_a_limit(tmp_path, monkeypatch, save):
    save(tmp_path / "a.npz", **{f"x{k}": np.ones(1) for k in range(20)})
    monkeypatch.setattr(_zip, "MAX_DIRECTORY", 1000)
    for read in (minicnn.load, read_metadata):
        with refused(r"its table of contents has 1,\d\d\d bytes: 1,000 are read"):
            read(tmp_path / "a.npz")


def test_a_compressed_archive_may_not_grow_without_end(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(100_000, np.float32), __metadata__=np.array("{}"))
    size = (tmp_path / "a.npz").stat().st_size
    assert minicnn.load(tmp_path / "a.npz")["x"].shape == (100_000,)
    monkeypatch.setattr(_npz, "MAX_UNPACKED", 300_000)
    for read in (minicnn.load, read_metadata):
        with refused(
            rf"its {size:,} bytes become 400,\d\d\d, more than 300,000 and more than 20 times its size.*numpy\.savez"
        ):
            read(tmp_path / "a.npz")
    monkeypatch.setattr(_npz, "MAX_RATIO", 400_500 // size + 1)
    minicnn.load(tmp_path / "a.npz")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_compression(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("x.npy", b"x")
    with refused("compressed in a way that NumPy never uses"):
        minicnn.load(tmp_path / "a.npz")


def npz(*headers: str, data: bytes = bytes(8)) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for k, header in enumerate(headers):
            archive.writestr(
                f"x{k}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data
            )
    buffer.seek(0)
    return buffer


HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (HEADER.replace("2,", "2" + " " * 3000), "its header has 3,057 bytes: 2,000 are read"),
        (HEADER.replace("2,", "9" * 1500), "cannot be read"),
        (HEADER.replace("2,", "1, " * 70), "NumPy has at most 64 dimensions"),
        (HEADER.replace("2,", f"{2**40}, {2**40}"), "an array of shape .* in"),
        (HEADER.replace("2,", f"{2**32}, {2**32}, 0"), "an array of shape .* in|cannot be read"),
        (HEADER.replace("2,", f"{2**62},"), "shape"),
        (HEADER.replace("2,", "-2,"), "shape"),
        (HEADER.replace("(2,)", "[2]"), "shape"),
        (HEADER.replace("2,", "True,"), "shape"),
        (HEADER.replace("<f4", "|O"), "type that tensors do not have"),
        (HEADER.replace("<f4", "<V2"), "type that tensors do not have"),
        (HEADER.replace("<f4", "<U2"), "type that tensors do not have"),
        (HEADER.replace("'<f4'", "[('a', '<f4')]"), "type that tensors do not have"),
        (HEADER.replace("False", "2"), "shape"),
        (HEADER.replace("<f4", "nonsense"), "cannot be read"),
        ("(" * 1900, "cannot be read"),
        ("'\\d'", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_headers_of_arrays(header, text):
    with refused(f"'x0' cannot be read.*({text})|{text}"):
        minicnn.load(npz(header))


def test_headers_of_other_programs(monkeypatch):
    """Python's literals are read too, a thousand of them."""
    other = '{"shape": (2, ), "fortran_order": False, "descr": "<f4"}'
    monkeypatch.setattr(_npz, "MAX_LITERALS", 2)
    assert minicnn.load(npz(other, HEADER, other))["x2"].tolist() == [0, 0]
    with refused("more than 2 headers of the archive are not as NumPy writes them"):
        minicnn.load(npz(other, other, other))


# --- tar --------------------------------------------------------------------------------------------------------------


def tar(*members: tuple[str, bytes], **of_last) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    return buffer


EMPTY = pickle.dumps(0, 2) + pickle.dumps([], 2)


def with_length(data: bytes, digits: bytes, kind: bytes = b"0") -> io.BytesIO:
    """The first header with another length, and the right checksum."""
    header = bytearray(data[:512])
    header[124:136], header[156:157] = digits.rjust(11, b"0") + b"\0", kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return io.BytesIO(bytes(header) + data[512:])


@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L", b"S"])
def test_a_tar_header_that_claims_a_terabyte(kind):
    whole = tar(("storages", EMPTY), ("tensors", EMPTY), ("pickle", b"\x80\x02}.")).getvalue()
    assert minicnn.load(io.BytesIO(whole)) == {}
    with refused(r"'storages' shall have 8,589,934,591 bytes: it is cut short"):
        minicnn.load(with_length(whole, b"7" * 11, kind))
    with refused("a number of its tar headers is"):
        minicnn.load(with_length(whole, b"-1", kind))


def test_tar_archives_of_others(monkeypatch):
    with refused("a tar archive without 'tensors'"):
        minicnn.load(tar(("storages", EMPTY), ("pickle", b"x")))
    with refused("other names and sizes, which torch.save never did"):
        minicnn.load(tar(("é" * 200, b"")))
    monkeypatch.setattr(_torch_tar, "MAX_MEMBERS", 3)
    with refused("a tar archive of more than 3 members"):
        minicnn.load(tar(*[(f"{k}", b"") for k in range(4)]))


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        (struct.pack("<iiq", 70, 0, 0), "70 dimensions: NumPy has at most 64"),
        (struct.pack("<iiq", -1, 0, 0), "-1 dimensions"),
        (struct.pack("<ii5q", 2, 0, 2**40, 2**40, 1, 1, 0), "does not fit"),
    ],
)
def test_tensors_of_a_tar_archive(tensors, text):
    storage = (
        pickle.dumps(1, 2)
        + b"\x80\x02(K\x05X\x03\x00\x00\x00cpuctorch\nFloatStorage\nt."
        + struct.pack("<q", 1)
        + bytes(4)
    )
    head = pickle.dumps(1, 2) + b"\x80\x02(K\x06K\x05ctorch\nFloatTensor\nt."
    with refused(text):
        minicnn.load(
            tar(("storages", storage + pickle.dumps([], 2)), ("tensors", head + tensors), ("pickle", b"\x80\x02}."))
        )


def test_a_storage_of_a_tar_archive_that_is_too_large():
    storage = (
        pickle.dumps(1, 2) + b"\x80\x02(K\x05X\x03\x00\x00\x00cpuctorch\nFloatStorage\nt." + struct.pack("<q", 2**40)
    )
    with refused("the file is too small"):
        minicnn.load(tar(("storages", storage), ("tensors", EMPTY), ("pickle", b"\x80\x02}.")))


# --- safetensors ------------------------------------------------------------------------------------------------------


def safe(header: dict | str, data: bytes = bytes(16)) -> io.BytesIO:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return io.BytesIO(len(text).to_bytes(8, "little") + text + data)


def entry(shape: list, end: int = 16, kind: str = "F32", start: int = 0) -> dict:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ({"x": entry([4] + [1] * 69)}, "'x' has 70 dimensions: NumPy has at most 64"),
        ({"x": entry([2**33, 2**33])}, "shall lie in 16 bytes"),
        ({"x": entry([2**62, 4])}, "shape"),
        ({"x": entry([-4])}, "shape"),
        ({"x": entry([4.0])}, "shape"),
        ({"x": entry([True] * 4)}, "shape"),
        ({"x": entry([3])}, "shall lie in 16 bytes"),
        ({"x": entry([4], kind="F4")}, "'x' is of type 'F4', which NumPy does not have"),
        ({"x": entry([4], kind=["F32"])}, "is of type"),
        ({"x": entry([4]), "y": entry([4])}, "begin at 0, those before end at 16"),
        ({"x": entry([2], 12, start=4)}, "begin at 4, those before end at 0"),
        ({"x": entry([2], 8)}, "and shall have"),
        ({"x": entry([8], 32)}, "and shall have"),
        ({"x": entry([4]) | {"more": 1}}, "is described by"),
        ({"x": 5}, "is described by 5"),
        ([], "its header is list|is neither"),
        ('{"x": ' + "[" * 100_000, "its header is no JSON"),
        ('{"x": ' + "9" * 5000 + "}", "a number of 4,300 digits or more"),
        ('{"x": NaN}', "is described by nan"),
        ('{"\\ud800', "no JSON"),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_headers_of_safetensors(header, text):
    with refused(text):
        minicnn.load(safe(header))


def test_long_headers_and_names_of_digits(monkeypatch):
    name = "layer." + "9" * 4000
    assert list(minicnn.load(safe({name: entry([4])}))) == [name]
    monkeypatch.setattr(_safetensors, "MAX_HEADER", 1000)
    with refused(r"its header shall have 4,\d\d\d bytes"):
        minicnn.load(safe({name: entry([4])}))


# --- what is many, and no attack --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "stream", "safetensors", "bfloat16"])
def test_work_grows_with_the_number_of_tensors(tmp_path, kind, monkeypatch):
    """Not with its square: the header is parsed once, the pickle gone through once, no file opened anew."""
    state = {f"layer.{k}.weight": torch.full((2, 3), float(k)) for k in range(400)}
    if kind == "bfloat16":
        state = {name: value.bfloat16() for name, value in state.items()}
    if kind in ("zip", "stream"):
        torch.save(state, tmp_path / "a", _use_new_zipfile_serialization=kind == "zip")
    else:
        safetensors.torch.save_file(state, tmp_path / "a")

    class Counted(io.BytesIO):
        taken = 0

        def read(self, count=-1):
            data = super().read(count)
            Counted.taken += len(data)
            return data

        def readinto(self, buffer):
            Counted.taken += len(buffer)
            return super().readinto(buffer)

    whole = (tmp_path / "a").read_bytes()
    loaded = minicnn.load(Counted(whole))
    assert {name: value.tolist() for name, value in loaded.items()} == {
        name: value.tolist() for name, value in state.items()
    }
    assert Counted.taken < 2 * len(whole)


def test_forty_thousand_tensors_are_within_the_limits():
    """And twice as many; they are counted from a checkpoint of parameters, which take the most."""
    buffer = io.BytesIO()
    torch.save([torch.nn.Parameter(torch.ones(1)) for _ in range(100)], buffer)
    buffer.seek(0)
    with zipfile.ZipFile(buffer) as archive:
        directory = archive.fp.seek(0, 2) - archive.start_dir
        body = archive.read(archive.namelist()[0])
    machine = _unpickle.Machine(io.BytesIO(body), lambda saved_id: np.ones(1, np.float32))
    machine.run(100 * _unpickle.MAX_OPCODES // 80_000)
    assert machine.objects * 800 <= _unpickle.MAX_OBJECTS
    assert directory * 800 <= _zip.MAX_DIRECTORY
    assert _torch_tar.MAX_TENSORS >= 80_000
    assert (
        len(json.dumps({"a.layer.of.a.network.weight": entry([1000, 1000, 3, 3], 10**9, start=10**9)})) * 80_000
        < _safetensors.MAX_HEADER
    )
    assert _rebuild.MAX_DIMENSIONS == 64
