"""`torch.backends.cpu`."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """'DEFAULT': which instructions Numba takes is its own matter."""
    return "DEFAULT"
