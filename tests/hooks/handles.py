"""Handles: what `register_*` returns, what it holds, and how it removes."""

from __future__ import annotations

import gc
import importlib
import weakref
from collections import OrderedDict

from both import attempt, known, linear, noting

from .catalogue import cases


def removable(torch):
    return torch.utils.hooks.RemovableHandle


def rule_one_counter_for_all_kinds(torch, log):
    """One process-wide counter, `RemovableHandle.next_id`, whatever the kind of hook."""
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
    log(removable(torch).next_id - made[0].id)


def rule_what_a_handle_holds(torch, log):
    """A weak reference to the hook dictionary, and a tuple of weak references to the dictionaries with flags: none,
    one (pre-hooks) or two (forward hooks: kwargs, then always_call)."""
    layer = linear(torch)
    pre, post = layer.register_forward_pre_hook(print), layer.register_forward_hook(print)
    backward = layer.register_full_backward_hook(print)
    log(pre.hooks_dict_ref() is layer._forward_pre_hooks, len(pre.extra_dict_ref))
    log([ref() is d for ref, d in zip(post.extra_dict_ref, (layer._forward_hooks_with_kwargs, None), strict=True)])
    log(post.extra_dict_ref[1]() is layer._forward_hooks_always_called, backward.extra_dict_ref)
    log(list(layer._forward_hooks) == [post.id], type(layer._forward_hooks).__name__)


def rule_remove_twice_and_after_the_module_died(torch, log):
    """`remove` clears the hook and its flags; a second call does nothing, nor does a call after the module died."""
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
    """Deleting a hook from the dictionary leaves its flag behind, which `remove` still clears."""
    layer = linear(torch)
    handle = layer.register_forward_hook(print, with_kwargs=True)
    del layer._forward_hooks[handle.id]
    log(len(layer._forward_hooks_with_kwargs))
    handle.remove()
    log(len(layer._forward_hooks_with_kwargs))


def rule_dropping_a_handle_keeps_the_hook(torch, log):
    """The hook stays when its handle is dropped."""
    layer = linear(torch)
    layer.register_forward_hook(noting(log, "hook"))
    gc.collect()
    layer(known(torch, 1, 3))


def rule_handle_as_context_manager(torch, log):
    """`with` removes the hook at the end, and lets exceptions through."""
    layer = linear(torch)
    with layer.register_forward_hook(noting(log, "hook")) as handle:
        log(type(handle).__name__)
        layer(known(torch, 1, 3))
    layer(known(torch, 1, 3))
    with layer.register_forward_hook(print):
        raise ValueError("goes through")


def rule_a_replaced_dictionary(torch, log):
    """If the module's dictionary was replaced, the handle still works on the old one, or does nothing if that died."""
    layer = linear(torch)
    old = layer._forward_hooks
    handle = layer.register_forward_hook(noting(log, "old"))
    layer._forward_hooks = OrderedDict(old)
    handle.remove()
    log(len(old), len(layer._forward_hooks))
    layer(known(torch, 1, 3))
    again = layer.register_forward_hook(print)
    layer._forward_hooks = OrderedDict()
    again.remove()
    log(len(layer._forward_hooks))


def rule_the_handle_does_not_keep_the_module(torch, log):
    """Handle and module do not hold each other."""
    layer = torch.nn.ReLU()
    handle = layer.register_forward_hook(lambda *args: None)
    reference = weakref.ref(layer)
    del layer
    log(reference() is None, handle.hooks_dict_ref() is None)


def rule_a_handle_does_not_keep_a_tensor(torch, log):
    """A handle keeps neither a tensor nor its graph: both die with the last reference, and `remove` does nothing then."""
    y = known(torch, 2, requires_grad=True) * 2
    handle, reference = y.register_hook(lambda grad: None), weakref.ref(y)
    del y
    log(reference() is None, handle.hooks_dict_ref() is None)
    handle.remove()


def rule_a_bound_method_makes_a_cycle(torch, log):
    """A module whose own method is its hook is a cycle: reference counting alone does not free it, the garbage collector
    does."""

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_forward_hook(self.hook)

        def hook(self, *args):
            log("hook")

    gc.disable()
    try:
        module = Own()
        reference = weakref.ref(module)
        del module
        log(reference() is None)
        gc.collect()
        log(reference() is None)
    finally:
        gc.enable()


def rule_plain_dict_cannot_be_held(torch, log):
    """A plain dict cannot be referenced weakly: all hook dictionaries are OrderedDict."""
    attempt(log, removable(torch), {})


def rule_global_kwargs_flag_stays(torch, log):
    """A defect of 2.13.0 that is kept: the handle of a global hook knows only one of its two dictionaries of flags, so the
    flag of a hook with kwargs stays behind."""
    module = torch.nn.modules.module
    handle = module.register_module_forward_hook(print, with_kwargs=True, always_call=True)
    handle.remove()
    log(handle.id in module._global_forward_hooks_with_kwargs, handle.id in module._global_forward_hooks_always_called)
    module._global_forward_hooks_with_kwargs.pop(handle.id)


