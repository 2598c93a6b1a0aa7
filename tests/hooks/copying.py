"""Hooks under copy, deepcopy and pickle."""

from __future__ import annotations

import copy
import functools
import importlib
import io
import pickle

from both import attempt, known, linear, noting

from .catalogue import cases


def module_level_hook(*args):
    return None


class Collecting:
    def __init__(self):
        self.seen = []

    def __call__(self, *args):
        self.seen.append(len(args))

    def method(self, *args):
        self.seen.append(-len(args))


def rule_handle_alone_dies_under_copy_and_pickle(torch, log):
    """A handle copied or pickled alone has no dictionary: it is dead, and `remove` does nothing."""
    layer = linear(torch)
    handle = layer.register_forward_hook(module_level_hook)
    for again in (copy.deepcopy(handle), pickle.loads(pickle.dumps(handle))):
        log(again.id == handle.id, again.hooks_dict_ref() is None, again.extra_dict_ref)
        again.remove()
    log(len(layer._forward_hooks))


def rule_handle_with_its_module_lives_on(torch, log):
    """Copied together with its module (as an attribute of it, say) it is bound to the copy, under the same id; removing
    either leaves the other."""
    for again in (copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))):
        layer = linear(torch)
        layer.handle = layer.register_forward_hook(module_level_hook, with_kwargs=True)
        new = again(layer)
        log(new.handle.id == layer.handle.id, new.handle.hooks_dict_ref() is new._forward_hooks)
        new.handle.remove()
        log(len(new._forward_hooks), len(new._forward_hooks_with_kwargs), len(layer._forward_hooks))


def rule_what_deepcopy_shares(torch, log):
    """Functions are shared, so a closure still writes to the original's list; bound methods are bound to a copy of
    their owner; callable objects and the arguments of partials are copied."""
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
    """Ids, flags and `_is_full_backward_hook` are copied; `copy.copy` shares the dictionaries themselves."""
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


def rule_a_shallow_copy_shares_all_hooks(torch, log):
    """A hook registered on a `copy.copy` runs for the original, too, and the `module` argument is the one called. Replicas
    of data-parallel training are such copies."""
    layer = linear(torch)
    other = copy.copy(layer)
    other.register_forward_hook(lambda m, args, out: log(m is layer, m is other))
    layer(known(torch, 1, 3))
    other(known(torch, 1, 3))


def rule_a_bound_method_of_the_module_itself(torch, log):
    """A hook that is the module's own method is bound to the copy; copying a child copies its hook's owner, the parent."""

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.child = torch.nn.ReLU()
            self.count = 0
            self.child.register_forward_hook(self.hook)

        def hook(self, module, args, out):
            self.count += 1

    net = Net()
    again = copy.deepcopy(net)
    again.child(known(torch, 2))
    log(net.count, again.count)
    child = copy.deepcopy(net.child)
    (method,) = child._forward_hooks.values()
    child(known(torch, 2))
    log(net.count, method.__self__.count, method.__self__ is net, method.__self__.child is child)


def rule_pickle_with_a_lambda(torch, log):
    """A lambda as a hook cannot be pickled."""
    layer = linear(torch)
    layer.register_forward_hook(lambda *args: None)
    try:
        pickle.dumps(layer)
    except Exception as error:
        log(type(error).__name__)


def rule_a_stored_graph_tensor_breaks_deepcopy(torch, log):
    """A hook that stores a tensor of the graph on the module makes it impossible to copy."""
    layer = linear(torch)
    layer.register_forward_hook(lambda m, args, out: setattr(m, "kept", out))
    layer(known(torch, 1, 3))
    attempt(log, copy.deepcopy, layer)


def rule_setstate_adds_missing_dictionaries(torch, log):
    """Unpickling an old file adds the dictionaries that it lacks, except `_forward_hooks` and `_backward_hooks`."""
    layer = linear(torch)
    state = {k: v for k, v in layer.__dict__.items() if "hook" not in k}
    old = torch.nn.Linear.__new__(torch.nn.Linear)
    old.__setstate__(state)
    log(sorted(k for k in old.__dict__ if "hook" in k))


