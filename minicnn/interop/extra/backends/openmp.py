"""`torch.backends.openmp`: not here."""

from minicnn.interop.extra.backends._absent import *  # noqa: F403
