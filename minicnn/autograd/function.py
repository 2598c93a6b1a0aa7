"""`Function`: an operation with its forward and its backward, and `apply`, which puts it into the graph."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.autograd import grad_mode, inplace
from minicnn.autograd.node import FREED, Node, SavedTensor, saved_hooks


class FunctionCtx(Node):
    """The ctx that `forward` and `backward` receive: it is the node of the graph.

    What `forward` sets on it (`ctx.stride = stride`) is there in `backward`; tensors go through `save_for_backward`,
    so that a later write to them is noticed.
    """

    function: type[Function]  # set by the subclass that each Function gets
    needs_input_grad: tuple[bool, ...] = ()
    materialize_grads = True
    _to_save: tuple[Tensor | None, ...] = ()
    _dirty: tuple[Tensor, ...] = ()
    _non_differentiable: tuple[Tensor, ...] = ()
    _saved: tuple[SavedTensor | None, ...] | None = ()

    def name(self) -> str:
        return self.function.name_prefix + type(self).__name__

    def __repr__(self) -> str:
        module = "" if self.function.built_in else f"{type(self).__module__}."
        return f"<{module}{type(self).__name__} object at {id(self):#x}>"

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs of `forward` for `backward`, where `ctx.saved_tensors` gives them back."""
        self._to_save = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """These inputs were written in place; they are to be returned as outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """No gradient goes through these outputs."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """False: outputs without a gradient reach `backward` as None instead of zeros."""
        self.materialize_grads = value

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What `save_for_backward` kept. RuntimeError after the graph was freed, or if the memory was written since."""
        if self._saved is None:
            raise RuntimeError(FREED)
        return tuple([saved if saved is None else saved.unpack(self) for saved in self._saved])

    def follow_writes(self) -> None:
        """Saved outputs that were written into an input live in that input's memory now."""
        for tensor in self._dirty:
            for kept in self._saved or ():
                if kept is not None and kept.is_output and kept._array is tensor.array:
                    kept.moved_to(tensor)

    def pack_outputs(self, outputs: list[Tensor | None]) -> None:
        """Give the saved outputs to the pack hook: the very tensors that the caller receives."""
        for tensor, kept in zip(self._to_save, self._saved or (), strict=False):
            if kept is not None and kept.is_output:
                kept.pack(next(out for out in outputs if out is not None and out.array is tensor.array))

    def release_saved(self) -> None:
        if self._saved:
            self._saved = None

    def run(self, grads: list[Tensor | None]) -> tuple[Tensor | None, ...]:
        if self.function.built_in:
            if self._saved is None:
                raise RuntimeError(FREED)
            if all(grad is None for grad in grads):
                self.saved_tensors  # noqa: B018  (PyTorch unpacks them first: a write to one is an error all the same)
                return (None,) * len(self.next_functions)
        if self.materialize_grads:
            for i, grad in enumerate(grads):
                if grad is None:
                    shape, dtype = self.input_metadata[i]
                    grads[i] = Tensor.wrap(np.zeros(shape, dtype))
        with np.errstate(**self.function.errstate):
            result = self.function.backward(self, *grads)
        result = result if isinstance(result, tuple) else (result,)
        return self.function.match_inputs(self, result)

    def run_for(self, grads: list[Tensor | None], wanted: list[bool]) -> tuple[Tensor | None, ...]:
        if not self.function.built_in:
            return self.run(grads)
        if self.function.takes_a_list:
            wanted = [any(wanted)] * len(wanted)
        asked, narrowed = self.needs_input_grad, list(self.needs_input_grad)
        for i, flag in zip(self._slots, wanted, strict=True):
            narrowed[i] = flag and asked[i]
        if narrowed == list(asked):
            return self.run(grads)
        in_this_pass = copy.copy(self)  # another pass may walk the same graph with other wishes at the same time
        in_this_pass.needs_input_grad = tuple(narrowed)
        return in_this_pass.run(grads)


