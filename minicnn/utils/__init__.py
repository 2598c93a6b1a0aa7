"""Tools beside the network itself: hook handles (`hooks`)."""

from minicnn.utils import hooks

__all__ = ["hooks"]
