"""`torch.nn.parallel`: one device."""

from __future__ import annotations

from typing import Any

from minicnn.interop.absent import refuse
from minicnn.nn import Module

__all__ = ["DataParallel", "DistributedDataParallel"]


class DataParallel(Module):
    """As PyTorch's without a GPU: it calls the module, which is `.module`."""

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module gives."""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """It needs a process group, which is not here."""

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        refuse("torch.nn.parallel.DistributedDataParallel")
