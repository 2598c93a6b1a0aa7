"""Files of weights: round trips, other programs' files, and clear errors that leave the model as it was."""

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import nn
from minicnn.serialization import WeightsError, load_weights, read_metadata

SUFFIXES = (".safetensors", ".npz")


def small_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5))


def arrays_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def assert_same(left: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> None:
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.dtype == right[name].dtype, name
        np.testing.assert_array_equal(array, right[name], err_msg=name)


# --- what goes in comes out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trip_is_bit_for_bit(tmp_path, suffix):
    source, target = small_net(), small_net()
    path = tmp_path / f"net{suffix}"
    minicnn.save(source.state_dict(), path, metadata={"architecture": "small", "note": 'é "quoted" \n ∇'})
    assert_same({name: value.numpy() for name, value in minicnn.load(path).items()}, arrays_of(source))
    result = load_weights(target, path)
    (tmp_path / "ordinary").touch()
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    assert_same(arrays_of(target), arrays_of(source))
    assert list(result.missing_keys) == list(result.unexpected_keys) == []
    assert read_metadata(path) == {"architecture": "small", "note": 'é "quoted" \n ∇'}


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "array",
    [
        np.float32(3.5).reshape(()),
        np.zeros((0, 3), np.float64),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(10, dtype=np.int64)[::-2],
        np.array([1, -1], dtype=">f4"),
        np.array([True, False]),
        np.array([1.5, np.inf], np.float16),
        np.array([np.nan, -0.0], np.float32),
        np.array([255], np.uint8),
    ],
    ids=lambda a: f"{a.dtype}{list(a.shape)}",
)
def test_every_layout_and_type(tmp_path, suffix, array):
    path = tmp_path / f"one{suffix}"
    minicnn.save({"x": array, "file": array}, path)
    for name in ("x", "file"):
        back = minicnn.load(path)[name].numpy()
        assert back.dtype == array.dtype.newbyteorder("=")
        assert back.shape == array.shape
        np.testing.assert_array_equal(back, array)


def test_names_come_in_natural_order(tmp_path):
    names = ["features.10.weight", "features.3.weight", "classifier.weight", "features.3.bias"]
    minicnn.save({name: np.zeros(1, np.float32) for name in names}, tmp_path / "a.safetensors")
    assert list(minicnn.load(tmp_path / "a.safetensors")) == [
        "classifier.weight",
        "features.3.bias",
        "features.3.weight",
        "features.10.weight",
    ]
    minicnn.save({name: np.zeros(1, np.float32) for name in names}, tmp_path / "a.npz")
    assert list(minicnn.load(tmp_path / "a.npz")) == names


def test_no_metadata_is_an_empty_dict(tmp_path):
    for suffix in SUFFIXES:
        minicnn.save({"x": np.zeros(1)}, tmp_path / f"a{suffix}")
        assert read_metadata(tmp_path / f"a{suffix}") == {}
        minicnn.save({}, tmp_path / f"empty{suffix}")
        assert minicnn.load(tmp_path / f"empty{suffix}") == {}


def test_files_of_other_programs(tmp_path):
    """What safetensors and NumPy write is read; what minicnn writes they read."""
    state = {"w": torch.randn(3, 2), "steps": torch.tensor(7)}
    safetensors.torch.save_file(state, tmp_path / "torch.safetensors", metadata={"format": "pt"})
    np.savez_compressed(tmp_path / "numpy.npz", **{name: value.numpy() for name, value in state.items()})
    for file in ("torch.safetensors", "numpy.npz"):
        loaded = minicnn.load(tmp_path / file)
        assert_same({k: v.numpy() for k, v in loaded.items()}, {k: v.numpy() for k, v in state.items()})
        minicnn.save(loaded, tmp_path / f"again_{file}")
    for name, value in safetensors.torch.load_file(tmp_path / "again_torch.safetensors").items():
        assert torch.equal(value, state[name])
    with np.load(tmp_path / "again_numpy.npz", allow_pickle=False) as again:
        assert_same(dict(again), {k: v.numpy() for k, v in state.items()})


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32_in_a_float32_model(tmp_path, half):
    model = nn.Linear(4, 3)
    state = {"weight": torch.randn(3, 4).to(half), "bias": torch.randn(3).to(half)}
    safetensors.torch.save_file(state, tmp_path / "half.safetensors")
    load_weights(model, tmp_path / "half.safetensors")
    for name, value in model.state_dict().items():
        assert value.dtype == minicnn.float32
        np.testing.assert_array_equal(value.numpy(), state[name].float().numpy())


