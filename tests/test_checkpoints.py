"""`.pth` files: what torch.save wrote is read without PyTorch, and what minicnn writes torch.load reads."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

import minicnn
from minicnn import nn
from minicnn.serialization import WeightsError

FORMATS = [pytest.param(True, id="zip"), pytest.param(False, id="stream")]
ROOT = Path(minicnn.__file__).parents[1]


def assert_same(ours, theirs, place="obj"):
    """The same structure, types, numbers bit for bit; bfloat16 is float32 here."""
    if isinstance(theirs, torch.Tensor):
        numbers = theirs.detach().float() if theirs.dtype == torch.bfloat16 else theirs.detach()
        assert isinstance(ours, minicnn.nn.Parameter) == isinstance(theirs, torch.nn.Parameter), place
        assert ours.requires_grad == theirs.requires_grad, place
        assert ours.numpy().dtype == numbers.numpy().dtype if not ours.requires_grad else True, place
        np.testing.assert_array_equal(ours.detach().numpy(), numbers.numpy(), err_msg=place)
        return
    assert type(ours).__name__ == type(theirs).__name__, place
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), place
        for key in theirs:
            assert_same(ours[key], theirs[key], f"{place}[{key!r}]")
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs), place
        for k, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(mine, other, f"{place}[{k}]")
    else:
        assert str(ours) == str(theirs), place


TYPES = [
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "bool",
    "complex64",
    "complex128",
]


def everything():
    """A checkpoint with all that may stand in one."""
    torch.manual_seed(0)
    base, parameter = torch.randn(4, 6), torch.nn.Parameter(torch.randn(3))
    optimizer = torch.optim.Adam([parameter])
    parameter.sum().backward()
    optimizer.step()
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    return {
        "state_dict": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "numbers": [0.1, -5, 255, 65536, 2**40, -(2**100), None, True, False],
        "text": ("é ∇", "", b"ab\xff"),
        "base": base,
        "views": [base.t(), base[1:3, ::2], base[3], base[:0]],
        "expanded": torch.randn(3, 1).expand(3, 5),
        "shapes": [torch.zeros(0, 3), torch.tensor(3.5), torch.ones(1, 1, 1)],
        "types": [torch.arange(5).to(getattr(torch, name)) for name in TYPES],
        "parameters": [parameter, torch.nn.Parameter(torch.ones(2), requires_grad=False)],
        "leaf": torch.randn(2, requires_grad=True),
        "values": [torch.Size([2, 3]), torch.float16, torch.device("cpu")],
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new_format", FORMATS)
def test_everything_that_a_checkpoint_may_hold(tmp_path, new_format, protocol):
    theirs = {**everything(), "set": {1, 2}, "complex": 1 + 2j}
    torch.save(theirs, tmp_path / "all.pth", _use_new_zipfile_serialization=new_format, pickle_protocol=protocol)
    ours = minicnn.load(tmp_path / "all.pth")
    assert_same(ours, theirs)
    assert ours["state_dict"]._metadata == theirs["state_dict"]._metadata
    assert_same(minicnn.load(io.BytesIO((tmp_path / "all.pth").read_bytes())), theirs)


@pytest.mark.parametrize("new_format", FORMATS)
def test_memory_is_shared_as_it_was(tmp_path, new_format):
    theirs = everything()
    torch.save(theirs, tmp_path / "all.pth", _use_new_zipfile_serialization=new_format)
    for loaded in (minicnn.load(tmp_path / "all.pth"), torch.load(tmp_path / "all.pth")):
        loaded["base"][1, 0] = 7.0
        loaded["views"][0][5, 3] = 8.0
        assert loaded["views"][1][0, 0] == 7.0
        assert loaded["views"][2][5] == 8.0
        loaded["state_dict"]["0.weight"].fill_(1.0)
        assert loaded["state_dict"]["0.bias"].abs().max() < 1


@pytest.mark.parametrize("special", [float("nan"), float("inf"), -0.0, 1e-45])
def test_bit_for_bit(tmp_path, special):
    torch.save(torch.tensor([special, 1.0]), tmp_path / "x.pth")
    assert minicnn.load(tmp_path / "x.pth").numpy().tobytes() == torch.tensor([special, 1.0]).numpy().tobytes()


def test_every_bfloat16(tmp_path):
    values = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    torch.save(values, tmp_path / "b.pth")
    got = minicnn.load(tmp_path / "b.pth").numpy()
    np.testing.assert_array_equal(got.view(np.uint32), values.float().numpy().view(np.uint32))


def test_files_without_checksums(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(torch.ones(3), tmp_path / "x.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert minicnn.load(tmp_path / "x.pth").tolist() == [1, 1, 1]


def tar_checkpoint(path):
    """What torch.save wrote before version 0.1.10, as torch.load still reads it: torchvision's files of 2016."""
    values = {"weight": np.arange(6, dtype="<f4").reshape(2, 3), "bias": np.array([0.5, -0.5], "<f4")}
    storages, tensors = pickle.dumps(2, 2), pickle.dumps(3, 2)
    body = b"\x80\x02ccollections\nOrderedDict\n)R("
    for k, value in enumerate(values.values()):
        entry = b"\x80\x02(" + pickle.dumps(k, 2)[2:-1] + b"X\x03\x00\x00\x00cpuctorch\nFloatStorage\nt."
        storages += entry + struct.pack("<q", value.size) + value.tobytes()
    views = [(k, k, value.shape, [s // 4 for s in value.strides]) for k, value in enumerate(values.values())]
    views += [(2, 0, (3, 2), [1, 3])]  # the weight, transposed
    for k, root, size, stride in views:
        key = 10 + k
        tensors += b"\x80\x02(" + pickle.dumps(key, 2)[2:-1] + pickle.dumps(root, 2)[2:-1] + b"ctorch\nFloatTensor\nt."
        tensors += struct.pack(f"<ii{2 * len(size) + 1}q", len(size), 0, *size, *stride, 0)
        name = [*values, "transposed"][k].encode()
        body += (
            b"X" + struct.pack("<I", len(name)) + name + pickle.dumps(str(key), 2)[2:-1].replace(b"q\x00", b"") + b"Q"
        )
    storages += pickle.dumps([], 2)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (("sys_info", b""), ("pickle", body + b"u."), ("storages", storages), ("tensors", tensors)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_tar_archives_of_before_0_1_10(tmp_path):
    path = tar_checkpoint(tmp_path / "old.pth")
    theirs, ours = torch.load(path, weights_only=False), minicnn.load(path)
    assert_same(ours, theirs)
    assert list(ours) == ["weight", "bias", "transposed"]
    assert np.shares_memory(ours["weight"].numpy(), ours["transposed"].numpy())
    whole = path.read_bytes()
    for length in range(512, len(whole) - 10240 + 6 * 512, 64):
        path.write_bytes(whole[:length])
        with contextlib.suppress(WeightsError):
            minicnn.load(path)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole) // 2)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with contextlib.suppress(WeightsError):
            minicnn.load(path)


def test_map_location_is_accepted(tmp_path):
    torch.save(torch.ones(3), tmp_path / "x.pth")
    for where in ("cpu", minicnn.device("cpu"), lambda storage, place: storage, {"cuda:0": "cpu"}, None):
        assert minicnn.load(tmp_path / "x.pth", map_location=where).tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="CPU only"):
        minicnn.load(tmp_path / "x.pth", map_location="cuda")


# --- back to PyTorch --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mmap", [False, True])
def test_torch_reads_what_minicnn_writes(tmp_path, mmap):
    theirs = everything()
    theirs["types"].pop(TYPES.index("bfloat16"))
    torch.save(theirs, tmp_path / "a.pth")
    ours = minicnn.load(tmp_path / "a.pth")
    minicnn.save(ours, tmp_path / "b.pth")
    back = torch.load(tmp_path / "b.pth", weights_only=True, mmap=mmap)
    assert_same(ours, back)
    assert_same(minicnn.load(tmp_path / "b.pth"), back)
    assert back["state_dict"]._metadata == theirs["state_dict"]._metadata
    assert back["views"][0].data_ptr() == back["base"].data_ptr()
    assert back["views"][1].stride() == theirs["views"][1].stride()


def test_saving_to_an_open_file_and_arrays_and_a_list_in_itself():
    buffer, loop = io.BytesIO(), [1]
    loop.append(loop)
    array = np.arange(6, dtype=">i4").reshape(2, 3)
    minicnn.save({"array": array, "reversed": array[::-1], "number": np.float64(0.5), "loop": loop}, buffer)
    buffer.seek(0)
    back = torch.load(buffer, weights_only=True)
    assert back["array"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert back["reversed"].tolist() == [[3, 4, 5], [0, 1, 2]]
    assert back["number"] == 0.5
    assert back["loop"][1] is back["loop"]


def test_the_same_contents_give_the_same_file(tmp_path):
    for name in ("a", "b"):
        minicnn.save(OrderedDict(w=minicnn.ones(2, 3), n=1), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_not_saved(tmp_path):
    path = tmp_path / "a.pth"
    minicnn.save({"x": minicnn.ones(1)}, path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"obj\['when'\] is Path|obj\['when'\] is PosixPath"):
        minicnn.save({"when": tmp_path}, path)
    with pytest.raises(TypeError, match="a key of obj is tuple"):
        minicnn.save({(1, 2): 3}, path)
    with pytest.raises(TypeError, match="array of type <U1"):
        minicnn.save({"names": np.array(["a"])}, path)
    with pytest.raises(ValueError, match="metadata goes into"):
        minicnn.save({}, path, metadata={"note": "x"})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_network_changed_here_goes_back(tmp_path):
    """Trained for two steps in minicnn, carried to torch: the same bits, the same answers."""
    theirs = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())
    ours = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    torch.save(theirs.state_dict(), tmp_path / "a.pth")
    ours.load_state_dict(minicnn.load(tmp_path / "a.pth"))
    optimizer = minicnn.optim.Adam(ours.parameters(), lr=0.1)
    for _ in range(2):
        ours(minicnn.randn(2, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    minicnn.save({"model": ours.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "b.pth")
    back = torch.load(tmp_path / "b.pth", weights_only=True)
    assert theirs.load_state_dict(back["model"]).missing_keys == []
    torch.optim.Adam(theirs.parameters(), lr=0.1).load_state_dict(back["optimizer"])
    for key, value in theirs.state_dict().items():
        assert value.numpy().tobytes() == ours.state_dict()[key].numpy().tobytes(), key
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad(), minicnn.no_grad():
        got = ours.eval()(minicnn.from_numpy(x.numpy())).numpy()
        np.testing.assert_allclose(got, theirs.eval()(x).numpy(), rtol=1e-4, atol=1e-5)
