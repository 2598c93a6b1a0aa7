"""Whether operations are recorded: a flag for each thread, and the context managers that set it."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from types import TracebackType


class _GradMode(threading.local):
    enabled = True
    inference = False


mode = _GradMode()


def is_grad_enabled() -> bool:
    return mode.enabled


def is_inference_mode_enabled() -> bool:
    return mode.inference


class _GradModeContext:
    """Sets the flag for a `with` block, or for each call of a decorated function."""

    enabled: bool

    def __enter__(self) -> None:
        self._previous = mode.enabled
        mode.enabled = self.enabled

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        mode.enabled = self._previous

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
    """Like `no_grad`. (PyTorch also bars its results from later recording; here they are ordinary tensors.)"""

    def __new__(cls, mode: bool | Callable = True):
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        self._mode = mode

    def __enter__(self) -> None:
        self._previous = mode.enabled, mode.inference
        if self._mode:
            mode.enabled, mode.inference = False, True

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        mode.enabled, mode.inference = self._previous

    def _fresh(self) -> inference_mode:
        return inference_mode(self._mode)


def _set(enabled: bool) -> None:
    mode.enabled = enabled