def test_bfloat16_keeps_every_number(tmp_path):
    values = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(torch.bfloat16).reshape(4, -1)
    safetensors.torch.save_file({"pad": torch.zeros(3), "x": values}, tmp_path / "b.safetensors")
    back = minicnn.load(tmp_path / "b.safetensors")["x"].numpy()
    np.testing.assert_array_equal(back.view(np.uint32), values.float().numpy().view(np.uint32))


def test_the_name_does_not_matter_the_contents_do(tmp_path):
    minicnn.save({"x": np.ones(2, np.float32)}, tmp_path / "a.npz")
    (tmp_path / "a.npz").rename(tmp_path / "a.safetensors")
    assert minicnn.load(tmp_path / "a.safetensors")["x"].tolist() == [1.0, 1.0]


# --- what does not fit is refused, and the model stays ----------------------------------------------------------------


def refuse(model: nn.Module, path, *texts: str, strict: bool = True) -> None:
    """Loading raises a WeightsError with these texts in it, and neither values nor memory of the model change."""
    before, places = arrays_of(model), {name: id(value.array) for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(model, path, strict=strict)
    for text in (str(path), *texts):
        assert text in str(caught.value)
    assert_same(arrays_of(model), before)
    assert {name: id(value.array) for name, value in model.state_dict().items()} == places


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_keys_and_shapes_that_do_not_fit(tmp_path, suffix):
    model, path = small_net(), tmp_path / f"bad{suffix}"
    state = {name: array + 1 for name, array in arrays_of(model).items()}

    minicnn.save({k: v for k, v in state.items() if k != "4.bias"}, path)
    refuse(model, path, "Sequential", 'Missing key(s) in the file: "4.bias"')

    minicnn.save({**state, "5.weight": np.zeros(2, np.float32), "extra": np.zeros(1)}, path)
    refuse(model, path, 'Unexpected key(s) in the file: "5.weight", "extra"')

    minicnn.save({**state, "0.weight": np.zeros((4, 3, 5, 5), np.float32), "4.bias": np.zeros(6)}, path)
    both = ("torch.Size([4, 3, 5, 5])", "torch.Size([4, 3, 3, 3])", "4.bias", "torch.Size([6])", "torch.Size([5])")
    refuse(model, path, "size mismatch for 0.weight", *both)
    refuse(model, path, "size mismatch for 0.weight", *both, strict=False)


def test_not_strict_reports_and_loads_the_rest(tmp_path):
    model, path = small_net(), tmp_path / "part.npz"
    before = arrays_of(model)
    minicnn.save({"0.bias": np.full(4, 7, np.float32), "head.bias": np.zeros(1)}, path)
    result = load_weights(model, path, strict=False)
    assert "0.weight" in result.missing_keys
    assert list(result.unexpected_keys) == ["head.bias"]
    assert_same(arrays_of(model), {**before, "0.bias": np.full(4, 7, np.float32)})


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_truncation_is_refused(tmp_path, suffix):
    model, path = nn.Linear(3, 2), tmp_path / f"cut{suffix}"
    minicnn.save(model.state_dict(), path, metadata={"architecture": "linear"})
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 40, len(whole) // 2, len(whole) - 20, len(whole) - 1):
        path.write_bytes(whole[:length])
        refuse(model, path)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(SUFFIXES))
