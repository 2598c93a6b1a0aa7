"""What other programs write: every type and value that PyTorch reads is read, or refused by name; no argument is swallowed."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import minicnn
from minicnn.serialization import WeightsError, load_weights

FORMATS = [pytest.param(True, id="zip"), pytest.param(False, id="stream")]
FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu]


def saved(content, new_format: bool = True) -> io.BytesIO:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of storages and quantized tensors, which are to be
        torch.save(content, buffer, _use_new_zipfile_serialization=new_format)
    buffer.seek(0)
    return buffer


def numbers(tensor: torch.Tensor) -> np.ndarray:
    """As NumPy has them; of a type that it does not have, in the one that holds them."""
    wider = {torch.complex32: torch.complex64, torch.bfloat16: torch.float32}
    wider |= dict.fromkeys(FLOAT8, torch.float32)
    return tensor.detach().to(wider.get(tensor.dtype, tensor.dtype)).resolve_conj().resolve_neg().numpy()


def equal(ours: minicnn.Tensor, theirs: torch.Tensor) -> None:
    want = numbers(theirs)
    assert ours.array.dtype == want.dtype
    assert ours.requires_grad == theirs.requires_grad
    assert isinstance(ours, minicnn.nn.Parameter) == isinstance(theirs, nn.Parameter)
    np.testing.assert_array_equal(ours.array, want)


# --- bits and other arguments -----------------------------------------------------------------------------------------

COMPLEX = torch.tensor([[1 + 2j, 3 - 4j], [0.5j, -1]])
DOUBLE = COMPLEX.to(torch.complex128)


@pytest.mark.parametrize("new_format", FORMATS)
@pytest.mark.parametrize(
    "theirs",
    [
        COMPLEX.conj(),
        DOUBLE.conj(),
        COMPLEX.conj().imag,
        DOUBLE.conj().imag,
        COMPLEX.conj().t()[:, 1:],
        torch._neg_view(COMPLEX),
        torch._neg_view(COMPLEX.conj()),
        torch._neg_view(torch.ones(2, 3)),
        COMPLEX[:, :0].conj(),
        COMPLEX[0, 0].conj(),
        COMPLEX.clone().requires_grad_().detach().conj().requires_grad_(),
        nn.Parameter(COMPLEX.conj()),
        nn.Parameter(COMPLEX),
    ],
    ids=lambda t: f"{t.dtype}{list(t.shape)}-{t.is_conj()}-{t.is_neg()}-{t.requires_grad}",
)
def test_conjugate_and_negative_bits(theirs, new_format):
    equal(minicnn.load(saved({"x": theirs}, new_format))["x"], theirs)


def test_too_many_resolved_views(monkeypatch):
    monkeypatch.setattr(minicnn.serialization._rebuild, "MAX_RESOLVED", 100)
    minicnn.load(saved([COMPLEX.conj()] * 3))
    with pytest.raises(WeightsError, match="conjugate and negative views of more than 100 bytes"):
        minicnn.load(saved([COMPLEX.conj() for _ in range(4)]))


def pickled(body: bytes, data: bytes = np.arange(4, dtype="f4").tobytes()) -> io.BytesIO:
    """A zip of torch.save around the instructions of `body`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + body + b".")
        archive.writestr("a/data/0", data)
        archive.writestr("a/version", b"3\n")
    buffer.seek(0)
    return buffer


def text(t: str) -> bytes:
    return b"X" + struct.pack("<I", len(t)) + t.encode()


def storage(kind: str = "torch\nFloatStorage", count: int = 4, place: bytes = text("cpu")) -> bytes:
    return b"(" + text("storage") + f"c{kind}\n".encode() + text("0") + place + b"K" + bytes([count]) + b"tQ"


