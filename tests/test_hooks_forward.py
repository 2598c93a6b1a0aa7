"""Forward and forward pre-hooks: order, return values, dispatch, always_call. Each rule runs in both libraries."""

from __future__ import annotations

from collections import namedtuple

import pytest
from both import assert_same, cases, filled, known, scenarios


def linear(torch):
    return filled(torch, torch.nn.Linear(3, 2))


def noting(log, name, result=None):
    """A hook that logs its arguments and returns `result`."""

    def hook(*args):
        log(name, *args)
        return result

    return hook


def attempt(log, function, *args, **kwargs):
    """Call it and log the result or the error."""
    try:
        log("returned", function(*args, **kwargs))
    except Exception as error:
        log(type(error).__name__, str(error))


# Order ----------------------------------------------------------------------------------------------------------------


def rule_global_before_local_in_order_of_registration(torch, log):
    module = torch.nn.modules.module
    layer = linear(torch)
    layer.register_forward_pre_hook(noting(log, "pre 1"))
    layer.register_forward_pre_hook(noting(log, "pre 2"))
    layer.register_forward_hook(noting(log, "post 1"))
    layer.register_forward_hook(noting(log, "post 2"))
    pre = module.register_module_forward_pre_hook(noting(log, "global pre"))
    with pre, module.register_module_forward_hook(noting(log, "global post")):
        layer(known(torch, 2, 3))


def rule_prepend_goes_before_local_hooks_only(torch, log):
    layer = linear(torch)
    layer.register_forward_pre_hook(noting(log, "pre 1"))
    layer.register_forward_pre_hook(noting(log, "pre 2"), prepend=True)
    layer.register_forward_hook(noting(log, "post 1"))
    layer.register_forward_hook(noting(log, "post 2"), prepend=True)
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global")):
        layer(known(torch, 2, 3))


def rule_children_before_parents_also_for_global_hooks(torch, log):
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Sequential(torch.nn.ReLU())))
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global")):
        net(known(torch, 2, 3))
        torch.nn.MSELoss()(known(torch, 2), known(torch, 2, step=0.2))


def rule_same_function_twice_runs_twice_and_shared_modules_every_time(torch, log):
    relu = torch.nn.ReLU()
    hook = noting(log, "hook")
    relu.register_forward_hook(hook)
    relu.register_forward_hook(hook)
    torch.nn.Sequential(relu, relu)(known(torch, 3))


# What a pre-hook returns ----------------------------------------------------------------------------------------------


class Echo:
    """Makes a module that logs what its forward receives."""

    def __new__(cls, torch, log, result="output"):
        class Echo(torch.nn.Module):
            def forward(self, *args, **kwargs):
                log("forward", args, kwargs)
                return result

        return Echo()


@cases(
    "value",
    [None, 0, False, [1, 2], {"a": 1}, (), (1, 2), namedtuple("Pair", "a b")(1, 2), "text"],
    ids=str,
)
def rule_pre_hook_return_value(torch, log, value):
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args: value)
    module(7, word=8)


@cases(
    "value",
    [None, ((1,), {"a": 2}), [(1,), {}], (1,), (1, 2, 3), 0, "no", ([1, 2], {}), ((), None), ("ab", {})],
    ids=str,
)
def rule_pre_hook_with_kwargs_return_value(torch, log, value):
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args, kwargs: value, with_kwargs=True)
    module.register_forward_hook(noting(log, "forward hook"))
    module(7, word=8)


def rule_kwargs_are_live_for_forward_but_the_callers_stay(torch, log):
    module = Echo(torch, log)

    def hook(m, args, kwargs):
        kwargs["added"] = 1

    module.register_forward_pre_hook(hook, with_kwargs=True)
    given = {"word": 2}
    module(**given)
    log(given)


def rule_a_tensor_as_args_is_unpacked(torch, log):
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args, kwargs: (known(torch, 2, 2), {}), with_kwargs=True)
    module(1)


