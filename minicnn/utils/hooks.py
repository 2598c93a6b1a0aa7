"""Hook handles, what makes full backward hooks possible, and what shows hooks at work.

`RemovableHandle` is what every `register_*` function returns. `BackwardHook` wraps one call of a module, so that the
gradients at the module's two edges can be seen and changed. Nothing here imports the rest of minicnn at import time:
tensors and graph nodes register hooks too.

With a question about hooks, look here:

    what runs when            `python lessons/06_hooks_in_order.py` prints one call, forward and backward, rule by rule
    how a call is dispatched  `minicnn/nn/modules/module.py`, from `_call_impl` on: set a breakpoint there
    what may be stored, how   `python lessons/07_memory_and_aliasing.py`
    one certain rule          `python -m tests.hooks WORD` runs it in minicnn and in PyTorch, and shows both logs
    my network, step by step  `trace(model)`, here: every call, forward and backward, as a table
    mine and PyTorch's        `diff(trace_a, trace_b)`, here: where two traces part
    what a call costs         `python -m tests.benchmarks.module_call`
    what my hooks leave       `leaks(model)`, here: handles, graphs kept alive, memory that others write

PyTorch has no `trace`, `diff` and `leaks`; they work on its modules too.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from minicnn.utils._warnings import warn_user
from minicnn.utils.leaks import leaks
from minicnn.utils.trace_events import diff
from minicnn.utils.tracing import trace

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks", "BackwardHook", "diff", "leaks", "trace"]


class RemovableHandle:
    """Takes one hook out of the dictionary that it was put into.

    The handle holds the dictionaries weakly: it keeps no module alive, and dropping it does not remove the hook. A
    plain `dict` cannot be referenced weakly, so all hook dictionaries are `OrderedDict`.

    Args:
        hooks_dict: the dictionary that will hold the hook under `handle.id`.
        extra_dict: one dictionary or a list of them with flags under the same id, to be cleared with the hook.

    Raises:
        TypeError: if `hooks_dict` is a plain dict.
    """

    id: int
    next_id: int = 0  # one counter for the whole process, whatever the kind of hook

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        if extra_dict is None:
            extra_dict = []
        elif isinstance(extra_dict, dict):
            extra_dict = [extra_dict]
        self.extra_dict_ref: tuple = tuple(weakref.ref(side) for side in extra_dict)

    def remove(self) -> None:
        """Remove the hook and its flags. A second call does nothing, nor does a call after the module is gone."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            held = ref()
            if held is not None:
                held.pop(self.id, None)

    def __getstate__(self) -> tuple:
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state: tuple) -> None:
        hooks_dict, self.id = state[0], state[1]
        # Without its dictionary the handle is dead: the reference below points to nothing at once, `remove` is silent.
        self.hooks_dict_ref = weakref.ref(OrderedDict() if hooks_dict is None else hooks_dict)
        side_dicts = state[2] if len(state) > 2 and state[2] is not None else ()
        self.extra_dict_ref = tuple(weakref.ref(side) for side in side_dicts)
        # Only an unpickled *handle* moves the counter. A module unpickled with its hooks, but without handles, does
        # not: a later registration may then reuse an id and overwrite a hook. PyTorch behaves so too.
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, type: Any, value: Any, tb: Any) -> None:
        self.remove()


def unserializable_hook(f: Callable) -> Callable:
    """Mark a tensor hook as one that pickling may drop without a warning. Usable as a decorator."""
    f.__torch_unserializable__ = True
    return f


def warn_if_has_hooks(tensor: Any) -> None:
    """Warn of every hook on `tensor` that pickling will drop, unless it is marked with `unserializable_hook`."""
    for hook in (tensor._backward_hooks or {}).values():
        if not hasattr(hook, "__torch_unserializable__"):
            warn_user(
                f"backward hook {hook!r} on tensor will not be serialized.  If this is expected, you can "
                "decorate the function with @torch.utils.hooks.unserializable_hook to suppress this warning"
            )


NO_INPUT_GRADIENT = (
    "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs require "
    "gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
    "#torch.nn.Module.register_full_backward_hook for more details."
)


