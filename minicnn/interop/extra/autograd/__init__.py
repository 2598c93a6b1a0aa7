"""`torch.autograd`."""

from __future__ import annotations

from contextlib import nullcontext

from minicnn.interop.absent import refuse

__all__ = ["set_detect_anomaly"]


class set_detect_anomaly(nullcontext):
    """`set_detect_anomaly(False)` or a block of it. NotImplementedError for True: gradients are not watched for NaN."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        super().__init__()
        if mode:
            refuse("torch.autograd.set_detect_anomaly(True)")