def rule_pre_hooks_chain(torch, log):
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args: args[0] + 1)
    module.register_forward_pre_hook(noting(log, "second"))
    module.register_forward_pre_hook(lambda m, args, kwargs: (args * 2, {"k": 1}), with_kwargs=True)
    module(1)


# What a forward hook returns ------------------------------------------------------------------------------------------


@cases("value", [None, 0, False, "", (), {}], ids=repr)
def rule_forward_hook_return_value(torch, log, value):
    module = Echo(torch, log)
    module.register_forward_hook(lambda m, args, output: value)
    module.register_forward_hook(noting(log, "next"))
    log(module(1))


def rule_forward_hook_sees_changed_args_and_kwargs(torch, log):
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args, kwargs: ((5,), {"k": 6}), with_kwargs=True)
    module.register_forward_hook(noting(log, "with"), with_kwargs=True)
    module.register_forward_hook(noting(log, "without"))
    module(1)


def rule_global_forward_hook_with_kwargs(torch, log):
    module = Echo(torch, log)
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global"), with_kwargs=True):
        module(1, k=2)


def rule_hooks_run_under_no_grad(torch, log):
    layer = linear(torch)
    layer.register_forward_hook(noting(log, "hook"))
    with torch.no_grad():
        layer(known(torch, 1, 3))


# Dispatch -------------------------------------------------------------------------------------------------------------


def rule_hook_registered_inside_forward_waits_on_the_fast_path(torch, log):
    class Registering(torch.nn.Module):
        def forward(self, x):
            self.register_forward_hook(noting(log, "from forward"))
            return x

    fast, slow = Registering(), Registering()
    slow.register_forward_pre_hook(noting(log, "pre"))
    log("fast")
    fast(1)
    log("slow")
    slow(1)
    log("again")
    fast(2)


def rule_removed_in_its_own_phase_still_runs(torch, log):
    module = Echo(torch, log)
    module.register_forward_hook(lambda *args: second.remove())
    second = module.register_forward_hook(noting(log, "second"))
    module(1)
    module(2)


def rule_removed_before_its_phase_does_not_run(torch, log):
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda *args: post.remove())
    post = module.register_forward_hook(noting(log, "post"))
    module(1)


def rule_added_by_a_pre_hook_runs_in_the_same_call(torch, log):
    module = Echo(torch, log)

    def add(m, args):
        module.register_forward_hook(noting(log, "post"))
        module.register_forward_pre_hook(noting(log, "pre, next time"))

    handle = module.register_forward_pre_hook(add)
    module(1)
    handle.remove()
    module(2)


def rule_removed_kwargs_hook_runs_without_kwargs(torch, log):
    module = Echo(torch, log)
    module.register_forward_hook(lambda *args: second.remove())

    def with_kwargs(m, args, kwargs, output):
        log("not reached")

    second = module.register_forward_hook(with_kwargs, with_kwargs=True)
    module(1)


def rule_what_does_not_fire(torch, log):
    layer = linear(torch)
    layer.register_forward_hook(noting(log, "hook"))
    x = known(torch, 1, 3)
    layer.forward(x)
    torch.nn.functional.linear(x, layer.weight, layer.bias)
    log("now")
    layer.__call__(x)
    layer._call_impl(x)


def rule_containers_without_forward(torch, log):
    attempt(log, torch.nn.ModuleList([torch.nn.ReLU()]), 1)
    attempt(log, torch.nn.ModuleDict({"a": torch.nn.ReLU()}), 1)
    attempt(log, torch.nn.Module(), 1)


def rule_slice_of_sequential_shares_children_not_hooks(torch, log):
    net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())
    net.register_forward_hook(noting(log, "container"))
    net[0].register_forward_hook(noting(log, "child"))
    net[:1](known(torch, 2))


def rule_forward_replaced_on_the_instance(torch, log):
    module = Echo(torch, log)
    module.register_forward_hook(noting(log, "hook"))
    module.forward = lambda x: x + 1
    log(module(1))
    module.register_forward_pre_hook(lambda m, args: setattr(module, "forward", lambda x: -1))
    log(module(1))


