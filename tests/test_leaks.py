"""`leaks`: each test runs on minicnn's modules and on PyTorch's."""

from __future__ import annotations

import gc
import weakref
from collections import deque
from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from both import filled, known

import minicnn
from minicnn import viz
from minicnn.inspect import leaks, trace

kept_globally: dict = {}


@pytest.fixture(params=[minicnn, torch], ids=["minicnn", "torch"])
def lib(request):
    kept_globally.clear()
    return request.param


def network(lib, inplace=True):
    nn = lib.nn
    return filled(lib, nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace=inplace), nn.Linear(4, 2)))


def run(lib, model):
    return model(known(lib, 2, 3))


def kinds(found):
    return [finding.kind for finding in found]


def hooks_left(model):
    return sum(len(d) for m in model.modules() for name, d in vars(m).items() if name.endswith("hooks"))


def test_nothing_left(lib):
    model, seen = network(lib), []
    with leaks(model) as found, model[0].register_forward_hook(lambda m, a, o: seen.append(o.detach().clone())):
        run(lib, model)
    assert not found
    assert str(found) == "no leaks found"
    assert repr(found) == "<leaks: none>"
    assert hooks_left(model) == 0
    assert not leaks(model)


# The five ways of lesson 7, and what each leaves ------------------------------------------------------------------------

