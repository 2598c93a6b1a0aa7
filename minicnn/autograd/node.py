"""A node of the graph, its hooks, and what it keeps of the forward pass.

A node is the ctx of the operation that made a tensor: `y.grad_fn`. It points backwards, to the nodes that made the
operation's inputs (`next_functions`); a leaf ends in an `AccumulateGrad`, which is the only node that holds the leaf.
Nobody points forwards, so a graph dies with its last output, by reference counting alone.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from sys import getrefcount
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minicnn import _memory
from minicnn._mirror import since
from minicnn._types import Size, device, dtype
from minicnn.autograd import grad_mode
from minicnn.autograd.handles import RemovableHandle

Tensor = Any  # `minicnn.Tensor` stands above this file, which asks a tensor for its array, version and hooks

_sequence = itertools.count()
# Held while a thread changes what belongs to a tensor and not to one pass: its `.grad`, its accumulator, its view's node.
shared = threading.RLock()

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
    "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
    "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
    "saved tensors after calling backward."
)


class InputMetadata(NamedTuple):
    """Shape, type and place of a gradient."""

    shape: Size
    dtype: dtype
    device: device
    is_nested_tensor: bool = False


class Node:
    """One operation in the graph. Its inputs in the backward pass are the gradients of its outputs.

    `next_functions` has one (node or None, input number) for each tensor argument of the operation. Nodes that were
    created later run earlier (`_sequence_nr`).
    """

    __module__ = "minicnn.autograd.graph"
    _pre_hooks: OrderedDict | None = None
    _post_hooks: OrderedDict | None = None
    _tensor_hooks: tuple[tuple[OrderedDict, int], ...] = ()  # (hook dict of an output tensor, its output number)
    _retains_grad: dict[int, weakref.ref] | None = None  # output number -> the tensor that wants its gradient

    next_functions: tuple[tuple[Node | None, int], ...] = ()
    input_metadata: Sequence[tuple[tuple[int, ...], Any]] = ()  # (shape, dtype) of each output's gradient
    output_grad_dtypes: Sequence[Any] | None = None  # other types of these, if some were asked for; None: as it comes
    _detached: tuple[int, ...] = ()  # output numbers whose tensors were detached in place

    def __init__(self) -> None:
        self._order = next(_sequence)

    def name(self) -> str:
        """Which operation it is, as error texts say it."""
        return type(self).__name__

    @property
    def metadata(self) -> dict:
        """A place for the user's notes on this node."""
        return self.__dict__.setdefault("_metadata", {})

    @property
    def _input_metadata(self) -> tuple[InputMetadata, ...]:
        """What is known of each gradient that it takes."""
        known = [(shape, kind) for shape, kind in self.input_metadata if kind is not None]
        return tuple(InputMetadata(Size(shape), dtype.of(kind), device("cpu")) for shape, kind in known)

    def _sequence_nr(self) -> int:
        return self._order

    def run(self, grads: list[Tensor | None]) -> tuple[Tensor | None, ...]:
        """The gradients of the operation's inputs, one for each of `next_functions`, from those of its outputs."""
        raise NotImplementedError

    def run_for(self, grads: list[Tensor | None], wanted: list[bool]) -> tuple[Tensor | None, ...]:
        """`run` in a pass that needs the gradients of some inputs only: one flag for each of `next_functions`."""
        return self.run(grads)

    def __call__(self, *grads: Tensor | None) -> Any:
        result = self.run(list(grads))
        return result[0] if len(result) == 1 else result

    def release_saved(self) -> None:
        """Called when the node has run and the graph is not retained."""

    def register_hook(self, fn: Callable) -> RemovableHandle:
        """`fn(grad_inputs, grad_outputs)` after the node has run; a tuple that it returns replaces grad_inputs."""
        if self._post_hooks is None:
            self._post_hooks = OrderedDict()
        return _register(self._post_hooks, fn)

    def register_prehook(self, fn: Callable) -> RemovableHandle:
        """`fn(grad_outputs)` before the node runs; a tuple that it returns replaces grad_outputs."""
        if self._pre_hooks is None:
            self._pre_hooks = OrderedDict()
        return _register(self._pre_hooks, fn)

    def add_tensor_hooks(self, hooks: OrderedDict, output_nr: int) -> None:
        """The hooks of the tensor that is output `output_nr`; those added to the dict later count too."""
        self._tensor_hooks = (*self._tensor_hooks, (hooks, output_nr))

    def tensor_hooks(self) -> tuple[tuple[OrderedDict, int], ...]:
        """(hooks, output number) of each output tensor that has hooks."""
        return self._tensor_hooks

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor enters the graph: input number `output_nr` of `node`."""

    node: Node
    output_nr: int
    ownership_token: Node | None = None  # in PyTorch what keeps the node alive; here the node is enough


GradientEdge.__module__ = "minicnn.autograd.graph"


def _register(hooks: OrderedDict, hook: Callable) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


class AccumulateGrad(Node):
    """Adds the gradient that arrives to `variable.grad`. One for each leaf, alive while a graph ends in it."""

    def __init__(self, variable: Tensor) -> None:
        super().__init__()
        self.variable = variable
        self.input_metadata = [(variable.array.shape, variable.array.dtype)]

    def name(self) -> str:
        """As PyTorch has it."""
        return "torch::autograd::AccumulateGrad"

    def tensor_hooks(self) -> tuple[tuple[OrderedDict, int], ...]:
        """The leaf's own hooks."""
        hooks = self.variable._backward_hooks
        return ((hooks, 0),) if hooks else ()

    def run(self, grads: list[Tensor | None]) -> tuple:
        """Keep the gradient if it is the first, add it otherwise; then the leaf's post-accumulate hooks."""
        variable, unshared = self.variable, _unshared(grads, 3 if self._post_hooks else 2)
        grad = grads[0]
        if grad is not None and variable.requires_grad:
            if grad.array.shape != variable.array.shape:
                grad = _in_new_shape(grad, variable)
            with shared:
                if grad_mode.mode.enabled:  # as in PyTorch, whose node for the first is `CopyBackwards`
                    held = variable._grad
                    variable._grad = grad.new_empty(grad.shape).copy_(grad) if held is None else held + grad
                elif variable._grad is None:
                    kept = grad.array if unshared else grad.array.copy()
                    variable._grad = grad.wrap(kept if variable.array.flags.c_contiguous else _like(variable, kept))
                else:
                    if variable._grad._version_counter.inference:
                        grad_mode.need_writable(variable._grad)
                    variable._grad.array += grad.array
                    variable._grad._version_counter.value += 1
        # Since 2.8 they run even if there was nothing to add.
        if variable._post_accumulate_grad_hooks and (since(2, 8) or (grad is not None and variable.requires_grad)):
            _run_post_accumulate_hooks(variable)
        return ()


