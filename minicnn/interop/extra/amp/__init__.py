"""Mixed precision: everything is computed in the type that its tensors have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from minicnn.interop.absent import refuse

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


class autocast:
    """A block or a decorator that changes nothing for a device that is not here, or with `enabled=False`.

    NotImplementedError where it would compute in lower precision: on the CPU, and enabled.
    """

    def __init__(
        self, device_type: str = "cuda", dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if enabled and str(device_type) == "cpu":
            refuse("torch.autocast on the CPU")

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, function: Callable) -> Callable:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return call


class GradScaler:
    """As PyTorch's without a GPU: it scales nothing."""

    def __init__(self, device: str = "cuda", **options: Any) -> None:
        pass

    def scale(self, outputs: Any) -> Any:
        """The outputs themselves."""
        return outputs

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """The optimizer's step."""
        return optimizer.step(*args, **kwargs)

    def unscale_(self, optimizer: Any) -> None:
        """Nothing was scaled."""

    def update(self, new_scale: Any = None) -> None:
        """There is no scale."""

    def get_scale(self) -> float:
        """1."""
        return 1.0

    def is_enabled(self) -> bool:
        """False."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """Empty."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to load."""


def custom_fwd(fwd: Callable | None = None, **options: Any) -> Any:
    """The function itself, or a decorator that gives it back."""
    return (lambda function: function) if fwd is None else fwd


def custom_bwd(bwd: Callable | None = None, **options: Any) -> Any:
    """As `custom_fwd`."""
    return custom_fwd(bwd)


def is_autocast_available(device_type: str) -> bool:
    """False."""
    return False
