"""Whole modules in files: with hooks, in both directions, and only of classes that are named."""

from __future__ import annotations

import dataclasses
import io
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from compare import compare, numbers
from quick import one_of_each
from test_layer_table import LAYERS, run

import minicnn
from minicnn.serialization import (
    ForbiddenError,
    WeightsError,
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

calls: list[str] = []


def shout(module, args, output):
    calls.append(type(module).__name__)


def double(module, args, output):
    return output * 2


@dataclasses.dataclass
class Settings:
    size: int = 3


class Net(minicnn.nn.Module):
    def __init__(self):
        super().__init__()
        self.body = minicnn.nn.Sequential(minicnn.nn.Conv2d(1, 2, 3, padding=1), minicnn.nn.ReLU())
        self.register_buffer("mean", minicnn.ones(1), persistent=False)
        self.settings, self.sizes = Settings(5), {"a": (1, 2), 3: [minicnn.float32]}
        self.body[0].register_forward_hook(self.note)
        self.register_forward_hook(double)

    def note(self, module, args, output):
        calls.append(f"note {self.settings.size}")

    def forward(self, x):
        return self.body(x - self.mean)


class TorchNet(torch.nn.Module):
    """What stands in `Net`'s file, for PyTorch."""

    note = Net.note
    forward = Net.forward


def stored(lib, value, **options):
    file = io.BytesIO()
    lib.save(value, file, **options)
    file.seek(0)
    return file


def image(lib):
    return lib.arange(16.0).reshape(1, 1, 4, 4)


MINE = [Net, Settings, double]


def test_a_network_with_hooks_comes_back():
    net = Net()
    expected = net(image(minicnn))
    with safe_globals(MINE):
        back = minicnn.load(stored(minicnn, {"net": net, "epoch": 3}), weights_only=False)
    assert back["epoch"] == 3
    calls.clear()
    assert np.array_equal(numbers(back["net"](image(minicnn))), numbers(expected))
    assert calls == ["note 5"]
    assert back["net"].sizes == net.sizes
    assert back["net"]._non_persistent_buffers_set == {"mean"}
    assert back["net"].settings == Settings(5)


def test_pytorch_opens_it(monkeypatch):
    """As it opens a file of its own, if the class can be imported."""
    net = Net()
    file = stored(minicnn, net)
    monkeypatch.setattr(sys.modules[__name__], "Net", TorchNet)
    back = torch.load(file, weights_only=False)
    assert type(back.body[0]) is torch.nn.Conv2d
    assert np.allclose(numbers(back(image(torch))), numbers(net(image(minicnn))), atol=1e-5)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_a_file_of_pytorch_is_opened(monkeypatch, zipped):
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.Flatten())
    net[0].register_forward_hook(shout)
    net.register_full_backward_hook(shout)
    net[1]._register_load_state_dict_pre_hook(shout)
    file = stored(torch, net, _use_new_zipfile_serialization=zipped)
    with safe_globals([shout]):
        ours = minicnn.load(file, weights_only=False)
    calls.clear()
    x = image(minicnn).requires_grad_()
    y = ours(x)
    assert np.allclose(numbers(y), numbers(net(image(torch))), atol=1e-5)
    y.sum().backward()
    assert calls[0] == "Conv2d" and calls[-1] == "Sequential"


def test_the_class_of_a_file_under_another_name():
    module = types.ModuleType("train")
    kind = type("Net", (torch.nn.Linear,), {"__module__": "train"})
    module.Net = kind
    sys.modules["train"] = module
    try:
        file = stored(torch, kind(3, 2))
    finally:
        del sys.modules["train"]
    mine = type("Mine", (minicnn.nn.Linear,), {})
    with safe_globals([(mine, "train.Net")]):
        assert type(minicnn.load(file, weights_only=False)) is mine
    with safe_globals([mine]), pytest.raises(ForbiddenError, match=r"it asks for train\.Net"):
        minicnn.load(file, weights_only=False)


@pytest.mark.parametrize(
    "case", one_of_each({case.name: case for case in LAYERS}.values()), ids=lambda case: case.name[:60]
)
@pytest.mark.filterwarnings("ignore", "error::RuntimeWarning")
def test_every_layer_goes_there_and_back(case):
    """A layer of PyTorch's file computes here what it computed there, and one of minicnn's there."""
    expected = run(case, torch, "float32")
    with safe_globals([]):
        here = minicnn.load(stored(torch, case.build(torch)), weights_only=False)
    there = torch.load(stored(minicnn, case.build(minicnn)), weights_only=False)
    for lib, layer in ((minicnn, here), (torch, there)):
        again = dataclasses.replace(case, build=lambda _, layer=layer: layer)
        compare(run(again, lib, "float32"), expected, case.loose.get("float32", 1))


# --- what is not allowed --------------------------------------------------------------------------------------------------


