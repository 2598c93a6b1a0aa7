"""`torch.backends.opt_einsum`: not here."""

from minicnn.interop.extra.backends._absent import *  # noqa: F403