def rule_unpickled_handle_raises_the_counter(torch, log):
    """A handle that is set to a state with a higher id raises the counter above it, so that no id is given twice."""
    cls = removable(torch)
    handle = cls(OrderedDict())
    before = cls.next_id
    handle.__setstate__((None, before + 100))
    log(cls.next_id - before, handle.id - before, handle.hooks_dict_ref())
    handle.__setstate__((None, before, ()))
    log(cls.next_id - before, handle.extra_dict_ref)


def rule_the_state_of_a_handle(torch, log):
    """`__getstate__` is (dictionary or None, id, tuple of the dictionaries with flags)."""
    layer = linear(torch)
    handle = layer.register_forward_hook(print, with_kwargs=True)
    hooks, number, side = handle.__getstate__()
    log(hooks is layer._forward_hooks, number == handle.id, len(side), side[0] is layer._forward_hooks_with_kwargs)
    plain = layer.register_state_dict_pre_hook(print)
    log(plain.__getstate__()[2])


def rule_making_a_handle_by_hand(torch, log):
    """`RemovableHandle(dictionary, extra_dict=...)` takes one dictionary of flags or a list of them."""
    cls = removable(torch)
    main, one, two = OrderedDict(), OrderedDict(), OrderedDict()
    for extra in (None, one, [one, two], []):
        handle = cls(main, extra_dict=extra)
        main[handle.id] = one[handle.id] = two[handle.id] = True
        handle.remove()
        log(len(handle.extra_dict_ref), handle.id in main, handle.id in one, handle.id in two)


def rule_every_register_function_returns_one(torch, log):
    """All public functions return a RemovableHandle, with ids that rise."""
    layer, x = linear(torch), known(torch, 2, requires_grad=True)
    made = [
        getattr(layer, name)(print)
        for name in sorted(dir(layer))
        if name.startswith("register_")
        and name.endswith("_hook")
        and name not in ("register_backward_hook", "register_state_dict_post_hook")
    ]
    made.append(x.register_hook(print))
    made.append(torch.autograd.graph.register_multi_grad_hook([x], print))
    log([type(handle).__name__ for handle in made])
    ids = [handle.id for handle in made[:-1]]
    log(ids == sorted(ids))


def rule_registering_the_same_hook_under_its_old_id(torch, log):
    """The dictionaries may be written by hand: a hook put back under a removed id runs again, in the last place."""
    layer = linear(torch)
    hook = noting(log, "first")
    handle = layer.register_forward_hook(hook)
    layer.register_forward_hook(noting(log, "second"))
    handle.remove()
    layer._forward_hooks[handle.id] = hook
    layer(known(torch, 1, 3))


def rule_warn_if_has_hooks(torch, log):
    """`warn_if_has_hooks(tensor)` warns of each hook on a tensor that is not marked as unserializable."""
    hooks = importlib.import_module(torch.__name__ + ".utils.hooks")
    x = known(torch, 2, requires_grad=True)
    hooks.warn_if_has_hooks(x)
    x.register_hook(len)
    marked = hooks.unserializable_hook(lambda grad: None)
    x.register_hook(marked)
    hooks.warn_if_has_hooks(x)
    log(marked.__torch_unserializable__)


def rule_backward_hook_by_hand(torch, log):
    """`BackwardHook(module, user_hooks, user_pre_hooks)`: what a module call uses, open to anybody."""
    hooks = importlib.import_module(torch.__name__ + ".utils.hooks")
    layer, x = linear(torch), known(torch, 1, 3, requires_grad=True)
    edges = hooks.BackwardHook(layer, [noting(log, "hook")], [noting(log, "pre")])
    args = edges.setup_input_hook((x, 5))
    log(type(args).__name__, args[0].grad_fn.name(), args[1], edges.n_inputs, edges.input_tensors_index)
    out = edges.setup_output_hook(layer(args[0]))
    log(edges.n_outputs, edges.output_tensors_index, edges.grad_outputs)
    out.sum().backward()
    log(edges.grad_outputs, edges.module is layer)
    log(len(edges.user_hooks), len(edges.user_pre_hooks))


@cases(
    {"forward": "register_forward_hook", "pre": "register_forward_pre_hook", "backward": "register_full_backward_hook"}
)
def rule_the_order_of_removal_does_not_matter(torch, log, case):
    """Handles may be removed in any order; the others stay."""
    layer = linear(torch)
    handles = [getattr(layer, case)(lambda *args, k=k: log(k)) for k in range(4)]
    for k in (2, 0):
        handles[k].remove()
    layer(known(torch, 1, 3, requires_grad=True)).sum().backward()