def _like(variable: Tensor, grad: np.ndarray) -> np.ndarray:
    """The gradient of a leaf in the leaf's order in memory."""
    new = _memory.empty_like(variable.array)
    new[...] = grad
    return new


def _in_new_shape(grad: Tensor, variable: Tensor) -> Tensor:
    """The gradient of a leaf whose shape was changed under `no_grad` after it was used."""
    try:
        return grad.wrap(np.broadcast_to(grad.array, variable.array.shape).copy())
    except ValueError:
        raise RuntimeError(
            f"a leaf was used with the shape {list(grad.array.shape)}, of which its gradient is, and has the shape "
            f"{list(variable.array.shape)} now: change the shape of a leaf before it is used"
        ) from None


def _unshared(grads: list[Tensor | None], expected: int) -> bool:
    """Whether nobody but this list holds the gradient in it, nor its memory: then it need not be copied to be kept.

    Asks for the numbers of references, as PyTorch does. One of them is that of the question itself; one more is expected
    if the node has post-hooks, which will be shown the gradient: theirs is then the `.grad` itself.
    """
    if grads[0] is None or getrefcount(grads[0]) != expected or getrefcount(grads[0].array) != 2:
        return False
    array, base = grads[0].array, grads[0].array.base
    if not (array.flags.c_contiguous and array.flags.writeable):
        return False
    if base is None:
        return True
    whole = isinstance(base, np.ndarray) and base.base is None and base.nbytes == array.nbytes
    del base
    return whole and getrefcount(array.base) == 2


def _run_post_accumulate_hooks(variable: Tensor) -> None:
    given = variable
    for hook in tuple(variable._post_accumulate_grad_hooks.values()):
        result = hook(given)
        if result is not None and result is not given:
            given = checked(hook, result, given)  # PyTorch 2.13.0 hands it to the next hook before it complains
    if given is not variable:
        raise RuntimeError("Tensor post accumulate grad hooks should return None.")


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor, without knowing the class."""
    return hasattr(value, "_version_counter")


def type_name(value: Any) -> str:
    """As C code sees it: `list`, a class of one's own `Mine`, but `numpy.ndarray`, which is a class made in C."""
    kind, made_in_python = type(value), 1 << 9
    return (
        kind.__name__
        if kind.__flags__ & made_in_python or kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__name__}"
    )