class BackwardHook:
    """The two edges of one module call, and the user's full backward hooks between them.

    The tensors that enter the module go through one identity function (`BackwardHookFunction`), the tensors that leave
    it through another. In the backward pass the gradient first meets the *output side*: it is kept as `grad_output`,
    and the pre-hooks may change it. After the module's own backward it meets the *input side*: that is `grad_input`,
    and the hooks run with both. If no input requires grad there is no input side, and the hooks run on the output side.

    Args:
        module: the module that is called.
        user_hooks: full backward hooks, `hook(module, grad_input, grad_output)`. The list is frozen for this call: a
            handle removed after the forward pass does not stop its hook.
        user_pre_hooks: full backward pre-hooks, `hook(module, grad_output)`.
    """

    def __init__(self, module: Any, user_hooks: Sequence[Callable], user_pre_hooks: Sequence[Callable]) -> None:
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        # Where the tensors stand among the positional arguments; None if they did not go through an identity function.
        self.input_tensors_index: list[int] | None = None
        self.n_inputs = -1
        self.output_tensors_index: list[int] | None = None
        self.n_outputs = -1
        # Set on the output side, cleared when the hooks have run: None tells the input side that the gradient did not
        # come through the module's output.
        self.grad_outputs: Any = None

    def setup_input_hook(self, args: tuple) -> tuple:
        """Send the tensors among the positional arguments through the input side; return the new arguments."""

        def hook(grad_input: tuple, _: tuple) -> tuple | None:
            return self._on_input_side(grad_input)

        args, self.input_tensors_index = _through_identity(args, hook)
        self.n_inputs = len(args)
        return args

    def setup_output_hook(self, result: Any) -> Any:
        """Send the tensors of the result, a tensor or a tuple, through the output side; return the new result."""

        def hook(_: tuple, grad_output: tuple) -> tuple:
            return self._on_output_side(grad_output)

        outputs = result if isinstance(result, tuple) else (result,)
        outputs, self.output_tensors_index = _through_identity(outputs, hook)
        self.n_outputs = len(outputs)
        return outputs if isinstance(result, tuple) else outputs[0]

    def _on_output_side(self, grad_output: tuple) -> tuple:
        self.grad_outputs = _spread(self.output_tensors_index, grad_output, self.n_outputs)
        self._run_pre_hooks()
        grad_outputs = self.grad_outputs
        if self.input_tensors_index is None:
            self._run_hooks_without_input_gradient()
            self.grad_outputs = None
        return tuple(grad_outputs[index] for index in self.output_tensors_index)

    def _run_pre_hooks(self) -> None:
        expected = len(self.grad_outputs)
        for pre_hook in self.user_pre_hooks:
            changed = pre_hook(self.module, self.grad_outputs)
            if changed is None:
                continue
            if len(changed) != expected:
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(changed)}, but expected {expected}"
                )
            self.grad_outputs = changed

    def _run_hooks_without_input_gradient(self) -> None:
        # PyTorch 2.13.0 warns here even if only pre-hooks are set, who are not concerned.
        warn_user(NO_INPUT_GRADIENT)
        grad_input = (None,) * self.n_inputs
        for user_hook in self.user_hooks:
            changed = user_hook(self.module, grad_input, self.grad_outputs)
            if changed is None or (isinstance(changed, tuple) and all(grad is None for grad in changed)):
                continue
            raise RuntimeError(
                "Backward hook for Modules where no input requires gradient should always return None or None for "
                "all gradients."
            )

    def _on_input_side(self, grad_input: tuple) -> tuple | None:
        if self.grad_outputs is None:
            return None
        grad_input = _spread(self.input_tensors_index, grad_input, self.n_inputs)
        for user_hook in self.user_hooks:
            changed = user_hook(self.module, grad_input, self.grad_outputs)
            if changed is None:
                continue
            if len(changed) != len(grad_input):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(changed)}, but expected {len(grad_input)}"
                )
            grad_input = changed
        self.grad_outputs = None
        return tuple(grad_input[index] for index in self.input_tensors_index)


def _through_identity(values: tuple, node_hook: Callable) -> tuple[tuple, list[int] | None]:
    """Replace the tensors in `values` by their copies behind one `BackwardHookFunction` node, with `node_hook` on it.

    Returns the values and the places of the tensors, or `(values, None)`, unchanged, if there is no gradient to see.
    """
    from minicnn._tensor import Tensor
    from minicnn.autograd.grad_mode import is_grad_enabled
    from minicnn.nn.modules._functions import BackwardHookFunction

    places = [place for place, value in enumerate(values) if isinstance(value, Tensor)]
    if not (is_grad_enabled() and any(values[place].requires_grad for place in places)):
        return values, None

    gated = BackwardHookFunction.apply(*(values[place] for place in places))
    node = next(tensor.grad_fn for tensor in gated if tensor.grad_fn is not None)
    node.register_hook(node_hook)

    replaced = list(values)
    for place, tensor in zip(places, gated, strict=True):
        replaced[place] = tensor
    # A namedtuple takes its fields one by one. Another subclass of tuple with a one-argument constructor raises a
    # TypeError here, as in PyTorch.
    return (tuple(replaced) if type(values) is tuple else type(values)(*replaced)), places


def _spread(places: list[int], values: tuple, size: int) -> tuple:
    """Put `values` at `places` of a tuple of the given size; None elsewhere."""
    spread = [None] * size
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return tuple(spread)
