"""Networks: `Module`, the layers, the functions behind them, and first values for parameters."""

import typing as _typing

from minicnn.nn import functional, init, modules, parameter, utils
from minicnn.nn.modules import *  # noqa: F403  (the layers: their list stands once, in `modules.__all__`)
from minicnn.nn.parameter import Buffer, Parameter

__all__ = ["Buffer", "Parameter", "functional", "init", "modules", "parameter", "utils"]
__all__ += modules.__all__

if not _typing.TYPE_CHECKING:  # a type checker would take every name for one that is there

    def __getattr__(name: str) -> _typing.Any:
        """AttributeError; for layers that stay away for good it says why."""
        why = f"module 'minicnn.nn' has no attribute '{name}'"
        if name.startswith("Lazy"):
            why += f": no layer waits for its first input to learn its sizes; write nn.{name[4:]} with the sizes"
        elif name.startswith("Transformer"):
            why += ": build it of nn.MultiheadAttention, nn.LayerNorm and nn.Linear"
        raise AttributeError(why)
