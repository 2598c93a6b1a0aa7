"""Hooks around `load_state_dict`: before a module's entries are loaded, and after it and its children are."""

from __future__ import annotations

import copy
import gc
import pickle

from both import attempt, known, linear, noting

from .catalogue import cases


def rule_loading_hooks_in_order(torch, log):
    """Pre-hooks run first thing in each module, parent before child; post-hooks when the module and its children are
    loaded, child before parent. `strict` is always True for a pre-hook; with `assign=True` the metadata says so."""
    net = torch.nn.Sequential(linear(torch))
    for name, module in (("outer", net), ("inner", net[0])):
        module.register_load_state_dict_pre_hook(noting(log, name + " pre", "ignored"))
        module._register_load_state_dict_pre_hook(noting(log, name + " private"))
        module._register_load_state_dict_pre_hook(noting(log, name + " private with"), with_module=True)
        module.register_load_state_dict_post_hook(noting(log, name + " post"))
    net.load_state_dict(net.state_dict())
    log("assign, not strict")
    net.load_state_dict(net.state_dict(), strict=False, assign=True)


def rule_pre_hook_renames_without_touching_the_callers(torch, log):
    """The dictionary is copied first: a pre-hook may rename keys, for children too, and the caller's stays as it is."""

    def rename(module, state, prefix, *rest):
        for key in list(state):
            state[key.replace("old", "0")] = state.pop(key)

    net = torch.nn.Sequential(linear(torch))
    given = {"old.weight": torch.ones(2, 3), "old.bias": torch.ones(2)}
    net.register_load_state_dict_pre_hook(rename)
    log(net.load_state_dict(given), list(given), net[0].weight)


def rule_child_pre_hook_reaches_only_itself(torch, log):
    """A child gets a fresh plain dict of the keys with its prefix: what its pre-hook adds for a sibling is lost."""
    net = torch.nn.Sequential(linear(torch), linear(torch))
    state = net.state_dict()
    del state["1.weight"]
    net[0].register_load_state_dict_pre_hook(lambda m, s, *rest: s.update({"1.weight": torch.ones(2, 3)}))
    attempt(log, net.load_state_dict, state)


def rule_the_child_sees_full_keys(torch, log):
    """The keys in a child's dict are full ones, with the prefix beside them; its type is a plain dict without metadata."""
    net = torch.nn.Sequential(linear(torch))
    for module in (net, net[0]):
        module.register_load_state_dict_pre_hook(
            lambda m, state, prefix, *rest: log(type(state).__name__, list(state), prefix, hasattr(state, "_metadata"))
        )
    net.load_state_dict(net.state_dict())


def rule_hooks_may_edit_the_lists(torch, log):
    """Pre-hooks may add to `error_msgs`, which raises even with `strict=False`; post-hooks may edit the missing and
    unexpected keys in place, which changes what strict loading says."""
    net = linear(torch)
    net._register_load_state_dict_pre_hook(lambda *args: args[-1].append("from a hook"))
    attempt(log, net.load_state_dict, net.state_dict(), strict=False)
    net = linear(torch)
    net.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    log(net.load_state_dict({}))
    net.register_load_state_dict_post_hook(lambda m, keys: keys.unexpected_keys.append("added"))
    attempt(log, net.load_state_dict, {})


def rule_post_hook_must_return_none_and_runs_after_a_mismatch(torch, log):
    """A post-hook must return None (AssertionError). It runs even if a size mismatch was noted."""
    net = linear(torch)
    net.register_load_state_dict_post_hook(noting(log, "post"))
    attempt(log, net.load_state_dict, {"weight": torch.ones(1)})
    net.register_load_state_dict_post_hook(lambda m, keys: keys)
    attempt(log, net.load_state_dict, net.state_dict())


@cases({"0": 0, "False": False, "empty list": [], "text": "x"})
def rule_returns(torch, log, case):
    """What a pre-hook returns is ignored; a post-hook that returns anything but None, also 0, is an AssertionError."""
    net = linear(torch)
    net.register_load_state_dict_pre_hook(lambda *args: case)
    log(net.load_state_dict(net.state_dict()))
    net.register_load_state_dict_post_hook(lambda *args: case)
    attempt(log, net.load_state_dict, net.state_dict())


