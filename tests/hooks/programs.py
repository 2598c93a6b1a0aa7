"""Random programs with hooks, run in both libraries: a tree of modules, hooks of every kind that do what hooks may and
may not do, and backward passes. Whatever a user could see goes into a log; the two logs must be equal.

    python -m tests.hooks.programs --programs 10000 --seed 0     the long run: every difference, and its smallest program
    python -m tests.hooks.programs --programs 1 --seed 7 --show  one program and both its logs

What is known to differ is in `differences.py`: it is not logged, or (`is_comparable`) not tried.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from types import ModuleType
from typing import Any, NamedTuple

import hypothesis
import torch
from both import Log, filled, known, run
from hypothesis import strategies as st
from tqdm import tqdm

import minicnn

from .program_modules import ROWS, WIDTH, build


class Hook(NamedTuple):
    """One registration: where (`target` counts modules or parameters), with which flags, and what it does when called."""

    kind: str
    target: int
    action: str = "none"
    other: int = 0  # of "remove": which handle; of "add": which module
    prepend: bool = False
    with_kwargs: bool = False
    always_call: bool = False


class Backward(NamedTuple):
    kind: str  # backward, grad, inputs, roots; penalty: a second pass, through the squares of what a first one found
    wanted: tuple[
        int, ...
    ]  # of grad and inputs: the program's input, the parameters, the outputs that hooks were set on
    retain: bool
    create_graph: bool = False


class Program(NamedTuple):
    tree: Any
    hooks: tuple[Hook, ...]
    input_requires_grad: bool
    calls: int
    backwards: tuple[Backward, ...]
    remove_before_backward: bool
    packing: str = "none"  # what saved_tensors_hooks around the forward pass do


# --- what there is to draw from -----------------------------------------------------------------------------------------

LEAVES = (
    "linear", "linear", "relu", "relu_", "tanh", "identity", "scale", "constant", "halves", "view", "image", "slices",
    "indexed", "own", "raises",
)  # fmt: skip
NESTS = (
    "residual", "residual_", "shared", "detached", "no_grad", "two_outputs", "list_output", "dict_output", "two_inputs",
    "keyword", "in_place_relu", "on_a_view",
)  # fmt: skip
MODULE_KINDS = ("forward_pre", "forward", "full_backward_pre", "full_backward", "legacy")
GLOBAL_KINDS = tuple(f"global_{kind}" for kind in MODULE_KINDS)
PLACED_KINDS = (
    "output_hook",
    "output_retain",
    "output_node",
    "output_node_pre",
)  # set by a forward hook, on its output
TENSOR_KINDS = (
    "input_hook", "parameter_hook", "parameter_accumulated", "parameter_node", "parameter_node_pre", "multi_all",
    "multi_any",
)  # fmt: skip
EVERYWHERE = ("none", "none", "none", "raise", "interrupt", "remove", "add")
ON_FORWARD = ("double", "clone", "detach", "in_place")
ON_GRADIENTS = ("double", "list", "bare", "short", "wrong_shape", "wrong_type", "int", "nones")
ACTIONS = {
    "forward_pre": (*EVERYWHERE, *ON_FORWARD, "int"),
    "forward": (*EVERYWHERE, *ON_FORWARD),
    "parameter_accumulated": (*EVERYWHERE, "same", "other", "int", "clear"),
    "output_retain": ("none",),
    "multi_all": EVERYWHERE,
    "multi_any": EVERYWHERE,
}


def trees() -> st.SearchStrategy:
    def nested(children: st.SearchStrategy) -> st.SearchStrategy:
        return st.one_of(
            st.tuples(st.just("sequential"), st.lists(children, min_size=1, max_size=3)),
            st.tuples(st.just("branches"), children, children),
            st.tuples(st.sampled_from(NESTS), children),
        )

    return st.recursive(st.sampled_from(LEAVES).map(lambda name: (name,)), nested, max_leaves=8)


@st.composite
def hooks(draw: Any) -> Hook:
    kind = draw(st.sampled_from(MODULE_KINDS * 2 + GLOBAL_KINDS + PLACED_KINDS + TENSOR_KINDS))
    actions = ACTIONS.get(kind.removeprefix("global_"), (*EVERYWHERE, *ON_GRADIENTS))
    flag = st.sampled_from((False, False, True))
    return Hook(
        kind, draw(st.integers(0, 9)), draw(st.sampled_from(actions)), draw(st.integers(0, 9)), draw(flag), draw(flag),
        draw(flag),
    )  # fmt: skip


def programs() -> st.SearchStrategy:
    backward = st.builds(
        Backward,
        st.sampled_from(("backward", "backward", "grad", "inputs", "roots", "penalty", "penalty")),
        st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple),
        st.booleans(),
        st.sampled_from((False, False, True)),
    )
    return st.builds(
        Program,
        trees(),
        st.one_of(st.lists(hooks(), max_size=3), st.lists(hooks(), min_size=4, max_size=10)).map(tuple),
        st.booleans(),
        st.integers(1, 2),
        st.lists(backward, min_size=1, max_size=3).map(tuple),
        st.sampled_from((False, False, True)),
        st.sampled_from(("none",) * 6 + ("same", "clone", "raise in pack", "raise in unpack", "number")),
    )


# --- hooks ----------------------------------------------------------------------------------------------------------------


class World:
    """One run of a program in one library."""

    def __init__(self, lib: ModuleType, log: Log, program: Program) -> None:
        self.lib, self.log = lib, log
        self.net = filled(lib, build(lib, program.tree))
        self.modules, self.parameters = list(self.net.modules()), list(self.net.parameters())
        self.input = known(lib, ROWS, WIDTH, requires_grad=program.input_requires_grad)
        self.handles: list[Any] = []
        self.retained: list[Any] = []  # outputs on which a hook was set
        self.kept: list[Any] = []

    def attempt(self, what: str, function: Any) -> Any:
        """Its result; an error is logged."""
        try:
            return function()
        except (Exception, KeyboardInterrupt) as error:
            self.log(what, type(error).__name__, str(error))
            return None

    def register(self, spec: Hook, label: str) -> None:
        handle = self.attempt(f"{label} registration", lambda: self._register(spec, label))
        if handle is not None:
            self.handles.append(handle)

    def _register(self, spec: Hook, label: str) -> Any:
        kind, call = spec.kind, self.callback(spec, label)
        leaves = [self.input, *self.parameters]
        if kind == "input_hook":
            return self.input.register_hook(call)
        if kind in ("parameter_hook", "parameter_accumulated"):
            if not self.parameters:
                return None
            parameter = self.parameters[spec.target % len(self.parameters)]
            hooked = "register_hook" if kind == "parameter_hook" else "register_post_accumulate_grad_hook"
            return getattr(parameter, hooked)(call)
        if kind in ("parameter_node", "parameter_node_pre"):
            return self._register_at_accumulator(spec, call)
        if kind in ("multi_all", "multi_any"):
            mode = kind.removeprefix("multi_")
            return self.lib.autograd.graph.register_multi_grad_hook(leaves[: spec.target + 1], call, mode=mode)
        if kind.startswith("global_"):
            return self._register_global(spec, call)
        module = self.modules[spec.target % len(self.modules)]
        if kind in PLACED_KINDS:
            return module.register_forward_hook(self.placing(spec, call, label))
        if kind == "forward_pre":
            return module.register_forward_pre_hook(call, prepend=spec.prepend, with_kwargs=spec.with_kwargs)
        if kind == "forward":
            flags = {"prepend": spec.prepend, "with_kwargs": spec.with_kwargs, "always_call": spec.always_call}
            return module.register_forward_hook(call, **flags)
        if kind == "legacy":
            return module.register_backward_hook(call)
        return getattr(module, f"register_{kind}_hook")(call, prepend=spec.prepend)

    def _register_at_accumulator(self, spec: Hook, call: Any) -> Any:
        if not self.parameters:
            return None
        used = self.parameters[spec.target % len(self.parameters)] * 1
        self.kept.append(used)  # the node lives as long as a graph that ends in it
        node = used.grad_fn.next_functions[0][0]
        return node.register_hook(call) if spec.kind == "parameter_node" else node.register_prehook(call)

    def _register_global(self, spec: Hook, call: Any) -> Any:
        place = self.lib.nn.modules.module
        if spec.kind == "global_forward":
            return place.register_module_forward_hook(call, with_kwargs=spec.with_kwargs, always_call=spec.always_call)
        name = "backward" if spec.kind == "global_legacy" else spec.kind.removeprefix("global_")
        return getattr(place, f"register_module_{name}_hook")(call)

    def placing(self, spec: Hook, call: Any, label: str) -> Any:
        """A forward hook that sets a hook on the first tensor of the module's output."""

        def place(module: Any, args: tuple, output: Any) -> None:
            first = first_tensor(self.lib, output)
            if first is None or (spec.kind.startswith("output_node") and first.grad_fn is None):
                return
            setter = {
                "output_hook": lambda: first.register_hook(call),
                "output_retain": first.retain_grad,
                "output_node": lambda: first.grad_fn.register_hook(call),
                "output_node_pre": lambda: first.grad_fn.register_prehook(call),
            }[spec.kind]
            self.attempt(f"{label} on an output", setter)
            self.retained.append(first)

        return place

    def callback(self, spec: Hook, label: str) -> Any:
        def hook(*args: Any) -> Any:
            self.log(label, *args)
            if spec.kind.endswith(("forward", "forward_pre")):  # facts of gradients differ: `differences.py`
                self.log(*(facts(self.lib, arg) for arg in args))
            return self.act(spec, args, label)

        return hook

    def act(self, spec: Hook, args: tuple, label: str) -> Any:
        """What the hook does and returns. What it may replace is the last argument, or grad_input."""
        kind, action = spec.kind.removeprefix("global_"), spec.action
        if action == "raise":
            raise KeyError(label)
        if action == "interrupt":
            raise KeyboardInterrupt(label)
        if action == "remove" and self.handles:
            self.handles[spec.other % len(self.handles)].remove()
        if action == "add":
            self.register(Hook(MODULE_KINDS[spec.target % 4], spec.other), f"added by {label}")
        if action in EVERYWHERE:
            return None
        if kind == "forward_pre":
            return self.change_inputs(spec, args)
        if kind == "forward":
            return self.change(action, args[-1])
        if kind == "parameter_accumulated":
            return self.after_accumulation(action, args[0])
        if kind in ("full_backward", "legacy"):
            return self.change_all(action, args[1])
        if kind in ("output_node", "parameter_node"):
            return self.change_all(action, args[0])
        if kind == "full_backward_pre":
            return self.change_all(action, args[1])
        if kind in ("output_node_pre", "parameter_node_pre"):
            return self.change_all(action, args[0])
        return self.change(action, args[0])

    def change_inputs(self, spec: Hook, args: tuple) -> Any:
        inputs = args[1]
        if (
            spec.action == "int"
        ):  # only with kwargs: as an input a number would fail in the next operation, not in the hook
            return 3 if len(args) == 3 else None
        if not inputs or not isinstance(inputs[0], self.lib.Tensor):
            return None
        changed = self.change(spec.action, inputs[0])
        if changed is None:
            return None
        if len(args) == 3:
            return (changed, *inputs[1:]), args[2]
        return changed if len(inputs) == 1 and spec.other % 2 else (changed, *inputs[1:])

    def change(self, action: str, value: Any) -> Any:
        if isinstance(value, tuple) and action == "double":
            return tuple(entry * 2 for entry in value)
        if not isinstance(value, self.lib.Tensor):
            return None
        if action == "in_place":
            value.mul_(2)
            return None
        made = {
            "double": lambda: value * 2, "clone": value.clone, "detach": value.detach, "wrong_shape": lambda: value[:1],
            "wrong_type": value.double, "int": lambda: 3, "list": lambda: [value], "short": tuple, "bare": lambda: value,
        }  # fmt: skip
        return made.get(action, lambda: None)()

    def change_all(self, action: str, grads: tuple) -> Any:
        if action in ("bare", "int"):
            return grads[0] if grads and action == "bare" else 3
        if action == "short":
            return tuple(grads[1:])
        if action == "nones":
            return (None,) * len(grads)
        if action == "list":
            return list(grads)
        return tuple(grad if grad is None else self.change(action, grad) for grad in grads)

    def after_accumulation(self, action: str, parameter: Any) -> Any:
        if action == "clear":
            parameter.grad = None
        return {"same": parameter, "other": parameter.detach() * 2, "int": 3}.get(action)

    # --- running ----------------------------------------------------------------------------------------------------------

    def call(self, program: Program) -> Any:
        """One forward pass; the sum of its output, or None."""
        output = self.attempt("forward", lambda: self._forward(program.packing))
        self.log("output", output, facts(self.lib, output))
        first = first_tensor(self.lib, output)
        return None if first is None else first.sum()

    def _forward(self, packing: str) -> Any:
        if packing == "none":
            return self.net(self.input)
        failing = packing.removeprefix("raise in ")

        def hook(phase: str) -> Any:
            def pack_or_unpack(tensor: Any) -> Any:
                if phase == failing:
                    raise KeyError(phase)
                if phase == "unpack" and packing == "number":
                    return 3
                return tensor.clone() if packing == "clone" else tensor

            return pack_or_unpack

        with self.lib.autograd.graph.saved_tensors_hooks(hook("pack"), hook("unpack")):
            return self.net(self.input)

    def backward(self, how: Backward, loss: Any) -> None:
        leaves = [self.input, *self.parameters]
        known_tensors = [*leaves, *self.retained]
        wanted = [known_tensors[i % len(known_tensors)] for i in how.wanted]
        flags = {"retain_graph": how.retain, "create_graph": how.create_graph}
        if how.kind in ("grad", "penalty"):
            flags |= {"create_graph": True} if how.kind == "penalty" else {}
            found = self.attempt("grad", lambda: self.lib.autograd.grad(loss, wanted, **flags, allow_unused=True))
            self.log("grads", found, [None if g is None else g.requires_grad for g in found or ()])
            squares = [(g * g).sum() for g in found or () if g is not None and g.requires_grad]
            if how.kind == "penalty" and squares:
                self.attempt("penalty", lambda: sum(squares).backward(retain_graph=how.retain))
        else:
            inputs = wanted if how.kind == "inputs" else None
            roots = [loss, *(tensor.sum() for tensor in self.retained)] if how.kind == "roots" else [loss]
            self.attempt(how.kind, lambda: self.lib.autograd.backward(roots, inputs=inputs, **flags))
        self.log("leaves", *(leaf.grad for leaf in leaves))
        self.log("retained", *(tensor.grad for tensor in self.retained if tensor.retains_grad))


