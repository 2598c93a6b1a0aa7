"""`torch.version`: built for no accelerator."""

from typing import Any

cuda = hip = xpu = rocm = git_version = None
debug = False


def __getattr__(name: str) -> Any:
    from minicnn.interop import extra

    return getattr(extra, name)
