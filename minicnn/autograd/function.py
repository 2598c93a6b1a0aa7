"""`Function`: an operation with its forward and its backward, and `apply`, which puts it into the graph."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn._tensor import Tensor
from minicnn._types import dtype
from minicnn._warnings import warn_user
from minicnn.autograd import both, creation, grad_mode, inplace, saved
from minicnn.autograd.node import FREED, Node, SavedTensor

_ARRAYS = (np.ndarray, np.generic)  # what may stand for a tensor in what `forward` and `backward` return


class FunctionCtx(Node):
    """The ctx that `forward` and `backward` receive: it is the node of the graph.

    What `forward` sets on it (`ctx.stride = stride`) is there in `backward`; tensors go through `save_for_backward`,
    so that a later write to them is noticed.
    """

    function: type[Function]  # set by the subclass that each Function gets
    needs_input_grad: tuple[bool, ...] = ()  # one for each argument of `forward`
    materialize_grads = True
    _slots: Sequence[int] = ()  # the arguments that have an edge in `next_functions`
    _n_args = 0
    _to_save: tuple[Tensor | None, ...] = ()
    _dirty: tuple[Tensor, ...] = ()
    _non_differentiable: tuple[Tensor, ...] = ()
    _saved: tuple[SavedTensor | None, ...] | None = ()
    _whole: FunctionCtx | None = None  # of a node that is narrowed to what one pass wants: the node in the graph

    def name(self) -> str:
        """The class's name, as `repr` and error texts show it."""
        return self.function.name_prefix + type(self).__name__

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__name__} object at {id(self):#x}>"

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

    def set_output_grad_dtype(self, *dtypes: dtype | None) -> None:
        """The type in which `backward`, and hooks, are to get the gradient of each output; None: in that in which it comes.

        Without this call that is the output's own. Once a call of the Function; RuntimeError unless there is one for each
        output, and None for those without a gradient.
        """
        if self.output_grad_dtypes is not None:
            raise RuntimeError("set_output_grad_dtype can only be called once")
        self.output_grad_dtypes = dtypes

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What `save_for_backward` kept. RuntimeError after the graph was freed, or if the memory was written since."""
        if self._saved is None:
            raise RuntimeError(FREED)
        return tuple([saved if saved is None else saved.unpack(self._whole or self) for saved in self._saved])

    @property
    def _raw_saved_tensors(self) -> tuple[saved.SavedTensor, ...]:
        """The same, as what `register_hooks` can be called on."""
        if self._saved is None:
            raise RuntimeError(FREED)
        return tuple(saved.SavedTensor(self, index) for index in range(len(self._saved)))

    def _keep(self) -> None:
        """Save what `save_for_backward` was given. Done when the outputs have their places in the graph."""
        dirty, kept = self._dirty, []
        for t in self._to_save:
            kept.append(t if t is None else SavedTensor(t, t._grad_fn is self or (dirty != () and _in(t, dirty))))
        self._saved, self._to_save = tuple(kept), ()  # tensors held by the node itself would make a cycle

    def release_saved(self) -> None:
        """Forget what was saved; `backward` cannot run again."""
        if self._saved:
            self._saved = None

    def run(self, grads: list[Tensor | None]) -> tuple[Tensor | None, ...]:
        """Call the user's `backward`, and check that it returns one gradient for each argument of `forward`."""
        if self.materialize_grads:
            grads = [self._zeros(i) if grad is None else grad for i, grad in enumerate(grads)]
        result = self.function.backward(self, *grads)
        result = result if isinstance(result, tuple) else (result,)
        if len(result) > self._n_args and all(grad is None for grad in result[self._n_args :]):
            result = result[: self._n_args]
        if len(result) != self._n_args:
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {self._n_args}, got "
                f"{len(result)})"
            )
        for i, grad in enumerate(result):
            if i not in self._slots and grad is not None:
                raise RuntimeError(
                    f"function {self.name()} returned a gradient different than None at position {i + 1}, but the "
                    "corresponding forward input was not a Variable"
                )
        return tuple([self._as_tensor(result[i], i) for i in self._slots])

    def _zeros(self, i: int) -> Tensor | None:
        shape, kind = self.input_metadata[i]
        return None if kind is None else Tensor.wrap(np.zeros(shape, kind))

    def _as_tensor(self, grad: Any, position: int) -> Tensor | None:
        if grad is None or isinstance(grad, Tensor):
            return grad
        if not isinstance(grad, _ARRAYS):
            raise TypeError(
                f"{self.name()} returned an object of type {type(grad).__name__} at position {position}: expected a Tensor "
                "or None"
            )
        return Tensor.wrap(np.asarray(grad))


