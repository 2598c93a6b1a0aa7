"""Saving and loading: contents, order, messages. Each rule runs in both libraries. (Their hooks: `tests/hooks`.)"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch as real_torch
from both import assert_same, attempt, filled, known, linear, scenarios

import minicnn


def network(torch):
    """A network with parameters, persistent and other buffers, a shared layer, and a None."""
    net = torch.nn.Sequential(OrderedDict(first=torch.nn.Linear(3, 3), norm=torch.nn.BatchNorm1d(3)))
    net.shared = net.first
    net.register_buffer("kept", known(torch, 2))
    net.register_buffer("lost", known(torch, 2), persistent=False)
    net.register_buffer("nothing", None)
    return filled(torch, net)


def rule_contents_order_and_metadata(torch, log):
    state = network(torch).state_dict()
    log(type(state).__name__, state, state._metadata)
    log(network(torch).state_dict(prefix="net."))


def rule_entries_share_memory_and_are_detached(torch, log):
    net = linear(torch)
    state = net.state_dict()
    with torch.no_grad():
        net.weight.add_(1)
    log(state["weight"], state["weight"].requires_grad, type(state["weight"]).__name__)
    log(net.state_dict(keep_vars=True)["weight"] is net.weight)


def rule_own_destination_and_positional_arguments(torch, log):
    mine = {}
    log(linear(torch).state_dict(destination=mine, prefix="p.") is mine, list(mine), hasattr(mine, "_metadata"))
    log(list(linear(torch).state_dict({}, "q.", True)))


def rule_loading_matches(torch, log):
    net, other = network(torch), network(torch)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    log(net.load_state_dict(other.state_dict()), net.state_dict())


def rule_missing_and_unexpected(torch, log):
    state = network(torch).state_dict()
    del state["first.weight"], state["norm.running_mean"]
    state["q"] = state["first.q"] = state["kept.q"] = known(torch, 1)
    attempt(log, network(torch).load_state_dict, state)
    result = network(torch).load_state_dict(state, strict=False)
    log(repr(result), result.missing_keys, result.unexpected_keys)


def rule_wrong_shapes_and_types(torch, log):
    state = network(torch).state_dict()
    state["first.weight"] = known(torch, 2, 3)
    state["first.bias"] = [1, 2, 3]
    state["kept"] = None
    attempt(log, network(torch).load_state_dict, state)
    attempt(log, network(torch).load_state_dict, state, strict=False)
    for wrong in ([1], None, "text"):
        attempt(log, network(torch).load_state_dict, wrong)


def rule_scalar_from_a_vector_of_one(torch, log):
    net = torch.nn.Module()
    net.s = torch.nn.Parameter(torch.tensor(1.0))
    net.load_state_dict({"s": torch.ones(1) * 5})
    log(net.s)


def rule_what_matched_is_loaded_although_it_raises(torch, log):
    net = linear(torch)
    attempt(log, net.load_state_dict, {"weight": torch.ones(2, 3), "bias": torch.ones(5)})
    log(net.weight)


def rule_dtype_is_the_modules(torch, log):
    net = linear(torch)
    net.load_state_dict({"weight": torch.ones(2, 3).double(), "bias": torch.ones(2).double()})
    log(net.weight)


def rule_assign(torch, log):
    net = linear(torch)
    net.weight.requires_grad_(False)
    given = {"weight": torch.ones(2, 3).double(), "bias": torch.nn.Parameter(torch.ones(2), requires_grad=False)}
    net.load_state_dict(given, assign=True)
    log(
        net.weight,
        net.weight.requires_grad,
        type(net.weight).__name__,
        net.bias is given["bias"],
        net.bias.requires_grad,
    )
    norm = torch.nn.BatchNorm1d(2)
    state = {k: v.clone() for k, v in norm.state_dict().items()}
    norm.load_state_dict(state, assign=True)
    log(norm.running_mean is state["running_mean"])


def rule_old_files_have_no_num_batches_tracked(torch, log):
    norm = torch.nn.BatchNorm2d(2)
    state = {k: v for k, v in norm.state_dict().items() if k != "num_batches_tracked"}
    log(norm.load_state_dict(state))
    state = norm.state_dict()
    del state["num_batches_tracked"]
    attempt(log, norm.load_state_dict, state)


class WithExtra:
    """Makes a module that saves something else as well."""

    def __new__(cls, torch, log):
        class Extra(torch.nn.Linear):
            def get_extra_state(self):
                return {"epoch": 3}

            def set_extra_state(self, state):
                log("set", state)

        return Extra(1, 1)


def rule_extra_state(torch, log):
    net = torch.nn.Sequential(filled(torch, WithExtra(torch, log)))
    state = net.state_dict()
    log(state)
    log(net.load_state_dict(state))
    del state["0._extra_state"]
    attempt(log, net.load_state_dict, state)
    attempt(log, linear(torch).load_state_dict, {**linear(torch).state_dict(), "_extra_state": 1})
    attempt(log, linear(torch).get_extra_state)


def rule_subclass_that_overrides_loading(torch, log):
    class Own(torch.nn.Linear):
        def _save_to_state_dict(self, destination, prefix, keep_vars):
            destination[prefix + "only"] = self.bias

        def _load_from_state_dict(self, state_dict, prefix, metadata, strict, missing, unexpected, errors):
            log(list(state_dict), prefix, metadata, strict)
            missing.append("something")

    net = torch.nn.Sequential(filled(torch, Own(2, 1)))
    attempt(log, net.load_state_dict, net.state_dict())


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)


def test_state_passes_between_the_libraries():
    ours, theirs = network(minicnn), network(real_torch)
    with real_torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(3)
    ours.load_state_dict({k: minicnn.from_numpy(v.numpy()) for k, v in theirs.state_dict().items()})
    for (name, a), (other, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        assert name == other
        assert np.array_equal(a.numpy(), b.numpy())
    back = {k: real_torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()}
    assert str(theirs.load_state_dict(back)) == "<All keys matched successfully>"