def facts(lib: ModuleType, value: Any) -> Any:
    """What can be seen of a tensor besides its numbers; of each entry, if there are several."""
    if isinstance(value, (tuple, list)):
        return [facts(lib, entry) for entry in value]
    if not isinstance(value, lib.Tensor):
        return None
    try:
        node = value.grad_fn
    except RuntimeError as error:  # a view that must not be used any more
        return str(error)
    return value.requires_grad, value.is_leaf, node and node.name(), value._version, value._is_view()


def first_tensor(lib: ModuleType, value: Any) -> Any:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (tuple, list)):
        return next((entry for entry in value if isinstance(entry, lib.Tensor)), None)
    return value if isinstance(value, lib.Tensor) else None


def scenario(program: Program) -> Any:
    """The program as a function of (library, log)."""

    def execute(lib: ModuleType, log: Log) -> None:
        world = World(lib, log, program)
        try:
            for i, spec in enumerate(program.hooks):
                world.register(spec, f"{spec.kind} {i}")
            for _ in range(program.calls):
                loss = world.call(program)
                if loss is None:
                    continue
                if program.remove_before_backward:
                    for handle in world.handles:
                        handle.remove()
                for how in program.backwards:
                    world.backward(how, loss)
            log("hooks left", *(len(m._forward_hooks) + len(m._backward_hooks) for m in world.modules))
        finally:
            forget_global_hooks(lib)

    return execute