HOOKS = b"ccollections\nOrderedDict\n)R"
SHAPE = b"K\x00K\x04\x85K\x01\x85"  # offset, shape, strides
V2, V3 = b"ctorch._utils\n_rebuild_tensor_v2\n(", b"ctorch._utils\n_rebuild_tensor_v3\n("
PARAMETER = b"ctorch._utils\n_rebuild_parameter\n("
TENSOR = V2 + storage() + SHAPE + b"\x89" + HOOKS + b"tR"
ATTRIBUTES = b"ctorch._tensor\n_rebuild_from_type_v2\n("
ARGUMENTS = b"(" + storage() + SHAPE + b"\x89" + HOOKS + b"t"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (V2 + storage() + SHAPE + b"\x89" + HOOKS + b"}" + text("conj") + b"\x88stR", "float32 with a conjugate bit"),
        (V2 + storage() + SHAPE + b"\x89" + HOOKS + b"}" + text("foo") + b"\x88stR", "metadata {'foo': True}"),
        (V2 + storage() + SHAPE + b"\x89" + HOOKS + b"}" + text("neg") + b"K\x01stR", "metadata {'neg': 1}"),
        (V2 + storage() + SHAPE + b"\x89" + HOOKS + text("neg") + b"tR", "metadata 'neg'"),
        (V2 + storage() + SHAPE + b"\x89" + HOOKS + b"K\x00tR", "metadata 0"),
        (V2 + storage() + SHAPE + b"\x89" + HOOKS + b"NNtR", "takes from 7 to 8 positional arguments but 9 were given"),
        (V2 + storage() + SHAPE + b"\x89tR", "missing 1 required positional argument: 'hooks'"),
        (V2 + storage() + SHAPE + b"K\x01" + HOOKS + b"tR", "whose requires_grad is 1"),
        (V2 + storage() + SHAPE + b"N" + HOOKS + b"tR", "whose requires_grad is None"),
        (V2 + storage() + SHAPE + b"\x89}K\x01K\x02stR", "backward hooks: {1: 2}"),
        (V2 + storage() + SHAPE + b"\x89K\x05tR", "backward hooks: 5"),
        (V2 + storage("torch\nIntStorage") + SHAPE + b"\x88" + HOOKS + b"tR", "int32 that requires grad"),
        (V2 + storage() + b"K\x00]K\x04a](K\x01e\x89" + HOOKS + b"tR", r"shape \[4\] with strides \[1\]"),
        (V2 + storage() + b"G" + bytes(8) + SHAPE[2:] + b"\x89" + HOOKS + b"tR", "offset 0.0"),
        (V2 + storage() + b"K\x00\x88\x85K\x01\x85\x89" + HOOKS + b"tR", r"shape \(True,\)"),
        (V2 + storage(place=b"K\x01") + SHAPE + b"\x89" + HOOKS + b"tR", "of type .* on 1"),
        (V3 + storage() + SHAPE + b"\x89" + HOOKS + b"K\x01tR", "a tensor of type 1"),
        (V3 + storage("torch.storage\nUntypedStorage", 16) + b"K\x00K\x05\x85K\x01\x85\x89" + HOOKS + b"ctorch\nuint32\ntR",
         "does not fit in its storage of 4 numbers"),
        (V3 + storage("torch.storage\nUntypedStorage", 16) + SHAPE + b"\x89" + HOOKS + b"ctorch\nbits8\ntR", "type torch.bits8"),
        (PARAMETER + TENSOR + b"K\x01" + HOOKS + b"tR", "whose requires_grad is 1"),
        (PARAMETER + TENSOR + b"\x88K\x01tR", "backward hooks: 1"),
        (PARAMETER + b"K\x01\x88" + HOOKS + b"tR", "a Parameter of int"),
        (PARAMETER + TENSOR.replace(b"FloatStorage", b"IntStorage") + b"\x88" + HOOKS + b"tR", "int32 that requires grad"),
        (ATTRIBUTES + V2[:-1] + b"ctorch\nFloatStorage\n" + ARGUMENTS + b"NtR", "a Tensor that shall be"),
        (ATTRIBUTES + V2[:-1] + b"ctorch\nTensor\n" + ARGUMENTS + b"K\x01tR", "with the state 1"),
        *((ATTRIBUTES + V2[:-1] + b"ctorch\nTensor\n" + ARGUMENTS + b"}" + text(name) + b"NstR", f"it sets '{name}' of a Tensor")
          for name in ("array", "grad", "_grad_fn", "__class__", "__array_interface__", "shape", "a b")),
        (ATTRIBUTES + b"ctorch\nSize\nctorch\nTensor\n)NtR", "a tensor of an unknown kind"),
        (HOOKS + b"}" + text("items") + b"Nsb", "it sets 'items' of a OrderedDict"),
        (HOOKS + b"}" + text("_metadata") + b"K\x01sb", "_metadata is no dictionary of dictionaries"),
        (HOOKS + b"}" + text("_metadata") + b"}K\x01K\x02ssb", "_metadata is no dictionary of dictionaries"),
        (TENSOR + b"}b", "it sets the state of Tensor"),
        (b"ctorch.nn.parameter\nParameter\n(" + TENSOR + b"tR\x88\x89\x86b", "sets the state of Parameter"),
        (b"ctorch.nn.parameter\nParameter\n)R(" + TENSOR + b"K\x01N\x88\x89tb", "a Parameter of Tensor with 1"),
        (b"ctorch.nn.parameter\nParameter\n(" + TENSOR + b"tR\x88\x88N\x87b", "whose volatile is True"),
        (b"ctorch\nSize\n(K\x01" + text("2") + b"t\x85R", "a shape that is no tuple of numbers"),
        (b"ctorch\ndevice\nK\x00\x85R", "a device that is no name"),
        (b"ctorch\ndevice\n" + text("cpu:" + "9" * 200) + b"\x85R", "a device that is no name"),
        (b"c__builtin__\ncomplex\n" + text("1") + text("2") + b"\x86R", "a complex number of '1' and '2'"),
        (b"c_codecs\nencode\n" + text("a") + b"\x85R", "missing 1 required positional argument: 'encoding'"),
        (b"c_codecs\nencode\n" + text("a") + text("utf-8") + b"\x86R", "in the encoding 'utf-8'"),
        (b"c__builtin__\nbytearray\nK\x05\x85R", "a bytearray of 5"),
        (b"c__builtin__\nset\nK\x05\x85R", "a set of int"),
        (b"ccollections\nCounter\n](K\x01K\x01e\x85R", "a Counter of list"),
        (b"ccollections\nOrderedDict\n(" + text("ab") + text("cd") + b"t\x85R", "an OrderedDict of what are no pairs"),
        (b"ctorch.serialization\n_get_layout\n" + text("torch.round") + b"\x85R", "an unknown layout: 'torch.round'"),
    ],
)  # fmt: skip
def test_no_argument_is_swallowed(body, why):
    with pytest.raises(WeightsError, match=why):
        minicnn.load(pickled(body))