def test_never_by_default():
    file = stored(minicnn, minicnn.nn.Linear(2, 2))
    with pytest.raises(ForbiddenError, match=r"torch\.nn\.modules\.linear\.Linear.*safe_globals"):
        minicnn.load(file)
    with pytest.raises(ValueError, match=r"weights_only=False makes whole modules.*safe_globals.*\[\] for none"):
        minicnn.load(file, weights_only=False)
    with safe_globals([]):
        assert isinstance(minicnn.load(file, weights_only=False), minicnn.nn.Linear)
        with pytest.raises(ForbiddenError, match="Linear"):
            minicnn.load(file)
    with safe_globals(MINE[1:]), pytest.raises(ForbiddenError, match=r"test_whole_modules\.Net.*nothing was executed"):
        minicnn.load(stored(minicnn, Net()), weights_only=False)


class Pickled:
    """Says what its pickle shall be."""

    def __init__(self, *made):
        self.made = made

    def __reduce__(self):
        return self.made


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Pickled(torch.nn.Linear, (10, 10)), "calls Linear with arguments"),
        (Pickled(getattr, (torch.nn.ReLU(), "__init__")), "no method of an allowed class"),
        (Pickled(getattr, (torch.nn.ReLU(), "training")), "no method of an allowed class"),
        (Pickled(getattr, ([], "append")), "no method of an allowed class"),
        (Pickled(print, ("x",)), r"asks for (__builtin__|builtins)\.print"),
        (Pickled(torch.nn.ReLU, (), {"__class__": 5}), "calls ReLU with arguments|whose __class__"),
    ],
)
def test_what_a_file_must_not_ask_for(value, text):
    with safe_globals([]), pytest.raises(ForbiddenError, match=text):
        minicnn.load(stored(torch, [value]), weights_only=False)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"_parameters": {"weight": 5}}, "whose _parameters is"),
        ({"_modules": [5]}, "whose _modules is"),
        ({"_forward_hooks": 5}, "whose _forward_hooks is"),
        ({"__class__": 5}, "whose __class__ is"),
        ({"not a name": 5}, "with the state"),
        ([5], "with the state"),
    ],
)
def test_states_that_are_no_module(monkeypatch, state, text):
    monkeypatch.setattr(torch.nn.ReLU, "__reduce__", lambda self: (Ellipsis, (), state), raising=False)
    monkeypatch.setattr(torch.nn.ReLU, "__reduce_ex__", lambda self, protocol: (pickle_new, (torch.nn.ReLU,), state))
    file = stored(torch, torch.nn.ReLU())
    with safe_globals([(pickle_new, f"{__name__}.pickle_new")]), pytest.raises(WeightsError, match=text):
        minicnn.load(file, weights_only=False)


def pickle_new(kind):
    return kind.__new__(kind)


@pytest.mark.parametrize("wrong", [5, "name", (Net,), (Net, 5), (5, "name"), (Net, "a", "b")])
def test_what_is_no_class_or_function(wrong):
    with pytest.raises(TypeError, match="safe_globals takes classes and functions, or pairs"):
        safe_globals([wrong])


def test_what_cannot_be_written():
    net = minicnn.nn.ReLU()
    handle = net.register_forward_hook(lambda *args: None)
    with pytest.raises(TypeError, match=r"obj\._forward_hooks\[\d+\] is or needs .*<lambda>, which cannot be imported"):
        minicnn.save(net, io.BytesIO())
    handle.remove()
    net.file = io.BytesIO  # a class is written by its name
    minicnn.save(net, io.BytesIO())
    net.file = open(__file__)  # noqa: SIM115
    with net.file, pytest.raises(TypeError, match=r"save cannot write obj\.file: .*TextIOWrapper"):
        minicnn.save(net, io.BytesIO())
    with pytest.raises(TypeError, match="save takes modules, tensors, numbers.*: obj is Settings"):
        minicnn.save(Settings(), io.BytesIO())
    with pytest.raises(TypeError, match="not a whole ReLU"):
        minicnn.save(net, "net.safetensors")


# --- what is allowed beside modules ------------------------------------------------------------------------------------------


class Row(list):
    pass


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Row([1, 2]), Row),
        (Row(), Row),
        (Row([Row([3])]), Row),
        (ValueError("x"), ValueError),
        ({"e": KeyError("y")}, KeyError),
        ([Settings(7)], Settings),
    ],
    ids=str,
)
def test_what_is_named_is_read_with_weights_only(value, named, protocol):
    file = stored(torch, value, pickle_protocol=protocol)
    with pytest.raises(ForbiddenError, match=f"{named.__name__}, which is not in the list"):
        minicnn.load(file)
    with safe_globals([named]):
        ours = minicnn.load(file)
    assert repr(ours) == repr(value)
    assert type(ours) is type(value)


def test_the_list_of_names():
    assert get_safe_globals() == []
    add_safe_globals([Row])
    try:
        with safe_globals([Net, (Net, "train.Net")]):
            assert get_safe_globals() == [Row, Net, (Net, "train.Net")]
        assert minicnn.load(stored(torch, Row([1]))) == Row([1])
    finally:
        clear_safe_globals()
    assert get_safe_globals() == []


def test_the_names_of_pytorch():
    for name in ("add_safe_globals", "get_safe_globals", "clear_safe_globals", "safe_globals"):
        assert hasattr(torch.serialization, name)
    assert isinstance(ForbiddenError("x"), pickle.UnpicklingError)
