"""The memory behind a tensor, under `torch.storage`'s names: enough to ask whether two tensors share it, and how large it is."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["TypedStorage", "UntypedStorage"]


class UntypedStorage:
    """Bytes: `len(tensor.untyped_storage())` counts them. Views of one tensor have the same `data_ptr()`."""

    def __init__(self, owner: np.ndarray) -> None:
        self._owner = owner

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._owner.__array_interface__["data"][0]

    def nbytes(self) -> int:
        """How many bytes."""
        return self._owner.nbytes

    def size(self) -> int:
        """How many bytes."""
        return self._owner.nbytes

    def __len__(self) -> int:
        return self.size()

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()  # what `sys.getsizeof` says contains the memory, as in PyTorch


class TypedStorage(UntypedStorage):
    """The same, counted in elements."""

    def __init__(self, owner: np.ndarray, dtype: Any) -> None:
        super().__init__(owner)
        self.dtype = dtype

    def element_size(self) -> int:
        """Bytes of one element."""
        return self._owner.itemsize

    def size(self) -> int:
        """How many elements."""
        return self._owner.size

    def tolist(self) -> list[Any]:
        """The elements, in the order in which they lie."""
        return self._owner.ravel(order="K").tolist()

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return UntypedStorage(self._owner)
