"""The dispatch: which calls fire hooks, and what adding or removing hooks does while hooks run."""

from __future__ import annotations

from both import attempt, filled, known, linear, noting

from .parts import Echo


def rule_the_phases_of_a_call(torch, log):
    """Global pre-hooks, own pre-hooks, (arguments wrapped), forward, global hooks, own hooks, (output wrapped)."""
    module = torch.nn.modules.module
    echo = Echo(torch, log, known(torch, 1))
    echo.register_forward_hook(noting(log, "post"))
    echo.register_forward_pre_hook(noting(log, "pre"))
    pre = module.register_module_forward_pre_hook(noting(log, "global pre"))
    with pre, module.register_module_forward_hook(noting(log, "global post")):
        echo(known(torch, 2))


def rule_hook_registered_inside_forward_waits_on_the_fast_path(torch, log):
    """A module without any hook calls `forward` directly: a forward hook registered inside `forward` waits for the
    next call. If there was a hook of any kind, it runs in the same call."""

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
    """Each phase works through a snapshot: a hook that an earlier hook of the same phase removes still runs this
    time."""
    module = Echo(torch, log)
    module.register_forward_hook(lambda *args: second.remove())
    second = module.register_forward_hook(noting(log, "second"))
    module(1)
    module(2)


def rule_added_in_its_own_phase_waits(torch, log):
    """Each phase works through a snapshot: a hook that is added in its own phase runs from the next call on."""
    module = Echo(torch, log)

    def add(*args):
        module.register_forward_hook(noting(log, "added"))

    handle = module.register_forward_hook(add)
    module(1)
    handle.remove()
    log("again")
    module(2)


def rule_removed_before_its_phase_does_not_run(torch, log):
    """The snapshot is taken when the phase starts: a forward hook that a pre-hook removes does not run."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda *args: post.remove())
    post = module.register_forward_hook(noting(log, "post"))
    module(1)


def rule_added_by_a_pre_hook_runs_in_the_same_call(torch, log):
    """The snapshot is taken when the phase starts: a forward hook that a pre-hook adds runs in the same call, a pre-
    hook from the next."""
    module = Echo(torch, log)

    def add(m, args):
        module.register_forward_hook(noting(log, "post"))
        module.register_forward_pre_hook(noting(log, "pre, next time"))

    handle = module.register_forward_pre_hook(add)
    module(1)
    handle.remove()
    module(2)


def rule_a_pre_hook_removed_by_a_pre_hook_still_runs(torch, log):
    """The snapshot rule holds for pre-hooks, and across the global ones: a global pre-hook that removes a local one is in
    the same phase."""
    module = Echo(torch, log)
    second = module.register_forward_pre_hook(noting(log, "second"))
    with torch.nn.modules.module.register_module_forward_pre_hook(lambda *args: second.remove()):
        module(1)
        log("again")
        module(2)


def rule_removed_kwargs_hook_runs_without_kwargs(torch, log):
    """A trap: the snapshot holds the hooks, not their flags. A hook with kwargs that is removed earlier in its phase
    still runs, but without kwargs."""
    module = Echo(torch, log)
    module.register_forward_hook(lambda *args: second.remove())

    def with_kwargs(m, args, kwargs, output):
        log("not reached")

    second = module.register_forward_hook(with_kwargs, with_kwargs=True)
    module(1)


def rule_removed_kwargs_pre_hook_runs_without_kwargs(torch, log):
    """The same trap with pre-hooks: without its flag the hook is called with two arguments, and its return is plain."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda *args: second.remove())
    second = module.register_forward_pre_hook(noting(log, "second", (1, 2)), with_kwargs=True)
    module(7, word=8)


def rule_a_hook_removes_itself(torch, log):
    """A hook may remove itself: it runs once."""
    module = Echo(torch, log)

    def once(*args):
        log("once")
        handle.remove()

    handle = module.register_forward_hook(once)
    module(1)
    module(2)


def rule_clearing_the_dictionary_while_hooks_run(torch, log):
    """`_forward_hooks.clear()` inside a hook is a removal of all: the snapshot is worked through all the same."""
    module = Echo(torch, log)
    module.register_forward_hook(lambda *args: module._forward_hooks.clear())
    module.register_forward_hook(noting(log, "second"))
    module(1)
    log(len(module._forward_hooks))
    module(2)