class OpCtx(FunctionCtx):
    """The node of a built-in operation. Its `backward` is one formula for arrays and for tensors: it is given tensors if the
    pass is recorded (`create_graph=True`), and arrays otherwise. Without any gradient it is not called, and what the pass
    does not need is left out.
    """

    function: type[Op]
    options: tuple = ()  # the arguments of `forward` that are no tensors, if that is `Op.forward`
    __repr__ = Node.__repr__

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What `forward` saved. As in PyTorch it is unpacked in the order of its names: of two that were written meanwhile, the
        error is about the first."""
        if self._saved is None:
            raise RuntimeError(FREED)
        found, order = list[Any](self._saved), self.function.unpacked_in
        for i in order if len(order) == len(found) else range(len(found)):
            if found[i] is not None:
                found[i] = found[i].unpack(self)
        return tuple(found)

    def __getattr__(self, name: str) -> Any:
        """`_saved_self`, `_raw_saved_self`, and the other names that PyTorch gives to what an operation keeps."""
        raw, found, what = name.partition("_saved_")
        if found and raw == "_raw" and what in self.function.saved_names:
            return saved.SavedTensor(self, self.function.saved_names.index(what))
        if found and not raw and what in saved.names_of(self):
            return saved.value_of(self, what)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def _keep(self) -> None:
        """Save what `save_for_backward` was given. Done when the outputs have their places in the graph."""
        self._saved = tuple([t if t is None else SavedTensor(t, t._grad_fn is self) for t in self._to_save])
        self._to_save = ()  # tensors held by the node itself would make a cycle

    def __dir__(self) -> list[str]:
        raw = [f"_raw_saved_{name}" for name in self.function.saved_names if name]
        return [*super().__dir__(), *raw, *(f"_saved_{name}" for name in saved.names_of(self))]

    @property
    def saved(self) -> tuple:
        """`saved_tensors` for the formula: their arrays, unless the pass is recorded."""
        if grad_mode.mode.enabled:
            return self.saved_tensors
        changed = [t for t in self._saved or () if t is not None and not t.is_as_saved()]
        return tuple([t if t is None else t.array for t in (self.saved_tensors if changed else self._saved or ())])

    def run(self, grads: list[Tensor | None]) -> tuple[Tensor | None, ...]:
        """Call the operation's `backward`. It may leave out the Nones at the end."""
        if self._saved is None:
            raise RuntimeError(FREED)
        missing = [i for i, grad in enumerate(grads) if grad is None]
        if missing and self._materialized(grads, missing) == 0:
            return (None,) * len(self.next_functions)
        given = grads if grad_mode.mode.enabled else [grad if grad is None else grad.array for grad in grads]
        kind = self.input_metadata[0][1]
        turned = kind is not None and kind.kind == "c" and self.function.holomorphic
        with np.errstate(all="ignore"):
            result = self.function.backward(self, *(map(both.conj, given) if turned else given))
        result = result if isinstance(result, tuple) else (result,)
        result = tuple(map(both.conj, result)) if turned else result
        found = []
        needs = self.needs_input_grad
        for i in self._slots:  # of a list all are wanted, or none
            wants = i < len(result) and (needs[i] or (self.function.takes_a_list and any(needs)))
            found.append(_tensor_of(result[i], grads) if wants else None)
        return tuple(found)

    def _materialized(self, grads: list[Tensor | None], missing: list[int]) -> int:
        """How many gradients there are. If there are some, zeros take the places of those that are missing."""
        if len(missing) == len(grads):
            self.saved_tensors  # noqa: B018  (PyTorch unpacks them first: a write to one is an error all the same)
        elif self.materialize_grads:
            for i in missing:
                grads[i] = self._zeros(i)
        return len(grads) - len(missing)

    def run_for(self, grads: list[Tensor | None], wanted: list[bool]) -> tuple[Tensor | None, ...]:
        """`run` with `needs_input_grad` narrowed to what this pass wants."""
        if self.function.takes_a_list:
            wanted = [any(wanted)] * len(wanted)
        narrowed = list(self.needs_input_grad)
        for i, flag in zip(self._slots, wanted, strict=True):
            narrowed[i] = narrowed[i] and flag
        if tuple(narrowed) == self.needs_input_grad:
            return self.run(grads)
        in_this_pass = copy.copy(self)  # another pass may walk the same graph with other wishes at the same time
        in_this_pass.needs_input_grad, in_this_pass._whole = tuple(narrowed), self
        return in_this_pass.run(grads)