def test_the_builder_builds_what_is_read():
    assert minicnn.load(pickled(TENSOR)).tolist() == torch.load(pickled(TENSOR)).tolist() == [0, 1, 2, 3]
    assert minicnn.load(pickled(b"ccollections\nOrderedDict\n}" + text("ab") + b"K\x01s\x85R")) == {"ab": 1}
    parameter = minicnn.load(pickled(PARAMETER + TENSOR + b"\x88" + HOOKS + b"tR"))
    assert isinstance(parameter, minicnn.nn.Parameter) and parameter.requires_grad


@pytest.mark.parametrize("new_format", FORMATS)
def test_attributes_of_tensors_and_state_dicts(new_format):
    tensor, parameter, state = torch.ones(2), nn.Parameter(torch.ones(3)), OrderedDict(w=torch.ones(1))
    tensor.tag, tensor._private = {"a": 1}, [2]
    parameter.no_decay = True
    state._metadata, state.note = OrderedDict(a={"version": 2}), "n"
    content = {"t": tensor, "p": parameter, "s": state}
    for back in (minicnn.load(saved(content, new_format)), torch.load(saved(content, new_format))):
        assert (back["t"].tag, back["t"]._private, back["p"].no_decay) == ({"a": 1}, [2], True)
        assert (back["s"].note, back["s"]._metadata) == ("n", {"a": {"version": 2}})


@pytest.mark.parametrize("state", [b"(\x88\x89" + HOOKS + b"t", b"(" + TENSOR + b"N" + HOOKS + b"\x88\x89t"])
def test_parameters_of_before_version_0_4(state):
    """Made from a tensor, and then told their state: (requires_grad, volatile, hooks), earlier with the tensor."""
    made = b"ctorch.nn.parameter\nParameter\n" + (b")R" if TENSOR in state else b"(" + TENSOR + b"tR")
    for module in (minicnn, torch):
        back = module.load(pickled(made + state + b"b"))
        assert isinstance(back, module.nn.Parameter) and back.requires_grad
        assert back.tolist() == [0, 1, 2, 3]


