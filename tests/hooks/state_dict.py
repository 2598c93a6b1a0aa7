"""Hooks around `state_dict`: before and after a module's entries are saved."""

from __future__ import annotations

import functools

from both import attempt, linear, noting

from .catalogue import cases


def rule_saving_hooks_in_order(torch, log):
    """Pre-hooks, the module's own entries, its children in the same way, post-hooks; public and private post-hooks
    are in one dictionary, in the order of registration."""
    net = torch.nn.Sequential(linear(torch))
    for name, module in (("outer", net), ("inner", net[0])):
        module.register_state_dict_pre_hook(noting(log, name + " pre", "ignored"))
        module.register_state_dict_post_hook(noting(log, name + " post"))
        module._register_state_dict_hook(noting(log, name + " private"))
    net.state_dict(prefix="p.")


def rule_private_hook_replaces_at_the_root_only(torch, log):
    """What a private hook returns replaces the dictionary, but only at the root: a child's is dropped."""
    net = torch.nn.Sequential(linear(torch))
    net[0]._register_state_dict_hook(lambda m, state, prefix, meta: {"inner": 1})
    log(list(net.state_dict()))
    net._register_state_dict_hook(lambda m, state, prefix, meta: {"outer": 1})
    log(net.state_dict())


def rule_public_post_hook_must_return_none(torch, log):
    """A public post-hook must return None, not even the same dictionary."""
    net = linear(torch)
    net.register_state_dict_post_hook(lambda m, state, prefix, meta: state)
    attempt(log, net.state_dict)


@cases({"True": True, "0": 0, "empty": {}, "text": "x"})
def rule_returns_of_post_hooks(torch, log, case):
    """Anything but None is an error in a public post-hook, also 0; in a private one it is what `state_dict` returns."""
    net = linear(torch)
    net._register_state_dict_hook(lambda m, state, prefix, meta: case)
    log(net.state_dict())
    net = linear(torch)
    net.register_state_dict_post_hook(lambda m, state, prefix, meta: case)
    attempt(log, net.state_dict)


def rule_public_mark_is_on_the_function(torch, log):
    """The mark of a public post-hook is an attribute of the function: a bound method or a builtin cannot carry it,
    and the function cannot be a private hook afterwards, of any module."""

    def hook(*args):
        return None

    class Owner:
        def method(self, *args):
            return None

    net = linear(torch)
    net.register_state_dict_post_hook(hook)
    log(hook._from_public_api)
    attempt(log, linear(torch)._register_state_dict_hook, hook)
    attempt(log, net.register_state_dict_post_hook, Owner().method)
    try:
        net.register_state_dict_post_hook(print)
    except AttributeError:
        log("builtin")


def rule_partials_and_objects_can_carry_the_mark(torch, log):
    """A `functools.partial` and an object with `__call__` take the attribute."""

    class Hook:
        def __call__(self, *args):
            log("object")

    net, hook = linear(torch), Hook()
    net.register_state_dict_post_hook(functools.partial(lambda text, *args: log(text), "partial"))
    net.register_state_dict_post_hook(hook)
    net.state_dict()
    log(hook._from_public_api)


def rule_post_hooks_may_change_the_dictionary(torch, log):
    """A post-hook may add, rename and delete entries in place; a child's hook does so in the same dictionary."""
    net = torch.nn.Sequential(linear(torch), linear(torch))

    def remove(module, state, prefix, metadata):
        del state[prefix + "bias"]

    net[0].register_state_dict_post_hook(remove)
    net.register_state_dict_post_hook(lambda m, state, prefix, meta: state.update({prefix + "new": 1}))
    log(list(net.state_dict(prefix="p.")))


def rule_pre_hooks_see_the_arguments(torch, log):
    """`hook(module, prefix, keep_vars)` before anything is saved; what it changes in the module is saved."""
    net = torch.nn.Sequential(linear(torch))

    def prepare(module, prefix, keep_vars):
        log(prefix, keep_vars)
        module.register_buffer("late", torch.ones(1))

    net[0].register_state_dict_pre_hook(prepare)
    log(list(net.state_dict(prefix="p.", keep_vars=True)))


def rule_local_metadata(torch, log):
    """The metadata that a post-hook sees is that of its module: the version; a change is in `_metadata`."""
    net = torch.nn.BatchNorm1d(2)
    net.register_state_dict_post_hook(lambda m, state, prefix, meta: log(meta) or meta.update(mine=1))
    log(net.state_dict()._metadata)


def rule_removed_and_added_while_they_run(torch, log):
    """These hooks are worked through without a snapshot: adding one inside is `OrderedDict mutated during iteration`,
    unless it is the last that does."""
    for last in (True, False):
        net = linear(torch)

        def add(*args):
            net.register_state_dict_post_hook(noting(log, "added"))  # noqa: B023

        net.register_state_dict_post_hook(add)
        if not last:
            net.register_state_dict_post_hook(noting(log, "behind"))
        attempt(log, net.state_dict)


def rule_an_exception_propagates(torch, log):
    """An exception in a hook leaves `state_dict`."""
    net = torch.nn.Sequential(linear(torch))
    net[0].register_state_dict_pre_hook(lambda *args: 1 / 0)
    net.register_state_dict_post_hook(noting(log, "post"))
    attempt(log, net.state_dict)


def rule_hooks_are_not_saved(torch, log):
    """A state dict contains no hooks."""
    net = linear(torch)
    net.register_forward_hook(print)
    log(list(net.state_dict()))
