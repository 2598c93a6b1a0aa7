"""There is no GPU: the questions that scripts ask, and their answers."""


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