def test_what_a_stream_says_of_its_computer_changes_nothing():
    """PyTorch turns the numbers to little-endian before it writes them, and says how its computer has them."""
    whole = bytearray(saved(torch.tensor([1.0, 2.0]), new_format=False).getvalue())
    place = whole.index(b"\x88", whole.index(b"little_endian"))
    whole[place] = pickle.NEWFALSE[0]
    assert torch.load(io.BytesIO(whole)).tolist() == minicnn.load(io.BytesIO(whole)).tolist() == [1, 2]


# --- types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FLOAT8, ids=str)
def test_every_float8(tmp_path, kind):
    theirs = torch.arange(256, dtype=torch.uint8).view(kind).reshape(16, 16).t()
    for new_format in (True, False):
        loaded = minicnn.load(saved({"a": theirs, "b": theirs[1:3]}, new_format))
        equal(loaded["a"], theirs)
        assert np.shares_memory(loaded["a"].array, loaded["b"].array)
    safetensors.torch.save_file({"pad": torch.ones(3), "x": theirs.contiguous()}, tmp_path / "a.safetensors")
    equal(minicnn.load(tmp_path / "a.safetensors")["x"], theirs)


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
@pytest.mark.parametrize("kind", [torch.uint16, torch.uint32, torch.uint64, torch.complex32], ids=str)
def test_types_that_came_later(tmp_path, kind):
    theirs = torch.tensor([[0, 1, 40000], [65535, 7, 2]]).to(kind)
    if kind == torch.uint64:
        theirs[0, 0] = torch.from_numpy(np.array(2**64 - 1, np.uint64))
    for new_format in (True, False):
        equal(minicnn.load(saved(theirs.t()[1:], new_format)), theirs.t()[1:])
    if kind != torch.complex32:
        safetensors.torch.save_file({"x": theirs}, tmp_path / "a.safetensors")
        np.savez(tmp_path / "a.npz", x=theirs.numpy())
        for name in ("a.safetensors", "a.npz"):
            loaded = minicnn.load(tmp_path / name)
            equal(loaded["x"], theirs)
            assert repr(loaded["x"].dtype) == str(kind)
        minicnn.save(minicnn.load(tmp_path / "a.npz"), tmp_path / "b.pth")
        assert torch.equal(torch.load(tmp_path / "b.pth")["x"], theirs)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_open_files(tmp_path, suffix):
    minicnn.save({"x": np.arange(3)}, tmp_path / f"a{suffix}")
    with (tmp_path / f"a{suffix}").open("rb") as file:
        assert minicnn.load(file)["x"].tolist() == [0, 1, 2]


VALUES = [
    torch.strided, torch.sparse_csr, torch.bfloat16, torch.float16, torch.float8_e4m3fn, torch.uint16, torch.complex32,
    torch.int4, torch.bits8, torch.bool, torch.quint8, torch.device("cuda", 1), torch.Size([1, 2]), 1 + 2j, {1, "a"},
    bytearray(b"a\xff"), b"\xff", b"", bytearray(), None, 2**70, float("inf"), {(1, "a"): 2, b"x": 3, -5: 4, 1.5: 5, None: 6},
]  # fmt: skip


@pytest.mark.parametrize("new_format", FORMATS)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values(value, new_format):
    """What torch.load returns; the types, layouts and places print as PyTorch's. And back again."""
    loaded = minicnn.load(saved([value], new_format))[0]
    theirs = torch.load(saved([value], new_format), weights_only=False)[0]  # True does not know b""
    assert repr(loaded) == repr(theirs) == repr(value)
    if not isinstance(value, dict):
        buffer = io.BytesIO()
        minicnn.save([loaded], buffer)
        buffer.seek(0)
        assert repr(torch.load(buffer)[0]) == repr(value)


def test_a_counter():
    assert minicnn.load(saved(Counter("abca"))) == Counter("abca")


def test_a_type_without_numpy_makes_no_tensor():
    with pytest.raises(TypeError, match=r"no tensor here is of type torch\.bfloat16"):
        minicnn.ones(2).to(minicnn.load(saved(torch.bfloat16)))