WAYS = {
    "raw": (lambda output: output, ["graph", "alias"]),
    "detach": (lambda output: output.detach(), ["alias"]),
    "clone": (lambda output: output.clone(), ["graph"]),
    "detach and clone": (lambda output: output.detach().clone(), []),
    "NumPy copy": (lambda output: output.detach().numpy().copy(), []),
    "NumPy view": (lambda output: output.detach().numpy(), ["alias"]),
    "data": (lambda output: output.data, ["alias"]),
    "a view": (lambda output: output.detach()[:, 1:], ["alias"]),
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_to_store(lib, way):
    store, expected = WAYS[way]
    model, seen = network(lib), {}
    with leaks(model) as found, model[0].register_forward_hook(lambda m, a, o: seen.update(linear=store(o))):
        run(lib, model)
    assert kinds(found) == expected
    assert all((finding.where, finding.module, finding.count) == ("seen['linear']", "0", 1) for finding in found)
    for finding in found:
        if finding.kind == "alias":
            assert "the memory of the output of 0 (Linear), which was written by 1 (ReLU)" in finding.what
            assert "cop" in finding.cure or "clone" in finding.cure


@pytest.mark.parametrize("way", WAYS)
def test_without_an_in_place_layer_nothing_is_rewritten(lib, way):
    store, expected = WAYS[way]
    model, seen = network(lib, inplace=False), {}
    with leaks(model) as found, model[0].register_forward_hook(lambda m, a, o: seen.update(linear=store(o))):
        run(lib, model)
    assert kinds(found) == [kind for kind in expected if kind == "graph"]


# Places -----------------------------------------------------------------------------------------------------------------


class Keeper:
    everything: list = []

    def __init__(self):
        self.acts = {}

    def keep(self, module, args, output):
        self.acts["linear"] = output

    def __call__(self, module, args, output):
        self.acts["linear"] = output

    @classmethod
    def collect(cls, module, args, output):
        cls.everything[:] = [output]


class Slotted:
    __slots__ = ("last",)

    def keep(self, module, args, output):
        self.last = output


@dataclass
class Record:
    outputs: dict = field(default_factory=dict)


def keep_globally(module, args, output):
    kept_globally["linear"] = output


def helper(output):
    kept_globally["linear"] = output


def keep_by_helper(module, args, output):
    helper(output)


def store_in(target, module, args, output):
    target.append(output)


def with_default(module, args, output, target=[]):  # noqa: B006
    target[:] = [output]


def with_keyword(module, args, output, *, target=[]):  # noqa: B006
    target[:] = [output]


def on_itself(module, args, output):
    on_itself.seen = [output]


def on_the_module(module, args, output):
    module.seen = output


def in_a_closure():
    seen = {"a": [deque()]}
    return lambda module, args, output: seen["a"][0].append(output)


def in_a_dataclass():
    record = Record()
    return lambda module, args, output: record.outputs.update(linear=output)


def by_a_function_in_a_closure():
    seen = []

    def store(output):
        seen.append(output)

    return lambda module, args, output: store(output)


PLACES = {
    "closure": (in_a_closure, "seen['a'][0][0]"),
    "dataclass": (in_a_dataclass, "record.outputs['linear']"),
    "function in a closure": (by_a_function_in_a_closure, "store > seen[0]"),
    "global variable": (lambda: keep_globally, "kept_globally['linear']"),
    "global function": (lambda: keep_by_helper, "helper > kept_globally['linear']"),
    "bound method": (lambda: Keeper().keep, "self.acts['linear']"),
    "class method": (lambda: Keeper.collect, "self.everything[0]"),
    "slots": (lambda: Slotted().keep, "self.last"),
    "object that is called": (Keeper, "self.acts['linear']"),
    "partial": (lambda: partial(store_in, []), "argument 0 of the partial[0]"),
    "default": (lambda: with_default, "target[0]"),
    "keyword default": (lambda: with_keyword, "target[0]"),
    "attribute of the hook": (lambda: on_itself, "on_itself.seen[0]"),
    "attribute of the module": (lambda: on_the_module, "0.seen"),
}


@pytest.mark.parametrize("place", PLACES)
def test_places(lib, place):
    make, where = PLACES[place]
    model, hook = network(lib, inplace=False), make()
    handle = model[0].register_forward_hook(hook)
    run(lib, model)
    graph = [finding for finding in leaks(model) if finding.kind == "graph"]
    assert len(graph) == 1
    if place == "attribute of the hook":  # found twice, as a global function and as the hook itself
        where = graph[0].where
    assert graph[0].where == where
    handle.remove()


def test_an_attribute_of_the_module_is_found_without_its_hook(lib):
    model = network(lib, inplace=False)
    with model[0].register_forward_hook(on_the_module):
        run(lib, model)
    (finding,) = leaks(model)
    assert (finding.kind, finding.where, finding.hook) == ("graph", "0.seen", "an attribute of the module")


def test_a_list_of_builtin_append(lib):
    model, seen = network(lib), []
    model[0].weight.register_post_accumulate_grad_hook(seen.append)
    run(lib, model).sum().backward()
    found = leaks(model)
    assert kinds(found) == ["handle"]  # the list holds the parameter itself: that is no leak
    assert "post-accumulate-grad hook" in found[0].what


def test_many_in_one_list_are_one_finding(lib):
    model, seen = network(lib), []
    with leaks(model) as found, model[2].register_forward_hook(lambda m, a, o: seen.append(o)):
        for _ in range(5):
            run(lib, model)
    (finding,) = found
    assert (finding.kind, finding.where, finding.count, finding.bytes) == ("graph", "seen[...]", 5, 5 * 2 * 2 * 4)
    assert finding.what.startswith("5 stored tensors (80 bytes) in seen[...] keep ")
    assert "cure: store tensor.detach()" in str(found)


@pytest.mark.slow
def test_the_graph_that_is_said_to_live_lives(lib):
    model, seen = network(lib, inplace=False), []
    model[0].register_forward_hook(lambda m, a, o: seen.append(o.detach() if detach else o))
    for detach in (True, False):
        seen.clear()
        reference = weakref.ref(run(lib, model))
        gc.collect()
        assert reference() is None  # the last output dies in any case
        assert ("graph" in kinds(leaks(model))) is not detach


def test_it_keeps_nothing_alive_itself(lib):
    model, seen = network(lib), []
    handle = model[2].register_forward_hook(lambda m, a, o, kept=seen: kept.append(o))
    with leaks(model) as in_a_block:
        run(lib, model)
    without = leaks(model)
    assert [kinds(found) for found in (in_a_block, without)] == [["graph"], ["handle", "graph"]]
    reference = weakref.ref(seen[0])
    handle.remove()
    del handle, seen
    gc.collect()
    assert reference() is None
    assert len(without) == 2


def test_objects_that_answer_to_any_name(lib):
    class Anything:
        def __getattr__(self, name):
            return 7

    anything, model = Anything(), network(lib)
    model[0].register_forward_hook(lambda m, a, o: print_nothing(anything))
    run(lib, model)
    assert kinds(leaks(model)) == ["handle"]


# Handles ----------------------------------------------------------------------------------------------------------------


def test_handles(lib):
    model = network(lib)
    before = model[0].register_forward_hook(print_nothing)
    with leaks(model) as found:
        with model[1].register_forward_hook(print_nothing):
            run(lib, model)
        model[0].register_forward_pre_hook(print_nothing)
        model[1].register_full_backward_pre_hook(print_nothing)
        model[2].register_full_backward_hook(print_nothing)
        model.register_state_dict_pre_hook(print_nothing)
        model[2].weight.register_hook(print_nothing)
    assert [(finding.kind, finding.module) for finding in found] == [
        *(("handle", ""), ("handle", "0"), ("handle", "1"), ("handle", "2"), ("handle", "2.weight")),
    ]
    assert found[1].what == "a forward pre-hook is still set on 0"
    assert "forward pre-hook print_nothing (test_leaks.py:" in found[1].hook
    assert len(leaks(model)) == 6
    before.remove()
    assert len(leaks(model)) == 5


def print_nothing(*args):
    return None


def test_the_tools_do_not_report_each_other(lib):
    model = network(lib)
    with trace(model) as events, leaks(model) as found:
        run(lib, model).sum().backward()
        assert not leaks(model)
    assert not found
    assert len(events) > 8


def test_hooks_of_the_library_itself_are_not_left_behind():
    model = torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2)))
    assert len(model[0]._load_state_dict_pre_hooks) == 1
    assert not leaks(model)


