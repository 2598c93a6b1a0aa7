"""A network put into a state for looking at it and back; and its modules by name, for all of viz."""

from collections.abc import Iterator
from contextlib import contextmanager

from minicnn import Tensor
from minicnn.inspect.names import find_module, find_modules, named_modules, names_of, near
from minicnn.nn import Module

__all__ = ["find_module", "find_modules", "named_modules", "names_of", "near", "still"]


def input_channels(model: Module) -> int:
    """The input channels of the network: those of the first convolution's weight (O, C / groups, KH, KW)."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.dim() == 4:
            return weight.shape[1] * getattr(module, "groups", 1)
    return 3


@contextmanager
def still(model: Module) -> Iterator[None]:
    """In the block the network is in eval mode and its parameters ask for no gradient; afterwards all is as before.

    Eval mode, because a picture must not depend on dropout or on the other images of a batch; no gradients for the
    parameters, because only the image's is wanted: that saves a third of the work and leaves every ``.grad`` alone.
    """
    training = [(module, module.training) for module in model.modules()]
    requires = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval()
        for parameter, _ in requires:
            parameter.requires_grad_(False)
        yield
    finally:
        for module, flag in training:
            module.training = flag
        for parameter, flag in requires:
            parameter.requires_grad_(flag)
