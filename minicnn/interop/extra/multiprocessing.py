"""`torch.multiprocessing`: Python's, whose processes have tensors of their own."""

from multiprocessing import *  # noqa: F403
from multiprocessing import get_context  # noqa: F401


def get_all_sharing_strategies() -> set[str]:
    """None is here."""
    return set()


def set_sharing_strategy(new_strategy: str) -> None:
    """Nothing is shared."""