def rule_calling_the_module_inside_its_own_hook(torch, log):
    """A hook may call the module: that is a call of its own, with all hooks."""
    module, depth = Echo(torch, log), []

    def again(m, args, output):
        depth.append(1)
        log("depth", len(depth))
        if len(depth) < 3:
            m(args[0] + 1)

    module.register_forward_hook(again)
    module(1)


def rule_what_does_not_fire(torch, log):
    """`module.forward(x)`, the functional form, and the use of the weights alone fire nothing; `module(x)`,
    `__call__` and `_call_impl` do."""
    layer = linear(torch)
    layer.register_forward_hook(noting(log, "hook"))
    x = known(torch, 1, 3)
    layer.forward(x)
    torch.nn.functional.linear(x, layer.weight, layer.bias)
    log("now")
    layer.__call__(x)
    layer._call_impl(x)


def rule_using_the_weights_of_a_module_fires_nothing(torch, log):
    """A module whose parent only takes its weights, as attention does with its output projection, is never called."""

    class Borrowing(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(3, 2)

        def forward(self, x):
            return torch.nn.functional.linear(x, self.inner.weight, self.inner.bias)

    net = filled(torch, Borrowing())
    net.inner.register_forward_hook(noting(log, "inner"))
    net.inner.register_full_backward_hook(noting(log, "inner backward"))
    net.register_forward_hook(noting(log, "outer"))
    net(known(torch, 1, 3)).sum().backward()


def rule_containers_without_forward(torch, log):
    """ModuleList and ModuleDict have no forward: calling one raises NotImplementedError, so hooks on them never
    fire."""
    attempt(log, torch.nn.ModuleList([torch.nn.ReLU()]), 1)
    attempt(log, torch.nn.ModuleDict({"a": torch.nn.ReLU()}), 1)
    attempt(log, torch.nn.Module(), 1)


def rule_hooks_on_containers_without_forward(torch, log):
    """Iterating over a ModuleList calls its children: their hooks fire, its own do not."""
    layers = torch.nn.ModuleList([torch.nn.ReLU(), torch.nn.Tanh()])
    layers.register_forward_hook(noting(log, "list"))
    layers[0].register_forward_hook(noting(log, "child"))
    x = known(torch, 2)
    for layer in layers:
        x = layer(x)
    log(x)
    attempt(log, layers, x)


def rule_slice_of_sequential_shares_children_not_hooks(torch, log):
    """`net[:k]` is a new Sequential with the same children: the children's hooks fire, the container's do not."""
    net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())
    net.register_forward_hook(noting(log, "container"))
    net[0].register_forward_hook(noting(log, "child"))
    net[:1](known(torch, 2))


def rule_forward_replaced_on_the_instance(torch, log):
    """A `forward` that was set on the instance is used, with hooks; it is looked up at the start of the call, so
    that a pre-hook which replaces it changes the next call."""
    module = Echo(torch, log)
    module.register_forward_hook(noting(log, "hook"))
    module.forward = lambda x: x + 1
    log(module(1))
    module.register_forward_pre_hook(lambda m, args: setattr(module, "forward", lambda x: -1))
    log(module(1))


def rule_call_impl_is_what_runs(torch, log):
    """Hooks live in `_call_impl`; `__call__` looked up on the instance is not what `module(x)` uses."""
    module = Echo(torch, log)
    module.register_forward_hook(noting(log, "hook"))
    module.__dict__["__call__"] = lambda *args: log("never")
    module(1)


def rule_hooks_fire_in_train_and_eval(torch, log):
    """Hooks do not depend on `training`, and `apply`, `train` and `named_modules` do not touch them."""
    net = torch.nn.Sequential(torch.nn.ReLU())
    net[0].register_forward_hook(lambda m, args, out: log(m.training))
    for mode in (net.train, net.eval):
        mode()(known(torch, 2))
    net.apply(lambda m: None).requires_grad_(False)
    net(known(torch, 2))
