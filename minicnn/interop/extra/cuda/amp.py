"""`torch.cuda.amp`: the old names of `torch.amp`'s."""

from typing import Any

from minicnn.interop.extra import amp
from minicnn.interop.extra.amp import GradScaler, custom_bwd, custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(amp.autocast):
    """A block or a decorator that changes nothing: there is no GPU."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)