class Function:
    """An operation: subclass it with static methods `forward(ctx, *args)` and `backward(ctx, *grads)`.

    `forward` receives the arguments of `apply` and returns a tensor or array, or a tuple of them; `backward` receives
    one gradient for each output and returns one for each argument of `forward` (None for what is no tensor).

        class Square(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, grad):
                (x,) = ctx.saved_tensors
                return 2 * x * grad

        y = Square.apply(x)     # y.grad_fn is <SquareBackward object>
    """

    node_suffix = "Backward"
    name_prefix = ""  # of the node's `name()`, for the few that PyTorch gives a longer one
    built_in = False
    errstate: dict[str, str] = {}  # what NumPy does about floating-point errors meanwhile
    _node_class: type[FunctionCtx] = FunctionCtx

    def __init_subclass__(cls, node_name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._node_class = type(node_name or cls.__name__ + cls.node_suffix, (FunctionCtx,), {"function": cls})

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        """With this method, `forward` takes no ctx: it computes, and this sets up what `backward` needs."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

    @classmethod
    def tensor_slots(cls, args: tuple) -> list[int]:
        """The positions of the arguments that have an edge in `next_functions`."""
        return [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Compute forward; if a gradient may be wanted, leave a node behind: the outputs' `grad_fn`.

        Keyword arguments are put in their positions: they count as arguments of `backward` too. A `forward` without ctx
        has its defaults filled in, so `setup_context` sees all.
        """
        separate = cls.setup_context is not Function.setup_context
        if separate:
            args, kwargs = _with_defaults(cls.forward, args, kwargs)
        if kwargs:
            args = _in_positions(cls.forward, args, kwargs, 0 if separate else 1)
        ctx = cls._node_class()
        ctx.needs_input_grad = tuple([isinstance(arg, Tensor) and arg.requires_grad for arg in args])
        mode = grad_mode.mode
        recorded = mode.enabled and True in ctx.needs_input_grad
        if recorded:
            cls._join(ctx, args)
        enabled, mode.enabled = mode.enabled, False
        try:
            with np.errstate(**cls.errstate):
                if separate:
                    result = cls.forward(*args)
                    cls.setup_context(ctx, args, result)
                else:
                    result = cls.forward(ctx, *args)
        finally:
            mode.enabled = enabled
        several = isinstance(result, tuple)
        outputs = [
            out if isinstance(out, Tensor) or out is None else Tensor.wrap(out)
            for out in (result if several else (result,))
        ]
        if ctx._dirty:
            _check_dirty(ctx, args, outputs, recorded)
        if recorded:
            cls._record(ctx, args, outputs)
        differentiable = [out is not None and cls._is_differentiable(ctx, out) for out in outputs]
        origin = "multi" if recorded and differentiable.count(True) > 1 else "custom"
        for nr, out in enumerate(outputs):
            if out is not None:
                outputs[nr] = cls._place(ctx, out, nr, args, recorded and differentiable[nr], origin)
        if recorded and ctx._dirty:
            ctx.follow_writes()
        if recorded and saved_hooks.stack:
            ctx.pack_outputs(outputs)
        ctx._to_save = ctx._dirty = ctx._non_differentiable = ()  # held by the node they would make a cycle
        return tuple(outputs) if several else outputs[0]

    @classmethod
    def _join(cls, ctx: FunctionCtx, args: tuple) -> None:
        """Join the node to those of its inputs. Done before `forward`, which may write into one of them, and which saves
        what the gradients that have an edge need."""
        ctx._slots, ctx._n_args = cls.tensor_slots(args), len(args)
        ctx.next_functions = tuple(
            [args[i].gradient_edge() if isinstance(args[i], Tensor) else (None, 0) for i in ctx._slots]
        )
        if cls.built_in:
            for i, (node, _) in zip(ctx._slots, ctx.next_functions, strict=True):
                if node is None and ctx.needs_input_grad[i]:  # a view made under no_grad
                    ctx.needs_input_grad = (*ctx.needs_input_grad[:i], False, *ctx.needs_input_grad[i + 1 :])

    @classmethod
    def _record(cls, ctx: FunctionCtx, args: tuple, outputs: list[Tensor | None]) -> None:
        """Note what the outputs are like, and keep what `forward` has saved."""
        ctx.input_metadata = [
            ((), None) if out is None else (out.array.shape, out.array.dtype) for out in cls.gradient_outputs(outputs)
        ]
        if ctx._to_save:
            ctx._saved = tuple(
                [
                    t if t is None else SavedTensor(t, _in(t, outputs) and cls._is_made_here(ctx, t, args))
                    for t in ctx._to_save
                ]
            )

    @classmethod
    def _place(cls, ctx: FunctionCtx, out: Tensor, nr: int, args: tuple, recorded: bool, origin: str) -> Tensor:
        """Give one output its place in the graph."""
        if _in(out, ctx._dirty):
            if recorded and out._requires_grad and out._grad_fn is None:
                raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
            inplace.check(out, recorded)
            return inplace.written(out, ctx if recorded else None, nr)
        if _in(out, args):  # returned as it came: the caller gets a view of it
            source, out = out, out.alias()
            if recorded or not source.requires_grad:
                out._base = source._base if source._base is not None else source
        if recorded:
            out._grad_fn, out._output_nr = ctx, nr
        if out._base is not None:
            out._view_version = out._version_counter.value
            out._view_origin = origin
        return out

    @classmethod
    def gradient_outputs(cls, outputs: list[Tensor | None]) -> list[Tensor | None]:
        """The outputs that `backward` receives a gradient for, in the place of which there may be zeros."""
        return outputs

    @staticmethod
    def _is_made_here(ctx: FunctionCtx, out: Tensor, args: tuple) -> bool:
        """Whether this node will be the grad_fn of the output: not of an index, nor of an input that is handed through."""
        return out.array.dtype.kind in "fc" and (not _in(out, args) or _in(out, ctx._dirty))

    @staticmethod
    def _is_differentiable(ctx: FunctionCtx, out: Tensor) -> bool:
        return out.array.dtype.kind in "fc" and not _in(out, ctx._non_differentiable)

    @classmethod
    def match_inputs(cls, ctx: FunctionCtx, result: tuple) -> tuple[Tensor | None, ...]:
        """One gradient for each edge, out of what `backward` returned for each argument."""
        expected = ctx._n_args
        if len(result) > expected and all(grad is None for grad in result[expected:]):
            result = result[:expected]
        if len(result) != expected:
            raise RuntimeError(
                f"function {ctx.name()} returned an incorrect number of gradients (expected {expected}, got {len(result)})"
            )
        for i, grad in enumerate(result):
            if i not in ctx._slots and grad is not None:
                raise RuntimeError(
                    f"function {ctx.name()} returned a gradient different than None at position {i + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
        return tuple(_as_tensor(result[i], ctx, i) for i in ctx._slots)


def _with_defaults(forward: Callable, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    bound = inspect.signature(forward).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, bound.kwargs


def _in_positions(forward: Callable, args: tuple, kwargs: dict, skip: int) -> tuple:
    """The keyword arguments behind the positional ones; TypeError if a parameter before the last of them is not given."""
    names = forward.__code__.co_varnames[skip : forward.__code__.co_argcount]
    for name in kwargs:
        if name not in names:
            raise TypeError(f"forward() got an unexpected keyword argument '{name}'")
        if name in names[: len(args)]:
            raise TypeError(f"forward() got multiple values for argument '{name}'")
    last = max(names.index(name) for name in kwargs)
    for position in range(len(args), last):
        if names[position] not in kwargs:
            raise TypeError(f"forward() missing required argument: '{names[position]}' (position {position})")
    return args + tuple(kwargs[name] for name in names[len(args) : last + 1])


def _in(tensor: Tensor, several: Sequence) -> bool:
    """Whether it is one of them (`in` would compare values)."""
    for other in several:  # noqa: SIM110  (on the path of every operation: a generator costs more than the loop)
        if other is tensor:
            return True
    return False


def _check_dirty(ctx: FunctionCtx, args: tuple, outputs: list, recorded: bool) -> None:
    if not all(_in(tensor, outputs) for tensor in ctx._dirty):
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
            "modified inplace must all be outputs of the Function."
        )
    if recorded and not all(_in(tensor, args) for tensor in ctx._dirty):
        warn_user(
            "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors that have been mutated should be "
            "passed to ctx.mark_dirty()."
        )


def _as_tensor(grad: Any, ctx: FunctionCtx, position: int) -> Tensor | None:
    if grad is None or isinstance(grad, Tensor):
        return grad
    if isinstance(grad, (np.ndarray, np.generic)):
        return Tensor.wrap(grad)
    raise TypeError(
        f"{ctx.name()} returned an object of type {type(grad).__name__} at position {position}: expected a Tensor or None"
    )


class Op(Function):
    """A built-in operation, in `minicnn.ops`. Differs from a user's Function in what PyTorch's own operations do:
    the node is called `...Backward0`, the first `slots` arguments have an edge even when they are numbers or None, an
    output of integers has no gradient, `backward` may leave out the Nones at the end, without any gradient it is not
    called, and it computes only the gradients that the pass needs (an operation on a list of tensors needs all of them
    or none).
    """

    node_suffix = "Backward0"
    built_in = True
    errstate = {"all": "ignore"}  # PyTorch does not warn of overflow, or of 0 / 0
    slots = 1
    takes_a_list = False  # of tensors, whose gradients PyTorch computes all or none

    @classmethod
    def tensor_slots(cls, args: tuple) -> list[int]:
        return list(range(min(cls.slots, len(args))))

    @classmethod
    def gradient_outputs(cls, outputs: list[Tensor | None]) -> list[Tensor | None]:
        return [out for out in outputs if out.array.dtype.kind in "fc"]  # the indices of a maximum come last

    @classmethod
    def match_inputs(cls, ctx: FunctionCtx, result: tuple) -> tuple[Tensor | None, ...]:
        grads = [_as_tensor(result[i], ctx, i) if i < len(result) else None for i in ctx._slots]
        if cls.takes_a_list and any(ctx.needs_input_grad):
            return tuple(grads)
        return tuple(grad if ctx.needs_input_grad[i] else None for i, grad in zip(ctx._slots, grads, strict=True))


class ViewOp(Op):
    """An operation whose result shows the memory of its first argument: `forward` returns a NumPy view of it."""

    @classmethod
    def apply(cls, *args: Any) -> Any:
        source = args[0]
        out = super().apply(*args)
        origin, views = ("multi", out) if isinstance(out, tuple) else (None, (out,))
        if not grad_mode.mode.enabled:
            origin = "inference_mode" if grad_mode.mode.inference else "no_grad"
        for view in views:
            as_view(view, source, origin)
        return out


def as_view(view: Tensor, source: Tensor, origin: str | None = None) -> None:
    """Note that `view` shows the memory of `source`: one version for both, and writes to one reach the other."""
    view._version_counter = source._version_counter
    if source._version_counter.inference:
        return
    view._base = source._base if source._base is not None else source
    view._view_version = view._version_counter.value
    if source._view_origin is not None and (origin is None or source._view_origin == "inference_mode"):
        origin = source._view_origin
    view._view_origin = origin


def once_differentiable(fn: Callable) -> Callable:
    """Marks a `backward` that cannot be differentiated again. Nothing here can be, so it changes nothing."""
    return fn