def test_tensors_without_numbers_share_nothing():
    model = torch.nn.Linear(3, 2, device="meta")
    seen = []
    with (
        trace(model) as events,
        leaks(model) as found,
        model.register_forward_hook(lambda m, a, o: seen.append(o.detach())),
    ):
        model(torch.ones(1, 3, device="meta"))
    assert events[1].tensors[0].shares == []
    assert not found


def test_global_hooks(lib):
    handle = lib.nn.modules.module.register_module_forward_hook(keep_globally)
    try:
        model = network(lib)
        run(lib, model)
        found = leaks(model)
        assert kinds(found) == ["handle", "graph"]
        assert found[0].what == "a global forward hook is still set on the model"
    finally:
        handle.remove()


def test_a_block_that_raises_leaves_no_hooks(lib):
    model = network(lib)
    found = leaks(model)
    with pytest.raises(ZeroDivisionError), found:
        set_a_hook_and_fail(model)
    assert kinds(found) == ["handle"]
    assert hooks_left(model) == 1


def set_a_hook_and_fail(model):
    model[0].register_forward_hook(print_nothing)
    raise ZeroDivisionError


def test_a_forward_that_raises(lib):
    class Fails(lib.nn.Module):
        def forward(self, x):
            raise ValueError("no")

    model, seen = lib.nn.Sequential(lib.nn.Linear(3, 2), Fails()), []
    model[0].register_forward_hook(lambda m, a, o: seen.append(o))
    with leaks(model) as found:
        for _ in range(2):
            with pytest.raises(ValueError, match="no"):
                run(lib, model)
    assert kinds(found) == ["graph"]
    assert hooks_left(model) == 1


def test_one_block_at_a_time(lib):
    model = network(lib)
    with leaks(model) as found, pytest.raises(RuntimeError, match="make a new one"), found:
        pass
    assert hooks_left(model) == 0


