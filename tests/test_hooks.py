"""Handles, registration hooks, and hooks under copy and pickle. Each rule runs in both libraries."""

from __future__ import annotations

import copy
import functools
import gc
import importlib
import pickle
import weakref
from collections import OrderedDict

import pytest
import torch.nn.modules.module as theirs
from both import assert_same, known, scenarios
from test_hooks_forward import attempt, linear, noting

import minicnn.nn.modules.module as ours


def handles(torch):
    return torch.utils.hooks.RemovableHandle


def hooks_of(torch):
    return importlib.import_module(torch.__name__ + ".utils.hooks")


# Handles --------------------------------------------------------------------------------------------------------------


def rule_one_counter_for_all_kinds(torch, log):
    layer, x = linear(torch), known(torch, 2, requires_grad=True)
    made = [
        layer.register_forward_hook(print),
        layer.register_full_backward_hook(print),
        x.register_hook(print),
        (x * 2).grad_fn.register_hook(print),
        layer.register_state_dict_pre_hook(print),
        torch.nn.modules.module.register_module_forward_hook(print),
        x.register_post_accumulate_grad_hook(print),
    ]
    made[5].remove()
    log([handle.id - made[0].id for handle in made])
    log(handles(torch).next_id - made[0].id)


def rule_what_a_handle_holds(torch, log):
    layer = linear(torch)
    pre, post = layer.register_forward_pre_hook(print), layer.register_forward_hook(print)
    backward = layer.register_full_backward_hook(print)
    log(pre.hooks_dict_ref() is layer._forward_pre_hooks, len(pre.extra_dict_ref))
    log([ref() is d for ref, d in zip(post.extra_dict_ref, (layer._forward_hooks_with_kwargs, None), strict=True)])
    log(post.extra_dict_ref[1]() is layer._forward_hooks_always_called, backward.extra_dict_ref)
    log(list(layer._forward_hooks) == [post.id], type(layer._forward_hooks).__name__)


def rule_remove_twice_and_after_the_module_died(torch, log):
    layer = linear(torch)
    handle = layer.register_forward_hook(print, with_kwargs=True, always_call=True)
    log(len(layer._forward_hooks_with_kwargs), len(layer._forward_hooks_always_called))
    handle.remove()
    handle.remove()
    log(len(layer._forward_hooks), len(layer._forward_hooks_with_kwargs), len(layer._forward_hooks_always_called))
    handle = layer.register_forward_hook(print)
    reference = weakref.ref(layer)
    del layer
    gc.collect()
    log(reference() is None, handle.hooks_dict_ref() is None)
    handle.remove()


def rule_deleting_from_the_dictionary_leaves_the_flag(torch, log):
    layer = linear(torch)
    handle = layer.register_forward_hook(print, with_kwargs=True)
    del layer._forward_hooks[handle.id]
    log(len(layer._forward_hooks_with_kwargs))
    handle.remove()
    log(len(layer._forward_hooks_with_kwargs))


def rule_dropping_a_handle_keeps_the_hook(torch, log):
    layer = linear(torch)
    layer.register_forward_hook(noting(log, "hook"))
    gc.collect()
    layer(known(torch, 1, 3))


def rule_handle_as_context_manager(torch, log):
    layer = linear(torch)
    with layer.register_forward_hook(noting(log, "hook")) as handle:
        log(type(handle).__name__)
        layer(known(torch, 1, 3))
    layer(known(torch, 1, 3))
    with layer.register_forward_hook(print):
        raise ValueError("goes through")


def rule_plain_dict_cannot_be_held(torch, log):
    attempt(log, handles(torch), {})


def rule_global_kwargs_flag_stays(torch, log):
    """A defect of 2.13.0 that is kept."""
    module = torch.nn.modules.module
    handle = module.register_module_forward_hook(print, with_kwargs=True, always_call=True)
    handle.remove()
    log(handle.id in module._global_forward_hooks_with_kwargs, handle.id in module._global_forward_hooks_always_called)
    module._global_forward_hooks_with_kwargs.clear()


