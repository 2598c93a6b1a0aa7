"""Names: where the functions are imported from, and the private dictionaries that people look into."""

from __future__ import annotations

import importlib
import inspect

from both import known, linear

from .catalogue import cases


def at(torch, path):
    return importlib.import_module(f"{torch.__name__}.{path}")


def rule_the_dictionaries_of_a_module(torch, log):
    """Eleven OrderedDicts and a flag in the module's `__dict__`."""
    layer = linear(torch)
    log(sorted(k for k in layer.__dict__ if "hook" in k), layer._is_full_backward_hook)
    log({type(v).__name__ for k, v in layer.__dict__.items() if "hook" in k and v is not None})


def rule_the_global_dictionaries(torch, log):
    """The global dictionaries and the flag, in `torch.nn.modules.module`."""
    module = torch.nn.modules.module
    log(sorted(k for k in vars(module) if k.startswith("_global")))


def rule_global_functions_are_at_one_place_only(torch, log):
    """The global `register_module_*` functions are in `torch.nn.modules.module`; neither `torch.nn` nor `torch.nn.modules`
    passes them on."""
    module = at(torch, "nn.modules.module")
    names = [name for name in module.__all__ if name.startswith("register_")]
    log(sorted(names))
    log([hasattr(at(torch, place), name) for place in ("nn", "nn.modules") for name in names])


@cases(
    {
        "autograd.graph": (
            "Node GradientEdge get_gradient_edge saved_tensors_hooks save_on_cpu disable_saved_tensors_hooks "
            "register_multi_grad_hook _MultiHandle node_creation_hook queue_callback"
        ),
        "utils.hooks": "RemovableHandle BackwardHook unserializable_hook warn_if_has_hooks",
        "nn.modules.module": "Module _WrappedHook _IncompatibleKeys register_module_full_backward_hook",
        "nn.modules._functions": "BackwardHookFunction",
        "autograd": "Function backward grad graph no_grad enable_grad set_grad_enabled inference_mode",
        "autograd.function": "Function FunctionCtx once_differentiable",
        "nn.parameter": "Parameter",
    }
)
def rule_import_paths(torch, log, case):
    """What can be imported from where."""
    for path in [p for p, names in rule_import_paths.cases.items() if names is case]:
        log(path, {name: hasattr(at(torch, path), name) for name in case.split()})


def _signature(function):
    return [
        (p.name, p.kind.name, p.default is not inspect.Parameter.empty)
        for p in inspect.signature(function).parameters.values()
    ]


@cases({name: name for name in ("Module", "Tensor", "module", "graph", "hooks")})
def rule_signatures(torch, log, case):
    """The parameters of the functions that register, by name, kind and whether they have a default."""
    owners = {
        "Module": torch.nn.Module,
        "Tensor": torch.Tensor,
        "module": at(torch, "nn.modules.module"),
        "graph": at(torch, "autograd.graph"),
        "hooks": at(torch, "utils.hooks"),
    }
    names = {
        "Module": [
            "register_forward_pre_hook",
            "register_forward_hook",
            "register_full_backward_pre_hook",
            "register_full_backward_hook",
            "register_backward_hook",
            "register_state_dict_pre_hook",
            "register_state_dict_post_hook",
            "_register_state_dict_hook",
            "register_load_state_dict_pre_hook",
            "_register_load_state_dict_pre_hook",
            "register_load_state_dict_post_hook",
        ],
        "Tensor": ["register_hook", "register_post_accumulate_grad_hook"],
        "module": [name for name in dir(at(torch, "nn.modules.module")) if name.startswith("register_module_")],
        "graph": ["register_multi_grad_hook", "saved_tensors_hooks", "save_on_cpu", "disable_saved_tensors_hooks"],
        "hooks": ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks", "BackwardHook"],
    }
    for name in names[case]:
        log(name, _signature(getattr(owners[case], name)))


def rule_getters_of_backward_hooks(torch, log):
    """`_get_backward_hooks` gives full and legacy hooks, `_get_backward_pre_hooks` the pre-hooks, global ones first."""
    layer = linear(torch)

    def own(*args):
        return None

    def shared(*args):
        return None

    layer.register_full_backward_hook(own)
    layer.register_full_backward_pre_hook(own)
    module = torch.nn.modules.module
    pre = module.register_module_full_backward_pre_hook(shared)
    with pre, module.register_module_full_backward_hook(shared):
        log([[hook.__name__ for hook in hooks] for hooks in layer._get_backward_hooks()])
        log([hook.__name__ for hook in layer._get_backward_pre_hooks()])


def rule_a_module_without_init(torch, log):
    """A subclass that calls no `super().__init__()` has no dictionaries: the errors are the usual ones."""

    class Bare(torch.nn.Module):
        def __init__(self):
            pass

        def forward(self, x):
            return x

    module = Bare()
    for attempted in (
        lambda: module.register_forward_hook(print),
        lambda: module(known(torch, 1)),
        lambda: setattr(module, "child", torch.nn.ReLU()),
    ):
        try:
            attempted()
        except Exception as error:
            log(type(error).__name__, str(error))
