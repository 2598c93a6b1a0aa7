"""The gradient rule of a ReLU changed for a while, from the outside: by hooks, never by exchanging modules."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minicnn import Tensor, autograd
from minicnn.nn import Module, ReLU


class OpenedReLU(autograd.Function):
    """max(x, 0) whose gradient, for an image where it would be zero everywhere, passes on where it pushes x up.

    x: any shape, the batch first. Forward: relu(x). Backward: the ReLU's own gradient, grad where x > 0, for every image
    for which any of it is left; for the others -grad of the loss where x < 0 would rise by it, zero elsewhere.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        usual = grad * (x > 0)
        dims = tuple(range(1, x.dim()))
        blocked = (usual != 0).sum(dims, keepdim=True) == 0
        return usual + grad * (blocked & (grad < 0))  # a descent step on the loss raises x where grad < 0


@contextmanager
def open_relus(model: Module, enabled: bool = True) -> Iterator[None]:
    """In the block the gradient passes every `nn.ReLU` of the model that blocks all of it, see `OpenedReLU`.

    The values of the forward pass stay those of the ReLU; the model's modules stay the same objects; the hooks are removed
    at the end, after an error too. In-place ReLUs are given a copy. A ReLU that the model calls as a function
    (`F.relu`) is not a module and keeps its own gradient.
    """
    handles = []
    try:
        for module in model.modules() if enabled else ():
            if isinstance(module, ReLU):
                handles += _open(module)
        yield
    finally:
        for handle in handles:
            handle.remove()


def _open(relu: Module) -> list[Any]:
    """Hooks on one ReLU: remember its input on the way in, return the opened version of it on the way out."""
    inputs: list[Tensor] = []

    def before(module: Module, args: tuple) -> tuple:
        inputs.append(args[0])
        return (args[0].clone(),) if module.inplace else args

    def after(module: Module, args: tuple, output: Tensor) -> Tensor:
        return OpenedReLU.apply(inputs.pop())

    return [relu.register_forward_pre_hook(before), relu.register_forward_hook(after, prepend=True)]
