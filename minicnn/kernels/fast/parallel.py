"""Compile a loop (`jit`), share its work among threads (`run`), and keep the memory that it works in (`scratch`, `keep_memory`).

How the fast kernels use the cores, and why
-------------------------------------------
A fast kernel here is a *serial* Numba function over a range ``start .. stop`` of independent units (rows, planes), compiled
with ``nogil=True``. `run` cuts the range into one part per core, does one part itself and gives the others to threads that
wait for work. Numba's own ``parallel=True`` was measured and turned down, for three reasons:

* Its ``workqueue`` layer aborts the process when two Python threads enter parallel kernels at once, and its OpenMP layer
  keeps spinning after each kernel, which starves NumPy's matrix products: 0.3 ms + 0.05 ms became 6 ms.
* A serial kernel compiles several times faster than a parallel one.
* With ``NUMBA_DISABLE_JIT=1`` the same functions are ordinary Python, in one thread, and a debugger can step through them.

To wake a sleeping thread takes some 50 microseconds, more than many a kernel. So a thread that waits looks at a counter in
memory again and again for about a third of a millisecond, without the interpreter's lock, before it goes to sleep.

The number of threads is Numba's (``NUMBA_NUM_THREADS``, by default the cores that this process may use), unless
`minicnn.set_num_threads` says otherwise.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, event, types
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.extending import intrinsic

THREADS = 1 if numba.config.DISABLE_JIT else numba.config.NUMBA_NUM_THREADS
WORTH_A_THREAD = 20_000  # elements: below this, telling a thread and waiting for it costs more than it saves
LOOKS = 1_000_000  # at a counter, before a thread goes to sleep: some 0.3 milliseconds
LOOKS_BEFORE_GIVING_WAY = 262_144  # to another thread that waits for this core, perhaps the one that is waited for
KEPT = 2**25  # bytes: larger arrays are not kept, neither those of `scratch` nor those that were freed
LOOKS_AT_BEGIN = 4_000  # so long another thread needs the interpreter's lock to begin a kernel: some 4 microseconds


_team: threading.Lock  # held while the helpers work
_helpers: list[_Helper]
_buffers = threading.local()


def jit(function: Callable, fastmath: frozenset[str] = frozenset({"contract"})) -> Callable:
    """Compile `function` on its first call, and keep the machine code on disk for the next process.

    Numba keeps it beside the source file, or in the user's cache directory if the installation is read-only, or in
    ``NUMBA_CACHE_DIR`` if that is set. If none of them can be written, the function is compiled anew in each process.
    It is compiled again after an edit of any file of this folder (`_Cache`), for another processor and by another Numba.
    Multiply-adds may be fused; nothing else about floating point is relaxed, so NaN and infinity keep their meaning.
    """
    options = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
    compiled = numba.njit(**options, no_cfunc_wrapper=True)(function)  # without a version for C, which nobody calls
    if not numba.config.DISABLE_JIT:
        try:
            compiled._cache = _Cache(function)
        except RuntimeError:  # "cannot cache function ...: no locator available"
            pass
    return compiled


_sources = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))).digest()


class _Cache(FunctionCache):
    """Numba's cache, whose stamp is the function's own file, with the whole folder as the stamp: the machine code of a
    function holds that of the functions that it calls."""

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(self.cache_path, self._impl.filename_base, _sources)


def jit_sums(function: Callable) -> Callable:
    """`jit`, where the terms of a sum may be added in any order, as vectors do. NaN and infinity keep their meaning."""
    return jit(function, frozenset({"contract", "reassoc"}))


def run(kernel: Callable, units: int, elements: int, *arguments: object) -> None:
    """Call ``kernel(*arguments, start, stop)`` on parts that together cover ``range(units)``, one part per thread.

    The parts run at the same time, so a unit must write nothing that another unit reads or writes. `elements` is a rough
    count of the numbers touched in all: small work stays in the calling thread, and so does all work while another Python
    thread has the helpers. An error in any part is raised here.
    """
    parts = max(1, min(THREADS, units, elements // WORTH_A_THREAD))
    if parts == 1 or numba.config.DISABLE_JIT or not _team.acquire(blocking=False):
        kernel(*arguments, 0, units)
        return
    try:
        edges = [units * part // parts for part in range(parts + 1)]
        while len(_helpers) < parts - 1:
            _helpers.append(_Helper())
        helpers = _helpers[: parts - 1]
        for helper, start, stop in zip(helpers, edges[1:], edges[2:], strict=False):
            helper.begin(kernel, (*arguments, start, stop))
        try:
            kernel(*arguments, 0, edges[1])
        finally:
            errors = [helper.finish() for helper in helpers]
        if any(errors):
            raise next(filter(None, errors))
    finally:
        _team.release()


class _Helper:
    """A thread that does one part of the work after the other."""

    def __init__(self) -> None:
        self.number = 0  # of the job that was begun last
        # The same where both threads see it, and the number of the last one that is done.
        self.begun, self.done = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.awake = threading.Event()
        self.job: Any = None  # number, kernel, arguments
        self.error: BaseException | None = None
        threading.Thread(target=self._work, name="minicnn", daemon=True).start()

    def begin(self, kernel: Callable, arguments: tuple) -> None:
        self.number += 1
        self.job = self.number, kernel, arguments
        _set_and_look(self.begun, self.number, self.done, self.number, LOOKS_AT_BEGIN)
        if not self.awake.is_set():
            self.awake.set()

    def finish(self) -> BaseException | None:
        """Wait until the job is done. Returns the error that it ended with."""
        while not _set_and_look(self.begun, self.number, self.done, self.number, LOOKS):
            time.sleep(1e-4)
        return self.error

    def _work(self) -> None:
        last = 0
        while True:
            while not _set_and_look(self.done, last, self.begun, last + 1, LOOKS):
                self.awake.clear()
                if self.begun[0] <= last:  # whoever begins a job from here on finds this thread asleep
                    self.awake.wait()
            (last, kernel, arguments), self.job, self.error = self.job, None, None
            try:
                kernel(*arguments)
            except BaseException as error:
                self.error = error
            del kernel, arguments  # they would keep arrays alive until the next job


@intrinsic
def _look(typing: Any, array: Any) -> Any:
    """array[0], read from memory each time, which a compiler need not do for an array that nobody in sight writes to."""

    def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, build, arguments[0]).data
        return build.load_atomic(data, "acquire", 8)

    return types.int64(array), write


@intrinsic
def _give_way(typing: Any) -> Any:
    """sched_yield(), without the interpreter's lock. Nothing on systems that do not have it."""

    def write(context: Any, build: Any, signature: Any, arguments: Any) -> Any:
        if hasattr(os, "sched_yield"):
            kind = ir.FunctionType(ir.IntType(32), [])
            build.call(cgutils.get_or_insert_function(build.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), write


@jit
def _set_and_look(mine, value, other, number, looks):
    """Set one counter; look at the other until it is at least `number`, and say whether it is.

    The counter is set here, where the interpreter's lock is free: the other thread wants it as soon as it sees the number, and
    would go to sleep if it had to wait for it.
    """
    mine[0] = value
    for look in range(1, looks + 1):
        if _look(other) >= number:
            return True
        if look % LOOKS_BEFORE_GIVING_WAY == 0:
            _give_way()
    return False


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


def keep_memory(anyway: bool = False) -> bool:
    """Let the C library keep what is freed for the next array; whether it has been told so.

    The fresh pages of `scratch` are as slow in every result of an operation. glibc gives freed arrays back to the system from
    128 kB on, until a larger one has been freed: then that size is the limit, up to 32 MB, and up to twice as much is kept.
    Here it begins with these limits. So they are no others than a program with large arrays reaches by itself, but one with
    small arrays gets there too: up to 64 MB stay with the process. Who has set the limits (mallopt(3)) keeps them, but `anyway`.
    """
    named = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
    try:
        if (any(name in os.environ for name in named) and not anyway) or not os.confstr("CS_GNU_LIBC_VERSION"):
            return False
    except (AttributeError, ValueError):  # other systems have no confstr, or not this name
        return False
    mmap_threshold, trim_threshold = -3, -1  # their numbers in malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    return mallopt(mmap_threshold, KEPT) == mallopt(trim_threshold, 2 * KEPT) == 1


keep_memory()


@jit
def inside(size, begin, step, count):
    """The first of the places begin, begin + step ... that is one of `size` pixels, and the end of those that are: of `count` places."""
    first = min(count, max(0, (step - 1 - begin) // step))
    return first, max(first, min(count, (size - 1 - begin) // step + 1))


@jit
def pick(x, y0, x0, SH, SW, out):
    """out[i, j] = x[y0 + i * SH, x0 + j * SW], or 0 where x has no such pixel."""
    rows, pitch = out.shape
    left, right = inside(x.shape[1], x0, SW, pitch)
    top, bottom = inside(x.shape[0], y0, SH, rows)
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


def _new_team() -> None:
    global _team, _helpers
    _team, _helpers = threading.Lock(), []


_new_team()
if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_new_team)


class _Compiling(event.Listener):
    """While kernels are being compiled, the garbage collector rests; and stderr says so once, when that has taken over two seconds.

    The compiler makes a million objects that stay, and the collector would look at all of them again and again: a fifth of the time.
    """

    def __init__(self) -> None:
        self.depth = 0  # a function is compiled within the one that calls it
        self.started = self.seconds = 0.0
        self.collects = False

    def on_start(self, event: event.Event) -> None:
        if self.depth == 0:
            if not event.data["dispatcher"].py_func.__module__.startswith(__package__):
                return
            self.started, self.collects = time.perf_counter(), gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: event.Event) -> None:
        if self.depth == 0:
            return
        self.depth -= 1
        if self.depth == 0:
            if self.collects:
                gc.enable()
            before, self.seconds = self.seconds, self.seconds + time.perf_counter() - self.started
            if before <= 2 < self.seconds:
                print("minicnn: compiling its kernels (once; the result is cached on disk) ...", file=sys.stderr)


event.register("numba:compile", _Compiling())
