"""Data sets and batches, under `torch.utils.data`'s names: what an ordinary training loop uses, in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minicnn import _random, ops
from minicnn._creation import from_numpy, tensor
from minicnn._tensor import Tensor

__all__ = [
    "DataLoader",
    "Dataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "default_collate",
]


class Dataset:
    """Items by number: subclasses define `__getitem__(index)` and `__len__()`."""

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")


class TensorDataset(Dataset):
    """Item i is the tuple of the i-th rows of several tensors. AssertionError if their lengths differ."""

    def __init__(self, *tensors: Any) -> None:
        assert all(len(tensor) == len(tensors[0]) for tensor in tensors), "Size mismatch between tensors"
        self.tensors = tensors

    def __getitem__(self, index: int) -> tuple:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset):
    """Some items of a data set."""

    def __init__(self, dataset: Dataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


class Sampler:
    """An order of the item numbers."""

    def __init__(self, data_source: Any = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.data_source)


class SequentialSampler(Sampler):
    """0, 1, 2, ..."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))


class RandomSampler(Sampler):
    """A random order, anew for each pass, from minicnn's generator (`manual_seed`)."""

    def __iter__(self) -> Iterator[int]:
        return iter(_random.generator().permutation(len(self.data_source)).tolist())


def default_collate(batch: Sequence[Any]) -> Any:
    """A list of items as one batch: tensors and numbers are stacked, tuples, lists and dicts taken apart."""
    first = batch[0]
    if isinstance(first, Tensor):
        return ops.stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic)):
        return from_numpy(np.stack(batch))
    if isinstance(first, (bool, int, float)):
        return tensor(list(batch))
    if isinstance(first, dict):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        return [default_collate(column) for column in zip(*batch, strict=True)]
    return list(batch)


class DataLoader:
    """Batches of a data set: `for x, y in DataLoader(dataset, batch_size=64, shuffle=True)`.

    `num_workers` and `pin_memory` are accepted and change nothing: items are made in this process.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
    ) -> None:
        if shuffle and sampler is not None:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler = sampler or (RandomSampler(dataset) if shuffle else SequentialSampler(dataset))
        self.collate_fn = collate_fn or default_collate

    def __iter__(self) -> Iterator[Any]:
        items: list[Any] = []
        for index in self.sampler:
            items.append(self.dataset[index])
            if len(items) == self.batch_size:
                yield self.collate_fn(items)
                items = []
        if items and not self.drop_last:
            yield self.collate_fn(items)

    def __len__(self) -> int:
        count = len(self.sampler)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


class sampler:  # `torch.utils.data.sampler.Sampler`
    Sampler, SequentialSampler, RandomSampler = Sampler, SequentialSampler, RandomSampler
