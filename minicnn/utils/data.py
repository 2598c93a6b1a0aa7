"""Data sets and batches, under `torch.utils.data`'s names: what an ordinary training loop uses, in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from minicnn import ops
from minicnn import random as _random
from minicnn._tensor import Tensor
from minicnn.ops.creation import from_numpy, tensor

__all__ = [
    "DataLoader", "Dataset", "IterableDataset", "RandomSampler", "Sampler", "SequentialSampler", "Subset", "TensorDataset",
    "default_collate", "default_convert", "get_worker_info",
]  # fmt: skip

T_co = TypeVar("T_co", covariant=True)  # what an item is, for annotations such as `Dataset[Tensor]`


class Dataset(Generic[T_co]):
    """Items by number: subclasses define `__getitem__(index)` and `__len__()`."""

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")


class IterableDataset(Dataset[T_co]):
    """Items one after another: subclasses define `__iter__()`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")


def get_worker_info() -> None:
    """None: no other process loads."""


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


class Sampler(Generic[T_co]):
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
    """A random order, anew for each pass, from a generator of one's own or from minicnn's (`manual_seed`).

    Args:
        replacement: draw each number from all, so that some come twice and others not at all.
        num_samples: how many; by default as many as there are. More begin again with another order.
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: _random.Generator | None = None,
    ) -> None:
        super().__init__(data_source)
        self.replacement, self.generator = replacement, generator
        self._num_samples = num_samples
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples <= 0):
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={num_samples}")

    @property
    def num_samples(self) -> int:
        """How many numbers a pass gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        draw, count, wanted = _random.generator(self.generator), len(self.data_source), self.num_samples
        if self.replacement:
            return iter(draw.integers(count, size=wanted).tolist())
        orders = [draw.permutation(count) for _ in range(-(-wanted // max(count, 1)))]
        return iter([int(k) for order in orders for k in order][:wanted])

    def __len__(self) -> int:
        return self.num_samples


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


def default_convert(item: Any) -> Any:
    """One item outside of a batch: its arrays as tensors."""
    if isinstance(item, (np.ndarray, np.generic)):
        return from_numpy(np.asarray(item))
    if isinstance(item, dict):
        return {key: default_convert(value) for key, value in item.items()}
    if isinstance(item, tuple):
        return [default_convert(value) for value in item]
    return [default_convert(value) for value in item] if isinstance(item, list) else item


class DataLoader(Generic[T_co]):
    """Batches of a data set: `for x, y in DataLoader(dataset, batch_size=64, shuffle=True)`.

    `batch_size=None` gives the items one by one, arrays as tensors; `batch_sampler` gives the numbers of each batch's items.

    `generator` shuffles. What is said of other processes and of a GPU's memory (`num_workers`, `pin_memory`, `worker_init_fn`,
    `prefetch_factor` ...) is accepted and changes nothing: items are made in this process.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = False,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable | None = None,
        multiprocessing_context: Any = None,
        generator: _random.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if shuffle and sampler is not None:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size, drop_last = None, False
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        elif batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        if isinstance(dataset, IterableDataset) and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader with IterableDataset: expected unspecified shuffle, sampler and batch_sampler option"
            )
        if sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        single = batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (default_convert if single else default_collate)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            yield from self._in_their_order(iter(self.dataset))
            return
        if self.batch_size is None and self.batch_sampler is None:
            for index in self.sampler:
                yield self.collate_fn(self.dataset[index])
            return
        for batch in self.batch_sampler if self.batch_sampler is not None else self._batches():
            yield self.collate_fn([self.dataset[index] for index in batch])

    def _in_their_order(self, items: Iterator[Any]) -> Iterator[Any]:
        if self.batch_size is None:
            yield from map(self.collate_fn, items)
            return
        while batch := list(islice(items, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def _batches(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        iterable = isinstance(self.dataset, IterableDataset)  # its TypeError, if it has no length
        count, size = len(self.dataset if iterable else self.sampler), self.batch_size or 1
        return count // size if self.drop_last else -(-count // size)


class sampler:
    """For `torch.utils.data.sampler.Sampler`."""

    Sampler, SequentialSampler, RandomSampler = Sampler, SequentialSampler, RandomSampler
