"""Which tensors of a checkpoint are a model's: nested ones, those that a wrapper has renamed, and those that do not fit."""

from __future__ import annotations

import time
import warnings
from collections import OrderedDict

import numpy as np
import pytest
import torch

import minicnn
from minicnn import models, nn
from minicnn.serialization import WeightsError, load_weights


def small(library) -> tuple:
    """A network and its state_dict, in either library."""
    nn = library.nn
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Sequential(nn.Linear(3, 2)))
    return net, net.state_dict()


def with_prefix(prefix: str):
    return lambda net: OrderedDict((prefix + name, value) for name, value in net.state_dict().items())


def part_compiled(net):
    """As after `net[2] = torch.compile(net[2])`."""
    return {name.replace("2.", "2._orig_mod.", 1): value for name, value in net.state_dict().items()}


def averaged(net):
    return torch.optim.swa_utils.AveragedModel(torch.nn.DataParallel(net)).state_dict()


def read(state: dict, tmp_path, model=None, strict: bool = True):
    """The model with the state loaded from a file, what was said, and what `load_weights` returned."""
    model = small(minicnn)[0] if model is None else model
    torch.save(state, tmp_path / "a.pth")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = load_weights(model, tmp_path / "a.pth", strict=strict)
    assert all(warning.filename == __file__ for warning in said)
    return model, " ".join(str(warning.message) for warning in said), result


def assert_loaded(model, state) -> None:
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name].numpy(), err_msg=name)


@pytest.mark.parametrize(
    ("wrapped", "pair"),
    [
        (with_prefix(""), ""),
        (lambda net: torch.nn.DataParallel(net).state_dict(), "'module.0.weight' as '0.weight'"),
        (with_prefix("_orig_mod."), "'_orig_mod.0.weight' as '0.weight'"),
        (with_prefix("module._orig_mod."), "'module._orig_mod.0.weight' as '0.weight'"),
        (with_prefix("_orig_mod.module."), "'_orig_mod.module.0.weight' as '0.weight'"),
        (part_compiled, "'2._orig_mod.0.weight' as '2.0.weight'"),
        (with_prefix("model."), "'model.0.weight' as '0.weight'"),
        (with_prefix("model._orig_mod."), "'model._orig_mod.0.weight' as '0.weight'"),
        (with_prefix("net.encoder."), "'net.encoder.0.weight' as '0.weight'"),
        (lambda net: torch.optim.swa_utils.AveragedModel(net).state_dict(), "'module.0.weight' as '0.weight'"),
        (averaged, "'module.module.0.weight' as '0.weight'"),
    ],
    ids=lambda value: value or "as it is" if isinstance(value, str) else "",
)
@pytest.mark.parametrize(
    "nested",
    [
        (),
        ("state_dict",),
        ("model_state_dict",),
        ("model",),
        ("module",),
        ("net",),
        ("ema",),
        ("params",),
        ("ema", "model"),
    ],
    ids="-".join,
)
def test_weights_are_found_under_the_usual_names(tmp_path, nested, wrapped, pair):
    source, _ = small(torch)
    state = wrapped(source)
    for name in reversed(nested):
        state = {name: state, "epoch": 3, "optimizer": {"state": {0: torch.ones(1)}}}
    model, said, _ = read(state, tmp_path)
    assert_loaded(model, source.state_dict())
    assert (pair in said) and (repr(nested[-1]) in said if nested else True)
    assert bool(said) == bool(pair or nested), "what needs no reading is not talked about"


class OwnModule(nn.Module):
    """A network whose own child is called `module`, beside a parameter of the child's name."""

    def __init__(self, wide: bool = False):
        super().__init__()
        self.module = nn.Linear(3, 2)
        if wide:
            self.weight = nn.Parameter(minicnn.zeros(1))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod."])
def test_a_child_that_is_called_module(tmp_path, wide, prefix):
    source = OwnModule(wide)
    state = {prefix + name: torch.from_numpy(value.numpy()) for name, value in source.state_dict().items()}
    model, said, _ = read(state, tmp_path, OwnModule(wide))
    assert_loaded(model, source.state_dict())
    assert bool(said) == bool(prefix)
    minicnn.save(source.state_dict(), tmp_path / "own.pth")
    load_weights(model, tmp_path / "own.pth")


def test_the_first_that_fits_is_taken_and_the_others_are_named(tmp_path):
    source, state = small(torch)
    other = {name: torch.zeros_like(value) for name, value in state.items()}
    for checkpoint in (
        {"ema": other, "model": state},
        {"loss": torch.ones(1), "ema": {"module": other}, "model": state},
    ):
        model, said, _ = read(checkpoint, tmp_path)
        assert_loaded(model, source.state_dict())
        assert "(under 'model'" in said and "'ema' there are '0.weight', '0.bias', '1.weight' and 6 more" in said


def test_what_fits_nowhere_is_listed(tmp_path):
    _, state = small(torch)
    short = {f"module.{name}": value for name, value in state.items() if name != "0.bias"}
    checkpoint = {"model": short, "ema": {"weight": torch.ones(2)}, "epoch": 3}
    with pytest.raises(WeightsError) as caught:
        read(checkpoint, tmp_path)
    for text in (
        "a.pth does not fit Sequential (under 'model', 'module.0.weight' as '0.weight'; under 'ema' there are 'weight'):",
        'Missing key(s) in the file: "0.bias".',
    ):
        assert text in str(caught.value)
    assert "Unexpected" not in str(caught.value)


