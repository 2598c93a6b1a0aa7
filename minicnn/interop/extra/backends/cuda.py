"""`torch.backends.cuda`: not here."""

from types import SimpleNamespace

from minicnn.interop.extra.backends._absent import *  # noqa: F403

matmul = SimpleNamespace(allow_tf32=False)
