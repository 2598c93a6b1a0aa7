"""`trace` and `diff`: each test runs on minicnn's modules and on PyTorch's."""

from __future__ import annotations

import copy
import gc
import json
import weakref
from collections import OrderedDict

import pytest
import torch
from both import filled, known

import minicnn
from minicnn.inspect import diff, trace


@pytest.fixture(params=[minicnn, torch], ids=["minicnn", "torch"])
def lib(request):
    return request.param


def network(lib):
    """Convolution, in-place ReLU, view, linear: 1 image of 2 channels, 4 by 4."""
    nn = lib.nn
    layers = OrderedDict(conv=nn.Conv2d(2, 3, 3), relu=nn.ReLU(inplace=True), flat=nn.Flatten(), fc=nn.Linear(12, 2))
    return filled(lib, nn.Sequential(layers))


def image(lib, requires_grad=True):
    return known(lib, 1, 2, 4, 4, requires_grad=requires_grad)


def traced(lib, model=None, x=None, **settings):
    model = network(lib) if model is None else model
    with trace(model, **settings) as events:
        model(image(lib) if x is None else x).sum().backward()
    return events


def brief(events):
    return [f"{event.kind} {event.module}" for event in events]


def hooks_left(model):
    return sum(len(d) for m in model.modules() for name, d in vars(m).items() if name.endswith("hooks"))


FORWARD = [
    *("call ", "call conv", "return conv", "call relu", "return relu"),
    *("call flat", "return flat", "call fc", "return fc", "return "),
]
BACKWARD = [
    *("grad_output ", "grad_output fc", "grad_input fc", "grad_output flat", "grad_input flat"),
    *("grad_output relu", "grad_input relu", "grad_output conv", "grad_input conv", "grad_input "),
]


def test_forward_and_backward_in_order(lib):
    events = traced(lib)
    assert brief(events) == FORWARD + BACKWARD
    assert [event.depth for event in events] == [0, *[1] * 8, 0] * 2
    assert {event.type for event in events[1:3]} == {"Conv2d"}
    conv = events[2].tensors[0]
    assert (conv.place, conv.shape, conv.dtype, conv.bytes) == ("output", (1, 3, 2, 2), "float32", 48)


def test_the_table(lib):
    model = filled(lib, lib.nn.Sequential(lib.nn.Linear(3, 2), lib.nn.ReLU(inplace=True)))
    with trace(model) as events, lib.no_grad():
        model(known(lib, 1, 3))
        events.note("done")
    assert str(events).splitlines() == [
        "#  event     module      tensor  shape   dtype    bytes",
        "0  call      Sequential  input   (1, 3)  float32     12",
        "1    call    0 Linear    input   (1, 3)  float32     12",
        "2    return  0 Linear    output  (1, 2)  float32      8",
        "3    call    1 ReLU      input   (1, 2)  float32      8",
        "4    return  1 ReLU      output  (1, 2)  float32      8  memory of input; written in place",
        "5  return    Sequential  output  (1, 2)  float32      8",
        "6  note      done",
    ]
    assert str(trace(model)) == "trace: nothing was called"


def test_records_survive_json(lib):
    events = traced(lib)
    again = trace.from_records(json.loads(json.dumps(events.records())))
    assert list(again) == list(events)
    assert diff(events, json.loads(json.dumps(events.records())), ignore=()) is None


def test_both_libraries_leave_the_same_trace():
    assert diff(traced(minicnn), traced(torch)) is None


def test_it_changes_nothing(lib):
    plain, x = network(lib), image(lib)
    plain(x).sum().backward()
    model, y = network(lib), image(lib)
    traced(lib, model, y)
    assert (x.grad == y.grad).all()
    assert (plain.conv.weight.grad == model.conv.weight.grad).all()
    assert model._is_full_backward_hook is None
    assert hooks_left(model) == 0
    assert not y._backward_hooks


