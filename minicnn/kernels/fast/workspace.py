"""The workspace of the kernels: scratch arrays that are kept between calls, and copies of planes into them."""

import math
import threading

import numpy as np

from .parallel import jit

KEPT = 2**25  # bytes: larger scratch arrays are not kept

_buffers = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
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


@jit
def pick(x, y0, x0, SH, SW, out):
    """out[i, j] = x[y0 + i * SH, x0 + j * SW], or 0 where x has no such pixel."""
    H, W = x.shape
    rows, pitch = out.shape
    left = min(pitch, max(0, (SW - 1 - x0) // SW))  # the first column that is in x, and the end of those that are
    right = max(left, min(pitch, (W - 1 - x0) // SW + 1))
    top = min(rows, max(0, (SH - 1 - y0) // SH))
    bottom = max(top, min(rows, (H - 1 - y0) // SH + 1)) if right > left else top
    out[:top] = 0
    out[bottom:] = 0
    for i in range(top, bottom):
        for j in range(left):
            out[i, j] = 0
        for j in range(right, pitch):
            out[i, j] = 0
    for i in range(top, bottom):
        source, target = x[y0 + i * SH, x0 + left * SW :], out[i, left:right]
        if SW == 1:
            for j in range(len(target)):
                target[j] = source[j]
        elif SW == 2:  # a stride that the compiler knows can be loaded as vectors
            for j in range(len(target)):
                target[j] = source[2 * j]
        elif SW == 4:
            for j in range(len(target)):
                target[j] = source[4 * j]
        else:
            for j in range(len(target)):
                target[j] = source[j * SW]
