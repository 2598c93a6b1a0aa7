"""`torch._C`: what libraries ask of PyTorch's dispatcher, which is not here, when they are imported."""

from __future__ import annotations

from contextlib import nullcontext


class DispatchKey:
    """A device, a precision or a pass for which an operation can have an implementation of its own: here a word."""

    AutocastCPU, AutocastCUDA, AutocastXPU = "AutocastCPU", "AutocastCUDA", "AutocastXPU"


class DispatchKeySet(frozenset):
    """Some of them."""

    def __new__(cls, key: str) -> DispatchKeySet:
        return super().__new__(cls, {key})


class _ExcludeDispatchKeyGuard(nullcontext):
    """A block in which the dispatcher leaves some out: it changes nothing."""


class DisableTorchFunctionSubclass(nullcontext):
    """A block in which `__torch_function__` is not asked. It never is."""


def _get_tracing_state() -> None:
    """None: nothing is traced."""


def _log_api_usage_once(event: str) -> None:
    """Nothing is logged."""


def _get_privateuse1_backend_name() -> str:
    return "privateuseone"
