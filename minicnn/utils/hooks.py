"""Hook handles, and what makes full backward hooks possible.

`RemovableHandle` is what every `register_*` function returns. `BackwardHook` wraps one call of a module, so that the
gradients at the module's two edges can be seen and changed. `mirror` makes minicnn behave as another version of PyTorch
does. What shows hooks at work is in `minicnn.inspect`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minicnn._mirror import mirror, since
from minicnn._tensor import Tensor
from minicnn._warnings import warn_user
from minicnn.autograd.function import Function
from minicnn.autograd.grad_mode import is_grad_enabled
from minicnn.autograd.handles import RemovableHandle, unserializable_hook, warn_if_has_hooks

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks", "BackwardHook", "mirror"]

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
        self.input_tensors_index: Any = None
        self.n_inputs = -1
        self.output_tensors_index: Any = None
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

        def hook(_: tuple, grad_output: tuple) -> tuple | None:
            return self._on_output_side(grad_output)

        outputs = result if isinstance(result, tuple) else (result,)
        outputs, self.output_tensors_index = _through_identity(outputs, hook)
        self.n_outputs = len(outputs)
        return outputs if isinstance(result, tuple) else outputs[0]

    def _on_output_side(self, grad_output: tuple) -> tuple | None:
        self.grad_outputs = _spread(self.output_tensors_index, grad_output, self.n_outputs)
        self._run_pre_hooks()
        grad_outputs = self.grad_outputs
        if self.input_tensors_index is None:
            self._run_hooks_without_input_gradient()
            self.grad_outputs = None
            if not since(2, 3):  # what pre-hooks return was seen by the hooks, and did not flow on
                return None
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
        # Up to 2.13 the warning comes even if only pre-hooks are set, whom it does not concern.
        if since(2, 8) and (self.user_hooks or not since(2, 14)):
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


class BackwardHookFunction(Function):
    """The identity. Its node is a place in the graph where all gradients at one edge of a module meet.

    The outputs are views of the inputs and share their memory. Inputs that require no gradient stay so.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> tuple:
        ctx.mark_non_differentiable(*(arg for arg in args if not arg.requires_grad))
        return args

    @staticmethod
    def backward(ctx: Any, *args: Any) -> tuple:
        """The gradients as they come: it is the hooks on the node that see and change them."""
        return args


def _through_identity(values: tuple, node_hook: Callable) -> tuple[tuple, list[int] | None]:
    """Replace the tensors in `values` by their copies behind one `BackwardHookFunction` node, with `node_hook` on it.

    Returns the values and the places of the tensors, or `(values, None)`, unchanged, if there is no gradient to see.
    """
    places = [place for place, value in enumerate(values) if isinstance(value, Tensor)]
    if not (is_grad_enabled() and any(values[place].requires_grad for place in places)):
        return values, None

    gated = BackwardHookFunction.apply(*(values[place] for place in places))
    node = next(tensor.grad_fn for tensor in gated if tensor.grad_fn is not None)
    node.register_hook(node_hook)

    replaced = list(values)
    for place, tensor in zip(places, gated, strict=True):
        replaced[place] = tensor
    if not since(2, 2):  # any subclass of tuple became a tuple
        return tuple(replaced), places
    # A namedtuple takes its fields one by one. Another subclass of tuple with a one-argument constructor raises a
    # TypeError here, as in PyTorch.
    return (tuple(replaced) if type(values) is tuple else type(values)(*replaced)), places


def _spread(places: list[int], values: tuple, size: int) -> tuple:
    """Put `values` at `places` of a tuple of the given size; None elsewhere."""
    spread = [None] * size
    for place, value in zip(places, values, strict=True):
        spread[place] = value
    return tuple(spread)