def _tensor_of(value: Any, grads: list[Tensor | None]) -> Tensor | None:
    """What a formula returned, as a tensor; a gradient that it passes on is the tensor that arrived."""
    if value is None or isinstance(value, Tensor):
        return value
    for grad in grads:
        if grad is not None and grad.array is value:
            return grad
    return Tensor.wrap(value)


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
    context: type[FunctionCtx] = FunctionCtx  # the base of its nodes' class
    _node_class: type[FunctionCtx] = FunctionCtx

    def __init__(self) -> None:
        warn_user(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should invoke them on "
            "the class itself. Instantiating an autograd function will raise an error in a future version of PyTorch.",
            DeprecationWarning,
        )

    def __call__(self, *args: Any) -> Any:
        """RuntimeError: `apply` is called on the class."""
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function "
            "with static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    def __init_subclass__(cls, node_name: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._node_class = type(node_name or cls.__name__ + cls.node_suffix, (cls.context,), {"function": cls})

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """The result, from the arguments of `apply`; gradients are not recorded meanwhile. What is no tensor stays as it is."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        """With this method, `forward` takes no ctx: it computes, and this sets up what `backward` needs."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """The gradient of each argument of `forward`, from that of each of its outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with "
            "backward mode AD."
        )

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
        recorded = grad_mode.mode.enabled and True in ctx.needs_input_grad
        if recorded:  # before `forward`, which may write into an input
            edges = {i: arg.gradient_edge() for i, arg in enumerate(args) if isinstance(arg, Tensor)}
            ctx._slots, ctx.next_functions, ctx._n_args = tuple(edges), tuple(edges.values()), len(args)
        with grad_mode.no_grad():
            if separate:
                result = cls.forward(*args)
                cls.setup_context(ctx, args, result)
            else:
                result = cls.forward(ctx, *args)
        several = isinstance(result, tuple)
        outputs = [
            Tensor.wrap(np.asarray(t)) if isinstance(t, _ARRAYS) else t for t in (result if several else (result,))
        ]
        _check_dirty(ctx, args, outputs, recorded)
        differentiable = [_floating(out) and not _in(out, ctx._non_differentiable) for out in outputs]
        if ctx.output_grad_dtypes is not None:
            _check_grad_dtypes(ctx.output_grad_dtypes, differentiable)
        differentiable = [recorded and flag for flag in differentiable]
        origin = "multi" if differentiable.count(True) > 1 else "custom"
        for nr, out in enumerate(outputs):
            if isinstance(out, Tensor):
                outputs[nr] = _placed(out, ctx, nr, args, differentiable[nr], origin)
        if recorded:
            ctx.input_metadata = [_metadata(out) for out in outputs]
            ctx._keep()
            if creation.watchers.hooks and not any(
                out._base is not None for out in ctx._dirty
            ):  # else: in `CopySlices`
                creation.announce(ctx)
        ctx._to_save = ctx._dirty = ctx._non_differentiable = ()
        return tuple(outputs) if several else outputs[0]


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


def _in(tensor: Tensor | None, several: Sequence) -> bool:
    """Whether it is one of them (`in` would compare values)."""
    return any(other is tensor for other in several)


def _floating(output: Any) -> bool:
    return isinstance(output, Tensor) and output.array.dtype.kind in "fc"


def _metadata(out: Any) -> tuple[tuple[int, ...], np.dtype | None]:
    """What the gradient of this output must be: its shape and type."""
    return (out.array.shape, out.array.dtype) if isinstance(out, Tensor) else ((), None)


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


