"""Global hooks on the registration of parameters, buffers and submodules."""

from __future__ import annotations

import copy
import pickle

from both import attempt, known, linear, noting

from .catalogue import cases


def register(torch, kind, hook):
    return getattr(torch.nn.modules.module, f"register_module_{kind}_registration_hook")(hook)


def rule_registration_of_parameters(torch, log):
    """`hook(module, name, parameter)` for each registration or reassignment of a parameter, not for None; an invalid
    one never calls it."""
    module = torch.nn.Module()
    with register(torch, "parameter", noting(log, "hook")):
        module.a = torch.nn.Parameter(known(torch, 2))
        module.a = torch.nn.Parameter(known(torch, 1))
        module.a = None
        module.register_parameter("b", None)
        attempt(log, module.register_parameter, "c", 5)
        attempt(log, module.register_parameter, "", torch.nn.Parameter(known(torch, 1)))


def rule_registration_of_buffers(torch, log):
    """`hook(module, name, buffer)` in `register_buffer`, for None too, and for the reassignment of an existing
    buffer."""
    module = torch.nn.Module()
    with register(torch, "buffer", noting(log, "hook")):
        module.register_buffer("a", known(torch, 2))
        module.a = known(torch, 1)
        module.a = None
        module.register_buffer("b", None, persistent=False)
        attempt(log, module.register_buffer, "c", 5)


def rule_registration_of_modules(torch, log):
    """`hook(module, name, submodule)` for add_module, register_module, attributes, and the children of containers;
    with None too."""
    module = torch.nn.Module()
    with register(torch, "module", noting(log, "hook")):
        module.a = torch.nn.ReLU()
        module.a = None
        module.add_module("b", None)
        module.register_module("c", torch.nn.Tanh())
        torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh())
        torch.nn.ModuleList([torch.nn.ReLU()])
        torch.nn.ModuleDict({"x": torch.nn.ReLU()})
        attempt(log, module.add_module, "d", 5)


def rule_registration_hooks_chain_and_are_not_checked(torch, log):
    """What a hook returns takes the place of what is registered, the next hook sees it, and nothing is checked
    again: a plain tensor can land among the parameters."""
    module = torch.nn.Module()
    replace = register(torch, "parameter", lambda m, name, p: known(torch, 3))
    with replace, register(torch, "parameter", noting(log, "second")):
        module.a = torch.nn.Parameter(known(torch, 2))
    log(type(module._parameters["a"]).__name__)
    with register(torch, "module", lambda m, name, sub: torch.nn.Tanh()):
        module.b = torch.nn.ReLU()
    with register(torch, "buffer", lambda m, name, b: b + 1):
        module.register_buffer("c", known(torch, 2))
    log(module.b, module.c)


def rule_when_registration_hooks_do_not_run(torch, log):
    """Copying, unpickling, conversion and loading register nothing; loading with `assign=True` does."""
    layer = linear(torch)
    with register(torch, "parameter", noting(log, "parameter")), register(torch, "module", noting(log, "module")):
        copy.deepcopy(layer)
        pickle.loads(pickle.dumps(layer))
        layer.double().float()
        layer.load_state_dict(layer.state_dict())
        log("assign")
        layer.load_state_dict(layer.state_dict(), assign=True)


@cases({"parameter": "parameter", "buffer": "buffer", "module": "module"})
def rule_order_and_removal(torch, log, case):
    """In the order of registration, each with what the one before returned; removed ones do not run."""
    module = torch.nn.Module()
    value = torch.nn.ReLU() if case == "module" else torch.nn.Parameter(known(torch, 2))

    def add():
        if case == "buffer":
            module.register_buffer("a", known(torch, 2))
        else:
            module.a = value

    with register(torch, case, noting(log, "first")):
        handle = register(torch, case, noting(log, "second"))
        add()
        handle.remove()
        add()
    add()


@cases({"parameter": "parameter", "buffer": "buffer", "module": "module"})
def rule_an_exception_prevents_the_registration(torch, log, case):
    """An exception in a hook leaves the registration undone."""
    module = torch.nn.Module()
    with register(torch, case, lambda *args: 1 / 0):
        if case == "module":
            attempt(log, module.add_module, "a", torch.nn.ReLU())
        elif case == "buffer":
            attempt(log, module.register_buffer, "a", known(torch, 2))
        else:
            attempt(log, module.register_parameter, "a", torch.nn.Parameter(known(torch, 2)))
    log(hasattr(module, "a"), list(module._modules), list(module._buffers), list(module._parameters))


def rule_names_in_invalid_registrations(torch, log):
    """The name and type are checked first: the hooks are not called, the errors are the usual ones."""
    module = torch.nn.Module()
    module.taken = 5
    with register(torch, "buffer", noting(log, "b")), register(torch, "module", noting(log, "m")):
        for name in ("", "a.b", "taken", 5):
            attempt(log, module.register_buffer, name, known(torch, 1))
            attempt(log, module.add_module, name, torch.nn.ReLU())


def rule_layers_register_their_parts(torch, log):
    """The construction of a layer registers its parameters and buffers one by one: the hook sees the names in order."""

    def hook(module, name, value):
        log(type(module).__name__, name)

    with register(torch, "parameter", hook), register(torch, "buffer", hook):
        torch.nn.Linear(3, 2)
        torch.nn.Linear(3, 2, bias=False)
        torch.nn.Conv2d(1, 1, 1)
        torch.nn.BatchNorm1d(2)


def rule_falsy_returns(torch, log):
    """Only None means unchanged."""
    module = torch.nn.Module()
    with register(torch, "buffer", lambda m, name, b: 0):
        attempt(log, module.register_buffer, "a", known(torch, 1))
    log(module._buffers)


def rule_sequential_operations(torch, log):
    """append, insert, extend, item assignment and deletion in containers."""
    net = torch.nn.Sequential(torch.nn.ReLU())
    with register(torch, "module", lambda m, name, sub: log(type(m).__name__, name, type(sub).__name__)):
        net.append(torch.nn.Tanh())
        net[0] = torch.nn.Sigmoid()
        net.insert(0, torch.nn.Identity())
        del net[1]
        net.extend([torch.nn.ReLU()])
        layers = torch.nn.ModuleList()
        layers.append(torch.nn.ReLU())
        layers[0] = torch.nn.Tanh()
        torch.nn.ParameterList([torch.nn.Parameter(known(torch, 1))])
