"""Modules without their first values, for those who fill them with others at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from minicnn.nn import init
from minicnn.nn.modules.module import Module

Network = TypeVar("Network", bound=Module)


def skip_init(module_cls: Callable[..., Network], *args: Any, **kwargs: Any) -> Network:
    """`module_cls(*args, **kwargs)`, in which `nn.init` draws no random numbers: the parameters have no use yet.

    Unlike PyTorch's, it takes any function that returns a module: a whole network too.
    """
    with init._no_draws():
        return module_cls(*args, **kwargs)
