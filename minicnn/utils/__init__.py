"""Tools beside the network itself: hook handles (`hooks`), data sets and batches (`data`)."""

from minicnn.utils import hooks

__all__ = ["hooks"]
