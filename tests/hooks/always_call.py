"""`always_call=True`: forward hooks that run even if the call raises."""

from __future__ import annotations

from both import attempt, known, linear, noting

from .parts import failing


def rule_after_failure_in_forward(torch, log):
    """If forward raises, the always_call hooks run, global ones first, with None for the output; what one returns is
    the next one's output; then the error is raised."""
    module = failing(torch, log)
    module.register_forward_hook(noting(log, "plain"))
    module.register_forward_hook(noting(log, "always 1", "changed"), always_call=True)
    module.register_forward_hook(noting(log, "always 2"), always_call=True, with_kwargs=True)
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global"), always_call=True):
        attempt(log, module, 1, k=2)


def rule_after_failure_in_a_hook(torch, log):
    """If a forward hook raises, the always_call hooks that have not been started run, with the output as it is by
    then; the one that raised is not run again."""

    def failing_hook(*args):
        log("failing hook")
        raise RuntimeError("hook failed")

    module = failing(torch, log)
    module.register_forward_hook(noting(log, "before", "replaced"), always_call=True)
    module.register_forward_hook(failing_hook, always_call=True)
    module.register_forward_hook(noting(log, "after"), always_call=True)
    attempt(log, module, 1, fail=False)


def rule_after_failure_in_a_pre_hook(torch, log):
    """If a pre-hook raises, the always_call hooks run with the arguments as they are by then, and None for the
    output."""
    module = failing(torch, log)
    module.register_forward_pre_hook(lambda m, args: (3, 4))
    module.register_forward_pre_hook(lambda m, args: 1 / 0)
    module.register_forward_hook(noting(log, "always"), always_call=True)
    attempt(log, module, 1)


def rule_after_failure_in_the_wrapping_for_backward_hooks(torch, log):
    """An error in wrapping the output for full backward hooks counts too; always_call hooks that ran do not run again."""

    class Own(tuple):
        pass

    class Module(torch.nn.Module):
        def forward(self, x):
            return Own((x * 2, 1))

    module = Module()
    module.register_full_backward_hook(noting(log, "backward"))
    module.register_forward_hook(noting(log, "always"), always_call=True)
    attempt(log, module, known(torch, 2, requires_grad=True))


def rule_runs_once_without_failure(torch, log):
    """Without an error an always_call hook is a forward hook as any other: it runs once."""
    module = failing(torch, log)
    module.register_forward_hook(noting(log, "always"), always_call=True)
    log(module(1, fail=False))


def rule_error_in_a_rescue_hook_becomes_a_warning(torch, log):
    """An error inside an always_call hook that runs because of another error is swallowed, with a UserWarning; the
    next ones run."""

    def bad(*args):
        raise KeyError("rescue")

    module = failing(torch, log)
    module.register_forward_hook(bad, always_call=True)
    module.register_forward_hook(noting(log, "still"), always_call=True)
    with torch.nn.modules.module.register_module_forward_hook(bad, always_call=True):
        attempt(log, module, 1)


def rule_rescue_calls_global_kwargs_hook_without_kwargs(torch, log):
    """A defect of 2.13.0 that is kept: on this path a global hook with kwargs is called without them. It fails, which is
    only a warning."""

    def hook(m, args, kwargs, output):
        log("not reached")

    register = torch.nn.modules.module.register_module_forward_hook
    with register(hook, always_call=True, with_kwargs=True) as handle:
        attempt(log, failing(torch, log), 1)
    torch.nn.modules.module._global_forward_hooks_with_kwargs.pop(handle.id)


def rule_rescue_iterates_the_live_dictionary(torch, log):
    """A defect of 2.13.0 that is kept: here there is no snapshot. A hook that adds a hook turns the error into
    `RuntimeError: OrderedDict mutated during iteration`."""
    module = failing(torch, log)

    def add(*args):
        module.register_forward_hook(noting(log, "new"), always_call=True)

    module.register_forward_hook(add, always_call=True)
    module.register_forward_hook(noting(log, "other"), always_call=True)
    attempt(log, module, 1)


def rule_rescue_hook_that_removes_itself(torch, log):
    """The same defect with a removal, and with the last hook, after which nothing more is iterated."""
    for behind in (True, False):
        module = failing(torch, log)
        handle = module.register_forward_hook(lambda *args: handle.remove(), always_call=True)  # noqa: B023
        if behind:
            module.register_forward_hook(noting(log, "behind"), always_call=True)
        attempt(log, module, 1)


def rule_base_exception_skips_the_rescue(torch, log):
    """A KeyboardInterrupt, or another BaseException that is no Exception, runs no always_call hook."""
    module = failing(torch, log, KeyboardInterrupt)
    module.register_forward_hook(noting(log, "always"), always_call=True)
    try:
        module(1)
    except KeyboardInterrupt:
        log("interrupted")


def rule_inner_rescue_before_outer(torch, log):
    """The error passes through the nested calls: the inner module's always_call hooks run first, then the outer's."""
    inner = failing(torch, log)
    outer = torch.nn.Sequential(inner)
    inner.register_forward_hook(noting(log, "inner"), always_call=True)
    outer.register_forward_hook(noting(log, "outer"), always_call=True)
    attempt(log, outer, 1)


def rule_rescued_error_has_no_context(torch, log):
    """The error that is raised in the end is the original one, without cause or context."""
    module = failing(torch, log)
    module.register_forward_hook(lambda *args: 1 / 0, always_call=True)
    try:
        module(1)
    except ValueError as error:
        log(error.__context__, error.__cause__)


def rule_only_marked_hooks_run_after_an_error(torch, log):
    """Hooks without the flag do not run after an error; a later call without an error runs all."""
    module = failing(torch, log)
    module.register_forward_hook(noting(log, "plain"))
    module.register_forward_hook(noting(log, "always"), always_call=True)
    module.register_forward_hook(noting(log, "first"), always_call=True, prepend=True)
    attempt(log, module, 1)
    attempt(log, module, 2, fail=False)


def rule_without_hooks_of_other_kinds(torch, log):
    """The flag of a hook that was removed does nothing; a call without hooks raises plainly."""
    module = failing(torch, log)
    module.register_forward_hook(noting(log, "always"), always_call=True).remove()
    attempt(log, module, 1)


def rule_grad_mode_of_a_failing_call(torch, log):
    """The rescue hooks see the arguments wrapped for full backward hooks, if the error came after the wrapping."""
    layer = linear(torch)
    layer.register_full_backward_hook(noting(log, "backward"))
    layer.register_forward_hook(lambda m, args, out: log(args[0].grad_fn.name(), out), always_call=True)
    attempt(log, layer, known(torch, 2, 5, requires_grad=True).detach().requires_grad_()[:, :2])