def rule_handle_alone_dies_under_copy_and_pickle(torch, log):
    layer = linear(torch)
    handle = layer.register_forward_hook(print)
    for again in (copy.deepcopy(handle), pickle.loads(pickle.dumps(handle))):
        gc.collect()
        log(again.id == handle.id, again.hooks_dict_ref() is None, again.extra_dict_ref)
        again.remove()
    log(len(layer._forward_hooks))


def rule_handle_with_its_module_lives_on(torch, log):
    for again in (copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))):
        layer = linear(torch)
        layer.handle = layer.register_forward_hook(print, with_kwargs=True)
        new = again(layer)
        log(new.handle.id == layer.handle.id, new.handle.hooks_dict_ref() is new._forward_hooks)
        new.handle.remove()
        log(len(new._forward_hooks), len(new._forward_hooks_with_kwargs), len(layer._forward_hooks))


def rule_unpickled_handle_raises_the_counter(torch, log):
    cls = handles(torch)
    handle = cls(OrderedDict())
    before = cls.next_id
    handle.__setstate__((None, before + 100))
    log(cls.next_id - before, handle.id - before, handle.hooks_dict_ref())


# Copies of modules with hooks -----------------------------------------------------------------------------------------


def module_level_hook(*args):
    return None


class Collecting:
    def __init__(self):
        self.seen = []

    def __call__(self, *args):
        self.seen.append(len(args))

    def method(self, *args):
        self.seen.append(-len(args))


def rule_what_deepcopy_shares(torch, log):
    owner, called, listed = Collecting(), Collecting(), []
    layer = linear(torch)
    layer.register_forward_hook(lambda *args: listed.append("closure"))
    layer.register_forward_hook(owner.method)
    layer.register_forward_hook(called)
    layer.register_forward_hook(functools.partial(lambda into, *args: into.append("partial"), listed))
    again = copy.deepcopy(layer)
    log(list(again._forward_hooks) == list(layer._forward_hooks))
    again(known(torch, 1, 3))
    log(listed, owner.seen, called.seen)
    layer(known(torch, 1, 3))
    log(listed, owner.seen, called.seen)


def rule_deepcopy_and_pickle_keep_flags(torch, log):
    layer = linear(torch)
    layer.register_forward_hook(module_level_hook, with_kwargs=True, always_call=True)
    layer.register_full_backward_hook(module_level_hook)
    for new in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        log(
            [len(d) for d in (new._forward_hooks_with_kwargs, new._forward_hooks_always_called, new._backward_hooks)],
            new._is_full_backward_hook,
            new._forward_hooks is layer._forward_hooks,
        )
    log(copy.copy(layer)._forward_hooks is layer._forward_hooks)


def rule_pickle_with_a_lambda(torch, log):
    layer = linear(torch)
    layer.register_forward_hook(lambda *args: None)
    try:
        pickle.dumps(layer)
    except Exception as error:
        log(type(error).__name__)


def rule_a_stored_graph_tensor_breaks_deepcopy(torch, log):
    layer = linear(torch)
    layer.register_forward_hook(lambda m, args, out: setattr(m, "kept", out))
    layer(known(torch, 1, 3))
    try:
        copy.deepcopy(layer)
    except RuntimeError as error:
        log(str(error).split(".")[0])


def rule_setstate_adds_missing_dictionaries(torch, log):
    layer = linear(torch)
    state = {k: v for k, v in layer.__dict__.items() if "hook" not in k}
    old = torch.nn.Linear.__new__(torch.nn.Linear)
    old.__setstate__(state)
    log(sorted(k for k in old.__dict__ if "hook" in k))