# Aliases ----------------------------------------------------------------------------------------------------------------


def test_a_write_between_the_layers_is_found_and_named(lib):
    class Block(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.act = lib.nn.Linear(3, 3), lib.nn.Tanh()

        def forward(self, x):
            out = self.fc(x)
            out += x
            return self.act(out)

    model, seen = lib.nn.Sequential(Block()), {}
    with leaks(model) as found, model[0].fc.register_forward_hook(lambda m, a, o: seen.update(fc=o.detach())):
        run(lib, model)
    (finding,) = found
    assert finding.what.endswith("the output of 0.fc (Linear), which was written by 0 (Block), between its layers")


def test_what_a_pre_hook_stores_is_stored_before_the_layer_writes(lib):
    model, seen = network(lib), {}
    with leaks(model) as found, model[1].register_forward_pre_hook(lambda m, a: seen.update(x=a[0].detach())):
        run(lib, model)
    assert kinds(found) == ["alias"]
    assert found[0].what.endswith("written by 1 (ReLU)")


def test_the_output_of_an_in_place_layer_itself_is_not_rewritten(lib):
    model, seen = network(lib), {}
    with leaks(model) as found, model[1].register_forward_hook(lambda m, a, o: seen.update(relu=o.detach())):
        run(lib, model)
    assert not found
    handle = model[1].register_forward_hook(lambda m, a, o: seen.update(relu=o.detach()))
    run(lib, model)
    assert kinds(leaks(model)) == ["handle"]
    handle.remove()


def test_a_running_sum_is_no_alias(lib):
    model = network(lib)
    total = lib.zeros(2, 4)
    with leaks(model) as found, model[0].register_forward_hook(lambda m, a, o: total.add_(o.detach())) as handle:
        handle.remove()
        model[0].register_forward_hook(summing(total))
        run(lib, model)
        run(lib, model)
    assert kinds(found) == ["handle"]


def summing(total):
    def add(module, args, output):
        total.add_(output.detach())

    return add


def test_stored_weights_that_the_optimizer_writes(lib):
    model, seen = network(lib), []
    optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
    with leaks(model) as found, model[0].register_forward_hook(lambda m, a, o: seen.append(m.weight.detach())):
        run(lib, model).sum().backward()
        optimizer.step()
        run(lib, model)
    (finding,) = found
    assert finding.kind == "alias"
    assert "memory of 0.weight" in finding.what
    assert "which was written by a line outside of the model" in finding.what


def test_without_a_block_only_the_version_speaks(lib):
    model, seen = network(lib), {}
    model[0].register_forward_hook(lambda m, a, o: seen.update(linear=o.detach()))
    run(lib, model)
    found = leaks(model)
    assert kinds(found) == ["handle", "alias"]
    assert "perhaps changed: the memory has been written in place 1 time since it was made" in found[1].what
    weights = []
    model[0].register_forward_hook(lambda m, a, o: weights.append(m.weight.detach()))
    run(lib, model)
    assert "is the memory of 0.weight" in str(leaks(model))


def test_a_module_of_another_model_is_looked_into(lib):
    class Watcher(lib.nn.Module):
        def keep(self, module, args, output):
            self.last = output

    model, watcher = network(lib), Watcher()
    model[2].register_forward_hook(watcher.keep)
    run(lib, model)
    assert [finding.where for finding in leaks(model)][1:] == ["self.last"]


def test_capture_leaves_nothing():
    model = network(minicnn)
    with leaks(model) as found, viz.capture(model, ["0", "1"]):
        run(minicnn, model)
    assert not found
    with leaks(model) as found, viz.capture(model, ["0", "1"], copy=False, detach=False):
        run(minicnn, model)
    assert sorted(kinds(found)) == [
        "alias",
        "graph",
    ]  # one tensor under two names: the in-place layer returns its input
