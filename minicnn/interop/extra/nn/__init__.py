"""`torch.nn`."""

from minicnn.interop.extra.nn.parallel import DataParallel

__all__ = ["DataParallel"]