def module_level_pre_hook(module, *args):
    module.called = True


def rule_pre_hooks_hold_the_module_weakly(torch, log):
    """A pre-hook is stored in a wrapper that holds its module weakly; copies and pickles carry it over to the new
    module; if the module is gone the wrapper raises."""
    net = linear(torch)
    net.register_load_state_dict_pre_hook(module_level_pre_hook)
    for new in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        new.load_state_dict(new.state_dict())
        log(hasattr(new, "called"), hasattr(net, "called"))
    (wrapped,) = net._load_state_dict_pre_hooks.values()
    log(wrapped.__name__, wrapped.with_module)
    del net
    gc.collect()
    attempt(log, wrapped)


def rule_the_wrapper(torch, log):
    """The wrapper has the hook's name and documentation, the hook itself, and whether it wants the module."""
    net = linear(torch)
    net.register_load_state_dict_pre_hook(module_level_pre_hook)
    net._register_load_state_dict_pre_hook(module_level_pre_hook)
    for wrapped in net._load_state_dict_pre_hooks.values():
        log(type(wrapped).__name__, wrapped.__name__, wrapped.hook is module_level_pre_hook, wrapped.with_module)


def rule_order_over_a_tree(torch, log):
    """Pre: root, first child, its child, second child. Post: innermost first."""
    net = torch.nn.Sequential(torch.nn.Sequential(linear(torch)), linear(torch))
    for name, module in net.named_modules():
        module.register_load_state_dict_pre_hook(lambda *args, name=name: log("pre", name or "root"))
        module.register_load_state_dict_post_hook(lambda *args, name=name: log("post", name or "root"))
    net.load_state_dict(net.state_dict())


def rule_post_hooks_see_the_keys_of_all(torch, log):
    """The incompatible keys in a child's post-hook are those of the whole load so far, in the same lists."""
    net = torch.nn.Sequential(linear(torch), linear(torch))
    for name, module in net.named_modules():
        module.register_load_state_dict_post_hook(
            lambda m, keys, name=name: log(name or "root", keys.missing_keys, keys.unexpected_keys, type(keys).__name__)
        )
    log(
        net.load_state_dict(
            {"0.weight": known(torch, 2, 3), "q": known(torch, 1), "1.q": known(torch, 1)}, strict=False
        )
    )


@cases({"strict": {}, "not strict": {"strict": False}, "assign": {"assign": True}})
def rule_arguments_of_a_pre_hook(torch, log, case):
    """`hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`; the private
    form without `with_module` lacks the module."""
    net = linear(torch)
    net.register_load_state_dict_pre_hook(noting(log, "public"))
    net._register_load_state_dict_pre_hook(noting(log, "private"))
    log(net.load_state_dict(net.state_dict(), **case))


def rule_adding_values_in_a_pre_hook(torch, log):
    """A pre-hook may supply what an old file lacks."""
    net = linear(torch)
    net.register_load_state_dict_pre_hook(
        lambda m, state, prefix, *rest: state.setdefault(prefix + "bias", torch.ones(2))
    )
    log(net.load_state_dict({"weight": known(torch, 2, 3)}), net.bias)


def rule_an_exception_propagates(torch, log):
    """An exception in a pre-hook leaves `load_state_dict`; what was loaded before stays."""
    net = torch.nn.Sequential(linear(torch), linear(torch))
    net[1].register_load_state_dict_pre_hook(lambda *args: 1 / 0)
    net.register_load_state_dict_post_hook(noting(log, "post"))
    attempt(log, net.load_state_dict, {"0.weight": torch.zeros(2, 3), "0.bias": torch.zeros(2)})
    log(net[0].weight)


def rule_removal(torch, log):
    """Handles remove these hooks as all others."""
    net = linear(torch)
    handles = [
        net.register_load_state_dict_pre_hook(noting(log, "pre")),
        net._register_load_state_dict_pre_hook(noting(log, "private")),
        net.register_load_state_dict_post_hook(noting(log, "post")),
    ]
    for handle in handles:
        handle.remove()
    log(
        net.load_state_dict(net.state_dict()), len(net._load_state_dict_pre_hooks), len(net._load_state_dict_post_hooks)
    )