def rule_not_callable_fails_when_it_would_run(torch, log):
    module = Echo(torch, log)
    module.register_forward_hook(5)
    attempt(log, module, 1)


# always_call ----------------------------------------------------------------------------------------------------------


def failing(torch, log, error=ValueError):
    class Failing(torch.nn.Module):
        def forward(self, x, fail=True, **kwargs):
            if fail:
                raise error("forward failed")
            return x

    return Failing()


def rule_always_call_after_failure_in_forward(torch, log):
    module = failing(torch, log)
    module.register_forward_hook(noting(log, "plain"))
    module.register_forward_hook(noting(log, "always 1", "changed"), always_call=True)
    module.register_forward_hook(noting(log, "always 2"), always_call=True, with_kwargs=True)
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global"), always_call=True):
        attempt(log, module, 1, k=2)


def rule_always_call_after_failure_in_a_hook(torch, log):
    def failing_hook(*args):
        log("failing hook")
        raise RuntimeError("hook failed")

    module = failing(torch, log)
    module.register_forward_hook(noting(log, "before", "replaced"), always_call=True)
    module.register_forward_hook(failing_hook, always_call=True)
    module.register_forward_hook(noting(log, "after"), always_call=True)
    attempt(log, module, 1, fail=False)


def rule_always_call_after_failure_in_a_pre_hook(torch, log):
    module = failing(torch, log)
    module.register_forward_pre_hook(lambda m, args: (3, 4))
    module.register_forward_pre_hook(lambda m, args: 1 / 0)
    module.register_forward_hook(noting(log, "always"), always_call=True)
    attempt(log, module, 1)


def rule_always_call_runs_once_without_failure(torch, log):
    module = failing(torch, log)
    module.register_forward_hook(noting(log, "always"), always_call=True)
    log(module(1, fail=False))


def rule_error_in_a_rescue_hook_becomes_a_warning(torch, log):
    def bad(*args):
        raise KeyError("rescue")

    module = failing(torch, log)
    module.register_forward_hook(bad, always_call=True)
    module.register_forward_hook(noting(log, "still"), always_call=True)
    with torch.nn.modules.module.register_module_forward_hook(bad, always_call=True):
        attempt(log, module, 1)


def rule_rescue_calls_global_kwargs_hook_without_kwargs(torch, log):
    """A defect of 2.13.0 that is kept: the hook fails, which is only a warning."""

    def hook(m, args, kwargs, output):
        log("not reached")

    register = torch.nn.modules.module.register_module_forward_hook
    with register(hook, always_call=True, with_kwargs=True):
        attempt(log, failing(torch, log), 1)


def rule_rescue_iterates_the_live_dictionary(torch, log):
    """A defect of 2.13.0 that is kept: a hook that adds a hook turns the error into another."""
    module = failing(torch, log)
    add = lambda *args: module.register_forward_hook(noting(log, "new"), always_call=True) and None  # noqa: E731
    module.register_forward_hook(add, always_call=True)
    module.register_forward_hook(noting(log, "other"), always_call=True)
    attempt(log, module, 1)


def rule_base_exception_skips_the_rescue(torch, log):
    module = failing(torch, log, KeyboardInterrupt)
    module.register_forward_hook(noting(log, "always"), always_call=True)
    try:
        module(1)
    except KeyboardInterrupt:
        log("interrupted")


def rule_inner_rescue_before_outer(torch, log):
    inner = failing(torch, log)
    outer = torch.nn.Sequential(inner)
    inner.register_forward_hook(noting(log, "inner"), always_call=True)
    outer.register_forward_hook(noting(log, "outer"), always_call=True)
    attempt(log, outer, 1)


def rule_rescued_error_has_no_context(torch, log):
    module = failing(torch, log)
    module.register_forward_hook(lambda *args: 1 / 0, always_call=True)
    try:
        module(1)
    except ValueError as error:
        log(error.__context__, error.__cause__)


@pytest.mark.parametrize("scenario", scenarios(globals()), ids=lambda f: f.__name__[5:])
def test_rule(scenario):
    assert_same(scenario)