def checked(hook: Any, result: Any, original: Tensor | None) -> Tensor:
    """What a hook returned in the place of `original`: a tensor of its dtype and shape, or an error with its name."""
    name = getattr(hook, "__name__", "<unknown>")
    if not is_tensor(result):
        raise TypeError(f"expected Variable, but hook returned '{type_name(result)}'")
    if original is None:
        raise RuntimeError("can't replace a None gradient with a non-None value")
    if result.array.dtype != original.array.dtype:
        was, got = original.dtype.tensor_type, result.dtype.tensor_type
        raise RuntimeError(f"hook '{name}' has changed the type of value (was torch.{was} got torch.{got})")
    if result.array.shape != original.array.shape:
        raise RuntimeError(f"hook '{name}' has changed the size of value")
    return result


# --- saving tensors for the backward pass ---------------------------------------------------------------------------


class _SavedTensorHooks(threading.local):
    def __init__(self) -> None:
        self.stack: list[tuple[Callable, Callable]] = []
        self.disabled: str | None = None
        self.held: list[tuple[SavedTensor, Tensor]] | None = None  # outputs that are not in place yet


saved_hooks = _SavedTensorHooks()


class saved_tensors_hooks:
    """Inside, `pack(tensor)` stands for each tensor that a node saves, and `unpack(packed)` gives it back.

    The innermost pair alone is used. RuntimeError if `pack` changes the tensor in place; TypeError, in the backward
    pass, if `unpack` does not return a tensor.
    """

    __module__ = "minicnn.autograd.graph"

    def __init__(self, pack_hook: Callable, unpack_hook: Callable) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if saved_hooks.disabled is not None:
            raise RuntimeError(saved_hooks.disabled)
        saved_hooks.stack.append((self.pack_hook, self.unpack_hook))

    def __exit__(self, *error: object) -> None:
        saved_hooks.stack.pop()


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, entering `saved_tensors_hooks` raises RuntimeError with this message."""
    if saved_hooks.stack:
        raise RuntimeError(error_message)
    previous, saved_hooks.disabled = saved_hooks.disabled, error_message
    try:
        yield
    finally:
        saved_hooks.disabled = previous


class save_on_cpu(saved_tensors_hooks):
    """Keeps what is saved in the memory of the CPU, where it is already: the tensors themselves are kept."""

    __module__ = "minicnn.autograd.graph"

    def __init__(self, pin_memory: bool = False, device_type: str = "cpu") -> None:
        super().__init__(lambda tensor: tensor.alias(), lambda packed: packed)  # an output would hold its own node


class SavedTensor:
    """One tensor that a node keeps: its array and its place in the graph, and the version that it had.

    An output of the node is kept without its `grad_fn`, which is the node itself: that would be a cycle.
    """

    __slots__ = (
        "_accumulator",
        "_array",
        "_counter",
        "_edge",
        "_leaf",
        "_made_by",
        "_output_nr",
        "_packed",
        "_requires_grad",
        "_unpack",
        "_version",
        "_view",
        "_view_to_refuse",
        "is_output",
    )
    _made_by: weakref.ref | None
    _unpack: Callable | None
    wrap: ClassVar[Any]  # `Tensor.wrap`, which stands above this file

    def __init__(self, tensor: Tensor, is_output: bool) -> None:
        self.is_output = is_output
        self._unpack = self._made_by = None
        self._output_nr = tensor._output_nr
        self._counter = tensor._version_counter
        self._version = self._counter.value
        if self._counter.inference:
            raise RuntimeError(
                "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
                "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use "
                "it in autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
            )
        self._leaf = tensor if tensor._grad_fn is None and not is_output else None
        self._edge = None if is_output else tensor.grad_fn
        self._view = tensor._base is not None
        self._view_to_refuse = tensor if not is_output and tensor._view_origin is not None else None
        self._array = tensor.array
        if saved_hooks.stack:
            if is_output and saved_hooks.held is not None:
                saved_hooks.held.append((self, tensor))
            else:
                self.pack(tensor)

    def pack(self, tensor: Tensor) -> None:
        """Keep what the innermost `saved_tensors_hooks` make of the tensor."""
        pack, self._unpack = saved_hooks.stack[-1]
        self._pack(pack, tensor)

    def register_hooks(self, pack: Callable, unpack: Callable) -> None:
        """From now on keep what `pack` makes of it. RuntimeError if there are such hooks already."""
        if self._unpack is not None:
            raise RuntimeError(
                "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is "
                "allowed at a time."
            )
        tensor = self.wrap(self._array)
        tensor._version_counter = self._counter
        self._pack(pack, tensor)
        self._unpack = unpack

    def _pack(self, pack: Callable, tensor: Tensor) -> None:
        """Let the pack hook have the tensor. RuntimeError if that has written it."""
        # Of a leaf that requires grad the place in the graph, which alone is not enough to keep the leaf in memory.
        leaf = self._leaf
        self._requires_grad = leaf is not None and leaf.requires_grad
        node = leaf.gradient_edge()[0] if leaf is not None and leaf.requires_grad else None
        self._accumulator = weakref.ref(node) if node is not None else None  # a view made under `no_grad` has none
        with grad_mode.no_grad():
            self._packed = pack(tensor)
        self._array = self._leaf = None
        if self._counter.value != self._version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook "
                "cannot be modified by in-place operations as this can lead to unexpected side-effects. Please open an "
                "issue if you need to perform in-place operations on the input to a pack hook."
            )

    def keep_copy(self) -> None:
        """Its memory is about to be written by the very operation that saves it: keep the old numbers."""
        self._array = self._array.copy()
        self._counter = type(self._counter)()
        self._version, self._leaf = 0, None

    def moved_to(self, tensor: Tensor) -> None:
        """The output was written into `tensor`, in place: keep that memory, at its present version."""
        self._array, self._counter, self._version = tensor.array, tensor._version_counter, tensor._version
        if tensor._base is not None:  # as a part of its base; weakly, for the base's node holds this one
            self._view, self._made_by = True, weakref.ref(tensor._grad_fn)

    @property
    def array(self) -> np.ndarray:
        """The numbers, if it is as it was saved: then there is nothing to unpack."""
        return self._array if self._leaf is None else self._leaf.array

    def is_as_saved(self) -> bool:
        """Whether no hook has packed it, nobody has written to it, and nothing was detached from its node since."""
        unwritten = self._unpack is None and self._counter.value == self._version
        return unwritten and not (self._edge and self._edge._detached)

    def unpack(self, node: Node) -> Tensor:
        """The tensor as it was saved. RuntimeError if its memory has been written since."""
        if self._unpack is not None:
            tensor = self._unpack(self._packed)
            if not is_tensor(tensor):
                raise TypeError(
                    "Output of saved tensor unpack_hook expected to be a Tensor but got result of type "
                    f"{type_name(tensor)}"
                )
            return self._in_its_place(tensor, node)
        if self._edge is not None and self._output_nr in self._edge._detached:
            raise RuntimeError(
                "Trying to use a saved tensor that has been detached in-place, i.e. with .detach_().This is not supported, "
                "please use out-of-place `.detach()` instead"
            )
        if self._counter.value != self._version:
            raise RuntimeError(self._modified(node))
        if self._leaf is not None:
            return self._leaf
        tensor = self.wrap(self._array)
        tensor._version_counter = self._counter
        tensor._grad_fn = self._edge if not self.is_output else (self._made_by and self._made_by()) or node
        tensor._output_nr = self._output_nr
        return tensor

    def _in_its_place(self, tensor: Tensor, node: Node) -> Tensor:
        """What an unpack hook returned, at the place in the graph that the saved tensor had."""
        maker = ((self._made_by and self._made_by()) or node) if self.is_output else self._edge
        if maker is None and not self._requires_grad and not tensor.requires_grad:
            return tensor
        placed = self.wrap(tensor.array)
        placed._version_counter = tensor._version_counter
        if maker is not None:
            placed._grad_fn, placed._output_nr = maker, self._output_nr
        elif self._requires_grad:
            placed._requires_grad, placed._accumulator = True, self._accumulator
        return placed

    def _modified(self, node: Node) -> str:
        if self._view_to_refuse is not None:
            self._view_to_refuse.grad_fn  # noqa: B018  (for such a view this raises the error that says more)
        if self._view and (self.is_output or self._edge is not None):
            maker = "AsStrided"  # a write to the base has made a new node for the view
        elif self.is_output:
            maker = strip_backward(node)
        elif self._edge is not None and self._counter.writer is not None:
            maker = self._counter.writer
        else:
            maker = strip_backward(self._edge) if self._edge is not None else ""
        kind = dtype.of(self._array.dtype).tensor_type
        kind = f"CPU{kind.removesuffix('Tensor')}Type" if self._array.dtype.kind in "bc" else f"torch.{kind}"
        made_by = f", which is output {self._output_nr} of {maker}," if maker else ""
        return (
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"[{kind} {list(self._array.shape)}]{made_by} is at version {self._counter.value}; expected version "
            f"{self._version} instead. Hint: enable anomaly detection to find the operation that failed to compute its "
            "gradient, with torch.autograd.set_detect_anomaly(True, check_nan=False)."
        )


def strip_backward(node: Node) -> str:
    """`MulBackward0` -> `Mul`, `PowBackward1` -> `Pow1`: the name that error texts use since 2.13."""
    if not since(2, 13):
        return node.name()
    before, found, overload = node.name().rpartition("Backward")
    return before + overload.removesuffix("0") if found and (overload.isdigit() or not overload) else node.name()
