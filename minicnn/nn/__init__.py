"""Networks: `Module`, the layers, the functions behind them, and first values for parameters."""

from minicnn.nn import functional, init, modules, parameter, utils
from minicnn.nn.modules import *  # noqa: F403  (the layers: their list stands once, in `modules.__all__`)
from minicnn.nn.parameter import Buffer, Parameter

__all__ = ["Buffer", "Parameter", "functional", "init", "modules", "parameter", "utils"]
__all__ += modules.__all__
