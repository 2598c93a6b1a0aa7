"""Compile a loop (`jit`) and share its work among threads (`run`).

How the fast kernels use the cores, and why
-------------------------------------------
A fast kernel here is a *serial* Numba function over a range ``start .. stop`` of independent units (rows, planes), compiled
with ``nogil=True``. `run` cuts the range into one part per core, does one part itself and gives the others to one
`ThreadPoolExecutor`. Numba's own ``parallel=True`` was measured and turned down, for three reasons:

* Its ``workqueue`` layer aborts the process when two Python threads enter parallel kernels at once, and its OpenMP layer
  keeps spinning after each kernel. A convolution alternates such kernels with NumPy's matrix product, whose OpenBLAS threads
  want the same cores: 0.3 ms + 0.05 ms became 6 ms. The threads of an executor sleep on a lock instead, any number of Python
  threads may call at once, and no environment variable has to be set.
* A serial kernel compiles several times faster than a parallel one.
* With ``NUMBA_DISABLE_JIT=1`` the same functions are ordinary Python, in one thread, and a debugger can step through them.

The number of threads is Numba's (``NUMBA_NUM_THREADS``, by default the cores that this process may use). A matrix product
uses as many threads as NumPy's BLAS is set to.
"""

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
from numba.core import event

THREADS = 1 if numba.config.DISABLE_JIT else numba.config.NUMBA_NUM_THREADS
WORTH_A_THREAD = 20_000  # elements: below this, waking a thread (some 30 microseconds) costs more than it saves


def jit(function: Callable) -> Callable:
    """Compile `function` on its first call, and keep the machine code on disk for the next process.

    Numba keeps it beside the source file, or in the user's cache directory if the installation is read-only, or in
    ``NUMBA_CACHE_DIR`` if that is set. If none of them can be written, the function is compiled anew in each process.
    Multiply-adds may be fused; nothing else about floating point is relaxed, so NaN and infinity keep their meaning.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # "cannot cache function ...: no locator available"
        return numba.njit(**options)(function)


def run(kernel: Callable, units: int, elements: int, *arguments: object) -> None:
    """Call ``kernel(*arguments, start, stop)`` on parts that together cover ``range(units)``, one part per thread.

    The parts run at the same time, so a unit must write nothing that another unit reads or writes. `elements` is a rough
    count of the numbers touched in all: small work stays in the calling thread. An error in any part is raised here.
    """
    parts = max(1, min(THREADS, units, elements // WORTH_A_THREAD))
    edges = [units * part // parts for part in range(parts + 1)]
    others = [_pool.submit(kernel, *arguments, *edges[part : part + 2]) for part in range(1, parts)]
    try:
        kernel(*arguments, edges[0], edges[1])
    finally:
        for other in others:
            other.result()


def _new_pool() -> None:
    global _pool
    _pool = ThreadPoolExecutor(max(1, THREADS - 1), thread_name_prefix="minicnn")


_new_pool()
if hasattr(os, "register_at_fork"):  # a forked child inherits the pool but none of its threads
    os.register_at_fork(after_in_child=_new_pool)


class _CompileNotice(event.Listener):
    """Says once on stderr that the kernels are being compiled, when that has taken more than two seconds."""

    def __init__(self) -> None:
        self.started = 0.0
        self.seconds = 0.0

    def on_start(self, event: event.Event) -> None:
        self.started = time.perf_counter()

    def on_end(self, event: event.Event) -> None:
        if event.data["dispatcher"].py_func.__module__.startswith(__package__):
            before, self.seconds = self.seconds, self.seconds + time.perf_counter() - self.started
            if before <= 2 < self.seconds:
                print("minicnn: compiling its kernels (once; the result is cached on disk) ...", file=sys.stderr)


event.register("numba:compile", _CompileNotice())
