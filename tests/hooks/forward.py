"""Forward hooks: they see the arguments and the output after `forward`, and may replace the output."""

from __future__ import annotations

from both import attempt, filled, known, linear, noting

from .catalogue import cases
from .parts import Echo


def rule_global_before_local_in_order_of_registration(torch, log):
    """Global forward hooks run before the module's own; each kind runs in the order of registration."""
    module = torch.nn.modules.module
    layer = linear(torch)
    layer.register_forward_pre_hook(noting(log, "pre"))
    layer.register_forward_hook(noting(log, "post 1"))
    layer.register_forward_hook(noting(log, "post 2"))
    pre = module.register_module_forward_pre_hook(noting(log, "global pre"))
    with pre, module.register_module_forward_hook(noting(log, "global post")):
        layer(known(torch, 2, 3))


def rule_prepend_goes_before_local_hooks_only(torch, log):
    """`prepend=True` puts a hook before the module's other forward hooks, never before a global one."""
    layer = linear(torch)
    layer.register_forward_hook(noting(log, "post 1"))
    layer.register_forward_hook(noting(log, "post 2"), prepend=True)
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global")):
        layer(known(torch, 2, 3))


def rule_children_before_parents_also_for_global_hooks(torch, log):
    """A global hook fires for every module that is called, loss modules included: children before their parents,
    since a hook runs when its module's call ends."""
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Sequential(torch.nn.ReLU())))
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global")):
        net(known(torch, 2, 3))
        torch.nn.MSELoss()(known(torch, 2), known(torch, 2, step=0.2))


def rule_same_function_twice_runs_twice_and_shared_modules_every_time(torch, log):
    """The same function registered twice runs twice, and a module that is used twice fires at each call."""
    relu = torch.nn.ReLU()
    hook = noting(log, "hook")
    relu.register_forward_hook(hook)
    relu.register_forward_hook(hook)
    torch.nn.Sequential(relu, relu)(known(torch, 3))


@cases({repr(value): value for value in (None, 0, False, "", (), {}, [])})
def rule_return_value(torch, log, case):
    """Any return except None replaces the output, also 0, False and empty containers; the next hook sees it."""
    module = Echo(torch, log)
    module.register_forward_hook(lambda m, args, output: case)
    module.register_forward_hook(noting(log, "next"))
    log(module(1))


def rule_the_output_may_be_changed_in_place(torch, log):
    """A hook that writes into the output changes it without returning anything."""
    layer = linear(torch)

    def double(m, args, output):
        output.mul_(2)

    x = known(torch, 1, 3, requires_grad=True)
    log("before", layer(x))
    layer.register_forward_hook(double)
    out = layer(x)
    log("after", out)
    out.sum().backward()
    log(x.grad)


def rule_forward_hook_sees_changed_args_and_kwargs(torch, log):
    """The arguments that a forward hook sees are those that the pre-hooks left; keyword arguments only with
    `with_kwargs=True`, then as `hook(module, args, kwargs, output)`."""
    module = Echo(torch, log)
    module.register_forward_pre_hook(lambda m, args, kwargs: ((5,), {"k": 6}), with_kwargs=True)
    module.register_forward_hook(noting(log, "with"), with_kwargs=True)
    module.register_forward_hook(noting(log, "without"))
    module(1)


def rule_global_forward_hook_with_kwargs(torch, log):
    """A global forward hook may ask for kwargs and for `always_call`, as a local one."""
    module = Echo(torch, log)
    with torch.nn.modules.module.register_module_forward_hook(noting(log, "global"), with_kwargs=True):
        module(1, k=2)


def rule_hooks_run_under_no_grad(torch, log):
    """Forward hooks do not depend on the grad mode."""
    layer = linear(torch)
    layer.register_forward_hook(noting(log, "hook"))
    with torch.no_grad():
        layer(known(torch, 1, 3))


def rule_hooks_run_under_inference_mode(torch, log):
    """Forward hooks run under `inference_mode` too."""
    layer = linear(torch)
    layer.register_forward_pre_hook(noting(log, "pre"))
    layer.register_forward_hook(noting(log, "hook"))
    with torch.inference_mode():
        log(layer(known(torch, 1, 3)).requires_grad)


def rule_forward_hook_sees_wrapped_args_and_unwrapped_output(torch, log):
    """With a full backward hook, a forward hook sees the arguments as the views that the backward hook made, but the
    output before it is wrapped: what it stores is not the object that the caller gets."""
    layer, seen = linear(torch), []
    layer.register_full_backward_hook(noting(log, "backward"))
    layer.register_forward_pre_hook(lambda m, args: log("pre", args[0].grad_fn))
    layer.register_forward_hook(
        lambda m, args, out: seen.append(out) or log(args[0].grad_fn.name(), out.grad_fn.name())
    )
    out = layer(known(torch, 1, 3, requires_grad=True))
    log(out.grad_fn.name(), out is seen[0])


def rule_a_replaced_output_is_what_comes_out(torch, log):
    """A module in a Sequential passes on what its forward hook returned; `grad_fn` shows the hook's own operation."""
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh()))
    net[0].register_forward_hook(lambda m, args, out: out * 0 + 1)
    net[1].register_forward_pre_hook(lambda m, args: log(args[0], args[0].grad_fn.name()))
    log(net(known(torch, 1, 3)))


def rule_a_tensor_hook_set_in_a_forward_hook(torch, log):
    """The way around in-place trouble: a forward hook sets a tensor hook on the output, which no later in-place
    operation disturbs, and which sees the gradient of the value before it."""
    net = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(inplace=True)))
    net[0].register_forward_hook(
        lambda m, args, out: out.register_hook(noting(log, "gradient of the linear layer")) and None
    )
    x = known(torch, 1, 3, requires_grad=True)
    net(x).sum().backward()
    log(x.grad)


def rule_captured_activations_under_an_in_place_operation(torch, log):
    """What a hook stored raw or detached shares its memory with the output: an in-place ReLU behind the layer rewrites
    it. A clone stays."""
    net, kept = filled(torch, torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU(inplace=True))), {}

    def store(m, args, out):
        kept.update(raw=out, detached=out.detach(), cloned=out.detach().clone())

    net[0].register_forward_hook(store)
    net(known(torch, 1, 3) - 2)
    for name, tensor in kept.items():
        log(name, tensor, tensor.grad_fn and tensor.grad_fn.name(), tensor._version)


def rule_an_exception_in_a_hook_leaves_the_call(torch, log):
    """An exception in a forward hook propagates; later hooks do not run, and the module works again afterwards."""
    module = Echo(torch, log)
    handle = module.register_forward_hook(lambda *args: 1 / 0)
    module.register_forward_hook(noting(log, "later"))
    attempt(log, module, 1)
    handle.remove()
    attempt(log, module, 1)
