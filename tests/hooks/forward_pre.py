"""Forward pre-hooks: they see the arguments before `forward`, and what they return becomes the arguments."""

from __future__ import annotations

from collections import namedtuple

from both import attempt, known, linear, noting

from .catalogue import cases
from .parts import Echo


def rule_global_before_local_in_order_of_registration(torch, log):
    """Global pre-hooks run before the module's own; each kind runs in the order in which it was registered."""
    layer = linear(torch)
    layer.register_forward_pre_hook(noting(log, "pre 1"))
    layer.register_forward_pre_hook(noting(log, "pre 2"))
    with torch.nn.modules.module.register_module_forward_pre_hook(noting(log, "global pre")):
        layer(known(torch, 2, 3))


def rule_prepend_goes_before_local_hooks_only(torch, log):
    """`prepend=True` puts a hook before the module's other pre-hooks, never before a global one."""
    layer = linear(torch)
    layer.register_forward_pre_hook(noting(log, "pre 1"))
    layer.register_forward_pre_hook(noting(log, "pre 2"), prepend=True)
    layer.register_forward_pre_hook(noting(log, "pre 3"), prepend=True)
    with torch.nn.modules.module.register_module_forward_pre_hook(noting(log, "global pre")):
        layer(known(torch, 2, 3))


@cases(
    {
        str(value): value
        for value in (None, 0, False, [1, 2], {"a": 1}, (), (1, 2), namedtuple("Pair", "a b")(1, 2), "text")
    }
)
def rule_return_value(torch, log, case):
    """None leaves the arguments; a tuple, also an empty or a named one, is the new arguments; anything else, also 0,
    False, a list or a dict, becomes the one argument. Keyword arguments are out of sight and stay."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args: case)
    module(7, word=8)


@cases(
    {
        str(value): value
        for value in (
            None,
            ((1,), {"a": 2}),
            [(1,), {}],
            (1,),
            (1, 2, 3),
            0,
            False,
            "no",
            ([1, 2], {}),
            ((), None),
            (None, {}),
            ("ab", {}),
            namedtuple("Pair", "a b")((1,), {}),
        )
    }
)
def rule_return_value_with_kwargs(torch, log, case):
    """With `with_kwargs=True` a return that is not None must be a tuple of length 2, a list will not do; its two parts
    are not checked: whatever is first is unpacked into the call, and later hooks see it as it is."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args, kwargs: case, with_kwargs=True)
    module.register_forward_hook(noting(log, "forward hook"))
    module(7, word=8)


def rule_kwargs_are_live_for_forward_but_the_callers_stay(torch, log):
    """A hook with kwargs may change the dictionary and return None: `forward` sees the change, the caller's own
    dictionary does not."""
    module = Echo(torch, log)

    def hook(m, args, kwargs):
        kwargs["added"] = 1

    module.register_forward_pre_hook(hook, with_kwargs=True)
    given = {"word": 2}
    module(**given)
    log(given)


def rule_a_tensor_as_args_is_unpacked(torch, log):
    """A tensor in the place of the arguments is unpacked along its first dimension: the parts of the pair are not
    checked."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args, kwargs: (known(torch, 2, 2), {}), with_kwargs=True)
    module(1)


def rule_pre_hooks_chain(torch, log):
    """Each pre-hook sees the arguments that the one before it left."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args: args[0] + 1)
    module.register_forward_pre_hook(noting(log, "second"))
    module.register_forward_pre_hook(lambda m, args, kwargs: (args * 2, {"k": 1}), with_kwargs=True)
    module(1)


def rule_the_arguments_are_the_callers_own_objects(torch, log):
    """A pre-hook is given the caller's tensors: the wrapping for full backward hooks comes after all pre-hooks."""
    layer, x = linear(torch), known(torch, 2, 3, requires_grad=True)
    layer.register_full_backward_hook(noting(log, "backward"))
    layer.register_forward_pre_hook(lambda m, args: log(args[0] is x))
    layer.register_forward_hook(lambda m, args, out: log(args[0] is x))
    layer(x)


def rule_a_global_pre_hook_never_gets_kwargs(torch, log):
    """There is no global pre-hook with kwargs, nor `prepend` for global hooks: the arguments are not accepted."""
    register = torch.nn.modules.module.register_module_forward_pre_hook
    for options in ({"with_kwargs": True}, {"prepend": True}):
        try:
            register(print, **options)
        except TypeError as error:
            log(type(error).__name__, str(error).split("() ")[1])
    with register(noting(log, "global")):
        Echo(torch, log)(1, word=2)


def rule_an_exception_stops_the_call(torch, log):
    """An exception in a pre-hook leaves the call: neither later pre-hooks, nor `forward`, nor forward hooks run."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args: 1 / 0)
    module.register_forward_pre_hook(noting(log, "second"))
    module.register_forward_hook(noting(log, "post"))
    attempt(log, module, 1)


def rule_options_are_keywords(torch, log):
    """`prepend`, `with_kwargs` and `always_call` of forward hooks are keyword-only; those of backward hooks are not."""
    layer = linear(torch)
    for register in (layer.register_forward_pre_hook, layer.register_forward_hook):
        try:
            register(print, True)
        except TypeError as error:
            log(type(error).__name__, str(error).split("() ")[1])
    layer.register_full_backward_hook(print, True)
    layer.register_full_backward_pre_hook(print, True)
    log(len(layer._backward_hooks), len(layer._backward_pre_hooks))


@cases(
    {
        "forward pre": "register_forward_pre_hook",
        "forward": "register_forward_hook",
        "backward pre": "register_full_backward_pre_hook",
        "backward": "register_full_backward_hook",
        "legacy": "register_backward_hook",
    }
)
def rule_no_check_that_a_hook_is_callable(torch, log, case):
    """Nothing checks at registration that a hook can be called: it fails when it would run."""
    layer = linear(torch)
    getattr(layer, case)(5)
    attempt(log, lambda: layer(known(torch, 1, 3, requires_grad=True)).sum().backward())
