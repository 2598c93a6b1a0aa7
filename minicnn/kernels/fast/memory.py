"""Scratch arrays that are kept between calls."""

import math
import threading

import numpy as np

KEPT = 2**25  # bytes: larger scratch arrays are not kept

_buffers = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array that is valid until this thread asks for the same `name` again.

    A fresh array of megabytes is slow: the system hands out its pages one by one, zeroed, on the first touch, which cost as
    much as the convolution itself. So each thread keeps one buffer a name.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = getattr(_buffers, name, None)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size, np.uint8)
        if size <= KEPT:
            setattr(_buffers, name, buffer)
    return buffer[:size].view(dtype).reshape(shape)