def rule_parameter_hooks_are_not_copied_and_survive_double(torch, log):
    """Hooks on a parameter are lost in copies and pickles of the module, survive `.double()` and loading, and are lost
    with `assign=True`."""
    layer = linear(torch)
    layer.weight.register_hook(noting(log, "weight"))
    log(
        bool(copy.deepcopy(layer).weight._backward_hooks),
        bool(pickle.loads(pickle.dumps(layer)).weight._backward_hooks),
    )
    layer.double()
    layer(known(torch, 1, 3).double()).sum().backward()
    layer.load_state_dict({"weight": known(torch, 2, 3), "bias": known(torch, 2)})
    layer(known(torch, 1, 3).double()).sum().backward()
    layer.load_state_dict({"weight": known(torch, 2, 3), "bias": known(torch, 2)}, assign=True)
    layer(known(torch, 1, 3)).sum().backward()


def rule_pickling_a_hooked_tensor_warns(torch, log):
    """Pickling a tensor with hooks warns of each that is not marked with `unserializable_hook`; a Parameter is silent."""
    hooks = importlib.import_module(torch.__name__ + ".utils.hooks")
    x = known(torch, 2, requires_grad=True)
    x.register_hook(module_level_hook)
    x.register_hook(hooks.unserializable_hook(lambda grad: None))
    again = pickle.loads(pickle.dumps(x))
    log(again, again.requires_grad, again._backward_hooks)
    parameter = torch.nn.Parameter(known(torch, 2))
    parameter.register_hook(module_level_hook)
    again = pickle.loads(pickle.dumps(parameter))
    log(type(again).__name__, again.requires_grad, again._backward_hooks)


def rule_unpickling_a_module_does_not_raise_the_counter(torch, log):
    """A trap: a module that is unpickled in a fresh process brings its ids, but not the counter. A later registration may
    take an id that is in the dictionary, and overwrite that hook."""
    cls = torch.utils.hooks.RemovableHandle
    layer = torch.nn.ReLU()
    layer.register_forward_hook(module_level_hook)
    data = pickle.dumps(layer)
    present, cls.next_id = cls.next_id, next(iter(layer._forward_hooks))  # as a fresh process might have it
    again = pickle.loads(data)
    again.register_forward_hook(noting(log, "took its place"))
    log(len(again._forward_hooks))
    cls.next_id = present


def rule_deepcopy_of_tensors(torch, log):
    """Neither tensor hooks nor post-accumulate hooks nor `retain_grad` are copied; a non-leaf cannot be copied at all."""
    x = known(torch, 2, requires_grad=True)
    x.register_hook(noting(log, "hook"))
    x.register_post_accumulate_grad_hook(noting(log, "post"))
    y = copy.deepcopy(x)
    log(y._backward_hooks, y._post_accumulate_grad_hooks)
    (y * 2).sum().backward()
    attempt(log, copy.deepcopy, x * 2)


def rule_a_copy_works_for_itself(torch, log):
    """Registering on a copy or removing from it leaves the original, for each kind of hook."""
    layer = linear(torch)
    layer.register_full_backward_hook(noting(log, "both"))
    again = copy.deepcopy(layer)
    again.register_full_backward_pre_hook(noting(log, "copy only"))
    again._backward_hooks.clear()
    for module in (layer, again):
        log("call")
        module(known(torch, 1, 3, requires_grad=True)).sum().backward()


def rule_state_dict_hooks_are_copied(torch, log):
    """The hooks around saving and loading are copied too, each for its new module."""
    layer = torch.nn.Sequential(linear(torch))
    layer.register_state_dict_pre_hook(noting(log, "save"))
    layer.register_load_state_dict_pre_hook(lambda m, *rest: log("load", m is layer))
    layer.register_load_state_dict_post_hook(lambda m, keys: log("loaded", m is layer))
    again = copy.deepcopy(layer)
    again.load_state_dict(again.state_dict())


@cases({"protocol 2": 2, "protocol 5": 5})
def rule_pickle_keeps_hooks_that_can_be_found_by_name(torch, log, case):
    """Functions at the top of a module, bound methods and callable objects survive a pickle, with their own copies of
    what they hold."""
    layer, owner = linear(torch), Collecting()
    layer.register_forward_hook(module_level_hook)
    layer.register_forward_hook(owner.method)
    layer.register_forward_hook(owner)
    again = pickle.load(io.BytesIO(pickle.dumps(layer, protocol=case)))
    again(known(torch, 1, 3))
    log(len(again._forward_hooks), owner.seen)
    log([getattr(hook, "__self__", hook).seen for hook in list(again._forward_hooks.values())[1:]])
