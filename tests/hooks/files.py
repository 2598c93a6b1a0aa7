"""Modules with hooks in files: what travels, and what a file may ask for."""

from __future__ import annotations

import contextlib
import io
import pickle
import warnings
import zipfile

from both import filled, known, linear

from .catalogue import cases


class Row(list):
    """A list of one's own."""


def _saved(torch, value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return file


def _archive(value):
    """A file of `torch.save`, of a value that needs no tensors."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        contents = {"data.pkl": pickle.dumps(value, 2), "byteorder": b"little", "version": b"3\n"}
        for name, data in contents.items():
            archive.writestr(f"archive/{name}", data)
    file.seek(0)
    return file


def _naming(torch, *things):
    """Files may ask for these inside; before 2.5 there was no list, and `weights_only=False` read everything."""
    return getattr(torch.serialization, "safe_globals", lambda names: contextlib.nullcontext())(list(things))


def _loaded(torch, file, **options):
    """What `load` returns; "refused" if it does not like what the file asks for."""
    try:
        return torch.load(file, **options)
    except pickle.UnpicklingError:
        return "refused"


heard = []


def hook(module, args, output):
    heard.append(("hook", type(module).__name__))
    return output * 2


def with_kwargs(module, args, kwargs):
    heard.append(("pre-hook", len(args), len(kwargs)))


def backward_hook(module, grad_input, grad_output):
    heard.append(("backward", len(grad_output)))


def state_hook(module, state, prefix, metadata):
    heard.append(("state", prefix))


def rule_hooks_travel_with_a_module(torch, log):
    """A whole module keeps its hooks in a file: they are written by name, and run where it is loaded."""
    net = torch.nn.Sequential(linear(torch), torch.nn.ReLU())
    net[0].register_forward_hook(hook, always_call=True)
    net.register_forward_pre_hook(with_kwargs, with_kwargs=True)
    net.register_full_backward_hook(backward_hook)
    net._register_state_dict_hook(state_hook)
    with _naming(torch, hook, with_kwargs, backward_hook, state_hook):
        back = torch.load(_saved(torch, net), weights_only=False)
    heard.clear()
    x = known(torch, 1, 3, requires_grad=True)
    back(x).sum().backward()
    log(heard, x.grad, [list(layer._forward_hooks_always_called.values()) for layer in back.modules()])
    log({name: value.detach() for name, value in back.state_dict().items()}, heard)


def rule_ids_of_hooks_that_travelled(torch, log):
    """A loaded module brings the numbers of its hooks, and a new one may get the number of an old one: it takes its place."""
    net = linear(torch)
    handle = net.register_forward_hook(hook)
    with _naming(torch, hook):
        back = torch.load(_saved(torch, net), weights_only=False)
    log(list(back._forward_hooks) == [handle.id])
    back.register_forward_hook(lambda *args: log("new"))
    heard.clear()
    log(back(known(torch, 1, 3)).detach(), heard)


@cases({"nothing said": {}, "weights_only": {"weights_only": True}, "all": {"weights_only": False}})
def rule_what_load_refuses(torch, log, case):
    """A whole module is refused by `load(weights_only=True)`, which is the default since 2.6."""
    file = _saved(torch, filled(torch, torch.nn.Linear(2, 1)))
    with _naming(torch), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 2.4 and 2.5 warn of the new default
        loaded = _loaded(torch, file, **case)
    log(loaded if loaded == "refused" else repr(loaded))


@cases({"list": [1, 2], "empty": [], "nested": [Row([3])]})
def rule_subclasses_of_list(torch, log, case):
    """A class of one's own is read with `weights_only=True` if it has been named; one of lists since 2.14."""
    file = _archive(Row(case))
    log(_loaded(torch, file, weights_only=True))
    file.seek(0)
    with torch.serialization.safe_globals([Row]):
        back = _loaded(torch, file, weights_only=True)
    log(type(back).__name__, back)


def rule_exceptions(torch, log):
    """So are built-in exceptions, since 2.14."""
    for error in (ValueError("x"), KeyError(1, 2)):
        with torch.serialization.safe_globals([type(error)]):
            log(repr(_loaded(torch, _archive(error), weights_only=True)))
