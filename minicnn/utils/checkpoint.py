"""Less memory for more time: a part of a network whose activations are computed again in the backward pass.

Two ways, as in PyTorch. `use_reentrant=False`: inside, every tensor that a node would keep is replaced by an empty holder
(`saved_tensors_hooks`); the first holder that the backward pass asks for runs the part again, and what its nodes would
keep then fills the holders. `use_reentrant=True`: the part runs without a graph, as one node, whose backward runs it with
a graph, and a backward pass through that inside of the outer one.

Hooks see both runs: a module in the part is called twice. With `early_stop` the second run ends as soon as the last
holder is filled, by an exception, so that a module that is running then does not return and its forward hooks do not run.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import traceback
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from minicnn import _types
from minicnn import random as _random
from minicnn._mirror import since
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.autograd import creation, engine, grad_mode
from minicnn.autograd.function import Function
from minicnn.autograd.node import SavedTensor, saved_tensors_hooks
from minicnn.nn.modules.container import Sequential

__all__ = [
    "CheckpointError", "CheckpointFunction", "GraphExecGroup", "check_backward_validity", "checkpoint",
    "checkpoint_sequential", "detach_variable", "noop_context_fn", "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
]  # fmt: skip

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep  # its lines are left out of what led to an operation

Contexts = tuple[contextlib.AbstractContextManager, contextlib.AbstractContextManager]

_early_stop: bool | None = None  # what `set_checkpoint_early_stop` and `set_checkpoint_debug_enabled` have set
_debug: bool | None = None
_group: GraphExecGroup | None = None
_ids = itertools.count(-1, -1)  # for what is unpacked outside of a backward pass


class CheckpointError(RuntimeError):
    """The second run of a part was not like the first."""


def noop_context_fn() -> Contexts:
    """Two contexts that do nothing: the default for `context_fn`."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], Contexts] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, of which only the arguments are kept for the backward pass, which runs it again.

    Args:
        function: a part of a network. Both times it has to do the same.
        args: its arguments.
        use_reentrant: which of the two ways (above) is taken; False is the better one: it works with `autograd.grad`, with
            keyword arguments, with tensors in lists, and with arguments that require no gradient. True if it is not given,
            with a warning.
        context_fn: returns two context managers, for the first and for the second run. Not with `use_reentrant`.
        determinism_check: "default" compares shapes and types of both runs, "none" does not. Not with `use_reentrant`.
        debug: errors about a difference list the operations of both runs. Not with `use_reentrant`.
        early_stop: end the second run as soon as all is there that is needed. Not with `use_reentrant`.
        kwargs: keyword arguments of the function; and `preserve_rng_state`, by default True: the second run draws the same
            random numbers as the first, and those after it are as if it had not been.

    Raises:
        ValueError: settings that do not go together.
        CheckpointError: in the backward pass, if the second run is not like the first.
    """
    if use_reentrant is None:
        warn_user(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in PyTorch 2.9, "
            "calling checkpoint without use_reentrant will raise an exception. use_reentrant=False is recommended, but if "
            "you need to preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for more "
            "details on the differences between the two variants."
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if not use_reentrant:
        part = _Part(function, kwargs, preserve, context_fn, determinism_check, debug, early_stop)
        return part.first_run(args)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug is not False:
        what = "`context_fn`, `debug`, or `respect_saved_tensors_hooks`" if since(2, 14) else "`context_fn` or `debug`"
        raise ValueError(f"Passing {what} is only supported when use_reentrant=False.")
    return CheckpointFunction.apply(function, preserve, *args)


def checkpoint_sequential(
    functions: Any, segments: int, input: Tensor, use_reentrant: bool | None = None, **kwargs: Any
) -> Tensor:
    """The functions, or modules, one after the other, in so many segments, each but the last one a `checkpoint`.

    Args:
        functions: a Sequential, or a list of modules or functions of one tensor.
        segments: how many parts they are cut into.
        input: what the first one is given.
        use_reentrant: see `checkpoint`.
        kwargs: `preserve_rng_state`.
    """
    if use_reentrant is None:
        warn_user(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. In "
            "version 2.9 we will raise an exception if use_reentrant is not passed. use_reentrant=False is recommended, but "
            "if you need to preserve the current default behavior, you can pass use_reentrant=True. Refer to docs for more "
            "details on the differences between the two variants."
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    functions = list(functions.children() if isinstance(functions, Sequential) else functions)

    def run(some: list) -> Callable[[Tensor], Tensor]:
        def forward(input: Tensor) -> Tensor:
            for function in some:
                input = function(input)
            return input

        return forward

    size, done = len(functions) // segments, 0
    for start in range(0, size * (segments - 1), size):
        done = start + size
        input = checkpoint(run(functions[start:done]), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return run(functions[done:])(input)


# A part that its nodes' holders run again ---------------------------------------------------------------------------------


class _Handle:
    """Stands for one tensor that a second run has made, as long as its holder wants it."""


class _Holder:
    """What a node of the first run keeps instead of a tensor: a handle for each backward pass that has filled it."""

    def __init__(self) -> None:
        self.handles: dict[Any, _Handle | None] = {}


class _Stop(Exception):
    """All that is needed is there."""


class _Part:
    """A function that was called once, and will be called again when its nodes want what they did not keep."""

    def __init__(
        self,
        function: Callable,
        kwargs: dict[str, Any],
        preserve_rng_state: bool,
        context_fn: Callable[[], Contexts],
        determinism_check: str,
        debug: bool,
        early_stop: bool,
    ) -> None:
        self.function, self.kwargs = function, kwargs
        self.logs: tuple[_Log, _Log] | None = None
        if _debug if _debug is not None else debug:
            if context_fn is not noop_context_fn:
                raise ValueError("debug=True is incompatible with non-default context_fn")
            self.logs = _Log(), _Log()
        described = {"default": _description, "none": lambda tensor: None}
        if determinism_check not in described:
            raise ValueError(f"determinism_check should be one of {list(described)}, but got {determinism_check}")
        self.describe = described[determinism_check]
        contexts: Contexts = self.logs or context_fn()
        self.context, self.second_context = contexts
        self.early_stop = early_stop if _early_stop is None else _early_stop
        self.random_state = _random.current().get_state() if preserve_rng_state else None
        self.device = _types.get_default_device()
        self.args: list[Any] = []
        # One for each tensor that the first run would have kept. Of what a second run has made, the handles keep alive what
        # is still wanted; all of it by the number of the backward pass.
        self.holders: list[weakref.ref[_Holder]] = []
        self.descriptions: list[Any] = []
        self.made: defaultdict[Any, weakref.WeakKeyDictionary[_Handle, Tensor]] = defaultdict(weakref.WeakKeyDictionary)
        self.count: defaultdict[Any, int] = defaultdict(int)
        self.has_run_in: set[Any] = set()
        self.first_run_is_over = self.more_are_expected = False

    def first_run(self, args: tuple) -> Any:
        if not grad_mode.is_grad_enabled():
            return self.function(*args, **self.kwargs)
        self.args = [SavedTensor(arg, is_output=False) if isinstance(arg, Tensor) else arg for arg in args]
        failed = False
        with saved_tensors_hooks(self.hold, self.fill), self.context:
            try:
                result = self.function(*args, **self.kwargs)
            except BaseException:
                failed = True
                raise
        if failed:
            raise RuntimeError(
                "torch.utils.checkpoint: the forward context provided by context_fn suppressed an exception raised during "
                "the checkpointed forward. This is not supported because checkpoint cannot return a value for a failed "
                "forward."
            )
        self.first_run_is_over = True
        return result

    def hold(self, tensor: Tensor) -> _Holder:
        """In the first run, instead of keeping the tensor."""
        holder = _Holder()
        self.holders.append(weakref.ref(holder))
        self.descriptions.append(self.describe(tensor))
        return holder

    def fill(self, holder: _Holder) -> Tensor:
        """In the backward pass: the tensor, out of a second run."""
        try:
            return self._fill(holder)
        except CheckpointError as error:
            if self.logs is None:
                raise
            _raise_with_logs(error, *self.logs)

    def _fill(self, holder: _Holder) -> Tensor:
        task = _group if _group is not None else engine.current_task_id()
        if task is None:
            task = next(_ids)
        if task not in self.has_run_in:
            nowhere: Any = None  # the node that keeps it: there is none
            args = [arg.unpack(nowhere) if isinstance(arg, SavedTensor) else arg for arg in self.args]
            part = weakref.ref(self)  # the graph of the second run must not keep this one alive
            with (
                saved_tensors_hooks(lambda tensor: _take(part, task, tensor), lambda tensor: tensor),
                grad_mode.enable_grad(),
                contextlib.suppress(_Stop),
            ):
                self.second_run(args)
            self.has_run_in.add(task)
            self.compare(task)
        handle = holder.handles[task]
        if handle is None:
            extra = (
                "Performing two backward calls that overlap (i.e. require the same saved activation in order to compute "
                "gradients) is not allowed while under the torch.utils.checkpoint.GraphExecGroup context. "
            )
            raise CheckpointError(
                "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. "
                f"{extra if _group is not None else ''}If you are calling ctx.saved_tensors in backward, make sure to do so "
                "only once. Otherwise please open an issue with details on your use case."
            )
        tensor = self.made[task][handle]
        holder.handles[task] = None
        return tensor

    def second_run(self, args: list) -> None:
        with _random.fork_rng(enabled=self.random_state is not None):
            if self.random_state is not None:
                _random.current().set_state(self.random_state)
            with self.second_context, self.device:
                self.function(*args, **self.kwargs)

    def compare(self, task: Any) -> None:
        """CheckpointError unless the second run has kept as many tensors as the first, of the same shapes and types."""
        if self.more_are_expected:
            return
        if len(self.holders) != self.count[task]:
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(self.holders)}\nNumber of tensors saved "
                f"during recomputation: {self.count[task]}.\n{_TIP}"
            )
        different = ""
        for i, (holder, before) in enumerate(zip(self.holders, self.descriptions, strict=True)):
            alive = holder()
            if alive is not None:
                handle = alive.handles[task]
                assert handle is not None  # only `fill` takes it away
                now = self.describe(self.made[task][handle])
                if before != now:
                    different += f"tensor at position {i}:\nsaved metadata: {before}\nrecomputed metadata: {now}\n"
        if different:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during "
                f"the forward pass.\n{different}.\n{_TIP}"
            )


def _take(reference: weakref.ref[_Part], task: Any, tensor: Tensor) -> Tensor:
    """In a second run, when a node keeps a tensor: it is for the next holder."""
    part = reference()
    assert part is not None  # it is what runs
    tensor = tensor.detach() if tensor.requires_grad else tensor
    number = part.count[task]
    part.count[task] += 1
    if number >= len(part.holders):
        if not part.first_run_is_over:  # a backward pass inside of the part: it has not kept all yet
            part.more_are_expected = True
            return tensor
        raise CheckpointError(
            "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original forward "
            f"pass.\n{_TIP}"
        )
    holder = part.holders[number]()
    if holder is not None:  # else its node is gone, or has run
        handle = holder.handles[task] = _Handle()
        part.made[task][handle] = tensor
    if part.early_stop and part.count[task] == len(part.holders):
        raise _Stop
    return tensor


def _description(tensor: Tensor) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


_TIP = """
Tip: To see a more detailed error message, either pass `debug=True` to
`torch.utils.checkpoint.checkpoint(...)` or wrap the code block
with `with torch.utils.checkpoint.set_checkpoint_debug_enabled(True):` to
enable checkpoint-debug mode globally.
"""


class _Log(creation.node_creation_hook):
    """The operations of one run, each with the lines that led to it."""

    def __init__(self) -> None:
        super().__init__(self._note)
        self.names: list[str] = []
        self.traces: list[str] = []

    def _note(self, node: Any) -> None:
        shapes = ", ".join(str(list(shape)) for shape, _ in node.input_metadata)
        self.names.append(f"{node.name()} -> {shapes}")
        frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(_PACKAGE)]
        self.traces.append("".join(f"{frame.filename}:{frame.lineno}:{frame.name}\n" for frame in frames[-5:]))


def _raise_with_logs(error: CheckpointError, first: _Log, second: _Log) -> NoReturn:
    def traces(log: _Log) -> str:
        return "\n".join(f"{name}\n{trace}" for name, trace in zip(log.names, log.traces, strict=True))

    names = ["\n".join(log.names) for log in (first, second)]
    raise CheckpointError(
        "An error happened while unpacking tensors; dumping logs of latest computation because you passed `debug=True` to "
        f"`torch.utils.checkpoint.checkpoint()`.\n\n1. Where the operations of the original forward ran:\n\n{traces(first)}"
        f"\n2. Where those of the recomputation ran:\n\n{traces(second)}\n3. Operations executed during the original "
        f"forward:\n\n{names[0]}\n\nOperations executed during recomputation:\n\n{names[1]}\n\nERROR: Detected "
        "non-determinism while running activation checkpointing"
    ) from error


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """In the block, the `debug` of every `checkpoint`; None leaves it to their arguments."""
    global _debug
    previous, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = previous


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """In the block, the `early_stop` of every `checkpoint` that is called; their backward passes may come later."""
    global _early_stop
    previous, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = previous


class GraphExecGroup:
    """In the block, several backward passes run each part at most once. They must not want the same tensor."""

    def __enter__(self) -> GraphExecGroup:
        global _group
        if _group is not None:
            raise RuntimeError(f"GraphExecGroup contexts cannot be nested. Already inside group {_group}")
        _group = self
        return self

    def __exit__(self, *error: object) -> None:
        global _group
        _group = None


# A part as one node -------------------------------------------------------------------------------------------------------


class CheckpointFunction(Function):
    """A part that runs without a graph, and again, with one, in a backward pass inside of the backward pass."""

    @staticmethod
    def forward(ctx, run_function, preserve_rng_state, *args):
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.random_state = _random.current().get_state() if preserve_rng_state else None
        ctx.inputs = [None if isinstance(arg, Tensor) else arg for arg in args]
        ctx.places = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with grad_mode.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx, *grads):
        if engine.is_selective():
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        inputs = list(ctx.inputs)
        for i, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[i] = tensor
        with _random.fork_rng(enabled=ctx.random_state is not None):
            if ctx.random_state is not None:
                _random.current().set_state(ctx.random_state)
            detached = detach_variable(tuple(inputs))
            with grad_mode.enable_grad():
                outputs = ctx.run_function(*detached)
        outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
        wanted = [i for i, out in enumerate(outputs) if isinstance(out, Tensor) and out.requires_grad]
        if not wanted:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        engine.backward([outputs[i] for i in wanted], [grads[i] for i in wanted])
        return (None, None, *(arg.grad if isinstance(arg, Tensor) else None for arg in detached))


def detach_variable(inputs: tuple) -> tuple:
    """The tensors outside of the graph, each requiring grad as it did; other things as they are. RuntimeError for no tuple."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    return tuple(arg.detach().requires_grad_(arg.requires_grad) if isinstance(arg, Tensor) else arg for arg in inputs)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """A warning if no tensor among them requires grad."""
    if not any(arg.requires_grad for arg in inputs if isinstance(arg, Tensor)):
        warn_user("None of the inputs have requires_grad=True. Gradients will be None")
