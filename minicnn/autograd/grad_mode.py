"""Whether operations are recorded: a flag for each thread, and the context managers that set it."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any


class _GradMode(threading.local):
    enabled = True  # what is computed now is recorded
    inference = False
    asked = True  # under inference_mode, where nothing is recorded: what `enable_grad` has set


class _Multithreading(threading.local):
    enabled = True


mode, multithreading = _GradMode(), _Multithreading()
inference_blocks = (
    0  # how many inference_mode blocks all threads are in: only then a new tensor has to look at its mode
)
_counting = threading.Lock()


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread now."""
    return mode.asked if mode.inference else mode.enabled


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside of `inference_mode`."""
    return mode.inference


def need_writable(tensor: Any) -> None:
    """RuntimeError for a tensor that was made under `inference_mode`, unless this thread is there now."""
    if tensor._version_counter.inference and not mode.inference:
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed.You can make a clone to get a normal "
            "tensor before doing inplace update.See https://github.com/pytorch/rfcs/pull/17 for more details."
        )


class _GradModeContext:
    """Sets the flag for a `with` block, or for each call of a decorated function."""

    _previous: Any  # what was set before the block
    enabled: bool

    def __enter__(self) -> None:
        self._previous = is_grad_enabled()
        _set(self.enabled)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _set(self._previous)

    def _fresh(self) -> _GradModeContext:
        return type(self)()

    def _wrap_generator(self, function: Callable) -> Callable:
        """The flag is set while the generator runs, whatever makes it go on, and not between its steps."""

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            generator = function(*args, **kwargs)
            go_on, value = generator.send, None
            try:
                while True:
                    with self._fresh():
                        item = go_on(value)
                    try:
                        go_on, value = generator.send, (yield item)
                    except GeneratorExit:
                        with self._fresh():
                            generator.close()
                        raise
                    except BaseException as error:
                        go_on, value = generator.throw, error
            except StopIteration as stop:
                return stop.value

        return wrapper

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):
            return self._wrap_generator(function)

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with self._fresh():
                return function(*args, **kwargs)

        return wrapper


class no_grad(_GradModeContext):
    """Nothing is recorded inside: results do not require gradients. A context manager and a decorator."""

    enabled = False

    def __new__(cls, function: Callable | None = None):
        return super().__new__(cls) if function is None else cls()(function)


class enable_grad(no_grad):
    """Recording is on inside, also within a `no_grad` block."""

    enabled = True


class set_grad_enabled(_GradModeContext):
    """Sets the flag at once; as a context manager it restores the former value at the end."""

    def __init__(self, mode: bool) -> None:
        self.enabled = bool(mode)
        self._previous = is_grad_enabled()
        _set(self.enabled)

    def __enter__(self) -> None:
        _set(self.enabled)

    def __call__(self, function: Callable) -> Callable:
        _set(self._previous)  # used as a decorator: only the calls are affected
        return super().__call__(function)

    def _fresh(self) -> set_grad_enabled:
        return set_grad_enabled(self.enabled)


class inference_mode(_GradModeContext):
    """Like `no_grad`, and what is made inside cannot be written outside, nor be kept there for a backward pass.

    `inference_mode(False)` inside of it is the normal mode again, with gradients.
    """

    def __new__(cls, mode: bool | Callable = True):
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self.mode = mode

    def __enter__(self) -> None:
        self._previous = is_grad_enabled(), mode.inference
        _count(self.mode)
        mode.inference = self.mode
        _set(not self.mode)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _count(-self.mode)
        enabled, mode.inference = self._previous
        _set(enabled)

    def _fresh(self) -> inference_mode:
        return inference_mode(self.mode)


class set_multithreading_enabled(_GradModeContext):
    """Whether devices may have threads of their own in a backward pass. All runs in the calling thread here: nothing
    changes but the flag, which belongs to the thread."""

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(
                f"set_multithreading_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}"
            )
        self._previous, self.enabled = multithreading.enabled, mode
        multithreading.enabled = mode

    def __enter__(self) -> None:
        pass  # the flag is set already

    def __exit__(self, *error: object) -> None:
        multithreading.enabled = self._previous

    def _fresh(self) -> set_multithreading_enabled:
        return set_multithreading_enabled(self.enabled)


def _count(blocks: int) -> None:
    global inference_blocks
    with _counting:
        inference_blocks += blocks


def _set(enabled: bool) -> None:
    """Set this thread's flag; under `inference_mode` nothing is recorded all the same."""
    mode.asked, mode.enabled = enabled, enabled and not mode.inference