def test_hooks_are_removed_after_an_error(lib):
    model, x = network(lib), image(lib)
    model.fc.register_forward_hook(lambda module, args, output: 1 / 0)
    with pytest.raises(ZeroDivisionError), trace(model):
        model(x)
    assert hooks_left(model) == 1
    assert not x._backward_hooks


def test_after_the_block_nothing_is_written(lib):
    model, x = network(lib), image(lib)
    with trace(model) as events:
        y = model(x)
    y.sum().backward()
    model(x)
    assert brief(events) == FORWARD


@pytest.mark.slow
def test_it_holds_no_tensor(lib):
    model = network(lib)
    with trace(model) as events:
        y = model(image(lib))
        reference = weakref.ref(y)
        del y
        gc.collect()
        assert reference() is None
    assert len(events) == 10


def test_no_gradient_events_without_a_graph(lib):
    model, x = network(lib), image(lib)
    with trace(model) as events:
        with lib.no_grad():
            model(x)
        (x * 2).sum().backward()
    assert brief(events) == FORWARD


def test_an_input_without_gradient_has_no_grad_input(lib):
    events = traced(lib, x=image(lib, requires_grad=False))
    assert brief(events) == [line for line in FORWARD + BACKWARD if line not in ("grad_input ", "grad_input conv")]


def test_shared_memory_and_writes_in_place(lib):
    relu, flat = (traced(lib)[i] for i in (4, 6))
    assert (relu.tensors[0].shares, relu.written) == (["input"], ["input"])
    assert (flat.tensors[0].shares, flat.written) == (["input"], [])


def test_a_view_holds_the_whole_block(lib):
    class First(lib.nn.Module):
        def forward(self, x):
            return x[:, :1]

    event = traced(lib, First(), known(lib, 1, 4, requires_grad=True))[1]
    assert (event.tensors[0].shape, event.tensors[0].bytes, event.tensors[0].shares) == ((1, 1), 16, ["input"])


