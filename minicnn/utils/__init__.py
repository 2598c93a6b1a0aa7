"""Tools beside the network itself: hook handles (`hooks`), data sets and batches (`data`), parts that run
again in the backward pass (`checkpoint`), `swap_tensors`."""

from minicnn.utils import hooks
from minicnn.utils._swap import swap_tensors

__all__ = ["hooks", "swap_tensors"]