def _check_grad_dtypes(dtypes: Sequence, differentiable: list[bool]) -> None:
    """RuntimeError unless `set_output_grad_dtype` was given what fits the outputs."""
    if len(dtypes) != len(differentiable):
        raise RuntimeError(
            "set_output_grad_dtype expected the number of declarations to match the number of outputs: the Function returned "
            f"{len(differentiable)} values but {len(dtypes)} declarations were provided"
        )
    for i, (asked, has_gradient) in enumerate(zip(dtypes, differentiable, strict=True)):
        if asked is not None and not isinstance(asked, dtype):
            raise RuntimeError(
                "set_output_grad_dtype expects each declaration to be a torch.dtype or None, but got "
                f"{type(asked).__name__}"
            )
        if asked is not None and not (asked.is_floating_point or asked.is_complex):
            raise RuntimeError(f"set_output_grad_dtype: a gradient is floating-point or complex, not {asked}")
        if asked is not None and not has_gradient:
            raise RuntimeError(
                f"set_output_grad_dtype: got a concrete dtype for output {i}, but that output is not a differentiable tensor "
                "(it is a non-tensor, was marked non-differentiable, or has a non-differentiable dtype). Pass None for output "
                f"{i} instead."
            )


def _placed(out: Tensor, ctx: FunctionCtx, nr: int, args: tuple, recorded: bool, origin: str) -> Tensor:
    """Give one output of a user's Function its place in the graph."""
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


class Op(Function):
    """A built-in operation, in `minicnn.ops`. Differs from a user's Function in what PyTorch's own operations do:
    the node is called `...Backward0`, the first `slots` arguments have an edge even when they are numbers or None, an
    output of integers has no gradient, `backward` may leave out the Nones at the end, without any gradient it is not
    called, and it computes only the gradients that the pass needs (an operation on a list of tensors needs all of them
    or none).

    `backward` is a formula for arrays and for tensors: what operators cannot say is in `minicnn.autograd.both`, and what is
    no formula is an operation again, called by `of`.

    A subclass gives `forward`, or `value`: each is made of the other.
    """

    node_suffix = "Backward0"
    context = OpCtx
    slots = 1
    saved_names: tuple[str, ...] = ()  # PyTorch's, of what `forward` saves: `node._saved_self`
    unpacked_in: Sequence[int] = ()  # their places in the alphabet's order, results last
    takes_a_list = False  # of tensors, behind one other argument: PyTorch computes all of their gradients or none
    is_view = False  # of the first argument
    # Whether a complex result has a complex derivative, as a product has: PyTorch's gradients are conjugates, so that -g points
    # downhill, and such a formula is given the conjugate of one and returns that of the next.
    holomorphic = True
    saves: tuple[int, ...] | None = None  # which arguments `Op.forward` saves; None: all tensors

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names = cls.saved_names
        cls.unpacked_in = sorted(range(len(names)), key=lambda i: (names[i].startswith("result"), names[i]))

    @classmethod
    def forward(cls, ctx: Any, *args: Any) -> Any:
        """`value` of the arrays. The tensors are saved, and the other arguments are `ctx.options`."""
        arrays, tensors, options = list[Any](args), list[Any](), list[Any]()
        for i, arg in enumerate(args):
            (tensors if i < cls.slots or isinstance(arg, Tensor) else options).append(arg)
            if isinstance(arg, Tensor):
                arrays[i] = arg.array
        ctx.save_for_backward(*(tensors if cls.saves is None else [args[i] for i in cls.saves]))
        ctx.options = tuple(options)
        return cls.value(*arrays)

    @classmethod
    def value(cls, *args: Any) -> Any:
        """The result (or the tuple of results) from arrays, without a graph."""
        ctx = cls._node_class()
        ctx.needs_input_grad = (False,) * len(args)
        tensors = [Tensor.wrap(np.asarray(arg)) if isinstance(arg, (np.ndarray, np.generic)) else arg for arg in args]
        result = cls.forward(ctx, *tensors)
        if isinstance(result, tuple):
            return tuple([out.array if isinstance(out, Tensor) else out for out in result])
        return result.array if isinstance(result, Tensor) else result

    @classmethod
    def of(cls, *args: Any) -> Any:
        """For the formula of a `backward`: of arrays the bare `value`, of tensors the operation with its node."""
        return cls.apply(*args) if isinstance(args[0], Tensor) else cls.value(*args)

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Compute forward; if a gradient may be wanted, leave a node behind: the outputs' `grad_fn`."""
        ctx = cls._node_class()
        ctx.needs_input_grad = (False,) * len(args)
        recorded = grad_mode.mode.enabled and any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)
        if recorded:  # before `forward`, which saves what the gradients that have an edge need
            edges = [arg.gradient_edge() if isinstance(arg, Tensor) else (None, 0) for arg in args]
            ctx.needs_input_grad = tuple([node is not None for node, _ in edges])  # None: a view made under no_grad
            ctx._slots = range(1, len(args)) if cls.takes_a_list else range(min(cls.slots, len(args)))
            ctx.next_functions = tuple([edges[i] for i in ctx._slots])
        if cls.is_view:
            result = cls.forward(ctx, *args)
        else:
            with np.errstate(all="ignore"):  # PyTorch does not warn of overflow, or of 0 / 0
                result = cls.forward(ctx, *args)
        several = isinstance(result, tuple)
        results = result if several else (result,)  # None: a gradient that is not wanted
        outputs: list[Any] = [t if t is None or isinstance(t, Tensor) else Tensor.wrap(t) for t in results]
        for out in outputs if issubclass(cls, RowOp) else ():
            out.array = np.asarray(out.array, order="C")
        if recorded:
            # The indices of a maximum have no gradient; they come last.
            differentiable = [out for out in outputs if out is None or out.array.dtype.kind in "fc"]
            ctx.input_metadata = [((), None) if t is None else (t.array.shape, t.array.dtype) for t in differentiable]
            for nr, out in enumerate(differentiable):
                if out is not None:
                    out._grad_fn, out._output_nr = ctx, nr
            ctx._keep()
        if cls.is_view:
            for out in outputs:
                _as_view(out, args[0], several)
        if creation.watchers.hooks and recorded and differentiable:
            creation.announce(ctx)
        return tuple(outputs) if several else outputs[0]