def rule_parameter_hooks_are_not_copied_and_survive_double(torch, log):
    layer = linear(torch)
    layer.weight.register_hook(noting(log, "weight"))
    log(
        bool(copy.deepcopy(layer).weight._backward_hooks),
        bool(pickle.loads(pickle.dumps(layer)).weight._backward_hooks),
    )
    layer.double()
    layer(known(torch, 1, 3).double()).sum().backward()
    layer.load_state_dict({"weight": known(torch, 2, 3), "bias": known(torch, 2)}, assign=True)
    layer(known(torch, 1, 3)).sum().backward()


def rule_pickling_a_hooked_tensor_warns(torch, log):
    x = known(torch, 2, requires_grad=True)
    x.register_hook(module_level_hook)
    x.register_hook(hooks_of(torch).unserializable_hook(lambda grad: None))
    log(pickle.loads(pickle.dumps(x)))


def rule_the_private_names(torch, log):
    """What people look into: eleven dictionaries and a flag on a module, seven dictionaries and a flag for all."""
    layer = linear(torch)
    log(sorted(k for k in layer.__dict__ if "hook" in k), layer._is_full_backward_hook)
    module = torch.nn.modules.module
    log(sorted(k for k in vars(module) if k.startswith("_global")))


@pytest.mark.parametrize("name", theirs.__all__)
def test_global_functions_are_at_the_same_place(name):
    assert hasattr(ours, name)
    assert not hasattr(importlib.import_module("minicnn.nn"), name) or name == "Module"


# Registration hooks ---------------------------------------------------------------------------------------------------


def register(torch, kind, hook):
    return getattr(torch.nn.modules.module, f"register_module_{kind}_registration_hook")(hook)


def rule_registration_of_parameters(torch, log):
    module = torch.nn.Module()
    with register(torch, "parameter", noting(log, "hook")):
        module.a = torch.nn.Parameter(known(torch, 2))
        module.a = torch.nn.Parameter(known(torch, 1))
        module.a = None
        module.register_parameter("b", None)
        attempt(log, module.register_parameter, "c", 5)
        attempt(log, module.register_parameter, "", torch.nn.Parameter(known(torch, 1)))


def rule_registration_of_buffers(torch, log):
    module = torch.nn.Module()
    with register(torch, "buffer", noting(log, "hook")):
        module.register_buffer("a", known(torch, 2))
        module.a = known(torch, 1)
        module.a = None
        module.register_buffer("b", None, persistent=False)
        attempt(log, module.register_buffer, "c", 5)


def rule_registration_of_modules(torch, log):
    module = torch.nn.Module()
    with register(torch, "module", noting(log, "hook")):
        module.a = torch.nn.ReLU()
        module.a = None
        module.add_module("b", None)
        module.register_module("c", torch.nn.Tanh())
        torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())
        torch.nn.ModuleList([torch.nn.ReLU()])
        torch.nn.ModuleDict({"x": torch.nn.ReLU()})
        attempt(log, module.add_module, "d", 5)


def rule_registration_hooks_chain_and_are_not_checked(torch, log):
    module = torch.nn.Module()
    replace = register(torch, "parameter", lambda m, name, p: known(torch, 3))
    with replace, register(torch, "parameter", noting(log, "second")):
        module.a = torch.nn.Parameter(known(torch, 2))
    log(type(module._parameters["a"]).__name__)
    with register(torch, "module", lambda m, name, sub: torch.nn.Tanh()):
        module.b = torch.nn.ReLU()
    with register(torch, "buffer", lambda m, name, b: b + 1):
        module.register_buffer("c", known(torch, 2))
    log(module.b, module.c)


def rule_when_registration_hooks_do_not_run(torch, log):
    layer = linear(torch)
    with register(torch, "parameter", noting(log, "parameter")), register(torch, "module", noting(log, "module")):
        copy.deepcopy(layer)
        pickle.loads(pickle.dumps(layer))
        layer.double().float()
        layer.load_state_dict(layer.state_dict())
        log("assign")
        layer.load_state_dict(layer.state_dict(), assign=True)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
