"""There is no GPU: the questions that scripts ask, and their answers."""

from __future__ import annotations

from typing import Any, NoReturn


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def synchronize() -> None:
    """Nothing runs elsewhere: nothing to wait for."""


def empty_cache() -> None:
    """Nothing is cached elsewhere."""


def manual_seed_all(seed: int) -> None:
    """No device has a generator of its own."""


class _NoTensorType(type):
    """The class of `FloatTensor` and its siblings on a GPU: no tensor is one, and none can be made."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return False

    def __call__(cls, *data: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled.")


class HalfTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class FloatTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class DoubleTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class ByteTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class CharTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class ShortTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class IntTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class LongTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""


class BoolTensor(metaclass=_NoTensorType):
    """No tensor is one: there is no GPU."""