def test_parameters_count_as_live(lib):
    class Weight(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = lib.nn.Parameter(known(lib, 2, 3))

        def forward(self):
            return self.weight.t()

    model = Weight()
    with trace(model) as events:
        model()
    assert events[0].tensors == []
    assert events[1].tensors[0].shares == ["weight"]


def test_structures_of_tensors(lib):
    class Several(lib.nn.Module):
        def forward(self, x, factor, *, mask):
            return {"scaled": x * factor, "parts": (x + 1, [mask])}

    model, x = Several(), known(lib, 2, requires_grad=True)
    with trace(model) as events:
        out = model(x, 3, mask=known(lib, 2))
        out["scaled"].sum().backward()
    assert [t.place for t in events[0].tensors] == ["input[0]", "mask="]
    assert [t.place for t in events[1].tensors] == ["output['scaled']", "output['parts'][0]", "output['parts'][1][0]"]
    assert events[1].tensors[2].shares == ["mask="]
    assert [(event.kind, event.tensors[0].place) for event in events[2:]] == [
        ("grad_output", "output['scaled']"),
        ("grad_input", "input[0]"),
    ]


def test_shared_modules_and_repeated_calls(lib):
    model = lib.nn.Sequential()
    model.act = lib.nn.ReLU()
    model.again = model.act
    with trace(model) as events:
        model(known(lib, 2))
        model(known(lib, 2))
    acts = [event for event in events if event.type == "ReLU" and event.kind == "return"]
    assert [(event.module, event.also, event.number) for event in acts] == [("act", ["again"], n) for n in (1, 2, 3, 4)]
    assert "act ReLU (also again) #4" in str(events)


def test_calls_that_raise(lib):
    class Fails(lib.nn.Module):
        def forward(self, x):
            raise ValueError("no")

    class Catches(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = lib.nn.Sequential(Fails())
            self.act = lib.nn.ReLU()

        def forward(self, x):
            try:
                return self.inner(x)
            except ValueError:
                return self.act(x)  # called while an exception is being handled, but it does not raise

    model = Catches()
    with trace(model) as events:
        model(known(lib, 2))
    assert brief(events) == [
        *("call ", "call inner", "call inner.0", "raise inner.0", "raise inner"),
        *("call act", "return act", "return "),
    ]
    assert events[3].text == "ValueError: no"
    assert events[5].depth == 1
    assert "ValueError: no" in str(events)


def test_calls_that_never_return(lib):
    class Interrupted(lib.nn.Module):
        def forward(self, x):
            raise KeyboardInterrupt

    model = lib.nn.Sequential(Interrupted())
    with pytest.raises(KeyboardInterrupt), trace(model) as events:
        model(known(lib, 2))
    assert brief(events) == ["call ", "call 0", "raise 0", "raise "]
    assert events[2].text == "KeyboardInterrupt: "
    with trace(model) as events:
        with pytest.raises(KeyboardInterrupt):
            model(known(lib, 2))
        lib.nn.ReLU()(known(lib, 2))
    assert [event.text for event in events[2:]] == ["did not return"] * 2


def test_a_pre_hook_that_raises(lib):
    def refuse(module, args):
        raise ValueError("not this")

    model = network(lib)
    model.conv.register_forward_pre_hook(refuse)
    with pytest.raises(ValueError, match="not this"), trace(model) as events:
        model(image(lib))
    assert brief(events) == ["call ", "call conv", "raise conv", "raise "]


def test_selection(lib):
    assert brief(traced(lib, modules=["conv", "f*"])) == [
        line for line in FORWARD + BACKWARD if line.split(" ")[1] in ("conv", "flat", "fc")
    ]
    with pytest.raises(KeyError, match="Near names: conv"):
        trace(network(lib), "convv")


def test_the_gradient_of_an_input_with_several_readers_is_one_sum(lib):
    class Residual(lib.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = lib.nn.Linear(2, 2, bias=False)

        def forward(self, x):
            return self.scale(x) + x

    model = Residual()
    with lib.no_grad():
        model.scale.weight.copy_(lib.eye(2) * 3)
    events = traced(lib, model, known(lib, 1, 2, requires_grad=True))
    assert brief(events[4:]) == ["grad_output ", "grad_output scale", "grad_input scale", "grad_input "]
    assert events[6].tensors[0].mean == 4.0  # 3 through the layer, 1 past it


def test_a_leaf_in_two_passes_is_reported_to_the_pass_that_it_belongs_to(lib):
    model, x = network(lib), image(lib)
    with trace(model, "conv") as events:
        for _ in range(2):
            model(x).sum().backward()
    assert [(event.kind, event.number) for event in events if event.kind.startswith("grad")] == [
        *(("grad_output", 1), ("grad_input", 1), ("grad_output", 2), ("grad_input", 2))
    ]


def test_backward_twice_is_reported_twice(lib):
    model, x = lib.nn.Linear(2, 1), known(lib, 1, 2, requires_grad=True)
    with trace(model) as events:
        y = model(x).sum()
        y.backward(retain_graph=True)
        y.backward()
    assert brief(events) == ["call ", "return ", *["grad_output ", "grad_input "] * 2]


def test_full_backward_hooks_as_they_see_it(lib):
    model = filled(lib, lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.Linear(2, 1)))
    events = traced(lib, model, known(lib, 1, 2, requires_grad=True), full_backward=True)
    kinds = ["grad_output ", "grad_output 1", "grad_input 1", "grad_output 0", "grad_input 0", "grad_input "]
    assert brief(events[6:]) == kinds
    assert [event.tensors[0].shape for event in events[6:]] == [(1, 1), (1, 1), (1, 2), (1, 2), (1, 2), (1, 2)]
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        events = traced(lib, model, known(lib, 1, 2), full_backward=True)
    assert brief(events[6:8]) == ["grad_output ", "grad_input "]
    assert events[7].tensors[0].dtype == "None"


def test_a_return_shows_what_the_caller_gets(lib):
    model = lib.nn.ReLU()
    with trace(model) as events:
        model.register_forward_hook(lambda module, args, output: output.reshape(2, 1))
        model(known(lib, 2))
    assert events[1].tensors[0].shape == (2, 1)


def test_notes_stand_between_the_events(lib):
    model = network(lib)
    with trace(model, "relu") as events:
        handle = model.relu.register_forward_hook(lambda module, args, output: events.note("mine", output))
        model(image(lib, requires_grad=False))
        handle.remove()
    assert [event.kind for event in events] == ["call", "note", "return"]
    assert (events[1].text, events[1].depth, events[1].tensors[0].shape) == ("mine", 1, (1, 3, 2, 2))


def test_a_copy_of_the_model_writes_nothing(lib):
    model = network(lib)
    with trace(model) as events:
        copy.deepcopy(model)(image(lib))
    assert list(events) == []


def test_one_trace_for_one_block(lib):
    model = network(lib)
    with trace(model) as events, pytest.raises(RuntimeError, match="already in use"), events:
        pass
    assert hooks_left(model) == 0


# diff -----------------------------------------------------------------------------------------------------------------


def test_diff_finds_other_numbers(lib):
    model = network(lib)
    changed = copy.deepcopy(model)
    with lib.no_grad():
        changed.fc.weight.mul_(2)
    difference = diff(traced(lib, model), traced(lib, changed))
    assert difference.index == 8
    assert (difference.a.module, difference.b.module) == ("fc", "fc")
    assert difference.fields[0].startswith("output: mean ")
    assert diff(traced(lib, model, numbers=False), traced(lib, changed)) is None
    text = str(difference)
    assert text.startswith("the traces part at event 8: output: mean")
    assert "both:" in text and "return  flat Flatten" in text


def test_diff_finds_other_places(lib):
    x, turned = known(lib, 1, 1, 3, 3), known(lib, 1, 1, 3, 3).transpose(2, 3).contiguous()
    model = lib.nn.Identity()
    with trace(model) as a:
        model(x)
    with trace(model) as b:
        model(turned)
    assert [text.split(" ")[1] for text in diff(a, b).fields] == ["order"]


def test_diff_finds_another_shape_and_the_end(lib):
    small, large = network(lib), network(lib)
    large.conv = lib.nn.Conv2d(2, 3, 3, padding=1)
    large.flat = lib.nn.Sequential(lib.nn.MaxPool2d(2), lib.nn.Flatten())
    difference = diff(traced(lib, small), traced(lib, large))
    assert difference.index == 2
    assert difference.fields == ["output: shape (1, 3, 2, 2) | (1, 3, 4, 4)"]
    whole = traced(lib, small)
    difference = diff(whole[:5], whole)
    assert (difference.index, difference.a, difference.b.module) == (5, None, "flat")
    assert "ends after 5 events" in str(difference)


def test_diff_ignores_what_it_is_told(lib):
    a, b = traced(lib), traced(lib)
    b[1].tensors[0].bytes += 1
    assert diff(a, b) is None
    assert diff(a, b, ignore=()).fields == ["input: bytes 128 | 129"]
    b[3].depth = 7
    assert diff(a, b).fields == ["depth 1 | 7"]
    assert diff(a, b, ignore=("bytes", "depth")) is None


def test_diff_takes_nan_for_nan(lib):
    model = lib.nn.Identity()
    traces = []
    for _ in range(2):
        with trace(model) as events:
            model(lib.full((2,), float("nan")))
        traces.append(events)
    assert diff(*traces) is None


def test_diff_shows_where_the_libraries_part():
    """The same hook in both; torch's network has another padding mode."""
    models = [filled(lib, lib.nn.Sequential(lib.nn.Conv2d(2, 2, 3, padding=1))) for lib in (minicnn, torch)]
    traces = [traced(lib, model, image(lib, False)) for lib, model in zip((minicnn, torch), models, strict=True)]
    assert diff(*traces) is None
    models[1][0].padding_mode = "reflect"
    models[1][0]._reversed_padding_repeated_twice = [1, 1, 1, 1]
    difference = diff(traces[0], traced(torch, models[1], image(torch, False)))
    assert (difference.index, difference.a.module) == (2, "0")