class RowOp(Op):
    """An operation whose results lie in memory row by row, whatever the order of the operands."""


class ViewOp(Op):
    """An operation whose result shows the memory of its first argument: `forward` returns a NumPy view of it."""

    is_view = True


def _as_view(view: Tensor, source: Tensor, one_of_several: bool) -> None:
    """Note that `view` shows the memory of `source`: one version for both, and writes to one reach the other."""
    view._version_counter = source._version_counter
    if source._version_counter.inference:
        return
    view._base = source._base if source._base is not None else source
    view._view_version = view._version_counter.value
    if not grad_mode.mode.enabled:
        view._view_origin = "inference_mode" if grad_mode.mode.inference else "no_grad"
    elif one_of_several:
        view._view_origin = "multi"
    if source._view_origin is not None and (view._view_origin is None or source._view_origin == "inference_mode"):
        view._view_origin = source._view_origin


class DelayedError(Op, node_name="Error"):
    """The same tensors, through a node that cannot be walked: it raises RuntimeError with this message."""

    name_prefix = "torch::autograd::"
    takes_a_list = True

    @staticmethod
    def forward(ctx, message, *tensors):
        ctx.message = message
        return tuple(tensor.alias() for tensor in tensors)

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(ctx.message)


def not_implemented(name: str) -> Any:
    """The `backward` of an operation that has no derivative, in PyTorch neither; with `node_name="NotImplemented"`."""

    def backward(ctx: OpCtx, *grads: Any) -> None:
        raise RuntimeError(f"derivative for aten::{name} is not implemented")

    return staticmethod(backward)


def once_differentiable(fn: Callable) -> Callable:
    """Marks the `backward` of a `Function` as one that computes without a graph: to differentiate it is a RuntimeError."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *grads: Any) -> Any:
        with grad_mode.no_grad():
            result = fn(ctx, *grads)
        if not grad_mode.is_grad_enabled() or not any(isinstance(g, Tensor) and g.requires_grad for g in grads):
            return result
        result = result if isinstance(result, tuple) else (result,)
        text = "trying to differentiate twice a function that was marked with @once_differentiable"
        leaves = iter(DelayedError.apply(text, *[out.alias().requires_grad_() for out in result if out is not None]))
        return tuple([out if out is None else next(leaves) for out in result])

    return wrapper