def forget_global_hooks(lib: ModuleType) -> None:
    """No hook, no flag of one program in the next."""
    place = lib.nn.modules.module
    for name in dir(place):
        if name.startswith("_global_") and isinstance(getattr(place, name), dict):
            getattr(place, name).clear()
    place._global_is_full_backward_hook = None


def differs(program: Program) -> str | None:
    """The first difference between the two logs, in words; None if there is none."""
    ours, theirs = (run(scenario(program), lib) for lib in (minicnn, torch))
    for i, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return f"entry {i}: minicnn {mine}, torch {other}"
    if len(ours) != len(theirs):
        return f"minicnn also {ours[len(theirs) :]}, torch also {theirs[len(ours) :]}"
    return None


# --- the long run ---------------------------------------------------------------------------------------------------------


def long_run(count: int, seed: int, show: bool) -> int:
    """Run so many programs; print what differs, one program for each kind of difference. Returns their number."""
    found: dict[str, tuple[Program, str]] = {}
    kinds: Counter[str] = Counter()
    bar = tqdm(total=count, unit="program", mininterval=5)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, database=None, deadline=None, derandomize=False, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(programs())
    def each(program: Program) -> None:
        bar.update()
        kinds.update(hook.kind for hook in program.hooks)
        if show:
            print(program, *run(scenario(program), minicnn), "", *run(scenario(program), torch), sep="\n")
        difference = differs(program)
        if difference is not None:
            key = re.sub(r"\d[\d.e+-]*", "#", difference)[:160]
            if key not in found or len(str(program)) < len(str(found[key][0])):
                found[key] = program, difference
            kinds["DIFFERENT"] += 1

    started = time.perf_counter()
    each()
    bar.close()
    for program, difference in found.values():
        print(f"\n{program}\n  {difference[:1500]}")
    different = kinds.pop("DIFFERENT", 0)
    print(f"{bar.n} programs, {sum(kinds.values())} hooks, {time.perf_counter() - started:.0f} s, {different} differ")
    return different


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print each program and its two logs")
    args = parser.parse_args()
    minicnn.utils.hooks.mirror(torch.__version__)
    sys.exit(long_run(args.programs, args.seed, args.show) > 0)


if __name__ == "__main__":
    main()