def test_nothing_is_stripped_that_does_not_fit_then(tmp_path):
    """One name more in the file, and it is an error; with strict=False it is passed over, and listed."""
    _, state = small(torch)
    more = {**{f"model.{name}": value for name, value in state.items()}, "criterion.weight": torch.ones(2)}
    with pytest.raises(WeightsError, match='Unexpected key.* "criterion.weight"'):
        read(more, tmp_path)
    model, said, result = read(more, tmp_path, strict=False)
    assert_loaded(model, state)
    assert result.unexpected_keys == ["criterion.weight"] and "'model.0.weight' as '0.weight'" in said
    # Two layers of a larger network would fit under two beginnings: neither is meant.
    two = {"encoder.weight": torch.ones(2, 3), "encoder.bias": torch.ones(2), "head.weight": torch.ones(2, 3)}
    with pytest.raises(WeightsError, match="Missing"):
        read(two, tmp_path, nn.Linear(3, 2))
    assert read(two, tmp_path, nn.Linear(3, 2), strict=False)[2].missing_keys == ["weight", "bias"]
    # Two names in the file that would become one.
    with pytest.raises(WeightsError, match="Unexpected"):
        read(
            {"weight": torch.ones(2, 3), "module.weight": torch.ones(2, 3), "bias": torch.ones(2)},
            tmp_path,
            nn.Linear(3, 2),
        )


def test_versions_of_modules_go_with_their_names(tmp_path):
    seen = []

    class Versioned(nn.Linear):
        _version = 7

        def _load_from_state_dict(self, state, prefix, local_metadata, *rest):
            seen.append(local_metadata.get("version"))
            super()._load_from_state_dict(state, prefix, local_metadata, *rest)

    source = nn.Sequential(Versioned(3, 2))
    state = nn.Sequential(OrderedDict(module=source)).state_dict()
    minicnn.save(state, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match="weights taken from"):
        load_weights(source, tmp_path / "a.pth")
    assert seen == [7]


def test_what_is_no_tensor_in_the_place_of_one(tmp_path):
    model, before = nn.Linear(3, 2), nn.Linear(3, 2).bias
    model.bias.data.copy_(before)
    with pytest.raises(WeightsError, match="bias is list in the file, and shall be a tensor"):
        read({"weight": torch.ones(2, 3), "bias": [1.0, 2.0]}, tmp_path, model, strict=False)
    assert model.bias.tolist() == before.tolist()
    with pytest.raises(WeightsError, match='Unexpected key.* "epoch"'):
        read({"weight": torch.ones(2, 3), "bias": torch.ones(2), "epoch": 3}, tmp_path, model)


def test_a_state_that_is_more_than_tensors_comes_back(tmp_path):
    class Counting(nn.Linear):
        def get_extra_state(self):
            return {"calls": 3}

        def set_extra_state(self, state):
            self.calls = state["calls"]

    minicnn.save(Counting(3, 2).state_dict(), tmp_path / "a.pth")
    model = Counting(3, 2)
    load_weights(model, tmp_path / "a.pth")
    assert model.calls == 3


@pytest.mark.parametrize("name", ["module." * 100_000 + "weight", "." * 500_000, "x." * 250_000 + "weight"])
def test_names_that_shall_take_long(tmp_path, name):
    started = time.perf_counter()
    with pytest.raises(WeightsError):
        read({name: torch.ones(1), name + "2": torch.ones(1)}, tmp_path)
    assert time.perf_counter() - started < 2


@pytest.mark.parametrize("build", [minicnn, torch], ids=["minicnn", "torch"])
def test_load_state_dict_says_what_to_do(build):
    model = build.nn.Linear(3, 2)
    state = model.state_dict()
    for beginning in ("module.", "_orig_mod.", "model.net.", None):
        prefixed = {f"{beginning}{name}": value for name, value in state.items()}
        given = {"state_dict": state, "epoch": 3} if beginning is None else prefixed
        with pytest.raises(RuntimeError, match="Missing key") as caught:
            model.load_state_dict(given)
        if build is minicnn:
            inside = 'load_state_dict(checkpoint["state_dict"])'
            assert (inside if beginning is None else f"key.removeprefix({beginning!r})") in str(caught.value)
        result = model.load_state_dict(given, strict=False)
        assert result.missing_keys == ["weight", "bias"]
        assert result.unexpected_keys == list(given)


def test_no_hint_where_it_would_not_help():
    model = nn.Linear(3, 2)
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict({"module.weight": model.weight, "other": model.bias})
    assert "DataParallel" not in str(caught.value)


def test_a_checkpoint_without_weights(tmp_path):
    torch.save({"epoch": 3, "loss": [1.0]}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"a\.pth holds no state_dict.*'epoch', 'loss'"):
        load_weights(nn.Linear(3, 2), tmp_path / "a.pth")
    torch.save([1], tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="holds no state_dict.*it holds list"):
        load_weights(nn.Linear(3, 2), tmp_path / "a.pth")


def test_a_model_function_takes_a_checkpoint_of_another_number_of_classes(tmp_path):
    source = models.squeezenet1_1(num_classes=7)
    minicnn.save({"state_dict": {f"module.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match="under 'state_dict', 'module.features.0.weight' as"):
        model = models.squeezenet1_1(tmp_path / "a.pth")
    assert model.num_classes == 7
    x = minicnn.randn(1, 3, 40, 40)
    assert (model.eval()(x) == source.eval()(x)).all()
    with pytest.raises(WeightsError, match=r"a\.pth does not fit AlexNet"):
        models.alexnet(tmp_path / "a.pth")
    half = {name: value.half() for name, value in source.state_dict().items()}
    minicnn.save(half, tmp_path / "half.pth")
    assert {p.dtype for p in models.squeezenet1_1(tmp_path / "half.pth").parameters()} == {minicnn.float32}