def test_flipped_bytes_give_documented_errors_only(tmp_path, data, suffix):
    path = tmp_path / f"flipped{suffix}"
    minicnn.save({"w": np.ones((3, 2), np.float32), "b": np.zeros(2)}, path, metadata={"note": "x"})
    damaged = bytearray(path.read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    for read in (minicnn.load, read_metadata):
        with contextlib.suppress(WeightsError):
            read(path)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("empty.npz", b"", "is empty"),
        ("page.safetensors", b"<!DOCTYPE html><html>Not found</html>", "neither .pth nor .safetensors nor .npz"),
        ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("photo.npz", b"\x89PNG\r\n\x1a\n" + bytes(60), "neither"),
        ("zip.npz", b"PK\x03\x04" + bytes(60), "damaged or cut short: File is not a zip file"),
        ("huge.safetensors", (2**62).to_bytes(8, "little") + b'{"x":', "damaged or cut short"),
    ],
)
def test_other_files(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)
    refuse(nn.Linear(3, 2), tmp_path / name, text)


def test_nothing_is_ever_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    path = tmp_path / "objects.npz"
    np.savez(path, weight=np.array([Bomb(), None], dtype=object))
    refuse(nn.Linear(3, 2), path, "'weight'")
    np.savez(path, __metadata__=np.array([Bomb()], dtype=object))
    with pytest.raises(WeightsError, match="metadata"):
        read_metadata(path)
    with pytest.raises(ValueError, match="weights_only=False"):
        minicnn.load(path, weights_only=False)


def test_types_that_tensors_do_not_have(tmp_path):
    np.savez(tmp_path / "text.npz", names=np.array(["a", "b"]))
    refuse(nn.Linear(3, 2), tmp_path / "text.npz", "'names'", "<U1")
    safetensors.torch.save_file(
        {"w": torch.ones(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)}, tmp_path / "f4.safetensors"
    )
    refuse(nn.Linear(3, 2), tmp_path / "f4.safetensors", "'w' is of type 'F4', which NumPy does not have")


def test_an_npy_header_that_promises_too_much(tmp_path):
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**10)})
    with zipfile.ZipFile(tmp_path / "promise.npz", "w") as archive:
        archive.writestr("weight.npy", member.getvalue())
    refuse(nn.Linear(3, 2), tmp_path / "promise.npz", "'weight'")


def test_an_entry_that_is_no_array(tmp_path):
    with zipfile.ZipFile(tmp_path / "readme.npz", "w") as archive:
        archive.writestr("README.txt", "hello")
    refuse(nn.Linear(3, 2), tmp_path / "readme.npz", "'README.txt'")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        minicnn.load(tmp_path / "nowhere.npz")
    with pytest.raises(IsADirectoryError):
        minicnn.load(tmp_path)


# --- saving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_saving_something_else(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    with pytest.raises(TypeError, match=r"state_dict\(\)"):
        minicnn.save(small_net(), path)
    with pytest.raises(TypeError, match="'epoch' is int"):
        minicnn.save({"epoch": 3}, path)
    with pytest.raises(TypeError, match="list"):
        minicnn.save([1, 2], path)
    with pytest.raises(TypeError, match="__metadata__"):
        minicnn.save({"__metadata__": np.zeros(1)}, path)
    with pytest.raises(TypeError, match="object"):
        minicnn.save({"x": np.array([None])}, path)
    if suffix == ".safetensors":
        with pytest.raises(TypeError, match="has no complex128"):
            minicnn.save({"x": np.zeros(1, np.complex128)}, path)
    with pytest.raises(TypeError, match="metadata"):
        minicnn.save({"x": np.zeros(1)}, path, metadata={"classes": ["a"]})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    minicnn.save({"x": np.ones(1)}, path)

    def fail(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OSError, match="no space"):
        minicnn.save({"x": np.zeros(1)}, path)
    monkeypatch.undo()
    assert minicnn.load(path)["x"].tolist() == [1.0]
    assert list(tmp_path.iterdir()) == [path]


def test_the_safetensors_header_is_plain(tmp_path):
    """The format that others read: eight bytes of length, JSON, numbers."""
    minicnn.save({"x": np.ones(2, np.float32)}, tmp_path / "a.safetensors", metadata={"note": "n"})
    raw = (tmp_path / "a.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert header == {"__metadata__": {"note": "n"}, "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    assert safetensors.numpy.load(raw)["x"].tolist() == [1.0, 1.0]
