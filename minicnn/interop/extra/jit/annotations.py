"""Annotations for the compiler of `torch.jit`, which Python does not ask."""

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: F401, UP035  (PyTorch's module has them)


class _BroadcastingList:
    def __getitem__(self, item: Any) -> Any:
        return item


BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = _BroadcastingList()