@pytest.mark.filterwarnings("ignore")  # that sparse, nested and quantized tensors are in beta, or will go
@pytest.mark.parametrize("new_format", FORMATS)
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: torch.eye(2).to_sparse(), r"a sparse tensor: save tensor\.to_dense\(\)"),
        (lambda: torch.eye(2).to_sparse_csr(), r"a sparse tensor: save tensor\.to_dense\(\)"),
        (lambda: torch.nested.nested_tensor([torch.ones(2)]), r"a nested tensor: save tensor\.unbind\(\)"),
        (lambda: torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged), "a nested tensor"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8), r"a quantized tensor: save tensor\.dequant"),
        (lambda: torch.ones(2, device="meta"), "a tensor on the meta device, which has no numbers"),
        (lambda: torch.ones(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2), r"type torch\.float4_e2m1fn_x2, whose numbers"),
        (lambda: torch.ones(2, dtype=torch.uint8).view(torch.bits8), r"type torch\.bits8, whose numbers"),
        (lambda: torch.zeros([1] * 70), "a tensor of 70 dimensions: NumPy has at most 64"),
    ],
)  # fmt: skip
def test_refused_by_name(make, why, new_format):
    with pytest.raises(WeightsError, match=why):
        minicnn.load(saved({"x": make()}, new_format))


@pytest.mark.parametrize("key", [1, (1, 2), b"w", None, 1.5])
def test_a_state_dict_has_names(tmp_path, key):
    (tmp_path / "a.pth").write_bytes(saved({key: torch.ones(1)}).getvalue())
    with pytest.raises(WeightsError, match="holds no state_dict"):
        load_weights(minicnn.nn.Linear(2, 2), tmp_path / "a.pth")


# --- other formats ----------------------------------------------------------------------------------------------------


def archive(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return buffer.getvalue()


ONNX = r"\.onnx model, a whole network: minicnn\.onnx\.load\(path\)"


@pytest.mark.parametrize(
    ("content", "way"),
    [
        (
            archive("metadata.json", "config.json", "model.weights.h5"),
            r"a \.keras model\. In Keras: .*numpy\.savez\(out",
        ),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), r"an HDF5 file, such as \.weights\.h5\. In Keras: .*numpy\.savez\(out"),
        (
            archive("a/archive_format", "a/models/model.json"),
            r"a \.pt2 archive .*torch\.export\.load\(path\)\.state_dict",
        ),
        (bytes.fromhex("080a120770746f726368") + bytes(40), ONNX),  # version 10, made by "torch"
        (bytes.fromhex("080e3a50") + bytes(40), ONNX),  # version 14, the graph
        (bytes.fromhex("1c000000") + b"TFL3" + bytes(40), r"a \.tflite model\. With LiteRT: .*numpy\.savez\(out"),
        (b"\x1f\x8b\x08" + bytes(40), "a gzip file: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (archive("a/b/data.pkl"), "without data.pkl"),
    ],
)
def test_the_way_out(tmp_path, content, way):
    (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(WeightsError, match=way) as caught:
        minicnn.load(tmp_path / "a.bin")
    assert str(caught.value).startswith(f"{tmp_path / 'a.bin'}: it is ")
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_an_exported_program(tmp_path):
    """A real .pt2 is recognised, and the way out is one."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    torch.export.save(torch.export.export(model, (torch.ones(1, 1, 5, 5),)), tmp_path / "a.pt2")
    with pytest.raises(WeightsError, match=r"torch\.export\.load"):
        minicnn.load(tmp_path / "a.pt2")
    torch.save(torch.export.load(tmp_path / "a.pt2").state_dict, tmp_path / "a.pth")
    for name, value in minicnn.load(tmp_path / "a.pth").items():
        equal(value.detach(), model.state_dict()[name])


# --- what goes out ----------------------------------------------------------------------------------------------------

GRID = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "array",
    [
        GRID.transpose(2, 0, 1), GRID[:, 1:], GRID[..., ::2], GRID[::-1], GRID[:, :, ::-1], np.asfortranarray(GRID),
        np.broadcast_to(GRID[:, :1], (2, 3, 4)), np.broadcast_to(np.float32(3), (2, 2)), GRID.astype(">f4"), GRID[1, 2, 3],
    ],
)  # fmt: skip
def test_any_memory_order_is_written_right(tmp_path, array):
    """safetensors 0.8.0 on its own writes the wrong numbers for these."""
    minicnn.save({"x": array, "y": minicnn.from_numpy(np.array(GRID)).permute(1, 2, 0)}, tmp_path / "a.safetensors")
    back = safetensors.torch.load_file(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(back["x"].numpy(), array)
    np.testing.assert_array_equal(back["y"].numpy(), GRID.transpose(1, 2, 0))
